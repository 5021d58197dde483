/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/scan.h"

#include "base/error.h"
#include "core/control.h"
#include "os/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void stele__found_name(const struct stele__found *found, char out[STELE__NAME_MAX])
{
    if (found->broken)
        stele__name_broken(out, found->sequence, found->base);
    else
        stele__name_segment(out, found->sequence, found->base);
}

static bool grow(void **array, size_t count, size_t *capacity, size_t item)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(*array, wanted * item);
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

static int note_name(void *ctx, const char *name)
{
    struct stele__scan *scan = ctx;
    uint64_t sequence = 0;
    stele_lsn base = 0;
    switch (stele__name_parse(name, &sequence, &base)) {
    case STELE__NAME_CONTROL: scan->control_present = true; return 0;
    case STELE__NAME_LOCK: return 0;
    case STELE__NAME_FOREIGN: scan->foreign++; return 0;
    case STELE__NAME_TEMP:
        if (!grow((void **)&scan->temps, scan->temp_count, &scan->temp_capacity, sizeof *scan->temps))
            return -ENOMEM;
        snprintf(scan->temps[scan->temp_count++], STELE__NAME_MAX, "%s", name);
        return 0;
    case STELE__NAME_SEGMENT:
    case STELE__NAME_BROKEN: break;
    }
    if (!grow((void **)&scan->found, scan->count, &scan->capacity, sizeof *scan->found))
        return -ENOMEM;
    bool broken = stele__name_parse(name, &sequence, &base) == STELE__NAME_BROKEN;
    scan->found[scan->count++] = (struct stele__found){.sequence = sequence, .base = base, .broken = broken};
    return 0;
}

static int by_sequence(const void *a, const void *b)
{
    const struct stele__found *x = a, *y = b;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return (int)x->broken - (int)y->broken;
}

void stele__scan_sort(struct stele__scan *scan)
{
    if (scan->count > 0) /* qsort(NULL, 0) is undefined */
        qsort(scan->found, scan->count, sizeof *scan->found, by_sequence);
}

static void take_header(struct stele__scan *scan, struct stele__found *found,
                        const struct stele__header *header)
{
    found->salt = header->salt;
    found->incarnation = header->incarnation;
    found->data_log2 = header->data_log2;
    found->created_ns = header->created_ns;
    found->ro_compat = header->ro_compat;
    found->own_sequence = header->sequence;
    found->named_right = header->sequence == found->sequence && header->base == found->base;
    if (scan->data_log2 == 0) { /* no control file: the first sound header speaks for the log */
        scan->data_log2 = header->data_log2;
        memcpy(scan->uuid, header->uuid, sizeof scan->uuid);
    }
    found->same_log =
        memcmp(scan->uuid, header->uuid, sizeof scan->uuid) == 0 && header->data_log2 == scan->data_log2;
}

static int read_ends(struct stele__scan *scan, struct stele__found *found, int fd)
{
    uint8_t page[2 * STELE__FOOTER_COPY];
    struct stele__header header;
    int rc = stele__file_read(fd, page, STELE__HEADER_BYTES, 0);
    if (rc == -ENODATA) {
        found->header = STELE__DECODE_MAGIC; /* shorter than a header */
        return 0;
    }
    if (rc != 0)
        return rc;
    found->header = stele__header_decode(page, &header, &found->header_copies);
    if (found->header != STELE__DECODE_OK)
        return 0;
    take_header(scan, found, &header);
    uint64_t bytes = stele__segment_file_bytes(UINT64_C(1) << header.data_log2);
    found->size_right = found->file_bytes == bytes;
    if (found->file_bytes < bytes)
        return 0;
    rc = stele__file_read(fd, page, sizeof page, stele__footer_offset(UINT64_C(1) << header.data_log2));
    if (rc != 0)
        return rc;
    found->footer_trace = !stele__is_zero(page, sizeof page);
    found->sealed = stele__footer_find(page, &header, &found->footer, &found->footer_copies);
    return 0;
}

static void inspect_file(struct stele__scan *scan, struct stele__found *found)
{
    char name[STELE__NAME_MAX];
    stele__found_name(found, name);
    int fd = stele__file_open(scan->dirfd, name, false);
    if (fd < 0) {
        found->io_error = fd;
        return;
    }
    found->io_error = stele__file_size(fd, &found->file_bytes, &found->disk_bytes);
    if (found->io_error == 0 && !found->broken)
        found->io_error = read_ends(scan, found, fd);
    stele__file_close(fd);
}

static int read_control(struct stele__scan *scan)
{
    scan->control_result = STELE__DECODE_MAGIC;
    if (!scan->control_present)
        return 0;
    int rc = stele__control_read(scan->dirfd, &scan->control, &scan->control_result, &scan->control_copies);
    if (rc == -ENODATA)
        return 0; /* cut short: as good as none */
    if (rc != 0)
        return stele__fail_errno(-rc, "%s/" STELE__CONTROL_NAME ": cannot read it", scan->path);
    if (scan->control_result == STELE__DECODE_VERSION)
        return stele__fail(STELE_EVERSION,
                           "%s/" STELE__CONTROL_NAME
                           ": offset 8: another format version or an unknown feature; this library "
                           "reads version %d",
                           scan->path, STELE_FORMAT_VERSION);
    if (scan->control_result == STELE__DECODE_OK) {
        memcpy(scan->uuid, scan->control.uuid, sizeof scan->uuid);
        scan->data_log2 = scan->control.data_log2;
    }
    return 0;
}

int stele__scan(struct stele__scan *scan, int dirfd, const char *path)
{
    *scan = (struct stele__scan){.dirfd = dirfd, .path = path};
    int rc = stele__dir_each(dirfd, note_name, scan);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s: cannot list the directory", path);
    if (!scan->control_present && scan->count == 0)
        return stele__fail(
            STELE_ENOTLOG,
            "%s: not a log: neither a control file nor a segment in it (stele create makes one)", path);
    rc = read_control(scan);
    if (rc != 0)
        return rc;
    stele__scan_sort(scan);
    for (size_t i = 0; i < scan->count; i++) {
        struct stele__found *found = &scan->found[i];
        inspect_file(scan, found);
        if (found->header == STELE__DECODE_VERSION && !found->broken) {
            char name[STELE__NAME_MAX];
            stele__found_name(found, name);
            return stele__fail(STELE_EVERSION,
                               "%s/%s: offset 8: another format version or an unknown feature; this library "
                               "reads version %d",
                               path, name, STELE_FORMAT_VERSION);
        }
    }
    return 0;
}

void stele__scan_free(struct stele__scan *scan)
{
    free(scan->found);
    free(scan->temps);
    scan->found = NULL;
    scan->temps = NULL;
    scan->count = scan->temp_count = 0;
}

struct stele__found *stele__scan_find(struct stele__scan *scan, uint64_t sequence)
{
    size_t low = 0, high = scan->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->found[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    struct stele__found *any = NULL; /* a misnamed twin counts only when there is no right one */
    for (; low < scan->count && scan->found[low].sequence == sequence; low++) {
        if (stele__found_readable(&scan->found[low]))
            return &scan->found[low];
        bool named = scan->found[low].base == sequence << scan->data_log2;
        if (!scan->found[low].broken && (any == NULL || named))
            any = &scan->found[low];
    }
    return any;
}

bool stele__scan_is_broken(const struct stele__scan *scan, uint64_t sequence)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->found[i].sequence == sequence && scan->found[i].broken)
            return true;
    }
    return false;
}

bool stele__found_readable(const struct stele__found *found)
{
    return found->io_error == 0 && !found->broken && found->header == STELE__DECODE_OK &&
           found->named_right && found->same_log;
}

static void name_on_disk(const struct stele__found *found, char out[STELE__NAME_MAX])
{
    if (found->elsewhere)
        stele__name_segment(out, found->elsewhere_sequence, found->elsewhere_base);
    else
        stele__found_name(found, out);
}

int stele__scan_load(const struct stele__scan *scan, const struct stele__found *found, uint8_t *image)
{
    const uint64_t data_bytes = UINT64_C(1) << scan->data_log2;
    char name[STELE__NAME_MAX];
    name_on_disk(found, name);
    uint64_t have = found->file_bytes > STELE__HEADER_BYTES ? found->file_bytes - STELE__HEADER_BYTES : 0;
    have = stele__min_u64(have, data_bytes);
    int fd = stele__file_open(scan->dirfd, name, false);
    if (fd < 0)
        return fd;
    int rc = have > 0 ? stele__file_read(fd, image, have, STELE__HEADER_BYTES) : 0;
    stele__file_close(fd);
    if (have < data_bytes)
        memset(image + have, 0, data_bytes - have);
    return rc;
}

int stele__scan_index(const struct stele__scan *scan, const struct stele__found *found,
                      struct stele__index_entry *out)
{
    char name[STELE__NAME_MAX];
    name_on_disk(found, name);
    int fd = stele__file_open(scan->dirfd, name, false);
    if (fd < 0)
        return fd;
    int rc = stele__file_read(fd, out, (size_t)(found->footer.index_entries * STELE__INDEX_ENTRY),
                              stele__index_offset(UINT64_C(1) << scan->data_log2));
    stele__file_close(fd);
    return rc;
}
