/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cursor_time.c: by time, no record appended at or after it is left out, and not many earlier ones come first. */
#include "lib/dir.h"
#include "lib/wrap.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEGMENT (UINT64_C(256) << 10) /* several index entries in each */
#define INTERVAL (UINT64_C(64) << 10) /* of marks and index entries */
#define RECORDS 6000u

struct story {
    stele_lsn lsns[RECORDS];
    uint64_t before[RECORDS]; /* the clock just before record i was appended */
    uint64_t count, trimmed;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct stele_options options_with(uint32_t flags, uint64_t mark_bytes)
{
    struct stele_options options = log_options(flags);
    options.segment_bytes = SEGMENT;
    options.mark_bytes = mark_bytes;
    return options;
}

static void append_story(struct stele *log, struct story *story, uint64_t until, unsigned sync_every)
{
    for (; story->count < until; story->count++) {
        story->before[story->count] = now_ns();
        story->lsns[story->count] = append_numbered(log, story->count);
        if (story->count % sync_every == 0)
            succeeds(stele_sync(log, STELE_LSN_ALL));
    }
}

/* Full segments are sealed by the helper thread in its own time, and a trim waits for that; a pin keeps it from trimming.
 * Segments not sealed yet have no index: more would come first. */
static void let_it_seal(struct stele *log)
{
    struct stele_pin *pin;
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_pin(log, stele_first(log), &pin));
    must(stele_trim(log, STELE_LSN_ALL, NULL) == 0);
    stele_unpin(pin);
}

/* The first record shown for the time just before record `number`: it, or a near one before it. */
static void expect_near(struct stele_cursor *cursor, const struct story *story, uint64_t number)
{
    struct stele_record record;
    must(stele_cursor_next(cursor, &record) == 1);
    must(record.lsn <= story->lsns[number]);
    must(story->lsns[number] - record.lsn <=
         2 * INTERVAL); /* the interval itself, and what was not committed yet */
}

static void check(struct stele *log, const struct story *story)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_TIME, 0, &cursor));
    expect_next(cursor, story->trimmed, story->trimmed + 5); /* long before: the beginning */
    succeeds(stele_cursor_seek(cursor, STELE_FROM_TIME, 1));
    expect_next(cursor, story->trimmed, story->trimmed + 5);
    for (uint64_t number = story->trimmed; number < story->count; number += 13) {
        succeeds(stele_cursor_seek(cursor, STELE_FROM_TIME, story->before[number]));
        expect_near(cursor, story, number);
    }
    succeeds(stele_cursor_seek(cursor, STELE_FROM_TIME, story->before[0])); /* trimmed, or not */
    expect_next(cursor, story->trimmed, story->trimmed + 5);
    static const uint64_t future[] = {UINT64_C(1) << 62, UINT64_MAX};
    for (int i = 0; i < 2; i++) { /* nothing, or the last few */
        succeeds(stele_cursor_seek(cursor, STELE_FROM_TIME, future[i]));
        struct stele_record record;
        uint64_t shown = 0;
        while (stele_cursor_next(cursor, &record) == 1) {
            must(story->lsns[story->count - 1] - record.lsn <= 2 * INTERVAL);
            shown++;
        }
        must(shown < story->count);
    }
    stele_cursor_close(cursor);
}

static void no_record_of_that_time_or_later_is_left_out(void **state)
{
    struct dir *dir = *state;
    static struct story story;
    static const uint64_t marks[] = {1024, 8192, INTERVAL};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        story.count = story.trimmed = 0;
        struct stele_options options = options_with(STELE_CREATE, marks[i]);
        struct stele *log = log_open_with(dir->log, &options);
        append_story(log, &story, RECORDS / 2, 3 + (unsigned)i * 9);
        let_it_seal(log);
        check(log, &story);
        append_story(log, &story, RECORDS * 3 / 4, 40);
        let_it_seal(log);
        succeeds(stele_trim(log, SEGMENT, NULL) == 1 ? 0 : -1);
        while (story.lsns[story.trimmed] < SEGMENT)
            story.trimmed++;
        check(log, &story);
        const struct stele_options readonly = options_with(STELE_READ_ONLY, 0);
        struct stele *reader = log_open_with(dir->log, &readonly);
        check(reader, &story); /* beside the writer */
        succeeds(stele_close(reader));
        succeeds(stele_close(log));
        reader = log_open_with(dir->log, &readonly);
        check(reader, &story); /* after it */
        succeeds(stele_close(reader));
        options.flags = 0; /* and after a reopening, with more behind it */
        log = log_open_with(dir->log, &options);
        check(log, &story);
        append_story(log, &story, RECORDS, 7);
        let_it_seal(log);
        check(log, &story);
        succeeds(stele_close(log));
        dir_empty(dir->log);
    }
}

/* A log whose tail was never vouched for: after a crash, times of the last records are not known, so they are not skipped. */
static void what_no_mark_dates_is_not_skipped(void **state)
{
    struct dir *dir = *state;
    static struct story story;
    memset(&story, 0, sizeof story);
    struct stele_options options = options_with(STELE_CREATE, UINT64_MAX);
    options.idle_mark_ns = UINT64_MAX;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false); /* nobody stirs while it is copied */
    append_story(log, &story, 300, 5);
    dir_copy(dir->log, dir_file(dir, "crashed")); /* as it stands now: no mark in it */
    succeeds(stele_close(log));
    uint64_t later = now_ns();
    log = log_open(dir_file(dir, "crashed"), 0);
    struct stele_cursor *cursor;
    for (uint64_t number = 0; number < 300; number += 11) {
        succeeds(stele_cursor_open(log, 0, STELE_FROM_TIME, story.before[number], &cursor));
        struct stele_record record;
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn <= story.lsns[number]);
        stele_cursor_close(cursor);
    }
    succeeds(stele_cursor_open(log, 0, STELE_FROM_TIME, later, &cursor)); /* and new ones are found by it */
    append_range(log, 300, 310);
    struct stele_record record;
    uint64_t number = UINT64_MAX;
    while (stele_cursor_next(cursor, &record) == 1)
        for (number = number == UINT64_MAX ? 0 : number + 1; !is_numbered(number, &record); number++)
            must(number < 310);
    must(number == 309);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(no_record_of_that_time_or_later_is_left_out),
        LAW(what_no_mark_dates_is_not_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
