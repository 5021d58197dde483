/* SPDX-License-Identifier: BSD-3-Clause */
/* hdr.h: a log-linear histogram of durations: 256 exact buckets, then 128 to each power of two, so a
 * percentile is off by less than 1 %, whatever its size. Adding costs a few instructions. */
#ifndef HDR_H
#define HDR_H

#include <stdint.h>

#define HDR_SUB_BITS 7
#define HDR_BUCKETS ((64 - HDR_SUB_BITS + 1) << HDR_SUB_BITS)

struct hdr {
    uint64_t total, max;
    uint64_t counts[HDR_BUCKETS];
};

void hdr_add(struct hdr *hdr, uint64_t value);
void hdr_merge(struct hdr *into, const struct hdr *from);

/* The smallest value that `share` (0..1) of all values do not exceed, rounded up to its bucket's end; 0
 * when there is none. */
uint64_t hdr_percentile(const struct hdr *hdr, double share);

#endif
