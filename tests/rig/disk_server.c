/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/disk_server.c: the FUSE server of rig/disk.h, on the kernel's protocol itself: the root of the mount
 * is the one file there is. It answers one request after the other. */
#include "disk_server.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX (128u << 10) /* what a kernel sends without further negotiation: 32 pages */

struct server {
    int fuse;
    int backing;
    uint64_t bytes;
    struct disk_control *control;
};

/* Nobody waits for an answer that cannot be given: the kernel drops requests of who was killed. */
static void answer(const struct server *server, uint64_t unique, int error, const void *data, size_t len)
{
    struct fuse_out_header out = {.len = (uint32_t)(sizeof out + len), .error = -error, .unique = unique};
    const struct iovec pieces[2] = {{&out, sizeof out}, {(void *)(uintptr_t)data, len}};
    (void)!writev(server->fuse, pieces, len > 0 ? 2 : 1);
}

static bool fails(struct disk_control *control, uint64_t offset, uint64_t len)
{
    int mode = atomic_load(&control->mode);
    bool hit = mode == DISK_FAILS_ALL;
    for (uint32_t i = 0; mode == DISK_FAILS_RANGES && i < control->count; i++)
        hit |= offset < control->ranges[i].to && control->ranges[i].from < offset + len;
    if (hit)
        atomic_fetch_add(&control->failed, 1);
    return hit;
}

static void serve_init(const struct server *server, const struct fuse_in_header *in)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = WRITE_MAX,
                                .flags = FUSE_BIG_WRITES,
                                .max_background = 16,
                                .max_write = WRITE_MAX};
    answer(server, in->unique, 0, &out, sizeof out);
}

static void serve_attributes(const struct server *server, const struct fuse_in_header *in)
{
    struct fuse_attr_out out = {.attr_valid = 3600,
                                .attr = {.ino = FUSE_ROOT_ID,
                                         .size = server->bytes,
                                         .blocks = server->bytes / 512,
                                         .mode = S_IFREG | 0600,
                                         .nlink = 1,
                                         .blksize = 4096}};
    answer(server, in->unique, 0, &out, sizeof out);
}

static void serve_read(const struct server *server, const struct fuse_in_header *in,
                       const struct fuse_read_in *read_in)
{
    static uint8_t buffer[WRITE_MAX];
    size_t len = read_in->size < sizeof buffer ? read_in->size : sizeof buffer;
    ssize_t n = pread(server->backing, buffer, len, (off_t)read_in->offset);
    answer(server, in->unique, n < 0 ? errno : 0, buffer, n < 0 ? 0 : (size_t)n);
}

static void serve_write(const struct server *server, const struct fuse_in_header *in,
                        const struct fuse_write_in *write_in)
{
    const void *data = write_in + 1;
    struct fuse_write_out out = {.size = write_in->size};
    if (fails(server->control, write_in->offset, write_in->size))
        answer(server, in->unique, EIO, NULL, 0);
    else if (pwrite(server->backing, data, write_in->size, (off_t)write_in->offset) !=
             (ssize_t)write_in->size)
        answer(server, in->unique, ENOSPC, NULL, 0);
    else
        answer(server, in->unique, 0, &out, sizeof out);
}

static void serve(const struct server *server, const struct fuse_in_header *in)
{
    const void *body = in + 1;
    const struct fuse_open_out opened = {.fh = 1};
    switch (in->opcode) {
    case FUSE_INIT: serve_init(server, in); break;
    case FUSE_GETATTR:
    case FUSE_SETATTR: serve_attributes(server, in); break;
    case FUSE_OPEN: answer(server, in->unique, 0, &opened, sizeof opened); break;
    case FUSE_READ: serve_read(server, in, body); break;
    case FUSE_WRITE: serve_write(server, in, body); break;
    case FUSE_FSYNC: /* everything answered is on the disk: memory is */
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_DESTROY: answer(server, in->unique, 0, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* these want no answer */
    default: answer(server, in->unique, ENOSYS, NULL, 0);
    }
}

void disk_serve(int fuse, int backing, uint64_t bytes, struct disk_control *control)
{
    const size_t room = WRITE_MAX + 65536;
    const struct server server = {.fuse = fuse, .backing = backing, .bytes = bytes, .control = control};
    uint8_t *buffer = malloc(room);
    while (buffer != NULL) {
        ssize_t n = read(fuse, buffer, room);
        if (n >= (ssize_t)sizeof(struct fuse_in_header))
            serve(&server, (const struct fuse_in_header *)(void *)buffer);
        else if (n >= 0 || (errno != EINTR && errno != EAGAIN && errno != ENOENT))
            break; /* ENODEV: unmounted */
    }
    free(buffer);
}
