/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_change.c: the calls that change a file or a name of a simulated machine, and the crash points around
 * them. */
#include "sim_change.h"

#include "format/name.h"
#include "sim_sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

const char *const sim_call_names[SIM_CALLS] = {
    "openat(O_CREAT)", "fallocate", "pwrite", "fdatasync", "msync",   "pmem_flush", "pmem_drain", "renameat",
    "unlinkat",        "fsync",     "openat", "pread",     "readdir", "fstat",      "mmap",       "fcntl"};

void sim_print_where(const struct sim_where *where)
{
    const bool range = where->call == SIM_MSYNC || where->call == SIM_FLUSH || where->call == SIM_WRITE;
    fprintf(stderr, "%s %s", sim_call_names[where->call],
            where->call == SIM_SYNC_DIR ? "of the directory" : where->name);
    if (where->to[0] != '\0')
        fprintf(stderr, " to %s", where->to);
    if (range)
        fprintf(stderr, ", %" PRIu64 " bytes at offset %" PRIu64, where->len, where->offset);
}

static uint64_t changes;

uint64_t sim__changes(void)
{
    return changes;
}

void sim__point(struct sim *sim, enum sim_call call, bool after, const char *name, const char *to,
                uint64_t offset, uint64_t len)
{
    changes++;
    if (sim->point == NULL && !sim->narrate)
        return;
    struct sim_where *where = &sim->where;
    where->call = call;
    where->after = after;
    (void)memcpy(where->name, name, strnlen(name, SIM_NAME - 1) + 1);
    where->to[0] = '\0';
    if (to != NULL)
        (void)memcpy(where->to, to, strnlen(to, SIM_NAME - 1) + 1);
    where->offset = offset;
    where->len = len;
    if (sim->narrate && after) {
        fprintf(stderr, "            . ");
        sim_print_where(where);
        fprintf(stderr, "\n");
    }
    if (sim->point != NULL)
        sim->point(sim->ctx, sim, call, after);
}

static void note(struct sim *sim, struct sim_file *file, const char *name)
{
    sim__check(sim->op_count < SIM_OPS,
               "more name changes between two syncs of the directory than are remembered");
    struct sim_op *op = &sim->ops[sim->op_count++];
    op->file = file;
    (void)snprintf(op->name, sizeof op->name, "%s", name);
}

int sim__create(struct sim *sim, const char *name)
{
    char copy[SIM_NAME];
    (void)snprintf(copy, sizeof copy, "%s", name);
    sim__point(sim, SIM_CREATE, false, copy, NULL, 0, 0);
    int error = sim__fails(sim, SIM_CREATE);
    if (error != 0)
        return sim__refuse(error);
    struct sim_file *file = sim__take(sim, true);
    (void)snprintf(file->name, sizeof file->name, "%s", copy);
    note(sim, file, copy);
    int fd = sim__fd_new(SIM_FD_FILE, sim, file);
    sim__point(sim, SIM_CREATE, true, copy, NULL, 0, 0);
    return fd;
}

ssize_t sim_sys_pwrite(int fd, const void *buffer, size_t len, off_t offset)
{
    struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (ssize_t)syscall(SYS_pwrite64, fd, buffer, len, offset);
    struct sim *sim = entry->sim;
    struct sim_file *file = entry->file;
    const uint64_t at = (uint64_t)offset;
    sim__point(sim, SIM_WRITE, false, file->name, NULL, at, len);
    int error = sim__fails(sim, SIM_WRITE);
    if (error == SIM_SHORT)
        len = (len + 1) / 2;
    else if (error != 0)
        return sim__refuse(error);
    sim__check(at + len <= SIM_FILE_MAX, "a write into a small file");
    memcpy(file->live + at, buffer, len);
    if (at + len > file->bytes)
        file->bytes = at + len;
    sim__point(sim, SIM_WRITE, true, file->name, NULL, at, len);
    return (ssize_t)len;
}

static int resize(int fd, uint64_t bytes, bool shrink)
{
    struct sim_fd *entry = sim__fd(fd);
    struct sim *sim = entry->sim;
    struct sim_file *file = entry->file;
    sim__check(bytes <= SIM_FILE_MAX, "a file of few pages");
    sim__point(sim, SIM_ALLOCATE, false, file->name, NULL, 0, bytes);
    int error = sim__fails(sim, SIM_ALLOCATE);
    if (error != 0)
        return sim__refuse(error);
    sim__check(!shrink || bytes >= file->bytes, "no file is made shorter");
    if (bytes > file->bytes)
        file->bytes = bytes;
    sim__point(sim, SIM_ALLOCATE, true, file->name, NULL, 0, bytes);
    return 0;
}

int sim_sys_ftruncate(int fd, off_t bytes)
{
    return sim__fd(fd) != NULL ? resize(fd, (uint64_t)bytes, true) : (int)syscall(SYS_ftruncate, fd, bytes);
}

int sim_sys_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (sim__fd(fd) == NULL)
        return (int)syscall(SYS_fallocate, fd, mode, offset, len);
    sim__check(mode == 0, "fallocate() of whole files");
    return resize(fd, (uint64_t)(offset + len), false);
}

static int sync_dir(struct sim *sim)
{
    sim__point(sim, SIM_SYNC_DIR, false, "", NULL, 0, 0);
    int error = sim__fails(sim, SIM_SYNC_DIR);
    if (error != 0) {
        if (error != EINTR)
            sim__apply(sim, (uint32_t)sim_rand_below(&sim->rand, sim->op_count + 1u));
        return sim__refuse(error);
    }
    sim__apply(sim, sim->op_count);
    sim__release(sim);
    sim__point(sim, SIM_SYNC_DIR, true, "", NULL, 0, 0);
    return 0;
}

int sim_sys_sync(int fd)
{
    struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (int)syscall(SYS_fsync, fd);
    if (entry->kind == SIM_FD_DIR)
        return sync_dir(entry->sim);
    struct sim *sim = entry->sim;
    if (entry->kind == SIM_FD_PARENT) {
        sim__point(sim, SIM_SYNC_DIR, false, "", NULL, 0, 0);
        sim->kept = true;
        sim__point(sim, SIM_SYNC_DIR, true, "", NULL, 0, 0);
        return 0;
    }
    struct sim_file *file = entry->file;
    sim__point(sim, SIM_SYNC_FILE, false, file->name, NULL, 0, 0);
    int error = sim__fails(sim, SIM_SYNC_FILE);
    if (error != 0) {
        if (error != EINTR)
            sim__lose(sim, file, 0, file->bytes);
        return sim__refuse(error);
    }
    sim__persist(sim, file, 0, file->bytes);
    file->disk_bytes = file->bytes;
    sim__point(sim, SIM_SYNC_FILE, true, file->name, NULL, 0, 0);
    return 0;
}

static bool is_segment(const char *name)
{
    uint64_t sequence;
    stele_lsn base;
    return stele__name_parse(name, &sequence, &base) == STELE__NAME_SEGMENT;
}

int sim_sys_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    struct sim_fd *dir = sim__fd(from_fd);
    if (dir == NULL)
        return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
    struct sim *sim = dir->sim;
    sim__point(sim, SIM_RENAME, false, from, to, 0, 0);
    int error = sim__fails(sim, SIM_RENAME);
    if (error != 0)
        return sim__refuse(error);
    struct sim_file *file = sim_find(sim, from), *replaced = sim_find(sim, to);
    if (file == NULL)
        return sim__refuse(ENOENT);
    if (replaced != NULL)
        replaced->name[0] = '\0';
    const bool was = is_segment(file->name), is = is_segment(to);
    if (is && file->reborn)
        sim->reborn++;
    file->reborn |= was && !is;
    (void)snprintf(file->name, sizeof file->name, "%s", to);
    note(sim, file, to);
    sim__point(sim, SIM_RENAME, true, from, to, 0, 0);
    return 0;
}

int sim_sys_unlinkat(int dirfd, const char *path, int flags)
{
    struct sim_fd *dir = sim__fd(dirfd);
    if (dir == NULL)
        return (int)syscall(SYS_unlinkat, dirfd, path, flags);
    struct sim *sim = dir->sim;
    struct sim_file *file = sim_find(sim, path);
    if (flags != 0)
        return sim__refuse(ENOTEMPTY);
    if (file == NULL)
        return sim__refuse(ENOENT);
    sim__point(sim, SIM_UNLINK, false, path, NULL, 0, 0);
    int error = sim__fails(sim, SIM_UNLINK);
    if (error != 0)
        return sim__refuse(error);
    note(sim, file, "");
    file->name[0] = '\0';
    sim__point(sim, SIM_UNLINK, true, path, NULL, 0, 0);
    sim__release(sim);
    return 0;
}
