/* SPDX-License-Identifier: BSD-3-Clause */
/* test_repair.h: one damaged log, what a repair of it must leave, and a way to kill a repair at each of
 * its steps. */
#ifndef STELE_TEST_REPAIR_H
#define STELE_TEST_REPAIR_H

#include "test_admin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TRUTH_MAX 8192u

/* Where every record stood before the damage. */
struct truth {
    uint64_t count;
    stele_lsn lsn[TRUTH_MAX];
};

/* LSNs [from, to) may be lost, and must be: everything else must be there. */
struct loss {
    stele_lsn from, to;
};

static inline void learn(const char *path, struct truth *truth)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (truth->count = 0; stele_cursor_next(cursor, &record) == 1; truth->count++) {
        must(truth->count < TRUTH_MAX && is_numbered(truth->count, &record));
        truth->lsn[truth->count] = record.lsn;
    }
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
}

static inline bool is_lost(const struct loss *lost, size_t losses, stele_lsn lsn)
{
    for (size_t i = 0; i < losses; i++)
        if (lsn >= lost[i].from && lsn < lost[i].to)
            return true;
    return false;
}

/* A reader finds exactly the records that are not lost, where they always stood, and is told about gaps.
 * Returns how many are left. */
static inline uint64_t expect_survivors(const char *path, const struct truth *truth, const struct loss *lost,
                                        size_t losses)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    struct stele_record record;
    uint64_t kept = 0;
    succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
    for (uint64_t number = 0; number < truth->count; number++) {
        if (is_lost(lost, losses, truth->lsn[number]))
            continue;
        int rc = stele_cursor_next(cursor, &record);
        while (rc == STELE_EGAP)
            rc = stele_cursor_next(cursor, &record);
        if (rc != 1 || record.lsn != truth->lsn[number])
            fprintf(stderr, "record %llu (lsn %llu): %d, lsn %llu: %s\n", (unsigned long long)number,
                    (unsigned long long)truth->lsn[number], rc, (unsigned long long)record.lsn,
                    stele_last_error());
        must(rc == 1 && record.lsn == truth->lsn[number] && is_numbered(number, &record));
        kept++;
    }
    int rc = STELE_EGAP; /* once a quarantined segment */
    while (rc == STELE_EGAP)
        rc = stele_cursor_next(cursor, &record);
    must(rc == 0);
    stele_cursor_close(cursor);
    succeeds(stele_close(log));
    return kept;
}

static inline int repair(const struct dir *dir, uint32_t flags, struct stele_repair_result *result)
{
    const struct stele_repair_options options = {
        .size = sizeof options, .flags = flags, .backup = dir_file(dir, "kept")};
    *result = (struct stele_repair_result){.size = sizeof *result};
    return stele_repair(dir->log, &options, result);
}

/* Clean, and nothing to say but that segments were quarantined. */
static inline void expect_mended(const char *path, uint64_t records)
{
    struct heard heard;
    struct stele_verify_result result = verify_log(path, &heard);
    for (size_t i = 0; i < heard.count; i++) {
        if (strcmp(heard.list[i].kind, "quarantined") != 0)
            print_heard(&heard);
        must(strcmp(heard.list[i].kind, "quarantined") == 0 && heard.list[i].harmless == 1);
    }
    if (result.verdict != STELE_CLEAN || result.records != records) {
        fprintf(stderr, "verdict %d, %llu records, not %llu\n", (int)result.verdict,
                (unsigned long long)result.records, (unsigned long long)records);
        print_heard(&heard);
    }
    must(result.verdict == STELE_CLEAN && result.records == records);
}

/* A writer goes on, and a reader sees what it wrote behind what was left. */
static inline void expect_writable(const char *path, uint64_t records)
{
    struct stele *log = log_open(path, 0);
    stele_lsn lsn = append_range(log, 500000, 500300); /* more than a segment */
    succeeds(stele_sync(log, lsn));
    succeeds(stele_close(log));
    struct stele *reader = log_open(path, STELE_READ_ONLY);
    struct stele_cursor *cursor;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_LAST, 300, &cursor));
    expect_next(cursor, 500000, 500300);
    expect_nothing(cursor);
    stele_cursor_close(cursor);
    succeeds(stele_close(reader));
    expect_mended(path, records + 300);
}

/* The whole life of a repair: the dry run says what will be, touching nothing; applied, it is so; and
 * again changes nothing. `lost` in all but the records whose loss the flags allow. */
static inline struct stele_repair_result expect_repair(const struct dir *dir, const struct truth *truth,
                                                       uint32_t flags, const struct loss *lost, size_t losses)
{
    struct stele_repair_result said, done, again;
    uint64_t before = dir_digest(dir->log);
    bool gives_up = (flags & (STELE_REPAIR_ALLOW_DATA_LOSS | STELE_REPAIR_QUARANTINE)) != 0;
    succeeds(repair(dir, flags, &said));
    must(dir_digest(dir->log) == before && !file_exists(dir_file(dir, "kept")));
    uint64_t untouched = log_digest(dir->log);
    if (gives_up) {
        returns(STELE_ECORRUPT, repair(dir, 0, &done));
        error_says("Nothing was changed");
        must(done.before == STELE_CORRUPT && done.after == STELE_CORRUPT);
        returns(STELE_ECORRUPT, repair(dir, STELE_REPAIR_APPLY, &done));
        must(log_digest(dir->log) == untouched && !file_exists(dir_file(dir, "kept")));
    }
    succeeds(repair(dir, flags | STELE_REPAIR_APPLY, &done));
    must(done.before == said.before && done.after == said.after && done.after == STELE_CLEAN);
    must(done.cut_lsn == said.cut_lsn && done.records_removed == said.records_removed);
    must(done.bytes_removed == said.bytes_removed && done.segments_quarantined == said.segments_quarantined);
    uint64_t kept = expect_survivors(dir->log, truth, lost, losses);
    expect_mended(dir->log, kept);
    uint64_t mended = log_digest(dir->log);
    succeeds(repair(dir, flags | STELE_REPAIR_APPLY, &again));
    must(again.before == STELE_CLEAN && again.after == STELE_CLEAN && again.backup[0] == '\0');
    must(again.cut_lsn == STELE_LSN_NONE && again.segments_quarantined == 0 && again.bytes_removed == 0);
    must(log_digest(dir->log) == mended);
    expect_writable(dir->log, kept);
    return done;
}

/* Is this a system call that changes something on disk, or promises that it stays? */
static inline bool changes_disk(const struct __ptrace_syscall_info *info)
{
    switch (info->entry.nr) {
    case SYS_pwrite64:
    case SYS_fdatasync:
    case SYS_fsync:
    case SYS_fallocate:
    case SYS_renameat2:
#ifdef SYS_renameat /* newer architectures have only the other one */
    case SYS_renameat:
#endif
    case SYS_unlinkat:
    case SYS_mkdirat: return true;
    case SYS_openat: return (info->entry.args[2] & O_CREAT) != 0;
    default: return false;
    }
}

/* Repair in a child that is killed when it is about to take its step number `step`. False: it ended before
 * that. */
static inline bool repair_killed_at(const struct dir *dir, uint32_t flags, unsigned step)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        struct stele_repair_result result;
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
            _exit(97);
        _exit(repair(dir, flags | STELE_REPAIR_APPLY, &result) == 0 ? 0 : 1);
    }
    int status;
    unsigned steps = 0;
    must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    must(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) == 0);
    for (;;) {
        struct __ptrace_syscall_info info;
        must(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
        must(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status)) {
            must(WEXITSTATUS(status) == 0);
            return false;
        }
        must(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
        must(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 0);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_disk(&info) || ++steps < step)
            continue;
        must(kill(pid, SIGKILL) == 0);
        must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        return true;
    }
}

#endif
