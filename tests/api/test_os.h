/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os.h: a scratch directory, and small file systems of our own, for the tests of src/os. */
#ifndef STELE_TEST_OS_H
#define STELE_TEST_OS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

struct scratch {
    char path[512];
    int dirfd;
};

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline struct scratch *scratch_make(const char *parent)
{
    struct scratch *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->path, sizeof s->path, "%s/stele-os-XXXXXX", parent);
    assert_non_null(mkdtemp(s->path));
    s->dirfd = stele__dir_open(s->path);
    assert_true(s->dirfd >= 0);
    return s;
}

static inline int scratch_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    *state = scratch_make(tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    return 0;
}

static inline int scratch_teardown(void **state)
{
    struct scratch *s = *state;
    stele__file_close(s->dirfd);
    int rc = nftw(s->path, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(s);
    return rc;
}

/* The path of `name` in the scratch directory; valid until the next call. */
static inline const char *scratch_path(const struct scratch *s, const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", s->path, name);
    return path;
}

static inline int count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
    return 0;
}

static inline int count_names(int dirfd)
{
    int n = 0;
    assert_int_equal(stele__dir_each(dirfd, count_name, &n), 0);
    return n;
}

/* Mount a file system on the scratch directory `name`, seen by this process alone. Returns a descriptor of
 * its root, or -1 where STELE_TEST_NO_MOUNT=1 says that mounting is not permitted; fails the test where
 * nothing says so. */
static inline int mount_here(const struct scratch *s, const char *name, const char *type, const char *options)
{
    const char *path = scratch_path(s, name);
    assert_int_equal(mkdir(path, 0700), 0);
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", path, type, 0, options) == 0) {
        int fd = stele__dir_open(path);
        assert_true(fd >= 0);
        return fd;
    }
    const char *allowed = getenv("STELE_TEST_NO_MOUNT");
    if (allowed == NULL || strcmp(allowed, "1") != 0)
        fail_msg("cannot mount %s (%s); run as root, or say STELE_TEST_NO_MOUNT=1", type, strerror(errno));
    print_message("STELE_TEST_NO_MOUNT: what needs a %s of its own was not checked\n", type);
    return -1;
}

static inline void unmount_here(const struct scratch *s, const char *name, int fd)
{
    stele__file_close(fd);
    assert_int_equal(umount2(scratch_path(s, name), 0), 0);
}

#endif
