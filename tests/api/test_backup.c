/* SPDX-License-Identifier: BSD-3-Clause */
/* test_backup.c: a copy is a whole log that verifies clean and ends at the durable point, whatever the
 * source is doing meanwhile; and where there can be none, nothing is left behind. */
#include "test_admin.h"

#include "core/copy.h"
#include "os/file.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

static const char *copy_of(const struct dir *dir)
{
    return dir_file(dir, "copy");
}

static void a_copy_is_the_same_log(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    stele_lsn end = 0;
    uint64_t before = dir_digest(dir->log);
    succeeds(stele_backup(dir->log, copy_of(dir), &end));
    must(dir_digest(dir->log) == before);
    must(end == verify_log(dir->log, NULL).end_lsn);
    expect_clean(copy_of(dir), count);
    struct stele_verify_result result = verify_log(copy_of(dir), NULL);
    must(result.end_lsn == end && result.durable_lsn == end);
    must(file_mode_of(copy_of(dir)) == file_mode_of(dir->log));
    must(file_mode_of(log_file(dir, "control")) == 0600);
    uint8_t unsynced[2]; /* written with durability none; the copy was flushed */
    file_read(log_file(dir, "control"), 13, &unsynced[0], 1);
    file_read(dir_file(dir, "copy/control"), 13, &unsynced[1], 1);
    must(unsynced[0] == STELE__CONTROL_UNSYNCED && unsynced[1] == 0);
    for (uint64_t sequence = 0; sequence < SEALED;
         sequence++) { /* sealed ones are the same to the last byte */
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", copy_of(dir), segment_name(sequence, SEGMENT_SMALL));
        static uint8_t a[1u << 18], b[1u << 18];
        uint64_t size = file_bytes(path);
        must(size == file_bytes(segment(dir, sequence)) && size <= sizeof a && file_mode_of(path) == 0600);
        file_read(path, 0, a, (size_t)size);
        file_read(segment(dir, sequence), 0, b, (size_t)size);
        must(memcmp(a, b, (size_t)size) == 0);
    }
    /* It can be written on; the original does not notice. */
    struct stele *log = log_open(copy_of(dir), 0);
    must(stele_tail(log) >= end);
    append_range(log, count, count + 100);
    succeeds(stele_close(log));
    expect_log(copy_of(dir), 0, count + 100);
    expect_log(dir->log, 0, count);
}

static void modes_are_those_of_the_log(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.file_mode = 0640;
    options.dir_mode = 0750;
    struct stele *log = log_open_with(dir->log, &options);
    append_numbered(log, 0);
    succeeds(stele_close(log));
    succeeds(stele_backup(dir->log, copy_of(dir), NULL));
    must(file_mode_of(copy_of(dir)) == 0750 && file_mode_of(dir_file(dir, "copy/control")) == 0640);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", copy_of(dir), segment_name(0, SEGMENT_SMALL));
    must(file_mode_of(path) == 0640);
}

static void an_empty_log_and_an_empty_directory_will_do(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.metadata = "who we are";
    options.metadata_bytes = 10;
    succeeds(stele_close(log_open_with(dir->log, &options)));
    must(mkdir(copy_of(dir), 0755) == 0);
    stele_lsn end = 7;
    succeeds(stele_backup(dir->log, copy_of(dir), &end));
    must(end == 0);
    expect_clean(copy_of(dir), 0);
    struct stele *log = log_open(copy_of(dir), STELE_READ_ONLY);
    struct stele_stat stat = {.size = sizeof stat};
    succeeds(stele_stat(log, &stat));
    must(stat.metadata_bytes == 10 && memcmp(stat.metadata, "who we are", 10) == 0);
    succeeds(stele_close(log));
}

static void trimmed_and_torn_logs_are_copied_from_first_to_last_record(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    struct stele *log = log_open(dir->log, 0);
    must(stele_trim(log, SEGMENT_SMALL, NULL) == 1);
    succeeds(stele_close(log));
    struct stele_verify_result source = verify_log(dir->log, NULL);
    file_write(segment(dir, SEALED), offset_of(source.end_lsn), "never finished", 14);
    must(verify_log(dir->log, NULL).verdict == STELE_TORN);
    stele_lsn end;
    succeeds(stele_backup(dir->log, copy_of(dir), &end));
    must(end == source.end_lsn);
    expect_clean(copy_of(dir), source.records);
    must(verify_log(copy_of(dir), NULL).first_lsn == SEGMENT_SMALL);
    expect_log(copy_of(dir), count - source.records, count);
}

static void quarantined_segments_go_along(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    file_zero(segment(dir, 1), 0, 4096);
    struct stele_repair_options options = {.size = sizeof options,
                                           .flags = STELE_REPAIR_APPLY | STELE_REPAIR_QUARANTINE};
    struct stele_repair_result result = {.size = sizeof result};
    succeeds(stele_repair(dir->log, &options, &result));
    succeeds(stele_backup(dir->log, copy_of(dir), NULL));
    struct heard heard;
    struct stele_verify_result copy = verify_log(copy_of(dir), &heard);
    must(copy.verdict == STELE_CLEAN && copy.records == verify_log(dir->log, NULL).records);
    must(heard.count == 1 && strcmp(heard.list[0].kind, "quarantined") == 0);
    must(dir_count_ending(copy_of(dir), ".broken") == 1);
}

static void damaged_copies_are_healed_on_the_way(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    file_flip(segment(dir, 0), 60, 1);
    file_flip(segment(dir, 1), 2048 + 60, 1);
    file_flip(segment(dir, 2), stele__segment_file_bytes(SEGMENT_SMALL) - 4096 + 9, 1);
    file_flip(log_file(dir, "control"), 60, 1);
    succeeds(stele_backup(dir->log, copy_of(dir), NULL));
    expect_clean(copy_of(dir), count);
    /* A seal that cannot be read, or is half written just now, is left out: the records speak for
     * themselves. */
    dir_empty(copy_of(dir));
    file_flip(segment(dir, 0), stele__segment_file_bytes(SEGMENT_SMALL) - 4096 + 9, 1);
    file_flip(segment(dir, 0), stele__segment_file_bytes(SEGMENT_SMALL) - 8192 + 9, 1);
    file_flip(segment(dir, 1), 4096 + SEGMENT_SMALL + 1, 1);
    succeeds(stele_backup(dir->log, copy_of(dir), NULL));
    expect_clean(copy_of(dir), count);
}

/* Damaged above or below the seals, seen by the source's own examination or only when the copy is read
 * back. */
static void no_copy_of_a_damaged_log_is_left(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        make_log(dir);
        zero_sector(dir, sequence * SEGMENT_SMALL + 1000);
        returns(STELE_ECORRUPT, stele_backup(dir->log, copy_of(dir), NULL));
        error_says(segment_name(sequence, SEGMENT_SMALL));
        must(!file_exists(copy_of(dir)));
        must(mkdir(copy_of(dir), 0700) == 0);
        returns(STELE_ECORRUPT, stele_backup(dir->log, copy_of(dir), NULL));
        must(dir_count(copy_of(dir)) == 0);
        must(rmdir(copy_of(dir)) == 0);
        dir_empty(dir->log);
    }
    make_log(dir);
    must(unlink(log_file(dir, "control")) == 0);
    returns(STELE_ECORRUPT, stele_backup(dir->log, copy_of(dir), NULL));
    must(!file_exists(copy_of(dir)));
}

static void nothing_is_overwritten(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    must(mkdir(copy_of(dir), 0700) == 0);
    file_make(dir_file(dir, "copy/precious"), "data");
    returns(STELE_EEXIST, stele_backup(dir->log, copy_of(dir), NULL));
    must(dir_count(copy_of(dir)) == 1 && file_bytes(dir_file(dir, "copy/precious")) == 4);
    returns(STELE_EEXIST, stele_backup(dir->log, dir_file(dir, "copy/precious"), NULL));
    returns(STELE_EINVAL, stele_backup(dir->log, dir->log, NULL));
    returns(STELE_ENOENT, stele_backup(dir->log, dir_file(dir, "no/such/place"), NULL));
    returns(STELE_ENOENT, stele_backup(dir_file(dir, "nothing"), dir_file(dir, "new"), NULL));
    returns(STELE_ENOTLOG, stele_backup(copy_of(dir), dir_file(dir, "new"), NULL));
    returns(STELE_EINVAL, stele_backup(dir->log, "", NULL));
    returns(STELE_EINVAL, stele_backup(NULL, dir_file(dir, "new"), NULL));
    must(!file_exists(dir_file(dir, "new")));
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    if (!dir_mount_tmpfs(dir_file(dir, "small"), 200000)) /* room for two segments, not four */
        return;
    returns(STELE_ENOSPC, stele_backup(dir->log, dir_file(dir, "small/copy"), NULL));
    error_says("small/copy");
    must(dir_count(dir_file(dir, "small")) == 0);
    dir_unmount(dir_file(dir, "small"));
}

/* Published is not durable: the copy ends where a crash of the machine would have ended the log. */
static void records_nobody_has_synced_stay_behind(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    append_range(log, 0, 100);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    append_range(log, 100, 200);
    stele_lsn end, durable = stele_durable(log);
    succeeds(stele_backup(dir->log, copy_of(dir), &end));
    must(end == durable);
    expect_clean(copy_of(dir), 100);
    expect_log(copy_of(dir), 0, 100);
    succeeds(stele_close(log));
}

static void copies_are_as_long_as_what_was_copied(void **state)
{
    struct dir *dir = *state;
    static const uint64_t lengths[] = {1, 4096, 300000, 1000000};
    int dirfd = stele__dir_open(dir->path);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        (void)unlink(dir_file(dir, "from"));
        file_make(dir_file(dir, "from"), "some text, then nothing but zeroes");
        must(truncate(dir_file(dir, "from"), 2000000) == 0);
        (void)unlink(dir_file(dir, "to"));
        int from = stele__file_open(dirfd, "from", false), to = stele__copy_create(dirfd, "to", 0, 0600);
        must(from >= 0 && to >= 0);
        must(stele__copy_range(from, to, 0, lengths[i], 0) == 0 &&
             file_bytes(dir_file(dir, "to")) == lengths[i]);
        must(stele__copy_range(from, to, 1999999, 2, 0) == -ENODATA);
        stele__file_close(from);
        stele__file_close(to);
        char text[4] = {0};
        file_read(dir_file(dir, "to"), 0, text, lengths[i] < 4 ? (size_t)lengths[i] : 4);
        must(text[0] == 's' && (lengths[i] < 4 || text[3] == 'e'));
    }
    stele__file_close(dirfd);
}

struct busy {
    struct stele *log;
    _Atomic bool stop;
    _Atomic uint64_t allowed, appended;
};

static void *keep_busy(void *argument)
{
    struct busy *busy = argument;
    while (!atomic_load(&busy->stop)) {
        uint64_t number = atomic_load(&busy->appended);
        if (number >= atomic_load(&busy->allowed)) {
            sched_yield();
            continue;
        }
        append_range(busy->log, number, number + 20);
        succeeds(stele_sync(busy->log, STELE_LSN_ALL));
        if (number % 1000 == 0) /* the copies keep it from going too far */
            must(stele_trim(busy->log, stele_durable(busy->log), NULL) >= 0);
        atomic_store(&busy->appended, number + 20);
    }
    return NULL;
}

/* Appends, seals and trims go on; each copy holds everything from some beginning to a point that was
 * durable before stele_backup() returned and not before it was called. */
static void a_live_log_is_copied_up_to_a_durable_point(void **state)
{
    struct dir *dir = *state;
    struct busy busy = {.log = log_open(dir->log, STELE_CREATE)};
    pthread_t thread;
    must(pthread_create(&thread, NULL, keep_busy, &busy) == 0);
    for (uint64_t i = 0; i < scaled(25); i++) {
        atomic_store(&busy.allowed, (i + 1) * 3000);
        stele_lsn before = stele_durable(busy.log), end = 0;
        succeeds(stele_backup(dir->log, copy_of(dir), &end));
        must(end >= before && end <= stele_durable(busy.log));
        struct stele_verify_result result = verify_log(copy_of(dir), NULL);
        must(result.verdict == STELE_CLEAN && result.end_lsn == end && result.live == 0 &&
             result.problems == 0);
        struct stele *copy = log_open(copy_of(dir), STELE_READ_ONLY);
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(copy, 0, STELE_FROM_BEGIN, 0, &cursor));
        uint64_t count = 0, first = UINT64_MAX;
        while (stele_cursor_next(cursor, &record) == 1) {
            if (first == UINT64_MAX) /* which one it begins with follows from how many were trimmed */
                for (first = 0; !is_numbered(first, &record); first++)
                    must(first < atomic_load(&busy.appended) + 20);
            must(is_numbered(first + count, &record));
            count++;
        }
        must(count == result.records);
        stele_cursor_close(cursor);
        succeeds(stele_close(copy));
        dir_empty(copy_of(dir));
        while (atomic_load(&busy.appended) < atomic_load(&busy.allowed))
            sched_yield();
    }
    atomic_store(&busy.stop, true);
    must(pthread_join(thread, NULL) == 0);
    must(stele_first(busy.log) > 0);
    succeeds(stele_close(busy.log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_copy_is_the_same_log),
        LAW(modes_are_those_of_the_log),
        LAW(an_empty_log_and_an_empty_directory_will_do),
        LAW(trimmed_and_torn_logs_are_copied_from_first_to_last_record),
        LAW(quarantined_segments_go_along),
        LAW(damaged_copies_are_healed_on_the_way),
        LAW(no_copy_of_a_damaged_log_is_left),
        LAW(nothing_is_overwritten),
        LAW(a_full_disk_leaves_nothing_behind),
        LAW(records_nobody_has_synced_stay_behind),
        LAW(copies_are_as_long_as_what_was_copied),
        LAW(a_live_log_is_copied_up_to_a_durable_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
