/* SPDX-License-Identifier: BSD-3-Clause */
/* test_signals_eintr.c: every system call that a signal can end is ended by one, again and again, where a storm of real ones
 * seldom meets it: this program has its own openat(), pread() and so on, which the library is linked to. Each fails with
 * EINTR every other time, and reads and writes come short. No function of the library may show it. */
#include "lib/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { OPENAT, FALLOCATE, PREAD, PWRITE, FSYNC, FDATASYNC, MSYNC, FCNTL, STATFS, SLEEP, RANDOM, CALLS };
static _Atomic bool storm;
static _Atomic uint64_t ended[CALLS], made[CALLS];

static bool interrupted(int call)
{
    if (!atomic_load(&storm) || atomic_fetch_add(&made[call], 1) % 2 == 1)
        return false;
    atomic_fetch_add(&ended[call], 1);
    errno = EINTR;
    return true;
}

static size_t shortened(size_t len)
{
    return atomic_load(&storm) && len > 1 ? len / 2 : len;
}

int openat(int dirfd, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return interrupted(OPENAT) ? -1 : (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return interrupted(FALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
    return interrupted(PREAD) ? -1 : (ssize_t)syscall(SYS_pread64, fd, buf, shortened(len), offset);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    return interrupted(PWRITE) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, buf, shortened(len), offset);
}

int fsync(int fd)
{
    return interrupted(FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return interrupted(FDATASYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int msync(void *at, size_t len, int flags)
{
    return interrupted(MSYNC) ? -1 : (int)syscall(SYS_msync, at, len, flags);
}

int fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    bool locks = command == F_OFD_SETLK || command == F_OFD_GETLK;
    return locks && interrupted(FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

int fstatfs(int fd, struct statfs *out)
{
    return interrupted(STATFS) ? -1 : (int)syscall(SYS_fstatfs, fd, out);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    if (interrupted(SLEEP))
        return EINTR;
    return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    return interrupted(RANDOM) ? -1 : (ssize_t)syscall(SYS_getrandom, buf, shortened(len), flags);
}

/* ---- a whole life */

static void write_life(const struct dir *dir, uint32_t durability, uint64_t from)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.durability = durability;
    struct stele *log = log_open_with(dir->log, &options);
    struct stele_stat stat = {.size = sizeof stat};
    uint64_t next = append_until_segment(log, from, stele_tail(log) / SEGMENT_SMALL + 3);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, stele_tail(log), NULL) >= 0);
    succeeds(stele_stat(log, &stat));
    succeeds(stele_backup(dir->log, dir_file(dir, "copy"), NULL));
    append_range(log, next, next + 10);
    succeeds(stele_close(log));
    dir_empty(dir_file(dir, "copy"));
}

static void look(const struct dir *dir)
{
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    struct stele_repair_options options = {.size = sizeof options, .flags = STELE_REPAIR_APPLY};
    struct stele_repair_result repaired = {.size = sizeof repaired};
    succeeds(stele_repair(dir->log, &options, &repaired));
    must(repaired.before == STELE_CLEAN && repaired.after == STELE_CLEAN);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_LAST, 10, &cursor));
    for (unsigned i = 0; i < 10; i++)
        must(stele_cursor_next(cursor, &record) == 1);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void an_interrupted_system_call_is_made_again(void **state)
{
    struct dir *dir = *state;
    atomic_store(&storm, true);
    for (uint64_t life = 0; life < 6; life++) {
        write_life(dir, life % 2 == 0 ? STELE_DURABILITY_NONE : STELE_DURABILITY_MSYNC, life * 10000);
        look(dir);
    }
    atomic_store(&storm, false);
    static const int met[] = {OPENAT, FALLOCATE, PREAD,  PWRITE, FSYNC, FDATASYNC,
                              MSYNC,  FCNTL,     STATFS, SLEEP,  RANDOM};
    for (size_t i = 0; i < sizeof met / sizeof met[0]; i++) {
        if (atomic_load(&ended[met[i]]) == 0)
            fprintf(stderr, "call %d was never interrupted\n", met[i]);
        must(atomic_load(&ended[met[i]]) > 0);
    }
}

/* ---- timeouts */

static void ignore(int signal)
{
    (void)signal;
}

/* Each is interrupted many times over before its time is up, and does not begin anew: it would never end. */
static void a_timeout_is_not_stretched_by_signals(void **state)
{
    struct dir *dir = *state;
    const int64_t timeout_ns = INT64_C(40) * 1000 * 1000;
    const struct itimerval every = {.it_interval = {.tv_usec = 2000}, .it_value = {.tv_usec = 2000}},
                           never = {0};
    const struct sigaction action = {.sa_handler = ignore};
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    stele_lsn lsn = append_numbered(log, 0);
    must(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (unsigned durable = 0; durable < 2; durable++) {
        struct stele_cursor *cursors[2];
        for (unsigned i = 0; i < 2; i++) {
            succeeds(stele_cursor_open(i == 0 ? log : reader, durable, STELE_FROM_END, 0, &cursors[i]));
            returns(0, stele_cursor_wait(cursors[i], timeout_ns));
            stele_cursor_close(cursors[i]);
        }
    }
    returns(STELE_ETIMEDOUT, stele_durable_wait(log, lsn, timeout_ns));
    must(setitimer(ITIMER_REAL, &never, NULL) == 0);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name, setup) cmocka_unit_test_setup_teardown(name, setup, dir_teardown)
        LAW(an_interrupted_system_call_is_made_again, dir_setup),
        LAW(a_timeout_is_not_stretched_by_signals, dir_setup_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
