/* SPDX-License-Identifier: BSD-3-Clause */
/* report.c: see report.h. */
#include "report.h"

#include "out.h"
#include "term.h"

#include <inttypes.h>
#include <string.h>

/* What to do about a kind of problem. Kinds are the library's stable words. */
static const char *advice(const struct stele_problem *problem)
{
    static const struct {
        const char *kind;
        const char *text;
    } table[] = {
        {"torn", "nothing was lost; the next open for writing cuts it, or: stele repair DIR --apply"},
        {"residue", "bytes behind the end that no record owns; the next open for writing clears them"},
        {"quarantined", "it owns up to the gap: keep it until the log has been trimmed beyond it"},
        {"foreign-log", "the file belongs to another log; move it away"},
        {"name", "the file was renamed or copied; give it back its name, or move it away"},
        {"missing", "bring the file back from a backup; else stele repair DIR says what can be kept"},
        {"control",
         "see what stele repair DIR says; with --apply it writes the file anew from what the segments tell"},
        {"version", "use the version of stele that wrote it"},
        {"io", "check the medium and the permissions, then verify again"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(problem->kind, table[i].kind) == 0)
            return table[i].text;
    if (problem->harmless)
        return "a second copy heals it; stele repair DIR --apply writes it anew";
    return "keep a copy of the directory; bring the file back from a backup, or see what stele repair DIR "
           "can keep";
}

void report_problem(void *ctx, const struct stele_problem *problem)
{
    struct report *report = ctx;
    if (report->as_json) {
        json_open(&report->json, NULL, '{');
        json_text(&report->json, "segment", problem->segment);
        json_number(&report->json, "offset", problem->offset);
        json_lsn(&report->json, "lsn", problem->lsn);
        json_text(&report->json, "kind", problem->kind);
        json_text(&report->json, "detail", problem->detail);
        json_bool(&report->json, "harmless", problem->harmless);
        json_text(&report->json, "advice", advice(problem));
        json_close(&report->json, '}');
        return;
    }
    out_printf("%s%s%s in %s at offset %" PRIu64, term_on(1, problem->harmless ? TERM_WARN : TERM_BAD),
               problem->kind, term_off(1), problem->segment, problem->offset);
    if (problem->lsn != STELE_LSN_NONE)
        out_printf(", LSN %" PRIu64, problem->lsn);
    out_printf("%s\n  ", problem->harmless ? " (harmless)" : "");
    out_text(problem->detail);
    out_printf("\n  what to do: %s\n", advice(problem));
}

const char *report_verdict(enum stele_verdict verdict)
{
    return verdict == STELE_CLEAN ? "clean" : verdict == STELE_TORN ? "torn" : "corrupt";
}

const char *report_colour(enum stele_verdict verdict)
{
    return verdict == STELE_CLEAN ? TERM_GOOD : verdict == STELE_TORN ? TERM_WARN : TERM_BAD;
}

int report_exit(enum stele_verdict verdict)
{
    return verdict == STELE_CLEAN ? TOOL_FINE : verdict == STELE_TORN ? TOOL_TORN : TOOL_CORRUPT;
}
