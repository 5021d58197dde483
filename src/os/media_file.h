/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_file.h: the steps that the back-ends over mapped files are made of. For src/os/media*.c only. */
#ifndef STELE_OS_MEDIA_FILE_H
#define STELE_OS_MEDIA_FILE_H

#include "os/media.h"

/* Create, allocate and, when `durable`, datasync. A descriptor, or -errno and no file left behind. */
int stele__media_file_make(int dirfd, const char *name, uint64_t bytes, mode_t mode, bool durable);
/* Open for writing; -ENODATA when the size is not `bytes`. A descriptor or -errno. */
int stele__media_file_take(int dirfd, const char *name, uint64_t bytes);
/* Map [0, bytes) for writing with these mmap flags and fill *out. The descriptor stays the caller's on
 * failure. */
int stele__media_file_map(int fd, uint64_t bytes, int flags, struct stele__map *out);
/* The map alone; the descriptor stays the caller's. */
void stele__media_file_unmap(struct stele__map *map);

#endif
