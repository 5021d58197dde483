/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/chain.h"

/* Inlined: the exported function of a distribution's libxxhash is built for SSE2 and takes a call per 16
 * bytes. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t stele__chain_fold(uint64_t chain, const uint8_t *at, bool fill)
{
    return XXH3_64bits_withSeed(at, fill ? 8 : 16, chain);
}

uint64_t stele__hash64(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}
