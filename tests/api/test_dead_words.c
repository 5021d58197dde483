/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dead_words.c: the live words of the control file are the writer's, and mean nothing without one. After a power cut
 * they may speak of records that never arrived; who opens the log then, to read or to write, finds out by himself. */
#include "lib/dir.h"

#include "core/open.h"
#include "format/control.h"

#define COUNT 30u

static void write_word(const char *control, size_t offset, uint64_t value)
{
    file_write(control, STELE__CONTROL_LIVE + offset, &value, sizeof value);
}

static void words_of_a_writer_that_is_gone_are_not_believed(void **state)
{
    struct dir *dir = *state;
    const struct stele_options options = log_options(STELE_CREATE);
    const struct stele__seams seams = {.no_helper = true}; /* nothing changes under the copy */
    struct stele *log;
    succeeds(stele__open_with(dir->log, &options, &seams, &log));
    append_range(log, 0, COUNT);
    const char *crashed = dir_file(dir, "crashed"), *control = dir_file(dir, "crashed/control");
    dir_copy(dir->log, crashed);
    succeeds(stele_close(log));
    static const uint64_t lies[] = {8, 4096, SEGMENT_SMALL - 8, SEGMENT_SMALL, 3 * SEGMENT_SMALL, UINT64_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        write_word(control, offsetof(struct stele__live, durable), lies[i]);
        write_word(control, offsetof(struct stele__live, first), lies[i]);
        write_word(control, offsetof(struct stele__live, tail_at_open), lies[i]);
        struct stele *reader = log_open(crashed, STELE_READ_ONLY);
        must(stele_first(reader) == 0);
        must(stele_durable(reader) <= stele_tail(reader) && stele_tail(reader) < SEGMENT_SMALL);
        expect_range(reader, 0, COUNT);
        succeeds(stele_close(reader));
    }
    log = log_open(crashed, 0);
    expect_range(log, 0, COUNT);
    append_range(log, COUNT, COUNT + 5);
    succeeds(stele_close(log));
    expect_log(crashed, 0, COUNT + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(words_of_a_writer_that_is_gone_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
