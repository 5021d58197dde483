/* SPDX-License-Identifier: BSD-3-Clause */
/* core/inspect_segment.c: show what stands in one segment file, as it stands there. Judges nothing, believes
 * nothing: sizes come from a header that validated, records are checked one by one, and a file that was cut
 * short is read as far as it goes. Beside a live writer it shows one moment of the segment. */
#include "core/inspect.h"

#include "base/error.h"
#include "format/mark.h"
#include "os/file.h"
#include "os/view.h"

#include <errno.h>

static struct stele_item blank(const struct stele__inspection *in, enum stele_item_kind kind, uint64_t offset)
{
    struct stele_item item = {.kind = kind, .segment = in->segment, .offset = offset, .lsn = STELE_LSN_NONE};
    item.sequence = in->header.sequence;
    item.salt = in->header.salt;
    item.incarnation = in->header.incarnation;
    item.upto_lsn = item.durable_lsn = STELE_LSN_NONE;
    memcpy(item.uuid, in->header.uuid, sizeof item.uuid);
    return item;
}

static int show_invalid(const struct stele__inspection *in, uint64_t offset, stele_lsn lsn,
                        const char *detail)
{
    struct stele_item item = blank(in, STELE_ITEM_INVALID, offset);
    item.lsn = lsn;
    item.detail = detail;
    return in->fn(in->ctx, &item);
}

static int show_header(const struct stele__inspection *in, uint32_t copies)
{
    struct stele_item item = blank(in, STELE_ITEM_HEADER, 0);
    item.lsn = in->header.base;
    item.created_ns = in->header.created_ns;
    item.valid_copies = copies;
    item.metadata_bytes = in->header.metadata_bytes;
    item.data = in->header.metadata;
    return in->fn(in->ctx, &item);
}

static int show_record(const struct stele__inspection *in, const struct stele__record *record)
{
    struct stele_item item =
        blank(in, STELE_ITEM_RECORD, STELE__HEADER_BYTES + (record->lsn - in->header.base));
    struct stele__mark mark;
    item.lsn = record->lsn;
    item.len = record->len;
    item.wire_type = record->wire;
    item.epoch = record->epoch;
    item.crc = record->crc;
    item.dback = record->dback;
    item.data = record->payload;
    if (stele__wire_is_data(record->wire)) {
        item.type = stele__type_of_wire(record->wire);
    } else if (record->wire == STELE__WIRE_MARK) {
        item.kind = STELE_ITEM_MARK;
        if (!stele__mark_decode(record->payload, record->len, &mark)) {
            item.detail = "the mark's fields are out of range";
        } else {
            item.upto_lsn = mark.upto;
            item.durable_lsn = mark.durable;
            item.chain = mark.chain;
            item.chain_start = mark.chain_start;
            item.record_number = mark.record_number;
            item.time_ns = mark.time_ns;
        }
    } else {
        item.kind = STELE_ITEM_PAD;
        item.data = NULL; /* whatever stands there means nothing */
    }
    return in->fn(in->ctx, &item);
}

/* A slot somebody was filling: its length is checked like a record's, so what follows can be found. */
static int show_reserved(const struct stele__inspection *in, const struct stele__area *area, stele_lsn lsn,
                         uint64_t *bytes)
{
    uint64_t word = stele__load64(area->data + (lsn - area->base));
    struct stele_item item = blank(in, STELE_ITEM_RESERVED, STELE__HEADER_BYTES + (lsn - area->base));
    item.lsn = lsn;
    item.len = stele__word_len(word);
    item.wire_type = stele__word_wire(word);
    item.epoch = stele__word_epoch(word);
    *bytes = stele__record_bytes(item.len);
    bool possible = item.len <= area->record_max && *bytes <= area->base + area->bytes - lsn;
    if (!possible)
        return show_invalid(in, item.offset, lsn, "a reserved slot of impossible length");
    return in->fn(in->ctx, &item);
}

/* Every record until the first place where none stands. Zeroes to the end of the area are no finding. */
static int show_records(const struct stele__inspection *in, const struct stele__area *area)
{
    struct stele__record record;
    const stele_lsn end = area->base + area->bytes;
    for (stele_lsn lsn = area->base; lsn < end;) {
        enum stele__check check = stele__record_check(area, lsn, &record);
        uint64_t bytes = 0;
        int rc;
        if (check == STELE__RECORD_OK) {
            rc = show_record(in, &record);
            bytes = record.bytes;
        } else if (check == STELE__RECORD_IS_RESERVED) {
            rc = show_reserved(in, area, lsn, &bytes);
            if (bytes > end - lsn)
                return rc;
        } else if (check == STELE__RECORD_IS_FREE &&
                   stele__is_zero(area->data + (lsn - area->base), end - lsn)) {
            return 0;
        } else {
            return show_invalid(in, STELE__HEADER_BYTES + (lsn - area->base), lsn, stele__check_name(check));
        }
        if (rc != 0)
            return rc;
        lsn += bytes;
    }
    return 0;
}

int stele__inspect_fail(const struct stele__inspection *in, int err)
{
    if (err == -ENOMEM)
        return stele__fail(STELE_ENOMEM, "%s: no memory for the image of a segment", in->path);
    return stele__fail_errno(-err, "%s: %s: cannot read it", in->path, in->segment);
}

static int show_data(const struct stele__inspection *in)
{
    const uint64_t data_bytes = UINT64_C(1) << in->header.data_log2;
    /* What the file does not have is not there: cut short, the area ends at the last whole word. */
    uint64_t have = in->file_bytes > STELE__HEADER_BYTES ? in->file_bytes - STELE__HEADER_BYTES : 0;
    have = stele__align_down(stele__min_u64(have, data_bytes), 8);
    if (have == 0)
        return show_invalid(in, in->file_bytes, STELE_LSN_NONE, "the file ends behind its header");
    uint8_t *image = stele__image_alloc(have);
    if (image == NULL)
        return stele__inspect_fail(in, -ENOMEM);
    const struct stele__area area = {.data = image,
                                     .bytes = have,
                                     .base = in->header.base,
                                     .salt = in->header.salt,
                                     .record_max = stele__record_max(data_bytes)};
    int rc = stele__file_read(in->fd, image, have, STELE__HEADER_BYTES);
    rc = rc != 0 ? stele__inspect_fail(in, rc) : show_records(in, &area);
    stele__image_free(image, have);
    if (rc == 0 && in->file_bytes < stele__segment_file_bytes(data_bytes))
        rc = show_invalid(in, in->file_bytes, STELE_LSN_NONE, "the file ends before the segment does");
    return rc;
}

static int show_footer(const struct stele__inspection *in)
{
    const uint64_t offset = stele__footer_offset(UINT64_C(1) << in->header.data_log2);
    uint8_t pages[2 * STELE__FOOTER_COPY];
    struct stele__footer footer;
    uint32_t copies;
    if (in->file_bytes < offset + sizeof pages)
        return 0;
    int rc = stele__file_read(in->fd, pages, sizeof pages, offset);
    if (rc != 0)
        return stele__inspect_fail(in, rc);
    if (stele__is_zero(pages, sizeof pages))
        return 0; /* not sealed */
    enum stele__decode result = stele__footer_decode(pages, &footer, &copies);
    if (result != STELE__DECODE_OK)
        return show_invalid(in, offset, STELE_LSN_NONE, stele__decode_name(result));
    struct stele_item item = blank(in, STELE_ITEM_FOOTER, offset);
    memcpy(item.uuid, footer.uuid, sizeof item.uuid);
    item.sequence = footer.sequence;
    item.salt = footer.salt;
    item.incarnation = footer.incarnation;
    item.valid_copies = copies;
    item.lsn = footer.end;
    item.chain = footer.chain_end;
    item.chain_start = footer.chain_start;
    item.record_number = footer.first_record;
    item.records = footer.records;
    item.time_ns = footer.last_time_ns;
    item.index_entries = footer.index_entries;
    item.data_hash = footer.data_hash;
    if (!stele__footer_fits(&footer, &in->header))
        item.detail = "the footer does not belong to the header of this file";
    return in->fn(in->ctx, &item);
}

/* `*header`: what decoding it said; anything but OK: nothing else of the file can be shown. */
int stele__inspect_segment(struct stele__inspection *in, enum stele__decode *header)
{
    uint8_t page[STELE__HEADER_BYTES];
    uint32_t copies = 0;
    *header = STELE__DECODE_MAGIC;
    memset(&in->header, 0, sizeof in->header);
    int rc = stele__file_size(in->fd, &in->file_bytes, NULL);
    if (rc == 0)
        rc = stele__file_read(in->fd, page, sizeof page, 0);
    if (rc == -ENODATA)
        return show_invalid(in, 0, STELE_LSN_NONE, "the file is shorter than a segment's header");
    if (rc != 0)
        return stele__inspect_fail(in, rc);
    *header = stele__header_decode(page, &in->header, &copies);
    if (*header != STELE__DECODE_OK) {
        memset(&in->header, 0, sizeof in->header);
        return show_invalid(in, 0, STELE_LSN_NONE, stele__decode_name(*header));
    }
    rc = show_header(in, copies);
    if (rc == 0)
        rc = show_data(in);
    return rc != 0 ? rc : show_footer(in);
}
