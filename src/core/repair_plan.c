/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_plan.c: decide what to do, changing nothing but our own picture of the directory. Each round
 * mends what needs nobody's permission, then gives up what the flags allow, and examines the picture
 * again, until the verdict is clean, torn (the tail is cut) or out of reach of the flags. */
#include "core/repair.h"

#include "base/error.h"
#include "os/file.h"
#include "os/view.h"

#include <errno.h>
#include <stdlib.h>

int stele__repair_add(struct stele__repair *repair, const struct stele__deed *deed)
{
    if (repair->count == repair->capacity) {
        size_t wanted = repair->capacity == 0 ? 16 : repair->capacity * 2;
        struct stele__deed *grown = realloc(repair->deeds, wanted * sizeof *grown);
        if (grown == NULL)
            return stele__fail(STELE_ENOMEM, "%s: no memory for a plan of %zu steps", repair->look->path,
                               wanted);
        repair->deeds = grown;
        repair->capacity = wanted;
    }
    repair->deeds[repair->count++] = *deed;
    return 0;
}

void stele__repair_name(const struct stele__deed *deed, char out[STELE__NAME_MAX])
{
    if (deed->kind == STELE__DEED_DROP)
        stele__name_broken(out, deed->sequence, deed->base);
    else
        stele__name_segment(out, deed->sequence, deed->base);
}

bool stele__repair_irregular(const struct stele__found *found)
{
    return stele__file_is_irregular(found->io_error);
}

int stele__repair_load(struct stele__repair *repair, const struct stele__found *found)
{
    const struct stele__scan *scan = &repair->look->scan;
    if (repair->image == NULL) {
        repair->image_bytes = UINT64_C(1) << scan->data_log2;
        repair->image = stele__image_alloc(repair->image_bytes);
        if (repair->image == NULL)
            return stele__fail(STELE_ENOMEM, "%s: no memory for the image of a segment", scan->path);
    }
    int rc = stele__scan_load(scan, found, repair->image);
    if (rc == 0)
        return 0;
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    return stele__fail_errno(-rc, "%s/%s: cannot read it", scan->path, name);
}

int stele__repair_has_content(struct stele__repair *repair, const struct stele__found *found, bool *content)
{
    *content = true;
    if (found->io_error != 0 || found->header == STELE__DECODE_OK)
        return 0; /* nobody can tell; or records that nobody finds by this name */
    int rc = stele__repair_load(repair, found);
    if (rc == 0)
        *content = !stele__is_zero(repair->image, (size_t)repair->image_bytes);
    return rc;
}

bool stele__repair_decided(const struct stele__repair *repair, uint64_t sequence, enum stele__deed_kind first,
                           enum stele__deed_kind last)
{
    for (size_t i = 0; i < repair->count; i++) {
        const struct stele__deed *deed = &repair->deeds[i];
        if (deed->sequence == sequence && deed->kind >= first && deed->kind <= last)
            return true;
    }
    return false;
}

static int examine_again(struct stele__look *look)
{
    const struct stele__examine_options options = {
        .full = true, .jobs = 1, .problem = stele__problems_note, .ctx = &look->problems};
    stele__examined_free(&look->examined);
    look->done = false;
    int rc = stele__examine(&look->scan, &options, &look->examined);
    look->done = rc == 0;
    if (rc == 0 && look->problems.no_memory)
        rc = stele__fail(STELE_ENOMEM, "%s: no memory for the list of problems", look->path);
    return rc;
}

/* Without the control file nobody knows whether segments are missing in front or behind: to go on with those
 * that are there may give up the others, so it needs the permission for that. */
static bool may_rebuild_control(const struct stele__repair *repair)
{
    return repair->look->scan.control_result == STELE__DECODE_OK ||
           (repair->flags & (STELE_REPAIR_ALLOW_DATA_LOSS | STELE_REPAIR_QUARANTINE)) != 0;
}

/* What needs no permission, because nothing is given up. */
static int mend(struct stele__repair *repair, bool *changed)
{
    int rc = stele__repair_names(repair, changed);
    if (rc == 0 && may_rebuild_control(repair))
        rc = stele__repair_control(repair, changed);
    if (rc == 0 && !*changed)
        rc = stele__repair_sizes(repair, changed);
    if (rc == 0)
        stele__repair_seals(repair, changed);
    return rc;
}

static int refuse(const struct stele__repair *repair)
{
    const struct stele__examined *facts = &repair->look->examined;
    if (repair->look->scan.data_log2 == 0)
        return stele__fail(
            STELE_ECORRUPT,
            "%s: neither the control file nor any segment header can be read: nothing says how to "
            "read the log. Nothing was changed; restore one of them from a backup",
            repair->look->path);
    if (facts->control_foreign)
        return stele__fail(STELE_ECORRUPT,
                           "%s. Nothing was changed: which of the two is in the wrong place cannot be told "
                           "from here. Bring back "
                           "the control file of the log that the segments belong to; or move this one away "
                           "and run the repair "
                           "again, which makes one from the segments; or, if it is the segments that are "
                           "wrong, move those away",
                           facts->worst);
    if (repair->look->scan.control_result != STELE__DECODE_OK)
        return stele__fail(
            STELE_ECORRUPT,
            "%s. Nothing was changed: if this is an unfinished backup, delete it; else restore the control "
            "file, or go on with the segments that are there (--allow-data-loss): whether any are missing in "
            "front or behind cannot be told",
            facts->worst[0] != '\0' ? facts->worst : repair->look->path);
    return stele__fail(STELE_ECORRUPT,
                       "%s. Nothing was changed: bytes that had been durable would be given up. Quarantining "
                       "(--quarantine) sets damaged segments aside and keeps the others; allowing data loss "
                       "(--allow-data-loss) ends the log at lsn %llu",
                       facts->worst[0] != '\0' ? facts->worst : repair->look->path,
                       (unsigned long long)facts->end);
}

/* Damage that cannot be mended. *decided: the rest is cut, nothing remains to be examined. */
static int give_up(struct stele__repair *repair, bool *decided)
{
    bool changed = false;
    int rc = 0;
    if (repair->look->scan.control_result != STELE__DECODE_OK || repair->look->examined.control_foreign)
        return refuse(repair); /* it could not be rebuilt, or is not ours to judge */
    if ((repair->flags & STELE_REPAIR_QUARANTINE) != 0)
        rc = stele__repair_quarantine(repair, &changed);
    if (rc != 0 || changed)
        return rc;
    if ((repair->flags & STELE_REPAIR_ALLOW_DATA_LOSS) == 0)
        return refuse(repair);
    *decided = true;
    return stele__repair_cut_damaged(repair);
}

int stele__repair_plan(struct stele__repair *repair)
{
    struct stele__look *look = repair->look;
    repair->result.before = repair->result.after = look->examined.verdict;
    int rc = 0;
    for (bool decided = false; rc == 0 && !decided;) {
        bool changed = false;
        rc = mend(repair, &changed);
        if (rc == 0 && !changed && look->examined.verdict == STELE_CORRUPT) {
            rc = give_up(repair, &decided);
        } else if (rc == 0 && !changed) {
            decided = true;
            rc = stele__repair_cut_torn(repair);
        }
        if (rc == 0 && !decided)
            rc = examine_again(look);
    }
    if (rc == 0)
        rc = stele__repair_copies(repair);
    if (rc == 0)
        repair->result.after = STELE_CLEAN;
    return rc;
}
