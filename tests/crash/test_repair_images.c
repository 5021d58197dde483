/* SPDX-License-Identifier: BSD-3-Clause */
/* Repair images: the real stele_repair() on the simulated machine. A log is torn by a power cut, or damaged
 * as in test_damage_images.c, and repaired; where that needs permission, one is given. At its calls that
 * change something, and after the last, the power fails or the process dies. What is found then is repaired
 * to the end, opened, appended to, and loses power once more. The law:
 *
 *   - a repair that returns 0 leaves a clean log, whatever happens then, and it opens;
 *   - records shown after it are some of those that were appended, byte for byte at their positions, and
 *     all of those in front of the damage; of a torn log, everything acknowledged;
 *   - nothing is taken from the log before the copies of it are durable;
 *   - what was acknowledged after the repair survives, and nothing that was cut comes back.
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

#include "format/segment.h"
#include "lib/sim_change.h"
#include "lib/sim_cut.h"
#include "lib/sim_damage.h"
#include "lib/sim_interpose.h"
#include "lib/sim_look.h"
#include "lib/sim_run.h"

#define IMAGES UINT64_C(20000)
#define IMAGES_PER_LOG 40u
#define STEPS 80u

struct trial {
    /* The log that is written; an image of it to be repaired; found after a crash; and after another one. */
    struct sim_world world[1], hurt[1], after[1], last[1];
    /* Of the first: an earlier durable image, the last one, one not synced; what the two repairs remove. */
    struct sim then[1], sound[1], loose[1], copies[1], copies_after[1];
    struct sim_truth truth, loose_truth; /* about the last one, and the one not synced */
    struct sim_items items;
    struct sim_rand rand;
    struct sim_run *run;
    uint64_t seed, cuts;
    uint64_t cut_seed;
    uint32_t one_in; /* chance of a crash at a point; 0: none */
    bool torn;       /* by a power cut alone: nothing acknowledged may go */
    uint32_t flag;   /* the permission, where one is needed */
    bool permitted;  /* it was */
    struct sim_expect expect;
    stele_lsn first_changed; /* base of the first segment that the damage changed */
    bool seal_changed; /* where an unsealed one will have its seal: it means nothing there, and may stay */
    struct sim_list kept;
    char did[2][SIM_DID];
};

enum count { IMAGE, TORN, DAMAGED, CUT, KILLED, LOSSY, GAPS, LOGS };

/* Both names at once, and, which a kernel may do, on the disk right away. */
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    const struct sim_fd *dir = sim__fd(from_fd);
    sim__check(dir != NULL && to_fd == from_fd && flags == RENAME_EXCHANGE, "two names are exchanged");
    struct sim_file *one = sim_find(dir->sim, from), *other = sim_find(dir->sim, to);
    sim__check(one != NULL && other != NULL, "there are two names");
    sim__point(dir->sim, SIM_RENAME, false, from, to, 0, 0);
    sim__apply(dir->sim, dir->sim->op_count);
    (void)snprintf(one->name, SIM_NAME, "%s", to);
    (void)snprintf(one->on_disk, SIM_NAME, "%s", to);
    (void)snprintf(other->name, SIM_NAME, "%s", from);
    (void)snprintf(other->on_disk, SIM_NAME, "%s", from);
    dir->sim->version++;
    sim__point(dir->sim, SIM_RENAME, true, from, to, 0, 0);
    return 0;
}

static void violation(struct trial *t, const char *what, const char *how)
{
    char why[1024];
    const char *allowed = t->flag == STELE_REPAIR_QUARANTINE ? "to quarantine" : "to lose data";
    (void)snprintf(why, sizeof why,
                   "%s\n   damage: %s; %s; first damaged record at lsn %" PRId64 "; allowed %s", how,
                   t->torn ? "a power cut" : t->did[0], t->did[1], (int64_t)t->expect.end,
                   t->permitted ? allowed : "nothing");
    sim_run_violation(t->run, what, why);
}

static int repair_once(struct trial *t, struct sim_world *world, struct sim *copies, uint32_t flag)
{
    struct stele_repair_options options = {
        .size = sizeof options, .flags = STELE_REPAIR_APPLY | flag, .backup = copies->dir};
    struct stele_repair_result result = {.size = sizeof result};
    sim_run_tell(t->run, "  repair%s", flag == 0 ? "" : ", with permission");
    int rc = stele_repair(world->sim.dir, &options, &result);
    if (rc != 0 && rc != STELE_ECORRUPT)
        violation(t, "a repair failed", stele_last_error());
    if (rc == 0 && result.after != STELE_CLEAN)
        violation(t, "a repair that succeeds does not leave a clean log", "");
    return rc;
}

static void verify(struct trial *t, struct sim_world *world, enum stele_verdict worst)
{
    struct stele_verify_options options = {.size = sizeof options};
    struct stele_verify_result result = {.size = sizeof result};
    if (stele_verify(world->sim.dir, &options, &result) != 0)
        violation(t, "stele_verify() of a repaired log failed", stele_last_error());
    if (result.verdict > worst)
        violation(t, worst == STELE_CLEAN ? "a repaired log is not clean" : "a repaired log is corrupt", "");
}

static void repair(struct trial *t, struct sim_world *world, struct sim *copies)
{
    int rc = repair_once(t, world, copies, 0);
    if (rc == STELE_ECORRUPT && t->torn)
        violation(t, "a repair calls a crash corruption", stele_last_error());
    if (rc == STELE_ECORRUPT) {
        t->permitted = true;
        rc = repair_once(t, world, copies, t->flag);
    }
    if (rc != 0)
        violation(t, "a repair with permission refuses", stele_last_error());
    verify(t, world, STELE_CLEAN);
}

/* Where the records begin that a repair may take. */
static stele_lsn limit(const struct trial *t)
{
    const stele_lsn end = t->expect.end, base = t->first_changed;
    if (!t->permitted || (t->flag == STELE_REPAIR_ALLOW_DATA_LOSS && end - base < SIM_SEGMENT))
        return end;
    return base < end ? base : end;
}

/* Read all of it: the truth keeps what is shown. Nothing may be missing below `must`. */
static void keep_shown(struct trial *t, struct sim_world *world, struct stele *log, stele_lsn must)
{
    struct sim_truth *truth = &world->truth;
    struct stele_cursor *cursor;
    struct stele_record record;
    uint32_t gaps = 0;
    size_t at = 0, kept = 0;
    int rc = stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor);
    if (rc != 0)
        violation(t, "a repaired log cannot be read", stele_last_error());
    while ((rc = stele_cursor_next(cursor, &record)) == 1 || (rc == STELE_EGAP && ++gaps < SIM_FILES)) {
        const stele_lsn here = rc == 1 ? record.lsn : stele_cursor_lsn(cursor);
        for (; at < truth->count && truth->entries[at].lsn < here; at++)
            if (truth->entries[at].lsn < must)
                violation(t, "a record that had to stay is missing", "");
        if (rc != 1)
            continue;
        const struct sim_entry *entry = &truth->entries[at];
        if (at == truth->count || entry->lsn != here || entry->len != record.len ||
            entry->type != record.type || memcmp(record.data, sim_payload_at(entry->at), entry->len) != 0)
            violation(t, "a record is shown that was never appended", "");
        truth->entries[kept++] = truth->entries[at++];
    }
    if (rc != 0)
        violation(t, "a repaired log cannot be read to its end", stele_last_error());
    if (at < truth->count && truth->entries[at].lsn < must)
        violation(t, "a record that had to stay is missing at the end", "");
    stele_cursor_close(cursor);
    truth->count = kept;
    truth->first = truth->first_limit = stele_first(log);
    truth->acked = STELE_LSN_NONE; /* all of them, from now on */
}

static void look(struct trial *t, struct sim_world *world)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log;
    options.flags = STELE_READ_ONLY;
    if (stele_open(world->sim.dir, &options, &log) != 0)
        violation(t, "a reader cannot open a repaired log", stele_last_error());
    keep_shown(t, world, log, limit(t));
    assert_int_equal(stele_close(log), 0);
}

/* The log goes on behind a quarantined segment, also where a reader has not come to it yet. */
static bool has_gaps(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (sim->files[i].used && strstr(sim->files[i].name, ".broken") != NULL)
            return true;
    return false;
}

/* Open for writing, and hold it against the truth. */
static void recover(struct trial *t, struct sim_world *world, bool gaps)
{
    const stele_lsn acked = world->truth.acked;
    const char *what = gaps ? NULL : sim_look_recover(world);
    if (what != NULL)
        violation(t, what, world->truth.why);
    if (!gaps)
        return;
    if (sim_world_start(world) != 0)
        violation(t, "a repaired log does not open", stele_last_error());
    keep_shown(t, world, world->log, acked);
    world->truth.acked = stele_durable(world->log);
}

static void cut_power(struct trial *t, struct sim *from, struct sim *to, uint32_t depth,
                      struct sim_rand *rand, bool in_call)
{
    struct sim_cut cut = {.grain = sim_cut_grain(from->model, rand)};
    cut.units = sim_undecided(from, cut.grain);
    sim_cut_draw(&cut, from, rand);
    sim_cut_settle(&cut, from, rand, t->run, depth, &t->kept);
    sim_cut_tell(t->run, from, &cut, in_call);
    sim_crash(from, to, &cut, rand);
}

static void begin_world(struct trial *t, struct sim_world *world, const struct sim_truth *truth,
                        struct sim_rand *rand)
{
    sim_truth_copy(&world->truth, truth);
    memset(&world->salts, 0, sizeof world->salts);
    world->rand = sim_rand_of(sim_rand_next(rand), 0);
    world->sim.narrate = t->run->narrate;
    world->size_style = t->world->size_style;
}

static void append_some(struct trial *t, struct sim_world *world, uint64_t count)
{
    static const enum sim_op_kind kinds[] = {SIM_DO_APPEND, SIM_DO_APPENDV, SIM_DO_BATCH, SIM_DO_STEP};
    for (uint64_t i = 0; i < count; i++)
        if (!sim_world_do(world, kinds[sim_rand_below(&world->rand, 4)]))
            violation(t, "a repaired log cannot be written", world->truth.why);
}

/* What was found after the crash: repaired, read, written, and found once more. */
static void live_on(struct trial *t, struct sim_rand *rand)
{
    struct sim_world *world = t->after, *last = t->last;
    sim_reset(t->copies_after);
    repair(t, world, t->copies_after);
    if (!t->torn)
        look(t, world);
    const bool gaps = has_gaps(&world->sim) || (!t->torn && t->seal_changed);
    t->run->count[GAPS] += gaps ? 1 : 0;
    if (sim_rand_one_in(rand, 4)) { /* also what an earlier one, killed, had left in the cache is durable */
        cut_power(t, &world->sim, &last->sim, 2, rand, false);
        verify(t, last, STELE_CLEAN);
        return;
    }
    recover(t, world, gaps);
    append_some(t, world, sim_rand_below(rand, 6));
    if (!sim_world_sync_all(world))
        violation(t, "a repaired log cannot be written", world->truth.why);
    append_some(t, world, sim_rand_below(rand, 3));
    sim_world_note(world);
    cut_power(t, &world->sim, &last->sim, 2, rand, false);
    begin_world(t, last, &world->truth, rand);
    sim_world_kill(world);
    verify(t, last, STELE_TORN);
    recover(t, last, gaps);
    sim_world_kill(last);
}

static void crash_here(struct trial *t, bool in_call)
{
    const bool permitted = t->permitted;
    struct sim_rand rand = sim_rand_of(t->cut_seed, ++t->cuts);
    if (!sim_run_has(t->run, 1, SIM_PART_IMAGE, t->cuts))
        return;
    t->run->count[IMAGE]++;
    if (sim_rand_one_in(&rand, 2)) {
        sim_cut_tell(t->run, &t->hurt->sim, NULL, in_call);
        sim_kill(&t->hurt->sim, &t->after->sim);
        t->run->count[KILLED]++;
    } else {
        cut_power(t, &t->hurt->sim, &t->after->sim, 1, &rand, in_call);
        t->run->count[CUT]++;
    }
    begin_world(t, t->after, &t->hurt->truth, &rand);
    if (!in_call) /* the repair had returned */
        verify(t, t->after, STELE_CLEAN);
    live_on(t, &rand);
    t->permitted = permitted;
}

static void at_point(void *ctx, struct sim *sim, enum sim_call call, bool after)
{
    struct trial *t = ctx;
    (void)call;
    (void)after;
    if (t->one_in == 0)
        return;
    if (t->copies->op_count > 0 || !sim_is_settled(t->copies))
        violation(t, "the log changes before the copies are durable", sim->where.name);
    if (sim_rand_one_in(&t->rand, t->one_in))
        crash_here(t, true);
}

static void find_first_changed(struct trial *t)
{
    t->first_changed = STELE_LSN_NONE;
    t->seal_changed = false;
    for (uint32_t i = 0; i < t->items.segment_count; i++) {
        const struct sim_segment *segment = &t->items.segments[i];
        const struct sim_file *now = sim_find(&t->hurt->sim, segment->file->name);
        const bool same = now != NULL && now->bytes == segment->file->bytes &&
                          memcmp(now->live, segment->file->live, now->bytes) == 0;
        if (!same && segment->base < t->first_changed)
            t->first_changed = segment->base;
        const uint64_t index = stele__index_offset(SIM_SEGMENT);
        t->seal_changed |= now != NULL && now->bytes == segment->file->bytes && !segment->sealed &&
                           memcmp(now->live + index, segment->file->live + index, SIM_PAGE) != 0;
    }
}

static void one_image(struct trial *t)
{
    if (!sim_run_image(t->run))
        return;
    t->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 41), t->run->in_step);
    t->cut_seed = sim_rand_next(&t->rand);
    t->torn = sim_rand_one_in(&t->rand, 4);
    t->flag = sim_rand_one_in(&t->rand, 2) ? STELE_REPAIR_ALLOW_DATA_LOSS : STELE_REPAIR_QUARANTINE;
    t->permitted = false;
    t->cuts = 0;
    t->did[0][0] = t->did[1][0] = '\0';
    t->expect.end = STELE_LSN_NONE;
    if (t->torn) {
        cut_power(t, t->loose, &t->hurt->sim, 0, &t->rand, false);
    } else {
        sim_kill(t->sound, &t->hurt->sim);
        struct sim_damage damage = {
            .hurt = &t->hurt->sim, .then = t->then, .items = &t->items, .rand = &t->rand};
        const uint32_t times = sim_rand_one_in(&t->rand, 8) ? 2 : 1;
        for (uint32_t i = 0; i < times; i++)
            sim_damage_do(&damage, t->did[i]);
        t->expect = sim_items_judge(&t->items, &t->hurt->sim);
        find_first_changed(t);
    }
    t->run->count[t->torn ? TORN : DAMAGED]++;
    begin_world(t, t->hurt, t->torn ? &t->loose_truth : &t->truth, &t->rand);
    sim_reset(t->copies);
    t->one_in = 12;
    repair(t, t->hurt, t->copies);
    t->one_in = 0;
    crash_here(t, false);
    t->run->count[LOSSY] += t->permitted ? 1 : 0;
}

static void durable_image(struct trial *t, struct sim *out)
{
    const struct sim_cut cut = {.grain = SIM_PAGE, .keep = SIM_KEEP_NONE};
    sim_crash(&t->world->sim, out, &cut, &t->rand);
}

static void write_log(struct trial *t)
{
    struct sim_world *world = t->world;
    const uint64_t steps = STEPS / 4 + sim_rand_below(&t->rand, STEPS);
    bool ok = sim_world_do(world, SIM_DO_OPEN);
    for (uint64_t step = 0; step < steps && ok; step++) {
        world->rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 43), step);
        ok = !sim_run_has(t->run, 0, SIM_PART_STEP, step) || sim_world_step(world);
        if (step == steps / 2)
            durable_image(t, t->then);
    }
    ok = ok && (world->log != NULL || sim_world_do(world, SIM_DO_OPEN));
    sim_world_note(world);
    sim_kill(&world->sim, t->loose);
    sim_truth_copy(&t->loose_truth, &world->truth);
    ok = ok && sim_world_sync_all(world);
    if (ok && sim_rand_one_in(&t->rand, 2))
        ok = sim_world_do(world, SIM_DO_CLOSE);
    if (!ok)
        sim_run_violation(t->run, "the log could not be written", world->truth.why);
    durable_image(t, t->sound);
    sim_truth_copy(&t->truth, &world->truth);
    sim_world_kill(world);
}

static void one_log(void *ctx, uint64_t seed)
{
    struct trial *t = ctx;
    struct sim_world *world = t->world;
    t->seed = seed;
    t->rand = sim_rand_of(seed, 2);
    sim_sys_begin(seed);
    sim_world_new_log(world);
    world->rand = sim_rand_of(seed, 3);
    world->sim.model = sim_rand_one_in(&t->rand, 2) ? SIM_PMEM : SIM_BLOCK;
    world->sim.narrate = t->run->narrate;
    world->size_style = (uint32_t)sim_rand_below(&t->rand, 4);
    world->lazy = sim_rand_one_in(&t->rand, 3);
    world->crowded = sim_rand_one_in(&t->rand, 4);
    sim_reset(t->then);
    sim_run_tell(t->run, "\nA log on a simulated machine:");
    write_log(t);
    size_t kept = 0; /* what the sound image shows */
    for (size_t i = 0; i < t->truth.count; i++)
        if (t->truth.entries[i].lsn >= t->truth.first && t->truth.entries[i].state == SIM_SLOT_PUBLISHED)
            t->truth.entries[kept++] = t->truth.entries[i];
    t->truth.count = kept;
    sim_items_find(&t->items, t->sound, t->truth.first);
    t->run->count[LOGS]++;
    for (uint32_t i = 0; i < IMAGES_PER_LOG && !sim_run_done(t->run); i++)
        one_image(t);
}

static void *begin(struct sim_run *run)
{
    static struct trial trial; /* a process has one */
    struct trial *t = &trial;
    t->run = run;
    struct sim_world *const worlds[] = {t->world, t->hurt, t->after, t->last};
    struct sim *const machines[] = {t->then, t->sound, t->loose, t->copies, t->copies_after};
    for (uint64_t i = 0; i < 4; i++)
        sim_world_open(worlds[i], 1 + i);
    for (uint64_t i = 0; i < 5; i++)
        sim_open(machines[i], 5 + i);
    t->hurt->sim.point = at_point;
    t->hurt->sim.ctx = t;
    return t;
}

static void end(void *ctx)
{
    struct trial *t = ctx;
    sim_world_close(t->world);
    sim_world_close(t->hurt);
    sim_world_close(t->after);
    sim_world_close(t->last);
    sim_close(t->then);
    sim_close(t->sound);
    sim_close(t->loose);
    sim_close(t->copies);
    sim_close(t->copies_after);
    sim_truth_free(&t->truth);
    sim_truth_free(&t->loose_truth);
    sim_items_free(&t->items);
    free(t->kept.at);
}

static void a_repair_cut_short_ends_clean_and_what_it_cut_never_comes_back(void **state)
{
    const struct sim_campaign campaign = {.program = "crash/test_repair_images",
                                          .images = IMAGES,
                                          .begin = begin,
                                          .workload = one_log,
                                          .end = end};
    struct sim_budget budget;
    uint64_t n[SIM_COUNTS];
    (void)state;
    assert_true(sim_run(&campaign, &budget, n));
    double took = sim_budget_took(&budget);
    printf("%" PRIu64 " images, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu32 " workers (%.1f s): %" PRIu64
           " of torn logs, %" PRIu64 " of damaged ones (%" PRIu64 " with permission); %" PRIu64
           " power cuts, %" PRIu64 " deaths of the process, repaired again, %" PRIu64 " with gaps\n",
           n[IMAGE], budget.seed, budget.seed + n[LOGS] - 1, budget.workers, took, n[TORN], n[DAMAGED],
           n[LOSSY], n[CUT], n[KILLED], n[GAPS]);
    for (enum count what = TORN; what <= LOGS && budget.complete; what++)
        assert_true(n[what] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repair_cut_short_ends_clean_and_what_it_cut_never_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
