/* SPDX-License-Identifier: BSD-3-Clause */
/* format/record.c: filling records. The copy and the checksum of a payload run over the same 8-byte words,
 * so that a small record is touched once. Two builds of each loop: with the crc32 instruction and with the
 * table. */
#include "format/fill.h"

#define LEN_OFFSET 0
#define TYPE_OFFSET 4
#define EPOCH_OFFSET 5
#define HCHECK_OFFSET 7
_Static_assert(LEN_OFFSET == 0 && TYPE_OFFSET == 4 && EPOCH_OFFSET == 5 && HCHECK_OFFSET == 7 &&
                   STELE__RECORD_HEADER == 16,
               "docs/format.md: record header");

STELE__CRC_TARGET static uint64_t fill_hw(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback,
                                          const uint8_t *data, size_t len)
{
    if (len <= STELE__FUSED_MAX)
        return stele__fill_small(at, word, seed, dback, data, len);
    struct stele__sums sums = stele__fill_header(word, seed, dback);
    uint8_t *to = at + STELE__RECORD_HEADER;
    const size_t whole = len & ~(size_t)7;
    memcpy(to, data, whole);
    sums.raw = (uint32_t)~stele__crc32c_hw(~(uint32_t)sums.raw, data, whole);
    sums.raw = stele__fill_payload(sums.raw, to + whole, data + whole, len - whole);
    stele__fill_second_word(at, ~(uint32_t)sums.raw, dback);
    return sums.word;
}

/* Checksum of a header (hcheck returned through *word) by the table. */
static uint32_t header_table(uint64_t *word, uint32_t seed, uint32_t dback)
{
    uint64_t second = (uint64_t)dback << 32;
    uint32_t crc = stele__crc32c_table(seed, word, 8);
    *word |= (uint64_t)(crc >> 24) << 56;
    return stele__crc32c_table(crc, &second, 8);
}

STELE__CRC_TARGET static uint32_t header_sum_hw(uint64_t *word, uint32_t seed, uint32_t dback)
{
    struct stele__sums sums = stele__fill_header(*word, seed, dback);
    *word = sums.word;
    return ~(uint32_t)sums.raw;
}

static inline uint32_t header(uint64_t *word, uint32_t seed, uint32_t dback)
{
    return STELE__LIKELY(stele__crc32c_has_hw()) ? header_sum_hw(word, seed, dback)
                                                 : header_table(word, seed, dback);
}

static inline void zero_padding(uint8_t *at, uint32_t len)
{
    uint8_t *end = at + STELE__RECORD_HEADER + len;
    for (; len % 8 != 0; len++)
        *end++ = 0;
}

uint64_t stele__record_seal(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback)
{
    uint32_t len = stele__word_len(word);
    zero_padding(at, len);
    uint32_t crc = header(&word, seed, dback);
    crc = stele__crc32c(crc, at + STELE__RECORD_HEADER, (size_t)stele__align_up(len, 8));
    stele__fill_second_word(at, crc, dback);
    return word;
}

uint64_t stele__record_fill(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback, const void *data,
                            size_t len)
{
    if (STELE__LIKELY(stele__crc32c_has_hw()))
        return fill_hw(at, word, seed, dback, data, len);
    if (len > 0) /* NULL is a legal empty payload */
        memcpy(at + STELE__RECORD_HEADER, data, len);
    return stele__record_seal(at, word, seed, dback);
}

void stele__record_gather(uint8_t *at, const struct iovec *iov, int iovcnt)
{
    uint8_t *to = at + STELE__RECORD_HEADER;
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len == 0)
            continue;
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
}

uint64_t stele__record_pad(uint8_t *at, uint64_t bytes, uint16_t epoch, uint32_t seed, uint32_t dback)
{
    if (bytes < STELE__RECORD_HEADER) {
        uint64_t fill = stele__word_pack(0, STELE__WIRE_FILL, epoch);
        (void)header(&fill, seed, 0);
        return fill;
    }
    uint64_t word = stele__word_pack((uint32_t)(bytes - STELE__RECORD_HEADER), STELE__WIRE_PAD, epoch);
    uint32_t crc = header(&word, seed, dback);
    stele__fill_second_word(at, crc, dback);
    return word;
}

uint64_t stele__record_reserved(uint32_t len, uint16_t epoch, uint32_t seed)
{
    uint64_t word = stele__word_pack(len, STELE__WIRE_RESERVED, epoch);
    (void)header(&word, seed, 0);
    return word;
}
