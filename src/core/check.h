/* SPDX-License-Identifier: BSD-3-Clause */
/* core/check.h: does one sealed segment hold what its footer says? Independent of all other segments, so many
 * can be checked at once; joins between neighbours are examine.c's. */
#ifndef STELE_CORE_CHECK_H
#define STELE_CORE_CHECK_H

#include "core/scan.h"
#include "format/walk.h"

struct stele__check_result {
    int io_error;     /* 0 or -errno */
    const char *kind; /* NULL: sound. Else as struct stele_problem */
    const char *detail;
    bool harmless;   /* the index: it can be rebuilt */
    uint64_t offset; /* in the file */
    stele_lsn lsn;   /* of the damage; the end when only counts or hashes differ */
    uint64_t records, bytes;
};

/* `image`: data_bytes of memory; `index`: stele__index_capacity() entries. */
void stele__check_sealed(const struct stele__scan *scan, const struct stele__found *found, uint8_t *image,
                         struct stele__index_entry *index, struct stele__check_result *out);

/* Check sealed segments scan->found[i] for all i with wanted[i], into results[i], with `jobs` threads. 0 or
 * STELE_ENOMEM. */
int stele__check_many(const struct stele__scan *scan, const bool *wanted, uint32_t jobs,
                      struct stele__check_result *results);

/* Why a walk stopped, in words; the kind ("record" or "chain") through *kind. */
const char *stele__walk_complaint(const struct stele__walk *walk, const char **kind);

#endif
