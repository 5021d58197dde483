/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/mark.h"

#include "core/commit.h"
#include "core/tail.h"

#define MARK_RECORD_BYTES (STELE__RECORD_HEADER + STELE__MARK_BYTES)

static struct stele__mark describe_frontier(struct stele *log)
{
    const struct stele__commit *commit = &log->commit;
    const struct stele__seg *seg = stele__segtab_at(log, commit->frontier);
    bool at_start = (commit->frontier & (log->data_bytes - 1)) == 0; /* not entered yet */
    return (struct stele__mark){.upto = commit->frontier,
                                .chain = commit->chain,
                                .chain_start = at_start ? commit->chain : seg->chain_start,
                                .record_number = commit->record_number,
                                .time_ns = stele__commit_now(log),
                                .durable = atomic_load_explicit(&log->durable, memory_order_relaxed)};
}

/* A mark speaks of its own segment only. */
static bool same_segment(const struct stele *log, const struct stele__mark *mark, stele_lsn lsn)
{
    return stele__sequence_of(log, mark->upto) == stele__sequence_of(log, lsn);
}

static void write_mark(struct stele *log, stele_lsn lsn, const struct stele__mark *mark)
{
    struct stele__seg *seg = stele__segtab_at(log, lsn);
    uint8_t payload[STELE__MARK_BYTES];
    stele__mark_encode(payload, mark);
    uint8_t *at = stele__seg_address(log, seg, lsn);
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    uint64_t word = stele__word_pack(STELE__MARK_BYTES, STELE__WIRE_MARK, log->epoch);
    word = stele__record_fill(at, word, stele__record_seed(seg->salt, lsn), stele__dback(lsn, durable),
                              payload, sizeof payload);
    stele__tail_publish(at, word);
}

bool stele__mark_append(struct stele *log)
{
    struct stele__mark mark = describe_frontier(log);
    if (log->single) {
        if (!atomic_load_explicit(&log->pending.wanted, memory_order_acquire)) { /* [P7] */
            log->pending.mark = mark;
            log->commit.last_mark = mark.upto; /* about there */
            /* [P7] RELEASE pairs with ACQUIRE in stele__mark_write_pending(): who sees `wanted` sees the
             * mark. */
            atomic_store_explicit(&log->pending.wanted, true, memory_order_release);
        }
        return false;
    }
    stele_lsn lsn;
    if (!stele__tail_try(log, MARK_RECORD_BYTES, &lsn))
        return false;
    if (!same_segment(log, &mark, lsn)) {
        stele__tail_pad(log, lsn, lsn + MARK_RECORD_BYTES);
        return false;
    }
    write_mark(log, lsn, &mark);
    log->commit.last_mark = lsn;
    return true;
}

void stele__mark_write_pending(struct stele *log)
{
    if (!atomic_load_explicit(&log->pending.wanted, memory_order_acquire)) /* [P7] */
        return;
    struct stele__mark mark = log->pending.mark;
    stele_lsn lsn;
    if (stele__tail_try(log, MARK_RECORD_BYTES, &lsn)) {
        if (same_segment(log, &mark, lsn))
            write_mark(log, lsn, &mark);
        else
            stele__tail_pad(log, lsn, lsn + MARK_RECORD_BYTES);
    }
    /* RELEASE: the leader may overwrite the mark only after it was read. */
    atomic_store_explicit(&log->pending.wanted, false, memory_order_release);
}
