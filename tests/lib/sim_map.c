/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_map.c: files of the simulated machines in memory. A map is the file's live bytes themselves; msync()
 * and the pair of pmem_flush() and pmem_drain() bring them to the disk. */
#include "sim.h"
#include "sim_change.h"
#include "sim_sys.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

/* Anonymous maps of the library live for one recovery: kept, since pages from the kernel are dear. */
#define KEPT 8u
#define KEPT_BYTES 131072u
static struct {
    uint8_t *memory;
    bool used;
} kept[KEPT];

static void *map_anonymous(size_t len)
{
    for (uint32_t i = 0; i < KEPT; i++) {
        if (kept[i].used)
            continue;
        if (kept[i].memory == NULL)
            kept[i].memory = (uint8_t *)syscall(SYS_mmap, NULL, KEPT_BYTES, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        else
            memset(kept[i].memory, 0, len);
        kept[i].used = true;
        return kept[i].memory;
    }
    return NULL;
}

void *sim_sys_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL) {
        const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
        void *map = flags == anonymous && address == NULL && len <= KEPT_BYTES ? map_anonymous(len) : NULL;
        return map != NULL ? map : (void *)syscall(SYS_mmap, address, len, protection, flags, fd, offset);
    }
    struct sim *sim = entry->sim;
    int error = (flags & MAP_SYNC) != 0 && sim->model != SIM_PMEM ? EOPNOTSUPP : sim__fails(sim, SIM_MAP);
    if (error != 0) {
        errno = error;
        return MAP_FAILED;
    }
    sim__check(offset == 0 && len <= SIM_FILE_MAX && entry->file != NULL, "a whole file is mapped");
    entry->file->refs++;
    return entry->file->live;
}

int sim_sys_munmap(void *address, size_t len)
{
    struct sim_file *file;
    struct sim *sim = sim__of_address(address, &file);
    if (sim != NULL) {
        sim__check(address == file->live && file->refs > 0, "a map is undone once");
        file->refs--;
        sim__release(sim);
        return 0;
    }
    for (uint32_t i = 0; i < KEPT; i++) {
        if (kept[i].memory != address)
            continue;
        kept[i].used = false;
        return 0;
    }
    return (int)syscall(SYS_munmap, address, len);
}

int sim_sys_madvise(void *address, size_t len, int advice)
{
    struct sim_file *file;
    if (sim__of_address(address, &file) != NULL)
        return 0; /* pages of a simulated file are always there */
    return (int)syscall(SYS_madvise, address, len, advice);
}

int sim_sys_msync(void *address, size_t len, int flags)
{
    struct sim_file *file;
    struct sim *sim = sim__of_address(address, &file);
    if (sim == NULL)
        return (int)syscall(SYS_msync, address, len, flags);
    const uint64_t begin = (uint64_t)((uint8_t *)address - file->live);
    const uint64_t end = (begin + len + SIM_PAGE - 1) & ~(uint64_t)(SIM_PAGE - 1);
    sim__check((flags & MS_SYNC) != 0 && begin % SIM_PAGE == 0 && end <= SIM_FILE_MAX,
               "msync() of whole pages");
    sim__point(sim, SIM_MSYNC, false, file->name, NULL, begin, len);
    int error = sim__fails(sim, SIM_MSYNC);
    if (error != 0) {
        if (error != EINTR)
            sim__lose(sim, file, begin, end);
        return sim__refuse(error);
    }
    sim__persist(sim, file, begin, end);
    sim__point(sim, SIM_MSYNC, true, file->name, NULL, begin, len);
    return 0;
}

int sim_sys_pmem_is_pmem(const void *address, size_t len)
{
    struct sim_file *file;
    (void)len;
    struct sim *sim = sim__of_address(address, &file);
    return sim != NULL && sim->model == SIM_PMEM;
}

/* The machine whose lines were flushed last: a fence has no address. */
static struct sim *flushing;

void sim_sys_pmem_flush(const void *address, size_t len)
{
    struct sim_file *file;
    struct sim *sim = sim__of_address(address, &file);
    sim__check(sim != NULL && sim->model == SIM_PMEM, "a flush of persistent memory");
    const uint64_t from = (uint64_t)((const uint8_t *)address - file->live);
    const uint64_t end = from + len;
    sim__point(sim, SIM_FLUSH, false, file->name, NULL, from, len);
    for (uint64_t at = from & ~(uint64_t)(SIM_LINE - 1); at < end; at += SIM_LINE) {
        memcpy(file->staged + at, file->live + at, SIM_LINE);
        file->waiting[at / SIM_LINE / 64] |= UINT64_C(1) << (at / SIM_LINE % 64);
    }
    sim->staged = true;
    flushing = sim;
    sim->calls[SIM_FLUSH]++;
    sim__point(sim, SIM_FLUSH, true, file->name, NULL, from, len);
    flushing = sim; /* another machine may have lived in between */
}

static void arrive(struct sim *sim, struct sim_file *file)
{
    for (uint32_t word = 0; word < SIM_FILE_MAX / SIM_LINE / 64; word++) {
        for (uint64_t bits = file->waiting[word]; bits != 0; bits &= bits - 1) {
            uint64_t at = (word * 64u + (uint64_t)__builtin_ctzll(bits)) * SIM_LINE;
            memcpy(file->disk + at, file->staged + at, SIM_LINE);
        }
        file->waiting[word] = 0;
    }
    sim->version++;
}

void sim_sys_pmem_drain(void)
{
    struct sim *sim = flushing;
    sim__check(sim != NULL, "a fence behind a flush");
    sim__point(sim, SIM_DRAIN, false, "", NULL, 0, 0);
    for (uint32_t i = 0; sim->staged && i < sim->file_count; i++)
        if (sim->files[i].used)
            arrive(sim, &sim->files[i]);
    sim->staged = false;
    sim->calls[SIM_DRAIN]++;
    sim__point(sim, SIM_DRAIN, true, "", NULL, 0, 0);
}
