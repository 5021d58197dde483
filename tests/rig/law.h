/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/law.h: what must be true of the logs on a file system after a power cut, given the marks written
 * before it. */
#ifndef STELE_RIG_LAW_H
#define STELE_RIG_LAW_H

#include "content.h"

struct rig_thread_truth {
    uint64_t count, lsn; /* acknowledged: so many, the last of them at lsn */
    uint64_t
        shown[RIG_GENERATIONS]; /* what the opening of each generation showed; UINT64_MAX: it has not yet */
};

struct rig_log_truth {
    bool created;
    uint64_t trimming; /* the highest position a trim was asked for */
    uint64_t trimmed;  /* the beginning the last trim returned */
    struct rig_thread_truth threads[RIG_THREADS];
};

struct rig_truth {
    bool started, ended;
    struct rig_log_truth logs[RIG_LOGS];
};

/* What was found, for the summary. */
struct rig_findings {
    uint64_t records, recovered, torn, missing;
};

void rig_truth_begin(struct rig_truth *truth);
void rig_truth_learn(struct rig_truth *truth, const struct rig_mark *mark);

/* Verify, open and read every log under `dir`. True: the law holds. Else `why` (of `size` bytes) says
 * what is wrong. `dice` chooses the durability class, and whether the log also lives on for a while. */
bool rig_law_holds(const struct rig_truth *truth, const char *dir, uint64_t dice,
                   struct rig_findings *findings, char *why, size_t size);

#endif
