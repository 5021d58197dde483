/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/wrap.h"

#include "lib/dir.h"

#include <stdio.h>
#include <string.h>

static struct wrap *of(struct stele__media *media)
{
    return media->priv;
}

static int wrap_create(struct stele__media *media, int dirfd, const char *name, uint64_t bytes, mode_t mode,
                       struct stele__map *out)
{
    struct wrap *wrap = of(media);
    uint64_t number = atomic_fetch_add(&wrap->creates, 1) + 1;
    uint64_t fail_at = atomic_load(&wrap->fail_create_at);
    if (fail_at != 0 && number >= fail_at)
        return -atomic_load(&wrap->fail_errno);
    return wrap->inner.ops->create(&wrap->inner, dirfd, name, bytes, mode, out);
}

static int wrap_open_file(struct stele__media *media, int dirfd, const char *name, uint64_t bytes,
                          struct stele__map *out)
{
    struct wrap *wrap = of(media);
    atomic_fetch_add(&wrap->opens, 1);
    return wrap->inner.ops->open(&wrap->inner, dirfd, name, bytes, out);
}

static void wrap_close(struct stele__media *media, struct stele__map *map)
{
    of(media)->inner.ops->close(&of(media)->inner, map);
}

static int wrap_persist(struct stele__media *media, const struct stele__map *map, uint64_t offset,
                        uint64_t len)
{
    struct wrap *wrap = of(media);
    uint64_t number = atomic_fetch_add(&wrap->persists, 1) + 1;
    if (wrap->on_persist != NULL)
        wrap->on_persist(wrap->ctx, number, len);
    uint64_t fail_at = atomic_load(&wrap->fail_persist_at);
    if (fail_at != 0 && number >= fail_at)
        return -atomic_load(&wrap->fail_errno);
    return wrap->inner.ops->persist(&wrap->inner, map, offset, len);
}

static void wrap_populate(struct stele__media *media, const struct stele__map *map, uint64_t offset,
                          uint64_t len)
{
    of(media)->inner.ops->populate(&of(media)->inner, map, offset, len);
}

static int wrap_rename(struct stele__media *media, int dirfd, const char *from, const char *to)
{
    struct wrap *wrap = of(media);
    atomic_fetch_add(&wrap->renames, 1);
    return wrap->inner.ops->rename(&wrap->inner, dirfd, from, to);
}

static int wrap_unlink(struct stele__media *media, int dirfd, const char *name)
{
    struct wrap *wrap = of(media);
    atomic_fetch_add(&wrap->unlinks, 1);
    return wrap->inner.ops->unlink(&wrap->inner, dirfd, name);
}

static int wrap_sync_dir(struct stele__media *media, int dirfd)
{
    struct wrap *wrap = of(media);
    atomic_fetch_add(&wrap->dir_syncs, 1);
    return wrap->inner.ops->sync_dir(&wrap->inner, dirfd);
}

static const struct stele__media_ops wrap_ops = {.name = "wrapped",
                                                 .create = wrap_create,
                                                 .open = wrap_open_file,
                                                 .close = wrap_close,
                                                 .persist = wrap_persist,
                                                 .populate = wrap_populate,
                                                 .rename = wrap_rename,
                                                 .unlink = wrap_unlink,
                                                 .sync_dir = wrap_sync_dir};

void wrap_init(struct wrap *wrap)
{
    memset(wrap, 0, sizeof *wrap);
    wrap->inner.class_ = STELE__MEDIA_NONE;
    wrap->inner.ops = &stele__media_none_ops;
    wrap->media.class_ = STELE__MEDIA_MSYNC;
    wrap->media.ops = &wrap_ops;
    wrap->media.priv = wrap;
    (void)snprintf(wrap->media.reason, sizeof wrap->media.reason, "wrapped: by a test");
}

struct stele *wrap_open(struct wrap *wrap, const char *path, const struct stele_options *options, bool helper)
{
    const struct stele__seams seams = {.media = &wrap->media, .no_helper = !helper};
    struct stele *log = NULL;
    succeeds(stele__open_with(path, options, &seams, &log));
    return log;
}
