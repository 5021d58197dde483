/* SPDX-License-Identifier: BSD-3-Clause */
/* base/bits.h: alignment, little-endian fields, all-zero. */
#include "test_format.h"

static void a_single_byte_anywhere_is_not_zero(void **state)
{
    (void)state;
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len < 200; len++) {
            uint8_t *data = guarded_new(start + len) + start;
            assert_true(stele__is_zero(data, len));
            for (size_t i = 0; i < len; i++) {
                data[i] = (uint8_t)(1u << i % 8);
                assert_false(stele__is_zero(data, len));
                data[i] = 0;
            }
            guarded_free(data - start, start + len);
        }
    }
}

/* The words of a line are taken together: two that are alike must not cancel each other. */
static void equal_bytes_do_not_hide_each_other(void **state)
{
    (void)state;
    uint8_t data[200] = {0};
    for (size_t i = 0; i < sizeof data; i++) {
        for (size_t j = i + 1; j < sizeof data; j++) {
            data[i] = data[j] = 0x40;
            assert_false(stele__is_zero(data, sizeof data));
            data[i] = data[j] = 0;
        }
    }
    memset(data, 0xff, sizeof data);
    assert_false(stele__is_zero(data, sizeof data));
}

static void bytes_outside_the_range_do_not_count(void **state)
{
    (void)state;
    uint8_t data[256];
    for (size_t start = 1; start < 9; start++) {
        for (size_t len = 0; len < 200; len++) {
            memset(data, 0xff, sizeof data);
            memset(data + start, 0, len);
            assert_true(stele__is_zero(data + start, len));
        }
    }
}

static void alignment_goes_to_the_nearest_multiple(void **state)
{
    (void)state;
    for (uint64_t power = 1; power <= 4096; power *= 2) {
        for (uint64_t value = 0; value < 9000; value++) {
            uint64_t down = value - value % power;
            assert_int_equal(stele__align_down(value, power), down);
            assert_int_equal(stele__align_up(value, power), down == value ? value : down + power);
        }
    }
    assert_int_equal(stele__align_up(UINT64_C(0xfffffffffffffff1), 8), UINT64_C(0xfffffffffffffff8));
}

static void powers_of_two_are_the_64_of_them(void **state)
{
    (void)state;
    assert_false(stele__is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        uint64_t power = UINT64_C(1) << i;
        assert_true(stele__is_power_of_two(power));
        if (i > 1)
            assert_false(stele__is_power_of_two(power - 1));
        for (unsigned j = 0; j < i; j++)
            assert_false(stele__is_power_of_two(power | UINT64_C(1) << j));
    }
}

static void the_smaller_and_the_larger(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 2, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < STELE__ARRAY_LEN(values); i++) {
        for (size_t j = i; j < STELE__ARRAY_LEN(values); j++) {
            assert_int_equal(stele__min_u64(values[i], values[j]), values[i]);
            assert_int_equal(stele__min_u64(values[j], values[i]), values[i]);
            assert_int_equal(stele__max_u64(values[i], values[j]), values[j]);
            assert_int_equal(stele__max_u64(values[j], values[i]), values[j]);
        }
    }
}

static void fields_are_little_endian_at_any_address(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 8; offset++) {
        uint8_t bytes[24];
        memset(bytes, 0xee, sizeof bytes);
        stele__store64(bytes + offset, UINT64_C(0x0807060504030201));
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(bytes[offset + i], i + 1);
        assert_int_equal(bytes[offset + 8], 0xee);
        assert_int_equal(stele__load64(bytes + offset), UINT64_C(0x0807060504030201));
        assert_int_equal(stele__load32(bytes + offset), 0x04030201u);
        assert_int_equal(stele__load16(bytes + offset), 0x0201u);
        stele__store32(bytes + offset, 0xd4c3b2a1u);
        stele__store16(bytes + offset + 4, 0xf6e5u);
        const uint8_t want[9] = {0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 7, 8, 0xee};
        assert_memory_equal(bytes + offset, want, sizeof want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_byte_anywhere_is_not_zero),
        cmocka_unit_test(equal_bytes_do_not_hide_each_other),
        cmocka_unit_test(bytes_outside_the_range_do_not_count),
        cmocka_unit_test(alignment_goes_to_the_nearest_multiple),
        cmocka_unit_test(powers_of_two_are_the_64_of_them),
        cmocka_unit_test(the_smaller_and_the_larger),
        cmocka_unit_test(fields_are_little_endian_at_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
