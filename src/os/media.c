/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media.c: which back-end a directory gets, and the sentence that says why. Invariant: pmem is chosen only
 * after the kernel or libpmem has called a file of this very directory persistent memory (DAX may be set per
 * directory). Caller: src/core at open. */
#include "os/media.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/media_pmem.h"

/* One page of any size up to this; the file is sparse, so a full disk does not matter. */
#define PROBE_BYTES UINT64_C(65536)

struct finding {
    bool probed; /* there was a file to ask about */
    enum stele__pmem_kind kind;
    int sync_errno;
};

/* A file that vanishes with its descriptor: without a name where the file system can do that, else under one
 * that recovery sweeps away should we be killed here. */
static int open_scratch(int dirfd)
{
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    uint64_t id = 0;
    int err = stele__random_bytes(&id, sizeof id);
    if (err != 0)
        return err;
    char name[48];
    (void)snprintf(name, sizeof name, "probe-%016" PRIx64 ".stele.tmp", id);
    fd = stele__file_create(dirfd, name, 0600);
    if (fd >= 0)
        (void)unlinkat(dirfd, name, 0);
    return fd;
}

static bool probe_scratch(int dirfd, struct finding *out)
{
    int fd = open_scratch(dirfd);
    if (fd < 0)
        return false;
    if (ftruncate(fd, (off_t)PROBE_BYTES) == 0) {
        out->kind = stele__pmem_probe(fd, PROBE_BYTES, true, &out->sync_errno);
        out->probed = true;
    }
    stele__file_close(fd);
    return out->probed;
}

struct existing {
    int dirfd;
    struct finding *out;
};

static int probe_one(void *ctx, const char *name)
{
    struct existing *search = ctx;
    int fd = stele__file_open(search->dirfd, name, false);
    if (fd < 0)
        return 0; /* no regular file, or not ours to read: the next one may do */
    uint64_t size = 0;
    if (stele__file_size(fd, &size, NULL) == 0 && size > 0) {
        search->out->kind = stele__pmem_probe(fd, 1, false, &search->out->sync_errno);
        search->out->probed = true;
    }
    stele__file_close(fd);
    return search->out->probed ? 1 : 0;
}

static struct finding probe(int dirfd, bool may_write)
{
    struct finding found = {0};
    /* The scratch file may fail on a read-only or full file system; a file that is there answers as well. */
    if (!may_write || !probe_scratch(dirfd, &found))
        (void)stele__dir_each(dirfd, probe_one, &(struct existing){.dirfd = dirfd, .out = &found});
    return found;
}

static void explain_pmem(const struct finding *found, const char *fs, const char *memory, char *out,
                         size_t size)
{
    const char *flush =
        stele__pmem_has_auto_flush() ? "caches are flushed by the platform" : "lines are flushed";
    if (found->kind == STELE__PMEM_SYNC)
        (void)snprintf(out, size, "pmem: %s is mapped synchronously (MAP_SYNC); %s", fs, flush);
    else
        (void)snprintf(out, size, "pmem: libpmem takes %s for persistent memory (PMEM_IS_PMEM_FORCE); %s%s",
                       fs, flush, memory);
}

/* Why not pmem, as the rest of a sentence. */
static void explain_refusal(const struct finding *found, const char *fs, char *out, size_t size)
{
    const char *error = strerror(found->sync_errno);
    if (!found->probed)
        (void)snprintf(out, size, "%s was not probed for persistent memory (no file to map)", fs);
    else if (found->kind == STELE__PMEM_CACHED)
        (void)snprintf(out, size, "PMEM_IS_PMEM_FORCE is not believed, %s is not mapped synchronously (MAP_SYNC: %s)", fs,
                       error);
    else
        (void)snprintf(out, size, "%s is not mapped synchronously (MAP_SYNC: %s)", fs, error);
}

static int take(struct stele__media *out, enum stele__media_class class_, const struct stele__media_ops *ops)
{
    out->class_ = class_;
    out->ops = ops;
    return 0;
}

int stele__media_choose(int dirfd, int wanted, bool may_write, struct stele__media *out)
{
    memset(out, 0, sizeof *out);
    char fs[32];
    stele__fs_name(dirfd, fs, sizeof fs);
    /* Nothing there outlives the machine, whatever is called to sync it: said where people look. */
    const char *memory =
        strcmp(fs, "tmpfs") == 0 || strcmp(fs, "ramfs") == 0 ? "; its files are lost at power-off" : "";
    switch (wanted) {
    case STELE__MEDIA_NONE:
        (void)snprintf(out->reason, sizeof out->reason,
                       "none: as asked; records survive a crash of the process, not of the machine");
        return take(out, STELE__MEDIA_NONE, &stele__media_none_ops);
    case STELE__MEDIA_MSYNC:
        (void)snprintf(out->reason, sizeof out->reason, "msync: as asked, on %s%s", fs, memory);
        return take(out, STELE__MEDIA_MSYNC, &stele__media_msync_ops);
    case 0:
    case STELE__MEDIA_PMEM: break;
    default: return -EINVAL;
    }
    struct finding found = probe(dirfd, may_write);
    if (found.kind == STELE__PMEM_SYNC || found.kind == STELE__PMEM_GIVEN) {
        explain_pmem(&found, fs, memory, out->reason, sizeof out->reason);
        return take(out, STELE__MEDIA_PMEM, &stele__media_pmem_ops);
    }
    char why[128];
    explain_refusal(&found, fs, why, sizeof why);
    if (wanted == STELE__MEDIA_PMEM) {
        (void)snprintf(out->reason, sizeof out->reason, "pmem is not possible here: %s", why);
        return -ENOTSUP;
    }
    (void)snprintf(out->reason, sizeof out->reason, "msync: %s%s", why, memory);
    return take(out, STELE__MEDIA_MSYNC, &stele__media_msync_ops);
}
