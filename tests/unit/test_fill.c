/* SPDX-License-Identifier: BSD-3-Clause */
/* format/fill.h: a checksum taken before the place of a record is known makes the same record; and what
 * that rests on in base/crc32c.h. Without the crc32 instruction nothing calls these functions, and nothing
 * is left to show. */
#include "test_format.h"

#include "format/fill.h"

#define DIRT 0x5a

STELE__CRC_TARGET static void compare_summed(uint32_t len, uint32_t seed, uint32_t dback, uint64_t *random)
{
    const size_t bytes = (size_t)stele__record_bytes(len);
    uint8_t *data = guarded_new(len), *one = guarded_new(bytes), *two = guarded_new(bytes);
    memset(one, DIRT, bytes);
    memset(two, DIRT, bytes);
    fill_random(data, len, random);
    uint64_t word = stele__word_pack(len, STELE__WIRE_DATA, 7);
    uint64_t sum = stele__fill_sum(data, len);
    uint64_t summed = stele__fill_summed(two, word, seed, dback, data, len, sum);
    assert_true(stele__record_fill(one, word, seed, dback, data, len) == summed);
    assert_memory_equal(one, two, bytes);
    guarded_free(data, len);
    guarded_free(one, bytes);
    guarded_free(two, bytes);
}

static void a_sum_taken_ahead_makes_the_same_record(void **state)
{
    (void)state;
    if (!stele__crc32c_has_hw())
        return;
    uint64_t random = 21;
    for (uint32_t len = 0; len <= STELE__FUSED_MAX; len++)
        for (int i = 0; i < 4; i++)
            compare_summed(len, (uint32_t)next_random(&random), (uint32_t)next_random(&random), &random);
}

STELE__CRC_TARGET static void compare_moved(uint64_t raw)
{
    uint64_t stepped = raw;
    for (unsigned words = 0; words < 512; words++) {
        assert_true(stele__crc32c_move(raw, words) == stepped);
        stepped = stele__crc32c_step64(stepped, 0);
    }
}

static void moving_the_register_equals_words_of_zero(void **state)
{
    (void)state;
    if (!stele__crc32c_has_hw())
        return;
    uint64_t random = 22;
    compare_moved(0);
    compare_moved(UINT32_MAX);
    for (int i = 0; i < 20; i++)
        compare_moved((uint32_t)next_random(&random));
}

static void long_lanes_make_the_same_checksum(void **state)
{
    (void)state;
    if (!stele__crc32c_has_hw())
        return;
    const size_t most = 3 * 3072 + 3 * 384 + 17;
    uint64_t random = 23;
    uint8_t *data = guarded_new(most);
    fill_random(data, most, &random);
    for (size_t len = 0; len <= most; len += 1 + len / 40) {
        uint32_t seed = (uint32_t)next_random(&random);
        const uint8_t *from = data + most - len;
        assert_int_equal(stele__crc32c_hw(seed, from, len), stele__crc32c_table(seed, from, len));
    }
    guarded_free(data, most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_taken_ahead_makes_the_same_record),
        cmocka_unit_test(moving_the_register_equals_words_of_zero),
        cmocka_unit_test(long_lanes_make_the_same_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
