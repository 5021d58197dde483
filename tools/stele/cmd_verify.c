/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_verify.c: stele verify. */
#include "opts.h"
#include "out.h"
#include "report.h"
#include "sizes.h"
#include "term.h"

#include <inttypes.h>
#include <string.h>

static const struct opt options[] = {
    {'j', "jobs", "N", NULL, "Check with N threads, 1 to 64 (default 1)."},
    {OPT_ROW_JSON},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele verify /var/lib/app/log; echo $?", "Check a log, live or not; the exit status is the verdict."},
    {NULL, NULL},
};

static void print_json(struct report *report, const struct stele_verify_result *result)
{
    struct json *json = &report->json;
    json_text(json, "verdict", report_verdict(result->verdict));
    json_number(json, "records", result->records);
    json_lsn(json, "first_lsn", result->first_lsn);
    json_lsn(json, "durable_lsn", result->durable_lsn);
    json_lsn(json, "end_lsn", result->end_lsn);
    json_number(json, "segments", result->segments);
    json_number(json, "bytes", result->bytes);
    json_bool(json, "live", result->live != 0);
    json_end(json);
}

static void print_text(const char *path, const struct stele_verify_result *result)
{
    char size[SIZES_TEXT];
    out_printf("%s%s%s: %s: %" PRIu64 " records in %" PRIu64 " segments (%s checked), LSN %" PRIu64
               " to %" PRIu64 ", durable to %" PRIu64 "%s\n",
               term_on(1, report_colour(result->verdict)), report_verdict(result->verdict), term_off(1), path,
               result->records, result->segments, size_text(size, result->bytes), result->first_lsn,
               result->end_lsn, result->durable_lsn, result->live ? "; a writer is at work" : "");
    if (result->verdict == STELE_TORN)
        out_text("Unfinished bytes behind the last record; nothing acknowledged is lost.\n");
    if (result->verdict == STELE_CORRUPT)
        out_text("Acknowledged data is damaged or missing. 'stele repair DIR' says what can be kept.\n");
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct report report = {.as_json = 0};
    struct stele_verify_options verify;
    struct stele_verify_result result;
    uint64_t jobs = 1;
    int id = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0) {
        if (id == OPT_JSON)
            report.as_json = 1;
        else if (opts_number(&opts, &jobs, 1, 64) != 0)
            return opts.exit;
    }
    if (id < 0)
        return opts.exit;

    memset(&verify, 0, sizeof verify);
    verify.size = sizeof verify;
    verify.jobs = (uint32_t)jobs;
    verify.problem = report_problem;
    verify.ctx = &report;
    memset(&result, 0, sizeof result);
    result.size = sizeof result;
    if (report.as_json) {
        /* Problems come while the check runs, so they stand before the verdict. */
        json_begin(&report.json, "stele.verify/1");
        json_open(&report.json, "problems", '[');
    }
    int code = stele_verify(opts.operands[0], &verify, &result);
    if (report.as_json)
        json_close(&report.json, ']');
    if (code != 0) {
        if (report.as_json) {
            json_null(&report.json, "verdict");
            json_text(&report.json, "error", stele_last_error());
            json_end(&report.json);
        }
        return out_finish(self, tool_fail(self, code));
    }
    if (report.as_json)
        print_json(&report, &result);
    else
        print_text(opts.operands[0], &result);
    return out_finish(self, report_exit(result.verdict));
}

const struct command cmd_verify = {
    .name = "verify",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Check every byte of a log that means something.",
    .text =
        "Reads headers, names, every record of every segment, the chain at every mark, footers, indexes and "
        "hashes. "
        "Changes nothing, takes no lock and works beside a live writer. Prints every problem with its file, "
        "offset, "
        "LSN and kind, what it means, and what to do next; the verdict is the last line and the exit status.",
    .options = options,
    .examples = examples,
    .exits = "0 1 2 3 4",
    .run = run,
};
