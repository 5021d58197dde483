/* SPDX-License-Identifier: BSD-3-Clause */
/* core/cursor_enter.c: from one segment into another. Pin first, then map: a trimmer locks what it drops, so
 * a segment that is pinned and still has its name stays. */
#include "core/cursor.h"

#include "os/file.h"

#include <errno.h>

static int fail_segment(const struct stele *log, int code, const char *name, const char *what)
{
    return stele__fail(code, "%s/%s: offset 0: %s; see 'stele verify %s'", log->path, name, what, log->path);
}

/* A quarantined segment counts by the sequence in its name alone. */
struct quarantined {
    uint64_t sequence;
    char *name; /* STELE__NAME_MAX bytes */
};

static int note_quarantined(void *ctx, const char *name)
{
    const struct quarantined *wanted = ctx;
    uint64_t sequence;
    stele_lsn base;
    if (stele__name_parse(name, &sequence, &base) != STELE__NAME_BROKEN || sequence != wanted->sequence)
        return 0;
    stele__name_broken(wanted->name, sequence, base);
    return 1;
}

/* The whole directory is looked through only where something has to be: the end of a log is polled. */
static bool find_quarantined(const struct stele *log, uint64_t sequence, char name[STELE__NAME_MAX])
{
    stele__name_broken(name, sequence, stele__base_of(log, sequence));
    if (stele__file_exists(log->dirfd, name))
        return true;
    return stele__base_of(log, sequence) < stele_tail(log) &&
           stele__dir_each(log->dirfd, note_quarantined,
                           &(struct quarantined){.sequence = sequence, .name = name}) == 1;
}

/* There is no such file: why? */
static int explain_absence(struct stele_cursor *cursor, uint64_t sequence, const char *name)
{
    struct stele *log = cursor->log;
    stele_lsn base = stele__base_of(log, sequence);
    if (base < stele_first(log))
        return stele__fail(STELE_ETRIMMED, "%s: lsn %llu lies before the first one, %llu", log->path,
                           (unsigned long long)base, (unsigned long long)stele_first(log));
    char broken[STELE__NAME_MAX];
    if (find_quarantined(log, sequence, broken))
        return stele__fail(
            STELE_EGAP, "%s/%s: the records from lsn %llu to %llu were quarantined by a repair", log->path,
            broken, (unsigned long long)base, (unsigned long long)stele__base_of(log, sequence + 1));
    if (stele_durable(log) <= base)
        return 0;
    if (stele__file_exists(log->dirfd, name)) /* prepared, and written to, since we looked */
        return stele__cursor_enter(cursor, sequence);
    return fail_segment(log, STELE_ECORRUPT, name,
                        "the segment is missing, although records in it had been durable");
}

static int check_header(struct stele *log, const struct stele__view *view, uint64_t sequence,
                        const char *name, struct stele__header *header)
{
    uint32_t copies;
    if (stele__header_decode(view->base, header, &copies) != STELE__DECODE_OK)
        return fail_segment(log, STELE_ECORRUPT, name, "the header cannot be read");
    if (memcmp(header->uuid, log->uuid, sizeof log->uuid) != 0 || header->sequence != sequence ||
        header->data_log2 != log->data_log2)
        return fail_segment(log, STELE_ECORRUPT, name, "the segment belongs to another log or place");
    return 0;
}

static void adopt(struct stele_cursor *cursor, struct stele__view *view, const struct stele__header *header)
{
    struct stele *log = cursor->log;
    uint32_t copies;
    stele__view_close(&cursor->view);
    cursor->view = *view;
    cursor->sequence = header->sequence;
    cursor->area = (struct stele__area){.data = view->base + STELE__HEADER_BYTES,
                                        .bytes = log->data_bytes,
                                        .base = header->base,
                                        .salt = header->salt,
                                        .record_max = log->record_max};
    cursor->sealed = stele__footer_find(view->base + stele__footer_offset(log->data_bytes), header,
                                        &cursor->footer, &copies);
}

int stele__cursor_enter(struct stele_cursor *cursor, uint64_t sequence)
{
    struct stele *log = cursor->log;
    const struct stele_pin *pin = &cursor->pin; /* it may have moved on to a segment that was not there */
    if (cursor->view.base != NULL && cursor->sequence == sequence && pin->held && pin->sequence == sequence &&
        !stele__guard_lost(cursor->view.guard)) /* else it is mapped again, if it is whole again */
        return 1;
    int rc = stele__pin_move(&cursor->pin, sequence);
    if (rc != 0)
        return rc;
    char name[STELE__NAME_MAX];
    stele__name_segment(name, sequence, stele__base_of(log, sequence));
    struct stele__view view;
    rc = stele__view_open(log->dirfd, name, stele__segment_file_bytes(log->data_bytes), false, &view);
    if (rc == -ENOENT)
        return explain_absence(cursor, sequence, name);
    if (rc == -ENODATA)
        return fail_segment(log, STELE_ECORRUPT, name, "the file has the wrong size");
    if (stele__file_is_irregular(rc))
        return fail_segment(log, STELE_ECORRUPT, name, "a directory, link or device stands in its place");
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/%s: cannot map it", log->path, name);
    struct stele__header header;
    rc = check_header(log, &view, sequence, name, &header);
    if (rc != 0) {
        stele__view_close(&view);
        return rc;
    }
    adopt(cursor, &view, &header);
    if (STELE__UNLIKELY(stele__guard_lost(cursor->view.guard)))
        return stele__cursor_fail_lost(cursor);
    return 1;
}
