/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cursor_damage.c: a cursor never shows a damaged record. Below the durable point it says so and stays in front of it,
 * whoever reads: the writer itself, a reader beside it, a reader of a closed log. */
#include "lib/dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/segment.h"

enum view { OWN, BESIDE, ALONE, VIEWS };

struct seen {
    const struct dir *dir;
    struct stele *writer, *log;
    stele_lsn lsns[4000];
    uint64_t count; /* records, all durable, in segments 0..3 */
};

static void look(struct seen *seen, const struct dir *dir, enum view view)
{
    memset(seen, 0, sizeof *seen);
    seen->dir = dir;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    while (stele_tail(log) < 3 * SEGMENT_SMALL + 20000) {
        seen->lsns[seen->count] = append_numbered(log, seen->count);
        seen->count++;
    }
    succeeds(stele_sync(log, STELE_LSN_ALL));
    if (view == ALONE) {
        succeeds(stele_close(log));
        log = NULL;
    }
    seen->writer = log;
    seen->log = view == OWN ? log : log_open(dir->log, STELE_READ_ONLY);
}

static void look_away(struct seen *seen)
{
    if (seen->log != seen->writer)
        succeeds(stele_close(seen->log));
    if (seen->writer != NULL)
        (void)stele_close(seen->writer);
    dir_empty(seen->dir->log);
}

static void in_every_view(void **state, void (*law)(struct seen *))
{
    static struct seen seen;
    for (enum view view = OWN; view < VIEWS; view++) {
        look(&seen, *state, view);
        law(&seen);
        look_away(&seen);
    }
}

/* File of this position, and the offset in it. The name is good until the next call. */
static const char *place(const struct seen *seen, stele_lsn lsn, uint64_t *offset)
{
    static char path[512];
    *offset = STELE__HEADER_BYTES + lsn % SEGMENT_SMALL;
    (void)snprintf(path, sizeof path, "%s", segment_file(seen->dir, lsn / SEGMENT_SMALL, SEGMENT_SMALL));
    return path;
}

/* Reads everything before record `number`, then the error, again and again. */
static void expect_stop(struct seen *seen, struct stele_cursor *cursor, uint64_t from, uint64_t number)
{
    struct stele_record record;
    uint64_t offset;
    char where[64];
    expect_next(cursor, from, number);
    const char *file = place(seen, seen->lsns[number], &offset);
    for (int again = 0; again < 3; again++) {
        returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
        error_says(file);
        (void)snprintf(where, sizeof where, "offset %llu (lsn %llu)", (unsigned long long)offset,
                       (unsigned long long)seen->lsns[number]);
        error_says(where);
        error_says("had been durable");
        returns(1, stele_cursor_wait(cursor, STELE_WAIT_FOREVER)); /* there is something to be told */
        returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
    }
    must(stele_cursor_lsn(cursor) <= seen->lsns[number] &&
         stele_cursor_lsn(cursor) + 16384 > seen->lsns[number]);
}

static void stays_in_front(struct seen *seen)
{
    static const uint8_t bytes[] = {0, 3, 4, 5, 7, 8, 11, 12, 15};
    for (uint64_t number = 3; number < seen->count; number += 97) {
        uint64_t offset;
        const char *file = place(seen, seen->lsns[number], &offset);
        unsigned byte = bytes[number % sizeof bytes];
        struct stele_cursor *before, *at;
        succeeds(stele_cursor_open(seen->log, number % 2, STELE_FROM_BEGIN, 0, &before));
        succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_LSN, seen->lsns[number], &at));
        file_flip(file, offset + byte, (unsigned)number);
        expect_stop(seen, before, 0, number);
        expect_stop(seen, at, number, number);
        file_flip(file, offset + byte, (unsigned)number); /* mended: it goes on */
        expect_next(before, number, seen->count);
        expect_nothing(before);
        expect_next(at, number, seen->count);
        stele_cursor_close(before);
        stele_cursor_close(at);
    }
}

static void a_cursor_stays_in_front_of_damage(void **state)
{
    in_every_view(state, stays_in_front);
}

/* It can be told to go on behind it. */
static void goes_on_behind(struct seen *seen)
{
    const uint64_t number = seen->count / 2;
    uint64_t offset;
    const char *file = place(seen, seen->lsns[number], &offset);
    file_flip(file, offset + 8, 1);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_stop(seen, cursor, 0, number);
    succeeds(stele_cursor_seek(cursor, STELE_FROM_LSN, seen->lsns[number + 1]));
    expect_next(cursor, number + 1, seen->count);
    expect_nothing(cursor);
    succeeds(
        stele_cursor_seek(cursor, STELE_FROM_LSN, seen->lsns[number])); /* and back: in front of it again */
    returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
    stele_cursor_close(cursor);
    file_flip(file, offset + 8, 1);
}

static void a_seek_leads_around_damage(void **state)
{
    in_every_view(state, goes_on_behind);
}

/* A segment that is gone, of another size, or without a header when the cursor comes to it. */
static void whole_segments(struct seen *seen)
{
    char file[512];
    (void)snprintf(file, sizeof file, "%s", segment_file(seen->dir, 2, SEGMENT_SMALL));
    uint64_t number = 0;
    while (seen->lsns[number] < 2 * SEGMENT_SMALL)
        number++;
    uint8_t header[STELE__HEADER_BYTES];
    file_read(file, 0, header, sizeof header);
    for (int how = 0; how < 5; how++) {
        uint64_t size = file_bytes(file);
        switch (how) {
        case 0: must(rename(file, dir_file(seen->dir, "aside")) == 0); break;
        case 1: file_zero(file, 0, sizeof header); break;
        case 2: must(truncate(file, (off_t)(size - 1)) == 0); break;
        case 3: must(truncate(file, (off_t)(size + 1)) == 0); break;
        default: /* the header of its neighbour */
            file_read(segment_file(seen->dir, 1, SEGMENT_SMALL), 0, header, sizeof header);
            file_write(file, 0, header, sizeof header);
        }
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_BEGIN, 0, &cursor));
        expect_next(cursor, 0, number);
        for (int again = 0; again < 3; again++) {
            returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
            error_says(segment_name(2, SEGMENT_SMALL));
        }
        stele_cursor_close(cursor);
        returns(STELE_ECORRUPT, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, seen->lsns[number], &cursor));
        if (how == 0) {
            must(rename(dir_file(seen->dir, "aside"), file) == 0);
            file_read(file, 0, header, sizeof header);
        } else if (how == 1) {
            file_write(file, 0, header, sizeof header);
        } else if (how < 4) { /* cutting took the last byte of footer B, which is zero */
            must(truncate(file, (off_t)size) == 0);
        }
    }
}

static void a_segment_that_is_no_segment_stops_a_cursor(void **state)
{
    in_every_view(state, whole_segments);
}

/* What nobody has synced may look torn at any moment: that is the end, not damage. */
static void damage_above_the_durable_point_is_the_end(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    append_range(log, 0, 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    stele_lsn lsn = append_numbered(log, 10);
    append_range(log, 11, 15);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele *logs[] = {log, reader};
    file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lsn + 9, 3);
    for (int i = 0; i < 2; i++) {
        struct stele_cursor *cursor;
        succeeds(stele_cursor_open(logs[i], 0, STELE_FROM_BEGIN, 0, &cursor));
        expect_next(cursor, 0, 10);
        expect_nothing(cursor);
        returns(0, stele_cursor_wait(cursor, 0));
        file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lsn + 9, 3);
        expect_next(cursor, 10, 15);
        file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lsn + 9, 3);
        stele_cursor_close(cursor);
    }
    file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lsn + 9, 3);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

/* The index only makes searches quick: a damaged one makes them slow, not wrong. */
static void a_damaged_index_misleads_no_seek(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.segment_bytes = UINT64_C(1) << 20;
    struct stele *log = log_open_with(dir->log, &options);
    static stele_lsn lsns[20000];
    uint64_t count = 0;
    while (stele_tail(log) < UINT64_C(2) << 20) {
        lsns[count] = append_numbered(log, count);
        count++;
    }
    succeeds(stele_close(log));
    const char *file = segment_file(dir, 0, UINT64_C(1) << 20);
    uint64_t at = stele__index_offset(UINT64_C(1) << 20);
    uint8_t index[17 * STELE__INDEX_ENTRY];
    file_read(file, at, index, sizeof index);
    for (unsigned byte = 0; byte < sizeof index; byte += 5) {
        file_flip(file, at + byte, byte);
        log = log_open(dir->log, STELE_READ_ONLY);
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_LSN, lsns[count / 3] + 1, &cursor));
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn == lsns[count / 3 + 1]);
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LAST, count - 1234));
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn == lsns[1234]);
        succeeds(stele_cursor_seek(cursor, STELE_FROM_TIME, 5));
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn == 0);
        stele_cursor_close(cursor);
        succeeds(stele_close(log));
        file_flip(file, at + byte, byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_cursor_stays_in_front_of_damage),
        LAW(a_seek_leads_around_damage),
        LAW(a_segment_that_is_no_segment_stops_a_cursor),
        LAW(damage_above_the_durable_point_is_the_end),
        LAW(a_damaged_index_misleads_no_seek),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
