/* SPDX-License-Identifier: BSD-3-Clause */
/* core/verify.c: check every byte that means something, change nothing. The work is look.c's and examine.c's;
 * this is the public face. */
#include "core/look.h"
#include "core/sized.h"

#include "base/error.h"

/* Segment files that belong to the log: no quarantined ones, no misnamed twins. */
static uint64_t count_segments(struct stele__scan *scan)
{
    uint64_t count = 0;
    for (size_t i = 0; i < scan->count; i++)
        count += stele__scan_find(scan, scan->found[i].sequence) == &scan->found[i] ? 1 : 0;
    return count;
}

int stele_verify(const char *path, const struct stele_verify_options *options,
                 struct stele_verify_result *result)
{
    struct stele_verify_options own;
    int rc = stele__sized_in(&own, sizeof own, options, "struct stele_verify_options");
    if (rc == 0)
        rc = stele__sized_check(result, "struct stele_verify_result");
    if (rc == 0 && own.reserved != 0)
        rc = stele__fail(STELE_EINVAL, "struct stele_verify_options: reserved must be 0");
    if (rc != 0)
        return rc;
    struct stele__look look;
    rc = stele__look_open(&look, path);
    if (rc == 0)
        rc = stele__look_run(&look, true, own.jobs == 0 ? 1 : own.jobs);
    if (rc == 0) {
        const struct stele__examined *facts = &look.examined;
        stele__problems_tell(&look.problems, own.problem, own.ctx);
        stele__sized_out(
            result,
            &(struct stele_verify_result){.verdict = facts->verdict,
                                          .live = look.live,
                                          .records = facts->records,
                                          .first_lsn = facts->first_sequence << look.scan.data_log2,
                                          .durable_lsn = facts->vouched,
                                          .end_lsn = facts->end,
                                          .segments = count_segments(&look.scan),
                                          .problems = look.problems.count,
                                          .bytes = facts->bytes},
            sizeof *result);
    }
    stele__look_close(&look);
    return rc;
}
