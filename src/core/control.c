/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/control.h"

#include "core/owner.h"
#include "os/file.h"
#include "os/futex.h"
#include "os/lock.h"

#include <errno.h>
#include <limits.h>

#define TEMP_NAME "control.stele.tmp"

static void map_words(struct stele *log)
{
    log->live_page = (struct stele__live *)(void *)(log->control_map.base + STELE__CONTROL_LIVE);
    log->waiters = (struct stele__waiters *)(void *)(log->control_map.base + STELE__CONTROL_WAITERS);
}

/* Blocks are written in turn: while one is being rewritten the other is whole. */
int stele__control_persist(struct stele *log)
{
    log->control.generation++;
    log->control.block ^= 1; /* never over the newest valid one */
    uint64_t offset = log->control.block == 0 ? 0 : STELE__CONTROL_PAGE;
    stele__control_encode(log->control_map.base + offset, &log->control);
    return stele__persist(log, &log->control_map, offset, STELE__CONTROL_PAGE);
}

int stele__control_write(struct stele *log)
{
    int rc = stele__control_persist(log);
    if (rc == 0)
        return 0;
    return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot make it durable", log->path);
}

/* The lock file can be deleted by somebody who takes it for stale, and then another writer finds a new one
 * unlocked. This file cannot: without it there is no log. */
static int lock_control(struct stele *log)
{
    int rc = stele__lock_exclusive(log->control_map.fd, STELE__LOCK_WRITER, 1);
    if (rc == -EAGAIN || rc == -EACCES)
        return stele__fail(
            STELE_ELOCKED,
            "%s: locked for writing by another process, whose lock file was deleted; end that process",
            log->path);
    return rc == 0 ? 0 : stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot lock it", log->path);
}

int stele__control_create(struct stele *log)
{
    const struct stele__media_ops *ops = log->media.ops;
    (void)ops->unlink(&log->media, log->dirfd, TEMP_NAME); /* of a creation that was interrupted */
    int rc = ops->create(&log->media, log->dirfd, TEMP_NAME, STELE__CONTROL_BYTES, log->file_mode,
                         &log->control_map);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot create it", log->path);
    map_words(log);
    rc = stele__control_persist(log);
    if (rc == 0)
        rc = stele__control_persist(log); /* both copies, from the beginning */
    if (rc == 0)
        rc = ops->rename(&log->media, log->dirfd, TEMP_NAME, STELE__CONTROL_NAME);
    if (rc == 0)
        rc = ops->sync_dir(&log->media, log->dirfd);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot create it", log->path);
    return lock_control(log);
}

int stele__control_open(struct stele *log)
{
    int rc = log->media.ops->open(&log->media, log->dirfd, STELE__CONTROL_NAME, STELE__CONTROL_BYTES,
                                  &log->control_map);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot map it", log->path);
    map_words(log);
    rc = lock_control(log);
    if (rc == 0) /* before anything changes: who examines the log meanwhile sees this, and looks again */
        atomic_fetch_add(&log->live_page->recoveries, 1);
    return rc;
}

int stele__control_advance(struct stele *log)
{
    pthread_mutex_lock(&log->control_lock);
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_acquire); /* [P6] */
    int rc = 0;
    if (durable != log->control.durable || log->incarnation != log->control.incarnation) {
        log->control.durable = durable;
        log->control.incarnation = log->incarnation;
        rc = stele__control_write(log);
        if (rc != 0)
            rc = stele__latch(log, rc);
    }
    pthread_mutex_unlock(&log->control_lock);
    return rc;
}

void stele__control_bump(struct stele *log)
{
    /* SEQ_CST, both: the Dekker pair [P5], over the control file. A reader killed in its sleep leaves a count
     * behind: one call too many from then on. */
    atomic_fetch_add(&log->live_page->commits, 1);
    if (atomic_load(&log->waiters->count) != 0)
        stele__futex_wake(&log->live_page->commits, INT_MAX, true);
}

int stele__control_announce(struct stele *log, stele_lsn cut)
{
    struct stele__live *live = log->live_page;
    atomic_store(&live->media_class, (uint32_t)log->media.class_);
    atomic_store(&live->durable, atomic_load(&log->durable));
    atomic_store(&live->first, stele__base_of(log, log->control.first_sequence));
    atomic_store(&live->tail_at_open, cut);
    /* Between the words and the count. A reader looks at the count, then at the lock: one that saw the new count and no
     * lock would take the words for those of a writer that is gone, and never look again. */
    int rc = stele__lock_exclusive(log->lockfd, STELE__LOCK_LIVE, 1);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot lock byte 1", log->path);
    /* Last: a reader that sees the new opening sees its words. */
    atomic_fetch_add(&live->opens, 1);
    stele__control_bump(log);
    return 0;
}

int stele__control_read(int dirfd, struct stele__control *out, enum stele__decode *result, uint32_t *copies)
{
    uint8_t blocks[2 * STELE__CONTROL_PAGE];
    int fd = stele__file_open(dirfd, STELE__CONTROL_NAME, false);
    if (fd < 0)
        return fd;
    uint64_t size = 0;
    int rc = stele__file_size(fd, &size, NULL);
    if (rc == 0 && size != STELE__CONTROL_BYTES) /* the blocks may be whole, but nobody can map the rest */
        rc = -ENODATA;
    if (rc == 0)
        rc = stele__file_read(fd, blocks, sizeof blocks, 0);
    stele__file_close(fd);
    if (rc != 0)
        return rc;
    *result = stele__control_decode(blocks, out, copies);
    return 0;
}
