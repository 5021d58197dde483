/* SPDX-License-Identifier: BSD-3-Clause */
/* storm_append.h: the ways in which the appenders of test_storm.c append their records (storm_records.h). Each returns the
 * LSN of the last one. `data` has room for STORM_BATCH of the longest. */
#ifndef STELE_TEST_STORM_APPEND_H
#define STELE_TEST_STORM_APPEND_H

#include "stress/storm_records.h"

#include <sched.h>

#define STORM_BATCH 9u

/* A call that waits for space while it holds an open slot waits for itself: one slot at a time. */
static inline stele_lsn storm_append_slot(struct stele *log, unsigned who, uint64_t number)
{
    const uint64_t chance = storm_chance(who, number);
    const struct shape shape = storm_shape(who, number);
    struct stele_slot slot;
    if (chance % 5 == 0) {
        succeeds(stele_reserve(log, shape.type, chance % 700, &slot));
        memset(slot.data, 0x5a, slot.len);
        succeeds(stele_abandon(log, &slot));
    }
    size_t more = shape.len < STORM_LONGEST - 300 ? chance % 300 : 0;
    succeeds(stele_reserve(log, shape.type, shape.len + more, &slot));
    stele_lsn lsn = slot.lsn;
    if (chance % 7 == 0)
        sched_yield(); /* the frontier stands in front of it meanwhile */
    (void)storm_compose(who, number, slot.data);
    succeeds(stele_publish(log, &slot, shape.len));
    return lsn;
}

static inline stele_lsn storm_append_gathered(struct stele *log, unsigned who, uint64_t number, uint8_t *data)
{
    const struct shape shape = storm_compose(who, number, data);
    const size_t first = shape.len / 3, second = shape.len / 2 - first;
    const struct iovec iov[] = {{data, first},
                                {data + first, second},
                                {NULL, 0},
                                {data + first + second, shape.len - first - second}};
    stele_lsn lsn;
    succeeds(stele_appendv(log, shape.type, iov, 4, &lsn));
    return lsn;
}

static inline stele_lsn storm_append_one(struct stele *log, unsigned who, uint64_t number, uint8_t *data)
{
    const struct shape shape = storm_compose(who, number, data);
    const struct iovec iov = {data, shape.len};
    stele_lsn lsn;
    if (shape.type == 0)
        succeeds(stele_append(log, data, shape.len, &lsn));
    else
        succeeds(stele_appendv(log, shape.type, &iov, 1, &lsn));
    return lsn;
}

static inline stele_lsn storm_append_batch(struct stele *log, unsigned who, uint64_t number, uint64_t count,
                                           uint8_t *data)
{
    struct stele_entry entries[STORM_BATCH];
    for (uint64_t i = 0; i < count; i++) {
        const struct shape shape = storm_compose(who, number + i, data + i * STORM_LONGEST);
        entries[i] =
            (struct stele_entry){.data = data + i * STORM_LONGEST, .len = shape.len, .type = shape.type};
    }
    must(stele_append_batch(log, entries, count) == (long)count);
    for (uint64_t i = 1; i < count; i++)
        must(entries[i].lsn > entries[i - 1].lsn);
    return entries[count - 1].lsn;
}

#endif
