/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/change.c: single changes to a log: damage as media and people do it, and forgeries that leave
 * every checksum right, which damage does not. */
#include "image.h"

#include "format/chain.h"
#include "format/control.h"
#include "format/mark.h"
#include "format/name.h"

#define SIZE_LOG2_MAX 20u /* larger segments than our files could fill cost only time and memory */

enum what {
    FLIP,
    STORE,
    ZERO,
    FILL,
    COPY,
    COPY_GOLDEN,
    RESIZE,
    REMOVE,
    RENAME,
    DUPLICATE,
    ADD_FOREIGN,
    FORGE_RECORD,
    FIX_RECORD,
    FIX_HEADER,
    FIX_FOOTER,
    FIX_CONTROL,
    FIX_CHAIN,
    STORE_CONTROL,
    WHATS
};

enum place {
    ANYWHERE,
    HEADER_A,
    HEADER_B,
    RECORD,
    FOOTER_A,
    FOOTER_B,
    INDEX,
    BLOCK_A,
    BLOCK_B,
    LIVE,
    RECORD_END, /* where the next record would be */
    PLACES
};

struct change {
    uint8_t what, file, place, arg;
    uint32_t a;
    uint64_t b;
};

static void own(struct image_file *file)
{
    if (file->owned)
        return;
    uint8_t *copy = calloc(1, IMAGE_FILE_BYTES_MAX);
    if (copy == NULL)
        abort();
    memcpy(copy, file->data, file->size);
    file->data = copy;
    file->owned = true;
}

/* Start of record number `number` (modulo how many there are), or of the place behind the last one. */
static size_t record_at(const struct image_file *file, uint64_t number, bool end)
{
    struct stele__area area;
    struct stele__record record;
    if (!image_area(file, &area))
        return 0;
    uint64_t count = 0;
    stele_lsn lsn = area.base;
    const stele_lsn stop = area.base + area.bytes;
    for (; lsn < stop && stele__record_check(&area, lsn, &record) == STELE__RECORD_OK; lsn += record.bytes)
        count++;
    if (!end && count > 0) {
        number %= count;
        for (lsn = area.base; number > 0; number--) {
            (void)stele__record_check(&area, lsn, &record);
            lsn += record.bytes;
        }
    }
    return STELE__HEADER_BYTES + (size_t)(lsn - area.base);
}

static size_t place_of(const struct image_file *file, const struct change *change)
{
    const size_t near = change->a % 136, footer = (size_t)stele__footer_offset(IMAGE_DATA);
    size_t at = change->a;
    switch (change->place % PLACES) {
    case HEADER_A: at = near; break;
    case HEADER_B: at = STELE__HEADER_COPY + near; break;
    case RECORD: at = record_at(file, change->a >> 6, false) + change->a % 64; break;
    case RECORD_END: at = record_at(file, 0, true) + (change->a % 512) * 8; break;
    case FOOTER_A: at = footer + near; break;
    case FOOTER_B: at = footer + STELE__FOOTER_COPY + near; break;
    case INDEX: at = (size_t)stele__index_offset(IMAGE_DATA) + near; break;
    case BLOCK_A: at = near; break;
    case BLOCK_B: at = STELE__CONTROL_PAGE + near; break;
    case LIVE: at = STELE__CONTROL_LIVE + near; break;
    default: break;
    }
    return file->size > 0 ? at % file->size : 0;
}

static void fix_record(struct image_file *file, size_t at)
{
    struct stele__area area;
    if (!image_area(file, &area) || at < STELE__HEADER_BYTES)
        return;
    uint64_t offset = stele__align_down(at - STELE__HEADER_BYTES, 8);
    if (offset + 16 > area.bytes || STELE__HEADER_BYTES + offset + 16 > file->size)
        return;
    uint8_t *record = file->data + STELE__HEADER_BYTES + offset, second[8] = {0};
    const uint64_t len = stele__load32(record),
                   covered = record[4] == STELE__WIRE_PAD ? 0 : stele__align_up(len, 8);
    record[7] = 0;
    uint32_t c = stele__crc32c(stele__record_seed(area.salt, area.base + offset), record, 8);
    record[7] = (uint8_t)(c >> 24);
    if (record[4] == STELE__WIRE_FILL || 16 + covered > area.bytes - offset)
        return;
    memcpy(second + 4, record + 12, 4);
    c = stele__crc32c(c, second, 8);
    stele__store32(record + 8, stele__crc32c(c, record + 16, (size_t)covered));
}

static void fix_header(struct image_file *file, uint8_t arg)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *copy = file->data + i * STELE__HEADER_COPY;
        if (file->size < STELE__HEADER_BYTES || (arg & (1u << i)) != 0)
            continue;
        if (copy[80] > SIZE_LOG2_MAX)
            copy[80] = 16;
        uint32_t more = stele__load32(copy + 84), crc = stele__crc32c(0, copy, 124);
        if (more <= STELE_METADATA_MAX)
            stele__store32(copy + 124, stele__crc32c(crc, copy + STELE__HEADER_FIXED, more));
    }
}

static void fix_blocks(struct image_file *file, size_t first, size_t distance, uint8_t arg)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t at = first + i * distance;
        if (at + 128 > file->size || (arg & (1u << i)) != 0)
            continue;
        if (first == 0 && file->data[at + 12] > SIZE_LOG2_MAX)
            file->data[at + 12] = 16;
        stele__store32(file->data + at + 124, stele__crc32c(0, file->data + at, 124));
    }
}

static struct image_file *find(struct image *image, const char *name)
{
    for (unsigned i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    return NULL;
}

/* One segment: true marks, and a footer that fits, if there is one. */
static void fix_segment(struct image_file *file, uint64_t *chain, uint64_t *number)
{
    struct stele__area area;
    struct stele__record record;
    if (!image_area(file, &area))
        return;
    own(file);
    (void)image_area(file, &area);
    const uint64_t start = *chain, first = *number;
    stele_lsn lsn = area.base;
    for (; lsn < area.base + area.bytes; lsn += record.bytes) {
        uint8_t *at = file->data + STELE__HEADER_BYTES + (lsn - area.base);
        struct stele__mark mark;
        if (stele__record_check(&area, lsn, &record) != STELE__RECORD_OK ||
            (size_t)(at - file->data) + record.bytes > file->size)
            break;
        if (record.wire == STELE__WIRE_MARK && stele__mark_decode(record.payload, record.len, &mark)) {
            mark.upto = lsn;
            mark.chain = *chain;
            mark.chain_start = start;
            mark.record_number = *number;
            stele__mark_encode(at + 16, &mark);
            fix_record(file, (size_t)(at - file->data));
        }
        *chain = stele__chain_fold(*chain, at, record.wire == STELE__WIRE_FILL);
        *number += stele__wire_is_data(record.wire) ? 1 : 0;
    }
    const size_t footer = (size_t)stele__footer_offset(IMAGE_DATA),
                 index = (size_t)stele__index_offset(IMAGE_DATA);
    if (file->size != stele__segment_file_bytes(IMAGE_DATA) || stele__is_zero(file->data + footer, 128))
        return;
    uint8_t *at = file->data + footer;
    uint64_t entries = stele__min_u64(stele__load64(at + 96), stele__index_capacity(IMAGE_DATA));
    stele__store64(at + 48, first);
    stele__store64(at + 56, *number - first);
    stele__store64(at + 64, start);
    stele__store64(at + 72, *chain);
    stele__store64(at + 104, stele__hash64(file->data + index, (size_t)(entries * STELE__INDEX_ENTRY)));
    stele__store64(at + 112, stele__hash64(area.data, (size_t)area.bytes));
    memcpy(at + STELE__FOOTER_COPY, at, STELE__FOOTER_FIXED);
    fix_blocks(file, footer, STELE__FOOTER_COPY, 0);
}

/* Make the whole log tell one story, from what the control file says about its beginning. */
static void fix_chain(struct image *image)
{
    struct stele__control control;
    struct image_file *file = find(image, STELE__CONTROL_NAME);
    uint32_t copies;
    if (file == NULL || file->size < (size_t)2 * STELE__CONTROL_PAGE ||
        stele__control_decode(file->data, &control, &copies) != STELE__DECODE_OK)
        return;
    uint64_t chain = control.first_chain, number = control.first_record;
    for (uint64_t i = 0; i < IMAGE_FILES; i++) {
        char name[STELE__NAME_MAX];
        const uint64_t sequence = control.first_sequence + i;
        stele__name_segment(name, sequence, sequence << control.data_log2);
        if ((file = find(image, name)) != NULL && !file->directory)
            fix_segment(file, &chain, &number);
    }
}

static void new_name(const struct image *image, const struct change *change, const char *old, char out[64])
{
    static const char *const foreign[] = {"notes", "lost+found", "spare-0000000000000007.stele.tmp",
                                          "control"};
    uint64_t sequence = 0;
    stele_lsn base = 0;
    if (stele__name_parse(old, &sequence, &base) == STELE__NAME_FOREIGN)
        sequence = change->b >> 8;
    sequence += (uint64_t)(int64_t)(int8_t)change->b;
    sequence &= (UINT64_C(1) << 47) - 1;
    base = (sequence << 16) + ((change->arg & 8) != 0 ? change->b & 0xffffff : 0);
    char name[64];
    switch (change->arg % 4) {
    case 0:
    case 1: stele__name_segment(name, sequence, base); break;
    case 2: stele__name_broken(name, sequence, base); break;
    default: (void)snprintf(name, sizeof name, "%s", foreign[change->b % 4]); break;
    }
    out[0] = '\0';
    for (unsigned i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return; /* taken */
    (void)snprintf(out, 64, "%s", name);
}

static void store_at(struct image_file *file, size_t at, const void *bytes, size_t len)
{
    if (at < file->size)
        memcpy(file->data + at, bytes, len < file->size - at ? len : file->size - at);
}

static void copy(struct image_file *file, size_t at, const uint8_t *from, size_t size,
                 const struct change *change)
{
    size_t begin = (change->b >> 8) % (size + 1), len = (size_t)change->arg * 64 + 8;
    if ((change->b & 0x80) != 0) /* the same place in the other file */
        begin = at < size ? at : size;
    len = len < size - begin ? len : size - begin;
    len = len < file->size - at ? len : file->size - at;
    memmove(file->data + at, from + begin, len);
}

static void forge(struct image_file *file, size_t at, const struct change *change)
{
    at = (size_t)stele__align_down(at, 8);
    if (at + 16 > file->size)
        return;
    stele__store64(file->data + at,
                   stele__word_pack((uint32_t)(change->b >> 32) % 512, change->arg, (uint16_t)change->b));
    stele__store32(file->data + at + 12, (uint32_t)(change->b >> 16) & 0xffff);
    fix_record(file, at);
}

/* Changes to the list of files. */
static void change_names(struct image *image, struct image_file *file, const struct change *change)
{
    char name[64];
    if (change->what == REMOVE) {
        if (file->owned)
            free(file->data);
        *file = image->files[--image->count];
        return;
    }
    new_name(image, change, file->name, name);
    if (name[0] == '\0' || (change->what != RENAME && image->count == IMAGE_FILES))
        return;
    struct image_file *to = file;
    if (change->what != RENAME) {
        to = &image->files[image->count++];
        memset(to, 0, sizeof *to);
        to->data = file->data;
        to->size = file->size;
        to->directory = file->directory || (change->what == ADD_FOREIGN && (change->a & 1) != 0);
        if (change->what == ADD_FOREIGN)
            to->size = 0;
        own(to);
    }
    memcpy(to->name, name, sizeof name);
}

void image_change(struct image *image, struct fuzz_in *in)
{
    struct change change = {fuzz_u8(in) % WHATS, fuzz_u8(in), fuzz_u8(in), fuzz_u8(in), 0, 0};
    change.a = fuzz_u32(in);
    change.b = fuzz_u64(in);
    if (image->count == 0)
        return;
    struct image_file *file = &image->files[change.file % image->count];
    if (change.what == STORE_CONTROL && (file = find(image, STELE__CONTROL_NAME)) == NULL)
        return;
    if (change.what >= REMOVE && change.what <= ADD_FOREIGN) {
        change_names(image, file, &change);
        return;
    }
    if (change.what == FIX_CHAIN) {
        fix_chain(image);
        return;
    }
    if (file->directory)
        return;
    own(file);
    const size_t at = place_of(file, &change);
    const size_t left = file->size - at;
    uint8_t bytes[8];
    stele__store64(bytes, change.b);
    const struct image_file *other = &image->files[change.b % image->count];
    const struct golden_log *log = golden_log(change.arg & 7);
    const struct golden_file *golden = log->count > 0 ? &log->files[change.b % log->count] : NULL;
    switch ((enum what)change.what) {
    case FLIP:
        store_at(file, at,
                 &(uint8_t){(uint8_t)(file->size > 0 ? file->data[at] ^ (1u << change.arg % 8) : 0)}, 1);
        break;
    case STORE: store_at(file, at, bytes, change.arg % 8 + 1u); break;
    case ZERO: memset(file->data + at, 0, change.b % 8192 < left ? change.b % 8192 : left); break;
    case FILL: memset(file->data + at, (int)(change.b & 0xff), change.arg < left ? change.arg : left); break;
    case COPY: copy(file, at, other->data, other->directory ? 0 : other->size, &change); break;
    case COPY_GOLDEN: copy(file, at, golden->data, golden->size, &change); break;
    case RESIZE:
        change.b %= (change.arg & 1) != 0 ? IMAGE_FILE_BYTES_MAX : file->size + 4097;
        if (change.b < file->size)
            memset(file->data + change.b, 0, file->size - change.b);
        file->size = change.b;
        break;
    case FORGE_RECORD: forge(file, at, &change); break;
    case FIX_RECORD: fix_record(file, at); break;
    case FIX_HEADER: fix_header(file, change.arg); break;
    case FIX_FOOTER:
        fix_blocks(file, (size_t)stele__footer_offset(IMAGE_DATA), STELE__FOOTER_COPY, change.arg);
        break;
    case STORE_CONTROL:
        store_at(file, at, bytes, change.arg % 8 + 1u);
        fix_blocks(file, 0, STELE__CONTROL_PAGE, 0);
        break;
    case FIX_CONTROL: fix_blocks(file, 0, STELE__CONTROL_PAGE, change.arg); break;
    default: break;
    }
}
