/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_live.c: the live words of the control file hold anything while a reader's handle and its
 * cursors are at work, with or without somebody who holds the writer's locks. Whatever they say, a record
 * shown is one of the log, calls end, and errors are those that are documented.
 *
 *     locks held 1 | flags of the first cursor 1 | steps: what 1, argument 1, value 8 */
#include "reading.h"

#include "format/control.h"
#include "os/lock.h"

#include "core/owner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEPS_MAX 48u
#define WORDS 7u

enum { NEXT, ALL, SEEK, SEEK_LSN, SEEK_LAST, WAIT, ASK, OTHER, REOPEN, VERIFY, PIN, COPY, STORE = 16 };

static struct reading truth; /* what the log holds */
static char path[192], copy[192];
static uint8_t *control; /* mapped */
static int lock_fd = -1, log_fd = -1;

struct session {
    struct stele *log;
    struct stele_cursor *cursor;
    unsigned flags;
};

static void set_up(void)
{
    struct stele *log = NULL;
    (void)snprintf(path, sizeof path, "%s/log", fuzz_scratch());
    (void)snprintf(copy, sizeof copy, "%s/copy", fuzz_scratch());
    golden_write_log(golden_log(GOLDEN_BASIC), path);
    reading_take(&truth, path, 0, &log);
    FUZZ_CHECK(truth.opened == 0 && truth.ended == 0 && truth.count > 0 && stele_close(log) == 0);
    log_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lock_fd = openat(log_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int fd = openat(log_fd, "control", O_RDWR | O_CLOEXEC);
    FUZZ_CHECK(lock_fd >= 0 && fd >= 0);
    control = mmap(NULL, STELE__CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    FUZZ_CHECK(control != MAP_FAILED);
    (void)close(fd);
}

static void store(unsigned word, uint64_t value)
{
    static const uint8_t at[WORDS] = {0, 8, 16, 24, 32, 36, 40}; /* docs/format.md, 7.2 */
    uint64_t live;
    word %= WORDS;
    if (word == 4 || word == 5) {
        memcpy(control + STELE__CONTROL_LIVE + at[word], &value, 4);
        return;
    }
    memcpy(&live, &value, sizeof live);
    memcpy(control + STELE__CONTROL_LIVE + at[word], &live, sizeof live);
}

static void is_true(const struct stele_record *record)
{
    size_t low = 0, high = truth.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (truth.records[middle].lsn < record->lsn)
            low = middle + 1;
        else
            high = middle;
    }
    const struct shown shown = reading_describe(record);
    FUZZ_CHECK(low < truth.count && memcmp(&shown, &truth.records[low], sizeof shown) == 0);
}

/* True while there is more. */
static bool next(struct stele_cursor *cursor)
{
    struct stele_record record;
    int got = stele_cursor_next(cursor, &record);
    if (got == 1)
        is_true(&record);
    FUZZ_CHECK(got == 0 || got == 1 || got == STELE_ECORRUPT || got == STELE_ETRIMMED ||
               got == STELE_EREWOUND);
    return got == 1;
}

static void read_on(struct stele_cursor *cursor, size_t most)
{
    while (most-- > 0 && next(cursor))
        ;
}

static void seek(struct stele_cursor *cursor, unsigned from, uint64_t value)
{
    int rc = stele_cursor_seek(cursor, (enum stele_from)from, value);
    FUZZ_CHECK(rc == 0 || rc == STELE_EINVAL || rc == STELE_ECORRUPT || rc == STELE_ETRIMMED ||
               (rc == STELE_EREWOUND && from == STELE_FROM_END));
}

static void begin(struct session *session)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_READ_ONLY;
    session->cursor = NULL;
    FUZZ_CHECK(stele_open(path, &options, &session->log) == 0);
    int rc = stele_cursor_open(session->log, session->flags, STELE_FROM_BEGIN, 0, &session->cursor);
    FUZZ_CHECK((rc == 0) == (session->cursor != NULL));
}

static void end(struct session *session)
{
    stele_cursor_close(session->cursor);
    FUZZ_CHECK(stele_close(session->log) == 0);
}

static void ask(struct stele *log)
{
    struct stele_stat stat = {.size = sizeof stat};
    struct stele_segment_stat segments[4];
    (void)stele_stat(log, &stat);
    (void)stele_stat_segments(log, segments, 4);
    FUZZ_CHECK(stele_first(log) % 8 == 0 && stele_tail(log) % 8 == 0 && stele_durable(log) % 8 == 0);
}

static void judge(void)
{
    struct stele_verify_options options = {.size = sizeof options};
    struct stele_verify_result result = {.size = sizeof result};
    FUZZ_CHECK(stele_verify(path, &options, &result) == 0 && result.records <= truth.count);
}

static void other_cursor(struct stele *log, uint8_t arg, uint64_t value)
{
    struct stele_cursor *cursor = NULL;
    if (stele_cursor_open(log, arg & STELE_DURABLE_ONLY, (enum stele_from)(arg >> 1) % 5, value, &cursor) ==
        0)
        read_on(cursor, 4);
    stele_cursor_close(cursor);
}

static void pin(struct stele *log, uint64_t value)
{
    struct stele_pin *held = NULL;
    (void)stele_pin(log, value, &held);
    stele_unpin(held);
}

static void back_up(void)
{
    stele_lsn last = 0;
    int rc = stele_backup(path, copy, &last);
    if (rc == 0) {
        struct stele_verify_options options = {.size = sizeof options};
        struct stele_verify_result result = {.size = sizeof result};
        FUZZ_CHECK(stele_verify(copy, &options, &result) == 0 && result.verdict == STELE_CLEAN);
    }
    fuzz_empty(copy);
    (void)rmdir(copy);
}

static void step(struct session *session, uint8_t what, uint8_t arg, uint64_t value)
{
    what %= STORE + WORDS;
    if (what >= STORE)
        store(what - STORE, value);
    if (what == ASK)
        ask(session->log);
    if (what == VERIFY)
        judge();
    if (what == PIN)
        pin(session->log, value);
    if (what == COPY)
        back_up();
    if (what == OTHER)
        other_cursor(session->log, arg, value);
    if (what == REOPEN) {
        end(session);
        begin(session);
    }
    if (session->cursor == NULL)
        return;
    if (what == NEXT)
        read_on(session->cursor, arg % 16 + 1u);
    if (what == ALL)
        read_on(session->cursor, truth.count + 1);
    if (what == SEEK)
        seek(session->cursor, arg % 5, value);
    if (what == SEEK_LSN)
        seek(session->cursor, STELE_FROM_LSN, value);
    if (what == SEEK_LAST)
        seek(session->cursor, STELE_FROM_LAST, value);
    if (what == WAIT)
        FUZZ_CHECK(stele_cursor_wait(session->cursor, 0) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (control == NULL)
        set_up();
    struct fuzz_in in = {data, size};
    const bool held = (fuzz_u8(&in) & 1) != 0;
    struct session session = {.flags = fuzz_u8(&in) & STELE_DURABLE_ONLY};
    memset(control + STELE__CONTROL_LIVE, 0, STELE__CONTROL_BYTES - STELE__CONTROL_LIVE);
    if (held) {
        store(1, truth.tail); /* as a writer would have it */
        FUZZ_CHECK(stele__lock_exclusive(lock_fd, STELE__LOCK_WRITER, 2) == 0);
    }
    begin(&session);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
        uint8_t what = fuzz_u8(&in), arg = fuzz_u8(&in);
        step(&session, what, arg, fuzz_u64(&in));
    }
    end(&session);
    if (held)
        FUZZ_CHECK(stele__lock_release(lock_fd, STELE__LOCK_WRITER, 2) == 0);
    return 0;
}
