/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/cursor.h"

#include <stdlib.h>

int stele_cursor_open(struct stele *log, unsigned flags, enum stele_from from, uint64_t value,
                      struct stele_cursor **out)
{
    *out = NULL;
    if ((flags & ~(unsigned)STELE_DURABLE_ONLY) != 0)
        return stele__fail(STELE_EINVAL, "%s: unknown cursor flags 0x%x", log->path, flags);
    struct stele_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for a cursor", log->path);
    cursor->log = log;
    cursor->durable_only = (flags & STELE_DURABLE_ONLY) != 0;
    int rc = stele__pin_open(log, &cursor->pin);
    if (rc != 0) {
        free(cursor);
        return rc;
    }
    rc = stele__cursor_seek(cursor, from, value);
    if (rc != 0) {
        stele_cursor_close(cursor);
        return rc;
    }
    *out = cursor;
    return 0;
}

void stele_cursor_close(struct stele_cursor *cursor)
{
    if (cursor == NULL)
        return;
    stele__view_close(&cursor->view);
    stele__pin_close(&cursor->pin);
    free(cursor);
}

stele_lsn stele_cursor_lsn(const struct stele_cursor *cursor)
{
    return cursor->lsn;
}

int stele__cursor_fail_lost(const struct stele_cursor *cursor)
{
    char name[STELE__NAME_MAX];
    stele__name_segment(name, cursor->sequence, cursor->area.base);
    return stele__fail_lost(cursor->log, name, cursor->view.guard);
}

static int fail_damaged(const struct stele_cursor *cursor, enum stele__check check)
{
    const struct stele *log = cursor->log;
    char name[STELE__NAME_MAX];
    stele__name_segment(name, cursor->sequence, cursor->area.base);
    return stele__fail(
        STELE_ECORRUPT,
        "%s/%s: offset %llu (lsn %llu): %s, although everything before lsn %llu had been durable; see 'stele "
        "verify %s'",
        log->path, name, (unsigned long long)(STELE__HEADER_BYTES + cursor->lsn - cursor->area.base),
        (unsigned long long)cursor->lsn, stele__check_name(check), (unsigned long long)stele_durable(log),
        log->path);
}

/* The last place at or before `lsn` where a record begins, walking from the start of its segment. */
static stele_lsn record_at_or_before(struct stele_cursor *cursor, stele_lsn lsn)
{
    if (stele__cursor_enter(cursor, stele__sequence_of(cursor->log, lsn)) != 1)
        return lsn; /* the beginning of a segment to come, or an error that the next look will tell */
    struct stele__record record;
    stele_lsn at = cursor->area.base;
    while (at < lsn && stele__record_check(&cursor->area, at, &record) == STELE__RECORD_OK) {
        if (at + record.bytes > lsn)
            break;
        at += record.bytes;
    }
    return at;
}

/* Has a writer opened the log since? Then what this cursor saw as published may have been cut, and other records put
 * there. The live page says where the last opening cut; of openings before that, only the records themselves can
 * tell. 0: no; 1: yes, and the cursor stands right; STELE_EREWOUND: yes, and it stepped back. */
static int look_for_rewind(struct stele_cursor *cursor)
{
    struct stele *log = cursor->log;
    uint64_t opens = atomic_load_explicit(&log->live_page->opens, memory_order_acquire);
    if (STELE__UNLIKELY(stele__guard_lost(log->control_view.guard)))
        return stele__fail_lost(log, STELE__CONTROL_NAME, log->control_view.guard);
    if (STELE__LIKELY(opens == cursor->opens) || cursor->durable_only)
        return 0;
    stele_lsn tail = stele__reader_lsn(&log->live_page->tail_at_open);
    const stele_lsn was = cursor->lsn;
    stele_lsn now = stele__min_u64(was, tail);
    if (opens != cursor->opens + 1)
        now = record_at_or_before(cursor, now);
    cursor->opens = opens;
    cursor->lsn = now;
    if (now == was)
        return 1;
    return stele__fail(
        STELE_EREWOUND,
        "%s: records up to lsn %llu, read as published, did not survive a crash; reading goes on at lsn %llu",
        log->path, (unsigned long long)was, (unsigned long long)now);
}

/* May anything be shown at this position? */
static bool within_view(const struct stele_cursor *cursor, stele_lsn durable)
{
    const struct stele *log = cursor->log;
    if (cursor->lsn < durable)
        return true;
    return !cursor->durable_only && (!log->read_only || stele__reader_live(log) || cursor->lsn < log->end);
}

/* Where the examination found corruption: also when no number vouches for what should stand here (a segment
 * that cannot be read, a mark that denies what is before it), the end of what is shown is not the end of the
 * log. */
static bool at_damage(const struct stele_cursor *cursor)
{
    const struct stele *log = cursor->log;
    return STELE__UNLIKELY(log->damaged) && cursor->lsn == log->end && !stele__reader_live(log);
}

int stele__cursor_find(struct stele_cursor *cursor, struct stele__record *record)
{
    struct stele *log = cursor->log;
    if (log->read_only) {
        int rc = look_for_rewind(cursor);
        if (rc < 0)
            return rc;
    }
    for (;;) {
        /* Before the look at the record: a durable point beyond it means that it must be there. */
        stele_lsn durable = stele_durable(log);
        if (at_damage(cursor))
            return stele__fail(STELE_ECORRUPT, "%s; see 'stele verify %s'", log->failure, log->path);
        if (!within_view(cursor, durable))
            return 0;
        uint64_t sequence = stele__sequence_of(log, cursor->lsn);
        int rc = stele__cursor_enter(cursor, sequence);
        if (rc == STELE_EGAP) /* said once: the next call reads behind it */
            cursor->lsn = stele__base_of(log, sequence + 1);
        if (rc != 1)
            return rc;
        enum stele__check check = stele__record_check(&cursor->area, cursor->lsn, record);
        if (STELE__UNLIKELY(stele__guard_lost(cursor->view.guard)))
            return stele__cursor_fail_lost(cursor);
        if (check != STELE__RECORD_OK)
            return cursor->lsn < durable ? fail_damaged(cursor, check) : 0;
        /* A writer counts its opening before it publishes: who sees its record sees the count. Not looked at again here,
         * the record could be one put where this cursor's were cut. */
        rc = log->read_only ? look_for_rewind(cursor) : 0;
        if (rc < 0)
            return rc;
        if (rc == 1)
            continue;
        if (stele__wire_is_data(record->wire))
            return 1;
        cursor->lsn += record->bytes;
    }
}

int stele_cursor_next(struct stele_cursor *cursor, struct stele_record *out)
{
    if (cursor->pending != 0) {
        int rc = cursor->pending;
        cursor->pending = 0;
        return rc;
    }
    struct stele__record record;
    int rc = stele__cursor_find(cursor, &record);
    if (rc != 1)
        return rc;
    cursor->lsn = record.lsn + record.bytes;
    *out = (struct stele_record){.data = record.payload,
                                 .len = record.len,
                                 .lsn = record.lsn,
                                 .next = cursor->lsn,
                                 .type = stele__type_of_wire(record.wire)};
    return 1;
}

int stele_cursor_seek(struct stele_cursor *cursor, enum stele_from from, uint64_t value)
{
    stele_lsn was = cursor->lsn;
    stele__pin_anchor(&cursor->pin); /* a seek that fails must find its segment again */
    int rc = stele__cursor_seek(cursor, from, value);
    if (rc == 0) {
        cursor->pending = 0;
    } else {
        cursor->lsn = was;
        if (cursor->pin.anchored)
            (void)stele__pin_move(&cursor->pin, cursor->pin.anchor);
    }
    stele__pin_raise(&cursor->pin);
    return rc;
}
