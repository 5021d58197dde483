/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_world.h: a log on a simulated medium, with the truth about it, and one thing after another done to
 * it. */
#ifndef STELE_TEST_SIM_WORLD_H
#define STELE_TEST_SIM_WORLD_H

#include "sim.h"
#include "sim_truth.h"

#define SIM_SLOTS 6u
#define SIM_SEEN 512u /* more segments than one workload makes */
#define SIM_SEGMENT STELE_SEGMENT_BYTES_MIN

enum sim_op_kind {
    SIM_DO_APPEND,
    SIM_DO_APPENDV,
    SIM_DO_BATCH,
    SIM_DO_RESERVE,
    SIM_DO_FILL,
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

/* An appender with a slot: reserved, filled by pieces, published or given up, in any order among the
 * others. */
struct sim_appender {
    struct stele_slot slot;
    size_t filled;
};

/* Incarnations met so far, modulo SIM_SEEN. */
struct sim_salts {
    uint64_t made
        [SIM_SEEN]; /* when its header was made, which tells one life of a file from another; 0: not met */
    bool durable[SIM_SEEN]; /* it was on the disk, under a segment's name */
};

struct sim_world {
    struct sim sim;
    struct sim_truth truth;
    struct stele *log; /* NULL while it is closed, or being opened */
    struct sim_appender slots[SIM_SLOTS];
    uint32_t slot_count;
    struct sim_rand rand;
    uint32_t size_style; /* of records: 0 small .. 3 up to the maximum */
    bool crowded;        /* many slots at once */
    bool lazy;           /* seldom syncs: whole segments are undecided when the power fails */
    bool trouble;        /* calls may fail while it is opened again */
    bool faulty;         /* a call was made to fail since the log was opened: errors are no surprise */
    struct sim_salts salts;
    uint64_t rolls, trims, opens, kills,
        recycled; /* for the summary: a campaign that meets none of them proves little */
};

void sim_world_open(struct sim_world *world, uint64_t seed);
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

/* What was acknowledged up to now: stele_durable() is believed at any moment, also in the middle of a
 * call. */
void sim_world_note(struct sim_world *world);
/* No two segment files of a log ever have the same incarnation (so, the same salt). Call it after every
 * step. */
bool sim_world_incarnations(struct sim_world *world);
/* `world` is what a crash of `from` has left: it forgets what only memory knew, unless the process died
 * alone. */
void sim_world_inherit(struct sim_world *world, const struct sim_world *from, bool killed);
/* Begin with an empty directory. */
void sim_world_new_log(struct sim_world *world);

/* For sim_load.c. */
bool sim__surprise(struct sim_world *world, const char *what, long rc);
/* A step in words, when the story is told. */
void sim__tell(struct sim_world *world, enum sim_op_kind kind, uint64_t lsn, uint64_t value, long rc);

#endif
