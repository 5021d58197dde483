/* SPDX-License-Identifier: BSD-3-Clause */
/* test_epochs.c: what an opening cut never comes back, although its bytes do. The zeroes it wrote over them are one
 * guard, and a medium that loses a write undoes them; the epoch is the other. Every record of an opening carries a
 * higher one than any found in the segment, behind the end of the log too. */
#include "lib/dir.h"

#include <stdio.h>
#include <string.h>

#include "core/open.h"
#include "format/record.h"
#include "format/segment.h"

#define PAYLOAD 40u /* of every record here: what is appended later lines up with what was cut */
#define RECORD (STELE__RECORD_HEADER + PAYLOAD)

/* No marks between the records, and no helper thread that changes something under a copy. */
static struct stele *open_quietly(const char *path, uint32_t flags)
{
    struct stele_options options = log_options(flags);
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    options.idle_mark_ns = UINT64_MAX;
    succeeds(stele__open_with(path, &options, &seams, &log));
    return log;
}

static stele_lsn append_text(struct stele *log, const char *text)
{
    char payload[PAYLOAD] = {0};
    stele_lsn lsn = STELE_LSN_NONE;
    (void)snprintf(payload, sizeof payload, "%s", text);
    succeeds(stele_append(log, payload, sizeof payload, &lsn));
    return lsn;
}

static void expect_text(struct stele_cursor *cursor, const char *text)
{
    struct stele_record record;
    must(stele_cursor_next(cursor, &record) == 1);
    must(record.len == PAYLOAD && strcmp(record.data, text) == 0);
}

/* The log at `path` holds these and nothing else, for a reader and for a writer. */
static void expect_texts(const char *path, const char *const *texts, size_t count)
{
    for (int pass = 0; pass < 2; pass++) {
        struct stele *log = pass == 0 ? log_open(path, STELE_READ_ONLY) : open_quietly(path, 0);
        struct stele_cursor *cursor;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
        for (size_t i = 0; i < count; i++)
            expect_text(cursor, texts[i]);
        expect_nothing(cursor);
        stele_cursor_close(cursor);
        succeeds(stele_close(log));
    }
}

static const char *first_segment(const char *path)
{
    static char text[640];
    (void)snprintf(text, sizeof text, "%s/%s", path, segment_name(0, SEGMENT_SMALL));
    return text;
}

static uint64_t word_at(const char *path, stele_lsn lsn)
{
    uint64_t word;
    file_read(first_segment(path), STELE__HEADER_BYTES + lsn, &word, sizeof word);
    return word;
}

/* An opening appends two records and syncs neither; the first is torn, the second arrived whole. The next opening cuts
 * both and appends one of its own in place of the first. Then the sector of the second is back. */
static void what_was_cut_does_not_come_back_with_its_sector(void **state)
{
    struct dir *dir = *state;
    const char *crashed = dir_file(dir, "crashed"), *again = dir_file(dir, "again");
    const char *const kept[] = {"acknowledged", "new"};
    struct stele *log = open_quietly(dir->log, STELE_CREATE);
    (void)append_text(log, kept[0]);
    succeeds(stele_close(log));

    log = open_quietly(dir->log, 0); /* a later epoch than that of what stays */
    const stele_lsn torn = append_text(log, "torn"), whole = append_text(log, "whole");
    must(whole == torn + RECORD);
    dir_copy(dir->log, crashed);
    succeeds(stele_close(log));
    uint8_t ghost[RECORD];
    file_read(first_segment(crashed), STELE__HEADER_BYTES + whole, ghost, sizeof ghost);
    file_flip(first_segment(crashed), STELE__HEADER_BYTES + torn + STELE__RECORD_HEADER, 0);

    log = open_quietly(crashed, 0);
    must(stele_tail(log) == torn);
    must(append_text(log, kept[1]) == torn);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    dir_copy(crashed, again);
    succeeds(stele_close(log));
    const uint64_t word = word_at(again, torn);
    uint64_t ghost_word;
    memcpy(&ghost_word, ghost, sizeof ghost_word);
    must(stele__word_epoch(word) > stele__word_epoch(ghost_word));
    must(word_at(again, whole) == 0); /* it was zeroed */

    file_write(first_segment(again), STELE__HEADER_BYTES + whole, ghost, sizeof ghost);
    expect_texts(again, kept, 2);
}

/* Give the record at `lsn` of the first segment another epoch, and the checks that go with it. */
static void change_epoch(const char *path, stele_lsn lsn, uint16_t epoch)
{
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint32_t copies;
    file_read(first_segment(path), 0, page, sizeof page);
    must(stele__header_decode(page, &header, &copies) == STELE__DECODE_OK);
    uint64_t aligned[RECORD / 8];
    uint8_t *record = (uint8_t *)aligned;
    file_read(first_segment(path), STELE__HEADER_BYTES + lsn, record, RECORD);
    uint32_t dback;
    memcpy(&dback, record + 12, sizeof dback);
    uint64_t word = stele__word_pack(PAYLOAD, stele__word_wire(aligned[0]), epoch);
    aligned[0] = stele__record_seal(record, word, stele__record_seed(header.salt, lsn), dback);
    file_write(first_segment(path), STELE__HEADER_BYTES + lsn, record, RECORD);
}

/* 16 bits of epoch: after the last one the segment takes no more records, and the next begins with 1. */
static void a_segment_whose_epochs_are_used_up_is_closed(void **state)
{
    struct dir *dir = *state;
    const char *old = dir_file(dir, "old");
    const char *const kept[] = {"first", "last epoch", "next segment"};
    struct stele *log = open_quietly(dir->log, STELE_CREATE);
    (void)append_text(log, kept[0]);
    const stele_lsn last = append_text(log, kept[1]);
    dir_copy(dir->log, old);
    succeeds(stele_close(log));
    change_epoch(old, last, STELE__EPOCH_MAX);
    expect_texts(old, kept, 2);

    log = open_quietly(old, 0);
    must(stele_tail(log) >= SEGMENT_SMALL);
    must(append_text(log, kept[2]) >= SEGMENT_SMALL);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    const uint64_t pad = word_at(old, last + RECORD);
    must(stele__word_epoch(pad) == STELE__EPOCH_MAX);
    expect_texts(old, kept, 3);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(old, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.records == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(what_was_cut_does_not_come_back_with_its_sector),
        LAW(a_segment_whose_epochs_are_used_up_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
