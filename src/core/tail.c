/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/tail.h"

#include "core/space.h"

void stele__tail_pad(struct stele *log, stele_lsn from, stele_lsn to)
{
    struct stele__seg *seg = stele__segtab_at(log, from);
    uint8_t *at = stele__seg_address(log, seg, from);
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    stele__tail_publish(at, stele__record_pad(at, to - from, log->epoch, stele__record_seed(seg->salt, from),
                                              stele__dback(from, durable)));
}

/* [M4] The one writer whose slot crosses a boundary pads both sides of it; everybody after it is in the new
 * segment by arithmetic, so nobody waits and nobody spins. */
static void cross(struct stele *log, stele_lsn lsn, uint64_t bytes)
{
    stele_lsn boundary = stele__align_down(lsn + bytes, log->data_bytes);
    stele__tail_pad(log, lsn, boundary);
    if (lsn + bytes > boundary)
        stele__tail_pad(log, boundary, lsn + bytes);
}

int stele__tail_slow(struct stele *log, uint64_t bytes, bool reserved, stele_lsn *lsn)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    for (;;) {
        if (!reserved) {
            stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
            int rc = stele__space_wait(log, tail + bytes);
            if (rc != 0)
                return rc;
            *lsn = stele__tail_take(log, bytes);
        }
        int rc = stele__space_claim(log, *lsn, bytes);
        if (rc != 0)
            return rc;
        if (stele__tail_in_one_segment(log, *lsn, bytes))
            return 0;
        cross(log, *lsn, bytes);
        reserved = false;
    }
}

bool stele__tail_try(struct stele *log, uint64_t bytes, stele_lsn *lsn)
{
    stele_lsn ready = atomic_load_explicit(&log->ready, memory_order_acquire); /* [P3] */
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    if (tail + bytes > ready || !stele__tail_in_one_segment(log, tail, bytes))
        return false;
    *lsn = stele__tail_take(log, bytes);
    if (*lsn + bytes >
        ready) { /* others were faster: a reservation beyond the prepared space is given up, not waited for */
        stele__space_abandon(log, *lsn, bytes);
        return false;
    }
    if (!stele__tail_in_one_segment(log, *lsn, bytes)) {
        cross(log, *lsn, bytes);
        return false;
    }
    return true;
}
