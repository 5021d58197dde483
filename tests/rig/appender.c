/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/appender.c: what is recorded. Several logs at once on one file system: two through the library (four
 * threads; a single appender that does not recycle), two through `stele append --ack`. Small segments, so
 * that they roll, seal, trim and recycle all the time; every process ends by itself, without closing, or
 * by SIGKILL, and the next one recovers and goes on. Invariant: each acknowledgement is a mark on the
 * device, written after it was received.
 *
 *   rig_appender DIR DEVICE MARK-OFFSET SEED RECORDS TOOL */
#include "appender.h"

#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GENERATIONS 8u
#define SEGMENT STELE_SEGMENT_BYTES_MIN
#define UNASKED 24u /* records behind the last sync of a thread that ends without closing */

void rig_give_up(const struct rig_run *run, const char *what)
{
    fprintf(stderr, "rig_appender: log%u, generation %u: %s: %s\n", run->log, run->generation, what,
            stele_last_error());
    exit(3);
}

void rig_mark(const struct rig_run *run, enum rig_mark_kind kind, uint32_t thread, uint64_t count,
              uint64_t lsn)
{
    static _Thread_local _Alignas(RIG_BLOCK) uint8_t block[RIG_BLOCK];
    struct rig_mark mark = {.magic = RIG_MAGIC,
                            .kind = (uint32_t)kind,
                            .log = run->log,
                            .thread = thread,
                            .generation = run->generation,
                            .count = count,
                            .lsn = lsn};
    memcpy(block, &mark, sizeof mark);
    uint64_t slot = atomic_fetch_add(&run->shared->slot, 1) % RIG_MARK_SLOTS;
    if (pwrite(run->device, block, sizeof block, (off_t)(run->marks + slot * RIG_BLOCK)) !=
        (ssize_t)sizeof block)
        err(3, "rig_appender: cannot write a mark");
}

void rig_acknowledge(const struct rig_run *run, uint32_t thread, uint64_t count, uint64_t lsn)
{
    atomic_store(&run->shared->acked[run->log][thread].count, count);
    atomic_store(&run->shared->acked[run->log][thread].lsn, lsn);
    rig_mark(run, RIG_MARK_ACK, thread, count, lsn);
}

struct stele_options rig_options(const struct rig_run *run)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_CREATE | (run->log == 1 ? STELE_SINGLE_APPENDER | STELE_NO_RECYCLE : 0u);
    options.durability = run->log % 2 == 0 ? STELE_DURABILITY_AUTO : STELE_DURABILITY_MSYNC;
    options.segment_bytes = SEGMENT;
    options.mark_bytes = run->log == 0 ? 4096 : 0;
    return options;
}

struct stele *rig_open_and_show(const struct rig_run *run, uint64_t next[RIG_THREADS],
                                uint64_t previous[RIG_THREADS])
{
    const struct stele_options options = rig_options(run);
    struct stele *log;
    struct stele_cursor *cursor;
    struct stele_record record;
    struct rig_head head;
    bool seen[RIG_THREADS] = {false};
    if (stele_open(run->path, &options, &log) != 0 ||
        stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor) != 0)
        rig_give_up(run, "open");
    for (uint32_t t = 0; t < RIG_THREADS; t++) {
        /* A thread whose records were all trimmed goes on behind those it knows of. */
        next[t] = atomic_load(&run->shared->acked[run->log][t].count);
        previous[t] = next[t] > 0 ? atomic_load(&run->shared->acked[run->log][t].lsn) : STELE_LSN_NONE;
    }
    int rc;
    while ((rc = stele_cursor_next(cursor, &record)) == 1) {
        if (!rig_is_record(record.data, record.len, &head) || head.log != run->log ||
            head.thread >= RIG_THREADS)
            rig_give_up(run, "a record nobody appended");
        next[head.thread] = head.number + 1;
        previous[head.thread] = record.lsn;
        seen[head.thread] = true;
    }
    if (rc != 0)
        rig_give_up(run, "reading");
    stele_cursor_close(cursor);
    for (uint32_t t = 0; t < RIG_THREADS;
         t++) { /* the death of a process loses nothing acknowledged, either */
        uint64_t count = atomic_load(&run->shared->acked[run->log][t].count);
        if (next[t] < count || (!seen[t] && count > 0 && previous[t] >= stele_first(log)))
            rig_give_up(run, "acknowledged records are gone");
    }
    rig_mark(run, RIG_MARK_CREATED, 0, 0, 0);
    for (uint32_t t = 0; t < RIG_THREADS; t++) {
        rig_mark(run, RIG_MARK_SHOWN, t, next[t], previous[t]);
        atomic_store(&run->shared->acked[run->log][t].count, next[t]);
        atomic_store(&run->shared->acked[run->log][t].lsn, previous[t]);
    }
    return log;
}

void rig_trim(const struct rig_run *run, struct stele *log, uint64_t keep)
{
    uint64_t durable = stele_durable(log);
    if (durable <= keep)
        return;
    stele_lsn first;
    rig_mark(run, RIG_MARK_TRIMMING, 0, 0, durable - keep);
    if (stele_trim(log, durable - keep, &first) < 0)
        rig_give_up(run, "trim");
    rig_mark(run, RIG_MARK_TRIMMED, 0, 0, first);
}

/* ---- through the library */

struct appender {
    const struct rig_run *run;
    struct stele *log;
    pthread_t thread;
    uint32_t who;
    uint64_t number, previous;
    uint64_t quota;
    uint64_t asks_until; /* from then on it appends only: the next opening finds what was never synced */
    uint64_t dies_at;    /* after so many records the process gets SIGKILL; UINT64_MAX: it does not */
};

static int put(const struct appender *me, const uint8_t *data, size_t len, uint64_t dice, stele_lsn *lsn)
{
    if (dice % 4 != 0)
        return stele_append(me->log, data, len, lsn);
    struct stele_slot slot;
    int rc = stele_reserve(me->log, me->who, len, &slot);
    if (rc != 0)
        return rc;
    memcpy(slot.data, data, len);
    *lsn = slot.lsn;
    return stele_publish(me->log, &slot, len);
}

/* Ways to learn that a record is durable. */
static bool is_durable(const struct appender *me, stele_lsn lsn, uint64_t dice)
{
    switch (dice % 8) {
    case 0:
        if (stele_sync(me->log, lsn) != 0)
            rig_give_up(me->run, "sync");
        return true;
    case 1:
        if (stele_sync_begin(me->log) != 0 || stele_durable_wait(me->log, lsn, STELE_WAIT_FOREVER) != 0)
            rig_give_up(me->run, "durable_wait");
        return true;
    default: return stele_durable(me->log) > lsn;
    }
}

static void *append_own(void *argument)
{
    struct appender *me = argument;
    uint8_t record[RIG_RECORD_MAX];
    for (uint64_t done = 0; done < me->quota; done++) {
        uint64_t dice =
            rig_mix(me->run->seed ^ rig_mix(me->number * RIG_THREADS + me->who) ^ me->run->generation);
        struct rig_head head = {.log = me->run->log,
                                .thread = me->who,
                                .number = me->number,
                                .previous = me->previous,
                                .generation = me->run->generation};
        stele_lsn lsn;
        if (put(me, record, rig_record(&head, dice, record), dice >> 40, &lsn) != 0)
            rig_give_up(me->run, "append");
        me->number++;
        me->previous = lsn;
        if (done == me->dies_at)
            (void)kill(getpid(), SIGKILL);
        if (done < me->asks_until && is_durable(me, lsn, dice >> 44))
            rig_acknowledge(me->run, me->who, me->number, lsn);
        if (me->who == 0 && done < me->asks_until && (dice >> 50) % 24 == 0)
            rig_trim(me->run, me->log, (2 + (dice >> 56) % 3) * SEGMENT);
    }
    return NULL;
}

static _Noreturn void run_library(const struct rig_run *run)
{
    uint64_t next[RIG_THREADS], previous[RIG_THREADS];
    const uint32_t threads = run->log == 0 ? 4 : 1;
    const uint64_t dice = rig_mix(run->seed ^ run->generation * 8 ^ run->log);
    struct stele *log = rig_open_and_show(run, next, previous);
    struct appender appenders[RIG_THREADS];
    for (uint32_t t = 0; t < threads; t++) {
        struct appender *me = &appenders[t];
        *me = (struct appender){.run = run, .log = log, .who = t, .number = next[t], .previous = previous[t]};
        me->quota = run->records / run->generations / threads;
        me->dies_at = dice % 3 == 0 && t == (dice >> 8) % threads
                          ? me->quota / 2 + (dice >> 16) % (me->quota / 2 + 1)
                          : UINT64_MAX;
        uint64_t end = me->dies_at != UINT64_MAX ? me->dies_at : me->quota;
        me->asks_until = dice % 3 == 2 || end < UNASKED ? me->quota : end - UNASKED;
        if (pthread_create(&me->thread, NULL, append_own, me) != 0)
            rig_give_up(run, "pthread_create");
    }
    for (uint32_t t = 0; t < threads; t++)
        (void)pthread_join(appenders[t].thread, NULL);
    if (dice % 3 == 1)
        _exit(0); /* as a process that crashes: nothing is closed */
    if (stele_close(log) != 0)
        rig_give_up(run, "close");
    exit(0);
}

/* ---- all of it */

static pid_t start(void (*fn)(struct rig_run *), struct rig_run *run)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        err(3, "rig_appender: fork");
    if (pid > 0)
        return pid;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        exit(3);
    fn(run);
    exit(0);
}

static void end_of(pid_t pid, bool may_be_killed)
{
    int status;
    if (waitpid(pid, &status, 0) != pid)
        err(3, "rig_appender: waitpid");
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if ((killed && may_be_killed) || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return;
    errx(3, "rig_appender: a process ended with wait status 0x%x", (unsigned)status);
}

static void one_generation(struct rig_run *run)
{
    if (run->log < 2)
        run_library(run);
    rig_run_tool(run);
}

static void one_log(struct rig_run *run)
{
    for (run->generation = 0; run->generation < run->generations; run->generation++)
        end_of(start(one_generation, run), true);
}

static bool still_running(const pid_t pids[RIG_LOGS])
{
    siginfo_t info;
    for (unsigned i = 0; i < RIG_LOGS; i++) {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return true;
    }
    return false;
}

/* Every mount of an image replays the journal, and most of the time of the rig would go there: now and
 * then the file system is brought to rest, which empties it. Nothing but the speed of the replay depends
 * on how often that works. */
static void shorten_journal(const char *dir)
{
    const struct timespec nap = {.tv_nsec = 150 * 1000 * 1000};
    (void)nanosleep(&nap, NULL);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, FIFREEZE, 0) == 0)
        (void)ioctl(fd, FITHAW, 0);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        errx(2, "usage: rig_appender DIR DEVICE MARK-OFFSET SEED RECORDS TOOL");
    struct rig_run run = {.dir = argv[1],
                          .device = open(argv[2], O_WRONLY | O_DIRECT | O_CLOEXEC),
                          .marks = strtoull(argv[3], NULL, 10),
                          .seed = strtoull(argv[4], NULL, 10),
                          .records = strtoull(argv[5], NULL, 10),
                          .tool = argv[6],
                          .generations = GENERATIONS};
    if (run.device < 0)
        err(2, "%s", argv[2]);
    run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.shared == MAP_FAILED)
        err(2, "mmap");
    rig_mark(&run, RIG_MARK_START, 0, 0, 0);
    pid_t pids[RIG_LOGS];
    for (run.log = 0; run.log < RIG_LOGS; run.log++) {
        (void)snprintf(run.path, sizeof run.path, "%s/log%u", run.dir, run.log);
        pids[run.log] = start(one_log, &run);
    }
    while (still_running(pids))
        shorten_journal(run.dir);
    for (unsigned i = 0; i < RIG_LOGS; i++)
        end_of(pids[i], false);
    rig_mark(&run, RIG_MARK_END, 0, 0, 0);
    return 0;
}
