/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_trim.c: stele trim. */
#include "json.h"
#include "log.h"
#include "out.h"
#include "sizes.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OPT_BEFORE = OPT_OWN, OPT_KEEP_SIZE, OPT_KEEP_SEGMENTS };

static const struct opt options[] = {
    {OPT_BEFORE, "before", "LSN", NULL, "Drop the segments that lie wholly before this LSN."},
    {OPT_KEEP_SIZE, "keep-size", "N", NULL, "Keep at least the newest N bytes of the log."},
    {OPT_KEEP_SEGMENTS, "keep-segments", "N", NULL,
     "Keep the newest N segments that hold records (1 or more)."},
    {OPT_FLAG(OPT_DRY_RUN, "dry-run", "Only say what would be dropped. Needs no lock.")},
    {OPT_ROW_DURABILITY},
    {OPT_ROW_JSON},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele trim /var/lib/app/log --keep-size 10GiB --dry-run",
     "See what keeping the last 10 GiB would free."},
    {NULL, NULL},
};

struct trim {
    int how; /* the option that was given */
    uint64_t value;
    int dry;
    int json;
};

/* Where the log shall begin, before the library rounds it down to a segment. */
static stele_lsn target(const struct trim *trim, const struct stele_stat *stat,
                        const struct stele_segment_stat *segments, size_t count)
{
    if (trim->how == OPT_BEFORE)
        return trim->value;
    if (trim->how == OPT_KEEP_SIZE)
        return stat->published_lsn > trim->value ? stat->published_lsn - trim->value : 0;
    uint64_t kept = 0;
    for (size_t i = count; i > 0; i--) {
        const struct stele_segment_stat *at = &segments[i - 1];
        if ((at->state == STELE_SEGMENT_ACTIVE || at->state == STELE_SEGMENT_SEALED) && ++kept == trim->value)
            return at->base_lsn;
    }
    return 0;
}

/* What stele_trim() would drop: the rule of log.h, for --dry-run. */
static long would_drop(stele_lsn before, const struct stele_stat *stat,
                       const struct stele_segment_stat *segments, size_t count, stele_lsn *first)
{
    stele_lsn limit = before < stat->durable_lsn ? before : stat->durable_lsn;
    if (stat->pins > 0 && stat->pinned_lsn < limit)
        limit = stat->pinned_lsn;
    size_t newest = count;
    for (size_t i = 0; i < count; i++)
        if (segments[i].state == STELE_SEGMENT_ACTIVE || segments[i].state == STELE_SEGMENT_SEALED)
            newest = i;
    long dropped = 0;
    *first = stat->first_lsn;
    for (size_t i = 0; i < newest; i++) {
        stele_lsn end = segments[i].base_lsn + stat->segment_bytes;
        if (segments[i].state == STELE_SEGMENT_SPARE || end > limit)
            break;
        dropped++;
        *first = end;
    }
    return dropped;
}

static void print(const struct trim *trim, long dropped, stele_lsn first)
{
    struct json json;
    if (!trim->json) {
        out_printf("%s%ld segments; the log %s at LSN %" PRIu64 "\n", trim->dry ? "would drop " : "dropped ",
                   dropped, trim->dry ? "would begin" : "begins", first);
        return;
    }
    json_begin(&json, "stele.trim/1");
    json_bool(&json, "dry_run", trim->dry);
    json_number(&json, "segments_dropped", (uint64_t)dropped);
    json_lsn(&json, "first_lsn", first);
    json_end(&json);
}

static int trim_log(const struct command *self, const struct trim *trim, struct stele *log)
{
    struct stele_stat stat;
    struct stele_segment_stat *segments = NULL;
    size_t count = 0;
    stele_lsn first = 0;
    int code = log_stat(self, log, &stat);
    if (code == TOOL_FINE)
        code = log_segments(self, log, &segments, &count);
    if (code != TOOL_FINE)
        return code;
    stele_lsn before = target(trim, &stat, segments, count);
    long dropped =
        trim->dry ? would_drop(before, &stat, segments, count, &first) : stele_trim(log, before, &first);
    free(segments);
    if (dropped < 0)
        return tool_fail(self, (int)dropped);
    print(trim, dropped, first);
    return TOOL_FINE;
}

static const char one_of[] = "give one of --before, --keep-size, --keep-segments";

static int parse(struct opts *opts, struct trim *trim, struct log_options *log_options)
{
    int id = 0;
    while ((id = opts_next(opts)) > 0) {
        if (id == OPT_BEFORE || id == OPT_KEEP_SIZE || id == OPT_KEEP_SEGMENTS) {
            if (trim->how != 0)
                return opts_over(opts, tool_usage(opts->self, "%s", one_of));
            trim->how = id;
            if (id == OPT_KEEP_SIZE
                    ? opts_size(opts, &trim->value) != 0
                    : opts_number(opts, &trim->value, id == OPT_BEFORE ? 0 : 1, UINT64_MAX) != 0)
                return -1;
        } else if (id == OPT_DRY_RUN) {
            trim->dry = 1;
        } else if (id == OPT_JSON) {
            trim->json = 1;
        } else if (log_option(log_options, opts, id) < 0) {
            return -1;
        }
    }
    if (id == 0 && trim->how == 0)
        return opts_over(opts, tool_usage(opts->self, "%s", one_of));
    return id;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct log_options log_options;
    struct trim trim = {0, 0, 0, 0};
    struct stele *log = NULL;
    log_options_init(&log_options);
    opts_begin(&opts, self, argc, argv);
    if (parse(&opts, &trim, &log_options) < 0)
        return opts.exit;
    const char *path = opts.operands[0];
    int code = trim.dry ? log_open_reader(self, path, &log) : log_open(self, path, &log_options, 0, &log);
    if (code != TOOL_FINE)
        return code;
    code = trim_log(self, &trim, log);
    return out_finish(self, log_close(self, log, code));
}

const struct command cmd_trim = {
    .name = "trim",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Drop whole segments from the front of a log.",
    .text = "Takes exactly one of --before, --keep-size and --keep-segments. Only whole segments go, only "
            "below the "
            "durable point, and none that a reader, a backup or a pin of any process holds; the newest "
            "always stays. So "
            "the log may begin earlier than asked for: what it says is where it begins now.\n\n"
            "It opens the log for writing, so it cannot run beside a writer (exit status 5); a live writer "
            "trims by "
            "itself.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4 5",
    .run = run,
};
