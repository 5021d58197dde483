/* SPDX-License-Identifier: BSD-3-Clause */
/* core/cursor_seek.c: where to begin. By LSN a position validates itself; by time and number the footers are
 * searched, then the sparse index of one segment, then at most one index stride is walked. */
#include "core/cursor.h"

#include "format/chain.h"
#include "format/walk.h"
#include "os/clock.h"

static int fail_beyond(const struct stele *log, stele_lsn lsn)
{
    return stele__fail(STELE_EINVAL, "%s: lsn %llu lies beyond the end of the log", log->path,
                       (unsigned long long)lsn);
}

/* As stele__cursor_enter(). What cannot be read at or behind the end of the log is a damaged spare: not
 * there yet. */
static int enter(struct stele_cursor *cursor, uint64_t sequence)
{
    int rc = stele__cursor_enter(cursor, sequence);
    bool behind = rc == STELE_ECORRUPT && stele__base_of(cursor->log, sequence) >= stele_tail(cursor->log);
    return behind ? 0 : rc;
}

/* A hash proves that the entries are those written, not that they were right. */
static bool entries_possible(const struct stele_cursor *cursor, const struct stele__index_entry *index,
                             uint64_t entries)
{
    const uint64_t first = cursor->footer.first_record;
    for (uint64_t i = 0; i < entries; i++)
        if (index[i].lsn % 8 != 0 || index[i].lsn < cursor->area.base || index[i].lsn >= cursor->footer.end ||
            (i > 0 && index[i].lsn <= index[i - 1].lsn) || index[i].record_number < first ||
            index[i].record_number - first > cursor->footer.records)
            return false;
    return true;
}

/* The index of the entered segment when it is sealed and its index is sound: entries, else 0. */
static uint64_t sound_index(const struct stele_cursor *cursor, const struct stele__index_entry **out)
{
    if (!cursor->sealed)
        return 0;
    const uint8_t *at = cursor->view.base + stele__index_offset(cursor->log->data_bytes);
    uint64_t entries = cursor->footer.index_entries;
    if (stele__hash64(at, (size_t)(entries * STELE__INDEX_ENTRY)) != cursor->footer.index_hash)
        return 0;
    *out = (const struct stele__index_entry *)(const void *)at;
    return entries_possible(cursor, *out, entries) ? entries : 0;
}

/* Walk the entered segment from `at` to the first record at or behind `lsn`, or to where records end. */
static stele_lsn walk_to(const struct stele_cursor *cursor, stele_lsn at, stele_lsn lsn)
{
    struct stele__record record;
    const stele_lsn end = cursor->area.base + cursor->area.bytes;
    while (at < lsn && at < end && stele__record_check(&cursor->area, at, &record) == STELE__RECORD_OK)
        at += record.bytes;
    return at;
}

/* Does the segment before `lsn`, where the next one would begin, hold records right up to it? */
static bool ends_segment(struct stele_cursor *cursor, stele_lsn lsn)
{
    const struct stele *log = cursor->log;
    return lsn % log->data_bytes == 0 && lsn > 0 && enter(cursor, stele__sequence_of(log, lsn - 1)) == 1 &&
           walk_to(cursor, cursor->area.base, lsn) == lsn;
}

static int seek_lsn(struct stele_cursor *cursor, stele_lsn lsn)
{
    struct stele *log = cursor->log;
    stele_lsn first = stele_first(log);
    if (lsn < first)
        return stele__fail(STELE_ETRIMMED, "%s: lsn %llu lies before the first one, %llu", log->path,
                           (unsigned long long)lsn, (unsigned long long)first);
    if (lsn > UINT64_MAX - log->data_bytes)
        return fail_beyond(log, lsn);
    lsn = stele__align_up(lsn, 8);
    int rc = enter(cursor, stele__sequence_of(log, lsn));
    if (rc == STELE_EGAP || (rc == 0 && lsn == stele_tail(log))) {
        cursor->lsn = lsn; /* told when it is read */
        return 0;
    }
    if (rc == 0 && ends_segment(cursor, lsn)) {
        cursor->lsn = lsn;
        return 0;
    }
    if (rc != 1)
        return rc == 0 ? fail_beyond(log, lsn) : rc;
    struct stele__record record;
    stele_lsn at = lsn;
    if (stele__record_check(&cursor->area, lsn, &record) != STELE__RECORD_OK) {
        const struct stele__index_entry *index = NULL;
        stele_lsn from = cursor->area.base;
        for (uint64_t n = sound_index(cursor, &index); n > 0; n--)
            if (index[n - 1].lsn <= lsn) {
                from = index[n - 1].lsn;
                break;
            }
        at = walk_to(cursor, from, lsn);
    }
    if (at < lsn && at >= stele_durable(log))
        return fail_beyond(log, lsn);
    cursor->lsn = at; /* below the durable point and before lsn: in front of damage, which next() will tell */
    return 0;
}

static int seek_end(struct stele_cursor *cursor)
{
    struct stele *log = cursor->log;
    bool fixed = log->read_only && !stele__reader_live(log);
    cursor->lsn = fixed && !cursor->durable_only ? log->end : stele_durable(log);
    if (fixed || cursor->durable_only)
        return 0;
    struct stele__record record;
    int rc;
    while ((rc = stele__cursor_find(cursor, &record)) == 1)
        cursor->lsn += record.bytes;
    return rc;
}

/* A trim was faster, or is under way: true when the beginning is to be looked up again. Beginning and locks
 * change within one write to the control file; a writer that hangs in the middle of it is not waited for
 * longer than this. */
static bool look_again(const struct stele *log, int rc, stele_lsn first, unsigned *tries)
{
    enum { TRIES_MAX = 5000 };
    const uint64_t nap_ns = 100 * 1000;
    if (rc != STELE_ETRIMMED || ++*tries > TRIES_MAX)
        return false;
    if (stele_first(log) == first)
        stele__clock_sleep_ns(nap_ns);
    return true;
}

static int seek_begin(struct stele_cursor *cursor)
{
    struct stele *log = cursor->log;
    for (unsigned tries = 0;;) {
        stele_lsn first = stele_first(log);
        int rc = enter(cursor, stele__sequence_of(log, first));
        if (look_again(log, rc, first, &tries))
            continue;
        cursor->lsn = first;
        return rc == 1 || rc == 0 || rc == STELE_EGAP ? 0 : rc;
    }
}

/* Newest segment that may hold something. */
static uint64_t last_sequence(const struct stele *log)
{
    return stele__sequence_of(log, stele_tail(log));
}

/* Data records in the entered segment, as far as they can be shown. */
static uint64_t count_records(const struct stele_cursor *cursor)
{
    if (cursor->sealed)
        return cursor->footer.records;
    struct stele__record record;
    uint64_t count = 0;
    stele_lsn at = cursor->area.base, end = at + cursor->area.bytes;
    const stele_lsn durable = stele_durable(cursor->log);
    /* Valid records of an earlier opening can stand behind the end, too. */
    const struct stele *log = cursor->log;
    if (log->read_only && !stele__reader_live(log) && !log->damaged)
        end = stele__min_u64(end, log->end);
    while (at < end && (!cursor->durable_only || at < durable) &&
           stele__record_check(&cursor->area, at, &record) == STELE__RECORD_OK) {
        count += stele__wire_is_data(record.wire) ? 1 : 0;
        at += record.bytes;
    }
    return count;
}

/* Stand in front of the data record number `skip` (from 0) of the entered segment. */
static void skip_records(struct stele_cursor *cursor, uint64_t skip)
{
    const struct stele__index_entry *index = NULL;
    stele_lsn at = cursor->area.base;
    for (uint64_t n = sound_index(cursor, &index); n > 0; n--)
        if (index[n - 1].record_number - cursor->footer.first_record <= skip) {
            skip -= index[n - 1].record_number - cursor->footer.first_record;
            at = index[n - 1].lsn;
            break;
        }
    struct stele__record record;
    while (at < cursor->area.base + cursor->area.bytes &&
           stele__record_check(&cursor->area, at, &record) == STELE__RECORD_OK) {
        if (stele__wire_is_data(record.wire) && skip-- == 0)
            break;
        at += record.bytes;
    }
    cursor->lsn = at;
}

static int seek_last(struct stele_cursor *cursor, uint64_t count)
{
    struct stele *log = cursor->log;
    const uint64_t first = stele__sequence_of(log, stele_first(log));
    uint64_t have = 0;
    /* One more than the durable point knows: a live writer may have published into the next. */
    for (uint64_t sequence = last_sequence(log) + 2; count > 0 && sequence > first; sequence--) {
        int rc = enter(cursor, sequence - 1);
        if (rc == 0 || rc == STELE_EGAP)
            continue;
        if (rc == STELE_ETRIMMED)
            break;
        if (rc < 0)
            return rc;
        uint64_t here = count_records(cursor);
        if (stele__guard_lost(cursor->view.guard))
            return stele__cursor_fail_lost(cursor);
        if (have + here >= count) {
            skip_records(cursor, have + here - count);
            return 0;
        }
        have += here;
    }
    return count == 0 ? seek_end(cursor) : seek_begin(cursor);
}

/* In the entered segment: behind everything known to have been published before `time_ns`. */
static void skip_time(struct stele_cursor *cursor, uint64_t time_ns)
{
    const struct stele__index_entry *index = NULL;
    cursor->lsn = cursor->area.base;
    for (uint64_t n = sound_index(cursor, &index); n > 0; n--)
        if (index[n - 1].time_ns <= time_ns) {
            cursor->lsn = index[n - 1].lsn;
            return;
        }
    struct stele__walk walk;
    struct stele__record record;
    struct stele__mark mark;
    stele__walk_start(&walk, &cursor->area);
    while (!cursor->sealed && stele__walk_next(&walk, &record, &mark) == STELE__WALK_RECORD) {
        if (record.wire == STELE__WIRE_MARK && mark.time_ns > time_ns)
            return;
        if (record.wire == STELE__WIRE_MARK)
            cursor->lsn = mark.upto;
    }
}

/* Last segment whose beginning is known to be not later than `time_ns`: binary search over the sealed ones.
 */
static int seek_time_from(struct stele_cursor *cursor, uint64_t time_ns, stele_lsn first)
{
    struct stele *log = cursor->log;
    uint64_t low = stele__sequence_of(log, first), high = last_sequence(log) + 1;
    uint64_t best = low;
    bool past = false; /* `best` ended before time_ns: the one behind it */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int rc = enter(cursor, middle);
        if (rc < 0 && rc != STELE_EGAP)
            return rc;
        if (rc != 1 || !cursor->sealed || cursor->footer.first_time_ns > time_ns) {
            high = middle;
        } else {
            best = middle;
            past = cursor->footer.last_time_ns <= time_ns;
            low = middle + 1;
        }
    }
    int rc = enter(cursor, past ? best + 1 : best);
    if (rc == 0 || rc == STELE_EGAP) {
        cursor->lsn = stele__base_of(log, past ? best + 1 : best);
        return 0;
    }
    if (rc == 1)
        skip_time(cursor, time_ns);
    return rc == 1 ? 0 : rc;
}

static int seek_time(struct stele_cursor *cursor, uint64_t time_ns)
{
    for (unsigned tries = 0;;) {
        stele_lsn first = stele_first(cursor->log);
        int rc = seek_time_from(cursor, time_ns, first);
        if (!look_again(cursor->log, rc, first, &tries))
            return rc;
    }
}

static int seek(struct stele_cursor *cursor, enum stele_from from, uint64_t value)
{
    switch (from) {
    case STELE_FROM_BEGIN: return seek_begin(cursor);
    case STELE_FROM_LSN: return seek_lsn(cursor, value);
    case STELE_FROM_TIME: return seek_time(cursor, value);
    case STELE_FROM_END: return seek_end(cursor);
    case STELE_FROM_LAST: return seek_last(cursor, value);
    }
    return stele__fail(STELE_EINVAL, "%s: unknown kind of position %d", cursor->log->path, (int)from);
}

int stele__cursor_seek(struct stele_cursor *cursor, enum stele_from from, uint64_t value)
{
    enum {
        TRIES_MAX = 16
    }; /* a log that is opened more often than this while we look is opened all the time */
    const uint64_t was = cursor->opens;
    const _Atomic uint64_t *opens = &cursor->log->live_page->opens;
    int rc = 0;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        /* The position is found by walking over records, so it holds for one opening of a writer. */
        cursor->opens = atomic_load_explicit(opens, memory_order_acquire);
        rc = seek(cursor, from, value);
        if (cursor->opens == atomic_load_explicit(opens, memory_order_acquire))
            break;
    }
    if (rc == 0 && stele__guard_lost(cursor->log->control_view.guard)) /* its words are zeroes now */
        rc = stele__fail_lost(cursor->log, STELE__CONTROL_NAME, cursor->log->control_view.guard);
    if (rc == 0 && stele__guard_lost(cursor->view.guard)) /* what was walked over may have been zeroes */
        rc = stele__cursor_fail_lost(cursor);
    /* Where it will read, even when there is nothing yet: a trim must not overtake a cursor that waits. */
    if (rc == 0)
        rc = stele__pin_move(&cursor->pin, stele__sequence_of(cursor->log, cursor->lsn));
    if (rc != 0)
        cursor->opens = was;
    return rc;
}
