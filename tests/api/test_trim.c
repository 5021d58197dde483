/* SPDX-License-Identifier: BSD-3-Clause */
/* test_trim.c: the front goes in whole segments, never past a pin or cursor of any process, and the files come back as new
 * ones. */
#include "lib/child.h"
#include "lib/dir.h"
#include "lib/wrap.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Segments 0..5 full and durable, something in 6. Returns the number of records. */
static uint64_t six_segments(struct stele *log)
{
    uint64_t count = append_until_segment(log, 0, 6);
    append_range(log, count, count + 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    return count + 10;
}

static bool segment_exists(const struct dir *dir, uint64_t sequence)
{
    return file_exists(segment_file(dir, sequence, SEGMENT_SMALL));
}

static void whole_segments_before_the_position_go(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE | STELE_NO_RECYCLE);
    six_segments(log);
    stele_lsn first = 99;
    must(stele_trim(log, 0, &first) == 0 && first == 0);
    must(stele_trim(log, SEGMENT_SMALL - 1, &first) == 0 && first == 0);
    must(stele_trim(log, SEGMENT_SMALL, &first) == 1 && first == SEGMENT_SMALL);
    must(stele_trim(log, SEGMENT_SMALL, NULL) == 0);
    must(stele_trim(log, 3 * SEGMENT_SMALL - 1, &first) == 1 && first == 2 * SEGMENT_SMALL);
    must(!segment_exists(dir, 0) && !segment_exists(dir, 1) && segment_exists(dir, 2));
    must(stele_first(log) == 2 * SEGMENT_SMALL);
    must(stele_trim(log, STELE_LSN_ALL, &first) == 4 && first == 6 * SEGMENT_SMALL); /* the newest stays */
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 0);
    must(segment_exists(dir, 6));
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    must(stele_cursor_next(cursor, &record) == 1 && record.lsn >= first);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void what_is_not_durable_stays(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = log_options(STELE_CREATE);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false); /* nobody commits but us */
    struct stele_slot slot;
    append_range(log, 0, 5);
    succeeds(stele_reserve(log, 0, 8, &slot)); /* the durable point stops here */
    append_until_segment(log, 5, 3);
    succeeds(stele_sync(log, 0));
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 0);
    succeeds(stele_publish(log, &slot, 8));
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 3);
    succeeds(stele_close(log));
}

static void a_trimmed_log_reopens_at_its_new_beginning(void **state)
{
    struct dir *dir = *state;
    static const uint32_t flags[] = {0, STELE_NO_RECYCLE};
    for (int i = 0; i < 2; i++) {
        struct stele *log = log_open(dir->log, STELE_CREATE | flags[i]);
        uint64_t count = six_segments(log);
        must(stele_trim(log, 4 * SEGMENT_SMALL, NULL) == 4);
        succeeds(stele_close(log));
        must(dir_count_ending(dir->log, ".tmp") == 0);
        log = log_open(dir->log, flags[i]);
        must(stele_first(log) == 4 * SEGMENT_SMALL);
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_LAST, 10, &cursor));
        expect_next(cursor, count - 10, count);
        returns(STELE_ETRIMMED, stele_cursor_seek(cursor, STELE_FROM_LSN, 4 * SEGMENT_SMALL - 8));
        succeeds(stele_cursor_seek(cursor, STELE_FROM_BEGIN, 0));
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn >= 4 * SEGMENT_SMALL);
        stele_cursor_close(cursor);
        succeeds(stele_close(log));
        struct stele_verify_result result = {.size = sizeof result};
        succeeds(stele_verify(dir->log, NULL, &result));
        must(result.verdict == STELE_CLEAN && result.first_lsn == 4 * SEGMENT_SMALL && result.problems == 0);
        dir_empty(dir->log);
    }
}

/* Files come back many times over; never a record of an earlier life, never a salt used before. */
static void recycled_files_hold_only_what_is_new(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = log_options(STELE_CREATE);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    uint64_t count = 0;
    uint32_t salts[64], incarnations[64];
    for (unsigned round = 0; round < 60; round++) {
        count = append_until_segment(log, count, round + 1);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        must(stele_trim(log, STELE_LSN_ALL, NULL) >= 0);
        struct stele__header header;
        uint8_t page[STELE__HEADER_BYTES];
        uint32_t copies;
        file_read(segment_file(dir, round + 1, SEGMENT_SMALL), 0, page, sizeof page);
        must(stele__header_decode(page, &header, &copies) == STELE__DECODE_OK);
        salts[round] = header.salt;
        incarnations[round] = header.incarnation;
        for (unsigned earlier = 0; earlier < round; earlier++)
            must(salts[earlier] != header.salt && incarnations[earlier] < header.incarnation);
        if (round % 10 == 9) { /* killed and come back: a copy taken now opens, and shows nothing old */
            dir_copy(dir->log, dir_file(dir, "now"));
            struct stele *other = log_open(dir_file(dir, "now"), 0);
            struct stele_cursor *cursor;
            succeeds(stele_cursor_open(other, 0, STELE_FROM_BEGIN, 0, &cursor));
            expect_next(cursor, count - 1, count); /* the one that crossed the boundary */
            expect_nothing(cursor);
            stele_cursor_close(cursor);
            succeeds(stele_close(other));
            struct stele_verify_result result = {.size = sizeof result};
            succeeds(stele_verify(dir_file(dir, "now"), NULL, &result));
            must(result.verdict == STELE_CLEAN && result.problems == 0);
            dir_empty(dir_file(dir, "now"));
        }
    }
    must(atomic_load(&wrap.creates) < 20); /* files were in fact used again */
    succeeds(stele_close(log));
}

static void without_recycling_files_are_unlinked(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE | STELE_NO_RECYCLE);
    uint64_t count = 0;
    for (uint64_t round = 1; round < 20; round++) {
        count = append_until_segment(log, count, round);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        must(stele_trim(log, STELE_LSN_ALL, NULL) == 1);
        must(!segment_exists(dir, round - 1));
        must(stele_first(log) == round * SEGMENT_SMALL);
    }
    succeeds(stele_close(log));
    must(dir_count(dir->log) <= 2 + 4);
}

/* ---- pins and cursors */

static void a_pin_keeps_its_segment_and_all_behind_it(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = six_segments(log);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele *logs[] = {log, reader};
    for (uint64_t i = 0; i < 4; i++) {
        struct stele_pin *low, *high;
        stele_lsn first;
        succeeds(stele_pin(logs[i % 2], (i + 1) * SEGMENT_SMALL + 1000, &low));
        succeeds(stele_pin(logs[(i + 1) % 2], (i + 2) * SEGMENT_SMALL - 1, &high)); /* the same segment */
        must(stele_trim(log, STELE_LSN_ALL, &first) == 1 && first == (i + 1) * SEGMENT_SMALL);
        stele_unpin(low);
        must(stele_trim(log, STELE_LSN_ALL, &first) == 0 && first == (i + 1) * SEGMENT_SMALL);
        stele_unpin(high);
    }
    struct stele_pin *pin = (struct stele_pin *)(void *)1;
    returns(STELE_ETRIMMED, stele_pin(log, 100, &pin));
    must(pin == NULL);
    returns(STELE_ETRIMMED, stele_pin(reader, 4 * SEGMENT_SMALL - 8, &pin));
    returns(STELE_EINVAL, stele_pin(log, stele_tail(log) + 1, &pin));
    returns(STELE_EINVAL, stele_pin(reader, UINT64_MAX, &pin));
    succeeds(stele_pin(log, stele_tail(log), &pin)); /* the end can be kept, too */
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 2);
    stele_unpin(pin);
    stele_unpin(NULL);
    must(count > 0);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

static void a_cursor_keeps_the_segment_it_stands_in(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = six_segments(log);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *own, *other;
    stele_lsn first;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &own));
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_LSN, SEGMENT_SMALL, &other));
    must(stele_trim(log, STELE_LSN_ALL, &first) == 0);
    uint64_t number = 0, second = 0;
    while (stele_cursor_lsn(own) < SEGMENT_SMALL + 500)
        expect_next(own, number, number + 1), number++;
    must(stele_trim(log, STELE_LSN_ALL, &first) == 1 && first == SEGMENT_SMALL);
    struct stele_record record;
    must(stele_cursor_next(other, &record) == 1);
    while (!is_numbered(second, &record))
        second++;
    stele_cursor_close(own);
    must(stele_trim(log, STELE_LSN_ALL, &first) == 0);
    expect_next(other, second + 1, count);
    must(stele_trim(log, STELE_LSN_ALL, &first) == 5);
    stele_cursor_close(other);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

/* Its segment is pinned wherever it has looked meanwhile. */
static void a_cursor_keeps_its_segment_when_a_seek_fails(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = six_segments(log);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, 20);
    returns(STELE_EINVAL, stele_cursor_seek(cursor, STELE_FROM_LSN, 40 * SEGMENT_SMALL));
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 0);
    expect_next(cursor, 20, 40);
    returns(STELE_EINVAL, stele_cursor_seek(cursor, STELE_FROM_LSN, stele_tail(log) + 8));
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 0);
    expect_next(cursor, 40, count);
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 6);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

struct keeper {
    char path[300];
    struct gate keeping, go;
};

static void keep(void *ctx)
{
    struct keeper *keeper = ctx;
    struct stele *log = log_open(keeper->path, STELE_READ_ONLY);
    struct stele_pin *pin;
    succeeds(stele_pin(log, 2 * SEGMENT_SMALL, &pin));
    gate_open(&keeper->keeping);
    gate_pass(&keeper->go);
    (void)raise(SIGKILL);
}

static void a_pin_of_another_process_holds_until_it_dies(void **state)
{
    struct dir *dir = *state;
    struct keeper *keeper = shared_alloc(sizeof *keeper);
    (void)snprintf(keeper->path, sizeof keeper->path, "%s", dir->log);
    gate_init(&keeper->keeping);
    gate_init(&keeper->go);
    struct stele *log = log_open(dir->log, STELE_CREATE);
    six_segments(log);
    succeeds(stele_close(log)); /* nothing of ours open while a child is started */
    pid_t child = child_start(keep, keeper);
    gate_pass(&keeper->keeping);
    log = log_open(dir->log, 0);
    stele_lsn first;
    must(stele_trim(log, STELE_LSN_ALL, &first) == 2 && first == 2 * SEGMENT_SMALL);
    must(stele_trim(log, STELE_LSN_ALL, &first) == 0);
    gate_open(&keeper->go);
    child_join_killed(child, SIGKILL);
    must(stele_trim(log, STELE_LSN_ALL, &first) == 4);
    succeeds(stele_close(log));
    shared_free(keeper, sizeof *keeper);
}

static void a_log_with_open_cursors_or_pins_cannot_be_closed(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = six_segments(log);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele *logs[] = {reader, log};
    for (int i = 0; i < 2; i++) {
        struct stele_cursor *cursor;
        struct stele_pin *pin;
        succeeds(stele_cursor_open(logs[i], 0, STELE_FROM_BEGIN, 0, &cursor));
        succeeds(stele_pin(logs[i], 5 * SEGMENT_SMALL, &pin));
        returns(STELE_EBUSY, stele_close(logs[i]));
        error_says("2 cursors or pins");
        stele_unpin(pin);
        returns(STELE_EBUSY, stele_close(logs[i]));
        expect_next(cursor, 0, count); /* nothing was torn down */
        stele_cursor_close(cursor);
        stele_cursor_close(NULL);
        succeeds(stele_close(logs[i]));
    }
    succeeds(stele_close(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(whole_segments_before_the_position_go),
        LAW(what_is_not_durable_stays),
        LAW(a_trimmed_log_reopens_at_its_new_beginning),
        LAW(recycled_files_hold_only_what_is_new),
        LAW(without_recycling_files_are_unlinked),
        LAW(a_pin_keeps_its_segment_and_all_behind_it),
        LAW(a_cursor_keeps_the_segment_it_stands_in),
        LAW(a_cursor_keeps_its_segment_when_a_seek_fails),
        LAW(a_pin_of_another_process_holds_until_it_dies),
        LAW(a_log_with_open_cursors_or_pins_cannot_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
