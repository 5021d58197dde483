/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_run.h: a campaign of images in several processes, one for each core, and what becomes of a failure:
 * it is told with its seed and image, then made smaller: parts of its story are left out (steps, pieces
 * that reached the disk, name changes, looks) as long as it still fails, and what remains is told in
 * words.
 *
 * A campaign takes its story from seeds. It must draw for each step, and for each image, from a stream of
 * its own, so that what is left out changes nothing of the rest. */
#ifndef STELE_TEST_SIM_RUN_H
#define STELE_TEST_SIM_RUN_H

#include "sim_budget.h"

#include <stddef.h>

#define SIM_COUNTS 24u

/* Kinds of parts that can be left out. */
enum sim_part {
    SIM_PART_STEP,
    SIM_PART_KEPT,
    SIM_PART_NAME,
    SIM_PART_IMAGE,
    SIM_PART_LOOK,
    SIM_PART_FAULT,
    SIM_PART_KINDS
};
#define SIM_PART_MAX 4096u /* of a kind, in a world */
#define SIM_PART_WORLDS 3u

struct sim_shared;

struct sim_run {
    struct sim_budget budget;
    struct sim_shared *shared;
    uint32_t worker;
    uint64_t *count;        /* what this worker counts: count[0] are images */
    uint64_t seed, serial;  /* at work: the workload, and its images so far */
    uint64_t step, in_step; /* the address of an image that stays when steps are left out */
    bool replay;            /* one image, with some parts left out */
    bool narrate;           /* and told */
};

struct sim_campaign {
    const char *program; /* "crash/test_crash_images" */
    uint64_t images;     /* of the short form */
    void *(*begin)(struct sim_run *run);
    void (*workload)(void *ctx, uint64_t seed);
    void (*end)(void *ctx);
};

/* Run it. True: no violation, and counts[] are the sums over all workers. */
bool sim_run(const struct sim_campaign *campaign, struct sim_budget *budget, uint64_t counts[SIM_COUNTS]);

/* The next image of the workload: is it looked at? Counts. */
bool sim_run_image(struct sim_run *run);
/* All that was asked for is done: no need to finish this workload. */
bool sim_run_done(const struct sim_run *run);
/* Does this part take place? Always, but in a replay. */
bool sim_run_has(struct sim_run *run, uint32_t world, enum sim_part kind, uint64_t number);
/* The law is broken. What, and why, in words; does not return. */
_Noreturn void sim_run_violation(struct sim_run *run, const char *what, const char *why);
/* A line of the story. */
void sim_run_tell(const struct sim_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For sim_shrink.c. */
struct sim_shared {
    uint64_t counts[SIM_WORKERS][SIM_COUNTS];
    uint64_t seed[SIM_WORKERS], serial[SIM_WORKERS];
    uint64_t step, in_step; /* address of the image that failed */
    bool addressed;
    char what[256]; /* the first failure's: the smaller one must be of the same kind */
    uint8_t parts[SIM_PART_WORLDS][SIM_PART_KINDS][SIM_PART_MAX]; /* enum sim_seen */
};
enum sim_seen { SIM_UNSEEN, SIM_THERE, SIM_LEFT_OUT };
#define SIM_EXIT_VIOLATION 3
/* In a child: how it ended (waitpid's status). `tell`: with the story on stderr. */
int sim__replay(const struct sim_campaign *campaign, struct sim_run *run, bool tell);
void sim__shrink(const struct sim_campaign *campaign, struct sim_run *run);

#endif
