/* SPDX-License-Identifier: BSD-3-Clause */
/* core/helper.h: the one thread a writer has. It keeps prepared segments ahead of the tail, commits and seals
 * full ones, vouches for the last burst when the log goes idle, and serves stele_sync_begin(). Appenders
 * never wake it: it looks. */
#ifndef STELE_CORE_HELPER_H
#define STELE_CORE_HELPER_H

#include "core/log.h"

int stele__helper_start(struct stele *log);
void stele__helper_stop(struct stele *log); /* joins; leaves no work of the helper in progress */
void stele__helper_wake(struct stele *log);

/* One round of its work. `woken`: somebody asked, so an attempt that failed is tried again. True when it did
 * anything. The thread calls it; so do slow paths of a log without the thread, and close. */
bool stele__helper_step(struct stele *log, bool woken);

/* Seal every full and durable segment. 0 or STELE_EFAILED. */
int stele__helper_seal(struct stele *log);

#endif
