/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_shrink.c: a failing image made smaller. What can be left out without healing it is left out: halves
 * of all parts of a kind first, then quarters, down to single ones. Every try is a process of its own,
 * because a broken story ends in the middle of something. Bounded by time: what is printed may not be the
 * smallest, but it fails. */
#include "sim_run.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define SECONDS 20.0

struct shrink {
    const struct sim_campaign *campaign;
    struct sim_run *run;
    char what[256];
    double until;
    uint32_t tries;
};

static bool fails(struct shrink *shrink)
{
    struct sim_shared *shared = shrink->run->shared;
    shared->what[0] = '\0';
    shrink->tries++;
    int status = sim__replay(shrink->campaign, shrink->run, false);
    if (WIFSIGNALED(status))
        return shrink->what[0] == '\0';
    return WIFEXITED(status) && WEXITSTATUS(status) == SIM_EXIT_VIOLATION &&
           strcmp(shared->what, shrink->what) == 0;
}

static bool late(const struct shrink *shrink)
{
    return sim_budget_took(&shrink->run->budget) > shrink->until;
}

/* Leave out `count` parts that are there, from number `from` on; *next: where the following ones begin. */
static uint32_t leave_out(uint8_t *parts, uint32_t from, uint32_t count, uint32_t *next)
{
    uint32_t gone = 0;
    for (; from < SIM_PART_MAX && gone < count; from++)
        if (parts[from] == SIM_THERE) {
            parts[from] = SIM_LEFT_OUT;
            gone++;
        }
    *next = from;
    return gone;
}

static uint32_t count_there(const uint8_t *parts)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < SIM_PART_MAX; i++)
        there += parts[i] == SIM_THERE ? 1 : 0;
    return there;
}

static void shrink_kind(struct shrink *shrink, uint8_t *parts)
{
    uint8_t before[SIM_PART_MAX];
    for (uint32_t chunk = count_there(parts); chunk > 0; chunk /= 2) {
        uint32_t next = 0;
        while (next < SIM_PART_MAX && !late(shrink)) {
            memcpy(before, parts, sizeof before);
            uint32_t gone = leave_out(parts, next, chunk, &next);
            if (gone == 0)
                break;
            if (!fails(shrink))
                memcpy(parts, before, sizeof before);
        }
    }
}

/* Parts of what comes behind a crash are others when the story before it has changed. */
static void forget(struct sim_shared *shared, enum sim_part kind)
{
    for (uint32_t world = 0; world < SIM_PART_WORLDS; world++)
        for (uint32_t i = 0; i < SIM_PART_MAX; i++)
            if (shared->parts[world][kind][i] == SIM_THERE)
                shared->parts[world][kind][i] = SIM_UNSEEN;
}

static uint32_t left(const struct sim_shared *shared, enum sim_part kind)
{
    uint32_t there = 0;
    for (uint32_t world = 0; world < SIM_PART_WORLDS; world++)
        there += count_there(shared->parts[world][kind]);
    return there;
}

void sim__shrink(const struct sim_campaign *campaign, struct sim_run *run)
{
    static const enum sim_part order[] = {SIM_PART_IMAGE, SIM_PART_LOOK, SIM_PART_FAULT,
                                          SIM_PART_STEP,  SIM_PART_KEPT, SIM_PART_NAME};
    struct shrink shrink = {
        .campaign = campaign, .run = run, .until = sim_budget_took(&run->budget) + SECONDS};
    struct sim_shared *shared = run->shared;
    (void)snprintf(shrink.what, sizeof shrink.what, "%s", shared->what);
    if (!fails(&shrink)) {
        fprintf(stderr, "(alone, the image does not fail: it needs what came before it in its process)\n");
        return;
    }
    for (uint32_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        for (uint32_t kind = 0; kind < SIM_PART_KINDS; kind++)
            forget(shared, (enum sim_part)kind);
        (void)fails(&shrink); /* sees what is there now */
        for (uint32_t world = 0; world < SIM_PART_WORLDS; world++)
            shrink_kind(&shrink, shared->parts[world][order[i]]);
    }
    for (uint32_t kind = 0; kind < SIM_PART_KINDS; kind++)
        forget(shared, (enum sim_part)kind);
    (void)fails(&shrink);
    fprintf(stderr,
            "\nThe smallest case found in %u tries: %u steps, %u pieces and %u names kept by the crash (a "
            "step stands behind the\n"
            "calls it made).\n",
            shrink.tries, left(shared, SIM_PART_STEP), left(shared, SIM_PART_KEPT),
            left(shared, SIM_PART_NAME));
    (void)sim__replay(campaign, run, true);
}
