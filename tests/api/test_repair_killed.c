/* SPDX-License-Identifier: BSD-3-Clause */
/* test_repair_killed.c: a repair killed before any of its system calls that change something. Run again,
 * it ends as if it had never been disturbed; and what it removes is in the backup directory before it is
 * gone. */
#include "test_repair.h"

#include <dirent.h>

static struct truth truth;

struct damaged {
    const char *name;
    void (*damage)(const struct dir *dir);
    uint32_t flags;
    struct loss lost;
};

static void tear(const struct dir *dir)
{
    stele_lsn end = verify_log(dir->log, NULL).end_lsn;
    file_write(segment(dir, SEALED), offset_of(end), "unfinished", 10);
    file_write(segment(dir, SEALED + 1), 4096 + 64, "unfinished", 10);
}

static void damage_in_the_middle(const struct dir *dir)
{
    damage_record(dir, truth.lsn[truth.count / 3]);
}

static void damage_one_of_two(const struct dir *dir)
{
    file_flip(segment(dir, 0), 60, 1);
    file_flip(segment(dir, 1), stele__segment_file_bytes(SEGMENT_SMALL) - 4096 + 30, 1);
    file_flip(segment(dir, 2), 4096 + SEGMENT_SMALL + 3, 1);
    file_flip(log_file(dir, "control"), 70, 1);
}

static void lose_the_control_file(const struct dir *dir)
{
    tear(dir);
    must(unlink(log_file(dir, "control")) == 0);
}

static void swap_and_shorten(const struct dir *dir)
{
    must(rename(segment(dir, 0), dir_file(dir, "aside")) == 0);
    must(rename(segment(dir, 2), segment(dir, 0)) == 0);
    must(rename(segment(dir, 1), segment(dir, 2)) == 0);
    must(rename(dir_file(dir, "aside"), segment(dir, 1)) == 0);
    must(truncate(segment(dir, SEALED), (off_t)stele__segment_file_bytes(SEGMENT_SMALL) - 100) == 0);
}

static void lose_segments(const struct dir *dir)
{
    must(unlink(segment(dir, 1)) == 0);
    file_zero(segment(dir, 2), 0, 4096);
}

static uint64_t make_damaged(const struct dir *dir, const struct damaged *damaged, struct dir *kept)
{
    dir_empty(dir->log);
    make_log(dir);
    learn(dir->log, &truth);
    damaged->damage(dir);
    *kept = *dir;
    (void)snprintf(kept->log, sizeof kept->log, "%s/damaged", dir->path);
    dir_empty(kept->log);
    must(rename(dir->log, kept->log) == 0);
    return truth.count;
}

#define WHOLE stele__segment_file_bytes(SEGMENT_SMALL)

/* Drop from `wanted` the bytes that stand in this file, whose first one belongs at `offset`. */
static void found_in(uint8_t *wanted, const char *path, uint64_t offset)
{
    static uint8_t bytes[1u << 18];
    uint64_t size = file_bytes(path);
    must(WHOLE <= sizeof bytes && offset <= WHOLE);
    size = size < WHOLE - offset ? size : WHOLE - offset;
    file_read(path, 0, bytes, (size_t)size);
    for (uint64_t i = 0; i < size; i++)
        if (bytes[i] == wanted[offset + i])
            wanted[offset + i] = 0;
}

/* All pieces kept of this segment. */
static void found_in_pieces(uint8_t *wanted, const char *kept, const char *name)
{
    DIR *pieces = opendir(kept);
    if (pieces == NULL)
        return; /* killed before there was one */
    for (struct dirent *entry; (entry = readdir(pieces)) != NULL;) {
        unsigned long long offset;
        char path[512];
        if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
            sscanf(entry->d_name + strlen(name), ".from-%llu", &offset) != 1)
            continue;
        must(snprintf(path, sizeof path, "%s/%s", kept, entry->d_name) < (int)sizeof path);
        found_in(wanted, path, offset);
    }
    must(closedir(pieces) == 0);
}

/* No byte is gone: each stands where it stood, or in a quarantined file, or in a piece that was kept. */
static void expect_nothing_gone(const struct dir *dir, const struct dir *damaged)
{
    static uint8_t wanted[1u << 18], zeroes[1u << 18];
    for (uint64_t sequence = 0; sequence <= SEALED + 1; sequence++) {
        char path[512], name[64];
        (void)snprintf(name, sizeof name, "%s", segment_name(sequence, SEGMENT_SMALL));
        if (!file_exists(segment(damaged, sequence)))
            continue;
        file_read(segment(damaged, sequence), 0, wanted, (size_t)file_bytes(segment(damaged, sequence)));
        if (file_exists(segment(dir, sequence)))
            found_in(wanted, segment(dir, sequence), 0);
        (void)snprintf(path, sizeof path, "%s.broken", segment(dir, sequence));
        if (file_exists(path))
            found_in(wanted, path, 0);
        found_in_pieces(wanted, dir_file(dir, "kept"), name);
        /* The header of a segment that holds nothing is not worth a copy. */
        must(memcmp(wanted + STELE__HEADER_BYTES, zeroes, SEGMENT_SMALL) == 0);
    }
}

static void expect_undisturbed(const struct dir *dir, const struct damaged *damaged, const struct loss *lost)
{
    struct stele_repair_result result;
    succeeds(repair(dir, damaged->flags | STELE_REPAIR_APPLY, &result));
    must(result.after == STELE_CLEAN);
    uint64_t left = expect_survivors(dir->log, &truth, lost, 1);
    expect_mended(dir->log, left);
}

static void is_mended_whenever_it_is_killed(const struct dir *dir, const struct damaged *damaged)
{
    struct dir kept;
    make_damaged(dir, damaged, &kept);
    struct loss lost = damaged->lost;
    if (damaged->damage == damage_in_the_middle)
        lost = (struct loss){truth.lsn[truth.count / 3], UINT64_MAX};
    unsigned step = 1;
    for (bool killed = true; killed; step++) {
        dir_empty(dir->log);
        dir_empty(dir_file(dir, "kept"));
        dir_copy(kept.log, dir->log);
        killed = repair_killed_at(dir, damaged->flags, step);
        if (damaged->damage != swap_and_shorten && damaged->damage != damage_one_of_two)
            expect_nothing_gone(dir, &kept); /* of the others, records are compared below */
        expect_undisturbed(dir, damaged, &lost);
    }
    print_message("    %s: killed at each of %u steps\n", damaged->name, step - 2);
    must(step > 4);
}

#define NOTHING                                                                                              \
    {                                                                                                        \
        0, 0                                                                                                 \
    }
#define KILLED(test, how, with, ...)                                                                         \
    static void test(void **state)                                                                           \
    {                                                                                                        \
        is_mended_whenever_it_is_killed(*state, &(struct damaged){#test, how, with, __VA_ARGS__});           \
    }

KILLED(a_torn_tail_is_cut, tear, 0, NOTHING)
KILLED(a_damaged_log_is_cut, damage_in_the_middle, STELE_REPAIR_ALLOW_DATA_LOSS, NOTHING)
KILLED(second_copies_are_written, damage_one_of_two, 0, NOTHING)
KILLED(a_control_file_is_rebuilt, lose_the_control_file, STELE_REPAIR_ALLOW_DATA_LOSS, NOTHING)
KILLED(names_and_sizes_are_put_right, swap_and_shorten, 0, NOTHING)
KILLED(segments_are_quarantined, lose_segments, STELE_REPAIR_QUARANTINE, {SEGMENT_SMALL, 3 * SEGMENT_SMALL})

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_torn_tail_is_cut),        LAW(a_damaged_log_is_cut),          LAW(second_copies_are_written),
        LAW(a_control_file_is_rebuilt), LAW(names_and_sizes_are_put_right), LAW(segments_are_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
