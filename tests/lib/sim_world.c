/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_world.c: the life of a log: opened, killed, closed, opened again. What is done in between is in
 * sim_load.c. */
#include "sim_world.h"

#include "core/open.h"
#include "format/name.h"
#include "format/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_world_open(struct sim_world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    sim_open(&world->sim, seed);
    world->rand = sim_rand_of(seed, 1);
}

void sim_world_close(struct sim_world *world)
{
    sim_world_kill(world);
    sim_close(&world->sim);
    sim_truth_free(&world->truth);
}

void sim__tell(struct sim_world *world, enum sim_op_kind kind, uint64_t lsn, uint64_t value, long rc)
{
    static const char *const words[SIM_DO_KINDS] = {
        "append", "append from pieces", "append a batch", "reserve", "fill",  "publish", "abandon",
        "sync",   "sync_begin",         "helper step",    "trim",    "close", "kill",    "open"};
    if (!world->sim.narrate)
        return;
    fprintf(stderr, "      %s", words[kind]);
    if (kind == SIM_DO_TRIM)
        fprintf(stderr, " up to lsn %" PRIu64 ": the log begins at %" PRIu64, lsn, value);
    else if (kind == SIM_DO_OPEN)
        fprintf(stderr, ", mark_bytes %" PRIu64 ": tail at lsn %" PRIu64, value, lsn);
    else if (kind == SIM_DO_BATCH)
        fprintf(stderr, " of %" PRIu64 " records: from lsn %" PRIu64 " on", value, lsn);
    else if (kind <= SIM_DO_ABANDON)
        fprintf(stderr, " %" PRIu64 " bytes: lsn %" PRIu64, value, lsn);
    else if (kind == SIM_DO_SYNC && lsn == STELE_LSN_ALL)
        fprintf(stderr, " all");
    else if (kind == SIM_DO_SYNC)
        fprintf(stderr, " up to lsn %" PRIu64, lsn);
    fprintf(stderr, rc < 0 ? " -> %s\n" : "\n", rc < 0 ? stele_strerror((int)rc) : "");
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
    struct stele__seams seams = {.media = &media, .no_helper = true};
    if (sim_rand_one_in(&world->rand,
                        8)) { /* the library finds its back-end by itself, with a scratch file */
        options.durability = world->sim.model == SIM_PMEM ? STELE_DURABILITY_PMEM : STELE_DURABILITY_MSYNC;
        seams.media = NULL;
    }
    world->slot_count = 0;
    world->faulty = false;
    world->opens++;
    struct stele *log = NULL;
    int rc = stele__open_with(world->sim.dir, &options, &seams, &log);
    sim__tell(world, SIM_DO_OPEN, rc == 0 ? stele_tail(log) : 0, options.mark_bytes, rc);
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

static bool note_incarnation(struct sim_world *world, const struct stele__header *header)
{
    uint64_t *made = &world->salts.made[header->incarnation % SIM_SEEN];
    const bool same = *made == 0 || *made == header->created_ns;
    *made = header->created_ns;
    if (same)
        return true;
    (void)snprintf(world->truth.why, sizeof world->truth.why,
                   "segment %" PRIu64 " has incarnation %" PRIu32
                   ", and so the salt, of a segment that was there before",
                   header->sequence, header->incarnation);
    return false;
}

static bool decode(const char *name, const uint8_t *bytes, struct stele__header *header)
{
    uint64_t sequence;
    stele_lsn base;
    uint32_t copies;
    return stele__name_parse(name, &sequence, &base) == STELE__NAME_SEGMENT &&
           stele__header_decode(bytes, header, &copies) == STELE__DECODE_OK;
}

bool sim_world_incarnations(struct sim_world *world)
{
    bool ok = true;
    for (uint32_t i = 0; i < world->sim.file_count && ok; i++) {
        const struct sim_file *file = &world->sim.files[i];
        struct stele__header header;
        if (!file->used || file->bytes <= SIM_SEGMENT)
            continue;
        if (decode(file->name, file->live, &header))
            ok = note_incarnation(world, &header);
        if (decode(file->on_disk, file->disk, &header))
            world->salts.durable[header.incarnation % SIM_SEEN] = true;
    }
    return ok;
}

void sim_world_inherit(struct sim_world *world, const struct sim_world *from, bool killed)
{
    world->salts = from->salts;
    for (uint32_t i = 0; i < SIM_SEEN && !killed; i++)
        if (!world->salts.durable[i])
            world->salts.made[i] = 0;
}

void sim_world_new_log(struct sim_world *world)
{
    struct sim_truth *truth = &world->truth;
    sim_world_kill(world);
    sim_reset(&world->sim);
    truth->count = 0;
    truth->acked = truth->first = truth->first_limit = 0;
    truth->created = false;
    memset(&world->salts, 0, sizeof world->salts);
}
