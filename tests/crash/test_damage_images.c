/* SPDX-License-Identifier: BSD-3-Clause */
/* Damage images: what a disk can do to bytes that had been durable. A log is written, its durable image is taken, and one
 * or two places of a copy are damaged (sim_damage.h). sim_items.h says what must follow:
 *
 *   - a damaged record below a point that something undamaged vouches for is corruption: verify says so, opening for
 *     writing refuses and changes nothing, or, where the damage lies in a sealed segment, reading stops in front of it;
 *   - fewer records without a word may be shown only where nothing vouches for what is missing: the last commit;
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

#include "lib/sim_budget.h"
#include "lib/sim_damage.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(8000)
#define IMAGES_PER_LOG 40u
#define STEPS 80u

struct trial {
    char scratch[256];
    struct sim_world world; /* the log that is written */
    struct sim then, sound; /* an earlier durable image of it, and the last one */
    struct sim_world hurt;  /* a damaged copy of that */
    struct sim_truth truth;
    struct sim_items items;
    struct sim_rand rand;
    struct sim_budget budget;
    bool broken;                   /* in the middle of something: nothing can be closed any more */
    uint64_t seed, images, serial; /* of the log; damaged in all, and of this log */
    uint64_t corrupt, torn, clean, expected, in_sealed;
    char did[2][SIM_DID];
};

static void violation(struct trial *t, const char *what, const struct sim_expect *expect)
{
    fprintf(stderr, "\n%s\n  damage: %s%s%s\n", what, t->did[0], t->did[1][0] != '\0' ? "; " : "", t->did[1]);
    if (expect != NULL)
        fprintf(stderr,
                "  first damaged record at lsn %" PRId64 "%s, what is left vouches for lsn %" PRIu64
                "; %s; control file %s\n",
                (int64_t)expect->end, expect->in_sealed ? " (sealed)" : "", expect->vouch,
                expect->lost ? "a segment is lost" : expect->healed ? "nothing is lost" : "no segment is lost",
                expect->control ? "lost" : "readable");
    fprintf(stderr, "after %" PRIu64 " images. Again: STELE_SEED=%" PRIu64 " STELE_SIM_IMAGE=%" PRIu64 "\n",
            t->images, t->seed, t->serial);
    t->broken = true;
    fail_msg("%s", what);
}

static bool is_corrupt(const struct sim_expect *expect)
{
    bool vouched = expect->end != STELE_LSN_NONE && expect->vouch > expect->end;
    return vouched || expect->lost || expect->control;
}

static void print_problem(void *ctx, const struct stele_problem *problem)
{
    const struct trial *t = ctx;
    if (t->budget.only != 0) /* shown again: show all there is */
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
    t->corrupt += result.verdict == STELE_CORRUPT ? 1 : 0;
    t->torn += result.verdict == STELE_TORN ? 1 : 0;
    t->clean += result.verdict == STELE_CLEAN ? 1 : 0;
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

/* What is shown must be right, and may end early only with an error, or where nothing vouches for the rest. */
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
    if (t->hurt.sim.op_count > 0)
        violation(t, "a log that was refused has changed names", expect);
    for (uint32_t i = 0; i < t->hurt.sim.file_count; i++) {
        const struct sim_file *file = &t->hurt.sim.files[i];
        if (file->used && memcmp(file->live, file->disk, file->bytes) != 0)
            violation(t, "a log that was refused has changed bytes", expect);
    }
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

static void one_image(struct trial *t)
{
    t->serial++;
    t->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 41), t->serial);
    if (t->budget.only != 0 && t->budget.only != t->serial)
        return;
    t->images++;
    sim_kill(&t->sound, &t->hurt.sim);
    t->hurt.truth.created = true;
    t->did[0][0] = t->did[1][0] = '\0';
    struct sim_damage damage = {.hurt = &t->hurt.sim, .then = &t->then, .items = &t->items, .rand = &t->rand};
    sim_damage_do(&damage, t->did[0]);
    if (sim_rand_one_in(&t->rand, 8))
        sim_damage_do(&damage, t->did[1]);
    struct sim_expect expect = sim_items_judge(&t->items, &t->hurt.sim);
    t->expected += is_corrupt(&expect) ? 1 : 0;
    t->in_sealed += expect.in_sealed ? 1 : 0;
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
    if (!sim_world_do(world, SIM_DO_OPEN))
        violation(t, world->truth.why, NULL);
    for (uint64_t step = 0; step < steps; step++) {
        if (!sim_world_step(world))
            violation(t, world->truth.why, NULL);
        if (step == steps / 2)
            durable_image(t, &t->then);
    }
    bool ok = world->log != NULL || sim_world_do(world, SIM_DO_OPEN);
    ok = ok && sim_world_sync_all(world);
    if (ok && sim_rand_one_in(&t->rand, 2))
        ok = sim_world_do(world, SIM_DO_CLOSE);
    if (!ok)
        violation(t, world->truth.why, NULL);
    sim_world_note(world);
    durable_image(t, &t->sound);
    sim_truth_copy(&t->truth, &world->truth);
    sim_world_kill(world);
}

static void one_log(struct trial *t, uint64_t seed)
{
    struct sim_world *world = &t->world;
    t->seed = seed;
    t->serial = 0;
    t->rand = sim_rand_of(seed, 2);
    world->rand = sim_rand_of(seed, 3);
    sim_reset(&world->sim);
    world->sim.model = sim_rand_one_in(&t->rand, 2) ? SIM_PMEM : SIM_BLOCK;
    world->size_style = (uint32_t)sim_rand_below(&t->rand, 4);
    world->lazy = sim_rand_one_in(&t->rand, 3);
    sim_truth_free(&world->truth);
    sim_reset(&t->then);
    write_log(t);
    size_t kept = 0; /* what the sound image shows; the rest was trimmed or given up */
    for (size_t i = 0; i < t->truth.count; i++)
        if (t->truth.entries[i].lsn >= t->truth.first && t->truth.entries[i].state == SIM_SLOT_PUBLISHED)
            t->truth.entries[kept++] = t->truth.entries[i];
    t->truth.count = kept;
    sim_items_find(&t->items, &t->sound, t->truth.first);
    for (uint32_t i = 0; i < IMAGES_PER_LOG && t->images < t->budget.images; i++)
        one_image(t);
}

static int setup(void **state)
{
    struct trial *t = calloc(1, sizeof *t);
    char path[300];
    assert_non_null(t);
    sim_scratch_make(t->scratch);
    (void)snprintf(path, sizeof path, "%s/log", t->scratch);
    sim_world_open(&t->world, path, 1);
    (void)snprintf(path, sizeof path, "%s/then", t->scratch);
    sim_open(&t->then, path, 2);
    (void)snprintf(path, sizeof path, "%s/sound", t->scratch);
    sim_open(&t->sound, path, 3);
    (void)snprintf(path, sizeof path, "%s/hurt", t->scratch);
    sim_world_open(&t->hurt, path, 4);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trial *t = *state;
    if (!t->broken) {
        sim_world_close(&t->world);
        sim_close(&t->then);
        sim_close(&t->sound);
        sim_world_close(&t->hurt);
    }
    sim_truth_free(&t->truth);
    sim_items_free(&t->items);
    sim_scratch_remove(t->scratch);
    free(t);
    return 0;
}

static void damage_below_a_vouched_point_is_corruption_and_never_a_shorter_log(void **state)
{
    struct trial *t = *state;
    sim_budget_begin(&t->budget, IMAGES);
    uint64_t seed = t->budget.seed;
    do {
        one_log(t, seed++);
    } while (sim_budget_left(&t->budget, t->images));
    printf("%" PRIu64 " damaged images: %" PRIu64 " corrupt (%" PRIu64 " had to be), %" PRIu64
           " torn, %" PRIu64 " clean; %" PRIu64 " with the first damaged record in a sealed segment\n",
           t->images, t->corrupt, t->expected, t->torn, t->clean, t->in_sealed);
    if (t->budget.complete)
        assert_true(t->expected > 0 && t->torn > 0 && t->clean > 0 && t->in_sealed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damage_below_a_vouched_point_is_corruption_and_never_a_shorter_log,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
