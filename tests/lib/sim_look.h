/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_look.h: looking at an undamaged log from outside. Each returns NULL, or which law is broken;
 * world->truth.why says how. */
#ifndef STELE_TEST_SIM_LOOK_H
#define STELE_TEST_SIM_LOOK_H

#include "sim_world.h"

/* `after`: closed in order, so nothing may be left to be cut. */
const char *sim_look_verify(struct sim_world *world, bool after, enum stele_verdict *verdict);
/* Open it and hold it against the law, and against what only its bytes tell: no salt and no epoch is used
 * twice, and nothing is left behind the tail, in memory or on the disk. */
const char *sim_look_recover(struct sim_world *world);
/* As a reader, which changes nothing. */
const char *sim_look_read(struct sim_world *world);

#endif
