/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_look.h: looking at an undamaged log from outside. Each returns NULL, or which law is broken; world->truth.why says
 * how. */
#ifndef STELE_TEST_SIM_LOOK_H
#define STELE_TEST_SIM_LOOK_H

#include "sim_world.h"

/* `after`: closed in order, so nothing may be left to be cut. */
const char *sim_look_verify(struct sim_world *world, bool after, enum stele_verdict *verdict);
/* Highest epoch of any valid record of each segment, wherever in it: before an opening. */
struct sim_epochs {
    stele_lsn base[SIM_FILES];
    uint16_t highest[SIM_FILES];
    uint32_t count;
};
void sim_look_epochs(struct sim_world *world, struct sim_epochs *out);
/* Right behind the opening that followed: its epoch was not used in the segment where the log goes on, and there is
 * nothing behind the tail, in memory or on the disk. */
const char *sim_look_opened(struct sim_world *world, const struct sim_epochs *before);
/* As a reader, which changes nothing. */
const char *sim_look_read(struct sim_world *world);

#endif
