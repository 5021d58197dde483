/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/helper.h"

#include "core/commit.h"
#include "core/control.h"
#include "core/prepare.h"
#include "core/seal.h"
#include "core/space.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/futex.h"

#include <signal.h>

/* How often it looks: at once after work, then ever more rarely. At 5 GB/s two 64-MiB spares last 25 ms, so a
 * millisecond while appends come is early enough; 200 ms when nothing happens costs five wake-ups a second.
 */
#define LOOK_MIN_NS (INT64_C(1) * 1000 * 1000)
#define LOOK_MAX_NS (INT64_C(200) * 1000 * 1000)

static bool failed(const struct stele *log)
{
    return atomic_load_explicit(&log->failed, memory_order_acquire) != 0;
}

/* Segments wanted: the tail's own, and the spares. */
static bool prepare(struct stele *log, bool woken)
{
    bool did = false;
    pthread_mutex_lock(&log->space.lock);
    bool refused = log->space.error != 0;
    pthread_mutex_unlock(&log->space.lock);
    if (refused && !woken)
        return false;
    for (;;) {
        stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
        uint64_t wanted = stele__sequence_of(log, tail) + 1 + log->spares;
        if (log->ring_high >= wanted || log->ring_high - log->ring_low >= STELE__RING || failed(log))
            return did;
        stele__space_attempt(log);
        int rc = stele__prepare_next(log);
        if (rc != 0) {
            stele__space_refuse(log, rc);
            if (!failed(log)) /* a failure of the log has been said */
                stele__log(&log->logger, STELE_LOG_WARN, "%s", stele_last_error());
            return did;
        }
        stele__space_open(log);
        did = true;
    }
}

int stele__helper_seal(struct stele *log)
{
    bool did = false;
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_acquire); /* [P6] */
    while (log->ring_low < log->ring_high && stele__base_of(log, log->ring_low + 1) <= durable) {
        struct stele__seg *seg = &log->ring[log->ring_low & (STELE__RING - 1)];
        int rc = stele__seal(log, seg);
        if (rc != 0)
            return stele__latch(log, rc);
        stele__log(&log->logger, STELE_LOG_DEBUG, "%s: sealed segment %llu", log->path,
                   (unsigned long long)log->ring_low);
        stele__ring_retire(log); /* [M18] */
        did = true;
    }
    return did ? stele__control_advance(log) : 0;
}

/* A full segment whose application never syncs must become durable all the same, or nothing could be sealed
 * and the ring would fill up. Never waits for leadership: who has it does the same work. */
static bool commit_full(struct stele *log)
{
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    stele_lsn boundary = stele__align_down(tail, log->data_bytes);
    stele_lsn before = atomic_load_explicit(&log->durable, memory_order_relaxed);
    if (before >= boundary || !stele__commit_lead(log))
        return false;
    (void)stele__commit_round(log, boundary);
    stele__commit_resign(log);
    return atomic_load_explicit(&log->durable, memory_order_relaxed) != before;
}

/* [M17] */
static bool serve_sync(struct stele *log)
{
    if (!atomic_load_explicit(&log->helper.sync_wanted, memory_order_relaxed) || !stele__commit_lead(log))
        return false;
    /* ACQUIRE pairs with the RELEASE in stele_sync_begin(): the tail read next covers what its caller
     * appended. */
    (void)atomic_exchange_explicit(&log->helper.sync_wanted, false, memory_order_acq_rel);
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    (void)stele__commit_round(log, tail);
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    stele__commit_resign(log);
    if (!failed(log) && durable < stele__min_u64(tail, atomic_load(&log->ready)))
        atomic_store_explicit(&log->helper.sync_wanted, true,
                              memory_order_relaxed); /* a slot was open: again */
    return true;
}

/* Nothing appended for a while and everything durable: let a mark vouch for the last burst, so that damage to
 * it could be told from a torn write. */
static void vouch_when_idle(struct stele *log, stele_lsn *last_tail, uint64_t *since_ns)
{
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    uint64_t now = stele__clock_monotonic_ns();
    if (tail != *last_tail) {
        *last_tail = tail;
        *since_ns = now;
        return;
    }
    if (now - *since_ns < log->idle_mark_ns || failed(log))
        return;
    /* The tail is the single appender's, and behind records that are not durable a mark would not be either:
     * the control block vouches as well. */
    if (log->single || atomic_load_explicit(&log->durable, memory_order_relaxed) != tail) {
        (void)stele__control_advance(log);
        return;
    }
    if (!stele__commit_lead(log))
        return;
    bool due = stele__commit_unvouched(log);
    if (due)
        (void)stele__commit_vouch(log);
    stele__commit_resign(log);
    if (due) /* also when there was no room for a mark: the control block vouches as well */
        (void)stele__control_advance(log);
}

/* Of a page that a truncation cuts in two the rest turns to zeroes, without a signal: only the size tells. */
static bool is_cut_short(const struct stele__map *map)
{
    uint64_t size = 0;
    if (map->guard == NULL || stele__guard_lost(map->guard))
        return map->guard != NULL;
    if (stele__file_size(map->fd, &size, NULL) != 0 || size >= map->bytes)
        return false;
    stele__guard_note(map->guard, size);
    return true;
}

/* A segment that was cut short under its map: what is appended there is lost, and a word that was stored there may be
 * waited for in vain. */
static void look_for_losses(struct stele *log)
{
    for (uint64_t s = log->ring_low; s < log->ring_high; s++) {
        const struct stele__seg *seg = &log->ring[s & (STELE__RING - 1)];
        if (!is_cut_short(&seg->map))
            continue;
        char name[STELE__NAME_MAX];
        stele__name_segment(name, s, stele__base_of(log, s));
        (void)stele__latch(log, stele__fail_lost(log, name, seg->map.guard));
        return;
    }
}

bool stele__helper_step(struct stele *log, bool woken)
{
    look_for_losses(log);
    if (failed(log))
        return false;
    bool did = prepare(log, woken);
    did |= serve_sync(log);
    did |= commit_full(log);
    uint64_t low = log->ring_low;
    (void)stele__helper_seal(log);
    return did || log->ring_low != low;
}

/* The segment the log was opened with: its free part was not touched yet. */
static void populate_active(struct stele *log)
{
    stele_lsn tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    struct stele__seg *seg = &log->ring[stele__sequence_of(log, tail) & (STELE__RING - 1)];
    uint64_t offset = tail & (log->data_bytes - 1);
    if (seg->data != NULL)
        log->media.ops->populate(&log->media, &seg->map, STELE__HEADER_BYTES + offset,
                                 log->data_bytes - offset);
}

static void *run(void *argument)
{
    struct stele *log = argument;
    struct stele__helper *helper = &log->helper;
    stele_lsn last_tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
    uint64_t since_ns = stele__clock_monotonic_ns();
    int64_t look_ns = LOOK_MIN_NS;
    uint32_t seen = 0;
    populate_active(log);
    while (!atomic_load_explicit(&helper->stop, memory_order_acquire)) {
        uint32_t word = atomic_load_explicit(&helper->word, memory_order_acquire);
        stele_lsn tail = last_tail;
        bool did = stele__helper_step(log, word != seen);
        seen = word;
        vouch_when_idle(log, &last_tail, &since_ns);
        look_ns =
            did || tail != last_tail ? LOOK_MIN_NS : (look_ns < LOOK_MAX_NS / 2 ? look_ns * 2 : LOOK_MAX_NS);
        bool again = atomic_load_explicit(&helper->sync_wanted, memory_order_relaxed) && !failed(log);
        (void)stele__futex_wait(&helper->word, word, again ? LOOK_MIN_NS : look_ns, false);
    }
    return NULL;
}

int stele__helper_start(struct stele *log)
{
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* a fault is the thread's own, and blocked it would end the process */
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the application's */
    int rc = pthread_create(&log->helper.thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return stele__fail_errno(rc, "%s: cannot start the helper thread", log->path);
    log->helper.running = true;
    return 0;
}

void stele__helper_wake(struct stele *log)
{
    atomic_fetch_add_explicit(&log->helper.word, 1, memory_order_release);
    stele__futex_wake(&log->helper.word, 1, false);
}

void stele__helper_stop(struct stele *log)
{
    if (!log->helper.running)
        return;
    atomic_store_explicit(&log->helper.stop, true, memory_order_release);
    stele__helper_wake(log);
    pthread_join(log->helper.thread, NULL);
    log->helper.running = false;
}
