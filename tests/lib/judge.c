/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/judge.h"

#include "core/open.h"

#include <stdio.h>

static void expect_honest_code(int rc)
{
    must(rc == STELE_ECORRUPT || rc == STELE_EVERSION || rc == STELE_ENOTLOG);
    must(stele_last_error()[0] != '\0');
}

/* The records an open log shows: a prefix of [0, count). All of it, or an error at its end. */
static enum judgement read_all(struct stele *log, uint64_t count)
{
    struct stele_cursor *cursor;
    int rc = stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor);
    if (rc != 0) {
        expect_honest_code(rc);
        return DETECTED;
    }
    struct stele_record record;
    uint64_t number = 0;
    while ((rc = stele_cursor_next(cursor, &record)) == 1) {
        must(number < count);
        must(is_numbered(number, &record));
        number++;
    }
    if (rc == 0 && number != count)
        fprintf(stderr, "lost in silence: only %llu of %llu records are shown\n", (unsigned long long)number,
                (unsigned long long)count);
    must(rc != 0 || number == count);
    if (rc != 0)
        expect_honest_code(rc);
    stele_cursor_close(cursor);
    return rc == 0 ? HARMLESS : DETECTED;
}

static enum judgement verify(const char *path, uint64_t count)
{
    struct stele_verify_result result = {.size = sizeof result};
    int rc = stele_verify(path, NULL, &result);
    if (rc != 0) {
        expect_honest_code(rc);
        return DETECTED;
    }
    must(result.verdict == STELE_CORRUPT || result.records == count);
    must(result.verdict == STELE_CLEAN || result.problems > 0);
    return result.verdict == STELE_CORRUPT ? DETECTED : HARMLESS;
}

enum judgement judge_as_reader(const char *path, uint64_t count)
{
    const struct stele_options options = log_options(STELE_READ_ONLY);
    struct stele *log;
    enum judgement seen = DETECTED;
    int rc = stele_open(path, &options, &log);
    if (rc == 0) {
        seen = read_all(log, count);
        succeeds(stele_close(log));
    } else {
        expect_honest_code(rc);
    }
    /* The verifier sees everything a reader stumbles over, and more. */
    enum judgement verified = verify(path, count);
    must(seen == HARMLESS || verified == DETECTED);
    return verified;
}

enum judgement judge_as_writer(const char *path, uint64_t count)
{
    const struct stele_options options = log_options(0);
    const struct stele__seams seams = {.no_helper = true};
    struct stele *log;
    int rc = stele__open_with(path, &options, &seams, &log);
    if (rc != 0) {
        expect_honest_code(rc);
        return DETECTED;
    }
    enum judgement seen = read_all(log, count);
    succeeds(stele_close(log));
    return seen;
}

enum judgement judge(const char *path, uint64_t count)
{
    enum judgement reader = judge_as_reader(path, count);
    enum judgement writer = judge_as_writer(path, count);
    must(writer == HARMLESS || reader == DETECTED);
    return reader == DETECTED || writer == DETECTED ? DETECTED : HARMLESS;
}
