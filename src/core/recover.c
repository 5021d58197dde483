/* SPDX-License-Identifier: BSD-3-Clause */
/* core/recover.c: opening for writing. Examine, judge, and only then change anything: persist again what will
 * be shown (after a process crash it may live only in a cache; after a failed flush the cache may be clean
 * and the device stale), cut what was torn, adopt what is left. */
#include "core/adopt.h"
#include "core/control.h"
#include "core/examine.h"
#include "core/open.h"
#include "core/tail.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_media(struct stele *log, const char *name, int rc, const char *what)
{
    return stele__fail_errno(-rc, "%s/%s: %s", log->path, name, what);
}

static int judge(struct stele *log, const struct stele__examined *facts)
{
    if (facts->verdict != STELE_CORRUPT)
        return 0;
    char follow[64] = ""; /* how many records are behind the place; some problems say it themselves */
    if (facts->lost_records != 0 && strstr(facts->worst, "valid records follow") == NULL)
        snprintf(follow, sizeof follow, "; %llu valid records follow",
                 (unsigned long long)facts->lost_records);
    return stele__fail(
        STELE_ECORRUPT,
        "%s%s. Nothing was changed: look with 'stele verify %s', what is left can be read with "
        "'stele cat', and 'stele repair' mends",
        facts->worst[0] != '\0' ? facts->worst : log->path, follow, log->path);
}

static int check_writable(struct stele *log, const struct stele__scan *scan)
{
    uint64_t flags = scan->control.ro_compat;
    for (size_t i = 0; i < scan->count; i++)
        flags |= scan->found[i].ro_compat;
    if (flags == 0)
        return 0;
    return stele__fail(
        STELE_EVERSION,
        "%s: features 0x%llx are unknown to this library, which may read the log, not write it", log->path,
        (unsigned long long)flags);
}

/* Options without metadata: go on with what the newest segment has. */
static int inherit_metadata(struct stele *log, const struct stele__scan *scan)
{
    if (log->metadata != NULL || scan->count == 0)
        return 0;
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint32_t copies;
    char name[STELE__NAME_MAX];
    for (size_t i = scan->count; i > 0; i--) {
        if (!stele__found_readable(&scan->found[i - 1]))
            continue;
        stele__found_name(&scan->found[i - 1], name);
        int fd = stele__file_open(log->dirfd, name, false);
        int rc = fd < 0 ? fd : stele__file_read(fd, page, sizeof page, 0);
        stele__file_close(fd);
        if (rc != 0)
            return fail_media(log, name, rc, "cannot read its header");
        if (stele__header_decode(page, &header, &copies) != STELE__DECODE_OK || header.metadata_bytes == 0)
            return 0;
        log->metadata = malloc(header.metadata_bytes);
        if (log->metadata == NULL)
            return stele__fail(STELE_ENOMEM, "%s: no memory for metadata", log->path);
        memcpy(log->metadata, header.metadata, header.metadata_bytes);
        log->metadata_bytes = header.metadata_bytes;
        return 0;
    }
    return 0;
}

/* From `spares_from` on come spares, as long as they are whole, zero and without a gap: the sequence behind
 * the last of them. */
static uint64_t adopt_until(struct stele__scan *scan, const struct stele__examined *facts,
                            uint64_t spares_from)
{
    uint64_t sequence = spares_from;
    for (;; sequence++) {
        if (sequence >= facts->first_torn) /* torn bytes: made anew, and what is behind, with new salts */
            return sequence;
        struct stele__found *found = stele__scan_find(scan, sequence);
        if (found == NULL || !stele__found_readable(found) || !found->size_right || found->footer_trace)
            return sequence;
    }
}

static int remove_segment(struct stele *log, const struct stele__found *found)
{
    const struct stele__media_ops *ops = log->media.ops;
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    int rc = ops->unlink(&log->media, log->dirfd, name);
    if (rc == 0)
        rc = ops->sync_dir(&log->media, log->dirfd);
    if (rc != 0)
        return fail_media(log, name, rc, "cannot remove a segment that is no part of the log");
    if (!stele__found_readable(found) || !found->size_right)
        stele__log(&log->logger, STELE_LOG_WARN,
                   "%s/%s: removed a damaged segment that is no part of the log", log->path, name);
    return 0;
}

/* Something with a segment's name that no writer of this log can have left there: not ours to remove. */
static bool is_strange(const struct stele *log, const struct stele__found *found, uint64_t keep_until)
{
    return found->base != stele__base_of(log, found->sequence) || stele__file_is_irregular(found->io_error) ||
           (!stele__found_readable(found) && found->sequence >= keep_until + STELE__RING);
}

/* Remove what is not part of the log: files under construction, leftovers of a trim, torn or unusable spares.
 * Highest first and the directory synced each time, so that a crash in between never leaves a gap with
 * records behind it. */
static int sweep(struct stele *log, struct stele__scan *scan, const struct stele__examined *facts,
                 uint64_t keep_until)
{
    for (size_t i = 0; i < scan->temp_count; i++)
        (void)log->media.ops->unlink(&log->media, log->dirfd, scan->temps[i]);
    for (size_t i = scan->count; i > 0; i--) {
        const struct stele__found *found = &scan->found[i - 1];
        if (found->broken || (found->sequence >= facts->first_sequence && found->sequence < keep_until) ||
            is_strange(log, found, keep_until))
            continue;
        int rc = remove_segment(log, found);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* 16 bits of epoch are used up after 65,535 openings with appends to one segment: close it and start over in
 * the next. */
static void set_epoch(struct stele *log, const struct stele__examined *facts)
{
    log->epoch = 1;
    if (!facts->in_segment)
        return;
    if (facts->max_epoch < STELE__EPOCH_MAX) {
        log->epoch = (uint16_t)(facts->max_epoch + 1);
        return;
    }
    stele_lsn end = stele__base_of(log, stele__sequence_of(log, facts->end) + 1);
    log->epoch = STELE__EPOCH_MAX;
    stele__tail_pad(log, facts->end, end);
    atomic_store(&log->tail, end);
    log->epoch = 1;
}

static void set_positions(struct stele *log, const struct stele__examined *facts)
{
    const struct stele__open_segment *last = facts->in_segment ? &facts->open[facts->open_count - 1] : NULL;
    atomic_store(&log->tail, facts->end);
    atomic_store(&log->durable, facts->end);
    atomic_store(&log->ready, stele__base_of(log, log->ring_high));
    log->commit = (struct stele__commit){.frontier = facts->end,
                                         .chain = facts->end_chain,
                                         .record_number = facts->end_record,
                                         .last_mark = last != NULL ? last->last_mark : facts->end,
                                         .data_end = facts->data_end,
                                         .vouched = facts->vouched,
                                         .time_ns = last != NULL ? last->last_time_ns : facts->end_time_ns};
    log->incarnation = facts->max_incarnation;
}

/* Is T's segment, or what would be the next, followed by quarantined ones? Then the log goes on behind them.
 */
static uint64_t behind_gap(struct stele__scan *scan, uint64_t sequence)
{
    while (stele__scan_is_broken(scan, sequence) && stele__scan_find(scan, sequence) == NULL)
        sequence++;
    return sequence;
}

/* What class none left in caches, and the mark of it in the control block. */
static int settle_class(struct stele *log, struct stele__scan *scan)
{
    const bool none = log->media.class_ == STELE__MEDIA_NONE;
    const bool unsynced = (log->control.flags & STELE__CONTROL_UNSYNCED) != 0;
    if (none == unsynced)
        return 0;
    int rc = none ? 0 : stele__adopt_unsynced(log, scan);
    if (rc != 0)
        return rc;
    log->control.flags ^= STELE__CONTROL_UNSYNCED;
    return stele__control_write(log);
}

/* T's segment and the spares behind it into the ring; `facts` may move on behind a gap. */
static int fill_ring(struct stele *log, struct stele__scan *scan, struct stele__examined *facts,
                     uint64_t keep_until)
{
    const uint64_t here = facts->end >> log->data_log2;
    uint64_t spares_from = facts->in_segment ? here + 1 : here;
    const uint64_t gap_end = facts->in_segment ? behind_gap(scan, spares_from) : spares_from;
    int rc = 0;
    if (gap_end != spares_from) {
        rc = stele__adopt_before_gap(log, stele__scan_find(scan, here), facts,
                                     &facts->open[facts->open_count - 1]);
        facts->end = facts->data_end = facts->vouched = stele__base_of(log, gap_end);
        facts->in_segment = false;
        log->ring_low = log->ring_high = gap_end;
        return rc;
    }
    log->ring_low = log->ring_high = here;
    if (facts->in_segment)
        rc = stele__adopt_active(log, stele__scan_find(scan, here), facts,
                                 &facts->open[facts->open_count - 1]);
    if (rc != 0)
        return rc;
    for (; rc == 0 && spares_from < keep_until && log->ring_high - log->ring_low < STELE__RING; spares_from++)
        rc = stele__adopt_spare(log, stele__scan_find(scan, spares_from));
    return rc == STELE_ENOSPC ? 0
                              : rc; /* a sparse spare on a full disk: it is made anew when there is room */
}

static int apply(struct stele *log, struct stele__scan *scan, struct stele__examined *facts)
{
    const uint64_t here = facts->end >> log->data_log2;
    const uint64_t keep_until = adopt_until(scan, facts, facts->in_segment ? here + 1 : here);
    log->end = facts->end; /* before it moves on behind a gap */
    int rc = stele__control_open(log);
    if (rc == 0)
        rc = stele__adopt_directory(log);
    if (rc == 0) /* a writer killed in mid-trim did not come to say it, and now the files go */
        atomic_store(&log->live_page->first, stele__base_of(log, facts->first_sequence));
    if (rc == 0 && log->control.incarnation < facts->max_incarnation) {
        log->control.incarnation = facts->max_incarnation; /* before a file that says so is removed */
        rc = stele__control_write(log);
    }
    if (rc == 0)
        rc = settle_class(log, scan);
    if (rc == 0)
        rc = sweep(log, scan, facts, keep_until);
    const size_t full = facts->open_count - (facts->in_segment ? 1 : 0);
    for (size_t i = 0; rc == 0 && i < full; i++)
        rc = stele__adopt_full(log, stele__scan_find(scan, facts->open[i].sequence), facts, &facts->open[i]);
    if (rc == 0)
        rc = fill_ring(log, scan, facts, keep_until);
    if (rc != 0)
        return rc;
    set_positions(log, facts);
    set_epoch(log, facts);
    return 0;
}

int stele__recover(struct stele *log)
{
    const struct stele__examine_options options = {0};
    struct stele__examined facts;
    struct stele__scan scan;
    int rc = stele__scan(&scan, log->dirfd, log->path);
    if (rc == 0)
        rc = stele__examine(&scan, &options, &facts);
    if (rc == 0) {
        rc = judge(log, &facts);
        if (rc == 0)
            rc = check_writable(log, &scan);
        if (rc == 0) {
            stele__open_describe(log, &scan);
            rc = inherit_metadata(log, &scan);
        }
        if (rc == 0)
            rc = apply(log, &scan, &facts);
        if (rc == 0 && facts.verdict == STELE_TORN)
            stele__log(&log->logger, STELE_LOG_WARN,
                       "%s: cut a torn tail at lsn %llu (%llu whole records, none acknowledged)", log->path,
                       (unsigned long long)facts.end, (unsigned long long)facts.lost_records);
        stele__examined_free(&facts);
    }
    stele__scan_free(&scan);
    return rc;
}
