/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork images: two histories of one log, as when a virtual machine is put back to a snapshot and lives on.
 * Both have the same uuid, the same salts, and here also records of the same sizes at the same places;
 * only their bytes differ. A record, a run of records or a whole segment of one history is put in place of
 * the other's: each piece is sound by itself, so only the chain can tell. It must, wherever something that
 * knows the chain stands behind the piece: a mark, a seal.
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

#include "lib/sim_interpose.h"
#include "lib/sim_items.h"
#include "lib/sim_run.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(50000)
#define IMAGES_PER_LOG 40u
#define STEPS_BEFORE 20u
#define STEPS_AFTER 70u

struct trial {
    struct sim_world world[2]; /* the histories */
    struct sim durable[2];     /* their durable images */
    struct sim_world hurt;     /* the first one with a piece of the second */
    struct sim_items items;
    struct sim_rand rand;
    struct sim_run *run;
    uint64_t seed;
    char did[160];
};

enum count { IMAGE, SEGMENTS, RECORDS, TOLD, LOGS };

static void violation(struct trial *t, const char *what)
{
    sim_run_violation(t->run, what, t->did);
}

static void must(struct trial *t, struct sim_world *world, bool ok)
{
    if (!ok)
        violation(t, world->truth.why);
}

static void steps(struct trial *t, struct sim_world *world, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        world->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 43), i);
        if (sim_run_has(t->run, 0, SIM_PART_STEP, i))
            must(t, world, sim_world_step(world));
    }
}

/* One history, to its end: closed, or cut off right after a sync. */
static void live_on(struct trial *t, int which, bool orderly)
{
    struct sim_world *world = &t->world[which];
    const struct sim_cut cut = {.grain = SIM_PAGE, .keep = SIM_KEEP_NONE};
    sim_payload_twist(which == 0 ? 0 : 12345);
    sim_run_tell(t->run, which == 0 ? "  one history:" : "  the other history:");
    must(t, world, sim_world_do(world, SIM_DO_OPEN));
    steps(t, world, STEPS_BEFORE, STEPS_BEFORE + STEPS_AFTER);
    must(t, world, world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    must(t, world, sim_world_sync_all(world));
    if (orderly)
        must(t, world, sim_world_do(world, SIM_DO_CLOSE));
    sim_world_note(world);
    sim_crash(&world->sim, &t->durable[which], &cut, &t->rand);
    sim_world_kill(world);
    sim_payload_twist(0);
}

static void write_logs(struct trial *t, uint64_t seed)
{
    struct sim_world *world = &t->world[0], *other = &t->world[1];
    t->seed = seed;
    sim_sys_begin(seed);
    t->rand = sim_rand_of(seed, 2);
    world->rand = sim_rand_of(seed, 3);
    sim_reset(&world->sim);
    world->sim.model = SIM_BLOCK;
    world->sim.narrate = other->sim.narrate = t->run->narrate;
    sim_run_tell(t->run, "\nA log on a simulated machine:");
    world->size_style = (uint32_t)sim_rand_below(&t->rand, 3);
    sim_truth_free(&world->truth);
    must(t, world, sim_world_do(world, SIM_DO_OPEN));
    steps(t, world, 0, STEPS_BEFORE);
    must(t, world, world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    must(t, world, sim_world_sync_all(world) && sim_world_do(world, SIM_DO_CLOSE));
    /* The snapshot. */
    sim_kill(&world->sim, &other->sim);
    sim_truth_copy(&other->truth, &world->truth);
    other->rand = world->rand;
    other->size_style = world->size_style;
    sim_run_tell(t->run, "  a snapshot is taken");
    bool orderly = sim_rand_one_in(&t->rand, 2);
    live_on(t, 0, orderly);
    live_on(t, 1, orderly);
    sim_items_find(&t->items, &t->durable[0], t->world[0].truth.first);
}

/* The same bytes of the other history; NULL when it has no such file. */
static const uint8_t *others(struct trial *t, const struct sim_item *item)
{
    const struct sim_file *file = sim_find(&t->durable[1], item->file->name);
    return file != NULL && file->bytes == item->file->bytes ? file->live + item->offset : NULL;
}

/* Another record of the same place and size? (What stands in front of the bytes: length, type, epoch.) */
static bool exchangeable(struct trial *t, const struct sim_item *item)
{
    const uint8_t *own = item->file->live + item->offset, *other = others(t, item);
    return item->kind == SIM_ITEM_RECORD && item->upto == 0 && item->len > 16 && other != NULL &&
           memcmp(own, other, 7) == 0 && memcmp(own, other, item->len) != 0;
}

/* Does anything untouched, behind the record, know the chain? */
static bool is_known(struct trial *t, const struct sim_item *piece)
{
    const struct sim_segment *own = &t->items.segments[piece->segment];
    for (size_t i = 0; i < t->items.count; i++) {
        const struct sim_item *item = &t->items.list[i];
        const struct sim_segment *segment = &t->items.segments[item->segment];
        bool next = item->kind != SIM_ITEM_CONTROL && segment->base == own->base + SIM_SEGMENT;
        if ((item->segment == piece->segment && item->upto > piece->lsn) ||
            (next && (segment->sealed || item->upto != 0)))
            return true;
    }
    return own->sealed;
}

/* One record, and sometimes those that follow it. */
static bool put_records(struct trial *t, size_t at, bool *sealed)
{
    const struct sim_item *first = &t->items.list[at];
    if (!exchangeable(t, first) || !is_known(t, first))
        return false;
    size_t count = 1 + (sim_rand_one_in(&t->rand, 2) ? sim_rand_below(&t->rand, 10) : 0), done = 0;
    for (; done < count && at + done < t->items.count; done++) {
        const struct sim_item *item = &t->items.list[at + done];
        if (item->segment != first->segment || !exchangeable(t, item) || !is_known(t, item))
            break;
        memcpy(sim_find(&t->hurt.sim, item->file->name)->live + item->offset, others(t, item), item->len);
    }
    *sealed = t->items.segments[first->segment].sealed;
    t->run->count[RECORDS]++;
    (void)snprintf(t->did, sizeof t->did, "%zu records of the other history from lsn %" PRIu64 " on, %s",
                   done, first->lsn, *sealed ? "in a sealed segment" : "not sealed");
    return true;
}

static bool put_segment(struct trial *t, size_t at, bool *sealed)
{
    const struct sim_item *item = &t->items.list[at];
    const struct sim_segment *segment = &t->items.segments[item->segment];
    *sealed = false;
    if (!exchangeable(t, item))
        return false;
    bool join = false; /* with a segment behind it that knows the chain at its start */
    for (size_t i = 0; i < t->items.count && !join; i++) {
        const struct sim_segment *next = &t->items.segments[t->items.list[i].segment];
        join = t->items.list[i].kind == SIM_ITEM_RECORD && next->base == segment->base + SIM_SEGMENT &&
               (next->sealed || t->items.list[i].upto != 0);
    }
    if (!join)
        return false;
    memcpy(sim_find(&t->hurt.sim, segment->file->name)->live,
           sim_find(&t->durable[1], segment->file->name)->live, segment->file->bytes);
    (void)snprintf(t->did, sizeof t->did, "the other history's %s", segment->file->name);
    t->run->count[SEGMENTS]++;
    return true;
}

static void one_image(struct trial *t)
{
    bool sealed = false;
    t->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 42), t->run->in_step);
    if (t->items.count == 0 || !sim_run_image(t->run))
        return;
    sim_kill(&t->durable[0], &t->hurt.sim);
    t->hurt.truth.created = true;
    t->hurt.rand = sim_rand_of(sim_rand_next(&t->rand), 0);
    /* A piece may be older than the fork, or nothing knows better, being of the last commit: then another
     * one. */
    bool put = false;
    for (uint32_t tries = 0; !put && tries < 200; tries++) {
        size_t at = (size_t)sim_rand_below(&t->rand, t->items.count);
        put = sim_rand_one_in(&t->rand, 4) ? put_segment(t, at, &sealed) : put_records(t, at, &sealed);
    }
    if (!put)
        return;
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(t->hurt.sim.dir, NULL, &result);
    if (rc != 0)
        violation(t, stele_last_error());
    if (result.verdict != STELE_CORRUPT)
        violation(t, "stele_verify() believes a splice of two histories");
    t->run->count[TOLD]++;
    rc = sim_world_start(&t->hurt);
    sim_world_kill(&t->hurt);
    if (rc != STELE_ECORRUPT && !(rc == 0 && sealed)) /* sealed contents are verify's and the readers' */
        violation(t, "a splice of two histories was opened for writing");
}

static void one_log(void *ctx, uint64_t seed)
{
    struct trial *t = ctx;
    write_logs(t, seed);
    t->run->count[LOGS]++;
    for (uint32_t i = 0; i < IMAGES_PER_LOG && !sim_run_done(t->run); i++)
        one_image(t);
}

static void *begin(struct sim_run *run)
{
    struct trial *t = calloc(1, sizeof *t);
    sim__check(t != NULL, "memory for a campaign");
    t->run = run;
    for (uint32_t i = 0; i < 2; i++) {
        sim_world_open(&t->world[i], i);
        sim_open(&t->durable[i], i);
    }
    sim_world_open(&t->hurt, 4);
    return t;
}

static void end(void *ctx)
{
    struct trial *t = ctx;
    for (uint32_t i = 0; i < 2; i++) {
        sim_world_close(&t->world[i]);
        sim_close(&t->durable[i]);
    }
    sim_world_close(&t->hurt);
    sim_items_free(&t->items);
    free(t);
}

static void the_chain_tells_two_histories_apart(void **state)
{
    const struct sim_campaign campaign = {.program = "crash/test_fork_images",
                                          .images = IMAGES,
                                          .begin = begin,
                                          .workload = one_log,
                                          .end = end};
    struct sim_budget budget;
    uint64_t n[SIM_COUNTS];
    (void)state;
    assert_true(sim_run(&campaign, &budget, n));
    double took = sim_budget_took(&budget);
    printf("%" PRIu64 " images, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu32
           " workers (%.1f s, %.0f a second): %" PRIu64 " splices of two histories told, %" PRIu64
           " of whole segments, %" PRIu64 " of records\n",
           n[IMAGE], budget.seed, budget.seed + n[LOGS] - 1, budget.workers, took, (double)n[IMAGE] / took,
           n[TOLD], n[SEGMENTS], n[RECORDS]);
    for (enum count what = SEGMENTS; what <= LOGS && budget.complete; what++)
        assert_true(n[what] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_tells_two_histories_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
