/* SPDX-License-Identifier: BSD-3-Clause */
/* Crash images: a seeded workload runs through the library on a simulated machine. Before and after each
 * call that changes something, and between the steps, the power fails: in an image of what may then be
 * found the real stele_open() recovers, and the law of sim_truth.h must hold. Most images live on: they
 * append, roll, trim, and crash again, also in the middle of their recovery. In some the process dies
 * instead, and the power fails only after the next one has acknowledged more. One workload in four is
 * thorough: short, every point, and all subsets of what is undecided where these are ten pieces at most.
 * The environment sets how many: sim_budget.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sim_cut.h"
#include "lib/sim_interpose.h"
#include "lib/sim_look.h"
#include "lib/sim_run.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(850000)
#define STEPS 120u /* of a workload */
#define STEPS_THOROUGH 24u
#define DEPTH 3u /* worlds: the workload, an image of it, an image of that one */

struct level {
    struct sim_world world;
    struct campaign *campaign;
    uint32_t depth;
    uint32_t one_in; /* chance of a crash at a point; 0: none */
    uint64_t looks, images;
    uint64_t state; /* that was cut last */
    bool in_call;   /* of the library, at a crash point */
    struct sim_rand rand;
    struct sim_list kept;
};

enum count {
    IMAGE,
    NESTED,
    KILLED,
    EXHAUSTIVE,
    UNCREATED,
    VERIFIED,
    TORN,
    STALE,
    WORKLOADS,
    FAULTS,
    ROLLS,
    TRIMS,
    RECYCLED
};

struct campaign {
    struct level levels[DEPTH];
    struct sim_run *run;
    uint64_t seed;
    bool thorough;
};

static void violation(struct level *level, const char *what)
{
    sim_run_violation(level->campaign->run, what, level->world.truth.why);
}

static bool look(struct level *level, uint32_t one_in)
{
    bool drawn = sim_rand_one_in(&level->rand, one_in);
    return drawn && sim_run_has(level->campaign->run, level->depth, SIM_PART_LOOK, ++level->looks);
}

static void verify(struct level *level, bool after)
{
    uint64_t *count = level->campaign->run->count;
    enum stele_verdict verdict = STELE_CLEAN;
    const char *what = sim_look_verify(&level->world, after, &verdict);
    count[VERIFIED]++;
    count[TORN] += verdict == STELE_TORN ? 1 : 0;
    if (what != NULL)
        violation(level, what);
}

static void check_salts(struct level *level)
{
    if (!sim_world_incarnations(&level->world))
        violation(level, "a salt was used twice");
}

static void crash_here(struct level *from);

static void reseed(struct level *level, uint64_t a, uint64_t b)
{
    level->rand = sim_rand_of(a, b);
    level->world.rand = sim_rand_of(sim_rand_next(&level->rand), 0);
    level->world.sim.rand = sim_rand_of(sim_rand_next(&level->rand), 0);
}

static void live(struct level *level, uint64_t seed)
{
    struct sim_world *world = &level->world;
    const bool last = level->depth + 1 == DEPTH;
    const uint64_t steps = last ? 0 : sim_rand_below(&level->rand, 8);
    const bool sync = sim_rand_one_in(&level->rand, 2);
    for (uint64_t i = 1; i <= steps; i++) {
        reseed(level, seed, i);
        if (sim_run_has(level->campaign->run, level->depth, SIM_PART_STEP, i) && !sim_world_step(world))
            violation(level, "a log that was recovered broke the law");
        check_salts(level);
    }
    reseed(level, seed, steps + 1);
    if (!last && world->log != NULL && sync &&
        sim_run_has(level->campaign->run, level->depth, SIM_PART_STEP, steps + 1) &&
        !sim_world_sync_all(world))
        violation(level, "a log that was recovered broke the law");
}

/* What becomes of an image: recovery, the law, some more life, and another crash. */
static void live_on(struct level *level, bool killed)
{
    struct sim_world *world = &level->world;
    const bool last = level->depth + 1 == DEPTH;
    const uint64_t seed = sim_rand_next(&level->rand);
    const char *what = NULL;
    if (look(level, 8))
        verify(level, false);
    if (look(level, 16))
        what = sim_look_read(world);
    if (what != NULL)
        violation(level, what);
    if (look(level, 16)) /* the file "lock" is not needed */
        (void)sim_sys_unlinkat(world->sim.dirfd, "lock", 0);
    /* What a dead process left in caches only is found out in the recovery after it. */
    level->one_in = last ? 0 : killed ? 10 : 40;
    what = sim_look_recover(world);
    if (what != NULL)
        violation(level, what);
    level->one_in = last ? 0 : 80;
    live(level, seed);
    level->one_in = 0;
    if (!last) {
        sim_world_note(world);
        crash_here(level);
    }
    if (world->log != NULL && !world->faulty && world->sim.fault.fired == 0 && look(level, 16)) {
        world->sim.fault = (struct sim_fault){0};
        if (!sim_world_do(world, SIM_DO_CLOSE))
            violation(level, "closing broke the law");
        verify(level, true);
    }
    sim_world_kill(world);
}

static void next_image(struct level *from, const struct sim_cut *drawn, bool kill)
{
    struct campaign *c = from->campaign;
    struct sim_run *run = c->run;
    struct level *to = &c->levels[from->depth + 1];
    from->images++;
    if (from->depth == 0) {
        if (!sim_run_image(run))
            return;
        to->rand = sim_rand_of(c->seed ^ (UINT64_C(1) << 40), run->step << 32 | run->in_step);
    } else {
        to->rand = sim_rand_of(sim_rand_next(&from->rand), 1);
        if (!sim_run_has(run, from->depth, SIM_PART_IMAGE, from->images))
            return;
        run->count[IMAGE]++;
    }
    const struct sim *sim = &from->world.sim;
    if (kill) {
        sim_cut_tell(run, sim, NULL, from->in_call);
        sim_kill(sim, &to->world.sim);
    } else {
        struct sim_cut cut = *drawn;
        sim_cut_settle(&cut, sim, &to->rand, run, from->depth, &from->kept);
        sim_cut_tell(run, sim, &cut, from->in_call);
        run->count[STALE] += sim_cut_is_stale(sim, &cut) ? 1 : 0;
        sim_crash(sim, &to->world.sim, &cut, &to->rand);
    }
    sim_truth_copy(&to->world.truth, &from->world.truth);
    sim_world_inherit(&to->world, &from->world, kill);
    reseed(to, sim_rand_next(&to->rand), 0);
    to->world.size_style = from->world.size_style;
    to->world.lazy = from->world.lazy;
    to->world.crowded = from->world.crowded;
    to->world.trouble = from->world.trouble;
    to->looks = to->images = to->state = 0;
    to->world.sim.narrate = run->narrate;
    run->count[NESTED] += from->depth > 0 ? 1 : 0;
    run->count[KILLED] += kill ? 1 : 0;
    run->count[UNCREATED] += from->world.truth.created ? 0 : 1;
    live_on(to, kill);
}

/* The power fails now. */
static void crash_here(struct level *from)
{
    struct sim *sim = &from->world.sim;
    struct sim_rand rand = sim_rand_of(sim_rand_next(&from->rand), 0);
    struct sim_cut cut = {.grain = sim_cut_grain(sim->model, &rand)};
    cut.units = sim_undecided(sim, cut.grain);
    const uint64_t state = sim_state(sim, cut.units, cut.grain);
    const bool known = state == from->state; /* nothing has happened since: the same images again */
    from->state = state;
    if (!known && from->depth == 0 && sim_cut_try_all(cut.units, from->campaign->thorough, &rand)) {
        cut.keep = SIM_KEEP_MASK;
        from->campaign->run->count[EXHAUSTIVE]++;
        for (cut.arg = 0; cut.arg < UINT64_C(1) << cut.units; cut.arg++) {
            cut.ops = sim_draw_ops(sim, &rand);
            next_image(from, &cut, false);
        }
    } else {
        uint64_t images = from->depth > 0 || known ? 1 : 1 + sim_rand_below(&rand, 4);
        for (uint64_t i = 0; i < images; i++) {
            sim_cut_draw(&cut, sim, &rand);
            next_image(from, &cut, false);
        }
    }
    if (sim_rand_one_in(&rand, from->depth == 0 ? 3 : 8))
        next_image(from, NULL, true);
}

static void at_point(void *ctx, struct sim *sim, enum sim_call call, bool after)
{
    struct level *level = ctx;
    (void)after;
    sim_world_note(&level->world);
    if (level->one_in == 0)
        return;
    /* Name changes are rare beside flushes and as delicate; files that are used again are rarer still. */
    const bool flush = call == SIM_MSYNC || call == SIM_FLUSH || call == SIM_DRAIN;
    const struct sim_file *file = flush ? sim_find(sim, sim->where.name) : NULL;
    uint32_t one_in = flush ? level->one_in : (level->one_in + 1) / 2;
    if ((file != NULL && file->reborn) || (level->depth > 0 && !flush))
        one_in = (level->one_in + 7) / 8;
    if (sim_rand_one_in(&level->rand, one_in)) {
        level->in_call = true;
        crash_here(level);
        level->in_call = false;
    }
    if (sim_rand_one_in(&level->rand, 24))
        sim_write_back(sim, &level->rand);
}

static void plan_fault(struct level *level)
{
    struct campaign *c = level->campaign;
    struct sim_rand rand = sim_rand_of(sim_rand_next(&level->rand), 0);
    if (!sim_run_has(c->run, 0, SIM_PART_FAULT, c->run->step))
        return;
    c->run->count[FAULTS]++;
    sim_draw_fault(&level->world.sim, &rand);
}

static void begin_workload(struct level *level, uint64_t seed)
{
    struct sim_world *world = &level->world;
    level->campaign->seed = seed;
    level->campaign->thorough = seed % 4 == 0;
    sim_sys_begin(seed);
    reseed(level, seed, 2);
    sim_world_new_log(world);
    world->sim.made = world->sim.kept = sim_rand_one_in(&level->rand, 2); /* or the library makes it */
    world->sim.model = sim_rand_one_in(&level->rand, 2) ? SIM_PMEM : SIM_BLOCK;
    world->sim.narrate = level->campaign->run->narrate;
    world->size_style = (uint32_t)sim_rand_below(&level->rand, 4);
    world->lazy = sim_rand_one_in(&level->rand, 3);
    world->crowded = sim_rand_one_in(&level->rand, 3);
    world->trouble = true;
    level->looks = level->images = level->state = 0;
    sim_run_tell(level->campaign->run, "\nA log on a simulated machine (%s):",
                 world->sim.model == SIM_PMEM ? "persistent memory" : "blocks");
}

/* Closed with nothing open: then nothing is left to be cut, in spares as little as behind the tail. */
static void end_in_order(struct level *level)
{
    struct sim_world *world = &level->world;
    world->faulty |= world->sim.fault.fired > 0;
    world->sim.fault = (struct sim_fault){0};
    bool ok = world->log == NULL || !world->faulty || sim_world_do(world, SIM_DO_CLOSE);
    ok = ok && (world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    ok = ok && sim_world_sync_all(world) && sim_world_do(world, SIM_DO_CLOSE);
    if (!ok)
        violation(level, "the workload did not end well");
    verify(level, true);
}

static void one_step(struct level *level, uint64_t step)
{
    struct campaign *c = level->campaign;
    struct sim_world *world = &level->world;
    c->run->step = step;
    c->run->in_step = 0;
    reseed(level, c->seed ^ (UINT64_C(1) << 42), step);
    if (!sim_run_has(c->run, 0, SIM_PART_STEP, step))
        return;
    if (world->log != NULL && world->sim.fault.at == 0 && sim_rand_one_in(&level->rand, 40))
        plan_fault(level);
    const stele_lsn tail = world->log != NULL ? stele_tail(world->log) : 0;
    if (!sim_world_step(world))
        violation(level, "the workload itself broke the law");
    sim_world_note(world);
    if (world->log != NULL && tail / SIM_SEGMENT != stele_tail(world->log) / SIM_SEGMENT)
        c->run->count[ROLLS]++;
    check_salts(level);
    if (sim_rand_one_in(&level->rand, 16))
        sim_write_back(&world->sim, &level->rand);
    if (c->thorough || sim_rand_one_in(&level->rand, 16))
        crash_here(level);
}

static void run_workload(void *ctx, uint64_t seed)
{
    struct campaign *c = ctx;
    struct level *level = &c->levels[0];
    struct sim_world *world = &level->world;
    const uint64_t trims = world->trims, reborn = world->sim.reborn;
    begin_workload(level, seed);
    level->one_in = c->thorough ? 1 : 16;
    const uint64_t steps = c->thorough ? STEPS_THOROUGH : STEPS;
    uint64_t step = 0;
    for (; step < steps && !sim_run_done(c->run); step++)
        one_step(level, step);
    level->one_in = 0;
    c->run->step = step;
    if (step == steps)
        end_in_order(level);
    c->run->count[WORKLOADS]++;
    c->run->count[TRIMS] += world->trims - trims;
    c->run->count[RECYCLED] += world->sim.reborn - reborn;
}

static void *begin(struct sim_run *run)
{
    struct campaign *c = calloc(1, sizeof *c);
    sim__check(c != NULL, "memory for a campaign");
    c->run = run;
    for (uint32_t i = 0; i < DEPTH; i++) {
        sim_world_open(&c->levels[i].world, i);
        c->levels[i].campaign = c;
        c->levels[i].depth = i;
        c->levels[i].world.sim.point = at_point;
        c->levels[i].world.sim.ctx = &c->levels[i];
    }
    return c;
}

static void end(void *ctx)
{
    struct campaign *c = ctx;
    for (uint32_t i = 0; i < DEPTH; i++) {
        sim_world_close(&c->levels[i].world);
        free(c->levels[i].kept.at);
    }
    free(c);
}

static void no_crash_loses_what_was_acknowledged_or_shows_what_was_not_appended(void **state)
{
    const struct sim_campaign campaign = {.program = "crash/test_crash_images",
                                          .images = IMAGES,
                                          .begin = begin,
                                          .workload = run_workload,
                                          .end = end};
    struct sim_budget budget;
    uint64_t n[SIM_COUNTS];
    (void)state;
    assert_true(sim_run(&campaign, &budget, n));
    double took = sim_budget_took(&budget);
    printf("%" PRIu64 " images, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu32
           " workers (%.1f s, %.0f a second): %" PRIu64 " of images of images, %" PRIu64
           " deaths of the process alone, %" PRIu64 " points with all subsets, %" PRIu64
           " before the log was made, %" PRIu64 " with bytes of a file's earlier life undecided; %" PRIu64
           " verified, of which %" PRIu64 " torn; %" PRIu64 " rolls, %" PRIu64 " trims (%" PRIu64
           " files used again), %" PRIu64 " failing calls planned\n",
           n[IMAGE], budget.seed, budget.seed + n[WORKLOADS] - 1, budget.workers, took,
           (double)n[IMAGE] / took, n[NESTED], n[KILLED], n[EXHAUSTIVE], n[UNCREATED], n[STALE], n[VERIFIED],
           n[TORN], n[ROLLS], n[TRIMS], n[RECYCLED], n[FAULTS]);
    if (!budget.complete)
        return;
    /* A campaign that never met these proves little. */
    for (enum count what = NESTED; what <= RECYCLED; what++)
        assert_true(n[what] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_crash_loses_what_was_acknowledged_or_shows_what_was_not_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
