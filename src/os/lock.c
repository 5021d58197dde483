/* SPDX-License-Identifier: BSD-3-Clause */
/* os/lock.c: open-file-description locks over fcntl(2). Invariant: never waits. Callers: src/core.
 *
 * Classic POSIX locks would not do: they belong to the process, so that closing any descriptor of the file
 * drops them all, and a second log handle in the same process would see no conflict. */
#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

/* A length of 0 would mean "to the end of all offsets" to the kernel: refused, a range here is what it says.
 */
static int range(struct flock *out, short type, uint64_t start, uint64_t len)
{
    if (len == 0 || start > INT64_MAX || len > (uint64_t)INT64_MAX - start)
        return -EINVAL;
    *out = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)len};
    return 0; /* l_pid is 0, as these commands demand */
}

static int set(int fd, short type, uint64_t start, uint64_t len)
{
    struct flock lock;
    int err = range(&lock, type, start, len);
    if (err != 0)
        return err;
    int rc;
    do {
        rc = fcntl(fd, F_OFD_SETLK, &lock);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno; /* POSIX allows either for a conflict */
}

int stele__lock_shared(int fd, uint64_t start, uint64_t len)
{
    return set(fd, F_RDLCK, start, len);
}

int stele__lock_exclusive(int fd, uint64_t start, uint64_t len)
{
    return set(fd, F_WRLCK, start, len);
}

int stele__lock_release(int fd, uint64_t start, uint64_t len)
{
    return set(fd, F_UNLCK, start, len);
}

int stele__lock_probe(int fd, uint64_t start, uint64_t len, uint64_t *found_start, uint64_t *found_len)
{
    if (len == 0)
        return -EINVAL;
    int found = 0;
    /* The kernel names any conflict, in the order of its list and not of the offsets. Asking again about what
     * lies before it finds the lowest one: the question shrinks each time, so this ends. */
    while (len > 0) {
        struct flock lock;
        int err = range(&lock, F_WRLCK, start, len);
        if (err != 0)
            return err;
        int rc;
        do {
            rc = fcntl(fd, F_OFD_GETLK, &lock);
        } while (rc != 0 && errno == EINTR);
        if (rc != 0)
            return -errno;
        if (lock.l_type == F_UNLCK)
            break;
        found = 1;
        uint64_t at = (uint64_t)lock.l_start;
        if (found_start != NULL)
            *found_start = at;
        if (found_len != NULL) /* 0: somebody else's lock reaches to the last offset there is */
            *found_len = lock.l_len != 0 ? (uint64_t)lock.l_len : (uint64_t)INT64_MAX - at + 1;
        len = at > start ? at - start : 0;
    }
    return found;
}
