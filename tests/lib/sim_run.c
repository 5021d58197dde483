/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_run.h"

#include "sim.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the processor, and many times what a workload takes: one that ends in a loop ends its worker, and is told
 * by its seed. In a replay a part that is left out may make the story endless. */
#define WORKLOAD_SECONDS 60
#define REPLAY_SECONDS 10

bool sim_run_image(struct sim_run *run)
{
    run->serial++;
    run->in_step++;
    struct sim_shared *shared = run->shared;
    if (run->replay && shared->addressed)
        return run->step == shared->step && run->in_step == shared->in_step;
    if (run->budget.only != 0 ? run->budget.only != run->serial : run->count[0] >= run->budget.images)
        return false;
    if (run->replay) {
        shared->step = run->step;
        shared->in_step = run->in_step;
        shared->addressed = true;
    }
    shared->seed[run->worker] = run->seed;
    shared->serial[run->worker] = run->serial;
    run->count[0]++;
    return true;
}

bool sim_run_done(const struct sim_run *run)
{
    if (run->replay && run->shared->addressed)
        return run->step > run->shared->step;
    return run->budget.only != 0 ? run->serial >= run->budget.only : run->count[0] >= run->budget.images;
}

bool sim_run_has(struct sim_run *run, uint32_t world, enum sim_part kind, uint64_t number)
{
    if (!run->replay || number >= SIM_PART_MAX || world >= SIM_PART_WORLDS)
        return true;
    uint8_t *seen = &run->shared->parts[world][kind][number];
    if (*seen == SIM_UNSEEN)
        *seen = SIM_THERE;
    return *seen == SIM_THERE;
}

void sim_run_violation(struct sim_run *run, const char *what, const char *why)
{
    (void)snprintf(run->shared->what, sizeof run->shared->what, "%s", what);
    fprintf(stderr, "\n%s%s: %s\n", run->replay ? "=> " : "", what, why);
    if (!run->replay)
        fprintf(stderr, "seed %" PRIu64 ", image %" PRIu64 " of it, %" PRIu64 " images of this worker\n",
                run->seed, run->serial, run->count[0]);
    (void)fflush(NULL);
    _exit(SIM_EXIT_VIOLATION);
}

void sim_run_tell(const struct sim_run *run, const char *format, ...)
{
    if (!run->narrate)
        return;
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void work(const struct sim_campaign *campaign, struct sim_run *run)
{
    void *ctx = campaign->begin(run);
    uint64_t seed = run->budget.seed + run->worker;
    do {
        run->seed = run->shared->seed[run->worker] = seed;
        run->serial = run->step = run->in_step = 0;
        sim_limit(run->replay ? REPLAY_SECONDS : WORKLOAD_SECONDS);
        campaign->workload(ctx, seed);
        seed += run->budget.workers;
    } while (sim_budget_left(&run->budget, run->count[0]));
    campaign->end(ctx);
}

int sim__replay(const struct sim_campaign *campaign, struct sim_run *run, bool tell)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int quiet = tell ? -1 : (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY, 0);
        if (quiet >= 0) {
            (void)dup2(quiet, STDOUT_FILENO);
            (void)dup2(quiet, STDERR_FILENO);
        }
        run->replay = true;
        run->narrate = tell;
        work(campaign, run);
        (void)fflush(NULL);
        _exit(0);
    }
    int status = 0;
    sim__check(pid > 0 && waitpid(pid, &status, 0) == pid, "a replay can be waited for");
    return status;
}

static pid_t start(const struct sim_campaign *campaign, struct sim_run run, uint32_t worker)
{
    const uint64_t images = run.budget.images, workers = run.budget.workers;
    run.worker = worker;
    run.count = run.shared->counts[worker];
    if (images != UINT64_MAX)
        run.budget.images = images / workers + (worker < images % workers ? 1 : 0);
    pid_t pid = fork();
    sim__check(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever ends the test ends its workers */
    work(campaign, &run);
    exit(0); /* not _exit(): counters of coverage are written, and leaks are looked for */
}

/* How the first one that failed ended; UINT32_MAX: none did. */
static uint32_t wait_for(pid_t *pids, uint32_t workers, int *status)
{
    uint32_t failed = UINT32_MAX;
    for (uint32_t left = workers; left > 0; left--) {
        int how = 0;
        pid_t pid = waitpid(-1, &how, 0);
        sim__check(pid > 0, "workers can be waited for");
        for (uint32_t i = 0; i < workers; i++)
            if (pids[i] == pid) {
                pids[i] = 0;
                if (how != 0 && failed == UINT32_MAX) {
                    failed = i;
                    *status = how;
                }
            }
        for (uint32_t i = 0; i < workers && failed != UINT32_MAX; i++)
            if (pids[i] > 0)
                (void)kill(pids[i], SIGKILL);
    }
    return failed;
}

static void report(const struct sim_campaign *campaign, struct sim_run *run, uint32_t worker, int status)
{
    struct sim_shared *shared = run->shared;
    run->budget.seed = shared->seed[worker];
    run->budget.only = shared->serial[worker];
    run->budget.workers = 1;
    run->worker = 0;
    if (WIFSIGNALED(status))
        fprintf(stderr, "\na worker died of signal %d (%s) at seed %" PRIu64 ", image %" PRIu64 "\n",
                WTERMSIG(status), strsignal(WTERMSIG(status)), run->budget.seed, run->budget.only);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SIM_EXIT_ENDLESS)
        fprintf(stderr, "at seed %" PRIu64 ", image %" PRIu64 "\n", run->budget.seed, run->budget.only);
    else if (run->budget.shrink)
        sim__shrink(campaign, run);
    const char *binary = getenv("STELE_BINARY_DIR");
    fprintf(stderr, "Again: STELE_SEED=%" PRIu64 " STELE_SIM_IMAGE=%" PRIu64 " %s/tests/%s\n",
            run->budget.seed, run->budget.only, binary != NULL ? binary : "build/release", campaign->program);
}

bool sim_run(const struct sim_campaign *campaign, struct sim_budget *budget, uint64_t counts[SIM_COUNTS])
{
    struct sim_shared *shared = (void *)syscall(SYS_mmap, NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sim__check(shared != MAP_FAILED, "memory for all workers");
    sim_budget_begin(budget, campaign->images);
    struct sim_run run = {.budget = *budget, .shared = shared, .count = shared->counts[0]};
    pid_t pids[SIM_WORKERS];
    (void)fflush(NULL);
    for (uint32_t i = 0; i < budget->workers; i++)
        pids[i] = start(campaign, run, i);
    int status = 0;
    uint32_t failed = wait_for(pids, budget->workers, &status);
    for (uint32_t i = 0; i < SIM_COUNTS; i++) {
        counts[i] = 0;
        for (uint32_t worker = 0; worker < budget->workers; worker++)
            counts[i] += shared->counts[worker][i];
    }
    if (failed != UINT32_MAX)
        report(campaign, &run, failed, status);
    (void)syscall(SYS_munmap, shared, sizeof *shared);
    return failed == UINT32_MAX;
}
