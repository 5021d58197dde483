/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/problems.h"

#include "format/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stele__problem {
    struct stele_problem said; /* its strings: the two below, and a kind that is a literal of the library */
    char segment[STELE__NAME_MAX];
    char detail[320];
};

static bool known(const struct stele__problems *problems, const struct stele_problem *problem)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct stele__problem *at = &problems->list[i];
        if (at->said.offset == problem->offset && strcmp(at->said.kind, problem->kind) == 0 &&
            strcmp(at->segment, problem->segment) == 0)
            return true;
    }
    return false;
}

void stele__problems_note(void *ctx, const struct stele_problem *problem)
{
    struct stele__problems *problems = ctx;
    if (known(problems, problem))
        return;
    if (problems->count == problems->capacity) {
        size_t wanted = problems->capacity == 0 ? 8 : problems->capacity * 2;
        struct stele__problem *grown = realloc(problems->list, wanted * sizeof *grown);
        if (grown == NULL) {
            problems->no_memory = true;
            return;
        }
        problems->list = grown;
        problems->capacity = wanted;
    }
    struct stele__problem *at = &problems->list[problems->count++];
    at->said = *problem;
    snprintf(at->segment, sizeof at->segment, "%s", problem->segment);
    snprintf(at->detail, sizeof at->detail, "%s", problem->detail);
}

void stele__problems_tell(struct stele__problems *problems, stele_problem_fn *fn, void *ctx)
{
    for (; problems->told < problems->count; problems->told++) {
        struct stele__problem *at = &problems->list[problems->told];
        at->said.segment = at->segment; /* the list may have moved since they were noted */
        at->said.detail = at->detail;
        if (fn != NULL)
            fn(ctx, &at->said);
    }
}

bool stele__problems_has(const struct stele__problems *problems, const char *kind, const char *segment)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct stele__problem *at = &problems->list[i];
        if (strcmp(at->said.kind, kind) == 0 && strcmp(at->segment, segment) == 0)
            return true;
    }
    return false;
}

void stele__problems_free(struct stele__problems *problems)
{
    free(problems->list);
    *problems = (struct stele__problems){0};
}
