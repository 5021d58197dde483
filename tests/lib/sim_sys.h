/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_sys.h: system calls as the simulated machines answer them. Descriptors from SIM_FD_BASE on and paths
 * below SIM_ROOT are theirs; everything else goes to the kernel. Results are the kernel's: -1 and errno. */
#ifndef STELE_TEST_SIM_SYS_H
#define STELE_TEST_SIM_SYS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define SIM_FD_BASE 0x100000
#define SIM_ROOT "/stele-simulated"

/* sim_sys.c: descriptors, directories, what only asks. */
void sim_sys_begin(uint64_t seed); /* time and random bytes follow from it */
void sim_sys_all_clocks(void);     /* from now on also the time since boot */
int sim_sys_openat(int dirfd, const char *path, int flags, mode_t mode);
int sim_sys_close(int fd);
int sim_sys_fstat(int fd, struct stat *out);
int sim_sys_fstatat(int dirfd, const char *path, struct stat *out, int flags);
int sim_sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out);
int sim_sys_fstatfs(int fd, struct statfs *out);
int sim_sys_fchmod(int fd, mode_t mode);
int sim_sys_mkdirat(int dirfd, const char *path, mode_t mode);
int sim_sys_rmdir(const char *path);
DIR *sim_sys_fdopendir(int fd);
struct dirent *sim_sys_readdir(DIR *dir);
int sim_sys_closedir(DIR *dir);
ssize_t sim_sys_pread(int fd, void *buffer, size_t len, off_t offset);
int sim_sys_clock_gettime(clockid_t clock, struct timespec *out);
int sim_sys_nap(void);
ssize_t sim_sys_getrandom(void *buffer, size_t len, unsigned flags);

/* sim_lock.c: locks of open file descriptions. */
int sim_sys_fcntl(int fd, int command, void *argument);

/* sim_map.c: mapped memory, and persistent memory. */
void *sim_sys_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset);
int sim_sys_munmap(void *address, size_t len);
int sim_sys_msync(void *address, size_t len, int flags);
int sim_sys_madvise(void *address, size_t len, int advice);
int sim_sys_pmem_is_pmem(const void *address, size_t len);
void sim_sys_pmem_flush(const void *address, size_t len);
void sim_sys_pmem_drain(void);

/* sim_change.c: what changes a file or a name. */
ssize_t sim_sys_pwrite(int fd, const void *buffer, size_t len, off_t offset);
int sim_sys_ftruncate(int fd, off_t bytes);
int sim_sys_fallocate(int fd, int mode, off_t offset, off_t len);
int sim_sys_sync(int fd);
int sim_sys_renameat(int from_fd, const char *from, int to_fd, const char *to);
int sim_sys_unlinkat(int dirfd, const char *path, int flags);

/* For each other. */
struct sim;
struct sim_file;
enum sim_fd_kind { SIM_FD_FREE, SIM_FD_PARENT, SIM_FD_DIR, SIM_FD_FILE, SIM_FD_COMM };
struct sim_fd {
    enum sim_fd_kind kind;
    struct sim *sim;
    struct sim_file *file;
};
/* NULL: not one of ours. */
struct sim_fd *sim__fd(int fd);
int sim__fd_new(enum sim_fd_kind kind, struct sim *sim, struct sim_file *file);
/* A new file of that name, journalled: -1 or its descriptor. */
int sim__create(struct sim *sim, const char *name);
void sim__unlock_all(const struct sim_fd *fd);
int sim__refuse(int error); /* errno and -1 */

#endif
