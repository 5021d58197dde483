/* SPDX-License-Identifier: BSD-3-Clause */
/* core/open_reader.c: a read-only handle. Changes no byte and takes no writer lock. Beside a live writer it
 * believes the writer's words; without one it examines the log itself, and opens damaged ones too: cursors
 * stop at the damage. */
#include "core/examine.h"
#include "core/look.h"
#include "core/open.h"
#include "core/owner.h"
#include "os/file.h"

#include <errno.h>
#include <stdio.h>

/* Without a control file there are no live words: zeroes take their place, so that a damaged log can still be
 * read. */
static int map_control(struct stele *log)
{
    int rc =
        stele__view_open(log->dirfd, STELE__CONTROL_NAME, STELE__CONTROL_BYTES, false, &log->control_view);
    if (rc == -ENOENT || rc == -ENODATA) {
        log->control_view = (struct stele__view){.base = stele__image_alloc(STELE__CONTROL_BYTES),
                                                 .bytes = STELE__CONTROL_BYTES};
        rc = log->control_view.base != NULL ? 0 : -ENOMEM;
    }
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot map it", log->path);
    log->live_page = (struct stele__live *)(void *)(log->control_view.base + STELE__CONTROL_LIVE);
    return 0;
}

static int examine(struct stele *log, struct stele__scan *scan)
{
    const struct stele__examine_options options = {0};
    struct stele__examined facts;
    int rc = stele__examine(scan, &options, &facts);
    if (rc != 0)
        return rc;
    log->control.first_sequence =
        facts.first_sequence; /* what the scan found, when the control file is lost */
    log->end = facts.end;
    atomic_store(&log->durable, facts.vouched);
    log->damaged = facts.verdict == STELE_CORRUPT;
    if (log->damaged)
        snprintf(log->failure, sizeof log->failure, "%s", facts.worst[0] != '\0' ? facts.worst : log->path);
    stele__examined_free(&facts);
    return 0;
}

/* One look at everything. *moving: it may be false, because a writer came in the middle of it: it recovered, or
 * even trimmed. */
static int look(struct stele *log, bool *moving)
{
    log->seen_opens = atomic_load(&log->live_page->opens);
    const uint64_t recoveries = atomic_load(&log->live_page->recoveries);
    log->damaged = false;
    int alive = stele__owner_holds(log->dirfd, STELE__LOCK_LIVE);
    if (alive < 0)
        return stele__fail_errno(-alive, "%s/" STELE__LOCK_NAME ": cannot look at it", log->path);
    log->live = alive == 1;
    bool opening = !log->live && stele__owner_holds(log->dirfd, STELE__LOCK_WRITER) == 1;
    struct stele__scan scan;
    int rc = stele__scan(&scan, log->dirfd, log->path);
    if (rc == 0 && scan.data_log2 == 0)
        rc = stele__fail(STELE_ECORRUPT, "%s: neither the control file nor any segment header can be read",
                         log->path);
    if (rc == 0) {
        stele__open_describe(log, &scan);
        rc = log->live ? 0 : examine(log, &scan);
    }
    stele__scan_free(&scan);
    bool opened = atomic_load(&log->live_page->opens) != log->seen_opens;
    opening |= atomic_load(&log->live_page->recoveries) != recoveries;
    opening |= stele__owner_holds(log->dirfd, STELE__LOCK_WRITER) == 1; /* a repair that rebuilds the control file */
    bool wrong = rc != 0 || log->damaged;
    *moving = !log->live && (opened || (wrong && opening));
    return rc;
}

int stele__open_reader(struct stele *log)
{
    int tries = 0;
    int rc = map_control(log);
    bool moving = rc == 0;
    while (moving && (tries++ == 0 || stele__look_again(tries - 1)))
        rc = look(log, &moving);
    if (rc == 0 && log->damaged)
        stele__log(&log->logger, STELE_LOG_ERROR, "%s", log->failure);
    if (rc == 0)
        (void)stele__media_choose(log->dirfd, 0, false, &log->media);
    return rc;
}
