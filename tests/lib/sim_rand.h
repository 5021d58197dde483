/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_rand.h: the one source of chance in the simulation. Everything that happens follows from a seed, so
 * a failure can be shown again. */
#ifndef STELE_TEST_SIM_RAND_H
#define STELE_TEST_SIM_RAND_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rand {
    uint64_t state;
};

/* splitmix64: passes statistical tests, and any state is a good one. */
static inline uint64_t sim_rand_next(struct sim_rand *rand)
{
    uint64_t z = rand->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A stream of its own for (seed, number): what one part draws does not shift what another one gets. */
static inline struct sim_rand sim_rand_of(uint64_t seed, uint64_t number)
{
    struct sim_rand rand = {seed};
    rand.state = sim_rand_next(&rand) ^ (number * UINT64_C(0xd1342543de82ef95));
    (void)sim_rand_next(&rand);
    return rand;
}

/* 0 .. below - 1; 0 for 0. */
static inline uint64_t sim_rand_below(struct sim_rand *rand, uint64_t below)
{
    return below == 0 ? 0 : sim_rand_next(rand) % below;
}

static inline bool sim_rand_one_in(struct sim_rand *rand, uint64_t n)
{
    return sim_rand_below(rand, n) == 0;
}

#endif
