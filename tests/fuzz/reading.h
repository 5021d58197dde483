/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/reading.h: everything a log shows, to compare one reading with another and with the files. */
#ifndef STELE_FUZZ_READING_H
#define STELE_FUZZ_READING_H

#include "image.h"

#include <stele/stele.h>

#define READING_MAX 8192u /* data records; no log of ours can hold as many */

struct shown {
    stele_lsn lsn;
    uint64_t hash;
    uint32_t len;
    unsigned type;
};

struct shown reading_describe(const struct stele_record *record);

struct reading {
    struct shown *records; /* READING_MAX; allocated at first use and kept */
    size_t count;
    size_t gaps;
    int opened; /* what opening returned */
    int ended;  /* what the cursor said last: 0, or an error */
    stele_lsn first, tail;
};

/* All of the log at `path`, from its beginning, through a read-only handle that is left open: *log is NULL
 * when it could not be opened. */
void reading_take(struct reading *reading, const char *path, unsigned flags, struct stele **log);

/* Each record shown stands, with right checksums and these very bytes, in a file of the image. */
void reading_is_of(const struct reading *reading, const struct image *image);
/* The first `count` are the same in both. */
bool reading_same(const struct reading *a, const struct reading *b, size_t count);
/* All kinds of seeks find what this reading has found; `salt` chooses places. */
void reading_seek(const struct reading *reading, struct stele *log, uint64_t salt);

#endif
