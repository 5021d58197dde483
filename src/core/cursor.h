/* SPDX-License-Identifier: BSD-3-Clause */
/* core/cursor.h: a reader's place in the log: a position, the segment it lies in mapped read-only and pinned.
 */
#ifndef STELE_CORE_CURSOR_H
#define STELE_CORE_CURSOR_H

#include "core/pin.h"
#include "core/reader.h"

struct stele_cursor {
    struct stele *log;
    struct stele_pin pin;
    bool durable_only;
    stele_lsn lsn;           /* next record */
    struct stele__view view; /* the mapped segment; base NULL: none */
    uint64_t sequence;       /* of it */
    struct stele__area area;
    bool sealed;
    struct stele__footer footer; /* when sealed */
    uint64_t opens;              /* of the writer, when the position was last known to be right */
    int pending;                 /* an error that stele_cursor_wait() met and stele_cursor_next() must tell */
};

/* Have segment `sequence` mapped and pinned. 1; 0: it does not exist (yet); STELE_EGAP (quarantined);
 * STELE_ETRIMMED; STELE_ECORRUPT; STELE_EIO; STELE_ENOMEM. On anything but 1 the cursor keeps what it had
 * mapped. */
int stele__cursor_enter(struct stele_cursor *cursor, uint64_t sequence);

/* Find the next data record at or behind cursor->lsn, stepping over marks and pads. 1: *record, and
 * cursor->lsn is where it stands; 0: none to show now; else an error, with cursor->lsn where
 * stele_cursor_next() goes on. */
int stele__cursor_find(struct stele_cursor *cursor, struct stele__record *record);

int stele__cursor_seek(struct stele_cursor *cursor, enum stele_from from, uint64_t value);

/* STELE_ECORRUPT: the entered segment lost its bytes under the map. */
int stele__cursor_fail_lost(const struct stele_cursor *cursor);

#endif
