/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair.h: the stages of a repair. Everything is decided first, in memory, on what a look has found
 * (repair_plan.c, repair_mend.c, repair_cut.c): a dry run ends there. Then copies of what will go are made
 * durable (repair_save.c), and only then files change (repair_apply.c). Each stage, killed anywhere,
 * leaves a log on which the next repair finds the same place to work on. */
#ifndef STELE_CORE_REPAIR_H
#define STELE_CORE_REPAIR_H

#include "core/look.h"

#include <limits.h>

/* What to do to one file, in the order in which it is done. */
enum stele__deed_kind {
    STELE__DEED_RENAME = 0, /* to the name its header says: `to`; swaps when that name is taken */
    STELE__DEED_QUARANTINE, /* to NAME.broken */
    STELE__DEED_TOMBSTONE,  /* an empty NAME.broken for a segment that is missing */
    STELE__DEED_DROP, /* a NAME.broken behind a cut: the gap it owned up to is no part of the log any more */
    STELE__DEED_REMOVE,  /* highest sequence first */
    STELE__DEED_REWRITE, /* of the wrong size: a new file with the records before `cut` */
    STELE__DEED_UNSEAL,  /* zero index and footer */
    STELE__DEED_CUT,     /* zero the data area from `cut` up to offset save_to */
    STELE__DEED_HEADER,  /* make both copies whole */
    STELE__DEED_FOOTER,
    STELE__DEED_SEAL, /* index and footer anew, from the walk's facts */
    STELE__DEED_KINDS,
};

struct stele__deed {
    enum stele__deed_kind kind;
    uint64_t sequence; /* with `base`: the file's name when the repair begins (RENAME: when its turn comes) */
    stele_lsn base;
    uint64_t to; /* RENAME: sequence */
    stele_lsn cut;
    uint64_t save_from, save_to; /* offsets in the file: copied away first; equal: nothing */
    bool aside; /* cannot be copied (no regular file, or it cannot be read): goes to NAME.aside as it is */
};

struct stele__repair {
    struct stele__look *look;
    uint32_t flags;
    const char *backup; /* where copies go; NULL: to be chosen */
    struct stele_repair_result result;
    struct stele__deed *deeds;
    size_t count, capacity;
    bool write_control;   /* the control block of the look's scan is to be written: both copies */
    bool rebuild_control; /* the file is lost */
    uint8_t *image;       /* one segment's data area, image_bytes long; NULL until needed */
    uint64_t image_bytes;
};

/* repair_plan.c. Fill in deeds and result. 0; STELE_ECORRUPT: damage that only a flag allows to give up,
 * nothing may be done; other codes. */
int stele__repair_plan(struct stele__repair *repair);
int stele__repair_add(struct stele__repair *repair, const struct stele__deed *deed);
/* Load the data area of `found` into repair->image. 0 or an error code. */
int stele__repair_load(struct stele__repair *repair, const struct stele__found *found);
/* The file a deed is about. */
void stele__repair_name(const struct stele__deed *deed, char out[STELE__NAME_MAX]);
/* A directory, a link, a FIFO: nothing of the log can ever have been in it. */
bool stele__repair_irregular(const struct stele__found *found);
/* Does a segment whose records cannot be read hold anything? 0 or an error code. */
int stele__repair_has_content(struct stele__repair *repair, const struct stele__found *found, bool *content);
/* Has it been decided to do something like this to the segment? */
bool stele__repair_decided(const struct stele__repair *repair, uint64_t sequence, enum stele__deed_kind first,
                           enum stele__deed_kind last);

/* repair_mend.c: what can be put right without giving anything up. Each changes the look's scan as if it
 * had been done; *changed: the look has to be examined again. */
int stele__repair_names(struct stele__repair *repair, bool *changed);
int stele__repair_control(struct stele__repair *repair, bool *changed);
int stele__repair_sizes(struct stele__repair *repair, bool *changed);
void stele__repair_seals(struct stele__repair *repair, bool *changed);
/* When all else is decided: copies of headers and footers, seals, leftovers. */
int stele__repair_copies(struct stele__repair *repair);

/* repair_cut.c: what is given up. */
int stele__repair_cut_torn(struct stele__repair *repair);
int stele__repair_cut_damaged(struct stele__repair *repair);
int stele__repair_quarantine(struct stele__repair *repair, bool *changed);

/* repair_place.c: where copies go. Is the directory that the caller named outside the log? Make it, or a new one
 * beside the log; *made: it is new. 0 or an error code. */
bool stele__repair_is_inside(const char *path,
                             const char *place); /* is, or would `place` be, inside the log? */
int stele__repair_check_backup(const struct stele__repair *repair);
int stele__repair_make_place(const struct stele__repair *repair, char path[PATH_MAX], bool *made);

/* repair_save.c: copy away what deeds will destroy; nothing happens when they destroy nothing, and nothing is
 * left when it fails. */
int stele__repair_save(struct stele__repair *repair);

/* repair_apply.c. Renames destroy nothing, and come before the copies, which then find every file by the
 * name it has in the plan; then all the rest. */
int stele__repair_apply_names(struct stele__repair *repair);
int stele__repair_apply(struct stele__repair *repair);
/* The message and code of a step that failed with -errno `err`. */
int stele__repair_fail(const struct stele__repair *repair, const char *name, int err, const char *what);

/* repair_write.c: one deed that changes a file in place. */
int stele__repair_contents(struct stele__repair *repair, const struct stele__deed *deed);

#endif
