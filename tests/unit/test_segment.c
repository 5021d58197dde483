/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes of a segment file, salts, the chain's arithmetic, a mark's payload. */
#include "test_format.h"

#include "format/mark.h"
#include "format/segment.h"

#include <stdlib.h>

static void the_parts_of_a_file_follow_each_other(void **state)
{
    (void)state;
    for (unsigned log2 = 16; log2 <= 32; log2++) {
        uint64_t data = UINT64_C(1) << log2;
        uint64_t index = stele__index_offset(data), footer = stele__footer_offset(data);
        assert_true(index == 4096 + data);
        assert_int_equal(footer % 4096, 0);
        uint64_t room = footer - index, needed = stele__index_capacity(data) * STELE__INDEX_ENTRY;
        assert_true(room >= needed && room - needed < 4096);
        assert_true(stele__segment_file_bytes(data) == footer + 8192);
    }
    assert_int_equal(stele__segment_file_bytes(65536), 81920);
}

/* Records of 8 bytes are the most crowded an index can get: an entry whenever the stride allows. */
static void the_index_has_room_for_an_entry_per_stride(void **state)
{
    (void)state;
    for (unsigned log2 = 16; log2 <= 24; log2++) {
        uint64_t data = UINT64_C(1) << log2, entries = 0, last = 0;
        for (uint64_t at = 0; at < data; at += 8) {
            if (at != 0 && at - last < STELE__INDEX_STRIDE)
                continue;
            entries++;
            last = at;
        }
        assert_true(entries <= stele__index_capacity(data));
        assert_true(entries + 1 >= stele__index_capacity(data)); /* nor is room wasted */
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void no_two_segments_of_a_log_share_a_salt(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    const uint32_t starts[] = {0, UINT32_MAX - COUNT / 2};
    uint32_t *salts = malloc(COUNT * sizeof *salts);
    assert_non_null(salts);
    for (size_t s = 0; s < STELE__ARRAY_LEN(starts); s++) {
        uint8_t uuid[16];
        uint64_t random = 51 + s;
        fill_random(uuid, sizeof uuid, &random);
        for (uint32_t i = 0; i < COUNT; i++)
            salts[i] = stele__salt(uuid, starts[s] + i);
        qsort(salts, COUNT, sizeof *salts, by_value);
        for (size_t i = 1; i < COUNT; i++)
            assert_int_not_equal(salts[i], salts[i - 1]);
    }
    free(salts);
}

static void salts_of_neighbours_and_of_other_logs_have_nothing_in_common(void **state)
{
    (void)state;
    uint8_t uuid[16] = {0};
    unsigned flipped = 0;
    for (uint32_t i = 0; i < 1000; i++)
        flipped += (unsigned)__builtin_popcount(stele__salt(uuid, i) ^ stele__salt(uuid, i + 1));
    assert_in_range(flipped, 14000, 18000); /* half of 32 bits each */
    for (size_t byte = 8; byte < 12; byte++) {
        uint8_t other[16] = {0};
        other[byte] = 1;
        assert_int_not_equal(stele__salt(uuid, 1), stele__salt(other, 1));
    }
}

static void the_chain_starts_with_the_log_and_depends_on_every_header_byte(void **state)
{
    (void)state;
    uint8_t uuid[16], record[24];
    uint64_t random = 52;
    fill_random(uuid, sizeof uuid, &random);
    fill_random(record, sizeof record, &random);
    uint64_t start = stele__chain_origin(uuid);
    assert_true(start == stele__load64(uuid));
    for (int fill = 0; fill < 2; fill++) {
        size_t covered = fill != 0 ? 8 : 16;
        uint64_t whole = stele__chain_fold(start, record, fill != 0);
        assert_true(whole != stele__chain_fold(start ^ 1, record, fill != 0));
        for (size_t bit = 0; bit < sizeof record * 8; bit++) {
            flip_bit(record, bit);
            bool same = whole == stele__chain_fold(start, record, fill != 0);
            assert_int_equal(same, bit / 8 >= covered);
            flip_bit(record, bit);
        }
    }
}

static void the_chain_knows_the_order(void **state)
{
    (void)state;
    uint8_t a[16] = {1}, b[16] = {2};
    uint64_t ab = stele__chain_fold(stele__chain_fold(5, a, false), b, false);
    uint64_t ba = stele__chain_fold(stele__chain_fold(5, b, false), a, false);
    assert_true(ab != ba);
}

static void hashes_are_those_of_xxh3(void **state)
{
    (void)state;
    assert_true(stele__hash64("", 0) == UINT64_C(0x2d06800538d394c2)); /* published test vector, seed 0 */
    uint8_t data[16] = {0};
    assert_true(stele__hash64(data, 16) == stele__chain_fold(0, data, false));
}

static void a_mark_comes_back_as_it_was(void **state)
{
    (void)state;
    struct stele__mark mark = {.upto = 0x1817161514131211,
                               .chain = 0x2827262524232221,
                               .chain_start = 0x3837363534333231,
                               .record_number = 0x4847464544434241,
                               .time_ns = 0x5857565554535251,
                               .durable = 0x6867666564636261};
    uint8_t *bytes = guarded_new(STELE__MARK_BYTES);
    memset(bytes, 0xee, STELE__MARK_BYTES);
    stele__mark_encode(bytes, &mark);
    struct stele__mark got;
    assert_true(stele__mark_decode(bytes, STELE__MARK_BYTES, &got));
    assert_memory_equal(&got, &mark, sizeof got);
    guarded_free(bytes, STELE__MARK_BYTES);
}

static void a_mark_of_another_size_or_with_unknown_content_is_none(void **state)
{
    (void)state;
    struct stele__mark mark = {0}, got;
    uint8_t bytes[256];
    for (uint32_t len = 0; len < 200; len++) {
        memset(bytes, 0, sizeof bytes);
        stele__mark_encode(bytes, &mark);
        uint8_t *tight = guarded_new(len); /* a short one is not read beyond its end */
        memcpy(tight, bytes, len);
        assert_int_equal(stele__mark_decode(tight, len, &got), len == 56);
        guarded_free(tight, len);
    }
    for (size_t bit = 0; bit < 56 * 8; bit++) {
        flip_bit(bytes, bit);
        assert_int_equal(stele__mark_decode(bytes, 56, &got), bit < 48 * 8);
        flip_bit(bytes, bit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_file_follow_each_other),
        cmocka_unit_test(the_index_has_room_for_an_entry_per_stride),
        cmocka_unit_test(no_two_segments_of_a_log_share_a_salt),
        cmocka_unit_test(salts_of_neighbours_and_of_other_logs_have_nothing_in_common),
        cmocka_unit_test(the_chain_starts_with_the_log_and_depends_on_every_header_byte),
        cmocka_unit_test(the_chain_knows_the_order),
        cmocka_unit_test(hashes_are_those_of_xxh3),
        cmocka_unit_test(a_mark_comes_back_as_it_was),
        cmocka_unit_test(a_mark_of_another_size_or_with_unknown_content_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
