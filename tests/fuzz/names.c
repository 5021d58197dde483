/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/names.c: file names, a part of the target ends: what is taken for a name of ours is, letter by
 * letter, the name that would be written; every name that is written is taken for what it is. */
#include "names.h"

#include "format/name.h"

#define NAME_BYTES 255u /* a file name has no more */

static void parse(const char *name)
{
    uint64_t sequence = 0;
    stele_lsn base = 0;
    char again[STELE__NAME_MAX] = "";
    const size_t len = strlen(name), temp = strlen(".stele.tmp");
    switch (stele__name_parse(name, &sequence, &base)) {
    case STELE__NAME_SEGMENT: stele__name_segment(again, sequence, base); break;
    case STELE__NAME_BROKEN: stele__name_broken(again, sequence, base); break;
    case STELE__NAME_CONTROL: (void)snprintf(again, sizeof again, "%s", STELE__CONTROL_NAME); break;
    case STELE__NAME_LOCK: (void)snprintf(again, sizeof again, "%s", STELE__LOCK_NAME); break;
    case STELE__NAME_TEMP: FUZZ_CHECK(len > temp && strcmp(name + len - temp, ".stele.tmp") == 0); return;
    case STELE__NAME_FOREIGN:
        FUZZ_CHECK(strcmp(name, STELE__CONTROL_NAME) != 0 && strcmp(name, STELE__LOCK_NAME) != 0);
        return;
    }
    FUZZ_CHECK(strcmp(name, again) == 0);
}

static void print(uint64_t sequence, stele_lsn base, const char *what)
{
    char name[STELE__NAME_MAX];
    uint64_t s = ~sequence;
    stele_lsn b = ~base;
    stele__name_segment(name, sequence, base);
    FUZZ_CHECK(stele__name_parse(name, &s, &b) == STELE__NAME_SEGMENT && s == sequence && b == base);
    s = ~sequence;
    b = ~base;
    stele__name_broken(name, sequence, base);
    FUZZ_CHECK(strlen(name) < sizeof name);
    FUZZ_CHECK(stele__name_parse(name, &s, &b) == STELE__NAME_BROKEN && s == sequence && b == base);
    stele__name_temp(name, what, sequence);
    FUZZ_CHECK(strlen(name) < sizeof name && stele__name_parse(name, &s, &b) == STELE__NAME_TEMP);
}

void names_judge(const uint8_t *data, size_t size)
{
    size_t len = size < NAME_BYTES ? size : NAME_BYTES;
    char *name = malloc(len + 1); /* exactly: a sanitizer sees who reads beyond the end */
    if (name == NULL)
        return;
    if (len > 0)
        memcpy(name, data, len);
    name[len] = '\0';
    parse(name);
    struct fuzz_in in = {data, size};
    const uint64_t sequence = fuzz_u64(&in);
    print(sequence, fuzz_u64(&in), name);
    free(name);
}
