/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/seal.h"

#include "format/chain.h"

static int persist(struct stele *log, const struct stele__seg *seg, uint64_t offset, uint64_t len,
                   const char *what)
{
    int rc = stele__persist(log, &seg->map, offset, len);
    if (rc == 0)
        return 0;
    char name[STELE__NAME_MAX];
    stele__name_segment(name, seg->sequence, stele__base_of(log, seg->sequence));
    return stele__fail_errno(-rc, "%s/%s: offset %llu: cannot make the %s durable", log->path, name,
                             (unsigned long long)offset, what);
}

int stele__seal(struct stele *log, const struct stele__seg *seg)
{
    const uint64_t index_bytes = seg->index_entries * STELE__INDEX_ENTRY;
    const uint64_t index_offset = stele__index_offset(log->data_bytes);
    const uint64_t footer_offset = stele__footer_offset(log->data_bytes);
    struct stele__footer footer = {.sequence = seg->sequence,
                                   .salt = seg->salt,
                                   .incarnation = seg->incarnation,
                                   .end = stele__base_of(log, seg->sequence) + log->data_bytes,
                                   .first_record = seg->first_record,
                                   .records = seg->records,
                                   .chain_start = seg->chain_start,
                                   .chain_end = seg->chain_end,
                                   .first_time_ns = seg->first_time_ns,
                                   .last_time_ns = seg->last_time_ns,
                                   .index_entries = seg->index_entries,
                                   .index_hash = stele__hash64(seg->index, (size_t)index_bytes),
                                   .data_hash = stele__hash64(seg->data, (size_t)log->data_bytes)};
    memcpy(footer.uuid, log->uuid, sizeof footer.uuid);
    if (index_bytes > 0)
        memcpy(seg->map.base + index_offset, seg->index, (size_t)index_bytes);
    int rc = persist(log, seg, index_offset, footer_offset - index_offset, "index");
    if (rc != 0)
        return rc;
    /* The footer after the index: a footer that can be read speaks of an index that is there. */
    stele__footer_encode(seg->map.base + footer_offset, &footer);
    return persist(log, seg, footer_offset, UINT64_C(2) * STELE__FOOTER_COPY, "footer");
}
