/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_apply.c: do what was decided. Order: the control block before files go, names before
 * contents, the highest segment first. Each step is durable before the next begins, so that a crash leaves
 * a beginning of the list done, and what is left to do is found again. A write or flush that fails ends
 * the repair. */
#include "core/repair.h"

#include "base/error.h"
#include "core/copy.h"
#include "os/file.h"
#include "os/media.h"

#include <errno.h>
#include <stdio.h>

#define TEMP_NAME "repair.stele.tmp"

int stele__repair_fail(const struct stele__repair *repair, const char *name, int err, const char *what)
{
    return stele__fail_errno(-err, "%s/%s: cannot %s; the repair is unfinished: run it again",
                             repair->look->path, name, what);
}

static int sync_names(const struct stele__repair *repair)
{
    int rc = stele__dir_sync(repair->look->dirfd);
    return rc == 0 ? 0 : stele__repair_fail(repair, ".", rc, "sync the directory");
}

/* Both blocks of a control file that is there, in turn, the newest last: one is whole at any time. */
static int write_blocks(const struct stele__repair *repair)
{
    struct stele__control block = repair->look->scan.control;
    uint8_t page[STELE__CONTROL_PAGE];
    int fd = stele__file_open(repair->look->dirfd, STELE__CONTROL_NAME, true);
    int rc = fd < 0 ? fd : 0;
    for (int i = 0; rc == 0 && i < 2; i++) {
        block.generation++;
        block.block ^= 1;
        stele__control_encode(page, &block);
        rc = stele__file_write(fd, page, sizeof page, block.block == 0 ? 0 : STELE__CONTROL_PAGE);
        if (rc == 0)
            rc = stele__file_datasync(fd);
    }
    /* The last word of a writer long gone may speak of more than is left. */
    const uint64_t word_at = STELE__CONTROL_LIVE + offsetof(struct stele__live, durable);
    uint64_t word = 0;
    if (rc == 0)
        rc = stele__file_read(fd, &word, sizeof word, word_at);
    if (rc == 0 && word > repair->look->examined.end)
        rc = stele__file_write(fd, &block.durable, sizeof block.durable, word_at);
    stele__file_close(fd);
    return rc;
}

static int apply_control(struct stele__repair *repair)
{
    int rc = 0;
    if (repair->rebuild_control) {
        mode_t mode = stele__copy_control_mode(repair->look->dirfd);
        rc = stele__copy_control(repair->look->dirfd, &repair->look->scan.control, mode);
    } else if (repair->write_control) {
        rc = write_blocks(repair);
    }
    return rc == 0 ? 0 : stele__repair_fail(repair, STELE__CONTROL_NAME, rc, "write it");
}

static int apply_rename(struct stele__repair *repair, const struct stele__deed *deed)
{
    char from[STELE__NAME_MAX], to[STELE__NAME_MAX];
    const int dirfd = repair->look->dirfd;
    stele__name_segment(from, deed->sequence, deed->base);
    stele__name_segment(to, deed->to, deed->to << repair->look->scan.data_log2);
    int fd = stele__file_open(dirfd, to, false);
    stele__file_close(fd);
    int rc = fd == -ENOENT ? stele__media_file_rename(NULL, dirfd, from, to)
                           : stele__file_exchange(dirfd, from, to);
    return rc == 0
               ? 0
               : stele__repair_fail(repair, from, rc, "give it the name its header says (rename it by hand)");
}

/* Give `name` the first free name of `to`, to.1, to.2 ...; what is at any of them is never overwritten. */
static int rename_away(const struct stele__repair *repair, const char *name, const char *to)
{
    char free_name[STELE__NAME_MAX + 32];
    const int dirfd = repair->look->dirfd;
    snprintf(free_name, sizeof free_name, "%s", to);
    for (unsigned i = 1; stele__file_exists(dirfd, free_name); i++)
        snprintf(free_name, sizeof free_name, "%s.%u", to, i);
    return stele__media_file_rename(NULL, dirfd, name, free_name);
}

/* Out of the log as it is: what cannot be copied away must not be removed. */
static int move_aside(const struct stele__repair *repair, const char *name)
{
    char aside[STELE__NAME_MAX + 8];
    snprintf(aside, sizeof aside, "%s.aside", name);
    return rename_away(repair, name, aside);
}

/* An earlier file quarantined under this name keeps its contents under another. */
static int make_way(const struct stele__repair *repair, const char *broken)
{
    return stele__file_exists(repair->look->dirfd, broken) ? rename_away(repair, broken, broken) : 0;
}

static int make_tombstone(const struct stele__repair *repair, const char *broken)
{
    int fd = stele__file_create(repair->look->dirfd, broken, stele__copy_control_mode(repair->look->dirfd));
    stele__file_close(fd);
    return fd < 0 ? fd : 0;
}

static int apply_quarantine(struct stele__repair *repair, const struct stele__deed *deed)
{
    char name[STELE__NAME_MAX], broken[STELE__NAME_MAX];
    stele__name_segment(name, deed->sequence, deed->base);
    stele__name_broken(broken, deed->sequence, deed->base);
    int rc = make_way(repair, broken);
    if (rc == 0 && deed->kind == STELE__DEED_QUARANTINE)
        rc = deed->aside ? move_aside(repair, name)
                         : stele__media_file_rename(NULL, repair->look->dirfd, name, broken);
    if (rc == 0 && (deed->kind == STELE__DEED_TOMBSTONE || deed->aside))
        rc = make_tombstone(repair, broken);
    return rc == 0 ? 0 : stele__repair_fail(repair, name, rc, "quarantine it");
}

static int apply_remove(struct stele__repair *repair, const struct stele__deed *deed)
{
    char name[STELE__NAME_MAX];
    stele__repair_name(deed, name);
    int rc =
        deed->aside ? move_aside(repair, name) : stele__media_file_unlink(NULL, repair->look->dirfd, name);
    if (rc != 0)
        return stele__repair_fail(repair, name, rc, deed->aside ? "move it aside" : "remove it");
    return sync_names(repair); /* before the next lower one goes */
}

/* Everything before `cut` in a file of the right size, and the seal when the segment is whole. */
static int fill_rewritten(const struct stele__deed *deed, uint64_t data_bytes, int from, int to)
{
    uint8_t page[STELE__HEADER_BYTES];
    struct stele__header header;
    uint64_t size = 0;
    const uint64_t seal = stele__index_offset(data_bytes), bytes = stele__segment_file_bytes(data_bytes);
    int rc = stele__file_size(from, &size, NULL);
    if (rc == 0)
        rc = stele__file_read(from, page, sizeof page, 0);
    if (rc == 0 && !stele__copy_header(page, &header))
        rc = -EIO;
    if (rc == 0)
        rc = stele__file_write(to, page, sizeof page, 0);
    /* A PAD may reach beyond the end of the file: what it covers means nothing, zeroes will do. */
    const uint64_t have = size > STELE__HEADER_BYTES ? size - STELE__HEADER_BYTES : 0;
    if (rc == 0)
        rc = stele__copy_range(from, to, STELE__HEADER_BYTES, stele__min_u64(have, deed->cut - deed->base),
                               STELE__HEADER_BYTES);
    if (rc == 0 && deed->cut - deed->base == data_bytes && size >= bytes)
        rc = stele__copy_range(from, to, seal, bytes - seal, seal);
    return rc == 0 ? stele__file_datasync(to) : rc;
}

static int apply_rewrite(struct stele__repair *repair, const struct stele__deed *deed)
{
    char name[STELE__NAME_MAX];
    const int dirfd = repair->look->dirfd;
    const uint64_t data_bytes = UINT64_C(1) << repair->look->scan.data_log2;
    stele__name_segment(name, deed->sequence, deed->base);
    (void)stele__media_file_unlink(NULL, dirfd, TEMP_NAME); /* of a repair that was interrupted */
    mode_t mode = 0;
    int to = -1, from = stele__file_open(dirfd, name, false);
    int rc = from < 0 ? from : stele__file_mode(from, &mode);
    if (rc == 0)
        rc = to = stele__copy_create(dirfd, TEMP_NAME, stele__segment_file_bytes(data_bytes), mode);
    if (to >= 0)
        rc = fill_rewritten(deed, data_bytes, from, to);
    stele__file_close(to);
    stele__file_close(from);
    if (rc == 0)
        rc = stele__media_file_rename(NULL, dirfd, TEMP_NAME, name);
    if (rc != 0 && to >= 0)
        (void)stele__media_file_unlink(NULL, dirfd, TEMP_NAME);
    return rc == 0 ? sync_names(repair)
                   : stele__repair_fail(repair, name, rc, "write it anew with the right size");
}

static int apply_one(struct stele__repair *repair, const struct stele__deed *deed)
{
    switch (deed->kind) {
    case STELE__DEED_RENAME: return apply_rename(repair, deed);
    case STELE__DEED_QUARANTINE:
    case STELE__DEED_TOMBSTONE: return apply_quarantine(repair, deed);
    case STELE__DEED_DROP:
    case STELE__DEED_REMOVE: return apply_remove(repair, deed);
    case STELE__DEED_REWRITE: return apply_rewrite(repair, deed);
    default: return stele__repair_contents(repair, deed);
    }
}

/* All deeds of one kind: in the order in which they were decided, but removals from the end of the log. */
static int apply_kind(struct stele__repair *repair, enum stele__deed_kind kind)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < repair->count; i++) {
        const struct stele__deed *deed =
            &repair->deeds[kind == STELE__DEED_REMOVE ? repair->count - 1 - i : i];
        if (deed->kind == kind)
            rc = apply_one(repair, deed);
    }
    return rc;
}

/* As an opening does: who examines the log meanwhile sees the count change, and looks again. A control file that is not
 * whole has none, and those see the writer lock only. */
static int count_recovery(const struct stele__repair *repair)
{
    const uint64_t at = STELE__CONTROL_LIVE + offsetof(struct stele__live, recoveries);
    uint64_t size = 0, count = 0;
    int fd = stele__file_open(repair->look->dirfd, STELE__CONTROL_NAME, true);
    int rc = fd < 0 ? 0 : stele__file_size(fd, &size, NULL);
    if (rc == 0 && fd >= 0 && size == STELE__CONTROL_BYTES) {
        rc = stele__file_read(fd, &count, sizeof count, at);
        count++;
        rc = rc == 0 ? stele__file_write(fd, &count, sizeof count, at) : rc;
    }
    stele__file_close(fd);
    return rc == 0 ? 0 : stele__repair_fail(repair, STELE__CONTROL_NAME, rc, "write it");
}

int stele__repair_apply_names(struct stele__repair *repair)
{
    struct stele__scan *scan = &repair->look->scan;
    int rc = repair->count > 0 || repair->write_control ? count_recovery(repair) : 0;
    if (rc == 0)
        rc = apply_kind(repair, STELE__DEED_RENAME);
    for (size_t i = 0; i < scan->count; i++)
        scan->found[i].elsewhere = false; /* now they are what the plan calls them */
    return rc == 0 ? sync_names(repair) : rc;
}

/* A cut that is killed leaves zeroes in the page cache and the old records, or the old seal, on the disk. The next
 * opening for writing would believe the zeroes; told so, it zeroes all behind the end of the log again. */
static void note_cutting(struct stele__repair *repair)
{
    for (size_t i = 0; i < repair->count; i++) {
        const struct stele__deed *deed = &repair->deeds[i];
        const bool cuts = deed->kind == STELE__DEED_CUT || deed->kind == STELE__DEED_UNSEAL;
        if (cuts && deed->base <= repair->look->examined.end) {
            repair->look->scan.control.flags |= STELE__CONTROL_CUTTING;
            repair->write_control = true;
        }
    }
}

/* A repair that was killed before this one may have left what it wrote in the page cache only: then nothing is left
 * to do, and the next power cut undoes it. */
static int sync_contents(const struct stele__repair *repair)
{
    const struct stele__scan *scan = &repair->look->scan;
    char name[STELE__NAME_MAX];
    for (size_t i = 0; i <= scan->count; i++) {
        const struct stele__found *found = i < scan->count ? &scan->found[i] : NULL;
        if (found != NULL && (found->broken || found->io_error != 0))
            continue;
        if (found != NULL)
            stele__name_segment(name, found->sequence, found->base);
        else
            snprintf(name, sizeof name, "%s", STELE__CONTROL_NAME);
        int fd = stele__file_open(repair->look->dirfd, name, true);
        int rc = fd == -ENOENT ? 0 : fd < 0 ? fd : stele__file_datasync(fd); /* not there: removed just now */
        stele__file_close(fd);
        if (rc != 0)
            return stele__repair_fail(repair, name, rc, "sync it");
    }
    return sync_names(repair);
}

int stele__repair_apply(struct stele__repair *repair)
{
    note_cutting(repair);
    int rc = apply_control(repair);
    for (int kind = STELE__DEED_RENAME + 1; rc == 0 && kind < STELE__DEED_KINDS; kind++) {
        rc = apply_kind(repair, (enum stele__deed_kind)kind);
        if (rc == 0 && kind == STELE__DEED_TOMBSTONE)
            rc = sync_names(repair);
    }
    return rc == 0 ? sync_contents(repair) : rc;
}
