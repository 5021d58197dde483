/* SPDX-License-Identifier: BSD-3-Clause */
/* core/close.c: an orderly end: everything published durable, vouched for, sealed where full, and said so. */
#include "core/commit.h"
#include "core/control.h"
#include "core/helper.h"
#include "core/open.h"
#include "core/tail.h"

#include <sched.h>

/* A slot nobody published or abandoned, at the frontier: nobody can any more, and what stands behind it shall
 * not be lost. False: there is none. */
static bool abandon_open_slot(struct stele *log)
{
    stele_lsn at = log->commit.frontier;
    if (at >= stele__min_u64(atomic_load(&log->tail), atomic_load(&log->ready)))
        return false;
    const uint8_t *slot = stele__seg_address(log, stele__segtab_at(log, at), at);
    uint64_t word = atomic_load((const _Atomic uint64_t *)(const void *)slot);
    uint64_t bytes = stele__record_bytes(stele__word_len(word));
    if (stele__word_wire(word) != STELE__WIRE_RESERVED || !stele__tail_in_one_segment(log, at, bytes))
        return false;
    stele__tail_pad(log, at, at + bytes);
    stele__log(&log->logger, STELE_LOG_WARN, "%s: closed with an open slot at lsn %llu: abandoned", log->path,
               (unsigned long long)at);
    return true;
}

/* Threads in calls that wait. By the thread rule there are none; those that sleep would wake up in freed memory. */
static uint32_t count_waiting(struct stele *log)
{
    pthread_mutex_lock(&log->space.lock);
    uint32_t waiting = log->space.waiting;
    pthread_mutex_unlock(&log->space.lock);
    return waiting + atomic_load(&log->sync.waiting);
}

/* Lead from now on, so that nobody begins a round. 0 or STELE_EBUSY. */
static int take_lead(struct stele *log)
{
    bool led;
    while (!(led = stele__commit_lead(log)) && count_waiting(log) == 0)
        sched_yield(); /* a round of the helper's ends by itself */
    uint32_t waiting = count_waiting(log);
    if (waiting == 0 && led)
        return 0;
    if (led)
        stele__commit_resign(log);
    return stele__fail(STELE_EBUSY, "%s: %u threads still wait in calls on this log", log->path, waiting);
}

/* As the leader. */
static int finish(struct stele *log)
{
    log->single = false; /* nobody appends any more: the tail is ours */
    atomic_store(&log->pending.wanted, false);
    stele_lsn tail = atomic_load(&log->tail);
    int rc;
    do {
        rc = stele__commit_round(log, tail);
    } while (rc == 0 && abandon_open_slot(log));
    if (rc == 0)
        rc = stele__commit_vouch(log);
    bool all = atomic_load(&log->durable) >= stele__min_u64(tail, atomic_load(&log->ready));
    stele__commit_resign(log);
    if (rc == 0)
        rc = stele__helper_seal(log);
    if (rc == 0)
        rc = stele__control_advance(log);
    if (rc == 0 && !all)
        rc = stele__fail(
            STELE_EFAILED,
            "%s: closed while an append was at work at lsn %llu: what was published behind it is lost",
            log->path, (unsigned long long)atomic_load(&log->durable));
    return rc;
}

/* Files waiting for another life have none under this handle: they would be removed at the next open anyway.
 */
static void drop_recycled(struct stele *log)
{
    for (uint32_t i = 0; i < log->recycled_count; i++)
        (void)log->media.ops->unlink(&log->media, log->dirfd, log->recycled[i].name);
    log->recycled_count = 0;
}

int stele_close(struct stele *log)
{
    if (log == NULL)
        return 0;
    if (atomic_load(&log->handles) != 0)
        return stele__fail(STELE_EBUSY, "%s: %u cursors or pins are still open", log->path,
                           atomic_load(&log->handles));
    int rc = 0;
    if (!log->read_only) {
        rc = take_lead(log);
        if (rc != 0)
            return rc;
        stele__helper_stop(log);
        rc = finish(log);
        drop_recycled(log);
        atomic_store(&log->live_page->media_class, 0);
        stele__control_bump(log);
    }
    stele__log_free(log);
    return rc;
}
