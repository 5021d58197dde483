/* SPDX-License-Identifier: BSD-3-Clause */
/* format/name.h: names of the files of a log. */
#ifndef STELE_FORMAT_NAME_H
#define STELE_FORMAT_NAME_H

#include <stele/base.h>
#include <stdbool.h>

#define STELE__NAME_MAX 48u /* with the terminating zero */
#define STELE__CONTROL_NAME "control"
#define STELE__LOCK_NAME "lock"

enum stele__name_kind {
    STELE__NAME_FOREIGN = 0,
    STELE__NAME_SEGMENT, /* 0123456789abcdef-0123456789abcdef.stele */
    STELE__NAME_BROKEN,  /* the same + ".broken": quarantined */
    STELE__NAME_TEMP,    /* anything of ours under construction or recycled: *.stele.tmp */
    STELE__NAME_CONTROL,
    STELE__NAME_LOCK,
};

/* sequence and base are set for segments and broken ones. Only the exact spelling counts: lower case, full
 * width. */
enum stele__name_kind stele__name_parse(const char *name, uint64_t *sequence, stele_lsn *base);
void stele__name_segment(char out[STELE__NAME_MAX], uint64_t sequence, stele_lsn base);
void stele__name_broken(char out[STELE__NAME_MAX], uint64_t sequence, stele_lsn base);
/* A name that parses as TEMP: under construction, or waiting to be recycled. */
void stele__name_temp(char out[STELE__NAME_MAX], const char *what, uint64_t number);

#endif
