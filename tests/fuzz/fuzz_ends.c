/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_ends.c: what frames the records: segment header, footer, mark, control block, and file
 * names. Any bytes decode to what encodes to the same again, and what counts keeps to the ranges of
 * docs/format.md.
 *
 *     kind 1 | flags 1 | bytes of copy A | the same for copy B, from flags' bit 2 on its own
 *     5      | a file name */
#include "names.h"

#include "format/chain.h"
#include "format/control.h"
#include "format/mark.h"

enum { FIX_A = 1, FIX_B = 2, OWN_B = 4, FIX_MAGIC = 8 };
#define CRC_AT 124u

struct pair {
    uint8_t flags;
    size_t copy, count; /* distance of the copies, and how many bytes of each the input gives */
    const char *magic;
};

/* Two copies, `pair->copy` apart, from the input; with checksums and magic put right where asked. */
static void fill(struct fuzz_in *in, const struct pair *pair, uint8_t *out, bool metadata)
{
    memset(out, 0, 2 * pair->copy);
    fuzz_take(in, out, pair->count);
    if ((pair->flags & OWN_B) != 0)
        fuzz_take(in, out + pair->copy, pair->count);
    else
        memcpy(out + pair->copy, out, pair->count);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *copy = out + i * pair->copy;
        if ((pair->flags & FIX_MAGIC) != 0)
            memcpy(copy, pair->magic, 8);
        if ((pair->flags & (i == 0 ? FIX_A : FIX_B)) == 0)
            continue;
        uint32_t crc = fuzz_crc32c(0, copy, CRC_AT), more = metadata ? stele__load32(copy + 84) : 0;
        if (more <= STELE_METADATA_MAX)
            crc = fuzz_crc32c(crc, copy + STELE__HEADER_FIXED, more);
        stele__store32(copy + CRC_AT, crc);
    }
}

static void header_fits(const struct stele__header *header)
{
    FUZZ_CHECK(header->data_log2 >= 16 && header->data_log2 <= 32);
    FUZZ_CHECK(header->sequence < UINT64_C(1) << (63 - header->data_log2));
    FUZZ_CHECK(header->base == header->sequence << header->data_log2);
    FUZZ_CHECK(header->metadata_bytes <= STELE_METADATA_MAX && header->incompat == 0);
}

static bool header(struct fuzz_in *in, uint8_t flags, struct stele__header *out)
{
    uint8_t page[STELE__HEADER_BYTES], again[STELE__HEADER_BYTES];
    struct stele__header other;
    uint32_t copies, copies_again;
    const struct pair pair = {flags, STELE__HEADER_COPY, 128 + 32, "STELESEG"};
    fill(in, &pair, page, true);
    enum stele__decode result = stele__header_decode(page, out, &copies);
    FUZZ_CHECK(stele__decode_name(result) != NULL);
    FUZZ_CHECK(result != STELE__DECODE_OK || (copies >= 1 && copies <= 3));
    if (result != STELE__DECODE_OK)
        return false;
    header_fits(out);
    stele__header_encode(again, out);
    FUZZ_CHECK(stele__header_decode(again, &other, &copies_again) == STELE__DECODE_OK && copies_again == 3);
    FUZZ_CHECK(memcmp(out, &other, sizeof other) == 0);
    return true;
}

static void footer(struct fuzz_in *in, uint8_t flags, const struct stele__header *header)
{
    uint8_t pages[2 * STELE__FOOTER_COPY], again[2 * STELE__FOOTER_COPY];
    struct stele__footer footer, other;
    uint32_t copies, copies_again;
    const struct pair pair = {flags, STELE__FOOTER_COPY, 128, "STELEEND"};
    fill(in, &pair, pages, false);
    if (header != NULL) { /* identity is not what is looked for here */
        for (size_t copy = 0; copy < sizeof pages; copy += STELE__FOOTER_COPY) {
            memcpy(pages + copy + 8, header->uuid, 16);
            stele__store64(pages + copy + 24, header->sequence);
            stele__store32(pages + copy + 32, header->salt);
            stele__store32(pages + copy + 36, header->incarnation);
            stele__store32(pages + copy + CRC_AT, fuzz_crc32c(0, pages + copy, CRC_AT));
        }
        if (!stele__footer_find(pages, header, &footer, &copies))
            return;
        FUZZ_CHECK(copies >= 1 && copies <= 3 && stele__footer_fits(&footer, header));
        FUZZ_CHECK(footer.end == header->base + (UINT64_C(1) << header->data_log2));
        FUZZ_CHECK(footer.records <= (UINT64_C(1) << header->data_log2) / 16);
        FUZZ_CHECK(footer.records <= UINT64_MAX - footer.first_record);
        FUZZ_CHECK(footer.index_entries <= stele__index_capacity(UINT64_C(1) << header->data_log2));
    } else if (stele__footer_decode(pages, &footer, &copies) != STELE__DECODE_OK) {
        return;
    }
    stele__footer_encode(again, &footer);
    FUZZ_CHECK(stele__footer_decode(again, &other, &copies_again) == STELE__DECODE_OK && copies_again == 3);
    FUZZ_CHECK(memcmp(&footer, &other, sizeof other) == 0);
    FUZZ_CHECK(header == NULL || stele__footer_find(again, header, &other, &copies_again));
}

static void mark(struct fuzz_in *in)
{
    uint8_t payload[STELE__MARK_BYTES], again[STELE__MARK_BYTES];
    struct stele__mark mark;
    fuzz_take(in, payload, sizeof payload);
    if (!stele__mark_decode(payload, sizeof payload, &mark)) {
        FUZZ_CHECK(stele__load64(payload + 48) != 0);
        return;
    }
    stele__mark_encode(again, &mark);
    FUZZ_CHECK(memcmp(payload, again, sizeof again) == 0);
    FUZZ_CHECK(!stele__mark_decode(payload, fuzz_u8(in) % STELE__MARK_BYTES, &mark));
}

static void control(struct fuzz_in *in, uint8_t flags)
{
    uint8_t pages[2 * STELE__CONTROL_PAGE], again[2 * STELE__CONTROL_PAGE];
    struct stele__control control, other;
    uint32_t copies, copies_again;
    const struct pair pair = {flags, STELE__CONTROL_PAGE, 128, "STELECTL"};
    fill(in, &pair, pages, false);
    enum stele__decode result = stele__control_decode(pages, &control, &copies);
    FUZZ_CHECK(stele__decode_name(result) != NULL);
    if (result != STELE__DECODE_OK)
        return;
    FUZZ_CHECK(copies >= 1 && copies <= 3 && (copies & (1u << control.block)) != 0);
    FUZZ_CHECK(control.data_log2 >= 16 && control.data_log2 <= 32 && control.incompat == 0);
    FUZZ_CHECK(control.first_sequence < UINT64_C(1) << (63 - control.data_log2) && control.durable % 8 == 0);
    if (copies == 3) { /* the newer one counts */
        uint64_t a = stele__load64(pages + 48), b = stele__load64(pages + STELE__CONTROL_PAGE + 48);
        FUZZ_CHECK(control.generation == (a > b ? a : b) && control.block == (b > a ? 1 : 0));
    }
    stele__control_encode(again, &control);
    memcpy(again + STELE__CONTROL_PAGE, again, STELE__CONTROL_PAGE);
    FUZZ_CHECK(stele__control_decode(again, &other, &copies_again) == STELE__DECODE_OK && copies_again == 3);
    other.block = control.block;
    FUZZ_CHECK(memcmp(&control, &other, sizeof other) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    struct stele__header found;
    const uint8_t kind = fuzz_u8(&in) % 6;
    if (kind == 5) {
        names_judge(in.at, in.left);
        return 0;
    }
    const uint8_t flags = fuzz_u8(&in);
    switch (kind) {
    case 0: (void)header(&in, flags, &found); break;
    case 1: footer(&in, flags, NULL); break;
    case 2: mark(&in); break;
    case 3: control(&in, flags); break;
    case 4:
        if (header(&in, flags, &found))
            footer(&in, flags, &found);
        break;
    }
    return 0;
}
