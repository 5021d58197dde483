/* SPDX-License-Identifier: BSD-3-Clause */
/* core/backup.c: copy a log, live or not, up to its durable point. Invariant: everything copied lies below
 * a point that was durable before the first byte was read, and is never written again, so that no lock is
 * needed but the pin that holds off trims. The control file comes last: a copy without one is unfinished,
 * and says so. */
#include "base/error.h"
#include "core/copy.h"
#include "core/look.h"
#include "core/repair.h"
#include "format/chain.h"
#include "os/file.h"
#include "os/media.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The owner must be able to write what he has just made, whatever the source's directory says. */
#define DIR_MODE_MIN 0700

struct backup {
    struct stele__look look; /* of the source */
    const char *dest;
    int destfd;
    bool made; /* the directory is ours */
    stele_lsn end;
};

static int fail_source(const struct backup *b, const char *name, int err)
{
    return stele__fail_errno(-err, "%s/%s: cannot read it for the copy", b->look.path, name);
}

static int fail_dest(const struct backup *b, const char *name, int err)
{
    return stele__fail_errno(-err, "%s/%s: cannot write the copy", b->dest, name);
}

/* Index and footer, if they are whole right now. A segment that is being sealed, or whose footer is
 * damaged, is copied without: it is full, and a reader walks it instead. */
static int copy_seal(const struct backup *b, const char *name, const struct stele__header *header, int from,
                     int to)
{
    const uint64_t data_bytes = UINT64_C(1) << header->data_log2;
    const uint64_t offset = stele__index_offset(data_bytes);
    const size_t bytes = (size_t)(stele__segment_file_bytes(data_bytes) - offset);
    uint8_t *seal = malloc(bytes);
    if (seal == NULL)
        return stele__fail(STELE_ENOMEM, "%s/%s: no memory for its index", b->look.path, name);
    uint8_t *pages = seal + bytes - 2 * STELE__FOOTER_COPY;
    struct stele__footer footer;
    uint32_t copies;
    int rc = stele__file_read(from, seal, bytes, offset);
    if (rc != 0)
        rc = fail_source(b, name, rc);
    else if (stele__footer_decode(pages, &footer, &copies) == STELE__DECODE_OK &&
             stele__footer_fits(&footer, header) &&
             stele__hash64(seal, (size_t)(footer.index_entries * STELE__INDEX_ENTRY)) == footer.index_hash) {
        stele__footer_encode(pages, &footer);
        rc = stele__file_write(to, seal, bytes, offset);
        rc = rc == 0 ? 0 : fail_dest(b, name, rc);
    }
    free(seal);
    return rc;
}

static int copy_records(const struct backup *b, const char *name, int from, int to)
{
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    int rc = stele__file_read(from, page, sizeof page, 0);
    if (rc != 0)
        return fail_source(b, name, rc);
    if (!stele__copy_header(page, &header))
        return stele__fail(STELE_ECORRUPT, "%s/%s: offset 0: the header cannot be read any more",
                           b->look.path, name);
    const uint64_t data_bytes = UINT64_C(1) << header.data_log2;
    const uint64_t wanted = stele__min_u64(b->end > header.base ? b->end - header.base : 0, data_bytes);
    rc = stele__file_write(to, page, sizeof page, 0);
    if (rc == 0)
        rc = stele__copy_range(from, to, STELE__HEADER_BYTES, wanted, STELE__HEADER_BYTES);
    if (rc != 0)
        return fail_dest(b, name, rc);
    return wanted == data_bytes ? copy_seal(b, name, &header, from, to) : 0;
}

/* Of something that has a quarantined segment's name and is no regular file (a link, say) nothing counts but the
 * name: it owns up to the gap, and an empty file does so as well. */
static int copy_name(const struct backup *b, const char *name)
{
    int fd = stele__file_create(b->destfd, name, stele__copy_control_mode(b->look.dirfd));
    stele__file_close(fd);
    return fd < 0 ? fail_dest(b, name, fd) : 0;
}

/* A quarantined segment is copied byte by byte, whatever is in it. */
static int copy_file(const struct backup *b, const struct stele__found *found)
{
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    if (found->broken && stele__file_is_irregular(found->io_error))
        return copy_name(b, name);
    const uint64_t bytes =
        found->broken ? found->file_bytes : stele__segment_file_bytes(UINT64_C(1) << b->look.scan.data_log2);
    int from = stele__file_open(b->look.dirfd, name, false);
    if (from < 0)
        return fail_source(b, name, from);
    mode_t mode;
    int to = stele__file_mode(from, &mode);
    if (to == 0)
        to = stele__copy_create(b->destfd, name, bytes, mode);
    int rc = to < 0 ? fail_dest(b, name, to) : 0;
    if (rc == 0 && !found->broken) {
        rc = copy_records(b, name, from, to);
    } else if (rc == 0) {
        int err = stele__copy_range(from, to, 0, bytes, 0);
        rc = err == 0 ? 0 : fail_dest(b, name, err);
    }
    if (rc == 0) {
        int err = stele__file_datasync(to);
        rc = err == 0 ? 0 : fail_dest(b, name, err);
    }
    stele__file_close(to);
    stele__file_close(from);
    return rc;
}

/* What belongs to the log before `end`, quarantined segments included: without them there would be a hole
 * that nobody owns up to. Of a segment that begins exactly there, the header: it carries the metadata. */
static bool is_wanted(struct backup *b, const struct stele__found *found)
{
    const stele_lsn base = found->sequence << b->look.scan.data_log2; /* by its sequence: a gap may have an odd name */
    if (found->sequence < b->look.examined.first_sequence || base > b->end)
        return false;
    if (found->broken)
        return base < b->end;
    return stele__scan_find(&b->look.scan, found->sequence) == found && stele__found_readable(found);
}

static int copy_all(struct backup *b)
{
    struct stele__scan *scan = &b->look.scan;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < scan->count; i++)
        if (is_wanted(b, &scan->found[i]))
            rc = copy_file(b, &scan->found[i]);
    if (rc != 0)
        return rc;
    int err = stele__dir_sync(b->destfd);
    if (err == 0) {
        struct stele__control control = scan->control;
        control.durable = b->end;
        control.flags &= (uint8_t)~STELE__CONTROL_UNSYNCED; /* the copy is */
        control.incarnation = b->look.examined.max_incarnation;
        err = stele__copy_control(b->destfd, &control, stele__copy_control_mode(b->look.dirfd));
    }
    return err == 0 ? 0 : fail_dest(b, STELE__CONTROL_NAME, err);
}

/* Reads every byte back: damage that was copied faithfully, or that a bad disk made, is found while the
 * source is still there. */
static int check_copy(const struct backup *b)
{
    struct stele__look look;
    int rc = stele__look_open(&look, b->dest);
    if (rc == 0)
        rc = stele__look_run(&look, true, 1);
    if (rc == 0 && (look.examined.verdict != STELE_CLEAN || look.examined.end != b->end))
        rc = stele__fail(
            STELE_ECORRUPT,
            "%s: the copy is not sound, so the log is not (see 'stele verify'); the copy was removed: %s",
            b->look.path, look.examined.worst);
    stele__look_close(&look);
    return rc;
}

/* What is in the directory that the copy shall go to. */
struct inside {
    bool any, control, other; /* other: what no backup makes */
};

static int note_inside(void *ctx, const char *name)
{
    struct inside *inside = ctx;
    uint64_t sequence;
    stele_lsn base;
    enum stele__name_kind kind = stele__name_parse(name, &sequence, &base);
    inside->any = true;
    inside->control |= kind == STELE__NAME_CONTROL;
    inside->other |= kind == STELE__NAME_FOREIGN || kind == STELE__NAME_LOCK;
    return 0;
}

static int open_dest(struct backup *b)
{
    if (stele__repair_is_inside(b->look.path, b->dest))
        return stele__fail(STELE_EINVAL,
                           "%s: a copy must not be kept in the log itself: name a directory outside it",
                           b->dest);
    mode_t mode = 0;
    (void)stele__file_mode(b->look.dirfd, &mode);
    int rc = stele__dir_make(b->dest, mode | DIR_MODE_MIN);
    b->made = rc == 0;
    if (rc != 0 && rc != -EEXIST)
        return stele__fail_errno(-rc, "%s: cannot make the directory", b->dest);
    b->destfd = stele__dir_open(b->dest);
    if (b->destfd == -ENOTDIR)
        return stele__fail(STELE_EEXIST, "%s: exists, and is no directory", b->dest);
    if (b->destfd < 0)
        return stele__fail_errno(-b->destfd, "%s: cannot open the directory", b->dest);
    struct inside inside = {0};
    rc = stele__dir_each(b->destfd, note_inside, &inside);
    if (rc < 0)
        return stele__fail_errno(-rc, "%s: cannot list the directory", b->dest);
    if (inside.any && !inside.control && !inside.other)
        return stele__fail(
            STELE_EEXIST,
            "%s: holds a copy that was never finished (segments without a control file, which comes "
            "last): delete the directory and run this again, or name another one",
            b->dest);
    if (inside.any)
        return stele__fail(STELE_EEXIST, "%s: the directory is not empty; a copy needs a new one", b->dest);
    return 0;
}

static int remove_one(void *ctx, const char *name)
{
    (void)stele__media_file_unlink(NULL, *(int *)ctx, name);
    return 0;
}

/* The directory was empty when we came, so what is in it is ours. Keeps the message of what went wrong. */
static int undo(struct backup *b, int code)
{
    char text[STELE__ERROR_MAX];
    snprintf(text, sizeof text, "%s", stele_last_error());
    (void)stele__dir_each(b->destfd, remove_one, &b->destfd);
    if (b->made)
        (void)stele__dir_remove(b->dest);
    return stele__fail(code, "%s", text);
}

static int run(struct backup *b)
{
    int rc = stele__look_run(&b->look, false, 1);
    if (rc != 0)
        return rc;
    const struct stele__examined *facts = &b->look.examined;
    if (facts->verdict == STELE_CORRUPT)
        return stele__fail(STELE_ECORRUPT,
                           "%s; a damaged log is not copied: look with 'stele verify', mend with "
                           "'stele repair'",
                           facts->worst);
    /* Without a writer everything valid counts: it is what the next writer would go on from. */
    b->end = b->look.live ? facts->vouched : facts->end;
    rc = open_dest(b);
    if (rc != 0 && !b->made)
        return rc; /* what is in it is not ours */
    if (rc == 0)
        rc = copy_all(b);
    if (rc == 0)
        rc = check_copy(b);
    return rc == 0 ? 0 : undo(b, rc);
}

int stele_backup(const char *path, const char *dest, stele_lsn *end)
{
    struct backup b = {.dest = dest, .destfd = -1};
    if (dest == NULL || dest[0] == '\0')
        return stele__fail(STELE_EINVAL, "a copy needs the path of its new directory");
    int rc = stele__look_open(&b.look, path);
    if (rc != 0)
        return rc;
    rc = run(&b);
    if (rc == 0 && end != NULL)
        *end = b.end;
    stele__file_close(b.destfd);
    stele__look_close(&b.look);
    return rc;
}
