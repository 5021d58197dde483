/* SPDX-License-Identifier: BSD-3-Clause */
/* test_read_only.c: readers change no byte, no time and no name, whatever state the log is in and whatever they do with it:
 * open, read to the end, seek, pin, stat, verify. */
#include "lib/dir.h"

#include <string.h>
#include <unistd.h>

#include "format/segment.h"

static void read_everything(const char *path)
{
    const struct stele_options options = log_options(STELE_READ_ONLY);
    struct stele *log;
    if (stele_open(path, &options, &log) != 0)
        return;
    for (unsigned flags = 0; flags <= STELE_DURABLE_ONLY; flags++) {
        for (int from = STELE_FROM_BEGIN; from <= STELE_FROM_LAST; from++) {
            struct stele_cursor *cursor;
            struct stele_record record;
            if (stele_cursor_open(log, flags, (enum stele_from)from, stele_first(log), &cursor) != 0)
                continue;
            while (stele_cursor_next(cursor, &record) == 1)
                continue;
            (void)stele_cursor_wait(cursor, 0);
            stele_cursor_close(cursor);
        }
    }
    struct stele_pin *pin;
    if (stele_pin(log, stele_first(log), &pin) == 0)
        stele_unpin(pin);
    static struct stele_stat stat;
    stat.size = sizeof stat;
    (void)stele_stat(log, &stat);
    struct stele_segment_stat segments[8];
    (void)stele_stat_segments(log, segments, 8);
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    (void)stele_verify(path, NULL, &result);
}

static void expect_untouched(const char *path)
{
    uint64_t before = dir_digest(path);
    read_everything(path);
    must(dir_digest(path) == before);
}

static uint64_t make(const struct dir *dir)
{
    struct stele *log = log_open(dir->log, STELE_CREATE);
    uint64_t count = append_until_segment(log, 0, 4);
    append_range(log, count, count + 20);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, SEGMENT_SMALL, NULL) == 1);
    succeeds(stele_close(log));
    return count + 20;
}

static void a_clean_log_is_left_as_it_is(void **state)
{
    struct dir *dir = *state;
    make(dir);
    expect_untouched(dir->log);
    dir_empty(dir->log);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE))); /* an empty one */
    expect_untouched(dir->log);
}

/* Torn, not sealed, with files under construction: everything a writer would tidy up. */
static void an_untidy_log_is_left_as_it_is(void **state)
{
    struct dir *dir = *state;
    make(dir);
    const char *active = segment_file(dir, 4, SEGMENT_SMALL);
    file_zero(segment_file(dir, 3, SEGMENT_SMALL), stele__footer_offset(SEGMENT_SMALL),
              2 * STELE__FOOTER_COPY);
    file_write(active, STELE__HEADER_BYTES + 60000, "torn", 4);
    file_make(log_file(dir, "new-0000000000000001.stele.tmp"), "half a segment");
    file_make(log_file(dir, "recycled-0000000000000002.stele.tmp"), "");
    file_make(segment_file(dir, 0, SEGMENT_SMALL), "left by a trim");
    expect_untouched(dir->log);
    must(unlink(log_file(dir, "lock")) == 0);
    expect_untouched(dir->log);
}

static void a_damaged_log_is_left_as_it_is(void **state)
{
    struct dir *dir = *state;
    for (int how = 0; how < 8; how++) {
        make(dir);
        switch (how) {
        case 0: must(unlink(segment_file(dir, 2, SEGMENT_SMALL)) == 0); break;
        case 1: must(unlink(log_file(dir, "control")) == 0); break;
        case 2: file_zero(log_file(dir, "control"), 0, 8192); break;
        case 3: must(truncate(log_file(dir, "control"), 5000) == 0); break;
        case 4: must(truncate(segment_file(dir, 3, SEGMENT_SMALL), 5000) == 0); break;
        case 5: file_zero(segment_file(dir, 1, SEGMENT_SMALL), 0, 4096); break;
        case 6: file_flip(segment_file(dir, 4, SEGMENT_SMALL), STELE__HEADER_BYTES + 8, 3); break;
        default: file_flip(segment_file(dir, 2, SEGMENT_SMALL), STELE__HEADER_BYTES + 30000, 3); break;
        }
        expect_untouched(dir->log);
        dir_empty(dir->log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(a_clean_log_is_left_as_it_is),
        LAW(an_untidy_log_is_left_as_it_is),
        LAW(a_damaged_log_is_left_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
