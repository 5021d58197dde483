/* SPDX-License-Identifier: BSD-3-Clause */
/* core/trim.c: drop the front. The new beginning is durable in both blocks of the control file before the
 * first segment loses its name; files go by unlink (or rename, to be recycled), never by truncate, so
 * mappings of readers stay valid. */
#include "core/control.h"
#include "core/helper.h"
#include "core/owner.h"
#include "core/scan.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/futex.h"
#include "os/lock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static int fail_ends(const struct stele *log, const char *name, const char *what)
{
    return stele__fail(STELE_ECORRUPT, "%s/%s: offset %llu: %s; see 'stele verify %s'", log->path, name,
                       (unsigned long long)stele__footer_offset(log->data_bytes), what, log->path);
}

/* Footer of a sealed segment: chain and count at its end begin the next one. */
static int read_footer(struct stele *log, uint64_t sequence, struct stele__footer *footer)
{
    uint8_t head[STELE__HEADER_BYTES], pages[2 * STELE__FOOTER_COPY];
    struct stele__header header;
    uint32_t copies;
    char name[STELE__NAME_MAX];
    stele__name_segment(name, sequence, stele__base_of(log, sequence));
    int fd = stele__file_open(log->dirfd, name, false);
    int rc = fd < 0 ? fd : stele__file_read(fd, head, sizeof head, 0);
    if (rc == 0)
        rc = stele__file_read(fd, pages, sizeof pages, stele__footer_offset(log->data_bytes));
    stele__file_close(fd);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/%s: cannot read its ends", log->path, name);
    if (stele__header_decode(head, &header, &copies) != STELE__DECODE_OK || header.sequence != sequence ||
        memcmp(header.uuid, log->uuid, sizeof log->uuid) != 0)
        return fail_ends(log, name, "the header cannot be read");
    if (!stele__footer_find(pages, &header, footer, &copies))
        return fail_ends(log, name, "the footer cannot be read");
    return 0;
}

/* Lock what is to go, as far as nobody has pinned it: [first, *until). */
static int lock_front(struct stele *log, uint64_t first, uint64_t *until)
{
    while (*until > first) {
        uint64_t start = STELE__LOCK_PIN_BASE + first, len = *until - first, found = 0, found_len = 0;
        int rc = stele__lock_exclusive(log->lockfd, start, len);
        if (rc == 0)
            return 0;
        if (rc != -EAGAIN && rc != -EACCES)
            return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot lock segments to trim", log->path);
        rc = stele__lock_probe(log->lockfd, start, len, &found, &found_len);
        if (rc < 0)
            return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot look for pins", log->path);
        if (rc == 1) /* gone again otherwise: try again */
            *until = found > start ? first + (found - start) : first;
    }
    return 0;
}

static int move_beginning(struct stele *log, uint64_t until)
{
    struct stele__footer footer;
    int rc = read_footer(log, until - 1, &footer);
    if (rc != 0)
        return rc;
    log->control.first_sequence = until;
    log->control.first_chain = footer.chain_end;
    log->control.first_record = footer.first_record + footer.records;
    log->control.durable = atomic_load(&log->durable);
    for (int block = 0; block < 2; block++) { /* both: an older one would call the dropped segments missing */
        rc = stele__control_write(log);
        if (rc != 0)
            return stele__latch(log, rc);
    }
    atomic_store(&log->live_page->first, stele__base_of(log, until));
    stele__control_bump(log);
    return 0;
}

/* Keep the file for another life when one is wanted. */
static bool recycle(struct stele *log, const char *name)
{
    bool kept = false;
    pthread_mutex_lock(&log->ring_lock);
    if (log->recycle && log->recycled_count < log->spares) {
        char temp[STELE__NAME_MAX];
        stele__name_temp(temp, "recycled", atomic_fetch_add(&log->temp_number, 1));
        kept = log->media.ops->rename(&log->media, log->dirfd, name, temp) == 0;
        if (kept)
            snprintf(log->recycled[log->recycled_count++].name, STELE__NAME_MAX, "%s", temp);
    }
    pthread_mutex_unlock(&log->ring_lock);
    return kept;
}

static int drop_files(struct stele *log, uint64_t from, uint64_t until)
{
    for (uint64_t sequence = from; sequence < until; sequence++) {
        char name[STELE__NAME_MAX];
        stele__name_segment(name, sequence, stele__base_of(log, sequence));
        if (recycle(log, name))
            continue;
        int rc = log->media.ops->unlink(&log->media, log->dirfd, name);
        if (rc == -ENOENT) { /* quarantined: it goes with the rest */
            stele__name_broken(name, sequence, stele__base_of(log, sequence));
            rc = log->media.ops->unlink(&log->media, log->dirfd, name);
        }
        if (rc != 0 && rc != -ENOENT)
            return stele__fail_errno(-rc, "%s/%s: cannot unlink it", log->path, name);
    }
    int rc = log->media.ops->sync_dir(&log->media, log->dirfd);
    if (rc == 0)
        return 0;
    return stele__latch(log, stele__fail_errno(-rc, "%s: cannot sync the directory", log->path));
}

/* Segments are sealed by the helper in its own time. One that is full and durable already is waited for, so
 * that a trim behind a sync drops what its caller can count on. Not under control_lock: sealing takes it. */
static void wait_for_seals(struct stele *log, stele_lsn lsn)
{
    const uint64_t nap_ns = 100 * 1000; /* sealing one small segment takes about as long */
    uint64_t until = stele__sequence_of(log, stele__min_u64(lsn, atomic_load(&log->durable)));
    while (atomic_load(&log->failed) == 0) {
        pthread_mutex_lock(&log->ring_lock);
        bool sealed = log->ring_low >= until;
        pthread_mutex_unlock(&log->ring_lock);
        if (sealed)
            return;
        if (log->helper.inline_only) {
            (void)stele__helper_step(log, false);
        } else {
            stele__helper_wake(log);
            stele__clock_sleep_ns(nap_ns);
        }
    }
}

/* How far may the front go: whole sealed segments before `lsn`, never the newest. */
static uint64_t trim_limit(struct stele *log, stele_lsn lsn)
{
    pthread_mutex_lock(&log->ring_lock);
    uint64_t sealed = log->ring_low;
    pthread_mutex_unlock(&log->ring_lock);
    uint64_t wanted = stele__sequence_of(log, lsn);
    uint64_t newest = stele__sequence_of(log, atomic_load(&log->tail));
    return stele__min_u64(stele__min_u64(wanted, sealed), newest);
}

/* A quarantined segment has none, nor has one behind it whose chain nobody knows. What cannot be read is told when it
 * is needed. */
static bool has_footer(const struct stele *log, uint64_t sequence)
{
    uint8_t pages[2 * STELE__FOOTER_COPY];
    char name[STELE__NAME_MAX];
    stele__name_segment(name, sequence, stele__base_of(log, sequence));
    int fd = stele__file_open(log->dirfd, name, false);
    int rc = fd < 0 ? 0 : stele__file_read(fd, pages, sizeof pages, stele__footer_offset(log->data_bytes));
    stele__file_close(fd);
    return fd != -ENOENT && (fd < 0 || rc != 0 || !stele__is_zero(pages, sizeof pages));
}

static long trim_locked(struct stele *log, stele_lsn lsn)
{
    const uint64_t first = log->control.first_sequence;
    uint64_t until = trim_limit(log, lsn);
    while (until > first && !has_footer(log, until - 1)) /* step back to one to begin behind */
        until--;
    int rc = until > first ? lock_front(log, first, &until) : 0;
    if (rc != 0 || until <= first)
        return rc;
    rc = move_beginning(log, until);
    if (rc == 0)
        rc = drop_files(log, first, until);
    (void)stele__lock_release(log->lockfd, STELE__LOCK_PIN_BASE + first, until - first);
    return rc != 0 ? rc : (long)(until - first);
}

long stele_trim(struct stele *log, stele_lsn lsn, stele_lsn *first)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    if (atomic_load(&log->failed) != 0)
        return stele__fail_latched(log);
    wait_for_seals(log, lsn);
    pthread_mutex_lock(&log->control_lock);
    long dropped = trim_locked(log, lsn);
    if (first != NULL)
        *first = stele__base_of(log, log->control.first_sequence);
    pthread_mutex_unlock(&log->control_lock);
    if (dropped > 0) {
        stele__log(&log->logger, STELE_LOG_INFO, "%s: trimmed %ld segments", log->path, dropped);
        if (!log->helper.inline_only)
            stele__helper_wake(log); /* an attempt that failed on a full disk may succeed now */
    }
    return dropped;
}
