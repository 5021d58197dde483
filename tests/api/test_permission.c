/* SPDX-License-Identifier: BSD-3-Clause */
/* test_permission.c: who may not write, may read; who may not read, is told so; nobody leaves anything behind. As root the
 * work is done by a child that gave root up, because root may do everything. */
#include "lib/child.h"
#include "lib/dir.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static struct dir *place;
static uint64_t count;

static void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    must(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

/* A log of `count` records with these modes, then check(NULL) as an unprivileged user who does not own it (or, without
 * root, as the owner, whom the owner's bits stop just as well). */
static void with_modes(struct dir *dir, unsigned directory, unsigned file, void (*check)(void *))
{
    place = dir;
    struct stele_options options = log_options(STELE_CREATE);
    struct stele *log = log_open_with(dir->log, &options);
    count = append_until_segment(log, 0, 2);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    must(chmod(log_file(dir, "control"), file) == 0 && chmod(log_file(dir, "lock"), file) == 0);
    for (uint64_t sequence = 0; sequence < 16; sequence++)
        if (file_exists(segment_file(dir, sequence, SEGMENT_SMALL)))
            must(chmod(segment_file(dir, sequence, SEGMENT_SMALL), file) == 0);
    must(chmod(dir->log, directory) == 0);
    uint64_t before = geteuid() == 0 ? dir_digest(dir->log) : 0;
    pid_t child = child_start(check, NULL);
    child_join(child);
    must(geteuid() != 0 || dir_digest(dir->log) == before);
    must(chmod(dir->log, 0700) == 0);
}

static int open_as(uint32_t flags)
{
    struct stele *log;
    const struct stele_options options = log_options(flags);
    int rc = stele_open(place->log, &options, &log);
    return rc == 0 ? stele_close(log) : rc;
}

static void expect_reader_only(void *ctx)
{
    (void)ctx;
    become_nobody();
    returns(STELE_EACCES, open_as(0));
    error_says(place->log);
    error_says("Permission denied");
    returns(STELE_EACCES, open_as(STELE_CREATE));
    struct stele *log = log_open(place->log, STELE_READ_ONLY);
    expect_range(log, 0, count);
    /* Pins and waits work on what may only be read. */
    struct stele_pin *pin;
    succeeds(stele_pin(log, 0, &pin));
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_END, 0, &cursor));
    returns(0, stele_cursor_wait(cursor, 0));
    returns(0, stele_cursor_wait(cursor, 3 * 1000 * 1000));
    stele_cursor_close(cursor);
    stele_unpin(pin);
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(place->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.records == count);
}

static void who_may_only_read_reads_and_does_not_write(void **state)
{
    with_modes(*state, 0555, 0444, expect_reader_only);
}

static void expect_no_access(void *ctx)
{
    (void)ctx;
    become_nobody();
    returns(STELE_EACCES, open_as(0));
    returns(STELE_EACCES, open_as(STELE_READ_ONLY));
    error_says(place->log);
    struct stele_verify_result result = {.size = sizeof result};
    returns(STELE_EACCES, stele_verify(place->log, NULL, &result));
}

static void who_may_not_enter_the_directory_is_told_so(void **state)
{
    with_modes(*state, 0000, 0000, expect_no_access);
}

/* Not corrupt, not torn, not empty: unreadable. */
static void who_may_not_read_the_files_is_told_so(void **state)
{
    with_modes(*state, 0555, 0000, expect_no_access);
}

static void expect_no_segment_access(void *ctx)
{
    (void)ctx;
    become_nobody();
    returns(STELE_EACCES, open_as(STELE_READ_ONLY));
    error_says(segment_name(1, SEGMENT_SMALL));
}

static void one_segment_that_may_not_be_read_is_named(void **state)
{
    struct dir *dir = *state;
    place = dir;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_until_segment(log, 0, 2);
    succeeds(stele_close(log));
    must(chmod(dir->log, 0555) == 0 && chmod(log_file(dir, "control"), 0444) == 0);
    must(chmod(log_file(dir, "lock"), 0444) == 0);
    for (uint64_t sequence = 0; sequence < 16; sequence++)
        if (file_exists(segment_file(dir, sequence, SEGMENT_SMALL)))
            must(chmod(segment_file(dir, sequence, SEGMENT_SMALL), sequence == 1 ? 0 : 0444) == 0);
    child_join(child_start(expect_no_segment_access, NULL));
    must(chmod(dir->log, 0700) == 0);
}

/* Files that may be written in a directory in which nothing can be made: the log opens, and the first append that needs
 * another segment says why there is none. */
static void expect_no_new_segment(void *ctx)
{
    (void)ctx;
    become_nobody();
    const struct stele_options options = log_options(0);
    struct stele *log = log_open_with(place->log, &options);
    int rc = 0;
    uint8_t payload[NUMBERED_MAX];
    uint64_t next = count;
    for (; rc == 0; next += rc == 0) {
        struct iovec iov = {.iov_base = payload, .iov_len = numbered(next, payload)};
        rc = stele_appendv(log, numbered_type(next), &iov, 1, NULL);
    }
    returns(STELE_EACCES, rc);
    error_says("no prepared segment");
    error_says("Permission denied");
    succeeds(stele_sync(log, STELE_LSN_ALL));
    expect_range(log, 0, next);
    succeeds(stele_close(log));
}

static void a_directory_in_which_nothing_can_be_made_ends_appends_with_an_error(void **state)
{
    struct dir *dir = *state;
    place = dir;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    count = append_until_segment(log, 0, 2);
    succeeds(stele_close(log));
    must(chmod(log_file(dir, "control"), 0666) == 0 && chmod(log_file(dir, "lock"), 0666) == 0);
    for (uint64_t sequence = 0; sequence < 16; sequence++)
        if (file_exists(segment_file(dir, sequence, SEGMENT_SMALL)))
            must(chmod(segment_file(dir, sequence, SEGMENT_SMALL), 0666) == 0);
    must(chmod(dir->log, 0555) == 0);
    child_join(child_start(expect_no_new_segment, NULL));
    must(chmod(dir->log, 0700) == 0);
}

static void expect_no_creation(void *ctx)
{
    (void)ctx;
    become_nobody();
    returns(STELE_EACCES, open_as(STELE_CREATE));
    error_says(place->log);
    must(!file_exists(place->log));
}

static void no_log_is_made_where_nothing_may_be_made(void **state)
{
    place = *state;
    must(chmod(place->path, 0555) == 0);
    child_join(child_start(expect_no_creation, NULL));
    must(chmod(place->path, 0755) == 0);
}

static void expect_no_creation_inside(void *ctx)
{
    (void)ctx;
    become_nobody();
    returns(STELE_EACCES, open_as(STELE_CREATE));
}

static void no_log_is_made_in_a_directory_that_may_not_be_written(void **state)
{
    place = *state;
    must(mkdir(place->log, 0555) == 0);
    child_join(child_start(expect_no_creation_inside, NULL));
    must(dir_count(place->log) == 0);
    must(chmod(place->log, 0700) == 0);
}

static void a_reader_may_not_change_anything(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 5);
    succeeds(stele_close(log));
    log = log_open(dir->log, STELE_READ_ONLY);
    uint64_t before = dir_digest(dir->log);
    struct stele_entry entry = {.data = "x", .len = 1};
    struct stele_slot slot;
    struct stele_region region;
    returns(STELE_EACCES, stele_append(log, "x", 1, NULL));
    returns(STELE_EACCES, stele_appendv(log, 0, NULL, 0, NULL));
    returns(STELE_EACCES, stele_append_batch(log, &entry, 1));
    returns(STELE_EACCES, stele_reserve(log, 0, 1, &slot));
    returns(STELE_EACCES, stele_sync(log, STELE_LSN_ALL));
    returns(STELE_EACCES, stele_sync(log, 0));
    returns(STELE_EACCES, stele_sync_begin(log));
    returns(STELE_EACCES, stele_trim(log, STELE_LSN_ALL, NULL));
    returns(STELE_EACCES, stele_region(log, &region, 1));
    returns(STELE_EACCES, stele_durable_eventfd(log));
    error_says("read-only");
    expect_range(log, 0, 5);
    must(dir_digest(dir->log) == before);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(who_may_only_read_reads_and_does_not_write),
        LAW(who_may_not_enter_the_directory_is_told_so),
        LAW(who_may_not_read_the_files_is_told_so),
        LAW(one_segment_that_may_not_be_read_is_named),
        LAW(a_directory_in_which_nothing_can_be_made_ends_appends_with_an_error),
        LAW(no_log_is_made_where_nothing_may_be_made),
        LAW(no_log_is_made_in_a_directory_that_may_not_be_written),
        LAW(a_reader_may_not_change_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
