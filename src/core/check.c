/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/check.h"

#include "base/error.h"
#include "format/chain.h"
#include "os/view.h"

#include <pthread.h>
#include <stdlib.h>

const char *stele__walk_complaint(const struct stele__walk *walk, const char **kind)
{
    *kind = "record";
    if (walk->check != STELE__RECORD_OK)
        return stele__check_name(walk->check);
    if (walk->epoch_fell)
        return "a record of an earlier opening stands behind a later one";
    *kind = "chain";
    return walk->mark_error != NULL ? walk->mark_error : "no complaint";
}

static void complain(struct stele__check_result *out, const char *kind, const char *detail, uint64_t offset,
                     stele_lsn lsn)
{
    out->kind = kind;
    out->detail = detail;
    out->offset = offset;
    out->lsn = lsn;
}

/* The whole segment validated: do chain, counts and hashes agree with the footer? */
static void compare_footer(const struct stele__footer *footer, struct stele__walk *walk,
                           struct stele__check_result *out)
{
    const uint64_t footer_at = stele__footer_offset(walk->area.bytes);
    stele__walk_fold(walk);
    if (walk->chain != footer->chain_end)
        complain(out, "chain", "the chain at the end differs from the footer's", footer_at, footer->end);
    else if (walk->records != footer->records)
        complain(out, "chain", "the number of records differs from the footer's", footer_at, footer->end);
    else if (stele__hash64(walk->area.data, (size_t)walk->area.bytes) != footer->data_hash) {
        complain(out, "data-hash",
                 "bytes that no record covers changed (every record is sound): the data hash differs",
                 STELE__HEADER_BYTES, footer->end);
        out->harmless = true;
    }
}

static void check_index(const struct stele__scan *scan, const struct stele__found *found,
                        struct stele__index_entry *index, struct stele__check_result *out)
{
    out->io_error = stele__scan_index(scan, found, index);
    if (out->io_error != 0)
        return;
    size_t bytes = (size_t)(found->footer.index_entries * STELE__INDEX_ENTRY);
    if (stele__hash64(index, bytes) == found->footer.index_hash)
        return;
    complain(out, "index", "the index does not match the footer's hash; searches walk the segment instead",
             stele__index_offset(UINT64_C(1) << scan->data_log2), found->base);
    out->harmless = true;
}

void stele__check_sealed(const struct stele__scan *scan, const struct stele__found *found, uint8_t *image,
                         struct stele__index_entry *index, struct stele__check_result *out)
{
    *out = (struct stele__check_result){0};
    out->io_error = stele__scan_load(scan, found, image);
    if (out->io_error != 0)
        return;
    const uint64_t data_bytes = UINT64_C(1) << scan->data_log2;
    struct stele__area area = {.data = image,
                               .bytes = data_bytes,
                               .base = found->base,
                               .salt = found->salt,
                               .record_max = stele__record_max(data_bytes)};
    struct stele__walk walk;
    struct stele__record record;
    enum stele__step step;
    stele__walk_start(&walk, &area);
    stele__walk_chain(&walk, found->footer.chain_start, found->footer.first_record);
    do {
        step = stele__walk_next(&walk, &record, NULL);
    } while (step == STELE__WALK_RECORD);
    out->records = walk.records;
    out->bytes = walk.at - area.base;
    if (step == STELE__WALK_STOP) {
        const char *kind = NULL;
        const char *detail = stele__walk_complaint(&walk, &kind);
        complain(out, kind, detail, STELE__HEADER_BYTES + out->bytes, walk.at);
        return;
    }
    compare_footer(&found->footer, &walk, out);
    if (out->kind == NULL)
        check_index(scan, found, index, out);
}

struct pool {
    const struct stele__scan *scan;
    const bool *wanted;
    struct stele__check_result *results;
    _Atomic size_t next;
    _Atomic bool no_memory;
};

static void *work(void *argument)
{
    struct pool *pool = argument;
    const uint64_t data_bytes = UINT64_C(1) << pool->scan->data_log2;
    uint8_t *image = stele__image_alloc(data_bytes);
    struct stele__index_entry *index = calloc((size_t)stele__index_capacity(data_bytes), sizeof *index);
    if (image == NULL || index == NULL)
        atomic_store(&pool->no_memory, true);
    else
        for (size_t i = atomic_fetch_add(&pool->next, 1); i < pool->scan->count;
             i = atomic_fetch_add(&pool->next, 1))
            if (pool->wanted[i])
                stele__check_sealed(pool->scan, &pool->scan->found[i], image, index, &pool->results[i]);
    free(index);
    stele__image_free(image, data_bytes);
    return NULL;
}

int stele__check_many(const struct stele__scan *scan, const bool *wanted, uint32_t jobs,
                      struct stele__check_result *results)
{
    enum { JOBS_MAX = 64 }; /* more than that many segment images in memory help nobody */
    pthread_t threads[JOBS_MAX];
    struct pool pool = {.scan = scan, .wanted = wanted, .results = results};
    uint32_t started = 0;
    while (started + 1 < jobs && started < JOBS_MAX &&
           pthread_create(&threads[started], NULL, work, &pool) == 0)
        started++;
    (void)work(&pool);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&pool.no_memory))
        return stele__fail(STELE_ENOMEM, "%s: no memory for the image of a segment", scan->path);
    return 0;
}
