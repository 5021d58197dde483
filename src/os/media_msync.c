/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_msync.c: durable when msync(2) has returned. Works wherever shared mappings do.
 * Invariant: a failure is returned as it came and never tried again; the kernel has marked the pages clean by
 * then. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/media.h"

static int persist(struct stele__media *media, const struct stele__map *map, uint64_t offset, uint64_t len)
{
    (void)media;
    if (len == 0)
        return 0;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = offset & ~(page - 1); /* msync wants a page; it rounds the end up by itself */
    int rc;
    do {
        rc = msync(map->base + start, (size_t)(offset + len - start), MS_SYNC);
    } while (rc != 0 && errno == EINTR); /* the wait was interrupted; nothing has failed */
    return rc != 0 ? -errno : 0;
}

const struct stele__media_ops stele__media_msync_ops = {
    .name = "msync",
    .create = stele__media_file_create,
    .open = stele__media_file_open,
    .close = stele__media_file_close,
    .persist = persist,
    .populate = stele__media_file_populate,
    .rename = stele__media_file_rename,
    .unlink = stele__media_file_unlink,
    .sync_dir = stele__media_file_sync_dir,
};
