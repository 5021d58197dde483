/* SPDX-License-Identifier: BSD-3-Clause */
/* os/file.h: files and directories by descriptor. Thin, EINTR-safe, and honest: every function returns 0 (or
 * a descriptor, or a count) or a negative errno. Nothing here prints, allocates silently or knows the format.
 */
#ifndef STELE_OS_FILE_H
#define STELE_OS_FILE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every descriptor handed out here is above 2: in a process that closed its standard streams, what it prints
 * would go into the log otherwise. */
int stele__fd_above_standard(int fd);

/* Open a directory for *at() calls. Returns a descriptor (O_DIRECTORY|O_CLOEXEC) or -errno. */
int stele__dir_open(const char *path);
/* mkdir with exactly `mode` (umask must not narrow or widen it) and fsync of the parent. 0, -EEXIST, ... */
int stele__dir_make(const char *path, mode_t mode);
/* Is this what opening a file said of something that is none: a directory, a link, a FIFO, a socket, a device? */
static inline bool stele__file_is_irregular(int error)
{
    return error == -EISDIR || error == -ELOOP || error == -EINVAL || error == -ENXIO;
}

/* The path without links, "." and "..", in `out` (PATH_MAX bytes). 0, -ENOENT, ... */
int stele__dir_real(const char *path, char *out);
/* rmdir(2) of an empty directory. */
int stele__dir_remove(const char *path);
int stele__dir_sync(int dirfd);
/* The directory around it, in which its name stands; 0 when that may not be read. */
int stele__dir_sync_parent(int dirfd);
/* Call fn for each name but "." and ".."; stops and returns fn's value when it is not 0. */
int stele__dir_each(int dirfd, int (*fn)(void *ctx, const char *name), void *ctx);

/* openat(O_RDONLY|O_CLOEXEC) / O_RDWR. No symlinks are followed at the last component. Descriptor or -errno.
 */
int stele__file_open(int dirfd, const char *name, bool writable);
/* openat(O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC) with exactly `mode`. */
int stele__file_create(int dirfd, const char *name, mode_t mode);
/* Does the name exist, whatever it names? */
bool stele__file_exists(int dirfd, const char *name);
int stele__file_size(int fd, uint64_t *size, uint64_t *disk_bytes /* may be NULL */);
int stele__file_mode(int fd, mode_t *mode); /* permission bits, of a directory too */
/* Swap the names of two files in one step. -EINVAL, -ENOSYS: this file system cannot. */
int stele__file_exchange(int dirfd, const char *one, const char *other);
/* Blocks for [0, size), zero, with the file size set to it: posix_fallocate semantics without its emulation's
 * traps (fallocate(2); on EOPNOTSUPP write zeroes). */
int stele__file_allocate(int fd, uint64_t size);
/* Give holes of an existing file their blocks, so that no store can meet a full disk. Content is kept; a file
 * system that cannot is left as it is. 0 or -errno. */
int stele__file_fill_holes(int fd, uint64_t size);
/* Exactly len bytes or an error: -ENODATA when the file ends before. Short reads and EINTR are handled. */
int stele__file_read(int fd, void *buf, size_t len, uint64_t offset);
int stele__file_write(int fd, const void *buf, size_t len, uint64_t offset);
int stele__file_datasync(int fd);
void stele__file_close(int fd); /* -1 is allowed; errno is kept */

/* statfs(2) name of the file system behind fd: "ext4", "xfs", "tmpfs", ... or "0x...". */
void stele__fs_name(int fd, char *out, size_t size);

#endif
