/* SPDX-License-Identifier: BSD-3-Clause */
/* core/durable.c: asking for the log's points, and being told when they move. */
#include "core/helper.h"
#include "core/reader.h"
#include "os/event.h"
#include "os/file.h"

stele_lsn stele_durable(const struct stele *log)
{
    if (log->read_only)
        return stele__reader_durable(log);
    return atomic_load_explicit(&log->durable, memory_order_acquire); /* [P6] */
}

stele_lsn stele_tail(const struct stele *log)
{
    if (log->read_only)
        return stele__max_u64(log->end, stele__reader_durable(log));
    return atomic_load_explicit(&log->tail, memory_order_relaxed);
}

stele_lsn stele_first(const struct stele *log)
{
    if (log->read_only && !stele__reader_live(log))
        return stele__base_of(log, log->control.first_sequence);
    /* A log begins where a segment does; anything else would name a segment that lies before its own
     * beginning. */
    return stele__align_down(stele__reader_lsn(&log->live_page->first), log->data_bytes);
}

int stele_sync_begin(struct stele *log)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    if (atomic_load_explicit(&log->failed, memory_order_acquire) != 0)
        return stele__fail_latched(log);
    atomic_store_explicit(&log->helper.sync_wanted, true, memory_order_release);
    if (log->helper.inline_only)
        (void)stele__helper_step(log, false);
    else
        stele__helper_wake(log);
    return 0;
}

int stele_durable_eventfd(struct stele *log)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    int fd = atomic_load_explicit(&log->eventfd, memory_order_acquire);
    if (fd >= 0)
        return fd;
    int fresh = stele__event_open();
    if (fresh < 0)
        return stele__fail_errno(-fresh, "%s: cannot make an eventfd", log->path);
    /* RELEASE: the committer that sees the number may use the descriptor. Two first callers: one wins. */
    if (!atomic_compare_exchange_strong_explicit(&log->eventfd, &fd, fresh, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        stele__file_close(fresh);
        return fd;
    }
    return fresh;
}
