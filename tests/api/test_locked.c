/* SPDX-License-Identifier: BSD-3-Clause */
/* test_locked.c: one writer per log. The second is refused by name and time of the first, readers are not, and the lock
 * dies with its holder, however it dies. */
#include "lib/child.h"
#include "lib/dir.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int try_to_write(const char *path, uint32_t flags)
{
    struct stele *log = (struct stele *)(void *)1;
    const struct stele_options options = log_options(flags);
    int rc = stele_open(path, &options, &log);
    must((rc == 0) == (log != NULL));
    return rc == 0 ? stele_close(log) : rc;
}

/* "..., since 2026-07-01T12:00:00Z": between these seconds. */
static void expect_time(time_t from, time_t to)
{
    const char *since = strstr(stele_last_error(), "since ");
    must(since != NULL);
    for (time_t second = from; second <= to; second++) {
        char text[32];
        struct tm utc;
        must(gmtime_r(&second, &utc) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0);
        if (strncmp(since + 6, text, strlen(text)) == 0)
            return;
    }
    must_be(false, "the message says when the holder opened the log", __FILE__, __LINE__);
}

static void expect_pid(pid_t pid)
{
    char text[32];
    (void)snprintf(text, sizeof text, "process %ld ", (long)pid);
    error_says(text);
}

static void a_second_writer_in_this_process_is_refused(void **state)
{
    struct dir *dir = *state;
    time_t from = time(NULL);
    struct stele *log = log_open(dir->log, STELE_CREATE);
    time_t to = time(NULL);
    append_range(log, 0, 10);
    char before[128], after[128];
    file_read(log_file(dir, "lock"), 0, before, sizeof before);
    returns(STELE_ELOCKED, try_to_write(dir->log, 0));
    expect_pid(getpid());
    expect_time(from, to);
    error_says(dir->log);
    returns(STELE_ELOCKED, try_to_write(dir->log, STELE_CREATE));
    returns(STELE_EEXIST, try_to_write(dir->log, STELE_CREATE | STELE_EXCL));
    file_read(log_file(dir, "lock"), 0, after, sizeof after);
    must(memcmp(before, after, sizeof before) == 0); /* it did not write its own name */
    append_range(log, 10, 20);                       /* the first is not disturbed */
    succeeds(stele_sync(log, STELE_LSN_ALL));
    expect_log(dir->log, 0, 20);
    succeeds(stele_close(log));
    succeeds(try_to_write(dir->log, 0));
}

struct holder {
    struct gate holding, go;
    char path[300];
};

static void hold(void *ctx)
{
    struct holder *holder = ctx;
    struct stele *log = log_open(holder->path, STELE_CREATE);
    append_range(log, 0, 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    gate_open(&holder->holding);
    gate_pass(&holder->go);
    succeeds(stele_close(log));
}

static struct holder *holder_make(const struct dir *dir)
{
    struct holder *holder = shared_alloc(sizeof *holder);
    gate_init(&holder->holding);
    gate_init(&holder->go);
    (void)snprintf(holder->path, sizeof holder->path, "%s", dir->log);
    return holder;
}

static void a_second_writer_in_another_process_is_refused_and_readers_are_not(void **state)
{
    struct dir *dir = *state;
    struct holder *holder = holder_make(dir);
    time_t from = time(NULL);
    pid_t child = child_start(hold, holder);
    gate_pass(&holder->holding);
    time_t to = time(NULL);
    returns(STELE_ELOCKED, try_to_write(dir->log, 0));
    expect_pid(child);
    expect_time(from, to);
    expect_log(dir->log, 0, 10);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.live == 1 && result.verdict == STELE_CLEAN);
    gate_open(&holder->go);
    child_join(child);
    succeeds(try_to_write(dir->log, 0));
    shared_free(holder, sizeof *holder);
}

static void the_lock_dies_with_its_holder(void **state)
{
    struct dir *dir = *state;
    static const int signals[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct holder *holder = holder_make(dir);
        pid_t child = child_start(hold, holder);
        gate_pass(&holder->holding);
        returns(STELE_ELOCKED, try_to_write(dir->log, 0));
        must(kill(child, signals[i]) == 0);
        child_join_killed(child, signals[i]);
        struct stele *log =
            log_open(dir->log, 0); /* at once: nothing has to be timed out or removed by hand */
        expect_range(log, 0, 10);
        append_range(log, 10, 12);
        succeeds(stele_close(log));
        expect_log(dir->log, 0, 12);
        dir_empty(dir->log);
        shared_free(holder, sizeof *holder);
    }
}

/* What stands in the lock file is for people; whether it is locked is the kernel's word. */
static void an_abandoned_or_senseless_lock_file_stops_nobody(void **state)
{
    struct dir *dir = *state;
    static const char *const texts[] = {"", "pid 1 start_ns 1 comm init", "\377\376\375",
                                        "pid -5 start_ns x"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        succeeds(try_to_write(dir->log, STELE_CREATE));
        must(unlink(log_file(dir, "lock")) == 0);
        file_make(log_file(dir, "lock"), texts[i]);
        succeeds(try_to_write(dir->log, 0));
        struct stele *log = log_open(dir->log, 0);
        must(truncate(log_file(dir, "lock"), 0) == 0); /* somebody tidies up */
        returns(STELE_ELOCKED, try_to_write(dir->log, 0));
        must(stele_last_error()[0] != '\0');
        succeeds(stele_close(log));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(a_second_writer_in_this_process_is_refused),
        LAW(a_second_writer_in_another_process_is_refused_and_readers_are_not),
        LAW(the_lock_dies_with_its_holder),
        LAW(an_abandoned_or_senseless_lock_file_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
