/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_look.h"

#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct problems {
    struct sim_world *world;
    bool impossible;
};

/* A crash may leave one of two copies torn, and a tail. A header or an index that cannot be read it may
 * not: they were durable before anything spoke of them. */
static void judge_problem(void *ctx, const struct stele_problem *problem)
{
    static const char *const possible[] = {"torn", "residue", "footer", "footer-copy", "control-copy"};
    struct problems *problems = ctx;
    for (size_t i = 0; i < sizeof possible / sizeof possible[0]; i++)
        if (strcmp(problem->kind, possible[i]) == 0)
            return;
    struct sim_truth *truth = &problems->world->truth;
    if (!truth->created || problems->impossible)
        return;
    (void)snprintf(truth->why, sizeof truth->why, "%s: offset %" PRIu64 ": %s: %s", problem->segment,
                   problem->offset, problem->kind, problem->detail);
    problems->impossible = true;
}

static const char *broken(struct sim_world *world, const char *what, int rc)
{
    (void)snprintf(world->truth.why, sizeof world->truth.why, "%d: %s", rc, stele_last_error());
    return what;
}

const char *sim_look_verify(struct sim_world *world, bool after, enum stele_verdict *verdict)
{
    struct problems problems = {.world = world};
    struct stele_verify_options options = {
        .size = sizeof options, .problem = judge_problem, .ctx = &problems};
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(world->sim.dir, &options, &result);
    if ((rc == STELE_ENOTLOG || rc == STELE_ENOENT) && !world->truth.created)
        return NULL;
    if (rc != 0)
        return broken(world, "stele_verify() of an undamaged log failed", rc);
    *verdict = (enum stele_verdict)result.verdict;
    if (problems.impossible)
        return "stele_verify() finds a problem no crash can leave";
    if (result.verdict == STELE_CORRUPT)
        return broken(world, "stele_verify() calls a crash corruption", rc);
    if (after && result.verdict != STELE_CLEAN)
        return broken(world, "stele_verify() finds a closed log unclean", rc);
    return NULL;
}

const char *sim_look_read(struct sim_world *world)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_READ_ONLY;
    struct stele *log;
    const bool settled = sim_is_settled(&world->sim);
    const uint32_t names = world->sim.op_count;
    int rc = stele_open(world->sim.dir, &options, &log);
    if ((rc == STELE_ENOTLOG || rc == STELE_ENOENT) && !world->truth.created)
        return NULL;
    if (rc != 0)
        return broken(world, "a reader cannot open an undamaged log", rc);
    size_t shown;
    bool ok = sim_truth_check(&world->truth, log, &shown);
    rc = stele_close(log);
    if (!ok)
        return "a reader sees the law broken";
    if (rc != 0)
        return broken(world, "a reader cannot close the log", rc);
    if (names != world->sim.op_count || settled != sim_is_settled(&world->sim))
        return broken(world, "a reader changed the log", rc);
    return NULL;
}

static bool decode(const struct sim_file *file, struct stele__header *header)
{
    uint64_t sequence;
    stele_lsn base;
    uint32_t copies;
    return file->used && file->bytes > SIM_SEGMENT &&
           stele__name_parse(file->name, &sequence, &base) == STELE__NAME_SEGMENT &&
           stele__header_decode(file->live, header, &copies) == STELE__DECODE_OK && header->data_log2 == 16;
}

/* Highest epoch of any valid record of each segment, wherever in it. */
struct epochs {
    stele_lsn base[SIM_FILES];
    uint16_t highest[SIM_FILES];
    uint32_t count;
};

static void find_epochs(struct sim_world *world, struct epochs *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < world->sim.file_count; i++) {
        const struct sim_file *file = &world->sim.files[i];
        struct stele__header header;
        struct stele__record record;
        if (!decode(file, &header))
            continue;
        const struct stele__area area = {.data = file->live + STELE__HEADER_BYTES,
                                         .bytes = SIM_SEGMENT,
                                         .base = header.base,
                                         .salt = header.salt,
                                         .record_max = stele__record_max(SIM_SEGMENT)};
        const stele_lsn end = header.base + SIM_SEGMENT;
        uint16_t highest = 0;
        stele_lsn at = header.base;
        while (at < end && (at = stele__record_scan(&area, at, &record)) != STELE_LSN_NONE) {
            highest = record.epoch > highest ? record.epoch : highest;
            at += record.bytes;
        }
        out->base[out->count] = header.base;
        out->highest[out->count++] = highest;
    }
}

/* As stele__is_zero(), several times as fast: it is asked of every image. */
static bool is_zero(const uint8_t *at, uint64_t len)
{
    return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

/* Right behind the opening that followed. */
static const char *judge_opening(struct sim_world *world, const struct epochs *before)
{
    struct stele *log = world->log;
    const stele_lsn tail = stele_tail(log), here = log->end & ~(SIM_SEGMENT - 1);
    for (uint32_t i = 0; i < before->count; i++)
        if (before->base[i] == here && before->highest[i] >= log->epoch && log->end > here) {
            (void)snprintf(world->truth.why, sizeof world->truth.why,
                           "epoch %u in the segment at lsn %" PRIu64 ", which has records of epoch %u",
                           log->epoch, here, before->highest[i]);
            return "an opening uses an epoch again";
        }
    for (uint32_t i = 0; i < world->sim.file_count; i++) {
        const struct sim_file *file = &world->sim.files[i];
        struct stele__header header;
        if (!decode(file, &header) || header.base + SIM_SEGMENT <= tail)
            continue;
        const uint64_t from = STELE__HEADER_BYTES + (tail > header.base ? tail - header.base : 0);
        const uint64_t len = file->bytes - from; /* index and footer, too */
        if (is_zero(file->live + from, len) && is_zero(file->disk + from, len))
            continue;
        (void)snprintf(world->truth.why, sizeof world->truth.why, "%s, behind lsn %" PRIu64, file->name,
                       tail);
        return "an opening leaves bytes behind the tail";
    }
    return NULL;
}

const char *sim_look_recover(struct sim_world *world)
{
    static const char *const twice = "a salt was used twice";
    struct epochs before;
    if (!sim_world_incarnations(world))
        return twice;
    find_epochs(world, &before);
    int rc = sim_world_start(world);
    if (rc != 0)
        return broken(world, "an undamaged log does not open", rc);
    const char *what = judge_opening(world, &before);
    if (what != NULL)
        return what;
    if (!sim_world_judge(world))
        return "recovery broke the law";
    return sim_world_incarnations(world) ? NULL : twice;
}
