/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/control.h"

#include "base/crc32c.h"

#define MAGIC "STELECTL"

/* Offsets of docs/format.md, "Control file". */
enum {
    AT_MAGIC = 0,
    AT_MAJOR = 8,
    AT_MINOR = 10,
    AT_DATA_LOG2 = 12,
    AT_FLAGS = 13,
    AT_INCOMPAT = 16,
    AT_RO_COMPAT = 24,
    AT_UUID = 32,
    AT_GENERATION = 48,
    AT_FIRST_SEQUENCE = 56,
    AT_FIRST_CHAIN = 64,
    AT_FIRST_RECORD = 72,
    AT_DURABLE = 80,
    AT_CREATED = 88,
    AT_INCARNATION = 96,
    AT_RESERVED = 100,
    AT_CRC = 124,
    BLOCK_BYTES = 128
};
_Static_assert(AT_UUID + 16 == AT_GENERATION && AT_CRC + 4 == BLOCK_BYTES, "docs/format.md: control block");
_Static_assert(sizeof(struct stele__live) == 48 && offsetof(struct stele__live, commits) == 32,
               "docs/format.md: live page");

void stele__control_encode(uint8_t out[STELE__CONTROL_PAGE], const struct stele__control *control)
{
    memset(out, 0, STELE__CONTROL_PAGE);
    memcpy(out + AT_MAGIC, MAGIC, 8);
    stele__store16(out + AT_MAJOR, STELE_FORMAT_VERSION);
    out[AT_DATA_LOG2] = control->data_log2;
    out[AT_FLAGS] = control->flags;
    stele__store64(out + AT_INCOMPAT, control->incompat);
    stele__store64(out + AT_RO_COMPAT, control->ro_compat);
    memcpy(out + AT_UUID, control->uuid, 16);
    stele__store64(out + AT_GENERATION, control->generation);
    stele__store64(out + AT_FIRST_SEQUENCE, control->first_sequence);
    stele__store64(out + AT_FIRST_CHAIN, control->first_chain);
    stele__store64(out + AT_FIRST_RECORD, control->first_record);
    stele__store64(out + AT_DURABLE, control->durable);
    stele__store64(out + AT_CREATED, control->created_ns);
    stele__store32(out + AT_INCARNATION, control->incarnation);
    stele__store32(out + AT_CRC, stele__crc32c(0, out, AT_CRC));
}

static enum stele__decode decode_block(const uint8_t *in, struct stele__control *out)
{
    if (memcmp(in + AT_MAGIC, MAGIC, 8) != 0)
        return STELE__DECODE_MAGIC;
    if (stele__crc32c(0, in, AT_CRC) != stele__load32(in + AT_CRC))
        return STELE__DECODE_CRC;
    *out = (struct stele__control){.generation = stele__load64(in + AT_GENERATION),
                                   .first_sequence = stele__load64(in + AT_FIRST_SEQUENCE),
                                   .first_chain = stele__load64(in + AT_FIRST_CHAIN),
                                   .first_record = stele__load64(in + AT_FIRST_RECORD),
                                   .durable = stele__load64(in + AT_DURABLE),
                                   .created_ns = stele__load64(in + AT_CREATED),
                                   .incompat = stele__load64(in + AT_INCOMPAT),
                                   .ro_compat = stele__load64(in + AT_RO_COMPAT),
                                   .incarnation = stele__load32(in + AT_INCARNATION),
                                   .data_log2 = in[AT_DATA_LOG2],
                                   .flags = in[AT_FLAGS]};
    memcpy(out->uuid, in + AT_UUID, 16);
    if (stele__load16(in + AT_MAJOR) != STELE_FORMAT_VERSION || out->incompat != 0)
        return STELE__DECODE_VERSION;
    uint64_t bytes = out->data_log2 < 64 ? UINT64_C(1) << out->data_log2 : 0;
    bool possible = bytes >= STELE_SEGMENT_BYTES_MIN && bytes <= STELE_SEGMENT_BYTES_MAX &&
                    out->first_sequence < UINT64_C(1) << (63 - out->data_log2) && out->durable % 8 == 0;
    return possible ? STELE__DECODE_OK : STELE__DECODE_FIELD;
}

enum stele__decode stele__control_decode(const uint8_t in[2 * STELE__CONTROL_PAGE],
                                         struct stele__control *out, uint32_t *copies)
{
    struct stele__control block[2];
    memset(block, 0, sizeof block);
    enum stele__decode a = decode_block(in, &block[0]);
    enum stele__decode b = decode_block(in + STELE__CONTROL_PAGE, &block[1]);
    *copies = (a == STELE__DECODE_OK ? 1u : 0u) | (b == STELE__DECODE_OK ? 2u : 0u);
    bool take_b =
        b == STELE__DECODE_OK && (a != STELE__DECODE_OK || block[1].generation > block[0].generation);
    *out = block[take_b ? 1 : 0];
    out->block = take_b ? 1 : 0;
    if (a == STELE__DECODE_VERSION || b == STELE__DECODE_VERSION)
        return STELE__DECODE_VERSION; /* even beside a familiar block: somebody newer was here */
    if (*copies != 0)
        return STELE__DECODE_OK;
    return a != STELE__DECODE_MAGIC ? a : b;
}
