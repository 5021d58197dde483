/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_bench.c: stele bench: its options, a scratch log per measurement, and what is printed. */
#include "bench.h"

#include "log.h"
#include "out.h"
#include "sizes.h"
#include "stop.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_SIZE = OPT_OWN, OPT_THREADS, OPT_SECONDS, OPT_RATE, OPT_SYNC };

#define LIST_MAX 32
#define SCRATCH_PATH 4096

static const char syncs[] = "each group none";

static const struct opt options[] = {
    {OPT_SIZE, "size", "N,...", NULL, "Payload sizes, in bytes (default 128)."},
    {OPT_THREADS, "threads", "N,...", NULL, "Appending threads, 1 to 256 (default 1)."},
    {OPT_SECONDS, "seconds", "S", NULL, "Length of each measurement (default 2; fractions are allowed)."},
    {OPT_RATE, "rate", "R", NULL,
     "Appends a second, all threads together, each due at a time fixed in advance; latency counts from then "
     "(default: as fast as it goes)."},
    {OPT_SYNC, "sync", "WHEN", syncs,
     "each: an append is over when it is durable, threads share flushes (the default); group: a thread syncs "
     "after "
     "64 appends; none: it never waits, and one append in 16 is timed."},
    {OPT_ROW_DURABILITY},
    {OPT_ROW_SEGMENT_SIZE},
    {OPT_ROW_JSON},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele bench /var/lib/app --size 64,1024 --threads 1,8,64",
     "Durable appends on the disk that holds /var/lib/app."},
    {"stele bench /var/lib/app --rate 2000 --seconds 30", "Latency at a fixed load."},
    {NULL, NULL},
};

struct suite {
    const struct command *self;
    struct log_options log_options;
    const char *directory;
    uint64_t sizes[LIST_MAX], threads[LIST_MAX];
    int size_count, thread_count;
    struct bench_case bench; /* what all cases share */
    struct bench_report report;
    struct bench_result result;
};

static int parse_sync(const char *word)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(word, bench_sync_name((enum bench_sync)i)) == 0)
            return i;
    return -1;
}

/* A list whose numbers lie in min..max. */
static int parse_list(struct opts *opts, uint64_t *values, int *count, uint64_t min, uint64_t max)
{
    *count = size_list_parse(opts->arg, values, LIST_MAX);
    int bad = *count <= 0;
    for (int i = 0; i < *count; i++)
        bad |= values[i] < min || values[i] > max;
    if (!bad)
        return 0;
    return opts_over(opts,
                     tool_usage(opts->self, "'%s' is not a list of numbers from %" PRIu64 " to %" PRIu64,
                                opts->arg, min, max));
}

static int parse(struct opts *opts, struct suite *suite)
{
    uint64_t rate = 0;
    int id = 0, sync = 0, bad = 0;
    while (!bad && (id = opts_next(opts)) > 0) {
        switch (id) {
        case OPT_SIZE:
            bad = parse_list(opts, suite->sizes, &suite->size_count, 0, STELE_SEGMENT_BYTES_MAX / 4);
            break;
        case OPT_THREADS:
            bad = parse_list(opts, suite->threads, &suite->thread_count, 1, BENCH_THREADS_MAX);
            break;
        case OPT_SECONDS:
            if (seconds_parse(opts->arg, &suite->bench.duration_ns) != 0 || suite->bench.duration_ns == 0)
                bad = opts_over(opts, tool_usage(opts->self, "'%s' is not a number of seconds", opts->arg));
            break;
        case OPT_RATE:
            bad = opts_number(opts, &rate, 1, UINT64_C(1000000000));
            suite->bench.rate = (double)rate;
            break;
        case OPT_SYNC:
            bad = opts_word(opts, &sync, parse_sync(opts->arg));
            suite->bench.sync = (enum bench_sync)sync;
            break;
        case OPT_JSON: suite->report.as_json = 1; break;
        default: bad = log_option(&suite->log_options, opts, id) < 0;
        }
    }
    return bad ? -1 : id;
}

/* The scratch directory holds files only. */
static void remove_scratch(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry = NULL; dir && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

static int measure(struct suite *suite, const struct bench_case *bench, const char *scratch)
{
    struct stele *log = NULL;
    struct stele_stat stat;
    uint32_t single = bench->threads == 1 ? (uint32_t)STELE_SINGLE_APPENDER : 0;
    int code = log_open(suite->self, scratch, &suite->log_options, STELE_CREATE | single, &log);
    if (code != TOOL_FINE)
        return code;
    if (bench->size > stele_record_max(log))
        code =
            tool_usage(suite->self, "--size %zu is more than a record may be (%zu bytes; see --segment-size)",
                       bench->size, stele_record_max(log));
    if (code == TOOL_FINE)
        code = log_stat(suite->self, log, &stat);
    if (code == TOOL_FINE) {
        if (!suite->report.begun)
            bench_report_begin(&suite->report, suite->directory, &stat);
        int ran = bench_run(log, bench, &suite->result);
        if (ran != 0)
            code =
                tool_io(suite->self, "%u threads cannot be started: %s", bench->threads, stele_strerror(ran));
        else if (suite->result.code != 0)
            code = tool_io(suite->self, "%s", suite->result.error);
        else
            bench_report_case(&suite->report, bench, &suite->result);
        if (code == TOOL_FINE && suite->result.stopped)
            code = TOOL_INTERRUPTED + stop_seen();
    }
    return log_close(suite->self, log, code);
}

static int run_all(struct suite *suite)
{
    char scratch[SCRATCH_PATH];
    int code = TOOL_FINE;
    for (int t = 0; t < suite->thread_count; t++) {
        for (int s = 0; s < suite->size_count && code == TOOL_FINE; s++) {
            struct bench_case bench = suite->bench;
            bench.size = (size_t)suite->sizes[s];
            bench.threads = (unsigned)suite->threads[t];
            if (snprintf(scratch, sizeof scratch, "%s/stele-bench.XXXXXX", suite->directory) >=
                (int)sizeof scratch)
                return tool_io(suite->self, "%s: %s", suite->directory, strerror(ENAMETOOLONG));
            if (!mkdtemp(scratch))
                return tool_io(suite->self, "%s: cannot make a scratch log: %s", suite->directory,
                               strerror(errno));
            code = measure(suite, &bench, scratch);
            remove_scratch(scratch);
        }
    }
    return code;
}

static int run(const struct command *self, int argc, char **argv)
{
    static struct suite suite; /* histograms are large */
    struct opts opts;
    suite.self = self;
    suite.sizes[0] = 128;
    suite.threads[0] = 1;
    suite.size_count = suite.thread_count = 1;
    suite.bench.duration_ns = UINT64_C(2000000000);
    log_options_init(&suite.log_options);
    opts_begin(&opts, self, argc, argv);
    if (parse(&opts, &suite) != 0)
        return opts.exit;
    suite.directory = opts.operands[0];
    if (stop_begin() < 0)
        return tool_io(self, "cannot watch for signals: %s", strerror(errno));
    int made = mkdir(suite.directory, 0700) == 0;
    int code = run_all(&suite);
    if (made)
        (void)rmdir(suite.directory);
    bench_report_end(&suite.report);
    return out_finish(self, code);
}

const struct command cmd_bench = {
    .name = "bench",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Measure throughput and latency of appends on the file system that holds DIR.",
    .text =
        "DIR is any directory, not a log: each measurement makes a scratch log in it and removes it. Sizes "
        "and "
        "threads are combined. Percentiles are of the time from the start of an append until it is as "
        "durable as "
        "--sync asks for, from a histogram with less than 1 % error. Machine, kernel, file system and the "
        "durability class in force are printed with the numbers: without them they mean nothing.\n\n"
        "Behind the appenders the log is synced and trimmed every 256 MiB, also with --sync none.",
    .options = options,
    .examples = examples,
    .exits = "0 2 4 130 143",
    .run = run,
};
