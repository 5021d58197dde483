/* SPDX-License-Identifier: BSD-3-Clause */
/* core/sync.h: waiting for durability. */
#ifndef STELE_CORE_SYNC_H
#define STELE_CORE_SYNC_H

#include "core/log.h"

/* Make everything before `end` durable, leading or following. 0 or STELE_EFAILED. */
int stele__sync_until(struct stele *log, stele_lsn end);

/* Sleep until a commit ends, unless `durable` >= end, or (when `may_lead`) leadership is free. 0 or
 * -ETIMEDOUT. */
int stele__sync_follow(struct stele *log, stele_lsn end, bool may_lead, int64_t timeout_ns);

#endif
