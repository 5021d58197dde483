/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_mend.c: what can be put right without giving up a record: names, the control file, sizes,
 * seals and second copies. Decides only; the picture (the look's scan) is changed as if it had been done. */
#include "core/repair.h"

#include "base/error.h"
#include "format/chain.h"

#include <stdlib.h>

/* Sound, ours, but under a name that is not its own. */
static bool misnamed(const struct stele__found *found)
{
    return found->io_error == 0 && !found->broken && found->header == STELE__DECODE_OK && found->same_log &&
           !found->named_right;
}

static struct stele__found *find_name(struct stele__scan *scan, uint64_t sequence, stele_lsn base)
{
    for (size_t i = 0; i < scan->count; i++)
        if (!scan->found[i].broken && scan->found[i].sequence == sequence && scan->found[i].base == base)
            return &scan->found[i];
    return NULL;
}

static void take_name(struct stele__found *found, uint8_t data_log2, uint64_t sequence, stele_lsn base)
{
    if (!found->elsewhere) {
        found->elsewhere = true;
        found->elsewhere_sequence = found->sequence;
        found->elsewhere_base = found->base;
    }
    found->sequence = sequence;
    found->base = base;
    found->named_right = found->own_sequence == sequence && base == sequence << data_log2;
}

/* Give `found` the name its header says. False: somebody else has it by right, or it was decided what becomes of the
 * file of that name. One that cannot be read has no right to it, and is not lost: it gets the wrong name instead,
 * under which it is no part of the log. Which of the two continues the log is judged afterwards. */
static bool rename_one(struct stele__repair *repair, struct stele__found *found, int *rc)
{
    struct stele__scan *scan = &repair->look->scan;
    const uint64_t to = found->own_sequence, sequence = found->sequence;
    const stele_lsn base = found->base;
    struct stele__found *other = find_name(scan, to, to << scan->data_log2);
    if (other != NULL && stele__found_readable(other))
        return false;
    /* A log that is whole without it is not changed by a second file of some number. */
    if (repair->look->examined.verdict != STELE_CORRUPT && stele__scan_find(scan, sequence) != found)
        return false;
    if (stele__repair_decided(repair, to, STELE__DEED_QUARANTINE, STELE__DEED_REMOVE))
        return false; /* renaming comes first, and would put this file in the place of the one that is to go */
    if (scan->control_result == STELE__DECODE_OK && to < scan->control.first_sequence)
        return false; /* trimmed long ago */
    *rc = stele__repair_add(
        repair,
        &(struct stele__deed){.kind = STELE__DEED_RENAME, .sequence = sequence, .base = base, .to = to});
    take_name(found, scan->data_log2, to, to << scan->data_log2);
    if (other != NULL)
        take_name(other, scan->data_log2, sequence, base);
    stele__scan_sort(scan);
    return true;
}

int stele__repair_names(struct stele__repair *repair, bool *changed)
{
    struct stele__scan *scan = &repair->look->scan;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count;) {
        if (misnamed(&scan->found[i]) && rename_one(repair, &scan->found[i], &rc)) {
            *changed = true;
            i = 0; /* the order is another one now; each renaming puts one more file right, so this ends */
        } else {
            i++;
        }
    }
    return rc;
}

/* Chain and record number at the start of the first segment there is. A log that was never trimmed begins
 * with its uuid; a sealed segment and a mark say it. Where nothing does (docs/decisions/0020), it begins
 * with what a walk that knows nothing begins with, which is what all later walks will find again. */
static int first_facts(struct stele__repair *repair, const struct stele__found *found,
                       struct stele__control *control)
{
    if (found->sequence == 0) {
        control->first_chain = stele__chain_origin(repair->look->scan.uuid);
        return 0;
    }
    if (found->sealed) {
        control->first_chain = found->footer.chain_start;
        control->first_record = found->footer.first_record;
        return 0;
    }
    int rc = stele__repair_load(repair, found);
    if (rc != 0)
        return rc;
    const struct stele__area area = {.data = repair->image,
                                     .bytes = repair->image_bytes,
                                     .base = found->base,
                                     .salt = found->salt,
                                     .record_max = stele__record_max(repair->image_bytes)};
    struct stele__walk walk;
    struct stele__record record;
    stele__walk_start(&walk, &area);
    while (stele__walk_next(&walk, &record, NULL) == STELE__WALK_RECORD)
        continue;
    stele__walk_fold(&walk);
    control->first_chain = walk.chain_start;
    control->first_record = walk.record_number - walk.records;
    return 0;
}

/* Unreadable files before the first readable segment: nobody can say whether they are its predecessors.
 * *ok: dealt with, as the flags allow. */
static int clear_front(struct stele__repair *repair, size_t readable, bool *ok)
{
    struct stele__scan *scan = &repair->look->scan;
    int rc = 0;
    *ok = true;
    for (size_t i = 0; rc == 0 && *ok && i < readable; i++) {
        struct stele__found *found = &scan->found[i];
        struct stele__deed deed = {
            .kind = STELE__DEED_REMOVE, .sequence = found->sequence, .base = found->base};
        bool content = false;
        if (found->broken)
            continue;
        rc = stele__repair_has_content(repair, found, &content);
        if (rc != 0)
            break;
        if (content && (repair->flags & STELE_REPAIR_QUARANTINE) != 0) {
            deed.kind = STELE__DEED_QUARANTINE;
            deed.aside = stele__repair_irregular(found);
            repair->result.segments_quarantined++;
        } else if (content && (repair->flags & STELE_REPAIR_ALLOW_DATA_LOSS) != 0) {
            deed.aside = found->io_error != 0;
            deed.save_to = deed.aside ? 0 : found->file_bytes;
            repair->result.bytes_removed += found->file_bytes;
        } else if (content) {
            *ok = false;
            break;
        }
        rc = stele__repair_add(repair, &deed);
        found->broken = true; /* out of the picture */
    }
    return rc;
}

int stele__repair_control(struct stele__repair *repair, bool *changed)
{
    struct stele__scan *scan = &repair->look->scan;
    size_t first = 0;
    while (first < scan->count && !stele__found_readable(&scan->found[first]))
        first++;
    if (scan->control_result == STELE__DECODE_OK || first == scan->count)
        return 0;
    bool ok;
    int rc = clear_front(repair, first, &ok);
    if (rc != 0 || !ok)
        return rc;
    const struct stele__found *found = &scan->found[first];
    struct stele__control control = {
        .first_sequence = found->sequence,
        .durable = found->base, /* what is vouched for is added in the end */
        .created_ns = found->created_ns,
        .ro_compat = found->ro_compat,
        .incarnation = repair->look->examined.max_incarnation,
        .data_log2 = scan->data_log2,
        /* nothing says otherwise any more, and the next opening can put it right */
        .flags = STELE__CONTROL_UNSYNCED};
    memcpy(control.uuid, scan->uuid, sizeof control.uuid);
    rc = first_facts(repair, found, &control);
    if (rc != 0)
        return rc;
    scan->control = control;
    scan->control_present = true;
    scan->control_result = STELE__DECODE_OK;
    scan->control_copies = 3;
    repair->rebuild_control = true;
    *changed = true;
    return 0;
}

/* A segment file too long, or cut short where no record stood: nothing of the log is missing. */
int stele__repair_sizes(struct stele__repair *repair, bool *changed)
{
    const struct stele__examined *facts = &repair->look->examined;
    struct stele__scan *scan = &repair->look->scan;
    struct stele__found *found = scan->data_log2 != 0 ? stele__scan_find(scan, facts->at_sequence) : NULL;
    if (facts->verdict != STELE_CORRUPT || facts->facts.sealed || facts->facts.contradiction ||
        found == NULL || !stele__found_readable(found) || found->size_right)
        return 0;
    const uint64_t used = facts->end - found->base;
    if (used < UINT64_C(1) << scan->data_log2) {
        if (facts->facts.vouched || facts->facts.gap_then_record || facts->first_torn != UINT64_MAX)
            return 0; /* records are missing here */
        int rc = stele__repair_load(repair, found);
        if (rc != 0 || !stele__is_zero(repair->image + used, (size_t)(repair->image_bytes - used)))
            return rc;
    }
    const uint64_t bytes = stele__segment_file_bytes(UINT64_C(1) << scan->data_log2);
    found->size_right = true;
    *changed = true;
    return stele__repair_add(repair,
                             &(struct stele__deed){.kind = STELE__DEED_REWRITE,
                                                   .sequence = found->sequence,
                                                   .base = found->base,
                                                   .cut = facts->end,
                                                   .save_from = bytes,
                                                   .save_to = stele__max_u64(bytes, found->file_bytes)});
}

/* Index or data hash that do not match a segment all of whose records are sound: believe the records, and
 * seal it again. The picture shows it as full and not sealed, so that the next round collects the facts. */
void stele__repair_seals(struct stele__repair *repair, bool *changed)
{
    struct stele__look *look = repair->look;
    for (size_t i = 0; i < look->scan.count; i++) {
        struct stele__found *found = &look->scan.found[i];
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        if (!stele__found_readable(found) || !found->sealed ||
            (!stele__problems_has(&look->problems, "index", name) &&
             !stele__problems_has(&look->problems, "data-hash", name)))
            continue;
        found->sealed = found->footer_trace = false;
        *changed = true;
    }
}

static const struct stele__open_segment *full_segment(const struct stele__examined *facts, uint64_t sequence)
{
    const size_t full = facts->open_count - (facts->in_segment && facts->open_count > 0 ? 1 : 0);
    for (size_t i = 0; i < full; i++)
        if (facts->open[i].sequence == sequence)
            return &facts->open[i];
    return NULL;
}

/* One file that stays, and is what it should be but for copies of what it says elsewhere. */
static int mend_copies(struct stele__repair *repair, const struct stele__found *found)
{
    struct stele__deed deed = {.kind = STELE__DEED_HEADER, .sequence = found->sequence, .base = found->base};
    int rc = 0;
    bool cut = stele__repair_decided(repair, found->sequence, STELE__DEED_UNSEAL, STELE__DEED_CUT);
    if (found->header_copies != 3 &&
        !stele__repair_decided(repair, found->sequence, STELE__DEED_REWRITE, STELE__DEED_REWRITE))
        rc = stele__repair_add(repair, &deed);
    bool leftover = found->footer_trace || found->footer_copies != 0;
    const struct stele__open_segment *full = full_segment(&repair->look->examined, found->sequence);
    if (rc != 0 || cut || !leftover || (found->sealed && found->footer_copies == 3))
        return rc;
    if (found->sealed)
        deed.kind = STELE__DEED_FOOTER;
    else if (full != NULL && full->chain_known)
        deed.kind = STELE__DEED_SEAL;
    else
        deed.kind = STELE__DEED_UNSEAL;
    return stele__repair_add(repair, &deed);
}

/* A second file of the same number, under another name: it would stand for the first when that is gone. */
static bool has_twin(const struct stele__scan *scan, const struct stele__found *found)
{
    for (size_t i = 0; i < scan->count; i++) {
        const struct stele__found *other = &scan->found[i];
        if (other != found && !other->broken && other->sequence == found->sequence)
            return true;
    }
    return false;
}

int stele__repair_copies(struct stele__repair *repair)
{
    struct stele__scan *scan = &repair->look->scan;
    const struct stele__examined *facts = &repair->look->examined;
    if (repair->rebuild_control)
        scan->control.durable =
            stele__max_u64(scan->control.durable, stele__min_u64(facts->vouched, facts->end));
    else if (scan->control_copies != 3)
        repair->write_control = true;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count; i++) {
        const struct stele__found *found = &scan->found[i];
        if (found->broken || stele__scan_find(scan, found->sequence) != found ||
            found->sequence < scan->control.first_sequence ||
            stele__repair_decided(repair, found->sequence, STELE__DEED_REMOVE, STELE__DEED_REMOVE))
            continue;
        if (stele__found_readable(found))
            rc = mend_copies(repair, found);
        else if (facts->verdict != STELE_CORRUPT && !has_twin(scan, found))
            /* An unreadable, empty spare; in a corrupt log it would not be harmless. */
            rc = stele__repair_add(repair, &(struct stele__deed){.kind = STELE__DEED_REMOVE,
                                                                 .sequence = found->sequence,
                                                                 .base = found->base});
    }
    return rc;
}
