/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_file.c: what back-ends over plain mapped files share. Invariant: a map that was handed out is
 * backed by allocated blocks to its last byte, so that a full disk is an error here and never a SIGBUS at a
 * store. Callers: the back-ends; src/core reaches these only through the table. */
#include "os/media_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/file.h"
#include "os/guard.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; libc headers are older */
#endif

/* The mapping's lock is held for one step: short enough that faults of appenders elsewhere do not wait
 * noticeably. */
#define POPULATE_STEP_BYTES (UINT64_C(1) << 20)

int stele__media_file_make(int dirfd, const char *name, uint64_t bytes, mode_t mode, bool durable)
{
    int fd = stele__file_create(dirfd, name, mode);
    if (fd < 0)
        return fd;
    int err = stele__file_allocate(fd, bytes);
    /* Size and extents are metadata. Making them durable once, here, while no page is dirty, costs one
     * journal commit and lets persist() stay what it says: bytes of a range. (Linux's msync would commit them
     * too, MAP_SYNC the extents; neither POSIX nor libpmem promises the size.) */
    if (err == 0 && durable)
        err = stele__file_datasync(fd);
    if (err != 0) {
        stele__file_close(fd);
        (void)unlinkat(dirfd, name, 0);
        return err;
    }
    return fd;
}

int stele__media_file_take(int dirfd, const char *name, uint64_t bytes)
{
    int fd = stele__file_open(dirfd, name, true);
    if (fd < 0)
        return fd;
    uint64_t size = 0, on_disk = 0;
    int err = stele__file_size(fd, &size, &on_disk);
    if (err == 0 && (size != bytes || bytes == 0))
        err = -ENODATA;
    if (err == 0 &&
        on_disk < bytes) /* a sparse copy: without blocks a store could end in SIGBUS on a full disk */
        err = stele__file_fill_holes(fd, bytes);
    if (err != 0) {
        stele__file_close(fd);
        return err;
    }
    return fd;
}

int stele__media_file_map(int fd, uint64_t bytes, int flags, struct stele__map *out)
{
    if (bytes > SIZE_MAX)
        return -EFBIG;
    void *base = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    *out = (struct stele__map){
        .base = base, .bytes = bytes, .fd = fd, .guard = stele__guard_add(base, bytes, true)};
    return 0;
}

int stele__media_file_create(struct stele__media *media, int dirfd, const char *name, uint64_t bytes,
                             mode_t mode, struct stele__map *out)
{
    int fd = stele__media_file_make(dirfd, name, bytes, mode, media->class_ != STELE__MEDIA_NONE);
    if (fd < 0)
        return fd;
    int err = stele__media_file_map(fd, bytes, MAP_SHARED, out);
    if (err != 0) {
        stele__file_close(fd);
        (void)unlinkat(dirfd, name, 0);
    }
    return err;
}

int stele__media_file_open(struct stele__media *media, int dirfd, const char *name, uint64_t bytes,
                           struct stele__map *out)
{
    (void)media;
    int fd = stele__media_file_take(dirfd, name, bytes);
    if (fd < 0)
        return fd;
    int err = stele__media_file_map(fd, bytes, MAP_SHARED, out);
    if (err != 0)
        stele__file_close(fd);
    return err;
}

void stele__media_file_unmap(struct stele__map *map)
{
    stele__guard_remove(map->guard);
    if (map->base != NULL)
        (void)munmap(map->base, (size_t)map->bytes);
    map->guard = NULL;
    map->base = NULL;
}

void stele__media_file_close(struct stele__media *media, struct stele__map *map)
{
    (void)media;
    stele__media_file_unmap(map);
    stele__file_close(map->fd);
    *map = (struct stele__map){.fd = -1};
}

void stele__media_file_populate(struct stele__media *media, const struct stele__map *map, uint64_t offset,
                                uint64_t len)
{
    (void)media;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (offset >= map->bytes || len == 0)
        return;
    uint64_t end = len < map->bytes - offset ? offset + len : map->bytes;
    for (uint64_t at = offset & ~(page - 1); at < end;) {
        uint64_t step = end - at < POPULATE_STEP_BYTES ? end - at : POPULATE_STEP_BYTES;
        int rc;
        do {
            rc = madvise(map->base + at, (size_t)step, MADV_POPULATE_WRITE);
        } while (rc != 0 && errno == EINTR);
        /* EINVAL is an older kernel. Touching pages by hand instead would race with appenders that already
         * store. */
        if (rc != 0)
            return;
        at += step;
    }
}

/* Replaces `to`, like rename(2): that a segment name is free is the core's knowledge, it holds the writer
 * lock. */
int stele__media_file_rename(struct stele__media *media, int dirfd, const char *from, const char *to)
{
    (void)media;
    return renameat(dirfd, from, dirfd, to) != 0 ? -errno : 0;
}

int stele__media_file_unlink(struct stele__media *media, int dirfd, const char *name)
{
    (void)media;
    return unlinkat(dirfd, name, 0) != 0 ? -errno : 0;
}

int stele__media_file_sync_dir(struct stele__media *media, int dirfd)
{
    (void)media;
    return stele__dir_sync(dirfd);
}
