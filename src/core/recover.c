/* SPDX-License-Identifier: BSD-3-Clause */
/* core/recover.c: opening for writing. Examine, judge, and only then change anything: persist again what will be shown
 * (after a process crash it may live only in a cache; after a failed flush the cache may be clean and the device stale),
 * cut what was torn, adopt what is left. */
#include "core/control.h"
#include "core/examine.h"
#include "core/open.h"
#include "core/prepare.h"
#include "core/seal.h"
#include "core/segtab.h"
#include "core/tail.h"
#include "os/file.h"

#include <stdlib.h>

static int fail_media(struct stele *log, const char *name, int rc, const char *what)
{
    return stele__fail_errno(-rc, "%s/%s: %s", log->path, name, what);
}

static int judge(struct stele *log, const struct stele__examined *facts)
{
    if (facts->verdict != STELE_CORRUPT)
        return 0;
    return stele__fail(STELE_ECORRUPT,
                       "%s; %llu valid records follow. Nothing was changed: look with 'stele verify %s', save what is left "
                       "with 'stele cat' or 'stele backup', mend with 'stele repair'",
                       facts->worst[0] != '\0' ? facts->worst : log->path, (unsigned long long)facts->lost_records,
                       log->path);
}

static int check_writable(struct stele *log, const struct stele__scan *scan)
{
    uint64_t flags = scan->control.ro_compat;
    for (size_t i = 0; i < scan->count; i++)
        flags |= scan->found[i].ro_compat;
    if (flags == 0)
        return 0;
    return stele__fail(STELE_EVERSION, "%s: features 0x%llx are unknown to this library, which may read the log, not write it",
                       log->path, (unsigned long long)flags);
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

static void describe(struct stele *log, const struct stele__scan *scan)
{
    log->control = scan->control;
    memcpy(log->uuid, scan->uuid, sizeof log->uuid);
    log->data_log2 = scan->data_log2;
    log->data_bytes = UINT64_C(1) << scan->data_log2;
    log->record_max = stele__record_max(log->data_bytes);
    log->created_ns = scan->control.created_ns;
}

/* Sequence of the first segment that is not adopted as a spare: behind T's segment come spares that are whole, zero and
 * without a gap. `*spares_from`: sequence of the first of them. */
static uint64_t adopt_until(struct stele__scan *scan, const struct stele__examined *facts, uint64_t spares_from)
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

/* Remove what is not part of the log: files under construction, leftovers of a trim, torn or unusable spares (highest
 * first, so that a crash in between leaves no gap). */
static int sweep(struct stele *log, struct stele__scan *scan, const struct stele__examined *facts, uint64_t keep_until)
{
    const struct stele__media_ops *ops = log->media.ops;
    bool any = false;
    for (size_t i = 0; i < scan->temp_count; i++) {
        (void)ops->unlink(&log->media, log->dirfd, scan->temps[i]);
        any = true;
    }
    for (size_t i = scan->count; i > 0; i--) {
        struct stele__found *found = &scan->found[i - 1];
        if (found->broken || (found->sequence >= facts->first_sequence && found->sequence < keep_until))
            continue;
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        int rc = ops->unlink(&log->media, log->dirfd, name);
        if (rc != 0)
            return fail_media(log, name, rc, "cannot remove a segment that is no part of the log");
        any = true;
    }
    int rc = any ? ops->sync_dir(&log->media, log->dirfd) : 0;
    return rc == 0 ? 0 : stele__fail_errno(-rc, "%s: cannot sync the directory", log->path);
}

/* Dirty [from, to) again by storing what is there, then persist it: msync alone writes nothing for pages that a failed
 * flush left clean. */
static int persist_again(struct stele *log, const struct stele__map *map, uint64_t from, uint64_t to)
{
    for (uint64_t at = stele__align_down(from, 4096); at < to; at += 4096) {
        volatile uint8_t *byte = map->base + stele__max_u64(at, from);
        *byte = *byte;
    }
    return from < to ? log->media.ops->persist(&log->media, map, from, to - from) : 0;
}

static int map_segment(struct stele *log, const struct stele__found *found, struct stele__seg *seg)
{
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    *seg = (struct stele__seg){
        .sequence = found->sequence, .salt = found->salt, .incarnation = found->incarnation};
    int rc = log->media.ops->open(&log->media, log->dirfd, name, stele__segment_file_bytes(log->data_bytes), &seg->map);
    if (rc != 0)
        return fail_media(log, name, rc, "cannot map it");
    seg->data = seg->map.base + STELE__HEADER_BYTES;
    return 0;
}

/* Facts of the walk, and the index, which changes hands. */
static void take_facts(struct stele__seg *seg, struct stele__open_segment *open)
{
    seg->chain_start = open->chain_start;
    seg->chain_end = open->chain_end;
    seg->first_record = open->first_record;
    seg->records = open->records;
    seg->first_time_ns = open->first_time_ns;
    seg->last_time_ns = open->last_time_ns;
    seg->index = open->index;
    seg->index_entries = open->index_entries;
    open->index = NULL;
}

/* A full segment that was not sealed before the crash. */
static int seal_full(struct stele *log, struct stele__scan *scan, const struct stele__examined *facts,
                     struct stele__open_segment *open)
{
    struct stele__seg seg;
    int rc = map_segment(log, stele__scan_find(scan, open->sequence), &seg);
    if (rc != 0)
        return rc;
    take_facts(&seg, open);
    stele_lsn base = stele__base_of(log, seg.sequence);
    uint64_t from = stele__min_u64(stele__max_u64(facts->vouched, base) - base, log->data_bytes);
    rc = persist_again(log, &seg.map, STELE__HEADER_BYTES + from, STELE__HEADER_BYTES + log->data_bytes);
    rc = rc == 0 ? stele__seal(log, &seg) : stele__fail_errno(-rc, "%s: cannot persist segment %llu again", log->path,
                                                              (unsigned long long)seg.sequence);
    free(seg.index);
    log->media.ops->close(&log->media, &seg.map);
    return rc;
}

/* Rests of a seal that cannot be read must not stand behind a segment that is written on. */
static int clear_footer(struct stele *log, const struct stele__seg *seg)
{
    uint64_t offset = stele__index_offset(log->data_bytes);
    memset(seg->map.base + offset, 0, seg->map.bytes - offset);
    return log->media.ops->persist(&log->media, &seg->map, offset, seg->map.bytes - offset);
}

/* The segment T lies in: persist what stays, zero what was torn. */
static int adopt_active(struct stele *log, struct stele__scan *scan, const struct stele__examined *facts,
                        struct stele__open_segment *open)
{
    struct stele__seg seg;
    int rc = map_segment(log, stele__scan_find(scan, open->sequence), &seg);
    if (rc != 0)
        return rc;
    take_facts(&seg, open);
    stele_lsn base = stele__base_of(log, seg.sequence);
    uint64_t end = facts->end - base;
    uint64_t from = stele__min_u64(stele__max_u64(facts->vouched, base) - base, end);
    rc = persist_again(log, &seg.map, STELE__HEADER_BYTES + from, STELE__HEADER_BYTES + end);
    if (rc == 0 && facts->residue_here) {
        memset(seg.data + end, 0, facts->residue_end - end);
        rc = log->media.ops->persist(&log->media, &seg.map, STELE__HEADER_BYTES + end, facts->residue_end - end);
    }
    if (rc == 0 && stele__scan_find(scan, open->sequence)->footer_trace)
        rc = clear_footer(log, &seg);
    if (rc != 0) {
        free(seg.index);
        log->media.ops->close(&log->media, &seg.map);
        return stele__fail_errno(-rc, "%s: cannot persist segment %llu again", log->path,
                                 (unsigned long long)seg.sequence);
    }
    stele__ring_add(log, &seg);
    return 0;
}

static int adopt_spare(struct stele *log, const struct stele__found *found)
{
    struct stele__seg seg;
    int rc = map_segment(log, found, &seg);
    if (rc != 0)
        return rc;
    seg.index = stele__index_alloc(log);
    if (seg.index == NULL) {
        log->media.ops->close(&log->media, &seg.map);
        return stele__fail(STELE_ENOMEM, "%s: no memory for an index", log->path);
    }
    stele__ring_add(log, &seg);
    return 0;
}

/* 16 bits of epoch are used up after 65,535 openings with appends to one segment: close it and start over in the next. */
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
                                         .time_ns = last != NULL ? last->last_time_ns : 0};
    log->incarnation = facts->max_incarnation;
}

static int apply(struct stele *log, struct stele__scan *scan, struct stele__examined *facts)
{
    const uint64_t here = facts->end >> log->data_log2;
    const uint64_t spares_from = facts->in_segment ? here + 1 : here;
    const uint64_t keep_until = adopt_until(scan, facts, spares_from);
    int rc = stele__control_open(log);
    if (rc == 0 && log->control.incarnation < facts->max_incarnation) {
        log->control.incarnation = facts->max_incarnation; /* before a file that says so is removed */
        rc = stele__control_write(log);
    }
    if (rc == 0)
        rc = sweep(log, scan, facts, keep_until);
    const size_t full = facts->open_count - (facts->in_segment ? 1 : 0);
    for (size_t i = 0; rc == 0 && i < full; i++)
        rc = seal_full(log, scan, facts, &facts->open[i]);
    log->ring_low = log->ring_high = here;
    if (rc == 0 && facts->in_segment)
        rc = adopt_active(log, scan, facts, &facts->open[facts->open_count - 1]);
    for (uint64_t s = spares_from; rc == 0 && s < keep_until && log->ring_high - log->ring_low < STELE__RING; s++)
        rc = adopt_spare(log, stele__scan_find(scan, s));
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
            describe(log, &scan);
            rc = inherit_metadata(log, &scan);
        }
        if (rc == 0)
            rc = apply(log, &scan, &facts);
        if (rc == 0 && facts.verdict == STELE_TORN)
            stele__log(&log->logger, STELE_LOG_WARN, "%s: cut a torn tail at lsn %llu (%llu whole records, none acknowledged)",
                       log->path, (unsigned long long)facts.end, (unsigned long long)facts.lost_records);
        stele__examined_free(&facts);
    }
    stele__scan_free(&scan);
    return rc;
}
