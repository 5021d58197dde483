/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_create.c: stele create. */
#include "encode.h"
#include "json.h"
#include "log.h"
#include "out.h"
#include "sizes.h"

#include <stdio.h>

static const struct opt options[] = {
    {OPT_ROW_SEGMENT_SIZE}, {OPT_ROW_DURABILITY}, {OPT_ROW_METADATA}, {OPT_ROW_JSON}, {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele create /var/lib/app/log --segment-size 16MiB --metadata 'node 7'",
     "Make a log with segments of 16 MiB and a text at the head of each."},
    {NULL, NULL},
};

static void print_json(const char *path, const struct stele_stat *stat)
{
    struct json json;
    char uuid[UUID_TEXT];
    json_begin(&json, "stele.create/1");
    json_text(&json, "path", path);
    json_text(&json, "uuid", uuid_text(uuid, stat->uuid));
    json_number(&json, "segment_bytes", stat->segment_bytes);
    json_text(&json, "durability", stat->durability_name);
    json_text(&json, "durability_reason", stat->durability_reason);
    json_end(&json);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct log_options log_options;
    struct stele *log = NULL;
    struct stele_stat stat;
    char size[SIZES_TEXT];
    int id = 0, json = 0;
    log_options_init(&log_options);
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0) {
        if (id == OPT_JSON)
            json = 1;
        else if (log_option(&log_options, &opts, id) < 0)
            return opts.exit;
    }
    if (id < 0)
        return opts.exit;

    const char *path = opts.operands[0];
    int code = log_open(self, path, &log_options, STELE_CREATE | STELE_EXCL, &log);
    if (code != TOOL_FINE)
        return code;
    code = log_stat(self, log, &stat);
    code = log_close(self, log, code);
    if (code != TOOL_FINE)
        return code;
    if (json)
        print_json(path, &stat);
    else
        fprintf(stderr, "stele: create: %s: segments of %s; durability here: %s: %s\n", path,
                size_text(size, stat.segment_bytes), stat.durability_name, log_reason(&stat));
    return out_finish(self, TOOL_FINE);
}

const struct command cmd_create = {
    .name = "create",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Make a log.",
    .text = "Makes the directory DIR, or takes it when it is empty, and the first segments in it. A log that "
            "exists is "
            "never touched: that is an error. The durability class is chosen anew at every open; it is given "
            "here to "
            "see what this file system can do, and for the first segments.",
    .options = options,
    .examples = examples,
    .exits = "0 2 4 5",
    .run = run,
};
