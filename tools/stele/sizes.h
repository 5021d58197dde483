/* SPDX-License-Identifier: BSD-3-Clause */
/* sizes.h: numbers as people write and read them.
 *
 * The parse functions take the whole word and return 0, or -1 when it is not one or out of range. */
#ifndef SIZES_H
#define SIZES_H

#include <stddef.h>
#include <stdint.h>

int size_parse(const char *word, uint64_t *bytes); /* 4096 64K 64KiB 1G (powers of two) 64KB 1GB (decimal) */
int number_parse(const char *word, uint64_t *number); /* decimal or 0x */
int seconds_parse(const char *word, uint64_t *ns);    /* 5, 0.25 */

/* Up to `max` comma-separated sizes (or numbers). Returns how many, or -1. */
int size_list_parse(const char *word, uint64_t *values, int max);

#define SIZES_TEXT 40 /* a buffer for any of the following, which return `text` */
const char *size_text(char text[SIZES_TEXT], uint64_t bytes);  /* "1.5 MiB" */
const char *duration_text(char text[SIZES_TEXT], uint64_t ns); /* "12.3 us" */
const char *time_text(char text[SIZES_TEXT], uint64_t ns);     /* "2026-11-20T13:33:35Z"; 0 = "-" */

#endif
