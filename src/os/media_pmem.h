/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media_pmem.h: is this file persistent memory? For media.c, which chooses, and media_pmem.c, which relies
 * on it. */
#ifndef STELE_OS_MEDIA_PMEM_H
#define STELE_OS_MEDIA_PMEM_H

#include <stdbool.h>
#include <stdint.h>

enum stele__pmem_kind {
    STELE__PMEM_NO = 0,
    /* libpmem says yes (PMEM_IS_PMEM_FORCE), but the file lies in the page cache of a disk: no */
    STELE__PMEM_CACHED = 1,
    /* libpmem says yes, and the file's pages are the file: tmpfs, or DAX without MAP_SYNC */
    STELE__PMEM_GIVEN = 2,
    /* the kernel accepted MAP_SYNC: a DAX file system on persistent memory */
    STELE__PMEM_SYNC = 3,
};

/* Map the file behind fd for a moment and say what it is; *sync_errno gets what MAP_SYNC was refused with, or
 * 0. A read-only descriptor is enough: the kernel judges MAP_SYNC by the file, not by the protection. */
enum stele__pmem_kind stele__pmem_probe(int fd, uint64_t bytes, bool writable, int *sync_errno);
/* The platform flushes the caches itself when the power fails (eADR). */
bool stele__pmem_has_auto_flush(void);

#endif
