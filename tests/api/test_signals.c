/* SPDX-License-Identifier: BSD-3-Clause */
/* test_signals.c: storms of signals without SA_RESTART. Every thread that calls into the library is interrupted again and
 * again, by timers and by another thread; EINTR never comes out of any call, nothing is lost, and no timeout is taken for
 * an event. A handler runs in the middle of appends, rolls, syncs, waits, openings and copies. */
#include "lib/child.h"
#include "lib/dir.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define WORKERS 5u
#define MICROSECOND INT64_C(1000)
#define TIMER_US 300 /* far more often than a profiler would */

static _Atomic uint64_t interruptions;

static void count(int signal)
{
    (void)signal;
    atomic_fetch_add_explicit(&interruptions, 1, memory_order_relaxed);
}

static void set_timers(long every_us)
{
    const struct itimerval timer = {.it_interval = {.tv_usec = every_us}, .it_value = {.tv_usec = every_us}};
    must(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    must(setitimer(ITIMER_PROF, &timer, NULL) == 0);
}

static void handle_signals(void (*handler)(int))
{
    static const int signals[] = {SIGALRM, SIGPROF, SIGUSR1};
    const struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART: system calls fail with EINTR */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        must(sigaction(signals[i], &action, NULL) == 0);
}

/* ---- who interrupts */

struct storm {
    const char *path, *other, *copy;
    struct stele *log;
    uint64_t records;
    _Atomic bool over;
    _Atomic unsigned working;
    _Atomic stele_lsn appended; /* a record that is published; STELE_LSN_NONE */
    pthread_t workers[WORKERS], bomber;
    struct gate standing;
};

/* At each of them in turn, and leaves them hardly the time to go on. None is joined before this has ended. */
static void *bombard(void *argument)
{
    struct storm *storm = argument;
    while (atomic_load(&storm->working) > 0) {
        for (unsigned i = 0; i < WORKERS; i++)
            must(pthread_kill(storm->workers[i], SIGUSR1) == 0);
        (void)usleep(30);
    }
    return NULL;
}

/* ---- who is interrupted */

static void *append_roll_and_sync(void *argument)
{
    struct storm *storm = argument;
    gate_pass(&storm->standing); /* a cursor at the first record, or a trim could be faster */
    for (uint64_t number = 0; number < storm->records; number++) {
        stele_lsn lsn = append_numbered(storm->log, number); /* some 300 of them fill a segment */
        atomic_store(&storm->appended, lsn);
        if (number % 16 == 0) {
            succeeds(stele_sync(storm->log, lsn));
            must(stele_durable(storm->log) > lsn);
        }
        if (number % 500 == 0)
            must(stele_trim(storm->log, lsn, NULL) >= 0);
    }
    succeeds(stele_sync(storm->log, STELE_LSN_ALL));
    atomic_store(&storm->over, true);
    atomic_fetch_sub(&storm->working, 1);
    return NULL;
}

static void *wait_for_commits(void *argument)
{
    struct storm *storm = argument;
    for (int64_t n = 0; !atomic_load(&storm->over); n++) {
        stele_lsn lsn = atomic_load(&storm->appended);
        if (lsn == STELE_LSN_NONE)
            continue;
        int rc = stele_durable_wait(storm->log, lsn, n % 4 * 300 * MICROSECOND);
        must(rc == STELE_ETIMEDOUT || (rc == 0 && stele_durable(storm->log) > lsn));
        succeeds(stele_sync_begin(storm->log));
        succeeds(stele_durable_wait(storm->log, lsn, STELE_WAIT_FOREVER));
        must(stele_durable(storm->log) > lsn);
        /* What is not there yet does not come by being interrupted. */
        returns(STELE_ETIMEDOUT, stele_durable_wait(storm->log, UINT64_MAX - 15, 200 * MICROSECOND));
    }
    atomic_fetch_sub(&storm->working, 1);
    return NULL;
}

static void *follow(void *argument)
{
    struct storm *storm = argument;
    struct stele *log = log_open(storm->path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    gate_open(&storm->standing);
    for (uint64_t number = 0; number < storm->records; number++) {
        int rc = stele_cursor_wait(cursor, number % 2 == 0 ? STELE_WAIT_FOREVER : 400 * MICROSECOND);
        while (rc == 0)
            rc = stele_cursor_wait(cursor, 400 * MICROSECOND);
        returns(1, rc);
        expect_next(cursor, number, number + 1);
    }
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    atomic_fetch_sub(&storm->working, 1);
    return NULL;
}

static void *look_and_verify(void *argument)
{
    struct storm *storm = argument;
    while (!atomic_load(&storm->over)) {
        struct stele_verify_result result = {.size = sizeof result};
        succeeds(stele_verify(storm->path, NULL, &result));
        must(result.verdict == STELE_CLEAN && result.live == 1);
        struct stele_stat stat = {.size = sizeof stat};
        succeeds(stele_stat(storm->log, &stat));
        must(stat.writer_alive == 1 && stat.failed == 0 && stat.writer_pid == getpid());
        const struct stele_options options = log_options(0);
        struct stele *second;
        returns(STELE_ELOCKED, stele_open(storm->path, &options, &second));
        struct stele_pin *pin;
        int rc = stele_pin(storm->log, stele_first(storm->log), &pin);
        must(rc == 0 || rc == STELE_ETRIMMED);
        stele_unpin(pin);
    }
    atomic_fetch_sub(&storm->working, 1);
    return NULL;
}

static void *make_and_copy(void *argument)
{
    struct storm *storm = argument;
    for (uint64_t n = 0; !atomic_load(&storm->over); n++) {
        struct stele *log = log_open(storm->other, STELE_CREATE | STELE_EXCL);
        append_range(log, 0, 400);
        succeeds(stele_close(log));
        log = log_open(storm->other, 0);
        append_range(log, 400, 500);
        stele_lsn last = append_numbered(log, 500), end = 0, live_end = 0;
        succeeds(stele_sync(log, last));
        succeeds(stele_backup(storm->other, storm->copy, &end));
        must(end > last && end <= stele_durable(log));
        succeeds(stele_close(log));
        expect_log(storm->copy, 0, 501);
        dir_empty(storm->copy);
        succeeds(stele_backup(storm->path, storm->copy, &live_end)); /* of the log that is being written */
        dir_empty(storm->copy);
        dir_empty(storm->other);
    }
    atomic_fetch_sub(&storm->working, 1);
    return NULL;
}

static void no_call_is_ended_by_a_signal(struct dir *dir, uint32_t durability)
{
    void *(*const work[WORKERS])(void *) = {append_roll_and_sync, wait_for_commits, follow, look_and_verify,
                                            make_and_copy};
    struct stele_options options = log_options(STELE_CREATE);
    options.durability = durability;
    struct storm storm = {.path = dir->log,
                          .other = dir_file(dir, "other"),
                          .copy = dir_file(dir, "copy"),
                          .log = log_open_with(dir->log, &options),
                          .records = scaled(16000),
                          .working = WORKERS,
                          .appended = STELE_LSN_NONE};
    gate_init(&storm.standing);
    atomic_store(&interruptions, 0);
    handle_signals(count);
    set_timers(TIMER_US);
    for (unsigned i = 0; i < WORKERS; i++)
        must(pthread_create(&storm.workers[i], NULL, work[i], &storm) == 0);
    must(pthread_create(&storm.bomber, NULL, bombard, &storm) == 0);
    must(pthread_join(storm.bomber, NULL) == 0);
    for (unsigned i = 0; i < WORKERS; i++)
        must(pthread_join(storm.workers[i], NULL) == 0);
    must(stele_trim(storm.log, STELE_LSN_ALL, NULL) >= 0 && stele_first(storm.log) > 0);
    succeeds(stele_close(storm.log));
    set_timers(0);
    handle_signals(SIG_IGN);
    must(atomic_load(&interruptions) > WORKERS);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    dir_empty(dir->log);
}

static void no_call_is_ended_by_a_signal_on_memory(void **state)
{
    no_call_is_ended_by_a_signal(*state, STELE_DURABILITY_NONE);
}

static void no_call_is_ended_by_a_signal_on_a_file_system(void **state)
{
    no_call_is_ended_by_a_signal(*state, STELE_DURABILITY_MSYNC);
}

/* ---- the helper */

static uint64_t blocked_by(const char *task)
{
    char path[300], line[200];
    unsigned long long mask = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *file = fopen(path, "r");
    must(file != NULL);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "SigBlk: %llx", &mask) != 1)
        continue;
    (void)fclose(file);
    return mask;
}

/* An application's handler never runs in a thread that the application does not know. */
static void the_helper_leaves_signals_to_the_application(void **state)
{
    static const int signals[] = {SIGALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGTERM,
                                  SIGINT,  SIGHUP,  SIGCHLD, SIGIO};
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        all |= UINT64_C(1) << (signals[i] - 1);
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    DIR *tasks = opendir("/proc/self/task");
    unsigned others = 0, deaf = 0;
    must(tasks != NULL);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
            continue;
        others++;
        deaf += (blocked_by(task->d_name) & all) == all;
    }
    (void)closedir(tasks);
    must(others >= 1 && deaf == others);
    sigset_t mine; /* and the opener has its mask back */
    must(pthread_sigmask(SIG_BLOCK, NULL, &mine) == 0);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        must(sigismember(&mine, signals[i]) == 0);
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name, setup) cmocka_unit_test_setup_teardown(name, setup, dir_teardown)
        LAW(no_call_is_ended_by_a_signal_on_memory, dir_setup_memory),
        LAW(no_call_is_ended_by_a_signal_on_a_file_system, dir_setup),
        LAW(the_helper_leaves_signals_to_the_application, dir_setup_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
