/* SPDX-License-Identifier: BSD-3-Clause */
/* core/report.h: the state of one examination, and saying what it finds. */
#ifndef STELE_CORE_REPORT_H
#define STELE_CORE_REPORT_H

#include "core/check.h"
#include "core/examine.h"

struct stele__exam {
    struct stele__scan *scan;
    const struct stele__examine_options *options;
    struct stele__examined *out;
    uint64_t data_bytes;
    struct stele__check_result
        *results;            /* of sealed segments, by index in scan->found; NULL: not asked for */
    uint8_t *image;          /* one segment's data area */
    struct stele__area area; /* over the image, of the segment loaded last */
    bool chain_known;
    uint64_t chain, record_number; /* where the walk stands */
    const char *stop;              /* why the walk of an open segment ended, NULL when it did not */
};

void stele__report(struct stele__exam *exam, const struct stele__found *found, uint64_t offset, stele_lsn lsn,
                   bool harmless, const char *kind, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void stele__report_file(struct stele__exam *exam, const char *name, uint64_t offset, bool harmless,
                        const char *kind, const char *detail);
void stele__report_missing(struct stele__exam *exam, uint64_t sequence, bool harmless, const char *kind,
                           const char *detail);

/* Load `found` into exam->image and describe it in exam->area. 0 or an error code. */
int stele__exam_load(struct stele__exam *exam, const struct stele__found *found);

#endif
