/* SPDX-License-Identifier: BSD-3-Clause */
/* core/cursor_wait.c: sleep until there is something to read. A durable record is announced by its commit. A
 * published one is not: appenders make no system call, so a cursor that shows undurable records looks, ever
 * more rarely. */
#include "core/cursor.h"

#include "os/clock.h"

#define SPINS 256u /* about a microsecond: most gaps between records are shorter */
#define NAP_MIN_NS (INT64_C(20) * 1000)
#define NAP_MAX_NS (INT64_C(1) * 1000 * 1000) /* a published record is seen within a millisecond */
#define SLEEP_MAX_NS                                                                                         \
    (INT64_C(500) * 1000 * 1000) /* a durable one wakes the sleeper; this bounds a lost writer */

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static int64_t nap_ns(const struct stele_cursor *cursor, unsigned round)
{
    if (cursor->durable_only)
        return SLEEP_MAX_NS;
    unsigned doublings = (round - SPINS) / 4;
    return doublings < 6 ? NAP_MIN_NS << doublings : NAP_MAX_NS;
}

int stele_cursor_wait(struct stele_cursor *cursor, int64_t timeout_ns)
{
    struct stele *log = cursor->log;
    const uint64_t start = stele__clock_monotonic_ns();
    for (unsigned round = 0; cursor->pending == 0; round = round < UINT32_MAX ? round + 1 : round) {
        uint32_t commits = atomic_load(&log->live_page->commits); /* [M13] [P5] before the look */
        struct stele__record record;
        int rc = stele__cursor_find(cursor, &record); /* [M14] */
        if (rc == 1)
            return 1;
        if (rc != 0) {
            cursor->pending = rc; /* for the next stele_cursor_next() to tell; nothing is skipped */
            return 1;
        }
        if (!log->read_only && atomic_load_explicit(&log->failed, memory_order_acquire) != 0)
            return stele__fail_latched(log);
        if (timeout_ns == 0)
            return 0;
        if (round < SPINS) {
            relax();
            continue;
        }
        int64_t nap = nap_ns(cursor, round);
        if (timeout_ns > 0) {
            int64_t passed = (int64_t)(stele__clock_monotonic_ns() - start);
            if (passed >= timeout_ns)
                return 0;
            nap = nap < timeout_ns - passed ? nap : timeout_ns - passed;
        }
        stele__reader_sleep(log, commits, nap);
    }
    return 1;
}
