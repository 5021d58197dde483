/* SPDX-License-Identifier: BSD-3-Clause */
/* test_forged.c: seals that are sound by themselves and do not say what is so. Their checksums are right; only what stands
 * beside them can tell, and each of the things they say is compared. */
#include "test_admin.h"

#include <fcntl.h>

#include "core/check.h"
#include "core/scan.h"

static uint64_t footer_at(void)
{
    return stele__footer_offset(SEGMENT_SMALL);
}

static struct stele__footer read_footer(const char *file)
{
    uint8_t pages[2 * STELE__FOOTER_COPY];
    struct stele__footer footer;
    uint32_t copies;
    file_read(file, footer_at(), pages, sizeof pages);
    must(stele__footer_decode(pages, &footer, &copies) == STELE__DECODE_OK && copies == 3);
    return footer;
}

static void write_footer(const char *file, const struct stele__footer *footer)
{
    uint8_t pages[2 * STELE__FOOTER_COPY];
    stele__footer_encode(pages, footer);
    file_write(file, footer_at(), pages, sizeof pages);
}

static int try_to_open(const char *path)
{
    struct stele *log;
    struct stele_options options = log_options(0);
    int rc = stele_open(path, &options, &log);
    return rc == 0 ? stele_close(log) : rc;
}

/* What the footer says of its start; the end it leads to stays the same, so that nothing behind it objects. */
static void a_seal_that_does_not_continue_the_one_before_it_is_refused(void **state)
{
    struct dir *dir = *state;
    (void)make_log_at(dir->log);
    const char *file = segment(dir, 1);
    const struct stele__footer sound = read_footer(file);
    struct stele__footer forged = sound;
    forged.first_record++;
    forged.records--;
    write_footer(file, &forged);
    returns(STELE_ECORRUPT, try_to_open(dir->log));
    error_says("another record number");
    forged = sound;
    forged.chain_start ^= 1;
    write_footer(file, &forged);
    returns(STELE_ECORRUPT, try_to_open(dir->log));
    error_says("chain");
    write_footer(file, &sound);
    succeeds(try_to_open(dir->log));
}

/* What the footer says of its records, by itself: no neighbour is asked. */
static void a_seal_that_miscounts_its_records_is_found(void **state)
{
    struct dir *dir = *state;
    (void)make_log_at(dir->log);
    struct stele__scan scan;
    const int dirfd = open(dir->log, O_RDONLY | O_DIRECTORY);
    must(dirfd >= 0);
    succeeds(stele__scan(&scan, dirfd, dir->log));
    struct stele__found *found = stele__scan_find(&scan, 1);
    must(found != NULL && found->sealed);
    uint64_t aligned[SEGMENT_SMALL / 8];
    struct stele__index_entry index[SEGMENT_SMALL / 65536 + 1];
    struct stele__check_result result;
    stele__check_sealed(&scan, found, (uint8_t *)aligned, index, &result);
    must(result.kind == NULL);
    found->footer.records++;
    stele__check_sealed(&scan, found, (uint8_t *)aligned, index, &result);
    must(result.kind != NULL && strcmp(result.kind, "chain") == 0 && !result.harmless);
    found->footer.records--;
    found->footer.chain_end ^= 1;
    stele__check_sealed(&scan, found, (uint8_t *)aligned, index, &result);
    must(result.kind != NULL && strcmp(result.kind, "chain") == 0 && !result.harmless);
    stele__scan_free(&scan);
    must(close(dirfd) == 0);
}

/* A log with a few records and no mark, as it stands while its writer is at work. */
static void make_bare_log(const char *path, const char *copy, uint64_t from)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    const struct stele__seams seams = {.no_helper = true}; /* nothing changes under the copy */
    struct stele *log;
    succeeds(stele__open_with(path, &options, &seams, &log));
    append_range(log, from, from + 10);
    dir_copy(path, copy);
    succeeds(stele_close(log));
}

/* Number, base, size and every record of it are right, and no mark knows the chain: only the uuid tells. */
static void a_segment_of_another_log_is_refused_though_no_chain_denies_it(void **state)
{
    struct dir *dir = *state;
    const char *ours = dir_file(dir, "ours"), *theirs = dir_file(dir, "theirs");
    make_bare_log(dir->log, ours, 0);
    make_bare_log(dir_file(dir, "other"), theirs, 100);
    expect_log(ours, 0, 10);
    static uint8_t file[SEGMENT_SMALL + 16384];
    const size_t bytes = (size_t)stele__segment_file_bytes(SEGMENT_SMALL);
    file_read(segment_at(theirs, 0), 0, file, bytes);
    file_write(segment_at(ours, 0), 0, file, bytes);
    returns(STELE_ECORRUPT, try_to_open(ours));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(ours, NULL, &result));
    must(result.verdict == STELE_CORRUPT && result.records == 0);
}

/* A sealing that never finished is no part of a segment that is written on. */
static void rests_of_a_footer_are_gone_after_an_opening(void **state)
{
    struct dir *dir = *state;
    const uint64_t count = make_log_at(dir->log);
    static const char rest[] = "STELEEND, and not what follows it";
    file_write(segment(dir, SEALED), footer_at(), rest, sizeof rest);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 1);
    succeeds(try_to_open(dir->log));
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    expect_log(dir->log, 0, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_seal_that_does_not_continue_the_one_before_it_is_refused),
        LAW(a_seal_that_miscounts_its_records_is_found),
        LAW(a_segment_of_another_log_is_refused_though_no_chain_denies_it),
        LAW(rests_of_a_footer_are_gone_after_an_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
