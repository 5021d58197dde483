/* SPDX-License-Identifier: BSD-3-Clause */
/* test_second_thoughts.c: laws that reviewers found broken once. Each names the guard that holds it now. */
#include "core/open.h"
#include "core/owner.h"
#include "lib/dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* commit.c mark_is_due(): rounds go on behind an open slot, marks must not. */
static void marks_do_not_pile_up_behind_an_open_slot(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.segment_bytes = 1u << 20;
    struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    succeeds(stele__open_with(dir->log, &options, &seams, &log));
    append_range(log, 0, 100); /* more than one mark's distance */
    struct stele_slot slot;
    succeeds(stele_reserve(log, 0, 8, &slot));
    for (int round = 0; round < 3; round++)
        succeeds(stele_sync_begin(log));
    stele_lsn tail = stele_tail(log);
    for (int round = 0; round < 50; round++)
        succeeds(stele_sync_begin(log));
    must(stele_tail(log) == tail);
    succeeds(stele_abandon(log, &slot));
    succeeds(stele_close(log));
}

/* control.c lock_control(): the lock file is only a name. */
static void a_deleted_lock_file_lets_no_second_writer_in(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE), *second;
    append_range(log, 0, 3);
    must(unlink(log_file(dir, "lock")) == 0);
    struct stele_options options = log_options(0);
    returns(STELE_ELOCKED, stele_open(dir->log, &options, &second));
    append_range(log, 3, 5);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 5);
    log = log_open(dir->log, 0); /* and nothing is left behind */
    succeeds(stele_close(log));
}

/* cursor_seek.c: a position taken after an opening cannot be rewound by it. */
static void a_writer_that_comes_back_rewinds_no_cursor_placed_after_it(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 20);
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_cursor *early;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_BEGIN, 0, &early));
    succeeds(stele_close(log));
    log = log_open(dir->log, 0);
    append_range(log, 20, 60);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    const struct {
        enum stele_from from;
        uint64_t value, first;
    } places[] = {{STELE_FROM_BEGIN, 0, 0}, {STELE_FROM_LAST, 3, 57}, {STELE_FROM_END, 0, 60}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(reader, 0, places[i].from, places[i].value, &cursor));
        for (uint64_t number = places[i].first; number < 60; number++)
            must(stele_cursor_next(cursor, &record) == 1 && is_numbered(number, &record));
        returns(0, stele_cursor_next(cursor, &record));
        stele_cursor_close(cursor);
        succeeds(stele_cursor_seek(early, places[i].from, places[i].value));
        must(places[i].first == 60 ||
             (stele_cursor_next(early, &record) == 1 && is_numbered(places[i].first, &record)));
    }
    stele_cursor_close(early);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

/* owner.h STELE__LOCK_LIVE: whoever holds byte 0 alone (recovery, repair) has said nothing yet. */
static void a_reader_believes_no_words_of_an_earlier_life(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 30);
    succeeds(stele_close(log));
    uint8_t zeroes[4096] = {0};
    file_write(log_file(dir, "control"), 8192, zeroes, sizeof zeroes); /* as in a restored backup */
    int fd = open(log_file(dir, "lock"), O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    must(stele__owner_lock(fd) == 0);
    expect_log(dir->log, 0, 30);
    must(close(fd) == 0);
}

/* media_file.c: a sparse copy gets its blocks when it is opened for writing. */
static void a_sparse_segment_gets_its_blocks(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 10);
    succeeds(stele_close(log));
    const char *segment = segment_file(dir, 0, SEGMENT_SMALL);
    int fd = open(segment, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 40960, 8192) == 0);
    must(close(fd) == 0);
    struct stat sparse, whole;
    must(stat(segment, &sparse) == 0 && sparse.st_blocks * 512 < sparse.st_size);
    log = log_open(dir->log, 0);
    must(stat(segment, &whole) == 0 && whole.st_blocks * 512 >= whole.st_size);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, 10);
}

/* open.c stele__log_free(): the lock goes by name, not with the last copy of the descriptor. */
static void a_child_that_inherited_the_lock_does_not_keep_it(void **state)
{
    struct dir *dir = *state;
    int gate[2];
    must(pipe(gate) == 0);
    struct stele *log = log_open(dir->log, STELE_CREATE);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1); /* until the parent closes its end */
    }
    succeeds(stele_close(log));
    log = log_open(dir->log, 0);
    succeeds(stele_close(log));
    int status;
    must(close(gate[0]) == 0 && close(gate[1]) == 0);
    must(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
        LAW(marks_do_not_pile_up_behind_an_open_slot),
        LAW(a_deleted_lock_file_lets_no_second_writer_in),
        LAW(a_writer_that_comes_back_rewinds_no_cursor_placed_after_it),
        LAW(a_reader_believes_no_words_of_an_earlier_life),
        LAW(a_sparse_segment_gets_its_blocks),
        LAW(a_child_that_inherited_the_lock_does_not_keep_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
