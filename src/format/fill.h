/* SPDX-License-Identifier: BSD-3-Clause */
/* format/fill.h: filling a small record with the crc32 instruction, inline because the calls would cost as
 * much as the work. For format/record.c and for the append path, where stele__crc32c_has_hw() said yes;
 * everybody else calls stele__record_fill(). */
#ifndef STELE_FORMAT_FILL_H
#define STELE_FORMAT_FILL_H

#include "format/record.h"

/* Above this size memcpy's wide stores beat the fused word loop; the checksum then reads the source from
 * cache. */
#define STELE__FUSED_MAX 256u

struct stele__sums {
    uint64_t raw;  /* running register, not complemented */
    uint64_t word; /* record word with hcheck */
};

STELE__CRC_TARGET static inline struct stele__sums stele__fill_header(uint64_t word, uint32_t seed,
                                                                      uint32_t dback)
{
    uint64_t raw = stele__crc32c_step64((uint32_t)~seed, word);
    struct stele__sums sums = {0, word | (uint64_t)(~(uint32_t)raw >> 24) << 56};
    sums.raw = stele__crc32c_step64(raw, (uint64_t)dback << 32);
    return sums;
}

static inline void stele__fill_second_word(uint8_t *at, uint32_t crc, uint32_t dback)
{
    stele__store64(at + 8, (uint64_t)crc | (uint64_t)dback << 32);
}

/* The last 1..7 bytes of a payload of `len`, padded with zeroes. */
static inline uint64_t stele__fill_last_word(const uint8_t *data, size_t len)
{
    const size_t rest = len % 8;
    if (STELE__LIKELY(len >= 8)) /* together with bytes before them: one load instead of a loop */
        return stele__load64(data + len - 8) >> (64 - 8 * rest);
    uint64_t word = 0;
    for (size_t i = 0; i < rest; i++)
        word |= (uint64_t)data[i] << (8 * i);
    return word;
}

/* Copy a payload, padded, and carry the register over it. */
STELE__CRC_TARGET static inline uint64_t stele__fill_payload(uint64_t raw, uint8_t *to, const uint8_t *data,
                                                             size_t len)
{
    const size_t whole = len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = stele__load64(data + i);
        stele__store64(to + i, word);
        raw = stele__crc32c_step64(raw, word);
    }
    if (whole < len) {
        uint64_t word = stele__fill_last_word(data, len);
        stele__store64(to + whole, word);
        raw = stele__crc32c_step64(raw, word);
    }
    return raw;
}

/* A record of at most STELE__FUSED_MAX bytes, as stele__record_fill(). */
STELE__CRC_TARGET static inline uint64_t stele__fill_small(uint8_t *at, uint64_t word, uint32_t seed,
                                                           uint32_t dback, const uint8_t *data, size_t len)
{
    struct stele__sums sums = stele__fill_header(word, seed, dback);
    sums.raw = stele__fill_payload(sums.raw, at + STELE__RECORD_HEADER, data, len);
    stele__fill_second_word(at, ~(uint32_t)sums.raw, dback);
    return sums.word;
}

/* The same in two steps: what can be known of the checksum before the record's place is, and the rest. The
 * register after header and payload is that after the header, moved over the payload's length, xor that
 * after the payload alone. */
STELE__CRC_TARGET static inline uint64_t stele__fill_sum(const uint8_t *data, size_t len)
{
    const size_t whole = len & ~(size_t)7;
    uint64_t raw = 0;
    for (size_t i = 0; i < whole; i += 8)
        raw = stele__crc32c_step64(raw, stele__load64(data + i));
    return whole < len ? stele__crc32c_step64(raw, stele__fill_last_word(data, len)) : raw;
}

STELE__CRC_TARGET static inline uint64_t stele__fill_summed(uint8_t *at, uint64_t word, uint32_t seed,
                                                            uint32_t dback, const uint8_t *data, size_t len,
                                                            uint64_t sum)
{
    struct stele__sums sums = stele__fill_header(word, seed, dback);
    sums.raw = stele__crc32c_move(sums.raw, (unsigned)(len + 7) / 8) ^ sum;
    uint8_t *to = at + STELE__RECORD_HEADER;
    size_t i = 0;
    for (; i + 16 <= len; i += 16)
        memcpy(to + i, data + i, 16);
    if (i + 8 <= len) {
        stele__store64(to + i, stele__load64(data + i));
        i += 8;
    }
    if (i < len)
        stele__store64(to + i, stele__fill_last_word(data, len));
    stele__fill_second_word(at, ~(uint32_t)sums.raw, dback);
    return sums.word;
}

#endif
