/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/flip.h: a small log held in memory as it should be, so that it can be damaged and put back a hundred thousand
 * times: one control file, one sealed segment, one active one, no spares; every kind of record in them. */
#ifndef STELE_TEST_FLIP_H
#define STELE_TEST_FLIP_H

#include "lib/judge.h"

enum flip_file { FLIP_CONTROL, FLIP_SEALED, FLIP_ACTIVE, FLIP_FILES };

struct flip_image {
    char path[512];
    size_t size;
    uint8_t *bytes; /* as it should be */
    uint8_t *map;   /* as it is */
    uint64_t inode;
};

struct flip {
    struct dir *dir;
    uint64_t count; /* numbered records, all acknowledged */
    struct flip_image files[FLIP_FILES];
    uint64_t harmless, detected;
};

struct flip *flip_make(struct dir *dir);
void flip_free(struct flip *flip);

/* Flip one bit of each byte of [from, to), one at a time, and judge every time. Of long runs of zero bytes only some are
 * taken; `stride` > 1 takes only every so many of the others, too. */
void flip_range(struct flip *flip, enum flip_file file, uint64_t from, uint64_t to, uint64_t stride);

/* Store these bytes instead, judge, put back. */
enum judgement flip_bytes(struct flip *flip, enum flip_file file, uint64_t offset, const void *bytes,
                          size_t len);

#endif
