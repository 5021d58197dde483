/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/reader.h"

#include "format/name.h"
#include "os/futex.h"

/* Without a waiter count the writer does not know that somebody sleeps. */
#define SLICE_NS (INT64_C(1) * 1000 * 1000)

static struct stele__waiters *waiters(struct stele *log)
{
    if (!log->read_only)
        return log->waiters;
    pthread_mutex_lock(&log->control_lock);
    if (!log->waiters_tried && stele__view_open(log->dirfd, STELE__CONTROL_NAME, STELE__CONTROL_BYTES, true,
                                                &log->waiters_view) == 0)
        log->waiters = (struct stele__waiters *)(void *)(log->waiters_view.base + STELE__CONTROL_WAITERS);
    log->waiters_tried = true; /* refused once, refused for good */
    struct stele__waiters *found = log->waiters;
    pthread_mutex_unlock(&log->control_lock);
    return found;
}

void stele__reader_sleep(struct stele *log, uint32_t seen_commits, int64_t timeout_ns)
{
    struct stele__waiters *count = waiters(log);
    if (count == NULL) {
        if (timeout_ns < 0 || timeout_ns > SLICE_NS)
            timeout_ns = SLICE_NS;
        (void)stele__futex_wait(&log->live_page->commits, seen_commits, timeout_ns, true);
        return;
    }
    atomic_fetch_add(&count->count,
                     1); /* [P5], over the control file: before the look at `commits` in the kernel */
    (void)stele__futex_wait(&log->live_page->commits, seen_commits, timeout_ns, true);
    atomic_fetch_sub(&count->count, 1);
}
