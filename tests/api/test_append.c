/* SPDX-License-Identifier: BSD-3-Clause */
/* test_append.c: what goes in comes out: append, appendv, batches; types, lengths, limits, positions. */
#include "lib/dir.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES(len) (16 + ((len) + 7) / 8 * 8)

/* No record in it but the test's own. */
static struct stele *open_without_marks(const char *path, uint32_t flags)
{
    struct stele_options options = log_options(flags);
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX;
    return log_open_with(path, &options);
}

static struct stele_cursor *from_begin(struct stele *log)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    return cursor;
}

static void expect_record(struct stele_cursor *cursor, stele_lsn lsn, unsigned type, const void *data,
                          size_t len)
{
    struct stele_record record;
    must(stele_cursor_next(cursor, &record) == 1);
    must(record.lsn == lsn && record.type == type && record.len == len);
    must(record.next == lsn + RECORD_BYTES(len));
    must(stele_cursor_lsn(cursor) == record.next);
    must(len == 0 || memcmp(record.data, data, len) == 0);
    must((uintptr_t)record.data % 8 == 0);
    static const uint8_t zero[8];
    must(memcmp((const uint8_t *)record.data + len, zero, RECORD_BYTES(len) - 16 - len) == 0);
}

/* Every length up to some hundred, and around every power of two; the fused copy and the long one. */
static void every_length_comes_back(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    static uint8_t data[20000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + i / 256 + 1);
    static stele_lsn lsns[3000];
    static size_t lens[3000];
    size_t n = 0, max = stele_record_max(log);
    for (size_t len = 0; len <= 600; len++)
        lens[n++] = len;
    for (size_t power = 1024; power <= 16384; power *= 2)
        for (size_t len = power - 17; len <= power + 17; len++)
            if (len <= max)
                lens[n++] = len;
    lens[n++] = max;
    for (size_t i = 0; i < n; i++)
        succeeds(stele_append(log, data + i % 9, lens[i], &lsns[i]));
    must(lsns[0] == 0 && lsns[1] == 16 && lsns[2] == 40);
    struct stele_cursor *cursor = from_begin(log);
    for (size_t i = 0; i < n; i++)
        expect_record(cursor, lsns[i], 0, data + i % 9, lens[i]);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void an_empty_record_needs_no_memory(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    stele_lsn lsn[4];
    const struct iovec nothing[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    succeeds(stele_append(log, NULL, 0, &lsn[0]));
    succeeds(stele_appendv(log, 1, NULL, 0, &lsn[1]));
    succeeds(stele_appendv(log, 2, nothing, 1, &lsn[2]));
    succeeds(stele_appendv(log, 3, nothing, 3, &lsn[3]));
    succeeds(stele_append(log, NULL, 0, NULL)); /* nobody has to ask where it went */
    struct stele_cursor *cursor = from_begin(log);
    for (unsigned i = 0; i < 4; i++)
        expect_record(cursor, 16 * i, i, NULL, 0);
    expect_record(cursor, 64, 0, NULL, 0);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void a_record_has_at_most_a_quarter_of_a_segment(void **state)
{
    struct dir *dir = *state;
    struct stele *log = open_without_marks(dir->log, STELE_CREATE);
    size_t max = stele_record_max(log);
    must(max == SEGMENT_SMALL / 4 - 16);
    uint8_t *data = calloc(1, max + 8);
    must(data != NULL);
    stele_lsn lsn = 77;
    static const size_t more[] = {1, 7, 8};
    for (size_t i = 0; i < 3; i++) {
        returns(STELE_ETOOBIG, stele_append(log, data, max + more[i], &lsn));
        error_says("16368");
    }
    returns(STELE_ETOOBIG, stele_append(log, data, SIZE_MAX, &lsn));
    returns(STELE_ETOOBIG, stele_append(log, data, SIZE_MAX - 15, &lsn));
    returns(STELE_ETOOBIG, stele_append(log, data, UINT32_MAX, &lsn));
    returns(STELE_ETOOBIG, stele_append(log, data, (size_t)UINT32_MAX + 1, &lsn));
    struct iovec iov[3] = {{data, max}, {data, 1}, {data, 0}};
    returns(STELE_ETOOBIG, stele_appendv(log, 0, iov, 2, &lsn));
    iov[0].iov_len = SIZE_MAX; /* a sum that wraps around */
    iov[1].iov_len = 2;
    returns(STELE_ETOOBIG, stele_appendv(log, 0, iov, 3, &lsn));
    must(lsn == 77 && stele_tail(log) == 0);
    for (int i = 0; i < 9; i++) /* exactly the largest: four of them fill a segment */
        succeeds(stele_append(log, data, max, &lsn));
    must(lsn == 8 * SEGMENT_SMALL / 4);
    iov[0].iov_len = max - 1;
    iov[1].iov_len = 1;
    succeeds(stele_appendv(log, 0, iov, 3, &lsn));
    must(lsn == 9 * SEGMENT_SMALL / 4);
    succeeds(stele_close(log));
    free(data);
}

static void appendv_gathers_any_number_of_pieces(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    static uint8_t data[16368], pieces_at[16368];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 131 + 7);
    memcpy(pieces_at, data, sizeof data);
    enum { MOST = 1024 };
    static struct iovec iov[MOST];
    static const int counts[] = {0, 1, 2, 3, 7, 64, MOST};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t step = 0; step < 17; step++) {
            size_t len = 0;
            for (int i = 0; i < counts[c]; i++) { /* lengths 0..step, so that pieces begin at any alignment */
                iov[i] = (struct iovec){pieces_at + len, step == 0 ? 0 : (size_t)i % step};
                len += iov[i].iov_len;
            }
            stele_lsn lsn;
            succeeds(stele_appendv(log, (unsigned)(step * 6 + c), iov, counts[c], &lsn));
            struct stele_cursor *cursor;
            succeeds(stele_cursor_open(log, 0, STELE_FROM_LSN, lsn, &cursor));
            expect_record(cursor, lsn, (unsigned)(step * 6 + c), data, len);
            stele_cursor_close(cursor);
        }
    }
    succeeds(stele_close(log));
}

static void arguments_of_appendv_out_of_range_are_refused(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct iovec iov = {(void *)(uintptr_t) "x", 1};
    returns(STELE_EINVAL, stele_appendv(log, STELE_TYPE_MAX + 1, &iov, 1, NULL));
    returns(STELE_EINVAL, stele_appendv(log, UINT_MAX, &iov, 1, NULL));
    returns(STELE_EINVAL, stele_appendv(log, 0, &iov, -1, NULL));
    returns(STELE_EINVAL, stele_appendv(log, 0, &iov, INT_MIN, NULL));
    returns(STELE_EINVAL, stele_appendv(log, 0, NULL, 1, NULL));
    must(stele_tail(log) == 0);
    succeeds(stele_close(log));
}

static void every_user_type_comes_back(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_entry entries[STELE_TYPE_MAX + 1];
    struct stele_slot slot;
    for (unsigned type = 0; type <= STELE_TYPE_MAX; type++) {
        succeeds(stele_appendv(log, type, &(struct iovec){&type, sizeof type}, 1, NULL));
        entries[type] = (struct stele_entry){.data = &entries[type].type, .len = sizeof type, .type = type};
    }
    must(stele_append_batch(log, entries, STELE_TYPE_MAX + 1) == STELE_TYPE_MAX + 1);
    for (unsigned type = 0; type <= STELE_TYPE_MAX; type++) {
        succeeds(stele_reserve(log, type, sizeof type, &slot));
        must(slot.type == type);
        memcpy(slot.data, &type, sizeof type);
        succeeds(stele_publish(log, &slot, sizeof type));
    }
    succeeds(stele_close(log));
    log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor = from_begin(log);
    struct stele_record record;
    for (unsigned i = 0; i < 3 * (STELE_TYPE_MAX + 1); i++) {
        unsigned type = i % (STELE_TYPE_MAX + 1);
        must(stele_cursor_next(cursor, &record) == 1);
        must(record.type == type && record.len == sizeof type &&
             memcmp(record.data, &type, sizeof type) == 0);
    }
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

/* ---- batches */

static void a_batch_is_appended_in_order_and_told_where_it_went(void **state)
{
    struct dir *dir = *state;
    enum { MANY = 700 };
    static struct stele_entry entries[MANY];
    static uint8_t data[MANY][400];
    struct stele *log = log_open(dir->log, STELE_CREATE);
    must(stele_append_batch(log, NULL, 0) == 0);
    for (size_t count = 1; count <= MANY; count = count * 3 + 1) {
        stele_lsn start = stele_tail(log);
        for (size_t i = 0; i < count; i++) {
            size_t len = (i * 37 + count) % sizeof data[0];
            memset(data[i], (int)(i + count), len);
            entries[i] = (struct stele_entry){
                .data = data[i], .len = len, .type = (unsigned)(i % 113), .lsn = STELE_LSN_NONE};
        }
        must(stele_append_batch(log, entries, count) == (long)count);
        struct stele_cursor *cursor;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_LSN, start, &cursor));
        for (size_t i = 0; i < count; i++)
            expect_record(cursor, entries[i].lsn, entries[i].type, data[i], entries[i].len);
        expect_nothing(cursor);
        stele_cursor_close(cursor);
    }
    must(stele_tail(log) > SEGMENT_SMALL); /* larger than any one reservation, and over boundaries */
    succeeds(stele_close(log));
}

/* As many as fit in a quarter of a segment go with one reservation, so they stand next to each other. */
static void a_reservation_takes_as_many_as_fit_in_a_quarter_of_a_segment(void **state)
{
    struct dir *dir = *state;
    struct stele *log = open_without_marks(dir->log, STELE_CREATE);
    static uint8_t data[1008]; /* 1024 with its header: 16 fill a quarter */
    struct stele_entry entries[80];
    for (size_t i = 0; i < 80; i++)
        entries[i] = (struct stele_entry){.data = data, .len = sizeof data};
    succeeds(stele_append(
        log, data, 0, NULL)); /* off the beat: the fourth group meets the boundary, and gives both sides up */
    must(stele_append_batch(log, entries, 80) == 80);
    for (size_t i = 0; i < 80; i++) {
        size_t group = i / 16;
        stele_lsn start = group < 3 ? 16 + group * 16384 : SEGMENT_SMALL + 16 + (group - 3) * 16384;
        must(entries[i].lsn == start + (i % 16) * 1024);
    }
    succeeds(stele_close(log));
}

static void nothing_of_a_batch_is_appended_when_one_entry_is_wrong(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    enum { MANY = 60 };
    static uint8_t data[16369];
    struct stele_entry entries[MANY];
    for (size_t wrong = 0; wrong < MANY; wrong++) {
        for (size_t i = 0; i < MANY; i++)
            entries[i] = (struct stele_entry){.data = data, .len = 5000, .lsn = 99};
        entries[wrong].len = sizeof data;
        must(stele_append_batch(log, entries, MANY) == STELE_ETOOBIG);
        entries[wrong].len = 1;
        entries[wrong].type = STELE_TYPE_MAX + 1;
        must(stele_append_batch(log, entries, MANY) == STELE_EINVAL);
        must(entries[0].lsn == 99);
        must(stele_tail(log) == 0);
    }
    expect_range(log, 0, 0);
    succeeds(stele_close(log));
}

static void a_single_appender_gets_the_same_log(void **state)
{
    struct dir *dir = *state;
    struct stele *many = open_without_marks(dir_file(dir, "many"), STELE_CREATE);
    struct stele *single = open_without_marks(dir_file(dir, "single"), STELE_CREATE | STELE_SINGLE_APPENDER);
    for (uint64_t number = 0; number < 1500; number++)
        must(append_numbered(many, number) == append_numbered(single, number));
    must(stele_tail(many) == stele_tail(single));
    expect_range(single, 0, 1500);
    succeeds(stele_close(many));
    succeeds(stele_close(single));
    expect_log(dir_file(dir, "many"), 0, 1500);
    struct stele_options options = log_options(STELE_SINGLE_APPENDER);
    options.mark_bytes = 256;
    single = log_open_with(dir_file(dir, "single"), &options);
    for (uint64_t number = 1500; number < 1600; number++) { /* and with marks that a committer asks for */
        append_numbered(single, number);
        succeeds(stele_sync(single, STELE_LSN_ALL));
    }
    succeeds(stele_close(single));
    expect_log(dir_file(dir, "single"), 0, 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_length_comes_back),
        LAW(an_empty_record_needs_no_memory),
        LAW(a_record_has_at_most_a_quarter_of_a_segment),
        LAW(appendv_gathers_any_number_of_pieces),
        LAW(arguments_of_appendv_out_of_range_are_refused),
        LAW(every_user_type_comes_back),
        LAW(a_batch_is_appended_in_order_and_told_where_it_went),
        LAW(a_reservation_takes_as_many_as_fit_in_a_quarter_of_a_segment),
        LAW(nothing_of_a_batch_is_appended_when_one_entry_is_wrong),
        LAW(a_single_appender_gets_the_same_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
