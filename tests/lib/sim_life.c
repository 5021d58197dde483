/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_life.h"

#include "core/helper.h"

#include <stdio.h>

/* Segments have 64 KiB, so seven records of 9,000 bytes. */
const struct sim_act sim_life[] = {
    {SIM_LIFE_OPEN, 0, 0},       {SIM_LIFE_APPEND, 3, 100},   {SIM_LIFE_SYNC, 0, 0},
    {SIM_LIFE_APPEND, 9, 9000},  {SIM_LIFE_STEP, 0, 0},       {SIM_LIFE_SYNC, 0, 0},
    {SIM_LIFE_STEP, 0, 0},       {SIM_LIFE_BATCH, 8, 4000},   {SIM_LIFE_APPEND, 5, 9000},
    {SIM_LIFE_SYNC_BEGIN, 0, 0}, {SIM_LIFE_STEP, 0, 0},       {SIM_LIFE_TRIM, 0, 0},
    {SIM_LIFE_APPEND, 9, 9000},  {SIM_LIFE_SYNC, 0, 0},       {SIM_LIFE_STEP, 0, 0},
    {SIM_LIFE_CLOSE, 0, 0},      {SIM_LIFE_OPEN, 0, 0},       {SIM_LIFE_APPEND, 2, 60},
    {SIM_LIFE_SYNC, 0, 0},       {SIM_LIFE_APPEND, 12, 9000}, {SIM_LIFE_KILL, 0, 0},
    {SIM_LIFE_OPEN, 0, 0},       {SIM_LIFE_TRIM, 0, 0},       {SIM_LIFE_APPEND, 12, 9000},
    {SIM_LIFE_SYNC, 0, 0},       {SIM_LIFE_APPEND, 1, 40},    {SIM_LIFE_CLOSE, 0, 0},
};
const size_t sim_life_count = sizeof sim_life / sizeof sim_life[0];
const char *const sim_life_names[] = {"open",        "append", "batch", "sync", "sync_begin",
                                      "helper step", "trim",   "close", "kill"};

/* 0 or the error of the first append that failed. */
int sim_life_append(struct sim_world *world, uint32_t count, uint32_t len)
{
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        uint32_t at;
        stele_lsn lsn;
        const uint8_t *data = sim_payload(&world->rand, len, &at);
        rc = stele_append(world->log, data, len, &lsn);
        if (rc == 0)
            sim_truth_add(&world->truth, lsn, 0, len, at, SIM_SLOT_PUBLISHED);
    }
    return rc;
}

static int append_batch(struct sim_world *world, uint32_t count, uint32_t len)
{
    struct sim_batch batch = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *data = sim_payload(&world->rand, len, &batch.at[i]);
        batch.entries[i] = (struct stele_entry){.data = data, .len = len, .type = i, .lsn = STELE_LSN_NONE};
    }
    world->truth.batch = &batch;
    long rc = stele_append_batch(world->log, batch.entries, count);
    sim_truth_note_batch(&world->truth);
    world->truth.batch = NULL;
    if (rc < 0)
        return (int)rc;
    return (uint32_t)rc == count
               ? 0
               : STELE_ENOSPC; /* a part went in; which error met the rest, the message says */
}

int sim_life_trim(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    stele_lsn first = truth->first, lsn = stele_durable(world->log);
    truth->first_limit = lsn & ~(SIM_SEGMENT - 1);
    long rc = stele_trim(world->log, lsn, &first);
    if (rc >= 0)
        truth->first = truth->first_limit = first;
    return rc < 0 ? (int)rc : 0;
}

int sim_life_open(struct sim_world *world)
{
    int rc = sim_world_start(world);
    const uint64_t at = world->sim.fault.at;
    world->sim.fault.at = 0; /* what looks is not what is tested */
    if (rc == 0 && !sim_world_judge(world))
        rc = SIM_LAW_BROKEN;
    world->sim.fault.at = at;
    return rc;
}

static int close_log(struct sim_world *world)
{
    int rc = stele_close(world->log);
    world->log = NULL;
    if (rc == 0 && world->truth.count > 0) /* then everything published is durable */
        world->truth.acked = world->truth.entries[world->truth.count - 1].lsn + 8;
    return rc;
}

int sim_life_do(struct sim_world *world, const struct sim_act *act)
{
    switch (act->action) {
    case SIM_LIFE_OPEN: return sim_life_open(world);
    case SIM_LIFE_APPEND: return sim_life_append(world, act->count, act->len);
    case SIM_LIFE_BATCH: return append_batch(world, act->count, act->len);
    case SIM_LIFE_SYNC: return stele_sync(world->log, STELE_LSN_ALL);
    case SIM_LIFE_SYNC_BEGIN: return stele_sync_begin(world->log);
    case SIM_LIFE_STEP: (void)stele__helper_step(world->log, true); return 0;
    case SIM_LIFE_TRIM: return sim_life_trim(world);
    case SIM_LIFE_CLOSE: return close_log(world);
    case SIM_LIFE_KILL: sim_world_kill(world); return 0;
    }
    return 0;
}
