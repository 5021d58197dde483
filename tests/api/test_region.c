/* SPDX-License-Identifier: BSD-3-Clause */
/* test_region.c: the mapped segments a caller can register with a device. Every slot lies in one of them, from before it is
 * handed out. */
#include "lib/dir.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment.h"

#define MANY 32

static const struct stele_region *region_of(const struct stele_region *regions, long count,
                                            const struct stele_slot *slot)
{
    for (long i = 0; i < count; i++)
        if (slot->lsn >= regions[i].lsn && slot->lsn < regions[i].lsn + regions[i].bytes)
            return &regions[i];
    return NULL;
}

/* The descriptor is the segment's, and what is stored in the slot is read from the file at the offset told. */
static void expect_same_bytes(const struct dir *dir, const struct stele_region *region,
                              struct stele_slot *slot)
{
    must((uint8_t *)slot->data == (uint8_t *)region->base + (slot->lsn - region->lsn) + 16);
    memset(slot->data, (int)(slot->lsn / 8 % 251) + 1, slot->len);
    uint8_t read[64];
    must(slot->len <= sizeof read);
    must(pread(region->fd, read, slot->len, (off_t)(region->file_offset + (slot->lsn - region->lsn) + 16)) ==
         (ssize_t)slot->len);
    must(memcmp(read, slot->data, slot->len) == 0);
    struct stat by_fd, by_name;
    must(fstat(region->fd, &by_fd) == 0);
    must(stat(segment_file(dir, region->lsn / SEGMENT_SMALL, SEGMENT_SMALL), &by_name) == 0);
    must(by_fd.st_ino == by_name.st_ino);
}

static void every_slot_lies_in_a_region(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_region regions[MANY];
    while (stele_tail(log) < 12 * SEGMENT_SMALL) {
        struct stele_slot slot;
        succeeds(stele_reserve(log, 0, 64, &slot));
        long count = stele_region(log, regions, MANY);
        must(count >= 1 && count <= 16);
        const struct stele_region *region = region_of(regions, count, &slot);
        must(region != NULL);
        expect_same_bytes(dir, region, &slot);
        succeeds(stele_publish(log, &slot, 64));
        append_range(log, 0, 5);
    }
    succeeds(stele_close(log));
}

static void regions_are_whole_segments_in_order(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_until_segment(log, 0, 3);
    struct stele_region regions[MANY];
    memset(regions, 0xee, sizeof regions);
    long count = stele_region(log, regions, MANY);
    must(count >= 1);
    for (long i = 0; i < count; i++) {
        must(regions[i].bytes == SEGMENT_SMALL && regions[i].lsn % SEGMENT_SMALL == 0);
        must(i == 0 || regions[i].lsn == regions[i - 1].lsn + SEGMENT_SMALL);
        must(regions[i].fd >= 0 && regions[i].file_offset == STELE__HEADER_BYTES && regions[i].reserved == 0);
    }
    must(regions[count - 1].lsn >= 3 * SEGMENT_SMALL);
    succeeds(stele_close(log));
}

static void no_more_is_told_than_there_is_room_for(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.spare_segments = 4;
    struct stele *log = log_open_with(dir->log, &options);
    append_until_segment(log, 0, 3);
    struct stele_slot slot; /* keeps everything from here on mapped */
    succeeds(stele_reserve(log, 0, 8, &slot));
    append_until_segment(log, 0, 6);
    long all = stele_region(log, NULL, 0);
    must(all >= 3);
    struct stele_region regions[MANY];
    memset(regions, 0xee, sizeof regions);
    must(stele_region(log, regions, 2) >= all);
    must(regions[0].fd >= 0 && regions[1].lsn == regions[0].lsn + SEGMENT_SMALL);
    uint8_t untouched[sizeof regions[2]];
    memset(untouched, 0xee, sizeof untouched);
    must(memcmp(&regions[2], untouched, sizeof untouched) == 0);
    succeeds(stele_abandon(log, &slot));
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_slot_lies_in_a_region),
        LAW(regions_are_whole_segments_in_order),
        LAW(no_more_is_told_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
