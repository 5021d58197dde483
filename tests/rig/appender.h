/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/appender.h: what the parts of the recorder share. */
#ifndef STELE_RIG_APPENDER_H
#define STELE_RIG_APPENDER_H

#include "content.h"

#include <stdatomic.h>

/* What the processes of one recording know together: it outlives those that are killed. */
struct rig_shared {
    atomic_uint_fast64_t slot; /* next block for a mark */
    struct {
        atomic_uint_fast64_t count, lsn; /* acknowledged */
    } acked[RIG_LOGS][RIG_THREADS];
};

struct rig_run {
    struct rig_shared *shared;
    const char *dir;  /* on the file system under test */
    const char *tool; /* the stele command */
    int device;       /* the block device under it, O_DIRECT */
    uint64_t marks;   /* where on the device marks go */
    uint64_t records; /* for each log, over all generations */
    uint64_t seed;
    uint32_t generations;
    uint32_t log;        /* this process's */
    uint32_t generation; /* likewise */
    char path[512];      /* of the log */
};

/* Write a mark: what it says is true from now on. */
void rig_mark(const struct rig_run *run, enum rig_mark_kind kind, uint32_t thread, uint64_t count,
              uint64_t lsn);
/* The same for an acknowledgement, and remember it. */
void rig_acknowledge(const struct rig_run *run, uint32_t thread, uint64_t count, uint64_t lsn);
/* Options for this run's log. */
struct stele_options rig_options(const struct rig_run *run);
/* Open for writing, read everything, and tell what was shown. next[t]: the number each thread goes on
 * with. */
struct stele *rig_open_and_show(const struct rig_run *run, uint64_t next[RIG_THREADS],
                                uint64_t previous[RIG_THREADS]);
void rig_trim(const struct rig_run *run, struct stele *log, uint64_t keep);
/* End the program: the recording is of no use. */
_Noreturn void rig_give_up(const struct rig_run *run, const char *what);

/* Append with the command itself. In a process of its own, which it ends. */
_Noreturn void rig_run_tool(struct rig_run *run);

#endif
