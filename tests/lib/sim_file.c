/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_file.c: files of the simulated medium: made, named, used again. A file is a real one, mapped once for its whole
 * life; making it appear in the log's directory or vanish from there is a rename from or to a pool beside it, so that an
 * image costs two copies and no page fault. */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A broken simulator must not look like a broken log: it ends everything. */
void sim__check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "simulator: does not hold: %s (errno %d: %s)\n", what, errno, strerror(errno));
    abort();
}

void sim_scratch_make(char out[256])
{
    const char *tmp = getenv("TMPDIR");
    const char *places[] = {"/dev/shm", tmp != NULL ? tmp : "/tmp", "/tmp"};
    for (size_t i = 0; i < 3; i++) {
        int n = snprintf(out, 256, "%s/stele-sim-XXXXXX", places[i]);
        if (n > 0 && n < 256 && mkdtemp(out) != NULL)
            return;
    }
    sim__check(false, "a scratch directory can be made");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void sim_scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int make_directory(const char *path)
{
    sim__check(mkdir(path, 0700) == 0, "mkdir");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sim__check(fd >= 0, "a directory opens");
    return fd;
}

void sim_open(struct sim *sim, const char *parent, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->rand = sim_rand_of(seed, 0);
    int n = snprintf(sim->root, sizeof sim->root, "%s", parent);
    sim__check(n > 0 && (size_t)n < sizeof sim->root, "the path is not too long");
    char pool[264];
    (void)snprintf(sim->dir, sizeof sim->dir, "%s/log", parent);
    (void)snprintf(pool, sizeof pool, "%s/pool", parent);
    sim__check(mkdir(parent, 0700) == 0 || errno == EEXIST, "mkdir");
    sim->dirfd = make_directory(sim->dir);
    sim->poolfd = make_directory(pool);
}

static void map_file(struct sim *sim, struct sim_file *file)
{
    char name[SIM_NAME];
    (void)snprintf(name, sizeof name, "%u", file->number);
    file->fd = openat(sim->poolfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    sim__check(file->fd >= 0 && ftruncate(file->fd, (off_t)file->bytes) == 0, "a file can be made");
    if (file->bytes == 0)
        return;
    file->live = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    file->disk = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sim__check(file->live != MAP_FAILED && file->disk != MAP_FAILED, "memory for a file");
}

static struct sim_file *unused(struct sim *sim, uint64_t bytes)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (!sim->files[i].used && sim->files[i].bytes == bytes)
            return &sim->files[i];
    return NULL;
}

/* A file without a name. `zero`: all its bytes are zero, on either side; else they are the caller's to fill. */
struct sim_file *sim__take(struct sim *sim, uint64_t bytes, bool zero)
{
    sim__check(bytes % SIM_PAGE == 0 && bytes / SIM_PAGE <= 64, "a file is at most 64 whole pages");
    struct sim_file *file = unused(sim, bytes);
    if (file != NULL && zero && bytes > 0) {
        memset(file->live, 0, bytes);
        memset(file->disk, 0, bytes);
    }
    if (file == NULL) {
        sim__check(sim->file_count < SIM_FILES, "no more files than the simulator has places for");
        file = &sim->files[sim->file_count];
        *file = (struct sim_file){.bytes = bytes, .number = sim->file_count};
        sim->file_count++;
        map_file(sim, file);
    }
    file->used = true;
    file->sized = false;
    file->maps = 0;
    file->on_disk[0] = file->name[0] = '\0';
    return file;
}

void sim__move(struct sim *sim, struct sim_file *file, const char *name)
{
    char number[SIM_NAME];
    (void)snprintf(number, sizeof number, "%u", file->number);
    bool out = file->name[0] != '\0', in = name[0] != '\0';
    if (out || in)
        sim__check(renameat(out ? sim->dirfd : sim->poolfd, out ? file->name : number,
                            in ? sim->dirfd : sim->poolfd, in ? name : number) == 0,
                   "rename");
    (void)snprintf(file->name, sizeof file->name, "%s", name);
}

struct sim_file *sim_find(struct sim *sim, const char *name)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (sim->files[i].used && strcmp(sim->files[i].name, name) == 0)
            return &sim->files[i];
    return NULL;
}

/* Let go of files that no name, map or journalled change leads to. */
void sim__release(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        bool held = !file->used || file->maps > 0 || file->name[0] != '\0' || file->on_disk[0] != '\0';
        for (uint32_t j = 0; j < sim->op_count && !held; j++)
            held = sim->ops[j].file == file;
        if (!held) {
            sim__find_all(sim, file);
            file->used = false;
        }
    }
}

/* The first `ops` name changes reach the disk. */
void sim__apply(struct sim *sim, uint32_t ops)
{
    for (uint32_t i = 0; i < ops; i++) {
        for (uint32_t j = 0; j < sim->file_count; j++) /* a name leads to one file */
            if (strcmp(sim->files[j].on_disk, sim->ops[i].name) == 0)
                sim->files[j].on_disk[0] = '\0';
        (void)snprintf(sim->ops[i].file->on_disk, SIM_NAME, "%s", sim->ops[i].name);
    }
    sim->op_count -= ops;
    memmove(sim->ops, sim->ops + ops, sim->op_count * sizeof *sim->ops);
}

void sim_reset(struct sim *sim)
{
    sim->op_count = 0;
    sim->fault = (struct sim_fault){0};
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        if (!file->used)
            continue;
        sim__check(file->maps == 0, "the library has unmapped every file");
        sim__find_all(sim, file);
        sim__move(sim, file, "");
        file->used = false;
    }
}

void sim_close(struct sim *sim)
{
    sim_reset(sim);
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        if (file->bytes > 0) {
            (void)munmap(file->live, file->bytes);
            (void)munmap(file->disk, file->bytes);
        }
        (void)close(file->fd);
    }
    free(sim->units);
    (void)close(sim->dirfd);
    (void)close(sim->poolfd);
    sim_scratch_remove(sim->root);
}
