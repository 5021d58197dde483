/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_cut.h: what of the undecided reaches the disk when the power fails: drawn, cut down in a replay,
 * told in words. */
#ifndef STELE_TEST_SIM_CUT_H
#define STELE_TEST_SIM_CUT_H

#include "sim.h"
#include "sim_run.h"

/* Room for numbers, used again and again. */
struct sim_list {
    uint32_t *at;
    size_t capacity;
};

/* The size of the pieces: what a device of this kind writes in one piece, and what it may tear. */
uint32_t sim_cut_grain(enum sim_model model, struct sim_rand *rand);
void sim_cut_draw(struct sim_cut *cut, const struct sim *sim, struct sim_rand *rand);
/* Is it time for all subsets? Where they are few, always or, not `thorough`, as seldom as they are many: a
 * thousand images are as much as a workload. */
bool sim_cut_try_all(size_t units, bool thorough, struct sim_rand *rand);
/* From now on `cut` is a list of what is kept; in a replay without what is left out of `world`. */
void sim_cut_settle(struct sim_cut *cut, const struct sim *sim, struct sim_rand *rand, struct sim_run *run,
                    uint32_t world, struct sim_list *list);
/* NULL: the process dies alone. */
void sim_cut_tell(const struct sim_run *run, const struct sim *sim, const struct sim_cut *cut, bool in_call);
/* Can it bring back bytes of an earlier life of a file that is used again? */
bool sim_cut_is_stale(const struct sim *sim, const struct sim_cut *cut);

#endif
