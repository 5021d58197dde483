/* SPDX-License-Identifier: BSD-3-Clause */
/* Damage images: what a disk can do to bytes that had been durable. A log is written, its durable image is
 * taken, and one or two places of a copy are damaged (sim_damage.h). sim_items.h says what must follow:
 *
 *   - a damaged record below a point that something undamaged vouches for is corruption: verify says
 *     so, opening for writing refuses and changes nothing, or, where the damage lies in a sealed
 *     segment, reading stops in front of it;
 *   - fewer records without a word may be shown only where nothing vouches for what is missing: the
 *     last commit;
 *   - no wrong byte is ever shown, and no damage of a byte that means something goes unreported.
 *
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

#include "lib/sim_damage.h"
#include "lib/sim_interpose.h"
#include "lib/sim_run.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(100000)
#define IMAGES_PER_LOG 40u
#define STEPS 80u

struct trial {
    struct sim_world world; /* the log that is written */
    struct sim then, sound; /* an earlier durable image of it, and the last one */
    struct sim_world hurt;  /* a damaged copy of that */
    struct sim_truth truth;
    struct sim_items items;
    struct sim_rand rand;
    struct sim_run *run;
    uint64_t seed; /* of the log */
    char did[2][SIM_DID];
};

enum count { IMAGE, CORRUPT, TORN, CLEAN, EXPECTED, IN_SEALED, LOGS };

static void violation(struct trial *t, const char *what, const struct sim_expect *expect)
{
    char why[1024];
    int n =
        snprintf(why, sizeof why, "damage: %s%s%s", t->did[0], t->did[1][0] != '\0' ? "; " : "", t->did[1]);
    if (expect != NULL && n > 0 && (size_t)n < sizeof why)
        (void)snprintf(why + n, sizeof why - (size_t)n,
                       "\n   first damaged record at lsn %" PRId64 "%s, what is left vouches for lsn %" PRIu64
                       "; %s; control file %s",
                       (int64_t)expect->end, expect->in_sealed ? " (sealed)" : "", expect->vouch,
                       expect->lost     ? "a segment is lost"
                       : expect->healed ? "nothing is lost"
                                        : "no segment is lost",
                       expect->control ? "lost" : "readable");
    sim_run_violation(t->run, what, why);
}

static bool is_corrupt(const struct sim_expect *expect)
{
    bool vouched = expect->end != STELE_LSN_NONE && expect->vouch > expect->end;
    return vouched || expect->lost || expect->control;
}

static void print_problem(void *ctx, const struct stele_problem *problem)
{
    const struct trial *t = ctx;
    if (t->run->narrate)
        fprintf(stderr, "  verify: %s offset %" PRIu64 " lsn %" PRId64 " %s: %s%s\n", problem->segment,
                problem->offset, (int64_t)problem->lsn, problem->kind, problem->detail,
                problem->harmless ? " (harmless)" : "");
}

static void verify(struct trial *t, const struct sim_expect *expect)
{
    struct stele_verify_options options = {.size = sizeof options, .problem = print_problem, .ctx = t};
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(t->hurt.sim.dir, &options, &result);
    if (rc != 0)
        violation(t, stele_last_error(), expect);
    t->run->count[CORRUPT] += result.verdict == STELE_CORRUPT ? 1 : 0;
    t->run->count[TORN] += result.verdict == STELE_TORN ? 1 : 0;
    t->run->count[CLEAN] += result.verdict == STELE_CLEAN ? 1 : 0;
    if (is_corrupt(expect) && result.verdict != STELE_CORRUPT)
        violation(t, "stele_verify() does not call it corruption", expect);
    /* A last commit that nothing vouches for, zeroed, is a log that ends before it. */
    const bool unvouched = expect->end != STELE_LSN_NONE && expect->vouch <= expect->end;
    if (expect->meant && !unvouched && result.problems == 0)
        violation(t, "stele_verify() has nothing to say", expect);
    if (expect->healed && result.verdict == STELE_CORRUPT)
        violation(t, "stele_verify() calls corrupt what another copy heals", expect);
    if (expect->end != STELE_LSN_NONE && result.end_lsn > expect->end)
        violation(t, "stele_verify() counts damaged records as valid", expect);
}

/* What is shown must be right, and may end early only with an error, or where nothing vouches for the
 * rest. */
static void judge_reading(struct trial *t, struct stele *log, const struct sim_expect *expect)
{
    size_t shown, before = sim_truth_before(&t->truth, expect->end);
    int rc;
    if (!sim_truth_read(&t->truth, log, &shown, &rc))
        violation(t, t->truth.why, expect);
    if (rc != 0 && rc != STELE_ECORRUPT)
        violation(t, stele_last_error(), expect);
    if (expect->healed && shown < t->truth.count)
        violation(t, "records are missing that another copy would show", expect);
    if (rc == STELE_ECORRUPT || shown == t->truth.count)
        return;
    if (expect->end == STELE_LSN_NONE || is_corrupt(expect))
        violation(t, "records are missing without a word", expect);
    if (shown < before)
        violation(t, "sound records before the damage are missing", expect);
}

static void read_only(struct trial *t, const struct sim_expect *expect)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log;
    options.flags = STELE_READ_ONLY;
    int rc = stele_open(t->hurt.sim.dir, &options, &log);
    if (rc == STELE_ECORRUPT)
        return;
    if (rc != 0)
        violation(t, stele_last_error(), expect);
    judge_reading(t, log, expect);
    assert_int_equal(stele_close(log), 0);
}

/* The library refused: then it has not touched a byte or a name. */
static void judge_untouched(struct trial *t, const struct sim_expect *expect)
{
    for (uint32_t i = 0; i < t->hurt.sim.file_count; i++) /* a scratch file may have come and gone */
        if (t->hurt.sim.files[i].used && strcmp(t->hurt.sim.files[i].name, t->hurt.sim.files[i].on_disk) != 0)
            violation(t, "a log that was refused has changed names", expect);
    if (!sim_is_settled(&t->hurt.sim))
        violation(t, "a log that was refused has changed bytes", expect);
}

static void writable(struct trial *t, const struct sim_expect *expect)
{
    struct sim_world *world = &t->hurt;
    int rc = sim_world_start(world);
    if (rc == STELE_ECORRUPT) {
        judge_untouched(t, expect);
        if (expect->healed)
            violation(t, "a log that another copy heals was refused", expect);
        return;
    }
    if (rc != 0)
        violation(t, stele_last_error(), expect);
    bool in_sight = expect->end != STELE_LSN_NONE && expect->vouch > expect->end && !expect->in_sealed;
    if (in_sight || expect->lost || expect->control)
        violation(t, "a damaged log was opened for writing", expect);
    judge_reading(t, world->log, expect);
    sim_world_kill(world);
}

static bool damage(struct trial *t, uint32_t number)
{
    struct sim_damage damage = {.hurt = &t->hurt.sim, .then = &t->then, .items = &t->items, .rand = &t->rand};
    if (!sim_run_has(t->run, 0, SIM_PART_FAULT, number))
        return false;
    sim_damage_do(&damage, t->did[number]);
    return true;
}

static void one_image(struct trial *t)
{
    if (!sim_run_image(t->run))
        return;
    t->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 41), t->run->in_step);
    sim_kill(&t->sound, &t->hurt.sim);
    t->hurt.truth.created = true;
    t->hurt.rand = sim_rand_of(sim_rand_next(&t->rand), 0);
    t->did[0][0] = t->did[1][0] = '\0';
    const bool twice = sim_rand_one_in(&t->rand, 8);
    if (!damage(t, 0) && !twice)
        return;
    if (twice)
        (void)damage(t, 1);
    struct sim_expect expect = sim_items_judge(&t->items, &t->hurt.sim);
    t->run->count[EXPECTED] += is_corrupt(&expect) ? 1 : 0;
    t->run->count[IN_SEALED] += expect.in_sealed ? 1 : 0;
    verify(t, &expect);
    read_only(t, &expect);
    writable(t, &expect);
}

static void durable_image(struct trial *t, struct sim *out)
{
    const struct sim_cut cut = {.grain = SIM_PAGE, .keep = SIM_KEEP_NONE};
    sim_crash(&t->world.sim, out, &cut, &t->rand);
}

/* A log, left behind by a power cut right after a sync, or by an orderly close. */
static void write_log(struct trial *t)
{
    struct sim_world *world = &t->world;
    const uint64_t steps = STEPS / 4 + sim_rand_below(&t->rand, STEPS);
    const bool orderly = sim_rand_one_in(&t->rand, 2);
    if (!sim_world_do(world, SIM_DO_OPEN))
        violation(t, world->truth.why, NULL);
    for (uint64_t step = 0; step < steps; step++) {
        world->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 43), step);
        if (sim_run_has(t->run, 0, SIM_PART_STEP, step) && !sim_world_step(world))
            violation(t, world->truth.why, NULL);
        if (step == steps / 2)
            durable_image(t, &t->then);
    }
    bool ok = world->log != NULL || sim_world_do(world, SIM_DO_OPEN);
    ok = ok && sim_world_sync_all(world);
    if (ok && orderly)
        ok = sim_world_do(world, SIM_DO_CLOSE);
    if (!ok)
        violation(t, world->truth.why, NULL);
    sim_world_note(world);
    durable_image(t, &t->sound);
    sim_truth_copy(&t->truth, &world->truth);
    sim_world_kill(world);
}

static void one_log(void *ctx, uint64_t seed)
{
    struct trial *t = ctx;
    struct sim_world *world = &t->world;
    t->seed = seed;
    t->rand = sim_rand_of(seed, 2);
    world->rand = sim_rand_of(seed, 3);
    sim_sys_begin(seed);
    sim_reset(&world->sim);
    world->sim.model = sim_rand_one_in(&t->rand, 2) ? SIM_PMEM : SIM_BLOCK;
    world->sim.narrate = t->run->narrate;
    world->size_style = (uint32_t)sim_rand_below(&t->rand, 4);
    world->lazy = sim_rand_one_in(&t->rand, 3);
    world->crowded = sim_rand_one_in(&t->rand, 4);
    sim_truth_free(&world->truth);
    sim_reset(&t->then);
    sim_run_tell(t->run, "\nA log on a simulated machine:");
    write_log(t);
    size_t kept = 0; /* what the sound image shows; the rest was trimmed or given up */
    for (size_t i = 0; i < t->truth.count; i++)
        if (t->truth.entries[i].lsn >= t->truth.first && t->truth.entries[i].state == SIM_SLOT_PUBLISHED)
            t->truth.entries[kept++] = t->truth.entries[i];
    t->truth.count = kept;
    sim_items_find(&t->items, &t->sound, t->truth.first);
    t->run->count[LOGS]++;
    for (uint32_t i = 0; i < IMAGES_PER_LOG && !sim_run_done(t->run); i++)
        one_image(t);
}

static void *begin(struct sim_run *run)
{
    struct trial *t = calloc(1, sizeof *t);
    sim__check(t != NULL, "memory for a campaign");
    t->run = run;
    sim_world_open(&t->world, 1);
    sim_open(&t->then, 2);
    sim_open(&t->sound, 3);
    sim_world_open(&t->hurt, 4);
    return t;
}

static void end(void *ctx)
{
    struct trial *t = ctx;
    sim_world_close(&t->world);
    sim_close(&t->then);
    sim_close(&t->sound);
    sim_world_close(&t->hurt);
    sim_truth_free(&t->truth);
    sim_items_free(&t->items);
    free(t);
}

static void damage_below_a_vouched_point_is_corruption_and_never_a_shorter_log(void **state)
{
    const struct sim_campaign campaign = {.program = "crash/test_damage_images",
                                          .images = IMAGES,
                                          .begin = begin,
                                          .workload = one_log,
                                          .end = end};
    struct sim_budget budget;
    uint64_t n[SIM_COUNTS];
    (void)state;
    assert_true(sim_run(&campaign, &budget, n));
    double took = sim_budget_took(&budget);
    printf("%" PRIu64 " damaged images, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu32
           " workers (%.1f s, %.0f a second): %" PRIu64 " corrupt (%" PRIu64 " had to be), %" PRIu64
           " torn, %" PRIu64 " clean; %" PRIu64 " with the first damaged record in a sealed segment\n",
           n[IMAGE], budget.seed, budget.seed + n[LOGS] - 1, budget.workers, took, (double)n[IMAGE] / took,
           n[CORRUPT], n[EXPECTED], n[TORN], n[CLEAN], n[IN_SEALED]);
    for (enum count what = CORRUPT; what <= LOGS && budget.complete; what++)
        assert_true(n[what] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_below_a_vouched_point_is_corruption_and_never_a_shorter_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
