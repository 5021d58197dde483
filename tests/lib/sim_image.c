/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_image.c: what is found after a crash. Pieces that differ from the disk are undecided: each may have reached it or
 * not, in any combination, and each name change likewise. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_unit(struct sim *sim, size_t count, uint32_t file, uint64_t offset)
{
    if (count == sim->unit_capacity) {
        sim->unit_capacity = sim->unit_capacity == 0 ? 1024 : sim->unit_capacity * 2;
        sim->units = realloc(sim->units, sim->unit_capacity * sizeof *sim->units);
        sim__check(sim->units != NULL, "memory for a list");
    }
    sim->units[count] = (struct sim_unit){file, (uint32_t)offset};
}

static bool may_be_found(const struct sim *sim, const struct sim_file *file)
{
    bool named = file->on_disk[0] != '\0';
    for (uint32_t i = 0; i < sim->op_count && !named; i++)
        named = sim->ops[i].file == file && sim->ops[i].name[0] != '\0';
    return file->used && named;
}

size_t sim_undecided(struct sim *sim, uint32_t grain)
{
    size_t count = 0;
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        if (!may_be_found(sim, file))
            continue;
        for (uint64_t page = 0; page < file->bytes; page += SIM_PAGE) {
            bool lost = (file->lost >> (page / SIM_PAGE) & 1) != 0;
            if (lost || memcmp(file->live + page, file->disk + page, SIM_PAGE) == 0)
                continue;
            for (uint64_t at = page; at < page + SIM_PAGE; at += grain)
                if (memcmp(file->live + at, file->disk + at, grain) != 0)
                    add_unit(sim, count++, i, at);
        }
    }
    return count;
}

static bool kept(const struct sim_cut *cut, size_t number, struct sim_rand *rand)
{
    switch (cut->keep) {
    case SIM_KEEP_NONE: return false;
    case SIM_KEEP_ALL: return true;
    case SIM_KEEP_ONE: return number == cut->arg;
    case SIM_KEEP_BUT_ONE: return number != cut->arg;
    case SIM_KEEP_BEFORE: return number < cut->arg;
    case SIM_KEEP_FROM: return number >= cut->arg;
    case SIM_KEEP_SOME: return sim_rand_below(rand, 256) < cut->arg;
    case SIM_KEEP_MASK: return (cut->arg >> number & 1) != 0;
    }
    return false;
}

uint64_t sim_draw_ops(const struct sim *sim, struct sim_rand *rand)
{
    uint64_t all = sim->op_count < 64 ? (UINT64_C(1) << sim->op_count) - 1 : UINT64_MAX;
    if (sim_rand_one_in(rand, 2))
        return all & sim_rand_next(rand);
    uint64_t first = sim_rand_below(rand, sim->op_count + 1u);
    return first < 64 ? (UINT64_C(1) << first) - 1 : all;
}

struct names {
    char of[SIM_FILES][SIM_NAME];
};

/* The names on disk once the changes `ops` are there. A name leads to one file: the last that got it. */
static void names_after(const struct sim *sim, uint64_t ops, struct names *names)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        (void)snprintf(names->of[i], SIM_NAME, "%s", sim->files[i].used ? sim->files[i].on_disk : "");
    for (uint32_t i = 0; i < sim->op_count; i++) {
        const struct sim_op *op = &sim->ops[i];
        if ((ops >> i & 1) == 0)
            continue;
        for (uint32_t j = 0; j < sim->file_count; j++)
            if (strcmp(names->of[j], op->name) == 0)
                names->of[j][0] = '\0';
        (void)snprintf(names->of[op->file - sim->files], SIM_NAME, "%s", op->name);
    }
}

void sim_crash(const struct sim *from, struct sim *to, const struct sim_cut *cut, struct sim_rand *rand)
{
    sim_reset(to);
    to->model = from->model;
    struct names names;
    names_after(from, cut->ops, &names);
    size_t unit = 0;
    for (uint32_t i = 0; i < from->file_count; i++) {
        const struct sim_file *file = &from->files[i];
        const char *name = names.of[i];
        struct sim_file *image = NULL;
        if (name[0] != '\0') {
            /* Named before anything made its length durable: an empty file is what some file systems show. */
            bool empty = !file->sized && sim_rand_one_in(rand, 2);
            image = sim__take(to, empty ? 0 : file->bytes, false);
            if (image->bytes > 0)
                memcpy(image->live, file->disk, file->bytes);
        }
        for (; unit < cut->units && from->units[unit].file == i; unit++) {
            uint64_t at = from->units[unit].offset;
            if (kept(cut, unit, rand) && image != NULL && image->bytes > 0)
                memcpy(image->live + at, file->live + at, cut->grain);
        }
        if (image == NULL)
            continue;
        if (image->bytes > 0)
            memcpy(image->disk, image->live, image->bytes);
        image->sized = true;
        sim__move(to, image, name);
        (void)snprintf(image->on_disk, SIM_NAME, "%s", name);
    }
}

void sim_kill(const struct sim *from, struct sim *to)
{
    struct sim_file *twin[SIM_FILES] = {NULL};
    sim_reset(to);
    to->model = from->model;
    for (uint32_t i = 0; i < from->file_count; i++) {
        const struct sim_file *file = &from->files[i];
        if (!file->used)
            continue;
        struct sim_file *image = twin[i] = sim__take(to, file->bytes, false);
        if (file->bytes > 0) {
            memcpy(image->live, file->live, file->bytes);
            memcpy(image->disk, file->disk, file->bytes);
        }
        image->sized = file->sized;
        (void)snprintf(image->on_disk, SIM_NAME, "%s", file->on_disk);
        sim__move(to, image, file->name);
        for (uint64_t page = 0; page < file->bytes / SIM_PAGE; page++)
            if ((file->lost >> page & 1) != 0)
                sim__lose_page(image, page);
    }
    to->op_count = from->op_count;
    for (uint32_t i = 0; i < from->op_count; i++) {
        to->ops[i] = from->ops[i];
        to->ops[i].file = twin[from->ops[i].file - from->files];
    }
    sim__release(to);
}

void sim_write_back(struct sim *sim, struct sim_rand *rand)
{
    const uint64_t unit = sim->model == SIM_PMEM ? SIM_LINE : SIM_PAGE;
    const uint64_t chance = 1 + sim_rand_below(rand, 4);
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        for (uint64_t at = 0; file->used && at < file->bytes; at += unit) {
            bool lost = (file->lost >> (at / SIM_PAGE) & 1) != 0;
            if (lost || memcmp(file->live + at, file->disk + at, unit) == 0 || !sim_rand_one_in(rand, chance))
                continue;
            memcpy(file->disk + at, file->live + at, unit);
            file->sized = true;
        }
    }
    sim__apply(sim, (uint32_t)sim_rand_below(rand, sim->op_count + 1u));
    sim__release(sim);
}
