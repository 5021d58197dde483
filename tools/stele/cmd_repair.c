/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_repair.c: stele repair. */
#include "opts.h"
#include "out.h"
#include "report.h"
#include "sizes.h"
#include "term.h"

#include <inttypes.h>
#include <string.h>

enum { OPT_APPLY = OPT_OWN, OPT_YES, OPT_BACKUP, OPT_LOSS, OPT_QUARANTINE };

static const struct opt options[] = {
    {OPT_FLAG(OPT_DRY_RUN, "dry-run", "Only say what would be done. This is the default.")},
    {OPT_FLAG(OPT_APPLY, "apply", "Do it.")},
    {OPT_FLAG(OPT_YES, "yes", "The same as --apply.")},
    {OPT_BACKUP, "backup", "DIR2", NULL,
     "Keep a copy of everything that is removed in DIR2, which must not lie in the log (default: a new "
     "directory beside the log, named DIR.removed-TIME)."},
    {OPT_FLAG(OPT_LOSS, "allow-data-loss",
              "On corruption: cut the log at the first damage, although acknowledged records behind it go.")},
    {OPT_FLAG(OPT_QUARANTINE, "quarantine",
              "On corruption: rename every damaged segment to NAME.broken and keep the rest readable.")},
    {OPT_ROW_JSON},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele repair /var/lib/app/log", "Say what a repair would do, and change nothing."},
    {"stele repair /var/lib/app/log --apply --quarantine",
     "Take damaged segments out and keep the rest readable."},
    {NULL, NULL},
};

static void print_json(struct report *report, const struct stele_repair_result *result, int applied)
{
    struct json *json = &report->json;
    json_bool(json, "applied", applied);
    json_text(json, "before", report_verdict(result->before));
    json_text(json, "after", report_verdict(result->after));
    json_lsn(json, "cut_lsn", result->cut_lsn);
    json_number(json, "records_removed", result->records_removed);
    json_number(json, "bytes_removed", result->bytes_removed);
    json_number(json, "segments_quarantined", result->segments_quarantined);
    if (result->backup[0] != '\0')
        json_text(json, "backup", result->backup);
    else
        json_null(json, "backup");
    json_end(json);
}

static void print_text(const char *path, const struct stele_repair_result *result, int applied)
{
    char size[SIZES_TEXT];
    const char *would = applied ? "" : "would be ";
    out_printf("%s: found %s%s%s\n", path, term_on(1, report_colour(result->before)),
               report_verdict(result->before), term_off(1));
    if (result->cut_lsn != STELE_LSN_NONE)
        out_printf("  %scut at LSN %" PRIu64 ": %" PRIu64 " valid records, %s removed\n", would,
                   result->cut_lsn, result->records_removed, size_text(size, result->bytes_removed));
    if (result->segments_quarantined > 0)
        out_printf("  %squarantined: %" PRIu64 " segments with %" PRIu64 " valid records\n", would,
                   result->segments_quarantined, result->records_removed);
    if (result->backup[0] != '\0')
        out_printf("  copies of what %sremoved: %s\n", applied ? "was " : "would be ", result->backup);
    out_printf("%s: %s\n", applied ? "now" : "after a repair", report_verdict(result->after));
    if (!applied)
        out_text("Nothing was changed. Add --apply to do it.\n");
}

static int repair(const struct command *self, const char *path, struct stele_repair_options *repair_options,
                  struct report *report)
{
    struct stele_repair_result result;
    int apply = (repair_options->flags & STELE_REPAIR_APPLY) != 0;
    memset(&result, 0, sizeof result);
    result.size = sizeof result;
    if (report->as_json) {
        json_begin(&report->json, "stele.repair/1");
        json_open(&report->json, "problems", '[');
    }
    int code = stele_repair(path, repair_options, &result);
    if (report->as_json)
        json_close(&report->json, ']');
    if (code != 0) {
        if (report->as_json) {
            json_bool(&report->json, "applied", 0);
            if (code == STELE_ECORRUPT)
                json_text(&report->json, "before", report_verdict(result.before));
            json_text(&report->json, "error", stele_last_error());
            json_end(&report->json);
        }
        return out_finish(self, tool_fail(self, code));
    }
    if (report->as_json)
        print_json(report, &result, apply);
    else
        print_text(path, &result, apply);
    return out_finish(self, report_exit(apply ? result.after : result.before));
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct report report = {.as_json = 0};
    struct stele_repair_options repair_options;
    int id = 0, dry = 0;
    memset(&repair_options, 0, sizeof repair_options);
    repair_options.size = sizeof repair_options;
    repair_options.problem = report_problem;
    repair_options.ctx = &report;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0) {
        if (id == OPT_JSON)
            report.as_json = 1;
        else if (id == OPT_DRY_RUN)
            dry = 1;
        else if (id == OPT_APPLY || id == OPT_YES)
            repair_options.flags |= STELE_REPAIR_APPLY;
        else if (id == OPT_LOSS)
            repair_options.flags |= STELE_REPAIR_ALLOW_DATA_LOSS;
        else if (id == OPT_QUARANTINE)
            repair_options.flags |= STELE_REPAIR_QUARANTINE;
        else
            repair_options.backup = opts.arg;
    }
    if (id < 0)
        return opts.exit;
    if (dry && (repair_options.flags & STELE_REPAIR_APPLY) != 0)
        return tool_usage(self, "--dry-run and --apply exclude each other");
    return repair(self, opts.operands[0], &repair_options, &report);
}

const struct command cmd_repair = {
    .name = "repair",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Mend a log: say what would be done, and with --apply do it.",
    .text =
        "Cuts a torn tail, writes damaged copies of headers, footers and control blocks anew. On "
        "corruption it refuses to change anything unless --allow-data-loss or --quarantine is given; so "
        "it does when the control file is lost, because nothing says then whether segments are missing. "
        "With one of these and without --apply it says what would be lost. "
        "A copy of everything it removes is made durable first, outside the log; what cannot be copied (a "
        "directory in place of a segment, a file that the medium does not give back) is kept beside its "
        "place, under its name and .aside. Interrupted at any point, it can be run again; copies without a "
        "manifest.json are of such an attempt.\n\n"
        "The exit status is the state the log is in afterwards: without --apply that is what was found.",
    .options = options,
    .examples = examples,
    .exits = "0 1 2 3 4 5",
    .run = run,
};
