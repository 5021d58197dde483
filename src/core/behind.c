/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/behind.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>

struct after {
    uint64_t records; /* valid ones of any kind */
    uint64_t data_records;
    stele_lsn first;
    stele_lsn vouched;
    uint16_t epoch;
    uint64_t residue_end; /* offset behind the last byte that is not zero, 0 when all is */
};

/* By its distance to the durable point, and a mark also in so many words. */
static stele_lsn vouches(const struct stele__record *record)
{
    struct stele__mark mark;
    stele_lsn durable = stele__record_vouches(record);
    if (record->wire == STELE__WIRE_MARK && stele__mark_decode(record->payload, record->len, &mark) &&
        mark.durable <= record->lsn)
        durable = stele__max_u64(durable, mark.durable);
    return durable;
}

/* Everything in the loaded segment from `from` on: valid records, and bytes that are not zero. */
static struct after survey(const struct stele__area *area, stele_lsn from)
{
    struct after after = {.first = STELE_LSN_NONE};
    struct stele__record record;
    for (stele_lsn at = stele__record_scan(area, from, &record); at != STELE_LSN_NONE;
         at = stele__record_scan(area, at + record.bytes, &record)) {
        if (after.first == STELE_LSN_NONE)
            after.first = at;
        after.records++;
        after.data_records += stele__wire_is_data(record.wire) ? 1 : 0;
        after.vouched = stele__max_u64(after.vouched, vouches(&record));
        after.epoch = record.epoch > after.epoch ? record.epoch : after.epoch;
        if (at + record.bytes >= area->base + area->bytes)
            break;
    }
    uint64_t end = area->bytes;
    const uint64_t begin = from - area->base;
    while (end > begin && end % 64 == 0 && end - begin >= 64 && stele__is_zero(area->data + end - 64, 64))
        end -= 64;
    while (end > begin && area->data[end - 1] == 0)
        end--;
    after.residue_end = end > begin ? end : 0;
    return after;
}

static void merge(struct stele__examined *out, const struct after *after)
{
    out->lost_records += after->data_records;
    out->vouched = stele__max_u64(out->vouched, after->vouched);
    if (out->next_valid == STELE_LSN_NONE)
        out->next_valid = after->first;
}

static int look_in_place(struct stele__exam *exam)
{
    struct stele__examined *out = exam->out;
    if (out->end - exam->area.base >= exam->area.bytes)
        return 0;
    struct after after = survey(&exam->area, out->end);
    merge(out, &after);
    out->max_epoch = after.epoch > out->max_epoch ? after.epoch : out->max_epoch;
    out->residue_here = after.residue_end != 0;
    out->residue_end = after.residue_end;
    out->facts.residue |= out->residue_here;
    return 0;
}

#define WILL_BE_MADE "; it holds no record and will be made anew"

/* By its sequence: the base in a name may be wrong. */
static stele_lsn first_lsn(const struct stele__exam *exam, const struct stele__found *found)
{
    return found->sequence << exam->scan->data_log2;
}

static const char *unreadable_why(int io_error)
{
    switch (io_error) {
    case -EISDIR: return "a directory stands in its place";
    case -ELOOP: return "a symbolic link stands in its place; links are not followed";
    case -EINVAL:
    case -ENXIO: return "a FIFO, socket or device stands in its place";
    case -EIO: return "cannot be read: the medium reports an error (EIO)";
    default: return "cannot be read";
    }
}

/* A segment that cannot be read by its header or name: does it matter? Not when it is an untouched spare. */
static int look_at_unreadable(struct stele__exam *exam, const struct stele__found *found)
{
    const char *kind = "header", *detail = stele__decode_name(found->header);
    uint64_t offset = 0;
    if (found->io_error == -EACCES || found->io_error == -EPERM) {
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        return stele__fail_errno(-found->io_error, "%s/%s: cannot open it", exam->scan->path, name);
    }
    bool content = true;
    if (found->io_error != 0) {
        kind = "io";
        detail = unreadable_why(found->io_error);
    } else if (found->header == STELE__DECODE_OK && !found->named_right) {
        kind = "name";
        detail = "the header belongs to another sequence number than the name";
    } else if (found->header == STELE__DECODE_OK) {
        kind = "foreign-log";
        detail = "the segment belongs to another log, or to one of another segment size";
    }
    if (found->io_error == 0) {
        int rc = stele__exam_load(exam, found);
        if (rc != 0)
            return rc;
        content = !stele__is_zero(exam->image, exam->data_bytes);
        /* Cut short where the log goes on: what it held cannot be asked any more. */
        content |= first_lsn(exam, found) == exam->out->end &&
                   found->file_bytes < STELE__HEADER_BYTES + exam->data_bytes;
    }
    exam->out->facts.unreadable |= content;
    if (exam->out->control_foreign && found->header == STELE__DECODE_OK) {
        if (content) /* said once: the list of problems knows it after that */
            stele__report_file(exam, STELE__CONTROL_NAME, 0, false, "foreign-log",
                               "the control file belongs to another log than all segments here");
        return 0;
    }
    if (content ||
        first_lsn(exam, found) > exam->out->end) /* T's own: whether it matters is known when all is seen */
        stele__report(exam, found, offset, first_lsn(exam, found), !content, kind, "%s%s", detail,
                      content ? "" : WILL_BE_MADE);
    return 0;
}

static int look_at_later(struct stele__exam *exam, struct stele__found *found, bool gap)
{
    struct stele__examined *out = exam->out;
    if (!stele__found_readable(found))
        return look_at_unreadable(exam, found);
    if (found->sealed) {
        out->vouched = stele__max_u64(out->vouched, found->footer.end);
        out->lost_records += found->footer.records;
        if (out->next_valid == STELE_LSN_NONE)
            out->next_valid = found->base;
        out->facts.gap_then_record |= gap;
        return 0;
    }
    int rc = stele__exam_load(exam, found);
    if (rc != 0)
        return rc;
    struct after after = survey(&exam->area, found->base);
    merge(out, &after);
    out->facts.residue |= after.residue_end != 0;
    if (after.residue_end != 0)
        out->first_torn = stele__min_u64(out->first_torn, found->sequence);
    out->facts.gap_then_record |= gap && after.records > 0;
    if (!found->size_right && after.residue_end != 0) {
        out->facts.unreadable = true;
        stele__report(exam, found, found->file_bytes, found->base, false, "size",
                      "the file has the wrong size");
    } else if (!found->size_right) {
        stele__report(exam, found, found->file_bytes, found->base, true, "size",
                      "the file has the wrong size" WILL_BE_MADE);
    }
    return 0;
}

/* T's segment has a header that cannot be read, and not a byte of content. */
static void report_hollow(struct stele__exam *exam, const struct stele__found *found)
{
    const struct stele__examined *out = exam->out;
    const char *why = stele__decode_name(found->header);
    if (out->facts.vouched)
        stele__report(exam, found, 0, out->end, false, "header",
                      "%s and no record in it, although everything before lsn %llu had been durable", why,
                      (unsigned long long)out->vouched);
    else if (!exam->options->live)
        stele__report(exam, found, 0, out->end, true, "header", "%s%s", why, WILL_BE_MADE);
}

/* Where T is, in words of a file and an offset. */
static void report_end(struct stele__exam *exam, uint64_t sequence, bool missing)
{
    struct stele__examined *out = exam->out;
    if (out->facts.contradiction || out->facts.sealed || (out->facts.unreadable && !out->facts.vouched))
        return; /* said where it was found */
    if (missing && (out->facts.vouched || out->facts.gap_then_record)) {
        stele__report_missing(exam, sequence, false, "missing",
                              "the segment is missing, and what is left vouches for records in it");
        return;
    }
    const struct stele__found *found = stele__scan_find(exam->scan, sequence);
    if (found == NULL && out->facts.residue && out->first_torn != UINT64_MAX)
        stele__report_missing(
            exam, out->first_torn, false, "torn",
            "the end of an unfinished write, never acknowledged, in a segment behind the end of the log");
    if (found == NULL)
        return;
    if (!stele__found_readable(found)) {
        if (!out->facts.unreadable)
            report_hollow(exam, found);
        return;
    }
    uint64_t offset = STELE__HEADER_BYTES + (out->end - found->base);
    const char *why = exam->stop != NULL ? exam->stop : "no record";
    char follow[80] = "";
    if (out->lost_records != 0)
        snprintf(follow, sizeof follow, "; %llu %s", (unsigned long long)out->lost_records,
                 out->facts.vouched ? "valid records follow" : "whole records behind it are cut with it");
    if (out->facts.vouched)
        stele__report(exam, found, offset, out->end, false, "record",
                      "%s, although everything before lsn %llu had been durable%s", why,
                      (unsigned long long)out->vouched, follow);
    else if (out->facts.residue)
        stele__report(exam, found, offset, out->end, false, "torn",
                      "%s: the end of an unfinished write, never acknowledged%s", why, follow);
}

int stele__look_behind(struct stele__exam *exam, uint64_t sequence)
{
    struct stele__examined *out = exam->out;
    struct stele__scan *scan = exam->scan;
    if (exam->options->live) { /* what is behind is being written: only the durable point counts */
        out->vouched = exam->options->live_durable;
        out->facts.vouched = out->end < out->vouched;
        report_end(exam, sequence, stele__scan_find(scan, sequence) == NULL);
        return 0;
    }
    struct stele__found *here = stele__scan_find(scan, sequence);
    bool missing = here == NULL;
    int rc = 0;
    if (out->in_segment)
        rc = look_in_place(exam);
    else if (here != NULL && !stele__found_readable(here))
        rc = look_at_unreadable(exam, here);
    else if (here != NULL && here->size_right && !out->facts.sealed && !out->facts.contradiction)
        rc = look_at_later(exam, here, false);
    for (size_t i = 0; rc == 0 && i < scan->count; i++) {
        struct stele__found *found = &scan->found[i];
        if (found->sequence <= sequence || found->broken)
            continue;
        struct stele__found *best = stele__scan_find(scan, found->sequence);
        if (best == found || !stele__found_readable(best))
            rc = look_at_later(exam, found, missing);
    }
    out->facts.vouched = out->vouched > out->end;
    report_end(exam, sequence, missing);
    return rc;
}
