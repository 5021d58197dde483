/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_records.c: any bytes as a data area: check, scan and walk agree with a second reading of
 * docs/format.md, and touch nothing outside. Where the input asks for it checksums and marks are made right,
 * so that what lies behind them is reached.
 *
 *     flags 1 | salt 4 | base/8 2 | which records to put right, a bit each 4 | from/8 2 | data area */
#include "fuzz.h"

#include "format/chain.h"
#include "format/walk.h"

#define AREA_MAX 1024u

enum { FIX = 1, TRUE_MARKS = 2, SMALL_RECORDS = 4, CHAIN_KNOWN = 8 };
#define CHAIN_START UINT64_C(0x0123456789abcdef)
#define RECORD_NUMBER 1000u

struct facts {
    struct stele__area area;
    uint8_t flags;
    stele_lsn from;
    bool all_true; /* every mark on the way was made right */
};

/* R10 to R12 once more, from the text. */
static uint64_t reference_bytes(const struct stele__area *area, stele_lsn lsn)
{
    const uint8_t *at = area->data + (lsn - area->base);
    const uint64_t left = area->base + area->bytes - lsn;
    const uint32_t len = stele__load32(at), seed = area->salt ^ (uint32_t)(lsn >> 3);
    const uint8_t type = at[4];
    uint8_t bare[8], second[8] = {0};
    memcpy(bare, at, 8);
    bare[7] = 0;
    uint32_t c = fuzz_crc32c(seed, bare, 8);
    if (c >> 24 != at[7])
        return 0;
    if (type == 8)
        return len == 0 ? 8 : 0;
    bool data = type == 1 || (type >= 0x10 && type <= 0x7f);
    if (!data && type != 5 && type != 6)
        return 0;
    if (type == 5 ? len % 8 != 0 : len > area->record_max)
        return 0;
    uint64_t padded = ((uint64_t)len + 7) / 8 * 8;
    if (16 + padded > left)
        return 0;
    memcpy(second + 4, at + 12, 4);
    c = fuzz_crc32c(c, second, 8);
    c = fuzz_crc32c(c, at + 16, type == 5 ? 0 : padded);
    return c == stele__load32(at + 8) ? 16 + padded : 0;
}

static void make_mark_true(uint8_t *payload, stele_lsn lsn, uint64_t chain, uint64_t records)
{
    struct stele__mark mark = {.upto = lsn,
                               .chain = chain,
                               .chain_start = CHAIN_START,
                               .record_number = RECORD_NUMBER + records,
                               .time_ns = stele__load64(payload + 32),
                               .durable = stele__load64(payload + 40) % (lsn + 1)};
    stele__mark_encode(payload, &mark);
}

/* Put checksums right, record after record, as far as lengths lead. */
static void put_right(struct facts *facts, uint8_t *data, uint32_t which)
{
    const struct stele__area *area = &facts->area;
    uint64_t chain = CHAIN_START, records = 0;
    uint32_t number = 0;
    for (uint64_t at = 0; at + 8 <= area->bytes; number++) {
        uint8_t *record = data + at, wire = record[4];
        uint64_t len = stele__load32(record), left = area->bytes - at;
        bool fill = wire == STELE__WIRE_FILL, mark = wire == STELE__WIRE_MARK && len == STELE__MARK_BYTES;
        bool fits = !fill && stele__record_bytes(len) <= left && (wire != STELE__WIRE_PAD || len % 8 == 0);
        if (wire == STELE__WIRE_FREE || (!fill && !fits)) {
            at += 8;
            continue;
        }
        bool asked = (which >> (number % 32) & 1) == 0;
        if (mark && asked && (facts->flags & TRUE_MARKS) != 0)
            make_mark_true(record + 16, area->base + at, chain, records);
        else if (wire == STELE__WIRE_MARK)
            facts->all_true = false;
        if (asked) {
            uint8_t second[8] = {0};
            record[7] = 0;
            uint32_t c = fuzz_crc32c(area->salt ^ (uint32_t)((area->base + at) >> 3), record, 8);
            record[7] = (uint8_t)(c >> 24);
            if (!fill) {
                memcpy(second + 4, record + 12, 4);
                c = fuzz_crc32c(c, second, 8);
                c = fuzz_crc32c(c, record + 16,
                                wire == STELE__WIRE_PAD ? 0 : (size_t)stele__align_up(len, 8));
                stele__store32(record + 8, c);
            }
        }
        chain = stele__chain_fold(chain, record, fill);
        records += stele__wire_is_data(wire) ? 1 : 0;
        at += fill ? 8 : stele__record_bytes(len);
    }
}

static void check_all(const struct facts *facts)
{
    const struct stele__area *area = &facts->area;
    struct stele__record record;
    stele_lsn expected = STELE_LSN_NONE;
    for (stele_lsn lsn = area->base; lsn < area->base + area->bytes; lsn += 8) {
        uint64_t bytes = reference_bytes(area, lsn);
        enum stele__check check = stele__record_check(area, lsn, &record);
        FUZZ_CHECK((check == STELE__RECORD_OK) == (bytes != 0));
        FUZZ_CHECK(stele__check_name(check) != NULL);
        if (bytes == 0)
            continue;
        FUZZ_CHECK(record.lsn == lsn && record.bytes == bytes &&
                   record.wire == area->data[lsn - area->base + 4]);
        FUZZ_CHECK(stele__record_vouches(&record) <= lsn);
        if (expected == STELE_LSN_NONE && lsn >= facts->from && record.wire != STELE__WIRE_FILL)
            expected = lsn;
    }
    FUZZ_CHECK(stele__record_scan(area, facts->from, &record) == expected);
}

static void walk(const struct facts *facts)
{
    const struct stele__area *area = &facts->area;
    const bool known = (facts->flags & CHAIN_KNOWN) != 0;
    struct stele__walk walk;
    struct stele__record record;
    struct stele__mark mark;
    uint64_t chain = CHAIN_START, records = 0;
    uint16_t epoch = 0;
    stele_lsn at = area->base;
    enum stele__step step;
    stele__walk_start(&walk, area);
    if (known)
        stele__walk_chain(&walk, CHAIN_START, RECORD_NUMBER);
    while ((step = stele__walk_next(&walk, &record, &mark)) == STELE__WALK_RECORD) {
        FUZZ_CHECK(record.lsn == at && reference_bytes(area, at) == record.bytes);
        FUZZ_CHECK(record.epoch >= epoch);
        if (record.wire == STELE__WIRE_MARK)
            FUZZ_CHECK(mark.upto <= at && mark.upto >= area->base && mark.durable <= at);
        epoch = record.epoch;
        chain = stele__chain_fold(chain, area->data + (at - area->base), record.wire == STELE__WIRE_FILL);
        records += stele__wire_is_data(record.wire) ? 1 : 0;
        at += record.bytes;
        FUZZ_CHECK(walk.at == at && walk.records == records && walk.chain_at <= at && walk.vouched <= at);
    }
    FUZZ_CHECK(walk.at == at && at - area->base <= area->bytes);
    if (step == STELE__WALK_END) {
        FUZZ_CHECK(at - area->base == area->bytes);
    } else {
        FUZZ_CHECK(walk.check != STELE__RECORD_OK || walk.epoch_fell || walk.mark_error != NULL);
        FUZZ_CHECK((walk.check == STELE__RECORD_OK) == (reference_bytes(area, at) != 0));
        FUZZ_CHECK(walk.check != STELE__RECORD_OK || walk.mark_error == NULL || !facts->all_true);
    }
    stele__walk_fold(&walk);
    FUZZ_CHECK(walk.chain_at == at);
    if (known)
        FUZZ_CHECK(walk.chain == chain && walk.record_number == RECORD_NUMBER + records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    struct facts facts = {.flags = fuzz_u8(&in), .area = {.salt = fuzz_u32(&in)}};
    facts.area.base = (stele_lsn)fuzz_u16(&in) * 8;
    const uint32_t which = fuzz_u32(&in), from = fuzz_u16(&in);
    facts.area.bytes = stele__align_up(in.left < AREA_MAX ? in.left : AREA_MAX, 8);
    facts.area.record_max = (facts.flags & SMALL_RECORDS) != 0 ? 64 : AREA_MAX;
    if (facts.area.bytes == 0)
        return 0;
    uint8_t *bytes = malloc(facts.area.bytes); /* exactly: a sanitizer guards both ends */
    if (bytes == NULL)
        return 0;
    fuzz_take(&in, bytes, facts.area.bytes);
    facts.area.data = bytes;
    facts.from = facts.area.base + from * UINT64_C(8) % facts.area.bytes;
    facts.all_true = (facts.flags & (FIX | TRUE_MARKS)) == (FIX | TRUE_MARKS);
    if ((facts.flags & FIX) != 0)
        put_right(&facts, bytes, which);
    check_all(&facts);
    walk(&facts);
    free(bytes);
    return 0;
}
