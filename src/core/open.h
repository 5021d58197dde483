/* SPDX-License-Identifier: BSD-3-Clause */
/* core/open.h: opening with what only tests choose: a medium of their own, and no helper thread. */
#ifndef STELE_CORE_OPEN_H
#define STELE_CORE_OPEN_H

#include "core/log.h"

struct stele__seams {
    const struct stele__media *media; /* NULL: chosen by stele__media_choose() */
    bool no_helper;                   /* slow paths, and explicit stele__helper_step() calls, do its work */
};

/* stele_open() with seams. */
int stele__open_with(const char *path, const struct stele_options *options, const struct stele__seams *seams,
                     struct stele **out);

/* The stages, in their own files. Each returns 0 or an error code; on error the caller frees with
 * stele__log_free(). */
int stele__open_reader(struct stele *log);                                 /* open_reader.c */
int stele__create(struct stele *log, const struct stele_options *options); /* create.c */
int stele__recover(struct stele *log);                                     /* recover.c */

/* Take over what a scan says of the log as a whole. */
struct stele__scan;
void stele__open_describe(struct stele *log, const struct stele__scan *scan);

/* Release everything a half or fully opened handle holds. Syncs nothing. */
void stele__log_free(struct stele *log);

/* Remove what a failed stele__create() made. The caller holds the writer lock, and made the control file. */
void stele__create_undo(struct stele *log);

#endif
