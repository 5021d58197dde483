/* SPDX-License-Identifier: BSD-3-Clause */
/* Control file: two blocks written in turn, of which the newer sound one counts. */
#include "test_format.h"

#include "format/control.h"

#define PAGE_B STELE__CONTROL_PAGE

static struct stele__control sample(uint64_t generation)
{
    struct stele__control control;
    memset(&control, 0, sizeof control);
    memcpy(control.uuid, "0123456789abcdef", 16);
    control.generation = generation;
    control.first_sequence = 0x1234567;
    control.first_chain = 0x1817161514131211;
    control.first_record = 0x2827262524232221;
    control.durable = 0x3837363534333230;
    control.created_ns = 0x4847464544434241;
    control.ro_compat = 0x5857565554535251;
    control.incarnation = 0x64636261;
    control.data_log2 = 26;
    return control;
}

static void reseal(uint8_t *block)
{
    stele__store32(block + 124, stele__crc32c_table(0, block, 124));
}

static void encode_both(uint8_t *bytes, uint64_t generation_a, uint64_t generation_b)
{
    struct stele__control a = sample(generation_a), b = sample(generation_b);
    stele__control_encode(bytes, &a);
    stele__control_encode(bytes + PAGE_B, &b);
}

static enum stele__decode decode(const uint8_t *bytes, struct stele__control *out, uint32_t *copies)
{
    memset(out, 0xcc, sizeof *out);
    *copies = 0xcc;
    return stele__control_decode(bytes, out, copies);
}

static void what_was_encoded_is_decoded(void **state)
{
    (void)state;
    uint8_t *bytes = guarded_new(2 * PAGE_B);
    memset(bytes, 0xee, 2 * PAGE_B);
    struct stele__control want = sample(6), got;
    stele__control_encode(bytes, &want);
    assert_int_equal(bytes[PAGE_B], 0xee); /* the other block is not touched */
    assert_true(stele__is_zero(bytes + 128, PAGE_B - 128));
    encode_both(bytes, 6, 5);
    uint32_t copies;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
    assert_int_equal(copies, 3);
    assert_memory_equal(&got, &want, sizeof got);
    guarded_free(bytes, 2 * PAGE_B);
}

static void the_block_with_the_higher_generation_counts(void **state)
{
    (void)state;
    const uint64_t pairs[][2] = {{1, 2}, {2, 1}, {0, UINT64_MAX}, {UINT64_MAX, 0}, {7, 7}};
    for (size_t i = 0; i < STELE__ARRAY_LEN(pairs); i++) {
        uint8_t bytes[2 * PAGE_B];
        struct stele__control a = sample(pairs[i][0]), b = sample(pairs[i][1]), got;
        a.durable = 800;
        b.durable = 1600;
        stele__control_encode(bytes, &a);
        stele__control_encode(bytes + PAGE_B, &b);
        uint32_t copies;
        assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
        assert_int_equal(copies, 3);
        assert_int_equal(got.durable, pairs[i][1] > pairs[i][0] ? 1600 : 800);
    }
}

static void any_flipped_bit_leaves_the_other_block_in_charge(void **state)
{
    (void)state;
    for (uint64_t newer = 0; newer < 2; newer++) {
        uint8_t bytes[2 * PAGE_B];
        encode_both(bytes, newer == 0 ? 9 : 8, newer == 1 ? 9 : 8);
        for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
            struct stele__control got;
            size_t block = bit / 8 / PAGE_B;
            bool covered = bit / 8 % PAGE_B < 128;
            uint32_t copies;
            flip_bit(bytes, bit);
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
            assert_int_equal(copies, covered ? (block == 0 ? 2 : 1) : 3);
            assert_int_equal(got.generation, covered && block == newer ? 8 : 9);
            flip_bit(bytes, bit);
        }
    }
}

static void any_flipped_bit_of_the_last_block_is_caught(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < 2; lost++) {
        uint8_t bytes[2 * PAGE_B];
        encode_both(bytes, 9, 9);
        memset(bytes + lost * PAGE_B, 0, PAGE_B);
        size_t left = (1 - lost) * PAGE_B;
        for (size_t bit = left * 8; bit < (left + 128) * 8; bit++) {
            struct stele__control got;
            uint32_t copies;
            flip_bit(bytes, bit);
            enum stele__decode found = decode(bytes, &got, &copies);
            assert_int_equal(found, bit / 8 - left < 8 ? STELE__DECODE_MAGIC : STELE__DECODE_CRC);
            assert_int_equal(copies, 0);
            flip_bit(bytes, bit);
        }
    }
}

static void another_version_or_an_unknown_feature_is_refused_whichever_block_has_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 66; i++) {
        for (unsigned which = 1; which <= 3; which++) {
            uint8_t bytes[2 * PAGE_B];
            struct stele__control got;
            uint32_t copies;
            encode_both(bytes, 8, 9);
            for (unsigned b = 0; b < 2; b++) {
                uint8_t *block = bytes + b * PAGE_B;
                if ((which >> b & 1) == 0)
                    continue;
                if (i < 64)
                    stele__store64(block + 16, UINT64_C(1) << i);
                else
                    stele__store16(block + 8, i == 64 ? 0 : 2);
                reseal(block);
            }
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_VERSION);
            if (which != 3)
                memset(bytes + (which == 1 ? PAGE_B : 0), 0, PAGE_B);
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_VERSION);
            assert_int_equal(copies, 0);
        }
    }
}

static void features_that_only_forbid_writing_and_the_minor_version_are_readable(void **state)
{
    (void)state;
    uint8_t bytes[2 * PAGE_B];
    encode_both(bytes, 1, 2);
    for (unsigned b = 0; b < 2; b++) {
        uint8_t *block = bytes + b * PAGE_B;
        stele__store16(block + 10, 77);
        memset(block + 13, 0xff, 3); /* reserved bytes are not judged */
        memset(block + 100, 0xff, 24);
        stele__store64(block + 24, UINT64_MAX);
        reseal(block);
    }
    struct stele__control got;
    uint32_t copies;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
    assert_int_equal(copies, 3);
    assert_true(got.ro_compat == UINT64_MAX);
}

static enum stele__decode with_fields(unsigned log2, uint64_t first_sequence, uint64_t durable)
{
    struct stele__control control = sample(3), got;
    control.data_log2 = (uint8_t)log2;
    control.first_sequence = first_sequence;
    control.durable = durable;
    uint8_t bytes[2 * PAGE_B];
    uint32_t copies;
    stele__control_encode(bytes, &control);
    stele__control_encode(bytes + PAGE_B, &control);
    enum stele__decode found = decode(bytes, &got, &copies);
    assert_int_equal(copies, found == STELE__DECODE_OK ? 3 : 0);
    return found;
}

static void fields_out_of_range_are_refused_though_the_checksum_is_right(void **state)
{
    (void)state;
    for (unsigned log2 = 0; log2 < 256; log2++) {
        bool possible = log2 >= 16 && log2 <= 32;
        assert_int_equal(with_fields(log2, 0, 0), possible ? STELE__DECODE_OK : STELE__DECODE_FIELD);
        if (!possible)
            continue;
        uint64_t limit = UINT64_C(1) << (63 - log2);
        assert_int_equal(with_fields(log2, limit - 1, 8), STELE__DECODE_OK);
        assert_int_equal(with_fields(log2, limit, 8), STELE__DECODE_FIELD);
        assert_int_equal(with_fields(log2, UINT64_MAX, 8), STELE__DECODE_FIELD);
    }
    for (uint64_t durable = 0; durable < 64; durable++)
        assert_int_equal(with_fields(26, 0, durable),
                         durable % 8 == 0 ? STELE__DECODE_OK : STELE__DECODE_FIELD);
}

static void the_more_telling_of_two_findings_is_given(void **state)
{
    (void)state;
    uint8_t bytes[2 * PAGE_B];
    struct stele__control got;
    uint32_t copies;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_MAGIC);
    encode_both(bytes, 1, 2);
    bytes[0] ^= 1;
    bytes[PAGE_B + 60] ^= 1;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_CRC);
    encode_both(bytes, 1, 2);
    bytes[60] ^= 1;
    bytes[PAGE_B] ^= 1;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_CRC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(the_block_with_the_higher_generation_counts),
        cmocka_unit_test(any_flipped_bit_leaves_the_other_block_in_charge),
        cmocka_unit_test(any_flipped_bit_of_the_last_block_is_caught),
        cmocka_unit_test(another_version_or_an_unknown_feature_is_refused_whichever_block_has_it),
        cmocka_unit_test(features_that_only_forbid_writing_and_the_minor_version_are_readable),
        cmocka_unit_test(fields_out_of_range_are_refused_though_the_checksum_is_right),
        cmocka_unit_test(the_more_telling_of_two_findings_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
