/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_dump.c: stele dump. */
#include "encode.h"
#include "json.h"
#include "opts.h"
#include "out.h"
#include "progress.h"
#include "sizes.h"

#include <inttypes.h>
#include <stdlib.h>

#define PREVIEW_BYTES 32u /* of a payload in a line of text */

static const struct opt options[] = {
    {OPT_FLAG(OPT_JSON, "json", "One JSON object a line, with the payload of records.")},
    {OPT_ROW_END},
};

static const struct example examples[] = {
    {"stele dump /var/lib/app/log | less", "Look at the structure of a log."},
    {"stele dump 0000000000000002-0000000008000000.stele",
     "The same of one segment, wherever it was copied to."},
    {NULL, NULL},
};

static const char *kind_name(enum stele_item_kind kind)
{
    static const char *const names[] = {"unknown", "header",   "record",  "pad",
                                        "mark",    "reserved", "invalid", "footer"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : names[0];
}

static void json_record(struct json *json, const struct stele_item *item)
{
    json_number(json, "length", item->len);
    json_number(json, "wire_type", item->wire_type);
    json_number(json, "type", item->type);
    json_number(json, "epoch", item->epoch);
    json_number(json, "crc", item->crc);
    json_number(json, "dback", item->dback);
}

static void json_uuid(struct json *json, const struct stele_item *item)
{
    char uuid[UUID_TEXT];
    json_text(json, "uuid", uuid_text(uuid, item->uuid));
    json_number(json, "sequence", item->sequence);
    json_number(json, "valid_copies", item->valid_copies);
}

static void json_chain(struct json *json, const struct stele_item *item)
{
    json_hex(json, "chain_start", item->chain_start);
    json_hex(json, "chain", item->chain);
    json_number(json, "record_number", item->record_number);
    json_number(json, "time_ns", item->time_ns);
}

static void print_json(const struct stele_item *item)
{
    struct json json;
    json_begin(&json, "stele.dump/1");
    json_text(&json, "kind", kind_name(item->kind));
    json_text(&json, "segment", item->segment);
    json_number(&json, "offset", item->offset);
    json_lsn(&json, "lsn", item->lsn);
    switch (item->kind) {
    case STELE_ITEM_HEADER:
        json_uuid(&json, item);
        json_number(&json, "salt", item->salt);
        json_number(&json, "incarnation", item->incarnation);
        json_number(&json, "created_ns", item->created_ns);
        json_open(&json, "metadata", '{');
        json_bytes(&json, item->data, item->metadata_bytes);
        json_close(&json, '}');
        break;
    case STELE_ITEM_FOOTER:
        json_uuid(&json, item);
        json_chain(&json, item);
        json_number(&json, "records", item->records);
        json_number(&json, "index_entries", item->index_entries);
        json_hex(&json, "data_hash", item->data_hash);
        break;
    case STELE_ITEM_MARK:
        json_record(&json, item);
        json_lsn(&json, "upto_lsn", item->upto_lsn);
        json_lsn(&json, "durable_lsn", item->durable_lsn);
        json_chain(&json, item);
        break;
    case STELE_ITEM_RECORD:
        json_record(&json, item);
        json_bytes(&json, item->data, item->len);
        break;
    case STELE_ITEM_INVALID: json_text(&json, "detail", item->detail ? item->detail : ""); break;
    default: json_record(&json, item); break;
    }
    json_end(&json);
}

static void text_record(const struct stele_item *item)
{
    out_printf(" type %u len %" PRIu32 " epoch %" PRIu32 " crc %08" PRIx32 " dback %" PRIu32, item->type,
               item->len, item->epoch, item->crc, item->dback);
}

static void text_chain(const struct stele_item *item)
{
    char time[SIZES_TEXT];
    out_printf(" chain %016" PRIx64 "..%016" PRIx64 " record %" PRIu64 " time %s", item->chain_start,
               item->chain, item->record_number, time_text(time, item->time_ns));
}

/* "A and B", "A only", ...: which of two copies were readable. */
static const char *copies(uint32_t valid)
{
    static const char *const names[] = {"no valid copy", "copy A only", "copy B only", "copies A and B"};
    return names[valid & 3];
}

static void print_text(const struct stele_item *item)
{
    char uuid[UUID_TEXT], time[SIZES_TEXT];
    if (item->kind == STELE_ITEM_HEADER) {
        out_text(item->segment);
        out_char('\n');
    }
    out_printf("%10" PRIu64 " ", item->offset);
    if (item->lsn == STELE_LSN_NONE)
        out_printf("%16s %-8s", "-", kind_name(item->kind));
    else
        out_printf("%16" PRIu64 " %-8s", item->lsn, kind_name(item->kind));
    switch (item->kind) {
    case STELE_ITEM_HEADER:
        out_printf(" uuid %s sequence %" PRIu64 " salt %08" PRIx32 " incarnation %" PRIu32 " created %s, %s",
                   uuid_text(uuid, item->uuid), item->sequence, item->salt, item->incarnation,
                   time_text(time, item->created_ns), copies(item->valid_copies));
        if (item->metadata_bytes > 0) {
            out_text(" metadata ");
            encode_preview(item->data, item->metadata_bytes, PREVIEW_BYTES);
        }
        break;
    case STELE_ITEM_FOOTER:
        out_printf(" records %" PRIu64, item->records);
        text_chain(item);
        out_printf(" index %" PRIu64 " hash %016" PRIx64 ", %s", item->index_entries, item->data_hash,
                   copies(item->valid_copies));
        break;
    case STELE_ITEM_MARK:
        text_record(item);
        out_printf(" upto %" PRIu64 " durable %" PRIu64, item->upto_lsn, item->durable_lsn);
        text_chain(item);
        break;
    case STELE_ITEM_RECORD:
        text_record(item);
        out_char(' ');
        encode_preview(item->data, item->len, PREVIEW_BYTES);
        break;
    case STELE_ITEM_INVALID: out_printf(" %s", item->detail ? item->detail : ""); break;
    default: text_record(item); break;
    }
    out_char('\n');
}

struct dump {
    int as_json;
    uint64_t items;
    stele_lsn first; /* of the item shown first; later ones measure the progress from there */
    struct progress progress;
};

static int show(void *ctx, const struct stele_item *item)
{
    struct dump *dump = ctx;
    if (dump->as_json)
        print_json(item);
    else
        print_text(item);
    if (dump->items++ == 0)
        dump->first = item->lsn;
    if ((dump->items & 1023) == 0 && item->lsn != STELE_LSN_NONE && item->lsn > dump->first)
        progress_update(&dump->progress, item->lsn - dump->first);
    return out_error(); /* nobody reads any more, or the disk is full: stop */
}

static int run(const struct command *self, int argc, char **argv)
{
    struct opts opts;
    struct dump dump = {.as_json = 0};
    int id = 0;
    opts_begin(&opts, self, argc, argv);
    while ((id = opts_next(&opts)) > 0)
        dump.as_json = 1;
    if (id < 0)
        return opts.exit;
    if (!dump.as_json)
        out_printf("%10s %16s %s\n", "offset", "lsn", "what");
    progress_begin(&dump.progress, 0, 1);
    int code = stele_inspect(opts.operands[0], show, &dump);
    progress_end(&dump.progress);
    return out_finish(self, code < 0 ? tool_fail(self, code) : TOOL_FINE);
}

const struct command cmd_dump = {
    .name = "dump",
    .operands = "DIR-or-SEGMENT",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "Print headers, records, marks and seals as they are found.",
    .text =
        "Shows structure and judges nothing: offset in the file, LSN, kind, type, length, epoch, checksum, "
        "and of a "
        "record the first bytes. Read-only, on a live log too, and on a single segment that was copied away.",
    .options = options,
    .examples = examples,
    .exits = "0 2 3 4",
    .run = run,
};
