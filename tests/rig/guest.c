/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/guest.c: what runs inside the virtual machine of rig/dax.py. Prints lines that begin with a word in
 * capitals; the host reads them off the serial line. Invariant: ACK is printed after stele_sync() has
 * returned 0.
 *
 *   rig_guest probe DIR              what the kernel, libpmem and the library say of this directory
 *   rig_guest append DIR THREADS     append and acknowledge until the machine is gone
 *   rig_guest check DIR              recover, and say how far each thread's records go */
#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_BYTES (UINT64_C(2) << 20)

static int failed(const char *what)
{
    printf("FAILED %s: %s: %s\n", what, stele_last_error(), strerror(errno));
    return 1;
}

static struct stele *open_log(const char *path)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log = NULL;
    options.flags = STELE_CREATE;
    options.segment_bytes = UINT64_C(1) << 20;
    (void)stele_open(path, &options, &log);
    return log;
}

/* The kernel's and libpmem's own word, and then ours. */
static int probe(const char *dir)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/probe", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct statx st;
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)PROBE_BYTES) != 0 ||
        statx(fd, "", AT_EMPTY_PATH, 0, &st) != 0)
        return failed("probe file");
    void *at = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    int refused = at == MAP_FAILED ? errno : 0;
    if (at == MAP_FAILED)
        at = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    size_t mapped = 0;
    int is_pmem = -1;
    void *own = pmem_map_file(path, 0, 0, 0, &mapped, &is_pmem); /* as an application of libpmem would */
    printf("PROBE dax=%d map_sync=%s is_pmem=%d auto_flush=%d\n", (st.stx_attributes & STATX_ATTR_DAX) != 0,
           refused == 0 ? "yes" : strerror(refused), own != NULL ? is_pmem : -1, pmem_has_auto_flush());
    if (own != NULL)
        (void)pmem_unmap(own, mapped);
    if (at != MAP_FAILED)
        (void)munmap(at, PROBE_BYTES);
    (void)close(fd);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/probed", dir);
    struct stele *log = open_log(path);
    struct stele_stat stat = {.size = sizeof stat};
    if (log == NULL || stele_append(log, "x", 1, NULL) != 0 || stele_sync(log, STELE_LSN_ALL) != 0 ||
        stele_stat(log, &stat) != 0)
        return failed("log");
    printf("CLASS %s REASON %s\n", stat.durability_name, stat.durability_reason);
    (void)stele_close(log);
    /* Asked for by name it is either given or refused, never exchanged. */
    struct stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_PMEM;
    int rc = stele_open(path, &options, &log);
    printf("ASKED %s\n", rc == 0 ? "given" : stele_last_error());
    if (rc == 0)
        (void)stele_close(log);
    return 0;
}

/* Read everything; next[t] is the number behind the last record of each thread. */
static int read_all(struct stele *log, uint64_t next[RIG_THREADS], uint64_t previous[RIG_THREADS])
{
    struct stele_cursor *cursor;
    struct stele_record record;
    struct rig_head head;
    if (stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor) != 0)
        return failed("cursor");
    int rc;
    while ((rc = stele_cursor_next(cursor, &record)) == 1) {
        if (!rig_is_record(record.data, record.len, &head) || head.thread >= RIG_THREADS ||
            (previous[head.thread] != STELE_LSN_NONE && head.number != next[head.thread]) ||
            (previous[head.thread] == STELE_LSN_NONE && head.number > 0 &&
             head.previous >= stele_first(log))) {
            printf("FAILED the record at %" PRIu64 " was not appended, or not there\n", record.lsn);
            return 1;
        }
        next[head.thread] = head.number + 1;
        previous[head.thread] = record.lsn;
    }
    stele_cursor_close(cursor);
    return rc != 0 ? failed("reading") : 0;
}

struct appender {
    struct stele *log;
    uint32_t who;
    uint64_t number, previous;
    pthread_t thread;
};

static void *append_own(void *argument)
{
    struct appender *me = argument;
    uint8_t record[RIG_RECORD_MAX];
    for (;; me->number++) {
        struct rig_head head = {.thread = me->who, .number = me->number, .previous = me->previous};
        uint64_t dice = rig_mix(me->number * RIG_THREADS + me->who);
        stele_lsn lsn;
        if (stele_append(me->log, record, rig_record(&head, dice, record), &lsn) != 0)
            exit(failed("append"));
        me->previous = lsn;
        if (dice >> 40 & 1)
            continue;
        if (stele_sync(me->log, lsn) != 0)
            exit(failed("sync"));
        printf("ACK %u %" PRIu64 "\n", me->who, me->number + 1);
        if (me->who == 0 && (dice >> 41) % 64 == 0 && lsn > UINT64_C(4) << 20 &&
            stele_trim(me->log, lsn - (UINT64_C(4) << 20), NULL) < 0)
            exit(failed("trim"));
    }
    return NULL;
}

static int append(const char *path, unsigned threads)
{
    static struct appender appenders[RIG_THREADS];
    uint64_t next[RIG_THREADS] = {0}, previous[RIG_THREADS];
    memset(previous, 0xff, sizeof previous);
    struct stele *log = open_log(path);
    struct stele_stat stat = {.size = sizeof stat};
    if (log == NULL || threads > RIG_THREADS || stele_stat(log, &stat) != 0 ||
        read_all(log, next, previous) != 0)
        return failed("open");
    printf("APPENDING %s\n", stat.durability_name);
    for (unsigned t = 0; t < threads; t++) {
        appenders[t] = (struct appender){.log = log, .who = t, .number = next[t], .previous = previous[t]};
        if (pthread_create(&appenders[t].thread, NULL, append_own, &appenders[t]) != 0)
            return failed("thread");
    }
    for (unsigned t = 0; t < threads; t++)
        (void)pthread_join(appenders[t].thread, NULL);
    return 0;
}

static int check(const char *path)
{
    uint64_t next[RIG_THREADS] = {0}, previous[RIG_THREADS];
    memset(previous, 0xff, sizeof previous);
    struct stele_verify_result result = {.size = sizeof result};
    if (stele_verify(path, NULL, &result) != 0)
        return failed("verify");
    struct stele *log = open_log(path);
    if (log == NULL || read_all(log, next, previous) != 0)
        return failed("open");
    for (uint32_t t = 0; t < RIG_THREADS; t++)
        if (next[t] > 0)
            printf("FOUND %u %" PRIu64 "\n", t, next[t]);
    printf("VERDICT %s records %" PRIu64 " first %" PRIu64 "\n",
           result.verdict == STELE_CLEAN  ? "clean"
           : result.verdict == STELE_TORN ? "torn"
                                          : "corrupt",
           result.records, stele_first(log));
    return stele_close(log) != 0 ? failed("close") : 0;
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "probe") == 0)
        return probe(argv[2]);
    if (argc == 4 && strcmp(argv[1], "append") == 0)
        return append(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    fprintf(stderr, "usage: rig_guest probe|append|check DIR [THREADS]\n");
    return 2;
}
