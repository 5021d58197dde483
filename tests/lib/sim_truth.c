/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_truth.h"

#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BYTES (UINT32_C(1) << 20)
static uint8_t pool[POOL_BYTES];
static uint32_t twist;

void sim_payload_twist(uint32_t value)
{
    twist = value;
}

const uint8_t *sim_payload(struct sim_rand *rand, uint32_t len, uint32_t *at)
{
    static bool filled;
    if (!filled) {
        struct sim_rand bytes = sim_rand_of(7, 7);
        for (uint32_t i = 0; i < POOL_BYTES; i += 8) {
            uint64_t word = sim_rand_next(&bytes);
            memcpy(pool + i, &word, 8);
        }
        filled = true;
    }
    *at = (uint32_t)((sim_rand_below(rand, POOL_BYTES - len) + twist) % (POOL_BYTES - len));
    return pool + *at;
}

const uint8_t *sim_payload_at(uint32_t at)
{
    return pool + at;
}

void sim_truth_add(struct sim_truth *truth, stele_lsn lsn, unsigned type, uint32_t len, uint32_t at,
                   enum sim_state state)
{
    sim__check(truth->count == 0 || truth->entries[truth->count - 1].lsn < lsn, "positions grow");
    if (truth->count == truth->capacity) {
        truth->capacity = truth->capacity == 0 ? 256 : truth->capacity * 2;
        truth->entries = realloc(truth->entries, truth->capacity * sizeof *truth->entries);
        sim__check(truth->entries != NULL, "memory for the truth");
    }
    truth->entries[truth->count++] = (struct sim_entry){lsn, len, at, (uint8_t)type, (uint8_t)state};
}

struct sim_entry *sim_truth_find(struct sim_truth *truth, stele_lsn lsn)
{
    for (size_t i = truth->count; i > 0 && truth->entries[i - 1].lsn >= lsn; i--)
        if (truth->entries[i - 1].lsn == lsn)
            return &truth->entries[i - 1];
    return NULL;
}

void sim_truth_note_batch(struct sim_truth *truth)
{
    struct sim_batch *batch = truth->batch;
    if (batch == NULL)
        return;
    for (; batch->noted < batch->count; batch->noted++) {
        const struct stele_entry *entry = &batch->entries[batch->noted];
        if (entry->lsn == STELE_LSN_NONE)
            return;
        sim_truth_add(truth, entry->lsn, entry->type, (uint32_t)entry->len, batch->at[batch->noted],
                      SIM_SLOT_PUBLISHED);
    }
}

void sim_truth_copy(struct sim_truth *to, const struct sim_truth *from)
{
    struct sim_entry *entries = to->entries;
    size_t capacity = to->capacity;
    if (capacity < from->count) {
        capacity = from->capacity;
        entries = realloc(entries, capacity * sizeof *entries);
        sim__check(entries != NULL, "memory for the truth");
    }
    if (from->count > 0)
        memcpy(entries, from->entries, from->count * sizeof *entries);
    *to = *from;
    to->entries = entries;
    to->capacity = capacity;
    to->batch = NULL;
    to->why[0] = '\0';
}

void sim_truth_free(struct sim_truth *truth)
{
    free(truth->entries);
    *truth = (struct sim_truth){0};
}

__attribute__((format(printf, 2, 3))) static bool broken(struct sim_truth *truth, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(truth->why, sizeof truth->why, format, args);
    va_end(args);
    return false;
}

/* May `record` be shown, being what follows entries[*at]? *at moves behind it. */
static bool is_next(struct sim_truth *truth, const struct stele_record *record, size_t *at)
{
    while (*at < truth->count && truth->entries[*at].state == SIM_SLOT_ABANDONED)
        ++*at;
    if (*at == truth->count)
        return broken(truth, "a record at lsn %llu (%zu bytes, type %u) was never appended",
                      (unsigned long long)record->lsn, record->len, record->type);
    const struct sim_entry *entry = &truth->entries[*at];
    if (entry->state == SIM_SLOT_OPEN)
        return broken(truth,
                      "a record at lsn %llu is shown behind the slot at lsn %llu, which was never published",
                      (unsigned long long)record->lsn, (unsigned long long)entry->lsn);
    if (record->lsn != entry->lsn)
        return broken(truth, "the record at lsn %llu is missing, one at lsn %llu is shown instead",
                      (unsigned long long)entry->lsn, (unsigned long long)record->lsn);
    if (record->type != entry->type || record->len != entry->len)
        return broken(truth, "the record at lsn %llu was %u bytes of type %u, it is %zu of type %u",
                      (unsigned long long)entry->lsn, entry->len, entry->type, record->len, record->type);
    if (memcmp(record->data, pool + entry->at, entry->len) != 0)
        return broken(truth, "the record at lsn %llu has other bytes", (unsigned long long)entry->lsn);
    ++*at;
    return true;
}

static size_t index_of(const struct sim_truth *truth, stele_lsn lsn)
{
    size_t at = 0;
    while (at < truth->count && truth->entries[at].lsn < lsn)
        at++;
    return at;
}

size_t sim_truth_before(const struct sim_truth *truth, stele_lsn lsn)
{
    size_t n = 0;
    for (size_t i = 0; i < truth->count && truth->entries[i].lsn < lsn; i++)
        n += truth->entries[i].state == SIM_SLOT_PUBLISHED ? 1 : 0;
    return n;
}

static bool read_from(struct sim_truth *truth, struct stele *log, size_t *at, size_t *shown, int *rc)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    bool ok = true;
    *shown = 0;
    *rc = stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor);
    if (*rc != 0)
        return true;
    while (ok && (*rc = stele_cursor_next(cursor, &record)) == 1) {
        ok = is_next(truth, &record, at);
        ++*shown;
    }
    stele_cursor_close(cursor);
    return ok;
}

bool sim_truth_read(struct sim_truth *truth, struct stele *log, size_t *shown, int *rc)
{
    size_t at = index_of(truth, stele_first(log));
    return read_from(truth, log, &at, shown, rc);
}

/* Nothing more is shown: was everything acknowledged there? */
static bool may_end(struct sim_truth *truth, size_t at)
{
    for (; at < truth->count && truth->entries[at].lsn < truth->acked; at++)
        if (truth->entries[at].state != SIM_SLOT_ABANDONED)
            return broken(truth,
                          "the record at lsn %llu is missing; everything before lsn %llu was acknowledged",
                          (unsigned long long)truth->entries[at].lsn, (unsigned long long)truth->acked);
    return true;
}

bool sim_truth_check(struct sim_truth *truth, struct stele *log, size_t *shown)
{
    stele_lsn first = stele_first(log);
    if (first < truth->first || first > truth->first_limit)
        return broken(truth, "the log begins at lsn %llu, not from %llu to %llu", (unsigned long long)first,
                      (unsigned long long)truth->first, (unsigned long long)truth->first_limit);
    size_t at = index_of(truth, first);
    int rc;
    if (!read_from(truth, log, &at, shown, &rc))
        return false;
    if (rc != 0)
        return broken(truth, "reading ended with %s: %s", stele_strerror(rc), stele_last_error());
    return may_end(truth, at);
}

void sim_truth_settle(struct sim_truth *truth, struct stele *log, size_t shown)
{
    truth->first = truth->first_limit = stele_first(log);
    truth->acked = stele_durable(log);
    truth->created = true;
    truth->batch = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < truth->count && shown > 0; i++) {
        if (truth->entries[i].lsn < truth->first || truth->entries[i].state != SIM_SLOT_PUBLISHED)
            continue;
        truth->entries[kept++] = truth->entries[i];
        shown--;
    }
    truth->count = kept;
}
