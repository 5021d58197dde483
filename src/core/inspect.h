/* SPDX-License-Identifier: BSD-3-Clause */
/* core/inspect.h: between inspect.c, which finds the files, and inspect_segment.c, which shows one. */
#ifndef STELE_CORE_INSPECT_H
#define STELE_CORE_INSPECT_H

#include "format/segment.h"

#include <stele/admin.h>

struct stele__inspection {
    stele_item_fn *fn;
    void *ctx;
    const char *path;    /* for messages: the directory, or the file */
    const char *segment; /* file name */
    int fd;
    uint64_t file_bytes;
    struct stele__header header; /* of the segment being shown; zero when it cannot be read */
};

/* Show in->fd. *header: what decoding its header said; when that is not OK, an invalid item is all there
 * is to show. Returns 0, the callback's value, STELE_EIO or STELE_ENOMEM. */
int stele__inspect_segment(struct stele__inspection *in, enum stele__decode *header);

/* Reading in->segment failed with -errno `err`: the message and code of it. */
int stele__inspect_fail(const struct stele__inspection *in, int err);

#endif
