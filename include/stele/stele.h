/* SPDX-License-Identifier: BSD-3-Clause */
/* stele/stele.h: everything. A write-ahead log: append records from many threads without locks, make
 * them durable in groups, read them back, and never lose what was acknowledged. */
#ifndef STELE_STELE_H
#define STELE_STELE_H

#include <stele/admin.h>
#include <stele/base.h>
#include <stele/cursor.h>
#include <stele/log.h>

#endif
