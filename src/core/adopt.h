/* SPDX-License-Identifier: BSD-3-Clause */
/* core/adopt.h: recovery's hands: once the verdict is known, make each segment durable again, cut, seal or
 * take it into the ring. Called by recover.c alone, before anybody appends. Each returns 0 or an error code.
 */
#ifndef STELE_CORE_ADOPT_H
#define STELE_CORE_ADOPT_H

#include "core/examine.h"
#include "core/log.h"

/* Names and control block, too, may live only in a cache when the process before us died between a rename and
 * the sync of the directory, or in the middle of a trim: persist them again before anything is acknowledged
 * or removed. */
int stele__adopt_directory(struct stele *log);

/* A full segment that was not sealed before the crash: persist it again, seal it. */
int stele__adopt_full(struct stele *log, const struct stele__found *found,
                      const struct stele__examined *facts, struct stele__open_segment *open);

/* The segment T lies in: persist what stays, zero what was torn, put it into the ring. */
int stele__adopt_active(struct stele *log, const struct stele__found *found,
                        const struct stele__examined *facts, struct stele__open_segment *open);

/* The same when a quarantined segment follows it: cover the rest with a PAD and seal it, because the LSNs of
 * the gap stay used and the log goes on behind it. */
int stele__adopt_before_gap(struct stele *log, const struct stele__found *found,
                            const struct stele__examined *facts, struct stele__open_segment *open);

/* A whole, empty spare. */
int stele__adopt_spare(struct stele *log, const struct stele__found *found);

/* An opening of class none wrote to this log: persist every byte of every segment, sealed ones too. */
int stele__adopt_unsynced(struct stele *log, struct stele__scan *scan);

#endif
