/* SPDX-License-Identifier: BSD-3-Clause */
/* test_flip_ends.c: one flipped bit in every byte around the records: control file, headers, index, footers. */
#include "lib/flip.h"

#include "format/control.h"

#define DATA_END (STELE__HEADER_BYTES + SEGMENT_SMALL)

static uint64_t stride(void)
{
    return under_sanitizer() ? 3 : 1;
}

static void a_flipped_bit_in_the_control_file_loses_nothing(void **state)
{
    struct flip *flip = flip_make(*state);
    flip_range(flip, FLIP_CONTROL, 0, STELE__CONTROL_BYTES, stride());
    must(flip->detected == 0); /* two blocks, one at a time: the other serves */
    must(flip->harmless > 2 * 128 / stride());
    flip_free(flip);
}

static void a_flipped_bit_in_a_header_loses_nothing(void **state)
{
    struct flip *flip = flip_make(*state);
    flip_range(flip, FLIP_SEALED, 0, STELE__HEADER_BYTES, stride());
    flip_range(flip, FLIP_ACTIVE, 0, STELE__HEADER_BYTES, stride());
    must(flip->detected == 0);
    must(flip->harmless > 4 * 128 / stride());
    flip_free(flip);
}

static void a_flipped_bit_in_index_or_footer_loses_nothing(void **state)
{
    struct flip *flip = flip_make(*state);
    flip_range(flip, FLIP_SEALED, DATA_END, flip->files[FLIP_SEALED].size, stride());
    flip_range(flip, FLIP_ACTIVE, DATA_END, flip->files[FLIP_ACTIVE].size, stride());
    must(flip->detected == 0);
    must(flip->harmless > 2 * 128 / stride());
    flip_free(flip);
}

static const uint8_t zeroes[4096];

/* Both copies gone is another matter: then it must be said. */
static void both_copies_of_a_header_gone_are_detected(void **state)
{
    struct flip *flip = flip_make(*state);
    must(flip_bytes(flip, FLIP_SEALED, 0, zeroes, STELE__HEADER_BYTES) == DETECTED);
    must(flip_bytes(flip, FLIP_ACTIVE, 0, zeroes, STELE__HEADER_BYTES) == DETECTED);
    must(flip_bytes(flip, FLIP_SEALED, 0, zeroes, STELE__HEADER_COPY) == HARMLESS);
    must(flip_bytes(flip, FLIP_ACTIVE, STELE__HEADER_COPY, zeroes, STELE__HEADER_COPY) == HARMLESS);
    flip_free(flip);
}

/* A footer only repeats what the records say. */
static void both_copies_of_a_footer_gone_are_made_again(void **state)
{
    struct flip *flip = flip_make(*state);
    const uint64_t footer = stele__footer_offset(SEGMENT_SMALL);
    uint8_t gone[2 * STELE__FOOTER_COPY] = {0};
    must(flip_bytes(flip, FLIP_SEALED, footer, gone, sizeof gone) == HARMLESS);
    gone[0] = gone[STELE__FOOTER_COPY] = 1;
    must(flip_bytes(flip, FLIP_SEALED, footer, gone, sizeof gone) == HARMLESS);
    must(flip_bytes(flip, FLIP_ACTIVE, footer, gone, sizeof gone) == HARMLESS);
    flip_free(flip);
}

static void both_blocks_of_the_control_file_gone_are_detected(void **state)
{
    struct flip *flip = flip_make(*state);
    uint8_t gone[2 * STELE__CONTROL_PAGE] = {0};
    must(flip_bytes(flip, FLIP_CONTROL, 0, gone, sizeof gone) == DETECTED);
    gone[0] = gone[STELE__CONTROL_PAGE] = 1;
    must(flip_bytes(flip, FLIP_CONTROL, 0, gone, sizeof gone) == DETECTED);
    must(flip_bytes(flip, FLIP_CONTROL, 0, gone, STELE__CONTROL_PAGE) == HARMLESS);
    must(flip_bytes(flip, FLIP_CONTROL, STELE__CONTROL_PAGE, gone, STELE__CONTROL_PAGE) == HARMLESS);
    flip_free(flip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_flipped_bit_in_the_control_file_loses_nothing),
        LAW(a_flipped_bit_in_a_header_loses_nothing),
        LAW(a_flipped_bit_in_index_or_footer_loses_nothing),
        LAW(both_copies_of_a_header_gone_are_detected),
        LAW(both_copies_of_a_footer_gone_are_made_again),
        LAW(both_blocks_of_the_control_file_gone_are_detected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
