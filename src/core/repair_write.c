/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_write.c: the part of a repair that changes bytes of segment files in place. Each function
 * leaves what it wrote durable. */
#include "core/repair.h"

#include "base/error.h"
#include "format/chain.h"
#include "os/file.h"

#include <errno.h>
#include <stdlib.h>

/* One write of zeroes. */
#define ZERO_BYTES 65536u

static int zero_range(int fd, uint64_t offset, uint64_t end)
{
    static const uint8_t zeroes[ZERO_BYTES];
    int rc = 0;
    while (rc == 0 && offset < end) {
        size_t n = (size_t)stele__min_u64(end - offset, sizeof zeroes);
        rc = stele__file_write(fd, zeroes, n, offset);
        offset += n;
    }
    return rc == 0 ? stele__file_datasync(fd) : rc;
}

/* Two copies of `size` bytes, one behind the other: write the damaged one from the sound one. */
static int heal_pair(int fd, uint64_t offset, size_t size, uint32_t copies)
{
    uint8_t sound[STELE__FOOTER_COPY];
    const uint64_t second = offset + size;
    int rc = stele__file_read(fd, sound, size, copies == 2 ? second : offset);
    if (rc == 0)
        rc = stele__file_write(fd, sound, size, copies == 2 ? offset : second);
    return rc == 0 ? stele__file_datasync(fd) : rc;
}

static struct stele__footer describe(const struct stele__repair *repair, const struct stele__found *found,
                                     const struct stele__open_segment *open)
{
    struct stele__footer footer = {.sequence = found->sequence,
                                   .salt = found->salt,
                                   .incarnation = found->incarnation,
                                   .end = found->base + repair->image_bytes,
                                   .first_record = open->first_record,
                                   .records = open->records,
                                   .chain_start = open->chain_start,
                                   .chain_end = open->chain_end,
                                   .first_time_ns = open->first_time_ns,
                                   .last_time_ns = open->last_time_ns,
                                   .index_entries = open->index_entries};
    memcpy(footer.uuid, repair->look->scan.uuid, sizeof footer.uuid);
    footer.index_hash = stele__hash64(open->index, (size_t)(open->index_entries * STELE__INDEX_ENTRY));
    footer.data_hash = stele__hash64(repair->image, (size_t)repair->image_bytes);
    if (found->footer_copies != 0 && found->footer.sequence == found->sequence &&
        found->footer.salt == found->salt) { /* the committer knew the times better than the marks do */
        footer.first_time_ns = found->footer.first_time_ns;
        footer.last_time_ns = found->footer.last_time_ns;
    }
    return footer;
}

static const struct stele__open_segment *find_open(const struct stele__repair *repair, uint64_t sequence)
{
    const struct stele__examined *facts = &repair->look->examined;
    for (size_t i = 0; i < facts->open_count; i++)
        if (facts->open[i].sequence == sequence)
            return &facts->open[i];
    return NULL;
}

/* Records first: a seal says that they are durable, and the cache may hold what the device never got. Then
 * the index, then one footer after the other: a footer that can be read speaks of an index that is there. */
static int write_seal(const struct stele__repair *repair, const struct stele__found *found,
                      const struct stele__open_segment *open, int fd)
{
    const uint64_t index = stele__index_offset(repair->image_bytes);
    const uint64_t footer_at = stele__footer_offset(repair->image_bytes);
    const struct stele__footer footer = describe(repair, found, open);
    uint8_t pages[2 * STELE__FOOTER_COPY];
    stele__footer_encode(pages, &footer);
    int rc = stele__file_write(fd, repair->image, (size_t)repair->image_bytes, STELE__HEADER_BYTES);
    if (rc == 0)
        rc = stele__file_write(fd, open->index, (size_t)(open->index_entries * STELE__INDEX_ENTRY), index);
    if (rc == 0)
        rc = zero_range(fd, index + open->index_entries * STELE__INDEX_ENTRY, footer_at);
    for (uint64_t at = 0; rc == 0 && at < sizeof pages; at += STELE__FOOTER_COPY) {
        rc = stele__file_write(fd, pages + at, STELE__FOOTER_COPY, footer_at + at);
        if (rc == 0)
            rc = stele__file_datasync(fd);
    }
    return rc;
}

static int change(struct stele__repair *repair, const struct stele__deed *deed,
                  const struct stele__found *found, int fd)
{
    const uint64_t data_bytes = UINT64_C(1) << repair->look->scan.data_log2;
    switch (deed->kind) {
    case STELE__DEED_UNSEAL:
        return zero_range(fd, stele__index_offset(data_bytes), stele__segment_file_bytes(data_bytes));
    case STELE__DEED_CUT:
        return zero_range(fd, STELE__HEADER_BYTES + (deed->cut - deed->base),
                          stele__min_u64(deed->save_to, STELE__HEADER_BYTES + data_bytes));
    case STELE__DEED_HEADER: return heal_pair(fd, 0, STELE__HEADER_COPY, found->header_copies);
    case STELE__DEED_FOOTER:
        return heal_pair(fd, stele__footer_offset(data_bytes), STELE__FOOTER_COPY, found->footer_copies);
    case STELE__DEED_SEAL: return write_seal(repair, found, find_open(repair, deed->sequence), fd);
    default: return -EINVAL;
    }
}

static const char *purpose(enum stele__deed_kind kind)
{
    switch (kind) {
    case STELE__DEED_UNSEAL: return "clear its footer";
    case STELE__DEED_CUT: return "zero what is cut";
    case STELE__DEED_HEADER: return "write the damaged copy of its header";
    case STELE__DEED_FOOTER: return "write the damaged copy of its footer";
    case STELE__DEED_SEAL: return "seal it again";
    default: return "change it";
    }
}

int stele__repair_contents(struct stele__repair *repair, const struct stele__deed *deed)
{
    const struct stele__found *found = stele__scan_find(&repair->look->scan, deed->sequence);
    char name[STELE__NAME_MAX];
    stele__name_segment(name, deed->sequence, deed->base);
    int rc = deed->kind == STELE__DEED_SEAL ? stele__repair_load(repair, found) : 0;
    if (rc != 0)
        return rc;
    int fd = stele__file_open(repair->look->dirfd, name, true);
    int err = fd < 0 ? fd : change(repair, deed, found, fd);
    stele__file_close(fd);
    return err == 0 ? 0 : stele__repair_fail(repair, name, err, purpose(deed->kind));
}
