/* SPDX-License-Identifier: BSD-3-Clause */
/* core/look.h: examine a log from outside, by its path: beside a live writer, whose trims are held off while
 * the look lasts, or without one, and then undisturbed by one that starts in the middle. For verify, repair
 * and backup. */
#ifndef STELE_CORE_LOOK_H
#define STELE_CORE_LOOK_H

#include "core/examine.h"
#include "core/problems.h"

struct stele__look {
    const char *path; /* borrowed */
    int dirfd;
    int lockfd;     /* of the file "lock", -1 without one: holds the pin, or the writer lock when exclusive */
    bool exclusive; /* the caller holds the writer lock with lockfd: there is no other writer */
    uint64_t pinned; /* sequence, UINT64_MAX: none */
    bool done;       /* scan and examined are valid */
    bool live;       /* a writer was at work: only what it had made durable was examined */
    struct stele__scan scan;
    struct stele__examined examined;
    struct stele__problems problems;
};

/* Before try number `tries` (from 1) of a look that a writer's opening disturbed: sleep a little. False, and no
 * sleep: it was tried so often that what is found is no accident of timing. */
bool stele__look_again(int tries);

/* Open the directory. 0; STELE_EINVAL, STELE_ENOENT, STELE_ENOTLOG, STELE_EACCES, ... On failure nothing is
 * left open. */
int stele__look_open(struct stele__look *look, const char *path);

/* Scan and examine, `full`: sealed segments too, with `jobs` threads. The front is pinned from then on.
 * May be called again: what was found before is dropped. 0, or the codes of stele__scan() and
 * stele__examine(). */
int stele__look_run(struct stele__look *look, bool full, uint32_t jobs);

/* Give everything back, lockfd included. */
void stele__look_close(struct stele__look *look);

#endif
