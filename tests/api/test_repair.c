/* SPDX-License-Identifier: BSD-3-Clause */
/* test_repair.c: every sort of damage, mended as far as it can be, and not one byte further than the flags
 * allow. */
#include "test_repair.h"

#include "format/control.h"

#define WHOLE stele__segment_file_bytes(SEGMENT_SMALL)
#define LOSS STELE_REPAIR_ALLOW_DATA_LOSS
#define QUARANTINE STELE_REPAIR_QUARANTINE

static struct truth truth;

static void fresh(const struct dir *dir)
{
    dir_empty(dir->log);
    dir_empty(dir_file(dir, "kept"));
    make_log(dir);
    learn(dir->log, &truth);
}

static struct stele_repair_result mends(const struct dir *dir)
{
    struct stele_repair_result result = expect_repair(dir, &truth, 0, NULL, 0);
    must(result.records_removed == 0 && result.segments_quarantined == 0);
    return result;
}

static struct loss of_segment(uint64_t sequence)
{
    return (struct loss){sequence * SEGMENT_SMALL, (sequence + 1) * SEGMENT_SMALL};
}

static uint64_t records_in(struct loss loss)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < truth.count; i++)
        count += is_lost(&loss, 1, truth.lsn[i]) ? 1 : 0;
    return count;
}

static void a_sound_log_is_left_alone(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    uint64_t before = log_digest(dir->log);
    struct stele_repair_result result;
    succeeds(repair(dir, STELE_REPAIR_APPLY | LOSS | QUARANTINE, &result));
    must(result.before == STELE_CLEAN && result.after == STELE_CLEAN && result.cut_lsn == STELE_LSN_NONE);
    must(result.backup[0] == '\0' && !file_exists(dir_file(dir, "kept")));
    must(log_digest(dir->log) == before);
}

static void second_copies_are_written_again(void **state)
{
    struct dir *dir = *state;
    const uint64_t places[] = {50, 2048 + 74, WHOLE - 8192 + 40, WHOLE - 4096 + 100,
                               4096 + SEGMENT_SMALL + 9};
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            if (sequence == SEALED && places[i] > 4096)
                continue; /* the active one has no seal */
            fresh(dir);
            file_flip(segment(dir, sequence), places[i], 4);
            must(mends(dir).before == STELE_CLEAN);
        }
    }
}

static void a_full_segment_without_a_readable_footer_is_sealed_again(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence < SEALED; sequence++) {
        fresh(dir);
        uint8_t whole[128], mended[128];
        file_read(segment(dir, sequence), WHOLE - 8192, whole, sizeof whole);
        file_flip(segment(dir, sequence), WHOLE - 8192 + 90, 4);
        file_flip(segment(dir, sequence), WHOLE - 4096 + 17, 4);
        struct stele_repair_result result;
        succeeds(repair(dir, STELE_REPAIR_APPLY, &result));
        file_read(segment(dir, sequence), WHOLE - 8192, mended, sizeof mended);
        /* All but times, index hash (which covers times) and checksum is what it was. */
        must(memcmp(whole, mended, 80) == 0 && memcmp(whole + 96, mended + 96, 8) == 0);
        must(memcmp(whole + 112, mended + 112, 8) == 0);
        file_flip(segment(dir, sequence), WHOLE - 8192 + 90, 4);
        file_flip(segment(dir, sequence), WHOLE - 4096 + 17, 4);
        mends(dir);
    }
}

static void bytes_between_records_are_accepted_as_they_are(void **state)
{
    struct dir *dir = *state;
    static const uint8_t abandoned[16] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,
                                          0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
    static uint8_t area[SEGMENT_SMALL];
    fresh(dir);
    for (uint64_t sequence = 0; sequence < SEALED; sequence++) {
        file_read(segment(dir, sequence), 4096, area, sizeof area);
        const uint8_t *found = memmem(area, sizeof area, abandoned, sizeof abandoned);
        if (found != NULL)
            file_flip(segment(dir, sequence), (uint64_t)(found - area) + 4096 + 3, 1);
    }
    struct heard heard;
    verify_log(dir->log, &heard);
    heard_kind(&heard, "data-hash");
    mends(dir);
}

static void a_lost_control_file_is_rebuilt(void **state)
{
    struct dir *dir = *state;
    for (int how = 0; how < 6; how++) {
        fresh(dir);
        if (how < 2)
            file_flip(log_file(dir, "control"), how == 0 ? 60 : 4096 + 60, 1);
        if (how == 2)
            file_zero(log_file(dir, "control"), 0, 16384);
        if (how == 3)
            must(unlink(log_file(dir, "control")) == 0);
        if (how == 4)
            must(truncate(log_file(dir, "control"), 100) == 0);
        if (how == 5)
            must(truncate(log_file(dir, "control"), 100000) == 0);
        if (how < 2) {
            must(mends(dir).before == STELE_CLEAN);
            continue;
        }
        struct stele_repair_result result; /* nobody knows what else is lost: only with permission */
        uint64_t before = log_digest(dir->log);
        returns(STELE_ECORRUPT, repair(dir, STELE_REPAIR_APPLY, &result));
        must(result.before == STELE_CORRUPT && log_digest(dir->log) == before);
        expect_repair(dir, &truth, LOSS, NULL, 0);
    }
}

static uint8_t control_flags(const char *path, int block)
{
    uint8_t flags;
    file_read(path, (uint64_t)block * 4096 + 13, &flags, 1);
    return flags;
}

/* Nothing says any more whether the log was ever flushed: the next opening must not believe that it was. */
static void a_rebuilt_control_file_trusts_no_cache(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    must(unlink(log_file(dir, "control")) == 0);
    succeeds(repair(dir, STELE_REPAIR_APPLY | LOSS, &result));
    must(file_bytes(log_file(dir, "control")) == STELE__CONTROL_BYTES &&
         file_mode_of(log_file(dir, "control")) == 0600);
    for (int block = 0; block < 2; block++)
        must(control_flags(log_file(dir, "control"), block) == STELE__CONTROL_UNSYNCED);
}

/* The beginning of a trimmed log is known from the seal of its first segment, or from its first mark. */
static void a_lost_control_file_of_a_trimmed_log_is_rebuilt(void **state)
{
    struct dir *dir = *state;
    for (uint64_t first = 1; first <= SEALED; first++) {
        fresh(dir);
        struct stele *log = log_open(dir->log, 0);
        must(stele_trim(log, first * SEGMENT_SMALL, NULL) == (long)first);
        succeeds(stele_close(log));
        must(unlink(log_file(dir, "control")) == 0);
        const struct loss trimmed = {0, first * SEGMENT_SMALL};
        expect_repair(dir, &truth, LOSS, &trimmed, 1);
        log = log_open(dir->log, STELE_READ_ONLY);
        must(stele_first(log) == first * SEGMENT_SMALL);
        succeeds(stele_close(log));
    }
}

static void a_torn_tail_is_cut_and_kept(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    file_write(segment(dir, SEALED), offset_of(end), "unfinished business.....", 24);
    struct stele_repair_result result = mends(dir);
    must(result.before == STELE_TORN && result.cut_lsn == end && result.bytes_removed == 24);
    must(strcmp(result.backup, dir_file(dir, "kept")) == 0);
    char name[512], kept[24];
    (void)snprintf(name, sizeof name, "%s/kept/%s.from-%llu", dir->path, segment_name(SEALED, SEGMENT_SMALL),
                   (unsigned long long)offset_of(end));
    must(file_bytes(name) == 24);
    file_read(name, 0, kept, sizeof kept);
    must(memcmp(kept, "unfinished business.....", 24) == 0);
    must(file_bytes(dir_file(dir, "kept/manifest.json")) > 100 && file_mode_of(name) == 0600);
}

static bool says_cutting(const struct dir *dir)
{
    uint8_t blocks[2 * STELE__CONTROL_PAGE];
    struct stele__control control;
    uint32_t copies;
    file_read(log_file(dir, "control"), 0, blocks, sizeof blocks);
    must(stele__control_decode(blocks, &control, &copies) == STELE__DECODE_OK);
    return (control.flags & STELE__CONTROL_CUTTING) != 0;
}

static void repair_and_open(const struct dir *dir, uint32_t flags)
{
    const struct stele_repair_options options = {.size = sizeof options, .flags = STELE_REPAIR_APPLY | flags};
    struct stele_repair_result result = {.size = sizeof result};
    succeeds(stele_repair(dir->log, &options, &result));
    must(says_cutting(dir) && result.after == STELE_CLEAN);
    struct stele_options durable = log_options(0);
    durable.durability = STELE_DURABILITY_MSYNC;
    succeeds(stele_close(log_open_with(dir->log, &durable)));
    must(!says_cutting(dir));
}

/* The zeroes may be in a cache only when a repair is killed: an opening that finds them must not believe them. */
static void a_cut_is_noted_until_an_opening_has_cut_again(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    file_write(segment(dir, SEALED), offset_of(end), "unfinished business.....", 24);
    must(!says_cutting(dir));
    repair_and_open(dir, 0);
}

/* A seal that is taken off is zeroes as well, and one that came back would contradict what is appended. */
static void an_unsealing_is_noted_until_an_opening_has_cut_again(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    const stele_lsn cut = truth.lsn[truth.count / 8];
    must(cut / SEGMENT_SMALL == 0);
    file_zero(segment(dir, 0), offset_of(cut), SEGMENT_SMALL - cut);
    repair_and_open(dir, STELE_REPAIR_ALLOW_DATA_LOSS);
}

/* The image of a crash: records that nobody had acknowledged, the first of them torn, the others whole and
 * even in segments of their own. */
static void whole_records_behind_a_torn_one_go_with_it(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    must(rename(dir->log, dir_file(dir, "running")) == 0);
    struct stele_options options = log_options(0);
    options.mark_bytes = UINT64_C(1) << 40;
    options.idle_mark_ns = UINT64_MAX;
    const struct stele__seams seams = {.no_helper = true}; /* the copy below must meet no file on its way */
    struct stele *log;
    succeeds(stele__open_with(dir_file(dir, "running"), &options, &seams, &log));
    succeeds(stele_sync(log, STELE_LSN_ALL));
    stele_lsn torn = append_numbered(log, truth.count);
    append_range(log, truth.count + 1, truth.count + 30);
    dir_copy(dir_file(dir, "running"), dir->log);
    succeeds(stele_close(log));
    dir_empty(dir_file(dir, "running"));
    damage_record(dir, torn);
    struct stele_repair_result result = expect_repair(dir, &truth, 0, NULL, 0);
    must(result.before == STELE_TORN && result.cut_lsn == torn && result.records_removed == 29);
}

static void torn_bytes_in_prepared_segments_are_removed(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    file_write(segment(dir, SEALED + 1), 4096 + 200, "from a dying disk", 17);
    struct stele_repair_result result = mends(dir);
    must(result.before == STELE_TORN && result.bytes_removed == 217);
    char name[512];
    (void)snprintf(name, sizeof name, "%s/kept/%s.from-0", dir->path,
                   segment_name(SEALED + 1, SEGMENT_SMALL));
    must(file_bytes(name) == 4096 + 217);
    must(!file_exists(segment(dir, SEALED + 2)) || file_bytes(segment(dir, SEALED + 2)) == WHOLE);
    fresh(dir);
    file_zero(segment(dir, SEALED + 1), 0,
              4096); /* a header that cannot be read, of a segment that holds nothing */
    must(mends(dir).before == STELE_CLEAN);
}

static void segments_get_their_names_back(void **state)
{
    struct dir *dir = *state;
    for (uint64_t a = 0; a <= SEALED; a++) {
        fresh(dir);
        must(rename(segment(dir, a), segment(dir, 100)) == 0);
        mends(dir);
        for (uint64_t b = a + 1; b <= SEALED; b++) {
            fresh(dir);
            must(rename(segment(dir, a), dir_file(dir, "aside")) == 0);
            must(rename(segment(dir, b), segment(dir, a)) == 0);
            must(rename(dir_file(dir, "aside"), segment(dir, b)) == 0);
            mends(dir);
        }
    }
    fresh(dir); /* all of them, round in a circle */
    must(rename(segment(dir, 0), dir_file(dir, "aside")) == 0);
    for (uint64_t sequence = 0; sequence < SEALED; sequence++)
        must(rename(segment(dir, sequence + 1), segment(dir, sequence)) == 0);
    must(rename(dir_file(dir, "aside"), segment(dir, SEALED)) == 0);
    mends(dir);
}

static void a_file_of_the_wrong_size_that_misses_nothing_is_written_anew(void **state)
{
    struct dir *dir = *state;
    const uint64_t sizes[] = {4096 + SEGMENT_SMALL, WHOLE - 8192, WHOLE - 1, WHOLE + 1, 3 * WHOLE};
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            fresh(dir);
            must(truncate(segment(dir, sequence), (off_t)sizes[i]) == 0);
            mends(dir);
            must(file_bytes(segment(dir, sequence)) == WHOLE);
        }
    }
    fresh(dir); /* the active one, cut just behind its last record */
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    must(truncate(segment(dir, SEALED), (off_t)offset_of(end)) == 0);
    mends(dir);
}

/* Damage somewhere in segment `at`, once cut and once quarantined. */
static void gives_up(const struct dir *dir, void (*damage)(const struct dir *dir, uint64_t at), uint64_t at)
{
    fresh(dir);
    damage(dir, at);
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    must(end / SEGMENT_SMALL == at || end == at * SEGMENT_SMALL);
    struct loss lost = {end, UINT64_MAX};
    struct stele_repair_result result = expect_repair(dir, &truth, LOSS, &lost, 1);
    must(result.before == STELE_CORRUPT && result.cut_lsn == end);
    must(result.records_removed <= records_in(lost));
    fresh(dir);
    damage(dir, at);
    lost = of_segment(at);
    result = expect_repair(dir, &truth, QUARANTINE, &lost, 1);
    must(result.before == STELE_CORRUPT && result.cut_lsn == STELE_LSN_NONE &&
         result.segments_quarantined == 1);
    must(result.records_removed <= records_in(lost));
    char broken[512];
    (void)snprintf(broken, sizeof broken, "%s.broken", segment(dir, at));
    must(file_exists(broken));
}

static void flip_a_record(const struct dir *dir, uint64_t at)
{
    uint64_t number = 0;
    while (truth.lsn[number] < at * SEGMENT_SMALL + 1500)
        number++;
    damage_record(dir, truth.lsn[number]);
}

static void zero_a_sector(const struct dir *dir, uint64_t at)
{
    uint64_t number = 0;
    while (truth.lsn[number] < at * SEGMENT_SMALL + 1536)
        number++;
    file_zero(segment(dir, at), offset_of(truth.lsn[number]) / 512 * 512, 512);
}

static void flip_the_first_record(const struct dir *dir, uint64_t at)
{
    file_flip(segment(dir, at), 4096 + 8, 0);
}

static void lose_it(const struct dir *dir, uint64_t at)
{
    must(unlink(segment(dir, at)) == 0);
}

static void lose_its_header(const struct dir *dir, uint64_t at)
{
    file_flip(segment(dir, at), 20, 0);
    file_flip(segment(dir, at), 2048 + 20, 0);
}

static void cut_it_short(const struct dir *dir, uint64_t at)
{
    must(truncate(segment(dir, at), 4096 + 1777) == 0);
}

static void empty_it(const struct dir *dir, uint64_t at)
{
    must(truncate(segment(dir, at), 0) == 0);
}

static void replace_it(const struct dir *dir, uint64_t at)
{
    char other[512];
    (void)snprintf(other, sizeof other, "%s/other", dir->path);
    make_log_at(other);
    char from[600];
    (void)snprintf(from, sizeof from, "%s/%s", other, segment_name(at, SEGMENT_SMALL));
    put(from, segment(dir, at));
    dir_empty(other);
}

static void (*const damages[])(const struct dir *dir, uint64_t at) = {
    flip_a_record, zero_a_sector, flip_the_first_record, lose_it, lose_its_header, cut_it_short,
    empty_it,      replace_it,
};

static void damage_is_given_up_only_with_permission(void **state)
{
    struct dir *dir = *state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        for (uint64_t at = 0; at <= SEALED; at++)
            gives_up(dir, damages[i], at);
}

/* A slot that did not fit left a PAD on both sides of a boundary: the walk steps over bytes the file has
 * not got. */
static void a_file_cut_inside_a_pad_is_mended_too(void **state)
{
    struct dir *dir = *state;
    for (int i = 0; i < 3; i++) {
        const uint32_t flags[] = {LOSS, QUARANTINE, LOSS | QUARANTINE};
        dir_empty(dir->log);
        dir_empty(dir_file(dir, "kept"));
        struct stele *log = log_open(dir->log, STELE_CREATE);
        uint64_t count = 0;
        while (stele_tail(log) < SEGMENT_SMALL - NUMBERED_MAX)
            append_numbered(log, count++);
        struct stele_slot slot;
        succeeds(stele_reserve(log, 0, 16000, &slot));
        must(slot.lsn > SEGMENT_SMALL + 8000); /* behind the pad */
        succeeds(stele_abandon(log, &slot));
        append_range(log, count, count + 10);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        succeeds(stele_close(log));
        learn(dir->log, &truth);
        must(truncate(segment(dir, 1), 4096 + 300) == 0);
        const struct loss lost = {SEGMENT_SMALL, UINT64_MAX};
        expect_repair(dir, &truth, flags[i], &lost, 1);
    }
}

static void several_damaged_segments_are_quarantined_one_by_one(void **state)
{
    struct dir *dir = *state;
    for (unsigned set = 1; set < 1u << (SEALED + 1); set++) {
        fresh(dir);
        struct loss lost[SEALED + 1];
        size_t losses = 0;
        for (uint64_t at = 0; at <= SEALED; at++)
            if ((set >> at & 1) != 0)
                lost[losses++] = of_segment(at);
        for (size_t i = 0; i < losses; i++)
            damages[(set + i) % (sizeof damages / sizeof damages[0])](dir, lost[i].from / SEGMENT_SMALL);
        struct stele_repair_result result = expect_repair(dir, &truth, QUARANTINE, lost, losses);
        must(result.segments_quarantined == losses);
    }
}

static void a_lost_control_file_and_a_damaged_segment_are_both_mended(void **state)
{
    struct dir *dir = *state;
    for (uint64_t at = 0; at <= SEALED; at++) {
        fresh(dir);
        stele_lsn lsn;
        number_at(dir->log, at * SEGMENT_SMALL + 1500, &lsn);
        damage_record(dir, lsn);
        must(unlink(log_file(dir, "control")) == 0);
        struct loss lost = of_segment(at);
        expect_repair(dir, &truth, QUARANTINE, &lost, 1);
        fresh(dir);
        damage_record(dir, lsn = truth.lsn[10]);
        must(unlink(log_file(dir, "control")) == 0);
        lost = (struct loss){lsn, UINT64_MAX};
        expect_repair(dir, &truth, LOSS, &lost, 1);
    }
}

/* Without the control file nothing says whether the log once began with it. */
static void an_unreadable_first_segment_is_not_taken_for_trimmed(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    lose_its_header(dir, 0);
    must(unlink(log_file(dir, "control")) == 0);
    uint64_t before = log_digest(dir->log);
    returns(STELE_ECORRUPT, repair(dir, STELE_REPAIR_APPLY, &result));
    must(log_digest(dir->log) == before);
    const struct loss lost = of_segment(0);
    expect_repair(dir, &truth, QUARANTINE, &lost, 1);
}

static void nothing_readable_is_left_alone(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    must(unlink(log_file(dir, "control")) == 0);
    for (uint64_t sequence = 0; file_exists(segment(dir, sequence)); sequence++)
        lose_its_header(dir, sequence);
    uint64_t before = log_digest(dir->log);
    returns(STELE_ECORRUPT, repair(dir, STELE_REPAIR_APPLY | QUARANTINE | LOSS, &result));
    error_says("Nothing was changed");
    must(log_digest(dir->log) == before);
}

/* Behind the end of the log, in a prepared segment that nobody can read, stands something: records, perhaps. */
static void what_cannot_be_read_behind_the_end_is_set_aside_or_removed(void **state)
{
    struct dir *dir = *state;
    const uint32_t flags[] = {QUARANTINE, LOSS};
    for (int i = 0; i < 4; i++) {
        fresh(dir);
        file_write(segment(dir, SEALED + 1), 4096 + 100, "what may this be", 16);
        if (i < 2)
            file_zero(segment(dir, SEALED + 1), 0, 4096);
        else
            must(truncate(segment(dir, SEALED + 1), 4096 + 200) == 0);
        struct stele_repair_result result = expect_repair(dir, &truth, flags[i % 2], NULL, 0);
        must(result.segments_quarantined == (i % 2 == 0 ? 1 : 0));
        char kept[512];
        if (i % 2 == 0)
            (void)snprintf(kept, sizeof kept, "%s.broken", segment(dir, SEALED + 1));
        else
            (void)snprintf(kept, sizeof kept, "%s/kept/%s.from-0", dir->path,
                           segment_name(SEALED + 1, SEGMENT_SMALL));
        char text[16];
        file_read(kept, 4096 + 100, text, sizeof text);
        must(memcmp(text, "what may this be", 16) == 0);
    }
}

/* Both blocks, as `change` wants them. */
static void rewrite_control(const struct dir *dir, void (*change)(struct stele__control *control))
{
    uint8_t blocks[2 * STELE__CONTROL_PAGE];
    struct stele__control control;
    uint32_t copies;
    file_read(log_file(dir, "control"), 0, blocks, sizeof blocks);
    must(stele__control_decode(blocks, &control, &copies) == STELE__DECODE_OK);
    change(&control);
    stele__control_encode(blocks, &control);
    stele__control_encode(blocks + STELE__CONTROL_PAGE, &control);
    file_write(log_file(dir, "control"), 0, blocks, sizeof blocks);
}

static void promise_far_too_much(struct stele__control *control)
{
    control->durable = (SEALED + UINT64_C(70000)) * SEGMENT_SMALL;
}

static void a_gap_too_long_to_be_one_is_not_filled(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    rewrite_control(dir, promise_far_too_much);
    uint64_t before = log_digest(dir->log);
    returns(STELE_ECORRUPT, repair(dir, STELE_REPAIR_APPLY | QUARANTINE, &result));
    error_says("too many to quarantine");
    must(log_digest(dir->log) == before);
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    const struct loss nothing = {end, UINT64_MAX};
    must(expect_repair(dir, &truth, LOSS, &nothing, 1).cut_lsn == end);
}

static void come_from_the_future(struct stele__control *control)
{
    control->ro_compat = 2;
}

static void a_log_with_features_unknown_here_is_not_written(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    rewrite_control(dir, come_from_the_future);
    file_flip(segment(dir, 0), 60, 1);
    uint64_t before = dir_digest(dir->log);
    returns(STELE_EVERSION, repair(dir, STELE_REPAIR_APPLY, &result));
    must(dir_digest(dir->log) == before);
    succeeds(repair(dir, 0, &result));
}

static void what_was_cut_can_be_put_back(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    dir_copy(dir->log, dir_file(dir, "whole"));
    stele_lsn lsn;
    number_at(dir->log, SEGMENT_SMALL + 1500, &lsn);
    damage_record(dir, lsn);
    struct stele_repair_result result;
    succeeds(repair(dir, STELE_REPAIR_APPLY | LOSS, &result));
    must(result.cut_lsn == lsn);
    for (uint64_t sequence = 1; sequence <= SEALED; sequence++) {
        char piece[512], whole[512];
        (void)snprintf(piece, sizeof piece, "%s/kept/%s.from-%llu", dir->path,
                       segment_name(sequence, SEGMENT_SMALL),
                       (unsigned long long)(sequence == 1 ? offset_of(lsn) : 0));
        (void)snprintf(whole, sizeof whole, "%s/whole/%s", dir->path, segment_name(sequence, SEGMENT_SMALL));
        static uint8_t kept[1u << 18], was[1u << 18];
        uint64_t from = sequence == 1 ? offset_of(lsn) : 0, size = file_bytes(piece);
        must(size > 1000 && size <= sizeof kept);
        must(sequence == SEALED || size == WHOLE - from);
        file_read(piece, 0, kept, (size_t)size);
        file_read(whole, from, was, (size_t)size);
        if (sequence == 1)
            was[9] ^= 1u << 3; /* the damage itself */
        must(memcmp(kept, was, (size_t)size) == 0);
    }
}

static void copies_get_a_directory_of_their_own_when_none_is_named(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result results[2];
    for (int i = 0; i < 2; i++) { /* both within a second, most likely */
        fresh(dir);
        flip_a_record(dir, 2);
        char path[300];
        (void)snprintf(path, sizeof path, "%s//", dir->log);
        const struct stele_repair_options options = {.size = sizeof options,
                                                     .flags = STELE_REPAIR_APPLY | LOSS};
        results[i] = (struct stele_repair_result){.size = sizeof results[i]};
        succeeds(stele_repair(path, &options, &results[i]));
        must(strncmp(results[i].backup, dir->log, strlen(dir->log)) == 0);
        must(strncmp(results[i].backup + strlen(dir->log), ".removed-20", 11) == 0);
        must(file_mode_of(results[i].backup) == 0700 && dir_count(results[i].backup) >= 3);
    }
    must(strcmp(results[0].backup, results[1].backup) != 0);
}

static void a_quarantined_segment_can_be_quarantined_once_more(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    char broken[512];
    (void)snprintf(broken, sizeof broken, "%s.broken", segment(dir, SEALED));
    file_make(broken, "an earlier one");
    flip_a_record(dir, SEALED);
    succeeds(repair(dir, STELE_REPAIR_APPLY | QUARANTINE, &result));
    must(file_bytes(broken) == WHOLE);
    char earlier[600];
    (void)snprintf(earlier, sizeof earlier, "%s.1", broken);
    must(file_bytes(earlier) == 14);
}

static void a_writer_at_work_keeps_repairs_out(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    struct stele *log = log_open(dir->log, 0);
    returns(STELE_ELOCKED, repair(dir, STELE_REPAIR_APPLY, &result));
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    error_says(pid);
    returns(STELE_ELOCKED, repair(dir, 0, &result));
    succeeds(stele_close(log));
    succeeds(repair(dir, STELE_REPAIR_APPLY, &result));
}

static void problems_are_told_as_verify_tells_them(void **state)
{
    struct dir *dir = *state;
    fresh(dir);
    flip_a_record(dir, 1);
    flip_a_record(dir, 2);
    struct heard verified, heard = {0};
    verify_log(dir->log, &verified);
    struct stele_repair_options options = {.size = sizeof options, .problem = hear, .ctx = &heard};
    struct stele_repair_result result = {.size = sizeof result};
    returns(STELE_ECORRUPT, stele_repair(dir->log, &options, &result));
    must(heard.count == verified.count && memcmp(&heard, &verified, sizeof heard) == 0);
    memset(&heard, 0, sizeof heard); /* more of them come to light as the first are dealt with */
    options.flags = QUARANTINE;
    succeeds(stele_repair(dir->log, &options, &result));
    must(heard.count > verified.count && strcmp(heard.list[0].kind, "record") == 0);
}

static void bad_arguments_are_refused(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result = {.size = sizeof result};
    struct stele_repair_options options = {.size = sizeof options, .flags = 1u << 9};
    returns(STELE_ENOENT, stele_repair(dir->log, NULL, &result));
    fresh(dir);
    returns(STELE_EINVAL, stele_repair(dir->log, &options, &result));
    options.flags = 0;
    options.backup = "";
    returns(STELE_EINVAL, stele_repair(dir->log, &options, &result));
    returns(STELE_EINVAL, stele_repair(dir->log, NULL, NULL));
    result.size = 4;
    returns(STELE_EINVAL, stele_repair(dir->log, NULL, &result));
    result.size = sizeof result;
    must(mkdir(dir_file(dir, "empty"), 0700) == 0);
    options = (struct stele_repair_options){.size = sizeof options, .flags = STELE_REPAIR_APPLY};
    returns(STELE_ENOTLOG, stele_repair(dir_file(dir, "empty"), &options, &result));
    must(dir_count(dir_file(dir, "empty")) == 0); /* no lock file is left in a directory that is no log */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_sound_log_is_left_alone),
        LAW(second_copies_are_written_again),
        LAW(a_full_segment_without_a_readable_footer_is_sealed_again),
        LAW(bytes_between_records_are_accepted_as_they_are),
        LAW(a_lost_control_file_is_rebuilt),
        LAW(a_rebuilt_control_file_trusts_no_cache),
        LAW(a_lost_control_file_of_a_trimmed_log_is_rebuilt),
        LAW(a_torn_tail_is_cut_and_kept),
        LAW(a_cut_is_noted_until_an_opening_has_cut_again),
        LAW(an_unsealing_is_noted_until_an_opening_has_cut_again),
        LAW(whole_records_behind_a_torn_one_go_with_it),
        LAW(torn_bytes_in_prepared_segments_are_removed),
        LAW(segments_get_their_names_back),
        LAW(a_file_of_the_wrong_size_that_misses_nothing_is_written_anew),
        LAW(damage_is_given_up_only_with_permission),
        LAW(a_file_cut_inside_a_pad_is_mended_too),
        LAW(several_damaged_segments_are_quarantined_one_by_one),
        LAW(a_lost_control_file_and_a_damaged_segment_are_both_mended),
        LAW(an_unreadable_first_segment_is_not_taken_for_trimmed),
        LAW(nothing_readable_is_left_alone),
        LAW(what_cannot_be_read_behind_the_end_is_set_aside_or_removed),
        LAW(a_gap_too_long_to_be_one_is_not_filled),
        LAW(a_log_with_features_unknown_here_is_not_written),
        LAW(what_was_cut_can_be_put_back),
        LAW(copies_get_a_directory_of_their_own_when_none_is_named),
        LAW(a_quarantined_segment_can_be_quarantined_once_more),
        LAW(a_writer_at_work_keeps_repairs_out),
        LAW(problems_are_told_as_verify_tells_them),
        LAW(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
