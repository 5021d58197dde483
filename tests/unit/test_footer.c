/* SPDX-License-Identifier: BSD-3-Clause */
/* Footer: the seal of one segment and of no other. */
#include "test_format.h"

#include "format/segment.h"

#define COPY STELE__FOOTER_COPY

static struct stele__header header_of_sample(void)
{
    struct stele__header header;
    memset(&header, 0, sizeof header);
    memcpy(header.uuid, "0123456789abcdef", 16);
    header.sequence = 7;
    header.data_log2 = 20;
    header.base = UINT64_C(7) << 20;
    header.salt = 0x34333231;
    header.incarnation = 9;
    return header;
}

static struct stele__footer sample(void)
{
    struct stele__footer footer;
    memset(&footer, 0, sizeof footer);
    memcpy(footer.uuid, "0123456789abcdef", 16);
    footer.sequence = 7;
    footer.salt = 0x34333231;
    footer.incarnation = 9;
    footer.end = UINT64_C(8) << 20;
    footer.first_record = 0x5857565554535251;
    footer.records = 0x100;
    footer.chain_start = 0x6867666564636261;
    footer.chain_end = 0x7877767574737271;
    footer.first_time_ns = 0x1817161514131211;
    footer.last_time_ns = 0x2827262524232221;
    footer.index_entries = 17;
    footer.index_hash = 0x3837363534333231;
    footer.data_hash = 0x4847464544434241;
    return footer;
}

static enum stele__decode decode(const uint8_t *bytes, struct stele__footer *out, uint32_t *copies)
{
    memset(out, 0xcc, sizeof *out);
    *copies = 0xcc;
    return stele__footer_decode(bytes, out, copies);
}

static void what_was_encoded_is_decoded(void **state)
{
    (void)state;
    struct stele__footer footer = sample(), got;
    uint8_t *bytes = guarded_new(2 * COPY);
    memset(bytes, 0xee, 2 * COPY);
    stele__footer_encode(bytes, &footer);
    uint32_t copies;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
    assert_int_equal(copies, 3);
    assert_memory_equal(&got, &footer, sizeof got);
    assert_memory_equal(bytes, bytes + COPY, COPY);
    assert_true(stele__is_zero(bytes + 128, COPY - 128));
    guarded_free(bytes, 2 * COPY);
}

static void any_flipped_bit_is_healed_by_the_other_copy_and_reported(void **state)
{
    (void)state;
    struct stele__footer footer = sample(), got;
    uint8_t bytes[2 * COPY];
    stele__footer_encode(bytes, &footer);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        uint32_t copies, damaged = bit / 8 < COPY ? 1u : 2u;
        flip_bit(bytes, bit);
        assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
        assert_memory_equal(&got, &footer, sizeof got);
        assert_int_equal(copies, bit / 8 % COPY < 128 ? 3u & ~damaged : 3u);
        flip_bit(bytes, bit);
    }
}

static void any_flipped_bit_of_the_last_copy_is_caught(void **state)
{
    (void)state;
    struct stele__footer footer = sample(), got;
    uint8_t bytes[2 * COPY];
    for (size_t lost = 0; lost < 2; lost++) {
        stele__footer_encode(bytes, &footer);
        memset(bytes + lost * COPY, 0, COPY);
        size_t left = (1 - lost) * COPY;
        for (size_t bit = left * 8; bit < (left + 128) * 8; bit++) {
            uint32_t copies;
            flip_bit(bytes, bit);
            enum stele__decode found = decode(bytes, &got, &copies);
            assert_int_equal(found, bit / 8 - left < 8 ? STELE__DECODE_MAGIC : STELE__DECODE_CRC);
            assert_int_equal(copies, 0);
            flip_bit(bytes, bit);
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
            assert_int_equal(copies, lost == 0 ? 2 : 1);
        }
    }
}

static void a_segment_that_was_never_sealed_has_none(void **state)
{
    (void)state;
    static const uint8_t bytes[2 * COPY];
    struct stele__footer got;
    uint32_t copies;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_MAGIC);
    assert_int_equal(copies, 0);
}

static void when_both_copies_are_sound_and_differ_the_first_counts(void **state)
{
    (void)state;
    struct stele__footer one = sample(), two = sample(), got;
    two.records++;
    uint8_t bytes[2 * COPY], other[2 * COPY];
    uint32_t copies;
    stele__footer_encode(bytes, &one);
    stele__footer_encode(other, &two);
    memcpy(bytes + COPY, other, COPY);
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
    assert_int_equal(copies, 1);
    assert_memory_equal(&got, &one, sizeof got);
}

static void a_footer_fits_its_header_and_no_other(void **state)
{
    (void)state;
    struct stele__header header = header_of_sample(), other;
    struct stele__footer footer = sample();
    assert_true(stele__footer_fits(&footer, &header));
    for (size_t bit = 0; bit < 128; bit++) {
        other = header;
        flip_bit(other.uuid, bit);
        assert_false(stele__footer_fits(&footer, &other));
    }
    other = header;
    other.sequence++;
    assert_false(stele__footer_fits(&footer, &other));
    other = header;
    other.salt ^= 1;
    assert_false(stele__footer_fits(&footer, &other));
    other = header;
    other.incarnation++; /* an earlier life of the file */
    assert_false(stele__footer_fits(&footer, &other));
    other = header;
    other.data_log2 = 19;
    other.base = UINT64_C(7) << 19;
    assert_false(stele__footer_fits(&footer, &other));
}

static void impossible_counts_do_not_fit(void **state)
{
    (void)state;
    struct stele__header header = header_of_sample();
    struct stele__footer footer = sample();
    footer.end -= 8;
    assert_false(stele__footer_fits(&footer, &header));
    footer.end += 16;
    assert_false(stele__footer_fits(&footer, &header));

    footer = sample();
    footer.records = (UINT64_C(1) << 20) / 16; /* empty payloads */
    assert_true(stele__footer_fits(&footer, &header));
    footer.records++;
    assert_false(stele__footer_fits(&footer, &header));

    footer = sample();
    footer.first_record = UINT64_MAX - footer.records;
    assert_true(stele__footer_fits(&footer, &header));
    footer.first_record++;
    assert_false(stele__footer_fits(&footer, &header));

    footer = sample();
    footer.index_entries = stele__index_capacity(UINT64_C(1) << 20);
    assert_true(stele__footer_fits(&footer, &header));
    footer.index_entries++;
    assert_false(stele__footer_fits(&footer, &header));
    footer.index_entries = UINT64_MAX;
    assert_false(stele__footer_fits(&footer, &header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(any_flipped_bit_is_healed_by_the_other_copy_and_reported),
        cmocka_unit_test(any_flipped_bit_of_the_last_copy_is_caught),
        cmocka_unit_test(a_segment_that_was_never_sealed_has_none),
        cmocka_unit_test(when_both_copies_are_sound_and_differ_the_first_counts),
        cmocka_unit_test(a_footer_fits_its_header_and_no_other),
        cmocka_unit_test(impossible_counts_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
