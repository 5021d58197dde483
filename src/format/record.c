/* SPDX-License-Identifier: BSD-3-Clause */
/* format/record.c: filling records. The copy and the checksum of a payload run over the same 8-byte words, so that a
 * small record is touched once. Two builds of each loop: with the crc32 instruction and with the table. */
#include "format/record.h"

#define LEN_OFFSET 0
#define TYPE_OFFSET 4
#define EPOCH_OFFSET 5
#define HCHECK_OFFSET 7
_Static_assert(LEN_OFFSET == 0 && TYPE_OFFSET == 4 && EPOCH_OFFSET == 5 && HCHECK_OFFSET == 7 &&
                   STELE__RECORD_HEADER == 16,
               "docs/format.md: record header");

/* Above this size memcpy's wide stores beat the fused word loop; the checksum then reads the source from cache. */
#define FUSED_MAX 256u

struct sums {
    uint64_t raw;    /* running register, not complemented */
    uint64_t word;   /* record word with hcheck */
};

STELE__CRC_TARGET static inline struct sums header_hw(uint64_t word, uint32_t seed, uint32_t dback)
{
    uint64_t raw = stele__crc32c_step64((uint32_t)~seed, word);
    struct sums sums = {0, word | (uint64_t)(~(uint32_t)raw >> 24) << 56};
    sums.raw = stele__crc32c_step64(raw, (uint64_t)dback << 32);
    return sums;
}

static inline void store_second_word(uint8_t *at, uint32_t crc, uint32_t dback)
{
    stele__store64(at + 8, (uint64_t)crc | (uint64_t)dback << 32);
}

static inline uint64_t load_tail(const uint8_t *from, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, from, len); /* 1..7 bytes, the rest is the padding */
    return word;
}

STELE__CRC_TARGET static inline uint64_t copy_words_hw(uint64_t raw, uint8_t *to, const uint8_t *from, size_t len)
{
    for (; len >= 8; len -= 8, to += 8, from += 8) {
        uint64_t word = stele__load64(from);
        stele__store64(to, word);
        raw = stele__crc32c_step64(raw, word);
    }
    if (len > 0) {
        uint64_t word = load_tail(from, len);
        stele__store64(to, word);
        raw = stele__crc32c_step64(raw, word);
    }
    return raw;
}

STELE__CRC_TARGET static uint64_t fill_hw(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback,
                                          const uint8_t *data, size_t len)
{
    struct sums sums = header_hw(word, seed, dback);
    uint8_t *to = at + STELE__RECORD_HEADER;
    if (len <= FUSED_MAX) {
        sums.raw = copy_words_hw(sums.raw, to, data, len);
    } else {
        size_t whole = len & ~(size_t)7;
        memcpy(to, data, whole);
        sums.raw = (uint32_t)~stele__crc32c_hw(~(uint32_t)sums.raw, data, whole);
        sums.raw = copy_words_hw(sums.raw, to + whole, data + whole, len - whole);
    }
    store_second_word(at, ~(uint32_t)sums.raw, dback);
    return sums.word;
}

/* Checksum of a header (hcheck returned through *word) by the table. */
static uint32_t header_table(uint64_t *word, uint32_t seed, uint32_t dback)
{
    uint64_t second = (uint64_t)dback << 32;
    uint32_t crc = stele__crc32c(seed, word, 8);
    *word |= (uint64_t)(crc >> 24) << 56;
    return stele__crc32c(crc, &second, 8);
}

static void zero_padding(uint8_t *at, uint32_t len)
{
    size_t padding = (size_t)(stele__align_up(len, 8) - len);
    memset(at + STELE__RECORD_HEADER + len, 0, padding);
}

uint64_t stele__record_seal(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback)
{
    uint32_t len = stele__word_len(word);
    zero_padding(at, len);
    uint32_t crc = header_table(&word, seed, dback);
    crc = stele__crc32c(crc, at + STELE__RECORD_HEADER, (size_t)stele__align_up(len, 8));
    store_second_word(at, crc, dback);
    return word;
}

uint64_t stele__record_fill(uint8_t *at, uint64_t word, uint32_t seed, uint32_t dback, const void *data, size_t len)
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
        (void)header_table(&fill, seed, 0);
        return fill;
    }
    uint64_t word = stele__word_pack((uint32_t)(bytes - STELE__RECORD_HEADER), STELE__WIRE_PAD, epoch);
    uint32_t crc = header_table(&word, seed, dback);
    store_second_word(at, crc, dback);
    return word;
}

uint64_t stele__record_reserved(uint32_t len, uint16_t epoch, uint32_t seed)
{
    uint64_t word = stele__word_pack(len, STELE__WIRE_RESERVED, epoch);
    (void)header_table(&word, seed, 0);
    return word;
}
