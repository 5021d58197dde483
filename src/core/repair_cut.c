/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_cut.c: decide what is given up: a torn tail, everything behind the first damage, or damaged
 * segments one by one. */
#include "core/repair.h"

#include "base/error.h"

#include <stdlib.h>

/* More missing segments in a row than this are no accident of a disk: names or numbers lie. */
#define GAP_MAX 65536u

static uint64_t count_records(const struct stele__area *area, stele_lsn from)
{
    struct stele__record record;
    uint64_t count = 0;
    const stele_lsn end = area->base + area->bytes;
    while (from < end) {
        stele_lsn at = stele__record_scan(area, from, &record);
        if (at == STELE_LSN_NONE)
            break;
        count += stele__wire_is_data(record.wire) ? 1 : 0;
        from = at + record.bytes;
    }
    return count;
}

/* Offset in the loaded data area behind the last byte that is not zero, at least `from`. */
static uint64_t residue_end(const struct stele__repair *repair, uint64_t from)
{
    uint64_t end = repair->image_bytes;
    while (end - from >= 64 && end % 64 == 0 && stele__is_zero(repair->image + end - 64, 64))
        end -= 64;
    while (end > from && repair->image[end - 1] == 0)
        end--;
    return end;
}

/* Load `found` and note its records from `from` on as removed. */
static int survey(struct stele__repair *repair, const struct stele__found *found, stele_lsn from,
                  uint64_t *residue)
{
    int rc = stele__repair_load(repair, found);
    if (rc != 0)
        return rc;
    *residue = residue_end(repair, from - found->base);
    if (!stele__found_readable(found) || from - found->base >= repair->image_bytes)
        return 0;
    const struct stele__area area = {.data = repair->image,
                                     .bytes = repair->image_bytes,
                                     .base = found->base,
                                     .salt = found->salt,
                                     .record_max = stele__record_max(repair->image_bytes)};
    repair->result.records_removed += count_records(&area, from);
    return 0;
}

/* Remove a whole segment file. Prepared ones that were never used have nothing worth a copy. */
static int remove_segment(struct stele__repair *repair, const struct stele__found *found)
{
    struct stele__deed deed = {.kind = STELE__DEED_REMOVE, .sequence = found->sequence, .base = found->base};
    uint64_t residue = 0;
    if (found->io_error == 0) {
        int rc = survey(repair, found, found->base, &residue);
        if (rc != 0)
            return rc;
    }
    deed.aside = found->io_error != 0;
    if (!deed.aside && (found->footer_trace || !stele__found_readable(found)))
        deed.save_to = found->file_bytes;
    else if (residue > 0)
        deed.save_to = stele__min_u64(found->file_bytes, STELE__HEADER_BYTES + residue);
    repair->result.bytes_removed += residue;
    return stele__repair_add(repair, &deed);
}

/* Files that an earlier repair set aside behind the place of the cut. Left there, they would claim LSNs that the
 * log is about to use again. */
static int drop_broken(struct stele__repair *repair, uint64_t sequence)
{
    const struct stele__scan *scan = &repair->look->scan;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count; i++) {
        const struct stele__found *found = &scan->found[i];
        if (!found->broken || found->sequence < sequence ||
            stele__repair_decided(repair, found->sequence, STELE__DEED_QUARANTINE, STELE__DEED_TOMBSTONE))
            continue;
        rc = stele__repair_add(
            repair, &(struct stele__deed){.kind = STELE__DEED_DROP,
                                          .sequence = found->sequence,
                                          .base = found->base,
                                          .aside = found->io_error != 0,
                                          .save_to = found->io_error != 0 ? 0 : found->file_bytes});
    }
    return rc;
}

static int remove_from(struct stele__repair *repair, uint64_t sequence)
{
    struct stele__scan *scan = &repair->look->scan;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count; i++) {
        const struct stele__found *found = &scan->found[i];
        if (!found->broken &&
            found->sequence >= sequence) /* a second file of the number would stand for the first */
            rc = remove_segment(repair, found);
    }
    return rc;
}

int stele__repair_cut_torn(struct stele__repair *repair)
{
    const struct stele__examined *facts = &repair->look->examined;
    if (facts->verdict != STELE_TORN)
        return 0;
    struct stele__found *found = stele__scan_find(&repair->look->scan, facts->at_sequence);
    repair->result.cut_lsn = facts->end;
    int rc = 0;
    if (facts->in_segment && facts->residue_here) {
        uint64_t residue = 0;
        rc = survey(repair, found, facts->end, &residue);
        repair->result.bytes_removed += residue - (facts->end - found->base);
        if (rc == 0)
            rc = stele__repair_add(
                repair, &(struct stele__deed){.kind = STELE__DEED_CUT,
                                              .sequence = found->sequence,
                                              .base = found->base,
                                              .cut = facts->end,
                                              .save_from = STELE__HEADER_BYTES + (facts->end - found->base),
                                              .save_to = STELE__HEADER_BYTES + residue});
    }
    /* Clean spares behind a torn segment go with it: prepared segments have no gaps between them. */
    return rc == 0 ? remove_from(repair, facts->first_torn) : rc;
}

/* The segment that stays up to T. */
static int cut_here(struct stele__repair *repair, const struct stele__found *found, stele_lsn cut)
{
    uint64_t residue = 0;
    int rc = survey(repair, found, cut, &residue);
    if (rc != 0)
        return rc;
    repair->result.bytes_removed += residue - (cut - found->base);
    struct stele__deed deed = {.kind = STELE__DEED_REWRITE,
                               .sequence = found->sequence,
                               .base = found->base,
                               .cut = cut,
                               .save_from = STELE__HEADER_BYTES + (cut - found->base),
                               .save_to = found->file_bytes};
    deed.save_to = stele__max_u64(deed.save_from, deed.save_to);
    if (!found->size_right)
        return stele__repair_add(repair, &deed);
    deed.kind = STELE__DEED_UNSEAL;
    if (found->footer_trace)
        rc = stele__repair_add(repair, &deed);
    if (rc != 0 || residue == cut - found->base)
        return rc;
    deed.kind = STELE__DEED_CUT;
    deed.save_to = STELE__HEADER_BYTES + residue;
    if (found->footer_trace) /* copied with the footer above */
        deed.save_from = deed.save_to;
    return stele__repair_add(repair, &deed);
}

int stele__repair_cut_damaged(struct stele__repair *repair)
{
    struct stele__scan *scan = &repair->look->scan;
    const struct stele__examined *facts = &repair->look->examined;
    struct stele__found *found = stele__scan_find(scan, facts->at_sequence);
    const stele_lsn cut = facts->end;
    bool keep = found != NULL && stele__found_readable(found);
    repair->result.cut_lsn = cut;
    int rc = 0;
    if (keep)
        rc = cut_here(repair, found, cut);
    if (rc == 0)
        rc = drop_broken(repair, keep ? facts->at_sequence + 1 : facts->at_sequence);
    if (rc == 0)
        rc = remove_from(repair, keep ? facts->at_sequence + 1 : facts->at_sequence);
    if (scan->control.durable > cut) {
        scan->control.durable = cut;
        repair->write_control = !repair->rebuild_control;
    }
    return rc;
}

/* QUARANTINE: it stays a gap. REMOVE: it goes to NAME.aside, and leaves none. */
static int set_aside(struct stele__repair *repair, struct stele__found *found, enum stele__deed_kind kind)
{
    uint64_t residue = 0;
    int rc = found->io_error == 0 ? survey(repair, found, found->base, &residue) : 0;
    if (rc != 0 && rc != STELE_EIO) /* of a file that cannot be read nobody can tell what it held */
        return rc;
    rc = stele__repair_add(
        repair, &(struct stele__deed){.kind = kind,
                                      .sequence = found->sequence,
                                      .base = found->base,
                                      .aside = kind == STELE__DEED_REMOVE || stele__repair_irregular(found)});
    repair->result.segments_quarantined++;
    found->broken = true;
    return rc;
}

static int add_tombstone(struct stele__repair *repair, uint64_t sequence)
{
    struct stele__scan *scan = &repair->look->scan;
    const stele_lsn base = sequence << scan->data_log2;
    int rc = stele__repair_add(
        repair, &(struct stele__deed){.kind = STELE__DEED_TOMBSTONE, .sequence = sequence, .base = base});
    if (rc != 0)
        return rc;
    if (scan->count == scan->capacity) {
        size_t wanted = scan->capacity == 0 ? 16 : scan->capacity * 2;
        struct stele__found *grown = realloc(scan->found, wanted * sizeof *grown);
        if (grown == NULL)
            return stele__fail(STELE_ENOMEM, "%s: no memory for %zu segments", scan->path, wanted);
        scan->found = grown;
        scan->capacity = wanted;
    }
    scan->found[scan->count++] = (struct stele__found){.sequence = sequence, .base = base, .broken = true};
    repair->result.segments_quarantined++;
    return 0;
}

/* Segments that are missing from `sequence` on, up to the next one that is there, or to where nothing
 * vouches for more. */
static int fill_gap(struct stele__repair *repair, uint64_t sequence)
{
    struct stele__scan *scan = &repair->look->scan;
    uint64_t end = UINT64_MAX;
    for (size_t i = 0; i < scan->count && end == UINT64_MAX; i++)
        if (scan->found[i].sequence > sequence)
            end = scan->found[i].sequence;
    const stele_lsn vouched = repair->look->examined.vouched;
    if (end == UINT64_MAX)
        end =
            (vouched >> scan->data_log2) + ((vouched & ((UINT64_C(1) << scan->data_log2) - 1)) != 0 ? 1 : 0);
    if (end - sequence > GAP_MAX)
        return stele__fail(
            STELE_ECORRUPT,
            "%s: %llu segments are missing from number %llu on: too many to quarantine; look for a "
            "file that is no part of this log",
            scan->path, (unsigned long long)(end - sequence), (unsigned long long)sequence);
    int rc = 0;
    for (; rc == 0 && sequence < end; sequence++)
        rc = add_tombstone(repair, sequence);
    stele__scan_sort(scan);
    return rc;
}

/* Later files that hold something and cannot be read. Nothing vouches for what was in them. One that follows the
 * end of the log becomes a gap, in case it was durable all the same; a gap farther off could not be told from the
 * segments that the log will have there. */
static int set_aside_unreadable(struct stele__repair *repair, uint64_t behind, bool *changed)
{
    struct stele__scan *scan = &repair->look->scan;
    uint64_t next = stele__scan_find(scan, behind) != NULL ? behind + 1 : behind;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count; i++) {
        struct stele__found *found = &scan->found[i];
        bool content = found->footer_trace;
        if (found->broken || found->sequence <= behind || stele__scan_find(scan, found->sequence) != found ||
            (stele__found_readable(found) && found->size_right))
            continue;
        if (!stele__found_readable(found)) {
            rc = stele__repair_has_content(repair, found, &content);
        } else {
            rc = stele__repair_load(repair, found);
            content = rc == 0 && residue_end(repair, 0) > 0;
        }
        while (stele__scan_is_broken(scan, next))
            next++;
        if (rc == 0 && content) {
            rc = set_aside(repair, found,
                           found->sequence == next ? STELE__DEED_QUARANTINE : STELE__DEED_REMOVE);
            *changed = true;
        }
    }
    return rc;
}

int stele__repair_quarantine(struct stele__repair *repair, bool *changed)
{
    struct stele__scan *scan = &repair->look->scan;
    const struct stele__examined *facts = &repair->look->examined;
    const uint64_t at = facts->at_sequence;
    struct stele__found *found = stele__scan_find(scan, at);
    if (found == NULL && (facts->facts.vouched || facts->facts.gap_then_record)) {
        *changed = true;
        return fill_gap(repair, at);
    }
    bool damaged = facts->facts.sealed || facts->facts.contradiction || facts->facts.vouched ||
                   facts->facts.gap_then_record;
    if (found != NULL && (damaged || !stele__found_readable(found) || !found->size_right)) {
        *changed = true;
        return set_aside(repair, found, STELE__DEED_QUARANTINE);
    }
    return set_aside_unreadable(repair, at, changed);
}
