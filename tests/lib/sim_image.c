/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_image.c: what is found after a crash. Pieces that differ from the disk are undecided: each may have
 * reached it or not, in any combination, each name change likewise, and each length that nothing made
 * durable. */
#include "sim.h"

#include "format/name.h"

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

static uint64_t longer(const struct sim_file *file)
{
    return file->bytes > file->disk_bytes ? file->bytes : file->disk_bytes;
}

bool sim_is_settled(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->file_count; i++)
        if (sim->files[i].used && strcmp(sim->files[i].name, STELE__LOCK_NAME) != 0 &&
            memcmp(sim->files[i].live, sim->files[i].disk, longer(&sim->files[i])) != 0)
            return false;
    return true;
}

size_t sim_undecided(struct sim *sim, uint32_t grain)
{
    size_t count = 0;
    for (uint32_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = &sim->files[i];
        if (!may_be_found(sim, file) || strcmp(file->name, STELE__LOCK_NAME) == 0)
            continue;
        for (uint64_t page = 0; page < longer(file); page += SIM_PAGE) {
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

uint64_t sim_state(const struct sim *sim, size_t units, uint32_t grain)
{
    struct sim_rand mix = {sim->version ^ (uint64_t)sim->op_count << 48 ^ grain};
    for (size_t i = 0; i < units; i++) {
        const uint8_t *at = sim->files[sim->units[i].file].live + sim->units[i].offset;
        mix.state ^= (uint64_t)sim->units[i].file << 32 | sim->units[i].offset;
        for (uint32_t j = 0; j < grain; j += 8) {
            uint64_t word;
            memcpy(&word, at + j, 8);
            mix.state = (mix.state ^ word) * UINT64_C(0xd1342543de82ef95) + 1;
        }
    }
    return sim_rand_next(&mix);
}

static bool kept(const struct sim_cut *cut, size_t number, struct sim_rand *rand, size_t *next)
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
    case SIM_KEEP_LIST:
        while (*next < cut->listed && cut->list[*next] < number)
            ++*next;
        return *next < cut->listed && cut->list[*next] == number;
    }
    return false;
}

size_t sim_draw_kept(const struct sim_cut *cut, struct sim_rand *rand, uint32_t *out)
{
    size_t count = 0, next = 0;
    for (size_t i = 0; i < cut->units; i++)
        if (kept(cut, i, rand, &next))
            out[count++] = (uint32_t)i;
    return count;
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
    const char *of[SIM_FILES]; /* NULL: none */
};

/* The names on disk once the changes `ops` are there. A name leads to one file: the last that got it. */
static void names_after(const struct sim *sim, uint64_t ops, struct names *names)
{
    for (uint32_t i = 0; i < sim->file_count; i++) {
        const struct sim_file *file = &sim->files[i];
        names->of[i] = file->used && file->on_disk[0] != '\0' ? file->on_disk : NULL;
    }
    for (uint32_t i = 0; i < sim->op_count; i++) {
        const struct sim_op *op = &sim->ops[i];
        if ((ops >> i & 1) == 0)
            continue;
        for (uint32_t j = 0; j < sim->file_count && op->name[0] != '\0'; j++)
            if (names->of[j] != NULL && strcmp(names->of[j], op->name) == 0)
                names->of[j] = NULL;
        names->of[op->file - sim->files] = op->name[0] != '\0' ? op->name : NULL;
    }
}

/* The length that is found: the durable one, or the new one, or, where a file grew by steps, something
 * between. */
static uint64_t draw_bytes(const struct sim_file *file, struct sim_rand *rand)
{
    if (file->bytes == file->disk_bytes)
        return file->bytes;
    switch (sim_rand_below(rand, 3)) {
    case 0: return file->disk_bytes;
    case 1: return file->bytes;
    default:
        return file->disk_bytes + sim_rand_below(rand, (longer(file) - file->disk_bytes) / 512 + 1) * 512;
    }
}

/* `file` gets `bytes` of `from`; what is behind them is zero. */
static void fill(struct sim_file *file, const uint8_t *live, const uint8_t *disk, uint64_t bytes)
{
    if (bytes > 0) {
        memcpy(file->live, live, bytes);
        if (disk != NULL)
            memcpy(file->disk, disk, bytes);
    }
    if (file->bytes > bytes) {
        memset(file->live + bytes, 0, file->bytes - bytes);
        memset(file->disk + bytes, 0, file->bytes - bytes);
    }
    file->bytes = bytes;
}

void sim_crash(const struct sim *from, struct sim *to, const struct sim_cut *cut, struct sim_rand *rand)
{
    sim_reset(to);
    to->model = from->model;
    to->version++;
    to->made = to->kept = from->kept || (from->made && sim_rand_one_in(rand, 2));
    if (!to->made)
        return;
    struct names names;
    names_after(from, cut->ops, &names);
    size_t unit = 0, next = 0;
    for (uint32_t i = 0; i < from->file_count; i++) {
        const struct sim_file *file = &from->files[i];
        struct sim_file *image = NULL;
        if (names.of[i] != NULL) {
            image = sim__take(to, false);
            fill(image, file->disk, NULL, draw_bytes(file, rand));
        }
        for (; unit < cut->units && from->units[unit].file == i; unit++) {
            const uint64_t at = from->units[unit].offset;
            if (kept(cut, unit, rand, &next) && image != NULL && at < image->bytes)
                memcpy(image->live + at, file->live + at,
                       cut->grain < image->bytes - at ? cut->grain : image->bytes - at);
        }
        if (image == NULL)
            continue;
        memcpy(image->disk, image->live, image->bytes);
        image->disk_bytes = image->bytes;
        (void)memcpy(image->name, names.of[i], SIM_NAME);
        (void)memcpy(image->on_disk, names.of[i], SIM_NAME);
    }
}

void sim_kill(const struct sim *from, struct sim *to)
{
    struct sim_file *twin[SIM_FILES] = {NULL};
    sim_reset(to);
    to->model = from->model;
    to->version++;
    to->made = from->made;
    to->kept = from->kept;
    for (uint32_t i = 0; i < from->file_count; i++) {
        const struct sim_file *file = &from->files[i];
        if (!file->used)
            continue;
        struct sim_file *image = twin[i] = sim__take(to, false);
        fill(image, file->live, file->disk, longer(file));
        image->bytes = file->bytes;
        image->reborn = file->reborn;
        image->disk_bytes = file->disk_bytes;
        (void)memcpy(image->on_disk, file->on_disk, SIM_NAME);
        (void)memcpy(image->name, file->name, SIM_NAME);
        for (uint64_t page = 0; page < SIM_FILE_MAX / SIM_PAGE; page++)
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
        for (uint64_t page = 0; file->used && page < file->bytes; page += SIM_PAGE) {
            bool lost = (file->lost >> (page / SIM_PAGE) & 1) != 0;
            if (lost || memcmp(file->live + page, file->disk + page, SIM_PAGE) == 0)
                continue;
            for (uint64_t at = page; at < page + SIM_PAGE; at += unit)
                if (memcmp(file->live + at, file->disk + at, unit) != 0 && sim_rand_one_in(rand, chance))
                    memcpy(file->disk + at, file->live + at, unit);
        }
        if (file->used && sim_rand_one_in(rand, 4))
            file->disk_bytes = file->bytes;
    }
    sim__apply(sim, (uint32_t)sim_rand_below(rand, sim->op_count + 1u));
    sim__release(sim);
}
