/* SPDX-License-Identifier: BSD-3-Clause */
/* test_open_options.c: what stele_open() takes: every flag, every field out of range, structs of other versions,
 * modes and metadata. */
#include "lib/dir.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/segment.h"

static void expect_refused(const struct dir *dir, const struct stele_options *options)
{
    struct stele *log = (struct stele *)(void *)1;
    returns(STELE_EINVAL, stele_open(dir->log, options, &log));
    must(log == NULL);
    must(!file_exists(dir->log)); /* refused before anything is made */
}

static struct stele_header_facts {
    uint32_t bytes;
    uint8_t metadata[STELE_METADATA_MAX];
} metadata_of(const struct dir *dir, uint64_t sequence)
{
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint32_t copies;
    file_read(segment_file(dir, sequence, SEGMENT_SMALL), 0, page, sizeof page);
    must(stele__header_decode(page, &header, &copies) == STELE__DECODE_OK);
    must(copies == 3);
    struct stele_header_facts facts = {.bytes = header.metadata_bytes};
    memcpy(facts.metadata, header.metadata, sizeof facts.metadata);
    return facts;
}

static void expect_metadata(const struct dir *dir, uint64_t sequence, const void *wanted, size_t len)
{
    struct stele_header_facts facts = metadata_of(dir, sequence);
    must(facts.bytes == len);
    must(len == 0 || memcmp(facts.metadata, wanted, len) == 0);
}

static void no_options_open_a_log_for_writing_and_make_none(void **state)
{
    struct dir *dir = *state;
    struct stele *log = NULL;
    returns(STELE_ENOENT, stele_open(dir->log, NULL, &log));
    must(log == NULL);
    must(!file_exists(dir->log));
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    succeeds(stele_open(dir->log, NULL, &log));
    append_range(log, 0, 3);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 3);
}

static void a_path_is_needed(void **state)
{
    (void)state;
    struct stele *log = (struct stele *)(void *)1;
    const struct stele_options options = log_options(STELE_CREATE);
    returns(STELE_EINVAL, stele_open(NULL, &options, &log));
    must(log == NULL);
    returns(STELE_EINVAL, stele_open("", &options, &log));
}

static void unknown_flags_and_contradictions_are_refused(void **state)
{
    struct dir *dir = *state;
    for (unsigned bit = 5; bit < 32; bit++) {
        struct stele_options options = log_options(STELE_CREATE | 1u << bit);
        expect_refused(dir, &options);
    }
    struct stele_options options = log_options(STELE_READ_ONLY | STELE_CREATE);
    expect_refused(dir, &options);
    options = log_options(STELE_READ_ONLY | STELE_EXCL);
    expect_refused(dir, &options);
}

static void segment_bytes_is_a_power_of_two_between_its_limits(void **state)
{
    struct dir *dir = *state;
    static const uint64_t wrong[] = {1,
                                     4096,
                                     STELE_SEGMENT_BYTES_MIN / 2,
                                     STELE_SEGMENT_BYTES_MIN - 1,
                                     STELE_SEGMENT_BYTES_MIN + 1,
                                     3 * STELE_SEGMENT_BYTES_MIN,
                                     STELE_SEGMENT_BYTES_MAX - 1,
                                     STELE_SEGMENT_BYTES_MAX * 2,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct stele_options options = log_options(STELE_CREATE);
        options.segment_bytes = wrong[i];
        expect_refused(dir, &options);
    }
    for (uint64_t bytes = STELE_SEGMENT_BYTES_MIN; bytes <= UINT64_C(4) << 20; bytes *= 2) {
        struct stele_options options = log_options(STELE_CREATE);
        options.segment_bytes = bytes;
        struct stele *log = log_open_with(dir->log, &options);
        must(stele_record_max(log) == bytes / 4 - 16);
        succeeds(stele_close(log));
        options = log_options(0); /* later openings do not say it, or say another one */
        options.segment_bytes = STELE_SEGMENT_BYTES_MIN * 8;
        log = log_open_with(dir->log, &options);
        must(stele_record_max(log) == bytes / 4 - 16);
        succeeds(stele_close(log));
        dir_empty(dir->log);
    }
}

static void the_default_segment_has_64_mib(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.segment_bytes = 0;
    options.spare_segments = 1;
    struct stele *log = log_open_with(dir->log, &options);
    must(stele_record_max(log) == STELE_SEGMENT_BYTES_DEFAULT / 4 - 16);
    succeeds(stele_close(log));
}

static void every_other_field_out_of_range_is_refused(void **state)
{
    struct dir *dir = *state;
    static const char some[STELE_METADATA_MAX + 1];
    struct stele_options options = log_options(STELE_CREATE);
    options.durability = STELE_DURABILITY_NONE + 1;
    expect_refused(dir, &options);
    options = log_options(STELE_CREATE);
    options.spare_segments = 9;
    expect_refused(dir, &options);
    options = log_options(STELE_CREATE);
    options.file_mode = 01600;
    expect_refused(dir, &options);
    options = log_options(STELE_CREATE);
    options.dir_mode = 02700;
    expect_refused(dir, &options);
    options = log_options(STELE_CREATE);
    options.reserved = 1;
    expect_refused(dir, &options);
    options = log_options(STELE_CREATE);
    options.metadata_bytes = 1; /* of what? */
    expect_refused(dir, &options);
    options.metadata = some;
    options.metadata_bytes = STELE_METADATA_MAX + 1;
    expect_refused(dir, &options);
    options.metadata_bytes = SIZE_MAX;
    expect_refused(dir, &options);
}

/* As an older program has it: shorter. As a newer one: longer, and all it does not use is zero. */
static void options_of_other_versions_work_as_far_as_they_are_known(void **state)
{
    struct dir *dir = *state;
    struct {
        struct stele_options known;
        uint8_t newer[200];
    } options;
    memset(&options, 0, sizeof options);
    options.known = log_options(STELE_CREATE);
    options.known.size = sizeof options;
    succeeds(stele_close(log_open_with(dir->log, &options.known)));
    dir_empty(dir->log);
    for (size_t i = 0; i < sizeof options.newer; i++) {
        options.newer[i] = 1;
        expect_refused(dir, &options.known);
        options.known.size = sizeof options.known + i + 1; /* the last byte of it */
        expect_refused(dir, &options.known);
        options.known.size = sizeof options;
        options.newer[i] = 0;
    }

    options.known.metadata = "not read";
    options.known.metadata_bytes = 8;
    options.known.reserved = 77;
    options.known.size =
        offsetof(struct stele_options, reserved); /* ends before it: what follows is default */
    succeeds(stele_close(log_open_with(dir->log, &options.known)));
    expect_metadata(dir, 0, NULL, 0);
    must(file_mode_of(dir->log) == 0700);
    dir_empty(dir->log);

    options.known.size = offsetof(struct stele_options, spare_segments);
    struct stele *log = log_open_with(dir->log, &options.known);
    must(stele_record_max(log) == SEGMENT_SMALL / 4 - 16);
    succeeds(stele_close(log));
    dir_empty(dir->log);

    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, 65537, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.known.size = wrong[i];
        expect_refused(dir, &options.known);
    }
}

static void a_shortest_struct_means_all_defaults(void **state)
{
    struct dir *dir = *state;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    struct {
        size_t size;
        uint32_t flags;
    } oldest = {sizeof(size_t), UINT32_MAX}; /* flags lie beyond: not read */
    struct stele *log = NULL;
    succeeds(stele_open(dir->log, (const struct stele_options *)(const void *)&oldest, &log));
    append_range(log, 0, 1);
    succeeds(stele_close(log));
}

static void create_opens_what_is_there_and_excl_does_not(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE | STELE_EXCL);
    append_range(log, 0, 5);
    succeeds(stele_close(log));
    const struct stele_options exclusive = log_options(STELE_CREATE | STELE_EXCL);
    returns(STELE_EEXIST, stele_open(dir->log, &exclusive, &log));
    must(log == NULL);
    log = log_open(dir->log, STELE_CREATE);
    append_range(log, 5, 7);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 7);
}

static void expect_modes(const struct dir *dir, unsigned directory, unsigned file)
{
    must(file_mode_of(dir->log) == directory);
    must(file_mode_of(log_file(dir, "control")) == file);
    must(file_mode_of(log_file(dir, "lock")) == file);
    for (uint64_t sequence = 0; sequence < 3; sequence++)
        must(file_mode_of(segment_file(dir, sequence, SEGMENT_SMALL)) == file);
}

/* Whatever the umask says. */
static void files_are_private_unless_the_options_say_otherwise(void **state)
{
    struct dir *dir = *state;
    static const mode_t masks[] = {0, 022, 077};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        mode_t before = umask(masks[i]);
        struct stele *log = log_open(dir->log, STELE_CREATE);
        append_until_segment(log, 0, 1);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        succeeds(stele_close(log));
        expect_modes(dir, 0700, 0600);
        dir_empty(dir->log);

        struct stele_options options = log_options(STELE_CREATE);
        options.file_mode = 0640;
        options.dir_mode = 0750;
        log = log_open_with(dir->log, &options);
        append_until_segment(log, 0, 1);
        succeeds(stele_close(log));
        expect_modes(dir, 0750, 0640);
        dir_empty(dir->log);
        (void)umask(before);
    }
}

static void the_mode_of_a_directory_that_was_there_stays(void **state)
{
    struct dir *dir = *state;
    must(mkdir(dir->log, 0711) == 0 && chmod(dir->log, 0711) == 0);
    struct stele_options options = log_options(STELE_CREATE);
    options.dir_mode = 0700;
    succeeds(stele_close(log_open_with(dir->log, &options)));
    must(file_mode_of(dir->log) == 0711);
}

static void metadata_heads_every_segment_and_is_inherited(void **state)
{
    struct dir *dir = *state;
    uint8_t first[STELE_METADATA_MAX];
    for (size_t i = 0; i < sizeof first; i++)
        first[i] = (uint8_t)(i * 7 + 1);
    struct stele_options options = log_options(STELE_CREATE);
    options.metadata = first;
    options.metadata_bytes = sizeof first;
    struct stele *log = log_open_with(dir->log, &options);
    memset(first, 0, 1); /* it was copied */
    uint64_t next = append_until_segment(log, 0, 2);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    first[0] = 1;
    for (uint64_t sequence = 0; sequence < 3; sequence++)
        expect_metadata(dir, sequence, first, sizeof first);

    log = log_open(dir->log, 0); /* says nothing: inherited by what it makes */
    next = append_until_segment(log, next, 8);
    succeeds(stele_close(log));
    expect_metadata(dir, 8, first, sizeof first);

    options = log_options(0); /* says something else: for segments made from now on */
    options.metadata = "new";
    options.metadata_bytes = 3;
    log = log_open_with(dir->log, &options);
    next = append_until_segment(log, next, 13);
    succeeds(stele_close(log));
    expect_metadata(dir, 8, first, sizeof first);
    expect_metadata(dir, 13, "new", 3);
    log = log_open(dir->log, 0); /* the newest segment's is inherited */
    next = append_until_segment(log, next, 18);
    succeeds(stele_close(log));
    expect_metadata(dir, 18, "new", 3);

    options.metadata_bytes = 0; /* says: none */
    log = log_open_with(dir->log, &options);
    next = append_until_segment(log, next, 23);
    succeeds(stele_close(log));
    expect_metadata(dir, 23, NULL, 0);
    expect_log(dir->log, 0, next);
}

static void spare_segments_are_prepared_ahead(void **state)
{
    struct dir *dir = *state;
    static const uint32_t spares[] = {1, 2, 8};
    for (size_t i = 0; i < sizeof spares / sizeof spares[0]; i++) {
        struct stele_options options = log_options(STELE_CREATE);
        options.spare_segments = spares[i];
        struct stele *log = log_open_with(dir->log, &options);
        /* The helper thread makes them; an append into the last of them must wait for it, so it is done then. */
        append_until_segment(log, 0, spares[i]);
        must(dir_count_ending(dir->log, ".stele") >= 1 + spares[i]);
        must(dir_count_ending(dir->log, ".stele") <= 1 + 2 * spares[i]);
        succeeds(stele_close(log));
        dir_empty(dir->log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(no_options_open_a_log_for_writing_and_make_none),
        LAW(a_path_is_needed),
        LAW(unknown_flags_and_contradictions_are_refused),
        LAW(segment_bytes_is_a_power_of_two_between_its_limits),
        LAW(the_default_segment_has_64_mib),
        LAW(every_other_field_out_of_range_is_refused),
        LAW(options_of_other_versions_work_as_far_as_they_are_known),
        LAW(a_shortest_struct_means_all_defaults),
        LAW(create_opens_what_is_there_and_excl_does_not),
        LAW(files_are_private_unless_the_options_say_otherwise),
        LAW(the_mode_of_a_directory_that_was_there_stays),
        LAW(metadata_heads_every_segment_and_is_inherited),
        LAW(spare_segments_are_prepared_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
