/* SPDX-License-Identifier: BSD-3-Clause */
/* test_rolls.c: ten thousand rolls under readers. Segments are made, sealed, trimmed and used again while cursors of this
 * process and of others follow and pins come and go. Everybody sees every record once and in order, and descriptors and
 * mappings are as many at the end as they were. */
#include "lib/child.h"
#include "lib/dir.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READERS 4u
#define THREADS 2u /* of them in the writer's process */
#define AHEAD 400u /* records; no faster than they can be checked, or the disk would fill up */
#define MAPPED_WRITER                                                                                        \
    30u /* a ring of 16 segments, two cursors, the control file, and some that change hands */
#define MAPPED_READER 12u
#define LEN_MIN 3000u
#define LEN_MAX 14000u

struct run {
    char path[300];
    struct stele *log;
    uint64_t rolls;
    _Atomic uint64_t total; /* records; UINT64_MAX until the last is there */
    _Atomic uint64_t seen[READERS];
    _Atomic unsigned standing;
};

struct reader {
    struct run *run;
    unsigned which;
    pthread_t thread;
};

/* ---- what this process holds of the log */

static unsigned descriptors(const char *path)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    must(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char target[512] = "";
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        n += len > 0 && strncmp(target, path, strlen(path)) == 0;
    }
    (void)closedir(dir);
    return n;
}

static unsigned mappings(const char *path)
{
    char line[1024];
    unsigned n = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    must(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        n += strstr(line, path) != NULL;
    (void)fclose(file);
    return n;
}

static void expect_few(const char *path, unsigned most)
{
    unsigned fds = descriptors(path), maps = mappings(path);
    if (fds > most || maps > most)
        fprintf(stderr, "%u descriptors and %u mappings of %s, %u at most\n", fds, maps, path, most);
    must(fds <= most && maps <= most);
}

/* ---- records of which few fill a segment */

static size_t compose(uint64_t number, uint8_t *out)
{
    uint64_t dice = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t len = LEN_MIN + (size_t)(dice >> 20) % (LEN_MAX - LEN_MIN);
    memset(out, (int)(dice >> 56), len);
    memcpy(out, &number, sizeof number);
    return len;
}

static void expect_record(uint64_t number, const struct stele_record *record)
{
    uint8_t wanted[LEN_MAX];
    must(record->len == compose(number, wanted) && memcmp(record->data, wanted, record->len) == 0);
}

/* ---- readers */

static void read_all(struct run *run, unsigned which, struct stele *log)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, which % 2 == 0 ? 0 : STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor));
    atomic_fetch_add(&run->standing, 1);
    for (uint64_t number = 0; number < atomic_load(&run->total);) {
        int rc = stele_cursor_next(cursor, &record);
        must(rc >= 0);
        if (rc == 0) {
            must(stele_cursor_wait(cursor, 20 * 1000 * 1000) >= 0);
            continue;
        }
        expect_record(number++, &record);
        atomic_store(&run->seen[which], number);
    }
    must(stele_cursor_next(cursor, &record) == 0);
    stele_cursor_close(cursor);
}

static void *read_in_thread(void *argument)
{
    struct reader *me = argument;
    read_all(me->run, me->which, me->run->log);
    return NULL;
}

static void read_in_process(void *ctx)
{
    struct reader *me = ctx;
    struct stele *log = log_open(me->run->path, STELE_READ_ONLY);
    read_all(me->run, me->which, log);
    expect_few(me->run->path, MAPPED_READER);
    succeeds(stele_close(log));
    expect_few(me->run->path, 0);
}

/* ---- the writer */

static void wait_for_readers(struct run *run, uint64_t number, const pid_t children[READERS])
{
    for (unsigned i = 0; i < READERS; i++)
        while (number > atomic_load(&run->seen[i]) + AHEAD) {
            if (i >= THREADS)
                child_alive(children[i]);
            sched_yield();
        }
}

/* Held for a while, somewhere near the end: trims stop there. */
static void move_pin(struct run *run, struct stele_pin **pin)
{
    stele_unpin(*pin);
    succeeds(stele_pin(run->log, stele_durable(run->log), pin));
}

static uint64_t write_and_trim(struct run *run, const pid_t children[READERS])
{
    uint8_t data[LEN_MAX];
    struct stele_pin *pin = NULL;
    uint64_t number = 0, dropped = 0;
    for (; stele_tail(run->log) < run->rolls * SEGMENT_SMALL; number++) {
        stele_lsn lsn;
        succeeds(stele_append(run->log, data, compose(number, data), &lsn));
        if (number % 16 == 0)
            succeeds(stele_sync(run->log, lsn));
        if (number % 64 == 0) {
            long n = stele_trim(run->log, lsn, NULL);
            must(n >= 0);
            dropped += (uint64_t)n;
        }
        if (number % 500 == 0)
            move_pin(run, &pin);
        if (number % 5000 == 0)
            expect_few(run->path, MAPPED_WRITER);
        wait_for_readers(run, number, children);
    }
    stele_unpin(pin);
    must(dropped > run->rolls / 2);
    return number;
}

static void every_record_is_seen_once_over_ten_thousand_rolls(void **state)
{
    struct dir *dir = *state;
    struct run *run = shared_alloc(sizeof *run);
    struct reader readers[READERS];
    pid_t children[READERS] = {0};
    (void)snprintf(run->path, sizeof run->path, "%s", dir->log);
    run->rolls = scaled(10000);
    run->total = UINT64_MAX;
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = (struct reader){.run = run, .which = i};
    for (unsigned i = THREADS; i < READERS; i++)
        children[i] = child_start(read_in_process, &readers[i]);
    run->log = log_open(dir->log, 0);
    for (unsigned i = 0; i < THREADS; i++)
        must(pthread_create(&readers[i].thread, NULL, read_in_thread, &readers[i]) == 0);
    while (atomic_load(&run->standing) < READERS)
        sched_yield();
    uint64_t total = write_and_trim(run, children);
    succeeds(stele_sync(run->log, STELE_LSN_ALL));
    atomic_store(&run->total, total);
    for (unsigned i = 0; i < THREADS; i++)
        must(pthread_join(readers[i].thread, NULL) == 0);
    for (unsigned i = THREADS; i < READERS; i++)
        child_join(children[i]);
    expect_few(run->path, MAPPED_WRITER);
    must(stele_trim(run->log, STELE_LSN_ALL, NULL) >= 0); /* nobody holds anything any more */
    succeeds(stele_close(run->log));
    expect_few(run->path, 0);
    must(dir_count(run->path) < 16); /* nor are there files that nobody needs */
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 &&
         result.end_lsn >= run->rolls * SEGMENT_SMALL);
    shared_free(run, sizeof *run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(every_record_is_seen_once_over_ten_thousand_rolls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
