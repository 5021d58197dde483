/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/mark.h"

void stele__mark_encode(uint8_t out[STELE__MARK_BYTES], const struct stele__mark *mark)
{
    stele__store64(out + 0, mark->upto);
    stele__store64(out + 8, mark->chain);
    stele__store64(out + 16, mark->chain_start);
    stele__store64(out + 24, mark->record_number);
    stele__store64(out + 32, mark->time_ns);
    stele__store64(out + 40, mark->durable);
    stele__store64(out + 48, 0);
}

bool stele__mark_decode(const uint8_t *payload, uint32_t len, struct stele__mark *out)
{
    if (len != STELE__MARK_BYTES || stele__load64(payload + 48) != 0)
        return false;
    *out = (struct stele__mark){.upto = stele__load64(payload + 0),
                                .chain = stele__load64(payload + 8),
                                .chain_start = stele__load64(payload + 16),
                                .record_number = stele__load64(payload + 24),
                                .time_ns = stele__load64(payload + 32),
                                .durable = stele__load64(payload + 40)};
    return true;
}
