/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/report.h"

#include "base/error.h"
#include "os/view.h"

#include <stdarg.h>
#include <stdio.h>

static void emit(struct stele__exam *exam, const struct stele_problem *problem)
{
    struct stele__examined *out = exam->out;
    out->problems++;
    if (!problem->harmless && out->worst[0] == '\0') {
        int n = snprintf(out->worst, sizeof out->worst, "%s/%s: offset %llu", exam->scan->path,
                         problem->segment, (unsigned long long)problem->offset);
        if (problem->lsn != STELE_LSN_NONE && n > 0 && (size_t)n < sizeof out->worst)
            n += snprintf(out->worst + n, sizeof out->worst - (size_t)n, " (lsn %llu)",
                          (unsigned long long)problem->lsn);
        if (n > 0 && (size_t)n < sizeof out->worst)
            snprintf(out->worst + n, sizeof out->worst - (size_t)n, ": %s", problem->detail);
    }
    if (exam->options->problem != NULL)
        exam->options->problem(exam->options->ctx, problem);
}

void stele__report(struct stele__exam *exam, const struct stele__found *found, uint64_t offset, stele_lsn lsn,
                   bool harmless, const char *kind, const char *format, ...)
{
    char name[STELE__NAME_MAX], detail[320];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    stele__found_name(found, name);
    emit(exam, &(struct stele_problem){.segment = name,
                                       .offset = offset,
                                       .lsn = lsn,
                                       .kind = kind,
                                       .detail = detail,
                                       .harmless = harmless});
}

void stele__report_file(struct stele__exam *exam, const char *name, uint64_t offset, bool harmless,
                        const char *kind, const char *detail)
{
    emit(exam, &(struct stele_problem){.segment = name,
                                       .offset = offset,
                                       .lsn = STELE_LSN_NONE,
                                       .kind = kind,
                                       .detail = detail,
                                       .harmless = harmless});
}

void stele__report_missing(struct stele__exam *exam, uint64_t sequence, bool harmless, const char *kind,
                           const char *detail)
{
    char name[STELE__NAME_MAX];
    stele_lsn base = sequence << exam->scan->data_log2;
    stele__name_segment(name, sequence, base);
    emit(exam, &(struct stele_problem){
                   .segment = name, .lsn = base, .kind = kind, .detail = detail, .harmless = harmless});
}

int stele__exam_load(struct stele__exam *exam, const struct stele__found *found)
{
    if (exam->image == NULL)
        exam->image = stele__image_alloc(exam->data_bytes);
    if (exam->image == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for the image of a segment", exam->scan->path);
    int rc = stele__scan_load(exam->scan, found, exam->image);
    if (rc != 0) {
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        return stele__fail_errno(-rc, "%s/%s: cannot read it", exam->scan->path, name);
    }
    exam->area = (struct stele__area){.data = exam->image,
                                      .bytes = exam->data_bytes,
                                      .base = found->base,
                                      .salt = found->salt,
                                      .record_max = stele__record_max(exam->data_bytes)};
    return 0;
}
