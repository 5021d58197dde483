/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call that only asks fails once, and every call that can be interrupted is: the life of a log
 * (sim_life.h) is run again and again on a simulated machine, and each time the next call to open, read,
 * list, stat, map or lock fails, or a signal interrupts the next call, or the next transfer is a short
 * one. Then:
 *
 *   - a signal and a short transfer change nothing: no call of the library fails, and nothing is
 *     missing afterwards;
 *   - a question without an answer is an error of the call that asked it, or it does not matter; it is
 *     never taken for an answer: no log is called empty, made anew, or cut because it could not be
 *     read. Once the question is answered the log opens and holds everything that was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "lib/sim_interpose.h"
#include "lib/sim_life.h"

struct run {
    bool broken; /* in the middle of something: nothing can be closed any more */
    struct sim_world world;
    uint64_t fault; /* which call */
    int error;
    uint32_t kinds;
    enum sim_action action; /* at work */
    uint64_t lives, refused;
};

static void violation(struct run *run, const char *what)
{
    fprintf(stderr, "\ncall %" PRIu64 " (%s) fails with %s on %s; at work: %s\n  %s\n  %s\n", run->fault,
            sim_call_names[run->world.sim.fault.call],
            run->error == SIM_SHORT ? "half of what was asked for" : strerror(run->error),
            run->world.sim.model == SIM_PMEM ? "pmem" : "block", sim_life_names[run->action], what,
            run->world.truth.why);
    run->broken = true;
    fail_msg("%s", what);
}

static int act(struct run *run, const struct sim_act *step)
{
    run->action = step->action;
    int rc = sim_life_do(&run->world, step);
    if (rc == SIM_LAW_BROKEN)
        violation(run, "opening broke the law");
    sim_world_note(&run->world);
    return rc;
}

static void begin(struct run *run, enum sim_model model)
{
    struct sim_world *world = &run->world;
    sim_world_kill(world);
    sim_reset(&world->sim);
    sim_limit(20);
    sim_sys_begin(1);
    world->sim.model = model;
    world->sim.rand = sim_rand_of(run->fault, 1);
    world->rand = sim_rand_of(1, 1);
    sim_truth_free(&world->truth);
    world->sim.fault = (struct sim_fault){.at = run->fault, .kinds = run->kinds, .error = run->error};
}

/* What an opening without an answer may say: the error's own code, or that the log cannot be read as it
 * is. */
static bool is_honest(const struct run *run, int rc)
{
    const int own = run->error == EIO ? STELE_EIO : run->error == EACCES ? STELE_EACCES : STELE_ENOMEM;
    return rc == own || rc == STELE_ECORRUPT || rc == STELE_ELOCKED || rc == STELE_EFAILED;
}

/* Asked again, everything is answered. */
static void try_again(struct run *run, const struct sim_act *step, int rc)
{
    struct sim_world *world = &run->world;
    run->refused++;
    if (!is_honest(run, rc))
        violation(run, stele_last_error());
    if (strstr(stele_last_error(), world->sim.dir) == NULL)
        violation(run, "the message does not name the log");
    if (world->log != NULL && atomic_load(&world->log->failed) != 0)
        sim_world_kill(world);
    if (step->action == SIM_LIFE_CLOSE || (world->log == NULL && step->action != SIM_LIFE_OPEN))
        return;
    if (act(run, step) != 0)
        violation(run, "asked again, it is still an error");
}

/* One life with one fault. False: there were not so many calls. */
static bool one_life(struct run *run, enum sim_model model, bool harmless)
{
    struct sim_world *world = &run->world;
    begin(run, model);
    for (size_t i = 0; i < sim_life_count; i++) {
        const struct sim_act *step = &sim_life[i];
        if (world->log == NULL && step->action != SIM_LIFE_OPEN &&
            act(run, &(struct sim_act){SIM_LIFE_OPEN, 0, 0}) != 0)
            violation(run, stele_last_error());
        if (world->log != NULL && step->action == SIM_LIFE_OPEN)
            continue;
        int rc = act(run, step);
        if (rc != 0 && (harmless || world->sim.fault.fired == 0))
            violation(run, stele_last_error());
        if (rc != 0)
            try_again(run, step, rc);
    }
    bool fired = world->sim.fault.fired > 0;
    world->sim.fault = (struct sim_fault){.call = world->sim.fault.call};
    sim_world_kill(world);
    if (act(run, &(struct sim_act){SIM_LIFE_OPEN, 0, 0}) != 0)
        violation(run, stele_last_error());
    sim_world_kill(world);
    run->lives++;
    return fired;
}

static uint64_t every_call(struct run *run, int error, uint32_t kinds, bool harmless)
{
    uint64_t calls = 0;
    run->error = error;
    run->kinds = kinds;
    for (enum sim_model model = SIM_BLOCK; model <= SIM_PMEM; model++) {
        for (run->fault = 1; one_life(run, model, harmless); run->fault++) {
        }
        calls += run->fault - 1;
    }
    return calls;
}

static int setup(void **state)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    sim_world_open(&run->world, 1);
    *state = run;
    return 0;
}

static int teardown(void **state)
{
    struct run *run = *state;
    if (!run->broken)
        sim_world_close(&run->world);
    free(run);
    return 0;
}

static void a_signal_or_a_short_transfer_is_never_an_error(void **state)
{
    struct run *run = *state;
    uint64_t interrupted = every_call(run, EINTR, UINT32_MAX, true);
    uint64_t halved = every_call(run, SIM_SHORT, UINT32_MAX, true);
    printf("%" PRIu64 " calls interrupted, %" PRIu64 " transfers cut in half\n", interrupted, halved);
    assert_true(interrupted > 200 && halved > 50);
}

static void a_question_without_an_answer_is_never_taken_for_one(void **state)
{
    static const int errors[] = {EIO, ENOMEM, EMFILE, EACCES};
    struct run *run = *state;
    uint64_t calls = 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        calls += every_call(run, errors[i], ~(uint32_t)SIM_CHANGING, false);
    printf("%" PRIu64 " questions without an answer, %" PRIu64 " calls failed for that\n", calls,
           run->refused);
    assert_true(calls > 500 && run->refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signal_or_a_short_transfer_is_never_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_without_an_answer_is_never_taken_for_one, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
