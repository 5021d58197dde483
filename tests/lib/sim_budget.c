/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_budget.h"

#include <stdlib.h>
#include <time.h>

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static double now(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void sim_budget_begin(struct sim_budget *budget, uint64_t images)
{
    const char *sanitize = getenv("STELE_SANITIZE");
    const uint64_t own = sanitize != NULL && sanitize[0] != '\0' ? images / 10 : images;
    const uint64_t minutes = environment("STELE_TEST_MINUTES", 0);
    budget->images = environment("STELE_SIM_IMAGES", minutes > 0 ? UINT64_MAX : own);
    budget->seed = environment("STELE_SEED", 1);
    budget->only = environment("STELE_SIM_IMAGE", 0);
    budget->seconds = (double)minutes * 60;
    budget->begun = now();
    budget->complete = budget->only == 0 && budget->images >= images / 10;
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
