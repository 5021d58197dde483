/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECTOR 512u

enum kind {
    FLIP,
    ZERO_SECTOR,
    NOISE_SECTOR,
    OLD_SECTOR,
    MISDIRECTED_SECTOR,
    SWAPPED_SECTORS,
    MISSING_SEGMENT,
    SWAPPED_SEGMENTS,
    KINDS
};
static const char *const names[KINDS] = {
    "flipped bit",        "zeroed sector",   "sector of noise", "sector of an earlier time",
    "misdirected sector", "swapped sectors", "missing segment", "swapped segments"};

/* What was done goes to both sides: it is on the disk. */
static void put(struct sim_file *file, uint64_t at, const uint8_t *from, uint64_t len)
{
    memcpy(file->live + at, from, len);
    memcpy(file->disk + at, from, len);
}

/* Any file, or any segment; NULL when there is none left. */
static struct sim_file *draw_file(struct sim_damage *damage, bool segment)
{
    struct sim_file *found = NULL;
    uint64_t met = 0;
    for (uint32_t i = 0; i < damage->hurt->file_count; i++) {
        struct sim_file *file = &damage->hurt->files[i];
        bool fits = file->used && file->name[0] != '\0' && file->bytes >= SIM_PAGE;
        if (fits && !(segment && strcmp(file->name, "control") == 0) && sim_rand_one_in(damage->rand, ++met))
            found = file;
    }
    return found;
}

/* Mostly a place that means something. */
static struct sim_file *draw_place(struct sim_damage *damage, uint64_t *at)
{
    if (damage->items->count == 0 || sim_rand_one_in(damage->rand, 6)) {
        struct sim_file *file = draw_file(damage, false);
        *at = sim_rand_below(damage->rand, file->bytes);
        return file;
    }
    const struct sim_item *item = &damage->items->list[sim_rand_below(damage->rand, damage->items->count)];
    if (sim_rand_one_in(damage->rand,
                        3)) /* the end of the log, and what is not a record, are rare otherwise */
        item = &damage->items
                    ->list[damage->items->count - 1 -
                           sim_rand_below(damage->rand, damage->items->count < 8 ? damage->items->count : 8)];
    struct sim_file *file = sim_find(damage->hurt, item->file->name);
    *at = item->offset + sim_rand_below(damage->rand, item->len);
    if (file == NULL || *at >= file->bytes) { /* the first damage took it away */
        file = draw_file(damage, false);
        *at = sim_rand_below(damage->rand, file->bytes);
    }
    return file;
}

/* The same sector of an earlier durable image, if that had the file and other bytes there. */
static const uint8_t *earlier(struct sim_damage *damage, const struct sim_file *file, uint64_t at)
{
    static const uint8_t zeroes[SECTOR];
    const struct sim_file *old = sim_find(damage->then, file->name);
    return old != NULL && old->bytes == file->bytes ? old->live + at : zeroes;
}

static void hurt_sector(struct sim_damage *damage, enum kind kind, struct sim_file *file, uint64_t at,
                        char *did)
{
    uint8_t sector[SECTOR] = {0}, mine[SECTOR];
    uint64_t other_at;
    at -= at % SECTOR;
    (void)snprintf(did, SIM_DID, "%s, %s at %" PRIu64, names[kind], file->name, at);
    memcpy(mine, file->live + at, SECTOR);
    if (kind == NOISE_SECTOR)
        for (size_t i = 0; i < SECTOR; i++)
            sector[i] = (uint8_t)sim_rand_next(damage->rand);
    if (kind == OLD_SECTOR)
        memcpy(sector, earlier(damage, file, at), SECTOR);
    if (kind == MISDIRECTED_SECTOR || kind == SWAPPED_SECTORS) {
        struct sim_file *other = draw_place(damage, &other_at);
        other_at -= other_at % SECTOR;
        memcpy(sector, other->live + other_at, SECTOR);
        size_t n = strlen(did);
        (void)snprintf(did + n, SIM_DID - n, ", %s at %" PRIu64, other->name, other_at);
        if (kind == SWAPPED_SECTORS)
            put(other, other_at, mine, SECTOR);
    }
    put(file, at, sector, SECTOR);
}

static void hurt_segments(struct sim_damage *damage, enum kind kind, char *did)
{
    struct sim_file *a = draw_file(damage, true), *b = draw_file(damage, true);
    char name_a[SIM_NAME], name_b[SIM_NAME];
    if (a == NULL)
        return;
    (void)snprintf(name_a, sizeof name_a, "%s", a->name);
    (void)snprintf(name_b, sizeof name_b, "%s", b->name);
    (void)snprintf(did, SIM_DID, "%s, %.40s %.40s", names[kind], name_a,
                   kind == SWAPPED_SEGMENTS ? name_b : "");
    if (kind == MISSING_SEGMENT || a == b) {
        sim__drop(damage->hurt, a);
        return;
    }
    (void)snprintf(a->name, SIM_NAME, "%s", name_b);
    (void)snprintf(a->on_disk, SIM_NAME, "%s", name_b);
    (void)snprintf(b->name, SIM_NAME, "%s", name_a);
    (void)snprintf(b->on_disk, SIM_NAME, "%s", name_a);
}

void sim_damage_do(struct sim_damage *damage, char did[SIM_DID])
{
    enum kind kind = sim_rand_one_in(damage->rand, 3) ? FLIP : (enum kind)sim_rand_below(damage->rand, KINDS);
    if (kind == MISSING_SEGMENT || kind == SWAPPED_SEGMENTS) {
        hurt_segments(damage, kind, did);
        return;
    }
    uint64_t at;
    struct sim_file *file = draw_place(damage, &at);
    if (kind == FLIP) {
        uint8_t byte = (uint8_t)(file->live[at] ^ (1u << sim_rand_below(damage->rand, 8)));
        (void)snprintf(did, SIM_DID, "%s, %s at %" PRIu64, names[kind], file->name, at);
        put(file, at, &byte, 1);
        return;
    }
    hurt_sector(damage, kind, file, at, did);
}
