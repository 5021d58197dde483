/* SPDX-License-Identifier: BSD-3-Clause */
/* format/mark.h: the payload of a MARK record: what the chain was at a point the committer had reached. */
#ifndef STELE_FORMAT_MARK_H
#define STELE_FORMAT_MARK_H

#include "format/record.h"

#define STELE__MARK_BYTES 56u /* payload; the record takes 72 */

struct stele__mark {
    stele_lsn upto; /* everything before it is in `chain`; in the mark's own segment, <= the mark's lsn */
    uint64_t chain; /* at upto */
    uint64_t chain_start;   /* at the first byte of this segment */
    uint64_t record_number; /* data records of the log before upto, trimmed ones included */
    uint64_t time_ns;       /* realtime clock, never running backwards within a log; a hint */
    stele_lsn durable;      /* the durable point its writer had reached */
};

void stele__mark_encode(uint8_t out[STELE__MARK_BYTES], const struct stele__mark *mark);
/* False when len or the reserved bytes are wrong. */
bool stele__mark_decode(const uint8_t *payload, uint32_t len, struct stele__mark *out);

#endif
