/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_budget.h: how much a campaign does, from the environment:
 *
 *   STELE_SIM_IMAGES    so many images; else the test's own number, a hundredth of it under a sanitizer
 *   STELE_TEST_MINUTES  more than 0: go on for so long instead
 *   STELE_SIM_WORKERS   processes; else as many as there are cores, at most 16
 *   STELE_SEED          the first seed; the next ones count up
 *   STELE_SIM_IMAGE     only this image of the first seed: what a failure prints to be shown again
 *   STELE_SIM_SHRINK    0: a failure is not made smaller */
#ifndef STELE_TEST_SIM_BUDGET_H
#define STELE_TEST_SIM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_WORKERS 16u

struct sim_budget {
    uint64_t images, seed;
    uint64_t only;  /* 0: all of them */
    double seconds; /* 0: no limit */
    double begun;
    uint32_t workers;
    bool shrink;
    bool complete; /* large enough that everything must have happened once */
};

void sim_budget_begin(struct sim_budget *budget, uint64_t images);
double sim_budget_took(const struct sim_budget *budget);
/* Is there something left to do, with `images` done? */
bool sim_budget_left(const struct sim_budget *budget, uint64_t images);

#endif
