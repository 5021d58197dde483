/* SPDX-License-Identifier: BSD-3-Clause */
/* os/clock.c: time and randomness. Callers: src/core; never on the append path, a reading costs as much as an
 * append. */
#include "os/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

static uint64_t now(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t); /* cannot fail for these two clocks */
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t stele__clock_realtime_ns(void)
{
    return now(CLOCK_REALTIME);
}

uint64_t stele__clock_monotonic_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

void stele__clock_sleep_ns(uint64_t ns)
{
    uint64_t start = stele__clock_monotonic_ns();
    uint64_t end = ns > UINT64_MAX / 2 ? UINT64_MAX / 2 + start : start + ns;
    struct timespec until = {.tv_sec = (time_t)(end / NS_PER_S), .tv_nsec = (long)(end % NS_PER_S)};
    /* An absolute end: signals, however many, cannot stretch the sleep. */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

int stele__random_bytes(void *buf, size_t len)
{
    uint8_t *at = buf;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}
