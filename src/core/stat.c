/* SPDX-License-Identifier: BSD-3-Clause */
/* core/stat.c: figures about a log, for people and for metrics. Looks at the directory anew at each call;
 * changes nothing. On a writer it takes commit leadership for the moment in which it counts what is
 * published and not committed yet: struct stele__commit has one reader at a time. */
#include "core/stat.h"

#include "base/error.h"
#include "core/commit.h"
#include "core/owner.h"
#include "core/sized.h"
#include "core/sync.h"
#include "core/tail.h"
#include "os/file.h"
#include "os/lock.h"

#include <errno.h>
#include <stdio.h>

/* Leadership, waited for: a leader at the device is done in milliseconds, and wakes those who wait. */
static void lead(struct stele *log)
{
    const int64_t look_again_ns = 10 * 1000 * 1000;
    while (!stele__commit_lead(log))
        (void)stele__sync_follow(log, STELE_LSN_NONE, true, look_again_ns);
}

/* Data records before the end of what is published, and that end, as the leader would find them. */
static void count_published(struct stele *log, struct stele__count *out)
{
    lead(log);
    const struct stele__commit *commit = &log->commit;
    stele_lsn limit = stele__min_u64(atomic_load_explicit(&log->tail, memory_order_relaxed),
                                     atomic_load_explicit(&log->ready, memory_order_acquire)); /* [P3] */
    stele_lsn at = commit->frontier;
    uint64_t number = commit->record_number;
    while (at < limit) {
        uint64_t word = stele__tail_peek(log, at);
        if (word == 0)
            break;
        uint8_t wire = stele__word_wire(word);
        number += stele__wire_is_data(wire) ? 1 : 0;
        at += wire == STELE__WIRE_FILL ? 8 : stele__record_bytes(stele__word_len(word));
    }
    /* The oldest segment that is mapped: once the frontier has entered it, its first time is known. */
    pthread_mutex_lock(&log->ring_lock);
    out->open_sequence = log->ring_low;
    bool entered = log->ring_low < log->ring_high && stele__base_of(log, log->ring_low) < commit->frontier;
    out->open_time_ns = entered ? log->ring[log->ring_low & (STELE__RING - 1)].first_time_ns : 0;
    pthread_mutex_unlock(&log->ring_lock);
    stele__commit_resign(log);
    out->published = at;
    out->number = number;
}

static uint64_t first_of(struct stele *log, uint64_t *first_record)
{
    pthread_mutex_lock(&log->control_lock);
    uint64_t first = log->control.first_sequence;
    *first_record = log->control.first_record;
    pthread_mutex_unlock(&log->control_lock);
    return first;
}

/* A trim in the middle would count records that are gone: then again. */
static void count_writer(struct stele *log, struct stele__count *out)
{
    uint64_t first_record, again;
    do {
        out->first = first_of(log, &first_record);
        count_published(log, out);
        out->records = out->number - first_record;
    } while (first_of(log, &again) != out->first);
}

static bool is_quarantined(const struct stele__scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->found[i].broken)
            return true;
    return false;
}

static int count(struct stele *log, struct stele__scan *scan, struct stele__count *out)
{
    if (!log->read_only) {
        count_writer(log, out);
        if (out->records == 0 || !is_quarantined(scan))
            return 0;
        /* Record numbers go on over a quarantined segment: what is really there must be counted one by
         * one. */
        struct stele__count walked;
        int rc = stele__stat_walk(scan, out->first, out->published, &walked);
        out->records = walked.records;
        return rc;
    }
    uint64_t first = stele__sequence_of(log, stele_first(log));
    return stele__stat_walk(scan, first, STELE_LSN_NONE, out);
}

static void take_files(struct stele__scan *scan, const struct stele__count *counted, struct stele_stat *out)
{
    for (size_t i = 0; i < scan->count; i++) {
        const struct stele__found *found = &scan->found[i];
        if (found->sequence < counted->first || !stele__stat_is_part(scan, found))
            continue;
        out->segments++;
        out->file_bytes += found->file_bytes;
        out->disk_bytes += found->disk_bytes;
        if (out->oldest_time_ns == 0 && found->sealed)
            out->oldest_time_ns = found->footer.first_time_ns;
        else if (out->oldest_time_ns == 0 && found->sequence == counted->open_sequence)
            out->oldest_time_ns = counted->open_time_ns;
    }
}

static int take_metadata(struct stele *log, const struct stele__scan *scan, struct stele_stat *out)
{
    size_t i = scan->count;
    while (i > 0 && !stele__found_readable(&scan->found[i - 1]))
        i--;
    if (i == 0)
        return 0;
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint32_t copies;
    char name[STELE__NAME_MAX];
    stele__found_name(&scan->found[i - 1], name);
    int fd = stele__file_open(log->dirfd, name, false);
    int rc = fd < 0 ? fd : stele__file_read(fd, page, sizeof page, 0);
    stele__file_close(fd);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/%s: cannot read its header", log->path, name);
    if (stele__header_decode(page, &header, &copies) != STELE__DECODE_OK)
        return 0;
    out->metadata_bytes = header.metadata_bytes;
    memcpy(out->metadata, header.metadata, header.metadata_bytes);
    return 0;
}

/* Distinct segments on which anybody holds a lease. With a descriptor of its own, so that this process's own
 * pins are seen like all others. */
static int take_pins(struct stele *log, const struct stele__scan *scan, struct stele_stat *out)
{
    out->pinned_lsn = STELE_LSN_NONE;
    int fd = stele__file_open(log->dirfd, STELE__LOCK_NAME, false);
    if (fd == -ENOENT || scan->count == 0) {
        stele__file_close(fd);
        return 0;
    }
    if (fd < 0)
        return stele__fail_errno(-fd, "%s/" STELE__LOCK_NAME ": cannot open it", log->path);
    uint64_t at = STELE__LOCK_PIN_BASE + stele__sequence_of(log, out->first_lsn);
    const uint64_t end = STELE__LOCK_PIN_BASE + scan->found[scan->count - 1].sequence + 1;
    int rc = 0;
    while (at < end) {
        uint64_t start = 0, len = 0;
        rc = stele__lock_probe(fd, at, end - at, &start, &len);
        if (rc != 1)
            break;
        /* A range that somebody holds may begin before the question and reach beyond it. */
        uint64_t from = stele__max_u64(start, at), to = stele__min_u64(start + len, end);
        if (out->pins == 0)
            out->pinned_lsn = stele__base_of(log, from - STELE__LOCK_PIN_BASE);
        out->pins += to - from;
        at = to;
    }
    stele__file_close(fd);
    if (rc < 0)
        return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot look for pins", log->path);
    return 0;
}

static int take_owner(struct stele *log, struct stele_stat *out)
{
    struct stele__owner owner;
    int held = stele__owner_read(log->dirfd, &owner);
    if (held < 0)
        return stele__fail_errno(-held, "%s/" STELE__LOCK_NAME ": cannot look for a writer", log->path);
    out->writer_alive = held;
    out->writer_pid = owner.pid;
    out->writer_start_ns = owner.start_ns;
    return 0;
}

static void take_constants(struct stele *log, struct stele_stat *out)
{
    out->segment_bytes = log->data_bytes;
    out->created_ns = log->created_ns;
    out->failed = atomic_load_explicit(&log->failed, memory_order_acquire);
    memcpy(out->uuid, log->uuid, sizeof out->uuid);
    _Static_assert((int)STELE__MEDIA_PMEM == (int)STELE_DURABILITY_PMEM &&
                       (int)STELE__MEDIA_MSYNC == (int)STELE_DURABILITY_MSYNC &&
                       (int)STELE__MEDIA_NONE == (int)STELE_DURABILITY_NONE,
                   "back-ends and durability classes have the same numbers");
}

/* A writer's own back-end; for a reader that of the writer at work, else what auto would pick. */
static void take_class(struct stele *log, struct stele_stat *out)
{
    static const char *const names[] = {"unknown", "pmem", "msync", "none"};
    enum stele__media_class own = log->media.class_;
    uint32_t live = atomic_load_explicit(&log->live_page->media_class, memory_order_acquire);
    bool others =
        log->read_only && out->writer_alive == 1 && live >= STELE__MEDIA_PMEM && live <= STELE__MEDIA_NONE;
    uint32_t in_force = others ? live : (uint32_t)own;
    out->durability = (enum stele_durability)(int)in_force;
    snprintf(out->durability_name, sizeof out->durability_name, "%s", names[in_force]);
    if (others && in_force != (uint32_t)own)
        snprintf(out->durability_reason, sizeof out->durability_reason, "%s: chosen by the writer at work",
                 names[in_force]);
    else
        snprintf(out->durability_reason, sizeof out->durability_reason, "%.140s%s", log->media.reason,
                 log->read_only && !others ? " (auto would pick it: no writer is at work)" : "");
}

/* What the files say. A trim may take one of them between the list and the look at it: then all of it again. */
static int look_at_files(struct stele *log, struct stele__scan *scan, struct stele__count *counted,
                         struct stele_stat *out)
{
    enum { TRIES_MAX = 8 }; /* trims are rarer than scans by far */
    for (int tries = 1;; tries++) {
        int rc = stele__stat_scan(log, scan);
        if (rc == 0)
            rc = count(log, scan, counted);
        if (rc == 0)
            rc = take_metadata(log, scan, out);
        if (rc != STELE_ENOENT || tries == TRIES_MAX)
            return rc;
        stele__scan_free(scan);
    }
}

int stele_stat(struct stele *log, struct stele_stat *out)
{
    int rc = stele__sized_check(out, "struct stele_stat");
    if (rc != 0)
        return rc;
    struct stele_stat own = {.size = sizeof own};
    struct stele__scan scan;
    struct stele__count counted = {0};
    /* The durable point first: what is published then reaches at least as far. */
    own.durable_lsn = stele_durable(log);
    rc = look_at_files(log, &scan, &counted, &own);
    own.first_lsn = stele__base_of(log, counted.first);
    if (rc == 0)
        rc = take_pins(log, &scan, &own);
    if (rc == 0)
        rc = take_owner(log, &own);
    if (rc == 0) {
        own.published_lsn = counted.published;
        own.records = counted.records;
        take_files(&scan, &counted, &own);
        take_constants(log, &own);
        take_class(log, &own);
        stele__sized_out(out, &own, sizeof own);
    }
    stele__scan_free(&scan);
    return rc;
}
