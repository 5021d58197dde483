/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/golden.h: the golden logs in memory: what inputs describe changes to. Loaded once, never
 * changed. */
#ifndef STELE_FUZZ_GOLDEN_H
#define STELE_FUZZ_GOLDEN_H

#include "fuzz.h"

#define GOLDEN_FILES 16u
#define GOLDEN_LOGS 6u

struct golden_file {
    char name[64];
    uint8_t *data;
    size_t size;
};

struct golden_log {
    struct golden_file files[GOLDEN_FILES]; /* by name */
    unsigned count;
};

enum golden { GOLDEN_BASIC, GOLDEN_CORRUPT, GOLDEN_QUARANTINED, GOLDEN_SINGLE, GOLDEN_TORN, GOLDEN_TRIMMED };
const struct golden_log *golden_log(unsigned which); /* modulo their number */
/* small.c: a log that is quick to go through. */
const struct golden_log *golden_small(void);

/* Write one file, sparse where it is zero; ends the process when that does not work. */
void golden_write(int dirfd, const char *name, const uint8_t *data, size_t size);
/* The whole log into a new directory. */
void golden_write_log(const struct golden_log *log, const char *path);

#endif
