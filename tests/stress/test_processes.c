/* SPDX-License-Identifier: BSD-3-Clause */
/* test_processes.c: one writer process after another, each killed in mid-work, trims and rolls all the time; readers in other
 * processes that follow, jump about, verify and pin. Nobody ever sees a wrong record or an error that is not true. */
#include "lib/child.h"
#include "lib/dir.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct stage {
    char path[300];
    struct gate following; /* the follower stands at the first record */
    _Atomic bool over;
    _Atomic uint64_t next;         /* what the next writer begins with */
    _Atomic uint64_t acknowledged; /* numbers below it were synced */
    _Atomic uint64_t followed;     /* the slower follower has read all below it */
    _Atomic uint64_t looked;       /* rounds of the jumping reader and the verifier */
};

static void write_until_killed(void *ctx)
{
    struct stage *stage = ctx;
    struct stele_options options = log_options(0);
    options.mark_bytes = 8192;
    struct stele *log = log_open_with(stage->path, &options);
    struct stele_cursor *cursor;
    struct stele_record record;
    uint64_t next = atomic_load(&stage->acknowledged); /* what was published behind it may have survived */
    succeeds(stele_cursor_open(log, 0, STELE_FROM_LAST, 5000, &cursor));
    bool begun = false;
    for (uint64_t number = 0; stele_cursor_next(cursor, &record) == 1; begun = true) {
        for (number = begun ? number + 1 : 0; !is_numbered(number, &record); number++)
            must(number < atomic_load(&stage->next) && !begun);
        next = number + 1;
    }
    must(next >= atomic_load(&stage->acknowledged));
    stele_cursor_close(cursor);
    for (;; next++) {
        atomic_store(&stage->next, next + 1);
        stele_lsn lsn = append_numbered(log, next);
        if (next % 16 == 0) {
            succeeds(stele_sync(log, lsn));
            atomic_store(&stage->acknowledged, next + 1);
        }
        if (next % 300 == 0)
            must(stele_trim(log, lsn, NULL) >= 0);
        while (next > atomic_load(&stage->followed) + 4000) /* no faster than they can be checked */
            sched_yield();
    }
}

/* From the first record on, through every writer's life, without a gap. Kill -9 takes nothing back that was published. */
static void follow_all(void *ctx)
{
    struct stage *stage = ctx;
    struct stele *log = log_open(stage->path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    gate_open(&stage->following);
    for (uint64_t number = 0; !atomic_load(&stage->over) || number < atomic_load(&stage->acknowledged);) {
        int rc = stele_cursor_wait(cursor, 20 * 1000 * 1000);
        must(rc >= 0);
        if (rc == 0)
            continue;
        expect_next(cursor, number, number + 1);
        atomic_store(&stage->followed, ++number);
    }
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static void note_problem(void *ctx, const struct stele_problem *problem)
{
    if (!problem->harmless)
        (void)snprintf(ctx, 600, "%s: offset %llu: %s: %s", problem->segment,
                       (unsigned long long)problem->offset, problem->kind, problem->detail);
}

static void verify(const char *path)
{
    char text[600] = "";
    const struct stele_verify_options options = {
        .size = sizeof options, .problem = note_problem, .ctx = text};
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(path, &options, &result));
    if (result.verdict == STELE_CORRUPT)
        fprintf(stderr, "live %u, durable %llu, end %llu: %s\n", result.live,
                (unsigned long long)result.durable_lsn, (unsigned long long)result.end_lsn, text);
    must(result.verdict != STELE_CORRUPT);
}

/* Anywhere, again and again: what stands there is a run of numbered records. */
static void jump_about(void *ctx)
{
    struct stage *stage = ctx;
    for (uint64_t round = 0; !atomic_load(&stage->over); round++) {
        struct stele *log = log_open(stage->path, STELE_READ_ONLY);
        struct stele_cursor *cursor;
        struct stele_record record;
        static const enum stele_from from[] = {STELE_FROM_BEGIN, STELE_FROM_LAST, STELE_FROM_TIME,
                                               STELE_FROM_LSN};
        uint64_t value = round % 4 == 3 ? stele_durable(log) / 2 + stele_first(log) / 2 : round % 60;
        int rc = stele_cursor_open(log, round / 4 % 2, from[round % 4], value, &cursor);
        if (rc != STELE_ETRIMMED || round % 4 != 3)
            succeeds(rc);
        if (rc == 0) {
            uint64_t upto = atomic_load(&stage->next), number = UINT64_MAX;
            for (int i = 0; i < 100 && (rc = stele_cursor_next(cursor, &record)) == 1; i++) {
                if (number == UINT64_MAX)
                    for (number = 0; number < upto + 5000 && !is_numbered(number, &record); number++)
                        continue;
                must(is_numbered(number++, &record));
            }
            must(rc == 0 || rc == 1);
            stele_cursor_close(cursor);
        }
        succeeds(stele_close(log));
        verify(stage->path);
        atomic_fetch_add(&stage->looked, 1);
    }
}

/* One that failed would never be waited out. */
static void nap_beside(const pid_t readers[2])
{
    child_alive(readers[0]);
    child_alive(readers[1]);
    (void)usleep(200);
}

static void writers_die_and_readers_see_only_the_truth(void **state)
{
    struct dir *dir = *state;
    struct stage *stage = shared_alloc(sizeof *stage);
    (void)snprintf(stage->path, sizeof stage->path, "%s", dir->log);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    gate_init(&stage->following);
    pid_t readers[] = {child_start(follow_all, stage), child_start(jump_about, stage)};
    gate_pass(&stage->following);
    for (uint64_t life = 0; life < scaled(40); life++) {
        uint64_t enough = atomic_load(&stage->acknowledged) + 50 + life * 131 % 1200;
        for (unsigned early = 0; early < life % 4; early++) { /* killed in its recovery */
            pid_t writer = child_start(write_until_killed, stage);
            (void)usleep((unsigned)(life * 97 % 700) + 150 * early);
            child_kill(writer);
        }
        pid_t writer = child_start(write_until_killed, stage);
        while (atomic_load(&stage->acknowledged) < enough)
            nap_beside(readers);
        child_kill(writer);
    }
    while (atomic_load(&stage->looked) < 10)
        nap_beside(readers);
    atomic_store(&stage->over, true);
    child_join(readers[0]);
    child_join(readers[1]);
    struct stele *log = log_open(dir->log, 0);
    must(stele_first(log) > 0 ||
         scaled(40) < 40); /* trims went on behind the follower, given the lives for it */
    succeeds(stele_close(log));
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0);
    shared_free(stage, sizeof *stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(writers_die_and_readers_see_only_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
