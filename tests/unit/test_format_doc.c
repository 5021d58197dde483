/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/format.md against the code: the worked example is rebuilt and compared byte by byte, every table of
 * fields tiles its structure and says where the encoders put each field, the worked numbers come out. */
#include "test_format.h"

#include "format/control.h"
#include "format/mark.h"
#include "format/segment.h"

#include <stdio.h>
#include <stdlib.h>

#define DATA UINT64_C(65536)
#define BASE UINT64_C(0x20000)
#define CHAIN UINT64_C(0x0123456789abcdef)
#define FIRST_RECORD UINT64_C(1000)
#define CREATED UINT64_C(1700000000000000000)
#define MARKED UINT64_C(1700000001000000000)
#define LOG_CREATED UINT64_C(1690000000000000000)

static char *document;

static int read_document(void **state)
{
    (void)state;
    const char *source = getenv("STELE_SOURCE_DIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/format.md", source != NULL ? source : ".");
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read: STELE_SOURCE_DIR names the top of the sources\n", path);
        return -1;
    }
    enum { LIMIT = 1 << 20 };
    document = calloc(1, LIMIT + 1);
    size_t got = document != NULL ? fread(document, 1, LIMIT, file) : 0;
    fclose(file);
    return got > 0 && got < LIMIT ? 0 : -1;
}

static int free_document(void **state)
{
    (void)state;
    free(document);
    return 0;
}

/* Lines: the one behind `at`, or NULL at the end. */
static const char *next_line(const char *at)
{
    const char *newline = strchr(at, '\n');
    return newline != NULL && newline[1] != '\0' ? newline + 1 : NULL;
}

/* The first line behind the one that begins with `start`, from `from` on. */
static const char *behind_line(const char *from, const char *start)
{
    for (const char *at = from; at != NULL; at = next_line(at))
        if (strncmp(at, start, strlen(start)) == 0)
            return next_line(at);
    fail_msg("docs/format.md has no line that begins with \"%s\"", start);
    return NULL;
}

#define CELLS 9
#define CELL 256

/* Split a table row into trimmed cells; how many. */
static unsigned cells_of(const char *line, char cells[CELLS][CELL])
{
    unsigned count = 0;
    const char *at = line + 1;
    const char *end = strchr(line, '\n');
    while (count < CELLS && at < end) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        if (bar == NULL)
            break;
        const char *last = bar;
        while (at < last && *at == ' ')
            at++;
        while (last > at && last[-1] == ' ')
            last--;
        snprintf(cells[count++], CELL, "%.*s", (int)(last - at), at);
        at = bar + 1;
    }
    return count;
}

/* The first table behind the heading: its header row and rule are skipped. Returns its first row. */
static const char *table(const char *heading)
{
    const char *at = behind_line(document, heading);
    while (at != NULL && *at != '|')
        at = next_line(at);
    assert_non_null(at);
    return next_line(next_line(at));
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);
    assert_true(end != text);
    return value;
}

/* --- The worked example --- */

struct example {
    uint8_t *file;
    size_t file_bytes;
    struct sheet sheet; /* its data area */
    struct stele__header header;
    stele_lsn at;
    uint64_t chain, records;
    stele_lsn lsns[8]; /* of its records, and the chain behind each */
    uint64_t chains[8];
    unsigned count;
};

static void took(struct example *example, stele_lsn next)
{
    const uint8_t *at = sheet_at(&example->sheet, example->at);
    example->chain = stele__chain_fold(example->chain, at, at[4] == STELE__WIRE_FILL);
    example->records += stele__wire_is_data(at[4]) ? 1 : 0;
    example->lsns[example->count] = example->at;
    example->chains[example->count++] = example->chain;
    example->at = next;
}

static void put(struct example *example, uint8_t wire, const void *data, uint32_t len, stele_lsn durable)
{
    uint32_t dback = stele__dback(example->at, durable);
    took(example, sheet_put(&example->sheet, example->at, wire, 1, dback, data, len));
}

static void pad(struct example *example, uint64_t bytes, stele_lsn durable)
{
    uint32_t dback = stele__dback(example->at, durable);
    took(example, sheet_pad(&example->sheet, example->at, bytes, 1, dback));
}

static void put_records(struct example *example)
{
    put(example, stele__wire_of_type(0), "hello", 5, BASE);
    pad(example, 8, BASE);
    put(example, stele__wire_of_type(7), "write ahead..!", 14, BASE);
    memcpy(sheet_at(&example->sheet, example->at) + 16, "leftover", 8);
    pad(example, 24, BASE);
    struct stele__mark mark = {.upto = example->at,
                               .chain = example->chain,
                               .chain_start = CHAIN,
                               .record_number = FIRST_RECORD + example->records,
                               .time_ns = MARKED,
                               .durable = example->at};
    uint8_t payload[STELE__MARK_BYTES];
    stele__mark_encode(payload, &mark);
    stele_lsn marked = example->at;
    put(example, STELE__WIRE_MARK, payload, sizeof payload, marked);
    pad(example, BASE + DATA - example->at, marked);
}

static struct example example_new(void)
{
    struct example example = {
        .file_bytes = (size_t)stele__segment_file_bytes(DATA), .at = BASE, .chain = CHAIN};
    struct stele__header *header = &example.header;
    for (uint8_t i = 0; i < 16; i++)
        header->uuid[i] = (uint8_t)(0xa0 + i);
    header->sequence = 2;
    header->base = BASE;
    header->created_ns = CREATED;
    header->incarnation = 3;
    header->salt = stele__salt(header->uuid, 3);
    header->data_log2 = 16;
    header->metadata_bytes = 4;
    memcpy(header->metadata, "demo", 4);
    example.file = aligned_alloc(4096, example.file_bytes);
    assert_non_null(example.file);
    memset(example.file, 0, example.file_bytes);
    stele__header_encode(example.file, header);
    example.sheet.data = example.file + STELE__HEADER_BYTES;
    example.sheet.area = (struct stele__area){.data = example.sheet.data,
                                              .bytes = DATA,
                                              .base = BASE,
                                              .salt = header->salt,
                                              .record_max = stele__record_max(DATA)};
    put_records(&example);
    struct stele__index_entry entry = {FIRST_RECORD, BASE, MARKED};
    memcpy(example.file + stele__index_offset(DATA), &entry, sizeof entry);
    struct stele__footer footer = {.sequence = 2,
                                   .salt = header->salt,
                                   .incarnation = 3,
                                   .end = BASE + DATA,
                                   .first_record = FIRST_RECORD,
                                   .records = example.records,
                                   .chain_start = CHAIN,
                                   .chain_end = example.chain,
                                   .first_time_ns = MARKED,
                                   .last_time_ns = MARKED,
                                   .index_entries = 1,
                                   .index_hash = stele__hash64(&entry, sizeof entry),
                                   .data_hash = stele__hash64(example.sheet.data, DATA)};
    memcpy(footer.uuid, header->uuid, 16);
    assert_true(stele__footer_fits(&footer, header));
    stele__footer_encode(example.file + stele__footer_offset(DATA), &footer);
    return example;
}

/* Compare the hexdump that begins at `line` with the file: each byte shown, and zeroes where none is. */
static void compare_dump(const char *line, const uint8_t *file, size_t file_bytes)
{
    size_t done = 0, shown = 0;
    for (; line != NULL && strncmp(line, "```", 3) != 0; line = next_line(line)) {
        char *at;
        size_t offset = strtoull(line, &at, 16);
        assert_int_equal(*at, ':');
        assert_true(offset >= done && offset < file_bytes);
        assert_true(stele__is_zero(file + done, offset - done));
        for (at++; *at == ' '; offset++, shown++) {
            unsigned byte = (unsigned)strtoul(at + 1, &at, 16);
            if (offset >= file_bytes || file[offset] != byte)
                fail_msg("docs/format.md shows %02x at %05zx, the library stores %02x", byte, offset,
                         file[offset]);
        }
        assert_int_equal(*at, '\n');
        done = offset;
    }
    assert_true(stele__is_zero(file + done, file_bytes - done));
    assert_true(shown > 128);
}

static void the_worked_segment_is_what_the_library_writes(void **state)
{
    (void)state;
    struct example example = example_new();
    const char *line = behind_line(document, "```hexdump");
    compare_dump(line, example.file, example.file_bytes);
    assert_int_equal(example.file_bytes, 81920);
    free(example.file);
}

static void the_worked_control_file_is_what_the_library_writes(void **state)
{
    (void)state;
    uint8_t file[2 * STELE__CONTROL_PAGE];
    struct stele__control control = {.first_sequence = 2,
                                     .first_chain = CHAIN,
                                     .first_record = FIRST_RECORD,
                                     .durable = BASE,
                                     .created_ns = LOG_CREATED,
                                     .incarnation = 3,
                                     .data_log2 = 16};
    for (uint8_t i = 0; i < 16; i++)
        control.uuid[i] = (uint8_t)(0xa0 + i);
    for (uint64_t block = 0; block < 2; block++) {
        control.generation = 8 + block;
        stele__control_encode(file + block * STELE__CONTROL_PAGE, &control);
    }
    compare_dump(behind_line(behind_line(document, "```hexdump"), "```hexdump"), file, sizeof file);
}

static void the_worked_numbers_come_out(void **state)
{
    (void)state;
    struct example example = example_new();
    const char *row = behind_line(behind_line(document, "Worked numbers"), "| what | lsn | seed |");
    char cells[CELLS][CELL];
    for (unsigned i = 0; i < 5; i++) {
        row = next_line(row);
        assert_int_equal(cells_of(row, cells), 8);
        stele_lsn lsn = example.lsns[i];
        uint64_t word = stele__load64(sheet_at(&example.sheet, lsn)), bare = word & ~STELE__WORD_HCHECK_MASK;
        uint32_t seed = sheet_seed(&example.sheet, lsn);
        assert_int_equal(number(cells[1]), lsn);
        assert_int_equal(number(cells[2]), seed);
        for (unsigned b = 0; b < 8; b++)
            assert_int_equal(strtoul(cells[3] + 3 * b, NULL, 16), (uint8_t)(bare >> 8 * b));
        assert_int_equal(number(cells[4]), stele__crc32c(seed, &bare, 8));
        assert_int_equal(number(cells[5]), stele__word_hcheck(word));
        if (stele__word_wire(word) == STELE__WIRE_FILL) {
            assert_string_equal(cells[6], "");
            assert_string_equal(cells[7], "");
            continue;
        }
        assert_int_equal(number(cells[6]), stele__load32(sheet_at(&example.sheet, lsn) + 12));
        assert_int_equal(number(cells[7]), stele__load32(sheet_at(&example.sheet, lsn) + 8));
    }
    row = behind_line(behind_line(document, "The chain, record by record"), "| behind | chain |");
    row = next_line(row);
    assert_int_equal(cells_of(row, cells), 2);
    assert_true(number(cells[1]) == CHAIN);
    for (unsigned i = 0; i < example.count; i++) {
        row = next_line(row);
        assert_int_equal(cells_of(row, cells), 2);
        assert_non_null(strstr(cells[0], " at 0x"));
        assert_int_equal(number(strstr(cells[0], " at ") + 4), example.lsns[i]);
        assert_true(number(cells[1]) == example.chains[i]);
    }
    assert_int_equal(example.count, 6);
    free(example.file);
}

/* --- Tables of fields --- */

struct field {
    const char *name;
    const void *bytes; /* what the encoder was given, little-endian */
};

/* Every row names a field of `fields` or is reserved, at the place where the encoder put it; the rows tile
 * the structure of `size` bytes; no field is missing. */
static void compare_table(const char *heading, const uint8_t *encoded, size_t size,
                          const struct field *fields, size_t count)
{
    size_t done = 0, named = 0;
    for (const char *row = table(heading); row != NULL && *row == '|'; row = next_line(row)) {
        char cells[CELLS][CELL];
        assert_true(cells_of(row, cells) >= 4);
        size_t offset = number(cells[0]), bytes = number(cells[1]), i = 0;
        if (offset != done || offset + bytes > size)
            fail_msg("%s: %s is said to be at %zu, the field before it ends at %zu", heading, cells[2],
                     offset, done);
        done = offset + bytes;
        while (i < count && strcmp(fields[i].name, cells[2]) != 0)
            i++;
        if (i < count) {
            named++;
            if (memcmp(encoded + offset, fields[i].bytes, bytes) != 0)
                fail_msg("%s: %s is not at %zu", heading, cells[2], offset);
        } else if (strcmp(cells[2], "reserved") == 0) {
            assert_true(stele__is_zero(encoded + offset, bytes));
        } else {
            fail_msg("%s: no field is called %s", heading, cells[2]);
        }
    }
    assert_int_equal(done, size);
    assert_int_equal(named, count);
}

static void the_table_of_the_segment_header_holds(void **state)
{
    (void)state;
    struct stele__header h = {.sequence = 0x61626364,
                              .base = UINT64_C(0x61626364) << 21,
                              .created_ns = 0x7172737475767778,
                              .incompat = 0x8182838485868788,
                              .ro_compat = 0x9192939495969798,
                              .salt = 0xa1a2a3a4,
                              .incarnation = 0xb1b2b3b4,
                              .data_log2 = 21,
                              .metadata_bytes = STELE_METADATA_MAX};
    memcpy(h.uuid, "0123456789abcdef", 16);
    memset(h.metadata, 0x4d, sizeof h.metadata);
    uint8_t bytes[STELE__HEADER_BYTES];
    stele__header_encode(bytes, &h);
    const uint16_t version = STELE_FORMAT_VERSION, minor = 0;
    const uint32_t header_bytes = STELE__HEADER_BYTES;
    const uint32_t crc = stele__crc32c(stele__crc32c(0, bytes, 124), h.metadata, h.metadata_bytes);
    const struct field header_fields[] = {
        {"magic", "STELESEG"},
        {"major", &version},
        {"minor", &minor},
        {"header_bytes", &header_bytes},
        {"incompat", &h.incompat},
        {"ro_compat", &h.ro_compat},
        {"uuid", h.uuid},
        {"sequence", &h.sequence},
        {"base_lsn", &h.base},
        {"created_ns", &h.created_ns},
        {"salt", &h.salt},
        {"incarnation", &h.incarnation},
        {"data_log2", &h.data_log2},
        {"checksum", "\1"},
        {"chain", "\1"},
        {"metadata_bytes", &h.metadata_bytes},
        {"crc", &crc},
        {"metadata", h.metadata},
    };
    compare_table("### 4.1 Segment header", bytes, 2048, header_fields, STELE__ARRAY_LEN(header_fields));
}

static void the_table_of_the_footer_holds(void **state)
{
    (void)state;
    uint8_t footer[2 * STELE__FOOTER_COPY];
    struct stele__footer f = {.sequence = 0x6162636465666768,
                              .salt = 0xa1a2a3a4,
                              .incarnation = 0xb1b2b3b4,
                              .end = 0x1112131415161718,
                              .first_record = 0x2122232425262728,
                              .records = 0x3132333435363738,
                              .chain_start = 0x4142434445464748,
                              .chain_end = 0x5152535455565758,
                              .first_time_ns = 0x7172737475767778,
                              .last_time_ns = 0x8182838485868788,
                              .index_entries = 0x9192939495969798,
                              .index_hash = 0xc1c2c3c4c5c6c7c8,
                              .data_hash = 0xd1d2d3d4d5d6d7d8};
    memcpy(f.uuid, "0123456789abcdef", 16);
    stele__footer_encode(footer, &f);
    const uint32_t footer_crc = stele__crc32c(0, footer, 124);
    const struct field footer_fields[] = {
        {"magic", "STELEEND"},
        {"uuid", f.uuid},
        {"sequence", &f.sequence},
        {"salt", &f.salt},
        {"incarnation", &f.incarnation},
        {"end", &f.end},
        {"first_record", &f.first_record},
        {"records", &f.records},
        {"chain_start", &f.chain_start},
        {"chain_end", &f.chain_end},
        {"first_time_ns", &f.first_time_ns},
        {"last_time_ns", &f.last_time_ns},
        {"index_entries", &f.index_entries},
        {"index_hash", &f.index_hash},
        {"data_hash", &f.data_hash},
        {"crc", &footer_crc},
    };
    compare_table("### 4.4 Footer", footer, 128, footer_fields, STELE__ARRAY_LEN(footer_fields));
}

static void the_table_of_the_control_block_holds(void **state)
{
    (void)state;
    struct stele__control c = {.generation = 0x1112131415161718,
                               .first_sequence = 0x2122232425262728,
                               .first_chain = 0x3132333435363738,
                               .first_record = 0x4142434445464748,
                               .durable = 0x5152535455565758,
                               .created_ns = 0x6162636465666768,
                               .incompat = 0x7172737475767778,
                               .ro_compat = 0x8182838485868788,
                               .incarnation = 0x91929394,
                               .data_log2 = 21,
                               .flags = STELE__CONTROL_UNSYNCED};
    memcpy(c.uuid, "0123456789abcdef", 16);
    uint8_t bytes[STELE__CONTROL_PAGE];
    stele__control_encode(bytes, &c);
    const uint16_t version = STELE_FORMAT_VERSION, minor = 0;
    const uint32_t crc = stele__crc32c(0, bytes, 124);
    const struct field fields[] = {
        {"magic", "STELECTL"},
        {"major", &version},
        {"minor", &minor},
        {"data_log2", &c.data_log2},
        {"flags", &c.flags},
        {"incompat", &c.incompat},
        {"ro_compat", &c.ro_compat},
        {"uuid", c.uuid},
        {"generation", &c.generation},
        {"first_sequence", &c.first_sequence},
        {"first_chain", &c.first_chain},
        {"first_record", &c.first_record},
        {"durable", &c.durable},
        {"created_ns", &c.created_ns},
        {"incarnation", &c.incarnation},
        {"crc", &crc},
    };
    compare_table("### 7.1 Control block", bytes, 128, fields, STELE__ARRAY_LEN(fields));
}

static void the_tables_of_mark_index_and_live_words_hold(void **state)
{
    (void)state;
    const struct stele__mark m = {.upto = 0x1112131415161718,
                                  .chain = 0x2122232425262728,
                                  .chain_start = 0x3132333435363738,
                                  .record_number = 0x4142434445464748,
                                  .time_ns = 0x5152535455565758,
                                  .durable = 0x6162636465666768};
    uint8_t bytes[STELE__MARK_BYTES];
    stele__mark_encode(bytes, &m);
    const struct field mark_fields[] = {
        {"upto_lsn", &m.upto},           {"chain", &m.chain},
        {"chain_start", &m.chain_start}, {"record_number", &m.record_number},
        {"time_ns", &m.time_ns},         {"durable_lsn", &m.durable},
    };
    compare_table("### 6.2 MARK", bytes, STELE__MARK_BYTES, mark_fields, STELE__ARRAY_LEN(mark_fields));

    const struct stele__index_entry e = {0x1112131415161718, 0x2122232425262728, 0x3132333435363738};
    const struct field index_fields[] = {
        {"record_number", &e.record_number}, {"lsn", &e.lsn}, {"time_ns", &e.time_ns}};
    compare_table("### 4.3 Index", (const uint8_t *)&e, sizeof e, index_fields,
                  STELE__ARRAY_LEN(index_fields));

    struct stele__live live;
    atomic_init(&live.opens, 0x1112131415161718);
    atomic_init(&live.durable, 0x2122232425262728);
    atomic_init(&live.first, 0x3132333435363738);
    atomic_init(&live.tail_at_open, 0x4142434445464748);
    atomic_init(&live.commits, 0x51525354);
    atomic_init(&live.media_class, 0x61626364);
    atomic_init(&live.recoveries, 0x7172737475767778);
    const struct field live_fields[] = {
        {"opens", &live.opens},           {"durable", &live.durable},
        {"first", &live.first},           {"tail_at_open", &live.tail_at_open},
        {"commits", &live.commits},       {"media_class", &live.media_class},
        {"recoveries", &live.recoveries},
    };
    compare_table("### 7.2 Live words", (const uint8_t *)&live, sizeof live, live_fields,
                  STELE__ARRAY_LEN(live_fields));
}

static void the_table_of_the_record_header_holds(void **state)
{
    (void)state;
    uint8_t at[24];
    uint64_t word = stele__word_pack(3, STELE__WIRE_DATA, 0x7172);
    word = stele__record_fill(at, word, 5, 0x81828384, "abc", 3);
    stele__store64(at, word);
    const uint32_t len = 3, dback = 0x81828384, crc = stele__load32(at + 8);
    const uint16_t epoch = 0x7172;
    const uint8_t type = 1, hcheck = stele__word_hcheck(word);
    const struct field fields[] = {{"len", &len},       {"type", &type}, {"epoch", &epoch},
                                   {"hcheck", &hcheck}, {"crc", &crc},   {"dback", &dback}};
    compare_table("### 5.1 Header", at, 16, fields, STELE__ARRAY_LEN(fields));
}

static const char *name_of_type(unsigned wire)
{
    switch (wire) {
    case STELE__WIRE_FREE: return "free";
    case STELE__WIRE_PAD: return "PAD";
    case STELE__WIRE_MARK: return "MARK";
    case STELE__WIRE_FILL: return "FILL";
    case STELE__WIRE_RESERVED: return "RESERVED";
    default: return stele__wire_is_data((uint8_t)wire) ? "DATA" : NULL;
    }
}

static void the_table_of_types_holds(void **state)
{
    (void)state;
    bool told[256] = {false};
    for (const char *row = table("### 5.2 Grammar and types"); row != NULL && *row == '|';
         row = next_line(row)) {
        char cells[CELLS][CELL];
        assert_int_equal(cells_of(row, cells), 5);
        if (strcmp(cells[0], "others") == 0)
            continue;
        const char *dots = strstr(cells[0], "..");
        uint64_t first = number(cells[0]), last = dots != NULL ? number(dots + 2) : first;
        assert_true(last < 256);
        for (uint64_t wire = first; wire <= last; wire++) {
            assert_non_null(name_of_type((unsigned)wire));
            assert_string_equal(cells[1], name_of_type((unsigned)wire));
            told[wire] = true;
        }
    }
    for (unsigned wire = 0; wire < 256; wire++)
        assert_int_equal(told[wire], name_of_type(wire) != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_segment_is_what_the_library_writes),
        cmocka_unit_test(the_worked_control_file_is_what_the_library_writes),
        cmocka_unit_test(the_worked_numbers_come_out),
        cmocka_unit_test(the_table_of_the_segment_header_holds),
        cmocka_unit_test(the_table_of_the_footer_holds),
        cmocka_unit_test(the_table_of_the_control_block_holds),
        cmocka_unit_test(the_tables_of_mark_index_and_live_words_hold),
        cmocka_unit_test(the_table_of_the_record_header_holds),
        cmocka_unit_test(the_table_of_types_holds),
    };
    return cmocka_run_group_tests(tests, read_document, free_document);
}
