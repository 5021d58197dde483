/* SPDX-License-Identifier: BSD-3-Clause */
/* core/behind.h: what stands at and behind T: residue of a torn write, or testimony that something was lost?
 */
#ifndef STELE_CORE_BEHIND_H
#define STELE_CORE_BEHIND_H

#include "core/report.h"

/* T = exam->out->end lies in (or at the start of) segment `sequence`. Fills in the facts about everything
 * from there on, and reports what made the verdict. exam->area still shows that segment when out->in_segment
 * is set. */
int stele__look_behind(struct stele__exam *exam, uint64_t sequence);

#endif
