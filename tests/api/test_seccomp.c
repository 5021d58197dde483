/* SPDX-License-Identifier: BSD-3-Clause */
/* test_seccomp.c: no system call on the append path and in a cursor. A child puts a filter on its thread under which every
 * system call kills the process (but the one that ends it), and works under it. */
#include "lib/child.h"
#include "lib/dir.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORDS 100000u

/* What ThreadSanitizer's own bookkeeping asks the system for: memory. Without it only the end is allowed. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EXCUSED SYS_mmap
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define EXCUSED SYS_mmap
#elif !defined(EXCUSED)
#define EXCUSED SYS_exit_group
#endif

/* From here on this thread only computes. */
static void forbid_system_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EXCUSED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void leave(int status)
{
    (void)syscall(SYS_exit_group, status);
}

/* Through a pointer: in front of a call that is known not to return, AddressSanitizer makes system calls. */
static void (*volatile end)(int status) = leave;

struct work {
    char path[300];
    uint32_t flags;
    bool durable_only;
    void (*append)(struct stele *log, uint64_t number);
};

/* Under the filter nothing can be said: the status tells where it stopped. */
enum { FINE = 0, APPEND_FAILED = 11, READ_FAILED = 12, WRONG_RECORD = 13, TOO_MANY = 14 };

static void fill(uint64_t number, uint64_t words[8])
{
    for (uint64_t i = 0; i < 8; i++)
        words[i] = number * 8 + i;
}

static void append_plain(struct stele *log, uint64_t number)
{
    uint64_t words[8];
    stele_lsn lsn;
    fill(number, words);
    if (stele_append(log, words, sizeof words, &lsn) != 0)
        end(APPEND_FAILED);
}

static void append_gathered(struct stele *log, uint64_t number)
{
    uint64_t words[8];
    fill(number, words);
    const struct iovec iov[] = {{words, 20}, {(char *)words + 20, 0}, {(char *)words + 20, 44}};
    if (stele_appendv(log, 5, iov, 3, NULL) != 0)
        end(APPEND_FAILED);
}

static void append_in_place(struct stele *log, uint64_t number)
{
    uint64_t words[8];
    struct stele_slot slot;
    fill(number, words);
    if (stele_reserve(log, 7, 96, &slot) != 0 || stele_abandon(log, &slot) != 0 ||
        stele_reserve(log, 7, 96, &slot) != 0)
        end(APPEND_FAILED);
    memcpy(slot.data, words, sizeof words);
    if (stele_publish(log, &slot, sizeof words) != 0)
        end(APPEND_FAILED);
}

static void append_batched(struct stele *log, uint64_t number)
{
    static uint64_t words[50][8];
    static struct stele_entry entries[50];
    fill(number, words[number % 50]);
    entries[number % 50] = (struct stele_entry){.data = words[number % 50], .len = sizeof words[0]};
    if (number % 50 == 49 && stele_append_batch(log, entries, 50) != 50)
        end(APPEND_FAILED);
}

static int read_back(struct stele_cursor *cursor)
{
    struct stele_record record;
    uint64_t words[8];
    for (uint64_t number = 0; number < RECORDS; number++) {
        if (stele_cursor_next(cursor, &record) != 1)
            return READ_FAILED;
        fill(number, words);
        if (record.len != sizeof words || memcmp(record.data, words, sizeof words) != 0)
            return WRONG_RECORD;
    }
    return stele_cursor_next(cursor, &record) == 0 ? FINE : TOO_MANY;
}

static void work_under_the_filter(void *ctx)
{
    const struct work *work = ctx;
    struct stele_options options = log_options(STELE_CREATE | work->flags);
    options.segment_bytes = 0; /* 64 MiB: one prepared segment holds it all */
    options.spare_segments = 1;
    struct stele *log = log_open_with(work->path, &options);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    if (work->append == append_plain)
        work->append(log, 0); /* also with a record there before the filter is */
    uint64_t from = work->append == append_plain ? 1 : 0;
    forbid_system_calls();
    for (uint64_t number = from; number < RECORDS; number++)
        work->append(log, number);
    (void)stele_durable(log);
    (void)stele_tail(log);
    (void)stele_first(log);
    end(read_back(cursor));
}

static void run(const struct dir *dir, uint32_t flags, void (*append)(struct stele *, uint64_t))
{
    struct work work = {.flags = flags, .append = append};
    (void)snprintf(work.path, sizeof work.path, "%s", dir->log);
    child_join(child_start(work_under_the_filter, &work));
    dir_empty(dir->log);
}

static void appends_and_reads_make_no_system_call(void **state)
{
    run(*state, 0, append_plain);
    run(*state, STELE_SINGLE_APPENDER, append_plain);
}

static void gathered_appends_make_no_system_call(void **state)
{
    run(*state, 0, append_gathered);
    run(*state, STELE_SINGLE_APPENDER, append_gathered);
}

static void slots_make_no_system_call(void **state)
{
    run(*state, 0, append_in_place);
    run(*state, STELE_SINGLE_APPENDER, append_in_place);
}

static void batches_make_no_system_call(void **state)
{
    run(*state, 0, append_batched);
    run(*state, STELE_SINGLE_APPENDER, append_batched);
}

static void call_the_system(void *ctx)
{
    (void)ctx;
    forbid_system_calls();
    (void)syscall(SYS_getppid);
}

static void sync_under_the_filter(void *ctx)
{
    const char *path = ctx;
    struct stele *log = log_open(path, STELE_CREATE);
    forbid_system_calls();
    (void)stele_append(log, "x", 1, NULL);
    (void)stele_sync_begin(log); /* wakes the helper thread: a system call by design */
    end(FINE);
}

/* Or the laws above would hold for the wrong reason. */
static void the_filter_kills(void **state)
{
    struct dir *dir = *state;
    child_join_killed(child_start(call_the_system, NULL), SIGSYS);
    child_join_killed(child_start(sync_under_the_filter, dir->log), SIGSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(appends_and_reads_make_no_system_call),
        LAW(gathered_appends_make_no_system_call),
        LAW(slots_make_no_system_call),
        LAW(batches_make_no_system_call),
        LAW(the_filter_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
