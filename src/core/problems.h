/* SPDX-License-Identifier: BSD-3-Clause */
/* core/problems.h: what an examination found, kept until it is known to be worth telling: one that raced a
 * writer's start is thrown away and done again, and its caller must not hear of it. */
#ifndef STELE_CORE_PROBLEMS_H
#define STELE_CORE_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stele/admin.h>

struct stele__problems {
    struct stele__problem *list; /* owned */
    size_t count, capacity;
    size_t told;    /* of them, by stele__problems_tell() */
    bool no_memory; /* at least one is missing */
};

/* A stele_problem_fn; ctx is a struct stele__problems. Keeps a copy. The same place and kind is kept once. */
void stele__problems_note(void *ctx, const struct stele_problem *problem);
/* Hand those not told yet to fn, in order; fn == NULL: nobody listens. */
void stele__problems_tell(struct stele__problems *problems, stele_problem_fn *fn, void *ctx);
/* Is there one of this kind about this file? */
bool stele__problems_has(const struct stele__problems *problems, const char *kind, const char *segment);
void stele__problems_free(struct stele__problems *problems); /* leaves an empty one */

#endif
