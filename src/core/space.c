/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/space.h"

#include "core/helper.h"
#include "core/tail.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ASK_AGAIN_NS 5000000u /* a fraction of what persisting a segment takes */

int stele__space_init(struct stele *log)
{
    if (pthread_mutex_init(&log->space.lock, NULL) != 0)
        return stele__fail(STELE_ENOMEM, "%s: cannot create a lock", log->path);
    if (pthread_cond_init(&log->space.changed, NULL) != 0) {
        pthread_mutex_destroy(&log->space.lock);
        return stele__fail(STELE_ENOMEM, "%s: cannot create a condition", log->path);
    }
    return 0;
}

void stele__space_destroy(struct stele *log)
{
    free(log->space.debts);
    pthread_cond_destroy(&log->space.changed);
    pthread_mutex_destroy(&log->space.lock);
}

static bool enough(const struct stele *log, stele_lsn end)
{
    return end <= atomic_load_explicit(&log->ready, memory_order_acquire); /* [P3] */
}

static bool stopped(const struct stele *log)
{
    return atomic_load_explicit(&log->failed, memory_order_acquire) != 0;
}

/* Under the lock. */
static int refused(const struct stele *log)
{
    return stele__fail(log->space.error, "%s", log->space.text);
}

/* Under the lock. Not for ever: when the ring is full, a commit of any thread makes room, and none of them
 * wakes the helper, so the helper is asked again. */
static void wait_a_little(struct stele__space *space)
{
    uint64_t ns = stele__clock_realtime_ns() + ASK_AGAIN_NS; /* the clock of a default condition */
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    (void)pthread_cond_timedwait(&space->changed, &space->lock, &until);
}

/* [M3] */
int stele__space_wait(struct stele *log, stele_lsn end)
{
    struct stele__space *space = &log->space;
    int rc = 0;
    pthread_mutex_lock(&space->lock);
    const uint64_t before = space->attempts; /* one that is under way may not know of the room there is now */
    space->waiting++;
    while (rc == 0 && !enough(log, end)) {
        if (stopped(log)) {
            rc = stele__fail_latched(log);
        } else if (space->refused > before) {
            rc = refused(log);
        } else if (log->helper.inline_only) {
            pthread_mutex_unlock(&space->lock);
            stele__helper_step(log, true);
            pthread_mutex_lock(&space->lock);
        } else {
            stele__helper_wake(log);
            wait_a_little(space);
        }
    }
    space->waiting--;
    pthread_mutex_unlock(&space->lock);
    return rc;
}

/* Under the lock: remember [from, to), merged with a neighbour where there is one (while space is short,
 * neighbours are the rule, so the list stays as long as there are threads). False without memory. */
static bool add_debt(struct stele__space *space, stele_lsn from, stele_lsn to)
{
    for (size_t i = 0; i < space->debt_count; i++) {
        if (space->debts[i].to == from || space->debts[i].from == to) {
            space->debts[i].from = stele__min_u64(space->debts[i].from, from);
            space->debts[i].to = stele__max_u64(space->debts[i].to, to);
            return true;
        }
    }
    if (space->debt_count == space->debt_capacity) {
        size_t capacity = space->debt_capacity == 0 ? 16 : space->debt_capacity * 2;
        struct stele__debt *grown = realloc(space->debts, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        space->debts = grown;
        space->debt_capacity = capacity;
    }
    space->debts[space->debt_count++] = (struct stele__debt){from, to};
    return true;
}

/* Pad [from, to), which may span segments. A debt's pads never leave 8 bytes that no record could cover: a
 * FILL does. */
static void pad_range(struct stele *log, stele_lsn from, stele_lsn to)
{
    while (from < to) {
        stele_lsn boundary = stele__align_down(from, log->data_bytes) + log->data_bytes;
        stele_lsn end = stele__min_u64(to, boundary);
        stele__tail_pad(log, from, end);
        from = end;
    }
}

/* [M3], the other outcome. */
void stele__space_abandon(struct stele *log, stele_lsn lsn, uint64_t bytes)
{
    struct stele__space *space = &log->space;
    pthread_mutex_lock(&space->lock);
    stele_lsn ready = atomic_load_explicit(&log->ready, memory_order_acquire);
    bool kept = true;
    if (!stopped(log)) {
        if (lsn < ready)
            pad_range(log, lsn, stele__min_u64(ready, lsn + bytes));
        if (lsn + bytes > ready)
            kept = add_debt(space, stele__max_u64(lsn, ready), lsn + bytes);
    }
    pthread_mutex_unlock(&space->lock);
    if (!kept) { /* a hole nobody can ever fill would stop the durable point silently: stop loudly instead */
        stele__fail(STELE_ENOMEM, "%s: no memory to remember an abandoned slot at lsn %llu", log->path,
                    (unsigned long long)lsn);
        stele__latch(log, STELE_ENOMEM);
    }
}

int stele__space_claim(struct stele *log, stele_lsn lsn, uint64_t bytes)
{
    if (STELE__LIKELY(enough(log, lsn + bytes)))
        return 0;
    int rc = stele__space_wait(log, lsn + bytes);
    if (rc != 0) {
        char text[STELE__ERROR_MAX];
        snprintf(text, sizeof text, "%s", stele_last_error());
        stele__space_abandon(log, lsn, bytes);
        stele__fail(rc, "%s", text);
    }
    return rc;
}

/* [M16] */
void stele__space_open(struct stele *log)
{
    struct stele__space *space = &log->space;
    pthread_mutex_lock(&space->lock);
    stele_lsn from = atomic_load_explicit(&log->ready, memory_order_relaxed);
    stele_lsn to = from + log->data_bytes;
    if (!stopped(log)) {
        size_t kept = 0;
        for (size_t i = 0; i < space->debt_count; i++) {
            struct stele__debt debt = space->debts[i];
            if (debt.from < to)
                pad_range(log, debt.from, stele__min_u64(debt.to, to));
            debt.from = stele__max_u64(debt.from, to);
            if (debt.from < debt.to)
                space->debts[kept++] = debt;
        }
        space->debt_count = kept;
        /* [P3] RELEASE: the ring entry and the zeroes of the segment are visible to whoever sees the new
         * value. */
        atomic_store_explicit(&log->ready, to, memory_order_release);
    }
    space->error = 0;
    pthread_cond_broadcast(&space->changed);
    pthread_mutex_unlock(&space->lock);
}

void stele__space_attempt(struct stele *log)
{
    pthread_mutex_lock(&log->space.lock);
    log->space.attempts++;
    pthread_mutex_unlock(&log->space.lock);
}

void stele__space_refuse(struct stele *log, int code)
{
    struct stele__space *space = &log->space;
    pthread_mutex_lock(&space->lock);
    space->refused = space->attempts;
    space->error = code;
    snprintf(space->text, sizeof space->text, "%s: no prepared segment: %s", log->path, stele_last_error());
    pthread_cond_broadcast(&space->changed);
    pthread_mutex_unlock(&space->lock);
}
