/* SPDX-License-Identifier: BSD-3-Clause */
/* format/segment.h: the segment file: 4 KiB header | data area of 2^k bytes | index | footer A | footer B.
 * The header holds only what is known when the segment is prepared; the footer is its seal. Both have two
 * copies in different sectors, each with its own checksum; either serves. */
#ifndef STELE_FORMAT_SEGMENT_H
#define STELE_FORMAT_SEGMENT_H

#include "base/bits.h"

#include <stele/base.h>

#define STELE__HEADER_BYTES 4096u
#define STELE__HEADER_COPY 2048u /* distance of copy B from copy A */
#define STELE__HEADER_FIXED 128u /* metadata follows */
#define STELE__FOOTER_COPY 4096u /* size of a copy's page; 128 bytes of it mean something */
#define STELE__FOOTER_FIXED 128u
#define STELE__INDEX_ENTRY 24u
#define STELE__INDEX_STRIDE 65536u /* an entry at least so many bytes of log after the one before */

_Static_assert(STELE__HEADER_FIXED + STELE_METADATA_MAX == STELE__HEADER_COPY,
               "metadata fills a header copy");

struct stele__header {
    uint8_t uuid[16];
    uint64_t sequence;
    stele_lsn base;
    uint64_t created_ns;
    uint64_t incompat;  /* feature flags; version 1 knows none */
    uint64_t ro_compat; /* unknown bit: may be read, not written */
    uint32_t salt;
    uint32_t incarnation;
    uint8_t data_log2;
    uint32_t metadata_bytes;
    uint8_t metadata[STELE_METADATA_MAX];
};

struct stele__footer {
    uint8_t uuid[16];
    uint64_t sequence;
    uint32_t salt; /* of the header: a footer left by an earlier life of the file does not fit */
    uint32_t incarnation;
    stele_lsn end;
    uint64_t first_record; /* data records of the log before this segment */
    uint64_t records;      /* data records in it */
    uint64_t chain_start, chain_end;
    uint64_t first_time_ns, last_time_ns;
    uint64_t index_entries;
    uint64_t index_hash; /* XXH3_64 of the entries */
    uint64_t data_hash;  /* XXH3_64 of the data area */
};

struct stele__index_entry {
    uint64_t record_number; /* data records of the log before lsn */
    stele_lsn lsn;          /* of a record */
    uint64_t time_ns;       /* everything before lsn was published before this time */
};
_Static_assert(sizeof(struct stele__index_entry) == STELE__INDEX_ENTRY,
               "index entries are stored as they are");

/* Sizes and offsets, all from the size of the data area. */
uint64_t stele__index_capacity(uint64_t data_bytes); /* entries */
uint64_t stele__segment_file_bytes(uint64_t data_bytes);
static inline uint64_t stele__index_offset(uint64_t data_bytes)
{
    return STELE__HEADER_BYTES + data_bytes;
}
static inline uint64_t stele__footer_offset(uint64_t data_bytes)
{
    return stele__segment_file_bytes(data_bytes) - 2 * STELE__FOOTER_COPY;
}

/* Bijective in `incarnation` for one log: salts repeat only after 2^32 prepared segments. */
uint32_t stele__salt(const uint8_t uuid[16], uint32_t incarnation);

enum stele__decode {
    STELE__DECODE_OK = 0,
    STELE__DECODE_MAGIC,   /* not such a structure at all */
    STELE__DECODE_VERSION, /* sound, but of another format version or with an unknown incompatible feature */
    STELE__DECODE_CRC,     /* checksum differs */
    STELE__DECODE_FIELD,   /* checksum right, a field out of range */
};

/* `*copies`: bit 0 copy A valid, bit 1 copy B. OK when one is and neither is of another version. Otherwise
 * the more telling of the two findings. When both are valid and differ, A counts and B is reported invalid.
 */
void stele__header_encode(uint8_t out[STELE__HEADER_BYTES], const struct stele__header *header);
enum stele__decode stele__header_decode(const uint8_t in[STELE__HEADER_BYTES], struct stele__header *out,
                                        uint32_t *copies);

/* `in`/`out`: both footer pages, 2 * STELE__FOOTER_COPY bytes. */
void stele__footer_encode(uint8_t out[2 * STELE__FOOTER_COPY], const struct stele__footer *footer);
enum stele__decode stele__footer_decode(const uint8_t in[2 * STELE__FOOTER_COPY], struct stele__footer *out,
                                        uint32_t *copies);
/* Does this footer belong to this header, and are its fields possible? */
bool stele__footer_fits(const struct stele__footer *footer, const struct stele__header *header);

/* The same, where the header is known: a copy that belongs to another segment does not count. False: no copy
 * serves. */
bool stele__footer_find(const uint8_t in[2 * STELE__FOOTER_COPY], const struct stele__header *header,
                        struct stele__footer *out, uint32_t *copies);

const char *stele__decode_name(enum stele__decode result);

#endif
