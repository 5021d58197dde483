/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_world.h: a log on a simulated medium, with the truth about it, and one thing after another done to it. */
#ifndef STELE_TEST_SIM_WORLD_H
#define STELE_TEST_SIM_WORLD_H

#include "sim.h"
#include "sim_truth.h"

#define SIM_SLOTS 4u
#define SIM_TRACE 48u
#define SIM_SEEN 1024u /* more segments than one workload makes */
#define SIM_SEGMENT STELE_SEGMENT_BYTES_MIN

enum sim_op_kind {
    SIM_DO_APPEND,
    SIM_DO_APPENDV,
    SIM_DO_BATCH,
    SIM_DO_RESERVE,
    SIM_DO_PUBLISH,
    SIM_DO_ABANDON,
    SIM_DO_SYNC,
    SIM_DO_SYNC_BEGIN,
    SIM_DO_STEP,
    SIM_DO_TRIM,
    SIM_DO_CLOSE,
    SIM_DO_KILL,
    SIM_DO_OPEN,
    SIM_DO_KINDS
};

struct sim_trace {
    enum sim_op_kind kind;
    uint64_t lsn, value;
    long rc;
};

struct sim_world {
    struct sim sim;
    struct sim_truth truth;
    struct stele *log; /* NULL while it is closed, or being opened */
    struct stele_slot slots[SIM_SLOTS];
    uint32_t slot_count;
    struct sim_rand rand;
    uint32_t size_style; /* of records: 0 small .. 3 up to the maximum */
    bool lazy;           /* seldom syncs: whole segments are undecided when the power fails */
    bool faulty;         /* a call was made to fail since the log was opened: errors are no surprise */
    struct sim_trace trace[SIM_TRACE];
    uint64_t steps;
    uint64_t incarnations
        [SIM_SEEN]; /* met so far, modulo: sequence + 1 of the segment, and when it was there last */
    uint64_t met_at[SIM_SEEN];
    uint64_t looks;
    uint64_t rolls, trims, opens, kills,
        recycled; /* for the summary: a campaign that meets none of them proves little */
};

void sim_world_open(struct sim_world *world, const char *parent, uint64_t seed);
void sim_world_close(struct sim_world *world);

/* Open (or create) the log with options drawn at random, and hold it against the law. */
int sim_world_start(struct sim_world *world); /* 0, or the code of stele_open() */
bool sim_world_judge(struct sim_world *world);
/* The process dies here: the handle goes, nothing is written. */
void sim_world_kill(struct sim_world *world);

/* Do one thing drawn at random. False: the law or the documented results were broken, truth.why says how. */
bool sim_world_step(struct sim_world *world);
bool sim_world_do(struct sim_world *world, enum sim_op_kind kind);
/* Publish what is open, and have everything acknowledged. */
bool sim_world_sync_all(struct sim_world *world);

/* What was acknowledged up to now: stele_durable() is believed at any moment, also in the middle of a call. */
void sim_world_note(struct sim_world *world);
/* No two segment files of a log ever have the same incarnation (so, the same salt). Call it after every step; forget with
 * sim_world_forget() when another log begins. */
bool sim_world_incarnations(struct sim_world *world);
void sim_world_forget(struct sim_world *world);
void sim_world_print_trace(const struct sim_world *world);

/* For sim_load.c. */
bool sim__surprise(struct sim_world *world, const char *what, long rc);
void sim__remember(struct sim_world *world, enum sim_op_kind kind, uint64_t lsn, uint64_t value, long rc);

#endif
