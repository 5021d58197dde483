/* SPDX-License-Identifier: BSD-3-Clause */
/* format/check.c: is there a valid record here? Every field is covered by a check before it is used: the
 * length by hcheck and by the bounds before anything is stepped over or read. */
#include "format/record.h"

#include "base/assert.h"

static bool known_wire(uint8_t wire)
{
    return stele__wire_is_data(wire) || wire == STELE__WIRE_PAD || wire == STELE__WIRE_MARK ||
           wire == STELE__WIRE_FILL;
}

/* Bytes the record occupies, 0 when its length cannot be. `left` reaches to the end of the area. */
static uint64_t plausible_bytes(uint64_t word, uint64_t left, uint32_t record_max)
{
    uint32_t len = stele__word_len(word);
    uint8_t wire = stele__word_wire(word);
    if (wire == STELE__WIRE_FILL)
        return len == 0 ? 8 : 0;
    if (wire != STELE__WIRE_PAD && len > record_max)
        return 0;
    if (wire == STELE__WIRE_PAD && len % 8 != 0)
        return 0;
    uint64_t bytes = stele__record_bytes(len);
    return bytes <= left ? bytes : 0;
}

static bool crc_matches(const uint8_t *at, uint32_t crc, uint32_t stored, uint32_t dback, uint64_t covered)
{
    uint64_t second = (uint64_t)dback << 32;
    crc = stele__crc32c(crc, &second, 8);
    return stele__crc32c(crc, at + STELE__RECORD_HEADER, (size_t)covered) == stored;
}

enum stele__check stele__record_check(const struct stele__area *area, stele_lsn lsn,
                                      struct stele__record *out)
{
    STELE__ASSERT(lsn % 8 == 0 && lsn >= area->base && lsn - area->base < area->bytes);
    const uint8_t *at = area->data + (lsn - area->base);
    /* [P2] ACQUIRE pairs with the RELEASE store [P1] in stele__tail_publish(): a non-zero word means that
     * every byte of the record stored before it is visible. Relaxed, a valid record could fail its checksum
     * here. */
    uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_acquire);
    if (word == 0)
        return STELE__RECORD_IS_FREE;
    uint8_t wire = stele__word_wire(word);
    bool reserved = wire == STELE__WIRE_RESERVED;
    if (!reserved && !known_wire(wire))
        return STELE__RECORD_BAD_TYPE;
    uint64_t bare = word & ~STELE__WORD_HCHECK_MASK;
    uint32_t crc = stele__crc32c(stele__record_seed(area->salt, lsn), &bare, 8);
    if ((uint8_t)(crc >> 24) != stele__word_hcheck(word))
        return STELE__RECORD_BAD_HCHECK;
    if (reserved)
        return STELE__RECORD_IS_RESERVED;
    uint64_t bytes = plausible_bytes(word, area->base + area->bytes - lsn, area->record_max);
    if (bytes == 0)
        return STELE__RECORD_BAD_LEN;
    struct stele__record record = {.lsn = lsn,
                                   .bytes = bytes,
                                   .payload = at + STELE__RECORD_HEADER,
                                   .len = stele__word_len(word),
                                   .epoch = stele__word_epoch(word),
                                   .wire = wire};
    if (wire != STELE__WIRE_FILL) {
        record.crc = stele__load32(at + 8);
        record.dback = stele__load32(at + 12);
        uint64_t covered = wire == STELE__WIRE_PAD ? 0 : bytes - STELE__RECORD_HEADER;
        if (!crc_matches(at, crc, record.crc, record.dback, covered))
            return STELE__RECORD_BAD_CRC;
    }
    *out = record;
    return STELE__RECORD_OK;
}

stele_lsn stele__record_scan(const struct stele__area *area, stele_lsn from, struct stele__record *out)
{
    const stele_lsn end = area->base + area->bytes;
    for (stele_lsn lsn = from; lsn < end; lsn += 8) {
        /* Zero words are most of an unwritten tail: skip them a line at a time. */
        while (lsn % 64 == 0 && lsn + 64 <= end && stele__is_zero(area->data + (lsn - area->base), 64))
            lsn += 64;
        /* A FILL testifies nothing, and its 8 bits of check are too few for bytes that may be anything. */
        bool valid = lsn < end && stele__record_check(area, lsn, out) == STELE__RECORD_OK;
        if (valid && out->wire != STELE__WIRE_FILL)
            return lsn;
    }
    return STELE_LSN_NONE;
}

const char *stele__check_name(enum stele__check check)
{
    switch (check) {
    case STELE__RECORD_OK: return "valid";
    case STELE__RECORD_IS_FREE: return "no record (zero)";
    case STELE__RECORD_IS_RESERVED: return "a slot reserved but never published";
    case STELE__RECORD_BAD_TYPE: return "unknown record type";
    case STELE__RECORD_BAD_HCHECK: return "header check differs";
    case STELE__RECORD_BAD_LEN: return "impossible length";
    case STELE__RECORD_BAD_CRC: return "checksum differs";
    }
    return "unknown";
}
