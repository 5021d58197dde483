/* SPDX-License-Identifier: BSD-3-Clause */
/* core/seal.h: footer and sparse index of a segment in which everything is durable. */
#ifndef STELE_CORE_SEAL_H
#define STELE_CORE_SEAL_H

#include "core/log.h"

/* Write index and footer of `seg`, all of whose facts are final, and make them durable. 0 or an error code (a
 * failed flush; the caller latches the log). */
int stele__seal(struct stele *log, const struct stele__seg *seg);

#endif
