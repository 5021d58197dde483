/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/adopt.h"

#include "core/control.h"
#include "core/prepare.h"
#include "core/seal.h"
#include "format/chain.h"
#include "os/clock.h"

#include <stdlib.h>

/* Dirty [from, to) again by storing what is there, then persist it: msync alone writes nothing for pages that
 * a failed flush left clean. */
static int persist_again(struct stele *log, const struct stele__map *map, uint64_t from, uint64_t to)
{
    for (uint64_t at = stele__align_down(from, 4096); at < to; at += 4096) {
        volatile uint8_t *byte = map->base + stele__max_u64(at, from);
        *byte = *byte;
    }
    return from < to ? stele__persist(log, map, from, to - from) : 0;
}

int stele__adopt_directory(struct stele *log)
{
    int rc = persist_again(log, &log->control_map, 0, STELE__CONTROL_LIVE);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot make it durable again", log->path);
    rc = log->media.ops->sync_dir(&log->media, log->dirfd);
    return rc == 0 ? 0 : stele__fail_errno(-rc, "%s: cannot sync the directory", log->path);
}

static int map_segment(struct stele *log, const struct stele__found *found, struct stele__seg *seg)
{
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    *seg = (struct stele__seg){
        .sequence = found->sequence, .salt = found->salt, .incarnation = found->incarnation};
    int rc = log->media.ops->open(&log->media, log->dirfd, name, stele__segment_file_bytes(log->data_bytes),
                                  &seg->map);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/%s: cannot map it", log->path, name);
    seg->data = seg->map.base + STELE__HEADER_BYTES;
    return 0;
}

/* What no mark covers was published before now: the only time known not to be too early. */
static void settle_times(struct stele__open_segment *open, uint64_t end_time_ns)
{
    uint64_t now =
        stele__max_u64(stele__max_u64(stele__clock_realtime_ns(), open->last_time_ns), end_time_ns);
    for (uint64_t i = 0; i < open->index_entries; i++)
        if (open->index[i].time_ns == 0)
            open->index[i].time_ns = now;
    if (open->first_time_ns == 0)
        open->first_time_ns = now;
    open->last_time_ns = now;
}

/* Facts of the walk, and the index, which changes hands. */
static void take_facts(struct stele__seg *seg, struct stele__open_segment *open, uint64_t end_time_ns)
{
    settle_times(open, end_time_ns);
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

static int fail_persist(struct stele *log, const struct stele__seg *seg, int rc)
{
    char name[STELE__NAME_MAX];
    stele__name_segment(name, seg->sequence, stele__base_of(log, seg->sequence));
    return stele__fail_errno(-rc, "%s/%s: cannot make it durable again", log->path, name);
}

static void drop(struct stele *log, struct stele__seg *seg)
{
    free(seg->index);
    log->media.ops->close(&log->media, &seg->map);
}

/* Where bytes begin that nothing vouches for, as an offset into the data area, at most `end`. */
static uint64_t unvouched_from(const struct stele *log, const struct stele__seg *seg,
                               const struct stele__examined *facts, uint64_t end)
{
    stele_lsn base = stele__base_of(log, seg->sequence);
    return stele__min_u64(stele__max_u64(facts->vouched, base) - base, end);
}

/* Rests of a seal that cannot be read must not stand behind a segment that is written on. */
static int clear_footer(struct stele *log, const struct stele__seg *seg)
{
    uint64_t offset = stele__index_offset(log->data_bytes);
    memset(seg->map.base + offset, 0, seg->map.bytes - offset);
    return stele__persist(log, &seg->map, offset, seg->map.bytes - offset);
}

int stele__adopt_full(struct stele *log, const struct stele__found *found,
                      const struct stele__examined *facts, struct stele__open_segment *open)
{
    struct stele__seg seg;
    int rc = map_segment(log, found, &seg);
    if (rc != 0)
        return rc;
    take_facts(&seg, open, facts->end_time_ns);
    uint64_t from = unvouched_from(log, &seg, facts, log->data_bytes);
    rc = persist_again(log, &seg.map, STELE__HEADER_BYTES + from, STELE__HEADER_BYTES + log->data_bytes);
    if (rc == 0 && !open->chain_known && found->footer_trace)
        rc = clear_footer(log, &seg);
    if (rc != 0)
        rc = fail_persist(log, &seg, rc);
    else if (open->chain_known) /* what is behind may know the chain here, and deny an invented one */
        rc = stele__seal(log, &seg);
    drop(log, &seg);
    return rc;
}

/* Killed with the zeroes in the cache, we would leave a log that looks cut to the next opening, and on the disk the torn
 * records: one of them could come back behind those it appends. So it is told before, durably, and cuts again. (Class
 * none promises nothing, and has a note of its own.) 0 or -errno. */
static int note_cutting(struct stele *log, bool begins)
{
    const uint8_t flags = log->control.flags & (uint8_t)~STELE__CONTROL_CUTTING;
    const uint8_t wanted = begins ? flags | STELE__CONTROL_CUTTING : flags;
    if (wanted == log->control.flags || log->media.class_ == STELE__MEDIA_NONE)
        return 0;
    log->control.flags = wanted;
    return stele__control_persist(log);
}

/* Map the segment T lies in, persist again what stays, zero what was torn. On success the caller owns *seg.
 */
static int cut(struct stele *log, const struct stele__found *found, const struct stele__examined *facts,
               struct stele__open_segment *open, struct stele__seg *seg)
{
    int rc = map_segment(log, found, seg);
    if (rc != 0)
        return rc;
    take_facts(seg, open, facts->end_time_ns);
    uint64_t end = facts->end - stele__base_of(log, seg->sequence);
    uint64_t from = unvouched_from(log, seg, facts, end);
    rc = persist_again(log, &seg->map, STELE__HEADER_BYTES + from, STELE__HEADER_BYTES + end);
    const bool again = (log->control.flags & STELE__CONTROL_CUTTING) != 0;
    const uint64_t residue_end = again ? log->data_bytes : facts->residue_here ? facts->residue_end : end;
    const bool footer = again || found->footer_trace;
    if (rc == 0 && !again && (residue_end > end || footer))
        rc = note_cutting(log, true);
    if (rc == 0 && residue_end > end) {
        memset(seg->data + end, 0, residue_end - end);
        rc = stele__persist(log, &seg->map, STELE__HEADER_BYTES + end, residue_end - end);
    }
    if (rc == 0 && footer)
        rc = clear_footer(log, seg);
    if (rc == 0)
        rc = note_cutting(log, false);
    if (rc != 0) {
        rc = fail_persist(log, seg, rc);
        drop(log, seg);
    }
    return rc;
}

int stele__adopt_active(struct stele *log, const struct stele__found *found,
                        const struct stele__examined *facts, struct stele__open_segment *open)
{
    struct stele__seg seg;
    int rc = cut(log, found, facts, open, &seg);
    if (rc == 0)
        stele__ring_add(log, &seg);
    return rc;
}

int stele__adopt_before_gap(struct stele *log, const struct stele__found *found,
                            const struct stele__examined *facts, struct stele__open_segment *open)
{
    struct stele__seg seg;
    int rc = cut(log, found, facts, open, &seg);
    if (rc != 0)
        return rc;
    uint64_t end = facts->end - stele__base_of(log, seg.sequence);
    uint64_t rest = log->data_bytes - end;
    uint16_t epoch =
        facts->max_epoch < STELE__EPOCH_MAX ? (uint16_t)(facts->max_epoch + 1) : STELE__EPOCH_MAX;
    stele__store64(seg.data + end, stele__record_pad(seg.data + end, rest, epoch,
                                                     stele__record_seed(seg.salt, facts->end), 0));
    seg.chain_end = stele__chain_fold(seg.chain_end, seg.data + end, rest == 8);
    rc = stele__persist(log, &seg.map, STELE__HEADER_BYTES + end, STELE__RECORD_HEADER);
    rc = rc == 0 ? stele__seal(log, &seg) : fail_persist(log, &seg, rc);
    drop(log, &seg);
    return rc;
}

int stele__adopt_spare(struct stele *log, const struct stele__found *found)
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

int stele__adopt_unsynced(struct stele *log, struct stele__scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (!stele__found_readable(&scan->found[i]) || !scan->found[i].size_right)
            continue;
        struct stele__seg seg;
        int rc = map_segment(log, &scan->found[i], &seg);
        if (rc != 0)
            return rc;
        rc = persist_again(log, &seg.map, 0, seg.map.bytes);
        if (rc != 0)
            rc = fail_persist(log, &seg, rc);
        log->media.ops->close(&log->media, &seg.map);
        if (rc != 0)
            return rc;
    }
    int rc = log->media.ops->sync_dir(&log->media, log->dirfd);
    return rc == 0 ? 0 : stele__fail_errno(-rc, "%s: cannot sync the directory", log->path);
}
