/* SPDX-License-Identifier: BSD-3-Clause */
/* sim.c: the table of functions of the simulated medium. The disk of a file follows its live bytes here and in
 * sim_file.c only. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Random bytes of the library (a log's uuid, so its salts and its chain's start) repeat with the process: a seed shows
 * the same again, checksums included. */
ssize_t getrandom(void *buf, size_t len, unsigned flags);
ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    static struct sim_rand rand = {20260101};
    (void)flags;
    uint8_t *at = buf;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)sim_rand_next(&rand);
    return (ssize_t)len;
}

static void point(struct sim *sim, enum sim_call call, bool after)
{
    if (sim->point != NULL)
        sim->point(sim->ctx, sim, call, after);
}

static void note(struct sim *sim, struct sim_file *file, const char *name)
{
    sim__check(sim->op_count < SIM_OPS,
               "more name changes between two sync_dir() than the simulator remembers");
    struct sim_op *op = &sim->ops[sim->op_count++];
    op->file = file;
    (void)snprintf(op->name, sizeof op->name, "%s", name);
}

static int create(struct stele__media *media, int dirfd, const char *name, uint64_t bytes, mode_t mode,
                  struct stele__map *out)
{
    struct sim *sim = media->priv;
    (void)dirfd;
    (void)mode;
    point(sim, SIM_CREATE, false);
    if (sim__fails(sim, SIM_CREATE))
        return -sim->fault.error;
    if (sim_find(sim, name) != NULL)
        return -EEXIST;
    struct sim_file *file = sim__take(sim, bytes, true);
    sim__move(sim, file, name);
    note(sim, file, name);
    file->maps++;
    *out = (struct stele__map){.base = file->live, .bytes = bytes, .fd = file->fd, .priv = file};
    point(sim, SIM_CREATE, true);
    return 0;
}

static int open_file(struct stele__media *media, int dirfd, const char *name, uint64_t bytes,
                     struct stele__map *out)
{
    struct sim *sim = media->priv;
    (void)dirfd;
    if (sim__fails(sim, SIM_OPEN))
        return -sim->fault.error;
    struct sim_file *file = sim_find(sim, name);
    if (file == NULL)
        return -ENOENT;
    if (file->bytes != bytes)
        return -ENODATA;
    file->maps++;
    *out = (struct stele__map){.base = file->live, .bytes = bytes, .fd = file->fd, .priv = file};
    return 0;
}

static void close_file(struct stele__media *media, struct stele__map *map)
{
    struct sim_file *file = map->priv;
    if (file != NULL)
        file->maps--;
    *map = (struct stele__map){.fd = -1};
    sim__release(media->priv);
}

/* Pages that a failed flush left clean are not dirty, and nobody writes what is clean. */
static void write_pages(struct sim_file *file, uint64_t offset, uint64_t end)
{
    for (uint64_t at = offset; at < end; at += SIM_PAGE)
        if ((file->lost >> (at / SIM_PAGE) & 1) == 0)
            memcpy(file->disk + at, file->live + at, SIM_PAGE);
}

static int persist(struct stele__media *media, const struct stele__map *map, uint64_t offset, uint64_t len)
{
    struct sim *sim = media->priv;
    struct sim_file *file = map->priv;
    sim__check(file->used && offset <= file->bytes && len <= file->bytes - offset,
               "persist() of bytes in the file");
    point(sim, SIM_PERSIST, false);
    const uint64_t unit = sim->model == SIM_PMEM ? SIM_LINE : SIM_PAGE;
    const uint64_t begin = offset & ~(unit - 1), end = (offset + len + unit - 1) & ~(unit - 1);
    if (sim__fails(sim, SIM_PERSIST)) {
        sim__lose(sim, file, begin, end);
        return -sim->fault.error;
    }
    file->sized = true;
    if (sim->model == SIM_PMEM)
        memcpy(file->disk + begin, file->live + begin, end - begin);
    else
        write_pages(file, begin, end);
    point(sim, SIM_PERSIST, true);
    return 0;
}

/* Pages of a simulated file are always there. */
static void populate(struct stele__media *media, const struct stele__map *map, uint64_t offset, uint64_t len)
{
    (void)media;
    (void)map;
    (void)offset;
    (void)len;
}

static int rename_file(struct stele__media *media, int dirfd, const char *from, const char *to)
{
    struct sim *sim = media->priv;
    (void)dirfd;
    point(sim, SIM_RENAME, false);
    if (sim__fails(sim, SIM_RENAME))
        return -sim->fault.error;
    struct sim_file *file = sim_find(sim, from), *replaced = sim_find(sim, to);
    if (file == NULL)
        return -ENOENT;
    if (replaced != NULL)
        sim__move(sim, replaced, "");
    sim__move(sim, file, to);
    note(sim, file, to);
    point(sim, SIM_RENAME, true);
    return 0;
}

static int unlink_file(struct stele__media *media, int dirfd, const char *name)
{
    struct sim *sim = media->priv;
    (void)dirfd;
    struct sim_file *file = sim_find(sim, name);
    if (file == NULL)
        return -ENOENT;
    point(sim, SIM_UNLINK, false);
    if (sim__fails(sim, SIM_UNLINK))
        return -sim->fault.error;
    note(sim, file, "");
    sim__move(sim, file, "");
    point(sim, SIM_UNLINK, true);
    return 0;
}

static int sync_dir(struct stele__media *media, int dirfd)
{
    struct sim *sim = media->priv;
    (void)dirfd;
    point(sim, SIM_SYNC_DIR, false);
    if (sim__fails(sim, SIM_SYNC_DIR)) {
        sim__apply(sim, (uint32_t)sim_rand_below(&sim->rand, sim->op_count + 1u));
        return -sim->fault.error;
    }
    sim__apply(sim, sim->op_count);
    sim__release(sim);
    point(sim, SIM_SYNC_DIR, true);
    return 0;
}

static const struct stele__media_ops sim_ops = {
    .name = "sim",
    .create = create,
    .open = open_file,
    .close = close_file,
    .persist = persist,
    .populate = populate,
    .rename = rename_file,
    .unlink = unlink_file,
    .sync_dir = sync_dir,
};

void sim_media(struct sim *sim, struct stele__media *out)
{
    *out = (struct stele__media){
        .ops = &sim_ops,
        .class_ = sim->model == SIM_PMEM ? STELE__MEDIA_PMEM : STELE__MEDIA_MSYNC,
        .reason = "a simulated medium",
        .priv = sim,
    };
}
