/* SPDX-License-Identifier: BSD-3-Clause */
/* test_signals_stop.c: somebody stops between reserve and publish. A thread: who syncs beyond its slot waits, nobody else
 * does, and all go on when it does. A whole process, by SIGSTOP: others read what is durable, verify, copy, and are
 * refused to write by its name; after SIGCONT it goes on as if nothing had been, after SIGKILL recovery cuts at its slot. */
#include "lib/child.h"
#include "lib/dir.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND (INT64_C(1000) * 1000)
#define SYNCERS 4u
#define RING 16u /* segments that may stand behind an open slot: include/stele/log.h */

/* ---- a thread with an open slot */

struct behind {
    struct stele *log;
    uint64_t number;
    _Atomic unsigned *appended, *returned;
    pthread_t thread;
};

static void *append_and_sync(void *argument)
{
    struct behind *me = argument;
    stele_lsn lsn = append_numbered(me->log, me->number);
    atomic_fetch_add(me->appended, 1);
    succeeds(stele_sync(me->log, lsn));
    must(stele_durable(me->log) > lsn);
    atomic_fetch_add(me->returned, 1);
    return NULL;
}

static void who_syncs_beyond_an_open_slot_waits(struct dir *dir, bool publishes)
{
    struct stele *log = log_open(dir->log, STELE_CREATE);
    _Atomic unsigned appended = 0, returned = 0;
    stele_lsn before = append_range(log, 0, 3);
    struct stele_slot slot;
    succeeds(stele_reserve(log, numbered_type(3), NUMBERED_MAX, &slot));
    struct behind all[SYNCERS];
    for (unsigned i = 0; i < SYNCERS; i++) {
        all[i] = (struct behind){.log = log, .number = 4, .appended = &appended, .returned = &returned};
        must(pthread_create(&all[i].thread, NULL, append_and_sync, &all[i]) == 0);
    }
    while (atomic_load(&appended) < SYNCERS)
        sched_yield();
    for (unsigned i = 0; i < 20; i++) {
        succeeds(stele_sync(log, before)); /* in front of it: no reason to wait */
        succeeds(stele_sync_begin(log));
        returns(STELE_ETIMEDOUT, stele_durable_wait(log, slot.lsn, MILLISECOND));
        must(stele_durable(log) == slot.lsn && atomic_load(&returned) == 0);
    }
    if (publishes)
        succeeds(stele_publish(log, &slot, numbered(3, slot.data)));
    else
        succeeds(stele_abandon(log, &slot));
    for (unsigned i = 0; i < SYNCERS; i++)
        must(pthread_join(all[i].thread, NULL) == 0);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, publishes ? 4 : 3);
    for (unsigned i = 0; i < SYNCERS; i++)
        expect_next(cursor, 4, 5);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    dir_empty(dir->log);
}

static void who_syncs_beyond_an_open_slot_waits_until_it_is_closed(void **state)
{
    who_syncs_beyond_an_open_slot_waits(*state, true);
    who_syncs_beyond_an_open_slot_waits(*state, false);
}

static void *fill_segments(void *argument)
{
    struct behind *me = argument;
    me->number = append_until_segment(me->log, 1, RING + 8);
    return NULL;
}

static void appends_wait_when_the_ring_is_full_behind_an_open_slot(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_slot slot;
    succeeds(stele_reserve(log, numbered_type(0), NUMBERED_MAX, &slot));
    struct behind filler = {.log = log};
    must(pthread_create(&filler.thread, NULL, fill_segments, &filler) == 0);
    while (stele_tail(log) < (RING - 1) * SEGMENT_SMALL)
        sched_yield();
    for (unsigned i = 0; i < 20; i++) {
        returns(STELE_ETIMEDOUT, stele_durable_wait(log, slot.lsn, MILLISECOND));
        must(stele_tail(log) <= RING * SEGMENT_SMALL + NUMBERED_MAX + 16 && stele_durable(log) == 0);
    }
    succeeds(stele_publish(log, &slot, numbered(0, slot.data)));
    must(pthread_join(filler.thread, NULL) == 0);
    must(stele_tail(log) >= (RING + 8) * SEGMENT_SMALL);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, filler.number);
}

/* ---- a process that is stopped */

struct writer {
    char path[300];
    pid_t pid;
    struct gate ready, go;
    _Atomic uint64_t acknowledged, next;
    _Atomic bool over;
};

static struct writer *writer_make(const struct dir *dir)
{
    struct writer *writer = shared_alloc(sizeof *writer);
    (void)snprintf(writer->path, sizeof writer->path, "%s", dir->log);
    gate_init(&writer->ready);
    gate_init(&writer->go);
    return writer;
}

static void stop_and_wait(pid_t pid)
{
    int status;
    must(kill(pid, SIGSTOP) == 0);
    must(waitpid(pid, &status, WUNTRACED) == pid);
    must(WIFSTOPPED(status)); /* or it failed */
}

static void refused(const char *path, pid_t pid)
{
    char text[32];
    struct stele *log;
    const struct stele_options options = log_options(0);
    returns(STELE_ELOCKED, stele_open(path, &options, &log));
    (void)snprintf(text, sizeof text, "process %ld ", (long)pid);
    if (pid != 0)
        error_says(text);
}

/* 20 durable records, an open slot, and ten published ones behind it. */
static void write_around_a_slot(void *ctx)
{
    struct writer *writer = ctx;
    struct stele *log = log_open(writer->path, STELE_CREATE);
    struct stele_slot slot;
    succeeds(stele_sync(log, append_range(log, 0, 20)));
    succeeds(stele_reserve(log, numbered_type(20), NUMBERED_MAX, &slot));
    append_range(log, 21, 31);
    gate_open(&writer->ready);
    gate_pass(&writer->go);
    succeeds(stele_publish(log, &slot, numbered(20, slot.data)));
    succeeds(stele_sync(log, STELE_LSN_ALL));
    gate_open(&writer->ready);
    gate_pass(&writer->go);
    succeeds(stele_close(log));
}

/* What everybody can do beside it, for as long as it likes. */
static void live_beside(struct dir *dir, pid_t pid, struct stele_cursor *cursor)
{
    expect_log(dir->log, 0, 20);
    expect_nothing(cursor);
    returns(0, stele_cursor_wait(cursor, 2 * MILLISECOND));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.live == 1 && result.records == 20);
    refused(dir->log, pid);
    succeeds(stele_backup(dir->log, dir_file(dir, "copy"), NULL));
    expect_log(dir_file(dir, "copy"), 0, 20);
    dir_empty(dir_file(dir, "copy"));
}

static void a_stopped_writer_stops_nobody_else(struct dir *dir, bool dies)
{
    struct writer *writer = writer_make(dir);
    pid_t pid = child_start(write_around_a_slot, writer);
    gate_pass(&writer->ready);
    stop_and_wait(pid);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, 20);
    for (unsigned i = 0; i < 5; i++)
        live_beside(dir, pid, cursor);
    if (dies) {
        child_kill(pid);
        struct stele *next =
            log_open(dir->log, 0); /* what stood behind the slot was published, and never durable */
        append_range(next, 20, 40);
        succeeds(stele_sync(next, STELE_LSN_ALL));
        expect_next(cursor, 20, 40);
        succeeds(stele_close(next));
    } else {
        gate_open(&writer->go);
        must(kill(pid, SIGCONT) == 0);
        gate_pass(&writer->ready);
        expect_next(cursor, 20, 31);
        gate_open(&writer->go);
        child_join(pid);
    }
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, dies ? 40 : 31);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.live == 0);
    dir_empty(dir->log);
    shared_free(writer, sizeof *writer);
}

static void a_writer_stopped_before_it_publishes_stops_nobody_else(void **state)
{
    a_stopped_writer_stops_nobody_else(*state, false);
}

static void a_writer_killed_before_it_publishes_loses_nothing_acknowledged(void **state)
{
    a_stopped_writer_stops_nobody_else(*state, true);
}

/* ---- stopped anywhere */

static void write_roll_and_reopen(void *ctx)
{
    struct writer *writer = ctx;
    while (!atomic_load(&writer->over)) {
        struct stele *log = log_open(writer->path, 0);
        uint64_t number = atomic_load(&writer->next);
        for (uint64_t until = number + 700; number < until; number++) {
            stele_lsn lsn = append_numbered(log, number);
            if (number % 9 == 0) {
                succeeds(stele_sync(log, lsn));
                atomic_store(&writer->acknowledged, number + 1);
            }
        }
        if (number % 4200 == 0)
            must(stele_trim(log, stele_tail(log) / 2, NULL) >= 0);
        succeeds(stele_close(log));
        atomic_store(&writer->acknowledged, number);
        atomic_store(&writer->next, number);
    }
}

/* Everything acknowledged, and whatever else there is in order behind it. False: the writer stands in the middle of a
 * trim, and nobody knows the beginning before it has gone on. */
static bool read_acknowledged(struct writer *writer)
{
    uint64_t acknowledged = atomic_load(&writer->acknowledged), number = 0;
    struct stele *log = log_open(writer->path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    int rc = stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor);
    if (rc == STELE_ETRIMMED) {
        error_says("is being trimmed");
        succeeds(stele_close(log));
        return false;
    }
    succeeds(rc);
    rc = stele_cursor_next(cursor, &record);
    while (rc == 1 && number <= acknowledged && !is_numbered(number, &record))
        number++; /* trimmed */
    for (; rc == 1; rc = stele_cursor_next(cursor, &record))
        must(is_numbered(number++, &record));
    must(rc == 0 && number >= acknowledged);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    return true;
}

static void a_writer_may_be_stopped_anywhere(void **state)
{
    struct dir *dir = *state;
    struct writer *writer = writer_make(dir);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t pid = child_start(write_roll_and_reopen, writer);
    uint64_t read = 0;
    for (uint64_t round = 0; round < scaled(64); round++) {
        (void)usleep((unsigned)(round * 7919 % 3000)); /* anywhere: in appends, rolls, closes, recoveries */
        stop_and_wait(pid);
        read += read_acknowledged(writer);
        struct stele_verify_result result = {.size = sizeof result};
        succeeds(stele_verify(dir->log, NULL, &result));
        must(result.verdict != STELE_CORRUPT);
        const struct stele_options options = log_options(0);
        struct stele *log;
        int rc = stele_open(dir->log, &options, &log); /* it may be between two openings */
        must(rc == STELE_ELOCKED || (rc == 0 && stele_close(log) == 0));
        must(kill(pid, SIGCONT) == 0);
    }
    atomic_store(&writer->over, true);
    child_join(pid);
    must(read_acknowledged(writer) && read >= scaled(64) / 2);
    shared_free(writer, sizeof *writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(who_syncs_beyond_an_open_slot_waits_until_it_is_closed),
        LAW(appends_wait_when_the_ring_is_full_behind_an_open_slot),
        LAW(a_writer_stopped_before_it_publishes_stops_nobody_else),
        LAW(a_writer_killed_before_it_publishes_loses_nothing_acknowledged),
        LAW(a_writer_may_be_stopped_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
