/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork images: two histories of one log, as when a virtual machine is put back to a snapshot and lives on. Both have the
 * same uuid, the same salts, and here also records of the same sizes at the same places; only their bytes differ. A record,
 * a run of records or a whole segment of one history is put in place of the other's: each piece is sound by itself, so
 * only the chain can tell. It must, wherever something that knows the chain stands behind the piece: a mark, a seal.
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
#include "lib/sim_items.h"
#include "lib/sim_world.h"

#define IMAGES UINT64_C(3000)
#define IMAGES_PER_LOG 40u
#define STEPS_BEFORE 20u
#define STEPS_AFTER 70u

struct trial {
    char scratch[256];
    struct sim_world world[2]; /* the histories */
    struct sim durable[2];     /* their durable images */
    struct sim_world hurt;     /* the first one with a piece of the second */
    struct sim_items items;
    struct sim_rand rand;
    struct sim_budget budget;
    bool broken;
    uint64_t seed, images, serial, told, segments;
    char did[160];
};

static void violation(struct trial *t, const char *what)
{
    fprintf(stderr, "\n%s\n  %s\nafter %" PRIu64 " images. Again: STELE_SEED=%" PRIu64 " STELE_SIM_IMAGE=%" PRIu64 "\n", what,
            t->did, t->images, t->seed, t->serial);
    t->broken = true;
    fail_msg("%s", what);
}

static void must(struct trial *t, struct sim_world *world, bool ok)
{
    if (!ok)
        violation(t, world->truth.why);
}

/* One history, to its end: closed, or cut off right after a sync. */
static void live_on(struct trial *t, int which, bool orderly)
{
    struct sim_world *world = &t->world[which];
    const struct sim_cut cut = {.grain = SIM_PAGE, .keep = SIM_KEEP_NONE};
    sim_payload_twist(which == 0 ? 0 : 12345);
    must(t, world, sim_world_do(world, SIM_DO_OPEN));
    for (uint32_t i = 0; i < STEPS_AFTER; i++)
        must(t, world, sim_world_step(world));
    must(t, world, world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    must(t, world, sim_world_sync_all(world));
    if (orderly)
        must(t, world, sim_world_do(world, SIM_DO_CLOSE));
    sim_world_note(world);
    sim_crash(&world->sim, &t->durable[which], &cut, &t->rand);
    sim_world_kill(world);
    sim_payload_twist(0);
}

static void begin(struct trial *t, uint64_t seed)
{
    struct sim_world *world = &t->world[0], *other = &t->world[1];
    t->seed = seed;
    t->serial = 0;
    t->rand = sim_rand_of(seed, 2);
    world->rand = sim_rand_of(seed, 3);
    sim_reset(&world->sim);
    world->sim.model = SIM_BLOCK;
    world->size_style = (uint32_t)sim_rand_below(&t->rand, 3);
    sim_truth_free(&world->truth);
    must(t, world, sim_world_do(world, SIM_DO_OPEN));
    for (uint32_t i = 0; i < STEPS_BEFORE; i++)
        must(t, world, sim_world_step(world));
    must(t, world, world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    must(t, world, sim_world_sync_all(world) && sim_world_do(world, SIM_DO_CLOSE));
    /* The snapshot. */
    sim_kill(&world->sim, &other->sim);
    sim_truth_copy(&other->truth, &world->truth);
    other->rand = world->rand;
    other->size_style = world->size_style;
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
        if ((item->segment == piece->segment && item->upto > piece->lsn) || (next && (segment->sealed || item->upto != 0)))
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
    (void)snprintf(t->did, sizeof t->did, "%zu records of the other history from lsn %" PRIu64 " on, %s", done, first->lsn,
                   *sealed ? "in a sealed segment" : "not sealed");
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
    memcpy(sim_find(&t->hurt.sim, segment->file->name)->live, sim_find(&t->durable[1], segment->file->name)->live,
           segment->file->bytes);
    (void)snprintf(t->did, sizeof t->did, "the other history's %s", segment->file->name);
    t->segments++;
    return true;
}

static void one_image(struct trial *t)
{
    bool sealed = false;
    t->serial++;
    t->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 42), t->serial);
    if (t->items.count == 0 || (t->budget.only != 0 && t->budget.only != t->serial))
        return;
    sim_kill(&t->durable[0], &t->hurt.sim);
    t->hurt.truth.created = true;
    size_t at = (size_t)sim_rand_below(&t->rand, t->items.count);
    if (sim_rand_one_in(&t->rand, 4) ? !put_segment(t, at, &sealed) : !put_records(t, at, &sealed))
        return; /* the piece is older than the fork, or nothing knows better: the last commit */
    t->images++;
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(t->hurt.sim.dir, NULL, &result);
    if (rc != 0)
        violation(t, stele_last_error());
    if (result.verdict != STELE_CORRUPT)
        violation(t, "stele_verify() believes a splice of two histories");
    t->told++;
    rc = sim_world_start(&t->hurt);
    sim_world_kill(&t->hurt);
    if (rc != STELE_ECORRUPT && !(rc == 0 && sealed)) /* sealed contents are verify's and the readers' */
        violation(t, "a splice of two histories was opened for writing");
}

static int setup(void **state)
{
    struct trial *t = calloc(1, sizeof *t);
    char path[300];
    assert_non_null(t);
    sim_scratch_make(t->scratch);
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/history%" PRIu32, t->scratch, i);
        sim_world_open(&t->world[i], path, i);
        (void)snprintf(path, sizeof path, "%s/durable%" PRIu32, t->scratch, i);
        sim_open(&t->durable[i], path, i);
    }
    (void)snprintf(path, sizeof path, "%s/hurt", t->scratch);
    sim_world_open(&t->hurt, path, 4);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trial *t = *state;
    for (uint32_t i = 0; i < 2 && !t->broken; i++) {
        sim_world_close(&t->world[i]);
        sim_close(&t->durable[i]);
    }
    if (!t->broken)
        sim_world_close(&t->hurt);
    sim_items_free(&t->items);
    sim_scratch_remove(t->scratch);
    free(t);
    return 0;
}

static void the_chain_tells_two_histories_apart(void **state)
{
    struct trial *t = *state;
    sim_budget_begin(&t->budget, IMAGES);
    uint64_t seed = t->budget.seed;
    do {
        begin(t, seed++);
        for (uint32_t i = 0; i < IMAGES_PER_LOG && t->images < t->budget.images; i++)
            one_image(t);
    } while (sim_budget_left(&t->budget, t->images));
    printf("%" PRIu64 " splices of two histories, %" PRIu64 " of whole segments: %" PRIu64 " told\n", t->images, t->segments,
           t->told);
    if (t->budget.complete)
        assert_true(t->segments > 0 && t->told == t->images && t->images > t->segments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_chain_tells_two_histories_apart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
