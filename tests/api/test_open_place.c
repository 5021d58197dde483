/* SPDX-License-Identifier: BSD-3-Clause */
/* test_open_place.c: which directories are logs, become logs, or are refused, and what is left of a creation that
 * failed. Versions and features that this library does not know. */
#include "lib/dir.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "format/control.h"

static int open_at(const char *path, uint32_t flags)
{
    struct stele *log = (struct stele *)(void *)1;
    const struct stele_options options = log_options(flags);
    int rc = stele_open(path, &options, &log);
    must((rc == 0) == (log != NULL));
    return rc == 0 ? stele_close(log) : rc;
}

static void an_empty_directory_is_no_log_and_becomes_one_when_asked(void **state)
{
    struct dir *dir = *state;
    must(mkdir(dir->log, 0700) == 0);
    uint64_t before = dir_digest(dir->log);
    returns(STELE_ENOTLOG, open_at(dir->log, 0));
    error_says(dir->log);
    returns(STELE_ENOTLOG, open_at(dir->log, STELE_READ_ONLY));
    must(dir_digest(dir->log) == before);
    succeeds(open_at(dir->log, STELE_CREATE | STELE_EXCL));
    succeeds(open_at(dir->log, 0));
}

static void foreign_files_are_refused_at_creation_and_left_alone(void **state)
{
    struct dir *dir = *state;
    static const char *const foreign[] = {"notes.txt", "controls",
                                          "0000000000000000-0000000000000000.stele.bak",
                                          "0000000000000000-000000000000000A.stele"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        must(mkdir(dir->log, 0700) == 0);
        file_make(log_file(dir, foreign[i]), "mine");
        uint64_t before = dir_digest(dir->log);
        returns(STELE_ENOTLOG, open_at(dir->log, STELE_CREATE));
        error_says(dir->log);
        returns(STELE_ENOTLOG, open_at(dir->log, STELE_CREATE | STELE_EXCL));
        returns(STELE_ENOTLOG, open_at(dir->log, 0));
        returns(STELE_ENOTLOG, open_at(dir->log, STELE_READ_ONLY));
        must(dir_digest(dir->log) == before);
        dir_empty(dir->log);
    }
}

static void foreign_files_beside_segments_are_harmless_and_stay(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t next = append_until_segment(log, 0, 2);
    succeeds(stele_close(log));
    file_make(log_file(dir, "notes.txt"), "mine");
    file_make(log_file(dir, "0000000000000007-0000000000070000.stele.bak"), "");
    file_make(log_file(dir, "0000000000000001-0000000000010000.STELE"), "");
    must(mkdir(log_file(dir, "folder"), 0700) == 0);
    must(symlink("/dev/zero", log_file(dir, "link")) == 0);
    log = log_open(dir->log, 0);
    expect_range(log, 0, next);
    next = append_until_segment(log, next, 4);
    must(stele_trim(log, stele_tail(log), NULL) > 0);
    succeeds(stele_close(log));
    must(file_exists(log_file(dir, "notes.txt")) && file_bytes(log_file(dir, "notes.txt")) == 4);
    must(file_exists(log_file(dir, "0000000000000007-0000000000070000.stele.bak")));
    must(file_exists(log_file(dir, "0000000000000001-0000000000010000.STELE")));
    must(file_exists(log_file(dir, "folder")));
    must(file_exists(log_file(dir, "link")));
}

/* Nobody follows a symbolic link, or reads a directory, that stands where a file of the log should. */
static void a_link_or_directory_in_place_of_a_segment_is_damage(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_until_segment(log, 0, 2);
    succeeds(stele_close(log));
    const char *segment = segment_file(dir, 1, SEGMENT_SMALL);
    must(rename(segment, dir_file(dir, "elsewhere")) == 0);
    must(symlink(dir_file(dir, "elsewhere"), segment) == 0);
    returns(STELE_ECORRUPT, open_at(dir->log, 0));
    error_says("0000000000000001-");
    must(unlink(segment) == 0 && mkdir(segment, 0700) == 0);
    must(open_at(dir->log, 0) < 0);
    error_says("0000000000000001-");
    must(rmdir(segment) == 0 && rename(dir_file(dir, "elsewhere"), segment) == 0);
    succeeds(open_at(dir->log, 0));
}

static void a_file_instead_of_a_directory_is_no_log(void **state)
{
    struct dir *dir = *state;
    file_make(dir->log, "I am a file");
    returns(STELE_ENOTLOG, open_at(dir->log, 0));
    returns(STELE_ENOTLOG, open_at(dir->log, STELE_READ_ONLY));
    returns(STELE_ENOTLOG, open_at(dir->log, STELE_CREATE));
    must(file_bytes(dir->log) == 11);
}

static void a_missing_parent_is_an_error_and_not_made(void **state)
{
    struct dir *dir = *state;
    returns(STELE_ENOENT, open_at(log_file(dir, "log"), STELE_CREATE));
    must(!file_exists(dir->log));
    returns(STELE_ENOENT, open_at(dir->log, STELE_READ_ONLY));
}

/* A durability that is not possible here, found after the directory was made and the lock taken. */
static void a_creation_that_fails_leaves_nothing(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.durability = STELE_DURABILITY_PMEM;
    struct stele *log = NULL;
    returns(STELE_EINVAL, stele_open(dir->log, &options, &log));
    error_says("pmem");
    must(!file_exists(dir->log));
    must(mkdir(dir->log, 0700) == 0);
    returns(STELE_EINVAL, stele_open(dir->log, &options, &log));
    options.durability = STELE_DURABILITY_NONE;
    succeeds(stele_open(dir->log, &options, &log)); /* still a place for a log */
    succeeds(stele_close(log));
}

/* What a creation killed half-way leaves: a lock file, files under construction, or a log without a segment. */
static void an_interrupted_creation_can_be_repeated(void **state)
{
    struct dir *dir = *state;
    must(mkdir(dir->log, 0700) == 0);
    file_make(log_file(dir, "lock"), "");
    file_make(log_file(dir, "control.stele.tmp"), "half");
    file_make(log_file(dir, "new-0000000000000000.stele.tmp"), "");
    returns(STELE_ENOTLOG, open_at(dir->log, 0));
    struct stele *log = log_open(dir->log, STELE_CREATE | STELE_EXCL);
    append_range(log, 0, 10);
    succeeds(stele_close(log));
    must(dir_count_ending(dir->log, ".tmp") == 0);
    expect_log(dir->log, 0, 10);

    /* The control file is there, no segment yet. */
    dir_empty(dir->log);
    succeeds(open_at(dir->log, STELE_CREATE));
    for (uint64_t sequence = 0; sequence < 9; sequence++)
        (void)unlink(segment_file(dir, sequence, SEGMENT_SMALL));
    log = log_open(dir->log, 0);
    append_range(log, 0, 10);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 10);
}

/* ---- versions and features: sound structures that this library must not touch */

enum field { MAJOR, INCOMPAT, RO_COMPAT, CHECKSUM, CHAIN };

/* Set a field of a header copy and make its checksum right again (docs/format.md, 4.1). */
static void patch_header(const struct dir *dir, uint64_t sequence, unsigned copy, enum field field)
{
    static const unsigned at[] = {8, 16, 24, 81, 82};
    uint8_t page[STELE__HEADER_COPY];
    file_read(segment_file(dir, sequence, SEGMENT_SMALL), copy * STELE__HEADER_COPY, page, sizeof page);
    page[at[field]] ^= 2;
    uint32_t metadata_bytes = stele__load32(page + 84);
    uint32_t crc = stele__crc32c(0, page, 124);
    stele__store32(page + 124, stele__crc32c(crc, page + STELE__HEADER_FIXED, metadata_bytes));
    file_write(segment_file(dir, sequence, SEGMENT_SMALL), copy * STELE__HEADER_COPY, page, sizeof page);
}

static uint64_t small_log(const struct dir *dir)
{
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t next = append_until_segment(log, 0, 2);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    return next;
}

static void another_version_in_any_header_is_refused_and_nothing_changes(void **state)
{
    struct dir *dir = *state;
    static const enum field fields[] = {MAJOR, INCOMPAT, CHECKSUM, CHAIN};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (uint64_t sequence = 0; sequence < 3; sequence++) {
            small_log(dir);
            patch_header(dir, sequence, 1, fields[i]); /* one copy is enough: somebody newer was here */
            uint64_t before = log_digest(dir->log);
            returns(STELE_EVERSION, open_at(dir->log, 0));
            error_says(segment_name(sequence, SEGMENT_SMALL));
            returns(STELE_EVERSION, open_at(dir->log, STELE_READ_ONLY));
            must(log_digest(dir->log) == before);
            patch_header(dir, sequence, 0, fields[i]);
            returns(STELE_EVERSION, open_at(dir->log, STELE_CREATE));
            patch_header(dir, sequence, 0, fields[i]);
            patch_header(dir, sequence, 1, fields[i]);
            succeeds(open_at(dir->log, STELE_READ_ONLY));
            dir_empty(dir->log);
        }
    }
}

static struct stele__control read_control(const struct dir *dir)
{
    uint8_t pages[2 * STELE__CONTROL_PAGE];
    struct stele__control control;
    uint32_t copies;
    file_read(log_file(dir, "control"), 0, pages, sizeof pages);
    must(stele__control_decode(pages, &control, &copies) == STELE__DECODE_OK);
    return control;
}

static void write_control(const struct dir *dir, struct stele__control control, uint64_t incompat,
                          uint64_t ro_compat)
{
    uint8_t pages[2 * STELE__CONTROL_PAGE];
    control.incompat = incompat;
    control.ro_compat = ro_compat;
    stele__control_encode(pages, &control);
    stele__control_encode(pages + STELE__CONTROL_PAGE, &control);
    file_write(log_file(dir, "control"), 0, pages, sizeof pages);
}

static void an_unknown_feature_in_the_control_file_is_refused(void **state)
{
    struct dir *dir = *state;
    uint64_t count = small_log(dir);
    const struct stele__control control = read_control(dir);
    for (unsigned bit = 0; bit < 64; bit++) {
        write_control(dir, control, UINT64_C(1) << bit, 0);
        uint64_t before = log_digest(dir->log);
        returns(STELE_EVERSION, open_at(dir->log, 0));
        error_says("control");
        returns(STELE_EVERSION, open_at(dir->log, STELE_READ_ONLY));
        returns(STELE_EVERSION, open_at(dir->log, STELE_CREATE));
        must(log_digest(dir->log) == before);
    }
    write_control(dir, control, 0, 0);
    expect_log(dir->log, 0, count);
}

static void features_that_forbid_writing_leave_a_log_to_readers(void **state)
{
    struct dir *dir = *state;
    uint64_t count = small_log(dir);
    const struct stele__control control = read_control(dir);
    for (unsigned bit = 0; bit < 64; bit++) {
        write_control(dir, control, 0, UINT64_C(1) << bit);
        returns(STELE_EVERSION, open_at(dir->log, 0));
        expect_log(dir->log, 0, count);
    }
    write_control(dir, control, 0, 0);
    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        patch_header(dir, sequence, 0, RO_COMPAT);
        patch_header(dir, sequence, 1, RO_COMPAT);
        returns(STELE_EVERSION, open_at(dir->log, 0));
        expect_log(dir->log, 0, count);
        patch_header(dir, sequence, 0, RO_COMPAT);
        patch_header(dir, sequence, 1, RO_COMPAT);
    }
    succeeds(open_at(dir->log, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(an_empty_directory_is_no_log_and_becomes_one_when_asked),
        LAW(foreign_files_are_refused_at_creation_and_left_alone),
        LAW(foreign_files_beside_segments_are_harmless_and_stay),
        LAW(a_link_or_directory_in_place_of_a_segment_is_damage),
        LAW(a_file_instead_of_a_directory_is_no_log),
        LAW(a_missing_parent_is_an_error_and_not_made),
        LAW(a_creation_that_fails_leaves_nothing),
        LAW(an_interrupted_creation_can_be_repeated),
        LAW(another_version_in_any_header_is_refused_and_nothing_changes),
        LAW(an_unknown_feature_in_the_control_file_is_refused),
        LAW(features_that_forbid_writing_leave_a_log_to_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
