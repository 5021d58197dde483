/* SPDX-License-Identifier: BSD-3-Clause */
/* test_failed_sync.c: a sync that failed is final. Every waiter, and every later call, is told so with the cause, until the
 * log is closed and opened again; nothing is tried twice. */
#include "lib/child.h"
#include "lib/dir.h"
#include "lib/wrap.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define SYNCED 30u

struct told {
    _Atomic unsigned errors;
    char text[700];
};

static void listen_to(void *ctx, enum stele_log_level level, const char *text)
{
    struct told *told = ctx;
    if (level == STELE_LOG_ERROR) {
        (void)snprintf(told->text, sizeof told->text, "%s", text);
        atomic_fetch_add(&told->errors, 1);
    }
}

/* SYNCED durable records and ten that are only published; the next persist will fail. */
static struct stele *about_to_fail(struct wrap *wrap, const struct dir *dir, struct told *told)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.log = listen_to;
    options.log_ctx = told;
    options.idle_mark_ns = UINT64_MAX; /* no persist but the ones asked for */
    wrap_init(wrap);
    struct stele *log = wrap_open(wrap, dir->log, &options, true);
    struct stele_region region;
    while (stele_region(log, &region, 1) <
           3) /* the helper thread is busy with the spares: persists of its own */
        sched_yield();
    append_range(log, 0, SYNCED);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    append_range(log, SYNCED, SYNCED + 10);
    atomic_store(&wrap->fail_errno, EIO);
    atomic_store(&wrap->fail_persist_at, atomic_load(&wrap->persists) + 1);
    return log;
}

static void expect_failed(struct stele *log, stele_lsn durable)
{
    struct stele_entry entry = {.data = "x", .len = 1};
    struct stele_slot slot;
    returns(STELE_EFAILED, stele_append(log, "x", 1, NULL));
    error_says("Input/output error");
    error_says(".stele");
    error_says("offset");
    error_says("reopen");
    returns(STELE_EFAILED, stele_appendv(log, 1, NULL, 0, NULL));
    returns(STELE_EFAILED, stele_append_batch(log, &entry, 1));
    returns(STELE_EFAILED, stele_reserve(log, 0, 8, &slot));
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    error_says("Input/output error");
    returns(STELE_EFAILED, stele_sync(log, durable));
    returns(STELE_EFAILED, stele_sync_begin(log));
    returns(STELE_EFAILED, stele_durable_wait(log, durable, STELE_WAIT_FOREVER));
    returns(STELE_EFAILED, stele_trim(log, durable, NULL));
    must(stele_durable(log) == durable);
}

static void everything_after_a_failed_sync_fails_until_the_log_is_reopened(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct told told = {0};
    struct stele *log = about_to_fail(&wrap, dir, &told);
    stele_lsn durable = stele_durable(log);
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    error_says("Input/output error");
    uint64_t tried = atomic_load(&wrap.persists);
    expect_failed(log, durable);
    must(atomic_load(&told.errors) == 1);
    must(strstr(told.text, "Input/output error") != NULL);
    must(atomic_load(&wrap.persists) == tried); /* nothing is tried again */
    /* What was durable before stays so, and readable. */
    succeeds(stele_sync(log, 0));
    succeeds(stele_durable_wait(log, 0, 0));
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, SYNCED);
    expect_nothing(cursor);
    returns(STELE_EFAILED, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
    stele_cursor_close(cursor);
    returns(STELE_EFAILED, stele_close(log));
    must(atomic_load(&wrap.persists) == tried);

    log = log_open(dir->log, 0); /* the device is well again */
    append_range(log, SYNCED + 10, SYNCED + 12);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    expect_range(log, 0, SYNCED + 12);
    succeeds(stele_close(log));
}

static void an_open_slot_can_still_be_given_back_after_a_failure(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct told told = {0};
    struct stele *log = about_to_fail(&wrap, dir, &told);
    struct stele_slot a, b;
    succeeds(stele_reserve(log, 1, 100, &a));
    succeeds(stele_reserve(log, 1, 100, &b));
    returns(STELE_EFAILED, stele_sync(log, 0) == 0 ? stele_sync(log, stele_durable(log)) : 0);
    memset(a.data, 1, 100); /* its memory is still there */
    succeeds(stele_publish(log, &a, 50));
    succeeds(stele_abandon(log, &b));
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    returns(STELE_EFAILED, stele_close(log));
}

static void a_failure_makes_the_event_descriptor_readable(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct told told = {0};
    struct stele *log = about_to_fail(&wrap, dir, &told);
    int fd = stele_durable_eventfd(log);
    must(fd >= 0);
    succeeds(stele_sync_begin(log)); /* by the helper thread */
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    must(poll(&polled, 1, -1) == 1);
    returns(STELE_EFAILED, stele_durable_wait(log, STELE_LSN_ALL, STELE_WAIT_FOREVER));
    returns(STELE_EFAILED, stele_close(log));
}

/* ---- threads that were waiting when it happened */

#define WAITERS 6u

struct waiter {
    struct stele *log;
    stele_lsn lsn;
    unsigned how;
    int result;
    pthread_t thread;
};

static void *wait_somehow(void *argument)
{
    struct waiter *me = argument;
    me->result = me->how % 2 == 0 ? stele_sync(me->log, me->lsn)
                                  : stele_durable_wait(me->log, me->lsn, STELE_WAIT_FOREVER);
    return NULL;
}

struct pause {
    struct gate inside, go;
    _Atomic bool armed;
};

static void pause_once(void *ctx, uint64_t number, uint64_t bytes)
{
    (void)number;
    (void)bytes;
    struct pause *pause = ctx;
    if (atomic_exchange(&pause->armed, false)) {
        gate_open(&pause->inside);
        gate_pass(&pause->go);
    }
}

static void every_waiter_is_told_of_the_failure(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct told told = {0};
    struct pause pause = {.armed = false};
    gate_init(&pause.inside);
    gate_init(&pause.go);
    struct stele *log = about_to_fail(&wrap, dir, &told);
    stele_lsn durable = stele_durable(log);
    wrap.ctx = &pause;
    wrap.on_persist = pause_once;
    atomic_store(&pause.armed, true);
    struct waiter waiters[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.log = log, .lsn = durable, .how = i};
        must(pthread_create(&waiters[i].thread, NULL, wait_somehow, &waiters[i]) == 0);
        if (i == 0)
            gate_pass(&pause.inside); /* it leads, and is in the persist that will fail; the others follow */
    }
    append_range(log, 100, 110); /* appends go on meanwhile */
    gate_open(&pause.go);
    for (unsigned i = 0; i < WAITERS; i++) {
        must(pthread_join(waiters[i].thread, NULL) == 0);
        returns(STELE_EFAILED, waiters[i].result);
    }
    must(stele_durable(log) == durable);
    returns(STELE_EFAILED, stele_close(log));
}

/* Wherever in the life of a log a persist fails, what was acknowledged before is there afterwards. */
static uint64_t run_until_failure(struct wrap *wrap, const struct dir *dir, uint64_t from)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 4096;
    const struct stele__seams seams = {.media = &wrap->media, .no_helper = true};
    struct stele *log;
    uint64_t acknowledged = from, next = from;
    int rc = stele__open_with(dir->log, &options, &seams, &log);
    if (rc != 0)
        return acknowledged;
    while (rc == 0 && stele_tail(log) < 5 * SEGMENT_SMALL) {
        uint8_t payload[NUMBERED_MAX];
        struct iovec iov = {.iov_base = payload, .iov_len = numbered(next, payload)};
        rc = stele_appendv(log, numbered_type(next), &iov, 1, NULL);
        next += rc == 0;
        if (rc == 0 && next % 7 == 0) {
            rc = stele_sync(log, STELE_LSN_ALL);
            acknowledged = rc == 0 ? next : acknowledged;
        }
        if (rc == 0 && next % 100 == 0)
            rc = stele_trim(log, 0, NULL) < 0 ? -1 : 0;
    }
    if (stele_close(log) == 0)
        acknowledged = next;
    return acknowledged;
}

static void a_failure_at_any_persist_loses_nothing_acknowledged(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    wrap_init(&wrap);
    uint64_t all = run_until_failure(&wrap, dir, 0);
    uint64_t persists = atomic_load(&wrap.persists);
    must(persists > 60);
    expect_log(dir->log, 0, all);
    for (uint64_t fail_at = 1; fail_at <= persists; fail_at += under_sanitizer() ? 5 : 1) {
        dir_empty(dir->log);
        wrap_init(&wrap);
        atomic_store(&wrap.fail_errno, fail_at % 2 == 0 ? EIO : ENOSPC);
        atomic_store(&wrap.fail_persist_at, fail_at);
        uint64_t acknowledged = run_until_failure(&wrap, dir, 0);
        must(acknowledged < all || fail_at == persists);
        wrap_init(&wrap); /* the device is well again: published records may have survived too, in order */
        const struct stele_options options = log_options(STELE_CREATE);
        struct stele *log = wrap_open(&wrap, dir->log, &options, false);
        struct stele_cursor *cursor;
        struct stele_record record;
        uint64_t number = 0;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
        for (; stele_cursor_next(cursor, &record) == 1; number++)
            must(is_numbered(number, &record));
        must(number >= acknowledged && number <= all);
        expect_nothing(cursor);
        stele_cursor_close(cursor);
        append_range(log, number, number + 3);
        succeeds(stele_close(log));
        expect_log(dir->log, 0, number + 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(everything_after_a_failed_sync_fails_until_the_log_is_reopened),
        LAW(an_open_slot_can_still_be_given_back_after_a_failure),
        LAW(a_failure_makes_the_event_descriptor_readable),
        LAW(every_waiter_is_told_of_the_failure),
        LAW(a_failure_at_any_persist_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
