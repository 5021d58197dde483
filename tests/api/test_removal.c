/* SPDX-License-Identifier: BSD-3-Clause */
/* test_removal.c: what was torn is removed from the end of the log, a name at a time, each durably before the next. So
 * there is no moment at which records stand behind a gap: killed, or without power, in between, the log is as torn as it
 * was and never corrupt. Holds for an opening and for a repair. */
#include "test_admin.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "format/name.h"

static struct {
    const char *log; /* what is looked at before each removal; NULL: nothing is */
    const char *copy;
    unsigned removed;
    uint64_t last;
    bool synced; /* since the last removal */
} watch;

static void before_removal(const char *name)
{
    uint64_t sequence;
    stele_lsn base;
    if (watch.log == NULL || stele__name_parse(name, &sequence, &base) != STELE__NAME_SEGMENT)
        return;
    const char *log = watch.log;
    watch.log = NULL;
    must(watch.removed == 0 || (watch.synced && sequence < watch.last));
    watch.last = sequence;
    watch.removed++;
    watch.synced = false;
    dir_copy(log, watch.copy);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(watch.copy, NULL, &result));
    must(result.verdict != STELE_CORRUPT);
    dir_empty(watch.copy);
    watch.log = log;
}

/* The library's calls come here. */
int unlinkat(int dirfd, const char *name, int flags)
{
    before_removal(name);
    return (int)syscall(SYS_unlinkat, dirfd, name, flags);
}

int fsync(int fd)
{
    watch.synced = true;
    return (int)syscall(SYS_fsync, fd);
}

/* Segment 0 sealed; records in 1 to 4 that nobody synced, of which one in 1 was torn. Returns how many stand before it. */
static uint64_t make_torn(const struct dir *dir, const char *crashed)
{
    struct stele_options options = log_options(STELE_CREATE);
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    options.spare_segments = 6;
    succeeds(stele__open_with(dir->log, &options, &seams, &log));
    uint64_t count = append_until_segment(log, 0, 1);
    (void)stele__helper_step(log, true); /* prepares the others, so that it is not called again */
    append_range(log, count, count + 3);
    count += 3;
    const stele_lsn torn = append_numbered(log, count);
    (void)append_until_segment(log, count + 1, 4);
    dir_copy(dir->log, crashed);
    succeeds(stele_close(log));
    file_flip(segment_at(crashed, 1), STELE__HEADER_BYTES + torn - SEGMENT_SMALL + 20, 3);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(crashed, NULL, &result));
    must(result.verdict == STELE_TORN && result.records == count);
    must(file_exists(segment_at(crashed, 7)));
    return count;
}

static void look_at(const char *log, const char *copy)
{
    watch.log = log;
    watch.copy = copy;
    watch.removed = 0;
    watch.synced = false;
}

static void an_opening_removes_from_the_end(void **state)
{
    struct dir *dir = *state;
    const char *crashed = dir_file(dir, "crashed");
    const uint64_t count = make_torn(dir, crashed);
    struct stele_options options = log_options(0);
    options.durability = STELE_DURABILITY_MSYNC; /* class none syncs no directory */
    look_at(crashed, dir_file(dir, "copy"));
    const struct stele__seams seams = {.no_helper = true}; /* its calls would come here as well */
    struct stele *log;
    succeeds(stele__open_with(crashed, &options, &seams, &log));
    watch.log = NULL;
    must(watch.removed >= 3 && watch.synced);
    expect_range(log, 0, count);
    succeeds(stele_close(log));
}

static void a_repair_removes_from_the_end(void **state)
{
    struct dir *dir = *state;
    const char *crashed = dir_file(dir, "crashed");
    const uint64_t count = make_torn(dir, crashed);
    const struct stele_repair_options options = {
        .size = sizeof options, .flags = STELE_REPAIR_APPLY, .backup = dir_file(dir, "removed")};
    struct stele_repair_result result = {.size = sizeof result};
    look_at(crashed, dir_file(dir, "copy"));
    succeeds(stele_repair(crashed, &options, &result));
    watch.log = NULL;
    must(watch.removed >= 3 && watch.synced);
    expect_log(crashed, 0, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(an_opening_removes_from_the_end),
        LAW(a_repair_removes_from_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
