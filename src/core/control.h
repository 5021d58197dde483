/* SPDX-License-Identifier: BSD-3-Clause */
/* core/control.h: the control file of an open log. */
#ifndef STELE_CORE_CONTROL_H
#define STELE_CORE_CONTROL_H

#include "core/log.h"

/* Create the control file of a new log, durable and named, or map that of an existing one for writing. */
int stele__control_create(struct stele *log);
int stele__control_open(struct stele *log);

/* Write log->control (under control_lock, or alone) as the next generation and make it durable. */
int stele__control_write(struct stele *log);
/* The same; 0 or -errno, for callers that have a message of their own. */
int stele__control_persist(struct stele *log);

/* Record how far the log is durable, if that is news. Takes control_lock. */
int stele__control_advance(struct stele *log);

/* Tell other processes that a writer is at work, by its words and by byte 1 of `lock`, and where its opening cut the
 * log: what a reader saw as published beyond `cut` is gone. 0 or an error. */
int stele__control_announce(struct stele *log, stele_lsn cut);

/* The live words have changed, or the log has failed: wake readers that sleep on them, here and in other
 * processes. */
void stele__control_bump(struct stele *log);

/* Read both blocks of the control file in dirfd. 0: see *result and *copies. -errno (-ENOENT, -ENODATA: no
 * such file, or too short). */
int stele__control_read(int dirfd, struct stele__control *out, enum stele__decode *result, uint32_t *copies);

#endif
