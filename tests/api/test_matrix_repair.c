/* SPDX-License-Identifier: BSD-3-Clause */
/* test_matrix_repair.c: repairs of what cannot be copied or read, of gaps behind a cut, and what a gap is to a
 * cursor. Killed before each of their steps and run again, they end as if they had never been disturbed. */
#include "test_repair.h"

#include <dirent.h>

#define LOSS STELE_REPAIR_ALLOW_DATA_LOSS
#define QUARANTINE STELE_REPAIR_QUARANTINE
#define WHOLE stele__segment_file_bytes(SEGMENT_SMALL)

static struct truth truth;

static void fresh(const struct dir *dir)
{
    dir_empty(dir->log);
    dir_empty(dir_file(dir, "kept"));
    make_log(dir);
    learn(dir->log, &truth);
}

static const char *with(const char *path, const char *suffix)
{
    static char texts[4][600];
    static unsigned at;
    char text[600]; /* `path` may be one of ours */
    must(snprintf(text, sizeof text, "%s%s", path, suffix) < (int)sizeof text);
    return memcpy(texts[at++ % 4], text, sizeof text);
}

/* In place of segment 1, with somebody's file in it. */
static void put_a_directory(const struct dir *dir)
{
    must(unlink(segment(dir, 1)) == 0);
    must(mkdir(segment(dir, 1), 0700) == 0);
    file_make(with(segment(dir, 1), "/precious"), "data");
}

static void put_a_link(const struct dir *dir)
{
    must(rename(segment(dir, 1), dir_file(dir, "log/elsewhere")) == 0);
    must(symlink("elsewhere", segment(dir, 1)) == 0);
}

/* Segment 2 was set aside by an earlier repair; now a record of segment 0 is damaged. */
static void leave_a_gap_behind(const struct dir *dir)
{
    struct stele_repair_result result;
    file_zero(segment(dir, 2), 0, 4096);
    succeeds(repair(dir, QUARANTINE | STELE_REPAIR_APPLY, &result));
    must(file_exists(with(segment(dir, 2), ".broken")));
    damage_record(dir, truth.lsn[10]);
}

/* Two segments behind the end of the log, where only a spare can be. */
static void spoil_a_far_spare(const struct dir *dir)
{
    file_write(segment(dir, SEALED + 2), 4096 + 100, "what may this be", 16);
    file_zero(segment(dir, SEALED + 2), 0, 4096);
}

/* Both blocks: a piece of what they said can still be read by people. */
static void spoil_the_control_file(const struct dir *dir)
{
    file_flip(log_file(dir, "control"), 70, 0);
    file_flip(log_file(dir, "control"), 4096 + 70, 0);
}

/* A copy of segment 2 under another name; then segment 1 is damaged, so that 2 goes. */
static void leave_a_second_file_behind(const struct dir *dir)
{
    char name[64];
    (void)snprintf(name, sizeof name, "log/%016x-%016llx.stele", 2, 2ull * SEGMENT_SMALL + 8);
    file_make(dir_file(dir, name), "");
    must(truncate(dir_file(dir, name), 100) == 0);
    file_zero(segment(dir, 1), 0, 4096);
}

struct odd {
    void (*damage)(const struct dir *dir);
    uint32_t flags;
    struct loss lost;
    void (*check)(const struct dir *dir);
};

static void the_directory_is_aside(const struct dir *dir)
{
    must(file_bytes(with(segment(dir, 1), ".aside/precious")) == 4);
}

static void the_link_is_aside(const struct dir *dir)
{
    struct stat st;
    must(lstat(with(segment(dir, 1), ".aside"), &st) == 0 && S_ISLNK(st.st_mode));
    must(file_exists(dir_file(dir, "log/elsewhere")));
}

static void a_gap_is_left(const struct dir *dir)
{
    must(file_bytes(with(segment(dir, 1), ".broken")) == 0);
    the_directory_is_aside(dir);
}

/* A repair that was killed may have left half a copy; the next one makes another. */
static void no_gap_is_left(const struct dir *dir)
{
    must(dir_count_ending(dir->log, ".broken") == 0);
    const char *name = with(segment_name(2, SEGMENT_SMALL), ".broken.from-0");
    const char *piece = with(with(dir->path, "/kept/"), name);
    const char *second = with(piece, ".2");
    must(file_bytes(piece) == WHOLE || (file_exists(second) && file_bytes(second) == WHOLE));
}

static void the_control_file_is_kept(const struct dir *dir)
{
    static const char *const names[] = {"kept/control.from-0", "kept/control.from-0.2"};
    uint8_t byte = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < 2; i++)
        if (file_exists(dir_file(dir, names[i])) && file_bytes(dir_file(dir, names[i])) > bytes) {
            bytes = file_bytes(dir_file(dir, names[i]));
            file_read(dir_file(dir, names[i]), 0, &byte, 1);
        }
    must(bytes == 16384 && byte == 'S');
}

static void nothing_is_left_behind_the_cut(const struct dir *dir)
{
    DIR *names = opendir(dir->log);
    must(names != NULL);
    for (struct dirent *entry; (entry = readdir(names)) != NULL;)
        must(strncmp(entry->d_name, "000000000000000", 15) != 0 || entry->d_name[15] < '1');
    must(closedir(names) == 0);
}

static void the_spare_is_aside(const struct dir *dir)
{
    char text[16];
    file_read(with(segment(dir, SEALED + 2), ".aside"), 4096 + 100, text, sizeof text);
    must(memcmp(text, "what may this be", sizeof text) == 0);
    must(dir_count_ending(dir->log, ".broken") == 0);
}

/* Whole, and killed at each step. The first repair may have been killed when it was all but done, so that the
 * second one has nothing to do: the state is what counts. */
static void is_mended(const struct dir *dir, const struct odd *odd)
{
    unsigned step = 1;
    for (bool killed = true; killed; step++) {
        struct stele_repair_result said, result;
        fresh(dir);
        struct loss lost = odd->lost;
        if (odd->damage == leave_a_gap_behind)
            lost.from = truth.lsn[10];
        odd->damage(dir);
        succeeds(repair(dir, odd->flags, &said));
        must(said.before == STELE_CORRUPT && said.after == STELE_CLEAN);
        killed = repair_killed_at(dir, odd->flags, step);
        succeeds(repair(dir, odd->flags | STELE_REPAIR_APPLY, &result));
        must(result.after == STELE_CLEAN);
        odd->check(dir);
        uint64_t left = expect_survivors(dir->log, &truth, &lost, 1);
        expect_mended(dir->log, left);
        expect_writable(dir->log, left);
    }
    must(step > 4);
}

static void what_is_no_file_is_moved_aside_when_the_log_is_cut(void **state)
{
    const struct loss behind = {SEGMENT_SMALL, UINT64_MAX};
    is_mended(*state, &(struct odd){put_a_directory, LOSS, behind, the_directory_is_aside});
    is_mended(*state, &(struct odd){put_a_link, LOSS, behind, the_link_is_aside});
}

static void what_is_no_file_becomes_a_gap_when_it_is_quarantined(void **state)
{
    const struct loss one = {SEGMENT_SMALL, 2 * SEGMENT_SMALL};
    is_mended(*state, &(struct odd){put_a_directory, QUARANTINE, one, a_gap_is_left});
    is_mended(*state, &(struct odd){put_a_directory, QUARANTINE | LOSS, one, a_gap_is_left});
}

static void a_gap_behind_a_cut_goes_with_the_rest(void **state)
{
    is_mended(*state, &(struct odd){leave_a_gap_behind, LOSS, {0, UINT64_MAX}, no_gap_is_left});
}

static void a_second_file_behind_a_cut_goes_with_the_rest(void **state)
{
    is_mended(*state, &(struct odd){leave_a_second_file_behind,
                                    LOSS,
                                    {SEGMENT_SMALL, UINT64_MAX},
                                    nothing_is_left_behind_the_cut});
}

static void what_was_left_of_the_control_file_is_kept(void **state)
{
    is_mended(*state, &(struct odd){spoil_the_control_file, LOSS, {0, 0}, the_control_file_is_kept});
}

/* The log will have a segment of that number: a gap could not be told from it. */
static void what_stands_far_behind_the_end_leaves_no_gap(void **state)
{
    is_mended(*state, &(struct odd){spoil_a_far_spare, QUARANTINE, {0, 0}, the_spare_is_aside});
}

/* Nothing is given up: what cannot be read gets the wrong name, under which it is no part of the log. */
static void a_sound_file_takes_its_name_from_one_that_cannot_be_read(void **state)
{
    struct dir *dir = *state;
    static const uint32_t flags[] = {0, QUARANTINE, LOSS};
    for (int i = 0; i < 6; i++) {
        struct stele_repair_result result;
        fresh(dir);
        char twin[600];
        must(snprintf(twin, sizeof twin, "%s/%016x-%016llx.stele", dir->log, 1, SEGMENT_SMALL + 8ull) > 0);
        must(rename(segment(dir, 1), twin) == 0);
        if (i < 3)
            must(mkdir(segment(dir, 1), 0700) == 0);
        else
            file_make(segment(dir, 1), "what was this");
        succeeds(repair(dir, flags[i % 3] | STELE_REPAIR_APPLY, &result));
        must(result.after == STELE_CLEAN && result.segments_quarantined == 0 &&
             result.cut_lsn == STELE_LSN_NONE);
        must(expect_survivors(dir->log, &truth, NULL, 0) == truth.count);
        must(file_exists(twin)); /* the other one, as it was */
        must(verify_log(dir->log, NULL).verdict == STELE_CLEAN);
    }
}

static unsigned gaps_from(struct stele *log, enum stele_from from, uint64_t where)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    unsigned gaps = 0;
    int rc;
    succeeds(stele_cursor_open(log, 0, from, where, &cursor));
    do {
        rc = stele_cursor_next(cursor, &record);
        gaps += rc == STELE_EGAP ? 1 : 0;
    } while (rc == 1 || rc == STELE_EGAP);
    must(rc == 0);
    must(stele_cursor_next(cursor, &record) == 0); /* and not again at the end */
    stele_cursor_close(cursor);
    return gaps;
}

static void a_cursor_tells_each_gap_once_and_steps_over_it(void **state)
{
    struct dir *dir = *state;
    struct stele_repair_result result;
    fresh(dir);
    damage_record(dir, truth.lsn[truth.count / 4]);
    file_zero(segment(dir, 2), 0, 4096);
    succeeds(repair(dir, QUARANTINE | STELE_REPAIR_APPLY, &result));
    must(result.segments_quarantined == 2);
    for (int live = 0; live < 2; live++) {
        struct stele *writer = live ? log_open(dir->log, 0) : NULL;
        struct stele *log = log_open(dir->log, STELE_READ_ONLY);
        must(gaps_from(log, STELE_FROM_BEGIN, 0) == 2);
        must(gaps_from(log, STELE_FROM_LSN, truth.lsn[0]) == 2);
        must(gaps_from(log, STELE_FROM_LSN, 2 * SEGMENT_SMALL) == 1);
        must(gaps_from(log, STELE_FROM_LSN, 3 * SEGMENT_SMALL) == 0);
        must(gaps_from(log, STELE_FROM_LAST, 10) == 0);
        succeeds(stele_close(log));
        if (live)
            succeeds(stele_close(writer));
    }
}

/* Segments without a mark but the last, whose chain only their footers and the closing mark know. */
static uint64_t make_log_without_marks(const struct dir *dir)
{
    dir_empty(dir->log);
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    options.mark_bytes = UINT64_C(1) << 40;
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    succeeds(stele__open_with(dir->log, &options, &seams, &log));
    uint64_t count = append_until_segment(log, 0, SEALED);
    append_range(log, count, count + EXTRA);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    (void)stele__helper_step(log, true);
    succeeds(stele_close(log));
    return count + EXTRA;
}

/* Segment 1 is a gap, and the seal of segment 2 behind it is lost: nothing knows the chain in it, but the mark in
 * segment 3 knows it behind it. */
static void lose_the_chain(const struct dir *dir, const char *rest)
{
    must(rename(segment(dir, 1), with(segment(dir, 1), ".broken")) == 0);
    const uint64_t footer = stele__footer_offset(SEGMENT_SMALL);
    file_zero(segment(dir, 2), footer, 8192);
    file_write(segment(dir, 2), footer, rest, strlen(rest));
}

static void a_chain_that_nobody_knows_is_not_sealed_into_a_segment(void **state)
{
    struct dir *dir = *state;
    static const char *const rests[] = {"", "half a footer"};
    for (int i = 0; i < 4; i++) {
        make_log_without_marks(dir);
        lose_the_chain(dir, rests[i % 2]);
        struct stele_verify_result before = verify_log(dir->log, NULL);
        must(before.verdict == STELE_CLEAN);
        if (i >= 2) {
            struct stele_repair_result result;
            succeeds(repair(dir, STELE_REPAIR_APPLY, &result));
            must(result.after == STELE_CLEAN);
        }
        expect_writable(dir->log, before.records); /* and clean, and again: */
        struct stele *log = log_open(dir->log, 0);
        append_range(log, 900000, 900300);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        must(stele_trim(log, 3 * SEGMENT_SMALL, NULL) ==
             1); /* not behind 1 or 2: nobody knows how 3 begins */
        must(stele_trim(log, 4 * SEGMENT_SMALL, NULL) == 3);
        succeeds(stele_close(log));
        expect_mended(dir->log, verify_log(dir->log, NULL).records);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(what_is_no_file_is_moved_aside_when_the_log_is_cut),
        LAW(what_is_no_file_becomes_a_gap_when_it_is_quarantined),
        LAW(a_gap_behind_a_cut_goes_with_the_rest),
        LAW(a_second_file_behind_a_cut_goes_with_the_rest),
        LAW(what_was_left_of_the_control_file_is_kept),
        LAW(what_stands_far_behind_the_end_leaves_no_gap),
        LAW(a_sound_file_takes_its_name_from_one_that_cannot_be_read),
        LAW(a_cursor_tells_each_gap_once_and_steps_over_it),
        LAW(a_chain_that_nobody_knows_is_not_sealed_into_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
