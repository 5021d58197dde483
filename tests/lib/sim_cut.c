/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_cut.h"

#include "sim_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLD 24u /* pieces listed one by one */

uint32_t sim_cut_grain(enum sim_model model, struct sim_rand *rand)
{
    static const uint32_t block[] = {4096, 4096, 512, 512, 512, 64, 8}, pmem[] = {8, 8, 8, 64};
    return model == SIM_PMEM ? pmem[sim_rand_below(rand, 4)] : block[sim_rand_below(rand, 7)];
}

void sim_cut_draw(struct sim_cut *cut, const struct sim *sim, struct sim_rand *rand)
{
    cut->keep = (enum sim_keep)sim_rand_below(rand, SIM_KEEP_SOME + 1u);
    cut->arg = cut->keep == SIM_KEEP_SOME ? 1 + sim_rand_below(rand, 255) : sim_rand_below(rand, cut->units);
    cut->ops = sim_draw_ops(sim, rand);
}

#define ALL_MAX 10u /* so many undecided pieces: 1,024 images */

bool sim_cut_try_all(size_t units, bool thorough, struct sim_rand *rand)
{
    if (units == 0 || units > ALL_MAX)
        return false;
    return thorough || units <= 3 || sim_rand_one_in(rand, UINT64_C(1) << (units - 2));
}

void sim_cut_settle(struct sim_cut *cut, const struct sim *sim, struct sim_rand *rand, struct sim_run *run,
                    uint32_t world, struct sim_list *list)
{
    if (cut->units > list->capacity) {
        list->capacity = cut->units * 2;
        list->at = realloc(list->at, list->capacity * sizeof *list->at);
        sim__check(list->at != NULL, "memory for a list");
    }
    size_t drawn = sim_draw_kept(cut, rand, list->at), kept = 0;
    for (size_t i = 0; i < drawn; i++)
        if (sim_run_has(run, world, SIM_PART_KEPT, list->at[i]))
            list->at[kept++] = list->at[i];
    for (uint32_t i = 0; i < sim->op_count; i++)
        if ((cut->ops >> i & 1) != 0 && !sim_run_has(run, world, SIM_PART_NAME, i))
            cut->ops &= ~(UINT64_C(1) << i);
    cut->keep = SIM_KEEP_LIST;
    cut->list = list->at;
    cut->listed = kept;
}

static const char *name_of(const struct sim_file *file)
{
    return file->name[0] != '\0'      ? file->name
           : file->on_disk[0] != '\0' ? file->on_disk
                                      : "a file without a name";
}

void sim_cut_tell(const struct sim_run *run, const struct sim *sim, const struct sim_cut *cut, bool in_call)
{
    if (!run->narrate)
        return;
    fprintf(stderr, "  THE %s%s", cut == NULL ? "PROCESS DIES" : "POWER FAILS",
            !in_call           ? " here"
            : sim->where.after ? " right after "
                               : " right before ");
    if (in_call)
        sim_print_where(&sim->where);
    fprintf(stderr, "\n");
    if (cut == NULL)
        return;
    fprintf(stderr, "      of %zu undecided pieces of %" PRIu32 " bytes %zu reached the disk\n", cut->units,
            cut->grain, cut->listed);
    for (size_t i = 0; i < cut->listed && i < TOLD; i++) {
        const struct sim_unit *unit = &sim->units[cut->list[i]];
        fprintf(stderr, "        %s at offset %" PRIu32 "\n", name_of(&sim->files[unit->file]), unit->offset);
    }
    for (uint32_t i = 0; i < sim->op_count; i++) {
        const struct sim_op *op = &sim->ops[i];
        fprintf(stderr, "      that %s %s %s %s the disk\n", name_of(op->file),
                op->name[0] != '\0' ? "is called" : "is gone", op->name,
                (cut->ops >> i & 1) != 0 ? "reached" : "did not reach");
    }
}

bool sim_cut_is_stale(const struct sim *sim, const struct sim_cut *cut)
{
    for (size_t i = 0; i < cut->units; i++) {
        const struct sim_unit *unit = &sim->units[i];
        const struct sim_file *file = &sim->files[unit->file];
        if (file->reborn && file->live[unit->offset] == 0 && file->disk[unit->offset] != 0)
            return true;
    }
    return false;
}
