/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call to the medium fails once: one life of a log (created, appended to, rolled, sealed, trimmed, closed, recovered)
 * is run again and again, and each time the next call fails: with each error, alone or with all that follow, on a medium
 * of blocks and one of memory. A failed flush leaves a random part durable and the rest silently clean. Then:
 *
 *   - the call returns the error's code, and a message that names the log and the error;
 *   - a failed sync is for good: every append, sync, trim and wait after it fails with STELE_EFAILED until the log is
 *     reopened, and the durable point stays where it was;
 *   - without a failed sync the log goes on as soon as the medium does;
 *   - reopened, after a crash or without one, the log holds everything that was acknowledged and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/helper.h"
#include "core/log.h"
#include "lib/sim_world.h"

enum action { OPEN, APPEND, BATCH, SYNC, SYNC_BEGIN, STEP, TRIM, CLOSE, KILL };

struct step {
    enum action action;
    uint32_t count, len; /* records of so many bytes */
};

/* Segments have 64 KiB, so seven records of 9,000 bytes. */
static const struct step life[] = {
    {OPEN, 0, 0},    {APPEND, 3, 100}, {SYNC, 0, 0},      {APPEND, 9, 9000},  {STEP, 0, 0},
    {SYNC, 0, 0},    {STEP, 0, 0},     {BATCH, 8, 4000},  {APPEND, 5, 9000},  {SYNC_BEGIN, 0, 0},
    {STEP, 0, 0},    {TRIM, 0, 0},     {APPEND, 9, 9000}, {SYNC, 0, 0},       {STEP, 0, 0},
    {CLOSE, 0, 0},   {OPEN, 0, 0},     {APPEND, 2, 60},   {SYNC, 0, 0},       {APPEND, 12, 9000},
    {KILL, 0, 0},    {OPEN, 0, 0},     {TRIM, 0, 0},      {APPEND, 12, 9000}, {SYNC, 0, 0},
    {APPEND, 1, 40}, {CLOSE, 0, 0},
};

struct run {
    char scratch[256];
    bool broken; /* in the middle of something: nothing can be closed any more */
    struct sim_world world, image;
    uint64_t variant; /* of the options */
    uint64_t fault;   /* which call */
    int error;
    bool all_after;
    enum action action; /* at work */
    uint64_t runs, latched, swallowed, images;
};

static void violation(struct run *run, const struct sim_world *world, const char *what)
{
    static const char *const actions[] = {"open",        "append", "batch", "sync", "sync_begin",
                                          "helper step", "trim",   "close", "kill"};
    static const char *const calls[] = {"create", "open", "persist", "rename", "unlink", "sync_dir"};
    fprintf(stderr, "\ncall %" PRIu64 " (%s)%s fails with %s on %s; at work: %s\n  %s\n  %s\n", run->fault,
            calls[run->world.sim.fault.call], run->all_after ? " and all after it" : "", strerror(run->error),
            run->world.sim.model == SIM_PMEM ? "pmem" : "block", actions[run->action], what,
            world->truth.why);
    run->broken = true;
    fail_msg("%s", what);
}

/* 0 or the error of the first append that failed. */
static int append(struct sim_world *world, uint32_t count, uint32_t len)
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

static int trim(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    stele_lsn first = truth->first, lsn = stele_durable(world->log);
    truth->first_limit = lsn & ~(SIM_SEGMENT - 1);
    long rc = stele_trim(world->log, lsn, &first);
    if (rc >= 0)
        truth->first = truth->first_limit = first;
    return rc < 0 ? (int)rc : 0;
}

static int reopen(struct run *run, struct sim_world *world)
{
    int rc = sim_world_start(world);
    if (rc == 0 && !sim_world_judge(world))
        violation(run, world, "opening broke the law");
    return rc;
}

static int act(struct run *run, const struct step *step)
{
    struct sim_world *world = &run->world;
    int rc = 0;
    run->action = step->action;
    switch (step->action) {
    case OPEN: return reopen(run, world);
    case APPEND: return append(world, step->count, step->len);
    case BATCH: return append_batch(world, step->count, step->len);
    case SYNC: return stele_sync(world->log, STELE_LSN_ALL);
    case SYNC_BEGIN: return stele_sync_begin(world->log);
    case STEP: (void)stele__helper_step(world->log, true); return 0;
    case TRIM: return trim(world);
    case CLOSE:
        rc = stele_close(world->log);
        world->log = NULL;
        if (rc == 0 && world->truth.count > 0) /* then everything published is durable */
            world->truth.acked = world->truth.entries[world->truth.count - 1].lsn + 8;
        return rc;
    case KILL: sim_world_kill(world); return 0;
    }
    return rc;
}

static bool failed(const struct sim_world *world)
{
    return world->log != NULL && atomic_load(&world->log->failed) != 0;
}

/* The code of the error that was injected, and a message that says so. */
static void judge_error(struct run *run, int rc)
{
    const struct sim_world *world = &run->world;
    const int own = run->error == EIO ? STELE_EIO : run->error == EACCES ? STELE_EACCES : STELE_ENOSPC;
    const bool batch_cut = run->action == BATCH && rc == STELE_ENOSPC;
    const bool latched = rc == STELE_EFAILED && (failed(world) || run->action == CLOSE);
    if (world->sim.fault.fired == 0)
        violation(run, world, stele_last_error());
    if (rc != own && !latched && !batch_cut)
        violation(run, world, "the code is not the error's");
    if (strstr(stele_last_error(), world->sim.dir) == NULL)
        violation(run, world, "the message does not name the log");
    if (strstr(stele_last_error(), strerror(run->error)) == NULL)
        violation(run, world, "the message does not name the error");
    if (run->action == SYNC && !failed(world))
        violation(run, world, "a sync failed and the log goes on");
}

static void judge_latch(struct run *run)
{
    struct sim_world *world = &run->world;
    struct stele *log = world->log;
    struct stele_slot slot;
    stele_lsn durable = stele_durable(log);
    run->latched++;
    world->sim.fault =
        (struct sim_fault){.call = world->sim.fault.call}; /* the medium is well again; the log must not be */
    bool latched =
        stele_append(log, "x", 1, NULL) == STELE_EFAILED && stele_sync(log, STELE_LSN_ALL) == STELE_EFAILED &&
        stele_reserve(log, 0, 8, &slot) == STELE_EFAILED && stele_sync_begin(log) == STELE_EFAILED &&
        stele_trim(log, durable, NULL) == STELE_EFAILED &&
        stele_durable_wait(log, durable, 0) == STELE_EFAILED;
    (void)stele__helper_step(log, true);
    if (!latched || stele_append(log, "x", 1, NULL) != STELE_EFAILED)
        violation(run, world, "something works on a log that has failed");
    if (stele_durable(log) != durable)
        violation(run, world, "the durable point of a failed log moved");
    if (strstr(stele_last_error(), strerror(run->error)) == NULL)
        violation(run, world, "the message of a failed log does not say why");
}

/* The power fails now: what is found must hold to the law. */
static void crash(struct run *run, enum sim_keep keep)
{
    struct sim_world *image = &run->image;
    struct sim_cut cut = {.grain = run->world.sim.model == SIM_PMEM ? 8 : 512, .keep = keep, .arg = 128};
    cut.units = sim_undecided(&run->world.sim, cut.grain);
    cut.ops = keep == SIM_KEEP_NONE ? 0 : sim_draw_ops(&run->world.sim, &image->rand);
    sim_crash(&run->world.sim, &image->sim, &cut, &image->rand);
    sim_truth_copy(&image->truth, &run->world.truth);
    run->images++;
    int rc = reopen(run, image);
    if (rc != 0)
        violation(run, image, stele_last_error());
    sim_world_kill(image);
}

/* The medium works again: close, reopen, and all is well. */
static void recover(struct run *run)
{
    struct sim_world *world = &run->world;
    if (world->log != NULL) {
        if (failed(world))
            judge_latch(run);
        world->sim.fault = (struct sim_fault){.call = world->sim.fault.call};
        bool was_failed = failed(world);
        int rc = act(run, &(struct step){CLOSE, 0, 0});
        if ((rc != 0) != was_failed)
            violation(run, world, "closing: an error without reason, or none with one");
    }
    world->sim.fault = (struct sim_fault){.call = world->sim.fault.call};
    crash(run, SIM_KEEP_NONE);
    crash(run, SIM_KEEP_ALL);
    crash(run, SIM_KEEP_SOME);
    if (reopen(run, world) != 0)
        violation(run, world, stele_last_error());
    if (append(world, 9, 9000) != 0 || stele_sync(world->log, STELE_LSN_ALL) != 0)
        violation(run, world, stele_last_error());
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    crash(run, SIM_KEEP_SOME);
    sim_world_kill(world);
}

static void begin(struct run *run, enum sim_model model)
{
    struct sim_world *world = &run->world;
    sim_reset(&world->sim);
    world->sim.model = model;
    world->sim.rand = sim_rand_of(run->fault, 1);
    world->rand = sim_rand_of(run->variant, 1);
    run->image.rand = sim_rand_of(run->fault, 2);
    sim_truth_free(&world->truth);
    world->sim.fault = (struct sim_fault){
        .at = run->fault, .kinds = UINT32_MAX, .all_after = run->all_after, .error = run->error};
}

/* One life with one fault. False: there were not so many calls. */
static bool one_life(struct run *run, enum sim_model model)
{
    struct sim_world *world = &run->world;
    begin(run, model);
    bool ok = true;
    for (size_t i = 0; i < sizeof life / sizeof life[0] && ok; i++) {
        int rc = act(run, &life[i]);
        sim_world_note(world);
        ok = rc == 0;
        if (!ok)
            judge_error(run, rc);
        /* Not for good: tried again, it works. */
        if (!ok && life[i].action != CLOSE && !failed(world) && !run->all_after)
            ok = act(run, &life[i]) == 0;
        if (!ok && !failed(world) && !run->all_after && life[i].action != CLOSE)
            violation(run, world, "the medium works again, the log does not");
    }
    bool fired = world->sim.fault.fired > 0;
    run->swallowed += fired && ok ? 1 : 0;
    recover(run);
    run->runs++;
    return fired;
}

static int setup(void **state)
{
    struct run *run = calloc(1, sizeof *run);
    char path[300];
    assert_non_null(run);
    sim_scratch_make(run->scratch);
    (void)snprintf(path, sizeof path, "%s/world", run->scratch);
    sim_world_open(&run->world, path, 1);
    (void)snprintf(path, sizeof path, "%s/image", run->scratch);
    sim_world_open(&run->image, path, 2);
    *state = run;
    return 0;
}

static int teardown(void **state)
{
    struct run *run = *state;
    if (!run->broken) {
        sim_world_close(&run->world);
        sim_world_close(&run->image);
    }
    sim_scratch_remove(run->scratch);
    free(run);
    return 0;
}

/* Each call in turn. Returns how many there are. */
static uint64_t every_call(struct run *run, enum sim_model model, int error, bool all_after)
{
    run->error = error;
    run->all_after = all_after;
    for (run->fault = 1; one_life(run, model); run->fault++) {
    }
    return run->fault - 1;
}

static void whatever_call_fails_nothing_acknowledged_is_lost(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EACCES};
    struct run *run = *state;
    uint64_t calls = 0;
    for (run->variant = 1; run->variant <= 3; run->variant++) {
        /* Which error it is matters little to a medium's model. */
        calls += every_call(run, SIM_PMEM, errors[run->variant - 1], false);
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
            calls += every_call(run, SIM_BLOCK, errors[i], false);
            calls += every_call(run, SIM_BLOCK, errors[i], true);
        }
    }
    printf("%" PRIu64 " failing calls in %" PRIu64 " lives: %" PRIu64 " logs failed for good, %" PRIu64
           " faults were made good in silence; %" PRIu64 " crash images\n",
           calls, run->runs, run->latched, run->swallowed, run->images);
    assert_true(run->latched > 0 && run->swallowed > 0 && calls > 1000);
}

/* A full disk: no file can be made any more. */
static void fill_disk(struct run *run)
{
    struct sim_world *world = &run->world;
    begin(run, SIM_BLOCK);
    assert_int_equal(reopen(run, world), 0);
    assert_int_equal(append(world, 30, 9000), 0);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    world->sim.fault =
        (struct sim_fault){.at = 1, .kinds = 1u << SIM_CREATE, .all_after = true, .error = ENOSPC};
    run->action = APPEND;
    assert_int_equal(append(world, 60, 9000), STELE_ENOSPC);
    assert_non_null(strstr(stele_last_error(), strerror(ENOSPC)));
    assert_int_equal(append(world, 60, 9000), STELE_ENOSPC);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    assert_false(failed(world));
    assert_int_equal(act(run, &(struct step){CLOSE, 0, 0}), 0);
    assert_int_equal(reopen(run, world), 0); /* an existing log opens on a full disk */
    assert_int_equal(append(world, 60, 9000), STELE_ENOSPC);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    assert_int_equal(trim(world), 0);
    assert_true(world->truth.first > 0);
    if (!world->log->recycle) /* then their space is free again, else they are */
        world->sim.fault = (struct sim_fault){0};
    assert_int_equal(append(world, 5, 9000), 0); /* one segment holds them */
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    world->sim.fault = (struct sim_fault){0};
    assert_int_equal(append(world, 30, 9000), 0);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    assert_int_equal(act(run, &(struct step){CLOSE, 0, 0}), 0);
}

static void a_full_disk_refuses_appends_and_nothing_else(void **state)
{
    struct run *run = *state;
    run->error = ENOSPC;
    for (run->variant = 1; run->variant <= 8; run->variant++)
        fill_disk(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_call_fails_nothing_acknowledged_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_appends_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
