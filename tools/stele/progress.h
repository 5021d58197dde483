/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.h: one line with amount, rate and time left; only on a terminal, only after two seconds. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>

uint64_t now_ns(void); /* monotonic */

struct progress {
    int on; /* stderr is a terminal */
    int shown;
    uint64_t total; /* bytes to do; 0 = nobody knows */
    uint64_t start_ns, last_ns;
};

/* `busy`: lines go to stdout meanwhile; then there is no progress line when that is a terminal, too. */
void progress_begin(struct progress *progress, uint64_t total, int busy);
void progress_update(struct progress *progress, uint64_t done); /* cheap: call it per chunk of work */
void progress_end(struct progress *progress);                   /* wipes the line */

#endif
