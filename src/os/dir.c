/* SPDX-License-Identifier: BSD-3-Clause */
/* os/dir.c: directories. Invariant: a directory that stele__dir_make() reported is durable, name and mode; a
 * failed call leaves none behind. Callers: src/os and src/core. */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_dir_at(int dirfd, const char *path, int flags)
{
    int fd;
    do {
        fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : stele__fd_above_standard(fd);
}

int stele__dir_open(const char *path)
{
    return open_dir_at(AT_FDCWD, path,
                       0); /* symbolic links are the caller's wish here: the path is his own */
}

int stele__dir_sync(int dirfd)
{
    int rc;
    do {
        rc = fsync(dirfd);
    } while (rc != 0 && errno == EINTR);
    return rc != 0 ? -errno : 0;
}

int stele__dir_sync_parent(int dirfd)
{
    int fd = open_dir_at(dirfd, "..", 0);
    if (fd == -EACCES) /* whoever may not read it cannot sync it, and may still use what is in it */
        return 0;
    if (fd < 0)
        return fd;
    int rc = stele__dir_sync(fd);
    stele__file_close(fd);
    /* The name of a mount point, on a file system that cannot sync or change: no name that could get lost. */
    return rc == -EINVAL || rc == -EROFS ? 0 : rc;
}

/* Give the fresh directory `name` its mode and make it, then its entry in the parent, durable. */
static int finish_dir(int parent, const char *name, mode_t mode)
{
    int fd = open_dir_at(parent, name, O_NOFOLLOW);
    if (fd < 0)
        return fd;
    struct stat st;
    int err = fstat(fd, &st) != 0 ? -errno : 0;
    /* The umask has cut bits from the mode of mkdirat(). A set-group-ID bit inherited from the parent stays:
     * it decides the group of the files, not who may enter. */
    if (err == 0 && fchmod(fd, mode | (st.st_mode & S_ISGID)) != 0)
        err = -errno;
    if (err == 0)
        err = stele__dir_sync(fd);
    if (err == 0)
        err = stele__dir_sync(parent);
    stele__file_close(fd);
    return err;
}

int stele__dir_make(const char *path, mode_t mode)
{
    char copy[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0)
        return -ENOENT;
    if (len >= sizeof copy)
        return -ENAMETOOLONG;
    memcpy(copy, path, len);
    copy[len] = '\0';
    if (strcmp(copy, "/") == 0)
        return -EEXIST;

    char *slash = strrchr(copy, '/');
    const char *name = slash != NULL ? slash + 1 : copy;
    int parent;
    if (slash == NULL) {
        parent = stele__dir_open(".");
    } else if (slash == copy) {
        parent = stele__dir_open("/");
    } else {
        *slash = '\0';
        parent = stele__dir_open(copy);
    }
    if (parent < 0)
        return parent;
    int err = mkdirat(parent, name, mode) != 0 ? -errno : 0;
    if (err == 0) {
        err = finish_dir(parent, name, mode);
        if (err != 0)
            (void)unlinkat(parent, name, AT_REMOVEDIR);
    }
    stele__file_close(parent);
    return err;
}

int stele__dir_each(int dirfd, int (*fn)(void *ctx, const char *name), void *ctx)
{
    /* A description of its own: the position in a directory belongs to it, and fdopendir() takes the
     * descriptor over. */
    int fd = open_dir_at(dirfd, ".", 0);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = -errno;
        stele__file_close(fd);
        return err;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir); /* safe: nobody else has this stream */
        if (entry == NULL) {
            rc = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = fn(ctx, entry->d_name);
    }
    (void)closedir(dir);
    return rc;
}

int stele__dir_real(const char *path, char *out)
{
    return realpath(path, out) != NULL ? 0 : -errno;
}

int stele__dir_remove(const char *path)
{
    return rmdir(path) == 0 ? 0 : -errno;
}
