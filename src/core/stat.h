/* SPDX-License-Identifier: BSD-3-Clause */
/* core/stat.h: between stat.c (figures of a log) and stat_files.c (what its files say). */
#ifndef STELE_CORE_STAT_H
#define STELE_CORE_STAT_H

#include "core/log.h"
#include "core/scan.h"

struct stele__count {
    uint64_t first;      /* sequence counted from */
    stele_lsn published; /* counted to */
    uint64_t records;    /* data records between */
    uint64_t number;     /* data records of the log before `published`, trimmed ones included (a writer's) */
    uint64_t open_sequence; /* first segment that is not sealed, UINT64_MAX without */
    uint64_t open_time_ns;  /* first time known of it, or 0 */
};

/* Scan the log's directory; once more when a trim removed files in the middle. 0 or as stele__scan(). Free
 * the scan in either case. */
int stele__stat_scan(struct stele *log, struct stele__scan *scan);

/* Count by footers, and by walking what is not sealed, from segment `first` up to `limit` or the first place
 * where no valid record stands. 0; STELE_EIO; STELE_ENOMEM. */
int stele__stat_walk(struct stele__scan *scan, uint64_t first, stele_lsn limit, struct stele__count *out);

/* Is this file a part of the log: neither quarantined nor a misnamed twin? */
bool stele__stat_is_part(struct stele__scan *scan, const struct stele__found *found);

#endif
