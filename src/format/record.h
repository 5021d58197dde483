/* SPDX-License-Identifier: BSD-3-Clause */
/* format/record.h: the record: 16-byte header, payload, zero padding to 8. docs/format.md is the
 * specification.
 *
 *     off size field
 *      0   4   len      payload bytes
 *      4   1   type     enum stele__wire
 *      5   2   epoch    opens of this segment; never decreases along the walk
 *      7   1   hcheck   top byte of the checksum after these 8 bytes
 *      8   4   crc      crc32c over the padded record with hcheck = crc = 0 (PAD: its header only)
 *     12   4   dback    (own lsn - durable lsn the writer saw) / 8, saturating
 *
 * The first 8 bytes are the record word: one aligned store, published last with release. Until then the slot
 * is free (zero) or RESERVED. Filling is for the slot's owner; checking is for anybody and trusts no byte. */
#ifndef STELE_FORMAT_RECORD_H
#define STELE_FORMAT_RECORD_H

#include "base/bits.h"
#include "base/crc32c.h"

#include <stele/base.h>
#include <sys/uio.h>

#define STELE__RECORD_HEADER 16u
#define STELE__DBACK_NONE UINT32_MAX /* saturated: the record testifies nothing */
#define STELE__EPOCH_MAX UINT16_MAX

enum stele__wire {
    STELE__WIRE_FREE = 0,
    STELE__WIRE_DATA = 1, /* user type 0 */
    STELE__WIRE_PAD = 5,
    STELE__WIRE_MARK = 6,
    STELE__WIRE_FILL = 8, /* a gap of exactly 8 bytes: the record word alone */
    STELE__WIRE_USER_FIRST = 0x10,
    STELE__WIRE_USER_LAST = 0x7f,
    STELE__WIRE_RESERVED = 0x80,
};

/* User type 0 is DATA, 1..112 are 0x10..0x7f. */
static inline uint8_t stele__wire_of_type(unsigned type)
{
    return (uint8_t)(type == 0 ? STELE__WIRE_DATA : STELE__WIRE_USER_FIRST - 1 + type);
}

static inline bool stele__wire_is_data(uint8_t wire)
{
    return wire == STELE__WIRE_DATA || (wire >= STELE__WIRE_USER_FIRST && wire <= STELE__WIRE_USER_LAST);
}

static inline unsigned stele__type_of_wire(uint8_t wire)
{
    return wire == STELE__WIRE_DATA ? 0 : (unsigned)wire - STELE__WIRE_USER_FIRST + 1;
}

/* The record word's parts. hcheck is or-ed in when the record is sealed. */
static inline uint64_t stele__word_pack(uint32_t len, uint8_t wire, uint16_t epoch)
{
    return (uint64_t)len | (uint64_t)wire << 32 | (uint64_t)epoch << 40;
}

static inline uint32_t stele__word_len(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint8_t stele__word_wire(uint64_t word)
{
    return (uint8_t)(word >> 32);
}

static inline uint16_t stele__word_epoch(uint64_t word)
{
    return (uint16_t)(word >> 40);
}

static inline uint8_t stele__word_hcheck(uint64_t word)
{
    return (uint8_t)(word >> 56);
}

#define STELE__WORD_HCHECK_MASK (UINT64_C(0xff) << 56)

/* Bytes a record occupies in the log. */
static inline uint64_t stele__record_bytes(uint64_t len)
{
    return STELE__RECORD_HEADER + stele__align_up(len, 8);
}

/* Largest payload of a segment with `data_bytes` of data: a quarter less the header. */
static inline uint32_t stele__record_max(uint64_t data_bytes)
{
    return (uint32_t)(data_bytes / 4 - STELE__RECORD_HEADER);
}

/* Start value of every checksum at this place: a record that is stale, misdirected or from another segment
 * cannot validate. Within a segment the seeds of all positions differ (lsn/8 modulo 2^32 spans 32 GiB). */
static inline uint32_t stele__record_seed(uint32_t salt, stele_lsn lsn)
{
    return salt ^ (uint32_t)(lsn >> 3);
}

static inline uint32_t stele__dback(stele_lsn lsn, stele_lsn durable)
{
    uint64_t distance = lsn > durable ? (lsn - durable) >> 3 : 0;
    return distance < STELE__DBACK_NONE ? (uint32_t)distance : STELE__DBACK_NONE;
}

/* Copy the payload behind the header at `at`, store crc and dback, and return the record word to publish.
 * `word` is from stele__word_pack(); nothing becomes visible before the caller publishes. */
uint64_t stele__record_fill(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback, const void *data,
                            size_t len);

/* The same for a payload that stands at at+16 already; zeroes the padding behind `len`. */
uint64_t stele__record_seal(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback);

/* Gather `iovcnt` pieces behind the header; follow with stele__record_seal(). */
void stele__record_gather(uint8_t *at, const struct iovec *iov, int iovcnt);

/* Fill header fields of a PAD over `bytes` >= 16, or nothing for a FILL (`bytes` == 8); return the word to
 * publish. */
uint64_t stele__record_pad(uint8_t *at, uint64_t bytes, uint16_t epoch, uint32_t seed, uint32_t dback);

/* The word of an open slot: says how long it is, publishes nothing. */
uint64_t stele__record_reserved(uint32_t len, uint16_t epoch, uint32_t seed);

enum stele__check {
    STELE__RECORD_OK = 0,
    STELE__RECORD_IS_FREE,     /* word zero: never written, or not published */
    STELE__RECORD_IS_RESERVED, /* a slot somebody was filling */
    STELE__RECORD_BAD_TYPE,
    STELE__RECORD_BAD_HCHECK,
    STELE__RECORD_BAD_LEN,
    STELE__RECORD_BAD_CRC,
};

struct stele__record {
    stele_lsn lsn;
    uint64_t bytes; /* to step over it */
    const uint8_t *payload;
    uint32_t len;
    uint32_t crc;
    uint32_t dback;
    uint16_t epoch;
    uint8_t wire;
};

/* Where records are checked: one segment's data area, or a part of it. */
struct stele__area {
    const uint8_t *data; /* data[0] is at base */
    uint64_t bytes;
    stele_lsn base;
    uint32_t salt;
    uint32_t record_max;
};

/* Check the record at `lsn` of `area` (base <= lsn < base + bytes, 8-aligned). The word is loaded with
 * acquire [P2], so this also serves readers of a log that is being written. Touches nothing outside the area.
 * *out is filled only with STELE__RECORD_OK. */
enum stele__check stele__record_check(const struct stele__area *area, stele_lsn lsn,
                                      struct stele__record *out);

/* The next position >= `from` at which a whole valid record other than a FILL stands, or STELE_LSN_NONE: one
 * flipped bit must not hide what follows it. `*out` means something only with a position. */
stele_lsn stele__record_scan(const struct stele__area *area, stele_lsn from, struct stele__record *out);

/* A few words for messages: "checksum differs". */
const char *stele__check_name(enum stele__check check);

/* What a valid record says was durable: the LSN below which everything had been, 0 when it says nothing. */
static inline stele_lsn stele__record_vouches(const struct stele__record *record)
{
    uint64_t distance = (uint64_t)record->dback << 3;
    bool says =
        record->wire != STELE__WIRE_FILL && record->dback != STELE__DBACK_NONE && distance <= record->lsn;
    return says ? record->lsn - distance : 0;
}

#endif
