/* SPDX-License-Identifier: BSD-3-Clause */
/* core/mark.h: writing marks. */
#ifndef STELE_CORE_MARK_H
#define STELE_CORE_MARK_H

#include "core/log.h"

/* As the commit leader: append a mark that holds up to the frontier. False when there is none (no room now;
 * the slot fell into another segment than the frontier; or a single appender was asked to write it). */
bool stele__mark_append(struct stele *log);

/* As the single appender (or at close, when nobody appends): write the mark that was asked for. */
void stele__mark_write_pending(struct stele *log);

#endif
