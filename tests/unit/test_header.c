/* SPDX-License-Identifier: BSD-3-Clause */
/* Segment header: every damage is found or healed by the other copy; what is newer is refused. */
#include "test_format.h"

#include "format/segment.h"

#include <stdlib.h>

#define COPY STELE__HEADER_COPY

static struct stele__header sample(uint32_t metadata_bytes)
{
    struct stele__header header;
    memset(&header, 0, sizeof header);
    uint64_t random = 41;
    fill_random(header.uuid, sizeof header.uuid, &random);
    header.sequence = 0x11223344;
    header.data_log2 = 20;
    header.base = header.sequence << 20;
    header.created_ns = 0x1817161514131211;
    header.ro_compat = 0x2827262524232221;
    header.salt = 0x34333231;
    header.incarnation = 0x44434241;
    header.metadata_bytes = metadata_bytes;
    fill_random(header.metadata, metadata_bytes, &random);
    return header;
}

/* Make the checksum of a copy right again after a change. */
static void reseal(uint8_t *copy)
{
    uint32_t metadata = stele__load32(copy + 84);
    uint32_t crc = stele__crc32c_table(0, copy, 124);
    stele__store32(copy + 124, stele__crc32c_table(crc, copy + 128, metadata <= 1920 ? metadata : 0));
}

static enum stele__decode decode(const uint8_t *bytes, struct stele__header *out, uint32_t *copies)
{
    memset(out, 0xcc, sizeof *out);
    *copies = 0xcc;
    return stele__header_decode(bytes, out, copies);
}

static void what_was_encoded_is_decoded(void **state)
{
    (void)state;
    const uint32_t sizes[] = {0, 1, 100, STELE_METADATA_MAX};
    for (size_t i = 0; i < STELE__ARRAY_LEN(sizes); i++) {
        for (uint8_t log2 = 16; log2 <= 32; log2++) {
            struct stele__header header = sample(sizes[i]), got;
            header.data_log2 = log2;
            header.base = header.sequence << log2;
            uint8_t *bytes = guarded_new(STELE__HEADER_BYTES);
            memset(bytes, 0xee, STELE__HEADER_BYTES);
            stele__header_encode(bytes, &header);
            uint32_t copies;
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
            assert_int_equal(copies, 3);
            assert_memory_equal(&got, &header, sizeof got);
            assert_memory_equal(bytes, bytes + COPY, COPY);
            assert_true(stele__is_zero(bytes + 128 + sizes[i], COPY - 128 - sizes[i]));
            guarded_free(bytes, STELE__HEADER_BYTES);
        }
    }
}

static void any_flipped_bit_is_healed_by_the_other_copy_and_reported(void **state)
{
    (void)state;
    struct stele__header header = sample(37), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    stele__header_encode(bytes, &header);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        size_t in_copy = bit / 8 % COPY;
        uint32_t copies, damaged = bit / 8 < COPY ? 1u : 2u;
        flip_bit(bytes, bit);
        assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
        assert_memory_equal(&got, &header, sizeof got);
        assert_int_equal(copies,
                         in_copy < 128 + 37 ? 3u & ~damaged : 3u); /* behind the metadata nothing is said */
        flip_bit(bytes, bit);
    }
}

static void any_flipped_bit_of_the_last_copy_is_caught(void **state)
{
    (void)state;
    struct stele__header header = sample(37), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    for (size_t lost = 0; lost < 2; lost++) {
        stele__header_encode(bytes, &header);
        memset(bytes + lost * COPY, 0, COPY);
        size_t left = (1 - lost) * COPY;
        for (size_t bit = left * 8; bit < (left + 128 + 37) * 8; bit++) {
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

static void either_copy_may_be_gone_in_any_sector(void **state)
{
    (void)state;
    struct stele__header header = sample(STELE_METADATA_MAX), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    for (size_t sector = 0; sector < STELE__HEADER_BYTES; sector += 512) {
        const uint8_t junk[] = {0x00, 0xff, 0x5a};
        for (size_t i = 0; i < sizeof junk; i++) {
            uint32_t copies;
            stele__header_encode(bytes, &header);
            memset(bytes + sector, junk[i], 512);
            assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
            assert_int_equal(copies, sector < COPY ? 2 : 1);
            assert_memory_equal(&got, &header, sizeof got);
        }
    }
}

static void set_major(uint8_t *copy, uint64_t i)
{
    stele__store16(copy + 8, (uint16_t)(i == 1 ? 0 : i + 2));
}

static void set_incompat(uint8_t *copy, uint64_t i)
{
    stele__store64(copy + 16, UINT64_C(1) << i);
}

static void set_checksum(uint8_t *copy, uint64_t i)
{
    copy[81] = (uint8_t)(i == 1 ? 0 : i + 2);
}

static void set_chain(uint8_t *copy, uint64_t i)
{
    copy[82] = (uint8_t)(i == 1 ? 0 : i + 2);
}

/* In either copy and in both: what a newer program has written is not overruled by what an older one had. */
static void another_version_or_an_unknown_feature_is_refused_whichever_copy_has_it(void **state)
{
    (void)state;
    void (*const set[])(uint8_t *, uint64_t) = {set_major, set_incompat, set_checksum, set_chain};
    struct stele__header header = sample(5), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    for (size_t s = 0; s < STELE__ARRAY_LEN(set); s++) {
        for (uint64_t i = 0; i < 64; i++) {
            for (unsigned which = 1; which <= 3; which++) {
                uint32_t copies;
                stele__header_encode(bytes, &header);
                for (unsigned c = 0; c < 2; c++) {
                    if ((which >> c & 1) == 0)
                        continue;
                    set[s](bytes + c * COPY, i);
                    reseal(bytes + c * COPY);
                }
                assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_VERSION);
                if (which != 3) /* and so when the familiar copy is lost */
                    memset(bytes + (which == 1 ? COPY : 0), 0, COPY);
                assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_VERSION);
                assert_int_equal(copies, 0);
            }
        }
    }
}

static void a_version_whose_checksum_is_wrong_is_damage(void **state)
{
    (void)state;
    struct stele__header header = sample(5), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    uint32_t copies;
    stele__header_encode(bytes, &header);
    set_major(bytes, 0);
    set_major(bytes + COPY, 0);
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_CRC);
}

static void features_that_only_forbid_writing_and_the_minor_version_are_readable(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct stele__header header = sample(5), got;
        header.ro_compat = UINT64_C(1) << bit;
        uint8_t bytes[STELE__HEADER_BYTES];
        uint32_t copies;
        stele__header_encode(bytes, &header);
        for (unsigned c = 0; c < 2; c++) {
            stele__store16(bytes + c * COPY + 10, (uint16_t)(bit + 1));
            bytes[c * COPY + 83] = 0xff; /* reserved bytes are not judged */
            memset(bytes + c * COPY + 88, 0xff, 36);
            reseal(bytes + c * COPY);
        }
        assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
        assert_int_equal(copies, 3);
        assert_true(got.ro_compat == header.ro_compat);
    }
}

static enum stele__decode with_fields(uint8_t log2, uint64_t sequence, uint64_t base, uint32_t header_bytes)
{
    struct stele__header header = sample(0), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    uint32_t copies;
    header.data_log2 = log2;
    header.sequence = sequence;
    header.base = base;
    stele__header_encode(bytes, &header);
    for (unsigned c = 0; c < 2; c++) {
        stele__store32(bytes + c * COPY + 12, header_bytes);
        reseal(bytes + c * COPY);
    }
    enum stele__decode found = decode(bytes, &got, &copies);
    assert_int_equal(copies, found == STELE__DECODE_OK ? 3 : 0);
    return found;
}

static void fields_out_of_range_are_refused_though_the_checksum_is_right(void **state)
{
    (void)state;
    for (unsigned log2 = 0; log2 < 256; log2++) {
        bool possible = log2 >= 16 && log2 <= 32;
        assert_int_equal(with_fields((uint8_t)log2, 0, 0, 4096),
                         possible ? STELE__DECODE_OK : STELE__DECODE_FIELD);
        if (!possible)
            continue;
        uint64_t limit = UINT64_C(1) << (63 - log2), last = limit - 1;
        assert_int_equal(with_fields((uint8_t)log2, last, last << log2, 4096), STELE__DECODE_OK);
        assert_int_equal(with_fields((uint8_t)log2, limit, limit << log2, 4096), STELE__DECODE_FIELD);
        assert_int_equal(with_fields((uint8_t)log2, UINT64_MAX, UINT64_MAX << log2, 4096),
                         STELE__DECODE_FIELD);
        assert_int_equal(with_fields((uint8_t)log2, 5, UINT64_C(4) << log2, 4096), STELE__DECODE_FIELD);
        assert_int_equal(with_fields((uint8_t)log2, 5, (UINT64_C(5) << log2) + 8, 4096), STELE__DECODE_FIELD);
        assert_int_equal(with_fields((uint8_t)log2, 5, UINT64_C(5) << log2, 8192), STELE__DECODE_FIELD);
        assert_int_equal(with_fields((uint8_t)log2, 5, UINT64_C(5) << log2, 0), STELE__DECODE_FIELD);
    }
}

static void a_metadata_length_out_of_range_is_not_followed(void **state)
{
    (void)state;
    const uint32_t lengths[] = {1921, 1922, 2048, 4096, 1u << 20, INT32_MAX, UINT32_MAX - 127, UINT32_MAX};
    struct stele__header header = sample(STELE_METADATA_MAX), got;
    uint8_t *bytes = guarded_new(STELE__HEADER_BYTES);
    for (size_t i = 0; i < STELE__ARRAY_LEN(lengths); i++) {
        stele__header_encode(bytes, &header);
        for (unsigned c = 0; c < 2; c++) {
            uint32_t copies;
            stele__store32(bytes + c * COPY + 84, lengths[i]);
            reseal(bytes + c * COPY);
            enum stele__decode found = decode(bytes, &got, &copies);
            assert_int_equal(found, c == 0 ? STELE__DECODE_OK : STELE__DECODE_CRC);
            assert_int_equal(copies, c == 0 ? 2 : 0);
        }
    }
    guarded_free(bytes, STELE__HEADER_BYTES);
}

static void when_both_copies_are_sound_and_differ_the_first_counts(void **state)
{
    (void)state;
    struct stele__header one = sample(5), two = sample(5), got;
    two.created_ns++;
    uint8_t bytes[STELE__HEADER_BYTES], other[STELE__HEADER_BYTES];
    uint32_t copies;
    stele__header_encode(bytes, &one);
    stele__header_encode(other, &two);
    memcpy(bytes + COPY, other, COPY);
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_OK);
    assert_int_equal(copies, 1);
    assert_memory_equal(&got, &one, sizeof got);
}

static void the_more_telling_of_two_findings_is_given(void **state)
{
    (void)state;
    struct stele__header header = sample(5), got;
    uint8_t bytes[STELE__HEADER_BYTES];
    uint32_t copies;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_MAGIC);
    stele__header_encode(bytes, &header);
    bytes[0] ^= 1;
    bytes[COPY + 70] ^= 1;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_CRC);
    stele__header_encode(bytes, &header);
    bytes[70] ^= 1;
    bytes[COPY] ^= 1;
    assert_int_equal(decode(bytes, &got, &copies), STELE__DECODE_CRC);
}

static void every_finding_has_words_of_its_own(void **state)
{
    (void)state;
    for (int i = STELE__DECODE_OK; i <= STELE__DECODE_FIELD; i++) {
        assert_string_not_equal(stele__decode_name((enum stele__decode)i), "unknown");
        for (int j = STELE__DECODE_OK; j < i; j++)
            assert_string_not_equal(stele__decode_name((enum stele__decode)i),
                                    stele__decode_name((enum stele__decode)j));
    }
    assert_string_equal(stele__decode_name((enum stele__decode)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(any_flipped_bit_is_healed_by_the_other_copy_and_reported),
        cmocka_unit_test(any_flipped_bit_of_the_last_copy_is_caught),
        cmocka_unit_test(either_copy_may_be_gone_in_any_sector),
        cmocka_unit_test(another_version_or_an_unknown_feature_is_refused_whichever_copy_has_it),
        cmocka_unit_test(a_version_whose_checksum_is_wrong_is_damage),
        cmocka_unit_test(features_that_only_forbid_writing_and_the_minor_version_are_readable),
        cmocka_unit_test(fields_out_of_range_are_refused_though_the_checksum_is_right),
        cmocka_unit_test(a_metadata_length_out_of_range_is_not_followed),
        cmocka_unit_test(when_both_copies_are_sound_and_differ_the_first_counts),
        cmocka_unit_test(the_more_telling_of_two_findings_is_given),
        cmocka_unit_test(every_finding_has_words_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
