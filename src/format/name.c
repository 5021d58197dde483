/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/name.h"

#include <stdio.h>
#include <string.h>

#define STEM 33u /* 16 + '-' + 16 */

static bool parse_hex16(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n > s && strcmp(name + n - s, suffix) == 0;
}

enum stele__name_kind stele__name_parse(const char *name, uint64_t *sequence, stele_lsn *base)
{
    if (strcmp(name, STELE__CONTROL_NAME) == 0)
        return STELE__NAME_CONTROL;
    if (strcmp(name, STELE__LOCK_NAME) == 0)
        return STELE__NAME_LOCK;
    if (ends_with(name, ".stele.tmp"))
        return STELE__NAME_TEMP;
    if (strlen(name) < STEM || name[16] != '-' || !parse_hex16(name, sequence) ||
        !parse_hex16(name + 17, base))
        return STELE__NAME_FOREIGN;
    if (strcmp(name + STEM, ".stele") == 0)
        return STELE__NAME_SEGMENT;
    if (strcmp(name + STEM, ".stele.broken") == 0)
        return STELE__NAME_BROKEN;
    return STELE__NAME_FOREIGN;
}

void stele__name_segment(char out[STELE__NAME_MAX], uint64_t sequence, stele_lsn base)
{
    snprintf(out, STELE__NAME_MAX, "%016llx-%016llx.stele", (unsigned long long)sequence,
             (unsigned long long)base);
}

void stele__name_broken(char out[STELE__NAME_MAX], uint64_t sequence, stele_lsn base)
{
    snprintf(out, STELE__NAME_MAX, "%016llx-%016llx.stele.broken", (unsigned long long)sequence,
             (unsigned long long)base);
}

void stele__name_temp(char out[STELE__NAME_MAX], const char *what, uint64_t number)
{
    snprintf(out, STELE__NAME_MAX, "%.12s-%016llx.stele.tmp", what, (unsigned long long)number);
}
