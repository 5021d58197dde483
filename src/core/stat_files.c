/* SPDX-License-Identifier: BSD-3-Clause */
/* core/stat_files.c: what the files of a log say about it: counts, and the table of segments. */
#include "core/stat.h"

#include "base/error.h"
#include "format/walk.h"
#include "os/file.h"
#include "os/view.h"

#include <errno.h>
#include <stdio.h>

bool stele__stat_is_part(struct stele__scan *scan, const struct stele__found *found)
{
    return stele__scan_find(scan, found->sequence) == found;
}

static bool vanished(const struct stele__scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->found[i].io_error == -ENOENT)
            return true;
    return false;
}

int stele__stat_scan(struct stele *log, struct stele__scan *scan)
{
    enum { TRIES_MAX = 8 }; /* trims are rarer than scans by far */
    int rc = stele__scan(scan, log->dirfd, log->path);
    for (int tries = 1; rc == 0 && vanished(scan) && tries < TRIES_MAX; tries++) {
        stele__scan_free(scan);
        rc = stele__scan(scan, log->dirfd, log->path);
    }
    return rc;
}

/* True: the segment is full, go on with the next. */
static bool walk_segment(struct stele__walk *walk, stele_lsn limit, struct stele__count *out)
{
    struct stele__record record;
    struct stele__mark mark;
    enum stele__step step = STELE__WALK_RECORD;
    while (walk->at < limit && step == STELE__WALK_RECORD) {
        step = stele__walk_next(walk, &record, &mark);
        if (step == STELE__WALK_RECORD && record.wire == STELE__WIRE_MARK && out->open_time_ns == 0)
            out->open_time_ns = mark.time_ns;
    }
    out->records += walk->records;
    out->published = walk->at;
    return step == STELE__WALK_END;
}

/* `*go_on`: everything up to the end of this segment was counted. */
static int count_segment(struct stele__scan *scan, const struct stele__found *found, stele_lsn limit,
                         uint8_t *image, struct stele__count *out, bool *go_on)
{
    const uint64_t data_bytes = UINT64_C(1) << scan->data_log2;
    *go_on = found->sealed;
    if (found->sealed) {
        out->records += found->footer.records;
        out->published = found->footer.end;
        return 0;
    }
    int rc = stele__scan_load(scan, found, image);
    if (rc != 0) {
        char name[STELE__NAME_MAX];
        stele__found_name(found, name);
        return stele__fail_errno(-rc, "%s/%s: cannot read it", scan->path, name);
    }
    if (out->open_sequence == UINT64_MAX)
        out->open_sequence = found->sequence;
    const struct stele__area area = {.data = image,
                                     .bytes = data_bytes,
                                     .base = found->base,
                                     .salt = found->salt,
                                     .record_max = stele__record_max(data_bytes)};
    struct stele__walk walk;
    stele__walk_start(&walk, &area);
    *go_on = walk_segment(&walk, limit, out);
    return 0;
}

int stele__stat_walk(struct stele__scan *scan, uint64_t first, stele_lsn limit, struct stele__count *out)
{
    *out = (struct stele__count){
        .first = first, .published = first << scan->data_log2, .open_sequence = UINT64_MAX};
    const uint64_t data_bytes = UINT64_C(1) << scan->data_log2;
    uint8_t *image = stele__image_alloc(data_bytes);
    if (image == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for the image of a segment", scan->path);
    int rc = 0;
    bool go_on = true;
    for (uint64_t s = first; rc == 0 && go_on && s << scan->data_log2 < limit; s++) {
        const struct stele__found *found = stele__scan_find(scan, s);
        if (found == NULL && stele__scan_is_broken(scan, s))
            out->published = (s + 1) << scan->data_log2;
        else if (found == NULL || !stele__found_readable(found))
            go_on = false;
        else
            rc = count_segment(scan, found, limit, image, out, &go_on);
    }
    stele__image_free(image, data_bytes);
    return rc;
}

/* Has anything been written to it? A slot that is only reserved shows in a writer's tail. */
static bool holds_records(struct stele *log, const struct stele__found *found, const char *name)
{
    uint64_t word = 0;
    if (!log->read_only && found->base < stele_tail(log))
        return true;
    int fd = stele__file_open(log->dirfd, name, false);
    int rc = fd < 0 ? fd : stele__file_read(fd, &word, sizeof word, STELE__HEADER_BYTES);
    stele__file_close(fd);
    return rc == 0 && word != 0;
}

static void describe(struct stele *log, const struct stele__found *found, struct stele_segment_stat *out)
{
    *out = (struct stele_segment_stat){.sequence = found->sequence,
                                       .base_lsn = found->base,
                                       .incarnation = found->incarnation,
                                       .file_bytes = found->file_bytes,
                                       .disk_bytes = found->disk_bytes};
    stele__found_name(found, out->name);
    if (found->broken) {
        out->state = STELE_SEGMENT_BROKEN;
    } else if (found->sealed) {
        out->state = STELE_SEGMENT_SEALED;
        out->records = found->footer.records;
        out->first_time_ns = found->footer.first_time_ns;
        out->last_time_ns = found->footer.last_time_ns;
    } else {
        out->state = holds_records(log, found, out->name) ? STELE_SEGMENT_ACTIVE : STELE_SEGMENT_SPARE;
    }
}

long stele_stat_segments(struct stele *log, struct stele_segment_stat *out, size_t count)
{
    if (out == NULL && count > 0)
        return stele__fail(STELE_EINVAL, "%s: nowhere to put %zu segments", log->path, count);
    struct stele__scan scan;
    int rc = stele__stat_scan(log, &scan);
    long found = 0;
    for (size_t i = 0; rc == 0 && i < scan.count; i++) {
        if (!scan.found[i].broken && !stele__stat_is_part(&scan, &scan.found[i]))
            continue;
        if ((size_t)found < count)
            describe(log, &scan.found[i], &out[found]);
        found++;
    }
    stele__scan_free(&scan);
    return rc != 0 ? rc : found;
}
