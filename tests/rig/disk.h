/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/disk.h: a disk that fails where and when it is told to: a FUSE server of one file over memory, a
 * loop device on that file, a file system on the loop device. Invariant: what the backing memory holds is
 * what the disk has on it; a write that was failed has changed nothing of it. One process uses it; the
 * server is a child of its own that touches no file. */
#ifndef STELE_RIG_DISK_H
#define STELE_RIG_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DISK_RANGES 256u

struct disk_range {
    uint64_t from, to; /* bytes on the device */
};

enum disk_mode { DISK_HEALTHY = 0, DISK_FAILS_RANGES, DISK_FAILS_ALL };

struct disk_control {
    atomic_int mode;
    atomic_uint failed;        /* writes that were refused */
    atomic_uint_fast64_t note; /* the test's own, for what its processes tell each other */
    uint32_t count;
    struct disk_range ranges[DISK_RANGES];
};

struct disk {
    struct disk_control *control; /* shared with the server, and with who joins */
    int shared;                   /* the memfd it is in */
    const char *fs;
    uint64_t bytes;
    int backing; /* a memfd */
    pid_t server;
    int loop;
    bool attached, mounted;
    char export[300]; /* the file that FUSE serves */
    char at[300];     /* where the file system is mounted */
    char device[32];
};

/* NULL: this process can make one here. Else what is missing. */
const char *disk_missing(void);
/* Make the disk, its file system ("ext4" or "xfs") and mount it at `dir`/FS. Fails the test on any error. */
void disk_begin(struct disk *disk, const char *dir, const char *fs);
void disk_end(struct disk *disk);
/* In another program, which inherited the descriptor `shared`: enough to make the disk fail. */
void disk_join(struct disk *disk, int shared, const char *at);
/* Mount what is on the disk anew: after the file system has given up. */
void disk_remount(struct disk *disk);

/* From now on fail writes of bytes [from, to) of this file (it must have its blocks); adds to what fails
 * already. */
void disk_fail_file(struct disk *disk, const char *path, uint64_t from, uint64_t to);
void disk_fail_all(struct disk *disk);
/* Healthy again. Returns how many writes were failed. */
unsigned disk_heal(struct disk *disk);
/* A path through which the content of the disk can be read. */
const char *disk_content(const struct disk *disk);

#endif
