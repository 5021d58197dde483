/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_version.c: stele version and stele help. */
#include "json.h"
#include "opts.h"
#include "out.h"

static const struct opt version_options[] = {{OPT_ROW_JSON}, {OPT_ROW_END}};
static const struct opt no_options[] = {{OPT_ROW_END}};
static const struct example no_examples[] = {{NULL, NULL}};

static int run_version(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    int id = 0, as_json = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        as_json = 1;
    if (id < 0)
        return opts.exit;
    if (as_json) {
        struct json json;
        json_begin(&json, "stele.version/1");
        json_text(&json, "tool", STELE_VERSION_STRING);
        json_text(&json, "library", stele_version());
        json_number(&json, "format", STELE_FORMAT_VERSION);
        json_end(&json);
    } else {
        out_printf("stele %s (library %s, format %d)\n", STELE_VERSION_STRING, stele_version(),
                   STELE_FORMAT_VERSION);
    }
    return out_finish(self, TOOL_FINE);
}

static int run_help(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    int id = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        ;
    if (id < 0)
        return opts.exit;
    if (opts.count == 0) {
        help_overview();
        return out_finish(self, TOOL_FINE);
    }
    const struct command *topic = tool_find(opts.operands[0]);
    if (!topic)
        return tool_usage(self, "unknown command '%s'", opts.operands[0]);
    help_command(topic);
    return out_finish(self, TOOL_FINE);
}

const struct command cmd_version = {
    .name = "version",
    .operands = "",
    .operands_min = 0,
    .operands_max = 0,
    .summary = "Print the versions of the tool, the library and the format.",
    .text = "",
    .options = version_options,
    .examples = no_examples,
    .exits = "0 2 4",
    .run = run_version,
};

const struct command cmd_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .operands_min = 0,
    .operands_max = 1,
    .summary = "Explain a command, or list them all.",
    .text = "",
    .options = no_options,
    .examples = no_examples,
    .exits = "0 2 4",
    .run = run_help,
};
