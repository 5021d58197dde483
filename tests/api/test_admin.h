/* SPDX-License-Identifier: BSD-3-Clause */
/* test_admin.h: what the tests of verify, inspect, repair, backup and stat share: a log of numbered
 * records with three sealed segments and an active one, places in it, and what was said about it. */
#ifndef STELE_TEST_ADMIN_H
#define STELE_TEST_ADMIN_H

#include "lib/dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/helper.h"
#include "core/open.h"
#include "format/segment.h"

#define SEALED 3u /* segments 0..2 are sealed, 3 is the active one */
#define EXTRA 40u /* records in the active one, at least */
#define HEARD_MAX 32u

/* Path of a segment of the log at `path`; valid until the next call. */
static inline const char *segment_at(const char *path, uint64_t sequence)
{
    static char text[1024];
    (void)snprintf(text, sizeof text, "%s/%s", path, segment_name(sequence, SEGMENT_SMALL));
    return text;
}

static inline const char *segment(const struct dir *dir, uint64_t sequence)
{
    return segment_file(dir, sequence, SEGMENT_SMALL);
}

/* All acknowledged; an abandoned slot in segment 1, so that some bytes belong to no record. Without the
 * helper thread, so that the same log comes out every time. */
static inline uint64_t make_log_at(const char *path)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    options.mark_bytes = 8192;
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    succeeds(stele__open_with(path, &options, &seams, &log));
    uint64_t count = append_until_segment(log, 0, 1);
    struct stele_slot slot;
    succeeds(stele_reserve(log, 0, 500, &slot));
    memset(slot.data, 0x5a, slot.len);
    succeeds(stele_abandon(log, &slot));
    for (uint64_t sequence = 2; sequence <= SEALED; sequence++) {
        count = append_until_segment(log, count, sequence);
        succeeds(stele_sync(log, STELE_LSN_ALL));
    }
    append_range(log, count, count + EXTRA);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    (void)stele__helper_step(log, true); /* seals, and prepares segments ahead */
    succeeds(stele_close(log));
    must(file_exists(segment_at(path, SEALED + 2)));
    return count + EXTRA;
}

static inline uint64_t make_log(const struct dir *dir)
{
    return make_log_at(dir->log);
}

/* Where record `number` stands. */
static inline stele_lsn lsn_of(const char *path, uint64_t number)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (uint64_t at = 0; at <= number; at++)
        returns(1, stele_cursor_next(cursor, &record));
    must(is_numbered(number, &record));
    stele_lsn lsn = record.lsn;
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    return lsn;
}

/* The first record at or behind `lsn`. */
static inline uint64_t number_at(const char *path, stele_lsn lsn, stele_lsn *where)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    uint64_t number = 0;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    returns(1, stele_cursor_next(cursor, &record));
    for (; record.lsn < lsn; number++)
        returns(1, stele_cursor_next(cursor, &record));
    *where = record.lsn;
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    return number;
}

static inline uint64_t offset_of(stele_lsn lsn)
{
    return STELE__HEADER_BYTES + lsn % SEGMENT_SMALL;
}

/* Flip a bit of the checksum of the record at `lsn`. */
static inline void damage_record(const struct dir *dir, stele_lsn lsn)
{
    file_flip(segment(dir, lsn / SEGMENT_SMALL), offset_of(lsn) + 9, 3);
}

/* Zero the sector in which the first record behind `lsn` begins. */
static inline stele_lsn zero_sector(const struct dir *dir, stele_lsn lsn)
{
    stele_lsn where;
    number_at(dir->log, lsn, &where);
    file_zero(segment(dir, where / SEGMENT_SMALL), offset_of(where) / 512 * 512, 512);
    return where;
}

/* Copy one file over another, which need not exist. */
static inline void put(const char *from, const char *to)
{
    uint64_t size = file_bytes(from);
    uint8_t *bytes = malloc((size_t)size + 1);
    must(bytes != NULL);
    file_read(from, 0, bytes, (size_t)size);
    (void)unlink(to);
    file_make(to, "");
    file_write(to, 0, bytes, (size_t)size);
    free(bytes);
}

struct heard_one {
    char segment[64], kind[24], detail[320];
    uint64_t offset;
    stele_lsn lsn;
    int harmless;
};

struct heard {
    size_t count;
    struct heard_one list[HEARD_MAX];
};

static inline void hear(void *ctx, const struct stele_problem *problem)
{
    struct heard *heard = ctx;
    must(heard->count < HEARD_MAX);
    struct heard_one *one = &heard->list[heard->count++];
    (void)snprintf(one->segment, sizeof one->segment, "%s", problem->segment);
    (void)snprintf(one->kind, sizeof one->kind, "%s", problem->kind);
    (void)snprintf(one->detail, sizeof one->detail, "%s", problem->detail);
    one->offset = problem->offset;
    one->lsn = problem->lsn;
    one->harmless = problem->harmless;
    must(one->detail[0] != '\0');
}

static inline void print_heard(const struct heard *heard)
{
    for (size_t i = 0; i < heard->count; i++)
        fprintf(stderr, "  %s: offset %llu lsn %lld %s%s: %s\n", heard->list[i].segment,
                (unsigned long long)heard->list[i].offset, (long long)heard->list[i].lsn, heard->list[i].kind,
                heard->list[i].harmless ? " (harmless)" : "", heard->list[i].detail);
}

static inline const struct heard_one *heard_kind(const struct heard *heard, const char *kind)
{
    for (size_t i = 0; i < heard->count; i++)
        if (strcmp(heard->list[i].kind, kind) == 0)
            return &heard->list[i];
    fprintf(stderr, "nothing of kind %s was reported\n", kind);
    print_heard(heard);
    must(heard == NULL); /* the test ends here */
    return NULL;
}

static inline struct stele_verify_result verify_log(const char *path, struct heard *heard)
{
    static struct heard nobody;
    struct stele_verify_result result = {.size = sizeof result};
    struct heard *to = heard != NULL ? heard : &nobody;
    memset(to, 0, sizeof *to);
    const struct stele_verify_options options = {.size = sizeof options, .problem = hear, .ctx = to};
    succeeds(stele_verify(path, &options, &result));
    must(result.problems == to->count);
    return result;
}

/* Clean, with this many records and nothing to complain about. */
static inline void expect_clean(const char *path, uint64_t records)
{
    struct heard heard;
    struct stele_verify_result result = verify_log(path, &heard);
    if (result.verdict != STELE_CLEAN || result.records != records || heard.count != 0) {
        fprintf(stderr, "verdict %d, %llu records (wanted %llu)\n", (int)result.verdict,
                (unsigned long long)result.records, (unsigned long long)records);
        print_heard(&heard);
    }
    must(result.verdict == STELE_CLEAN);
    must(result.records == records);
    must(heard.count == 0);
}

#endif
