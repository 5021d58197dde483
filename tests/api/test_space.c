/* SPDX-License-Identifier: BSD-3-Clause */
/* test_space.c: reservations given up beyond the prepared space. When the disk is full and many threads were faster than the
 * helper, their slots lie where no segment is yet; each must be covered when it comes, or the durable point would stop for
 * ever. From inside, because no schedule brings it about at will. */
#include "lib/dir.h"
#include "lib/wrap.h"

#include "core/space.h"
#include "core/tail.h"

#define SLOTS 40u

static void run(struct dir *dir, uint64_t slot_bytes, unsigned stride)
{
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX;
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    append_range(log, 0, 10);
    stele_lsn lsns[SLOTS];
    for (unsigned i = 0; i < SLOTS; i++) /* appenders that reserved before they saw how far space reaches */
        lsns[i] = stele__tail_take(log, slot_bytes);
    must(lsns[SLOTS - 1] > atomic_load(&log->ready) + SEGMENT_SMALL);
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned which = (i * stride + 3) % SLOTS;
        stele__space_abandon(log, lsns[which], slot_bytes);
    }
    append_range(log, 10, 20); /* waits for all that space, and finds it */
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_durable(log) == stele_tail(log));
    expect_range(log, 0, 20);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 20);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == 20);
    dir_empty(dir->log);
}

static void every_slot_given_up_is_covered_when_its_segment_comes(void **state)
{
    static const uint64_t sizes[] = {16384, 16376, 8200, 5000};
    static const unsigned strides[] = {1, 7, 39, 11}; /* given up in order, or in any other */
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t t = 0; t < sizeof strides / sizeof strides[0]; t++)
            run(*state, sizes[s], strides[t]);
}

/* Between slots given up lie slots whose owners still wait: those are not touched. */
static void a_slot_that_is_waited_for_is_left_to_its_owner(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = options.idle_mark_ns = UINT64_MAX;
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    stele_lsn lsns[SLOTS];
    for (unsigned i = 0; i < SLOTS; i++) /* eight fill a segment, so that none crosses */
        lsns[i] = stele__tail_take(log, SEGMENT_SMALL / 8);
    for (unsigned i = SLOTS; i > 0; i -= 2)
        stele__space_abandon(log, lsns[i - 1], SEGMENT_SMALL / 8);
    for (unsigned i = 0; i < SLOTS; i += 2) {
        succeeds(stele__space_claim(log, lsns[i], SEGMENT_SMALL / 8));
        must(stele__tail_peek(log, lsns[i]) == 0);
        must(lsns[i + 1] >= atomic_load(&log->ready) || stele__tail_peek(log, lsns[i + 1]) != 0);
        stele__tail_pad(log, lsns[i], lsns[i] + SEGMENT_SMALL / 8);
        must(i % 4 != 0 || stele_sync(log, lsns[i]) == 0);
    }
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_durable(log) == SLOTS * SEGMENT_SMALL / 8);
    succeeds(stele_close(log));
}

/* The log is closed while they are still owed: what was published before them is safe. */
static void a_log_closed_over_slots_without_space_keeps_what_precedes_them(void **state)
{
    struct dir *dir = *state;
    struct wrap wrap;
    wrap_init(&wrap);
    struct stele_options options = log_options(STELE_CREATE);
    struct stele *log = wrap_open(&wrap, dir->log, &options, false);
    append_range(log, 0, 10);
    for (unsigned i = 0; i < SLOTS; i++) {
        stele_lsn lsn = stele__tail_take(log, 16384);
        stele__space_abandon(log, lsn, 16384);
    }
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 10);
    log = log_open(dir->log, 0);
    append_range(log, 10, 20);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_slot_given_up_is_covered_when_its_segment_comes),
        LAW(a_slot_that_is_waited_for_is_left_to_its_owner),
        LAW(a_log_closed_over_slots_without_space_keeps_what_precedes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
