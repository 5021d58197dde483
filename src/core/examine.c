/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/examine.h"

#include "base/error.h"
#include "core/behind.h"
#include "core/check.h"
#include "core/report.h"
#include "format/chain.h"
#include "os/view.h"

#include <errno.h>
#include <stdlib.h>

/* Something about one file that a second copy heals. */
static void report_copies(struct stele__exam *exam, const struct stele__found *found)
{
    if (found->header_copies != 3)
        stele__report(exam, found, found->header_copies == 1 ? STELE__HEADER_COPY : 0, STELE_LSN_NONE, true,
                      "header-copy", "one copy of the header is damaged; the other serves");
    if (exam->options->live)
        return; /* a footer may be half written right now */
    uint64_t footer = stele__footer_offset(UINT64_C(1) << exam->scan->data_log2);
    if (found->sealed && found->footer_copies != 3)
        stele__report(exam, found, footer + (found->footer_copies == 1 ? STELE__FOOTER_COPY : 0),
                      STELE_LSN_NONE, true, "footer-copy",
                      "one copy of the footer is damaged; the other serves");
    if (!found->sealed && found->footer_trace)
        stele__report(exam, found, footer, STELE_LSN_NONE, true, "footer",
                      "the footer cannot be read; the segment is walked instead, and sealed again when "
                      "opened for writing");
}

/* Neighbours must agree about chain and count where they meet. */
static bool joins(struct stele__exam *exam, const struct stele__found *found)
{
    const struct stele__footer *footer = &found->footer;
    if (!exam->chain_known)
        return true;
    const char *what = NULL;
    if (footer->chain_start != exam->chain)
        what = "the chain at its start is not the chain at the end of the segment before it";
    else if (footer->first_record != exam->record_number)
        what = "it begins with another record number than the segment before it ends with";
    if (what == NULL)
        return true;
    exam->out->facts.contradiction = true;
    stele__report(exam, found, stele__footer_offset(UINT64_C(1) << exam->scan->data_log2), found->base, false,
                  "chain", "%s", what);
    return false;
}

static void pass_sealed(struct stele__exam *exam, const struct stele__found *found)
{
    exam->chain_known = true;
    exam->chain = found->footer.chain_end;
    exam->record_number = found->footer.first_record + found->footer.records;
    exam->out->records += found->footer.records;
    exam->out->end_time_ns = stele__max_u64(exam->out->end_time_ns, found->footer.last_time_ns);
    exam->out->data_end = exam->out->end = found->footer.end;
}

/* True: go on with the next segment. */
static bool examine_sealed(struct stele__exam *exam, const struct stele__found *found)
{
    exam->out->vouched = stele__max_u64(exam->out->vouched, found->footer.end); /* whatever else it says */
    if (!joins(exam, found))
        return false;
    if (exam->results != NULL) {
        const struct stele__check_result *result = &exam->results[found - exam->scan->found];
        exam->out->bytes += result->bytes;
        if (result->kind != NULL)
            stele__report(exam, found, result->offset, result->lsn, result->harmless, result->kind, "%s",
                          result->detail);
        if (result->io_error != 0)
            stele__report(exam, found, 0, found->base, false, "io", "cannot be read (errno %d)",
                          -result->io_error);
        if (result->io_error != 0 || (result->kind != NULL && !result->harmless)) {
            exam->out->facts.sealed = true;
            exam->out->records += result->records;
            exam->out->end = result->io_error != 0 ? found->base : result->lsn;
            return false;
        }
    }
    pass_sealed(exam, found);
    return true;
}

static bool add_open(struct stele__exam *exam, const struct stele__found *found)
{
    struct stele__examined *out = exam->out;
    struct stele__open_segment *grown = realloc(out->open, (out->open_count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    out->open = grown;
    struct stele__open_segment *open = &grown[out->open_count];
    *open = (struct stele__open_segment){.sequence = found->sequence, .last_mark = found->base};
    open->index = calloc((size_t)stele__index_capacity(exam->data_bytes), sizeof *open->index);
    if (open->index == NULL)
        return false;
    out->open_count++;
    return true;
}

/* Index entries of a walked segment. Times come from the next mark, because an entry's time must not be
 * earlier than the publication of anything before it. */
static void note_index(struct stele__exam *exam, struct stele__open_segment *open, stele_lsn lsn,
                       uint64_t before)
{
    uint64_t n = open->index_entries;
    if (n > 0 && lsn - open->index[n - 1].lsn < STELE__INDEX_STRIDE)
        return;
    if (n < stele__index_capacity(exam->data_bytes))
        open->index[open->index_entries++] = (struct stele__index_entry){.record_number = before, .lsn = lsn};
}

static void settle_times(struct stele__open_segment *open, stele_lsn upto, uint64_t time_ns)
{
    if (open->first_time_ns == 0)
        open->first_time_ns = time_ns;
    open->last_time_ns = time_ns;
    for (uint64_t i = open->index_entries; i > 0 && open->index[i - 1].time_ns == 0; i--)
        if (open->index[i - 1].lsn <= upto)
            open->index[i - 1].time_ns = time_ns;
}

static enum stele__step walk_open(struct stele__exam *exam, struct stele__walk *walk,
                                  struct stele__open_segment *open)
{
    struct stele__record record;
    struct stele__mark mark;
    enum stele__step step;
    for (;;) {
        if (exam->options->live && walk->at >= exam->options->live_durable)
            return STELE__WALK_STOP;
        uint64_t before = walk->records;
        step = stele__walk_next(walk, &record, &mark);
        if (step != STELE__WALK_RECORD)
            return step;
        note_index(exam, open, record.lsn, before);
        if (record.wire == STELE__WIRE_MARK) {
            open->last_mark = record.lsn;
            settle_times(open, mark.upto, mark.time_ns);
        }
    }
}

static void finish_open(struct stele__exam *exam, struct stele__walk *walk, struct stele__open_segment *open)
{
    struct stele__examined *out = exam->out;
    stele__walk_fold(walk);
    open->chain_start = walk->chain_start;
    open->chain_end = walk->chain;
    open->chain_known = walk->chain_known;
    open->records = walk->records;
    open->first_record = walk->record_number - walk->records;
    for (uint64_t i = 0; i < open->index_entries; i++)
        open->index[i].record_number += open->first_record;
    exam->chain_known = walk->chain_known; /* behind a gap only a mark or a footer tells */
    exam->chain = walk->chain;
    exam->record_number = walk->record_number;
    out->records += walk->records;
    out->bytes += walk->at - walk->area.base;
    out->vouched = stele__max_u64(out->vouched, walk->vouched);
    out->end = walk->at;
    out->data_end = walk->data_end;
    out->max_epoch = walk->epoch;
    if (out->first_unsealed == UINT64_MAX)
        out->first_unsealed = open->sequence;
}

/* Walk a segment that is not sealed. True: full, go on. */
static bool examine_open(struct stele__exam *exam, const struct stele__found *found, int *rc)
{
    *rc = stele__exam_load(exam, found);
    if (*rc != 0)
        return false;
    if (!add_open(exam, found)) {
        *rc = stele__fail(STELE_ENOMEM, "%s: no memory for an index", exam->scan->path);
        return false;
    }
    struct stele__open_segment *open = &exam->out->open[exam->out->open_count - 1];
    struct stele__walk walk;
    stele__walk_start(&walk, &exam->area);
    if (exam->chain_known)
        stele__walk_chain(&walk, exam->chain, exam->record_number);
    else
        walk.record_number =
            exam->record_number; /* behind a gap, until a mark says better: never counts back */
    enum stele__step step = walk_open(exam, &walk, open);
    finish_open(exam, &walk, open);
    if (!found->size_right) {
        exam->out->facts.unreadable = true;
        stele__report(exam, found, STELE__HEADER_BYTES + (walk.at - found->base), walk.at, false, "size",
                      "the file has %llu bytes, a segment of this log has %llu",
                      (unsigned long long)found->file_bytes,
                      (unsigned long long)stele__segment_file_bytes(exam->data_bytes));
        return false;
    }
    if (step == STELE__WALK_END)
        return true;
    exam->out->in_segment = true;
    if (walk.mark_error != NULL && walk.check == STELE__RECORD_OK && !walk.epoch_fell) {
        exam->out->facts.contradiction = true;
        stele__report(exam, found, STELE__HEADER_BYTES + (walk.at - found->base), walk.at, false, "chain",
                      "%s", walk.mark_error);
    }
    exam->stop = walk.epoch_fell ? "a record of an earlier opening stands behind a later one"
                                 : stele__check_name(walk.check);
    return false;
}

static int check_sealed_contents(struct stele__exam *exam)
{
    struct stele__scan *scan = exam->scan;
    if (!exam->options->full || scan->count == 0)
        return 0;
    bool *wanted = calloc(scan->count, sizeof *wanted);
    exam->results = calloc(scan->count, sizeof *exam->results);
    if (wanted == NULL || exam->results == NULL) {
        free(wanted);
        return stele__fail(STELE_ENOMEM, "%s: no memory for %zu segments", scan->path, scan->count);
    }
    for (size_t i = 0; i < scan->count; i++)
        wanted[i] =
            stele__found_readable(&scan->found[i]) && scan->found[i].sealed && scan->found[i].size_right;
    int rc =
        stele__check_many(scan, wanted, exam->options->jobs == 0 ? 1 : exam->options->jobs, exam->results);
    free(wanted);
    return rc;
}

/* One file in the wrong place is more likely than all others. */
static bool is_foreign_control(const struct stele__scan *scan)
{
    size_t foreign = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const struct stele__found *found = &scan->found[i];
        if (found->broken || found->header != STELE__DECODE_OK)
            continue;
        if (found->same_log)
            return false;
        foreign++;
    }
    return foreign > 0;
}

static int begin(struct stele__exam *exam)
{
    struct stele__scan *scan = exam->scan;
    struct stele__examined *out = exam->out;
    *out = (struct stele__examined){
        .first_unsealed = UINT64_MAX, .first_torn = UINT64_MAX, .next_valid = STELE_LSN_NONE};
    if (scan->control_result == STELE__DECODE_OK) {
        out->first_sequence = scan->control.first_sequence;
        exam->chain_known = true;
        exam->chain = scan->control.first_chain;
        exam->record_number = scan->control.first_record;
        out->vouched = scan->control.durable;
        out->max_incarnation = scan->control.incarnation;
        out->control_foreign = is_foreign_control(scan);
        if (scan->control_copies != 3 && !exam->options->live)
            stele__report_file(exam, STELE__CONTROL_NAME, scan->control_copies == 1 ? STELE__CONTROL_PAGE : 0,
                               true, "control-copy",
                               "one block of the control file is damaged; the other serves");
    } else {
        out->facts.control_lost = true;
        out->first_sequence = scan->count > 0 ? scan->found[0].sequence : 0;
        if (out->first_sequence == 0 && scan->data_log2 != 0) { /* never trimmed: where every log begins */
            exam->chain_known = true;
            exam->chain = stele__chain_origin(scan->uuid);
        }
        stele__report_file(
            exam, STELE__CONTROL_NAME, 0, false, "control",
            scan->control_present
                ? "the control file cannot be read: nothing says where the log begins and how far it reached"
                : "the control file is missing: nothing says where the log begins and how far it reached");
    }
    for (size_t i = 0; i < scan->count; i++)
        out->max_incarnation = stele__max_u64(out->max_incarnation, scan->found[i].incarnation) & UINT32_MAX;
    exam->data_bytes = scan->data_log2 != 0 ? UINT64_C(1) << scan->data_log2 : 0;
    out->end = out->data_end = out->first_sequence << scan->data_log2;
    return exam->data_bytes == 0 ? 0 : check_sealed_contents(exam);
}

/* Walk the segments in order until T. Returns the sequence T lies in. */
static int find_end(struct stele__exam *exam, uint64_t *at)
{
    struct stele__scan *scan = exam->scan;
    const uint64_t last = scan->count > 0 ? scan->found[scan->count - 1].sequence : 0;
    int rc = 0;
    uint64_t sequence = exam->out->first_sequence;
    for (; scan->count > 0 && sequence <= last; sequence++) {
        struct stele__found *found = stele__scan_find(scan, sequence);
        exam->out->end = sequence << scan->data_log2;
        exam->out->in_segment = false;
        if (found == NULL && stele__scan_is_broken(scan, sequence)) {
            stele__report_missing(exam, sequence, true, "quarantined",
                                  "set aside by a repair; its records are out of the log");
            exam->chain_known = false;
            exam->out->end = (sequence + 1) << scan->data_log2; /* its LSNs stay used */
            continue;
        }
        if (found == NULL || !stele__found_readable(found))
            break;
        report_copies(exam, found);
        bool go_on =
            found->sealed && found->size_right ? examine_sealed(exam, found) : examine_open(exam, found, &rc);
        if (rc != 0 || !go_on)
            break;
        exam->out->end = (sequence + 1) << scan->data_log2;
    }
    *at = exam->out->at_sequence = sequence;
    return rc;
}

int stele__examine(struct stele__scan *scan, const struct stele__examine_options *options,
                   struct stele__examined *out)
{
    struct stele__exam exam = {.scan = scan, .options = options, .out = out};
    int rc = begin(&exam);
    uint64_t at = out->first_sequence;
    if (rc == 0 && exam.data_bytes != 0)
        rc = find_end(&exam, &at);
    if (rc == 0 && exam.data_bytes != 0) {
        out->end_chain = exam.chain;
        out->end_record = exam.record_number;
        rc = stele__look_behind(&exam, at);
    }
    if (rc == 0 && exam.data_bytes == 0) /* no control file, and no segment whose header can be read */
        out->facts.unreadable = scan->count > 0;
    out->verdict = stele__verdict(&out->facts);
    free(exam.results);
    stele__image_free(exam.image, exam.data_bytes);
    if (rc != 0)
        stele__examined_free(out);
    return rc;
}

void stele__examined_free(struct stele__examined *examined)
{
    for (size_t i = 0; i < examined->open_count; i++)
        free(examined->open[i].index);
    free(examined->open);
    examined->open = NULL;
    examined->open_count = 0;
}
