/* SPDX-License-Identifier: BSD-3-Clause */
/* core/commit.c: what a leader does. Order matters: fold (which validates that records are there), mark,
 * persist, and only then advance the durable point: advanced early, an acknowledged record could be lost. */
#include "core/commit.h"

#include "core/control.h"
#include "core/mark.h"
#include "core/tail.h"
#include "format/chain.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/futex.h"

#include <limits.h>

bool stele__commit_lead(struct stele *log)
{
    /* [M6] [P4] ACQUIRE pairs with the store in stele__commit_resign(): the new leader sees the committer state of
     * the last. The load first keeps a herd of followers from writing the line. */
    uint32_t idle = 0;
    return atomic_load_explicit(&log->sync.leader, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(&log->sync.leader, &idle, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void stele__commit_resign(struct stele *log)
{
    /* [M10] [P4]; SEQ_CST because of [P5]: a follower counts itself, then looks at `leader`; we clear `leader`,
     * then look at the count. One of the two must see the other, else a follower sleeps with nobody to wake
     * it. */
    atomic_store(&log->sync.leader, 0);
    stele__commit_wake(log);
}

/* [M11] */
void stele__commit_wake(struct stele *log)
{
    atomic_fetch_add(&log->sync.commits, 1);
    if (atomic_load(&log->sync.followers) != 0) /* [P5] */
        stele__futex_wake(&log->sync.commits, INT_MAX, false);
}

void stele__commit_signal(struct stele *log)
{
    int fd = atomic_load_explicit(&log->eventfd, memory_order_acquire);
    if (fd >= 0)
        stele__event_signal(fd);
}

/* A time that is not before the publication of anything folded so far: searches by time may then skip all of
 * it. */
uint64_t stele__commit_now(struct stele *log)
{
    log->commit.time_ns = stele__max_u64(stele__clock_realtime_ns(), log->commit.time_ns);
    return log->commit.time_ns;
}

/* The frontier reached the end of `seg`. The next one may not be prepared yet (a full disk): its facts are
 * set when it is entered. */
static void leave_segment(struct stele *log, struct stele__seg *seg)
{
    seg->chain_end = log->commit.chain;
    seg->records = log->commit.record_number - seg->first_record;
    seg->last_time_ns = stele__commit_now(log);
}

static void enter_segment(struct stele *log, struct stele__seg *seg)
{
    seg->chain_start = log->commit.chain;
    seg->first_record = log->commit.record_number;
    seg->first_time_ns = stele__commit_now(log);
    seg->index_entries = 0;
}

static void add_index_entry(struct stele *log, struct stele__seg *seg)
{
    struct stele__commit *commit = &log->commit;
    bool due = seg->index_entries == 0 ||
               commit->frontier - seg->index[seg->index_entries - 1].lsn >= STELE__INDEX_STRIDE;
    if (!due || seg->index_entries >= stele__index_capacity(log->data_bytes))
        return;
    seg->index[seg->index_entries++] = (struct stele__index_entry){
        .record_number = commit->record_number, .lsn = commit->frontier, .time_ns = stele__commit_now(log)};
}

/* Length of the record whose word was peeked, 0 when no writer of ours can have written it. */
static uint64_t folded_bytes(const struct stele *log, stele_lsn lsn, uint64_t word)
{
    uint64_t bytes =
        stele__word_wire(word) == STELE__WIRE_FILL ? 8 : stele__record_bytes(stele__word_len(word));
    uint64_t left = log->data_bytes - (lsn & (log->data_bytes - 1));
    return bytes <= left ? bytes : 0;
}

static void fold_one(struct stele *log, struct stele__seg *seg, uint64_t word, uint64_t bytes)
{
    struct stele__commit *commit = &log->commit;
    const uint8_t *at = stele__seg_address(log, seg, commit->frontier);
    uint8_t wire = stele__word_wire(word);
    bool fill = wire == STELE__WIRE_FILL;
    struct stele__record record = {.lsn = commit->frontier, .wire = wire};
    record.dback = fill ? STELE__DBACK_NONE : stele__load32(at + 12);
    commit->vouched = stele__max_u64(commit->vouched, stele__record_vouches(&record));
    commit->chain = stele__chain_fold(commit->chain, at, fill);
    commit->record_number += stele__wire_is_data(wire) ? 1 : 0;
    commit->frontier += bytes;
    if (stele__wire_is_data(wire))
        commit->data_end = commit->frontier;
}

/* [M7] Advance the frontier over published records, up to `limit`. */
static int fold(struct stele *log, stele_lsn limit)
{
    struct stele__commit *commit = &log->commit;
    while (commit->frontier < limit) {
        struct stele__seg *seg = stele__segtab_at(log, commit->frontier);
        uint64_t word = stele__tail_peek(log, commit->frontier);
        if (word == 0)
            break;
        if ((commit->frontier & (log->data_bytes - 1)) == 0)
            enter_segment(log, seg);
        add_index_entry(log, seg);
        uint64_t bytes = folded_bytes(log, commit->frontier, word);
        if (bytes == 0) {
            stele__fail(STELE_ECORRUPT, "%s: the mapped log was overwritten by something else at lsn %llu",
                        log->path, (unsigned long long)commit->frontier);
            return stele__latch(log, STELE_ECORRUPT);
        }
        fold_one(log, seg, word, bytes);
        if ((commit->frontier & (log->data_bytes - 1)) == 0)
            leave_segment(log, seg);
    }
    return 0;
}

static int fail_persist(struct stele *log, const struct stele__seg *seg, int error, stele_lsn from,
                        stele_lsn end)
{
    char name[STELE__NAME_MAX];
    stele__name_segment(name, seg->sequence, stele__base_of(log, seg->sequence));
    if (stele__guard_lost(seg->map.guard))
        return stele__latch(log, stele__fail_lost(log, name, seg->map.guard));
    uint64_t offset = STELE__HEADER_BYTES + (from & (log->data_bytes - 1));
    return stele__latch(
        log, stele__fail_errno(error, "%s/%s: offset %llu (lsn %llu): %s of %llu bytes failed", log->path,
                               name, (unsigned long long)offset, (unsigned long long)from,
                               log->media.ops->name, (unsigned long long)(end - from)));
}

/* [M8] Persist [from, to), segment by segment. */
static int persist(struct stele *log, stele_lsn from, stele_lsn to)
{
    while (from < to) {
        stele_lsn end = stele__min_u64(to, stele__align_down(from, log->data_bytes) + log->data_bytes);
        struct stele__seg *seg = stele__segtab_at(log, from);
        uint64_t offset = STELE__HEADER_BYTES + (from & (log->data_bytes - 1));
        int rc = stele__persist(log, &seg->map, offset, end - from);
        if (rc != 0)
            return fail_persist(log, seg, -rc, from, end);
        from = end;
    }
    return 0;
}

/* Not while the last one is still in front of the frontier: behind an open slot rounds go on, and marks must
 * not. */
static bool mark_is_due(const struct stele *log)
{
    const struct stele__commit *commit = &log->commit;
    return commit->frontier > commit->last_mark && commit->frontier - commit->last_mark >= log->mark_bytes;
}

int stele__commit_round(struct stele *log, stele_lsn limit)
{
    struct stele__commit *commit = &log->commit;
    if (atomic_load_explicit(&log->failed, memory_order_acquire) != 0)
        return stele__fail_latched(log);
    /* Slots beyond the prepared space have no address yet. */
    limit = stele__min_u64(limit, atomic_load_explicit(&log->ready, memory_order_acquire)); /* [P3] */
    stele_lsn from = atomic_load_explicit(&log->durable, memory_order_relaxed);
    int rc = fold(log, limit);
    if (rc == 0 && mark_is_due(log) && stele__mark_append(log))
        rc = fold(log, stele__max_u64(limit, commit->frontier +
                                                 stele__record_bytes(STELE__MARK_BYTES))); /* it fits */
    if (rc != 0 || commit->frontier == from)
        return rc;
    rc = persist(log, from, commit->frontier);
    if (rc != 0)
        return rc;
    /* [M9] [P6] RELEASE pairs with ACQUIRE in stele_durable(): who sees the new point may act on everything below
     * it. SEQ_CST for [P5]. Never before persist() returned. */
    atomic_store(&log->durable, commit->frontier);
    atomic_store(&log->live_page->durable, commit->frontier);
    stele__control_bump(log); /* [M12] */
    stele__commit_signal(log);
    return 0;
}

bool stele__commit_unvouched(const struct stele *log)
{
    return log->commit.data_end > log->commit.vouched;
}

int stele__commit_vouch(struct stele *log)
{
    struct stele__commit *commit = &log->commit;
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    if (!stele__commit_unvouched(log) || commit->frontier != durable)
        return 0;
    if (!stele__mark_append(log)) /* no room, or a record came in between: it will vouch, or its own mark */
        return 0;
    return stele__commit_round(log, commit->frontier + stele__record_bytes(STELE__MARK_BYTES));
}
