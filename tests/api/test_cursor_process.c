/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cursor_process.c: readers in other processes. They follow a live writer over many rolls and trims, and are told when
 * a crash took back what they had read as published. */
#include "lib/child.h"
#include "lib/dir.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/segment.h"

/* ---- following */

struct follow {
    char path[300];
    unsigned flags;
    uint64_t count;
    bool trims;
    struct gate created, reader_ready;
    _Atomic uint64_t read; /* records the reader has seen */
    _Atomic long trimmed;
};

static void write_and_roll(void *ctx)
{
    struct follow *follow = ctx;
    struct stele *log = log_open(follow->path, STELE_CREATE);
    gate_open(&follow->created);
    gate_pass(&follow->reader_ready);
    for (uint64_t number = 0; number < follow->count; number++) {
        stele_lsn lsn = append_numbered(log, number);
        if (number % 64 == 0)
            succeeds(number % 128 == 0 ? stele_sync(log, lsn) : stele_sync_begin(log));
        if (follow->trims && number % 256 == 255) {
            long dropped = stele_trim(log, STELE_LSN_ALL, NULL); /* everything that nobody reads */
            must(dropped >= 0);
            atomic_fetch_add(&follow->trimmed, dropped);
        }
        if (number % 2000 == 1999) { /* let the reader come to the very end, and fall asleep there */
            succeeds(stele_sync(log, STELE_LSN_ALL));
            while (atomic_load(&follow->read) <= number)
                (void)usleep(100);
        }
    }
    succeeds(stele_close(log));
}

static void follow_a_writer(const struct dir *dir, unsigned flags, bool trims)
{
    struct follow *follow = shared_alloc(sizeof *follow);
    (void)snprintf(follow->path, sizeof follow->path, "%s", dir->log);
    follow->flags = flags;
    follow->trims = trims;
    follow->count = under_sanitizer() ? 6000 : 20000;
    gate_init(&follow->created);
    gate_init(&follow->reader_ready);
    pid_t child = child_start(write_and_roll, follow);
    gate_pass(&follow->created);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, flags, STELE_FROM_BEGIN, 0, &cursor));
    gate_open(&follow->reader_ready);
    for (uint64_t number = 0; number < follow->count; number++) {
        returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER));
        expect_next(cursor, number, number + 1);
        atomic_store(&follow->read, number + 1);
    }
    child_join(child);
    expect_nothing(cursor);
    must(stele_cursor_lsn(cursor) > (under_sanitizer() ? 10 : 50) * SEGMENT_SMALL);
    must(!trims || atomic_load(&follow->trimmed) > 3); /* behind our back, never in front of us */
    must(!trims || stele_first(log) > 0);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    dir_empty(dir->log);
    shared_free(follow, sizeof *follow);
}

static void another_process_follows_a_live_writer(void **state)
{
    follow_a_writer(*state, 0, false);
}

static void so_it_does_what_is_durable(void **state)
{
    follow_a_writer(*state, STELE_DURABLE_ONLY, false);
}

static void a_trimming_writer_never_overtakes_a_reader(void **state)
{
    follow_a_writer(*state, 0, true);
    follow_a_writer(*state, STELE_DURABLE_ONLY, true);
}

/* ---- a crash that takes records back */

enum { SYNCED = 20, SHOWN = 30, KEPT = 25 };

struct crash {
    char path[300];
    uint64_t from, count;
    bool sync;
    stele_lsn lsns[64];
    struct gate written;
};

static void write_and_wait(void *ctx)
{
    struct crash *crash = ctx;
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(crash->path, &options);
    for (uint64_t i = 0; i < crash->count; i++) {
        if (crash->from == 0 && i == SYNCED)
            succeeds(stele_sync(log, STELE_LSN_ALL));
        crash->lsns[i] = append_numbered(log, crash->from + i);
    }
    if (crash->sync)
        succeeds(stele_sync(log, STELE_LSN_ALL));
    gate_open(&crash->written);
    for (;;)
        (void)pause();
}

static struct crash *crash_make(const struct dir *dir)
{
    struct crash *crash = shared_alloc(sizeof *crash);
    (void)snprintf(crash->path, sizeof crash->path, "%s", dir->log);
    gate_init(&crash->written);
    return crash;
}

/* A writer lives, appends [from, from + count), and is killed; from `lost_from` on nothing of it reached the disk. */
static pid_t writer_lives(struct crash *crash, uint64_t from, uint64_t count, bool sync)
{
    crash->from = from;
    crash->count = count;
    crash->sync = sync;
    pid_t child = child_start(write_and_wait, crash);
    gate_pass(&crash->written);
    return child;
}

static void power_cut(const struct dir *dir, pid_t writer, stele_lsn lost_from)
{
    child_kill(writer);
    must(lost_from < SEGMENT_SMALL);
    file_zero(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lost_from,
              SEGMENT_SMALL - lost_from);
}

static struct stele_cursor *cursor_at(struct stele *log, unsigned flags, uint64_t read)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, flags, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, read);
    return cursor;
}

static void a_cursor_is_told_that_published_records_were_lost(void **state)
{
    struct dir *dir = *state;
    struct crash *crash = crash_make(dir);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t child = writer_lives(crash, 0, SHOWN, false);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *published = cursor_at(log, 0, SHOWN); /* has read what will be lost */
    struct stele_cursor *behind = cursor_at(log, 0, KEPT - 3); /* has not */
    struct stele_cursor *exact = cursor_at(log, 0, KEPT);
    struct stele_cursor *durable = cursor_at(log, STELE_DURABLE_ONLY, SYNCED);
    expect_nothing(published);
    expect_nothing(durable);
    const stele_lsn lost_from = crash->lsns[KEPT];
    power_cut(dir, child, lost_from);
    child = writer_lives(crash, 100, 5, true);
    must(crash->lsns[0] >= lost_from);

    struct stele_record record;
    returns(1, stele_cursor_wait(published, STELE_WAIT_FOREVER)); /* there is something to be told */
    returns(STELE_EREWOUND, stele_cursor_next(published, &record));
    error_says("did not survive");
    must(stele_cursor_lsn(published) == lost_from);
    expect_next(published, 100, 105); /* said once, then it goes on */
    expect_nothing(published);
    expect_next(behind, KEPT - 3, KEPT);
    expect_next(behind, 100, 105);
    expect_next(exact, 100, 105);
    expect_next(durable, SYNCED, KEPT);
    expect_next(durable, 100, 105);
    expect_nothing(durable);
    child_kill(child);
    stele_cursor_close(published);
    stele_cursor_close(behind);
    stele_cursor_close(exact);
    stele_cursor_close(durable);
    succeeds(stele_close(log));
    log = log_open(dir->log, STELE_READ_ONLY);
    published = cursor_at(log, 0, KEPT);
    expect_next(published, 100, 105);
    expect_nothing(published);
    stele_cursor_close(published);
    succeeds(stele_close(log));
    shared_free(crash, sizeof *crash);
}

/* A crash of the writer alone loses nothing published: the pages are the kernel's. */
static void a_cursor_reads_on_when_nothing_was_lost(void **state)
{
    struct dir *dir = *state;
    struct crash *crash = crash_make(dir);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t child = writer_lives(crash, 0, SHOWN, false);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *published = cursor_at(log, 0, SHOWN),
                        *durable = cursor_at(log, STELE_DURABLE_ONLY, SYNCED);
    uint64_t next = SHOWN;
    for (int life = 0; life < 4; life++) {
        child_kill(child);
        expect_nothing(published);
        child = writer_lives(crash, next, 6, true);
        expect_next(published, next, next + 6);
        expect_nothing(published);
        next += 6;
    }
    expect_next(durable, SYNCED, next);
    child_kill(child);
    stele_cursor_close(published);
    stele_cursor_close(durable);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, next);
    shared_free(crash, sizeof *crash);
}

/* Two writers came and went while the cursor slept. It never reads from the middle of a record. */
static void a_cursor_that_slept_through_two_crashes_stands_at_a_record_again(void **state)
{
    struct dir *dir = *state;
    struct crash *crash = crash_make(dir);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t child = writer_lives(crash, 0, SHOWN, false);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *published = cursor_at(log, 0, SHOWN);
    power_cut(dir, child, crash->lsns[KEPT]);
    child = writer_lives(crash, 200, 40, false);
    child_kill(child);
    child = writer_lives(crash, 300, 5, true);
    struct stele_record record;
    int rc = stele_cursor_next(published, &record);
    must(rc == STELE_EREWOUND || rc == 1);
    if (rc == STELE_EREWOUND)
        must(stele_cursor_next(published, &record) == 1);
    uint64_t number = 200;
    while (number < 305 && !is_numbered(number, &record))
        number++;
    must(number < 240);
    expect_next(published, number + 1, 240);
    expect_next(published, 300, 305);
    expect_nothing(published);
    child_kill(child);
    stele_cursor_close(published);
    succeeds(stele_close(log));
    shared_free(crash, sizeof *crash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(another_process_follows_a_live_writer),
        LAW(so_it_does_what_is_durable),
        LAW(a_trimming_writer_never_overtakes_a_reader),
        LAW(a_cursor_is_told_that_published_records_were_lost),
        LAW(a_cursor_reads_on_when_nothing_was_lost),
        LAW(a_cursor_that_slept_through_two_crashes_stands_at_a_record_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
