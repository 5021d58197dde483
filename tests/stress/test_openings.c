/* SPDX-License-Identifier: BSD-3-Clause */
/* test_openings.c: a reader that is opened at any moment of a writer's opening. The writer runs to its n-th system call,
 * for every n there is; there, with the writer stopped in the middle, a reader's handle and cursor are opened. Whatever
 * they saw then, they see everything once the writer is at work: all that was there, and what it appends. */
#include "lib/dir.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/helper.h"
#include "core/open.h"

#define CURSORS 2u /* on published records, on durable ones */

static struct {
    const char *path;
    uint64_t calls, stop_at; /* 0: runs through */
    bool inside;
    struct stele *reader;
    struct stele_cursor *cursors[CURSORS];
} moment;

/* Calls of the opening thread only: the helper is started behind the last of them. */
static _Thread_local bool counts;

static void open_reader(void)
{
    moment.inside = true;
    counts = false;
    moment.reader = log_open(moment.path, STELE_READ_ONLY);
    for (unsigned i = 0; i < CURSORS; i++)
        succeeds(stele_cursor_open(moment.reader, i, STELE_FROM_BEGIN, 0, &moment.cursors[i]));
    struct stele_verify_result result = {.size = sizeof result};
    if (moment.stop_at % 8 == 5) { /* beside an opening that does not end it looks again for a while */
        succeeds(stele_verify(moment.path, NULL, &result));
        must(result.verdict != STELE_CORRUPT);
    }
    counts = true;
}

static void call(void)
{
    if (counts && ++moment.calls == moment.stop_at)
        open_reader();
}

int openat(int dirfd, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    call();
    return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    call();
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
    call();
    return (ssize_t)syscall(SYS_pread64, fd, buf, len, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    call();
    return (ssize_t)syscall(SYS_pwrite64, fd, buf, len, offset);
}

int msync(void *at, size_t len, int flags)
{
    call();
    return (int)syscall(SYS_msync, at, len, flags);
}

int fsync(int fd)
{
    call();
    return (int)syscall(SYS_fsync, fd);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    call();
    return (int)syscall(SYS_unlinkat, dirfd, path, flags);
}

/* ---- one moment after the other */

/* Records [0, count) are there; the opening is stopped at its n-th call. False: it has not as many. */
static bool a_reader_follows_from(const struct dir *dir, uint64_t count, uint64_t n)
{
    struct stele_options options = log_options(0);
    options.durability = STELE_DURABILITY_MSYNC;
    moment.path = dir->log;
    moment.calls = 0;
    moment.stop_at = n;
    moment.inside = false;
    counts = true;
    struct stele *log = log_open_with(dir->log, &options);
    counts = false;
    if (!moment.inside) {
        succeeds(stele_close(log));
        return false;
    }
    for (unsigned i = 0; i < CURSORS; i++)
        expect_next(moment.cursors[i], 0, count);
    stele_lsn lsn = append_range(log, count, count + 3);
    expect_next(moment.cursors[0], count, count + 3);
    succeeds(stele_sync(log, lsn));
    expect_next(moment.cursors[1], count, count + 3);
    for (unsigned i = 0; i < CURSORS; i++)
        stele_cursor_close(moment.cursors[i]);
    must(stele_durable(moment.reader) > lsn);
    succeeds(stele_close(moment.reader));
    succeeds(stele_close(log));
    return true;
}

/* What a writer leaves that is killed with an open slot: its opening has something to cut. */
static void leave_torn(const struct dir *dir, uint64_t count)
{
    const char *path = dir_file(dir, "writing");
    const struct stele_options options = log_options(STELE_CREATE);
    const struct stele__seams seams = {.no_helper = true}; /* files come and go only when it is told to */
    struct stele *log;
    struct stele_slot slot;
    succeeds(stele__open_with(path, &options, &seams, &log));
    append_range(log, 0, count);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    succeeds(stele_reserve(log, 1, 100, &slot));
    append_range(log, count, count + 2); /* behind it: whole, and lost with it */
    while (stele__helper_step(log, true))
        continue; /* spares as they would be */
    dir_copy(path, dir->log);
    succeeds(stele_abandon(log, &slot));
    succeeds(stele_close(log));
    dir_empty(path);
}

static void from_every_moment(struct dir *dir, uint64_t count, bool torn)
{
    uint64_t n = 0;
    bool more = true;
    while (more) {
        if (torn) {
            leave_torn(dir, count);
        } else {
            struct stele *log = log_open(dir->log, STELE_CREATE);
            append_range(log, 0, count);
            succeeds(stele_close(log));
        }
        more = a_reader_follows_from(dir, count, ++n);
        dir_empty(dir->log);
    }
    must(n > 20); /* an opening makes more calls than that: they were counted */
}

static void a_reader_opened_at_any_call_of_a_writers_opening_follows_it(void **state)
{
    from_every_moment(*state, 0, false);
    from_every_moment(*state, 10, false);
    from_every_moment(*state, 700, false); /* three segments */
}

static void a_reader_opened_at_any_call_of_a_recovery_follows_it(void **state)
{
    from_every_moment(*state, 10, true);
    from_every_moment(*state, 700, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_reader_opened_at_any_call_of_a_writers_opening_follows_it),
        LAW(a_reader_opened_at_any_call_of_a_recovery_follows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
