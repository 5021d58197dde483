/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_truth.h: what a log may and must hold, kept by the test beside the log. The law, after any crash:
 *
 *   - every record that was acknowledged is there, in order, byte for byte, at its position;
 *   - nothing else is there but records appended after them: an unbroken prefix of what was published,
 *     in order of position, up to the first slot that was not published;
 *   - what a recovery has shown once counts as acknowledged, what it has not shown never comes back. */
#ifndef STELE_TEST_SIM_TRUTH_H
#define STELE_TEST_SIM_TRUTH_H

#include <stele/stele.h>

#include "sim_rand.h"

enum sim_state { SIM_SLOT_OPEN, SIM_SLOT_PUBLISHED, SIM_SLOT_ABANDONED };

struct sim_entry {
    stele_lsn lsn;
    uint32_t len;
    uint32_t at; /* of the payload in the pool */
    uint8_t type;
    uint8_t state;
};

#define SIM_BATCH_MAX 12u
struct sim_batch {
    struct stele_entry entries[SIM_BATCH_MAX];
    uint32_t at[SIM_BATCH_MAX];
    size_t count, noted;
};

struct sim_truth {
    struct sim_entry *entries; /* by position */
    size_t count, capacity;
    stele_lsn acked;              /* every record before it was acknowledged */
    stele_lsn first, first_limit; /* the front is here, or, while a trim runs, at most there */
    bool created;                 /* stele_open() has returned the new log */
    struct sim_batch *batch;      /* being appended right now */
    char why[512];                /* what broke the law */
};

/* `len` bytes of payload that differ from record to record; *at finds them again. */
const uint8_t *sim_payload(struct sim_rand *rand, uint32_t len, uint32_t *at);
const uint8_t *sim_payload_at(uint32_t at);
/* From now on other bytes, where all else that is drawn stays: another history of the same shape. 0: the
 * first one. */
void sim_payload_twist(uint32_t twist);

void sim_truth_add(struct sim_truth *truth, stele_lsn lsn, unsigned type, uint32_t len, uint32_t at,
                   enum sim_state state);
struct sim_entry *sim_truth_find(struct sim_truth *truth, stele_lsn lsn);
/* Take over what an append_batch() under way has published so far. */
void sim_truth_note_batch(struct sim_truth *truth);
void sim_truth_copy(struct sim_truth *to, const struct sim_truth *from);
void sim_truth_free(struct sim_truth *truth);

/* Read a log from its beginning: false when a record is shown that is not the next one; truth->why says
 * which. True: `*shown` records were the right ones, then reading ended with `*rc` (0: no more). */
bool sim_truth_read(struct sim_truth *truth, struct stele *log, size_t *shown, int *rc);
/* How many published records begin before `lsn`. */
size_t sim_truth_before(const struct sim_truth *truth, stele_lsn lsn);
/* Hold an open log against the law. False: truth->why says what is broken. True: *shown records are there. */
bool sim_truth_check(struct sim_truth *truth, struct stele *log, size_t *shown);
/* A recovery has returned this log: what it shows is the log now. */
void sim_truth_settle(struct sim_truth *truth, struct stele *log, size_t shown);

#endif
