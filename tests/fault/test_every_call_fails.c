/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call to the medium fails once: one life of a log (created, appended to, rolled, sealed, trimmed,
 * closed, recovered) is run again and again, and each time the next call fails: with each error, alone or
 * with all that follow, on a medium of blocks and one of memory. A failed flush leaves a random part
 * durable and the rest silently clean. Then:
 *
 *   - the call returns the error's code, and a message that names the log and the error;
 *   - a failed sync is for good: every append, sync, trim and wait after it fails with STELE_EFAILED
 *     until the log is reopened, and the durable point stays where it was;
 *   - without a failed sync the log goes on as soon as the medium does;
 *   - reopened, after a crash or without one, the log holds everything that was acknowledged and
 *     nothing else. */
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
#include "lib/sim_interpose.h"
#include "lib/sim_life.h"

struct run {
    bool broken; /* in the middle of something: nothing can be closed any more */
    struct sim_world world, image;
    uint64_t variant; /* of the options */
    uint64_t fault;   /* which call */
    int error;
    bool all_after;
    uint32_t kinds;         /* of calls that fail */
    enum sim_action action; /* at work */
    uint64_t runs, latched, swallowed, images;
};

static void violation(struct run *run, const struct sim_world *world, const char *what)
{
    fprintf(stderr, "\ncall %" PRIu64 " (%s)%s fails with %s on %s; at work: %s\n  %s\n  %s\n", run->fault,
            sim_call_names[run->world.sim.fault.call], run->all_after ? " and all after it" : "",
            strerror(run->error), run->world.sim.model == SIM_PMEM ? "pmem" : "block",
            sim_life_names[run->action], what, world->truth.why);
    run->broken = true;
    fail_msg("%s", what);
}

static int act(struct run *run, const struct sim_act *step)
{
    run->action = step->action;
    int rc = sim_life_do(&run->world, step);
    if (rc == SIM_LAW_BROKEN)
        violation(run, &run->world, "opening broke the law");
    return rc;
}

static int reopen(struct run *run, struct sim_world *world)
{
    int rc = sim_life_open(world);
    if (rc == SIM_LAW_BROKEN)
        violation(run, world, "opening broke the law");
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
    const bool batch_cut = run->action == SIM_LIFE_BATCH && rc == STELE_ENOSPC;
    const bool latched = rc == STELE_EFAILED && (failed(world) || run->action == SIM_LIFE_CLOSE);
    if (world->sim.fault.fired == 0)
        violation(run, world, stele_last_error());
    if (rc != own && !latched && !batch_cut)
        violation(run, world, "the code is not the error's");
    if (strstr(stele_last_error(), world->sim.dir) == NULL)
        violation(run, world, "the message does not name the log");
    if (strstr(stele_last_error(), strerror(run->error)) == NULL)
        violation(run, world, "the message does not name the error");
    if (run->action == SIM_LIFE_SYNC && !failed(world))
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
        int rc = act(run, &(struct sim_act){SIM_LIFE_CLOSE, 0, 0});
        if ((rc != 0) != was_failed)
            violation(run, world, "closing: an error without reason, or none with one");
    }
    world->sim.fault = (struct sim_fault){.call = world->sim.fault.call};
    crash(run, SIM_KEEP_NONE);
    crash(run, SIM_KEEP_ALL);
    crash(run, SIM_KEEP_SOME);
    if (reopen(run, world) != 0)
        violation(run, world, stele_last_error());
    if (sim_life_append(world, 9, 9000) != 0 || stele_sync(world->log, STELE_LSN_ALL) != 0)
        violation(run, world, stele_last_error());
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    crash(run, SIM_KEEP_SOME);
    sim_world_kill(world);
}

static void begin(struct run *run, enum sim_model model)
{
    struct sim_world *world = &run->world;
    sim_limit(20);
    sim_reset(&world->sim);
    world->sim.model = model;
    world->sim.rand = sim_rand_of(run->fault, 1);
    world->rand = sim_rand_of(run->variant, 1);
    run->image.rand = sim_rand_of(run->fault, 2);
    sim_truth_free(&world->truth);
    world->sim.fault = (struct sim_fault){
        .at = run->fault, .kinds = run->kinds, .all_after = run->all_after, .error = run->error};
}

/* One life with one fault. False: there were not so many calls. */
static bool one_life(struct run *run, enum sim_model model)
{
    struct sim_world *world = &run->world;
    begin(run, model);
    bool ok = true;
    for (size_t i = 0; i < sim_life_count && ok; i++) {
        int rc = act(run, &sim_life[i]);
        sim_world_note(world);
        ok = rc == 0;
        if (!ok)
            judge_error(run, rc);
        /* Not for good: tried again, it works. */
        if (!ok && sim_life[i].action != SIM_LIFE_CLOSE && !failed(world) && !run->all_after)
            ok = act(run, &sim_life[i]) == 0;
        if (!ok && !failed(world) && !run->all_after && sim_life[i].action != SIM_LIFE_CLOSE)
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
    assert_non_null(run);
    sim_world_open(&run->world, 1);
    sim_world_open(&run->image, 2);
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
    free(run);
    return 0;
}

/* Each call in turn. Returns how many there are. */
static uint64_t every_call(struct run *run, enum sim_model model, int error, bool all_after)
{
    run->error = error;
    run->all_after = all_after;
    run->kinds = SIM_CHANGING;
    for (run->fault = 1; one_life(run, model); run->fault++) {
    }
    return run->fault - 1;
}

static void whatever_call_fails_nothing_acknowledged_is_lost(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EACCES};
    struct run *run = *state;
    uint64_t calls = 0;
    for (run->variant = 1; run->variant <= 4; run->variant++) {
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
    assert_int_equal(sim_life_append(world, 30, 9000), 0);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    world->sim.fault = (struct sim_fault){
        .at = 1, .kinds = 1u << SIM_CREATE | 1u << SIM_ALLOCATE, .all_after = true, .error = ENOSPC};
    run->action = SIM_LIFE_APPEND;
    assert_int_equal(sim_life_append(world, 60, 9000), STELE_ENOSPC);
    assert_non_null(strstr(stele_last_error(), strerror(ENOSPC)));
    assert_int_equal(sim_life_append(world, 60, 9000), STELE_ENOSPC);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    assert_false(failed(world));
    assert_int_equal(act(run, &(struct sim_act){SIM_LIFE_CLOSE, 0, 0}), 0);
    assert_int_equal(reopen(run, world), 0); /* an existing log opens on a full disk */
    assert_int_equal(sim_life_append(world, 60, 9000), STELE_ENOSPC);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    assert_int_equal(sim_life_trim(world), 0);
    assert_true(world->truth.first > 0);
    if (!world->log->recycle) /* then their space is free again, else they are */
        world->sim.fault = (struct sim_fault){0};
    assert_int_equal(sim_life_append(world, 5, 9000), 0); /* one segment holds them */
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    world->sim.fault = (struct sim_fault){0};
    assert_int_equal(sim_life_append(world, 30, 9000), 0);
    assert_int_equal(stele_sync(world->log, STELE_LSN_ALL), 0);
    sim_world_note(world);
    crash(run, SIM_KEEP_NONE);
    assert_int_equal(act(run, &(struct sim_act){SIM_LIFE_CLOSE, 0, 0}), 0);
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
