/* SPDX-License-Identifier: BSD-3-Clause */
/* test_threads.c: everything at once in one process: appenders in every style, syncers, cursors, a trimmer, segments as
 * small as they can be. Every record is checked: all there, each thread's in order, nothing else. Bounded by operations,
 * not by time. */
#include "lib/dir.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define APPENDERS 16u
#define SYNCERS 2u
#define CURSORS 4u
#define SHORTEST 16u
#define LONGEST 1600u

struct run {
    struct stele *log;
    unsigned appenders;
    uint64_t each; /* records per appender */
    _Atomic unsigned appending, reading;
    _Atomic stele_lsn read_to[CURSORS];
    _Atomic stele_lsn appended[APPENDERS]; /* the last one each was told of */
};

struct thread {
    struct run *run;
    unsigned who;
    pthread_t id;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 29);
}

/* Record `number` of appender `who`: both numbers, then bytes that follow from them. */
static size_t compose(unsigned who, uint64_t number, uint8_t *out)
{
    uint64_t seed = mix((uint64_t)who << 48 ^ number);
    size_t len = SHORTEST + (size_t)(seed % 16 == 0 ? seed / 16 % (LONGEST - SHORTEST) : seed / 16 % 90);
    const uint64_t head[2] = {who, number};
    memcpy(out, head, sizeof head);
    memset(out + sizeof head, (int)(seed >> 56), len - sizeof head);
    return len;
}

static unsigned type_of(unsigned who, uint64_t number)
{
    return (unsigned)((who + number) % (STELE_TYPE_MAX + 1));
}

static stele_lsn append_gathered(struct run *run, unsigned who, uint64_t number)
{
    uint8_t data[LONGEST];
    size_t len = compose(who, number, data);
    const struct iovec iov[] = {{data, 9}, {data + 9, len - 9}};
    stele_lsn lsn;
    succeeds(stele_appendv(run->log, type_of(who, number), iov, 2, &lsn));
    return lsn;
}

static stele_lsn append_slot(struct run *run, unsigned who, uint64_t number)
{
    struct stele_slot slot;
    succeeds(stele_reserve(run->log, 0, number % 200, &slot));
    succeeds(
        stele_abandon(run->log, &slot)); /* before the next: with an open slot one must not wait for space */
    succeeds(stele_reserve(run->log, type_of(who, number), LONGEST, &slot));
    size_t len = compose(who, number, slot.data);
    stele_lsn lsn = slot.lsn;
    succeeds(stele_publish(run->log, &slot, len));
    return lsn;
}

static stele_lsn append_batch(struct run *run, unsigned who, uint64_t number, uint64_t count)
{
    uint8_t data[12][LONGEST];
    struct stele_entry entries[12];
    for (uint64_t i = 0; i < count; i++) {
        entries[i].len = compose(who, number + i, data[i]);
        entries[i].data = data[i];
        entries[i].type = type_of(who, number + i);
    }
    must(stele_append_batch(run->log, entries, count) == (long)count);
    for (uint64_t i = 1; i < count; i++)
        must(entries[i].lsn > entries[i - 1].lsn);
    return entries[count - 1].lsn;
}

static void *append(void *argument)
{
    struct thread *me = argument;
    struct run *run = me->run;
    stele_lsn last = 0;
    for (uint64_t number = 0; number < run->each;) {
        uint64_t count = 1, left = run->each - number;
        stele_lsn lsn;
        switch ((me->who + number) % 7) {
        case 0: lsn = append_slot(run, me->who, number); break;
        case 1:
            count = left < 12 ? left : 12;
            lsn = append_batch(run, me->who, number, count);
            break;
        default: lsn = append_gathered(run, me->who, number); break;
        }
        must(number == 0 || lsn > last);
        last = lsn;
        atomic_store(&run->appended[me->who], lsn);
        number += count;
        if (number % 61 == me->who) {
            succeeds(stele_sync(run->log, lsn));
            must(stele_durable(run->log) > lsn);
        }
    }
    atomic_fetch_sub(&run->appending, 1);
    return NULL;
}

static void *sync_again_and_again(void *argument)
{
    struct thread *me = argument;
    stele_lsn durable = 0;
    while (atomic_load(&me->run->appending) > 0) {
        stele_lsn tail = stele_tail(me->run->log), appended = 0;
        if (me->who == 0) {
            for (unsigned i = 0; i < me->run->appenders; i++)
                if (atomic_load(&me->run->appended[i]) > appended)
                    appended = atomic_load(&me->run->appended[i]);
            succeeds(stele_sync(me->run->log, STELE_LSN_ALL));
            must(stele_durable(me->run->log) > appended || appended == 0);
        } else {
            succeeds(stele_sync_begin(me->run->log));
            (void)stele_durable_wait(me->run->log, tail, 1000 * 1000);
        }
        stele_lsn now = stele_durable(me->run->log);
        must(now >= durable);
        durable = now;
        sched_yield();
    }
    return NULL;
}

static void check_record(struct run *run, const struct stele_record *record, uint64_t next[APPENDERS])
{
    uint64_t head[2];
    uint8_t wanted[LONGEST];
    must(record->len >= sizeof head);
    memcpy(head, record->data, sizeof head);
    must(head[0] < run->appenders);
    unsigned who = (unsigned)head[0];
    must(head[1] == next[who]);
    must(record->len == compose(who, head[1], wanted) && memcmp(record->data, wanted, record->len) == 0);
    must(record->type == type_of(who, head[1]));
    next[who]++;
}

static void *follow(void *argument)
{
    struct thread *me = argument;
    struct run *run = me->run;
    uint64_t next[APPENDERS] = {0};
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(
        stele_cursor_open(run->log, me->who % 2 == 0 ? 0 : STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    atomic_store(&run->read_to[me->who], 1);
    for (uint64_t seen = 0; seen < run->appenders * run->each;) {
        int rc = stele_cursor_next(cursor, &record);
        must(rc >= 0);
        if (rc == 0) {
            must(stele_cursor_wait(cursor, STELE_WAIT_FOREVER) == 1);
            continue;
        }
        check_record(run, &record, next);
        atomic_store(&run->read_to[me->who], record.next);
        seen++;
    }
    must(stele_cursor_next(cursor, &record) == 0);
    stele_cursor_close(cursor);
    atomic_fetch_sub(&run->reading, 1);
    return NULL;
}

static void *trim(void *argument)
{
    struct thread *me = argument;
    struct run *run = me->run;
    long dropped = 0;
    while (atomic_load(&run->reading) > 0) {
        stele_lsn first;
        long n = stele_trim(run->log, STELE_LSN_ALL, &first);
        must(n >= 0);
        dropped += n;
        for (unsigned i = 0; i < CURSORS;
             i++) /* never what a cursor has still to read; it may be on its way */
            must(first <= (atomic_load(&run->read_to[i]) / SEGMENT_SMALL + 1) * SEGMENT_SMALL);
        struct stele_region regions[16];
        long mapped = stele_region(run->log, regions, 16);
        must(mapped >= 0 && mapped <= 16); /* none while the next one is being made */
        sched_yield();
    }
    must(dropped > 0 || stele_trim(run->log, STELE_LSN_ALL, NULL) > 0);
    return NULL;
}

static void start(struct thread *threads, unsigned count, struct run *run, void *(*fn)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct thread){.run = run, .who = i};
        must(pthread_create(&threads[i].id, NULL, fn, &threads[i]) == 0);
    }
}

static void join(struct thread *threads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        must(pthread_join(threads[i].id, NULL) == 0);
}

static void everything_at_once(struct dir *dir, uint32_t flags, unsigned appenders, uint64_t each)
{
    struct stele_options options = log_options(STELE_CREATE | flags);
    options.mark_bytes =
        flags == 0 ? 1 : 8192; /* one with every commit, so that marks meet boundaries, too */
    options.spare_segments = flags == 0 ? 3 : 1;
    struct stele *log = log_open_with(dir->log, &options);
    struct run run = {
        .log = log, .appenders = appenders, .each = each, .appending = appenders, .reading = CURSORS};
    struct thread appending[APPENDERS], syncing[SYNCERS], reading[CURSORS], trimming[1];
    start(reading, CURSORS, &run, follow);
    for (unsigned i = 0; i < CURSORS; i++) /* cursors before the first record, or a trim could be faster */
        while (atomic_load(&run.read_to[i]) == 0)
            sched_yield();
    start(appending, appenders, &run, append);
    start(syncing, SYNCERS, &run, sync_again_and_again);
    start(trimming, 1, &run, trim);
    join(appending, appenders);
    succeeds(stele_sync(log, STELE_LSN_ALL)); /* what cursors of durable records still wait for */
    join(syncing, SYNCERS);
    join(reading, CURSORS);
    join(trimming, 1);
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    must(result.end_lsn > 10 * SEGMENT_SMALL);
    dir_empty(dir->log);
}

static void many_appenders_lose_nothing(void **state)
{
    everything_at_once(*state, 0, APPENDERS, scaled(4000));
}

static void one_appender_among_many_readers_loses_nothing(void **state)
{
    everything_at_once(*state, STELE_SINGLE_APPENDER, 1, scaled(40000));
}

static void few_appenders_without_recycling_lose_nothing(void **state)
{
    everything_at_once(*state, STELE_NO_RECYCLE, 3, scaled(10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(many_appenders_lose_nothing),
        LAW(one_appender_among_many_readers_loses_nothing),
        LAW(few_appenders_without_recycling_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
