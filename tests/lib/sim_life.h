/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_life.h: one life of a log, always the same: created, appended to, rolled, sealed, trimmed, closed,
 * recovered. For tests that disturb it at each of its calls in turn. */
#ifndef STELE_TEST_SIM_LIFE_H
#define STELE_TEST_SIM_LIFE_H

#include "sim_world.h"

enum sim_action {
    SIM_LIFE_OPEN,
    SIM_LIFE_APPEND,
    SIM_LIFE_BATCH,
    SIM_LIFE_SYNC,
    SIM_LIFE_SYNC_BEGIN,
    SIM_LIFE_STEP,
    SIM_LIFE_TRIM,
    SIM_LIFE_CLOSE,
    SIM_LIFE_KILL
};

struct sim_act {
    enum sim_action action;
    uint32_t count, len; /* records of so many bytes */
};

extern const struct sim_act sim_life[];
extern const size_t sim_life_count;
extern const char *const sim_life_names[];

#define SIM_LAW_BROKEN (-1000) /* truth.why says how */

/* 0, the error of the call, or SIM_LAW_BROKEN. */
int sim_life_do(struct sim_world *world, const struct sim_act *act);
int sim_life_append(struct sim_world *world, uint32_t count, uint32_t len);
int sim_life_trim(struct sim_world *world);
/* Open and judge. */
int sim_life_open(struct sim_world *world);

#endif
