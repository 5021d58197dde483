/* SPDX-License-Identifier: BSD-3-Clause */
/* core/verdict.h: all of recovery's judgement, as one pure function over facts (docs/recovery.md). */
#ifndef STELE_CORE_VERDICT_H
#define STELE_CORE_VERDICT_H

#include <stdbool.h>
#include <stele/admin.h>

/* What was found at and behind T, the first place where no valid record stands. */
struct stele__facts {
    bool contradiction; /* a sound mark, footer or control block denies what the walk found: chain, counts,
                           joins */
    bool sealed;        /* T lies in a sealed segment: everything in it had been durable */
    bool vouched;       /* something valid testifies that bytes beyond T had been durable */
    bool unreadable;    /* a segment at or behind T has content, but no header, size or name to read it by */
    bool gap_then_record; /* a segment is missing, and valid records stand behind it */
    bool control_lost;    /* nothing says where the log begins and how far it reached */
    bool residue;         /* something that is not zero stands at or behind T, outside sealed segments */
};

enum stele_verdict stele__verdict(const struct stele__facts *facts);

#endif
