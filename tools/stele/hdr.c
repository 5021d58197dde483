/* SPDX-License-Identifier: BSD-3-Clause */
/* hdr.c: see hdr.h. */
#include "hdr.h"

#define SUB (1u << HDR_SUB_BITS)

/* Bucket of a value: with the leading bit at e > 7, its 8 leading bits, shifted by one block per e. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HDR_SUB_BITS;
    return (shift << HDR_SUB_BITS) + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2 * SUB)
        return bucket;
    unsigned shift = (bucket >> HDR_SUB_BITS) - 1;
    uint64_t lead = (bucket & (SUB - 1)) | SUB;
    return (lead << shift) + ((UINT64_C(1) << shift) - 1);
}

void hdr_add(struct hdr *hdr, uint64_t value)
{
    hdr->counts[bucket_of(value)]++;
    hdr->total++;
    if (value > hdr->max)
        hdr->max = value;
}

void hdr_merge(struct hdr *into, const struct hdr *from)
{
    for (unsigned i = 0; i < HDR_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->total += from->total;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t hdr_percentile(const struct hdr *hdr, double share)
{
    double exact = share * (double)hdr->total;
    uint64_t wanted = (uint64_t)exact;
    if ((double)wanted < exact || wanted == 0)
        wanted++;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HDR_BUCKETS; i++) {
        seen += hdr->counts[i];
        if (seen >= wanted && hdr->total > 0)
            return bucket_end(i) < hdr->max ? bucket_end(i) : hdr->max;
    }
    return hdr->max;
}
