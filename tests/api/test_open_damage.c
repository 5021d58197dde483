/* SPDX-License-Identifier: BSD-3-Clause */
/* test_open_damage.c: whole files missing, exchanged, cut or overwritten. What had been acknowledged is never missed in
 * silence, and whatever a refused writer looked at stays as it was. */
#include "lib/judge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/segment.h"

#define SEALED 3u /* segments 0..2 are sealed, 3 is the active one */

/* A log of numbered records in dir->log, all of them acknowledged. Returns how many. */
static uint64_t make_log_at(const char *path)
{
    struct stele *log = log_open(path, STELE_CREATE);
    uint64_t count = append_until_segment(log, 0, SEALED);
    append_range(log, count, count + 20);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    return count + 20;
}

static uint64_t make_log(const struct dir *dir)
{
    return make_log_at(dir->log);
}

/* A writer is refused with this code, the message names this, and nothing is different afterwards. */
static void expect_refused(const struct dir *dir, int code, const char *named)
{
    uint64_t before = log_digest(dir->log);
    const struct stele_options options = log_options(0);
    struct stele *log;
    returns(code, stele_open(dir->log, &options, &log));
    error_says(named);
    error_says("stele verify");
    must(log_digest(dir->log) == before);
}

static const char *segment(const struct dir *dir, uint64_t sequence)
{
    return segment_file(dir, sequence, SEGMENT_SMALL);
}

static void a_missing_segment_below_the_durable_point_is_named(void **state)
{
    struct dir *dir = *state;
    for (uint64_t missing = 0; missing <= SEALED; missing++) {
        uint64_t count = make_log(dir);
        must(unlink(segment(dir, missing)) == 0);
        expect_refused(dir, STELE_ECORRUPT, segment_name(missing, SEGMENT_SMALL));
        must(judge(dir->log, count) == DETECTED);
        dir_empty(dir->log);
    }
}

static void several_or_all_segments_missing_are_noticed(void **state)
{
    struct dir *dir = *state;
    for (unsigned set = 1; set < 1u << (SEALED + 1); set++) {
        uint64_t count = make_log(dir);
        for (uint64_t sequence = 0; sequence <= SEALED; sequence++)
            if ((set >> sequence & 1) != 0)
                must(unlink(segment(dir, sequence)) == 0);
        must(judge(dir->log, count) == DETECTED);
        dir_empty(dir->log);
    }
    uint64_t count = make_log(dir);
    for (uint64_t sequence = 0; sequence < 16; sequence++)
        (void)unlink(segment(dir, sequence)); /* the spares too: only the control file is left */
    must(judge(dir->log, count) == DETECTED);
}

static void spares_may_be_missing(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    for (uint64_t sequence = SEALED + 1; sequence < 16; sequence++)
        (void)unlink(segment(dir, sequence));
    must(judge(dir->log, count) == HARMLESS);
    struct stele *log = log_open(dir->log, 0);
    count = append_until_segment(log, count, SEALED + 3);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, count);
}

/* Readers do without a control file: every record is shown, and then that more there may have been. */
static void expect_all_and_a_word(const struct dir *dir, uint64_t count)
{
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, count);
    returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
    error_says("control");
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void a_missing_control_file_stops_writers_not_readers(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    must(unlink(log_file(dir, "control")) == 0);
    expect_all_and_a_word(dir, count);
    expect_refused(dir, STELE_ECORRUPT, "control");
    must(judge(dir->log, count) == DETECTED);
}

static void a_missing_lock_file_is_made_again(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    must(unlink(log_file(dir, "lock")) == 0);
    expect_log(dir->log, 0, count);
    must(!file_exists(log_file(dir, "lock"))); /* not by a reader */
    must(judge(dir->log, count) == HARMLESS);
    must(file_exists(log_file(dir, "lock")));
}

static void swapped_segments_are_noticed(void **state)
{
    struct dir *dir = *state;
    for (uint64_t a = 0; a <= SEALED; a++) {
        for (uint64_t b = a + 1; b <= SEALED + 1; b++) {
            uint64_t count = make_log(dir);
            if (!file_exists(segment(dir, b)))
                file_make(segment(dir, b), "");
            must(rename(segment(dir, a), dir_file(dir, "aside")) == 0);
            must(rename(segment(dir, b), segment(dir, a)) == 0);
            must(rename(dir_file(dir, "aside"), segment(dir, b)) == 0);
            must(judge(dir->log, count) == DETECTED);
            dir_empty(dir->log);
        }
    }
}

static void a_renamed_segment_is_noticed(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        uint64_t count = make_log(dir);
        must(rename(segment(dir, sequence), segment(dir, 100)) == 0);
        expect_refused(dir, STELE_ECORRUPT, segment_name(100, SEGMENT_SMALL));
        must(judge(dir->log, count) == DETECTED);
        must(rename(segment(dir, 100), log_file(dir, "not-ours-any-more")) == 0);
        must(judge(dir->log, count) == DETECTED);
        dir_empty(dir->log);
    }
}

static void put(const char *from, const char *to)
{
    static uint8_t bytes[2 * SEGMENT_SMALL];
    uint64_t size = file_bytes(from);
    must(size <= sizeof bytes);
    file_read(from, 0, bytes, (size_t)size);
    (void)unlink(to);
    file_make(to, "");
    file_write(to, 0, bytes, (size_t)size);
}

static void a_segment_of_another_log_is_never_read_as_ours(void **state)
{
    struct dir *dir = *state;
    make_log_at(dir_file(dir, "other")); /* the same records, but another log */
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        uint64_t count = make_log(dir);
        char from[512];
        (void)snprintf(from, sizeof from, "%s/other/%s", dir->path, segment_name(sequence, SEGMENT_SMALL));
        put(from, segment(dir, sequence));
        expect_refused(dir, STELE_ECORRUPT, segment_name(sequence, SEGMENT_SMALL));
        must(judge(dir->log, count) == DETECTED);
        dir_empty(dir->log);
    }
    /* And where ours has ended. */
    uint64_t count = make_log(dir);
    for (uint64_t sequence = SEALED + 1; sequence < 16; sequence++)
        (void)unlink(segment(dir, sequence));
    char name[512];
    (void)snprintf(name, sizeof name, "%s/%s", dir->log, segment_name(SEALED + 1, SEGMENT_SMALL));
    struct stele *log = log_open(dir_file(dir, "other"), 0);
    append_until_segment(log, 0, SEALED + 2);
    succeeds(stele_close(log));
    char from[512];
    (void)snprintf(from, sizeof from, "%s/other/%s", dir->path, segment_name(SEALED + 1, SEGMENT_SMALL));
    put(from, name);
    must(judge(dir->log, count) == DETECTED);
}

/* A restored backup of one file: all its records are sound, and some that were acknowledged later are not in it. */
static void an_older_copy_of_the_active_segment_is_noticed(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    put(segment(dir, SEALED), dir_file(dir, "older"));
    struct stele *log = log_open(dir->log, 0);
    append_range(log, count, count + 5);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    put(dir_file(dir, "older"), segment(dir, SEALED));
    expect_refused(dir, STELE_ECORRUPT, segment_name(SEALED, SEGMENT_SMALL));
    must(judge(dir->log, count + 5) == DETECTED);
}

static void set_size(const char *path, uint64_t size)
{
    must(truncate(path, (off_t)size) == 0);
}

/* At every length that could make a difference; read beyond it, a mapping would end the process with SIGBUS. */
static void a_segment_cut_short_is_an_error_never_a_signal(void **state)
{
    struct dir *dir = *state;
    const uint64_t whole = stele__segment_file_bytes(SEGMENT_SMALL);
    const uint64_t sizes[] = {
        0,     1,     127,   2048,         4095,         4096,      4097,      8192,         20000,     40960,
        69631, 69632, 69633, whole - 8192, whole - 4096, whole - 1, whole + 1, whole + 4096, 10 * whole};
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        uint64_t count = make_log(dir);
        dir_copy(dir->log, dir_file(dir, "whole"));
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            set_size(segment(dir, sequence), sizes[i]);
            expect_refused(dir, STELE_ECORRUPT, segment_name(sequence, SEGMENT_SMALL));
            must(judge(dir->log, count) == DETECTED);
            dir_empty(dir->log);
            dir_copy(dir_file(dir, "whole"), dir->log);
        }
        dir_empty(dir->log);
        dir_empty(dir_file(dir, "whole"));
    }
}

static void a_control_file_cut_short_is_an_error_never_a_signal(void **state)
{
    struct dir *dir = *state;
    static const uint64_t sizes[] = {0,    1,    127,   128,   4095,  4096,    8191,
                                     8192, 8193, 12288, 16383, 16385, 1u << 20};
    uint64_t count = make_log(dir);
    dir_copy(dir->log, dir_file(dir, "whole"));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        set_size(log_file(dir, "control"), sizes[i]);
        must(judge(dir->log, count) == DETECTED);
        expect_all_and_a_word(dir, count);
        dir_empty(dir->log);
        dir_copy(dir_file(dir, "whole"), dir->log);
    }
}

/* A spare cut short holds nothing: it is made again. */
static void a_spare_cut_short_is_made_again(void **state)
{
    struct dir *dir = *state;
    static const uint64_t sizes[] = {0, 1, 4096, 5000, 69632};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t count = make_log(dir);
        if (!file_exists(segment(dir, SEALED + 1)))
            file_make(segment(dir, SEALED + 1), "");
        set_size(segment(dir, SEALED + 1), sizes[i]);
        must(judge(dir->log, count) == HARMLESS);
        struct stele *log = log_open(dir->log, 0);
        count = append_until_segment(log, count, SEALED + 3);
        succeeds(stele_close(log));
        expect_log(dir->log, 0, count);
        dir_empty(dir->log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_missing_segment_below_the_durable_point_is_named),
        LAW(several_or_all_segments_missing_are_noticed),
        LAW(spares_may_be_missing),
        LAW(a_missing_control_file_stops_writers_not_readers),
        LAW(a_missing_lock_file_is_made_again),
        LAW(swapped_segments_are_noticed),
        LAW(a_renamed_segment_is_noticed),
        LAW(a_segment_of_another_log_is_never_read_as_ours),
        LAW(an_older_copy_of_the_active_segment_is_noticed),
        LAW(a_segment_cut_short_is_an_error_never_a_signal),
        LAW(a_control_file_cut_short_is_an_error_never_a_signal),
        LAW(a_spare_cut_short_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
