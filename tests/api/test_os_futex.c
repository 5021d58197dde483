/* SPDX-License-Identifier: BSD-3-Clause */
/* test_os_futex.c: a sleeper sleeps until somebody wakes it, also through a read-only mapping. The deadline
 * of the test runner is what fails a lost wake-up. */
#include "test_os.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os/futex.h"

typedef _Atomic uint32_t futex_word;

/* Wait until a thread (or process) is asleep in the kernel: the state in its stat file, not a guess at a
 * delay. */
static void await_sleep(const char *stat_path)
{
    for (char state = '?'; state != 'S';) {
        char text[512] = "";
        int fd = open(stat_path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        ssize_t n = read(fd, text, sizeof text - 1);
        stele__file_close(fd);
        assert_true(n > 0);
        const char *end = strrchr(text, ')'); /* the name before it may hold anything */
        assert_non_null(end);
        state = end[2];
        assert_true(state != 'Z' && state != 'X');
        (void)sched_yield();
    }
}

static void a_changed_word_is_not_waited_for(void **state)
{
    (void)state;
    futex_word word = 7;
    for (int shared = 0; shared < 2; shared++) {
        assert_int_equal(stele__futex_wait(&word, 6, -1, shared), 0);
        assert_int_equal(stele__futex_wait(&word, 6, 0, shared), 0);
    }
}

static void an_unchanged_word_times_out(void **state)
{
    (void)state;
    futex_word word = 7;
    for (int shared = 0; shared < 2; shared++) {
        assert_int_equal(stele__futex_wait(&word, 7, 0, shared), -ETIMEDOUT);
        assert_int_equal(stele__futex_wait(&word, 7, 1000000, shared), -ETIMEDOUT);
    }
}

static void a_word_that_is_not_mapped_is_an_error(void **state)
{
    (void)state;
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    assert_int_equal(stele__futex_wait(page, 0, -1, true), -EFAULT);
    assert_int_equal(munmap(page, 4096), 0);
}

struct sleeper {
    futex_word word, tid;
    _Atomic int rc;
};

static void *sleep_on_word(void *arg)
{
    struct sleeper *s = arg;
    atomic_store(&s->tid, (uint32_t)syscall(SYS_gettid));
    while (s->rc == 0 && atomic_load(&s->word) == 0)
        s->rc = stele__futex_wait(&s->word, 0, -1, false);
    return NULL;
}

static void all_threads_are_woken(void **state)
{
    (void)state;
    struct sleeper sleeper = {.word = 0};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        atomic_store(&sleeper.tid, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_on_word, &sleeper), 0);
        while (atomic_load(&sleeper.tid) == 0)
            (void)sched_yield();
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/task/%u/stat", (unsigned)atomic_load(&sleeper.tid));
        await_sleep(path);
    }
    atomic_store(&sleeper.word, 1);
    stele__futex_wake(&sleeper.word, 4, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(sleeper.rc, 0);
}

static void a_reader_of_a_read_only_mapping_is_woken_by_another_process(void **state)
{
    struct scratch *s = *state;
    int fd = stele__file_create(s->dirfd, "control", 0600);
    assert_int_equal(stele__file_allocate(fd, 4096), 0);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(60); /* not inherited */
        int mine = stele__file_open(s->dirfd, "control", false);
        const futex_word *word = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mine, 0);
        if (word == MAP_FAILED || write(ready[1], "r", 1) != 1)
            _exit(2);
        int rc = 0;
        while (rc == 0 && atomic_load(word) == 0)
            rc = stele__futex_wait(word, 0, -1, true);
        _exit(rc == 0 ? 0 : 3);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    await_sleep(path);
    futex_word *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(word != MAP_FAILED);
    atomic_store(word, 1);
    stele__futex_wake(word, INT32_MAX, true);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(munmap(word, 4096), 0);
    stele__file_close(fd);
    stele__file_close(ready[0]);
    stele__file_close(ready[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    (void)alarm(60); /* a lost wake-up ends the program even when no test runner watches */
    const struct CMUnitTest tests[] = {
        TEST(a_changed_word_is_not_waited_for),
        TEST(an_unchanged_word_times_out),
        TEST(a_word_that_is_not_mapped_is_an_error),
        TEST(all_threads_are_woken),
        TEST(a_reader_of_a_read_only_mapping_is_woken_by_another_process),
    };
    return cmocka_run_group_tests_name("os/futex", tests, NULL, NULL);
}
