/* SPDX-License-Identifier: BSD-3-Clause */
/* format/chain.h: the chain over record headers: order, completeness and origin of everything before a point.
 * chain' = XXH3_64(header bytes, seed = chain); the header holds the payload's checksum. */
#ifndef STELE_FORMAT_CHAIN_H
#define STELE_FORMAT_CHAIN_H

#include "base/bits.h"

/* Where the chain of a log begins: the first 8 bytes of its uuid. */
static inline uint64_t stele__chain_origin(const uint8_t uuid[16])
{
    return stele__load64(uuid);
}

/* Fold in the record whose header stands at `at`: 8 bytes for a FILL, 16 for all others. */
uint64_t stele__chain_fold(uint64_t chain, const uint8_t *at, bool fill);

/* XXH3_64, seed 0: hashes of a sealed segment's data area and index. */
uint64_t stele__hash64(const void *data, size_t len);

#endif
