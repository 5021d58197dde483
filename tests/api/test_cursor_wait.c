/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cursor_wait.c: waiting for something to read. Nothing is lost between a look and a sleep: a cursor that waits
 * without a limit is woken by every kind of news, from threads and from other processes. */
#include "lib/child.h"
#include "lib/dir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define MILLISECOND (INT64_C(1000) * 1000)

static struct stele_cursor *open_cursor(struct stele *log, unsigned flags)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, flags, STELE_FROM_END, 0, &cursor));
    return cursor;
}

static void a_wait_says_whether_there_is_something_to_read(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_cursor *published = open_cursor(log, 0), *durable = open_cursor(log, STELE_DURABLE_ONLY);
    returns(0, stele_cursor_wait(published, 0));
    returns(0, stele_cursor_wait(published, 2 * MILLISECOND));
    append_numbered(log, 0);
    returns(1, stele_cursor_wait(published, 0));
    returns(1, stele_cursor_wait(published, STELE_WAIT_FOREVER));
    returns(0, stele_cursor_wait(durable, 0));
    returns(0, stele_cursor_wait(durable, 2 * MILLISECOND));
    succeeds(stele_sync(log, STELE_LSN_ALL));
    returns(1, stele_cursor_wait(durable, 0));
    returns(1, stele_cursor_wait(durable, STELE_WAIT_FOREVER));
    expect_next(published, 0, 1); /* waiting consumed nothing */
    expect_next(durable, 0, 1);
    returns(0, stele_cursor_wait(published, 0));
    returns(0, stele_cursor_wait(durable, 0));
    stele_cursor_close(published);
    stele_cursor_close(durable);
    succeeds(stele_close(log));
}

/* What no cursor shows wakes nobody for good: marks, pads, abandoned slots. */
static void what_is_not_shown_is_nothing_to_read(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 1;
    struct stele *log = log_open_with(dir->log, &options);
    append_numbered(log, 0);
    struct stele_cursor *cursor = open_cursor(log, 0);
    for (int i = 0; i < 10; i++) {
        struct stele_slot slot;
        succeeds(stele_reserve(log, 0, 40, &slot));
        returns(0, stele_cursor_wait(cursor, 0));
        succeeds(stele_abandon(log, &slot));
        succeeds(stele_sync(log, STELE_LSN_ALL));
        returns(0, stele_cursor_wait(cursor, 0));
    }
    append_numbered(log, 1);
    returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
    expect_next(cursor, 1, 2);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

struct follower {
    struct stele *log;
    unsigned flags;
    uint64_t count;
    struct gate *read; /* opened after every record */
    pthread_t thread;
};

static void *follow(void *argument)
{
    struct follower *me = argument;
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(me->log, me->flags, STELE_FROM_BEGIN, 0, &cursor));
    for (uint64_t number = 0; number < me->count; number++) {
        returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
        expect_next(cursor, number, number + 1);
        gate_open(me->read);
    }
    stele_cursor_close(cursor);
    return NULL;
}

/* Each record is awaited before the next is appended, so every single wake-up counts. */
static void a_sleeper_is_woken_by_every_record(void **state)
{
    struct dir *dir = *state;
    for (unsigned flags = 0; flags <= STELE_DURABLE_ONLY; flags++) {
        for (int reader = 0; reader < 2; reader++) {
            struct stele *log = log_open(dir->log, STELE_CREATE);
            struct stele *other = reader == 1 ? log_open(dir->log, STELE_READ_ONLY) : log;
            struct gate read;
            gate_init(&read);
            struct follower follower = {.log = other, .flags = flags, .count = scaled(1200), .read = &read};
            must(pthread_create(&follower.thread, NULL, follow, &follower) == 0);
            for (uint64_t number = 0; number < follower.count; number++) {
                stele_lsn lsn = append_numbered(log, number);
                if (flags != 0)
                    succeeds(number % 3 == 0 ? stele_sync_begin(log) : stele_sync(log, lsn));
                gate_pass(&read);
            }
            must(pthread_join(follower.thread, NULL) == 0);
            must(stele_tail(log) > SEGMENT_SMALL || under_sanitizer()); /* over boundaries, too */
            if (other != log)
                succeeds(stele_close(other));
            succeeds(stele_close(log));
            dir_empty(dir->log);
        }
    }
}

/* ---- woken by another process */

struct pair {
    char path[300];
    unsigned flags;
    uint64_t count;
    struct gate ready, next;
};

static void write_on_demand(void *ctx)
{
    struct pair *pair = ctx;
    struct stele *log = log_open(pair->path, STELE_CREATE);
    gate_open(&pair->ready);
    for (uint64_t number = 0; number < pair->count; number++) {
        gate_pass(&pair->next);
        stele_lsn lsn = append_numbered(log, number);
        if (pair->flags != 0)
            succeeds(stele_sync(log, lsn));
    }
    succeeds(stele_close(log));
}

static void a_sleeper_is_woken_by_another_process(void **state)
{
    struct dir *dir = *state;
    for (unsigned flags = 0; flags <= STELE_DURABLE_ONLY; flags++) {
        struct pair *pair = shared_alloc(sizeof *pair);
        (void)snprintf(pair->path, sizeof pair->path, "%s", dir->log);
        pair->flags = flags;
        pair->count = scaled(800);
        gate_init(&pair->ready);
        gate_init(&pair->next);
        pid_t child = child_start(write_on_demand, pair);
        gate_pass(&pair->ready);
        struct stele *log = log_open(dir->log, STELE_READ_ONLY);
        struct stele_cursor *cursor = open_cursor(log, flags);
        for (uint64_t number = 0; number < pair->count; number++) {
            returns(0, stele_cursor_wait(cursor, 0));
            gate_open(&pair->next);
            returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
            expect_next(cursor, number, number + 1);
        }
        child_join(child);
        returns(0, stele_cursor_wait(cursor, MILLISECOND)); /* the writer is gone: nothing, no error */
        stele_cursor_close(cursor);
        succeeds(stele_close(log));
        dir_empty(dir->log);
        shared_free(pair, sizeof *pair);
    }
}

/* A reader that was there first follows a writer that comes later, and the one after it. */
static void a_reader_outlives_writers(void **state)
{
    struct dir *dir = *state;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *published = open_cursor(reader, 0),
                        *durable = open_cursor(reader, STELE_DURABLE_ONLY);
    uint64_t next = 0;
    for (int life = 0; life < 5; life++) {
        struct stele *log = log_open(dir->log, 0);
        append_range(log, next, next + 20);
        returns(1, stele_cursor_wait(published, STELE_WAIT_FOREVER));
        expect_next(published, next, next + 20);
        expect_nothing(durable);
        succeeds(life % 2 == 0 ? stele_sync(log, STELE_LSN_ALL) : stele_close(log));
        returns(1, stele_cursor_wait(durable, STELE_WAIT_FOREVER));
        expect_next(durable, next, next + 20);
        if (life % 2 == 0)
            succeeds(stele_close(log));
        next += 20;
        expect_nothing(published);
        expect_nothing(durable);
    }
    stele_cursor_close(published);
    stele_cursor_close(durable);
    succeeds(stele_close(reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_wait_says_whether_there_is_something_to_read),
        LAW(what_is_not_shown_is_nothing_to_read),
        LAW(a_sleeper_is_woken_by_every_record),
        LAW(a_sleeper_is_woken_by_another_process),
        LAW(a_reader_outlives_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
