/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_stat.c: stele stat. */
#include "encode.h"
#include "json.h"
#include "log.h"
#include "out.h"
#include "sizes.h"
#include "term.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt options[] = {{OPT_ROW_JSON}, {OPT_ROW_END}};

static const struct example examples[] = {
    {"stele stat /var/lib/app/log --json | jq .durable_lsn", "How far the log is durable."},
    {NULL, NULL},
};

static const char *state_name(enum stele_segment_state state)
{
    static const char *const names[] = {"active", "sealed", "spare", "broken"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static void segment_json(struct json *json, const struct stele_segment_stat *segment)
{
    json_open(json, NULL, '{');
    json_text(json, "name", segment->name);
    json_number(json, "sequence", segment->sequence);
    json_lsn(json, "base_lsn", segment->base_lsn);
    json_text(json, "state", state_name(segment->state));
    json_number(json, "incarnation", segment->incarnation);
    json_number(json, "records", segment->records);
    json_number(json, "file_bytes", segment->file_bytes);
    json_number(json, "disk_bytes", segment->disk_bytes);
    json_number(json, "first_time_ns", segment->first_time_ns);
    json_number(json, "last_time_ns", segment->last_time_ns);
    json_close(json, '}');
}

static void print_json(const char *path, const struct stele_stat *stat,
                       const struct stele_segment_stat *segments, size_t count)
{
    struct json json;
    char uuid[UUID_TEXT];
    json_begin(&json, "stele.stat/1");
    json_text(&json, "path", path);
    json_text(&json, "uuid", uuid_text(uuid, stat->uuid));
    json_lsn(&json, "first_lsn", stat->first_lsn);
    json_lsn(&json, "published_lsn", stat->published_lsn);
    json_lsn(&json, "durable_lsn", stat->durable_lsn);
    json_number(&json, "records", stat->records);
    json_number(&json, "segment_bytes", stat->segment_bytes);
    json_text(&json, "durability", stat->durability_name);
    json_text(&json, "durability_reason", stat->durability_reason);
    json_number(&json, "file_bytes", stat->file_bytes);
    json_number(&json, "disk_bytes", stat->disk_bytes);
    json_number(&json, "pins", stat->pins);
    json_lsn(&json, "pinned_lsn", stat->pinned_lsn);
    json_number(&json, "created_ns", stat->created_ns);
    json_number(&json, "oldest_time_ns", stat->oldest_time_ns);
    json_open(&json, "writer", '{');
    json_bool(&json, "alive", stat->writer_alive);
    if (stat->writer_pid < 0)
        json_null(&json, "pid");
    else
        json_number(&json, "pid", (uint64_t)stat->writer_pid);
    json_number(&json, "start_ns", stat->writer_start_ns);
    json_close(&json, '}');
    json_open(&json, "metadata", '{');
    json_bytes(&json, stat->metadata, stat->metadata_bytes);
    json_close(&json, '}');
    json_open(&json, "warnings", '[');
    if (stat->durability == STELE_DURABILITY_NONE)
        json_text(&json, NULL, log_none_warning());
    if (stat->failed != 0)
        json_text(&json, NULL, stele_strerror(stat->failed));
    json_close(&json, ']');
    json_open(&json, "segments", '[');
    for (size_t i = 0; i < count; i++)
        segment_json(&json, &segments[i]);
    json_close(&json, ']');
    json_end(&json);
}

static void row(const char *name)
{
    out_printf("%-14s ", name);
}

static void print_writer(const struct stele_stat *stat)
{
    char time[SIZES_TEXT];
    row("writer");
    if (!stat->writer_alive)
        out_text("none\n");
    else if (stat->writer_pid < 0)
        out_text("a process that cannot be told\n");
    else
        out_printf("pid %" PRId64 ", since %s\n", stat->writer_pid, time_text(time, stat->writer_start_ns));
}

static void print_head(const char *path, const struct stele_stat *stat)
{
    char text[SIZES_TEXT], more[SIZES_TEXT], uuid[UUID_TEXT];
    row("log");
    out_text(path);
    out_char('\n');
    row("uuid");
    out_printf("%s\n", uuid_text(uuid, stat->uuid));
    row("created");
    out_printf("%s\n", time_text(text, stat->created_ns));
    row("durability");
    out_printf("%s: %s\n", stat->durability_name, log_reason(stat));
    row("records");
    out_printf("%" PRIu64 "\n", stat->records);
    row("first LSN");
    out_printf("%" PRIu64 "\n", stat->first_lsn);
    row("published LSN");
    out_printf("%" PRIu64 "\n", stat->published_lsn);
    row("durable LSN");
    out_printf("%" PRIu64 "\n", stat->durable_lsn);
    row("space");
    out_printf("%" PRIu64 " segments of %s: files %s, ", stat->segments, size_text(text, stat->segment_bytes),
               size_text(more, stat->file_bytes));
    out_printf("on disk %s\n", size_text(text, stat->disk_bytes));
    row("pins");
    if (stat->pins == 0)
        out_text("none\n");
    else
        out_printf("%" PRIu64 " segments, the lowest at LSN %" PRIu64 "\n", stat->pins, stat->pinned_lsn);
    print_writer(stat);
    if (stat->metadata_bytes > 0) {
        row("metadata");
        encode_preview(stat->metadata, stat->metadata_bytes, 60);
        out_char('\n');
    }
}

static void print_text(const char *path, const struct stele_stat *stat,
                       const struct stele_segment_stat *segments, size_t count)
{
    char file[SIZES_TEXT], disk[SIZES_TEXT], last[SIZES_TEXT];
    int width = 7;
    for (size_t i = 0; i < count; i++)
        width = (int)strlen(segments[i].name) > width ? (int)strlen(segments[i].name) : width;
    print_head(path, stat);
    if (stat->durability == STELE_DURABILITY_NONE)
        out_printf("%sWARNING: %s%s\n", term_on(1, TERM_BAD), log_none_warning(), term_off(1));
    if (stat->failed != 0)
        out_printf("%sWARNING: a sync failed, the log refuses to go on: %s. Close, reopen, append again.%s\n",
                   term_on(1, TERM_BAD), stele_strerror(stat->failed), term_off(1));
    out_printf("\n%s%-*s %-7s %16s %10s %10s %10s  %s%s\n", term_on(1, TERM_BOLD), width, "segment", "state",
               "base LSN", "records", "file", "on disk", "last record", term_off(1));
    for (size_t i = 0; i < count; i++) {
        const struct stele_segment_stat *at = &segments[i];
        char records[SIZES_TEXT] = "-";
        if (at->state == STELE_SEGMENT_SEALED)
            (void)snprintf(records, sizeof records, "%" PRIu64, at->records);
        out_printf("%-*s %-7s %16" PRIu64 " %10s %10s %10s  %s\n", width, at->name, state_name(at->state),
                   at->base_lsn, records, size_text(file, at->file_bytes), size_text(disk, at->disk_bytes),
                   time_text(last, at->last_time_ns));
    }
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct stele *log = NULL;
    struct stele_stat stat;
    struct stele_segment_stat *segments = NULL;
    size_t count = 0;
    int id = 0, json = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        json = 1;
    if (id < 0)
        return opts.exit;
    int code = log_open_reader(self, opts.operands[0], &log);
    if (code != TOOL_FINE)
        return code;
    code = log_stat(self, log, &stat);
    if (code == TOOL_FINE)
        code = log_segments(self, log, &segments, &count);
    code = log_close(self, log, code);
    if (code == TOOL_FINE && json)
        print_json(opts.operands[0], &stat, segments, count);
    else if (code == TOOL_FINE)
        print_text(opts.operands[0], &stat, segments, count);
    free(segments);
    return out_finish(self, code);
}

const struct command cmd_stat = {
    .name = "stat",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary =
        "Print where a log begins and ends, how it is made durable, its segments, space, pins and writer.",
    .text =
        "Read-only, beside a live writer too. The durability class is the one in force while a writer is at "
        "work, "
        "and otherwise the one that auto would pick here. Records are data records, neither pads nor marks.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4",
    .run = run,
};
