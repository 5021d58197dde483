/* SPDX-License-Identifier: BSD-3-Clause */
/* storm_records.h: what the appenders of test_storm.c write, and how anybody who reads knows that it is right. Length,
 * type and every byte follow from (appender, number). Who appended a record stands in its type, or, where the type is 0,
 * in its first bytes; the number follows from the order, so that an empty record can be told from a missing one. */
#ifndef STELE_TEST_STORM_RECORDS_H
#define STELE_TEST_STORM_RECORDS_H

#include "lib/dir.h"

#include <stdio.h>
#include <string.h>

#define STORM_APPENDERS 32u
#define STORM_LONGEST (SEGMENT_SMALL / 4 - 16) /* the largest record a segment of this size takes */
#define STORM_HEAD 16u                         /* bytes that say who and which, in all but the shortest */

struct shape {
    size_t len;
    unsigned type;
    uint8_t fill;
};

static inline uint64_t storm_mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 32);
}

static inline uint64_t storm_chance(unsigned who, uint64_t number)
{
    return storm_mix(((uint64_t)who + 1) << 48 ^ number);
}

/* Sizes 0 to the largest, most of them small, as logs are. */
static inline struct shape storm_shape(unsigned who, uint64_t number)
{
    uint64_t chance = storm_chance(who, number), size = chance >> 16;
    struct shape shape = {.fill = (uint8_t)(chance >> 8)};
    switch (chance % 128) {
    case 0: shape.len = STORM_LONGEST - size % 4; break;
    case 1:
    case 2: shape.len = size % STORM_LONGEST; break;
    case 3:
    case 4: shape.len = 0; break;
    default: shape.len = size % (chance % 128 < 16 ? 1500 : 120); break;
    }
    bool plain = shape.len >= STORM_HEAD && chance % 3 == 0;
    shape.type = plain ? 0 : 1 + who + STORM_APPENDERS * (unsigned)(size % 3);
    return shape;
}

static inline struct shape storm_compose(unsigned who, uint64_t number, uint8_t *out)
{
    struct shape shape = storm_shape(who, number);
    const uint64_t head[2] = {who, number};
    memset(out, shape.fill, shape.len);
    memcpy(out, head, shape.len < sizeof head ? shape.len : sizeof head);
    return shape;
}

/* What one reader knows of every appender: the number that must come next. */
struct ledger {
    bool known[STORM_APPENDERS]; /* false: it began in the middle and has not met a record with a head yet */
    uint64_t next[STORM_APPENDERS];
};

static inline unsigned storm_who(const struct stele_record *record)
{
    uint64_t who = (record->type - 1) % STORM_APPENDERS;
    if (record->type == 0) {
        must(record->len >= STORM_HEAD);
        memcpy(&who, record->data, sizeof who);
    }
    must(who < STORM_APPENDERS);
    return (unsigned)who;
}

static inline bool storm_is(unsigned who, uint64_t number, const struct stele_record *record)
{
    const struct shape shape = storm_shape(who, number);
    const uint64_t head[2] = {who, number};
    const uint8_t *data = record->data;
    if (record->len != shape.len || record->type != shape.type)
        return false;
    if (shape.len <= sizeof head)
        return memcmp(data, head, shape.len) == 0;
    return memcmp(data, head, sizeof head) == 0 && data[sizeof head] == shape.fill &&
           memcmp(data + sizeof head, data + sizeof head + 1, shape.len - sizeof head - 1) == 0;
}

/* Exactly the next one of its appender, or, of one not met yet, any of its. */
static inline void storm_check(struct ledger *ledger, const struct stele_record *record)
{
    unsigned who = storm_who(record);
    if (!ledger->known[who] && record->len >= STORM_HEAD) {
        memcpy(&ledger->next[who], (const uint8_t *)record->data + 8, 8);
        ledger->known[who] = true;
    }
    if (!ledger->known[who])
        return;
    if (!storm_is(who, ledger->next[who], record))
        fprintf(stderr, "appender %u: record %llu expected at lsn %llu\n", who,
                (unsigned long long)ledger->next[who], (unsigned long long)record->lsn);
    must(storm_is(who, ledger->next[who], record));
    ledger->next[who]++;
}

/* For a reader that begins at the first record ever. */
static inline void ledger_from_begin(struct ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    memset(ledger->known, 1, sizeof ledger->known);
}

#endif
