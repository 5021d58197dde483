/* SPDX-License-Identifier: BSD-3-Clause */
/* core/commit.h: one group commit: fold the published prefix into the chain, persist it, advance the durable
 * point. Whoever leads does this for everybody; leadership is one word, taken without waiting. */
#ifndef STELE_CORE_COMMIT_H
#define STELE_CORE_COMMIT_H

#include "core/log.h"

/* Try to become the leader. True: the caller must call stele__commit_resign(). */
bool stele__commit_lead(struct stele *log);
void stele__commit_resign(struct stele *log);

/* As the leader: one round, at most up to `limit`, which must not be below the durable point (a segment
 * boundary, or the tail). Returns 0 (also when nothing could be done because a slot is open), or
 * STELE_EFAILED. */
int stele__commit_round(struct stele *log, stele_lsn limit);

/* As the leader: vouch for everything durable with a mark of its own, if nothing else does and nothing is in
 * flight. */
int stele__commit_vouch(struct stele *log);

/* Does data lie beyond what the records testify to? (leader) */
bool stele__commit_unvouched(const struct stele *log);

/* As the leader: the clock, never running back. */
uint64_t stele__commit_now(struct stele *log);

/* Wake whoever follows in this process: leadership is free, or the log has failed. */
void stele__commit_wake(struct stele *log);
/* Make the event descriptor readable: the durable point has moved, or the log has failed. */
void stele__commit_signal(struct stele *log);

#endif
