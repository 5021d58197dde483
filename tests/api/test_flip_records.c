/* SPDX-License-Identifier: BSD-3-Clause */
/* test_flip_records.c: one flipped bit in every byte of the data area of a sealed and of the active segment; sectors that
 * turn to zero or to what stood elsewhere; records whose length is absurd. */
#include "lib/flip.h"

#include <string.h>

#include "format/record.h"
#include "format/segment.h"

#define DATA STELE__HEADER_BYTES
#define DATA_END (STELE__HEADER_BYTES + SEGMENT_SMALL)
#define SECTOR 512u

static uint64_t stride(void)
{
    return under_sanitizer() ? 17 : 1;
}

static void a_flipped_bit_in_a_sealed_segment_is_detected_or_harmless(void **state)
{
    struct flip *flip = flip_make(*state);
    flip_range(flip, FLIP_SEALED, DATA, DATA_END, stride());
    print_message("%llu flips detected, %llu harmless\n", (unsigned long long)flip->detected,
                  (unsigned long long)flip->harmless);
    must(flip->detected > 9 * flip->harmless); /* only the body of the last PAD is covered by no record */
    flip_free(flip);
}

static void a_flipped_bit_in_the_active_segment_is_detected_or_harmless(void **state)
{
    struct flip *flip = flip_make(*state);
    flip_range(flip, FLIP_ACTIVE, DATA, DATA_END, stride());
    print_message("%llu flips detected, %llu harmless\n", (unsigned long long)flip->detected,
                  (unsigned long long)flip->harmless);
    must(flip->detected > 1000 / stride());
    flip_free(flip);
}

/* Bytes [at, at + SECTOR) become zero, or those of another place: what a disk does when it loses or misdirects a write. */
static void a_sector_zeroed_or_misdirected_is_detected_or_harmless(void **state)
{
    struct flip *flip = flip_make(*state);
    static const uint8_t zeroes[SECTOR];
    const uint64_t step = under_sanitizer() ? 7 * SECTOR : SECTOR;
    for (enum flip_file file = FLIP_SEALED; file <= FLIP_ACTIVE; file++) {
        const uint8_t *bytes = flip->files[file].bytes;
        for (uint64_t at = 0; at < flip->files[file].size; at += step) {
            enum judgement zero = flip_bytes(flip, file, at, zeroes, SECTOR);
            bool same = stele__is_zero(bytes + at, SECTOR);
            must(!same || zero == HARMLESS);
            must(same || file == FLIP_ACTIVE || at < DATA || at + 8192 > DATA_END || zero == DETECTED);
            flip_bytes(flip, file, at, bytes + (at + 3 * SECTOR) % (flip->files[file].size - SECTOR), SECTOR);
            flip_bytes(flip, file, at, flip->files[FLIP_SEALED].bytes + DATA, SECTOR);
        }
    }
    flip_free(flip);
}

static struct stele__header header_of(const struct flip *flip, enum flip_file file)
{
    struct stele__header header;
    uint32_t copies;
    must(stele__header_decode(flip->files[file].bytes, &header, &copies) == STELE__DECODE_OK);
    return header;
}

/* With the header check right: nobody may trust a length for that. */
static uint64_t word_with(uint32_t len, uint8_t wire, uint32_t seed)
{
    uint64_t word = stele__word_pack(len, wire, 1);
    return word | (uint64_t)(stele__crc32c(seed, &word, 8) >> 24) << 56;
}

static void an_absurd_length_is_never_followed(void **state)
{
    struct flip *flip = flip_make(*state);
    static const uint32_t lengths[] = {0,          1,          8,          16368,      16369,
                                       16376,      65520,      65528,      65536,      0x7fffffff,
                                       0x80000000, 0xfffffff0, 0xfffffff7, 0xfffffff8, 0xffffffff};
    static const uint8_t wires[] = {STELE__WIRE_DATA, STELE__WIRE_PAD, STELE__WIRE_MARK, STELE__WIRE_FILL,
                                    STELE__WIRE_RESERVED};
    for (enum flip_file file = FLIP_SEALED; file <= FLIP_ACTIVE; file++) {
        const struct stele__header header = header_of(flip, file);
        struct stele__area area = {.data = flip->files[file].bytes + DATA,
                                   .bytes = SEGMENT_SMALL,
                                   .base = header.base,
                                   .salt = header.salt,
                                   .record_max = stele__record_max(SEGMENT_SMALL)};
        struct stele__record record;
        unsigned taken = 0;
        for (stele_lsn at = header.base;
             stele__record_check(&area, at, &record) == STELE__RECORD_OK && taken < 200; at += record.bytes) {
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
                uint8_t wire = wires[(taken + i) % sizeof wires];
                uint64_t word = word_with(lengths[i], wire, stele__record_seed(header.salt, at));
                flip_bytes(flip, file, DATA + at - header.base, &word, sizeof word);
            }
            if (at + record.bytes - header.base >= SEGMENT_SMALL)
                break;
            taken++;
        }
        must(taken > 10);
    }
    must(flip->detected > 0);
    flip_free(flip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_flipped_bit_in_a_sealed_segment_is_detected_or_harmless),
        LAW(a_flipped_bit_in_the_active_segment_is_detected_or_harmless),
        LAW(a_sector_zeroed_or_misdirected_is_detected_or_harmless),
        LAW(an_absurd_length_is_never_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
