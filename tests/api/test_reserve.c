/* SPDX-License-Identifier: BSD-3-Clause */
/* test_reserve.c: slots filled in place. A slot is ours alone until it is published, whole or shrunk, or abandoned; whoever
 * stands behind an open one waits. */
#include "lib/dir.h"

#include <stdlib.h>
#include <string.h>

#include "format/record.h"
#include "format/segment.h"

static uint64_t word_at(const struct dir *dir, stele_lsn lsn)
{
    uint64_t word;
    file_read(segment_file(dir, lsn / SEGMENT_SMALL, SEGMENT_SMALL),
              STELE__HEADER_BYTES + lsn % SEGMENT_SMALL, &word, sizeof word);
    return word;
}

static void a_slot_is_zero_and_aligned_and_readers_stop_in_front_of_it(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 3);
    struct stele_slot slot;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 100, 16368};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        stele_lsn tail = stele_tail(log);
        succeeds(stele_reserve(log, 5, sizes[i], &slot));
        must(slot.len == sizes[i] && slot.lsn >= tail && slot.type == 5 && (uintptr_t)slot.data % 8 == 0);
        must(stele__is_zero(slot.data, slot.len));
        must(stele__word_wire(word_at(dir, slot.lsn)) == STELE__WIRE_RESERVED);
        append_numbered(log, 3); /* behind it: published, not to be seen yet */
        expect_range(log, 0, 3);
        memset(slot.data, 0xff, slot.len);
        expect_range(log, 0, 3);
        succeeds(stele_abandon(log, &slot));
        expect_range(log, 0, 4);
        succeeds(stele_close(log));
        dir_empty(dir->log);
        log = log_open(dir->log, STELE_CREATE);
        append_range(log, 0, 3);
    }
    succeeds(stele_close(log));
}

/* Every pair of reserved and used length: what is left over is one FILL, or a PAD. */
static void a_slot_may_be_published_shrunk_to_any_length(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    static stele_lsn lsns[6000];
    static uint8_t data[100];
    size_t n = 0;
    for (size_t len = 0; len <= 96; len += 3) {
        for (size_t used = 0; used <= len; used++) {
            struct stele_slot slot;
            succeeds(stele_reserve(log, 9, len, &slot));
            memset(slot.data, (int)len + 1, len);
            lsns[n++] = slot.lsn;
            stele_lsn end = slot.lsn + stele__record_bytes(used),
                      slot_end = slot.lsn + stele__record_bytes(len);
            succeeds(stele_publish(log, &slot, used));
            must(slot.data == NULL);
            uint64_t rest = end < slot_end ? word_at(dir, end) : 0;
            if (slot_end - end == 8)
                must(stele__word_wire(rest) == STELE__WIRE_FILL);
            else if (slot_end > end)
                must(stele__word_wire(rest) == STELE__WIRE_PAD &&
                     stele__word_len(rest) == slot_end - end - 16);
        }
    }
    succeeds(stele_close(log));
    log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    n = 0;
    for (size_t len = 0; len <= 96; len += 3) {
        for (size_t used = 0; used <= len; used++) {
            must(stele_cursor_next(cursor, &record) == 1);
            must(record.lsn == lsns[n++] && record.len == used && record.type == 9);
            memset(data, (int)len + 1, used);
            must(memcmp(record.data, data, used) == 0);
            static const uint8_t zero[8];
            must(memcmp((const uint8_t *)record.data + used, zero, stele__align_up(used, 8) - used) == 0);
        }
    }
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void slots_are_published_in_any_order(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    enum { SLOTS = 6 };
    static const uint8_t orders[][SLOTS] = {
        {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}, {1, 2, 3, 4, 5, 0}};
    uint64_t next = 0;
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct stele_slot slots[SLOTS];
        bool open[SLOTS];
        for (unsigned i = 0; i < SLOTS; i++) {
            succeeds(stele_reserve(log, numbered_type(next + i), NUMBERED_MAX, &slots[i]));
            open[i] = true;
        }
        for (unsigned i = 0; i < SLOTS; i++) {
            unsigned which = orders[o][i];
            succeeds(stele_publish(log, &slots[which], numbered(next + which, slots[which].data)));
            open[which] = false;
            unsigned seen = 0;
            while (seen < SLOTS && !open[seen])
                seen++;
            expect_range(log, 0, next + seen);
        }
        next += SLOTS;
    }
    succeeds(stele_close(log));
    expect_log(dir->log, 0, next);
}

static void the_durable_point_stops_at_an_open_slot(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    stele_lsn before = append_range(log, 0, 3);
    struct stele_slot slot;
    succeeds(stele_reserve(log, 1, 10, &slot));
    stele_lsn behind = append_numbered(log, 4);
    succeeds(stele_sync(log, before)); /* does not have to wait for the slot */
    must(stele_durable(log) == slot.lsn);
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, behind, 1000 * 1000));
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, slot.lsn, 0));
    succeeds(stele_sync_begin(log));
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, slot.lsn, 5 * 1000 * 1000));
    must(stele_durable(log) == slot.lsn);
    succeeds(stele_publish(log, &slot, 10));
    succeeds(
        stele_durable_wait(log, behind, STELE_WAIT_FOREVER)); /* the sync begun above goes on by itself */
    must(stele_durable(log) > behind);
    succeeds(stele_close(log));
}

static void what_is_no_open_slot_is_refused(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_slot slot = {0};
    returns(STELE_EINVAL, stele_publish(log, &slot, 0));
    returns(STELE_EINVAL, stele_abandon(log, &slot));
    returns(STELE_EINVAL, stele_reserve(log, STELE_TYPE_MAX + 1, 8, &slot));
    returns(STELE_EINVAL, stele_publish(log, &slot, 0));
    returns(STELE_ETOOBIG, stele_reserve(log, 0, stele_record_max(log) + 1, &slot));
    returns(STELE_ETOOBIG, stele_reserve(log, 0, SIZE_MAX, &slot));
    returns(STELE_EINVAL, stele_abandon(log, &slot));
    must(stele_tail(log) == 0);

    succeeds(stele_reserve(log, 0, 8, &slot));
    returns(STELE_EINVAL, stele_publish(log, &slot, 9)); /* more than there is: the slot stays open */
    returns(STELE_EINVAL, stele_publish(log, &slot, SIZE_MAX));
    memcpy(slot.data, "12345678", 8);
    succeeds(stele_publish(log, &slot, 8));
    returns(STELE_EINVAL, stele_publish(log, &slot, 8));
    returns(STELE_EINVAL, stele_abandon(log, &slot));
    succeeds(stele_reserve(log, 0, 8, &slot));
    succeeds(stele_abandon(log, &slot));
    returns(STELE_EINVAL, stele_abandon(log, &slot));
    returns(STELE_EINVAL, stele_publish(log, &slot, 0));
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    must(stele_cursor_next(cursor, &record) == 1 && record.len == 8 &&
         memcmp(record.data, "12345678", 8) == 0);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

/* Nobody can publish it any more, so it is abandoned: what stands behind it is not lost with it. */
static void a_log_closed_with_an_open_slot_keeps_what_stands_around_it(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 7);
    struct stele_slot slot;
    succeeds(stele_reserve(log, 1, 10, &slot));
    append_range(log, 100, 103);
    succeeds(stele_close(log));
    log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (uint64_t number = 0; number < 103; number = number == 6 ? 100 : number + 1)
        must(stele_cursor_next(cursor, &record) == 1 && is_numbered(number, &record));
    must(stele_cursor_next(cursor, &record) == 0);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_slot_is_zero_and_aligned_and_readers_stop_in_front_of_it),
        LAW(a_slot_may_be_published_shrunk_to_any_length),
        LAW(slots_are_published_in_any_order),
        LAW(the_durable_point_stops_at_an_open_slot),
        LAW(what_is_no_open_slot_is_refused),
        LAW(a_log_closed_with_an_open_slot_keeps_what_stands_around_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
