/* SPDX-License-Identifier: BSD-3-Clause */
/* core/examine.h: the reader's algorithm over a whole directory, for open, verify and repair alike: walk,
 * find T, look at what follows, collect facts, ask for the verdict. Reads only. */
#ifndef STELE_CORE_EXAMINE_H
#define STELE_CORE_EXAMINE_H

#include "core/scan.h"
#include "core/verdict.h"
#include "format/walk.h"

struct stele__examine_options {
    bool full;     /* walk sealed segments too, and compare hashes and index */
    uint32_t jobs; /* threads for that; 0 = 1 */
    bool live;     /* a writer is at work: look at nothing beyond `live_durable` */
    stele_lsn live_durable;
    stele_problem_fn *problem; /* may be NULL */
    void *ctx;
};

/* A segment that is not sealed and holds a part of the valid log: facts for the committer and the sealer. */
struct stele__open_segment {
    uint64_t sequence;
    uint64_t chain_start, chain_end; /* end: at T or the segment's end */
    bool chain_known; /* else, behind a gap, no mark in it says: a seal would have to invent it */
    uint64_t first_record, records;
    uint64_t first_time_ns, last_time_ns;
    stele_lsn last_mark;              /* or the segment's base */
    struct stele__index_entry *index; /* capacity entries; owned */
    uint64_t index_entries;
};

struct stele__examined {
    enum stele_verdict verdict;
    struct stele__facts facts;
    bool control_foreign; /* the control file is sound, and every segment belongs to another log */
    uint64_t first_sequence;
    uint64_t at_sequence; /* of the segment where the walk ended: T's, or the one that is to blame */
    stele_lsn end;        /* T */
    stele_lsn vouched;    /* everything before it had been durable */
    stele_lsn data_end;   /* end of the last data record before T that lies in an unsealed segment, or T's
                             segment base */
    uint64_t records;     /* valid data records in [first, T) */
    uint64_t end_record;  /* data records of the log before T, trimmed ones included */
    uint64_t end_chain;
    uint64_t end_time_ns;  /* of the last seal before T */
    uint64_t bytes;        /* of log validated */
    uint64_t lost_records; /* valid data records behind T */
    stele_lsn next_valid;  /* the first of them (of any type), or STELE_LSN_NONE */
    uint16_t max_epoch;    /* of any valid record in T's segment */
    uint32_t max_incarnation;
    bool in_segment;         /* T lies inside an existing segment (else at the start of one to be made) */
    bool residue_here;       /* something not zero at or behind T in that segment */
    uint64_t residue_end;    /* offset in its data area behind the last byte that is not zero */
    uint64_t first_unsealed; /* sequence; UINT64_MAX: all sealed */
    uint64_t first_torn;     /* lowest sequence behind T's segment that is not all zero; UINT64_MAX: none */
    struct stele__open_segment *open; /* oldest first; the last one holds T when in_segment */
    size_t open_count;
    uint64_t problems;
    char worst[640]; /* the problem that made it CORRUPT (or TORN), for an error message */
};

/* 0, or STELE_EACCES, STELE_EIO, STELE_ENOMEM. Damage is no error here: see out->verdict. */
int stele__examine(struct stele__scan *scan, const struct stele__examine_options *options,
                   struct stele__examined *out);
void stele__examined_free(struct stele__examined *examined);

#endif
