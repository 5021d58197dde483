/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_sys.c: descriptors and directories of the simulated machines, and the calls that only ask. */
#include "sim_sys.h"

#include "sim.h"
#include "sim_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define DESCRIPTORS 256u
#define STREAMS 8u

static struct sim_fd descriptors[DESCRIPTORS];

/* A directory being listed. */
struct stream {
    bool used;
    int fd;
    uint32_t next;
    struct dirent entry;
};
static struct stream streams[STREAMS];

int sim__refuse(int error)
{
    errno = error;
    return -1;
}

struct sim_fd *sim__fd(int fd)
{
    if (fd < SIM_FD_BASE)
        return NULL;
    sim__check((unsigned)(fd - SIM_FD_BASE) < DESCRIPTORS &&
                   descriptors[fd - SIM_FD_BASE].kind != SIM_FD_FREE,
               "a descriptor is open");
    return &descriptors[fd - SIM_FD_BASE];
}

int sim__fd_new(enum sim_fd_kind kind, struct sim *sim, struct sim_file *file)
{
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        if (descriptors[i].kind != SIM_FD_FREE)
            continue;
        descriptors[i] = (struct sim_fd){.kind = kind, .sim = sim, .file = file};
        if (file != NULL)
            file->refs++;
        return SIM_FD_BASE + (int)i;
    }
    sim__check(false, "few descriptors");
    return -1;
}

/* The machine whose directory this is: SIM_ROOT/NUMBER/log; *parent: or the directory around it. */
static struct sim *of_path(const char *path, bool *parent)
{
    const size_t n = strlen(SIM_ROOT);
    *parent = false;
    if (strncmp(path, SIM_ROOT, n) != 0)
        return NULL;
    unsigned number = 0;
    int end = 0;
    sim__check(sscanf(path + n, "/%u%n", &number, &end) == 1 && sim__of(number) != NULL,
               "a path of a machine");
    *parent = path[n + (size_t)end] == '\0';
    return sim__of(number);
}

static int open_path(int dirfd, const char *path, int flags, mode_t mode)
{
    bool parent;
    struct sim *sim = of_path(path, &parent);
    if (sim != NULL && !parent && !sim->made)
        return sim__refuse(ENOENT);
    if (sim != NULL)
        return sim__fd_new(parent ? SIM_FD_PARENT : SIM_FD_DIR, sim, NULL);
    if (strcmp(path, "/proc/self/comm") == 0)
        return sim__fd_new(SIM_FD_COMM, NULL, NULL);
    return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int sim_sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    struct sim_fd *dir = sim__fd(dirfd);
    if (dir == NULL)
        return open_path(dirfd, path, flags, mode);
    struct sim *sim = dir->sim;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return sim__refuse(EOPNOTSUPP);
    if (strcmp(path, "..") == 0)
        return sim__fd_new(SIM_FD_PARENT, sim, NULL);
    if (dir->kind == SIM_FD_PARENT || strcmp(path, ".") == 0)
        return sim__fd_new(SIM_FD_DIR, sim, NULL);
    struct sim_file *file = sim_find(sim, path);
    if ((flags & O_CREAT) != 0 && file == NULL)
        return sim__create(sim, path);
    if (file == NULL)
        return sim__refuse(ENOENT);
    if ((flags & O_EXCL) != 0)
        return sim__refuse(EEXIST);
    int error = sim__fails(sim, SIM_OPEN);
    return error != 0 ? sim__refuse(error) : sim__fd_new(SIM_FD_FILE, sim, file);
}

int sim_sys_close(int fd)
{
    struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (int)syscall(SYS_close, fd);
    sim__unlock_all(entry);
    struct sim *sim = entry->sim;
    bool file = entry->file != NULL;
    if (file)
        entry->file->refs--;
    *entry = (struct sim_fd){.kind = SIM_FD_FREE};
    if (file)
        sim__release(sim);
    return 0;
}

static void describe(const struct sim_file *file, struct stat *out)
{
    memset(out, 0, sizeof *out);
    out->st_mode = file != NULL ? S_IFREG | 0600 : S_IFDIR | 0700;
    out->st_nlink = 1;
    out->st_size = file != NULL ? (off_t)file->bytes : SIM_PAGE;
    out->st_blksize = SIM_PAGE;
    out->st_blocks = out->st_size / 512;
}

int sim_sys_fstat(int fd, struct stat *out)
{
    const struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (int)syscall(SYS_fstat, fd, out);
    int error = entry->kind == SIM_FD_FILE ? sim__fails(entry->sim, SIM_STAT) : 0;
    if (error != 0)
        return sim__refuse(error);
    describe(entry->file, out);
    if (entry->kind == SIM_FD_COMM)
        out->st_mode = S_IFREG | 0444;
    return 0;
}

int sim_sys_fstatat(int dirfd, const char *path, struct stat *out, int flags)
{
    const struct sim_fd *dir = sim__fd(dirfd);
    if (dir == NULL)
        return (int)syscall(SYS_newfstatat, dirfd, path, out, flags);
    const struct sim_file *file = sim_find(dir->sim, path);
    if (file == NULL)
        return sim__refuse(ENOENT);
    describe(file, out);
    return 0;
}

int sim_sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    if (sim__fd(dirfd) == NULL)
        return (int)syscall(SYS_statx, dirfd, path, flags, mask, out);
    memset(out, 0, sizeof *out); /* no DAX attribute: with DAX, MAP_SYNC works and nobody asks */
    return 0;
}

int sim_sys_fstatfs(int fd, struct statfs *out)
{
    if (sim__fd(fd) == NULL)
        return (int)syscall(SYS_fstatfs, fd, out);
    memset(out, 0, sizeof *out);
    out->f_type = 0xef53; /* ext4 */
    return 0;
}

int sim_sys_fchmod(int fd, mode_t mode)
{
    return sim__fd(fd) != NULL ? 0 : (int)syscall(SYS_fchmod, fd, mode);
}

int sim_sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
    const struct sim_fd *dir = sim__fd(dirfd);
    if (dir == NULL)
        return (int)syscall(SYS_mkdirat, dirfd, path, mode);
    sim__check(dir->kind == SIM_FD_PARENT, "only the log's directory is made");
    struct sim *sim = dir->sim;
    if (sim->made)
        return sim__refuse(EEXIST);
    sim__point(sim, SIM_CREATE, false, "the directory", NULL, 0, 0);
    int error = sim__fails(sim, SIM_CREATE);
    if (error != 0 && error != EINTR)
        return sim__refuse(error);
    sim->made = true;
    sim__point(sim, SIM_CREATE, true, "the directory", NULL, 0, 0);
    return 0;
}

int sim_sys_rmdir(const char *path)
{
    bool parent;
    struct sim *sim = of_path(path, &parent);
    if (sim == NULL)
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (sim->files[i].used && sim->files[i].name[0] != '\0')
            return sim__refuse(ENOTEMPTY);
    sim->made = sim->kept = false;
    return 0;
}

DIR *sim_sys_fdopendir(int fd)
{
    const struct sim_fd *dir = sim__fd(fd);
    sim__check(dir != NULL && dir->kind == SIM_FD_DIR, "only machines' directories are listed");
    for (unsigned i = 0; i < STREAMS; i++) {
        if (streams[i].used)
            continue;
        streams[i] = (struct stream){.used = true, .fd = fd};
        return (DIR *)(void *)&streams[i];
    }
    sim__check(false, "few directories are listed at once");
    return NULL;
}

struct dirent *sim_sys_readdir(DIR *dir)
{
    struct stream *stream = (struct stream *)(void *)dir;
    struct sim *sim = sim__fd(stream->fd)->sim;
    int error = stream->next == 0 ? sim__fails(sim, SIM_LIST) : 0;
    if (error != 0) {
        errno = error;
        return NULL;
    }
    while (stream->next < sim->file_count) {
        const struct sim_file *file = &sim->files[stream->next++];
        if (!file->used || file->name[0] == '\0')
            continue;
        (void)snprintf(stream->entry.d_name, sizeof stream->entry.d_name, "%s", file->name);
        return &stream->entry;
    }
    return NULL;
}

int sim_sys_closedir(DIR *dir)
{
    struct stream *stream = (struct stream *)(void *)dir;
    stream->used = false;
    return sim_sys_close(stream->fd);
}

ssize_t sim_sys_pread(int fd, void *buffer, size_t len, off_t offset)
{
    const struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (ssize_t)syscall(SYS_pread64, fd, buffer, len, offset);
    static const char comm[] = "simulated\n";
    const bool is_comm = entry->kind == SIM_FD_COMM;
    const uint64_t bytes = is_comm ? sizeof comm - 1 : entry->file->bytes, at = (uint64_t)offset;
    const void *from = is_comm ? (const void *)comm : entry->file->live;
    int error = is_comm ? 0 : sim__fails(entry->sim, SIM_READ);
    if (error == SIM_SHORT)
        len = (len + 1) / 2;
    else if (error != 0)
        return sim__refuse(error);
    if (at >= bytes)
        return 0;
    if (len > bytes - at)
        len = bytes - at;
    memcpy(buffer, (const uint8_t *)from + at, len);
    return (ssize_t)len;
}

/* Times stand in the bytes of a log, and random bytes are its uuid and so its salts: a seed shows the same
 * again. A microsecond passes from question to question. */
#define NEW_YEAR UINT64_C(1767225600000000000)
static uint64_t now = NEW_YEAR;
static struct sim_rand random_bytes = {20260101};

void sim_sys_begin(uint64_t seed)
{
    now = NEW_YEAR;
    random_bytes = sim_rand_of(seed, 20260101);
}

static bool all_clocks;

void sim_sys_all_clocks(void)
{
    all_clocks = true;
}

int sim_sys_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (clock != CLOCK_REALTIME && !all_clocks)
        return (int)syscall(SYS_clock_gettime, clock, out);
    now += 1000;
    out->tv_sec = (time_t)(now / 1000000000u);
    out->tv_nsec = (long)(now % 1000000000u);
    return 0;
}

/* There is one thread: whoever waits again and again, and changes nothing in between, waits for nobody. */
#define NAPS_MAX 5000u

int sim_sys_nap(void)
{
    static uint64_t naps, seen;
    const uint64_t changes = sim__changes();
    naps = changes == seen ? naps + 1 : 0;
    seen = changes;
    sim__check(naps < NAPS_MAX, "nobody is there to end what the library waits for");
    return 0;
}

ssize_t sim_sys_getrandom(void *buffer, size_t len, unsigned flags)
{
    (void)flags;
    uint8_t *at = buffer;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)sim_rand_next(&random_bytes);
    return (ssize_t)len;
}
