/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/small.c: a log of a few records, made by the format's own functions, always the same: two sealed
 * segments that are one PAD for the most part, one in use, one spare. Quick to go through, so that fuzzing
 * gets far; what many records do is left to the golden logs. */
#include "golden.h"

#include "format/chain.h"
#include "format/control.h"
#include "format/mark.h"

#define DATA UINT64_C(65536)
#define LAST 3u /* the spare */
#define START_NS UINT64_C(1700000000000000000)

struct maker {
    uint8_t *file, *data; /* of the segment being made */
    struct stele__header header;
    stele_lsn at;
    uint64_t chain, chain_start, number, first_record;
};

static void publish(struct maker *maker, uint64_t word)
{
    uint8_t *at = maker->data + (maker->at - maker->header.base);
    const uint8_t wire = stele__word_wire(word);
    stele__store64(at, word);
    maker->chain = stele__chain_fold(maker->chain, at, wire == STELE__WIRE_FILL);
    maker->number += stele__wire_is_data(wire) ? 1 : 0;
    maker->at += wire == STELE__WIRE_FILL ? 8 : stele__record_bytes(stele__word_len(word));
}

static void put(struct maker *maker, uint8_t wire, const void *payload, uint32_t len)
{
    uint8_t *at = maker->data + (maker->at - maker->header.base);
    const uint32_t seed = stele__record_seed(maker->header.salt, maker->at);
    publish(maker, stele__record_fill(at, stele__word_pack(len, wire, 1), seed, 0, payload, len));
}

static void put_mark(struct maker *maker)
{
    uint8_t payload[STELE__MARK_BYTES];
    stele__mark_encode(payload, &(struct stele__mark){.upto = maker->at,
                                                      .chain = maker->chain,
                                                      .chain_start = maker->chain_start,
                                                      .record_number = maker->number,
                                                      .time_ns = START_NS + maker->at,
                                                      .durable = maker->at});
    put(maker, STELE__WIRE_MARK, payload, sizeof payload);
}

static void put_pad(struct maker *maker, uint64_t bytes)
{
    uint8_t *at = maker->data + (maker->at - maker->header.base);
    publish(maker, stele__record_pad(at, bytes, 1, stele__record_seed(maker->header.salt, maker->at), 0));
}

static void put_some(struct maker *maker)
{
    put(maker, STELE__WIRE_DATA, "hello", 5);
    put_pad(maker, 8);
    put(maker, STELE__WIRE_USER_FIRST + 6, "write ahead..!", 14);
    put_mark(maker);
    put(maker, STELE__WIRE_USER_LAST, "", 0);
    put(maker, STELE__WIRE_DATA, "left over from before", 21);
}

static void seal(struct maker *maker)
{
    uint8_t *index = maker->file + stele__index_offset(DATA);
    struct stele__footer footer = {.sequence = maker->header.sequence,
                                   .salt = maker->header.salt,
                                   .incarnation = maker->header.incarnation,
                                   .first_record = maker->first_record,
                                   .records = maker->number - maker->first_record,
                                   .chain_start = maker->chain_start,
                                   .first_time_ns = START_NS,
                                   .last_time_ns = START_NS + maker->at,
                                   .index_entries = 1};
    put_pad(maker, maker->header.base + DATA - maker->at);
    footer.end = maker->at;
    footer.chain_end = maker->chain;
    memcpy(footer.uuid, maker->header.uuid, 16);
    stele__store64(index, maker->first_record);
    stele__store64(index + 8, maker->header.base);
    stele__store64(index + 16, START_NS);
    footer.index_hash = stele__hash64(index, STELE__INDEX_ENTRY);
    footer.data_hash = stele__hash64(maker->data, DATA);
    stele__footer_encode(maker->file + stele__footer_offset(DATA), &footer);
}

static struct golden_file *new_file(struct golden_log *log, size_t size)
{
    struct golden_file *file = &log->files[log->count++];
    file->size = size;
    file->data = calloc(1, size);
    if (file->data == NULL)
        abort();
    return file;
}

static void make(struct golden_log *log)
{
    static const uint8_t uuid[16] = "a small log....";
    struct maker maker = {.chain = stele__chain_origin(uuid)};
    for (uint32_t sequence = 0; sequence <= LAST; sequence++) {
        struct golden_file *file = new_file(log, (size_t)stele__segment_file_bytes(DATA));
        (void)snprintf(file->name, sizeof file->name, "%016llx-%016llx.stele", (unsigned long long)sequence,
                       (unsigned long long)(sequence * DATA));
        maker.file = file->data;
        maker.data = file->data + STELE__HEADER_BYTES;
        maker.header = (struct stele__header){.sequence = sequence,
                                              .base = sequence * DATA,
                                              .created_ns = START_NS,
                                              .salt = stele__salt(uuid, sequence + 1),
                                              .incarnation = sequence + 1,
                                              .data_log2 = 16};
        memcpy(maker.header.uuid, uuid, sizeof uuid);
        stele__header_encode(file->data, &maker.header);
        maker.chain_start = maker.chain;
        maker.first_record = maker.number;
        maker.at = maker.header.base;
        if (sequence < LAST)
            put_some(&maker);
        if (sequence + 1 < LAST)
            seal(&maker);
        else if (sequence < LAST)
            put_mark(&maker);
    }
    struct stele__control control = {.first_chain = stele__chain_origin(uuid),
                                     .durable = 2 * DATA,
                                     .created_ns = START_NS,
                                     .incarnation = LAST + 1,
                                     .data_log2 = 16};
    memcpy(control.uuid, uuid, sizeof uuid);
    struct golden_file *file = new_file(log, STELE__CONTROL_BYTES);
    (void)snprintf(file->name, sizeof file->name, "control");
    for (control.generation = 1; control.generation <= 2; control.generation++)
        stele__control_encode(file->data + (control.generation - 1) * STELE__CONTROL_PAGE, &control);
}

const struct golden_log *golden_small(void)
{
    static struct golden_log log;
    if (log.count == 0)
        make(&log);
    return &log;
}
