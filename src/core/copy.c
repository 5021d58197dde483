/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/copy.h"

#include "format/name.h"
#include "os/file.h"
#include "os/media.h"

#include <errno.h>
#include <stdlib.h>

/* Large enough to hide the system calls, small enough to stay in the caches. */
#define CHUNK_BYTES (UINT64_C(1) << 18)
#define TEMP_NAME "control.stele.tmp"

int stele__copy_range(int from, int to, uint64_t offset, uint64_t len, uint64_t at)
{
    uint8_t *chunk = malloc(CHUNK_BYTES);
    int rc = chunk == NULL ? -ENOMEM : 0;
    for (uint64_t done = 0; rc == 0 && done < len;) {
        size_t n = (size_t)stele__min_u64(len - done, CHUNK_BYTES);
        rc = stele__file_read(from, chunk, n, offset + done);
        if (rc == 0 && !stele__is_zero(chunk, n))
            rc = stele__file_write(to, chunk, n, at + done);
        else if (rc == 0 && done + n == len) /* the length is part of the copy */
            rc = stele__file_write(to, chunk + n - 1, 1, at + len - 1);
        done += n;
    }
    free(chunk);
    return rc;
}

int stele__copy_create(int dirfd, const char *name, uint64_t bytes, mode_t mode)
{
    int fd = stele__file_create(dirfd, name, mode);
    if (fd < 0 || bytes == 0)
        return fd;
    int rc = stele__file_allocate(fd, bytes);
    if (rc == 0)
        return fd;
    stele__file_close(fd);
    (void)stele__media_file_unlink(NULL, dirfd, name);
    return rc;
}

bool stele__copy_header(uint8_t page[STELE__HEADER_BYTES], struct stele__header *header)
{
    uint32_t copies;
    if (stele__header_decode(page, header, &copies) != STELE__DECODE_OK)
        return false;
    if (copies == 1)
        memcpy(page + STELE__HEADER_COPY, page, STELE__HEADER_COPY);
    else if (copies == 2)
        memcpy(page, page + STELE__HEADER_COPY, STELE__HEADER_COPY);
    return true;
}

mode_t stele__copy_control_mode(int dirfd)
{
    mode_t mode;
    int fd = stele__file_open(dirfd, STELE__CONTROL_NAME, false);
    int rc = fd < 0 ? fd : stele__file_mode(fd, &mode);
    stele__file_close(fd);
    return rc == 0 ? mode : 0600;
}

static int write_control(int fd, const struct stele__control *control)
{
    struct stele__control block = *control;
    uint8_t page[STELE__CONTROL_PAGE];
    int rc = stele__file_allocate(fd, STELE__CONTROL_BYTES);
    for (int i = 0; rc == 0 && i < 2; i++) {
        block.generation++;
        stele__control_encode(page, &block);
        rc = stele__file_write(fd, page, sizeof page, i == 0 ? 0 : STELE__CONTROL_PAGE);
    }
    return rc != 0 ? rc : stele__file_datasync(fd);
}

int stele__copy_control(int dirfd, const struct stele__control *control, mode_t mode)
{
    (void)stele__media_file_unlink(NULL, dirfd, TEMP_NAME); /* of an attempt that was interrupted */
    int fd = stele__file_create(dirfd, TEMP_NAME, mode);
    if (fd < 0)
        return fd;
    int rc = write_control(fd, control);
    stele__file_close(fd);
    if (rc == 0)
        rc = stele__media_file_rename(NULL, dirfd, TEMP_NAME, STELE__CONTROL_NAME);
    if (rc != 0)
        (void)stele__media_file_unlink(NULL, dirfd, TEMP_NAME);
    return rc != 0 ? rc : stele__dir_sync(dirfd);
}
