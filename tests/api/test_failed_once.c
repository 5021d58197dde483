/* SPDX-License-Identifier: BSD-3-Clause */
/* test_failed_once.c: a flush that fails is the end of the log, also when the next one would succeed, and whatever it was
 * for: records, seals, headers, control blocks. The kernel may call the pages clean by then; only who opens the log anew,
 * and looks at the files, may go on. */
#include "lib/dir.h"
#include "lib/wrap.h"

#include <errno.h>

#include "format/segment.h"

struct once {
    struct wrap wrap;
    uint64_t at; /* the persist that fails: this one and no other */
    bool fired;
};

static void fail_once(void *ctx, uint64_t number, uint64_t bytes)
{
    struct once *once = ctx;
    if (number == once->at && bytes == stele__segment_file_bytes(SEGMENT_SMALL))
        once->at++; /* zeroes of a file that is to be used again: it would be given up, and another one made */
    once->fired |= number == once->at;
    atomic_store(&once->wrap.fail_persist_at, number == once->at ? number : 0);
}

static int append_one(struct stele *log, uint64_t number)
{
    uint8_t payload[NUMBERED_MAX];
    struct iovec iov = {.iov_base = payload, .iov_len = numbered(number, payload)};
    return stele_appendv(log, numbered_type(number), &iov, 1, NULL);
}

/* Appends, syncs, rolls, seals, trims, recycled segments, until the flush has failed. False: it never came. */
static bool run_until_it_fails(struct once *once, const struct dir *dir, struct stele **log)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 4096;
    options.spare_segments = 1;
    const struct stele__seams seams = {.media = &once->wrap.media, .no_helper = true};
    int rc = stele__open_with(dir->log, &options, &seams, log);
    must((rc != 0) == once->fired); /* no log comes of an opening in which a flush failed */
    for (uint64_t number = 0; rc == 0 && !once->fired && stele_tail(*log) < 6 * SEGMENT_SMALL; number++) {
        rc = append_one(*log, number);
        if (rc == 0 && !once->fired && number % 9 == 0)
            rc = stele_sync(*log, STELE_LSN_ALL);
        if (rc == 0 && !once->fired && number % 50 == 0)
            rc = stele_trim(*log, stele_durable(*log), NULL) < 0 ? STELE_EFAILED : 0;
    }
    return once->fired;
}

static void one_failed_flush_is_the_end_of_the_log(void **state)
{
    struct dir *dir = *state;
    uint64_t logs = 0;
    bool fired = true;
    for (uint64_t at = 1; fired; at++) {
        struct once once = {.at = at};
        struct stele *log = NULL;
        wrap_init(&once.wrap);
        once.wrap.on_persist = fail_once;
        once.wrap.ctx = &once;
        atomic_store(&once.wrap.fail_errno, EIO);
        fired = run_until_it_fails(&once, dir, &log);
        if (fired && log != NULL) {
            const stele_lsn durable = stele_durable(log);
            returns(STELE_EFAILED, append_one(log, 1));
            returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
            returns(STELE_EFAILED, stele_sync_begin(log));
            returns(STELE_EFAILED, (int)stele_trim(log, 0, NULL));
            must(stele_durable(log) == durable);
            returns(STELE_EFAILED, stele_close(log));
            logs++;
        } else if (log != NULL) {
            const int rc = stele_close(log); /* it flushes, too */
            fired = once.fired;
            returns(fired ? STELE_EFAILED : 0, rc);
        }
        dir_empty(dir->log);
    }
    must(logs > 60); /* of every kind: six segments were filled, sealed, trimmed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(one_failed_flush_is_the_end_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
