/* SPDX-License-Identifier: BSD-3-Clause */
/* core/segtab.h: from a position to an address. Called by whoever owns a slot below `ready`. */
#ifndef STELE_CORE_SEGTAB_H
#define STELE_CORE_SEGTAB_H

#include "core/log.h"

static inline struct stele__seg *stele__segtab_at(struct stele *log, stele_lsn lsn)
{
    return &log->ring[stele__sequence_of(log, lsn) & (STELE__RING - 1)];
}

static inline uint8_t *stele__seg_address(const struct stele *log, const struct stele__seg *seg,
                                          stele_lsn lsn)
{
    return seg->data + (lsn & (log->data_bytes - 1));
}

#endif
