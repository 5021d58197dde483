/* SPDX-License-Identifier: BSD-3-Clause */
/* test_look_beside.c: somebody examines a log, and in the middle of it, between the list of files and the opening of one
 * of them, a repair or a writer's opening comes, does all its work, and is gone. What was seen is half old and half new:
 * it must not be believed. */
#include "lib/dir.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    const char *name; /* the opening of this file is the moment; NULL: no more */
    void (*meanwhile)(const char *log);
    const char *log;
} moment;

/* The library's calls come here. */
int openat(int dirfd, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (moment.name != NULL && strcmp(name, moment.name) == 0) {
        moment.name = NULL;
        moment.meanwhile(moment.log);
    }
    return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

static void repair(const char *log)
{
    const struct stele_repair_options options = {.size = sizeof options, .flags = STELE_REPAIR_APPLY};
    struct stele_repair_result result = {.size = sizeof result};
    succeeds(stele_repair(log, &options, &result));
    must(result.before == STELE_TORN && result.after == STELE_CLEAN);
}

static void write_on(const char *log)
{
    struct stele *writer = log_open(log, 0);
    append_range(writer, 10, 20);
    succeeds(stele_close(writer));
}

/* Torn bytes in a spare, which a repair and an opening remove. */
static void prepare(const struct dir *dir, void (*meanwhile)(const char *log))
{
    dir_empty(dir->log);
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 10);
    while (!file_exists(segment_file(dir, 2, SEGMENT_SMALL)))
        (void)usleep(1000); /* the helper's spares */
    succeeds(stele_close(log));
    file_write(segment_file(dir, 2, SEGMENT_SMALL), 4096 + 200, "from a dying disk", 17);
    moment.meanwhile = meanwhile;
    moment.log = dir->log;
    moment.name = segment_name(2, SEGMENT_SMALL);
}

static void (*const comings[])(const char *log) = {repair, write_on};

static void a_verify_believes_nothing_that_changed_under_it(void **state)
{
    struct dir *dir = *state;
    for (size_t i = 0; i < sizeof comings / sizeof comings[0]; i++) {
        prepare(dir, comings[i]);
        struct stele_verify_result result = {.size = sizeof result};
        succeeds(stele_verify(dir->log, NULL, &result));
        must(moment.name == NULL && result.verdict == STELE_CLEAN && result.problems == 0);
        must(result.records == 10 + 10 * i);
    }
}

static void a_reader_believes_nothing_that_changed_under_it(void **state)
{
    struct dir *dir = *state;
    for (size_t i = 0; i < sizeof comings / sizeof comings[0]; i++) {
        prepare(dir, comings[i]);
        struct stele *log = log_open(dir->log, STELE_READ_ONLY);
        must(moment.name == NULL);
        expect_range(log, 0, 10 + 10 * i);
        succeeds(stele_close(log));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_verify_believes_nothing_that_changed_under_it),
        LAW(a_reader_believes_nothing_that_changed_under_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
