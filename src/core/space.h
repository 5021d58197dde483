/* SPDX-License-Identifier: BSD-3-Clause */
/* core/space.h: waiting for prepared segments. Slow paths only; takes the space lock. A full disk shows here,
 * as an error of the append that found no prepared segment, never as a signal of a store. */
#ifndef STELE_CORE_SPACE_H
#define STELE_CORE_SPACE_H

#include "core/log.h"

int stele__space_init(struct stele *log);
void stele__space_destroy(struct stele *log);

/* Wait until `ready` >= end. Asks the helper for a segment; returns the error of an attempt that began after
 * the call began, or STELE_EFAILED. */
int stele__space_wait(struct stele *log, stele_lsn end);

/* [lsn, lsn + bytes) is reserved by the caller: make it usable, or give it up and return why. */
int stele__space_claim(struct stele *log, stele_lsn lsn, uint64_t bytes);

/* Give up a reserved slot that reaches beyond `ready`: what is mapped is padded now, the rest when it is. */
void stele__space_abandon(struct stele *log, stele_lsn lsn, uint64_t bytes);

/* The helper prepared the segment that begins at `ready` (its ring entry is set): pad what was given up, open
 * it. */
void stele__space_open(struct stele *log);

/* The helper begins to prepare a segment. Whoever waits since before then believes the outcome. */
void stele__space_attempt(struct stele *log);

/* The helper could not: this thread's last error says why. */
void stele__space_refuse(struct stele *log, int code);

#endif
