/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_interpose.h: the system calls of the library, and libpmem's, go to the simulated machine
 * (sim_sys.h). To be included by one source file of a test program: the definitions of the program itself
 * come before those of shared libraries. They are hidden, so nothing but the program and the static
 * library in it is concerned. */
#ifndef STELE_TEST_SIM_INTERPOSE_H
#define STELE_TEST_SIM_INTERPOSE_H

#include "sim_sys.h"

#include <stdarg.h>

int openat(int dirfd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return sim_sys_openat(dirfd, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return sim_sys_fcntl(fd, command, argument);
}

int close(int fd)
{
    return sim_sys_close(fd);
}

ssize_t pread(int fd, void *buffer, size_t len, off_t offset)
{
    return sim_sys_pread(fd, buffer, len, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t len, off_t offset)
{
    return sim_sys_pwrite(fd, buffer, len, offset);
}

int fstat(int fd, struct stat *out)
{
    return sim_sys_fstat(fd, out);
}

int fstatat(int dirfd, const char *path, struct stat *out, int flags)
{
    return sim_sys_fstatat(dirfd, path, out, flags);
}

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    return sim_sys_statx(dirfd, path, flags, mask, out);
}

int fstatfs(int fd, struct statfs *out)
{
    return sim_sys_fstatfs(fd, out);
}

int fchmod(int fd, mode_t mode)
{
    return sim_sys_fchmod(fd, mode);
}

int ftruncate(int fd, off_t bytes)
{
    return sim_sys_ftruncate(fd, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return sim_sys_fallocate(fd, mode, offset, len);
}

int posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
    (void)fd;
    (void)offset;
    (void)len;
    (void)advice;
    return 0;
}

int fdatasync(int fd)
{
    return sim_sys_sync(fd);
}

int fsync(int fd)
{
    return sim_sys_sync(fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return sim_sys_renameat(from_fd, from, to_fd, to);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    return sim_sys_unlinkat(dirfd, path, flags);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    return sim_sys_mkdirat(dirfd, path, mode);
}

int rmdir(const char *path)
{
    return sim_sys_rmdir(path);
}

DIR *fdopendir(int fd)
{
    return sim_sys_fdopendir(fd);
}

struct dirent *readdir(DIR *dir)
{
    return sim_sys_readdir(dir);
}

int closedir(DIR *dir)
{
    return sim_sys_closedir(dir);
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return sim_sys_mmap(address, len, protection, flags, fd, offset);
}

int munmap(void *address, size_t len)
{
    return sim_sys_munmap(address, len);
}

int msync(void *address, size_t len, int flags)
{
    return sim_sys_msync(address, len, flags);
}

int madvise(void *address, size_t len, int advice)
{
    return sim_sys_madvise(address, len, advice);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    return sim_sys_clock_gettime(clock, out);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    (void)clock;
    (void)flags;
    (void)until;
    (void)left;
    return sim_sys_nap();
}

ssize_t getrandom(void *buffer, size_t len, unsigned flags)
{
    return sim_sys_getrandom(buffer, len, flags);
}

int pmem_is_pmem(const void *address, size_t len)
{
    return sim_sys_pmem_is_pmem(address, len);
}

int pmem_has_auto_flush(void)
{
    return 0;
}

void pmem_flush(const void *address, size_t len)
{
    sim_sys_pmem_flush(address, len);
}

void pmem_drain(void)
{
    sim_sys_pmem_drain();
}

void pmem_persist(const void *address, size_t len)
{
    sim_sys_pmem_flush(address, len);
    sim_sys_pmem_drain();
}

#endif
