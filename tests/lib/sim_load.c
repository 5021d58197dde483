/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_load.c: what applications do to a log, drawn at random, with the truth kept beside it. */
#include "sim_world.h"

#include "core/helper.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>

static uint32_t draw_len(struct sim_world *world)
{
    static const uint32_t below[] = {48, 300, 3000, 16000};
    struct sim_rand *rand = &world->rand;
    uint64_t kind = sim_rand_below(rand, 32);
    if (kind == 0)
        return 0;
    if (kind == 1)
        return (uint32_t)stele_record_max(world->log);
    uint32_t style = kind < 6 ? (uint32_t)sim_rand_below(rand, 4) : world->size_style;
    return (uint32_t)sim_rand_below(rand, below[style]);
}

static unsigned draw_type(struct sim_world *world)
{
    return sim_rand_one_in(&world->rand, 2) ? 0 : (unsigned)sim_rand_below(&world->rand, STELE_TYPE_MAX + 1);
}

static bool append(struct sim_world *world)
{
    uint32_t at, len = draw_len(world);
    const uint8_t *data = sim_payload(&world->rand, len, &at);
    stele_lsn lsn = STELE_LSN_NONE;
    int rc = stele_append(world->log, data, len, &lsn);
    sim__tell(world, SIM_DO_APPEND, lsn, len, rc);
    if (rc != 0)
        return sim__surprise(world, "stele_append", rc);
    sim_truth_add(&world->truth, lsn, 0, len, at, SIM_SLOT_PUBLISHED);
    return true;
}

static bool appendv(struct sim_world *world)
{
    uint32_t at, len = draw_len(world);
    uint8_t *data = (uint8_t *)(uintptr_t)sim_payload(&world->rand, len,
                                                      &at); /* an iovec is not const; it is not changed */
    unsigned type = draw_type(world);
    size_t a = (size_t)sim_rand_below(&world->rand, len + 1u),
           b = (size_t)sim_rand_below(&world->rand, len - a + 1u);
    const struct iovec iov[3] = {{data, a}, {data + a, b}, {data + a + b, len - a - b}};
    const struct iovec whole = {data, len};
    bool one = sim_rand_one_in(&world->rand, 3);
    stele_lsn lsn = STELE_LSN_NONE;
    int rc = stele_appendv(world->log, type, one ? &whole : iov, one ? 1 : 3, &lsn);
    sim__tell(world, SIM_DO_APPENDV, lsn, len, rc);
    if (rc != 0)
        return sim__surprise(world, "stele_appendv", rc);
    sim_truth_add(&world->truth, lsn, type, len, at, SIM_SLOT_PUBLISHED);
    return true;
}

static bool append_batch(struct sim_world *world)
{
    struct sim_batch batch = {.count = 1 + (size_t)sim_rand_below(&world->rand, SIM_BATCH_MAX)};
    for (size_t i = 0; i < batch.count; i++) {
        uint32_t len = draw_len(world);
        const uint8_t *data = sim_payload(&world->rand, len, &batch.at[i]);
        batch.entries[i] =
            (struct stele_entry){.data = data, .len = len, .type = draw_type(world), .lsn = STELE_LSN_NONE};
    }
    world->truth.batch = &batch;
    long rc = stele_append_batch(world->log, batch.entries, batch.count);
    sim_truth_note_batch(&world->truth);
    world->truth.batch = NULL;
    sim__tell(world, SIM_DO_BATCH, batch.entries[0].lsn, batch.count, rc);
    if (rc < 0 || (size_t)rc < batch.count)
        return sim__surprise(world, "stele_append_batch", rc);
    return true;
}

static bool reserve(struct sim_world *world)
{
    uint32_t at, len = draw_len(world);
    if (world->slot_count == SIM_SLOTS)
        return true;
    (void)sim_payload(&world->rand, len, &at);
    struct sim_appender *appender = &world->slots[world->slot_count];
    struct stele_slot *slot = &appender->slot;
    appender->filled = 0;
    int rc = stele_reserve(world->log, draw_type(world), len, slot);
    sim__tell(world, SIM_DO_RESERVE, slot->lsn, len, rc);
    if (rc != 0)
        return sim__surprise(world, "stele_reserve", rc);
    world->slot_count++;
    sim_truth_add(&world->truth, slot->lsn, slot->type, len, at, SIM_SLOT_OPEN);
    return true;
}

static void fill(struct sim_appender *appender, const struct sim_entry *entry, size_t until)
{
    struct stele_slot *slot = &appender->slot;
    if (until > appender->filled)
        memcpy((uint8_t *)slot->data + appender->filled, sim_payload_at(entry->at) + appender->filled,
               until - appender->filled);
    appender->filled = until > appender->filled ? until : appender->filled;
}

/* One appender stores some more of its payload. */
static bool fill_some(struct sim_world *world)
{
    if (world->slot_count == 0)
        return true;
    struct sim_appender *appender = &world->slots[sim_rand_below(&world->rand, world->slot_count)];
    const struct sim_entry *entry = sim_truth_find(&world->truth, appender->slot.lsn);
    size_t until =
        appender->filled + (size_t)sim_rand_below(&world->rand, appender->slot.len - appender->filled + 1);
    fill(appender, entry, until);
    sim__tell(world, SIM_DO_FILL, appender->slot.lsn, until, 0);
    return true;
}

/* Publish or abandon one of the open slots: in any order, as appenders would. */
static bool finish_slot(struct sim_world *world, uint32_t number, bool publish)
{
    struct sim_appender *appender = &world->slots[number];
    struct stele_slot *slot = &appender->slot;
    struct sim_entry *entry = sim_truth_find(&world->truth, slot->lsn);
    size_t used =
        sim_rand_one_in(&world->rand, 3) ? (size_t)sim_rand_below(&world->rand, slot->len + 1) : slot->len;
    if (entry == NULL || entry->state != SIM_SLOT_OPEN) {
        (void)snprintf(world->truth.why, sizeof world->truth.why, "the test lost a slot");
        return false;
    }
    if (publish)
        fill(appender, entry, used);
    int rc = publish ? stele_publish(world->log, slot, used) : stele_abandon(world->log, slot);
    sim__tell(world, publish ? SIM_DO_PUBLISH : SIM_DO_ABANDON, entry->lsn, used, rc);
    entry->len = (uint32_t)used;
    entry->state = publish ? SIM_SLOT_PUBLISHED : SIM_SLOT_ABANDONED;
    world->slots[number] = world->slots[--world->slot_count];
    return rc == 0 || sim__surprise(world, "publish or abandon", rc);
}

static bool finish_any(struct sim_world *world, bool publish)
{
    if (world->slot_count == 0)
        return true;
    return finish_slot(world, (uint32_t)sim_rand_below(&world->rand, world->slot_count), publish);
}

static uint32_t oldest_slot(const struct sim_world *world)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < world->slot_count; i++)
        if (world->slots[i].slot.lsn < world->slots[oldest].slot.lsn)
            oldest = i;
    return oldest;
}

/* Nobody else is there to publish an open slot: wait only for what stands before the oldest. */
static bool sync_some(struct sim_world *world, bool all)
{
    struct sim_truth *truth = &world->truth;
    stele_lsn limit = world->slot_count > 0 ? world->slots[oldest_slot(world)].slot.lsn : STELE_LSN_ALL;
    size_t n = truth->count;
    while (n > 0 && truth->entries[n - 1].lsn >= limit)
        n--;
    all = world->slot_count == 0 && (all || sim_rand_one_in(&world->rand, 2));
    if (!all && n == 0)
        return true;
    stele_lsn lsn = STELE_LSN_ALL;
    if (!all)
        lsn = truth->entries[n - 1 - sim_rand_below(&world->rand, n < 4 ? n : 4)].lsn;
    int rc = stele_sync(world->log, lsn);
    sim__tell(world, SIM_DO_SYNC, lsn, 0, rc);
    if (rc != 0)
        return sim__surprise(world, "stele_sync", rc);
    stele_lsn durable = stele_durable(world->log);
    if (all && n > 0)
        lsn = truth->entries[n - 1].lsn;
    if (lsn == STELE_LSN_ALL || durable > lsn)
        return true;
    (void)snprintf(truth->why, sizeof truth->why, "stele_sync(%llu) returned 0, the durable point is %llu",
                   (unsigned long long)lsn, (unsigned long long)durable);
    return false;
}

static bool trim(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    stele_lsn tail = stele_tail(world->log), first = STELE_LSN_NONE;
    stele_lsn lsn = truth->first + sim_rand_below(&world->rand, tail - truth->first + 1);
    stele_lsn limit = lsn & ~(SIM_SEGMENT - 1);
    truth->first_limit = limit > truth->first_limit ? limit : truth->first_limit;
    const uint32_t waiting = world->log->recycled_count;
    long rc = stele_trim(world->log, lsn, &first);
    sim__tell(world, SIM_DO_TRIM, lsn, first, rc);
    if (rc < 0)
        return sim__surprise(world, "stele_trim", rc);
    truth->first = truth->first_limit = first;
    world->trims += rc > 0 ? 1 : 0;
    world->recycled += world->log->recycled_count - waiting;
    return true;
}

/* Closing abandons what is open: from now on what stands behind it may be shown. */
static bool close_log(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    for (; world->slot_count > 0; world->slot_count--)
        sim_truth_find(truth, world->slots[world->slot_count - 1].slot.lsn)->state = SIM_SLOT_ABANDONED;
    bool well = !world->faulty && world->sim.fault.fired == 0;
    int rc = stele_close(world->log);
    world->log = NULL;
    sim__tell(world, SIM_DO_CLOSE, 0, 0, rc);
    if (rc != 0)
        return sim__surprise(world, "stele_close", rc);
    if (well && world->sim.fault.fired == 0 && truth->count > 0 &&
        truth->entries[truth->count - 1].lsn >= truth->acked)
        truth->acked = truth->entries[truth->count - 1].lsn + 8;
    return true;
}

static bool start_again(struct sim_world *world, bool may_fail)
{
    struct sim_fault *fault = &world->sim.fault;
    *fault = (struct sim_fault){0};
    if (may_fail && sim_rand_one_in(&world->rand, 8)) /* recovery meets it, too; the next step tries again */
        sim_draw_fault(&world->sim, &world->rand);
    int rc = sim_world_start(world);
    const bool refused = rc != 0 && rc != STELE_ECORRUPT && fault->fired > 0;
    if (rc != 0)
        *fault = (struct sim_fault){0};
    if (rc != 0)
        return refused || sim__surprise(world, "stele_open", rc);
    return sim_world_judge(world);
}

bool sim_world_do(struct sim_world *world, enum sim_op_kind kind)
{
    switch (kind) {
    case SIM_DO_APPEND: return append(world);
    case SIM_DO_APPENDV: return appendv(world);
    case SIM_DO_BATCH: return append_batch(world);
    case SIM_DO_RESERVE: return reserve(world);
    case SIM_DO_FILL: return fill_some(world);
    case SIM_DO_PUBLISH: return finish_any(world, true);
    case SIM_DO_ABANDON: return finish_any(world, false);
    case SIM_DO_SYNC: return sync_some(world, false);
    case SIM_DO_SYNC_BEGIN: {
        int rc = stele_sync_begin(world->log);
        sim__tell(world, kind, 0, 0, rc);
        return rc == 0 || sim__surprise(world, "stele_sync_begin", rc);
    }
    case SIM_DO_STEP:
        (void)stele__helper_step(world->log, sim_rand_one_in(&world->rand, 2));
        sim__tell(world, kind, 0, 0, 0);
        return true;
    case SIM_DO_TRIM: return trim(world);
    case SIM_DO_CLOSE: return close_log(world);
    case SIM_DO_KILL:
        world->kills++;
        sim__tell(world, kind, 0, 0, 0);
        sim_world_kill(world);
        return true;
    case SIM_DO_OPEN: return start_again(world, false);
    case SIM_DO_KINDS: break;
    }
    return false;
}

static enum sim_op_kind draw_kind(struct sim_world *world)
{
    static const uint8_t weights[SIM_DO_KINDS] = {
        [SIM_DO_APPEND] = 30,    [SIM_DO_APPENDV] = 12, [SIM_DO_BATCH] = 8,   [SIM_DO_RESERVE] = 8,
        [SIM_DO_FILL] = 8,       [SIM_DO_PUBLISH] = 8,  [SIM_DO_ABANDON] = 2, [SIM_DO_SYNC] = 14,
        [SIM_DO_SYNC_BEGIN] = 4, [SIM_DO_STEP] = 10,    [SIM_DO_TRIM] = 5,    [SIM_DO_CLOSE] = 2,
        [SIM_DO_KILL] = 1};
    uint64_t sum = 0;
    for (size_t i = 0; i < SIM_DO_KINDS; i++)
        sum += weights[i];
    uint64_t drawn = sim_rand_below(&world->rand, sum);
    for (size_t i = 0; i < SIM_DO_KINDS; i++) {
        if (drawn < weights[i])
            return (enum sim_op_kind)i;
        drawn -= weights[i];
    }
    return SIM_DO_APPEND;
}

bool sim_world_step(struct sim_world *world)
{
    if (world->log == NULL)
        return start_again(world, world->trouble);
    if (world->faulty) /* what the documentation asks for: close, reopen */
        return sim_world_do(world, sim_rand_one_in(&world->rand, 4) ? SIM_DO_KILL : SIM_DO_CLOSE);
    stele_lsn tail = stele_tail(world->log);
    /* An open slot holds the log back; with 16 segments behind it, appends would wait for a thread that is
     * not there. */
    if (world->slot_count > 0 && tail - world->slots[oldest_slot(world)].slot.lsn > 3 * SIM_SEGMENT)
        return finish_slot(world, oldest_slot(world), true);
    if (tail - world->truth.first > 3 * SIM_SEGMENT && sim_rand_one_in(&world->rand, 3))
        return sim_world_do(world, SIM_DO_TRIM);
    enum sim_op_kind kind = draw_kind(world);
    bool commits =
        kind == SIM_DO_SYNC || kind == SIM_DO_SYNC_BEGIN || kind == SIM_DO_STEP || kind == SIM_DO_CLOSE;
    if (world->crowded && (kind == SIM_DO_APPEND || kind == SIM_DO_APPENDV))
        kind = SIM_DO_RESERVE + (uint32_t)sim_rand_below(&world->rand, 3);
    if (world->lazy && commits && !sim_rand_one_in(&world->rand, 12))
        kind = SIM_DO_APPEND;
    bool ok = sim_world_do(world, kind);
    if (world->log != NULL)
        world->rolls += (stele_tail(world->log) ^ tail) / SIM_SEGMENT != 0 ? 1 : 0;
    return ok;
}

bool sim_world_sync_all(struct sim_world *world)
{
    while (world->slot_count > 0)
        if (!finish_any(world, true))
            return false;
    return sync_some(world, true);
}
