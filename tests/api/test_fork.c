/* SPDX-License-Identifier: BSD-3-Clause */
/* test_fork.c: fork() while the log is open and threads append. The child must not touch what it inherited; whatever else
 * it does (goes on, ends, execs, opens the log anew), the parent goes on unharmed, and the lock is the parent's: a child
 * does not take it away, and keeps it only as docs/concurrency.md says. */
#include "lib/child.h"
#include "lib/dir.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPENDERS 3u

static int try_to_write(const char *path)
{
    struct stele *log;
    const struct stele_options options = log_options(0);
    int rc = stele_open(path, &options, &log);
    return rc == 0 ? stele_close(log) : rc;
}

static void expect_locked_by(const char *path, pid_t pid)
{
    char text[32];
    returns(STELE_ELOCKED, try_to_write(path));
    (void)snprintf(text, sizeof text, "process %ld ", (long)pid);
    error_says(text);
}

/* ---- children of a writer at work */

struct work {
    const char *path;
    struct stele *log;
    pid_t pid;
    _Atomic bool over;
    pthread_t threads[APPENDERS];
    _Atomic uint64_t records;
};

static void *append(void *argument)
{
    struct work *work = argument;
    for (uint64_t n = 0; !atomic_load(&work->over) || n % 8 != 0; n++) {
        uint64_t payload[250] = {n, ~n};
        stele_lsn lsn;
        succeeds(stele_append(work->log, payload, sizeof payload, &lsn));
        atomic_fetch_add(&work->records, 1);
        if (n % 8 == 7) {
            succeeds(stele_sync(work->log, lsn));
            must(stele_durable(work->log) > lsn);
        }
    }
    return NULL;
}

static void start(struct work *work, const struct dir *dir)
{
    *work = (struct work){.path = dir->log, .pid = getpid(), .log = log_open(dir->log, STELE_CREATE)};
    for (unsigned i = 0; i < APPENDERS; i++)
        must(pthread_create(&work->threads[i], NULL, append, work) == 0);
    while (stele_durable(work->log) == 0)
        sched_yield();
}

/* Whatever the children did: everything is there, and the log is closed as if nothing had been. */
static void finish(struct work *work)
{
    atomic_store(&work->over, true);
    for (unsigned i = 0; i < APPENDERS; i++)
        must(pthread_join(work->threads[i], NULL) == 0);
    succeeds(stele_close(work->log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(work->path, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.live == 0);
    must(result.first_lsn > 0 || result.records == atomic_load(&work->records));
}

static void go_on_for_a_while(void *ctx)
{
    const struct work *work = ctx;
    void *volatile memory = malloc(1000); /* an ordinary child: works a little without the log, and ends */
    must(memory != NULL && work->pid != getpid());
    free(memory);
}

static void exec_true(void *ctx)
{
    (void)ctx;
    (void)execl("/bin/true", "true", (char *)NULL);
}

static void wait_to_be_killed(void *ctx)
{
    (void)ctx;
    for (;;)
        (void)pause();
}

static void a_parent_goes_on_whatever_its_children_do(void **state)
{
    struct work work;
    start(&work, *state);
    for (uint64_t n = 0; n < scaled(24); n++) {
        child_join(child_start(go_on_for_a_while, &work));
        child_join(child_start(exec_true, NULL));
        child_kill(child_start(wait_to_be_killed, NULL));
        stele_lsn lsn;
        succeeds(stele_append(work.log, &n, sizeof n, &lsn));
        atomic_fetch_add(&work.records, 1);
        succeeds(stele_sync(work.log, lsn));
    }
    finish(&work);
}

/* A new opening is not what was inherited. */
static void open_anew(void *ctx)
{
    const struct work *work = ctx;
    struct stele *log = log_open(work->path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    must(stele_cursor_next(cursor, &record) == 1);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    expect_locked_by(work->path, work->pid);
}

static void a_child_that_opens_the_log_anew_reads_and_is_refused_to_write(void **state)
{
    struct work work;
    start(&work, *state);
    for (uint64_t n = 0; n < scaled(16); n++) {
        child_join(child_start(open_anew, &work));
        expect_locked_by(work.path, work.pid); /* what it closed was its own: our lock is still there */
    }
    finish(&work);
}

/* ---- what a living child keeps */

static void a_log_that_was_closed_is_free_although_a_child_lives(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele_cursor *cursor;
    struct stele_pin *pin;
    uint64_t next = append_until_segment(log, 0, 4);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_pin(log, 0, &pin));
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, 1);
    pid_t child = child_start(wait_to_be_killed, NULL); /* with copies of all our descriptors */
    returns(0, (int)stele_trim(log, STELE_LSN_ALL, NULL));
    stele_unpin(pin);
    stele_cursor_close(cursor);
    must(stele_trim(log, STELE_LSN_ALL, NULL) > 0); /* both have let go */
    succeeds(stele_close(log));
    log = log_open(dir->log, 0);
    append_range(log, next, next + 10);
    expect_locked_by(dir->log, getpid());
    succeeds(stele_close(log));
    child_kill(child);
    succeeds(try_to_write(dir->log));
}

struct family {
    char path[300];
    pid_t grandchild;
    int feed[2], execed[2]; /* its standard input; closed when it execs or ends */
    bool execs;
    struct gate born;
};

/* No death signal for this one: it shall outlive its parent. */
static void be_a_grandchild(struct family *family)
{
    (void)close(family->feed[1]);
    if (family->execs && dup2(family->feed[0], STDIN_FILENO) == STDIN_FILENO)
        (void)execl("/bin/cat", "cat", (char *)NULL);
    char byte;
    (void)!read(family->feed[0], &byte, 1);
    _exit(0);
}

static void write_and_fork(void *ctx)
{
    struct family *family = ctx;
    struct stele *log = log_open(family->path, STELE_CREATE);
    succeeds(stele_sync(log, append_range(log, 0, 20)));
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0)
        be_a_grandchild(family);
    (void)close(family->feed[0]);
    family->grandchild = pid;
    gate_open(&family->born);
    wait_to_be_killed(NULL);
}

static void the_parent_dies(const struct dir *dir, bool execs)
{
    struct family *family = shared_alloc(sizeof *family);
    (void)snprintf(family->path, sizeof family->path, "%s", dir->log);
    family->execs = execs;
    gate_init(&family->born);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    must(pipe2(family->feed, O_CLOEXEC) == 0 && pipe2(family->execed, O_CLOEXEC) == 0);
    pid_t parent = child_start(write_and_fork, family);
    gate_pass(&family->born);
    (void)close(family->execed[1]);
    char byte;
    if (execs) { /* the parent, too, holds the other end: it has to go first */
        child_kill(parent);
        must(read(family->execed[0], &byte, 1) == 0);
        succeeds(try_to_write(dir->log)); /* the grandchild lives, and holds nothing */
    } else {
        expect_locked_by(dir->log, parent);
        child_kill(parent);
        expect_locked_by(dir->log,
                         parent); /* refused in the name of the dead: its child may still use the map */
        expect_log(dir->log, 0, 20);
    }
    must(kill(family->grandchild, 0) == 0);
    (void)close(family->feed[1]);
    int status;
    must(waitpid(family->grandchild, &status, 0) == family->grandchild && status == 0);
    succeeds(try_to_write(dir->log));
    expect_log(dir->log, 0, 20);
    (void)close(family->feed[0]);
    (void)close(family->execed[0]);
    shared_free(family, sizeof *family);
}

static void the_lock_of_a_dead_parent_stays_until_its_child_ends(void **state)
{
    the_parent_dies(*state, false);
}

static void the_lock_of_a_dead_parent_is_gone_when_its_child_has_execed(void **state)
{
    the_parent_dies(*state, true);
}

static void list_descriptors(void *ctx)
{
    const int *out = ctx;
    if (dup2(*out, STDOUT_FILENO) == STDOUT_FILENO)
        (void)execl("/bin/ls", "ls", "-l", "/proc/self/fd", (char *)NULL);
}

/* At any moment, also while the helper makes, seals and trims segments. */
static void an_exec_inherits_no_descriptor_of_the_log(void **state)
{
    struct dir *dir = *state;
    struct work work;
    start(&work, dir);
    for (uint64_t n = 0; n < scaled(32); n++) {
        int ends[2];
        static char text[65536];
        size_t len = 0;
        must(pipe2(ends, O_CLOEXEC) == 0);
        pid_t child = child_start(list_descriptors, &ends[1]);
        (void)close(ends[1]);
        for (ssize_t got; (got = read(ends[0], text + len, sizeof text - 1 - len)) > 0;)
            len += (size_t)got;
        text[len] = '\0';
        (void)close(ends[0]);
        child_join(child);
        must(strstr(text, "pipe:") != NULL && strstr(text, dir->path) == NULL);
        must(stele_trim(work.log, STELE_LSN_ALL, NULL) >= 0);
    }
    must(stele_first(work.log) > 0 || under_sanitizer());
    finish(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_parent_goes_on_whatever_its_children_do),
        LAW(a_child_that_opens_the_log_anew_reads_and_is_refused_to_write),
        LAW(a_log_that_was_closed_is_free_although_a_child_lives),
        LAW(the_lock_of_a_dead_parent_stays_until_its_child_ends),
        LAW(the_lock_of_a_dead_parent_is_gone_when_its_child_has_execed),
        LAW(an_exec_inherits_no_descriptor_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
