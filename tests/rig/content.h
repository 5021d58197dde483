/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/content.h: what the recorder tells the replayer. Invariant: a record's bytes follow from its first
 * 40 alone, so that whoever finds one can say whether it was ever appended; a mark is written to the
 * device only after what it says has become true. Callers: rig/appender.c writes both, rig/law.c reads
 * both. */
#ifndef STELE_RIG_CONTENT_H
#define STELE_RIG_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/stele.h>

#define RIG_LOGS 4u        /* recorded at once on one file system; their directories are log0, log1, ... */
#define RIG_THREADS 8u     /* of one log */
#define RIG_GENERATIONS 64 /* openings of one log in a recording */
#define RIG_RECORD_MIN 40u
#define RIG_RECORD_MAX 16000u
#define RIG_BLOCK 4096u    /* a mark is one block behind the file system */
#define RIG_MARK_SLOTS 64u /* blocks there, used in turn */

enum rig_mark_kind {
    RIG_MARK_START = 1, /* mounted; from here on the power may fail */
    RIG_MARK_CREATED,   /* stele_open() of a new log has returned: it exists */
    RIG_MARK_SHOWN,     /* an opening has shown `count` records of `thread`, the last at `lsn` */
    RIG_MARK_ACK,       /* the first `count` records of `thread` are durable, the last stands at `lsn` */
    RIG_MARK_TRIMMING,  /* stele_trim(lsn) is about to be called */
    RIG_MARK_TRIMMED,   /* it has returned; the log begins at `lsn` */
    RIG_MARK_END,
};

struct rig_mark {
    char magic[8]; /* RIG_MAGIC */
    uint32_t kind;
    uint32_t log;
    uint32_t thread;
    uint32_t generation;
    uint64_t count;
    uint64_t lsn;
};
#define RIG_MAGIC "STELEMRK"

/* The first bytes of every record. */
struct rig_head {
    uint32_t log;
    uint32_t thread;
    uint64_t number;     /* counts up in each thread, from 0, without a hole */
    uint64_t previous;   /* LSN of the thread's record before this one; STELE_LSN_NONE: not known */
    uint32_t generation; /* of the process that appended it */
    uint32_t len;        /* of the whole payload */
    uint64_t seed;       /* of what follows */
};
_Static_assert(sizeof(struct rig_head) == RIG_RECORD_MIN, "the head has no padding");

/* The mixer of SplitMix64: neighbouring numbers give unrelated ones. */
static inline uint64_t rig_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Make the record that `head` (but for len and seed, which are set) describes; returns its length. */
size_t rig_record(struct rig_head *head, uint64_t dice, uint8_t out[RIG_RECORD_MAX]);
/* Is this a record that rig_record() made, every byte of it? */
bool rig_is_record(const void *data, size_t len, struct rig_head *head);

#endif
