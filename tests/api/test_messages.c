/* SPDX-License-Identifier: BSD-3-Clause */
/* test_messages.c: what people are told: the last error of a thread, and the log callback. Silence otherwise. */
#include "lib/dir.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/segment.h"

static void *expect_no_error_yet(void *log)
{
    must(stele_last_error()[0] == '\0');
    returns(STELE_EINVAL, stele_sync(log, 12345));
    error_says("12345");
    return NULL;
}

static void the_last_error_belongs_to_its_thread(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    returns(STELE_EINVAL, stele_sync(log, 777));
    pthread_t thread;
    must(pthread_create(&thread, NULL, expect_no_error_yet, log) == 0);
    must(pthread_join(thread, NULL) == 0);
    error_says("777"); /* not the other thread's */
    succeeds(stele_append(log, "x", 1, NULL));
    error_says("777"); /* success does not clear it */
    succeeds(stele_close(log));
}

static void an_error_names_the_file_the_offset_the_cause_and_a_way_out(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 20);
    stele_lsn lsn = append_numbered(log, 20);
    append_range(log, 21, 30);
    succeeds(stele_close(log));
    file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + lsn + 8, 0);
    returns(STELE_ECORRUPT, stele_open(dir->log, NULL, &log));
    char where[700];
    (void)snprintf(where, sizeof where, "%s: offset %llu (lsn %llu): checksum differs",
                   segment_file(dir, 0, SEGMENT_SMALL), (unsigned long long)(STELE__HEADER_BYTES + lsn),
                   (unsigned long long)lsn);
    error_says(where);
    error_says("9 valid records follow");
    error_says("Nothing was changed");
    error_says("stele repair");
}

/* Longer than any message can be: cut, never overrun. */
static void a_very_long_path_is_cut_in_the_message(void **state)
{
    (void)state;
    char path[4000];
    memset(path, 'p', sizeof path);
    for (size_t i = 0; i < sizeof path; i += 200)
        path[i] = '/';
    path[sizeof path - 1] = '\0';
    struct stele *log;
    must(stele_open(path, NULL, &log) < 0);
    size_t len = strlen(stele_last_error());
    must(len > 500 && len < 1000);
    must(stele_open("/nonexistent\n\033[31m", NULL, &log) < 0);
}

struct heard {
    _Atomic unsigned by_level[8];
    char last[8][700];
    pthread_mutex_t lock;
};

static void hear(void *ctx, enum stele_log_level level, const char *text)
{
    struct heard *heard = ctx;
    must(level >= STELE_LOG_ERROR && level <= STELE_LOG_DEBUG);
    must(pthread_mutex_lock(&heard->lock) == 0);
    (void)snprintf(heard->last[level], sizeof heard->last[level], "%s", text);
    must(pthread_mutex_unlock(&heard->lock) == 0);
    atomic_fetch_add(&heard->by_level[level], 1);
}

static void the_log_callback_hears_what_happens(void **state)
{
    struct dir *dir = *state;
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct stele_options options = log_options(STELE_CREATE);
    options.log = hear;
    options.log_ctx = &heard;
    struct stele *log = log_open_with(dir->log, &options);
    append_until_segment(log, 0, 3);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    must(stele_trim(log, 2 * SEGMENT_SMALL, NULL) == 2);
    must(atomic_load(&heard.by_level[STELE_LOG_INFO]) == 1);
    must(strstr(heard.last[STELE_LOG_INFO], "trimmed 2 segments") != NULL);
    must(strstr(heard.last[STELE_LOG_INFO], dir->log) != NULL);
    must(atomic_load(&heard.by_level[STELE_LOG_DEBUG]) >= 2); /* segments sealed, from the helper thread */
    succeeds(stele_close(log));
    must(atomic_load(&heard.by_level[STELE_LOG_WARN]) == 0);
    must(atomic_load(&heard.by_level[STELE_LOG_ERROR]) == 0);

    file_flip(segment_file(dir, 3, SEGMENT_SMALL), STELE__HEADER_BYTES + 4,
              2); /* a reader opens damaged logs, and says so */
    options.flags = STELE_READ_ONLY;
    log = log_open_with(dir->log, &options);
    must(atomic_load(&heard.by_level[STELE_LOG_ERROR]) == 1);
    must(strstr(heard.last[STELE_LOG_ERROR], segment_name(3, SEGMENT_SMALL)) != NULL);
    succeeds(stele_close(log));
}

/* Nothing goes to stdout or stderr, whatever happens. */
static void a_library_without_a_callback_is_silent(void **state)
{
    struct dir *dir = *state;
    const char *file = dir_file(dir, "output");
    (void)fflush(NULL);
    int out = dup(1), err = dup(2);
    int into = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(out >= 0 && err >= 0 && into >= 0 && dup2(into, 1) == 1 && dup2(into, 2) == 2);
    struct stele *log = NULL, *other;
    const struct stele_options options = log_options(STELE_CREATE);
    int first = stele_open(dir->log, &options, &log);
    int locked = stele_open(dir->log, &options, &other);
    int missing = stele_open("/nonexistent/log", NULL, &other);
    int beyond = first == 0 ? stele_sync(log, 99) : 0;
    int closed = stele_close(log);
    (void)fflush(NULL);
    must(dup2(out, 1) == 1 && dup2(err, 2) == 2);
    (void)close(out);
    (void)close(err);
    (void)close(into);
    must(first == 0 && locked == STELE_ELOCKED && missing == STELE_ENOENT && beyond == STELE_EINVAL &&
         closed == 0);
    must(file_bytes(file) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(the_last_error_belongs_to_its_thread),
        LAW(an_error_names_the_file_the_offset_the_cause_and_a_way_out),
        LAW(a_very_long_path_is_cut_in_the_message),
        LAW(the_log_callback_hears_what_happens),
        LAW(a_library_without_a_callback_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
