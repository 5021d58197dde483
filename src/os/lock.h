/* SPDX-License-Identifier: BSD-3-Clause */
/* os/lock.h: open-file-description byte-range locks: they belong to a descriptor, the kernel drops them when
 * the last copy of it is closed, and so when the process dies. 0 or -errno; -EAGAIN: somebody else holds a
 * conflicting one. */
#ifndef STELE_OS_LOCK_H
#define STELE_OS_LOCK_H

#include <stdbool.h>
#include <stdint.h>

int stele__lock_shared(int fd, uint64_t start, uint64_t len);    /* needs a readable descriptor */
int stele__lock_exclusive(int fd, uint64_t start, uint64_t len); /* needs a writable descriptor */
int stele__lock_release(int fd, uint64_t start, uint64_t len);
/* Would an exclusive lock conflict? Returns 1 and the first conflicting range, 0, or -errno.
 * Works on a read-only descriptor. */
int stele__lock_probe(int fd, uint64_t start, uint64_t len, uint64_t *found_start, uint64_t *found_len);

#endif
