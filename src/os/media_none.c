/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_none.c: nothing is ever made durable. Records survive the death of the process, since they lie in
 * the page cache, and not that of the kernel or the power. For tests and for logs whose loss is bearable. */
#include "os/media.h"

static int persist(struct stele__media *media, const struct stele__map *map, uint64_t offset, uint64_t len)
{
    (void)media;
    (void)map;
    (void)offset;
    (void)len;
    return 0;
}

static int sync_dir(struct stele__media *media, int dirfd)
{
    (void)media;
    (void)dirfd;
    return 0;
}

const struct stele__media_ops stele__media_none_ops = {
    .name = "none",
    .create = stele__media_file_create,
    .open = stele__media_file_open,
    .close = stele__media_file_close,
    .persist = persist,
    .populate = stele__media_file_populate,
    .rename = stele__media_file_rename,
    .unlink = stele__media_file_unlink,
    .sync_dir = sync_dir,
};
