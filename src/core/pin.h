/* SPDX-License-Identifier: BSD-3-Clause */
/* core/pin.h: leases. A pin is a shared lock on one byte of the lock file, held by the kernel: it dies with
 * its process, and a trimmer sees it whoever holds it. */
#ifndef STELE_CORE_PIN_H
#define STELE_CORE_PIN_H

#include "core/log.h"

struct stele_pin {
    struct stele *log;
    int fd; /* of the lock file, its own open file description; -1: the log has none, nothing can be pinned */
    bool held;
    uint64_t sequence;
    bool anchored; /* `anchor` stays held, too */
    uint64_t anchor;
};

/* Open a pin that holds nothing yet; counts as a handle of the log. */
int stele__pin_open(struct stele *log, struct stele_pin *pin);
/* Hold `sequence` instead of what it held. STELE_ETRIMMED: a trimmer has it (or had, and it is gone). */
int stele__pin_move(struct stele_pin *pin, uint64_t sequence);
/* Moves from here on leave what is held now held as well, until the anchor is raised: there is a way back. */
void stele__pin_anchor(struct stele_pin *pin);
void stele__pin_raise(struct stele_pin *pin);
void stele__pin_close(struct stele_pin *pin);

#endif
