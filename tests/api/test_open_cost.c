/* SPDX-License-Identifier: BSD-3-Clause */
/* test_open_cost.c: opening reads headers, footers and what is not sealed, however long the log is. Counted, not timed. */
#include "lib/dir.h"
#include "lib/wrap.h"

#include <sched.h>
#include <stdio.h>

#define SEGMENT (UINT64_C(1) << 20)
#define ENDS (UINT64_C(4096) + 8192) /* header and footers */

/* Bytes this process has read with read(2) and its like. */
static uint64_t bytes_read(void)
{
    FILE *io = fopen("/proc/self/io", "re");
    must(io != NULL);
    unsigned long long bytes = 0;
    must(fscanf(io, "rchar: %llu", &bytes) == 1);
    (void)fclose(io);
    return bytes;
}

static struct stele_options options_with(uint32_t flags)
{
    struct stele_options options = log_options(flags);
    options.segment_bytes = SEGMENT;
    options.durability = (flags & STELE_READ_ONLY) != 0 ? STELE_DURABILITY_AUTO : STELE_DURABILITY_MSYNC;
    options.spare_segments = 1;
    return options;
}

/* `sealed` full segments, and as little as possible in the active one. */
static void make(const char *path, uint64_t sealed)
{
    struct stele_options options = options_with(STELE_CREATE);
    struct stele *log = log_open_with(path, &options);
    static const uint8_t payload[200 * 1024];
    while (stele_tail(log) < sealed * SEGMENT)
        succeeds(stele_append(log, payload, sizeof payload, NULL));
    succeeds(stele_close(log));
    log = log_open_with(path, &options);   /* what could not be sealed in time is sealed now */
    while (stele_region(log, NULL, 0) < 2) /* and the helper thread makes the one spare */
        sched_yield();
    succeeds(stele_close(log));
}

/* Reading /proc/self/io, names of the directory, the lock file and so on. */
#define SMALL_CHANGE UINT64_C(65536)

static void opening_reads_the_ends_of_sealed_segments_only(void **state)
{
    struct dir *dir = *state;
    make(dir->log, 64);
    make(dir_file(dir, "short"), 1);
    static const uint32_t flags[] = {0, STELE_READ_ONLY};
    for (int i = 0; i < 2; i++) {
        const char *paths[] = {dir->log, dir_file(dir, "short")};
        uint64_t read[2];
        for (int p = 0; p < 2; p++) {
            struct stele_options options = options_with(flags[i]);
            const struct stele__seams seams = {.no_helper = true};
            struct stele *log;
            uint64_t before = bytes_read();
            succeeds(stele__open_with(paths[p], &options, &seams, &log));
            read[p] = bytes_read() - before;
            succeeds(stele_close(log));
        }
        must(read[1] > SEGMENT); /* the active segment, whole, and one prepared ahead of it */
        must(read[1] < 2 * SEGMENT + 8 * ENDS + SMALL_CHANGE);
        must(read[0] > read[1] + 63 * ENDS / 2); /* or the law would hold for the wrong reason */
        must(read[0] < read[1] + 63 * ENDS + SMALL_CHANGE);
    }
}

/* Nor are they mapped: a page that is touched was read. */
static void opening_maps_no_sealed_segment(void **state)
{
    struct dir *dir = *state;
    make(dir->log, 64);
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = options_with(0);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    must(atomic_load(&wrap.opens) <= 1 + 1 + 2); /* control file, active segment, spares */
    must(atomic_load(&wrap.persists) <=
         2 + 2); /* and what was durable is not persisted again: at most the tail */
    succeeds(stele_close(log));
}

static void a_cursor_at_the_end_reads_no_sealed_segment(void **state)
{
    struct dir *dir = *state;
    make(dir->log, 64);
    struct stele_options options = options_with(STELE_READ_ONLY);
    struct stele *log = log_open_with(dir->log, &options);
    uint64_t before = bytes_read();
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_END, 0, &cursor));
    must(stele_cursor_next(cursor, &record) == 0);
    stele_cursor_close(cursor);
    must(bytes_read() - before < SMALL_CHANGE);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(opening_reads_the_ends_of_sealed_segments_only),
        LAW(opening_maps_no_sealed_segment),
        LAW(a_cursor_at_the_end_reads_no_sealed_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
