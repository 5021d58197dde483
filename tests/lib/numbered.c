/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/numbered.c: the half of lib/dir.h that is about logs and numbered records. */
#include "lib/dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The mixer of SplitMix64: neighbouring numbers give unrelated bytes. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

size_t numbered(uint64_t number, uint8_t *out)
{
    uint64_t dice = mix(number);
    size_t len = 8 + (dice % 8 == 0 ? (dice >> 8) % (NUMBERED_MAX - 8) : (dice >> 8) % 152);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = mix(number ^ (uint64_t)(i + 1) << 40);
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
    return len;
}

unsigned numbered_type(uint64_t number)
{
    return (unsigned)(mix(number ^ UINT64_C(0x7479)) % (STELE_TYPE_MAX + 1));
}

bool is_numbered(uint64_t number, const struct stele_record *record)
{
    uint8_t wanted[NUMBERED_MAX];
    size_t len = numbered(number, wanted);
    return record->len == len && record->type == numbered_type(number) &&
           memcmp(record->data, wanted, len) == 0;
}

struct stele_options log_options(uint32_t flags)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = flags;
    options.durability = (flags & STELE_READ_ONLY) != 0 ? STELE_DURABILITY_AUTO : STELE_DURABILITY_NONE;
    options.segment_bytes = SEGMENT_SMALL;
    return options;
}

struct stele *log_open_with(const char *path, const struct stele_options *options)
{
    struct stele *log = NULL;
    succeeds(stele_open(path, options, &log));
    must(log != NULL);
    return log;
}

struct stele *log_open(const char *path, uint32_t flags)
{
    const struct stele_options options = log_options(flags);
    return log_open_with(path, &options);
}

stele_lsn append_numbered(struct stele *log, uint64_t number)
{
    uint8_t payload[NUMBERED_MAX];
    const struct iovec iov = {.iov_base = payload, .iov_len = numbered(number, payload)};
    stele_lsn lsn = STELE_LSN_NONE;
    succeeds(stele_appendv(log, numbered_type(number), &iov, 1, &lsn));
    return lsn;
}

stele_lsn append_range(struct stele *log, uint64_t from, uint64_t to)
{
    stele_lsn lsn = STELE_LSN_NONE;
    for (uint64_t number = from; number < to; number++)
        lsn = append_numbered(log, number);
    return lsn;
}

uint64_t append_until_segment(struct stele *log, uint64_t from, uint64_t sequence)
{
    while (stele_tail(log) < sequence * SEGMENT_SMALL)
        append_numbered(log, from++);
    return from;
}

void expect_next(struct stele_cursor *cursor, uint64_t from, uint64_t to)
{
    struct stele_record record;
    for (uint64_t number = from; number < to; number++) {
        int rc = stele_cursor_next(cursor, &record);
        if (rc != 1 || !is_numbered(number, &record))
            fprintf(stderr, "record number %llu of [%llu, %llu): %d at lsn %llu\n",
                    (unsigned long long)number, (unsigned long long)from, (unsigned long long)to, rc,
                    (unsigned long long)stele_cursor_lsn(cursor));
        returns(1, rc);
        must(is_numbered(number, &record));
    }
}

void expect_nothing(struct stele_cursor *cursor)
{
    struct stele_record record;
    returns(0, stele_cursor_next(cursor, &record));
}

void expect_range(struct stele *log, uint64_t from, uint64_t to)
{
    struct stele_cursor *cursor = NULL;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, from, to);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
}

void expect_log(const char *path, uint64_t from, uint64_t to)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    expect_range(log, from, to);
    succeeds(stele_close(log));
}

bool under_sanitizer(void)
{
    const char *which = getenv("STELE_SANITIZE");
    return which != NULL && which[0] != '\0';
}

uint64_t scaled(uint64_t n)
{
    const char *minutes = getenv("STELE_TEST_MINUTES");
    uint64_t more = minutes != NULL ? strtoull(minutes, NULL, 10) : 0;
    uint64_t least = under_sanitizer() ? n / 8 : n;
    return (least > 0 ? least : 1) * (1 + more);
}
