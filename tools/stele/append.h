/* SPDX-License-Identifier: BSD-3-Clause */
/* append.h: one run of stele append, between its options (cmd_append.c) and its work (append_run.c). */
#ifndef APPEND_H
#define APPEND_H

#include "input.h"
#include "log.h"

enum sync_when { SYNC_EACH, SYNC_BATCH, SYNC_END, SYNC_NONE };

struct append {
    const struct command *self;
    struct log_options log_options;
    struct input input;
    enum sync_when when;
    uint64_t batch;
    unsigned type;
    int create, framed, ack, quiet, json;

    /* how far it is */
    struct stele *log;
    int opened;
    int refused; /* a sync failed: the log takes nothing more */
    uint64_t records, bytes;
    uint64_t read_bytes;    /* of input, delimiters included */
    uint64_t pending_bytes; /* appended since the last sync */
    uint64_t durable_records;
    stele_lsn first, last; /* STELE_LSN_NONE: none yet */
    stele_lsn durable;     /* the durable point when it ended */
    double seconds;
};

/* Append everything in `files` (none: standard input) to the log at `path`. Returns the exit code; when
 * `opened` is set the counters are good. */
int append_run(struct append *append, const char *path, char **files, int count);

#endif
