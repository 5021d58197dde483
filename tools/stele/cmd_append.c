/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_append.c: stele append: its options and its summary. The work is in append_run.c. */
#include "append.h"

#include "encode.h"
#include "json.h"
#include "out.h"
#include "sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OPT_CREATE = OPT_OWN, OPT_LENGTH_PREFIXED, OPT_SYNC, OPT_BATCH, OPT_ACK };

static const char syncs[] = "each batch end none";

static const struct opt options[] = {
    {OPT_FLAG(OPT_CREATE, "create", "Make the log when DIR is absent or empty.")},
    {OPT_ROW_SEGMENT_SIZE},
    {OPT_ROW_DURABILITY},
    {OPT_ROW_METADATA},
    {'D', "delimiter", "CHAR", NULL,
     "Records end with this byte instead of a newline: a character, \\n, \\t, \\r, \\0, \\\\ or \\xHH."},
    {OPT_FLAG('z', "null", "Records end with a zero byte.")},
    {OPT_FLAG(OPT_LENGTH_PREFIXED, "length-prefixed",
              "Before each record stand 4 bytes, little-endian: its length. Records may hold any byte.")},
    {'t', "type", "N", NULL, "User type of the records, 0 to 112 (default 0)."},
    {OPT_SYNC, "sync", "WHEN", syncs,
     "When to make records durable: each (after every record), batch (after --batch records or 4 MiB, and "
     "always "
     "before waiting for more input; the default), end (once, after the last), none (left to closing the "
     "log)."},
    {OPT_BATCH, "batch", "N", NULL, "Records in a batch (default 4096)."},
    {OPT_FLAG(OPT_ACK, "ack",
              "Print a line 'ACK COUNT LSN' each time records have become durable: how many in this run so "
              "far, and the "
              "LSN of the last of them.")},
    {OPT_FLAG('q', "quiet", "No summary.")},
    {OPT_FLAG(OPT_JSON, "json", "Print the summary as JSON on standard output.")},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"seq 1000000 | stele append --create /tmp/demo", "A million records, durable when the command ends."},
    {"tail -F app.log | stele append /var/lib/app/log --ack",
     "Take lines as they come and say when they are safe."},
    {NULL, NULL},
};

/* One byte: itself, or one of the escapes. */
static int parse_byte(const char *word, unsigned char *byte)
{
    int value = (unsigned char)word[0];
    if (word[0] == '\\') {
        word++;
        value = escape_parse(&word);
    }
    if (value < 0 || word[0] == '\0' || word[1] != '\0')
        return -1;
    *byte = (unsigned char)value;
    return 0;
}

static int sync_when(const char *word)
{
    static const char *const words[] = {"each", "batch", "end", "none"};
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static int framing(struct opts *opts, struct append *append, int id)
{
    if (append->framed++)
        return opts_over(opts, tool_usage(opts->self, "give one of --delimiter, --null, --length-prefixed"));
    append->input.framing = id == OPT_LENGTH_PREFIXED ? FRAMING_LENGTH : FRAMING_DELIMITER;
    append->input.delimiter = '\0';
    if (id == 'D' && parse_byte(opts->arg, &append->input.delimiter) != 0)
        return opts_over(opts, tool_usage(opts->self, "'%s' is not one byte", opts->arg));
    return 0;
}

static int parse(struct opts *opts, struct append *append)
{
    uint64_t number = 0;
    int id = 0, when = 0, bad = 0;
    while (!bad && (id = opts_next(opts)) > 0) {
        switch (id) {
        case OPT_CREATE: append->create = 1; break;
        case 'D':
        case 'z':
        case OPT_LENGTH_PREFIXED: bad = framing(opts, append, id); break;
        case 't':
            bad = opts_number(opts, &number, 0, STELE_TYPE_MAX);
            append->type = (unsigned)number;
            break;
        case OPT_SYNC:
            bad = opts_word(opts, &when, sync_when(opts->arg));
            append->when = (enum sync_when)when;
            break;
        case OPT_BATCH: bad = opts_number(opts, &append->batch, 1, UINT32_MAX); break;
        case OPT_ACK: append->ack = 1; break;
        case 'q': append->quiet = 1; break;
        case OPT_JSON: append->json = 1; break;
        default: bad = log_option(&append->log_options, opts, id) < 0;
        }
    }
    if (bad || id < 0)
        return -1;
    if (append->log_options.sized && !append->create)
        return opts_over(
            opts, tool_usage(opts->self, "--segment-size needs --create: an existing log keeps its own"));
    return 0;
}

static void print_json(const struct append *append, int code)
{
    struct json json;
    json_begin(&json, "stele.append/1");
    json_text(&json, "status",
              code == TOOL_FINE         ? "complete"
              : code > TOOL_INTERRUPTED ? "interrupted"
                                        : "failed");
    json_number(&json, "records", append->records);
    json_number(&json, "bytes", append->bytes);
    json_lsn(&json, "first_lsn", append->first);
    json_lsn(&json, "last_lsn", append->last);
    json_number(&json, "durable_records", append->durable_records);
    json_lsn(&json, "durable_lsn", append->durable);
    json_real(&json, "seconds", append->seconds);
    json_end(&json);
}

static void print_text(const struct command *self, const struct append *append)
{
    char size[SIZES_TEXT];
    fprintf(stderr, "stele: %s: %" PRIu64 " records, %s", self->name, append->records,
            size_text(size, append->bytes));
    if (append->records > 0)
        fprintf(stderr, ", LSN %" PRIu64 " to %" PRIu64, append->first, append->last);
    if (append->durable_records < append->records)
        fprintf(stderr, ", %" PRIu64 " of them known to be durable", append->durable_records);
    fprintf(stderr, ", %.3f s\n", append->seconds);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct append append;
    memset(&append, 0, sizeof append);
    append.input.delimiter = '\n';
    append.when = SYNC_BATCH;
    append.batch = 4096;
    append.first = append.last = STELE_LSN_NONE;
    log_options_init(&append.log_options);
    opts_begin(&opts, self, argc, argv);
    if (parse(&opts, &append) != 0)
        return opts.exit;
    append.self = self;
    int code = append_run(&append, opts.operands[0], opts.operands + 1, opts.count - 1);
    if (append.opened && append.json)
        print_json(&append, code);
    else if (append.opened && !append.quiet)
        print_text(self, &append);
    return out_finish(self, code);
}

const struct command cmd_append = {
    .name = "append",
    .operands = "DIR [FILE...]",
    .operands_min = 1,
    .operands_max = -1,
    .summary = "Append records: the lines of files, or of standard input.",
    .text =
        "Each line is a record, without its newline; a last line without newline is one, too, and an empty "
        "line is "
        "an empty record. FILE '-' is standard input. Everything is durable before the exit status is 0. The "
        "writer lock is held from start to end. The summary goes to standard error.\n\n"
        "SIGINT and SIGTERM end the reading: whole records that had been read are made durable, an "
        "unfinished one "
        "is left out and said so, and the exit status is 130 or 143. A line longer than a record may be is "
        "an "
        "error that names the line (exit status 4); the lines before it are durable. When the reader of "
        "standard "
        "output leaves, appending ends the same way.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4 5 130 143",
    .run = run,
};
