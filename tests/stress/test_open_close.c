/* SPDX-License-Identifier: BSD-3-Clause */
/* test_open_close.c: storms of openings: many processes that make the same log at once, writers that take turns, readers
 * that come and go beside a writer that rolls and trims. */
#include "lib/child.h"
#include "lib/dir.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- one wins */

#define CREATORS 4u

struct race {
    char path[300];
    uint32_t flags;
    struct gate ready, go;
    _Atomic unsigned made, found, locked, vanished;
    _Atomic uint64_t records;
};

static void create_and_append(void *ctx)
{
    struct race *race = ctx;
    const struct stele_options options = log_options(race->flags);
    struct stele *log;
    gate_open(&race->ready);
    gate_pass(&race->go);
    int rc = stele_open(race->path, &options, &log);
    if (rc == STELE_ELOCKED) {
        atomic_fetch_add(&race->locked, 1);
        return;
    }
    if (rc == STELE_EEXIST) {
        atomic_fetch_add(&race->found, 1);
        return;
    }
    if (rc == STELE_ENOENT) { /* the directory was taken back by a creator that was refused */
        atomic_fetch_add(&race->vanished, 1);
        return;
    }
    succeeds(rc);
    atomic_fetch_add(&race->made, 1);
    append_numbered(log, atomic_load(&race->records)); /* we hold the lock: nobody else counts now */
    succeeds(stele_sync(log, STELE_LSN_ALL));
    atomic_fetch_add(&race->records, 1);
    succeeds(stele_close(log));
}

static void race(struct dir *dir, uint32_t flags, bool directory_exists)
{
    struct race *race = shared_alloc(sizeof *race);
    for (uint64_t round = 0; round < scaled(120); round++) {
        memset(race, 0, sizeof *race);
        (void)snprintf(race->path, sizeof race->path, "%s", dir->log);
        race->flags = flags;
        gate_init(&race->ready);
        gate_init(&race->go);
        if (directory_exists)
            must(mkdir(dir->log, 0700) == 0);
        pid_t children[CREATORS];
        for (unsigned i = 0; i < CREATORS; i++)
            children[i] = child_start(create_and_append, race);
        for (unsigned i = 0; i < CREATORS; i++)
            gate_pass(&race->ready);
        for (unsigned i = 0; i < CREATORS; i++)
            gate_open(&race->go);
        for (unsigned i = 0; i < CREATORS; i++)
            child_join(children[i]);
        unsigned made = atomic_load(&race->made);
        must(made >= 1 && atomic_load(&race->records) == made);
        must((flags & STELE_EXCL) == 0 || made == 1);
        must(made + race->found + race->locked + race->vanished == CREATORS);
        expect_log(dir->log, 0, made); /* whoever was refused broke nothing */
        struct stele *log = log_open(dir->log, 0);
        append_numbered(log, made);
        succeeds(stele_close(log));
        expect_log(dir->log, 0, made + 1);
        dir_empty(dir->log);
    }
    shared_free(race, sizeof *race);
}

static void of_many_creators_exactly_one_makes_the_log(void **state)
{
    race(*state, STELE_CREATE | STELE_EXCL, false);
    race(*state, STELE_CREATE | STELE_EXCL, true);
}

static void many_creators_make_one_log_and_take_turns(void **state)
{
    race(*state, STELE_CREATE, false);
    race(*state, STELE_CREATE, true);
}

/* ---- writers that take turns, in one process and in several */

static void a_log_opened_a_thousand_times_stays_whole(void **state)
{
    struct dir *dir = *state;
    uint64_t count = 0;
    for (uint64_t life = 0; life < scaled(1000); life++) {
        struct stele_options options = log_options(STELE_CREATE);
        options.flags |= life % 3 == 0 ? STELE_SINGLE_APPENDER : 0;
        options.spare_segments = 1 + life % 4;
        struct stele *log = log_open_with(dir->log, &options);
        append_range(log, count, count + life % 7);
        count += life % 7;
        if (life % 5 == 0)
            succeeds(stele_sync(log, STELE_LSN_ALL));
        succeeds(stele_close(log));
    }
    expect_log(dir->log, 0, count);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == count);
}

struct turns {
    char path[300];
    uint64_t lives;
    _Atomic uint64_t records;
};

static void write_when_free(void *ctx)
{
    struct turns *turns = ctx;
    for (uint64_t life = 0; life < turns->lives;) {
        const struct stele_options options = log_options(0);
        struct stele *log;
        int rc = stele_open(turns->path, &options, &log);
        if (rc == STELE_ELOCKED) {
            sched_yield();
            continue;
        }
        succeeds(rc);
        uint64_t next = atomic_load(&turns->records);
        append_range(log, next, next + 9);
        succeeds(stele_sync(log, STELE_LSN_ALL));
        atomic_store(&turns->records, next + 9);
        succeeds(stele_close(log));
        life++;
    }
}

static void writers_of_several_processes_take_turns(void **state)
{
    struct dir *dir = *state;
    struct turns *turns = shared_alloc(sizeof *turns);
    (void)snprintf(turns->path, sizeof turns->path, "%s", dir->log);
    turns->lives = scaled(100);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        children[i] = child_start(write_when_free, turns);
    for (int i = 0; i < 3; i++)
        child_join(children[i]);
    must(atomic_load(&turns->records) == 3 * 9 * turns->lives);
    expect_log(dir->log, 0, atomic_load(&turns->records));
    shared_free(turns, sizeof *turns);
}

/* ---- readers that come and go */

struct crowd {
    const char *path;
    struct stele *log;
    _Atomic bool over;
    _Atomic uint64_t openings;
};

static void *come_and_go(void *argument)
{
    struct crowd *crowd = argument;
    for (uint64_t n = 0; !atomic_load(&crowd->over); n++) {
        struct stele *reader = log_open(crowd->path, STELE_READ_ONLY);
        struct stele_cursor *cursor;
        struct stele_record record;
        int rc = stele_cursor_open(reader, n % 2,
                                   (enum stele_from)(n % 2 == 0 ? STELE_FROM_BEGIN : STELE_FROM_LAST), n % 50,
                                   &cursor);
        succeeds(rc);
        stele_lsn last = 0;
        for (int i = 0; i < 300 && (rc = stele_cursor_next(cursor, &record)) == 1; i++) {
            must(record.lsn >= last);
            last = record.next;
        }
        must(rc == 0 || rc == 1);
        stele_cursor_close(cursor);
        succeeds(stele_close(reader));
        atomic_fetch_add(&crowd->openings, 1);
    }
    return NULL;
}

static void readers_come_and_go_beside_a_writer(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct crowd crowd = {.path = dir->log, .log = log};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, come_and_go, &crowd) == 0);
    uint64_t next = 0, wanted = scaled(600);
    while (atomic_load(&crowd.openings) < wanted) {
        append_range(log, next, next + 40);
        next += 40;
        succeeds(stele_sync(log, STELE_LSN_ALL));
        must(stele_trim(log, stele_tail(log) - 8, NULL) >= 0);
    }
    atomic_store(&crowd.over, true);
    for (int i = 0; i < 3; i++)
        must(pthread_join(threads[i], NULL) == 0);
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(of_many_creators_exactly_one_makes_the_log), LAW(many_creators_make_one_log_and_take_turns),
        LAW(a_log_opened_a_thousand_times_stays_whole),  LAW(writers_of_several_processes_take_turns),
        LAW(readers_come_and_go_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
