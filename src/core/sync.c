/* SPDX-License-Identifier: BSD-3-Clause */
/* core/sync.c: group commit. A caller either leads one round for everybody, or follows: sleeps until the
 * leader is done and then finds itself durable, or leads. Greedy, no timers: while one round is at the device
 * the next group gathers, so batches grow with the device's latency by themselves (docs/concurrency.md). */
#include "core/sync.h"

#include "core/commit.h"
#include "os/clock.h"
#include "os/futex.h"

#include <errno.h>
#include <sched.h>

static bool reached(struct stele *log, stele_lsn end)
{
    return atomic_load_explicit(&log->durable, memory_order_acquire) >= end; /* [P6] */
}

int stele__sync_follow(struct stele *log, stele_lsn end, bool may_lead, int64_t timeout_ns)
{
    struct stele__sync *sync = &log->sync;
    int rc = 0;
    uint32_t seen = atomic_load(&sync->commits);
    atomic_fetch_add(&sync->followers, 1); /* [M13] [P5] before the looks below */
    /* [M14] */
    bool lead_free = may_lead && atomic_load(&sync->leader) == 0;
    if (!reached(log, end) && !lead_free && atomic_load(&log->failed) == 0)
        rc = stele__futex_wait(&sync->commits, seen, timeout_ns, false);
    atomic_fetch_sub(&sync->followers, 1);
    return rc;
}

/* An open slot stops the frontier. Its owner publishes without a system call, so there is nothing to sleep
 * on: give way at first, then look every so often. */
static void wait_for_publisher(unsigned idle_rounds)
{
    const unsigned yields = 64; /* a filling appender needs nanoseconds, a preempted one a time slice */
    const uint64_t nap_ns = 50 * 1000; /* then somebody holds a reserved slot on purpose */
    const uint64_t nap_max_ns = 1000 * 1000;
    if (idle_rounds < yields) {
        sched_yield();
        return;
    }
    stele__clock_sleep_ns(stele__min_u64(nap_ns * (idle_rounds - yields + 1), nap_max_ns));
}

/* Others wait, so a round has just ended, and those it woke are about to append again. Without this they come too late
 * for ours, and two halves take turns at the device. One yield, no timer: whoever is ready runs first. A lone thread has
 * no followers and pays nothing; where a flush takes less than a yield, nobody does (docs/decisions/0027). */
static void gather(struct stele *log)
{
    if (log->media.class_ == STELE__MEDIA_MSYNC &&
        atomic_load_explicit(&log->sync.followers, memory_order_relaxed) != 0)
        sched_yield();
}

/* From the first wait of a call to its end. Who leads one round and is done pays nothing for it. */
static void enter_waiting(struct stele *log, bool *counted)
{
    if (!*counted)
        atomic_fetch_add(&log->sync.waiting, 1);
    *counted = true;
}

static int lead_or_follow(struct stele *log, stele_lsn end, bool *waits)
{
    unsigned idle_rounds = 0;
    while (!reached(log, end)) {
        if (atomic_load_explicit(&log->failed, memory_order_acquire) != 0)
            return stele__fail_latched(log);
        if (!stele__commit_lead(log)) {
            enter_waiting(log, waits);
            (void)stele__sync_follow(log, end, true, -1);
            continue;
        }
        gather(log);
        stele_lsn before = atomic_load_explicit(&log->durable, memory_order_relaxed);
        int rc = stele__commit_round(log, atomic_load_explicit(&log->tail, memory_order_relaxed));
        bool moved = atomic_load_explicit(&log->durable, memory_order_relaxed) != before;
        stele__commit_resign(log);
        if (rc != 0)
            return rc;
        idle_rounds = moved ? 0 : idle_rounds + 1;
        if (!moved && !reached(log, end)) {
            enter_waiting(log, waits);
            wait_for_publisher(idle_rounds);
        }
    }
    return 0;
}

int stele__sync_until(struct stele *log, stele_lsn end)
{
    bool waits = false;
    int rc = lead_or_follow(log, end, &waits);
    if (waits)
        atomic_fetch_sub(&log->sync.waiting, 1); /* the last touch */
    return rc;
}

static int check_writer(const struct stele *log)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    return 0;
}

int stele_sync(struct stele *log, stele_lsn lsn)
{
    int rc = check_writer(log);
    if (rc != 0)
        return rc;
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    if (lsn != STELE_LSN_ALL && lsn >= tail)
        return stele__fail(STELE_EINVAL, "%s: lsn %llu is beyond the tail %llu", log->path,
                           (unsigned long long)lsn, (unsigned long long)tail);
    /* Durable points stand between records, so beyond the record's first byte means beyond the record. Space
     * given up on a full disk stays behind a hole until there is room: everything means everything that can
     * be published. */
    stele_lsn end = lsn != STELE_LSN_ALL ? lsn + 8 : stele__min_u64(tail, atomic_load(&log->ready));
    if (end == 0 && tail > 0 && atomic_load(&log->failed) != 0)
        return stele__fail_latched(log);
    return stele__sync_until(log, end);
}

static int follow_until(struct stele *log, stele_lsn lsn, stele_lsn end, int64_t timeout_ns)
{
    const uint64_t start = stele__clock_monotonic_ns();
    int64_t left = timeout_ns;
    while (!reached(log, end)) {
        if (atomic_load_explicit(&log->failed, memory_order_acquire) != 0)
            return stele__fail_latched(log);
        if (timeout_ns >= 0) {
            uint64_t passed = stele__clock_monotonic_ns() - start;
            if (passed >= (uint64_t)timeout_ns)
                return stele__fail(STELE_ETIMEDOUT, "%s: lsn %llu is not durable yet", log->path,
                                   (unsigned long long)lsn);
            left = timeout_ns - (int64_t)passed;
        }
        (void)stele__sync_follow(log, end, false, left);
    }
    return 0;
}

int stele_durable_wait(struct stele *log, stele_lsn lsn, int64_t timeout_ns)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: wait with a cursor on a read-only handle", log->path);
    stele_lsn end = lsn != STELE_LSN_ALL ? stele__min_u64(lsn, UINT64_MAX - 8) + 8
                                         : atomic_load_explicit(&log->tail, memory_order_relaxed);
    if (reached(log, end))
        return 0;
    bool waits = false;
    enter_waiting(log, &waits);
    int rc = follow_until(log, lsn, end, timeout_ns);
    atomic_fetch_sub(&log->sync.waiting, 1);
    return rc;
}
