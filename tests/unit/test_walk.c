/* SPDX-License-Identifier: BSD-3-Clause */
/* format/walk.c: the facts a reader collects from one segment, and every way a mark can contradict them. */
#include "test_format.h"

#include "format/walk.h"

#define SALT 0x97f891ceu
#define BASE UINT64_C(0x20000)
#define BYTES 4096u
#define CHAIN UINT64_C(0x0123456789abcdef)
#define NUMBER UINT64_C(1000)
#define TIME UINT64_C(1700000001000000000)

/* A segment under construction, and what a committer knows of it. */
struct segment {
    struct sheet sheet;
    stele_lsn at;
    uint64_t chain, number, records;
    uint16_t epoch;
};

static struct segment segment_new(void)
{
    struct segment segment = {
        .sheet = sheet_new(BYTES, BASE, SALT), .at = BASE, .chain = CHAIN, .number = NUMBER};
    segment.epoch = 1;
    return segment;
}

static void advance(struct segment *segment, stele_lsn next)
{
    const uint8_t *at = sheet_at(&segment->sheet, segment->at);
    uint8_t wire = at[4];
    segment->chain = stele__chain_fold(segment->chain, at, wire == STELE__WIRE_FILL);
    if (stele__wire_is_data(wire)) {
        segment->number++;
        segment->records++;
    }
    segment->at = next;
}

static void add(struct segment *segment, const char *text, stele_lsn durable)
{
    uint32_t dback = stele__dback(segment->at, durable);
    advance(segment, sheet_put(&segment->sheet, segment->at, STELE__WIRE_DATA, segment->epoch, dback, text,
                               (uint32_t)strlen(text)));
}

static void add_pad(struct segment *segment, uint64_t bytes)
{
    advance(segment, sheet_pad(&segment->sheet, segment->at, bytes, segment->epoch, STELE__DBACK_NONE));
}

static struct stele__mark true_mark(const struct segment *segment)
{
    return (struct stele__mark){.upto = segment->at,
                                .chain = segment->chain,
                                .chain_start = CHAIN,
                                .record_number = segment->number,
                                .time_ns = TIME,
                                .durable = BASE};
}

static void add_mark(struct segment *segment, const struct stele__mark *mark)
{
    uint8_t payload[STELE__MARK_BYTES];
    stele__mark_encode(payload, mark);
    advance(segment, sheet_put(&segment->sheet, segment->at, STELE__WIRE_MARK, segment->epoch,
                               STELE__DBACK_NONE, payload, sizeof payload));
}

static void add_true_mark(struct segment *segment)
{
    struct stele__mark mark = true_mark(segment);
    add_mark(segment, &mark);
}

static struct stele__walk start(const struct segment *segment, bool known)
{
    struct stele__walk walk;
    memset(&walk, 0xcc, sizeof walk);
    stele__walk_start(&walk, &segment->sheet.area);
    if (known)
        stele__walk_chain(&walk, CHAIN, NUMBER);
    return walk;
}

/* Walk to where it stops. */
static enum stele__step run(struct stele__walk *walk)
{
    struct stele__record record;
    enum stele__step step;
    do {
        step = stele__walk_next(walk, &record, NULL);
    } while (step == STELE__WALK_RECORD);
    return step;
}

static void the_walk_counts_folds_and_stops_where_nothing_stands(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add_pad(&segment, 8);
    add(&segment, "", BASE);
    add_pad(&segment, 40);
    add_true_mark(&segment);
    add(&segment, "a record of some length, longer than a line of a cache would be", BASE + 24);
    stele_lsn data_end = segment.at;
    add_pad(&segment, 16);
    struct stele__walk walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_int_equal(walk.check, STELE__RECORD_IS_FREE);
    assert_false(walk.epoch_fell);
    assert_null(walk.mark_error);
    assert_true(walk.at == segment.at && walk.data_end == data_end);
    assert_int_equal(walk.records, 3);
    assert_int_equal(walk.vouched, BASE + 24);
    assert_int_equal(walk.time_ns, TIME);
    stele__walk_fold(&walk);
    assert_true(walk.chain == segment.chain && walk.chain_at == segment.at);
    assert_int_equal(walk.record_number, NUMBER + 3);
    assert_int_equal(walk.epoch, 1);
    sheet_free(&segment.sheet);
}

static void each_step_shows_the_record_it_took(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    struct stele__mark want = true_mark(&segment), mark;
    add_mark(&segment, &want);
    add_pad(&segment, 8);
    struct stele__walk walk = start(&segment, true);
    struct stele__record record;
    memset(&mark, 0, sizeof mark);
    assert_int_equal(stele__walk_next(&walk, &record, &mark), STELE__WALK_RECORD);
    assert_true(record.lsn == BASE && record.len == 3 && walk.at == BASE + 24);
    assert_int_equal(mark.chain, 0); /* not a mark: left alone */
    assert_int_equal(stele__walk_next(&walk, &record, &mark), STELE__WALK_RECORD);
    assert_true(record.wire == STELE__WIRE_MARK && record.lsn == BASE + 24);
    assert_memory_equal(&mark, &want, sizeof mark);
    assert_int_equal(stele__walk_next(&walk, &record, &mark), STELE__WALK_RECORD);
    assert_true(record.wire == STELE__WIRE_FILL && walk.at == BASE + 24 + 72 + 8);
    assert_int_equal(stele__walk_next(&walk, &record, &mark), STELE__WALK_STOP);
    assert_int_equal(stele__walk_next(&walk, &record, &mark), STELE__WALK_STOP); /* and stays */
    sheet_free(&segment.sheet);
}

static void an_empty_segment_stops_at_once_and_a_full_one_ends(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    struct stele__walk walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_true(walk.at == BASE && walk.data_end == BASE && walk.records == 0 && walk.vouched == 0);
    add(&segment, "one", BASE);
    add_pad(&segment, BASE + BYTES - segment.at);
    walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_END);
    assert_int_equal(run(&walk), STELE__WALK_END);
    assert_true(walk.at == BASE + BYTES && walk.data_end == BASE + 24);
    stele__walk_fold(&walk);
    assert_true(walk.chain == segment.chain);
    sheet_free(&segment.sheet);
}

static void every_invalid_record_stops_the_walk_in_front_of_it(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add(&segment, "two", BASE);
    add(&segment, "three", BASE);
    for (size_t bit = 24 * 8; bit < 48 * 8; bit++) {
        flip_bit(segment.sheet.data, bit);
        struct stele__walk walk = start(&segment, true);
        assert_int_equal(run(&walk), STELE__WALK_STOP);
        assert_true(walk.at == BASE + 24 && walk.records == 1);
        assert_int_not_equal(walk.check, STELE__RECORD_OK);
        flip_bit(segment.sheet.data, bit);
    }
    sheet_free(&segment.sheet);
}

static void a_falling_epoch_stops_the_walk(void **state)
{
    (void)state;
    const uint16_t epochs[][4] = {
        {1, 1, 2, 1}, {1, 2, 3, 2}, {5, 5, 5, 4}, {1, 256, 65535, 255}, {1, 1, 1, 0}};
    for (size_t i = 0; i < STELE__ARRAY_LEN(epochs); i++) {
        for (int mark_last = 0; mark_last < 2; mark_last++) {
            struct segment segment = segment_new();
            for (size_t r = 0; r < 4; r++) {
                segment.epoch = epochs[i][r];
                if (r == 3 && mark_last != 0)
                    add_true_mark(&segment);
                else
                    add(&segment, "x", BASE);
            }
            struct stele__walk walk = start(&segment, true);
            assert_int_equal(run(&walk), STELE__WALK_STOP);
            assert_true(walk.epoch_fell && walk.check == STELE__RECORD_OK && walk.mark_error == NULL);
            assert_true(walk.at == BASE + 72 && walk.records == 3 && walk.epoch == epochs[i][2]);
            assert_int_equal(walk.time_ns, 0);
            sheet_free(&segment.sheet);
        }
    }
}

static void the_highest_testimony_counts(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add(&segment, "two", BASE + 24); /* dback 0: all before it */
    add(&segment, "old", BASE);      /* an older look at the durable point says less and takes nothing back */
    struct stele__walk walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_int_equal(walk.vouched, BASE + 24);
    struct stele__mark mark = true_mark(&segment);
    mark.durable = segment.at; /* up to the mark itself, while its dback says nothing */
    add_mark(&segment, &mark);
    walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_int_equal(walk.vouched, BASE + 72);
    sheet_free(&segment.sheet);
}

static void a_mark_may_stand_behind_records_it_does_not_cover(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    struct stele__mark early = true_mark(&segment);
    add(&segment, "two", BASE);
    add_mark(&segment, &early);
    struct stele__mark late = true_mark(&segment); /* covers the mark before it */
    add(&segment, "three", BASE);
    add_mark(&segment, &late);
    add_true_mark(&segment); /* upto is the mark itself */
    struct stele__walk walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_null(walk.mark_error);
    assert_true(walk.at == segment.at);
    stele__walk_fold(&walk);
    assert_true(walk.chain == segment.chain && walk.record_number == NUMBER + 3);
    sheet_free(&segment.sheet);
}

static void an_unknown_start_is_taken_from_the_first_mark(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add(&segment, "two", BASE);
    struct stele__walk walk = start(&segment, false);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_false(walk.chain_known || walk.record_number_known);
    add_true_mark(&segment);
    add(&segment, "three", BASE);
    walk = start(&segment, false);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_null(walk.mark_error);
    assert_true(walk.chain_known && walk.chain_start == CHAIN && walk.record_number_known);
    stele__walk_fold(&walk);
    assert_true(walk.chain == segment.chain && walk.record_number == NUMBER + 3);

    struct stele__mark other = true_mark(&segment); /* the second mark has to agree with the first */
    other.record_number++;
    add_mark(&segment, &other);
    walk = start(&segment, false);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, "the mark counts another number of records");
    sheet_free(&segment.sheet);
}

/* Else the number at the start of the segment would be less than none. */
static void the_first_mark_cannot_count_fewer_records_than_stand_before_it(void **state)
{
    (void)state;
    for (uint64_t counted = 0; counted < 4; counted++) {
        struct segment segment = segment_new();
        add(&segment, "one", BASE);
        add(&segment, "two", BASE);
        struct stele__mark mark = true_mark(&segment);
        mark.record_number = counted;
        add_mark(&segment, &mark);
        struct stele__walk walk = start(&segment, false);
        assert_int_equal(run(&walk), STELE__WALK_STOP);
        if (counted >= 2)
            assert_null(walk.mark_error);
        else
            assert_string_equal(walk.mark_error,
                                "the mark counts fewer records than stand before it in its segment");
        sheet_free(&segment.sheet);
    }
}

/* A walk that meets `mark` behind two records and a true mark must stop at it and say `error`. */
static void expect_contradiction(struct segment *segment, const struct stele__mark *mark, const char *error)
{
    stele_lsn at = segment->at;
    struct segment copy = *segment;
    add_mark(&copy, mark);
    struct stele__walk walk = start(&copy, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_non_null(walk.mark_error);
    assert_string_equal(walk.mark_error, error);
    assert_true(walk.at == at && walk.check == STELE__RECORD_OK && !walk.epoch_fell);
    assert_int_equal(walk.vouched, BASE); /* a mark that lies testifies nothing */
    assert_int_equal(walk.time_ns, TIME);
    memset(sheet_at(&segment->sheet, at), 0, 16 + STELE__MARK_BYTES);
}

static void a_mark_that_contradicts_the_walk_stops_it_and_says_how(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add(&segment, "two", BASE);
    add_true_mark(&segment); /* at BASE + 48, covers what is before it */
    add(&segment, "three", BASE);
    const struct stele__mark truth = true_mark(&segment);
    const char *place = "the mark's position is not behind it in its segment";
    const stele_lsn outside[] = {0,          BASE - 8,     segment.at + 8, segment.at + 1,
                                 UINT64_MAX, BASE + BYTES, segment.at - 4};
    struct stele__mark mark = truth;
    for (size_t i = 0; i < STELE__ARRAY_LEN(outside); i++) {
        mark.upto = outside[i];
        expect_contradiction(&segment, &mark, place);
    }
    mark = truth;
    mark.durable = segment.at + 8;
    expect_contradiction(&segment, &mark, "the mark calls bytes durable that were not written yet");
    mark.durable = UINT64_MAX;
    expect_contradiction(&segment, &mark, "the mark calls bytes durable that were not written yet");
    mark = truth;
    mark.chain_start ^= 1;
    expect_contradiction(&segment, &mark, "the mark knows another chain for the start of this segment");
    mark = truth;
    mark.upto = BASE + 24;
    expect_contradiction(&segment, &mark, "the mark's position falls behind the mark before it");
    mark.upto = BASE + 56;
    expect_contradiction(&segment, &mark, "the mark's position is not the start of a record");
    mark = truth;
    mark.chain ^= UINT64_C(1) << 63;
    expect_contradiction(&segment, &mark,
                         "the chain differs: records before the mark were replaced, removed or reordered");
    mark = truth;
    mark.record_number++;
    expect_contradiction(&segment, &mark, "the mark counts another number of records");
    mark.record_number -= 2;
    expect_contradiction(&segment, &mark, "the mark counts another number of records");
    sheet_free(&segment.sheet);
}

static void a_mark_that_is_not_well_formed_stops_the_walk(void **state)
{
    (void)state;
    for (uint32_t len = 40; len <= 72; len += 8) {
        struct segment segment = segment_new();
        add(&segment, "one", BASE);
        uint8_t payload[72] = {0};
        struct stele__mark mark = true_mark(&segment);
        stele__mark_encode(payload, &mark);
        payload[48] = len == 56 ? 1 : 0;
        sheet_put(&segment.sheet, segment.at, STELE__WIRE_MARK, 1, 0, payload, len);
        struct stele__walk walk = start(&segment, true);
        assert_int_equal(run(&walk), STELE__WALK_STOP);
        assert_string_equal(walk.mark_error, "the mark's fields are out of range");
        assert_true(walk.at == segment.at);
        sheet_free(&segment.sheet);
    }
}

static void a_wrong_start_is_found_at_the_first_mark(void **state)
{
    (void)state;
    struct segment segment = segment_new();
    add(&segment, "one", BASE);
    add_true_mark(&segment);
    struct stele__walk walk = start(&segment, false);
    stele__walk_chain(&walk, CHAIN ^ 2, NUMBER);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, "the mark knows another chain for the start of this segment");
    walk = start(&segment, false);
    stele__walk_chain(&walk, CHAIN, NUMBER - 1);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, "the mark counts another number of records");
    sheet_free(&segment.sheet);
}

/* What no single record can notice: another record, as valid, in the place of one, or one split in two. */
static void a_valid_record_in_the_place_of_another_is_found_at_the_next_mark(void **state)
{
    (void)state;
    const char *error = "the chain differs: records before the mark were replaced, removed or reordered";
    struct segment segment = segment_new();
    add(&segment, "first", BASE);
    add(&segment, "0123456789abcdef", BASE);
    add(&segment, "third", BASE);
    add_true_mark(&segment);
    sheet_put(&segment.sheet, BASE + 24, STELE__WIRE_DATA, 1, 3, "0123456789abcdeF", 16);
    struct stele__walk walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, error);
    stele_lsn next = sheet_put(&segment.sheet, BASE + 24, STELE__WIRE_DATA, 1, 3, NULL, 0);
    sheet_put(&segment.sheet, next, STELE__WIRE_DATA, 1, 5, NULL, 0);
    walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, error);
    sheet_pad(&segment.sheet, BASE + 24, 32, 1, 3); /* the record made to vanish */
    walk = start(&segment, true);
    assert_int_equal(run(&walk), STELE__WALK_STOP);
    assert_string_equal(walk.mark_error, error);
    assert_true(walk.at == BASE + 24 + 32 + 24 && walk.records == 2);
    sheet_free(&segment.sheet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_walk_counts_folds_and_stops_where_nothing_stands),
        cmocka_unit_test(each_step_shows_the_record_it_took),
        cmocka_unit_test(an_empty_segment_stops_at_once_and_a_full_one_ends),
        cmocka_unit_test(every_invalid_record_stops_the_walk_in_front_of_it),
        cmocka_unit_test(a_falling_epoch_stops_the_walk),
        cmocka_unit_test(the_highest_testimony_counts),
        cmocka_unit_test(a_mark_may_stand_behind_records_it_does_not_cover),
        cmocka_unit_test(an_unknown_start_is_taken_from_the_first_mark),
        cmocka_unit_test(the_first_mark_cannot_count_fewer_records_than_stand_before_it),
        cmocka_unit_test(a_mark_that_contradicts_the_walk_stops_it_and_says_how),
        cmocka_unit_test(a_mark_that_is_not_well_formed_stops_the_walk),
        cmocka_unit_test(a_wrong_start_is_found_at_the_first_mark),
        cmocka_unit_test(a_valid_record_in_the_place_of_another_is_found_at_the_next_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
