/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_items.h"

#include "format/control.h"
#include "format/mark.h"
#include "format/name.h"
#include "format/record.h"
#include "format/segment.h"

#include <stdlib.h>
#include <string.h>

static void add(struct sim_items *items, struct sim_item item)
{
    if (items->count == items->capacity) {
        items->capacity = items->capacity == 0 ? 1024 : items->capacity * 2;
        items->list = realloc(items->list, items->capacity * sizeof *items->list);
        sim__check(items->list != NULL, "memory for a list");
    }
    items->list[items->count++] = item;
}

void sim_items_free(struct sim_items *items)
{
    free(items->list);
    *items = (struct sim_items){0};
}

static void find_records(struct sim_items *items, struct sim_segment *segment,
                         const struct stele__header *header)
{
    const uint64_t bytes = UINT64_C(1) << header->data_log2;
    struct stele__area area = {.data = segment->file->live + STELE__HEADER_BYTES,
                               .bytes = bytes,
                               .base = header->base,
                               .salt = header->salt,
                               .record_max = stele__record_max(bytes)};
    struct stele__record record;
    for (stele_lsn at = header->base; at < header->base + bytes; at += record.bytes) {
        if (stele__record_check(&area, at, &record) != STELE__RECORD_OK)
            return;
        struct sim_item item = {.kind = SIM_ITEM_RECORD,
                                .segment = items->segment_count,
                                .file = segment->file,
                                .offset = (uint32_t)(STELE__HEADER_BYTES + (at - header->base)),
                                .len = (uint32_t)record.bytes,
                                .lsn = at,
                                .vouch = stele__record_vouches(&record)};
        struct stele__mark mark;
        if (record.wire == STELE__WIRE_PAD)
            item.len = STELE__RECORD_HEADER; /* the rest of it means nothing */
        if (record.wire == STELE__WIRE_MARK && stele__mark_decode(record.payload, record.len, &mark)) {
            item.vouch = mark.durable > item.vouch ? mark.durable : item.vouch;
            item.upto = mark.upto;
        }
        add(items, item);
        segment->holds = true;
    }
}

static void find_segment(struct sim_items *items, struct sim_file *file)
{
    struct stele__header header;
    struct stele__footer footer;
    uint32_t copies;
    sim__check(stele__header_decode(file->live, &header, &copies) == STELE__DECODE_OK && copies == 3,
               "a sound header");
    const uint64_t data_bytes = UINT64_C(1) << header.data_log2;
    const uint32_t at = (uint32_t)stele__footer_offset(data_bytes), number = items->segment_count;
    sim__check(number < SIM_SEGMENTS, "few segments");
    struct sim_segment segment = {.file = file, .base = header.base};
    for (uint32_t copy = 0; copy < 2; copy++)
        add(items, (struct sim_item){.kind = SIM_ITEM_HEADER,
                                     .segment = number,
                                     .file = file,
                                     .offset = copy * STELE__HEADER_COPY,
                                     .len = STELE__HEADER_FIXED + header.metadata_bytes});
    segment.sealed = stele__footer_decode(file->live + at, &footer, &copies) == STELE__DECODE_OK &&
                     stele__footer_fits(&footer, &header);
    if (segment.sealed) {
        for (uint32_t copy = 0; copy < 2; copy++)
            if ((copies >> copy & 1) != 0)
                add(items, (struct sim_item){.kind = SIM_ITEM_FOOTER,
                                             .segment = number,
                                             .file = file,
                                             .offset = at + copy * STELE__FOOTER_COPY,
                                             .len = STELE__FOOTER_FIXED,
                                             .vouch = footer.end});
        add(items, (struct sim_item){.kind = SIM_ITEM_INDEX,
                                     .segment = number,
                                     .file = file,
                                     .offset = (uint32_t)stele__index_offset(data_bytes),
                                     .len = (uint32_t)footer.index_entries * STELE__INDEX_ENTRY});
    }
    find_records(items, &segment, &header);
    items->segments[items->segment_count++] = segment;
}

/* One block of the control file alone. */
static bool block_decodes(const struct sim_file *file, uint32_t offset, struct stele__control *out)
{
    uint8_t pages[2 * STELE__CONTROL_PAGE] = {0};
    uint32_t copies;
    memcpy(pages, file->live + offset, STELE__CONTROL_PAGE);
    return stele__control_decode(pages, out, &copies) == STELE__DECODE_OK;
}

static void find_control(struct sim_items *items, struct sim_file *file)
{
    struct stele__control control;
    for (uint32_t offset = 0; offset < 2 * STELE__CONTROL_PAGE; offset += STELE__CONTROL_PAGE)
        if (block_decodes(file, offset, &control))
            add(items, (struct sim_item){.kind = SIM_ITEM_CONTROL,
                                         .file = file,
                                         .offset = offset,
                                         .len = 128,
                                         .vouch = control.durable});
}

void sim_items_find(struct sim_items *items, struct sim *sim, stele_lsn first)
{
    items->count = items->segment_count = 0;
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        uint64_t sequence;
        stele_lsn base;
        enum stele__name_kind kind =
            file->used ? stele__name_parse(file->name, &sequence, &base) : STELE__NAME_FOREIGN;
        if (kind == STELE__NAME_SEGMENT && base >= first)
            find_segment(items, file);
        else if (kind == STELE__NAME_CONTROL)
            find_control(items, file);
    }
}

static bool changed(struct sim *damaged, const struct sim_file *file, uint64_t offset, uint64_t len)
{
    const struct sim_file *now = sim_find(damaged, file->name);
    return now == NULL || now->bytes != file->bytes ||
           memcmp(now->live + offset, file->live + offset, len) != 0;
}

/* When both header copies are sound and differ, the first one counts: a sector in the wrong place, or of
 * the file's life before this one. */
struct impostor {
    bool foreign; /* of another segment */
    bool renewed; /* of this one, made before */
};

static struct impostor impostor(struct sim *damaged, const struct sim_segment *segment)
{
    const struct sim_file *now = sim_find(damaged, segment->file->name);
    struct stele__header own, header;
    uint32_t copies;
    struct impostor result = {false, false};
    (void)stele__header_decode(segment->file->live, &own, &copies);
    if (now == NULL || stele__header_decode(now->live, &header, &copies) != STELE__DECODE_OK)
        return result;
    result.foreign = header.base != own.base;
    result.renewed = !result.foreign && header.incarnation != own.incarnation;
    return result;
}

/* What is left of a segment. */
struct left {
    uint32_t headers, footers;
    struct impostor other;
    bool readable;
};

static void count_left(const struct sim_items *items, struct sim *damaged, struct left *left)
{
    memset(left, 0, SIM_SEGMENTS * sizeof *left);
    for (size_t i = 0; i < items->count; i++) {
        const struct sim_item *item = &items->list[i];
        if (item->kind != SIM_ITEM_HEADER && item->kind != SIM_ITEM_FOOTER)
            continue;
        uint32_t sound = changed(damaged, item->file, item->offset, item->len) ? 0 : 1;
        if (item->kind == SIM_ITEM_HEADER)
            left[item->segment].headers += sound;
        else
            left[item->segment].footers += sound;
    }
    for (uint32_t i = 0; i < items->segment_count; i++) {
        left[i].other = impostor(damaged, &items->segments[i]);
        left[i].readable = left[i].headers > 0 && !left[i].other.foreign && !left[i].other.renewed;
    }
}

static void judge_item(const struct sim_items *items, const struct sim_item *item, struct sim *damaged,
                       const struct left *left, struct sim_expect *expect)
{
    const bool in_segment = item->kind != SIM_ITEM_CONTROL;
    const bool hurt = changed(damaged, item->file, item->offset, item->len);
    const bool readable = !in_segment || left[item->segment].readable;
    const struct sim_file *now = sim_find(damaged, item->file->name);
    struct stele__control control;
    /* Not told, and no part of the law: a spare is no part of the log yet; of a missing segment with
     * nothing to vouch for its records nobody can know; an earlier control block is as good as the other
     * one was then. */
    const bool spare = in_segment && !items->segments[item->segment].holds;
    const bool old_block = hurt && !in_segment && now != NULL && block_decodes(now, item->offset, &control);
    expect->meant |= hurt && !spare && now != NULL && !old_block;
    if (item->kind == SIM_ITEM_RECORD && (hurt || !readable) && item->lsn < expect->end) {
        expect->end = item->lsn;
        expect->in_sealed = readable && left[item->segment].footers > 0;
    }
    if (!hurt && readable && item->vouch > expect->vouch)
        expect->vouch = item->vouch;
    if (item->kind == SIM_ITEM_CONTROL && !hurt)
        expect->control = false;
}

static bool control_decodes(struct sim *damaged)
{
    const struct sim_file *file = sim_find(damaged, STELE__CONTROL_NAME);
    struct stele__control control;
    uint32_t copies;
    return file != NULL && stele__control_decode(file->live, &control, &copies) == STELE__DECODE_OK;
}

/* Does a segment behind this one still show a record? */
static bool records_behind(const struct sim_items *items, struct sim *damaged, const struct left *left,
                           stele_lsn base)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct sim_item *item = &items->list[i];
        if (item->kind == SIM_ITEM_RECORD && items->segments[item->segment].base > base &&
            left[item->segment].readable && item->len > 8 &&
            !changed(damaged, item->file, item->offset, item->len))
            return true;
    }
    return false;
}

static void judge_segment(const struct sim_items *items, uint32_t number, struct sim *damaged,
                          const struct left *left, struct sim_expect *expect)
{
    const struct sim_segment *segment = &items->segments[number];
    const struct sim_file *now = sim_find(damaged, segment->file->name);
    const uint64_t data_bytes =
        segment->file->bytes - STELE__HEADER_BYTES - 2 * STELE__FOOTER_COPY - SIM_PAGE;
    expect->healed &= left[number].readable;
    if (left[number].readable) {
        expect->meant |=
            left[number].footers > 0 && changed(damaged, segment->file, STELE__HEADER_BYTES, data_bytes);
        return;
    }
    const bool gap =
        now == NULL && expect->end >= segment->base; /* and not behind an end that anybody would believe */
    const bool content = now != NULL && !stele__is_zero(now->live + STELE__HEADER_BYTES, data_bytes);
    const bool told = content || (gap && records_behind(items, damaged, left, segment->base));
    expect->lost |= segment->holds && !left[number].other.renewed && told;
}

struct sim_expect sim_items_judge(const struct sim_items *items, struct sim *damaged)
{
    struct sim_expect expect = {.end = STELE_LSN_NONE, .control = true, .healed = true};
    struct left left[SIM_SEGMENTS];
    count_left(items, damaged, left);
    for (size_t i = 0; i < items->count; i++)
        judge_item(items, &items->list[i], damaged, left, &expect);
    expect.healed = !expect.control && expect.end == STELE_LSN_NONE;
    for (uint32_t i = 0; i < items->segment_count; i++)
        judge_segment(items, i, damaged, left, &expect);
    expect.control = expect.control && !control_decodes(damaged);
    return expect;
}
