/* SPDX-License-Identifier: BSD-3-Clause */
/* test_wakeups.c: rounds in which everybody waits for durability at the same moment and nobody goes on before all have
 * come back. A wake-up that gets lost is not made good by the next commit, because there is none: the test hangs, and
 * the runner's deadline says so. Idle marks are off for the same reason. */
#include "lib/child.h"
#include "lib/dir.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MOST 6u

struct rounds {
    struct stele *log;
    unsigned threads;
    uint64_t count;
    unsigned
        ask_every; /* this thread asks the helper in one of so many rounds, and syncs itself in the others */
    int eventfd;
    _Atomic uint64_t arrived;
};

struct thread {
    struct rounds *rounds;
    unsigned who;
    pthread_t id;
};

/* All go on at the same moment, without a sleep, whose length would differ by more than a commit takes. */
static void meet(struct rounds *rounds, uint64_t round)
{
    const uint64_t all = (round + 1) * rounds->threads;
    atomic_fetch_add(&rounds->arrived, 1);
    for (unsigned looks = 0; atomic_load_explicit(&rounds->arrived, memory_order_acquire) < all; looks++)
        if (looks > 1000) /* somebody sleeps, or there are fewer processors than threads */
            sched_yield();
}

/* The windows in question are a few instructions wide: everybody arrives at another moment in every round. */
static void dawdle(uint64_t seed)
{
    uint64_t steps = (seed * UINT64_C(0x9e3779b97f4a7c15) >> 32) % 700;
    for (uint64_t i = 0; i < steps; i++)
        atomic_signal_fence(memory_order_seq_cst);
}

static void wait_for_event(struct rounds *rounds, stele_lsn lsn)
{
    struct pollfd polled = {.fd = rounds->eventfd, .events = POLLIN};
    uint64_t value;
    while (stele_durable(rounds->log) <= lsn) {
        must(poll(&polled, 1, -1) == 1);
        must(read(polled.fd, &value, sizeof value) == sizeof value);
    }
}

static void *go_round(void *argument)
{
    struct thread *me = argument;
    struct rounds *rounds = me->rounds;
    struct stele *log = rounds->log;
    for (uint64_t round = 0; round < rounds->count; round++) {
        dawdle(round * MOST + me->who);
        uint64_t payload = round;
        stele_lsn lsn;
        succeeds(stele_append(log, &payload, sizeof payload, &lsn));
        if (rounds->ask_every != 0 && (round + me->who) % rounds->ask_every == 0) {
            succeeds(stele_sync_begin(log));
            if (me->who == 0)
                wait_for_event(rounds, lsn);
            succeeds(stele_durable_wait(log, lsn, STELE_WAIT_FOREVER));
        } else {
            succeeds(stele_sync(log, lsn));
        }
        must(stele_durable(log) > lsn);
        meet(rounds, round);
    }
    return NULL;
}

static void nobody_who_waits_is_forgotten(struct dir *dir, struct rounds rounds, uint32_t durability)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.durability = durability;
    options.segment_bytes = UINT64_C(4) << 20; /* few rolls: their rounds would wake everybody, too */
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    struct thread all[MOST];
    rounds.log = log;
    rounds.eventfd = stele_durable_eventfd(log);
    must(rounds.eventfd >= 0);
    for (unsigned i = 0; i < rounds.threads; i++) {
        all[i] = (struct thread){.rounds = &rounds, .who = i};
        must(pthread_create(&all[i].id, NULL, go_round, &all[i]) == 0);
    }
    for (unsigned i = 0; i < rounds.threads; i++)
        must(pthread_join(all[i].id, NULL) == 0);
    succeeds(stele_close(log));
    dir_empty(dir->log);
}

static void two_who_wait_at_once_both_return(void **state)
{
    const struct rounds rounds = {.threads = 2, .count = scaled(400000)};
    nobody_who_waits_is_forgotten(*state, rounds, STELE_DURABILITY_NONE);
}

static void six_who_wait_at_once_all_return(void **state)
{
    const struct rounds rounds = {.threads = 6, .count = scaled(20000), .ask_every = 7};
    nobody_who_waits_is_forgotten(*state, rounds, STELE_DURABILITY_NONE);
}

static void three_who_wait_for_a_device_all_return(void **state)
{
    const struct rounds rounds = {.threads = 3, .count = scaled(40000), .ask_every = 50};
    nobody_who_waits_is_forgotten(*state, rounds, STELE_DURABILITY_MSYNC);
}

/* ---- between processes */

struct pair {
    char path[300];
    struct gate seen;
    _Atomic uint64_t count;
};

/* Sleeps until each commit, and says when it has seen it: at most one record is ever under way. */
static void follow(void *ctx)
{
    struct pair *pair = ctx;
    struct stele *log = log_open(pair->path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    gate_open(&pair->seen);
    for (uint64_t number = 0; number < pair->count; number++) {
        returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
        expect_next(cursor, number, number + 1);
        gate_open(&pair->seen);
    }
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

/* A cursor on durable records looks by itself every half second. Were it never woken, this would take a quarter of an
 * hour, and the runner would end it. */
static void a_reader_process_is_woken_by_every_commit(void **state)
{
    struct dir *dir = *state;
    struct pair *pair = shared_alloc(sizeof *pair);
    (void)snprintf(pair->path, sizeof pair->path, "%s", dir->log);
    pair->count = 2400 + scaled(2000);
    gate_init(&pair->seen);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t reader = child_start(follow, pair);
    gate_pass(&pair->seen);
    struct stele_options options = log_options(0);
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    for (uint64_t number = 0; number < pair->count; number++) {
        dawdle(number);
        succeeds(stele_sync(log, append_numbered(log, number)));
        gate_pass(&pair->seen);
    }
    child_join(reader);
    succeeds(stele_close(log));
    shared_free(pair, sizeof *pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(two_who_wait_at_once_both_return),
        LAW(six_who_wait_at_once_all_return),
        LAW(three_who_wait_for_a_device_all_return),
        LAW(a_reader_process_is_woken_by_every_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
