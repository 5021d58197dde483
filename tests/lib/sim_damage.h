/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_damage.h: what a disk can do to bytes it had: flipped bits, sectors of zeroes, of noise, of an
 * earlier time, from elsewhere, exchanged; segments gone or exchanged. */
#ifndef STELE_TEST_SIM_DAMAGE_H
#define STELE_TEST_SIM_DAMAGE_H

#include "sim.h"
#include "sim_items.h"

#define SIM_DID 192u

struct sim_damage {
    struct sim *hurt;              /* the copy to be damaged; live bytes and disk change alike */
    struct sim *then;              /* an earlier durable image of the same log */
    const struct sim_items *items; /* of the sound image: places that mean something */
    struct sim_rand *rand;
};

/* Do one thing drawn at random; `did` receives what, in words. */
void sim_damage_do(struct sim_damage *damage, char did[SIM_DID]);

#endif
