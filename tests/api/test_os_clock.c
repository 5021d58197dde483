/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os_clock.c: laws of the clock, none of which depends on how fast the machine is. */
#include "test_os.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "os/clock.h"

static void monotonic_time_never_runs_back(void **state)
{
    (void)state;
    uint64_t last = stele__clock_monotonic_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = stele__clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void real_time_is_nanoseconds_since_1970(void **state)
{
    (void)state;
    struct timespec before, after;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &before), 0);
    uint64_t now = stele__clock_realtime_ns();
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &after), 0);
    assert_true(now / 1000000000 >= (uint64_t)before.tv_sec);
    assert_true(now / 1000000000 <= (uint64_t)after.tv_sec);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
    (void)signal;
    alarms = alarms + 1;
}

static void signals_do_not_shorten_a_sleep(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_alarm}, old;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    uint64_t start = stele__clock_monotonic_ns();
    stele__clock_sleep_ns(30000000);
    uint64_t slept = stele__clock_monotonic_ns() - start;
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    assert_true(slept >= 30000000);
    assert_true(alarms > 0);
}

static void random_bytes_fill_the_whole_buffer(void **state)
{
    (void)state;
    static uint8_t a[100000], b[100000]; /* more than one call of the kernel may have to give */
    assert_int_equal(stele__random_bytes(a, sizeof a), 0);
    assert_int_equal(stele__random_bytes(b, sizeof b), 0);
    assert_memory_not_equal(a, b, 16);
    /* 64 zero bytes in a row would be a hole: chance 2^-512 per position */
    size_t run = 0;
    for (size_t i = 0; i < sizeof a; i++) {
        run = a[i] == 0 ? run + 1 : 0;
        assert_true(run < 64);
    }
    assert_int_equal(stele__random_bytes(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_runs_back),
        cmocka_unit_test(real_time_is_nanoseconds_since_1970),
        cmocka_unit_test(signals_do_not_shorten_a_sleep),
        cmocka_unit_test(random_bytes_fill_the_whole_buffer),
    };
    return cmocka_run_group_tests_name("os/clock", tests, NULL, NULL);
}
