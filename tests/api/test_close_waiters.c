/* SPDX-License-Identifier: BSD-3-Clause */
/* test_close_waiters.c: stele_close() while somebody waits. By the thread rule nobody may; where it can be seen all the
 * same, the close is refused and changes nothing, and what waited goes on: no hang, no wake-up in freed memory. */
#include "lib/child.h"
#include "lib/dir.h"

#include "core/log.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct waiter {
    struct stele *log;
    struct stele_cursor *cursor;
    stele_lsn lsn;
    _Atomic bool back;
    pthread_t thread;
};

static void start(struct waiter *waiter, void *(*fn)(void *))
{
    must(pthread_create(&waiter->thread, NULL, fn, waiter) == 0);
}

static void join(struct waiter *waiter)
{
    must(pthread_join(waiter->thread, NULL) == 0);
    must(atomic_load(&waiter->back));
}

/* Refused as often as it is tried, and the log goes on as if nobody had. */
static void refused(struct waiter *waiter, const char *why)
{
    for (unsigned i = 0; i < 50; i++) {
        returns(STELE_EBUSY, stele_close(waiter->log));
        error_says(why);
    }
    must(!atomic_load(&waiter->back));
}

static void in_a_call(struct stele *log)
{
    while (atomic_load(&log->sync.waiting) == 0)
        sched_yield();
}

static void *sync_one(void *argument)
{
    struct waiter *me = argument;
    succeeds(stele_sync(me->log, me->lsn));
    must(stele_durable(me->log) > me->lsn);
    atomic_store(&me->back, true);
    return NULL;
}

static void a_log_is_not_closed_under_a_thread_in_stele_sync(void **state)
{
    struct dir *dir = *state;
    struct waiter waiter = {.log = log_open(dir->log, STELE_CREATE)};
    struct stele_slot slot;
    succeeds(stele_reserve(waiter.log, numbered_type(0), NUMBERED_MAX, &slot));
    waiter.lsn = append_range(waiter.log, 1, 5);
    start(&waiter, sync_one);
    in_a_call(waiter.log);
    refused(&waiter, "1 threads still wait");
    succeeds(stele_publish(waiter.log, &slot, numbered(0, slot.data)));
    join(&waiter);
    append_range(waiter.log, 5, 9);
    succeeds(stele_close(waiter.log));
    expect_log(dir->log, 0, 9);
}

static void *wait_until_durable(void *argument)
{
    struct waiter *me = argument;
    succeeds(stele_durable_wait(me->log, me->lsn, STELE_WAIT_FOREVER));
    must(stele_durable(me->log) > me->lsn);
    atomic_store(&me->back, true);
    return NULL;
}

static void a_log_is_not_closed_under_threads_in_stele_durable_wait(void **state)
{
    struct dir *dir = *state;
    enum { WAITERS = 3 };
    struct waiter waiters[WAITERS];
    struct stele *log = log_open(dir->log, STELE_CREATE);
    stele_lsn last = append_range(log, 0, 5);
    for (unsigned i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.log = log, .lsn = last};
        start(&waiters[i], wait_until_durable);
    }
    while (atomic_load(&log->sync.waiting) < WAITERS)
        sched_yield();
    refused(&waiters[0], "3 threads still wait");
    must(stele_durable(log) <= last); /* nobody asked for more, and a refused close does nothing */
    succeeds(stele_sync(log, last));
    for (unsigned i = 0; i < WAITERS; i++)
        join(&waiters[i]);
    returns(STELE_ETIMEDOUT,
            stele_durable_wait(log, stele_tail(log), 1000)); /* one that gives up is counted out */
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 5);
}

static void *append_until_full(void *argument)
{
    struct waiter *me = argument;
    append_until_segment(me->log, 1, 20);
    atomic_store(&me->back, true);
    return NULL;
}

static void a_log_is_not_closed_under_an_append_that_waits_for_space(void **state)
{
    struct dir *dir = *state;
    struct waiter waiter = {.log = log_open(dir->log, STELE_CREATE)};
    struct stele_slot slot;
    succeeds(stele_reserve(waiter.log, numbered_type(0), NUMBERED_MAX, &slot));
    start(&waiter, append_until_full); /* 16 segments can stand behind an open slot */
    while (stele_tail(waiter.log) < 16 * SEGMENT_SMALL - NUMBERED_MAX)
        sched_yield();
    for (uint32_t waiting = 0; waiting == 0; sched_yield()) {
        pthread_mutex_lock(&waiter.log->space.lock);
        waiting = atomic_load(&waiter.log->ready) >= 16 * SEGMENT_SMALL ? waiter.log->space.waiting : 0;
        pthread_mutex_unlock(&waiter.log->space.lock);
    }
    refused(&waiter, "1 threads still wait");
    succeeds(stele_publish(waiter.log, &slot, numbered(0, slot.data)));
    join(&waiter);
    succeeds(stele_close(waiter.log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.end_lsn >= 20 * SEGMENT_SMALL);
}

static void *wait_for_a_record(void *argument)
{
    struct waiter *me = argument;
    returns(1, stele_cursor_wait(me->cursor, STELE_WAIT_FOREVER));
    expect_next(me->cursor, 3, 4);
    atomic_store(&me->back, true);
    return NULL;
}

/* Whether it waits or not: a cursor belongs to the handle. So on a reader's handle, too. */
static void a_log_is_not_closed_under_a_cursor(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    succeeds(stele_sync(log, append_range(log, 0, 3)));
    for (uint32_t own = 0; own < 2; own++) {
        struct waiter waiter = {.log = own == 0 ? log_open(dir->log, STELE_READ_ONLY) : log};
        succeeds(stele_cursor_open(waiter.log, own, STELE_FROM_BEGIN, 0, &waiter.cursor));
        expect_next(waiter.cursor, 0, 3);
        if (own == 1)
            expect_next(waiter.cursor, 3, 4);
        else
            start(&waiter, wait_for_a_record);
        refused(&waiter, "1 cursors or pins are still open");
        if (own == 0) {
            succeeds(stele_sync(log, append_numbered(log, 3)));
            join(&waiter);
        }
        stele_cursor_close(waiter.cursor);
        succeeds(stele_close(waiter.log));
    }
    expect_log(dir->log, 0, 4);
}

/* Nobody waits, somebody has just been: a close right behind the last of many syncs is never refused. */
static void a_close_behind_finished_syncs_is_not_refused(void **state)
{
    struct dir *dir = *state;
    for (uint64_t round = 0; round < scaled(100); round++) {
        struct waiter waiters[4];
        struct stele *log = log_open(dir->log, STELE_CREATE);
        for (unsigned i = 0; i < 4; i++) {
            waiters[i] = (struct waiter){.log = log, .lsn = append_numbered(log, round * 4 + i)};
            start(&waiters[i], sync_one);
        }
        for (unsigned i = 0; i < 4; i++)
            join(&waiters[i]);
        succeeds(stele_sync_begin(log)); /* the helper may be in the middle of a round */
        succeeds(stele_close(log));
    }
    expect_log(dir->log, 0, 4 * scaled(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_log_is_not_closed_under_a_thread_in_stele_sync),
        LAW(a_log_is_not_closed_under_threads_in_stele_durable_wait),
        LAW(a_log_is_not_closed_under_an_append_that_waits_for_space),
        LAW(a_log_is_not_closed_under_a_cursor),
        LAW(a_close_behind_finished_syncs_is_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
