/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_metrics.c: stele metrics. OpenMetrics text: families in one piece, each with TYPE, UNIT where
 * the name ends in one, and HELP; the last line is "# EOF". */
#include "encode.h"
#include "log.h"
#include "out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct opt options[] = {{OPT_ROW_END}};

static const struct example examples[] = {
    {"stele metrics /var/lib/app/log > /var/lib/node_exporter/stele.prom",
     "For a collector that reads text files."},
    {NULL, NULL},
};

static void family(const char *name, const char *type, const char *unit, const char *help)
{
    out_printf("# TYPE %s %s\n", name, type);
    if (unit)
        out_printf("# UNIT %s %s\n", name, unit);
    out_printf("# HELP %s %s\n", name, help);
}

/* A label's value: backslash, quote and newline are escaped, bytes that are no UTF-8 become '?'. */
static void label(const char *name, const char *value)
{
    const unsigned char *at = (const unsigned char *)value;
    out_printf("%s=\"", name);
    for (size_t len = strlen(value), i = 0; i < len;) {
        size_t step = utf8_sequence(at + i, len - i);
        if (step == 0)
            out_char('?');
        else if (at[i] == '\n')
            out_text("\\n");
        else if (at[i] == '"' || at[i] == '\\')
            out_printf("\\%c", at[i]);
        else
            out_write(at + i, step);
        i += step == 0 ? 1 : step;
    }
    out_char('"');
}

/* One sample; every sample carries the log's directory, so that several logs can share a file. */
static void sample(const char *name, const char *path, const char *key, const char *value, uint64_t number)
{
    out_printf("%s{", name);
    label("log", path);
    if (key) {
        out_char(',');
        label(key, value);
    }
    out_printf("} %" PRIu64 "\n", number);
}

static void info(const char *path, const struct stele_stat *stat)
{
    char uuid[UUID_TEXT];
    family("stele", "info", NULL, "The log and what makes its records durable.");
    out_text("stele_info{");
    label("log", path);
    out_char(',');
    label("uuid", uuid_text(uuid, stat->uuid));
    out_char(',');
    label("version", stele_version());
    out_char(',');
    label("durability", stat->durability_name);
    out_text("} 1\n");
}

static void states(const char *path, const struct stele_segment_stat *segments, size_t count)
{
    static const char *const names[] = {"active", "sealed", "spare", "broken"};
    family("stele_segments", "gauge", NULL, "Segment files by state.");
    for (unsigned state = 0; state < 4; state++) {
        uint64_t number = 0;
        for (size_t i = 0; i < count; i++)
            number += (unsigned)segments[i].state == state;
        sample("stele_segments", path, "state", names[state], number);
    }
}

static void print(const char *path, const struct stele_stat *stat, const struct stele_segment_stat *segments,
                  size_t count)
{
    info(path, stat);
    family("stele_lsn_bytes", "gauge", "bytes",
           "Positions in the log: where it begins, is durable to, is published to.");
    sample("stele_lsn_bytes", path, "kind", "first", stat->first_lsn);
    sample("stele_lsn_bytes", path, "kind", "durable", stat->durable_lsn);
    sample("stele_lsn_bytes", path, "kind", "published", stat->published_lsn);
    family("stele_records", "gauge", NULL, "Data records in the log.");
    sample("stele_records", path, NULL, NULL, stat->records);
    family("stele_segment_bytes", "gauge", "bytes", "Data bytes of one segment.");
    sample("stele_segment_bytes", path, NULL, NULL, stat->segment_bytes);
    states(path, segments, count);
    family("stele_space_bytes", "gauge", "bytes", "Size of the files, and what they hold on disk.");
    sample("stele_space_bytes", path, "kind", "file", stat->file_bytes);
    sample("stele_space_bytes", path, "kind", "disk", stat->disk_bytes);
    family("stele_pins", "gauge", NULL, "Segments that readers and pins hold.");
    sample("stele_pins", path, NULL, NULL, stat->pins);
    if (stat->pins > 0) {
        family("stele_pinned_lsn_bytes", "gauge", "bytes", "The lowest position that is pinned.");
        sample("stele_pinned_lsn_bytes", path, NULL, NULL, stat->pinned_lsn);
    }
    family("stele_writer_alive", "gauge", NULL, "1 while a process has the log open for writing.");
    sample("stele_writer_alive", path, NULL, NULL, stat->writer_alive != 0);
    family("stele_failed", "gauge", NULL, "1 when a failed sync has stopped the log.");
    sample("stele_failed", path, NULL, NULL, stat->failed != 0);
    out_text("# EOF\n");
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct stele *log = NULL;
    struct stele_stat stat;
    struct stele_segment_stat *segments = NULL;
    size_t count = 0;
    int id = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        ;
    if (id < 0)
        return opts.exit;
    int code = log_open_reader(self, opts.operands[0], &log);
    if (code != TOOL_FINE)
        return code;
    code = log_stat(self, log, &stat);
    if (code == TOOL_FINE)
        code = log_segments(self, log, &segments, &count);
    code = log_close(self, log, code);
    if (code == TOOL_FINE)
        print(opts.operands[0], &stat, segments, count);
    free(segments);
    return out_finish(self, code);
}

const struct command cmd_metrics = {
    .name = "metrics",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Print the state of a log as OpenMetrics text.",
    .text = "Read-only, beside a live writer too: what stat says, for a monitoring system.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4",
    .run = run,
};
