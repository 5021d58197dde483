/* SPDX-License-Identifier: BSD-3-Clause */
/* test_cursor_seek.c: where a cursor begins. Every law holds for the writer's own cursors, for a reader beside the writer,
 * and for a reader of a log that nobody has open. */
#include "lib/dir.h"

#include <stdlib.h>

enum view { OWN, BESIDE, ALONE, VIEWS };

struct seen {
    struct stele *writer; /* NULL: closed */
    struct stele *log;    /* where cursors are opened */
    stele_lsn *lsns;      /* of record i, and behind the last one the end */
    uint64_t count, trimmed;
};

#define DURABLE_SEGMENTS 5u

/* Records over several segments, all durable but the last 20; marks and abandoned slots among them; the first segment was
 * trimmed away. */
static struct seen look(const struct dir *dir, enum view view)
{
    struct seen seen = {.lsns = calloc(20000, sizeof(stele_lsn))};
    must(seen.lsns != NULL);
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 4096;
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    while (stele_tail(log) < DURABLE_SEGMENTS * SEGMENT_SMALL) {
        seen.lsns[seen.count] = append_numbered(log, seen.count);
        struct stele_slot slot;
        if (seen.count % 50 == 7) {
            succeeds(stele_reserve(log, 0, seen.count % 90, &slot));
            succeeds(stele_abandon(log, &slot));
        }
        if (seen.count++ % 30 == 0)
            succeeds(stele_sync(log, STELE_LSN_ALL));
    }
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, SEGMENT_SMALL, NULL) == 1);
    while (seen.lsns[seen.trimmed] < SEGMENT_SMALL)
        seen.trimmed++;
    for (int i = 0; i < 20; i++, seen.count++)
        seen.lsns[seen.count] = append_numbered(log, seen.count);
    seen.lsns[seen.count] = stele_tail(log);
    if (view == ALONE) {
        succeeds(stele_close(log));
        log = NULL;
    }
    seen.writer = log;
    seen.log = view == OWN ? log : log_open(dir->log, STELE_READ_ONLY);
    return seen;
}

static void look_away(const struct dir *dir, struct seen *seen)
{
    if (seen->log != seen->writer)
        succeeds(stele_close(seen->log));
    if (seen->writer != NULL)
        succeeds(stele_close(seen->writer));
    free(seen->lsns);
    dir_empty(dir->log);
}

static void in_every_view(void **state, void (*law)(struct seen *))
{
    struct dir *dir = *state;
    for (enum view view = OWN; view < VIEWS; view++) {
        struct seen seen = look(dir, view);
        law(&seen);
        look_away(dir, &seen);
    }
}

static void expect_from(struct stele_cursor *cursor, const struct seen *seen, uint64_t number)
{
    expect_next(cursor, number, seen->count);
    expect_nothing(cursor);
    must(stele_cursor_lsn(cursor) >= seen->lsns[seen->count]);
}

static void begin(struct seen *seen)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_BEGIN, 12345, &cursor)); /* the value means nothing */
    must(stele_cursor_lsn(cursor) == SEGMENT_SMALL);
    expect_from(cursor, seen, seen->trimmed);
    succeeds(stele_cursor_seek(cursor, STELE_FROM_BEGIN, 0));
    expect_from(cursor, seen, seen->trimmed);
    stele_cursor_close(cursor);
}

static void the_beginning_is_the_first_record_not_trimmed(void **state)
{
    in_every_view(state, begin);
}

/* At a record, between two of its bytes, in a pad, unaligned: the first record at or behind. */
static void by_lsn(struct seen *seen)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_BEGIN, 0, &cursor));
    uint64_t number = seen->trimmed;
    const stele_lsn last = seen->lsns[seen->count - 1];
    for (stele_lsn lsn = SEGMENT_SMALL; lsn <= last; lsn += lsn % 3 == 0 ? 5 : 331) {
        while (seen->lsns[number] < lsn)
            number++;
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LSN, lsn));
        must(stele_cursor_next(cursor, &record) == 1);
        must(record.lsn == seen->lsns[number]);
        must(is_numbered(number, &record));
    }
    for (number = seen->trimmed; number < seen->count; number += 1 + number % 5) {
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LSN, seen->lsns[number]));
        must(stele_cursor_next(cursor, &record) == 1 && record.lsn == seen->lsns[number]);
        stele_lsn next = stele_cursor_lsn(cursor);
        must(next == record.next);
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LSN, next)); /* as handed back: goes on where it was */
        expect_next(cursor, number + 1, number + 1 < seen->count ? number + 2 : number + 1);
    }
    stele_cursor_close(cursor);
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_LSN, last, &cursor));
    expect_from(cursor, seen, seen->count - 1);
    stele_cursor_close(cursor);
}

static void an_lsn_means_the_first_record_at_or_behind_it(void **state)
{
    in_every_view(state, by_lsn);
}

static void refused(struct seen *seen)
{
    struct stele_cursor *cursor = (struct stele_cursor *)(void *)1;
    returns(STELE_ETRIMMED, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, 0, &cursor));
    must(cursor == NULL);
    error_says("65536");
    returns(STELE_ETRIMMED, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, SEGMENT_SMALL - 1, &cursor));
    const stele_lsn known =
        stele_tail(seen->log); /* a reader beside the writer knows of what is durable only */
    const stele_lsn tail = known > seen->lsns[seen->count] ? known : seen->lsns[seen->count];
    static const uint64_t beyond[] = {8, 100, SEGMENT_SMALL, 20 * SEGMENT_SMALL, UINT64_C(1) << 62};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
        returns(STELE_EINVAL, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, tail + beyond[i], &cursor));
    returns(STELE_EINVAL, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, UINT64_MAX, &cursor));
    returns(STELE_EINVAL, stele_cursor_open(seen->log, 0, STELE_FROM_LSN, UINT64_MAX - 7, &cursor));
    returns(STELE_EINVAL, stele_cursor_open(seen->log, 0, (enum stele_from)5, 0, &cursor));
    returns(STELE_EINVAL, stele_cursor_open(seen->log, 2, STELE_FROM_BEGIN, 0, &cursor));
    returns(STELE_EINVAL, stele_cursor_open(seen->log, UINT32_MAX, STELE_FROM_BEGIN, 0, &cursor));
    must(cursor == NULL);

    /* After a seek that fails, a cursor stands where it stood. */
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, seen->trimmed, seen->trimmed + 10);
    stele_lsn was = stele_cursor_lsn(cursor);
    returns(STELE_ETRIMMED, stele_cursor_seek(cursor, STELE_FROM_LSN, 8));
    returns(STELE_EINVAL, stele_cursor_seek(cursor, STELE_FROM_LSN, UINT64_C(1) << 50));
    returns(STELE_EINVAL, stele_cursor_seek(cursor, (enum stele_from)99, 0));
    must(stele_cursor_lsn(cursor) == was);
    expect_from(cursor, seen, seen->trimmed + 10);
    stele_cursor_close(cursor);
}

static void positions_outside_the_log_are_refused(void **state)
{
    in_every_view(state, refused);
}

static void end(struct seen *seen)
{
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_END, 0, &cursor));
    must(stele_cursor_lsn(cursor) >= seen->lsns[seen->count]);
    expect_nothing(cursor);
    if (seen->writer != NULL) {
        append_range(seen->writer, 90000, 90003);
        expect_next(cursor, 90000, 90003);
        expect_nothing(cursor);
    }
    stele_cursor_close(cursor);
}

static void the_end_is_behind_the_last_record(void **state)
{
    in_every_view(state, end);
}

static void last(struct seen *seen)
{
    struct stele_cursor *cursor;
    const uint64_t there = seen->count - seen->trimmed;
    succeeds(stele_cursor_open(seen->log, 0, STELE_FROM_LAST, 0, &cursor));
    expect_nothing(cursor);
    must(stele_cursor_lsn(cursor) >= seen->lsns[seen->count]);
    for (uint64_t n = 1; n <= there; n += n < 40 || n > there - 10 ? 1 : 7) {
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LAST, n));
        expect_next(cursor, seen->count - n, seen->count - n + (n < 5 ? n : 5));
    }
    for (uint64_t n = there; n <= there + 3; n++) {
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LAST, n));
        expect_from(cursor, seen, seen->trimmed);
    }
    succeeds(stele_cursor_seek(cursor, STELE_FROM_LAST, UINT64_MAX));
    expect_from(cursor, seen, seen->trimmed);
    stele_cursor_close(cursor);
}

static void the_last_n_are_counted_across_segments(void **state)
{
    in_every_view(state, last);
}

/* What was published and not synced: shown or not, as the cursor was told. */
static void durable_only(struct seen *seen)
{
    if (seen->writer == NULL)
        return; /* closing made everything durable */
    uint64_t durable = seen->count - 20;
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(seen->log, STELE_DURABLE_ONLY, STELE_FROM_LAST, 0, &cursor));
    expect_nothing(cursor);
    for (uint64_t n = 1; n < 400; n += 9) {
        succeeds(stele_cursor_seek(cursor, STELE_FROM_LAST, n));
        expect_next(cursor, durable - n, durable);
        expect_nothing(cursor);
    }
    succeeds(stele_cursor_seek(cursor, STELE_FROM_END, 0));
    expect_nothing(cursor);
    succeeds(stele_cursor_seek(cursor, STELE_FROM_LSN, seen->lsns[durable - 1]));
    expect_next(cursor, durable - 1, durable);
    expect_nothing(cursor);
    succeeds(stele_cursor_seek(cursor, STELE_FROM_BEGIN, 0));
    expect_next(cursor, seen->trimmed, durable);
    expect_nothing(cursor);
    succeeds(stele_sync(seen->writer, seen->lsns[durable + 4]));
    expect_next(cursor, durable, durable + 5); /* the sync may have taken more with it */
    succeeds(stele_sync(seen->writer, STELE_LSN_ALL));
    expect_next(cursor, durable + 5, seen->count);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
}

static void a_durable_cursor_shows_nothing_that_could_be_lost(void **state)
{
    in_every_view(state, durable_only);
}

static void an_empty_log_has_every_position_at_its_beginning(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele *logs[] = {log, reader};
    for (unsigned flags = 0; flags <= STELE_DURABLE_ONLY; flags++) {
        for (int i = 0; i < 2; i++) {
            for (int from = STELE_FROM_BEGIN; from <= STELE_FROM_LAST; from++) {
                struct stele_cursor *cursor;
                succeeds(stele_cursor_open(logs[i], flags, (enum stele_from)from, 0, &cursor));
                must(stele_cursor_lsn(cursor) == 0);
                expect_nothing(cursor);
                stele_cursor_close(cursor);
            }
        }
    }
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(the_beginning_is_the_first_record_not_trimmed),
        LAW(an_lsn_means_the_first_record_at_or_behind_it),
        LAW(positions_outside_the_log_are_refused),
        LAW(the_end_is_behind_the_last_record),
        LAW(the_last_n_are_counted_across_segments),
        LAW(a_durable_cursor_shows_nothing_that_could_be_lost),
        LAW(an_empty_log_has_every_position_at_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
