/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/walk.h"

#include "format/chain.h"

void stele__walk_start(struct stele__walk *walk, const struct stele__area *area)
{
    *walk =
        (struct stele__walk){.area = *area, .at = area->base, .chain_at = area->base, .data_end = area->base};
}

void stele__walk_chain(struct stele__walk *walk, uint64_t chain_start, uint64_t record_number)
{
    walk->chain_known = walk->record_number_known = true;
    walk->chain_start = walk->chain = chain_start;
    walk->record_number = record_number;
}

/* Fold records that were validated before, up to `end`. False when `end` is not where a record begins. */
static bool fold_to(struct stele__walk *walk, stele_lsn end)
{
    while (walk->chain_at < end) {
        const uint8_t *at = walk->area.data + (walk->chain_at - walk->area.base);
        uint64_t word = stele__load64(at);
        uint8_t wire = stele__word_wire(word);
        bool fill = wire == STELE__WIRE_FILL;
        walk->chain = stele__chain_fold(walk->chain, at, fill);
        walk->record_number += stele__wire_is_data(wire) ? 1 : 0;
        walk->folded += stele__wire_is_data(wire) ? 1 : 0;
        walk->chain_at += fill ? 8 : stele__record_bytes(stele__word_len(word));
    }
    return walk->chain_at == end;
}

/* Compare a mark at `at` with the walk so far. Returns what differs, or NULL. */
static const char *judge_mark(struct stele__walk *walk, const struct stele__mark *mark)
{
    if (mark->upto < walk->area.base || mark->upto > walk->at || mark->upto % 8 != 0)
        return "the mark's position is not behind it in its segment";
    if (mark->durable > walk->at)
        return "the mark calls bytes durable that were not written yet";
    if (!walk->chain_known) {
        walk->chain_start = walk->chain = mark->chain_start;
        walk->chain_known = true;
    }
    if (mark->chain_start != walk->chain_start)
        return "the mark knows another chain for the start of this segment";
    if (mark->upto <
        walk->chain_at) /* marks of racing committers never step back: the leader is one at a time */
        return "the mark's position falls behind the mark before it";
    if (!fold_to(walk, mark->upto))
        return "the mark's position is not the start of a record";
    if (mark->chain != walk->chain)
        return "the chain differs: records before the mark were replaced, removed or reordered";
    if (mark->record_number < walk->folded)
        return "the mark counts fewer records than stand before it in its segment";
    if (!walk->record_number_known) {
        walk->record_number = mark->record_number;
        walk->record_number_known = true;
    }
    if (mark->record_number != walk->record_number)
        return "the mark counts another number of records";
    return NULL;
}

enum stele__step stele__walk_next(struct stele__walk *walk, struct stele__record *out,
                                  struct stele__mark *mark)
{
    if (walk->at - walk->area.base >= walk->area.bytes)
        return STELE__WALK_END;
    walk->check = stele__record_check(&walk->area, walk->at, out);
    if (walk->check != STELE__RECORD_OK)
        return STELE__WALK_STOP;
    walk->epoch_fell = out->epoch < walk->epoch;
    if (walk->epoch_fell)
        return STELE__WALK_STOP;
    if (out->wire == STELE__WIRE_MARK) {
        struct stele__mark decoded;
        bool sound = stele__mark_decode(out->payload, out->len, &decoded);
        walk->mark_error = sound ? judge_mark(walk, &decoded) : "the mark's fields are out of range";
        if (walk->mark_error != NULL)
            return STELE__WALK_STOP;
        walk->vouched = stele__max_u64(walk->vouched, decoded.durable);
        walk->time_ns = decoded.time_ns;
        if (mark != NULL)
            *mark = decoded;
    }
    walk->epoch = out->epoch;
    walk->vouched = stele__max_u64(walk->vouched, stele__record_vouches(out));
    walk->at += out->bytes;
    if (stele__wire_is_data(out->wire)) {
        walk->records++;
        walk->data_end = walk->at;
    }
    return STELE__WALK_RECORD;
}

void stele__walk_fold(struct stele__walk *walk)
{
    (void)fold_to(walk, walk->at);
}
