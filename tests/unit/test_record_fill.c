/* SPDX-License-Identifier: BSD-3-Clause */
/* format/record.c: what a writer stores is what docs/format.md says, by every way of filling a slot. */
#include "test_format.h"

#define SALT 0x97f891ceu
#define DIRT 0xa5

/* The sizes worth trying: all small ones, both sides of the fused loop's end, a few large. */
static const uint32_t large[] = {1000, 1023, 1024, 1025, 4080, 4081, 8191, 16368};
#define SMALL 600u

static uint32_t size_of_case(size_t i)
{
    return i <= SMALL ? (uint32_t)i : large[i - SMALL - 1];
}
#define CASES (SMALL + 1 + STELE__ARRAY_LEN(large))

/* hcheck and crc of the padded record at `at` by the formulas of docs/format.md, 5.3. */
static uint32_t defined_crc(const uint8_t *at, uint64_t word, uint32_t seed, uint8_t *hcheck)
{
    uint64_t bare = word & ~STELE__WORD_HCHECK_MASK;
    uint32_t crc = stele__crc32c_table(seed, &bare, 8);
    *hcheck = (uint8_t)(crc >> 24);
    uint8_t second[8] = {0};
    memcpy(second + 4, at + 12, 4);
    crc = stele__crc32c_table(crc, second, 8);
    size_t covered = stele__word_wire(word) == STELE__WIRE_PAD ? 0 : (stele__word_len(word) + 7u) & ~7u;
    return stele__crc32c_table(crc, at + 16, covered);
}

static void a_filled_record_is_what_the_document_says(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (size_t i = 0; i < CASES; i++) {
        uint32_t len = size_of_case(i), dback = (uint32_t)next_random(&random),
                 seed = (uint32_t)next_random(&random);
        size_t padded = (len + 7u) & ~7u;
        uint8_t *data = guarded_new(len), *at = guarded_new(16 + padded);
        memset(at, DIRT, 16 + padded);
        fill_random(data, len, &random);
        uint64_t word = stele__word_pack(len, 0x42, (uint16_t)i);
        uint64_t sealed = stele__record_fill(at, word, seed, dback, data, len);
        uint8_t hcheck;
        assert_int_equal(stele__load32(at + 8), defined_crc(at, sealed, seed, &hcheck));
        assert_true(sealed == (word | (uint64_t)hcheck << 56));
        assert_int_equal(stele__load32(at + 12), dback);
        assert_memory_equal(at + 16, data, len);
        for (size_t p = len; p < padded; p++)
            assert_int_equal(at[16 + p], 0);
        for (size_t p = 0; p < 8; p++)
            assert_int_equal(at[p], DIRT); /* publishing is the caller's */
        guarded_free(data, len);
        guarded_free(at, 16 + padded);
    }
}

static void filling_equals_gathering_and_sealing(void **state)
{
    (void)state;
    uint64_t random = 12;
    for (size_t i = 0; i < CASES; i++) {
        uint32_t len = size_of_case(i), seed = (uint32_t)next_random(&random);
        size_t padded = (len + 7u) & ~7u;
        uint8_t *data = guarded_new(len), *one = guarded_new(16 + padded), *two = guarded_new(16 + padded);
        memset(one, DIRT, 16 + padded);
        memset(two, DIRT, 16 + padded);
        fill_random(data, len, &random);
        struct iovec pieces[6];
        int count = (int)(i % 6) + 1;
        size_t done = 0;
        for (int p = 0; p < count; p++) {
            size_t take = p == count - 1 ? len - done : next_random(&random) % (len - done + 1);
            pieces[p] = (struct iovec){.iov_base = take == 0 ? NULL : data + done, .iov_len = take};
            done += take;
        }
        uint64_t word = stele__word_pack(len, STELE__WIRE_DATA, 3);
        stele__record_gather(two, pieces, count);
        uint64_t filled = stele__record_fill(one, word, seed, 9, data, len);
        assert_true(filled == stele__record_seal(two, word, seed, 9));
        assert_memory_equal(one, two, 16 + padded);
        guarded_free(data, len);
        guarded_free(one, 16 + padded);
        guarded_free(two, 16 + padded);
    }
}

static void gathering_touches_payload_only(void **state)
{
    (void)state;
    uint8_t at[64];
    memset(at, DIRT, sizeof at);
    char a[] = "abc", b[] = "defg";
    struct iovec pieces[] = {{a, 3}, {NULL, 0}, {b, 4}};
    stele__record_gather(at, pieces, 3);
    assert_memory_equal(at + 16, "abcdefg", 7);
    for (size_t i = 0; i < sizeof at; i++)
        if (i < 16 || i >= 23)
            assert_int_equal(at[i], DIRT);
    stele__record_gather(at, NULL, 0);
    assert_int_equal(at[0], DIRT);
}

static void any_alignment_of_the_source_gives_the_same_record(void **state)
{
    (void)state;
    uint64_t random = 13;
    uint8_t data[400], moved[408], one[416], two[416];
    fill_random(data, sizeof data, &random);
    const uint32_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 400};
    for (size_t i = 0; i < STELE__ARRAY_LEN(sizes); i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            uint64_t word = stele__word_pack(sizes[i], STELE__WIRE_DATA, 1);
            memset(one, 0, sizeof one);
            memset(two, 0, sizeof two);
            memcpy(moved + shift, data, sizes[i]);
            uint64_t first = stele__record_fill(one, word, 1, 2, data, sizes[i]);
            assert_true(first == stele__record_fill(two, word, 1, 2, moved + shift, sizes[i]));
            assert_memory_equal(one, two, sizeof one);
        }
    }
}

static void an_empty_payload_may_be_null(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(16, 0x20000, SALT);
    sheet_put(&sheet, 0x20000, STELE__WIRE_DATA, 1, 0, NULL, 0);
    struct stele__record record;
    assert_int_equal(stele__record_check(&sheet.area, 0x20000, &record), STELE__RECORD_OK);
    assert_int_equal(record.len, 0);
    assert_int_equal(record.bytes, 16);
    sheet_free(&sheet);
}

static void what_is_filled_validates_and_comes_back(void **state)
{
    (void)state;
    uint64_t random = 14;
    struct sheet sheet = sheet_new(32768, 0x7ffe8000, SALT);
    sheet.area.record_max = 32752;
    for (size_t i = 0; i < CASES; i++) {
        uint8_t data[16384];
        uint32_t len = size_of_case(i), dback = (uint32_t)next_random(&random);
        uint16_t epoch = (uint16_t)next_random(&random);
        uint8_t wire = stele__wire_of_type((unsigned)(i % (STELE_TYPE_MAX + 1)));
        stele_lsn lsn = sheet.area.base + 8 * (i % 1000);
        fill_random(data, len, &random);
        sheet_put(&sheet, lsn, wire, epoch, dback, data, len);
        struct stele__record record;
        assert_int_equal(stele__record_check(&sheet.area, lsn, &record), STELE__RECORD_OK);
        assert_true(record.lsn == lsn && record.bytes == stele__record_bytes(len) && record.len == len);
        assert_true(record.epoch == epoch && record.wire == wire && record.dback == dback);
        assert_ptr_equal(record.payload, sheet_at(&sheet, lsn) + 16);
        assert_int_equal(record.crc, stele__load32(sheet_at(&sheet, lsn) + 8));
        assert_memory_equal(record.payload, data, len);
    }
    sheet_free(&sheet);
}

static void a_pad_covers_exactly_its_bytes_and_leaves_its_body(void **state)
{
    (void)state;
    for (uint64_t bytes = 16; bytes <= 2048; bytes += 8) {
        struct sheet sheet = sheet_new((size_t)bytes, 0x20000, SALT);
        sheet.area.record_max = 0; /* the bound of payloads is not one of pads */
        memset(sheet.data, DIRT, (size_t)bytes);
        sheet_pad(&sheet, 0x20000, bytes, 5, 77);
        struct stele__record record;
        assert_int_equal(stele__record_check(&sheet.area, 0x20000, &record), STELE__RECORD_OK);
        assert_true(record.wire == STELE__WIRE_PAD && record.bytes == bytes && record.len == bytes - 16);
        assert_true(record.epoch == 5 && record.dback == 77);
        uint8_t hcheck;
        uint64_t word = stele__load64(sheet.data);
        assert_int_equal(record.crc, defined_crc(sheet.data, word, sheet_seed(&sheet, 0x20000), &hcheck));
        assert_int_equal(stele__word_hcheck(word), hcheck);
        for (uint64_t i = 16; i < bytes; i++)
            assert_int_equal(sheet.data[i], DIRT);
        sheet_free(&sheet);
    }
}

static void a_pad_over_a_whole_segment_of_4_gib_fits_its_length(void **state)
{
    (void)state;
    uint8_t at[16];
    uint64_t word = stele__record_pad(at, STELE_SEGMENT_BYTES_MAX, 1, 2, 3);
    assert_int_equal(stele__word_len(word), STELE_SEGMENT_BYTES_MAX - 16);
    assert_int_equal(stele__word_wire(word), STELE__WIRE_PAD);
    assert_int_equal(stele__record_bytes(stele__word_len(word)), STELE_SEGMENT_BYTES_MAX);
}

static void a_gap_of_8_bytes_is_one_word_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned epoch = 0; epoch <= UINT16_MAX; epoch += 5) {
        struct sheet sheet = sheet_new(8, 0x20000, SALT);
        memset(sheet.data, DIRT, 8);
        uint64_t word = stele__record_pad(sheet.data, 8, (uint16_t)epoch, sheet_seed(&sheet, 0x20000), 99);
        assert_int_equal(sheet.data[7], DIRT);
        stele__store64(sheet.data, word);
        struct stele__record record;
        assert_int_equal(stele__record_check(&sheet.area, 0x20000, &record), STELE__RECORD_OK);
        assert_true(record.wire == STELE__WIRE_FILL && record.bytes == 8 && record.len == 0);
        assert_true(record.epoch == epoch && record.dback == 0);
        assert_int_equal(stele__record_vouches(&record), 0);
        sheet_free(&sheet);
    }
}

static void a_reserved_slot_says_its_length_and_is_no_record(void **state)
{
    (void)state;
    const uint32_t lens[] = {0, 1, 8, 1000, UINT32_MAX};
    for (size_t i = 0; i < STELE__ARRAY_LEN(lens); i++) {
        struct sheet sheet = sheet_new(8, 0x20000, SALT);
        uint64_t word = stele__record_reserved(lens[i], 6, sheet_seed(&sheet, 0x20000));
        stele__store64(sheet.data, word);
        assert_int_equal(sheet_check(&sheet, 0x20000), STELE__RECORD_IS_RESERVED);
        assert_int_equal(stele__word_len(word), lens[i]);
        assert_int_equal(stele__word_epoch(word), 6);
        sheet_free(&sheet);
    }
}

static void dback_says_the_distance_and_stops_at_its_limit(void **state)
{
    (void)state;
    const uint64_t limit = (uint64_t)STELE__DBACK_NONE * 8;
    assert_int_equal(stele__dback(0, 0), 0);
    assert_int_equal(stele__dback(64, 64), 0);
    assert_int_equal(stele__dback(64, 56), 1);
    assert_int_equal(stele__dback(64, 0), 8);
    assert_int_equal(stele__dback(64, 72),
                     0); /* durable in front of it: a stale position, nothing claimed beyond it */
    assert_int_equal(stele__dback(limit - 8, 0), STELE__DBACK_NONE - 1);
    assert_int_equal(stele__dback(limit, 0), STELE__DBACK_NONE);
    assert_int_equal(stele__dback(limit + 8, 0), STELE__DBACK_NONE);
    assert_int_equal(stele__dback(limit + 8, 16), STELE__DBACK_NONE - 1);
    assert_int_equal(stele__dback(UINT64_C(1) << 62, 0), STELE__DBACK_NONE);
}

static void a_record_vouches_for_what_its_writer_had_seen(void **state)
{
    (void)state;
    const stele_lsn lsns[] = {0, 8, 0x20000, UINT64_C(1) << 40, (UINT64_C(1) << 63) - 8};
    for (size_t i = 0; i < STELE__ARRAY_LEN(lsns); i++) {
        for (uint64_t distance = 0; distance <= lsns[i] && distance < 4096; distance += 8) {
            struct stele__record record = {.lsn = lsns[i], .wire = STELE__WIRE_DATA};
            record.dback = stele__dback(lsns[i], lsns[i] - distance);
            assert_true(stele__record_vouches(&record) == lsns[i] - distance);
            record.wire = STELE__WIRE_FILL;
            assert_int_equal(stele__record_vouches(&record), 0);
        }
    }
    struct stele__record record = {
        .lsn = UINT64_C(1) << 40, .wire = STELE__WIRE_MARK, .dback = STELE__DBACK_NONE};
    assert_int_equal(stele__record_vouches(&record), 0); /* saturated */
    record.dback = STELE__DBACK_NONE - 1;
    assert_true(stele__record_vouches(&record) == record.lsn - (uint64_t)(STELE__DBACK_NONE - 1) * 8);
    record.lsn = 64;
    record.dback = 9; /* would reach before the log */
    assert_int_equal(stele__record_vouches(&record), 0);
}

static void user_types_and_wire_types_are_one_to_one(void **state)
{
    (void)state;
    bool taken[256] = {false};
    for (unsigned type = 0; type <= STELE_TYPE_MAX; type++) {
        uint8_t wire = stele__wire_of_type(type);
        assert_true(stele__wire_is_data(wire));
        assert_int_equal(stele__type_of_wire(wire), type);
        assert_false(taken[wire]);
        taken[wire] = true;
    }
    for (unsigned wire = 0; wire < 256; wire++)
        assert_int_equal(stele__wire_is_data((uint8_t)wire), taken[wire]);
    assert_int_equal(stele__wire_of_type(0), 1);
    assert_int_equal(stele__wire_of_type(1), 0x10);
    assert_int_equal(stele__wire_of_type(112), 0x7f);
}

static void the_word_keeps_its_parts_apart(void **state)
{
    (void)state;
    uint64_t random = 15;
    for (int i = 0; i < 10000; i++) {
        uint32_t len = (uint32_t)next_random(&random);
        uint8_t wire = (uint8_t)next_random(&random);
        uint16_t epoch = (uint16_t)next_random(&random);
        uint64_t word = stele__word_pack(len, wire, epoch);
        assert_int_equal(stele__word_hcheck(word), 0);
        word |= UINT64_C(0x9d) << 56;
        assert_true(stele__word_len(word) == len && stele__word_wire(word) == wire);
        assert_true(stele__word_epoch(word) == epoch && stele__word_hcheck(word) == 0x9d);
    }
}

static void sizes_follow_from_the_segment(void **state)
{
    (void)state;
    assert_int_equal(stele__record_max(STELE_SEGMENT_BYTES_MIN), 16384 - 16);
    assert_int_equal(stele__record_max(STELE_SEGMENT_BYTES_MAX), (1u << 30) - 16);
    for (uint64_t len = 0; len < 1000; len++)
        assert_int_equal(stele__record_bytes(len), 16 + (len + 7) / 8 * 8);
    assert_true(stele__record_bytes(UINT32_MAX) == (UINT64_C(1) << 32) + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filled_record_is_what_the_document_says),
        cmocka_unit_test(filling_equals_gathering_and_sealing),
        cmocka_unit_test(gathering_touches_payload_only),
        cmocka_unit_test(any_alignment_of_the_source_gives_the_same_record),
        cmocka_unit_test(an_empty_payload_may_be_null),
        cmocka_unit_test(what_is_filled_validates_and_comes_back),
        cmocka_unit_test(a_pad_covers_exactly_its_bytes_and_leaves_its_body),
        cmocka_unit_test(a_pad_over_a_whole_segment_of_4_gib_fits_its_length),
        cmocka_unit_test(a_gap_of_8_bytes_is_one_word_and_nothing_else),
        cmocka_unit_test(a_reserved_slot_says_its_length_and_is_no_record),
        cmocka_unit_test(dback_says_the_distance_and_stops_at_its_limit),
        cmocka_unit_test(a_record_vouches_for_what_its_writer_had_seen),
        cmocka_unit_test(user_types_and_wire_types_are_one_to_one),
        cmocka_unit_test(the_word_keeps_its_parts_apart),
        cmocka_unit_test(sizes_follow_from_the_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
