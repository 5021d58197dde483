/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_backup.c: stele backup. */
#include "json.h"
#include "opts.h"
#include "out.h"

#include <inttypes.h>
#include <stdio.h>

static const struct opt options[] = {{OPT_ROW_JSON}, {OPT_ROW_END}};

static const struct example examples[] = {
    {"stele backup /var/lib/app/log /backup/log-1", "Copy a log that is being written."},
    {NULL, NULL},
};

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    stele_lsn end = 0;
    int id = 0, as_json = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        as_json = 1;
    if (id < 0)
        return opts.exit;
    const char *dest = opts.operands[1];
    int code = stele_backup(opts.operands[0], dest, &end);
    if (code != 0)
        return tool_fail(self, code);
    if (as_json) {
        struct json json;
        json_begin(&json, "stele.backup/1");
        json_text(&json, "path", opts.operands[0]);
        json_text(&json, "dest", dest);
        json_lsn(&json, "end_lsn", end);
        json_end(&json);
    } else {
        fprintf(stderr, "stele: backup: %s ends at LSN %" PRIu64 "\n", dest, end);
    }
    return out_finish(self, TOOL_FINE);
}

const struct command cmd_backup = {
    .name = "backup",
    .operands = "DIR DEST",
    .operands_min = 2,
    .operands_max = 2,
    .summary = "Copy a log, live or not, up to its durable point.",
    .text =
        "DEST must not exist, or be empty; it becomes a complete log with the same uuid, and is durable "
        "when the command ends. The front of DIR cannot be trimmed meanwhile. The control file comes last: a "
        "DEST without one is what a backup left that was killed; delete it and run the backup again.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4",
    .run = run,
};
