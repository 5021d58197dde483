/* SPDX-License-Identifier: BSD-3-Clause */
/* format/segment.c: sizes, and the header. */
#include "format/segment.h"

#include "base/crc32c.h"

#define MAGIC "STELESEG"
#define CHECKSUM_CRC32C 1u
#define CHAIN_XXH3_64 1u

/* Offsets of docs/format.md, "Segment header". */
enum {
    AT_MAGIC = 0,
    AT_MAJOR = 8,
    AT_MINOR = 10,
    AT_HEADER_BYTES = 12,
    AT_INCOMPAT = 16,
    AT_RO_COMPAT = 24,
    AT_UUID = 32,
    AT_SEQUENCE = 48,
    AT_BASE = 56,
    AT_CREATED = 64,
    AT_SALT = 72,
    AT_INCARNATION = 76,
    AT_DATA_LOG2 = 80,
    AT_CHECKSUM = 81,
    AT_CHAIN = 82,
    AT_METADATA_BYTES = 84,
    AT_RESERVED = 88,
    AT_CRC = 124
};
_Static_assert(AT_UUID + 16 == AT_SEQUENCE && AT_CRC + 4 == STELE__HEADER_FIXED,
               "docs/format.md: segment header");

uint64_t stele__index_capacity(uint64_t data_bytes)
{
    return data_bytes / STELE__INDEX_STRIDE + 1; /* one at the start, one per full stride after it */
}

uint64_t stele__segment_file_bytes(uint64_t data_bytes)
{
    uint64_t index = stele__align_up(stele__index_capacity(data_bytes) * STELE__INDEX_ENTRY, 4096);
    return STELE__HEADER_BYTES + data_bytes + index + UINT64_C(2) * STELE__FOOTER_COPY;
}

uint32_t stele__salt(const uint8_t uuid[16], uint32_t incarnation)
{
    /* The finalizer of MurmurHash3 (Appleby): every step can be undone, so distinct inputs give distinct
     * salts. */
    uint32_t h = incarnation + stele__load32(uuid + 8);
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

static uint32_t header_crc(const uint8_t *copy, uint32_t metadata_bytes)
{
    uint32_t crc = stele__crc32c(0, copy, AT_CRC);
    return stele__crc32c(crc, copy + STELE__HEADER_FIXED, metadata_bytes);
}

void stele__header_encode(uint8_t out[STELE__HEADER_BYTES], const struct stele__header *header)
{
    memset(out, 0, STELE__HEADER_BYTES);
    memcpy(out + AT_MAGIC, MAGIC, 8);
    stele__store16(out + AT_MAJOR, STELE_FORMAT_VERSION);
    stele__store16(out + AT_MINOR, 0);
    stele__store32(out + AT_HEADER_BYTES, STELE__HEADER_BYTES);
    stele__store64(out + AT_INCOMPAT, header->incompat);
    stele__store64(out + AT_RO_COMPAT, header->ro_compat);
    memcpy(out + AT_UUID, header->uuid, 16);
    stele__store64(out + AT_SEQUENCE, header->sequence);
    stele__store64(out + AT_BASE, header->base);
    stele__store64(out + AT_CREATED, header->created_ns);
    stele__store32(out + AT_SALT, header->salt);
    stele__store32(out + AT_INCARNATION, header->incarnation);
    out[AT_DATA_LOG2] = header->data_log2;
    out[AT_CHECKSUM] = CHECKSUM_CRC32C;
    out[AT_CHAIN] = CHAIN_XXH3_64;
    stele__store32(out + AT_METADATA_BYTES, header->metadata_bytes);
    memcpy(out + STELE__HEADER_FIXED, header->metadata, header->metadata_bytes);
    stele__store32(out + AT_CRC, header_crc(out, header->metadata_bytes));
    memcpy(out + STELE__HEADER_COPY, out, STELE__HEADER_COPY);
}

static bool fields_possible(const struct stele__header *header)
{
    uint64_t bytes = header->data_log2 < 64 ? UINT64_C(1) << header->data_log2 : 0;
    return bytes >= STELE_SEGMENT_BYTES_MIN && bytes <= STELE_SEGMENT_BYTES_MAX &&
           header->sequence < UINT64_C(1) << (63 - header->data_log2) &&
           header->base == header->sequence << header->data_log2;
}

static enum stele__decode decode_copy(const uint8_t *in, struct stele__header *out)
{
    if (memcmp(in + AT_MAGIC, MAGIC, 8) != 0)
        return STELE__DECODE_MAGIC;
    uint32_t metadata_bytes = stele__load32(in + AT_METADATA_BYTES);
    if (metadata_bytes > STELE_METADATA_MAX || header_crc(in, metadata_bytes) != stele__load32(in + AT_CRC))
        return STELE__DECODE_CRC;
    memset(out, 0, sizeof *out);
    out->incompat = stele__load64(in + AT_INCOMPAT);
    out->ro_compat = stele__load64(in + AT_RO_COMPAT);
    if (stele__load16(in + AT_MAJOR) != STELE_FORMAT_VERSION || out->incompat != 0 ||
        in[AT_CHECKSUM] != CHECKSUM_CRC32C || in[AT_CHAIN] != CHAIN_XXH3_64)
        return STELE__DECODE_VERSION;
    memcpy(out->uuid, in + AT_UUID, 16);
    out->sequence = stele__load64(in + AT_SEQUENCE);
    out->base = stele__load64(in + AT_BASE);
    out->created_ns = stele__load64(in + AT_CREATED);
    out->salt = stele__load32(in + AT_SALT);
    out->incarnation = stele__load32(in + AT_INCARNATION);
    out->data_log2 = in[AT_DATA_LOG2];
    out->metadata_bytes = metadata_bytes;
    memcpy(out->metadata, in + STELE__HEADER_FIXED, metadata_bytes);
    bool sized = stele__load32(in + AT_HEADER_BYTES) == STELE__HEADER_BYTES;
    return sized && fields_possible(out) ? STELE__DECODE_OK : STELE__DECODE_FIELD;
}

enum stele__decode stele__header_decode(const uint8_t in[STELE__HEADER_BYTES], struct stele__header *out,
                                        uint32_t *copies)
{
    struct stele__header other;
    memset(&other, 0, sizeof other);
    memset(out, 0, sizeof *out);
    enum stele__decode a = decode_copy(in, out);
    enum stele__decode b = decode_copy(in + STELE__HEADER_COPY, &other);
    *copies = a == STELE__DECODE_OK ? 1u : 0u;
    if (b == STELE__DECODE_OK && (*copies == 0 || memcmp(out, &other, sizeof other) == 0))
        *copies |= 2u;
    if (a != STELE__DECODE_OK)
        *out = other;
    if (a == STELE__DECODE_VERSION || b == STELE__DECODE_VERSION)
        return STELE__DECODE_VERSION; /* even beside a familiar copy: somebody newer was here */
    if (*copies != 0)
        return STELE__DECODE_OK;
    return a != STELE__DECODE_MAGIC ? a : b;
}

const char *stele__decode_name(enum stele__decode result)
{
    switch (result) {
    case STELE__DECODE_OK: return "valid";
    case STELE__DECODE_MAGIC: return "no magic number";
    case STELE__DECODE_VERSION: return "another format version or an unknown feature";
    case STELE__DECODE_CRC: return "checksum differs";
    case STELE__DECODE_FIELD: return "a field is out of range";
    }
    return "unknown";
}
