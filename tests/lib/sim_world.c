/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_world.c: the life of a log: opened, killed, closed, opened again. What is done in between is in sim_load.c. */
#include "sim_world.h"

#include "core/open.h"
#include "format/name.h"
#include "format/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_world_open(struct sim_world *world, const char *parent, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    sim_open(&world->sim, parent, seed);
    world->rand = sim_rand_of(seed, 1);
}

void sim_world_close(struct sim_world *world)
{
    sim_world_kill(world);
    sim_close(&world->sim);
    sim_truth_free(&world->truth);
}

void sim__remember(struct sim_world *world, enum sim_op_kind kind, uint64_t lsn, uint64_t value, long rc)
{
    world->trace[world->steps++ % SIM_TRACE] = (struct sim_trace){kind, lsn, value, rc};
}

void sim_world_print_trace(const struct sim_world *world)
{
    static const char *const names[SIM_DO_KINDS] = {
        "append",     "appendv",     "batch", "reserve", "publish", "abandon", "sync",
        "sync_begin", "helper step", "trim",  "close",   "kill",    "open"};
    uint64_t from = world->steps > SIM_TRACE ? world->steps - SIM_TRACE : 0;
    for (uint64_t i = from; i < world->steps; i++) {
        const struct sim_trace *step = &world->trace[i % SIM_TRACE];
        fprintf(stderr, "  %4" PRIu64 "  %-12s lsn %-8" PRIu64 " %-8" PRIu64 " -> %ld\n", i,
                names[step->kind], step->lsn, step->value, step->rc);
    }
}

/* An error where there was no reason for one. */
bool sim__surprise(struct sim_world *world, const char *what, long rc)
{
    if (world->faulty || world->sim.fault.fired > 0) {
        world->faulty = true;
        return true;
    }
    (void)snprintf(world->truth.why, sizeof world->truth.why, "%s returned %ld (%s): %s", what, rc,
                   stele_strerror((int)rc), stele_last_error());
    return false;
}

static void draw_options(struct sim_world *world, struct stele_options *out)
{
    static const uint64_t mark_bytes[] = {0, 64, 256, 1024, 4096, 20000};
    struct sim_rand *rand = &world->rand;
    *out = (struct stele_options)STELE_OPTIONS_INIT;
    out->segment_bytes = SIM_SEGMENT;
    out->spare_segments = 1 + (uint32_t)sim_rand_below(rand, world->lazy ? 4 : 2);
    out->mark_bytes = mark_bytes[sim_rand_below(rand, sizeof mark_bytes / sizeof mark_bytes[0])];
    out->flags = world->truth.created ? 0 : STELE_CREATE;
    if (sim_rand_one_in(rand, 3))
        out->flags |= STELE_SINGLE_APPENDER;
    if (sim_rand_one_in(rand, 4))
        out->flags |= STELE_NO_RECYCLE;
    if (sim_rand_one_in(rand, 4)) {
        out->metadata = "an application's own words";
        out->metadata_bytes = 26;
    }
}

int sim_world_start(struct sim_world *world)
{
    struct stele_options options;
    struct stele__media media;
    draw_options(world, &options);
    sim_media(&world->sim, &media);
    const struct stele__seams seams = {.media = &media, .no_helper = true};
    world->slot_count = 0;
    world->faulty = false;
    world->opens++;
    struct stele *log = NULL;
    int rc = stele__open_with(world->sim.dir, &options, &seams, &log);
    sim__remember(world, SIM_DO_OPEN, rc == 0 ? stele_tail(log) : 0, options.mark_bytes, rc);
    world->log = log;
    return rc;
}

bool sim_world_judge(struct sim_world *world)
{
    size_t shown = 0;
    if (!sim_truth_check(&world->truth, world->log, &shown))
        return false;
    sim_truth_settle(&world->truth, world->log, shown);
    return true;
}

void sim_world_kill(struct sim_world *world)
{
    if (world->log == NULL)
        return;
    struct stele *log = world->log;
    world->log = NULL;
    world->slot_count = 0;
    stele__log_free(log);
}

void sim_world_note(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    sim_truth_note_batch(truth);
    if (world->log == NULL)
        return;
    stele_lsn durable = stele_durable(world->log);
    if (durable > truth->acked)
        truth->acked = durable;
}

static bool note_incarnation(struct sim_world *world, uint64_t sequence, uint32_t incarnation)
{
    uint64_t *known = &world->incarnations[incarnation % SIM_SEEN],
             *met = &world->met_at[incarnation % SIM_SEEN];
    bool is_new = *known == 0, same = *known == sequence + 1 && *met + 1 >= world->looks;
    *known = sequence + 1;
    *met = world->looks;
    if (is_new || same)
        return true;
    (void)snprintf(world->truth.why, sizeof world->truth.why,
                   "segment %" PRIu64 " has incarnation %" PRIu32
                   ", and so the salt, of a segment that was there before",
                   sequence, incarnation);
    return false;
}

bool sim_world_incarnations(struct sim_world *world)
{
    bool ok = true;
    world->looks++;
    for (uint32_t i = 0; i < world->sim.file_count && ok; i++) {
        const struct sim_file *file = &world->sim.files[i];
        uint64_t sequence;
        stele_lsn base;
        struct stele__header header;
        uint32_t copies;
        if (file->used && stele__name_parse(file->name, &sequence, &base) == STELE__NAME_SEGMENT &&
            stele__header_decode(file->live, &header, &copies) == STELE__DECODE_OK)
            ok = note_incarnation(world, sequence, header.incarnation);
    }
    return ok;
}

void sim_world_forget(struct sim_world *world)
{
    memset(world->incarnations, 0, sizeof world->incarnations);
    world->looks = 0;
}
