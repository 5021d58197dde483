/* SPDX-License-Identifier: BSD-3-Clause */
/* test_verify.c: the verdict, the place and the kind of every sort of damage; and that looking changes
 * nothing, takes no lock, and is not confused by a writer at work. */
#include "test_admin.h"

#include "base/bits.h"
#include "base/crc32c.h"

#include <pthread.h>
#include <sched.h>

#define FOOTER_A (stele__segment_file_bytes(SEGMENT_SMALL) - 2 * STELE__FOOTER_COPY)
#define FOOTER_B (stele__segment_file_bytes(SEGMENT_SMALL) - STELE__FOOTER_COPY)

struct expectation {
    enum stele_verdict verdict;
    const char *kind;
    const char *segment; /* NULL: not looked at */
    uint64_t offset;
    int harmless;
};

/* One problem of this kind, at this place, and the verdict. */
static struct stele_verify_result expect(const struct dir *dir, const struct expectation *wanted)
{
    struct heard heard;
    uint64_t before = dir_digest(dir->log);
    struct stele_verify_result result = verify_log(dir->log, &heard);
    if (result.verdict != wanted->verdict) {
        fprintf(stderr, "verdict %d, not %d\n", (int)result.verdict, (int)wanted->verdict);
        print_heard(&heard);
    }
    must(result.verdict == wanted->verdict);
    const struct heard_one *one = heard_kind(&heard, wanted->kind);
    if (wanted->segment != NULL &&
        (strcmp(one->segment, wanted->segment) != 0 || one->offset != wanted->offset)) {
        fprintf(stderr, "not at offset %llu of %s\n", (unsigned long long)wanted->offset, wanted->segment);
        print_heard(&heard);
    }
    must(wanted->segment == NULL || strcmp(one->segment, wanted->segment) == 0);
    must(wanted->segment == NULL || one->offset == wanted->offset);
    must(one->harmless == wanted->harmless);
    must(dir_digest(dir->log) == before);
    return result;
}

static void expect_at(const struct dir *dir, enum stele_verdict verdict, const char *kind, int harmless,
                      uint64_t sequence, uint64_t offset)
{
    expect(dir, &(struct expectation){.verdict = verdict,
                                      .kind = kind,
                                      .segment = segment_name(sequence, SEGMENT_SMALL),
                                      .offset = offset,
                                      .harmless = harmless});
}

static void a_sound_log_is_clean_and_counted(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    struct heard heard;
    uint64_t before = dir_digest(dir->log);
    struct stele_verify_result result = verify_log(dir->log, &heard);
    must(dir_digest(dir->log) == before);
    must(heard.count == 0 && result.verdict == STELE_CLEAN && result.live == 0);
    must(result.records == count && result.first_lsn == 0);
    must(result.end_lsn > SEALED * SEGMENT_SMALL && result.end_lsn < (SEALED + 1) * SEGMENT_SMALL);
    must(result.durable_lsn == result.end_lsn); /* closed in an orderly way */
    must(result.bytes == result.end_lsn);
    must(result.segments == dir_count_ending(dir->log, ".stele") && result.segments >= SEALED + 1);
    for (uint32_t jobs = 0; jobs < 6; jobs++) {
        struct stele_verify_options options = {.size = sizeof options, .jobs = jobs};
        struct stele_verify_result again = {.size = sizeof again};
        succeeds(stele_verify(dir->log, &options, &again));
        must(memcmp(&again, &result, sizeof result) == 0);
    }
}

static void an_empty_log_is_clean(void **state)
{
    struct dir *dir = *state;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    expect_clean(dir->log, 0);
}

static void a_damaged_record_is_corrupt_and_named(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        make_log(dir);
        stele_lsn lsn;
        uint64_t number = number_at(dir->log, sequence * SEGMENT_SMALL + 1000, &lsn);
        damage_record(dir, lsn);
        const struct expectation wanted = {STELE_CORRUPT, "record", segment_name(sequence, SEGMENT_SMALL),
                                           offset_of(lsn), 0};
        struct stele_verify_result result = expect(dir, &wanted);
        must(result.records == number && result.end_lsn == lsn && result.durable_lsn > lsn);
        dir_empty(dir->log);
    }
}

static void a_zeroed_sector_is_corrupt(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        make_log(dir);
        stele_lsn zeroed = zero_sector(dir, sequence * SEGMENT_SMALL + 1024);
        const struct expectation wanted = {STELE_CORRUPT, "record", NULL, 0, 0};
        struct stele_verify_result result = expect(dir, &wanted);
        must(result.end_lsn <= zeroed && result.end_lsn + 512 + NUMBERED_MAX + 16 > zeroed);
        dir_empty(dir->log);
    }
}

static void unfinished_bytes_behind_the_end_are_torn(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    file_write(segment(dir, SEALED), offset_of(end), "unfinished business", 19);
    const struct expectation wanted = {STELE_TORN, "torn", segment_name(SEALED, SEGMENT_SMALL),
                                       offset_of(end), 0};
    struct stele_verify_result result = expect(dir, &wanted);
    must(result.records == count && result.end_lsn == end && result.durable_lsn == end);
    file_zero(segment(dir, SEALED), offset_of(end), 24);
    expect_clean(dir->log, count);
    /* Anywhere behind the end, even in a prepared segment. */
    file_write(segment(dir, SEALED), offset_of(end) + 5000, "x", 1);
    expect_at(dir, STELE_TORN, "torn", 0, SEALED, offset_of(end));
}

static void a_missing_segment_is_named(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        make_log(dir);
        must(unlink(segment(dir, sequence)) == 0);
        expect_at(dir, STELE_CORRUPT, "missing", 0, sequence, 0);
        dir_empty(dir->log);
    }
}

static void segments_under_other_names_are_told_from_missing_ones(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    must(rename(segment(dir, 1), dir_file(dir, "aside")) == 0);
    must(rename(segment(dir, 2), segment(dir, 1)) == 0);
    must(rename(dir_file(dir, "aside"), segment(dir, 2)) == 0);
    expect_at(dir, STELE_CORRUPT, "name", 0, 1, 0);
    dir_empty(dir->log);
    make_log(dir);
    must(rename(segment(dir, 1), segment(dir, 100)) == 0);
    expect_at(dir, STELE_CORRUPT, "name", 0, 100, 0);
    expect_at(dir, STELE_CORRUPT, "missing", 0, 1, 0);
}

static void a_segment_of_another_log_is_called_that(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    make_log_at(dir_file(dir, "other"));
    char from[512];
    (void)snprintf(from, sizeof from, "%s/other/%s", dir->path, segment_name(1, SEGMENT_SMALL));
    put(from, segment(dir, 1));
    expect_at(dir, STELE_CORRUPT, "foreign-log", 0, 1, 0);
}

static void a_second_file_of_a_sequence_is_mentioned_and_does_no_harm(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    const char *name = "0000000000000001-0000000000990000.stele";
    put(segment(dir, 1), log_file(dir, name));
    const struct expectation wanted = {STELE_CLEAN, "name", name, 0, 1};
    must(expect(dir, &wanted).records == count);
    /* Files that are not named like ours are nobody's business. */
    must(unlink(log_file(dir, name)) == 0);
    put(segment(dir, 1), log_file(dir, "0000000000000001-0000000000010000.stele.orig"));
    file_make(log_file(dir, "README"), "keep out");
    must(mkdir(log_file(dir, "lost+found"), 0700) == 0);
    expect_clean(dir->log, count);
}

static void a_file_cut_short_is_corrupt(void **state)
{
    struct dir *dir = *state;
    static const uint64_t sizes[] = {0, 100, 4096, 30000, 4096 + SEGMENT_SMALL, 4096 + SEGMENT_SMALL + 8192};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make_log(dir);
        must(truncate(segment(dir, 1), (off_t)sizes[i]) == 0);
        struct heard heard;
        struct stele_verify_result result = verify_log(dir->log, &heard);
        must(result.verdict == STELE_CORRUPT);
        const struct heard_one *one = heard_kind(&heard, sizes[i] < 4096 ? "header" : "size");
        must(strcmp(one->segment, segment_name(1, SEGMENT_SMALL)) == 0 && one->harmless == 0);
        must(one->offset <= sizes[i]); /* where the first thing is missing */
        must(result.end_lsn >= SEGMENT_SMALL && result.end_lsn <= 2 * SEGMENT_SMALL);
        dir_empty(dir->log);
    }
}

static void one_copy_of_two_is_harmless_both_are_not(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        uint64_t count = make_log(dir);
        file_flip(segment(dir, sequence), 50, 1);
        expect_at(dir, STELE_CLEAN, "header-copy", 1, sequence, 0);
        file_flip(segment(dir, sequence), 50, 1);
        file_flip(segment(dir, sequence), 2048 + 74, 1);
        expect_at(dir, STELE_CLEAN, "header-copy", 1, sequence, 2048);
        must(verify_log(dir->log, NULL).records == count);
        file_flip(segment(dir, sequence), 50, 1);
        expect_at(dir, STELE_CORRUPT, "header", 0, sequence, 0);
        dir_empty(dir->log);
    }
}

static void a_damaged_seal_is_harmless_because_records_speak_for_themselves(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence < SEALED; sequence++) {
        uint64_t count = make_log(dir);
        file_flip(segment(dir, sequence), FOOTER_A + 40, 1);
        expect_at(dir, STELE_CLEAN, "footer-copy", 1, sequence, FOOTER_A);
        file_flip(segment(dir, sequence), FOOTER_A + 40, 1);
        file_flip(segment(dir, sequence), FOOTER_B + 124, 1);
        expect_at(dir, STELE_CLEAN, "footer-copy", 1, sequence, FOOTER_B);
        file_flip(segment(dir, sequence), FOOTER_A + 40, 1);
        expect_at(dir, STELE_CLEAN, "footer", 1, sequence, FOOTER_A);
        must(verify_log(dir->log, NULL).records == count);
        dir_empty(dir->log);
        make_log(dir);
        file_flip(segment(dir, sequence), 4096 + SEGMENT_SMALL + 5, 1);
        expect_at(dir, STELE_CLEAN, "index", 1, sequence, 4096 + SEGMENT_SMALL);
        dir_empty(dir->log);
    }
}

/* Bytes of an abandoned slot belong to no record; only the hash of the whole area sees them. */
static void a_change_between_records_is_seen_and_harmless(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    uint8_t area[SEGMENT_SMALL];
    uint64_t sequence = 0, at = 0;
    static const uint8_t abandoned[16] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,
                                          0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
    for (; at == 0 && sequence < SEALED; sequence++) {
        file_read(segment(dir, sequence), 4096, area, sizeof area);
        const uint8_t *found = memmem(area, sizeof area, abandoned, sizeof abandoned);
        at = found != NULL ? (uint64_t)(found - area) + 4096 : 0;
    }
    must(at != 0);
    file_flip(segment(dir, sequence - 1), at + 4, 2);
    const struct expectation wanted = {STELE_CLEAN, "data-hash", segment_name(sequence - 1, SEGMENT_SMALL),
                                       4096, 1};
    must(expect(dir, &wanted).records == count);
}

static void the_control_file_lost_is_corrupt_one_block_is_not(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    file_flip(log_file(dir, "control"), 60, 1);
    expect(dir, &(struct expectation){STELE_CLEAN, "control-copy", "control", 0, 1});
    file_flip(log_file(dir, "control"), 60, 1);
    file_flip(log_file(dir, "control"), 4096 + 60, 1);
    expect(dir, &(struct expectation){STELE_CLEAN, "control-copy", "control", 4096, 1});
    file_flip(log_file(dir, "control"), 60, 1);
    struct stele_verify_result result =
        expect(dir, &(struct expectation){STELE_CORRUPT, "control", "control", 0, 0});
    must(result.records == count); /* all of it was checked nevertheless */
    must(truncate(log_file(dir, "control"), 100) == 0);
    expect(dir, &(struct expectation){STELE_CORRUPT, "control", "control", 0, 0});
    must(unlink(log_file(dir, "control")) == 0);
    expect(dir, &(struct expectation){STELE_CORRUPT, "control", "control", 0, 0});
}

static void damage_in_a_header_of_another_version_is_left_alone(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    uint8_t copy[2048];
    file_read(segment(dir, 1), 0, copy, sizeof copy);
    stele__store16(copy + 8, STELE_FORMAT_VERSION + 1);
    uint32_t crc = stele__crc32c(0, copy, 124);
    stele__store32(copy + 124, stele__crc32c(crc, copy + 128, stele__load32(copy + 84)));
    file_write(segment(dir, 1), 0, copy, sizeof copy);
    struct stele_verify_result result = {.size = sizeof result};
    returns(STELE_EVERSION, stele_verify(dir->log, NULL, &result));
    error_says(segment_name(1, SEGMENT_SMALL));
}

static void what_is_no_log_is_called_that(void **state)
{
    struct dir *dir = *state;
    struct stele_verify_result result = {.size = sizeof result};
    returns(STELE_ENOENT, stele_verify(dir->log, NULL, &result));
    error_says(dir->log);
    returns(STELE_ENOTLOG, stele_verify(dir->path, NULL, &result));
    file_make(dir_file(dir, "file"), "text");
    returns(STELE_ENOTLOG, stele_verify(dir_file(dir, "file"), NULL, &result));
    returns(STELE_EINVAL, stele_verify("", NULL, &result));
    returns(STELE_EINVAL, stele_verify(NULL, NULL, &result));
}

static void structs_of_other_sizes_are_understood(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    struct {
        struct stele_verify_result known;
        uint64_t newer[2];
    } big = {.known = {.size = sizeof big}, .newer = {7, 7}};
    succeeds(stele_verify(dir->log, NULL, &big.known));
    must(big.known.records == count && big.known.size == sizeof big && big.newer[0] == 0 &&
         big.newer[1] == 0);
    struct stele_verify_result small;
    memset(&small, 0x77, sizeof small);
    small.size = offsetof(struct stele_verify_result, first_lsn);
    succeeds(stele_verify(dir->log, NULL, &small));
    must(small.records == count && small.first_lsn == UINT64_C(0x7777777777777777));
    struct stele_verify_result unset = {.size = 0};
    returns(STELE_EINVAL, stele_verify(dir->log, NULL, &unset));
    returns(STELE_EINVAL, stele_verify(dir->log, NULL, NULL));
    struct {
        struct stele_verify_options known;
        uint64_t newer;
    } options = {.known = {.size = sizeof options}, .newer = 1};
    returns(STELE_EINVAL, stele_verify(dir->log, &options.known, &small));
    options.newer = 0;
    succeeds(stele_verify(dir->log, &options.known, &small));
    options.known.reserved = 1;
    returns(STELE_EINVAL, stele_verify(dir->log, &options.known, &small));
}

/* A writer beside the looks: as many records a turn as fill a few segments, so that the log stays small
 * although a look holds off its trims. */
struct busy {
    struct stele *log;
    _Atomic uint64_t allowed, appended;
};

static void *keep_busy(void *argument)
{
    struct busy *busy = argument;
    for (uint64_t allowed; (allowed = atomic_load(&busy->allowed)) != UINT64_MAX;) {
        uint64_t number = atomic_load(&busy->appended);
        if (number >= allowed) {
            sched_yield();
            continue;
        }
        append_range(busy->log, number, number + 50);
        succeeds(stele_sync(busy->log, STELE_LSN_ALL));
        if (number % 500 == 0)
            must(stele_trim(busy->log, stele_durable(busy->log), NULL) >= 0);
        atomic_store(&busy->appended, number + 50);
    }
    return NULL;
}

/* Appends, seals and trims go on all the while: what had been durable when the look began is checked, and
 * clean. */
static void a_live_log_is_checked_up_to_its_durable_point(void **state)
{
    struct dir *dir = *state;
    struct busy busy = {.log = log_open(dir->log, STELE_CREATE)};
    pthread_t thread;
    must(pthread_create(&thread, NULL, keep_busy, &busy) == 0);
    for (uint64_t i = 0; i < scaled(60); i++) {
        atomic_store(&busy.allowed, (i + 1) * 1000);
        stele_lsn durable = stele_durable(busy.log);
        struct heard heard;
        struct stele_verify_result result = verify_log(dir->log, &heard);
        if (result.verdict != STELE_CLEAN)
            print_heard(&heard);
        must(result.verdict == STELE_CLEAN && result.live == 1);
        must(result.durable_lsn >= durable && result.end_lsn >= durable);
        while (atomic_load(&busy.appended) < atomic_load(&busy.allowed))
            sched_yield();
    }
    atomic_store(&busy.allowed, UINT64_MAX);
    must(pthread_join(thread, NULL) == 0);
    must(stele_first(busy.log) > 0); /* trims did happen */
    succeeds(stele_close(busy.log));
    must(verify_log(dir->log, NULL).live == 0);
}

static void damage_below_the_durable_point_of_a_live_log_is_found(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    for (int kind = 0; kind < 3; kind++) {
        const struct stele_options options = log_options(0);
        const struct stele__seams seams = {.no_helper = true}; /* the copy must meet no file on its way */
        struct stele *log;
        succeeds(stele__open_with(dir->log, &options, &seams, &log));
        append_numbered(log, count++);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        dir_copy(dir->log, dir_file(dir, "whole"));
        stele_lsn lsn = 2 * SEGMENT_SMALL;
        if (kind == 0)
            must(unlink(segment(dir, 2)) == 0);
        else if (kind == 1)
            damage_record(dir, lsn_of(dir_file(dir, "whole"), number_at(dir_file(dir, "whole"), lsn, &lsn)));
        else
            file_zero(segment(dir, 2), 0, 4096);
        struct heard heard;
        struct stele_verify_result result = verify_log(dir->log, &heard);
        must(result.live == 1 && result.verdict == STELE_CORRUPT && result.end_lsn <= lsn);
        must(strcmp(heard_kind(&heard, kind == 0   ? "missing"
                                       : kind == 1 ? "record"
                                                   : "header")
                        ->segment,
                    segment_name(2, SEGMENT_SMALL)) == 0);
        succeeds(stele_close(log));
        dir_empty(dir->log);
        must(rename(dir_file(dir, "whole"), dir->log) == 0);
    }
}

/* Opens the log, writes, trims and closes it, three times for each look. */
struct visitor {
    const struct dir *dir;
    _Atomic uint64_t allowed, visits;
};

static void *come_and_go(void *argument)
{
    struct visitor *visitor = argument;
    for (uint64_t allowed; (allowed = atomic_load(&visitor->allowed)) != UINT64_MAX;) {
        if (atomic_load(&visitor->visits) >= allowed) {
            sched_yield();
            continue;
        }
        struct stele *log = log_open(visitor->dir->log, 0);
        append_range(log, 0, 400); /* most of a segment */
        must(stele_trim(log, stele_tail(log) - SEGMENT_SMALL, NULL) >= 0);
        succeeds(stele_close(log));
        atomic_fetch_add(&visitor->visits, 1);
    }
    return NULL;
}

/* A look that began without a writer and ended beside one would take its unfinished work for damage. */
static void writers_that_come_and_go_do_not_confuse_a_look(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct visitor visitor = {.dir = dir};
    pthread_t thread;
    must(pthread_create(&thread, NULL, come_and_go, &visitor) == 0);
    for (uint64_t i = 0; i < scaled(60); i++) {
        atomic_store(&visitor.allowed, 3 * (i + 1));
        struct heard heard;
        struct stele_verify_result result = verify_log(dir->log, &heard);
        if (result.verdict != STELE_CLEAN || heard.count != 0)
            print_heard(&heard);
        must(result.verdict == STELE_CLEAN && heard.count == 0);
        while (atomic_load(&visitor.visits) < atomic_load(&visitor.allowed))
            sched_yield();
    }
    atomic_store(&visitor.allowed, UINT64_MAX);
    must(pthread_join(thread, NULL) == 0);
}

static void looking_takes_no_lock_and_leaves_no_pin(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct stele *log = log_open(dir->log, 0);
    must(verify_log(dir->log, NULL).live == 1);
    must(stele_trim(log, 2 * SEGMENT_SMALL, NULL) == 2);
    must(verify_log(dir->log, NULL).first_lsn == 2 * SEGMENT_SMALL);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_sound_log_is_clean_and_counted),
        LAW(an_empty_log_is_clean),
        LAW(a_damaged_record_is_corrupt_and_named),
        LAW(a_zeroed_sector_is_corrupt),
        LAW(unfinished_bytes_behind_the_end_are_torn),
        LAW(a_missing_segment_is_named),
        LAW(segments_under_other_names_are_told_from_missing_ones),
        LAW(a_segment_of_another_log_is_called_that),
        LAW(a_second_file_of_a_sequence_is_mentioned_and_does_no_harm),
        LAW(a_file_cut_short_is_corrupt),
        LAW(one_copy_of_two_is_harmless_both_are_not),
        LAW(a_damaged_seal_is_harmless_because_records_speak_for_themselves),
        LAW(a_change_between_records_is_seen_and_harmless),
        LAW(the_control_file_lost_is_corrupt_one_block_is_not),
        LAW(damage_in_a_header_of_another_version_is_left_alone),
        LAW(what_is_no_log_is_called_that),
        LAW(structs_of_other_sizes_are_understood),
        LAW(a_live_log_is_checked_up_to_its_durable_point),
        LAW(damage_below_the_durable_point_of_a_live_log_is_found),
        LAW(writers_that_come_and_go_do_not_confuse_a_look),
        LAW(looking_takes_no_lock_and_leaves_no_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
