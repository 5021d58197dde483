/* SPDX-License-Identifier: BSD-3-Clause */
/* core/create.c: the birth of a log: control file first, then the first segment. A crash in between leaves an
 * empty log that opens; a failure leaves nothing. */
#include "core/control.h"
#include "core/open.h"
#include "core/prepare.h"
#include "format/chain.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>

static int remove_temp(void *ctx, const char *name)
{
    struct stele *log = ctx;
    uint64_t sequence;
    stele_lsn base;
    if (stele__name_parse(name, &sequence, &base) == STELE__NAME_TEMP)
        (void)log->media.ops->unlink(&log->media, log->dirfd, name);
    return 0;
}

static void describe(struct stele *log, uint64_t segment_bytes)
{
    log->data_bytes = segment_bytes != 0 ? segment_bytes : STELE_SEGMENT_BYTES_DEFAULT;
    log->data_log2 = (uint8_t)__builtin_ctzll(log->data_bytes);
    log->record_max = stele__record_max(log->data_bytes);
    log->created_ns = stele__clock_realtime_ns();
    log->epoch = 1;
    log->control =
        (struct stele__control){.created_ns = log->created_ns, .data_log2 = log->data_log2, .block = 1};
    memcpy(log->control.uuid, log->uuid, sizeof log->uuid);
    log->control.first_chain = stele__chain_origin(log->uuid);
    log->control.flags = log->media.class_ == STELE__MEDIA_NONE ? STELE__CONTROL_UNSYNCED : 0;
    log->commit.chain = log->control.first_chain;
}

int stele__create(struct stele *log, const struct stele_options *options)
{
    int rc = stele__random_bytes(log->uuid, sizeof log->uuid);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s: no random bytes for the log's uuid", log->path);
    /* Who made the directory may have been killed before its name was durable: a log in it would go with it. */
    rc = stele__dir_sync_parent(log->dirfd);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s: cannot sync the directory around it", log->path);
    (void)stele__dir_each(log->dirfd, remove_temp, log); /* of a creation that was interrupted */
    describe(log, options->segment_bytes);
    rc = stele__control_create(log);
    if (rc == 0)
        rc = stele__prepare_next(log);
    if (rc != 0) {
        char text[STELE__ERROR_MAX];
        if (atomic_load(&log->failed) !=
            0) { /* a flush failed: there is no log yet that could be called failed */
            rc = atomic_load(&log->failed);
            stele__fail(rc, "%s", log->failure);
        }
        snprintf(text, sizeof text, "%s", stele_last_error());
        stele__create_undo(log);
        return stele__fail(rc, "%s", text);
    }
    atomic_store(&log->ready, stele__base_of(log, log->ring_high));
    return 0;
}

void stele__create_undo(struct stele *log)
{
    (void)stele__dir_each(log->dirfd, remove_temp, log);
    (void)log->media.ops->unlink(&log->media, log->dirfd, STELE__CONTROL_NAME);
}
