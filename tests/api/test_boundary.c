/* SPDX-License-Identifier: BSD-3-Clause */
/* test_boundary.c: where a record meets the end of a segment. Whatever is left over, 8 bytes or a quarter of a segment, on
 * either side, is covered by one FILL or PAD; the record stands whole in the next segment. */
#include "lib/dir.h"
#include "lib/wrap.h"

#include <stdlib.h>
#include <string.h>

#include "format/walk.h"

static struct stele_options quiet(uint32_t flags)
{
    struct stele_options options = log_options(flags);
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX; /* the test alone decides where records stand */
    return options;
}

static uint8_t payload[16368];

static stele_lsn append_bytes(struct stele *log, uint64_t record_bytes)
{
    stele_lsn lsn;
    memset(payload, (int)(record_bytes / 8), sizeof payload);
    succeeds(stele_append(log, payload, record_bytes - 16, &lsn));
    return lsn;
}

/* Records until exactly `gap` bytes are left in the segment. Returns how many. */
static uint64_t leave_gap(struct stele *log, uint64_t gap)
{
    uint64_t n = 0, left = SEGMENT_SMALL - stele_tail(log) % SEGMENT_SMALL;
    for (; left > gap; n++) {
        uint64_t bytes = left - gap <= 16384 ? left - gap : left - gap < 16384 + 16 ? 16384 - 16 : 16384;
        append_bytes(log, bytes);
        left -= bytes;
    }
    return n;
}

static uint64_t word_at(const struct dir *dir, stele_lsn lsn)
{
    uint64_t word;
    file_read(segment_file(dir, lsn / SEGMENT_SMALL, SEGMENT_SMALL),
              STELE__HEADER_BYTES + lsn % SEGMENT_SMALL, &word, sizeof word);
    return word;
}

static void expect_cover(const struct dir *dir, stele_lsn lsn, uint64_t bytes)
{
    uint64_t word = word_at(dir, lsn);
    if (bytes == 8)
        must(stele__word_wire(word) == STELE__WIRE_FILL && stele__word_len(word) == 0);
    else
        must(stele__word_wire(word) == STELE__WIRE_PAD && stele__word_len(word) == bytes - 16);
}

/* A gap of every size meets records of every size that does not fit into it. */
static void every_gap_is_covered_on_both_sides(void **state)
{
    struct dir *dir = *state;
    static const uint64_t longer[] = {8, 16, 24, 32, 64, 120, 16384};
    struct stele_options options = quiet(STELE_CREATE);
    options.flags |= STELE_NO_RECYCLE;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    uint64_t records = 0;
    for (uint64_t gap = 8; gap <= 160; gap += 8) {
        for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
            uint64_t bytes = gap + longer[i] <= 16384 ? gap + longer[i] : 16384;
            records += leave_gap(log, gap);
            stele_lsn end = stele_tail(log), boundary = end + gap;
            must(boundary % SEGMENT_SMALL == 0);
            stele_lsn lsn = append_bytes(log, bytes);
            records++;
            must(lsn ==
                 boundary + (bytes - gap)); /* what was reserved beyond the boundary is given up with it */
            expect_cover(dir, end, gap);
            expect_cover(dir, boundary, bytes - gap);
            must(stele__word_len(word_at(dir, lsn)) == bytes - 16);
        }
        succeeds(stele_sync(log, STELE_LSN_ALL));
        struct stele_verify_result result = {.size = sizeof result};
        if (gap % 40 == 0) { /* reopened in between: the walk steps over all of it */
            succeeds(stele_close(log));
            succeeds(stele_verify(dir->log, NULL, &result));
            must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == records);
            log = wrap_open(&wrap, dir->log, &options, false);
        }
    }
    struct stele_cursor *cursor;
    struct stele_record record;
    uint64_t read = 0;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (; stele_cursor_next(cursor, &record) == 1; read++) {
        must(record.lsn / SEGMENT_SMALL == (record.next - 1) / SEGMENT_SMALL); /* whole in one segment */
        const uint8_t *bytes = record.data;
        for (size_t i = 0; i < record.len; i++)
            must(bytes[i] == (uint8_t)((record.len + 16) / 8));
    }
    must(read == records);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void a_record_that_ends_at_the_boundary_needs_no_cover(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = quiet(STELE_CREATE);
    struct stele *log = log_open_with(dir->log, &options);
    uint64_t records = 0;
    for (uint64_t sequence = 0; sequence < 6; sequence++) {
        uint64_t last = sequence % 2 == 0 ? 16 + sequence * 8 : 16384;
        records += leave_gap(log, last);
        stele_lsn lsn = append_bytes(log, last);
        must(lsn + last == (sequence + 1) * SEGMENT_SMALL);
        must(append_bytes(log, 24) == (sequence + 1) * SEGMENT_SMALL);
        records += 2;
    }
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == records);
}

/* Slots, batches and gathered records cross as plain ones do. */
static void every_way_to_append_crosses(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = quiet(STELE_CREATE);
    struct stele *log = log_open_with(dir->log, &options);
    for (uint64_t gap = 8; gap <= 72; gap += 8) {
        leave_gap(log, gap);
        stele_lsn boundary = stele_tail(log) + gap, lsn = 0;
        struct stele_slot slot;
        struct stele_entry entries[3] = {{payload, 40, 1, 0}, {payload, 64, 2, 0}, {payload, 0, 3, 0}};
        const struct iovec iov[2] = {{payload, 30}, {payload, 50}};
        switch (gap / 8 % 3) {
        case 0:
            succeeds(stele_reserve(log, 1, 80, &slot));
            lsn = slot.lsn;
            succeeds(stele_publish(log, &slot, 3));
            break;
        case 1:
            must(stele_append_batch(log, entries, 3) == 3);
            lsn = entries[0].lsn;
            must(entries[1].lsn == lsn + 56 &&
                 entries[2].lsn == lsn + 136); /* one reservation, moved as one */
            break;
        default: succeeds(stele_appendv(log, 4, iov, 2, &lsn)); break;
        }
        must(lsn >= boundary && lsn < boundary + 160);
        expect_cover(dir, boundary - gap, gap);
    }
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
}

/* A mark speaks of its own segment only: at any distance from the boundary. */
static void marks_meet_every_gap(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 1; /* one at every commit */
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    uint64_t number = 0;
    for (uint64_t gap = 8; gap <= 400; gap += 8) {
        while (stele_tail(log) % SEGMENT_SMALL > SEGMENT_SMALL / 2) { /* what the last round left over */
            append_bytes(log, 64);
            number++;
        }
        uint64_t left = SEGMENT_SMALL - stele_tail(log) % SEGMENT_SMALL;
        while (left > 16384 + 500) {
            append_bytes(log, 16384);
            number++;
            left -= 16384;
        }
        append_bytes(log, (left - gap) / 2 / 8 * 8);
        append_bytes(log, left - gap - (left - gap) / 2 / 8 * 8);
        number += 2;
        must(SEGMENT_SMALL - stele_tail(log) % SEGMENT_SMALL == gap);
        succeeds(stele_sync(log, STELE_LSN_ALL)); /* the mark goes into the gap, or does not fit */
        succeeds(stele_sync(log, STELE_LSN_ALL));
        append_bytes(log, 64);
        number++;
        succeeds(stele_sync(log, STELE_LSN_ALL));
        must(stele_durable(log) == stele_tail(log));
    }
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_gap_is_covered_on_both_sides),
        LAW(a_record_that_ends_at_the_boundary_needs_no_cover),
        LAW(every_way_to_append_crosses),
        LAW(marks_meet_every_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
