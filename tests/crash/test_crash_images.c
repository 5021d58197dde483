/* SPDX-License-Identifier: BSD-3-Clause */
/* Crash images: a seeded workload runs through the library on a simulated medium. Before and after each call to the medium,
 * and between the steps, the power fails: in an image of what may then be found the real stele_open() recovers, and the
 * law of sim_truth.h must hold. Most images live on: they append, roll, trim, and crash again, also in the middle of their
 * recovery. In some the process dies instead, and the power fails only after the next one has acknowledged more.
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
#include <unistd.h>

#include "lib/sim_budget.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(20000)
#define STEPS 120u        /* of a workload */
#define DEPTH 3u          /* worlds: the workload, an image of it, an image of that one */
#define EXHAUSTIVE_MAX 6u /* so many undecided pieces: all their subsets */

struct level {
    struct sim_world world;
    struct campaign *campaign;
    uint32_t depth;
    uint32_t one_in; /* chance of a crash at a point; 0: none */
    struct sim_rand rand;
};

struct campaign {
    char scratch[256];
    struct level levels[DEPTH];
    struct sim_budget budget;
    bool broken;             /* in the middle of some call of the library: nothing can be closed any more */
    uint64_t seed;           /* of the workload */
    uint64_t images, serial; /* in all, and of this workload's own */
    uint64_t torn, nested, killed, before_created, exhaustive, verified, workloads, faults;
};

static void violation(struct level *level, const char *what)
{
    struct campaign *c = level->campaign;
    fprintf(stderr, "\n%s: %s\n", what, level->world.truth.why);
    for (uint32_t i = 0; i <= level->depth; i++) {
        fprintf(stderr, "%s world %" PRIu32 " did:\n",
                c->levels[i].world.sim.model == SIM_PMEM ? "pmem" : "block", i);
        sim_world_print_trace(&c->levels[i].world);
    }
    fprintf(stderr, "after %" PRIu64 " images. Again: STELE_SEED=%" PRIu64 " STELE_SIM_IMAGE=%" PRIu64 "\n",
            c->images, c->seed, c->serial);
    c->broken = true;
    fail_msg("%s", what);
}

static void broken(struct level *level, const char *what, long rc)
{
    (void)snprintf(level->world.truth.why, sizeof level->world.truth.why, "%ld: %s", rc, stele_last_error());
    violation(level, what);
}

/* A crash may leave one of two copies torn, and a tail. A header or an index that cannot be read it may not: they were
 * durable before anything spoke of them. */
static void judge_problem(void *ctx, const struct stele_problem *problem)
{
    static const char *const possible[] = {"torn", "residue", "footer", "footer-copy", "control-copy"};
    struct level *level = ctx;
    for (size_t i = 0; i < sizeof possible / sizeof possible[0]; i++)
        if (strcmp(problem->kind, possible[i]) == 0)
            return;
    if (!level->world.truth.created)
        return;
    (void)snprintf(level->world.truth.why, sizeof level->world.truth.why, "%s: offset %" PRIu64 ": %s: %s",
                   problem->segment, problem->offset, problem->kind, problem->detail);
    violation(level, "stele_verify() finds a problem no crash can leave");
}

static void verify(struct level *level, bool after)
{
    struct stele_verify_options options = {.size = sizeof options, .problem = judge_problem, .ctx = level};
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(level->world.sim.dir, &options, &result);
    level->campaign->verified++;
    if (rc == STELE_ENOTLOG && !level->world.truth.created)
        return;
    if (rc != 0)
        broken(level, "stele_verify() of an undamaged log failed", rc);
    level->campaign->torn += result.verdict == STELE_TORN ? 1 : 0;
    if (result.verdict == STELE_CORRUPT || (after && result.verdict != STELE_CLEAN))
        broken(level,
               after ? "stele_verify() finds a closed log unclean"
                     : "stele_verify() calls a crash corruption",
               (long)result.verdict);
}

/* A reader changes nothing and shows no more, and no less, than the law allows. */
static void read_only(struct level *level)
{
    struct sim_world *world = &level->world;
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_READ_ONLY;
    struct stele *log;
    int rc = stele_open(world->sim.dir, &options, &log);
    if (rc == STELE_ENOTLOG && !world->truth.created)
        return;
    if (rc != 0)
        broken(level, "a reader cannot open an undamaged log", rc);
    size_t shown;
    if (!sim_truth_check(&world->truth, log, &shown))
        violation(level, "a reader sees the law broken");
    assert_int_equal(stele_close(log), 0);
}

static void crash_here(struct level *from);

/* What becomes of an image: recovery, the law, some more life, and another crash. */
static void live_on(struct level *level, bool killed)
{
    struct sim_world *world = &level->world;
    struct sim_rand *rand = &level->rand;
    const bool last = level->depth + 1 == DEPTH;
    if (sim_rand_one_in(rand, 8))
        verify(level, false);
    if (sim_rand_one_in(rand, 16))
        read_only(level);
    if (sim_rand_one_in(rand, 16)) /* the file "lock" is not needed, and its name never synced */
        (void)unlinkat(world->sim.dirfd, "lock", 0);
    level->one_in = last     ? 0
                    : killed ? 6
                             : 24; /* what a dead process left in caches only is found out here */
    int rc = sim_world_start(world);
    if (rc != 0)
        broken(level, "an undamaged log does not open", rc);
    if (!sim_world_judge(world))
        violation(level, "recovery broke the law");
    level->one_in = last ? 0 : 50;
    uint64_t steps = last ? 0 : sim_rand_below(rand, 8);
    for (uint64_t i = 0; i < steps; i++)
        if (!sim_world_step(world))
            violation(level, "a log that was recovered broke the law");
    if (!last && world->log != NULL && sim_rand_one_in(rand, 2) && !sim_world_sync_all(world))
        violation(level, "a log that was recovered broke the law");
    level->one_in = 0;
    if (!last) {
        sim_world_note(world);
        crash_here(level);
    }
    if (world->log != NULL && sim_rand_one_in(rand, 16)) {
        if (!sim_world_do(world, SIM_DO_CLOSE))
            violation(level, "closing broke the law");
        verify(level, true);
    }
    sim_world_kill(world);
}

static void next_image(struct level *from, const struct sim_cut *cut, bool kill)
{
    struct campaign *c = from->campaign;
    struct level *to = &c->levels[from->depth + 1];
    if (from->depth == 0) {
        c->serial++;
        if (c->images >= c->budget.images || (c->budget.only != 0 && c->budget.only != c->serial))
            return;
    }
    to->rand = sim_rand_of(c->seed ^ (UINT64_C(1) << 40), c->serial * DEPTH + from->depth);
    if (kill)
        sim_kill(&from->world.sim, &to->world.sim);
    else
        sim_crash(&from->world.sim, &to->world.sim, cut, &to->rand);
    sim_truth_copy(&to->world.truth, &from->world.truth);
    to->world.rand = sim_rand_of(sim_rand_next(&to->rand), 0);
    to->world.sim.rand = sim_rand_of(sim_rand_next(&to->rand), 0);
    to->world.size_style = from->world.size_style;
    to->world.lazy = from->world.lazy;
    to->world.steps = 0;
    c->images++;
    c->nested += from->depth > 0 ? 1 : 0;
    c->killed += kill ? 1 : 0;
    c->before_created += from->world.truth.created ? 0 : 1;
    live_on(to, kill);
}

static uint32_t draw_grain(enum sim_model model, struct sim_rand *rand)
{
    static const uint32_t block[] = {4096, 4096, 512, 512, 512, 8}, pmem[] = {8, 8, 8, 64};
    return model == SIM_PMEM ? pmem[sim_rand_below(rand, 4)] : block[sim_rand_below(rand, 6)];
}

static void draw_cut(struct sim_cut *cut, const struct sim *sim, struct sim_rand *rand)
{
    cut->keep = (enum sim_keep)sim_rand_below(rand, SIM_KEEP_SOME + 1u);
    cut->arg = cut->keep == SIM_KEEP_SOME ? 1 + sim_rand_below(rand, 255) : sim_rand_below(rand, cut->units);
    cut->ops = sim_draw_ops(sim, rand);
}

/* The power fails now. */
static void crash_here(struct level *from)
{
    struct sim *sim = &from->world.sim;
    struct sim_rand rand = sim_rand_of(sim_rand_next(&from->rand), 0);
    struct sim_cut cut = {.grain = draw_grain(sim->model, &rand)};
    cut.units = sim_undecided(sim, cut.grain);
    bool exhaustive =
        from->depth == 0 && cut.units > 0 && cut.units <= EXHAUSTIVE_MAX && sim_rand_one_in(&rand, 4);
    if (exhaustive) {
        cut.keep = SIM_KEEP_MASK;
        from->campaign->exhaustive++;
        for (cut.arg = 0; cut.arg < UINT64_C(1) << cut.units; cut.arg++) {
            cut.ops = sim_draw_ops(sim, &rand);
            next_image(from, &cut, false);
        }
    } else {
        uint64_t images = from->depth == 0 ? 1 + sim_rand_below(&rand, 4) : 1;
        for (uint64_t i = 0; i < images; i++) {
            draw_cut(&cut, sim, &rand);
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
    /* Name changes are rare beside flushes and as delicate. */
    uint32_t one_in = call == SIM_PERSIST ? level->one_in : (level->one_in + 1) / 2;
    if (sim_rand_one_in(&level->rand, one_in))
        crash_here(level);
    if (sim_rand_one_in(&level->rand, 24))
        sim_write_back(sim, &level->rand);
}

static void plan_fault(struct level *level)
{
    static const int errors[] = {5 /* EIO */, 28 /* ENOSPC */, 122 /* EDQUOT */, 13 /* EACCES */};
    struct sim_rand *rand = &level->rand;
    level->campaign->faults++;
    level->world.sim.fault = (struct sim_fault){
        .at = 1 + sim_rand_below(rand, 8), .kinds = UINT32_MAX, .error = errors[sim_rand_below(rand, 4)]};
}

static void begin(struct level *level, uint64_t seed)
{
    struct sim_world *world = &level->world;
    level->rand = sim_rand_of(seed, 2);
    world->rand = sim_rand_of(seed, 3);
    world->sim.rand = sim_rand_of(seed, 4);
    sim_reset(&world->sim);
    world->sim.model = sim_rand_one_in(&level->rand, 2) ? SIM_PMEM : SIM_BLOCK;
    world->size_style = (uint32_t)sim_rand_below(&level->rand, 4);
    world->lazy = sim_rand_one_in(&level->rand, 3);
    world->truth.count = 0;
    world->truth.acked = world->truth.first = world->truth.first_limit = 0;
    world->truth.created = false;
    world->steps = 0;
    sim_world_forget(world);
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

static void run_workload(struct campaign *c, uint64_t seed)
{
    struct level *level = &c->levels[0];
    struct sim_world *world = &level->world;
    c->seed = seed;
    c->serial = 0;
    c->workloads++;
    begin(level, seed);
    level->one_in = 16;
    if (!sim_world_do(world, SIM_DO_OPEN))
        violation(level, "a new log cannot be made");
    for (uint32_t step = 0; step < STEPS && c->images < c->budget.images; step++) {
        if (world->log != NULL && world->sim.fault.at == 0 && sim_rand_one_in(&level->rand, 40))
            plan_fault(level);
        if (!sim_world_step(world))
            violation(level, "the workload itself broke the law");
        sim_world_note(world);
        if (!sim_world_incarnations(world))
            violation(level, "a salt was used twice");
        if (sim_rand_one_in(&level->rand, 16))
            crash_here(level);
    }
    level->one_in = 0;
    end_in_order(level);
}

static int setup(void **state)
{
    struct campaign *c = calloc(1, sizeof *c);
    assert_non_null(c);
    sim_scratch_make(c->scratch);
    for (uint32_t i = 0; i < DEPTH; i++) {
        char path[300];
        (void)snprintf(path, sizeof path, "%s/%" PRIu32, c->scratch, i);
        sim_world_open(&c->levels[i].world, path, i);
        c->levels[i].campaign = c;
        c->levels[i].depth = i;
        c->levels[i].world.sim.point = at_point;
        c->levels[i].world.sim.ctx = &c->levels[i];
    }
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct campaign *c = *state;
    for (uint32_t i = 0; i < DEPTH && !c->broken; i++)
        sim_world_close(&c->levels[i].world);
    sim_scratch_remove(c->scratch);
    free(c);
    return 0;
}

static void no_crash_loses_what_was_acknowledged_or_shows_what_was_not_appended(void **state)
{
    struct campaign *c = *state;
    sim_budget_begin(&c->budget, IMAGES);
    uint64_t seed = c->budget.seed;
    do {
        run_workload(c, seed++);
    } while (sim_budget_left(&c->budget, c->images));
    const struct sim_world *world = &c->levels[0].world;
    double took = sim_budget_took(&c->budget);
    printf("%" PRIu64 " crash images of %" PRIu64 " workloads in %.1f s (%.0f a second): %" PRIu64
           " of images of images, "
           "%" PRIu64 " deaths of the process alone, %" PRIu64 " points with all subsets, %" PRIu64
           " before the log was made; "
           "%" PRIu64 " verified, of which %" PRIu64 " torn; %" PRIu64 " rolls, %" PRIu64 " trims (%" PRIu64
           " files used "
           "again), %" PRIu64 " failing calls planned\n",
           c->images, c->workloads, took, (double)c->images / took, c->nested, c->killed, c->exhaustive,
           c->before_created, c->verified, c->torn, world->rolls, world->trims, world->recycled, c->faults);
    if (!c->budget.complete)
        return;
    /* A campaign that never met these proves little. */
    assert_true(c->nested > 0 && c->killed > 0 && c->exhaustive > 0 && c->before_created > 0 && c->torn > 0);
    assert_true(world->rolls > 0 && world->trims > 0 && world->recycled > 0 && c->faults > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_crash_loses_what_was_acknowledged_or_shows_what_was_not_appended,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
