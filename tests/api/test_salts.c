/* SPDX-License-Identifier: BSD-3-Clause */
/* test_salts.c: no two segments of a log ever have the same salt, whatever crash lies between them: the salt follows from
 * the incarnation, and no incarnation is given out twice, not even that of a segment which is gone. */
#include "test_admin.h"

#define SEEN_MAX 64u

struct seen {
    uint32_t incarnations[SEEN_MAX];
    size_t count;
};

static bool knows(const struct seen *seen, uint32_t incarnation)
{
    for (size_t i = 0; i < seen->count; i++)
        if (seen->incarnations[i] == incarnation)
            return true;
    return false;
}

static uint32_t incarnation_at(const char *path, uint64_t sequence)
{
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint32_t copies;
    file_read(segment_at(path, sequence), 0, page, sizeof page);
    must(stele__header_decode(page, &header, &copies) == STELE__DECODE_OK);
    must(header.salt == stele__salt(header.uuid, header.incarnation));
    return header.incarnation;
}

/* Segments [from, to) of the log at `path`: none has what was seen before. */
static void expect_fresh(struct seen *seen, const char *path, uint64_t from, uint64_t to)
{
    for (uint64_t sequence = from; sequence < to; sequence++) {
        uint32_t incarnation = incarnation_at(path, sequence);
        must(!knows(seen, incarnation));
        must(seen->count < SEEN_MAX);
        seen->incarnations[seen->count++] = incarnation;
    }
}

/* Without the helper thread: what is prepared, and when the control block is written, is the test's to say. */
static struct stele *open_alone(const char *path, uint32_t flags)
{
    struct stele_options options = log_options(flags);
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    options.idle_mark_ns = UINT64_MAX;
    succeeds(stele__open_with(path, &options, &seams, &log));
    return log;
}

static uint64_t segments_of(const char *path)
{
    uint64_t count = 0;
    while (file_exists(segment_at(path, count)))
        count++;
    return count;
}

/* The control block is older than the last segments: their headers tell. */
static void incarnations_go_on_behind_the_highest_header(void **state)
{
    struct dir *dir = *state;
    const char *crashed = dir_file(dir, "crashed");
    struct seen seen = {.count = 0};
    struct stele *log = open_alone(dir->log, STELE_CREATE);
    (void)append_until_segment(log, 0, 2);
    dir_copy(dir->log, crashed);
    succeeds(stele_close(log));
    const uint64_t before = segments_of(crashed);
    must(before >= 3);
    expect_fresh(&seen, crashed, 0, before);

    log = open_alone(crashed, 0);
    (void)append_until_segment(log, 1000, before + 1);
    const uint64_t after = segments_of(crashed);
    must(after > before);
    expect_fresh(&seen, crashed, before, after);
    succeeds(stele_close(log));
}

/* A spare in which a torn write arrived is removed by the opening. Killed right after that, nothing but the control block
 * knows that its salt was used. */
static void the_salt_of_a_removed_segment_is_not_used_again(void **state)
{
    struct dir *dir = *state;
    const char *crashed = dir_file(dir, "crashed"), *again = dir_file(dir, "again");
    struct seen seen = {.count = 0};
    struct stele *log = open_alone(dir->log, STELE_CREATE);
    append_range(log, 0, 3);
    (void)stele__helper_step(log, true); /* spares */
    dir_copy(dir->log, crashed);
    succeeds(stele_close(log));
    const uint64_t count = segments_of(crashed);
    must(count >= 3);
    expect_fresh(&seen, crashed, 0, count);
    static const uint8_t torn[64] = {0x5a, 1, 2, 3};
    for (uint64_t sequence = 1; sequence < count; sequence++)
        file_write(segment_at(crashed, sequence), STELE__HEADER_BYTES + 4096, torn, sizeof torn);

    log = open_alone(crashed, 0);
    must(!file_exists(segment_at(crashed, count - 1)));
    dir_copy(crashed, again); /* killed here */
    succeeds(stele_close(log));
    const uint64_t left = segments_of(again);

    log = open_alone(again, 0);
    (void)append_until_segment(log, 3, left + 1);
    const uint64_t now = segments_of(again);
    must(now > left);
    expect_fresh(&seen, again, left, now);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(incarnations_go_on_behind_the_highest_header),
        LAW(the_salt_of_a_removed_segment_is_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
