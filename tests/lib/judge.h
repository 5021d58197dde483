/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/judge.h: the law of damage. A log of numbered records [0, count), all of them acknowledged, was damaged
 * somewhere. Whoever opens it now either shows all of them, identical, or says that something is wrong, having
 * shown nothing but a prefix of them. Never fewer in silence, never others, never a crash. */
#ifndef STELE_TEST_JUDGE_H
#define STELE_TEST_JUDGE_H

#include "lib/dir.h"

enum judgement {
    HARMLESS, /* everything is there */
    DETECTED, /* an error code told of the damage */
};

/* As a reader, who changes nothing, and as the verifier: they must agree. */
enum judgement judge_as_reader(const char *path, uint64_t count);
/* As a writer without a helper thread; changes the log where it opens. */
enum judgement judge_as_writer(const char *path, uint64_t count);
/* All of it: as a reader, then as a writer. A writer that is let in finds what readers found. */
enum judgement judge(const char *path, uint64_t count);

#endif
