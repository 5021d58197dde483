/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os_file.c: files and directories do exactly what os/file.h says. */
#include "test_os.h"

#include <limits.h>
#include <sys/vfs.h>

static mode_t mode_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_mode & 07777;
}

static void a_file_has_the_asked_mode_under_any_umask(void **state)
{
    struct scratch *s = *state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    static const mode_t modes[] = {0600, 0640, 0666, 0400};
    for (size_t m = 0; m < 4; m++) {
        for (size_t i = 0; i < 4; i++) {
            mode_t old = umask(masks[m]);
            int fd = stele__file_create(s->dirfd, "f", modes[i]);
            (void)umask(old);
            assert_true(fd >= 0);
            assert_int_equal(mode_of(fd), modes[i]);
            stele__file_close(fd);
            assert_int_equal(unlinkat(s->dirfd, "f", 0), 0);
        }
    }
}

static void a_directory_has_the_asked_mode_under_any_umask(void **state)
{
    struct scratch *s = *state;
    static const mode_t masks[] = {0, 022, 077};
    static const mode_t modes[] = {0700, 0750, 0777};
    for (size_t m = 0; m < 3; m++) {
        for (size_t i = 0; i < 3; i++) {
            mode_t old = umask(masks[m]);
            int rc = stele__dir_make(scratch_path(s, "d"), modes[i]);
            (void)umask(old);
            assert_int_equal(rc, 0);
            int fd = stele__dir_open(scratch_path(s, "d"));
            assert_int_equal(mode_of(fd), modes[i]);
            stele__file_close(fd);
            assert_int_equal(unlinkat(s->dirfd, "d", AT_REMOVEDIR), 0);
        }
    }
}

static void a_directory_keeps_the_inherited_group_bit(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(fchmod(s->dirfd, 02700), 0);
    assert_int_equal(stele__dir_make(scratch_path(s, "d"), 0750), 0);
    int fd = stele__dir_open(scratch_path(s, "d"));
    assert_int_equal(mode_of(fd), 02750);
    stele__file_close(fd);
}

static void any_spelling_of_a_directory_path_is_taken(void **state)
{
    struct scratch *s = *state;
    char long_path[PATH_MAX + 8];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    int here = stele__dir_open(".");
    assert_int_equal(stele__dir_make(scratch_path(s, "a"), 0700), 0);
    assert_int_equal(stele__dir_make(scratch_path(s, "a//"), 0700), -EEXIST);
    assert_int_equal(stele__dir_make(scratch_path(s, "a/b///"), 0700), 0);
    assert_int_equal(stele__dir_make(scratch_path(s, "none/b"), 0700), -ENOENT);
    assert_int_equal(stele__dir_make("/", 0700), -EEXIST);
    assert_int_equal(stele__dir_make("", 0700), -ENOENT);
    assert_int_equal(stele__dir_make(long_path, 0700), -ENAMETOOLONG);
    assert_int_equal(fchdir(s->dirfd), 0);
    assert_int_equal(stele__dir_make("relative", 0700), 0);
    assert_int_equal(fchdir(here), 0);
    stele__file_close(here);
    assert_int_equal(faccessat(s->dirfd, "relative", R_OK | X_OK, 0), 0);
    assert_int_equal(faccessat(s->dirfd, "a/b", R_OK | X_OK, 0), 0);
    int file = stele__file_create(s->dirfd, "file", 0600);
    stele__file_close(file);
    assert_int_equal(stele__dir_make(scratch_path(s, "file"), 0700), -EEXIST);
    assert_int_equal(stele__dir_open(scratch_path(s, "file")), -ENOTDIR);
    assert_int_equal(stele__dir_open(scratch_path(s, "none")), -ENOENT);
    assert_int_equal(stele__dir_sync(s->dirfd), 0);
    assert_int_equal(stele__dir_sync(-1), -EBADF);
}

static void create_never_takes_an_existing_name(void **state)
{
    struct scratch *s = *state;
    int fd = stele__file_create(s->dirfd, "f", 0600);
    assert_int_equal(stele__file_write(fd, "kept", 4, 0), 0);
    assert_int_equal(stele__file_create(s->dirfd, "f", 0600), -EEXIST);
    assert_int_equal(symlinkat("elsewhere", s->dirfd, "link"), 0);
    assert_int_equal(stele__file_create(s->dirfd, "link", 0600), -EEXIST);
    assert_int_equal(faccessat(s->dirfd, "elsewhere", F_OK, 0), -1);
    char text[4];
    assert_int_equal(stele__file_read(fd, text, 4, 0), 0);
    assert_memory_equal(text, "kept", 4);
    stele__file_close(fd);
}

static void only_regular_files_are_opened(void **state)
{
    struct scratch *s = *state;
    int fd = stele__file_create(s->dirfd, "f", 0600);
    stele__file_close(fd);
    assert_int_equal(symlinkat("f", s->dirfd, "link"), 0);
    assert_int_equal(mkdirat(s->dirfd, "dir", 0700), 0);
    assert_int_equal(mkfifoat(s->dirfd, "fifo", 0600), 0);
    for (int writable = 0; writable < 2; writable++) {
        assert_int_equal(stele__file_open(s->dirfd, "link", writable), -ELOOP);
        assert_int_equal(stele__file_open(s->dirfd, "dir", writable), -EISDIR);
        assert_int_equal(stele__file_open(s->dirfd, "fifo", writable),
                         -EINVAL); /* and does not wait for a peer */
        assert_int_equal(stele__file_open(s->dirfd, "none", writable), -ENOENT);
        fd = stele__file_open(s->dirfd, "f", writable);
        assert_true(fd >= 0);
        assert_int_equal(stele__file_write(fd, "x", 1, 0), writable ? 0 : -EBADF);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        stele__file_close(fd);
    }
}

static void a_read_is_exact_or_an_error(void **state)
{
    struct scratch *s = *state;
    int fd = stele__file_create(s->dirfd, "f", 0600);
    uint8_t in[300], out[301];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    assert_int_equal(stele__file_write(fd, in, sizeof in, 100), 0);
    assert_int_equal(stele__file_read(fd, out, 300, 100), 0);
    assert_memory_equal(in, out, 300);
    assert_int_equal(stele__file_read(fd, out, 301, 100), -ENODATA);
    assert_int_equal(stele__file_read(fd, out, 1, 400), -ENODATA);
    assert_int_equal(stele__file_read(fd, out, 0, 400), 0);
    assert_int_equal(stele__file_read(fd, out, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(stele__file_write(fd, in, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(stele__file_read(-1, out, 1, 0), -EBADF);
    assert_int_equal(stele__file_datasync(fd), 0);
    assert_int_equal(stele__file_datasync(-1), -EBADF);
    stele__file_close(fd);
}

static void check_allocation(int dirfd, uint64_t bytes, bool counted)
{
    int fd = stele__file_create(dirfd, "f", 0600);
    assert_true(fd >= 0);
    assert_int_equal(stele__file_allocate(fd, bytes), 0);
    uint64_t size = 0, disk = 0;
    assert_int_equal(stele__file_size(fd, &size, &disk), 0);
    assert_int_equal(stele__file_size(fd, &size, NULL), 0);
    assert_int_equal(size, bytes);
    if (counted)
        assert_true(disk >= bytes);
    for (uint64_t at = 0; at < bytes; at++) {
        uint8_t byte = 1;
        assert_int_equal(stele__file_read(fd, &byte, 1, at), 0);
        assert_int_equal(byte, 0);
    }
    stele__file_close(fd);
    assert_int_equal(unlinkat(dirfd, "f", 0), 0);
}

static void allocated_space_is_counted_and_zero(void **state)
{
    struct scratch *s = *state;
    check_allocation(s->dirfd, 1, true);
    check_allocation(s->dirfd, 200001, true);
    int fd = stele__file_create(s->dirfd, "f", 0600);
    assert_int_equal(stele__file_allocate(fd, 0), -EINVAL);
    assert_int_equal(stele__file_allocate(fd, UINT64_MAX), -EFBIG);
    stele__file_close(fd);
}

static void a_file_system_without_fallocate_gets_zeroes_written(void **state)
{
    struct scratch *s = *state;
    int root = mount_here(s, "ram", "ramfs", "");
    if (root < 0)
        return;
    int fd = stele__file_create(root, "probe", 0600);
    assert_int_equal(fallocate(fd, 0, 0, 4096), -1); /* else this test shows nothing */
    assert_int_equal(errno, EOPNOTSUPP);
    stele__file_close(fd);
    check_allocation(root, 1, false);
    check_allocation(root, 65536, false);
    check_allocation(root, 200001, false);
    unmount_here(s, "ram", root);
}

static int stop_at_third(void *ctx, const char *name)
{
    (void)name;
    return ++*(int *)ctx == 3 ? 77 : 0;
}

static int mark_name(void *ctx, const char *name)
{
    assert_int_equal(strlen(name), 2);
    assert_int_equal(name[0], 'n');
    ++((int *)ctx)[name[1] - '0'];
    return 0;
}

static int enumerate_again(void *ctx, const char *name)
{
    (void)name;
    assert_int_equal(count_names(*(int *)ctx), 9);
    return 0;
}

static void each_name_is_seen_once_and_no_descriptor_stays(void **state)
{
    struct scratch *s = *state;
    for (int i = 0; i < 9; i++) {
        char name[] = {'n', (char)('0' + i), '\0'};
        stele__file_close(stele__file_create(s->dirfd, name, 0600));
    }
    int self = stele__dir_open("/proc/self/fd");
    int before = count_names(self);
    for (int round = 0; round < 2; round++) { /* the second one starts at the first name again */
        int seen[10] = {0};
        assert_int_equal(stele__dir_each(s->dirfd, mark_name, seen), 0);
        for (int i = 0; i < 9; i++)
            assert_int_equal(seen[i], 1);
        assert_int_equal(seen[9], 0);
    }
    int n = 0;
    assert_int_equal(stele__dir_each(s->dirfd, stop_at_third, &n), 77);
    assert_int_equal(n, 3);
    assert_int_equal(stele__dir_each(s->dirfd, enumerate_again, &s->dirfd), 0);
    assert_int_equal(stele__dir_each(-1, stop_at_third, &n), -EBADF);
    assert_int_equal(count_names(self), before);
    stele__file_close(self);
}

static void close_keeps_errno(void **state)
{
    (void)state;
    errno = ENOSPC;
    stele__file_close(-1);
    assert_int_equal(errno, ENOSPC);
    stele__file_close(INT_MAX); /* EBADF inside */
    assert_int_equal(errno, ENOSPC);
}

static void a_file_system_is_named_or_numbered(void **state)
{
    (void)state;
    char name[32];
    int fd = stele__dir_open("/proc");
    stele__fs_name(fd, name, sizeof name);
    assert_string_equal(name, "0x9fa0");
    stele__file_close(fd);
    fd = stele__dir_open("/dev/shm");
    assert_true(fd >= 0);
    stele__fs_name(fd, name, sizeof name);
    assert_string_equal(name, "tmpfs");
    stele__fs_name(fd, name, 4);
    assert_string_equal(name, "tmp");
    stele__file_close(fd);
    stele__fs_name(-1, name, sizeof name);
    assert_string_equal(name, "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_the_asked_mode_under_any_umask),
        TEST(a_directory_has_the_asked_mode_under_any_umask),
        TEST(a_directory_keeps_the_inherited_group_bit),
        TEST(any_spelling_of_a_directory_path_is_taken),
        TEST(create_never_takes_an_existing_name),
        TEST(only_regular_files_are_opened),
        TEST(a_read_is_exact_or_an_error),
        TEST(allocated_space_is_counted_and_zero),
        TEST(a_file_system_without_fallocate_gets_zeroes_written),
        TEST(each_name_is_seen_once_and_no_descriptor_stays),
        TEST(close_keeps_errno),
        TEST(a_file_system_is_named_or_numbered),
    };
    return cmocka_run_group_tests_name("os/file", tests, NULL, NULL);
}
