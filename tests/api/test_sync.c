/* SPDX-License-Identifier: BSD-3-Clause */
/* test_sync.c: what stele_sync() and its relatives promise: nothing less, and no more work than that. */
#include "lib/child.h"
#include "lib/dir.h"
#include "lib/wrap.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define MILLISECOND (INT64_C(1000) * 1000)

/* A log whose persists are counted and can be held up; nothing persists by itself once this returns. */
static struct stele *open_counted(struct wrap *wrap, const struct dir *dir, uint32_t flags)
{
    struct stele_options options = log_options(STELE_CREATE | flags);
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX;
    wrap_init(wrap);
    struct stele *log = wrap_open(wrap, dir->log, &options, true);
    struct stele_region region;
    while (stele_region(log, &region, 1) < 3) /* the helper thread makes the spares */
        sched_yield();
    return log;
}

static void a_sync_covers_its_record_and_everything_before(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct stele *log = open_counted(&wrap, dir, 0);
    must(stele_durable(log) == 0);
    stele_lsn first = append_numbered(log, 0);
    stele_lsn last = append_range(log, 1, 10);
    must(stele_durable(log) == 0);
    succeeds(stele_sync(log, first));
    must(stele_durable(log) > first);
    succeeds(stele_sync(log, last));
    must(stele_durable(log) == stele_tail(log));
    succeeds(stele_close(log));
}

static void what_is_durable_is_not_persisted_twice(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct stele *log = open_counted(&wrap, dir, 0);
    uint64_t before = atomic_load(&wrap.persists);
    succeeds(stele_sync(log, STELE_LSN_ALL)); /* an empty log is durable */
    must(atomic_load(&wrap.persists) == before);
    stele_lsn last = append_range(log, 0, 10);
    succeeds(stele_sync(log, last));
    must(atomic_load(&wrap.persists) == before + 1);
    for (int i = 0; i < 10; i++) {
        succeeds(stele_sync(log, last));
        succeeds(stele_sync(log, 0));
        succeeds(stele_sync(log, STELE_LSN_ALL));
        succeeds(stele_durable_wait(log, last, 0));
        succeeds(stele_durable_wait(log, STELE_LSN_ALL, STELE_WAIT_FOREVER));
    }
    must(atomic_load(&wrap.persists) == before + 1);
    succeeds(stele_close(log));
}

static void a_position_beyond_the_tail_is_refused(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    returns(STELE_EINVAL, stele_sync(log, 0)); /* there is no record yet */
    stele_lsn last = append_range(log, 0, 3);
    returns(STELE_EINVAL, stele_sync(log, stele_tail(log)));
    error_says("beyond the tail");
    returns(STELE_EINVAL, stele_sync(log, UINT64_MAX - 1));
    returns(STELE_EINVAL, stele_sync(log, UINT64_MAX - 7));
    must(stele_durable(log) == 0); /* refused, not tried */
    succeeds(stele_sync(log, last));
    /* Waiting for what does not exist yet is no mistake. */
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, stele_tail(log), 0));
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, UINT64_MAX - 7, MILLISECOND));
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, UINT64_MAX - 1, 0));
    succeeds(stele_close(log));
}

static void nobody_syncs_what_nobody_asked_for(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct stele *log = open_counted(&wrap, dir, 0);
    stele_lsn last = append_range(log, 0, 20);
    uint64_t before = atomic_load(&wrap.persists);
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, last, 0));
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, 0, 3 * MILLISECOND));
    error_says("not durable yet");
    must(stele_durable(log) == 0 && atomic_load(&wrap.persists) == before);
    succeeds(stele_sync_begin(log));
    succeeds(stele_durable_wait(log, last, STELE_WAIT_FOREVER));
    must(stele_durable(log) == stele_tail(log));
    must(atomic_load(&wrap.persists) == before + 1);
    succeeds(stele_close(log));
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    int rc = poll(&polled, 1, timeout_ms);
    must(rc >= 0);
    return rc == 1;
}

static void drain(int fd)
{
    uint64_t value = 0;
    must(read(fd, &value, sizeof value) == sizeof value && value > 0);
}

static void the_event_descriptor_is_readable_when_the_durable_point_has_moved(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct stele *log = open_counted(&wrap, dir, 0);
    int fd = stele_durable_eventfd(log);
    must(fd >= 0 && stele_durable_eventfd(log) == fd);
    must(!readable(fd, 0));
    for (uint64_t number = 0; number < 50; number++) {
        stele_lsn lsn = append_numbered(log, number);
        must(!readable(fd, 0));
        succeeds(number % 2 == 0 ? stele_sync(log, lsn) : stele_sync_begin(log));
        must(readable(fd, -1));
        drain(fd);
        succeeds(stele_durable_wait(log, lsn, STELE_WAIT_FOREVER));
        while (readable(fd, 0)) /* at most one more, when it moved twice */
            drain(fd);
        succeeds(stele_sync(log, lsn)); /* does not move it */
        must(!readable(fd, 0));
    }
    succeeds(stele_close(log));
}

/* ---- groups */

#define GROUP 12u

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

struct member {
    struct stele *log;
    uint64_t number;
    struct gate *appended;
    stele_lsn durable_after;
    pthread_t thread;
};

static void *append_and_sync(void *argument)
{
    struct member *me = argument;
    stele_lsn lsn = append_numbered(me->log, me->number);
    if (me->appended != NULL)
        gate_open(me->appended);
    succeeds(stele_sync(me->log, lsn));
    me->durable_after = stele_durable(me->log);
    must(me->durable_after > lsn);
    return NULL;
}

/* While one flush is at the device, a group gathers, and goes with the next flush, all of it. */
static void one_flush_serves_everybody_who_waits(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct pause pause = {.armed = false};
    struct gate appended;
    gate_init(&pause.inside);
    gate_init(&pause.go);
    gate_init(&appended);
    struct stele *log = open_counted(&wrap, dir, 0);
    uint64_t before = atomic_load(&wrap.persists);
    wrap.ctx = &pause;
    wrap.on_persist = pause_once;
    atomic_store(&pause.armed, true);
    struct member members[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        members[i] = (struct member){.log = log, .number = i, .appended = i == 0 ? NULL : &appended};
        must(pthread_create(&members[i].thread, NULL, append_and_sync, &members[i]) == 0);
        if (i == 0)
            gate_pass(&pause.inside);
    }
    for (unsigned i = 1; i < GROUP; i++)
        gate_pass(&appended);
    must(stele_durable(log) == 0); /* not before the flush has returned */
    gate_open(&pause.go);
    for (unsigned i = 0; i < GROUP; i++)
        must(pthread_join(members[i].thread, NULL) == 0);
    must(atomic_load(&wrap.persists) == before + 2);
    must(stele_durable(log) == stele_tail(log));
    succeeds(stele_close(log));
}

struct watcher {
    struct stele *log;
    _Atomic bool stop;
    pthread_t thread;
};

static void *watch(void *argument)
{
    struct watcher *me = argument;
    stele_lsn durable = 0, tail = 0;
    while (!atomic_load(&me->stop)) {
        stele_lsn now = stele_durable(me->log), end = stele_tail(me->log);
        must(now >= durable && end >= tail); /* never backwards */
        must(now <= end);                    /* nothing durable that was not even reserved */
        durable = now;
        tail = end;
    }
    return NULL;
}

static void the_durable_point_never_runs_back_and_never_ahead(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct watcher watcher = {.log = log};
    must(pthread_create(&watcher.thread, NULL, watch, &watcher) == 0);
    struct member members[GROUP];
    for (uint64_t round = 0; round < scaled(40); round++) {
        for (unsigned i = 0; i < GROUP; i++) {
            members[i] = (struct member){.log = log, .number = round * GROUP + i};
            must(pthread_create(&members[i].thread, NULL, append_and_sync, &members[i]) == 0);
        }
        for (unsigned i = 0; i < GROUP; i++)
            must(pthread_join(members[i].thread, NULL) == 0);
    }
    atomic_store(&watcher.stop, true);
    must(pthread_join(watcher.thread, NULL) == 0);
    succeeds(stele_close(log));
}

/* Full segments become durable and sealed although nobody ever syncs, or a log would grow out of its mapped segments. */
static void appending_without_a_sync_goes_on_for_ever(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = append_until_segment(log, 0, 40);
    must(stele_durable(log) >= 20 * SEGMENT_SMALL);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, count);
}

static void closing_makes_everything_durable(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    struct stele *log = open_counted(&wrap, dir, STELE_SINGLE_APPENDER);
    append_range(log, 0, 10);
    uint64_t before = atomic_load(&wrap.persists);
    succeeds(stele_close(log));
    must(atomic_load(&wrap.persists) > before);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.records == 10);
    must(result.durable_lsn >= append_numbered(log = log_open(dir->log, 0), 10));
    succeeds(stele_close(log));
}

static void tail_and_first_say_where_the_log_ends_and_begins(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    must(stele_first(log) == 0 && stele_tail(log) == 0);
    stele_lsn lsn;
    succeeds(stele_append(log, "1234567", 7, &lsn));
    must(lsn == 0 && stele_tail(log) == 24);
    uint64_t count = append_until_segment(log, 0, 3);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, 2 * SEGMENT_SMALL + 5, &lsn) == 2);
    must(lsn == 2 * SEGMENT_SMALL && stele_first(log) == lsn);
    stele_lsn tail = stele_tail(log);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY); /* beside the writer */
    must(stele_first(reader) == lsn && stele_durable(reader) == stele_durable(log));
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
    reader = log_open(dir->log, STELE_READ_ONLY); /* after it */
    must(stele_first(reader) == lsn && stele_tail(reader) >= tail && stele_durable(reader) >= tail);
    succeeds(stele_close(reader));
    must(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_sync_covers_its_record_and_everything_before),
        LAW(what_is_durable_is_not_persisted_twice),
        LAW(a_position_beyond_the_tail_is_refused),
        LAW(nobody_syncs_what_nobody_asked_for),
        LAW(the_event_descriptor_is_readable_when_the_durable_point_has_moved),
        LAW(one_flush_serves_everybody_who_waits),
        LAW(the_durable_point_never_runs_back_and_never_ahead),
        LAW(appending_without_a_sync_goes_on_for_ever),
        LAW(closing_makes_everything_durable),
        LAW(tail_and_first_say_where_the_log_ends_and_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
