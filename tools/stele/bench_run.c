/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_run.c: threads that append, and what one operation costs each of them.
 *
 * With a rate the loop is open: operation k of a thread is due at a time fixed in advance, and its latency
 * counts from then, not from when a slow predecessor let it start. So a stall is seen by every operation it
 * delays (no coordinated omission). */
#include "bench.h"

#include "progress.h"
#include "stop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A clock reading costs as much as a small append: without syncs only one in so many is timed. */
#define SAMPLE_EVERY 16u

/* The log is trimmed behind the appenders, and the run ends early when the disk cannot follow. */
#define SPACE_TRIM (UINT64_C(256) << 20)
#define SPACE_MAX (UINT64_C(4) << 30)

#define SLICE_NS 5000000L       /* how often space and signals are looked at */
#define SPIN_NS UINT64_C(80000) /* a sleep wakes up to so much too late: spin the rest */

struct shared {
    struct stele *log;
    const struct bench_case *bench;
    pthread_mutex_t lock; /* guards gate, go */
    pthread_cond_t gate;
    int go;           /* 0 wait, 1 start */
    _Atomic int stop; /* relaxed both ways: it carries nothing but itself */
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    unsigned number;
    unsigned char *payload;
    uint64_t operations, end_ns;
    int code;
    char error[512];
    uint64_t due[BENCH_GROUP_RECORDS]; /* starts of the records that wait for the group's sync */
    unsigned waiting;
    struct hdr latency;
};

static int stopped(const struct worker *worker)
{
    return atomic_load_explicit(&worker->shared->stop, memory_order_relaxed);
}

static void wait_until(const struct worker *worker, uint64_t due)
{
    for (uint64_t now = now_ns(); now < due && !stopped(worker); now = now_ns()) {
        if (due - now <= SPIN_NS)
            continue;
        uint64_t wake = due - SPIN_NS;
        struct timespec at = {(time_t)(wake / 1000000000), (long)(wake % 1000000000)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
}

/* Sync what waits and book its latencies. */
static int settle(struct worker *worker, stele_lsn lsn)
{
    int code = stele_sync(worker->shared->log, lsn);
    if (code != 0)
        return code;
    uint64_t end = now_ns();
    for (unsigned i = 0; i < worker->waiting; i++)
        hdr_add(&worker->latency, end > worker->due[i] ? end - worker->due[i] : 0);
    worker->operations += worker->waiting;
    worker->waiting = 0;
    return 0;
}

static int one(struct worker *worker, uint64_t due, int timed)
{
    const struct bench_case *bench = worker->shared->bench;
    stele_lsn lsn = 0;
    int code = stele_append(worker->shared->log, worker->payload, bench->size, &lsn);
    if (code != 0)
        return code;
    if (bench->sync == BENCH_NONE) {
        worker->operations++;
        if (timed)
            hdr_add(&worker->latency, now_ns() - due);
        return 0;
    }
    worker->due[worker->waiting++] = due;
    if (bench->sync == BENCH_EACH || worker->waiting == BENCH_GROUP_RECORDS)
        return settle(worker, lsn);
    return 0;
}

static int loop(struct worker *worker, uint64_t start)
{
    const struct bench_case *bench = worker->shared->bench;
    int sampled = bench->sync == BENCH_NONE && bench->rate <= 0;
    double interval = bench->rate > 0 ? 1e9 * bench->threads / bench->rate : 0;
    double offset = bench->rate > 0 ? 1e9 * worker->number / bench->rate : 0;
    for (uint64_t k = 0; k == 0 || !stopped(worker); k++) { /* at least one: a run always says something */
        int timed = !sampled || k % SAMPLE_EVERY == 0;
        uint64_t due = 0;
        if (bench->rate > 0) {
            due = start + (uint64_t)(offset + (double)k * interval);
            wait_until(worker, due);
            if (k > 0 && stopped(worker))
                break;
        } else if (timed) {
            due = now_ns();
        }
        int code = one(worker, due, timed);
        if (code != 0)
            return code;
    }
    return worker->waiting > 0 ? settle(worker, STELE_LSN_ALL) : 0;
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    (void)pthread_mutex_lock(&worker->shared->lock);
    while (!worker->shared->go)
        (void)pthread_cond_wait(&worker->shared->gate, &worker->shared->lock);
    (void)pthread_mutex_unlock(&worker->shared->lock);
    worker->code = loop(worker, now_ns());
    worker->end_ns = now_ns();
    if (worker->code != 0) {
        (void)snprintf(worker->error, sizeof worker->error, "%s", stele_last_error());
        atomic_store_explicit(&worker->shared->stop, 1, memory_order_relaxed);
    }
    return NULL;
}

/* The calling thread while the others append: the clock, signals, and space. Returns 1 when interrupted. */
static int oversee(struct shared *shared, uint64_t start)
{
    const struct timespec slice = {0, SLICE_NS};
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        (void)nanosleep(&slice, NULL);
        if (stop_seen())
            return 1;
        if (now_ns() - start >= shared->bench->duration_ns)
            return 0;
        uint64_t held = stele_tail(shared->log) - stele_first(shared->log);
        if (held > SPACE_MAX)
            return 0;
        /* Errors stop the appenders, which report them. */
        if (held > SPACE_TRIM && stele_sync(shared->log, STELE_LSN_ALL) == 0)
            (void)stele_trim(shared->log, stele_durable(shared->log), NULL);
    }
    return 0;
}

static void collect(const struct worker *workers, unsigned count, uint64_t start, struct bench_result *result)
{
    for (unsigned i = 0; i < count; i++) {
        const struct worker *worker = &workers[i];
        hdr_merge(&result->latency, &worker->latency);
        result->operations += worker->operations;
        if (worker->end_ns - start > result->elapsed_ns)
            result->elapsed_ns = worker->end_ns - start;
        if (worker->code != 0 && result->code == 0) {
            result->code = worker->code;
            memcpy(result->error, worker->error, sizeof result->error);
        }
    }
}

/* One allocation holds every payload; bytes that differ, so that no layer below can compress them away. */
static unsigned char *make_payloads(struct worker *workers, const struct bench_case *bench)
{
    size_t bytes = bench->size * bench->threads;
    unsigned char *payloads = malloc(bytes > 0 ? bytes : 1);
    uint64_t state = 1;
    for (size_t i = 0; payloads && i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        payloads[i] = (unsigned char)(state >> 56);
    }
    for (unsigned i = 0; payloads && i < bench->threads; i++)
        workers[i].payload = payloads + i * bench->size;
    return payloads;
}

static void open_gate(struct shared *shared)
{
    (void)pthread_mutex_lock(&shared->lock);
    shared->go = 1;
    (void)pthread_cond_broadcast(&shared->gate);
    (void)pthread_mutex_unlock(&shared->lock);
}

int bench_run(struct stele *log, const struct bench_case *bench, struct bench_result *result)
{
    struct shared shared = {.log = log, .bench = bench};
    struct worker *workers = calloc(bench->threads, sizeof *workers);
    unsigned char *payloads = workers ? make_payloads(workers, bench) : NULL;
    unsigned started = 0;
    memset(result, 0, sizeof *result);
    if (!payloads) {
        free(workers);
        return STELE_ENOMEM;
    }
    (void)pthread_mutex_init(&shared.lock, NULL);
    (void)pthread_cond_init(&shared.gate, NULL);
    for (; started < bench->threads; started++) {
        struct worker *worker = &workers[started];
        worker->shared = &shared;
        worker->number = started;
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            break;
    }
    int complete = started == bench->threads;
    uint64_t start = now_ns();
    atomic_store_explicit(&shared.stop, !complete, memory_order_relaxed);
    open_gate(&shared);
    result->stopped = oversee(&shared, start);
    atomic_store_explicit(&shared.stop, 1, memory_order_relaxed);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(workers[i].thread, NULL);
    collect(workers, started, start, result);
    (void)pthread_cond_destroy(&shared.gate);
    (void)pthread_mutex_destroy(&shared.lock);
    free(payloads);
    free(workers);
    return complete ? 0 : STELE_ENOMEM;
}
