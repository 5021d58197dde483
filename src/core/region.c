/* SPDX-License-Identifier: BSD-3-Clause */
/* core/region.c: the mapped segments, for registration with devices. */
#include "core/log.h"

long stele_region(struct stele *log, struct stele_region *out, size_t count)
{
    if (log->read_only)
        return stele__fail(STELE_EACCES, "%s: the log is open read-only", log->path);
    pthread_mutex_lock(&log->ring_lock);
    long total = (long)(log->ring_high - log->ring_low);
    for (uint64_t s = log->ring_low; s < log->ring_high && s - log->ring_low < count; s++) {
        const struct stele__seg *seg = &log->ring[s & (STELE__RING - 1)];
        out[s - log->ring_low] = (struct stele_region){.base = seg->data,
                                                       .bytes = (size_t)log->data_bytes,
                                                       .lsn = stele__base_of(log, s),
                                                       .fd = seg->map.fd,
                                                       .file_offset = STELE__HEADER_BYTES};
    }
    pthread_mutex_unlock(&log->ring_lock);
    return total;
}
