/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_file.c: machines and their files: made, named, let go of. All memory of a machine is one map, a
 * fixed place for each file, so that an address leads to its file. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sim_sys.h"

#define MACHINES 16u
#define SIDE_BYTES ((size_t)SIM_FILES * SIM_FILE_MAX) /* of live, disk or staged bytes */
static struct sim *machines[MACHINES];

/* A broken simulator must not look like a broken log: it ends everything. */
void sim__check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "simulator: does not hold: %s (errno %d: %s)\n", what, errno, strerror(errno));
    abort();
}

struct sim *sim__of(uint32_t number)
{
    return number < MACHINES ? machines[number] : NULL;
}

struct sim *sim__of_address(const void *address, struct sim_file **file)
{
    const uint8_t *at = address;
    for (uint32_t i = 0; i < MACHINES; i++) {
        struct sim *sim = machines[i];
        if (sim == NULL || at < sim->memory || at >= sim->memory + SIDE_BYTES)
            continue;
        *file = &sim->files[(size_t)(at - sim->memory) / SIM_FILE_MAX];
        return sim;
    }
    return NULL;
}

void sim_open(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->rand = sim_rand_of(seed, 0);
    while (sim->number < MACHINES && machines[sim->number] != NULL)
        sim->number++;
    sim__check(sim->number < MACHINES, "few machines");
    machines[sim->number] = sim;
    void *memory = (void *)syscall(SYS_mmap, NULL, 3 * SIDE_BYTES, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    sim__check(memory != MAP_FAILED, "memory for files");
    sim->memory = memory;
    for (uint32_t i = 0; i < SIM_FILES; i++) {
        sim->files[i].live = sim->memory + (size_t)i * SIM_FILE_MAX;
        sim->files[i].disk = sim->files[i].live + SIDE_BYTES;
        sim->files[i].staged = sim->files[i].disk + SIDE_BYTES;
    }
    (void)snprintf(sim->dir, sizeof sim->dir, SIM_ROOT "/%u/log", sim->number);
    sim->made = sim->kept = true;
    sim->dirfd = sim__fd_new(SIM_FD_DIR, sim, NULL);
}

/* A file without a name. `zero`: empty, all its bytes are zero, on either side; else they are the caller's
 * to fill. */
struct sim_file *sim__take(struct sim *sim, bool zero)
{
    uint32_t i = 0;
    while (i < sim->file_count && sim->files[i].used)
        i++;
    sim__check(i < SIM_FILES, "no more files than there are places for");
    sim->file_count = i == sim->file_count ? i + 1 : sim->file_count;
    struct sim_file *file = &sim->files[i];
    /* `bytes` is still the length of the one before: what is behind it is zero. */
    if (zero) {
        memset(file->live, 0, file->bytes);
        memset(file->disk, 0, file->bytes);
        file->bytes = file->disk_bytes = 0;
    }
    file->used = true;
    file->reborn = false;
    file->refs = 0;
    file->on_disk[0] = file->name[0] = '\0';
    return file;
}

struct sim_file *sim_find(struct sim *sim, const char *name)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (sim->files[i].used && strcmp(sim->files[i].name, name) == 0)
            return &sim->files[i];
    return NULL;
}

static void let_go(struct sim_file *file)
{
    sim__find_all(file);
    memset(file->waiting, 0, sizeof file->waiting);
    file->name[0] = file->on_disk[0] = '\0';
    file->used = false;
}

void sim__drop(struct sim *sim, struct sim_file *file)
{
    (void)sim;
    let_go(file);
}

/* Let go of files that no name, map, descriptor or journalled change leads to. */
void sim__release(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        bool held = !file->used || file->refs > 0 || file->name[0] != '\0' || file->on_disk[0] != '\0';
        for (uint32_t j = 0; j < sim->op_count && !held; j++)
            held = sim->ops[j].file == file;
        if (!held)
            let_go(file);
    }
}

/* The first `ops` name changes reach the disk. */
void sim__apply(struct sim *sim, uint32_t ops)
{
    for (uint32_t i = 0; i < ops; i++) {
        for (uint32_t j = 0; j < sim->file_count; j++) /* a name leads to one file */
            if (strcmp(sim->files[j].on_disk, sim->ops[i].name) == 0)
                sim->files[j].on_disk[0] = '\0';
        (void)memcpy(sim->ops[i].file->on_disk, sim->ops[i].name, SIM_NAME);
    }
    sim->op_count -= ops;
    memmove(sim->ops, sim->ops + ops, sim->op_count * sizeof *sim->ops);
    sim->version++;
}

/* Pages that a failed flush left clean are not dirty, and nobody writes what is clean. */
void sim__persist(struct sim *sim, struct sim_file *file, uint64_t offset, uint64_t end)
{
    for (uint64_t at = offset & ~(uint64_t)(SIM_PAGE - 1); at < end; at += SIM_PAGE)
        if ((file->lost >> (at / SIM_PAGE) & 1) == 0)
            memcpy(file->disk + at, file->live + at, SIM_PAGE);
    sim->version++;
}

void sim_reset(struct sim *sim)
{
    sim->op_count = 0;
    sim->made = sim->kept = true;
    sim->fault = (struct sim_fault){0};
    sim->staged = false;
    for (uint32_t i = 0; i < sim->file_count; i++) {
        if (!sim->files[i].used)
            continue;
        sim__check(sim->files[i].refs == 0, "the library has let go of every file");
        let_go(&sim->files[i]);
    }
    sim->file_count = 0;
}

void sim_close(struct sim *sim)
{
    sim_reset(sim);
    (void)sim_sys_close(sim->dirfd);
    machines[sim->number] = NULL;
    (void)syscall(SYS_munmap, sim->memory, 3 * SIDE_BYTES);
    free(sim->units);
}

void sim_media(struct sim *sim, struct stele__media *out)
{
    *out = (struct stele__media){
        .ops = sim->model == SIM_PMEM ? &stele__media_pmem_ops : &stele__media_msync_ops,
        .class_ = sim->model == SIM_PMEM ? STELE__MEDIA_PMEM : STELE__MEDIA_MSYNC,
        .reason = "a simulated machine",
    };
}
