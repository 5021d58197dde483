/* SPDX-License-Identifier: BSD-3-Clause */
/* core/failure.c: a log that failed stays failed. After a failed flush the kernel may call lost pages clean,
 * so nothing that follows could be believed: recovery is close, reopen, append again. */
#include "core/commit.h"
#include "core/control.h"
#include "core/space.h"

#include <stdio.h>

/* [M15] */
int stele__latch(struct stele *log, int code)
{
    pthread_mutex_lock(&log->space.lock);
    bool first = atomic_load_explicit(&log->failed, memory_order_relaxed) == 0;
    if (first) {
        snprintf(log->failure, sizeof log->failure, "%s", stele_last_error());
        /* RELEASE pairs with the ACQUIRE in stele__fail_latched(): the text is there when the code is. */
        atomic_store_explicit(&log->failed, code, memory_order_release);
        atomic_store_explicit(&log->ready, 0, memory_order_release); /* sends every append to its slow path */
        pthread_cond_broadcast(&log->space.changed);
    }
    pthread_mutex_unlock(&log->space.lock);
    if (first) {
        stele__log(&log->logger, STELE_LOG_ERROR, "log failed: %s", log->failure);
        stele__commit_wake(log);
        stele__commit_signal(log);
        if (log->live_page != NULL && log->waiters != NULL)
            stele__control_bump(log);
    }
    return stele__fail_latched(log);
}

int stele__fail_lost(const struct stele *log, const char *name, const struct stele__guard *guard)
{
    return stele__fail(STELE_ECORRUPT,
                       "%s/%s: offset %llu: the file was cut short by somebody, or its medium failed or had "
                       "no room for a hole, while it "
                       "was in use; see 'stele verify %s'",
                       log->path, name, (unsigned long long)stele__guard_offset(guard), log->path);
}

int stele__fail_latched(const struct stele *log)
{
    (void)atomic_load_explicit(&log->failed, memory_order_acquire);
    return stele__fail(
        STELE_EFAILED,
        "%s: the log has failed; close it, reopen, append again what was not durable. Cause: %s", log->path,
        log->failure);
}

void stele_leave_sigbus(void)
{
    stele__guard_off();
}
