/* SPDX-License-Identifier: BSD-3-Clause */
/* format/walk.h: the reader's walk over one segment: every record in order, until the end of the data area or
 * the first place where no valid record stands. Collects facts; judges nothing. Used by recovery, verify,
 * repair and inspect. */
#ifndef STELE_FORMAT_WALK_H
#define STELE_FORMAT_WALK_H

#include "format/mark.h"
#include "format/record.h"

struct stele__walk {
    struct stele__area area;
    stele_lsn at;   /* next record */
    uint16_t epoch; /* highest so far; records may not fall below it */

    /* The chain lags behind `at`: it is folded only as far as a mark or the end asks for. */
    bool chain_known; /* the start was given, or a mark said it */
    uint64_t chain_start;
    uint64_t chain;
    stele_lsn chain_at;
    uint64_t record_number; /* data records of the log before chain_at */
    uint64_t folded;        /* those of them in this area */
    bool record_number_known;

    uint64_t records;   /* data records between the start and `at` */
    stele_lsn vouched;  /* highest durable point any record testifies to */
    stele_lsn data_end; /* end of the last data record, or the start */
    uint64_t time_ns;   /* of the last mark, 0 before one */

    /* Set by the step that returned STELE__WALK_STOP: */
    enum stele__check check; /* why: not OK, or OK with one of the two below */
    bool epoch_fell;
    const char *mark_error; /* a mark that contradicts the walk: NULL or what differs */
};

enum stele__step {
    STELE__WALK_RECORD, /* *out is a valid record; the walk stands behind it */
    STELE__WALK_END,    /* the data area is full */
    STELE__WALK_STOP,   /* no valid record at `at`; see check, epoch_fell, mark_error */
};

/* Begin at the start of `area`. chain_start and record_number may be unknown: the first mark says them. */
void stele__walk_start(struct stele__walk *walk, const struct stele__area *area);
void stele__walk_chain(struct stele__walk *walk, uint64_t chain_start, uint64_t record_number);

/* Step over one record. *out must not be NULL. For a MARK, *mark is filled in as well (may be NULL). */
enum stele__step stele__walk_next(struct stele__walk *walk, struct stele__record *out,
                                  struct stele__mark *mark);

/* Fold the chain up to `at`, so that chain and record_number hold there. For the end of a walk: a mark that
 * comes later may point to before `at` and would be called a contradiction. */
void stele__walk_fold(struct stele__walk *walk);

#endif
