/* SPDX-License-Identifier: BSD-3-Clause */
/* format/check.c: a record is believed only whole, in its place, and nothing outside the area is read for it.
 * Areas end at a page that faults. */
#include "test_format.h"

#define SALT 0x97f891ceu
#define BASE UINT64_C(0x7fff0000)

static const uint32_t sizes[] = {0, 1, 7, 8, 9, 64, 300};

static void any_flipped_bit_is_caught(void **state)
{
    (void)state;
    const uint8_t wires[] = {STELE__WIRE_DATA, STELE__WIRE_MARK, STELE__WIRE_USER_FIRST,
                             STELE__WIRE_USER_LAST};
    uint64_t random = 21;
    for (size_t w = 0; w < STELE__ARRAY_LEN(wires); w++) {
        for (size_t i = 0; i < STELE__ARRAY_LEN(sizes); i++) {
            uint8_t data[300];
            fill_random(data, sizes[i], &random);
            struct sheet sheet = sheet_new((size_t)stele__record_bytes(sizes[i]), BASE, SALT);
            sheet.area.record_max = 300;
            sheet_put(&sheet, BASE, wires[w], (uint16_t)(1 + i), (uint32_t)i * 3, data, sizes[i]);
            assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
            for (size_t bit = 0; bit < sheet.area.bytes * 8; bit++) {
                flip_bit(sheet.data, bit);
                assert_int_not_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
                flip_bit(sheet.data, bit);
            }
            assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
            sheet_free(&sheet);
        }
    }
}

static void any_two_flipped_bits_of_a_small_record_are_caught(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(24, BASE, SALT);
    sheet_put(&sheet, BASE, STELE__WIRE_DATA, 1, 4, "hello", 5);
    for (size_t one = 0; one < sheet.area.bytes * 8; one++) {
        flip_bit(sheet.data, one);
        for (size_t two = 0; two < one; two++) {
            flip_bit(sheet.data, two);
            assert_int_not_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
            flip_bit(sheet.data, two);
        }
        flip_bit(sheet.data, one);
    }
    sheet_free(&sheet);
}

/* docs/format.md, 5.3: the body of a pad means nothing. */
static void a_flipped_bit_of_a_pad_is_caught_in_its_header_and_harmless_in_its_body(void **state)
{
    (void)state;
    for (size_t bytes = 16; bytes <= 64; bytes += 8) {
        struct sheet sheet = sheet_new(bytes, BASE, SALT);
        sheet_pad(&sheet, BASE, bytes, 2, 3);
        for (size_t bit = 0; bit < bytes * 8; bit++) {
            flip_bit(sheet.data, bit);
            if (bit < STELE__RECORD_HEADER * 8)
                assert_int_not_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
            else
                assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
            flip_bit(sheet.data, bit);
        }
        sheet_free(&sheet);
    }
}

/* A FILL has 8 bits of check: single bits are caught by construction of the checksum, at every place. */
static void any_flipped_bit_of_a_fill_or_an_open_slot_is_caught(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 1000; place++) {
        struct sheet sheet = sheet_new(8 + 16 * (place % 2), BASE + 8 * place, SALT + place);
        stele_lsn lsn = sheet.area.base;
        for (int open = 0; open < 2; open++) {
            uint64_t slot = stele__record_reserved(8 * place, 1, sheet_seed(&sheet, lsn));
            sheet_pad(&sheet, lsn, 8, (uint16_t)(place * 13), 0);
            if (open != 0)
                stele__store64(sheet.data, slot);
            enum stele__check whole = sheet_check(&sheet, lsn);
            assert_int_equal(whole, open != 0 ? STELE__RECORD_IS_RESERVED : STELE__RECORD_OK);
            for (size_t bit = 0; bit < 64; bit++) {
                flip_bit(sheet.data, bit);
                enum stele__check found = sheet_check(&sheet, lsn);
                assert_true(found != STELE__RECORD_OK && found != whole);
                flip_bit(sheet.data, bit);
            }
        }
        sheet_free(&sheet);
    }
}

static void zero_is_free(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(128, BASE, SALT);
    for (stele_lsn lsn = BASE; lsn < BASE + 128; lsn += 8)
        assert_int_equal(sheet_check(&sheet, lsn), STELE__RECORD_IS_FREE);
    memset(sheet.data + 8, 0xff, 120); /* filled, not published */
    assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_IS_FREE);
    sheet_free(&sheet);
}

/* Give the word its true hcheck, so that the next guard is the one on trial. */
static uint64_t with_hcheck(uint64_t word, uint32_t seed)
{
    word &= ~STELE__WORD_HCHECK_MASK;
    return word | (uint64_t)(stele__crc32c(seed, &word, 8) >> 24) << 56;
}

static void only_the_types_of_the_table_exist(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(64, BASE, SALT);
    for (unsigned wire = 0; wire < 256; wire++) {
        bool known = wire == 1 || wire == 5 || wire == 6 || wire == 8 || (wire >= 0x10 && wire <= 0x7f);
        uint32_t len = wire == STELE__WIRE_FILL ? 0 : 48;
        uint64_t word = stele__word_pack(len, (uint8_t)wire, 1);
        uint8_t zeroes[48] = {0};
        word = stele__record_fill(sheet.data, word, sheet_seed(&sheet, BASE), 0, zeroes, len);
        if (wire == STELE__WIRE_PAD)
            word = stele__record_pad(sheet.data, 64, 1, sheet_seed(&sheet, BASE), 0);
        stele__store64(sheet.data, word);
        sheet.area.record_max = 48;
        enum stele__check want = known ? STELE__RECORD_OK : STELE__RECORD_BAD_TYPE;
        assert_int_equal(sheet_check(&sheet, BASE), wire == 0x80 ? STELE__RECORD_IS_RESERVED : want);
    }
    sheet_free(&sheet);
}

static bool length_possible(uint8_t wire, uint64_t len, uint64_t left, uint64_t max)
{
    if (wire == STELE__WIRE_FILL)
        return len == 0;
    bool shaped = wire == STELE__WIRE_PAD ? len % 8 == 0 : len <= max;
    return shaped && 16 + (len + 7) / 8 * 8 <= left;
}

static void an_absurd_length_is_refused_before_anything_behind_it_is_read(void **state)
{
    (void)state;
    const uint32_t absurd[] = {511,
                               512,
                               513,
                               4095,
                               4096,
                               65536,
                               1u << 30,
                               INT32_MAX,
                               1u << 31,
                               UINT32_MAX - 15,
                               UINT32_MAX - 8,
                               UINT32_MAX - 7,
                               UINT32_MAX - 1,
                               UINT32_MAX};
    const uint8_t wires[] = {
        STELE__WIRE_DATA, STELE__WIRE_PAD, STELE__WIRE_MARK, STELE__WIRE_FILL, 0x10, 0x7f};
    struct sheet sheet = sheet_new(256, BASE, SALT);
    sheet.area.record_max = 64;
    memset(sheet.data, 0x33, 256);
    for (stele_lsn lsn = BASE; lsn < BASE + 256; lsn += 8) {
        uint8_t kept[8];
        memcpy(kept, sheet_at(&sheet, lsn), 8);
        for (size_t w = 0; w < STELE__ARRAY_LEN(wires); w++) {
            for (size_t i = 0; i < 300 + STELE__ARRAY_LEN(absurd); i++) {
                uint32_t len = i < 300 ? (uint32_t)i : absurd[i - 300];
                uint64_t word = stele__word_pack(len, wires[w], 1);
                stele__store64(sheet_at(&sheet, lsn), with_hcheck(word, sheet_seed(&sheet, lsn)));
                enum stele__check want =
                    wires[w] == STELE__WIRE_FILL ? STELE__RECORD_OK : STELE__RECORD_BAD_CRC;
                if (!length_possible(wires[w], len, BASE + 256 - lsn, 64))
                    want = STELE__RECORD_BAD_LEN;
                assert_int_equal(sheet_check(&sheet, lsn), want);
            }
        }
        memcpy(sheet_at(&sheet, lsn), kept, 8);
    }
    sheet_free(&sheet);
}

static void a_length_is_not_believed_without_its_check(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(64, BASE, SALT);
    sheet.area.record_max = UINT32_MAX;
    for (unsigned wrong = 1; wrong < 256; wrong++) {
        uint64_t word = stele__word_pack(UINT32_MAX - 7, STELE__WIRE_DATA, 1);
        word = with_hcheck(word, sheet_seed(&sheet, BASE)) ^ (uint64_t)wrong << 56;
        stele__store64(sheet.data, word);
        assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_BAD_HCHECK);
        stele__store64(sheet.data, word ^ UINT64_C(0x81) << 32); /* DATA -> RESERVED */
        assert_int_not_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
    }
    sheet_free(&sheet);
}

static void the_largest_payload_is_a_record_and_one_byte_more_is_not(void **state)
{
    (void)state;
    static uint8_t data[16384];
    struct sheet sheet = sheet_new(65536, BASE, SALT);
    sheet.area.record_max = stele__record_max(65536);
    sheet_put(&sheet, BASE, STELE__WIRE_DATA, 1, 0, data, sheet.area.record_max);
    assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
    sheet_put(&sheet, BASE, STELE__WIRE_DATA, 1, 0, data, sheet.area.record_max + 1);
    assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_BAD_LEN);
    sheet_pad(&sheet, BASE, 65536, 1, 0);
    assert_int_equal(sheet_check(&sheet, BASE), STELE__RECORD_OK);
    sheet_free(&sheet);
}

static void a_pad_of_odd_length_is_refused_though_its_checks_match(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(64, BASE, SALT);
    for (uint32_t len = 0; len <= 48; len++) {
        uint64_t word = stele__word_pack(len, STELE__WIRE_PAD, 1);
        uint8_t *at = sheet.data;
        memset(at, 0, 64);
        stele__store64(at, stele__record_seal(at, word, sheet_seed(&sheet, BASE), 0));
        word = stele__load64(at) & ~STELE__WORD_HCHECK_MASK;
        uint64_t second = 0;
        uint32_t crc = stele__crc32c(stele__crc32c(sheet_seed(&sheet, BASE), &word, 8), &second, 8);
        stele__store32(at + 8, crc);
        assert_int_equal(sheet_check(&sheet, BASE), len % 8 == 0 ? STELE__RECORD_OK : STELE__RECORD_BAD_LEN);
    }
    sheet_free(&sheet);
}

static void a_record_at_another_place_never_validates(void **state)
{
    (void)state;
    for (size_t i = 0; i < STELE__ARRAY_LEN(sizes); i++) {
        uint8_t data[300];
        uint64_t random = 22 + i;
        fill_random(data, sizes[i], &random);
        struct sheet sheet = sheet_new(65536, BASE, SALT);
        size_t bytes = (size_t)stele__record_bytes(sizes[i]);
        uint8_t copy[320];
        sheet_put(&sheet, BASE, STELE__WIRE_DATA, 1, 0, data, sizes[i]);
        memcpy(copy, sheet.data, bytes);
        for (stele_lsn lsn = BASE + 8; lsn + bytes <= BASE + 65536; lsn += 8) {
            memcpy(sheet_at(&sheet, lsn), copy, bytes);
            assert_int_not_equal(sheet_check(&sheet, lsn), STELE__RECORD_OK);
            memset(sheet_at(&sheet, lsn), 0, bytes);
        }
        sheet_free(&sheet);
    }
}

static void a_record_of_another_segment_or_another_life_never_validates(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(65536, BASE, SALT);
    stele_lsn lsn = BASE + 4096;
    sheet_put(&sheet, lsn, STELE__WIRE_DATA, 1, 0, "stale", 5);
    assert_int_equal(sheet_check(&sheet, lsn), STELE__RECORD_OK);
    for (uint64_t other = 1; other < 5000;
         other++) { /* the same bytes at the same offset of other segments */
        struct stele__area moved = sheet.area;
        moved.base = BASE + other * 65536;
        struct stele__record record;
        assert_int_not_equal(stele__record_check(&moved, moved.base + 4096, &record), STELE__RECORD_OK);
    }
    for (uint32_t other = 1; other < 100000; other++) { /* the same file, prepared anew */
        sheet.area.salt = SALT ^ other;
        assert_int_not_equal(sheet_check(&sheet, lsn), STELE__RECORD_OK);
        sheet.area.salt = SALT ^ other << 15;
        assert_int_not_equal(sheet_check(&sheet, lsn), STELE__RECORD_OK);
    }
    sheet_free(&sheet);
}

static void out_is_left_alone_unless_the_record_is_whole(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(64, BASE, SALT);
    struct stele__record record, before;
    memset(&record, 0x5a, sizeof record);
    before = record;
    sheet_put(&sheet, BASE, STELE__WIRE_DATA, 1, 0, "hello", 5);
    for (size_t bit = 0; bit < 24 * 8; bit++) {
        flip_bit(sheet.data, bit);
        (void)stele__record_check(&sheet.area, BASE, &record);
        assert_memory_equal(&record, &before, sizeof record);
        flip_bit(sheet.data, bit);
    }
    sheet_free(&sheet);
}

static void every_finding_has_words_of_its_own(void **state)
{
    (void)state;
    for (int i = STELE__RECORD_OK; i <= STELE__RECORD_BAD_CRC; i++) {
        assert_string_not_equal(stele__check_name((enum stele__check)i), "unknown");
        for (int j = STELE__RECORD_OK; j < i; j++)
            assert_string_not_equal(stele__check_name((enum stele__check)i),
                                    stele__check_name((enum stele__check)j));
    }
    assert_string_equal(stele__check_name((enum stele__check)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_bit_is_caught),
        cmocka_unit_test(any_two_flipped_bits_of_a_small_record_are_caught),
        cmocka_unit_test(a_flipped_bit_of_a_pad_is_caught_in_its_header_and_harmless_in_its_body),
        cmocka_unit_test(any_flipped_bit_of_a_fill_or_an_open_slot_is_caught),
        cmocka_unit_test(zero_is_free),
        cmocka_unit_test(only_the_types_of_the_table_exist),
        cmocka_unit_test(an_absurd_length_is_refused_before_anything_behind_it_is_read),
        cmocka_unit_test(a_length_is_not_believed_without_its_check),
        cmocka_unit_test(the_largest_payload_is_a_record_and_one_byte_more_is_not),
        cmocka_unit_test(a_pad_of_odd_length_is_refused_though_its_checks_match),
        cmocka_unit_test(a_record_at_another_place_never_validates),
        cmocka_unit_test(a_record_of_another_segment_or_another_life_never_validates),
        cmocka_unit_test(out_is_left_alone_unless_the_record_is_whole),
        cmocka_unit_test(every_finding_has_words_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
