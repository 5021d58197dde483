/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os_lock.c: locks belong to open file descriptions and die with them. */
#include "test_os.h"

#include <signal.h>
#include <sys/wait.h>

#include "os/lock.h"

#define FAR (UINT64_C(1) << 40) /* where the pins of readers lie, far beyond the end of the file */

static int two_opens_setup(void **state)
{
    int rc = scratch_setup(state);
    struct scratch *s = *state;
    stele__file_close(stele__file_create(s->dirfd, "lock", 0600));
    return rc;
}

static int open_lock(void **state, bool writable)
{
    struct scratch *s = *state;
    int fd = stele__file_open(s->dirfd, "lock", writable);
    assert_true(fd >= 0);
    return fd;
}

static void a_second_descriptor_of_the_same_process_conflicts(void **state)
{
    int a = open_lock(state, true), b = open_lock(state, true);
    assert_int_equal(stele__lock_exclusive(a, 0, 1), 0);
    assert_int_equal(stele__lock_exclusive(b, 0, 1), -EAGAIN);
    assert_int_equal(stele__lock_shared(b, 0, 1), -EAGAIN);
    assert_int_equal(stele__lock_exclusive(a, 0, 1), 0); /* one's own is no conflict */
    assert_int_equal(stele__lock_exclusive(b, 1, 1), 0); /* nor is the neighbour */
    assert_int_equal(stele__lock_release(a, 0, 1), 0);
    assert_int_equal(stele__lock_exclusive(b, 0, 1), 0);
    stele__file_close(a);
    stele__file_close(b);
}

static void shared_locks_coexist_and_keep_writers_out(void **state)
{
    int a = open_lock(state, false), b = open_lock(state, false), w = open_lock(state, true);
    assert_int_equal(stele__lock_shared(a, FAR + 7, 1), 0);
    assert_int_equal(stele__lock_shared(b, FAR + 7, 1), 0);
    assert_int_equal(stele__lock_exclusive(w, FAR + 7, 1), -EAGAIN);
    assert_int_equal(stele__lock_release(a, FAR + 7, 1), 0);
    assert_int_equal(stele__lock_exclusive(w, FAR + 7, 1), -EAGAIN);
    assert_int_equal(stele__lock_release(b, FAR + 7, 1), 0);
    assert_int_equal(stele__lock_exclusive(w, FAR + 7, 1), 0);
    stele__file_close(a);
    stele__file_close(b);
    stele__file_close(w);
}

static void closing_the_last_copy_drops_the_lock(void **state)
{
    int a = open_lock(state, true), b = open_lock(state, true);
    int copy = dup(a), other = open_lock(state, true);
    assert_int_equal(stele__lock_exclusive(a, 0, 1), 0);
    stele__file_close(other); /* a POSIX lock would be gone now */
    assert_int_equal(stele__lock_exclusive(b, 0, 1), -EAGAIN);
    stele__file_close(a);
    assert_int_equal(stele__lock_exclusive(b, 0, 1), -EAGAIN);
    stele__file_close(copy);
    assert_int_equal(stele__lock_exclusive(b, 0, 1), 0);
    stele__file_close(b);
}

static void a_killed_process_holds_nothing(void **state)
{
    int go[2];
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a descriptor of its own: an inherited one would be ours too */
        struct scratch *s = *state;
        int fd = stele__file_open(s->dirfd, "lock", true);
        char held = fd >= 0 && stele__lock_exclusive(fd, 0, 1) == 0 ? 1 : 0;
        if (write(go[1], &held, 1) != 1)
            _exit(1);
        (void)alarm(60); /* should the test fail before it kills us */
        for (;;)
            (void)pause();
    }
    char held = 0;
    assert_int_equal(read(go[0], &held, 1), 1);
    assert_int_equal(held, 1);
    int fd = open_lock(state, true);
    int while_alive = stele__lock_exclusive(fd, 0, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(while_alive, -EAGAIN);
    assert_int_equal(stele__lock_exclusive(fd, 0, 1), 0);
    stele__file_close(fd);
    stele__file_close(go[0]);
    stele__file_close(go[1]);
}

static void the_probe_finds_the_range_that_conflicts(void **state)
{
    int a = open_lock(state, true), b = open_lock(state, false), c = open_lock(state, false);
    uint64_t start = 1, len = 2;
    assert_int_equal(stele__lock_probe(c, 0, INT64_MAX, &start, &len), 0);
    assert_int_equal(start, 1); /* untouched */
    assert_int_equal(stele__lock_shared(b, FAR + 40, 3), 0);
    assert_int_equal(stele__lock_exclusive(a, FAR + 10, 2), 0);
    assert_int_equal(stele__lock_probe(c, FAR, 1000, &start, &len), 1);
    assert_int_equal(start, FAR + 10);
    assert_int_equal(len, 2);
    assert_int_equal(stele__lock_probe(a, FAR, 1000, &start, &len), 1); /* its own is none */
    assert_int_equal(start, FAR + 40);
    assert_int_equal(len, 3);
    assert_int_equal(stele__lock_probe(c, FAR + 12, 28, NULL, NULL), 0); /* just between them */
    assert_int_equal(stele__lock_probe(c, FAR + 11, 1, NULL, NULL), 1);
    assert_int_equal(stele__lock_probe(c, FAR + 12, 29, NULL, NULL), 1);
    stele__file_close(a);
    assert_int_equal(stele__lock_probe(c, FAR, 1000, &start, &len), 1);
    assert_int_equal(start, FAR + 40);
    stele__file_close(b);
    assert_int_equal(stele__lock_probe(c, FAR, 1000, &start, &len), 0);
    stele__file_close(c);
}

static void the_probe_finds_the_lowest_of_many(void **state)
{
    enum { COUNT = 40 };
    int fds[COUNT], probe = open_lock(state, false);
    for (unsigned i = 0; i < COUNT; i++) {
        fds[i] = open_lock(state, false); /* 7 and 40 share no factor: each place once, in no order */
        assert_int_equal(stele__lock_shared(fds[i], FAR + (uint64_t)(i * 7 % COUNT) * 10, 1), 0);
    }
    for (unsigned place = 0; place < COUNT; place++) {
        uint64_t start = 0, len = 0;
        assert_int_equal(stele__lock_probe(probe, FAR, 10 * COUNT, &start, &len), 1);
        assert_int_equal(start, FAR + place * 10);
        assert_int_equal(len, 1);
        for (unsigned i = 0; i < COUNT; i++)
            if (i * 7 % COUNT == place)
                stele__file_close(fds[i]);
    }
    assert_int_equal(stele__lock_probe(probe, FAR, 10 * COUNT, NULL, NULL), 0);
    stele__file_close(probe);
}

static void a_lock_to_the_last_offset_has_a_length(void **state)
{
    int a = open_lock(state, true), b = open_lock(state, false);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 0};
    assert_int_equal(fcntl(a, F_OFD_SETLK, &whole), 0);
    uint64_t start = 0, len = 0;
    assert_int_equal(stele__lock_probe(b, 0, 10, &start, &len), 1);
    assert_int_equal(start, 5);
    assert_int_equal(start + len - 1, INT64_MAX);
    stele__file_close(a);
    stele__file_close(b);
}

static void impossible_requests_are_refused(void **state)
{
    int r = open_lock(state, false), w = open_lock(state, true);
    assert_int_equal(stele__lock_exclusive(r, 0, 1), -EBADF);
    assert_int_equal(stele__lock_shared(r, 0, 1), 0);
    assert_int_equal(stele__lock_shared(w, 0, 0), -EINVAL);
    assert_int_equal(stele__lock_probe(w, 0, 0, NULL, NULL), -EINVAL);
    assert_int_equal(stele__lock_shared(w, UINT64_MAX, 1), -EINVAL);
    assert_int_equal(stele__lock_shared(w, 1, INT64_MAX), -EINVAL);
    assert_int_equal(stele__lock_shared(w, 1, INT64_MAX - 1), 0);
    assert_int_equal(stele__lock_release(w, 0, INT64_MAX), 0);
    assert_int_equal(stele__lock_shared(-1, 0, 1), -EBADF);
    assert_int_equal(stele__lock_probe(-1, 0, 1, NULL, NULL), -EBADF);
    stele__file_close(r);
    stele__file_close(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, two_opens_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_descriptor_of_the_same_process_conflicts),
        TEST(shared_locks_coexist_and_keep_writers_out),
        TEST(closing_the_last_copy_drops_the_lock),
        TEST(a_killed_process_holds_nothing),
        TEST(the_probe_finds_the_range_that_conflicts),
        TEST(the_probe_finds_the_lowest_of_many),
        TEST(a_lock_to_the_last_offset_has_a_length),
        TEST(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests_name("os/lock", tests, NULL, NULL);
}
