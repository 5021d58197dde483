/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/law.c: see law.h. The law, for each log: it is there once its opening has returned; it is never
 * called corrupt and always opens; every acknowledged record that no trim may have removed is there, at
 * its place, each thread's in order and without a hole; every record is one that was appended, and none
 * that an earlier recovery did not show. */
#include "law.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void rig_truth_begin(struct rig_truth *truth)
{
    memset(truth, 0, sizeof *truth);
    for (uint32_t log = 0; log < RIG_LOGS; log++)
        for (uint32_t t = 0; t < RIG_THREADS; t++)
            memset(truth->logs[log].threads[t].shown, 0xff, sizeof truth->logs[log].threads[t].shown);
}

void rig_truth_learn(struct rig_truth *truth, const struct rig_mark *mark)
{
    struct rig_log_truth *log = &truth->logs[mark->log % RIG_LOGS];
    struct rig_thread_truth *thread = &log->threads[mark->thread % RIG_THREADS];
    switch (mark->kind) {
    case RIG_MARK_START: truth->started = true; break;
    case RIG_MARK_END: truth->ended = true; break;
    case RIG_MARK_CREATED: log->created = true; break;
    case RIG_MARK_TRIMMING: log->trimming = mark->lsn > log->trimming ? mark->lsn : log->trimming; break;
    case RIG_MARK_TRIMMED: log->trimmed = mark->lsn > log->trimmed ? mark->lsn : log->trimmed; break;
    case RIG_MARK_SHOWN:
        thread->shown[mark->generation % RIG_GENERATIONS] = mark->count; /* and what is shown is durable: */
        /* fall through */
    case RIG_MARK_ACK:
        if (mark->count > thread->count) {
            thread->count = mark->count;
            thread->lsn = mark->lsn;
        }
        break;
    default: break;
    }
}

/* One log being judged. */
struct judge {
    const struct rig_log_truth *truth;
    uint32_t log;
    stele_lsn first;
    uint64_t records;
    struct {
        bool seen;
        uint64_t next;
        uint32_t generation;
    } threads[RIG_THREADS];
    char *why;
    size_t size;
};

#define BREAKS(judge, ...) ((void)say((judge), __VA_ARGS__), false)

__attribute__((format(printf, 2, 3))) static void say(struct judge *judge, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = snprintf(judge->why, judge->size, "log%" PRIu32 ": ", judge->log);
    (void)vsnprintf(judge->why + n, judge->size - (size_t)n, format, arguments);
    va_end(arguments);
}

static bool judge_record(struct judge *judge, const struct stele_record *record)
{
    struct rig_head head;
    if (!rig_is_record(record->data, record->len, &head) || head.log != judge->log ||
        head.thread >= RIG_THREADS)
        return BREAKS(judge, "the record at %" PRIu64 " was never appended", record->lsn);
    const struct rig_thread_truth *truth = &judge->truth->threads[head.thread];
    uint32_t t = head.thread;
    if (!judge->threads[t].seen && head.number > 0 && head.previous != STELE_LSN_NONE &&
        head.previous >= judge->first)
        return BREAKS(judge,
                      "thread %u begins with %" PRIu64 ", but the one before it stood at %" PRIu64
                      " and the log begins at %" PRIu64,
                      t, head.number, head.previous, judge->first);
    if (!judge->threads[t].seen && head.number > 0 && judge->first == 0)
        return BREAKS(judge, "thread %u begins with %" PRIu64 " at the beginning of the log", t, head.number);
    if (judge->threads[t].seen && head.number != judge->threads[t].next)
        return BREAKS(judge, "thread %u goes on with %" PRIu64 " where %" PRIu64 " was next", t, head.number,
                      judge->threads[t].next);
    if (judge->threads[t].seen && head.generation < judge->threads[t].generation)
        return BREAKS(judge, "thread %u, %" PRIu64 ": of an older process than the one before it", t,
                      head.number);
    for (uint32_t g = head.generation + 1; g < RIG_GENERATIONS; g++)
        if (truth->shown[g] != UINT64_MAX && head.number >= truth->shown[g])
            return BREAKS(judge, "thread %u, %" PRIu64 ": a ghost; recovery %u had shown %" PRIu64 " records",
                          t, head.number, g, truth->shown[g]);
    if (head.number + 1 == truth->count && record->lsn != truth->lsn)
        return BREAKS(judge, "thread %u, %" PRIu64 ": stands at %" PRIu64 ", was acknowledged at %" PRIu64, t,
                      head.number, record->lsn, truth->lsn);
    judge->threads[t].seen = true;
    judge->threads[t].next = head.number + 1;
    judge->threads[t].generation = head.generation;
    judge->records++;
    return true;
}

static bool judge_ends(struct judge *judge)
{
    if (judge->first > judge->truth->trimming)
        return BREAKS(judge, "begins at %" PRIu64 ", no trim went beyond %" PRIu64, judge->first,
                      judge->truth->trimming);
    if (judge->first < judge->truth->trimmed)
        return BREAKS(judge, "begins at %" PRIu64 ", a trim to %" PRIu64 " had returned", judge->first,
                      judge->truth->trimmed);
    for (uint32_t t = 0; t < RIG_THREADS; t++) {
        const struct rig_thread_truth *truth = &judge->truth->threads[t];
        uint64_t found = judge->threads[t].seen ? judge->threads[t].next : 0;
        if (found < truth->count && (judge->threads[t].seen || truth->lsn >= judge->first))
            return BREAKS(
                judge, "thread %u: %" PRIu64 " acknowledged (the last at %" PRIu64 "), found up to %" PRIu64,
                t, truth->count, truth->lsn, found);
    }
    return true;
}

static bool judge_content(struct judge *judge, struct stele *log)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    judge->first = stele_first(log);
    judge->records = 0;
    memset(judge->threads, 0, sizeof judge->threads);
    if (stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor) != 0)
        return BREAKS(judge, "no cursor: %s", stele_last_error());
    int rc;
    bool fine = true;
    while (fine && (rc = stele_cursor_next(cursor, &record)) == 1)
        fine = judge_record(judge, &record);
    stele_cursor_close(cursor);
    if (fine && rc != 0)
        return BREAKS(judge, "reading stops: %s", stele_last_error());
    return fine && judge_ends(judge);
}

/* The log goes on after the recovery, and the next opening shows the same and what was added. */
static bool judge_life(struct judge *judge, struct stele *log, const char *path)
{
    uint8_t record[RIG_RECORD_MAX];
    uint64_t before = judge->records;
    struct rig_head head = {.log = judge->log,
                            .thread = RIG_THREADS - 1, /* nobody's in the recording */
                            .previous = STELE_LSN_NONE,
                            .generation = RIG_GENERATIONS};
    for (; head.number < 3; head.number++)
        if (stele_append(log, record, rig_record(&head, rig_mix(head.number), record), NULL) != 0)
            return BREAKS(judge, "append after recovery: %s", stele_last_error());
    if (stele_sync(log, STELE_LSN_ALL) != 0 || !judge_content(judge, log))
        return judge->why[0] != '\0' ? false : BREAKS(judge, "sync after recovery: %s", stele_last_error());
    int rc = stele_close(log);
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_READ_ONLY;
    if (rc != 0 || stele_open(path, &options, &log) != 0)
        return BREAKS(judge, "closed and opened again after recovery: %s", stele_last_error());
    bool fine = judge_content(judge, log);
    (void)stele_close(log);
    if (fine && judge->records != before + 3)
        return BREAKS(judge, "%" PRIu64 " records after recovery, %" PRIu64 " and 3 more expected",
                      judge->records, before);
    return fine;
}

static void first_problem(void *ctx, const struct stele_problem *problem)
{
    char *text = ctx;
    if (text[0] == '\0' && !problem->harmless)
        (void)snprintf(text, 200, "%s at %" PRIu64 ": %s, %s",
                       problem->segment != NULL ? problem->segment : "", problem->offset, problem->kind,
                       problem->detail);
}

static bool judge_verdict(struct judge *judge, const char *path, struct rig_findings *findings)
{
    char problem[200] = "";
    struct stele_verify_options options = {.size = sizeof options, .problem = first_problem, .ctx = problem};
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(path, &options, &result);
    if (rc == STELE_ENOENT || rc == STELE_ENOTLOG) {
        findings->missing++;
        return judge->truth->created ? BREAKS(judge, "verify: %s", stele_last_error()) : true;
    }
    if (rc != 0)
        return BREAKS(judge, "verify: %s", stele_last_error());
    findings->torn += result.verdict == STELE_TORN;
    if (result.verdict == STELE_CORRUPT)
        return BREAKS(judge, "called corrupt: %s", problem);
    return true;
}

/* Half of the logs are recovered; the others are shown to a reader as they are, which must see no less. */
static bool judge_log(struct judge *judge, const char *path, uint64_t dice, struct rig_findings *findings)
{
    if (!judge_verdict(judge, path, findings))
        return false;
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = !judge->truth->created ? STELE_CREATE : dice % 2 == 0 ? STELE_READ_ONLY : 0u;
    options.durability = dice / 2 % 2 == 0 ? STELE_DURABILITY_AUTO : STELE_DURABILITY_MSYNC;
    options.segment_bytes = STELE_SEGMENT_BYTES_MIN;
    options.spare_segments = 1;
    struct stele *log;
    if (stele_open(path, &options, &log) != 0)
        return BREAKS(judge, "does not open: %s", stele_last_error());
    bool fine = judge_content(judge, log);
    findings->records += judge->records;
    findings->recovered += options.flags != STELE_READ_ONLY;
    if (fine && options.flags == 0 && dice / 4 % 8 == 0)
        return judge_life(judge, log, path);
    int rc = stele_close(log);
    return fine && rc != 0 ? BREAKS(judge, "close: %s", stele_last_error()) : fine;
}

bool rig_law_holds(const struct rig_truth *truth, const char *dir, uint64_t dice,
                   struct rig_findings *findings, char *why, size_t size)
{
    char path[512];
    bool fine = true;
    why[0] = '\0';
    for (uint32_t log = 0; fine && log < RIG_LOGS; log++) {
        struct judge judge = {.truth = &truth->logs[log], .log = log, .why = why, .size = size};
        (void)snprintf(path, sizeof path, "%s/log%" PRIu32, dir, log);
        fine = judge_log(&judge, path, rig_mix(dice + log), findings);
    }
    return fine;
}
