/* SPDX-License-Identifier: BSD-3-Clause */
/* core/prepare.h: the birth and the retirement of a segment. The helper's (or open's, before there is one).
 */
#ifndef STELE_CORE_PREPARE_H
#define STELE_CORE_PREPARE_H

#include "core/log.h"

/* Prepare the segment after the last one of the ring and put it there: allocated, zero, its header durable,
 * named, the directory synced, mapped. Does not open it to appenders: stele__space_open() does. Returns 0 or
 * an error code. */
int stele__prepare_next(struct stele *log);

/* Put a segment that is mapped already into the ring as sequence ring_high. Takes over map and index. */
void stele__ring_add(struct stele *log, const struct stele__seg *seg);

/* Allocate an index buffer for one segment, NULL without memory. */
struct stele__index_entry *stele__index_alloc(const struct stele *log);

/* Unmap the oldest segment of the ring. */
void stele__ring_retire(struct stele *log);

#endif
