/* SPDX-License-Identifier: BSD-3-Clause */
/* test_truncated.c: files of a log cut short, removed or replaced while they are mapped. An error that names the file,
 * never a signal, never a record that was not appended; and a signal that is none of ours goes where it went before. */
#include "lib/child.h"
#include "lib/dir.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* cmocka takes SIGBUS for itself before each test, and the library's handler stays the one it installed first: so each
 * law has a process of its own, in which the library comes last. */
#define LAW_IN_A_CHILD(name)                                                                                 \
    static void name##_here(void *ctx);                                                                      \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        child_join(child_start(name##_here, *state));                                                        \
    }                                                                                                        \
    static void name##_here(void *ctx)

#define CURSORS 8
#define RECORDS 6000 /* several of the smallest segments */

static void cut(const struct dir *dir, uint64_t bytes)
{
    must(truncate(segment_file(dir, 0, SEGMENT_SMALL), (off_t)bytes) == 0);
}

/* As a new file, renamed over what was there. */
static void replace_file(const struct dir *dir, const char *from, const char *to)
{
    static uint8_t bytes[128 * 1024];
    const char *fresh = dir_file(dir, "fresh");
    size_t len = (size_t)file_bytes(from);
    must(len <= sizeof bytes);
    file_read(from, 0, bytes, len);
    file_make(fresh, "");
    file_write(fresh, 0, bytes, len);
    must(rename(fresh, to) == 0);
}

/* Reads on until something ends it; everything until then is right, and what ends it is said. */
struct reading {
    struct stele_cursor *cursor;
    uint64_t from;
    _Atomic uint64_t *first; /* readers that stand behind their first record */
    _Atomic bool *damaged;
    int ended;
    char why[600];
};

static void *read_on(void *argument)
{
    struct reading *reading = argument;
    struct stele_record record;
    uint64_t number = reading->from;
    must(stele_cursor_next(reading->cursor, &record) == 1 && is_numbered(number++, &record));
    atomic_fetch_add(reading->first, 1);
    while (!atomic_load(reading->damaged))
        (void)sched_yield();
    int rc;
    while ((rc = stele_cursor_next(reading->cursor, &record)) == 1)
        must(is_numbered(number++, &record));
    reading->ended = rc;
    (void)snprintf(reading->why, sizeof reading->why, "%s", stele_last_error());
    return NULL;
}

LAW_IN_A_CHILD(eight_cursors_over_a_segment_cut_short_say_so)
{
    struct dir *dir = ctx;
    static const uint64_t lengths[] = {0, 4096, 8192, 8192 + 100, 40960};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct stele *log = log_open(dir->log, STELE_CREATE);
        append_range(log, 0, RECORDS);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
        struct reading readings[CURSORS];
        pthread_t threads[CURSORS];
        _Atomic uint64_t first = 0;
        _Atomic bool damaged = false;
        for (int c = 0; c < CURSORS; c++) {
            readings[c] = (struct reading){.first = &first, .damaged = &damaged};
            succeeds(stele_cursor_open(c % 2 == 0 ? log : reader, c % 4 < 2 ? 0 : STELE_DURABLE_ONLY,
                                       STELE_FROM_BEGIN, 0, &readings[c].cursor));
            must(pthread_create(&threads[c], NULL, read_on, &readings[c]) == 0);
        }
        while (atomic_load(&first) < CURSORS)
            (void)sched_yield();
        cut(dir, lengths[i]);
        atomic_store(&damaged, true);
        for (int c = 0; c < CURSORS; c++) {
            must(pthread_join(threads[c], NULL) == 0);
            must(readings[c].ended == STELE_ECORRUPT);
            must(strstr(readings[c].why, "0000000000000000-0000000000000000.stele: offset ") != NULL);
            must(strstr(readings[c].why, "stele verify") != NULL);
            struct stele_record record;
            returns(STELE_ECORRUPT, stele_cursor_next(readings[c].cursor, &record)); /* and says it again */
            stele_cursor_close(readings[c].cursor);
        }
        succeeds(stele_close(reader));
        (void)stele_close(log);
        dir_empty(dir->log);
    }
}

/* A mapping outlives the name: what was entered is read to its end, and the next segment is an error. */
LAW_IN_A_CHILD(a_segment_unlinked_or_replaced_under_a_cursor_is_read_whole_or_refused)
{
    struct dir *dir = ctx;
    for (int replaced = 0; replaced < 2; replaced++) {
        struct stele *log = log_open(dir->log, STELE_CREATE);
        append_range(log, 0, RECORDS);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
        must(stele_cursor_next(cursor, &record) == 1);
        for (uint64_t sequence = 0; sequence < 2; sequence++) {
            const char *name = segment_file(dir, sequence, SEGMENT_SMALL);
            if (replaced != 0)
                replace_file(dir, segment_file(dir, 2, SEGMENT_SMALL), name);
            else
                must(unlink(name) == 0);
        }
        uint64_t number = 1;
        int rc;
        while ((rc = stele_cursor_next(cursor, &record)) == 1)
            must(is_numbered(number++, &record));
        must(rc == STELE_ECORRUPT && record.lsn < SEGMENT_SMALL);
        error_says("0000000000000001-0000000000010000.stele");
        stele_cursor_close(cursor);
        (void)stele_close(log);
        dir_empty(dir->log);
    }
}

LAW_IN_A_CHILD(a_cursor_reads_on_when_the_segment_is_whole_again)
{
    struct dir *dir = ctx;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 500);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    const char *keep = dir_file(dir, "keep");
    file_make(keep, "");
    replace_file(dir, segment_file(dir, 0, SEGMENT_SMALL), keep);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_BEGIN, 0, &cursor));
    must(stele_cursor_next(cursor, &record) == 1);
    cut(dir, 4096);
    returns(STELE_ECORRUPT, stele_cursor_next(cursor, &record));
    replace_file(dir, keep, segment_file(dir, 0, SEGMENT_SMALL));
    expect_next(cursor, 1, 500);
    stele_cursor_close(cursor);
    succeeds(stele_close(reader));
    (void)stele_close(log);
}

/* The writer's own segment: the log fails before it acknowledges what is gone. */
LAW_IN_A_CHILD(a_writer_whose_segment_is_cut_short_fails_and_acknowledges_nothing_more)
{
    struct dir *dir = ctx;
    for (int single = 0; single < 2; single++) {
        struct stele *log = log_open(dir->log, STELE_CREATE | (single != 0 ? STELE_SINGLE_APPENDER : 0));
        append_range(log, 0, 10);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        stele_lsn durable = stele_durable(log);
        cut(dir, 4096);
        int rc = 0;
        stele_lsn lsn = 0;
        for (int i = 0; i < 1000 && rc == 0; i++) {
            rc = stele_append(log, "gone", 4, &lsn);
            rc = rc == 0 ? stele_sync(log, lsn) : rc;
        }
        must(rc == STELE_EFAILED);
        error_says("cut short");
        must(stele_durable(log) == durable);
        returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
        returns(STELE_EFAILED, stele_close(log));
        dir_empty(dir->log);
    }
}

/* The rest of the last page turns to zeroes, and no touch of it is a signal. */
LAW_IN_A_CHILD(a_writer_whose_page_is_cut_in_two_fails_and_hangs_nobody)
{
    struct dir *dir = ctx;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    stele_lsn last = append_range(log, 10, 13);
    cut(dir, 4096 + last - 8);
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    error_says("cut short");
    returns(STELE_EFAILED, stele_close(log));
}

/* Nobody calls: the helper thread touches it when it vouches for what was written. */
LAW_IN_A_CHILD(the_helper_of_a_segment_cut_short_fails_the_log_and_not_the_process)
{
    struct dir *dir = ctx;
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = 200 * 1000 * 1000;
    struct stele *log = log_open_with(dir->log, &options);
    append_range(log, 0, 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    cut(dir, 4096);
    while (stele_sync(log, STELE_LSN_ALL) == 0)
        (void)usleep(1000);
    returns(STELE_EFAILED, stele_sync(log, STELE_LSN_ALL));
    error_says("cut short");
    returns(STELE_EFAILED, stele_close(log));
}

LAW_IN_A_CHILD(a_reader_whose_control_file_is_cut_short_says_so)
{
    struct dir *dir = ctx;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 10);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_BEGIN, 0, &cursor));
    expect_next(cursor, 0, 5);
    must(truncate(log_file(dir, "control"), 100) == 0);
    struct stele_record record;
    int rc = 0;
    for (int i = 0; i < 3 && rc >= 0; i++)
        rc = stele_cursor_next(cursor, &record);
    must(rc == STELE_ECORRUPT);
    error_says("/control: offset ");
    stele_cursor_close(cursor);
    succeeds(stele_close(reader));
    (void)stele_append(log, "x", 1, NULL);
    returns(STELE_EFAILED, stele_close(log));
}

/* ---- other people's signals */

static sigjmp_buf back;
static volatile sig_atomic_t heard;

static void hear(int number)
{
    (void)number;
    heard++;
    siglongjmp(back, 1);
}

static void touch_a_lost_page_of_nobody(const char *path)
{
    char name[400];
    (void)snprintf(name, sizeof name, "%s.other", path);
    FILE *file = fopen(name, "w+");
    must(file != NULL && ftruncate(fileno(file), 4096) == 0);
    volatile char *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    must(at != MAP_FAILED && ftruncate(fileno(file), 0) == 0);
    (void)fclose(file);
    (void)unlink(name);
    (void)at[0];
}

static void open_and_touch(void *ctx)
{
    struct stele *log = log_open(ctx, STELE_CREATE);
    touch_a_lost_page_of_nobody(ctx);
    (void)stele_close(log);
}

static void with_a_handler(void *ctx)
{
    struct sigaction action = {.sa_handler = hear, .sa_flags = SA_NODEFER};
    must(sigaction(SIGBUS, &action, NULL) == 0);
    struct stele *log = log_open(ctx, STELE_CREATE);
    if (sigsetjmp(back, 1) == 0)
        touch_a_lost_page_of_nobody(ctx);
    must(heard == 1);
    if (sigsetjmp(back, 1) == 0)
        must(raise(SIGBUS) == 0);
    must(heard == 2);
    succeeds(stele_close(log));
}

static void raised(void *ctx)
{
    struct stele *log = log_open(ctx, STELE_CREATE);
    (void)raise(SIGBUS);
    (void)stele_close(log);
}

/* SA_SIGINFO stays in the flags of whoever resets a handler with the struct it set it with. */
static void with_flags_of_nothing(void *ctx)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_handler = SIG_IGN;
    must(sigaction(SIGBUS, &action, NULL) == 0);
    struct stele *log = log_open(ctx, STELE_CREATE);
    must(raise(SIGBUS) == 0);
    succeeds(stele_close(log));
}

static void left_alone(void *ctx)
{
    struct sigaction now;
    stele_leave_sigbus();
    struct stele *log = log_open(ctx, STELE_CREATE);
    must(sigaction(SIGBUS, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    succeeds(stele_close(log));
}

static void every_other_bus_error_goes_where_it_went_before(void **state)
{
    struct dir *dir = *state;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    must(sigaction(SIGBUS, &standard, NULL) == 0); /* a sanitizer's */
    child_join_killed(child_start(open_and_touch, dir->log), SIGBUS);
    dir_empty(dir->log);
    child_join_killed(child_start(raised, dir->log), SIGBUS);
    dir_empty(dir->log);
    child_join(child_start(with_a_handler, dir->log));
    dir_empty(dir->log);
    child_join(child_start(with_flags_of_nothing, dir->log));
    dir_empty(dir->log);
    child_join(child_start(left_alone, dir->log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_other_bus_error_goes_where_it_went_before),
        LAW(eight_cursors_over_a_segment_cut_short_say_so),
        LAW(a_segment_unlinked_or_replaced_under_a_cursor_is_read_whole_or_refused),
        LAW(a_cursor_reads_on_when_the_segment_is_whole_again),
        LAW(a_writer_whose_segment_is_cut_short_fails_and_acknowledges_nothing_more),
        LAW(a_writer_whose_page_is_cut_in_two_fails_and_hangs_nobody),
        LAW(the_helper_of_a_segment_cut_short_fails_the_log_and_not_the_process),
        LAW(a_reader_whose_control_file_is_cut_short_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
