/* SPDX-License-Identifier: BSD-3-Clause */
/* core/append.c: a record's way into the log: check, reserve, fill, publish. No lock, no allocation, no
 * system call while prepared segments last (tests/api/test_seccomp.c kills the thread otherwise). */
#include "core/mark.h"
#include "core/tail.h"
#include "format/fill.h"

/* Below, moving the header's checksum over the payload takes longer than going through it (docs/decisions/0025). */
#define SUM_AHEAD_MIN 32u

size_t stele_record_max(const struct stele *log)
{
    return log->record_max;
}

static int too_big(const struct stele *log, size_t len)
{
    return stele__fail(STELE_ETOOBIG, "%s: a record of %zu bytes is larger than %u, a quarter of a segment",
                       log->path, len, log->record_max);
}

static inline void fill_and_publish(struct stele *log, stele_lsn lsn, uint8_t wire, const void *data,
                                    size_t len)
{
    const struct stele__seg *seg = stele__segtab_at(log, lsn);
    uint8_t *at = stele__seg_address(log, seg, lsn);
    stele__tail_prefetch(at, stele__record_bytes(len));
    /* Relaxed: any older durable point is still true testimony. */
    stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
    uint64_t word = stele__word_pack((uint32_t)len, wire, log->epoch);
    word = stele__record_fill(at, word, stele__record_seed(seg->salt, lsn), stele__dback(lsn, durable), data,
                              len);
    stele__tail_publish(at, word);
}

/* Small enough to be filled inline, large enough for a sum taken ahead to pay. */
static inline bool sum_ahead(const struct stele *log, size_t len)
{
    return !log->single && len >= SUM_AHEAD_MIN;
}

/* stele_append() of a small record with the crc32 instruction. Behind an atomic addition nothing of a record
 * can start before the addition is done, and the next one waits until the record is stored: what does not
 * need the place comes first. */
STELE__CRC_TARGET static int append_small(struct stele *log, const uint8_t *data, size_t len,
                                          stele_lsn *out_lsn)
{
    const bool ahead = sum_ahead(log, len);
    const uint64_t sum = ahead ? stele__fill_sum(data, len) : 0;
    stele_lsn lsn;
    int rc = stele__tail_reserve(log, stele__record_bytes(len), &lsn);
    if (STELE__UNLIKELY(rc != 0))
        return rc;
    const struct stele__seg *seg = stele__segtab_at(log, lsn);
    uint8_t *at = stele__seg_address(log, seg, lsn);
    stele__tail_prefetch(at, stele__record_bytes(len));
    uint32_t seed = stele__record_seed(seg->salt, lsn);
    uint32_t dback = stele__dback(lsn, atomic_load_explicit(&log->durable, memory_order_relaxed));
    uint64_t word = stele__word_pack((uint32_t)len, STELE__WIRE_DATA, log->epoch);
    word = ahead ? stele__fill_summed(at, word, seed, dback, data, len, sum)
                 : stele__fill_small(at, word, seed, dback, data, len);
    stele__tail_publish(at, word);
    if (out_lsn != NULL)
        *out_lsn = lsn;
    return 0;
}

int stele_append(struct stele *log, const void *data, size_t len, stele_lsn *out_lsn)
{
    if (STELE__UNLIKELY(len > log->record_max))
        return too_big(log, len);
    if (STELE__UNLIKELY(atomic_load_explicit(&log->pending.wanted, memory_order_relaxed)))
        stele__mark_write_pending(log);
    if (STELE__LIKELY(len <= STELE__FUSED_MAX && stele__crc32c_has_hw()))
        return append_small(log, data, len, out_lsn);
    stele_lsn lsn;
    int rc = stele__tail_reserve(log, stele__record_bytes(len), &lsn);
    if (STELE__UNLIKELY(rc != 0))
        return rc;
    fill_and_publish(log, lsn, STELE__WIRE_DATA, data, len);
    if (out_lsn != NULL)
        *out_lsn = lsn;
    return 0;
}

/* Total length of the pieces, or an error code. */
static int64_t pieces_length(const struct stele *log, const struct iovec *iov, int iovcnt)
{
    uint64_t len = 0;
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > log->record_max)
            return too_big(log, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    return len <= log->record_max ? (int64_t)len : too_big(log, (size_t)len);
}

int stele_appendv(struct stele *log, unsigned type, const struct iovec *iov, int iovcnt, stele_lsn *out_lsn)
{
    if (type > STELE_TYPE_MAX || iovcnt < 0 || (iov == NULL && iovcnt > 0))
        return stele__fail(STELE_EINVAL, "%s: appendv: type %u (0..%u) or %d pieces out of range", log->path,
                           type, STELE_TYPE_MAX, iovcnt);
    int64_t len = pieces_length(log, iov, iovcnt);
    if (len < 0)
        return (int)len;
    stele__mark_write_pending(log);
    stele_lsn lsn;
    int rc = stele__tail_reserve(log, stele__record_bytes((uint64_t)len), &lsn);
    if (rc != 0)
        return rc;
    if (iovcnt <= 1) {
        fill_and_publish(log, lsn, stele__wire_of_type(type), iovcnt == 1 ? iov[0].iov_base : NULL,
                         (size_t)len);
    } else {
        const struct stele__seg *seg = stele__segtab_at(log, lsn);
        uint8_t *at = stele__seg_address(log, seg, lsn);
        stele__tail_prefetch(at, stele__record_bytes((uint64_t)len));
        stele_lsn durable = atomic_load_explicit(&log->durable, memory_order_relaxed);
        stele__record_gather(at, iov, iovcnt);
        uint64_t word = stele__word_pack((uint32_t)len, stele__wire_of_type(type), log->epoch);
        word = stele__record_seal(at, word, stele__record_seed(seg->salt, lsn), stele__dback(lsn, durable));
        stele__tail_publish(at, word);
    }
    if (out_lsn != NULL)
        *out_lsn = lsn;
    return 0;
}

static int check_entries(const struct stele *log, const struct stele_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].len > log->record_max)
            return too_big(log, entries[i].len);
        if (entries[i].type > STELE_TYPE_MAX)
            return stele__fail(STELE_EINVAL, "%s: entry %zu: type %u is above %u", log->path, i,
                               entries[i].type, STELE_TYPE_MAX);
    }
    return 0;
}

long stele_append_batch(struct stele *log, struct stele_entry *entries, size_t count)
{
    int rc = check_entries(log, entries, count);
    if (rc != 0)
        return rc;
    const uint64_t group_max = log->data_bytes / 4; /* what one reservation may take */
    size_t done = 0;
    while (done < count) {
        size_t end = done;
        uint64_t bytes = 0;
        while (end < count && bytes + stele__record_bytes(entries[end].len) <= group_max)
            bytes += stele__record_bytes(entries[end++].len);
        stele__mark_write_pending(log);
        stele_lsn lsn;
        rc = stele__tail_reserve(log, bytes, &lsn);
        if (rc != 0)
            return done > 0 ? (long)done : rc;
        for (; done < end; done++) {
            fill_and_publish(log, lsn, stele__wire_of_type(entries[done].type), entries[done].data,
                             entries[done].len);
            entries[done].lsn = lsn;
            lsn += stele__record_bytes(entries[done].len);
        }
    }
    return (long)done;
}
