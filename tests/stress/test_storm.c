/* SPDX-License-Identifier: BSD-3-Clause */
/* test_storm.c: 32 appenders in every style, 4 syncers in every style, 8 cursors in three processes, a trimmer, and a roll
 * every few milliseconds. Everybody checks every record it meets; what was acknowledged is there after a close, and
 * after kill -9. Bounded by operations, not by time. */
#include "lib/child.h"
#include "stress/storm_append.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define SYNCERS 4u
#define CURSORS 8u

/* Where a cursor lives, and what it looks at. The first CURSORS_WRITER are threads of the writer's process. */
#define CURSORS_WRITER 5u
static const struct {
    bool durable, own_handle, from_end;
} cursors[CURSORS] = {{false, false, false}, {true, false, false}, {false, true, false}, {false, false, true},
                      {true, false, true},   {false, true, false}, {true, true, false},  {false, true, true}};

/* In memory that all processes share. */
struct storm {
    char path[300];
    struct stele *log; /* the writer's: for its own threads */
    uint64_t each;     /* records per appender */
    uint32_t durability;
    bool killed;       /* the writer's end */
    _Atomic bool over; /* everything there will be is there */
    _Atomic unsigned appending, reading, standing;
    _Atomic stele_lsn read_to[CURSORS];
    _Atomic stele_lsn appended[STORM_APPENDERS];     /* the last one each was told of; STELE_LSN_NONE */
    _Atomic stele_lsn acknowledged[STORM_APPENDERS]; /* the last one a sync of its appender covered */
    _Atomic uint64_t acknowledgements;
};

struct thread {
    struct storm *storm;
    unsigned who;
    pthread_t id;
};

/* ---- appenders */

/* Records [number, number + *count) are appended; the LSN of the last one. */
static stele_lsn append_some(struct storm *storm, unsigned who, uint64_t number, uint8_t *data,
                             uint64_t *count)
{
    uint64_t left = storm->each - number;
    *count = 1;
    switch ((who + number) % 8) {
    case 0: return storm_append_slot(storm->log, who, number);
    case 1:
        *count = left < STORM_BATCH ? left : STORM_BATCH;
        return storm_append_batch(storm->log, who, number, *count, data);
    case 2:
    case 3: return storm_append_gathered(storm->log, who, number, data);
    default: return storm_append_one(storm->log, who, number, data);
    }
}

static void *append(void *argument)
{
    struct thread *me = argument;
    struct storm *storm = me->storm;
    uint8_t *data = malloc(STORM_BATCH * STORM_LONGEST);
    must(data != NULL);
    stele_lsn last = STELE_LSN_NONE;
    for (uint64_t number = 0, count; number < storm->each; number += count) {
        stele_lsn lsn = append_some(storm, me->who, number, data, &count);
        must(last == STELE_LSN_NONE || lsn > last);
        last = lsn;
        atomic_store(&storm->appended[me->who], lsn);
        if (number % 61 != me->who && number + count < storm->each)
            continue;
        succeeds(stele_sync(storm->log, lsn));
        must(stele_durable(storm->log) > lsn);
        atomic_store(&storm->acknowledged[me->who], lsn);
        atomic_fetch_add(&storm->acknowledgements, 1);
    }
    free(data);
    atomic_fetch_sub(&storm->appending, 1);
    return NULL;
}

/* ---- syncers */

/* A record that was appended, by whomever; STELE_LSN_NONE: none yet. */
static stele_lsn some_record(struct storm *storm, uint64_t turn)
{
    return atomic_load(&storm->appended[turn * 7 % STORM_APPENDERS]);
}

static void sync_and_wait_for_event(struct storm *storm, stele_lsn lsn)
{
    struct pollfd polled = {.fd = stele_durable_eventfd(storm->log), .events = POLLIN};
    uint64_t value;
    must(polled.fd >= 0);
    succeeds(stele_sync_begin(storm->log));
    while (stele_durable(storm->log) <= lsn) {
        must(poll(&polled, 1, -1) == 1);
        must(read(polled.fd, &value, sizeof value) == sizeof value);
    }
}

static void *sync_again_and_again(void *argument)
{
    struct thread *me = argument;
    struct storm *storm = me->storm;
    stele_lsn before = 0;
    for (uint64_t turn = 0; atomic_load(&storm->appending) > 0; turn++) {
        stele_lsn lsn = some_record(storm, turn);
        if (lsn == STELE_LSN_NONE) {
            sched_yield();
            continue;
        }
        switch (me->who) {
        case 0: succeeds(stele_sync(storm->log, STELE_LSN_ALL)); break;
        case 1: sync_and_wait_for_event(storm, lsn); break;
        case 2:
            succeeds(stele_sync_begin(storm->log));
            succeeds(stele_durable_wait(storm->log, lsn, STELE_WAIT_FOREVER));
            break;
        default:
            if (stele_durable_wait(storm->log, lsn, (int64_t)(turn % 200) * 1000) != 0)
                succeeds(stele_sync(storm->log, lsn));
        }
        stele_lsn now = stele_durable(storm->log);
        must(now > lsn && now >= before);
        before = now;
    }
    return NULL;
}

/* ---- cursors */

static struct stele_cursor *stand(struct storm *storm, unsigned which, struct stele *log)
{
    struct stele_cursor *cursor;
    while (cursors[which].from_end && atomic_load(&storm->acknowledgements) == 0)
        sched_yield(); /* somewhere in the middle */
    succeeds(stele_cursor_open(log, cursors[which].durable ? STELE_DURABLE_ONLY : 0,
                               cursors[which].from_end ? STELE_FROM_END : STELE_FROM_BEGIN, 0, &cursor));
    if (!cursors[which].from_end) /* those are waited for: a trim could be faster */
        atomic_fetch_add(&storm->standing, 1);
    return cursor;
}

static void read_all(struct storm *storm, unsigned which, struct stele *log)
{
    struct ledger ledger = {0};
    struct stele_cursor *cursor = stand(storm, which, log);
    struct stele_record record;
    if (!cursors[which].from_end)
        ledger_from_begin(&ledger);
    for (;;) {
        bool over = atomic_load(&storm->over); /* before the look: then there is nothing after it */
        int rc = stele_cursor_next(cursor, &record);
        must(rc >= 0);
        if (rc == 0 && over)
            break;
        if (rc == 0) {
            must(stele_cursor_wait(cursor, 20 * 1000 * 1000) >= 0);
            continue;
        }
        storm_check(&ledger, &record);
        atomic_store(&storm->read_to[which], record.next);
    }
    for (unsigned who = 0; who < STORM_APPENDERS && !storm->killed; who++)
        must(ledger.next[who] == storm->each || !ledger.known[who]);
    stele_cursor_close(cursor);
    atomic_fetch_sub(&storm->reading, 1);
}

static void *read_in_thread(void *argument)
{
    struct thread *me = argument;
    struct storm *storm = me->storm;
    struct stele *own = cursors[me->who].own_handle ? log_open(storm->path, STELE_READ_ONLY) : NULL;
    read_all(storm, me->who, own != NULL ? own : storm->log);
    if (own != NULL)
        succeeds(stele_close(own));
    return NULL;
}

struct seat {
    struct storm *storm;
    unsigned which;
};

static void read_in_process(void *ctx)
{
    const struct seat *seat = ctx;
    struct stele *log = log_open(seat->storm->path, STELE_READ_ONLY);
    read_all(seat->storm, seat->which, log);
    succeeds(stele_close(log));
}

/* ---- the trimmer */

static void *trim(void *argument)
{
    struct thread *me = argument;
    struct storm *storm = me->storm;
    while (atomic_load(&storm->reading) > 0) {
        stele_lsn first = 0;
        must(stele_trim(storm->log, STELE_LSN_ALL, &first) >= 0);
        for (unsigned i = 0; i < CURSORS; i++) { /* never what one has still to read; it may be on its way */
            stele_lsn read_to = atomic_load(&storm->read_to[i]);
            must(first <= (read_to / SEGMENT_SMALL + 1) * SEGMENT_SMALL ||
                 (read_to == 0 && cursors[i].from_end));
        }
        struct stele_region regions[16];
        long mapped = stele_region(storm->log, regions, 16);
        must(mapped >= 0 && mapped <= 16);
        (void)usleep(300); /* the others need the processors */
    }
    return NULL;
}

/* ---- all of them */

static void start(struct thread *threads, unsigned count, struct storm *storm, void *(*fn)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct thread){.storm = storm, .who = i};
        must(pthread_create(&threads[i].id, NULL, fn, &threads[i]) == 0);
    }
}

static void join(struct thread *threads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        must(pthread_join(threads[i].id, NULL) == 0);
}

/* The writer's process, from the opening to the close (or until somebody kills it). */
static void write_all(void *ctx)
{
    struct storm *storm = ctx;
    struct stele_options options = log_options(0);
    options.durability = storm->durability;
    options.mark_bytes = 8192;
    options.idle_mark_ns = UINT64_MAX; /* its rounds would wake those whom a commit has forgotten */
    struct thread appending[STORM_APPENDERS], syncing[SYNCERS], reading[CURSORS_WRITER], trimming[1];
    storm->log = log_open_with(storm->path, &options);
    start(reading, CURSORS_WRITER, storm, read_in_thread);
    while (atomic_load(&storm->standing) < 5)
        sched_yield();
    start(appending, STORM_APPENDERS, storm, append);
    start(syncing, SYNCERS, storm, sync_again_and_again);
    start(trimming, 1, storm, trim);
    join(appending, STORM_APPENDERS);
    join(syncing, SYNCERS);
    succeeds(stele_sync(storm->log, STELE_LSN_ALL));
    atomic_store(&storm->over, true);
    join(reading, CURSORS_WRITER);
    join(trimming, 1);
    must(stele_first(storm->log) > 0);
    succeeds(stele_close(storm->log));
}

/* Everything from the first record not trimmed on, and at least what was promised. */
static void expect_promised(struct storm *storm, struct stele *log)
{
    struct ledger ledger = {0};
    stele_lsn last[STORM_APPENDERS] = {0};
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    int rc;
    while ((rc = stele_cursor_next(cursor, &record)) == 1) {
        storm_check(&ledger, &record);
        last[storm_who(&record)] = record.lsn;
    }
    must(rc == 0);
    for (unsigned who = 0; who < STORM_APPENDERS; who++) {
        stele_lsn promised = atomic_load(&storm->acknowledged[who]);
        must(promised == STELE_LSN_NONE || promised < stele_first(log) || last[who] >= promised);
        must(storm->killed || promised == atomic_load(&storm->appended[who]));
    }
    stele_cursor_close(cursor);
}

static struct storm *storm_make(const struct dir *dir, uint64_t each, uint32_t durability, bool killed)
{
    struct storm *storm = shared_alloc(sizeof *storm);
    (void)snprintf(storm->path, sizeof storm->path, "%s", dir->log);
    storm->each = each;
    storm->durability = durability;
    storm->killed = killed;
    storm->appending = STORM_APPENDERS;
    storm->reading = CURSORS;
    for (unsigned i = 0; i < STORM_APPENDERS; i++)
        storm->appended[i] = storm->acknowledged[i] = STELE_LSN_NONE;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    return storm;
}

static void start_readers(struct storm *storm, struct seat seats[CURSORS], pid_t children[CURSORS])
{
    for (unsigned i = CURSORS_WRITER; i < CURSORS; i++) {
        seats[i] = (struct seat){.storm = storm, .which = i};
        children[i] = child_start(read_in_process, &seats[i]);
    }
}

static void nothing_is_lost_in_a_storm(void **state)
{
    struct dir *dir = *state;
    struct storm *storm = storm_make(dir, scaled(8000), STELE_DURABILITY_NONE, false);
    struct seat seats[CURSORS];
    pid_t children[CURSORS];
    start_readers(storm, seats, children);
    write_all(storm);
    for (unsigned i = CURSORS_WRITER; i < CURSORS; i++)
        child_join(children[i]);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    struct stele *log = log_open(dir->log, 0);
    expect_promised(storm, log);
    succeeds(stele_close(log));
    shared_free(storm, sizeof *storm);
}

static void nothing_acknowledged_is_lost_when_a_storm_is_killed(void **state)
{
    struct dir *dir = *state;
    for (uint64_t round = 0; round < scaled(24); round++) {
        struct storm *storm = storm_make(dir, UINT32_MAX, STELE_DURABILITY_MSYNC, true);
        struct seat seats[CURSORS];
        pid_t children[CURSORS];
        start_readers(storm, seats, children);
        pid_t writer = child_start(write_all, storm);
        while (atomic_load(&storm->acknowledgements) < 40 + 97 * round % 400) {
            for (unsigned i = CURSORS_WRITER; i < CURSORS; i++)
                child_alive(children[i]);
            child_alive(writer);
            (void)usleep(500);
        }
        child_kill(writer);
        atomic_store(&storm->over, true);
        for (unsigned i = CURSORS_WRITER; i < CURSORS; i++)
            child_join(children[i]);
        struct stele *log = log_open(dir->log, 0);
        expect_promised(storm, log);
        succeeds(stele_close(log));
        shared_free(storm, sizeof *storm);
        dir_empty(dir->log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(nothing_is_lost_in_a_storm),
        LAW(nothing_acknowledged_is_lost_when_a_storm_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
