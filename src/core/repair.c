/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair.c: mend a log. The public face: options, the writer lock, and what a verify says in the end. */
#include "core/repair.h"

#include "base/error.h"
#include "core/owner.h"
#include "core/sized.h"
#include "os/file.h"
#include "os/view.h"

#include <stdio.h>
#include <stdlib.h>

#define KNOWN_FLAGS (STELE_REPAIR_APPLY | STELE_REPAIR_ALLOW_DATA_LOSS | STELE_REPAIR_QUARANTINE)
#define LOCK_MODE 0600

/* Nobody else may write from here on. Not in a directory that is no log: it would get a file. */
static int lock(struct stele__look *look)
{
    struct stele__scan scan;
    int rc = stele__scan(&scan, look->dirfd, look->path);
    uint64_t flags = scan.control.ro_compat;
    for (size_t i = 0; i < scan.count; i++)
        flags |= scan.found[i].ro_compat;
    stele__scan_free(&scan);
    if (rc != 0)
        return rc;
    if (flags != 0)
        return stele__fail(
            STELE_EVERSION,
            "%s: features 0x%llx are unknown to this library, which may read the log, not write it",
            look->path, (unsigned long long)flags);
    int fd = stele__owner_take(look->dirfd, look->path, LOCK_MODE);
    if (fd < 0)
        return fd;
    stele__file_close(look->lockfd);
    look->lockfd = fd;
    look->exclusive = true;
    return 0;
}

/* What a verify says now. */
static int look_again(struct stele__repair *repair)
{
    int rc = stele__look_run(repair->look, true, 1);
    if (rc == 0)
        repair->result.after = repair->look->examined.verdict;
    return rc;
}

static int run(struct stele__repair *repair, const struct stele_repair_options *options)
{
    struct stele__look *look = repair->look;
    const bool apply = (options->flags & STELE_REPAIR_APPLY) != 0;
    int rc = stele__repair_check_backup(repair);
    if (rc == 0 && apply)
        rc = lock(look);
    if (rc == 0)
        rc = stele__look_run(look, true, 1);
    if (rc == 0 && look->live)
        rc = stele__owner_refuse(look->dirfd, look->path);
    if (rc != 0)
        return rc;
    rc = stele__repair_plan(repair);
    stele__problems_tell(&look->problems, options->problem, options->ctx);
    if (rc != 0 || !apply)
        return rc;
    rc = stele__repair_apply_names(repair);
    if (rc == 0)
        rc = stele__repair_save(repair);
    if (rc == 0)
        rc = stele__repair_apply(repair);
    return rc == 0 ? look_again(repair) : rc;
}

int stele_repair(const char *path, const struct stele_repair_options *options,
                 struct stele_repair_result *result)
{
    struct stele_repair_options own;
    int rc = stele__sized_in(&own, sizeof own, options, "struct stele_repair_options");
    if (rc == 0)
        rc = stele__sized_check(result, "struct stele_repair_result");
    if (rc == 0 && (own.reserved != 0 || (own.flags & ~(uint32_t)KNOWN_FLAGS) != 0))
        rc = stele__fail(STELE_EINVAL, "struct stele_repair_options: an unknown flag, or reserved is not 0");
    if (rc == 0 && own.backup != NULL && own.backup[0] == '\0')
        rc = stele__fail(STELE_EINVAL, "struct stele_repair_options: backup is an empty string");
    if (rc != 0)
        return rc;
    struct stele__look look;
    rc = stele__look_open(&look, path);
    if (rc != 0)
        return rc;
    struct stele__repair repair = {.look = &look, .flags = own.flags, .backup = own.backup};
    repair.result.cut_lsn = STELE_LSN_NONE;
    rc = run(&repair, &own);
    if (rc == 0 || rc == STELE_ECORRUPT)
        stele__sized_out(result, &repair.result, sizeof repair.result);
    stele__image_free(repair.image, repair.image_bytes);
    free(repair.deeds);
    stele__look_close(&look);
    return rc;
}
