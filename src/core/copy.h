/* SPDX-License-Identifier: BSD-3-Clause */
/* core/copy.h: copies of pieces of a log, durable before anything relies on them. For backup and repair. */
#ifndef STELE_CORE_COPY_H
#define STELE_CORE_COPY_H

#include "format/control.h"
#include "format/segment.h"

#include <sys/types.h>

/* Copy [offset, offset + len) of `from` to `at` in `to`, a file that is zero there: zeroes are left out.
 * 0 or -errno; -ENODATA: `from` ends before. */
int stele__copy_range(int from, int to, uint64_t offset, uint64_t len, uint64_t at);

/* Make the file `name` of `bytes` zero bytes, with blocks. A descriptor, or -errno and no file. */
int stele__copy_create(int dirfd, const char *name, uint64_t bytes, mode_t mode);

/* A segment's header page with both copies made whole from the valid one. False: none is valid. */
bool stele__copy_header(uint8_t page[STELE__HEADER_BYTES], struct stele__header *header);

/* Permission bits of the file "control", or of what a log's files have by default. */
mode_t stele__copy_control_mode(int dirfd);

/* Write the file "control" with both blocks, under a temporary name first; durable, and the directory too. */
int stele__copy_control(int dirfd, const struct stele__control *control, mode_t mode);

#endif
