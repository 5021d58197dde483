/* SPDX-License-Identifier: BSD-3-Clause */
/* os/file.c: files by descriptor. Invariant: no function leaves errno as its only report, none gives up on
 * EINTR, and none that fails leaves behind a file it created. Callers: src/os and src/core. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2 /* Linux 3.15; declared by stdio.h of glibc 2.28 */
#endif

/* One write when a file is zeroed by hand: enough to hide the system call, little enough to keep around. */
#define ZERO_CHUNK_BYTES 65536u

static int open_retry(int dirfd, const char *name, int flags, mode_t mode)
{
    int fd;
    do {
        fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : stele__fd_above_standard(fd);
}

int stele__fd_above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = above < 0 ? -errno : 0;
    stele__file_close(fd);
    return err != 0 ? err : above;
}

int stele__file_open(int dirfd, const char *name, bool writable)
{
    /* O_NONBLOCK: a FIFO that took a file's name must not hang the caller; regular files ignore it. */
    int fd = open_retry(dirfd, name, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    struct stat st;
    int err = 0;
    if (fstat(fd, &st) != 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (err != 0) {
        stele__file_close(fd);
        return err;
    }
    return fd;
}

int stele__file_create(int dirfd, const char *name, mode_t mode)
{
    int fd = open_retry(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (fd < 0)
        return fd;
    /* The umask has cut bits from the mode of openat(). */
    if (fchmod(fd, mode) != 0) {
        int err = -errno;
        stele__file_close(fd);
        (void)unlinkat(dirfd, name, 0);
        return err;
    }
    return fd;
}

bool stele__file_exists(int dirfd, const char *name)
{
    struct stat st;
    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int stele__file_size(int fd, uint64_t *size, uint64_t *disk_bytes)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    if (disk_bytes != NULL)
        *disk_bytes =
            (uint64_t)st.st_blocks * 512u; /* st_blocks counts 512-byte units whatever the block size */
    return 0;
}

int stele__file_mode(int fd, mode_t *mode)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    *mode = st.st_mode & 0777;
    return 0;
}

int stele__file_exchange(int dirfd, const char *one, const char *other)
{
    return renameat2(dirfd, one, dirfd, other, RENAME_EXCHANGE) != 0 ? -errno : 0;
}

static int write_zeroes(int fd, uint64_t size)
{
    static const uint8_t zeroes[ZERO_CHUNK_BYTES];
    for (uint64_t done = 0; done < size;) {
        size_t n = size - done < sizeof zeroes ? (size_t)(size - done) : sizeof zeroes;
        int err = stele__file_write(fd, zeroes, n, done);
        if (err != 0)
            return err;
        done += n;
    }
    /* Large writes leave large folios in the page cache, and then one dirty page of a mapping makes msync
     * write the whole folio. Dropping the cache cures that, and only clean pages are dropped. */
    int err = stele__file_datasync(fd);
    if (err == 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return err;
}

int stele__file_allocate(int fd, uint64_t size)
{
    if (size == 0 || size > INT64_MAX)
        return size == 0 ? -EINVAL : -EFBIG;
    int rc;
    do {
        rc = fallocate(fd, 0, 0, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? write_zeroes(fd, size) : -errno;
}

int stele__file_fill_holes(int fd, uint64_t size)
{
    int rc;
    do {
        rc = fallocate(fd, 0, 0, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

int stele__file_read(int fd, void *buf, size_t len, uint64_t offset)
{
    uint8_t *at = buf;
    while (len > 0) {
        ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int stele__file_write(int fd, const void *buf, size_t len, uint64_t offset)
{
    const uint8_t *at = buf;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* a write of nothing would loop for ever */
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int stele__file_datasync(int fd)
{
    int rc;
    /* EINTR is an interrupted wait, not a failed write-back: that one is never retried. */
    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc != 0 ? -errno : 0;
}

void stele__file_close(int fd)
{
    if (fd < 0)
        return;
    int saved = errno;
    (void)close(fd); /* not retried on EINTR: Linux has released the descriptor by then */
    errno = saved;
}

void stele__fs_name(int fd, char *out, size_t size)
{
    /* Magic numbers of statfs(2), written out because no header has them all. */
    static const struct {
        uint32_t magic;
        const char *name;
    } known[] = {
        {0x0000ef53u, "ext4"},      {0x58465342u, "xfs"},   {0x9123683eu, "btrfs"},
        {0x01021994u, "tmpfs"},     {0x858458f6u, "ramfs"}, {0x794c7630u, "overlay"},
        {0xf2f52010u, "f2fs"},      {0x2fc12fc1u, "zfs"},   {0xca451a4eu, "bcachefs"},
        {0x00006969u, "nfs"},       {0x65735546u, "fuse"},  {0x01021997u, "9p"},
        {0xff534d42u, "cifs"},      {0xfe534d42u, "smb2"},  {0x00c36400u, "ceph"},
        {0x958458f6u, "hugetlbfs"},
    };
    struct statfs fs;
    int rc;
    do {
        rc = fstatfs(fd, &fs);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        (void)snprintf(out, size, "unknown");
        return;
    }
    uint32_t magic = (uint32_t)fs.f_type;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].magic == magic) {
            (void)snprintf(out, size, "%s", known[i].name);
            return;
        }
    }
    (void)snprintf(out, size, "0x%x", (unsigned)magic);
}
