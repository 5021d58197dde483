/* SPDX-License-Identifier: BSD-3-Clause */
/* core/owner.h: the file "lock": who may write, and who it is. The lock itself is the kernel's (an
 * open-file-description lock on byte 0), so it dies with its holder; the text in the file only names the
 * holder and is believed only while byte 0 is locked. The bytes far behind the text are readers' pins. */
#ifndef STELE_CORE_OWNER_H
#define STELE_CORE_OWNER_H

#include <stdint.h>
#include <sys/types.h>

#define STELE__LOCK_WRITER UINT64_C(0)
/* Locked, besides, while the live words of the control file are the holder's: recovery and repair hold only
 * byte 0. */
#define STELE__LOCK_LIVE UINT64_C(1)
/* A pin on segment s is a shared lock on byte PIN_BASE + s: nobody can trim what is locked. Far above any
 * text, far below the end of offsets: sequences stay below 2^47 (63 bits of position less 16 of the smallest
 * segment). */
#define STELE__LOCK_PIN_BASE (UINT64_C(1) << 40)

struct stele__owner {
    int64_t pid;
    uint64_t start_ns; /* realtime clock when the lock was taken */
    char command[32];
};

/* Take the writer lock on `lockfd` (the file "lock", open for writing), then write down who has it, if the
 * disk has room. 0; -EAGAIN when somebody else does; -errno, and the lock is not held. It goes with the
 * last copy of the descriptor. */
int stele__owner_lock(int lockfd);

/* Who holds the writer lock of the log in `dirfd`? 1: somebody does, and *out says who (pid -1: the text is
 * not there yet or cannot be read). 0: nobody, *out is zero but pid -1. -errno. Never waits, never changes
 * anything. */
int stele__owner_read(int dirfd, struct stele__owner *out);

/* Is byte `which` of the log's lock file locked by anybody? 1, 0 (also without such a file), or -errno. */
int stele__owner_holds(int dirfd, uint64_t which);

/* STELE_ELOCKED, with the holder's pid, name and start time as this thread's last error. `path` is the
 * log's. */
int stele__owner_refuse(int dirfd, const char *path);

/* Open the file "lock" of the log in `dirfd`, make it when there is none, and take the writer lock. Returns
 * the descriptor that holds it, or an error code. */
int stele__owner_take(int dirfd, const char *path, mode_t mode);

#endif
