/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h: open and close logs the way every subcommand does.
 *
 * Functions return an exit code (TOOL_FINE: go on) and have complained when it is another. */
#ifndef LOG_H
#define LOG_H

#include "opts.h"

struct log_options {
    struct stele_options stele;
    int sized; /* --segment-size was given */
};

void log_options_init(struct log_options *options);

/* Take one of --durability, --segment-size, --metadata. Returns 1 taken, 0 another option, -1 over. */
int log_option(struct log_options *options, struct opts *opts, int id);

/* Open for writing with `flags`. Messages of the library go to stderr; durability none is warned of. */
int log_open(const struct command *self, const char *path, struct log_options *options, uint32_t flags,
             struct stele **out);
int log_open_reader(const struct command *self, const char *path, struct stele **out);

/* Close; `code` stands unless closing fails. NULL is allowed. */
int log_close(const struct command *self, struct stele *log, int code);

/* stele_stat() with its size filled in. */
int log_stat(const struct command *self, struct stele *log, struct stele_stat *stat);

/* All segments of a log, oldest first; the caller frees *list. */
int log_segments(const struct command *self, struct stele *log, struct stele_segment_stat **list,
                 size_t *count);

/* Why the durability class is what it is, without the name of the class in front. */
const char *log_reason(const struct stele_stat *stat);

/* What is still to be said about a log that is opened: loud where records would not survive. */
const char *log_none_warning(void);

#endif
