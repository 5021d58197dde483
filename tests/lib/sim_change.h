/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_change.h: crash points, for the files that answer the calls. */
#ifndef STELE_TEST_SIM_CHANGE_H
#define STELE_TEST_SIM_CHANGE_H

#include "sim.h"

/* `to`: the new name of a rename, else NULL. */
void sim__point(struct sim *sim, enum sim_call call, bool after, const char *name, const char *to,
                uint64_t offset, uint64_t len);
uint64_t sim__changes(void); /* crash points so far, of all machines */
void sim_print_where(const struct sim_where *where);

#endif
