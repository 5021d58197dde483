/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/io_error.c: a disk that fails for real, under ext4 and xfs. After a failed write-back the kernel
 * calls the pages clean: the next msync returns 0, the page cache shows what the disk does not have, and
 * stays so when the disk has healed. So a log that met an error says it, stays failed, and acknowledges
 * nothing any more; what it acknowledged is on the disk, and an opening that shows more brings that to the
 * disk first. The disk is judged, not the cache. */
#include "disk.h"
#include "image.h"
#include "lib/child.h"
#include "lib/dir.h"

#include "format/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNCED 30u
#define SKIPPED 77

struct rig {
    struct dir *dir;
    struct disk disk;
    char log[400];
    char name[500]; /* see file_of() */
};

static int rig_setup(void **state, const char *fs)
{
    struct rig *rig = calloc(1, sizeof *rig);
    void *dir;
    must(rig != NULL);
    (void)dir_setup(&dir);
    rig->dir = dir;
    disk_begin(&rig->disk, rig->dir->path, fs);
    (void)snprintf(rig->log, sizeof rig->log, "%s/log", rig->disk.at);
    *state = rig;
    return 0;
}

static int setup_ext4(void **state)
{
    return rig_setup(state, "ext4");
}

static int setup_xfs(void **state)
{
    return rig_setup(state, "xfs");
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    void *dir = rig->dir;
    disk_end(&rig->disk);
    free(rig);
    return dir_teardown(&dir);
}

static const char *file_of(struct rig *rig, const char *name)
{
    (void)snprintf(rig->name, sizeof rig->name, "%s/%s", rig->log, name);
    return rig->name;
}

static struct stele *open_log(const struct rig *rig, uint32_t flags)
{
    struct stele_options options = log_options(flags);
    options.durability = STELE_DURABILITY_AUTO;
    options.idle_mark_ns = UINT64_MAX; /* nothing is written but what the test asks for */
    return log_open_with(rig->log, &options);
}

/* What the disk holds, as after a power cut: a copy of it, mounted elsewhere. Returns how many records it
 * shows; they must be the first ones in order (where nothing was trimmed), and verify must not call it
 * corrupt. */
static uint64_t records_on_disk(struct rig *rig)
{
    struct rig_image image;
    char at[300], log[320];
    struct stele_verify_result result = {.size = sizeof result};
    struct stele_record record;
    struct stele_cursor *cursor;
    (void)snprintf(at, sizeof at, "%s", dir_file(rig->dir, "truth"));
    (void)snprintf(log, sizeof log, "%s/log", at);
    must(mkdir(at, 0700) == 0);
    rig_image_begin(&image, disk_content(&rig->disk), rig->disk.fs, at);
    rig_image_restore(&image);
    must(rig_image_mount(&image) == 0);
    succeeds(stele_verify(log, NULL, &result));
    must(result.verdict != STELE_CORRUPT);
    struct stele *reader = log_open(log, STELE_READ_ONLY);
    uint64_t count = 0;
    int rc;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (; (rc = stele_cursor_next(cursor, &record)) == 1; count++)
        must(stele_first(reader) > 0 || is_numbered(count, &record));
    returns(0, rc);
    stele_cursor_close(cursor);
    succeeds(stele_close(reader));
    must(rig_image_unmount(&image) == 0);
    rig_image_end(&image);
    must(rmdir(at) == 0);
    return count;
}

static uint64_t records_shown(struct stele *log)
{
    struct stele_record record;
    struct stele_cursor *cursor;
    uint64_t count = 0;
    int rc;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    while ((rc = stele_cursor_next(cursor, &record)) == 1)
        must(is_numbered(count++, &record));
    returns(0, rc);
    stele_cursor_close(cursor);
    return count;
}

/* Every way to go on says that the log has failed, and why, and the durable point stays where it is. */
static void expect_failed(struct stele *log, stele_lsn durable, const char *why)
{
    struct stele_slot slot;
    for (int i = 0; i < 3; i++) {
        returns(STELE_EFAILED, stele_append(log, "x", 1, NULL));
        error_says(why);
        returns(STELE_EFAILED, stele_reserve(log, 0, 8, &slot));
        returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
        returns(STELE_EFAILED, stele_sync_begin(log));
        returns(STELE_EFAILED, stele_durable_wait(log, durable, STELE_WAIT_FOREVER));
        must(stele_durable(log) == durable);
    }
}

/* Healed: everything shown is brought to the disk by the opening itself, before a sync or a close could do
 * it. */
static void heal_and_go_on(struct rig *rig, uint64_t acknowledged)
{
    must(disk_heal(&rig->disk) > 0);
    struct stele *log = open_log(rig, 0);
    uint64_t shown = records_shown(log);
    must(shown >= acknowledged);
    must(records_on_disk(rig) >= shown);
    append_range(log, shown, shown + 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(records_on_disk(rig) == shown + 10);
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(rig->log, NULL, &result));
    must(result.verdict == STELE_CLEAN);
}

/* The rig itself: without a library, this is what the kernel does. */
static void the_kernel_forgets_what_it_could_not_write(void **state)
{
    struct rig *rig = *state;
    char path[400];
    uint8_t page[4096], on_disk[4096];
    (void)snprintf(path, sizeof path, "%s/plain", rig->disk.at);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    memset(page, 'A', sizeof page);
    must(fd >= 0 && pwrite(fd, page, sizeof page, 0) == (ssize_t)sizeof page && fsync(fd) == 0);
    uint8_t *map = mmap(NULL, sizeof page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED);
    disk_fail_file(&rig->disk, path, 0, sizeof page);
    const uint64_t at = rig->disk.control->ranges[0].from;
    memset(map, 'B', sizeof page);
    must(msync(map, sizeof page, MS_SYNC) != 0 && errno == EIO);
    must(msync(map, sizeof page, MS_SYNC) == 0); /* and yet: */
    must(pread(rig->disk.backing, on_disk, sizeof on_disk, (off_t)at) == (ssize_t)sizeof on_disk);
    must(memcmp(on_disk, page, sizeof page) == 0); /* 'A' */
    must(disk_heal(&rig->disk) == 1);
    must(msync(map, sizeof page, MS_SYNC) == 0);
    must(pread(rig->disk.backing, on_disk, sizeof on_disk, (off_t)at) == (ssize_t)sizeof on_disk);
    must(memcmp(on_disk, page, sizeof page) == 0 && map[0] == 'B'); /* lost, and nobody says so */
    must(munmap(map, sizeof page) == 0 && close(fd) == 0);
}

static void a_failed_flush_of_records_is_final_and_reopening_brings_them_to_the_disk(void **state)
{
    struct rig *rig = *state;
    struct stele *log = open_log(rig, STELE_CREATE);
    append_range(log, 0, SYNCED);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    const stele_lsn durable = stele_durable(log);
    disk_fail_file(&rig->disk, file_of(rig, segment_name(0, SEGMENT_SMALL)), STELE__HEADER_BYTES,
                   STELE__HEADER_BYTES + SEGMENT_SMALL);
    append_range(log, SYNCED, SYNCED + 10);
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    expect_failed(log, durable, "Input/output error");
    must(records_on_disk(rig) >= SYNCED);
    must(stele_close(log) != 0);
    /* The disk still fails: an opening that cannot bring what it would show to the disk must not succeed. */
    struct stele_options options = log_options(0);
    options.durability = STELE_DURABILITY_AUTO;
    returns(STELE_EIO, stele_open(rig->log, &options, &log));
    must(records_on_disk(rig) >= SYNCED);
    heal_and_go_on(rig, SYNCED);
}

static void a_log_that_failed_stays_failed_when_the_disk_has_healed(void **state)
{
    struct rig *rig = *state;
    struct stele *log = open_log(rig, STELE_CREATE);
    append_range(log, 0, SYNCED);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    const stele_lsn durable = stele_durable(log);
    disk_fail_file(&rig->disk, file_of(rig, segment_name(0, SEGMENT_SMALL)), STELE__HEADER_BYTES,
                   STELE__HEADER_BYTES + SEGMENT_SMALL);
    append_range(log, SYNCED, SYNCED + 10);
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    atomic_store(&rig->disk.control->mode, DISK_HEALTHY);
    expect_failed(log, durable, "Input/output error");
    must(stele_close(log) != 0);
    must(records_on_disk(rig) >= SYNCED);
    heal_and_go_on(rig, SYNCED);
}

/* Append and sync, one by one, until the log fails. Returns how many were acknowledged. */
static uint64_t append_until_failure(struct stele *log, uint64_t from)
{
    uint8_t payload[NUMBERED_MAX];
    uint64_t number = from;
    for (bool noticed = false; !noticed; number += !noticed) {
        must(number < 20000); /* else nobody says a word */
        stele_lsn lsn;
        const struct iovec iov = {.iov_base = payload, .iov_len = numbered(number, payload)};
        int rc = stele_appendv(log, numbered_type(number), &iov, 1, &lsn);
        rc = rc == 0 ? stele_sync(log, lsn) : rc;
        noticed = rc != 0;
        returns(noticed ? STELE_EFAILED : 0, rc);
    }
    return number;
}

static void a_failed_seal_is_final(void **state)
{
    struct rig *rig = *state;
    struct stele *log = open_log(rig, STELE_CREATE);
    append_range(log, 0, SYNCED);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    disk_fail_file(&rig->disk, file_of(rig, segment_name(0, SEGMENT_SMALL)),
                   stele__footer_offset(SEGMENT_SMALL), stele__segment_file_bytes(SEGMENT_SMALL));
    uint64_t acknowledged = append_until_failure(log, SYNCED);
    expect_failed(log, stele_durable(log), "Input/output error");
    must(records_on_disk(rig) >= acknowledged);
    must(stele_close(log) != 0);
    must(records_on_disk(rig) >= acknowledged);
    heal_and_go_on(rig, acknowledged);
}

static void a_control_block_that_cannot_be_written_fails_the_trim_and_the_log(void **state)
{
    struct rig *rig = *state;
    struct stele *log = open_log(rig, STELE_CREATE);
    uint64_t count = append_until_segment(log, 0, 4);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    disk_fail_file(&rig->disk, file_of(rig, "control"), 0, 8192);
    must(stele_trim(log, 2 * SEGMENT_SMALL, NULL) == STELE_EFAILED);
    expect_failed(log, stele_durable(log), "Input/output error");
    must(stele_close(log) != 0);
    must(disk_heal(&rig->disk) > 0);
    /* The beginning may be the old or the new one in the cache; the disk has every segment of either. */
    log = open_log(rig, 0);
    struct stele_verify_result result = {.size = sizeof result};
    must(stele_first(log) <= 2 * SEGMENT_SMALL);
    append_range(log, count, count + 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    succeeds(stele_verify(rig->log, NULL, &result));
    must(result.verdict == STELE_CLEAN);
    (void)records_on_disk(rig);
}

/* ---- the whole device: the file system gives up, too */

/* The file system learns that its device is gone: ext4 becomes read-only; xfs shuts down, and from then on
 * the first store into a page that was written back is a signal. */
static void let_somebody_else_fail(const struct rig *rig)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/somebody", rig->disk.at);
    (void)mkdir(path, 0700);
    int fd = open(rig->disk.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* the journal cannot be written; whether that is said here differs */
        (void)close(fd);
    }
}

#define AT_A_ROLL "at-a-roll"
#define OTHERS_FIRST "others-first" /* somebody else's write meets the error before the log's does */

/* In a program of its own: what a signal would do to it is for the library to say, not for the test
 * runner, which has handlers for those that end programs. */
static int append_to_a_dying_disk(const char *shared, const char *at, const char *when)
{
    struct rig rig = {0};
    disk_join(&rig.disk, atoi(shared), at);
    (void)snprintf(rig.log, sizeof rig.log, "%s/log", at);
    struct stele *log = open_log(&rig, STELE_CREATE);
    uint64_t count = SYNCED;
    if (strcmp(when, AT_A_ROLL) == 0)
        count =
            append_until_segment(log, 0, 1); /* a seal, a new segment, its name and the directory are due */
    else
        append_range(log, 0, SYNCED);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    disk_fail_all(&rig.disk);
    if (strcmp(when, OTHERS_FIRST) == 0)
        let_somebody_else_fail(&rig);
    atomic_store(&rig.disk.control->note, append_until_failure(log, count));
    /* EIO; or EROFS, or a store that met no page any more: a file system that gave up. */
    expect_failed(log, stele_durable(log), "Cause: ");
    must(stele_close(log) != 0);
    return 0;
}

struct dying {
    const struct rig *rig;
    const char *when;
};

static void become_a_program(void *ctx)
{
    const struct dying *dying = ctx;
    char number[16];
    (void)snprintf(number, sizeof number, "%d", dup(dying->rig->disk.shared)); /* it stays open across exec */
    (void)execl("/proc/self/exe", "rig_io_error", number, dying->rig->disk.at, dying->when, (char *)NULL);
    must(number[0] == 0); /* not executed */
}

static void lose_the_device(struct rig *rig, const char *when)
{
    struct dying dying = {.rig = rig, .when = when};
    child_join(child_start(become_a_program, &dying));
    uint64_t acknowledged = atomic_load(&rig->disk.control->note);
    must(acknowledged >= SYNCED);
    must(disk_heal(&rig->disk) > 0);
    must(records_on_disk(rig) >= acknowledged);
    disk_remount(&rig->disk); /* what is mounted has given up */
    struct stele *log = open_log(rig, 0);
    must(records_shown(log) >= acknowledged);
    succeeds(stele_close(log));
}

static void a_device_that_is_gone_fails_the_log_and_loses_nothing_acknowledged(void **state)
{
    lose_the_device(*state, "log-first");
}

static void so_does_one_that_goes_at_a_roll(void **state)
{
    lose_the_device(*state, AT_A_ROLL);
}

static void a_file_system_that_gave_up_before_is_an_error_and_no_signal(void **state)
{
    lose_the_device(*state, OTHERS_FIRST);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return append_to_a_dying_disk(argv[1], argv[2], argv[3]);
    const char *missing = disk_missing();
    if (missing != NULL) {
        printf("SKIP: no disk failed under a log; this machine lacks %s\n", missing);
        return SKIPPED;
    }
#define LAW(name, setup) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
#define LAWS(setup)                                                                                          \
    LAW(the_kernel_forgets_what_it_could_not_write, setup),                                                  \
        LAW(a_failed_flush_of_records_is_final_and_reopening_brings_them_to_the_disk, setup),                \
        LAW(a_log_that_failed_stays_failed_when_the_disk_has_healed, setup),                                 \
        LAW(a_failed_seal_is_final, setup),                                                                  \
        LAW(a_control_block_that_cannot_be_written_fails_the_trim_and_the_log, setup),                       \
        LAW(a_device_that_is_gone_fails_the_log_and_loses_nothing_acknowledged, setup),                      \
        LAW(so_does_one_that_goes_at_a_roll, setup),                                                         \
        LAW(a_file_system_that_gave_up_before_is_an_error_and_no_signal, setup)
    const struct CMUnitTest tests[] = {LAWS(setup_ext4), LAWS(setup_xfs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
