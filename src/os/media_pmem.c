/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_pmem.c: persistent memory through libpmem: durable when the cache lines are flushed and fenced,
 * without a system call. Invariant: every map it hands out is persistent memory by the kernel's word
 * (MAP_SYNC) or by libpmem's; a flush of lines that a page cache holds would return 0 and have saved nothing.
 */
#include "os/media_pmem.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/file.h"
#include "os/media_file.h"

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03 /* plain MAP_SHARED would ignore a MAP_SYNC it does not know */
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

/* What a file mapped without MAP_SYNC is. libpmem can be told that everything is persistent memory; believing
 * that of a page cache would acknowledge records no flush of lines can save. */
static enum stele__pmem_kind judge(int fd, const void *base, uint64_t bytes)
{
    if (!pmem_is_pmem(base, (size_t)bytes))
        return STELE__PMEM_NO;
    char fs[32];
    stele__fs_name(fd, fs, sizeof fs);
    if (strcmp(fs, "tmpfs") == 0 || strcmp(fs, "ramfs") == 0)
        return STELE__PMEM_GIVEN;
    /* Nor of a DAX file whose synchronous map the kernel refused: behind virtio-pmem is a page cache of the host. */
    return STELE__PMEM_CACHED;
}

enum stele__pmem_kind stele__pmem_probe(int fd, uint64_t bytes, bool writable, int *sync_errno)
{
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    *sync_errno = 0;
    void *at = mmap(NULL, (size_t)bytes, prot, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (at != MAP_FAILED) {
        (void)munmap(at, (size_t)bytes);
        return STELE__PMEM_SYNC;
    }
    *sync_errno = errno;
    at = mmap(NULL, (size_t)bytes, prot, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return STELE__PMEM_NO;
    enum stele__pmem_kind kind = judge(fd, at, bytes);
    (void)munmap(at, (size_t)bytes);
    return kind;
}

bool stele__pmem_has_auto_flush(void)
{
    return pmem_has_auto_flush() == 1;
}

static int map_pmem(int fd, uint64_t bytes, struct stele__map *out)
{
    int err = stele__media_file_map(fd, bytes, MAP_SHARED_VALIDATE | MAP_SYNC, out);
    if (err != -EOPNOTSUPP && err != -EINVAL) /* mapped, or not for want of persistent memory */
        return err;
    err = stele__media_file_map(fd, bytes, MAP_SHARED, out);
    if (err != 0)
        return err;
    if (judge(fd, out->base, bytes) == STELE__PMEM_GIVEN)
        return 0;
    stele__media_file_unmap(out);
    *out = (struct stele__map){.fd = -1};
    return -ENOTSUP;
}

static int create(struct stele__media *media, int dirfd, const char *name, uint64_t bytes, mode_t mode,
                  struct stele__map *out)
{
    (void)media;
    int fd = stele__media_file_make(dirfd, name, bytes, mode, true);
    if (fd < 0)
        return fd;
    int err = map_pmem(fd, bytes, out);
    if (err != 0) {
        stele__file_close(fd);
        (void)unlinkat(dirfd, name, 0);
    }
    return err;
}

static int open_existing(struct stele__media *media, int dirfd, const char *name, uint64_t bytes,
                         struct stele__map *out)
{
    (void)media;
    int fd = stele__media_file_take(dirfd, name, bytes);
    if (fd < 0)
        return fd;
    int err = map_pmem(fd, bytes, out);
    if (err != 0)
        stele__file_close(fd);
    return err;
}

static int persist(struct stele__media *media, const struct stele__map *map, uint64_t offset, uint64_t len)
{
    (void)media;
    /* Not pmem_persist(): apart, a test that stands in for libpmem can lose power between the two. */
    pmem_flush(map->base + offset, (size_t)len); /* each line on its way; it cannot fail */
    pmem_drain();                                /* and all of them there */
    return 0;
}

const struct stele__media_ops stele__media_pmem_ops = {
    .name = "pmem",
    .create = create,
    .open = open_existing,
    .close = stele__media_file_close,
    .persist = persist,
    .populate = stele__media_file_populate,
    .rename = stele__media_file_rename,
    .unlink = stele__media_file_unlink,
    .sync_dir = stele__media_file_sync_dir,
};
