/* SPDX-License-Identifier: BSD-3-Clause */
/* core/reserve.c: slots that the caller fills in place. */
#include "core/mark.h"
#include "core/tail.h"

#define SLOT_OPEN 0x51071u

int stele_reserve(struct stele *log, unsigned type, size_t len, struct stele_slot *slot)
{
    *slot = (struct stele_slot){.lsn = STELE_LSN_NONE};
    if (type > STELE_TYPE_MAX)
        return stele__fail(STELE_EINVAL, "%s: type %u is above %u", log->path, type, STELE_TYPE_MAX);
    if (len > log->record_max)
        return stele__fail(STELE_ETOOBIG,
                           "%s: a record of %zu bytes is larger than %u, a quarter of a segment", log->path,
                           len, log->record_max);
    stele__mark_write_pending(log);
    stele_lsn lsn;
    int rc = stele__tail_reserve(log, stele__record_bytes(len), &lsn);
    if (rc != 0)
        return rc;
    const struct stele__seg *seg = stele__segtab_at(log, lsn);
    uint8_t *at = stele__seg_address(log, seg, lsn);
    stele__tail_prefetch(at, stele__record_bytes(len));
    /* Relaxed: it says "somebody is at it" to a tool that looks; readers stop here as at a free slot. */
    atomic_store_explicit(
        (_Atomic uint64_t *)(void *)at,
        stele__record_reserved((uint32_t)len, log->epoch, stele__record_seed(seg->salt, lsn)),
        memory_order_relaxed);
    *slot = (struct stele_slot){
        .data = at + STELE__RECORD_HEADER, .len = len, .lsn = lsn, .type = type, .state = SLOT_OPEN};
    return 0;
}

int stele_publish(struct stele *log, struct stele_slot *slot, size_t used)
{
    if (slot->state != SLOT_OPEN)
        return stele__fail(STELE_EINVAL, "%s: publish: not an open slot", log->path);
    if (used > slot->len)
        return stele__fail(STELE_EINVAL, "%s: publish: %zu bytes used of a slot of %zu", log->path, used,
                           slot->len);
    const struct stele__seg *seg = stele__segtab_at(log, slot->lsn);
    uint8_t *at = stele__seg_address(log, seg, slot->lsn);
    stele_lsn end = slot->lsn + stele__record_bytes(used);
    stele_lsn slot_end = slot->lsn + stele__record_bytes(slot->len);
    if (end < slot_end) /* the rest first: nobody can step to it before the record's own word is there */
        stele__tail_pad(log, end, slot_end);
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    uint64_t word = stele__word_pack((uint32_t)used, stele__wire_of_type(slot->type), log->epoch);
    word = stele__record_seal(at, word, stele__record_seed(seg->salt, slot->lsn),
                              stele__dback(slot->lsn, durable));
    stele__tail_publish(at, word);
    slot->state = 0;
    slot->data = NULL;
    return 0;
}

int stele_abandon(struct stele *log, struct stele_slot *slot)
{
    if (slot->state != SLOT_OPEN)
        return stele__fail(STELE_EINVAL, "%s: abandon: not an open slot", log->path);
    stele__tail_pad(log, slot->lsn, slot->lsn + stele__record_bytes(slot->len));
    slot->state = 0;
    slot->data = NULL;
    return 0;
}
