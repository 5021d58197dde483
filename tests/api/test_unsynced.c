/* SPDX-License-Identifier: BSD-3-Clause */
/* test_unsynced.c: what an opening flushes before it returns. What class none left in caches, to the last byte of every
 * segment, once; and the zeroes over what it cut, or the torn bytes would be there again after a power cut. And what a segment
 * flushes that is made of an old file. */
#include "lib/dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/helper.h"
#include "core/open.h"

#define RANGES 64u

static struct {
    uint64_t bytes, count;
    uint8_t *from[RANGES], *to[RANGES];
} synced;

/* The library's calls come here; of this program's one thread, while there is no helper. */
int msync(void *address, size_t len, int flags)
{
    if (synced.count < RANGES) {
        synced.from[synced.count] = address;
        synced.to[synced.count++] = (uint8_t *)address + len;
    }
    synced.bytes += len;
    return (int)syscall(SYS_msync, address, len, flags);
}

/* Files that got a segment's name while they were used again, and the bytes synced since the one before. */
static struct {
    uint64_t count, since;
} reborn;

int renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    if (strncmp(from, "recycled", 8) == 0 && strstr(to, ".tmp") == NULL) {
        must(synced.bytes - reborn.since >= stele__segment_file_bytes(SEGMENT_SMALL));
        reborn.count++;
    }
    reborn.since = synced.bytes;
    return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, 0);
}

/* Without the helper thread, which flushes for reasons of its own. */
static struct stele *open_msync(const char *path)
{
    struct stele_options options = log_options(0);
    options.spare_segments = 1;
    struct stele__media media;
    const struct stele__seams seams = {.media = &media, .no_helper = true};
    struct stele *log;
    const int dirfd = open(path, O_RDONLY | O_DIRECTORY);
    must(dirfd >= 0);
    succeeds(stele__media_choose(dirfd, STELE__MEDIA_MSYNC, true, &media));
    must(close(dirfd) == 0);
    memset(&synced, 0, sizeof synced);
    succeeds(stele__open_with(path, &options, &seams, &log));
    return log;
}

static uint64_t synced_by_an_opening(const char *path)
{
    struct stele *log = open_msync(path);
    const uint64_t bytes = synced.bytes;
    succeeds(stele_close(log));
    return bytes;
}

static void what_class_none_left_is_made_durable_by_the_next_class(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE); /* class none */
    const uint64_t count = append_until_segment(log, 0, 4);
    succeeds(stele_close(log));
    const uint64_t all = 5 * stele__segment_file_bytes(SEGMENT_SMALL);
    must(synced_by_an_opening(dir->log) >= all);
    must(synced_by_an_opening(dir->log) < all);
    expect_log(dir->log, 0, count);
    log = log_open(dir->log, 0);
    succeeds(stele_close(log)); /* nothing appended: it was open in that class all the same */
    must(synced_by_an_opening(dir->log) >= all);
}

static void what_is_cut_is_zero_and_stays_so(void **state)
{
    struct dir *dir = *state;
    const uint64_t torn_at = STELE__HEADER_BYTES + 40000;
    static const char torn[] = "a part of a record that nobody finished";
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 5);
    succeeds(stele_close(log));
    succeeds(stele_close(open_msync(dir->log))); /* from now on of class msync */
    file_write(segment_file(dir, 0, SEGMENT_SMALL), torn_at, torn, sizeof torn);
    log = open_msync(dir->log);
    const uint8_t *at = log->ring[0].map.base + torn_at;
    bool durable = false;
    for (uint64_t i = 0; i < synced.count; i++)
        durable |= synced.from[i] <= at && synced.to[i] >= at + sizeof torn - 1;
    must(durable && stele__is_zero(at, sizeof torn));
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 5);
}

/* Whole files: header, records, index and footer of an earlier life. */
static void a_file_that_is_used_again_is_zero_on_the_medium_before_it_has_a_name(void **state)
{
    struct dir *dir = *state;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    struct stele *log = open_msync(dir->log);
    uint64_t count = 0;
    reborn.count = 0;
    for (uint64_t sequence = 1; sequence <= 6; sequence++) {
        count = append_until_segment(log, count, sequence);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        (void)stele__helper_step(log, true);
        must(stele_trim(log, stele_durable(log), NULL) >= 0);
    }
    must(reborn.count >= 3);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(what_class_none_left_is_made_durable_by_the_next_class),
        LAW(what_is_cut_is_zero_and_stays_so),
        LAW(a_file_that_is_used_again_is_zero_on_the_medium_before_it_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
