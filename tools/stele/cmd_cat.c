/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_cat.c: stele cat and stele tail. */
#include "log.h"
#include "out.h"
#include "print.h"
#include "progress.h"
#include "sizes.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_FROM = OPT_OWN, OPT_TO, OPT_DURABLE, OPT_TIMEOUT, OPT_RAW, OPT_HEX };

#define TAIL_RECORDS 10 /* as tail(1) */

/* How long a signal or a reader that left goes unnoticed while waiting: the wait itself ignores both. */
#define SLICE_NS INT64_C(50000000)

static const struct opt options[] = {
    {OPT_FROM, "from", "POSITION", NULL,
     "Where to begin: an LSN (the first record at or after it), begin, end, -N (the last N records), or "
     "@SECONDS "
     "since 1970 (a few earlier records may come first)."},
    {OPT_TO, "to", "LSN", NULL, "End behind the record at this LSN, or behind the last one before it."},
    {'n', "count", "N", NULL,
     "End after N records. For tail this is also how many of the last to begin with."},
    {OPT_FLAG('f', "follow",
              "At the end wait for more records, across segments, until -n, --to, --timeout or SIGINT.")},
    {OPT_FLAG(OPT_DURABLE, "durable",
              "Show a record only once it is durable, not as soon as it is published.")},
    {OPT_TIMEOUT, "timeout", "SECONDS", NULL,
     "With -f: end with exit status 124 when no record has come for so long (fractions are allowed)."},
    {OPT_FLAG(OPT_RAW, "raw", "Print payloads with nothing between them.")},
    {OPT_FLAG(OPT_HEX, "hex", "Print payloads as hexadecimal digits, one record a line.")},
    {OPT_FLAG(OPT_JSON, "json",
              "Print one JSON object a line: lsn, type, length, base64, and utf8 when it is valid.")},
    {'F', "format", "FORMAT", NULL,
     "Print each record by a format, with no newline of its own: %o LSN, %s payload, %l length, %T type, %% "
     "a "
     "percent sign; \\n \\t \\r \\0 \\\\ \\xHH."},
    {OPT_ROW_END},
};

static const struct example cat_examples[] = {
    {"stele cat /var/lib/app/log --from -100 -F '%o %l %s\\n'",
     "The last hundred records with LSN and length."},
    {"stele cat /var/lib/app/log -f --durable --timeout 30",
     "Follow what is durable; give up after half a minute."},
    {NULL, NULL},
};

static const struct example tail_examples[] = {
    {"stele tail /var/lib/app/log", "The last ten records, and every one that comes."},
    {NULL, NULL},
};

struct reader {
    const struct command *self;
    struct print print;
    int formed, placed, follow, gap;
    unsigned flags;
    enum stele_from from;
    uint64_t from_value;
    stele_lsn to;
    uint64_t count, timeout_ns; /* UINT64_MAX: without limit */
    uint64_t printed;
    void *copy; /* of the record at hand; capacity bytes */
    size_t capacity;
    uint64_t waiting_ns; /* since when there has been no record; 0: there was one just now */
};

static int parse_from(struct opts *opts, struct reader *reader)
{
    const char *word = opts->arg;
    int bad = 0;
    reader->placed = 1;
    if (strcmp(word, "begin") == 0) {
        reader->from = STELE_FROM_BEGIN;
    } else if (strcmp(word, "end") == 0) {
        reader->from = STELE_FROM_END;
    } else if (word[0] == '-') {
        reader->from = STELE_FROM_LAST;
        bad = number_parse(word + 1, &reader->from_value);
    } else if (word[0] == '@') {
        reader->from = STELE_FROM_TIME;
        bad = seconds_parse(word + 1, &reader->from_value);
    } else {
        reader->from = STELE_FROM_LSN;
        bad = number_parse(word, &reader->from_value);
    }
    if (bad)
        return opts_over(opts,
                         tool_usage(opts->self, "'%s' is not an LSN, begin, end, -N or @SECONDS", word));
    return 0;
}

static int parse_form(struct opts *opts, struct reader *reader, int id)
{
    if (reader->formed++)
        return opts_over(opts, tool_usage(opts->self, "give one of --raw, --hex, --json, --format"));
    if (id == 'F') {
        const char *wrong = print_parse(&reader->print, opts->arg);
        return wrong ? opts_over(opts, tool_usage(opts->self, "'%s': %s", opts->arg, wrong)) : 0;
    }
    reader->print.form = id == OPT_RAW ? PRINT_RAW : id == OPT_HEX ? PRINT_HEX : PRINT_JSON;
    return 0;
}

static int parse(struct opts *opts, struct reader *reader)
{
    int id = 0, bad = 0;
    while (!bad && (id = opts_next(opts)) > 0) {
        switch (id) {
        case OPT_FROM: bad = parse_from(opts, reader); break;
        case OPT_TO: bad = opts_number(opts, &reader->to, 0, UINT64_MAX); break;
        case 'n': bad = opts_number(opts, &reader->count, 0, UINT64_MAX); break;
        case 'f': reader->follow = 1; break;
        case OPT_DURABLE: reader->flags |= STELE_DURABLE_ONLY; break;
        case OPT_TIMEOUT:
            if (seconds_parse(opts->arg, &reader->timeout_ns) != 0)
                bad = opts_over(opts, tool_usage(opts->self, "'%s' is not a number of seconds", opts->arg));
            break;
        default: bad = parse_form(opts, reader, id);
        }
    }
    if (bad || id < 0)
        return -1;
    if (reader->timeout_ns != UINT64_MAX && !reader->follow)
        return opts_over(opts, tool_usage(opts->self, "--timeout needs --follow"));
    return 0;
}

/* Errors of the cursor: 1 = reading goes on. */
static int step_over(struct reader *reader, int code, int *exit)
{
    if (code == STELE_EGAP || code == STELE_EREWOUND) {
        int as = tool_fail(reader->self, code);
        if (code == STELE_EGAP)
            reader->gap = as;
        return 1;
    }
    *exit = tool_fail(reader->self, code);
    return 0;
}

/* Wait for the next record. Returns 1: there may be one; 0: the reading is over. */
static int wait_more(struct reader *reader, struct stele_cursor *cursor, int *exit)
{
    if (out_flush() != 0)
        return 0;
    if (reader->waiting_ns == 0)
        reader->waiting_ns = now_ns();
    for (;;) {
        uint64_t spent = now_ns() - reader->waiting_ns;
        if (stop_seen() || out_gone())
            return 0;
        if (spent >= reader->timeout_ns) {
            *exit = TOOL_TIMEOUT;
            return 0;
        }
        uint64_t left = reader->timeout_ns - spent;
        int got = stele_cursor_wait(cursor, left < (uint64_t)SLICE_NS ? (int64_t)left : SLICE_NS);
        if (got != 0)
            return got > 0 ? 1 : step_over(reader, got, exit);
    }
}

/* A copy of the payload right after it was checked. Printing may wait for whoever reads our output, for hours, and
 * if somebody cuts the file short meanwhile, zeroes stand where the record was mapped. */
static int take_copy(struct reader *reader, struct stele_record *record)
{
    if (record->len > reader->capacity) {
        void *grown = realloc(reader->copy, record->len);
        if (grown == NULL)
            return tool_io(reader->self, "no memory for a record of %zu bytes", record->len);
        reader->copy = grown;
        reader->capacity = record->len;
    }
    if (record->len > 0)
        record->data = memcpy(reader->copy, record->data, record->len);
    return TOOL_FINE;
}

/* Print until the end that was asked for. Returns the exit code. */
static int read_all(struct reader *reader, struct stele_cursor *cursor, stele_lsn end)
{
    struct stele_record record;
    struct progress progress;
    stele_lsn start = stele_cursor_lsn(cursor);
    int exit = TOOL_FINE;
    progress_begin(&progress, !reader->follow && end > start ? end - start : 0, 1);
    while (reader->printed < reader->count && out_error() == 0) {
        int got = stele_cursor_next(cursor, &record);
        if (got == 1) {
            if (record.lsn > reader->to || (exit = take_copy(reader, &record)) != TOOL_FINE)
                break;
            print_record(&reader->print, &record);
            reader->printed++;
            reader->waiting_ns = 0;
            if (record.next > reader->to)
                break;
            if ((reader->printed & 1023) == 0) {
                progress_update(&progress, record.next - start);
                if (reader->follow && stop_seen())
                    break;
            }
        } else if (got < 0) {
            if (!step_over(reader, got, &exit))
                break;
        } else if (!reader->follow || !wait_more(reader, cursor, &exit)) {
            break;
        }
    }
    progress_end(&progress);
    return exit != TOOL_FINE ? exit : reader->gap;
}

static int read_log(struct reader *reader, const char *path)
{
    struct stele *log = NULL;
    struct stele_cursor *cursor = NULL;
    int code = log_open_reader(reader->self, path, &log);
    if (code != TOOL_FINE)
        return code;
    if (reader->follow && stop_begin() < 0)
        return log_close(reader->self, log,
                         tool_io(reader->self, "cannot watch for signals: %s", strerror(errno)));
    int opened = stele_cursor_open(log, reader->flags, reader->from, reader->from_value, &cursor);
    code = opened == 0 ? read_all(reader, cursor, stele_tail(log)) : tool_fail(reader->self, opened);
    stele_cursor_close(cursor);
    free(reader->copy);
    return out_finish(reader->self, log_close(reader->self, log, code));
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct reader reader;
    int tail = self == &cmd_tail;
    memset(&reader, 0, sizeof reader);
    reader.self = self;
    reader.to = reader.count = reader.timeout_ns = UINT64_MAX;
    reader.follow = tail;
    opts_begin(&opts, self, argc, argv);
    if (parse(&opts, &reader) != 0)
        return opts.exit;
    if (tail && !reader.placed) {
        reader.from = STELE_FROM_LAST;
        reader.from_value = reader.count != UINT64_MAX ? reader.count : TAIL_RECORDS;
    }
    return read_log(&reader, opts.operands[0]);
}

const struct command cmd_cat = {
    .name = "cat",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Print records, a newline after each.",
    .text = "Reads beside a live writer, takes no lock and changes nothing. With -f it follows the writer, "
            "and writers "
            "after it, across segments; it ends with exit status 0 on SIGINT, SIGTERM, -n or --to, and "
            "quietly when the "
            "reader of its output leaves.\n\n"
            "A quarantined segment is a gap: it is reported on standard error, reading goes on behind it, "
            "and the exit "
            "status is 3. Records that were seen before they were durable and did not survive a crash of the "
            "writer are "
            "reported, too, and reading goes on where the log goes on. Damage ends the reading with exit "
            "status 3; the "
            "records before it have been printed.",
    .options = options,
    .examples = cat_examples,
    .exits = "0 2 3 4 124",
    .run = run,
};

const struct command cmd_tail = {
    .name = "tail",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Print the last 10 records and follow: cat --from -10 -f.",
    .text = "Takes the options of cat. -n N begins with the last N records and ends after N, so on a log "
            "that has as "
            "many it prints them and ends; --from -N begins with the last N and follows.",
    .options = options,
    .examples = tail_examples,
    .exits = "0 2 3 4 124",
    .run = run,
};
