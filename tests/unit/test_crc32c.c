/* SPDX-License-Identifier: BSD-3-Clause */
/* base/crc32c.h: three ways to compute the one checksum, compared with the definition in docs/format.md. */
#include "test_format.h"

#include "base/crc32c.h"

/* The definition, bit by bit. */
static uint32_t defined(uint32_t crc, const uint8_t *data, size_t len)
{
    uint32_t r = ~crc;
    for (size_t i = 0; i < len; i++) {
        r ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ ((r & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~r;
}

static uint32_t hardware(uint32_t crc, const void *data, size_t len)
{
    /* Without the instruction there is nothing to compare: the table stands in. */
    return stele__crc32c_has_hw() ? stele__crc32c_hw(crc, data, len) : stele__crc32c_table(crc, data, len);
}

static void the_check_value_of_the_catalogue_comes_out(void **state)
{
    (void)state;
    assert_int_equal(stele__crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(stele__crc32c_table(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(hardware(0, "123456789", 9), 0xe3069283u);
    uint8_t block[32]; /* RFC 3720, B.4 */
    memset(block, 0, sizeof block);
    assert_int_equal(stele__crc32c(0, block, sizeof block), 0x8a9136aau);
    memset(block, 0xff, sizeof block);
    assert_int_equal(stele__crc32c(0, block, sizeof block), 0x62a8ab43u);
    for (uint8_t i = 0; i < sizeof block; i++)
        block[i] = i;
    assert_int_equal(stele__crc32c(0, block, sizeof block), 0x46dd794eu);
}

static void hardware_table_and_definition_agree_on_all_lengths_and_alignments(void **state)
{
    (void)state;
    const uint32_t seeds[] = {0, 1, 0x80000000u, 0xdeadbeefu, UINT32_MAX};
    uint64_t random = 1;
    for (size_t len = 0; len <= 600; len++) {
        for (size_t align = 0; align < 8; align++) {
            uint8_t *data = guarded_new(len + align); /* the end is guarded, the start moves */
            fill_random(data, len, &random);
            uint32_t seed = seeds[(len + align) % STELE__ARRAY_LEN(seeds)];
            uint32_t want = defined(seed, data, len);
            assert_int_equal(stele__crc32c_table(seed, data, len), want);
            assert_int_equal(hardware(seed, data, len), want);
            assert_int_equal(stele__crc32c(seed, data, len), want);
            guarded_free(data, len + align);
        }
    }
}

static void nothing_behind_the_last_byte_is_read(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 600; len++) {
        uint8_t *data = guarded_new(len);
        assert_int_equal(stele__crc32c_table(7, data, len), hardware(7, data, len));
        guarded_free(data, len);
    }
}

static void a_checksum_goes_on_where_it_was_left(void **state)
{
    (void)state;
    uint8_t data[300];
    uint64_t random = 2;
    fill_random(data, sizeof data, &random);
    uint32_t whole = stele__crc32c(0x12345678u, data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        uint32_t head = stele__crc32c(0x12345678u, data, cut);
        assert_int_equal(stele__crc32c(head, data + cut, sizeof data - cut), whole);
        head = stele__crc32c_table(0x12345678u, data, cut);
        assert_int_equal(hardware(head, data + cut, sizeof data - cut), whole);
    }
}

static void steps_of_a_loop_make_the_checksum(void **state)
{
    (void)state;
    uint8_t data[67];
    uint64_t random = 3;
    fill_random(data, sizeof data, &random);
#if defined(__x86_64__)
    if (!stele__crc32c_has_hw()) /* here the steps are the instruction itself: nothing uses them without it */
        return;
#endif
    uint64_t raw = (uint32_t)~0xabcdef01u;
    for (size_t i = 0; i < 64; i += 8)
        raw = stele__crc32c_step64(raw, stele__load64(data + i));
    for (size_t i = 64; i < sizeof data; i++)
        raw = stele__crc32c_step8((uint32_t)raw, data[i]);
    assert_int_equal(~(uint32_t)raw, defined(0xabcdef01u, data, sizeof data));
}

static void other_seeds_give_other_checksums_of_the_same_bytes(void **state)
{
    (void)state;
    uint8_t data[80];
    uint64_t random = 4;
    fill_random(data, sizeof data, &random);
    uint32_t base = stele__crc32c(0x5eedu, data, sizeof data);
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_not_equal(stele__crc32c(0x5eedu ^ 1u << bit, data, sizeof data), base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_of_the_catalogue_comes_out),
        cmocka_unit_test(hardware_table_and_definition_agree_on_all_lengths_and_alignments),
        cmocka_unit_test(nothing_behind_the_last_byte_is_read),
        cmocka_unit_test(a_checksum_goes_on_where_it_was_left),
        cmocka_unit_test(steps_of_a_loop_make_the_checksum),
        cmocka_unit_test(other_seeds_give_other_checksums_of_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
