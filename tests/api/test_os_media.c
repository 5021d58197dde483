/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os_media.c: every back-end keeps the promises of os/media.h, and pmem is used only where it is true.
 *
 * libpmem reads PMEM_IS_PMEM_FORCE when it is loaded, so main() runs this program again: once without it
 * ("plain", msync and none) and once with it ("forced", pmem on tmpfs). */
#include "test_os.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "os/media.h"

#define PAGE 4096u
#define BYTES (UINT64_C(3) * 1024 * 1024 + PAGE) /* not a multiple of the step of populate */

extern char **environ;

static const int plain_classes[] = {STELE__MEDIA_MSYNC, STELE__MEDIA_NONE, 0};
static const int forced_classes[] = {STELE__MEDIA_PMEM, STELE__MEDIA_MSYNC, STELE__MEDIA_NONE, 0};
static const int *classes; /* what this run can choose, ended by 0 */

static int shm_setup(void **state)
{
    *state = scratch_make("/dev/shm"); /* a tmpfs on every Linux; the forced tests are about tmpfs */
    return 0;
}

static struct stele__media chosen(int dirfd, int class_)
{
    struct stele__media media;
    assert_int_equal(stele__media_choose(dirfd, class_, true, &media), 0);
    assert_int_equal(media.class_, class_);
    assert_non_null(media.ops);
    assert_memory_equal(media.reason, media.ops->name, strlen(media.ops->name));
    return media;
}

static void expect_bytes(int dirfd, const char *name, uint64_t offset, const void *bytes, size_t len)
{
    uint8_t read[512];
    assert_true(len <= sizeof read);
    int fd = stele__file_open(dirfd, name, false);
    assert_true(fd >= 0);
    assert_int_equal(stele__file_read(fd, read, len, offset), 0);
    assert_memory_equal(read, bytes, len);
    stele__file_close(fd);
}

static void a_created_file_is_zero_allocated_and_of_the_asked_mode(void **state)
{
    struct scratch *s = *state;
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(s->dirfd, *class_);
        struct stele__map map;
        mode_t old = umask(077);
        int rc = m.ops->create(&m, s->dirfd, "a.tmp", BYTES, 0664, &map);
        (void)umask(old);
        assert_int_equal(rc, 0);
        assert_int_equal(map.bytes, BYTES);
        for (uint64_t i = 0; i < BYTES; i++)
            assert_int_equal(map.base[i], 0);
        struct stat st;
        assert_int_equal(fstat(map.fd, &st), 0);
        assert_int_equal(st.st_size, BYTES);
        assert_int_equal(st.st_mode & 07777, 0664);
        assert_true((uint64_t)st.st_blocks * 512 >= BYTES);
        m.ops->close(&m, &map);
        assert_null(map.base);
        assert_int_equal(map.fd, -1);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "a.tmp"), 0);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "a.tmp"), -ENOENT);
    }
}

static void stored_and_persisted_bytes_are_in_the_file(void **state)
{
    struct scratch *s = *state;
    static const uint64_t offsets[] = {0, 1, 80, PAGE - 3, 2 * PAGE, BYTES - 100};
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(s->dirfd, *class_);
        struct stele__map map;
        assert_int_equal(m.ops->create(&m, s->dirfd, "a.tmp", BYTES, 0600, &map), 0);
        m.ops->populate(&m, &map, 0, BYTES);
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
            memset(map.base + offsets[i], 'a' + (int)i, 80);
            assert_int_equal(m.ops->persist(&m, &map, offsets[i], 80), 0);
            expect_bytes(s->dirfd, "a.tmp", offsets[i], map.base + offsets[i], 80);
        }
        assert_int_equal(m.ops->persist(&m, &map, 5, 0), 0);
        assert_int_equal(m.ops->persist(&m, &map, 0, BYTES), 0);
        assert_int_equal(m.ops->rename(&m, s->dirfd, "a.tmp", "a"), 0);
        assert_int_equal(m.ops->rename(&m, s->dirfd, "a.tmp", "a"), -ENOENT);
        assert_int_equal(m.ops->sync_dir(&m, s->dirfd), 0);
        m.ops->close(&m, &map);

        assert_int_equal(m.ops->open(&m, s->dirfd, "a", BYTES, &map), 0);
        assert_int_equal(map.base[81], 'c');
        assert_int_equal(map.base[BYTES - 21], 'f');
        map.base[7] = 'z';
        assert_int_equal(m.ops->persist(&m, &map, 7, 1), 0);
        m.ops->close(&m, &map);
        expect_bytes(s->dirfd, "a", 7, "z", 1);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "a"), 0);
    }
}

static void a_file_of_another_size_is_not_mapped(void **state)
{
    struct scratch *s = *state;
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(s->dirfd, *class_);
        struct stele__map map;
        assert_int_equal(m.ops->create(&m, s->dirfd, "a", BYTES, 0600, &map), 0);
        m.ops->close(&m, &map);
        static const uint64_t wrong[] = {0, 1, PAGE, BYTES - 1, BYTES + 1, BYTES + PAGE, UINT64_MAX};
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
            assert_int_equal(m.ops->open(&m, s->dirfd, "a", wrong[i], &map), -ENODATA);
        assert_int_equal(m.ops->open(&m, s->dirfd, "none", BYTES, &map), -ENOENT);
        int empty = stele__file_create(s->dirfd, "empty", 0600);
        stele__file_close(empty);
        assert_int_equal(m.ops->open(&m, s->dirfd, "empty", 0, &map), -ENODATA);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "empty"), 0);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "a"), 0);
    }
}

static void create_leaves_an_existing_file_alone(void **state)
{
    struct scratch *s = *state;
    int fd = stele__file_create(s->dirfd, "a", 0600);
    assert_int_equal(stele__file_write(fd, "kept", 4, 0), 0);
    stele__file_close(fd);
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(s->dirfd, *class_);
        struct stele__map map;
        assert_int_equal(m.ops->create(&m, s->dirfd, "a", BYTES, 0600, &map), -EEXIST);
        expect_bytes(s->dirfd, "a", 0, "kept", 4);
        assert_int_equal(m.ops->create(&m, s->dirfd, "b", 0, 0600, &map), -EINVAL);
        assert_int_equal(m.ops->create(&m, s->dirfd, "b", UINT64_MAX, 0600, &map), -EFBIG);
        assert_int_equal(count_names(s->dirfd), 1);
    }
}

static void a_full_disk_is_an_error_and_leaves_no_file(void **state)
{
    struct scratch *s = *state;
    int root = mount_here(s, "small", "tmpfs", "size=1m");
    if (root < 0)
        return;
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(root, *class_);
        struct stele__map map, more;
        assert_int_equal(m.ops->create(&m, root, "a", BYTES, 0600, &map), -ENOSPC);
        assert_int_equal(count_names(root), 0);
        /* What fits is really there: filling it to the last byte while the disk is full raises no SIGBUS. */
        assert_int_equal(m.ops->create(&m, root, "a", 250 * PAGE, 0600, &map), 0);
        assert_int_equal(m.ops->create(&m, root, "b", 100 * PAGE, 0600, &more), -ENOSPC);
        assert_int_equal(count_names(root), 1);
        memset(map.base, 0xa5, 250 * PAGE);
        assert_int_equal(m.ops->persist(&m, &map, 0, 250 * PAGE), 0);
        assert_int_equal(chosen(root, *class_).class_, *class_); /* choosing still works */
        m.ops->close(&m, &map);
        assert_int_equal(m.ops->unlink(&m, root, "a"), 0);
    }
    unmount_here(s, "small", root);
}

static void populate_makes_exactly_its_range_present(void **state)
{
    struct scratch *s = *state;
    for (const int *class_ = classes; *class_ != 0; class_++) {
        struct stele__media m = chosen(s->dirfd, *class_);
        struct stele__map map;
        assert_int_equal(m.ops->create(&m, s->dirfd, "a", BYTES, 0600, &map), 0);
        bool able = madvise(map.base, PAGE, 23 /* MADV_POPULATE_WRITE */) == 0 || errno != EINVAL;
        m.ops->populate(&m, &map, PAGE + 5, BYTES); /* reaches beyond the end: cut */
        m.ops->populate(&m, &map, BYTES, PAGE);
        m.ops->populate(&m, &map, UINT64_MAX, UINT64_MAX);
        m.ops->populate(&m, &map, 0, 0);
        unsigned char present[BYTES / PAGE];
        assert_int_equal(mincore(map.base, BYTES, present), 0);
        for (size_t i = 1; able && i < BYTES / PAGE; i++)
            assert_true((present[i] & 1) != 0);
        for (uint64_t i = 0; i < BYTES; i++)
            assert_int_equal(map.base[i], 0);
        m.ops->close(&m, &map);
        assert_int_equal(m.ops->unlink(&m, s->dirfd, "a"), 0);
    }
}

static void a_failed_msync_is_reported(void **state)
{
    struct scratch *s = *state;
    struct stele__media m = chosen(s->dirfd, STELE__MEDIA_MSYNC);
    struct stele__map map;
    assert_int_equal(m.ops->create(&m, s->dirfd, "a", 4 * PAGE, 0600, &map), 0);
    assert_int_equal(munmap(map.base + 2 * PAGE, PAGE), 0);
    assert_int_equal(m.ops->persist(&m, &map, 0, 2 * PAGE), 0);
    assert_int_equal(m.ops->persist(&m, &map, 0, 2 * PAGE + 1), -ENOMEM);
    assert_int_equal(m.ops->sync_dir(&m, -1), -EBADF);
    m.ops->close(&m, &map);
}

/* What the kernel says, asked apart from the code under test. */
static bool kernel_maps_synchronously(int dirfd)
{
    int fd = stele__file_create(dirfd, "dax", 0600);
    assert_int_equal(stele__file_allocate(fd, PAGE), 0);
    void *at =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, 0x03 | 0x80000 /* MAP_SHARED_VALIDATE | MAP_SYNC */, fd, 0);
    if (at != MAP_FAILED)
        (void)munmap(at, PAGE);
    stele__file_close(fd);
    assert_int_equal(unlinkat(dirfd, "dax", 0), 0);
    return at != MAP_FAILED;
}

static void pmem_is_refused_where_map_sync_is(void **state)
{
    struct scratch *s = *state;
    char fs[32];
    stele__fs_name(s->dirfd, fs, sizeof fs);
    bool sync = kernel_maps_synchronously(s->dirfd);
    struct stele__media m;
    struct stele__map map;
    for (int may_write = 0; may_write < 2; may_write++) {
        stele__file_close(stele__file_create(s->dirfd, "empty", 0600));
        int fd = stele__file_create(s->dirfd, "file", 0600); /* what a read-only choice can ask about */
        assert_int_equal(stele__file_write(fd, "x", 1, 0), 0);
        stele__file_close(fd);
        assert_int_equal(stele__media_choose(s->dirfd, STELE__MEDIA_PMEM, may_write, &m),
                         sync ? 0 : -ENOTSUP);
        assert_non_null(strstr(m.reason, "MAP_SYNC"));
        assert_non_null(strstr(m.reason, fs));
        assert_int_equal(stele__media_choose(s->dirfd, 0, may_write, &m), 0);
        assert_int_equal(m.class_, sync ? STELE__MEDIA_PMEM : STELE__MEDIA_MSYNC);
        assert_non_null(strstr(m.reason, "MAP_SYNC"));
        assert_non_null(strstr(m.reason, fs));
        assert_int_equal(unlinkat(s->dirfd, "file", 0), 0);
        assert_int_equal(unlinkat(s->dirfd, "empty", 0), 0);
    }
    /* Nor does the back-end itself hand out a map that libpmem could not persist. */
    m = (struct stele__media){.ops = &stele__media_pmem_ops, .class_ = STELE__MEDIA_PMEM};
    int rc = m.ops->create(&m, s->dirfd, "a", PAGE, 0600, &map);
    assert_int_equal(rc, sync ? 0 : -ENOTSUP);
    assert_int_equal(count_names(s->dirfd), sync ? 1 : 0);
    if (sync) {
        m.ops->close(&m, &map);
        return;
    }
    int fd = stele__file_create(s->dirfd, "a", 0600);
    assert_int_equal(stele__file_allocate(fd, PAGE), 0);
    stele__file_close(fd);
    assert_int_equal(m.ops->open(&m, s->dirfd, "a", PAGE, &map), -ENOTSUP);
}

static void a_forced_libpmem_is_believed_on_tmpfs_only(void **state)
{
    struct scratch *shm = *state;
    struct stele__media m;
    for (int wanted = 0; wanted <= STELE__MEDIA_PMEM; wanted++) {
        for (int may_write = 0; may_write < 2; may_write++) {
            int fd = stele__file_create(shm->dirfd, "file", 0600);
            assert_int_equal(stele__file_write(fd, "x", 1, 0), 0);
            stele__file_close(fd);
            assert_int_equal(stele__media_choose(shm->dirfd, wanted, may_write, &m), 0);
            assert_int_equal(m.class_, STELE__MEDIA_PMEM);
            assert_non_null(strstr(m.reason, "PMEM_IS_PMEM_FORCE"));
            assert_int_equal(unlinkat(shm->dirfd, "file", 0), 0);
        }
    }
    void *other = NULL;
    assert_int_equal(scratch_setup(&other), 0);
    struct scratch *s = other;
    char fs[32];
    stele__fs_name(s->dirfd, fs, sizeof fs);
    /* On a disk without DAX the pages are a cache: flushing lines of them would save nothing. */
    if (strcmp(fs, "tmpfs") != 0 && !kernel_maps_synchronously(s->dirfd)) {
        assert_int_equal(stele__media_choose(s->dirfd, STELE__MEDIA_PMEM, true, &m), -ENOTSUP);
        assert_non_null(strstr(m.reason, "is not believed"));
        assert_int_equal(stele__media_choose(s->dirfd, 0, true, &m), 0);
        assert_int_equal(m.class_, STELE__MEDIA_MSYNC);
        struct stele__map map;
        m = (struct stele__media){.ops = &stele__media_pmem_ops, .class_ = STELE__MEDIA_PMEM};
        assert_int_equal(m.ops->create(&m, s->dirfd, "a", PAGE, 0600, &map), -ENOTSUP);
    }
    assert_int_equal(count_names(s->dirfd), 0);
    assert_int_equal(scratch_teardown(&other), 0);
}

static void choosing_leaves_no_file_and_reading_touches_nothing(void **state)
{
    struct scratch *s = *state;
    static const int wanted[] = {0, STELE__MEDIA_PMEM, STELE__MEDIA_MSYNC, STELE__MEDIA_NONE};
    struct stele__media m;
    for (size_t i = 0; i < 4; i++) {
        struct stat before, after;
        assert_int_equal(fstat(s->dirfd, &before), 0);
        (void)stele__media_choose(s->dirfd, wanted[i], false, &m);
        assert_true(m.reason[0] != '\0');
        assert_int_equal(fstat(s->dirfd, &after), 0);
        assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
        assert_int_equal(count_names(s->dirfd), 0);
        (void)stele__media_choose(s->dirfd, wanted[i], true, &m);
        assert_int_equal(count_names(s->dirfd), 0);
    }
    /* Without a file and without leave to make one nothing is known: the choice is the safe one, and says so.
     */
    assert_int_equal(stele__media_choose(s->dirfd, 0, false, &m), 0);
    assert_int_equal(m.class_, STELE__MEDIA_MSYNC);
    assert_non_null(strstr(m.reason, "not probed"));
    assert_int_equal(stele__media_choose(s->dirfd, STELE__MEDIA_PMEM, false, &m), -ENOTSUP);
    assert_int_equal(stele__media_choose(s->dirfd, 4, true, &m), -EINVAL);
    assert_int_equal(stele__media_choose(s->dirfd, -1, true, &m), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
#define SHM_TEST(name) cmocka_unit_test_setup_teardown(name, shm_setup, scratch_teardown)

static int run_plain(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_file_is_zero_allocated_and_of_the_asked_mode),
        TEST(stored_and_persisted_bytes_are_in_the_file),
        TEST(a_file_of_another_size_is_not_mapped),
        TEST(create_leaves_an_existing_file_alone),
        TEST(a_full_disk_is_an_error_and_leaves_no_file),
        TEST(populate_makes_exactly_its_range_present),
        TEST(a_failed_msync_is_reported),
        TEST(pmem_is_refused_where_map_sync_is),
        SHM_TEST(pmem_is_refused_where_map_sync_is),
        TEST(choosing_leaves_no_file_and_reading_touches_nothing),
    };
    classes = plain_classes;
    return cmocka_run_group_tests_name("os/media", tests, NULL, NULL);
}

static int run_forced(void)
{
    const struct CMUnitTest tests[] = {
        SHM_TEST(a_created_file_is_zero_allocated_and_of_the_asked_mode),
        SHM_TEST(stored_and_persisted_bytes_are_in_the_file),
        SHM_TEST(a_file_of_another_size_is_not_mapped),
        SHM_TEST(create_leaves_an_existing_file_alone),
        SHM_TEST(a_full_disk_is_an_error_and_leaves_no_file),
        SHM_TEST(populate_makes_exactly_its_range_present),
        SHM_TEST(a_forced_libpmem_is_believed_on_tmpfs_only),
        SHM_TEST(choosing_leaves_no_file_and_reading_touches_nothing),
    };
    classes = forced_classes;
    return cmocka_run_group_tests_name("os/media, PMEM_IS_PMEM_FORCE=1", tests, NULL, NULL);
}

static int run_again(const char *self, const char *how)
{
    char name[16], program[512];
    (void)snprintf(name, sizeof name, "%s", how);
    (void)snprintf(program, sizeof program, "%s", self);
    char *argv[] = {program, name, NULL};
    pid_t child;
    int status = -1;
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) != 0 ||
        waitpid(child, &status, 0) != child)
        return 1;
    return status != 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "forced") == 0 ? run_forced() : run_plain();
    (void)unsetenv("PMEM_IS_PMEM_FORCE");
    int failed = run_again(argv[0], "plain");
    (void)setenv("PMEM_IS_PMEM_FORCE", "1", 1);
    return failed + run_again(argv[0], "forced");
}
