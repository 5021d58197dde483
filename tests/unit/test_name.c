/* SPDX-License-Identifier: BSD-3-Clause */
/* format/name.h: what belongs to a log is decided by its exact name. */
#include "test_format.h"

#include "format/name.h"

#include <stdio.h>

static enum stele__name_kind kind_of(const char *name)
{
    uint64_t sequence = 0;
    stele_lsn base = 0;
    return stele__name_parse(name, &sequence, &base);
}

static void segment_names_come_back_as_they_were(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (int i = 0; i < 20000; i++) {
        uint64_t sequence = next_random(&random) >> (i % 64), want_base = next_random(&random) >> (i % 61);
        char name[STELE__NAME_MAX];
        uint64_t got = ~sequence;
        stele_lsn base = ~want_base;
        stele__name_segment(name, sequence, want_base);
        assert_int_equal(strlen(name), 39);
        assert_int_equal(stele__name_parse(name, &got, &base), STELE__NAME_SEGMENT);
        assert_true(got == sequence && base == want_base);
        got = ~sequence;
        base = ~want_base;
        stele__name_broken(name, sequence, want_base);
        assert_int_equal(stele__name_parse(name, &got, &base), STELE__NAME_BROKEN);
        assert_true(got == sequence && base == want_base);
    }
}

static void names_are_spelled_as_documented(void **state)
{
    (void)state;
    char name[STELE__NAME_MAX];
    stele__name_segment(name, 0x2, 0x20000);
    assert_string_equal(name, "0000000000000002-0000000000020000.stele");
    stele__name_broken(name, UINT64_MAX, 0xabcdef);
    assert_string_equal(name, "ffffffffffffffff-0000000000abcdef.stele.broken");
    assert_int_equal(kind_of("control"), STELE__NAME_CONTROL);
    assert_int_equal(kind_of("lock"), STELE__NAME_LOCK);
}

static void the_order_of_names_is_the_order_of_segments(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 63; shift++) {
        char low[STELE__NAME_MAX], high[STELE__NAME_MAX];
        stele__name_segment(low, (UINT64_C(1) << shift) - 1, 0);
        stele__name_segment(high, UINT64_C(1) << shift, 0);
        assert_true(strcmp(low, high) < 0);
    }
}

static void temporary_names_are_ours_and_never_segments(void **state)
{
    (void)state;
    const char *what[] = {"spare", "control", "x", "a-name-longer-than-fits"};
    for (size_t i = 0; i < STELE__ARRAY_LEN(what); i++) {
        char name[STELE__NAME_MAX];
        stele__name_temp(name, what[i], UINT64_MAX - i);
        assert_int_equal(kind_of(name), STELE__NAME_TEMP);
        assert_true(strlen(name) < STELE__NAME_MAX);
        assert_non_null(strstr(name, ".stele.tmp"));
    }
    char one[STELE__NAME_MAX], two[STELE__NAME_MAX];
    stele__name_temp(one, "spare", 1);
    stele__name_temp(two, "spare", 2);
    assert_string_not_equal(one, two);
    assert_int_equal(kind_of("0000000000000002-0000000000020000.stele.tmp"), STELE__NAME_TEMP);
}

static void near_misses_are_foreign(void **state)
{
    (void)state;
    const char *names[] = {
        "",
        ".",
        "..",
        "control ",
        " control",
        "Control",
        "control~",
        "controls",
        "contro",
        "lock.",
        "Lock",
        "loc",
        "lock2",
        ".stele",
        ".stele.tmp",
        ".stele.broken",
        ".tmp",
        "a.tmp",
        "a.stele",
        "a.stele.broken",
        "spare.stele.tmp2",
        "spare.stele.TMP",
        "spare.steletmp",
        "0000000000000002-0000000000020000",
        "0000000000000002-0000000000020000.",
        "0000000000000002",
        "0000000000000002-0000000000020000.stel",
        "0000000000000002-0000000000020000.stelee",
        "0000000000000002-0000000000020000.Stele",
        "0000000000000002-0000000000020000.stele ",
        "0000000000000002-0000000000020000.stele~",
        "0000000000000002-0000000000020000.stele.broke",
        "0000000000000002-0000000000020000.stele.brokenn",
        "0000000000000002-0000000000020000.stele.Broken",
        "0000000000000002-0000000000020000.stele.broken.1",
        "0000000000000002-0000000000020000.broken",
        "0000000000000002_0000000000020000.stele",
        "000000000000002-0000000000020000.stele",
        "00000000000000002-0000000000020000.stele",
        "0000000000000002-000000000020000.stele",
        "0000000000000002-00000000000020000.stele",
        "0000000000000002--0000000000020000.stele",
        "0000000000000002-0000000000020000-0.stele",
        "x0000000000000002-0000000000020000.stele",
        "0x00000000000002-0000000000020000.stele",
        "+000000000000002-0000000000020000.stele",
        " 000000000000002-0000000000020000.stele",
        "0000000000000002- 000000000020000.stele",
        "0000000000000002-000000000002000A.stele",
        "000000000000000B-0000000000020000.stele",
    };
    for (size_t i = 0; i < STELE__ARRAY_LEN(names); i++)
        assert_int_equal(kind_of(names[i]), STELE__NAME_FOREIGN);
}

/* Every byte value at every place of a name: only digits of the same shape leave it a segment. */
static void one_wrong_character_anywhere_makes_a_name_foreign(void **state)
{
    (void)state;
    const char *right = "0123456789abcdef-fedcba9876543210.stele";
    for (size_t i = 0; i < strlen(right); i++) {
        for (int c = 1; c < 256; c++) {
            char name[STELE__NAME_MAX];
            strcpy(name, right);
            name[i] = (char)c;
            bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            bool same = (char)c == right[i] || (i != 16 && i < 33 && digit);
            assert_int_equal(kind_of(name), same ? STELE__NAME_SEGMENT : STELE__NAME_FOREIGN);
        }
    }
}

static void a_name_cut_anywhere_is_foreign_and_nothing_behind_it_is_read(void **state)
{
    (void)state;
    const char *right = "0123456789abcdef-fedcba9876543210.stele.broken";
    for (size_t len = 0; len <= strlen(right); len++) {
        char *name = (char *)guarded_new(len + 1);
        memcpy(name, right, len);
        enum stele__name_kind want = len == strlen(right) ? STELE__NAME_BROKEN : STELE__NAME_FOREIGN;
        assert_int_equal(kind_of(name), len == strlen(right) - 7 ? STELE__NAME_SEGMENT : want);
        guarded_free((uint8_t *)name, len + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment_names_come_back_as_they_were),
        cmocka_unit_test(names_are_spelled_as_documented),
        cmocka_unit_test(the_order_of_names_is_the_order_of_segments),
        cmocka_unit_test(temporary_names_are_ours_and_never_segments),
        cmocka_unit_test(near_misses_are_foreign),
        cmocka_unit_test(one_wrong_character_anywhere_makes_a_name_foreign),
        cmocka_unit_test(a_name_cut_anywhere_is_foreign_and_nothing_behind_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
