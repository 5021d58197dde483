/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_budget.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COMPLETE UINT64_C(2000)

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static double now(void)
{
    struct timespec time = {0};
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time); /* not a simulated one */
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint32_t cores(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > (long)SIM_WORKERS ? SIM_WORKERS : (uint32_t)online;
}

void sim_budget_begin(struct sim_budget *budget, uint64_t images)
{
    const char *sanitize = getenv("STELE_SANITIZE");
    const uint64_t own = sanitize != NULL && sanitize[0] != '\0' ? images / 100 : images;
    const uint64_t minutes = environment("STELE_TEST_MINUTES", 0);
    budget->images = environment("STELE_SIM_IMAGES", minutes > 0 ? UINT64_MAX : own);
    budget->seed = environment("STELE_SEED", 1);
    budget->only = environment("STELE_SIM_IMAGE", 0);
    budget->seconds = (double)minutes * 60;
    budget->begun = now();
    budget->shrink = environment("STELE_SIM_SHRINK", 1) != 0;
    uint64_t workers = environment("STELE_SIM_WORKERS", cores());
    budget->workers = workers < 1 || budget->only != 0 ? 1
                      : workers > SIM_WORKERS          ? SIM_WORKERS
                                                       : (uint32_t)workers;
    budget->complete = budget->only == 0 && budget->images >= COMPLETE;
}

double sim_budget_took(const struct sim_budget *budget)
{
    return now() - budget->begun;
}

bool sim_budget_left(const struct sim_budget *budget, uint64_t images)
{
    bool late = budget->seconds > 0 && sim_budget_took(budget) >= budget->seconds;
    return budget->only == 0 && images < budget->images && !late;
}
