/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/view.h"

#include "os/file.h"
#include "os/guard.h"

#include <errno.h>
#include <sys/mman.h>

int stele__view_open(int dirfd, const char *name, uint64_t bytes, bool writable, struct stele__view *out)
{
    *out = (struct stele__view){0};
    int fd = stele__file_open(dirfd, name, writable);
    if (fd < 0)
        return fd;
    uint64_t size = 0;
    int rc = stele__file_size(fd, &size, NULL);
    if (rc == 0 && size != bytes)
        rc = -ENODATA;
    void *base = MAP_FAILED;
    if (rc == 0) {
        base = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
        rc = base == MAP_FAILED ? -errno : 0;
    }
    stele__file_close(fd);
    if (rc == 0)
        *out = (struct stele__view){
            .base = base, .bytes = bytes, .guard = stele__guard_add(base, bytes, writable)};
    return rc;
}

void stele__view_close(struct stele__view *view)
{
    stele__guard_remove(view->guard);
    if (view->base != NULL)
        (void)munmap(view->base, view->bytes);
    *view = (struct stele__view){0};
}

void *stele__image_alloc(uint64_t bytes)
{
    void *image = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return image == MAP_FAILED ? NULL : image;
}

void stele__image_free(void *image, uint64_t bytes)
{
    if (image != NULL)
        (void)munmap(image, bytes);
}
