/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/look.h"

#include "base/error.h"
#include "core/control.h"
#include "core/owner.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/view.h"

#include <errno.h>

/* A look is done again when a trim moved the front, or when it found something while a writer opened the log:
 * that may be the writer's unfinished work. What is still found after so many is no accident of timing. */
#define TRIES_MAX 64
/* Trims and openings take milliseconds: waits grow by one from try to try, up to ten. */
#define RETRY_NS (UINT64_C(1) * 1000 * 1000)
#define RETRY_STEPS 10

bool stele__look_again(int tries)
{
    if (tries >= TRIES_MAX)
        return false;
    stele__clock_sleep_ns(RETRY_NS * (uint64_t)(tries < RETRY_STEPS ? tries : RETRY_STEPS));
    return true;
}

/* What other processes say at one moment. */
struct words {
    bool alive;
    bool opening; /* the writer lock is held, but not yet alive: recovery or repair are at work */
    uint64_t opens;
    uint64_t recoveries;
    stele_lsn durable;
};

static int open_lock(struct stele__look *look)
{
    if (look->lockfd >= 0)
        return 0;
    int fd = stele__file_open(look->dirfd, STELE__LOCK_NAME, false);
    if (fd < 0 && fd != -ENOENT)
        return stele__fail_errno(-fd, "%s/" STELE__LOCK_NAME ": cannot open it", look->path);
    look->lockfd = fd < 0 ? -1 : fd; /* without one there never was a writer here */
    return 0;
}

static int probe(const struct stele__look *look, uint64_t byte, bool *held)
{
    if (look->lockfd < 0 || look->exclusive)
        return 0;
    int rc = stele__lock_probe(look->lockfd, byte, 1, NULL, NULL);
    if (rc < 0)
        return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot look for a writer", look->path);
    *held = rc == 1;
    return 0;
}

/* Counters before the locks: a writer that opens in between is seen by its count when they are read again. The
 * durable point behind the locks: it is the word of whoever was found alive. */
static int read_words(struct stele__look *look, struct words *out)
{
    static const struct stele__live nobody = {0};
    *out = (struct words){0};
    struct stele__view view = {0};
    /* Missing or cut short is a finding, not a failure: the scan reports what this could mean. */
    int missing = stele__view_open(look->dirfd, STELE__CONTROL_NAME, STELE__CONTROL_BYTES, false, &view);
    const struct stele__live *live = missing != 0 ? &nobody : (const void *)(view.base + STELE__CONTROL_LIVE);
    out->opens = atomic_load(&live->opens);
    out->recoveries = atomic_load(&live->recoveries);
    int rc = open_lock(look);
    if (rc == 0)
        rc = probe(look, STELE__LOCK_LIVE, &out->alive);
    if (rc == 0 && !out->alive)
        rc = probe(look, STELE__LOCK_WRITER, &out->opening);
    out->durable = atomic_load(&live->durable);
    if (missing == 0)
        stele__view_close(&view);
    return rc;
}

static uint64_t first_sequence(const struct stele__look *look)
{
    struct stele__control control;
    enum stele__decode result = STELE__DECODE_MAGIC;
    uint32_t copies;
    int rc = stele__control_read(look->dirfd, &control, &result, &copies);
    return rc == 0 && result == STELE__DECODE_OK ? control.first_sequence : UINT64_MAX;
}

static void unpin_front(struct stele__look *look)
{
    if (look->pinned != UINT64_MAX)
        (void)stele__lock_release(look->lockfd, STELE__LOCK_PIN_BASE + look->pinned, 1);
    look->pinned = UINT64_MAX;
}

/* Keep the front where it is. True: pinned, or there is nothing that could be. False: a trim is under way. */
static bool pin_front(struct stele__look *look)
{
    unpin_front(look);
    uint64_t first = first_sequence(look);
    if (look->lockfd < 0 || look->exclusive || first == UINT64_MAX)
        return true;
    if (stele__lock_shared(look->lockfd, STELE__LOCK_PIN_BASE + first, 1) != 0)
        return false;
    look->pinned = first;
    /* Locked too late when a trim came first: it publishes the new beginning before it lets go. */
    return first_sequence(look) == first;
}

static void drop(struct stele__look *look)
{
    if (look->done)
        stele__examined_free(&look->examined);
    stele__scan_free(&look->scan);
    stele__problems_free(&look->problems);
    look->done = false;
}

/* A file whose name does not fit the log although the right one is there: not part of the log, worth a
 * word. */
static void note_twins(struct stele__look *look)
{
    for (size_t i = 0; i < look->scan.count; i++) {
        const struct stele__found *found = &look->scan.found[i];
        if (found->broken || stele__scan_find(&look->scan, found->sequence) == found)
            continue;
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        stele__problems_note(&look->problems, &(struct stele_problem){
                                                  .segment = name,
                                                  .lsn = STELE_LSN_NONE,
                                                  .kind = "name",
                                                  .detail = "a second file of this sequence number, under a "
                                                            "name that is wrong: no part of the log",
                                                  .harmless = 1});
    }
}

static int look_once(struct stele__look *look, const struct words *words, bool full, uint32_t jobs)
{
    const struct stele__examine_options options = {.full = full,
                                                   .jobs = jobs,
                                                   .live = words->alive,
                                                   .live_durable = words->durable,
                                                   .problem = stele__problems_note,
                                                   .ctx = &look->problems};
    look->live = words->alive;
    int rc = stele__scan(&look->scan, look->dirfd, look->path);
    if (rc == 0)
        rc = stele__examine(&look->scan, &options, &look->examined);
    look->done = rc == 0;
    if (rc == 0)
        note_twins(look);
    if (rc == 0 && look->problems.no_memory)
        rc = stele__fail(STELE_ENOMEM, "%s: no memory for the list of problems", look->path);
    return rc;
}

/* Can what was found be believed? Nothing found is nothing misunderstood. */
static bool settled(const struct stele__look *look, const struct words *before, const struct words *after)
{
    const bool opening = before->opening || after->opening;
    if (before->opens == after->opens && before->recoveries == after->recoveries && !opening &&
        (before->alive || !after->alive))
        return true;
    return look->done && look->examined.verdict == STELE_CLEAN && look->problems.count == 0;
}

int stele__look_run(struct stele__look *look, bool full, uint32_t jobs)
{
    int rc;
    bool steady;
    int tries = 0;
    do {
        struct words before, after;
        bool last = ++tries == TRIES_MAX;
        rc = 0;
        drop(look);
        steady = pin_front(look);
        if (steady || last) {
            /* The durable point before the listing: everything below it is in files that can be listed
             * now. */
            rc = read_words(look, &before);
            int found = rc == 0 ? look_once(look, &before, full, jobs) : 0;
            if (rc == 0)
                rc = read_words(look, &after);
            steady = rc == 0 && settled(look, &before, &after);
            rc = rc != 0 ? rc : found;
        }
    } while (!steady && stele__look_again(tries));
    return rc;
}

int stele__look_open(struct stele__look *look, const char *path)
{
    *look = (struct stele__look){.path = path, .dirfd = -1, .lockfd = -1, .pinned = UINT64_MAX};
    if (path == NULL || path[0] == '\0')
        return stele__fail(STELE_EINVAL, "a log needs the path of its directory");
    int fd = stele__dir_open(path);
    if (fd == -ENOTDIR)
        return stele__fail(STELE_ENOTLOG, "%s: not a directory, so not a log", path);
    if (fd < 0)
        return stele__fail_errno(-fd, "%s: cannot open the directory", path);
    look->dirfd = fd;
    int rc = open_lock(look);
    if (rc != 0)
        stele__look_close(look);
    return rc;
}

void stele__look_close(struct stele__look *look)
{
    drop(look);
    stele__file_close(look->lockfd); /* and with it pin or lock */
    stele__file_close(look->dirfd);
    look->lockfd = look->dirfd = -1;
}
