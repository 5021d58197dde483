/* SPDX-License-Identifier: BSD-3-Clause */
/* core/tail.h: reserve a slot, publish it, see what is published. The fast path is here, inline; what happens
 * at a boundary or without prepared space is in tail.c. */
#ifndef STELE_CORE_TAIL_H
#define STELE_CORE_TAIL_H

#include "core/segtab.h"

/* Prefetching the lines a slot of the same size will take a little later hides that the lines of a streaming
 * append are cold. Distance and limit are measured: docs/decisions/0006. A prefetch beyond the map is
 * harmless. */
#define STELE__PREFETCH_AHEAD 2048u
/* A record of 1 KiB; of larger ones the hardware sees the stream by itself. */
#define STELE__PREFETCH_MAX 1088u

/* The slow half: space is short, the slot crosses a boundary, or the log takes no appends.
 * `reserved`: [*lsn, *lsn + bytes) is ours already; else nothing is. 0: *lsn is a usable slot. */
int stele__tail_slow(struct stele *log, uint64_t bytes, bool reserved, stele_lsn *lsn);

/* [M2] Add to the tail. Relaxed: atomicity is all that is needed, because slots are zero until published and
 * whoever finds one does so through its record word. */
static inline stele_lsn stele__tail_take(struct stele *log, uint64_t bytes)
{
    if (log->single) {
        stele_lsn at = atomic_load_explicit(&log->tail, memory_order_relaxed);
        atomic_store_explicit(&log->tail, at + bytes, memory_order_relaxed);
        return at;
    }
    return atomic_fetch_add_explicit(&log->tail, bytes, memory_order_relaxed);
}

static inline bool stele__tail_in_one_segment(const struct stele *log, stele_lsn lsn, uint64_t bytes)
{
    return ((lsn ^ (lsn + bytes - 1)) >> log->data_log2) == 0;
}

static inline void stele__tail_prefetch(const uint8_t *at, uint64_t bytes)
{
    bytes = stele__min_u64(bytes, STELE__PREFETCH_MAX);
    for (uint64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + STELE__PREFETCH_AHEAD + i, 1);
}

/* Reserve `bytes` (a multiple of 8, at most a quarter of a segment) inside one segment. */
static inline int stele__tail_reserve(struct stele *log, uint64_t bytes, stele_lsn *lsn)
{
    /* [M1] [P3] ACQUIRE pairs with the RELEASE in stele__space_open(): who sees `ready` sees the ring entries and
     * the zeroed slots below it. Relaxed, an appender could use an address that is not there yet. */
    stele_lsn ready = atomic_load_explicit(&log->ready, memory_order_acquire);
    if (STELE__UNLIKELY(atomic_load_explicit(&log->tail, memory_order_relaxed) + bytes > ready))
        return stele__tail_slow(log, bytes, false, lsn);
    *lsn = stele__tail_take(log, bytes);
    if (STELE__UNLIKELY(*lsn + bytes > ready || !stele__tail_in_one_segment(log, *lsn, bytes)))
        return stele__tail_slow(log, bytes, true, lsn);
    return 0;
}

/* For the commit leader's marks: never waits. Returns false when there is no room right now. */
bool stele__tail_try(struct stele *log, uint64_t bytes, stele_lsn *lsn);

/* [M5] [P1] Publish a filled record. RELEASE pairs with ACQUIRE [P2] in stele__record_check() and
 * stele__tail_peek(): who sees a non-zero word sees every byte stored before it. Relaxed, the leader could
 * persist, and a cursor show, a record whose payload is still zero. */
static inline void stele__tail_publish(uint8_t *at, uint64_t word)
{
    atomic_store_explicit((_Atomic uint64_t *)(void *)at, word, memory_order_release);
}

/* The word at `lsn`, 0 while it is free or reserved. [P2] */
static inline uint64_t stele__tail_peek(struct stele *log, stele_lsn lsn)
{
    const uint8_t *at = stele__seg_address(log, stele__segtab_at(log, lsn), lsn);
    uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_acquire);
    return stele__word_wire(word) == STELE__WIRE_RESERVED ? 0 : word;
}

/* Cover [from, to), inside one segment and reserved by the caller, with a PAD or FILL, and publish it. */
void stele__tail_pad(struct stele *log, stele_lsn from, stele_lsn to);

#endif
