/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/replay_log.h: the log of writes that QEMU's blklogwrites driver leaves, in the format of the kernel's
 * dm-log-writes: a superblock, then for each request an entry of one sector and its data. Read only. */
#ifndef STELE_RIG_REPLAY_LOG_H
#define STELE_RIG_REPLAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_SECTOR 512u

struct rig_entry {
    uint64_t offset;     /* on the device, bytes */
    uint64_t len;        /* bytes; 0: a flush alone */
    const uint8_t *data; /* NULL: discarded, reads as zero */
    bool flush;          /* what was answered before is durable once this one is */
};

struct rig_recording {
    struct rig_entry *entries;
    size_t count;
    void *map;
    size_t bytes;
};

/* Map and parse the file; on a malformed one prints why and ends the program. */
void rig_recording_load(struct rig_recording *recording, const char *path);

#endif
