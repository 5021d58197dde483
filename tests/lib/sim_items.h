/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_items.h: what the bytes of a log's files mean, and who vouches for what: found on a sound image, and
 * then asked what must be said of a damaged copy of it. The library's recovery takes no part in this; only
 * its formats do. */
#ifndef STELE_TEST_SIM_ITEMS_H
#define STELE_TEST_SIM_ITEMS_H

#include "sim.h"

#include <stele/base.h>

enum sim_item_kind { SIM_ITEM_HEADER, SIM_ITEM_RECORD, SIM_ITEM_FOOTER, SIM_ITEM_INDEX, SIM_ITEM_CONTROL };

struct sim_item {
    enum sim_item_kind kind;
    uint32_t segment; /* of a header, record, footer, index: which */
    struct sim_file *file;
    uint32_t offset, len;
    stele_lsn lsn;   /* of a record */
    stele_lsn vouch; /* everything before it had been durable */
    stele_lsn upto;  /* of a mark: it knows the chain there; else 0 */
};

struct sim_segment {
    struct sim_file *file;
    stele_lsn base;
    bool sealed;
    bool holds; /* at least one record */
};

#define SIM_SEGMENTS 32u
struct sim_items {
    struct sim_item *list;
    size_t count, capacity;
    struct sim_segment segments[SIM_SEGMENTS];
    uint32_t segment_count;
};

/* `first`: where the log begins. The list is used again; sim_items_free() at the end. */
void sim_items_find(struct sim_items *items, struct sim *sim, stele_lsn first);
void sim_items_free(struct sim_items *items);

struct sim_expect {
    stele_lsn end;   /* the first record that is damaged or gone; STELE_LSN_NONE: none is */
    stele_lsn vouch; /* what is left vouches up to here */
    bool in_sealed;  /* `end` lies in a segment that still has its seal: found when it is read or verified */
    bool lost;       /* a segment with records cannot be read, or is missing with records behind it */
    bool control;    /* no block of the control file can be read */
    bool healed;     /* a second copy, or nothing at all, stands for everything that changed */
    bool meant;      /* anything changed that means something, or that a hash covers */
};

/* What must be said of `damaged`, whose files of the same names are compared with those of the sound
 * image. */
struct sim_expect sim_items_judge(const struct sim_items *items, struct sim *damaged);

#endif
