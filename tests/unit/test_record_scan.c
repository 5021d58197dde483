/* SPDX-License-Identifier: BSD-3-Clause */
/* stele__record_scan(): one flipped bit must not hide what follows it. */
#include "test_format.h"

#define SALT 0x97f891ceu
#define BASE UINT64_C(0x20000)

static stele_lsn scan(const struct sheet *sheet, stele_lsn from)
{
    struct stele__record record;
    stele_lsn found = stele__record_scan(&sheet->area, from, &record);
    if (found != STELE_LSN_NONE)
        assert_true(record.lsn == found);
    return found;
}

static void zeroes_hold_nothing(void **state)
{
    (void)state;
    for (size_t bytes = 8; bytes <= 1024; bytes += 8) {
        struct sheet sheet = sheet_new(bytes, BASE, SALT);
        for (stele_lsn from = BASE; from <= BASE + bytes; from += 8)
            assert_true(scan(&sheet, from) == STELE_LSN_NONE);
        sheet_free(&sheet);
    }
}

static void random_bytes_hold_nothing(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(65536, BASE, SALT);
    uint64_t random = 31;
    for (int round = 0; round < 20; round++) {
        fill_random(sheet.data, 65536, &random);
        assert_true(scan(&sheet, BASE) == STELE_LSN_NONE);
    }
    sheet_free(&sheet);
}

/* Zeroes are skipped by the line: a record must be found from any start, at any place in a line. */
static void a_lone_record_is_found_at_every_place_from_every_start(void **state)
{
    (void)state;
    for (int dirty = 0; dirty < 2; dirty++) {
        struct sheet sheet = sheet_new(512, BASE, SALT);
        for (stele_lsn lsn = BASE; lsn + 24 <= BASE + 512; lsn += 8) {
            memset(sheet.data, dirty != 0 ? 0x11 : 0, 512);
            sheet_put(&sheet, lsn, STELE__WIRE_DATA, 1, 0, "hello", 5);
            for (stele_lsn from = BASE; from < BASE + 512; from += 8)
                assert_true(scan(&sheet, from) == (from <= lsn ? lsn : STELE_LSN_NONE));
        }
        sheet_free(&sheet);
    }
}

static void a_base_off_the_line_does_not_hide_a_record(void **state)
{
    (void)state;
    for (stele_lsn base = BASE; base < BASE + 64; base += 8) {
        struct sheet sheet = sheet_new(256, base, SALT);
        for (stele_lsn lsn = base; lsn + 16 <= base + 256; lsn += 8) {
            memset(sheet.data, 0, 256);
            sheet_put(&sheet, lsn, STELE__WIRE_DATA, 1, 0, NULL, 0);
            assert_true(scan(&sheet, base) == lsn);
        }
        sheet_free(&sheet);
    }
}

static void damage_anywhere_in_a_record_leaves_the_next_one_to_be_found(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(1024, BASE, SALT);
    uint8_t data[100];
    uint64_t random = 32;
    fill_random(data, sizeof data, &random);
    stele_lsn starts[8];
    stele_lsn lsn = BASE;
    for (size_t i = 0; i < STELE__ARRAY_LEN(starts); i++) {
        starts[i] = lsn;
        lsn = sheet_put(&sheet, lsn, STELE__WIRE_DATA, 1, 0, data, (uint32_t)(i * 13));
    }
    for (size_t i = 0; i + 1 < STELE__ARRAY_LEN(starts); i++) {
        size_t first = (size_t)(starts[i] - BASE) * 8, end = (size_t)(starts[i + 1] - BASE) * 8;
        for (size_t bit = first; bit < end; bit++) {
            flip_bit(sheet.data, bit);
            assert_true(scan(&sheet, starts[i]) == starts[i + 1]);
            flip_bit(sheet.data, bit);
        }
        assert_true(scan(&sheet, starts[i]) == starts[i]);
        assert_true(scan(&sheet, starts[i] + 8) == starts[i + 1]);
    }
    sheet_free(&sheet);
}

static void a_record_that_ends_with_the_area_is_found(void **state)
{
    (void)state;
    for (uint32_t len = 0; len < 200; len++) {
        struct sheet sheet = sheet_new(256, BASE, SALT);
        sheet.area.record_max = 256;
        stele_lsn lsn = BASE + 256 - stele__record_bytes(len);
        uint8_t data[200];
        memset(data, 0x77, sizeof data);
        sheet_put(&sheet, lsn, STELE__WIRE_DATA, 1, 0, data, len);
        assert_true(scan(&sheet, BASE) == lsn);
        sheet_free(&sheet);
    }
}

static void pads_and_marks_are_found_and_fills_and_open_slots_are_not(void **state)
{
    (void)state;
    struct sheet sheet = sheet_new(256, BASE, SALT);
    sheet_pad(&sheet, BASE + 8, 8, UINT16_MAX, 0); /* eight bits of check prove nothing about an epoch */
    stele__store64(sheet_at(&sheet, BASE + 16), stele__record_reserved(8, 1, sheet_seed(&sheet, BASE + 16)));
    assert_true(scan(&sheet, BASE) == STELE_LSN_NONE);
    sheet_pad(&sheet, BASE + 64, 32, 1, 0);
    assert_true(scan(&sheet, BASE) == BASE + 64);
    uint8_t payload[56] = {0};
    sheet_put(&sheet, BASE + 96, STELE__WIRE_MARK, 1, 0, payload, sizeof payload);
    assert_true(scan(&sheet, BASE + 72) == BASE + 96);
    sheet_free(&sheet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroes_hold_nothing),
        cmocka_unit_test(random_bytes_hold_nothing),
        cmocka_unit_test(a_lone_record_is_found_at_every_place_from_every_start),
        cmocka_unit_test(a_base_off_the_line_does_not_hide_a_record),
        cmocka_unit_test(damage_anywhere_in_a_record_leaves_the_next_one_to_be_found),
        cmocka_unit_test(a_record_that_ends_with_the_area_is_found),
        cmocka_unit_test(pads_and_marks_are_found_and_fills_and_open_slots_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
