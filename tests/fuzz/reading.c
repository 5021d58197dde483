/* SPDX-License-Identifier: BSD-3-Clause */
#include "reading.h"

#include "format/chain.h"

struct shown reading_describe(const struct stele_record *record)
{
    return (struct shown){.lsn = record->lsn,
                          .hash = stele__hash64(record->data, record->len),
                          .len = (uint32_t)record->len,
                          .type = record->type};
}

static bool equal(const struct shown *a, const struct shown *b)
{
    return a->lsn == b->lsn && a->hash == b->hash && a->len == b->len && a->type == b->type;
}

void reading_take(struct reading *reading, const char *path, unsigned flags, struct stele **log)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele_cursor *cursor = NULL;
    struct stele_record record;
    if (reading->records == NULL)
        reading->records = calloc(READING_MAX, sizeof *reading->records);
    reading->count = reading->gaps = 0;
    reading->ended = 0;
    options.flags = STELE_READ_ONLY;
    reading->opened = stele_open(path, &options, log);
    FUZZ_CHECK((reading->opened == 0) == (*log != NULL));
    if (reading->opened != 0)
        return;
    reading->first = stele_first(*log);
    reading->tail = stele_tail(*log);
    reading->ended = stele_cursor_open(*log, flags, STELE_FROM_BEGIN, 0, &cursor);
    stele_lsn next = 0;
    while (reading->ended == 0) {
        int got = stele_cursor_next(cursor, &record);
        if (got == STELE_EGAP) {
            FUZZ_CHECK(++reading->gaps <= IMAGE_FILES * 64);
            continue;
        }
        reading->ended = got < 0 ? got : 0;
        if (got != 1)
            break;
        FUZZ_CHECK(record.lsn >= next && record.next >= record.lsn + 16 + record.len);
        FUZZ_CHECK(record.lsn % 8 == 0 && record.type <= STELE_TYPE_MAX && reading->count < READING_MAX);
        next = record.next;
        reading->records[reading->count++] = reading_describe(&record);
    }
    FUZZ_CHECK(reading->ended != STELE_EREWOUND && reading->ended != STELE_EINVAL);
    stele_cursor_close(cursor);
}

static bool stands_in(const struct shown *shown, const struct stele__area *area)
{
    struct stele__record record;
    return shown->lsn >= area->base && shown->lsn - area->base < area->bytes &&
           stele__record_check(area, shown->lsn, &record) == STELE__RECORD_OK && record.len == shown->len &&
           stele__type_of_wire(record.wire) == shown->type &&
           stele__hash64(record.payload, record.len) == shown->hash;
}

void reading_is_of(const struct reading *reading, const struct image *image)
{
    struct stele__area areas[IMAGE_FILES];
    unsigned count = 0, last = 0; /* records of one file follow each other */
    for (unsigned n = 0; n < image->count; n++)
        count += image_area(&image->files[n], &areas[count]) ? 1 : 0;
    for (size_t i = 0; i < reading->count; i++) {
        bool found = last < count && stands_in(&reading->records[i], &areas[last]);
        for (unsigned n = 0; !found && n < count; n++)
            if ((found = stands_in(&reading->records[i], &areas[n])))
                last = n;
        FUZZ_CHECK(found);
    }
}

bool reading_same(const struct reading *a, const struct reading *b, size_t count)
{
    if (count > a->count || count > b->count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!equal(&a->records[i], &b->records[i]))
            return false;
    return true;
}

/* The next record the cursor shows, gaps stepped over, is number `at` of the reading (none when there are no
 * more). */
static void comes_next(const struct reading *reading, struct stele_cursor *cursor, size_t at)
{
    struct stele_record record;
    int got = STELE_EGAP;
    for (unsigned tries = 0; got == STELE_EGAP && tries < IMAGE_FILES * 64; tries++)
        got = stele_cursor_next(cursor, &record);
    if (at >= reading->count) {
        FUZZ_CHECK(got == 0);
        return;
    }
    FUZZ_CHECK(got == 1);
    const struct shown shown = reading_describe(&record);
    FUZZ_CHECK(equal(&shown, &reading->records[at]));
}

/* The next record the cursor shows is one of the reading, if there is one. */
static void is_shown_next(const struct reading *reading, struct stele_cursor *cursor)
{
    struct stele_record record;
    int got = STELE_EGAP;
    for (unsigned tries = 0; got == STELE_EGAP && tries < IMAGE_FILES * 64; tries++)
        got = stele_cursor_next(cursor, &record);
    size_t at = 0;
    while (got == 1 && at < reading->count && reading->records[at].lsn != record.lsn)
        at++;
    FUZZ_CHECK(got == 0 || (got == 1 && at < reading->count));
}

static void seek_lsn(const struct reading *reading, struct stele_cursor *cursor, stele_lsn lsn)
{
    size_t at = 0;
    while (at < reading->count && reading->records[at].lsn < lsn)
        at++;
    int rc = stele_cursor_seek(cursor, STELE_FROM_LSN, lsn);
    if (lsn < reading->first)
        FUZZ_CHECK(rc == STELE_ETRIMMED);
    else if (lsn > reading->tail)
        FUZZ_CHECK(rc == STELE_EINVAL || rc == 0);
    else
        FUZZ_CHECK(rc == 0);
    if (rc == 0)
        comes_next(reading, cursor, at);
}

void reading_seek(const struct reading *reading, struct stele *log, uint64_t salt)
{
    struct stele_cursor *cursor = NULL;
    FUZZ_CHECK(stele_cursor_open(log, 0, STELE_FROM_END, 0, &cursor) == 0);
    comes_next(reading, cursor, reading->count);
    if (reading->count > 0) {
        seek_lsn(reading, cursor, reading->records[salt % reading->count].lsn);
        seek_lsn(reading, cursor, reading->records[reading->count - 1].lsn + 1);
    }
    seek_lsn(reading, cursor, reading->first);
    if (reading->tail > reading->first)
        seek_lsn(reading, cursor, reading->first + salt % (reading->tail - reading->first));
    seek_lsn(reading, cursor, reading->tail);
    seek_lsn(reading, cursor, salt);
    const uint64_t last = salt >> 32 & 0xfff;
    FUZZ_CHECK(stele_cursor_seek(cursor, STELE_FROM_LAST, last) == 0);
    comes_next(reading, cursor, last < reading->count ? reading->count - last : 0);
    FUZZ_CHECK(stele_cursor_seek(cursor, STELE_FROM_TIME, salt) == 0);
    is_shown_next(reading, cursor); /* which one: times are hints, and a forged footer may lie */
    FUZZ_CHECK(stele_cursor_seek(cursor, STELE_FROM_BEGIN, 0) == 0);
    comes_next(reading, cursor, 0);
    FUZZ_CHECK(stele_cursor_wait(cursor, 0) >= 0);
    stele_cursor_close(cursor);
}
