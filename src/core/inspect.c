/* SPDX-License-Identifier: BSD-3-Clause */
/* core/inspect.c: show the structure of a log's directory, or of one file. Quarantined segments are shown
 * when they are named themselves. */
#include "core/inspect.h"

#include "base/error.h"
#include "format/name.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static int judge_header(const struct stele__inspection *in, enum stele__decode header, bool named)
{
    if (header == STELE__DECODE_OK)
        return 0;
    if (header == STELE__DECODE_VERSION)
        return stele__fail(
            STELE_EVERSION,
            "%s: %s: offset 8: another format version or an unknown feature; this library reads "
            "version %d",
            in->path, in->segment, STELE_FORMAT_VERSION);
    if (header == STELE__DECODE_MAGIC && !named)
        return stele__fail(STELE_ENOTLOG, "%s: neither a log's directory nor a segment file", in->path);
    return stele__fail(STELE_ECORRUPT, "%s: %s: offset 0: the header cannot be read: %s; see 'stele verify'",
                       in->path, in->segment, stele__decode_name(header));
}

static int inspect_file(const char *path, stele_item_fn *fn, void *ctx)
{
    const char *slash = strrchr(path, '/');
    struct stele__inspection in = {
        .fn = fn, .ctx = ctx, .path = path, .segment = slash != NULL ? slash + 1 : path};
    in.fd = stele__file_open(AT_FDCWD, path, false);
    if (in.fd < 0)
        return stele__fail_errno(-in.fd, "%s: cannot open it", path);
    enum stele__decode header;
    int rc = stele__inspect_segment(&in, &header);
    stele__file_close(in.fd);
    uint64_t sequence;
    stele_lsn base;
    enum stele__name_kind kind = stele__name_parse(in.segment, &sequence, &base);
    return rc != 0 ? rc
                   : judge_header(&in, header, kind == STELE__NAME_SEGMENT || kind == STELE__NAME_BROKEN);
}

struct listing {
    struct place {
        uint64_t sequence;
        stele_lsn base;
    } * places;
    size_t count, capacity;
    bool control;
};

static int note_name(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct place place;
    enum stele__name_kind kind = stele__name_parse(name, &place.sequence, &place.base);
    listing->control |= kind == STELE__NAME_CONTROL;
    if (kind != STELE__NAME_SEGMENT)
        return 0; /* quarantined ones are shown when they are named */
    if (listing->count == listing->capacity) {
        size_t wanted = listing->capacity == 0 ? 64 : listing->capacity * 2;
        struct place *grown = realloc(listing->places, wanted * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        listing->places = grown;
        listing->capacity = wanted;
    }
    listing->places[listing->count++] = place;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return x->base < y->base ? -1 : x->base > y->base;
}

/* Every segment, oldest first. One that cannot be opened, or whose header cannot be read, does not keep the others
 * from being shown. */
static int show_all(struct stele__inspection *in, int dirfd, const struct listing *listing)
{
    int verdict = 0;
    for (size_t i = 0; i < listing->count; i++) {
        char name[STELE__NAME_MAX];
        stele__name_segment(name, listing->places[i].sequence, listing->places[i].base);
        in->segment = name;
        in->fd = stele__file_open(dirfd, name, false);
        if (in->fd == -ENOENT)
            continue; /* trimmed since it was listed */
        if (in->fd < 0) {
            verdict = verdict != 0 ? verdict : stele__inspect_fail(in, in->fd);
            continue;
        }
        enum stele__decode header;
        int rc = stele__inspect_segment(in, &header);
        stele__file_close(in->fd);
        if (rc != 0)
            return rc;
        if (verdict == 0 || header == STELE__DECODE_VERSION)
            rc = judge_header(in, header, true);
        verdict = rc != 0 ? rc : verdict;
    }
    return verdict;
}

static int inspect_directory(int dirfd, const char *path, stele_item_fn *fn, void *ctx)
{
    struct stele__inspection in = {.fn = fn, .ctx = ctx, .path = path};
    struct listing listing = {0};
    int rc = stele__dir_each(dirfd, note_name, &listing);
    if (rc != 0)
        rc = stele__fail_errno(-rc, "%s: cannot list the directory", path);
    else if (listing.count == 0 && !listing.control)
        rc = stele__fail(STELE_ENOTLOG, "%s: not a log: neither a control file nor a segment in it", path);
    if (rc == 0 && listing.count > 0) { /* qsort(NULL, 0) is undefined */
        qsort(listing.places, listing.count, sizeof *listing.places, by_place);
        rc = show_all(&in, dirfd, &listing);
    }
    free(listing.places);
    return rc;
}

int stele_inspect(const char *path, stele_item_fn *fn, void *ctx)
{
    if (path == NULL || path[0] == '\0' || fn == NULL)
        return stele__fail(STELE_EINVAL, "inspecting needs a path and a callback");
    int dirfd = stele__dir_open(path);
    if (dirfd == -ENOTDIR)
        return inspect_file(path, fn, ctx);
    if (dirfd < 0)
        return stele__fail_errno(-dirfd, "%s: cannot open it", path);
    int rc = inspect_directory(dirfd, path, fn, ctx);
    stele__file_close(dirfd);
    return rc;
}
