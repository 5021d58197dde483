/* SPDX-License-Identifier: BSD-3-Clause */
/* format/footer.c: the seal of a segment. */
#include "format/segment.h"

#include "base/crc32c.h"

#define MAGIC "STELEEND"

/* Offsets of docs/format.md, "Footer". */
enum {
    AT_MAGIC = 0,
    AT_UUID = 8,
    AT_SEQUENCE = 24,
    AT_SALT = 32,
    AT_INCARNATION = 36,
    AT_END = 40,
    AT_FIRST_RECORD = 48,
    AT_RECORDS = 56,
    AT_CHAIN_START = 64,
    AT_CHAIN_END = 72,
    AT_FIRST_TIME = 80,
    AT_LAST_TIME = 88,
    AT_INDEX_ENTRIES = 96,
    AT_INDEX_HASH = 104,
    AT_DATA_HASH = 112,
    AT_RESERVED = 120,
    AT_CRC = 124
};
_Static_assert(AT_UUID + 16 == AT_SEQUENCE && AT_CRC + 4 == STELE__FOOTER_FIXED, "docs/format.md: footer");

void stele__footer_encode(uint8_t out[2 * STELE__FOOTER_COPY], const struct stele__footer *footer)
{
    memset(out, 0, UINT64_C(2) * STELE__FOOTER_COPY);
    memcpy(out + AT_MAGIC, MAGIC, 8);
    memcpy(out + AT_UUID, footer->uuid, 16);
    stele__store64(out + AT_SEQUENCE, footer->sequence);
    stele__store32(out + AT_SALT, footer->salt);
    stele__store32(out + AT_INCARNATION, footer->incarnation);
    stele__store64(out + AT_END, footer->end);
    stele__store64(out + AT_FIRST_RECORD, footer->first_record);
    stele__store64(out + AT_RECORDS, footer->records);
    stele__store64(out + AT_CHAIN_START, footer->chain_start);
    stele__store64(out + AT_CHAIN_END, footer->chain_end);
    stele__store64(out + AT_FIRST_TIME, footer->first_time_ns);
    stele__store64(out + AT_LAST_TIME, footer->last_time_ns);
    stele__store64(out + AT_INDEX_ENTRIES, footer->index_entries);
    stele__store64(out + AT_INDEX_HASH, footer->index_hash);
    stele__store64(out + AT_DATA_HASH, footer->data_hash);
    stele__store32(out + AT_CRC, stele__crc32c(0, out, AT_CRC));
    memcpy(out + STELE__FOOTER_COPY, out, STELE__FOOTER_COPY);
}

static enum stele__decode decode_copy(const uint8_t *in, struct stele__footer *out)
{
    if (memcmp(in + AT_MAGIC, MAGIC, 8) != 0)
        return STELE__DECODE_MAGIC;
    if (stele__crc32c(0, in, AT_CRC) != stele__load32(in + AT_CRC))
        return STELE__DECODE_CRC;
    memset(out, 0, sizeof *out);
    memcpy(out->uuid, in + AT_UUID, 16);
    out->sequence = stele__load64(in + AT_SEQUENCE);
    out->salt = stele__load32(in + AT_SALT);
    out->incarnation = stele__load32(in + AT_INCARNATION);
    out->end = stele__load64(in + AT_END);
    out->first_record = stele__load64(in + AT_FIRST_RECORD);
    out->records = stele__load64(in + AT_RECORDS);
    out->chain_start = stele__load64(in + AT_CHAIN_START);
    out->chain_end = stele__load64(in + AT_CHAIN_END);
    out->first_time_ns = stele__load64(in + AT_FIRST_TIME);
    out->last_time_ns = stele__load64(in + AT_LAST_TIME);
    out->index_entries = stele__load64(in + AT_INDEX_ENTRIES);
    out->index_hash = stele__load64(in + AT_INDEX_HASH);
    out->data_hash = stele__load64(in + AT_DATA_HASH);
    return STELE__DECODE_OK;
}

enum stele__decode stele__footer_decode(const uint8_t in[2 * STELE__FOOTER_COPY], struct stele__footer *out,
                                        uint32_t *copies)
{
    struct stele__footer other;
    memset(&other, 0, sizeof other);
    memset(out, 0, sizeof *out);
    enum stele__decode a = decode_copy(in, out);
    enum stele__decode b = decode_copy(in + STELE__FOOTER_COPY, &other);
    *copies = a == STELE__DECODE_OK ? 1u : 0u;
    if (b == STELE__DECODE_OK && (*copies == 0 || memcmp(out, &other, sizeof other) == 0))
        *copies |= 2u;
    if (a != STELE__DECODE_OK)
        *out = other;
    if (*copies != 0)
        return STELE__DECODE_OK;
    return a != STELE__DECODE_MAGIC ? a : b;
}

bool stele__footer_fits(const struct stele__footer *footer, const struct stele__header *header)
{
    uint64_t data_bytes = UINT64_C(1) << header->data_log2;
    return memcmp(footer->uuid, header->uuid, 16) == 0 && footer->sequence == header->sequence &&
           footer->salt == header->salt && footer->incarnation == header->incarnation &&
           footer->end == header->base + data_bytes && footer->records <= data_bytes / 16 &&
           footer->first_record + footer->records >= footer->first_record &&
           footer->index_entries <= stele__index_capacity(data_bytes);
}

bool stele__footer_find(const uint8_t in[2 * STELE__FOOTER_COPY], const struct stele__header *header,
                        struct stele__footer *out, uint32_t *copies)
{
    struct stele__footer other;
    memset(&other, 0, sizeof other);
    memset(out, 0, sizeof *out);
    bool a = decode_copy(in, out) == STELE__DECODE_OK && stele__footer_fits(out, header);
    bool b = decode_copy(in + STELE__FOOTER_COPY, &other) == STELE__DECODE_OK &&
             stele__footer_fits(&other, header) && (!a || memcmp(out, &other, sizeof other) == 0);
    if (!a)
        *out = other;
    *copies = (a ? 1u : 0u) | (b ? 2u : 0u);
    return a || b;
}
