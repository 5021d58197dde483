/* SPDX-License-Identifier: BSD-3-Clause */
/* core/prepare.c: a segment is born under a temporary name, with header and zeroes durable, then named, then
 * the directory is synced. A crash at any point leaves either nothing of the name, or a whole empty segment.
 */
#include "core/prepare.h"

#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

struct stele__index_entry *stele__index_alloc(const struct stele *log)
{
    return calloc((size_t)stele__index_capacity(log->data_bytes), sizeof(struct stele__index_entry));
}

void stele__ring_add(struct stele *log, const struct stele__seg *seg)
{
    pthread_mutex_lock(&log->ring_lock);
    STELE__ASSERT(seg->sequence == log->ring_high && log->ring_high - log->ring_low < STELE__RING);
    log->ring[seg->sequence & (STELE__RING - 1)] = *seg;
    log->ring_high++;
    pthread_mutex_unlock(&log->ring_lock);
}

void stele__ring_retire(struct stele *log)
{
    pthread_mutex_lock(&log->ring_lock);
    STELE__ASSERT(log->ring_low < log->ring_high);
    struct stele__seg *seg = &log->ring[log->ring_low & (STELE__RING - 1)];
    free(seg->index);
    log->media.ops->close(&log->media, &seg->map);
    *seg = (struct stele__seg){0};
    log->ring_low++;
    pthread_mutex_unlock(&log->ring_lock);
}

static bool take_recycled(struct stele *log, char name[STELE__NAME_MAX])
{
    pthread_mutex_lock(&log->ring_lock);
    bool found = log->recycled_count > 0;
    if (found)
        snprintf(name, STELE__NAME_MAX, "%s", log->recycled[--log->recycled_count].name);
    pthread_mutex_unlock(&log->ring_lock);
    return found;
}

/* A file in its next life: every byte zero and durable before it can be named again. The new salt and
 * incarnation are the second line of defence, not the first. */
static int map_recycled(struct stele *log, const char *name, uint64_t bytes, struct stele__map *map)
{
    int rc = log->media.ops->open(&log->media, log->dirfd, name, bytes, map);
    if (rc != 0)
        return rc;
    memset(map->base, 0, bytes);
    rc = stele__persist(log, map, 0, bytes);
    if (rc != 0)
        log->media.ops->close(&log->media, map);
    return rc;
}

/* A full disk may have room later. Any other failed flush, of a header or of a directory, is never tried
 * again: the next one could succeed although nothing reached the device. */
static int fail_flush(struct stele *log, int rc, const char *name)
{
    int code = stele__fail_errno(-rc, "%s/%s: cannot make the new segment durable", log->path, name);
    return code == STELE_ENOSPC ? code : stele__latch(log, code);
}

static int map_new(struct stele *log, char name[STELE__NAME_MAX], uint64_t bytes, struct stele__map *map)
{
    if (take_recycled(log, name)) {
        int rc = map_recycled(log, name, bytes, map);
        if (rc != 0)
            (void)log->media.ops->unlink(&log->media, log->dirfd, name);
        return rc;
    }
    stele__name_temp(name, "new", atomic_fetch_add(&log->temp_number, 1));
    return log->media.ops->create(&log->media, log->dirfd, name, bytes, log->file_mode, map);
}

static void encode_header(struct stele *log, struct stele__map *map, uint64_t sequence, uint32_t incarnation)
{
    struct stele__header header = {.sequence = sequence,
                                   .base = stele__base_of(log, sequence),
                                   .created_ns = stele__clock_realtime_ns(),
                                   .salt = stele__salt(log->uuid, incarnation),
                                   .incarnation = incarnation,
                                   .data_log2 = log->data_log2,
                                   .metadata_bytes = log->metadata_bytes};
    memcpy(header.uuid, log->uuid, sizeof header.uuid);
    if (log->metadata_bytes > 0)
        memcpy(header.metadata, log->metadata, log->metadata_bytes);
    stele__header_encode(map->base, &header);
}

/* Header durable, then the name, then the directory. On failure nothing of the file stays, as far as that is
 * possible. */
static int name_segment(struct stele *log, const char *temp, const char *name, struct stele__map *map)
{
    const struct stele__media_ops *ops = log->media.ops;
    int rc = stele__persist(log, map, 0, STELE__HEADER_BYTES);
    if (rc == 0)
        rc = ops->rename(&log->media, log->dirfd, temp, name);
    if (rc == 0) {
        rc = ops->sync_dir(&log->media, log->dirfd);
        temp = name;
    }
    if (rc != 0)
        (void)ops->unlink(&log->media, log->dirfd, temp);
    return rc;
}

int stele__prepare_next(struct stele *log)
{
    const uint64_t sequence = log->ring_high;
    const uint64_t bytes = stele__segment_file_bytes(log->data_bytes);
    char temp[STELE__NAME_MAX], name[STELE__NAME_MAX];
    stele__name_segment(name, sequence, stele__base_of(log, sequence));
    if (log->incarnation == UINT32_MAX)
        return stele__fail(STELE_EINVAL,
                           "%s: 2^32 segments were prepared, salts would repeat; start a new log", log->path);
    struct stele__seg seg = {.sequence = sequence, .index = stele__index_alloc(log)};
    if (seg.index == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for the index of %s", log->path, name);
    int rc = map_new(log, temp, bytes, &seg.map);
    if (rc != 0) {
        free(seg.index);
        return stele__fail_errno(-rc, "%s/%s: cannot allocate %llu bytes", log->path, name,
                                 (unsigned long long)bytes);
    }
    seg.incarnation = ++log->incarnation;
    seg.salt = stele__salt(log->uuid, seg.incarnation);
    seg.data = seg.map.base + STELE__HEADER_BYTES;
    encode_header(log, &seg.map, sequence, seg.incarnation);
    rc = name_segment(log, temp, name, &seg.map);
    if (rc != 0) {
        free(seg.index);
        log->media.ops->close(&log->media, &seg.map);
        return fail_flush(log, rc, name);
    }
    log->media.ops->populate(&log->media, &seg.map, STELE__HEADER_BYTES, log->data_bytes);
    stele__ring_add(log, &seg);
    return 0;
}
