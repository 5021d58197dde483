/* SPDX-License-Identifier: BSD-3-Clause */
/* core/reader.h: what a read-only handle knows: the facts of its own examination, or the live words of a
 * writer that was at work when it was opened, or has come since. */
#ifndef STELE_CORE_READER_H
#define STELE_CORE_READER_H

#include "core/log.h"

/* Live words come from a file that others can write: what cannot be a position is none. */
static inline stele_lsn stele__reader_lsn(const _Atomic uint64_t *word)
{
    stele_lsn lsn = atomic_load_explicit(word, memory_order_acquire);
    return lsn % 8 == 0 && lsn < UINT64_C(1) << 63 ? lsn : 0;
}

/* Is there, or was there since this handle was opened, a writer whose words can be believed? */
static inline bool stele__reader_live(const struct stele *log)
{
    return log->live || atomic_load_explicit(&log->live_page->opens, memory_order_acquire) != log->seen_opens;
}

/* Readers' durable point: see stele_durable(). */
static inline stele_lsn stele__reader_durable(const struct stele *log)
{
    stele_lsn own = atomic_load_explicit(&log->durable, memory_order_relaxed);
    if (!stele__reader_live(log))
        return own;
    return stele__max_u64(own, stele__reader_lsn(&log->live_page->durable));
}

/* Sleep until the writer commits, or timeout_ns passes. Counts itself as a waiter where the control file can
 * be written; where not, it sleeps in slices short enough to look by itself. */
void stele__reader_sleep(struct stele *log, uint32_t seen_commits, int64_t timeout_ns);

#endif
