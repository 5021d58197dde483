/* SPDX-License-Identifier: BSD-3-Clause */
/* test_full_disk.c: a small tmpfs, and a small ext4 where there are loop devices. Space is found when a
 * segment is prepared, so a full disk is an error code, never a signal; what was acknowledged stays
 * readable, the log opens on the full disk, a trim makes room, appends go on. */
#include "lib/child.h"
#include "lib/dir.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK (UINT64_C(1) << 20) /* room for a dozen small segments */

struct disk {
    struct dir *dir;
    char path[300]; /* where it is mounted */
    char log[320];
    bool mounted;
};

/* Leave `left` bytes free. */
static void leave(const struct disk *disk, const char *file, uint64_t left)
{
    struct statvfs st;
    char name[340];
    (void)snprintf(name, sizeof name, "%s/%s", disk->path, file);
    must(statvfs(disk->path, &st) == 0);
    uint64_t spare = (uint64_t)st.f_bavail * st.f_frsize;
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0);
    if (spare > left)
        must(fallocate(fd, 0, 0, (off_t)(spare - left)) == 0);
    (void)close(fd);
}

static void fill(const struct disk *disk, uint64_t left)
{
    leave(disk, "filler", left);
}

static int disk_setup(void **state)
{
    struct disk *disk = calloc(1, sizeof *disk);
    void *dir;
    must(disk != NULL);
    (void)dir_setup(&dir);
    disk->dir = dir;
    (void)snprintf(disk->path, sizeof disk->path, "%s", dir_file(disk->dir, "disk"));
    (void)snprintf(disk->log, sizeof disk->log, "%s/log", disk->path);
    disk->mounted = dir_mount_tmpfs(disk->path, DISK);
    *state = disk;
    return 0;
}

/* What an ext4 of our own takes and this machine does not have; NULL when it has everything. */
static const char *ext4_missing(void)
{
    const char *excused = getenv("STELE_TEST_NO_MOUNT");
    if (excused != NULL && strcmp(excused, "1") == 0)
        return "permission to mount (STELE_TEST_NO_MOUNT)";
    if (geteuid() != 0)
        return "root";
    if (access("/dev/loop-control", R_OK | W_OK) != 0)
        return "/dev/loop-control";
    if (system("command -v mkfs.ext4 >/dev/null") != 0)
        return "mkfs.ext4 (Debian package e2fsprogs)";
    return NULL;
}

/* The same on ext4, which finds blocks in its own way and needs some for itself. `ballast` leaves as much
 * room as the tmpfs has. */
static int disk_setup_ext4(void **state)
{
    struct disk *disk = calloc(1, sizeof *disk);
    void *dir;
    char command[900];
    must(disk != NULL);
    (void)dir_setup(&dir);
    disk->dir = dir;
    *state = disk;
    (void)snprintf(disk->path, sizeof disk->path, "%s", dir_file(disk->dir, "disk"));
    (void)snprintf(disk->log, sizeof disk->log, "%s/log", disk->path);
    const char *missing = ext4_missing();
    if (missing != NULL) {
        print_message("SKIP: nothing was checked on a full ext4: this machine lacks %s\n", missing);
        return 0;
    }
    const char *image = dir_file(disk->dir, "image");
    must(mkdir(disk->path, 0755) == 0);
    must(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    (void)snprintf(
        command, sizeof command,
        "truncate -s 10M %s && mkfs.ext4 -q -F -b 4096 -J size=4 -m 0 %s && mount -t ext4 -o loop %s %s",
        image, image, image, disk->path);
    must(system(command) == 0);
    disk->mounted = true;
    leave(disk, "ballast", DISK);
    return 0;
}

static int disk_teardown(void **state)
{
    struct disk *disk = *state;
    void *dir = disk->dir;
    if (disk->mounted)
        dir_unmount(disk->path);
    free(disk);
    return dir_teardown(&dir);
}

static void a_full_disk_at_creation_is_an_error_and_leaves_nothing(void **state)
{
    struct disk *disk = *state;
    if (!disk->mounted)
        return;
    /* Not a page; the directory; the control file but no segment. */
    static const uint64_t left[] = {0, 4096, 8192, 20480, 65536, 81920};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        fill(disk, left[i]);
        const struct stele_options options = log_options(STELE_CREATE);
        struct stele *log;
        returns(STELE_ENOSPC, stele_open(disk->log, &options, &log));
        error_says(disk->log);
        must(!file_exists(disk->log));
        must(dir_count(disk->path) == 1);
        char name[340];
        (void)snprintf(name, sizeof name, "%s/filler", disk->path);
        must(unlink(name) == 0);
    }
    succeeds(stele_close(log_open(disk->log, STELE_CREATE)));
}

#define RECORDS_MAX 20000u

/* Number of the first record at or behind `lsn`. */
static uint64_t number_at(const stele_lsn *lsns, uint64_t count, stele_lsn lsn)
{
    uint64_t number = 0;
    while (number < count && lsns[number] < lsn)
        number++;
    return number;
}

/* Append until the disk is full. Returns the next number. */
static uint64_t append_noting(struct stele *log, uint64_t next, stele_lsn *lsns)
{
    uint8_t payload[NUMBERED_MAX];
    for (;; next++) {
        must(next < RECORDS_MAX);
        struct iovec iov = {.iov_base = payload, .iov_len = numbered(next, payload)};
        int rc = stele_appendv(log, numbered_type(next), &iov, 1, &lsns[next]);
        if (rc == 0)
            continue;
        returns(STELE_ENOSPC, rc);
        error_says("no prepared segment");
        error_says("No space left on device");
        return next;
    }
}

/* The whole story. */
static void full_reopened_trimmed_and_full_again(struct disk *disk, uint32_t durability, uint32_t flags)
{
    static stele_lsn lsns[RECORDS_MAX];
    struct stele_options options = log_options(STELE_CREATE | flags);
    options.durability = durability;
    struct stele *log = log_open_with(disk->log, &options);
    uint64_t count = append_noting(log, 0, lsns);
    must(stele_tail(log) > 8 * SEGMENT_SMALL);
    fill(disk, 0);
    count = append_noting(log, count, lsns); /* asked again, it says so again; what is small may still fit */
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_durable(log) > lsns[count - 1]);
    expect_range(log, 0, count);
    succeeds(stele_close(log));
    expect_log(disk->log, 0, count);

    options.flags = flags;
    for (int round = 0; round < 3; round++) {
        log = log_open_with(disk->log, &options); /* on the full disk */
        count = append_noting(log, count, lsns);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        stele_lsn first;
        must(stele_trim(log, stele_first(log) + 3 * SEGMENT_SMALL, &first) == 3);
        uint64_t before = count;
        count = append_noting(log, count, lsns);
        must(lsns[count - 1] > lsns[before - 1] + 2 * SEGMENT_SMALL);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        expect_range(log, number_at(lsns, count, first), count);
        succeeds(stele_close(log));
        expect_log(disk->log, number_at(lsns, count, first), count);
    }
}

static void a_full_disk_stops_appends_and_a_trim_lets_them_go_on(void **state)
{
    struct disk *disk = *state;
    if (disk->mounted)
        full_reopened_trimmed_and_full_again(disk, STELE_DURABILITY_MSYNC, 0);
}

static void so_it_does_for_a_single_appender(void **state)
{
    struct disk *disk = *state;
    if (disk->mounted)
        full_reopened_trimmed_and_full_again(disk, STELE_DURABILITY_NONE, STELE_SINGLE_APPENDER);
}

static void so_it_does_without_recycling(void **state)
{
    struct disk *disk = *state;
    if (disk->mounted)
        full_reopened_trimmed_and_full_again(disk, STELE_DURABILITY_AUTO, STELE_NO_RECYCLE);
}

/* The command, on a disk without a byte left. */
static void the_command_trims_a_full_disk(void **state)
{
    struct disk *disk = *state;
    const char *tool = getenv("STELE_TOOL");
    if (!disk->mounted || tool == NULL || access(tool, X_OK) != 0)
        return;
    static stele_lsn lsns[RECORDS_MAX];
    char command[800];
    struct stele *log = log_open(disk->log, STELE_CREATE);
    uint64_t count = append_noting(log, 0, lsns);
    fill(disk, 0);
    count = append_noting(log, count, lsns);
    succeeds(stele_close(log));
    (void)snprintf(command, sizeof command, "'%s' trim '%s' --before %llu >/dev/null 2>&1", tool, disk->log,
                   (unsigned long long)(3 * SEGMENT_SMALL));
    must(system(command) == 0);
    log = log_open(disk->log, 0);
    must(stele_first(log) == 3 * SEGMENT_SMALL);
    uint64_t before = count;
    count = append_noting(log, count, lsns);
    must(count > before);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    expect_range(log, number_at(lsns, count, 3 * SEGMENT_SMALL), count);
    succeeds(stele_close(log));
}

/* ---- a limit on the size of a file, as ulimit -f sets it, is a full disk, too */

struct limited {
    struct disk *disk;
    uint64_t count;
};

static void meet_the_limit(void *ctx)
{
    const struct limited *limited = ctx;
    static stele_lsn lsns[RECORDS_MAX];
    const struct rlimit small = {.rlim_cur = 16384, .rlim_max = RLIM_INFINITY},
                        none = {RLIM_INFINITY, RLIM_INFINITY};
    const struct stele_options options = log_options(STELE_CREATE);
    struct stele *log = log_open(limited->disk->log, 0);
    must(signal(SIGXFSZ, SIG_IGN) != SIG_ERR); /* else the kernel ends the process, whoever it is */
    must(setrlimit(RLIMIT_FSIZE, &small) == 0);
    uint64_t count = limited->count;
    uint8_t payload[NUMBERED_MAX];
    int rc = 0;
    for (; rc == 0 && count < RECORDS_MAX; count += rc == 0) {
        struct iovec iov = {.iov_base = payload, .iov_len = numbered(count, payload)};
        rc = stele_appendv(log, numbered_type(count), &iov, 1, &lsns[count]);
    }
    returns(STELE_ENOSPC, rc);
    error_says("File too large");
    succeeds(stele_sync(log, STELE_LSN_ALL));
    expect_range(log, 0, count);
    struct stele *other;
    char path[340];
    (void)snprintf(path, sizeof path, "%s/other", limited->disk->path);
    returns(STELE_ENOSPC, stele_open(path, &options, &other));
    must(!file_exists(path));
    must(setrlimit(RLIMIT_FSIZE, &none) == 0);
    append_range(log, count, count + 200);
    expect_range(log, 0, count + 200);
    succeeds(stele_close(log));
}

static void a_limit_on_file_sizes_is_a_full_disk(void **state)
{
    struct limited limited = {.disk = *state, .count = 50};
    if (!limited.disk->mounted)
        return;
    struct stele *log = log_open(limited.disk->log, STELE_CREATE);
    append_range(log, 0, limited.count);
    succeeds(stele_close(log));
    child_join(child_start(meet_the_limit, &limited));
}

/* A batch is appended as far as it fits; a slot is not handed out. */
static void batches_and_slots_meet_the_full_disk_too(void **state)
{
    struct disk *disk = *state;
    if (!disk->mounted)
        return;
    struct stele *log = log_open(disk->log, STELE_CREATE);
    static stele_lsn lsns[RECORDS_MAX];
    uint64_t count = append_noting(log, 0, lsns);
    enum { MANY = 1000 };
    static struct stele_entry entries[MANY];
    static char payload[4000];
    for (int i = 0; i < MANY; i++)
        entries[i] = (struct stele_entry){.data = payload, .len = 4000 - (size_t)(i % 7)};
    must(stele_append_batch(log, entries, MANY) == STELE_ENOSPC);
    struct stele_slot slot;
    returns(STELE_ENOSPC, stele_reserve(log, 0, stele_record_max(log), &slot));
    returns(STELE_EINVAL, stele_publish(log, &slot, 0));
    expect_range(log, 0, count);
    must(stele_trim(log, 4 * SEGMENT_SMALL, NULL) == 4);
    long done = stele_append_batch(log, entries, MANY);
    must(done > 15 && done < MANY);
    error_says("no prepared segment");
    succeeds(stele_sync(log, entries[done - 1].lsn));
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_LSN, entries[0].lsn, &cursor));
    for (long i = 0; i < done; i++) {
        must(stele_cursor_next(cursor, &record) == 1);
        must(record.lsn == entries[i].lsn && record.len == entries[i].len);
    }
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

/* ---- many threads at once: some reserve what can no longer be prepared, and give it up */

#define THREADS 8u

struct appender {
    struct stele *log;
    uint64_t who;
    uint64_t acknowledged;
    pthread_t thread;
};

static void *append_own(void *argument)
{
    struct appender *me = argument;
    uint64_t words[40] = {me->who};
    for (;;) {
        words[1] = me->acknowledged;
        int rc =
            stele_append(me->log, words, 16 + (me->acknowledged * 13 + me->who) % 300 / 8 * 8 % 296, NULL);
        if (rc != 0)
            return (void *)(intptr_t)(rc == STELE_ENOSPC ? 0 : rc);
        me->acknowledged++;
    }
}

static void run_threads(struct stele *log, struct appender *appenders)
{
    for (unsigned i = 0; i < THREADS; i++) {
        appenders[i].log = log;
        appenders[i].who = i;
        must(pthread_create(&appenders[i].thread, NULL, append_own, &appenders[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;
        must(pthread_join(appenders[i].thread, &result) == 0);
        must(result == NULL);
    }
}

/* From `from` on, every thread's records are there in order, up to the last acknowledged one. */
static void expect_acknowledged(struct stele *log, const struct appender *appenders)
{
    uint64_t next[THREADS] = {0};
    bool seen[THREADS] = {false};
    struct stele_cursor *cursor;
    struct stele_record record;
    int rc;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    while ((rc = stele_cursor_next(cursor, &record)) == 1) {
        uint64_t words[2];
        must(record.len >= 16);
        memcpy(words, record.data, 16);
        must(words[0] < THREADS);
        must(!seen[words[0]] || words[1] == next[words[0]]);
        must(seen[words[0]] || words[1] == 0 || stele_first(log) > 0);
        seen[words[0]] = true;
        next[words[0]] = words[1] + 1;
    }
    returns(0, rc);
    for (unsigned i = 0; i < THREADS; i++)
        must(next[i] == appenders[i].acknowledged || (!seen[i] && stele_first(log) > 0));
    stele_cursor_close(cursor);
}

static void threads_racing_for_the_last_space_lose_nothing_acknowledged(void **state)
{
    struct disk *disk = *state;
    if (!disk->mounted)
        return;
    struct appender appenders[THREADS] = {0};
    struct stele *log = log_open(disk->log, STELE_CREATE);
    for (uint64_t round = 0; round < scaled(24); round++) {
        run_threads(log, appenders);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        expect_acknowledged(log, appenders);
        if (round % 4 == 3) {
            succeeds(stele_close(log));
            log = log_open(disk->log, 0);
            expect_acknowledged(log, appenders);
        }
        must(stele_trim(log, stele_first(log) + 5 * SEGMENT_SMALL, NULL) == 5);
    }
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(disk->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, disk_setup, disk_teardown)
#define LAW_EXT4(name) cmocka_unit_test_setup_teardown(name, disk_setup_ext4, disk_teardown)
        LAW(a_full_disk_at_creation_is_an_error_and_leaves_nothing),
        LAW(a_full_disk_stops_appends_and_a_trim_lets_them_go_on),
        LAW(so_it_does_for_a_single_appender),
        LAW(so_it_does_without_recycling),
        LAW(batches_and_slots_meet_the_full_disk_too),
        LAW(threads_racing_for_the_last_space_lose_nothing_acknowledged),
        LAW(the_command_trims_a_full_disk),
        LAW(a_limit_on_file_sizes_is_a_full_disk),
        LAW_EXT4(a_full_disk_stops_appends_and_a_trim_lets_them_go_on),
        LAW_EXT4(so_it_does_without_recycling),
        LAW_EXT4(batches_and_slots_meet_the_full_disk_too),
        LAW_EXT4(threads_racing_for_the_last_space_lose_nothing_acknowledged),
        LAW_EXT4(the_command_trims_a_full_disk),
        LAW_EXT4(a_limit_on_file_sizes_is_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
