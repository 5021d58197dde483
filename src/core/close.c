/* SPDX-License-Identifier: BSD-3-Clause */
/* core/close.c: an orderly end: everything published durable, vouched for, sealed where full, and said so. */
#include "core/commit.h"
#include "core/control.h"
#include "core/helper.h"
#include "core/open.h"

static int finish(struct stele *log)
{
    log->single = false; /* nobody appends any more: the tail is ours */
    atomic_store(&log->pending.wanted, false);
    if (!stele__commit_lead(log))
        return stele__fail(STELE_EINVAL, "%s: closed while a sync was running", log->path);
    stele_lsn tail = atomic_load(&log->tail);
    int rc = stele__commit_round(log, tail);
    if (rc == 0)
        rc = stele__commit_vouch(log);
    bool all = atomic_load(&log->durable) >= stele__min_u64(tail, atomic_load(&log->ready));
    stele__commit_resign(log);
    if (rc == 0 && !all)
        stele__log(&log->logger, STELE_LOG_WARN, "%s: closed with an open slot at lsn %llu: what follows it is lost",
                   log->path, (unsigned long long)atomic_load(&log->durable));
    if (rc == 0)
        rc = stele__helper_seal(log);
    if (rc == 0)
        rc = stele__control_advance(log);
    return rc;
}

/* Files waiting for another life have none under this handle: they would be removed at the next open anyway. */
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
        stele__helper_stop(log);
        rc = finish(log);
        drop_recycled(log);
        atomic_store(&log->live_page->media_class, 0);
        atomic_fetch_add(&log->live_page->commits, 1);
    }
    stele__log_free(log);
    return rc;
}
