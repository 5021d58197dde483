/* SPDX-License-Identifier: BSD-3-Clause */
/* os/view.h: read-only (or, for the waiters page, writable) mappings of whole files for readers. The size is
 * checked when the file is mapped, and the map is guarded, so that a file cut short is an error and not a signal. */
#ifndef STELE_OS_VIEW_H
#define STELE_OS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

struct stele__guard;

struct stele__view {
    uint8_t *base; /* NULL: nothing mapped */
    uint64_t bytes;
    struct stele__guard *guard; /* tells whether the file was cut short since; NULL: it cannot */
};

/* 0; -ENOENT; -ENODATA when the file does not have exactly `bytes` bytes; -errno. */
int stele__view_open(int dirfd, const char *name, uint64_t bytes, bool writable, struct stele__view *out);
void stele__view_close(struct stele__view *view); /* a closed or zeroed one is allowed */

/* Private memory for an image of a segment, zero; NULL without memory. */
void *stele__image_alloc(uint64_t bytes);
void stele__image_free(void *image, uint64_t bytes);

#endif
