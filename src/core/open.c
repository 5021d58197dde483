/* SPDX-License-Identifier: BSD-3-Clause */
/* core/open.c: from options to a handle. Recovery is in recover.c, creation in create.c, readers in
 * open_reader.c. */
#include "core/open.h"

#include "core/commit.h"
#include "core/control.h"
#include "core/helper.h"
#include "core/owner.h"
#include "core/prepare.h"
#include "core/scan.h"
#include "core/sized.h"
#include "core/space.h"
#include "os/file.h"
#include "os/lock.h"

#include <errno.h>
#include <stdlib.h>

#define SPARES_DEFAULT 2u
#define SPARES_MAX 8u
#define MARK_BYTES_DEFAULT (UINT64_C(64) << 10)
#define MARK_BYTES_MIN (UINT64_C(1) << 10) /* less, and marks would be written for marks */
#define IDLE_MARK_NS_DEFAULT (UINT64_C(100) * 1000 * 1000)
#define KNOWN_FLAGS (STELE_CREATE | STELE_EXCL | STELE_READ_ONLY | STELE_SINGLE_APPENDER | STELE_NO_RECYCLE)

static int refuse(const char *path, const char *what)
{
    return stele__fail(STELE_EINVAL, "%s: option out of range: %s", path, what);
}

static int check_options(const char *path, const struct stele_options *o)
{
    if ((o->flags & ~(uint32_t)KNOWN_FLAGS) != 0)
        return refuse(path, "an unknown flag");
    if ((o->flags & STELE_READ_ONLY) != 0 && (o->flags & (STELE_CREATE | STELE_EXCL)) != 0)
        return refuse(path, "a read-only handle creates nothing");
    if (o->durability > STELE_DURABILITY_NONE)
        return refuse(path, "durability");
    if (o->segment_bytes != 0 &&
        (!stele__is_power_of_two(o->segment_bytes) || o->segment_bytes < STELE_SEGMENT_BYTES_MIN ||
         o->segment_bytes > STELE_SEGMENT_BYTES_MAX))
        return refuse(path, "segment_bytes must be a power of two from 64 KiB to 4 GiB");
    if (o->spare_segments > SPARES_MAX)
        return refuse(path, "spare_segments is at most 8");
    if (o->file_mode > 0777 || o->dir_mode > 0777)
        return refuse(path, "modes are permission bits, at most 0777");
    if (o->metadata_bytes > STELE_METADATA_MAX || (o->metadata == NULL && o->metadata_bytes != 0))
        return refuse(path, "metadata is at most 1920 bytes");
    return o->reserved == 0 ? 0 : refuse(path, "reserved must be 0");
}

static int init_locks(struct stele *log)
{
    if (pthread_mutex_init(&log->ring_lock, NULL) != 0)
        return stele__fail(STELE_ENOMEM, "%s: cannot create a lock", log->path);
    if (pthread_mutex_init(&log->control_lock, NULL) != 0) {
        pthread_mutex_destroy(&log->ring_lock);
        return stele__fail(STELE_ENOMEM, "%s: cannot create a lock", log->path);
    }
    int rc = stele__space_init(log);
    if (rc != 0) {
        pthread_mutex_destroy(&log->control_lock);
        pthread_mutex_destroy(&log->ring_lock);
    }
    return rc;
}

/* A handle with nothing open yet; NULL without memory. */
static struct stele *allocate(const char *path, const struct stele_options *o)
{
    struct stele *log = aligned_alloc(STELE__HOT_ALIGN, sizeof *log);
    if (log == NULL)
        return NULL;
    memset(log, 0, sizeof *log);
    log->dirfd = log->lockfd = -1;
    atomic_store(&log->eventfd, -1);
    log->read_only = (o->flags & STELE_READ_ONLY) != 0;
    log->single = (o->flags & STELE_SINGLE_APPENDER) != 0;
    log->recycle = (o->flags & STELE_NO_RECYCLE) == 0;
    log->spares = o->spare_segments != 0 ? o->spare_segments : SPARES_DEFAULT;
    log->file_mode = o->file_mode != 0 ? o->file_mode : 0600;
    log->mark_bytes = o->mark_bytes != 0 ? stele__max_u64(o->mark_bytes, MARK_BYTES_MIN) : MARK_BYTES_DEFAULT;
    log->idle_mark_ns = o->idle_mark_ns != 0 ? o->idle_mark_ns : IDLE_MARK_NS_DEFAULT;
    log->logger = (struct stele__logger){.fn = o->log, .ctx = o->log_ctx};
    log->path = strdup(path);
    log->recycled = calloc(log->spares, sizeof *log->recycled);
    if (log->path == NULL || log->recycled == NULL || init_locks(log) != 0) {
        free(log->path);
        free(log->recycled);
        free(log);
        return NULL;
    }
    return log;
}

void stele__open_describe(struct stele *log, const struct stele__scan *scan)
{
    log->control = scan->control;
    memcpy(log->uuid, scan->uuid, sizeof log->uuid);
    log->data_log2 = scan->data_log2;
    log->data_bytes = UINT64_C(1) << scan->data_log2;
    log->record_max = stele__record_max(log->data_bytes);
    log->created_ns = scan->control.created_ns;
}

void stele__log_free(struct stele *log)
{
    while (log->ring_low < log->ring_high)
        stele__ring_retire(log);
    if (log->control_map.base != NULL && log->control_map.fd >= 0)
        (void)stele__lock_release(log->control_map.fd, STELE__LOCK_WRITER, 1);
    if (log->control_map.base != NULL)
        log->media.ops->close(&log->media, &log->control_map);
    stele__view_close(&log->control_view);
    stele__view_close(&log->waiters_view);
    if (log->lockfd >= 0) /* by name: a forked child may still hold a copy of the descriptor */
        (void)stele__lock_release(log->lockfd, STELE__LOCK_WRITER, STELE__LOCK_LIVE + 1);
    stele__file_close(log->lockfd);
    stele__file_close(log->dirfd);
    stele__file_close(atomic_load(&log->eventfd));
    stele__space_destroy(log);
    pthread_mutex_destroy(&log->control_lock);
    pthread_mutex_destroy(&log->ring_lock);
    free(log->recycled);
    free(log->metadata);
    free(log->path);
    free(log);
}

static int take_writer_lock(struct stele *log)
{
    int fd = stele__owner_take(log->dirfd, log->path, log->file_mode);
    if (fd < 0)
        return fd;
    log->lockfd = fd;
    return 0;
}

static int choose_media(struct stele *log, uint32_t durability, const struct stele__seams *seams)
{
    if (seams->media != NULL) {
        log->media = *seams->media;
        return 0;
    }
    int rc = stele__media_choose(log->dirfd, (int)durability, !log->read_only, &log->media);
    if (rc == -ENOTSUP)
        return stele__fail(STELE_EINVAL, "%s: the durability asked for is not possible here: %s", log->path,
                           log->media.reason);
    return rc == 0 ? 0 : stele__fail_errno(-rc, "%s: cannot choose a persistence back-end", log->path);
}

static int take_metadata(struct stele *log, const struct stele_options *o)
{
    if (o->metadata == NULL)
        return 0;
    log->metadata = malloc(o->metadata_bytes + 1);
    if (log->metadata == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for metadata", log->path);
    memcpy(log->metadata, o->metadata, o->metadata_bytes);
    log->metadata_bytes = (uint32_t)o->metadata_bytes;
    return 0;
}

/* The log is recovered: let the world in. */
static int start_writer(struct stele *log, const struct stele__seams *seams)
{
    log->helper.inline_only = seams->no_helper;
    int rc = stele__control_announce(log, log->end);
    if (rc != 0)
        return rc;
    if (stele__commit_unvouched(log) && stele__commit_lead(log)) {
        bool single = log->single; /* nobody appends yet: the tail is ours */
        log->single = false;
        rc = stele__commit_vouch(log);
        log->single = single;
        stele__commit_resign(log);
        if (rc != 0) /* latched; but there is no log yet that could be called failed: say what failed */
            return stele__fail(atomic_load(&log->failed), "%s", log->failure);
    }
    return seams->no_helper ? 0 : stele__helper_start(log);
}

static int open_writer(struct stele *log, const struct stele_options *o, const struct stele__seams *seams,
                       bool fresh)
{
    int rc = take_metadata(log, o);
    if (rc == 0)
        rc = take_writer_lock(log);
    if (rc == 0)
        rc = choose_media(log, o->durability, seams);
    if (rc != 0)
        return rc;
    int fd = stele__file_open(log->dirfd, STELE__CONTROL_NAME, false);
    stele__file_close(fd);
    if (fd == -ENOENT && fresh) /* and nobody made one before we had the lock */
        rc = stele__create(log, o);
    else if ((o->flags & STELE_EXCL) != 0)
        rc = stele__fail(STELE_EEXIST, "%s: there is a log already", log->path);
    else
        rc = stele__recover(log);
    return rc == 0 ? start_writer(log, seams) : rc;
}

static int open_directory(struct stele *log, const struct stele_options *o, bool *made)
{
    *made = false;
    if ((o->flags & STELE_CREATE) != 0) {
        int rc = stele__dir_make(log->path, o->dir_mode != 0 ? o->dir_mode : 0700);
        *made = rc == 0;
        if (rc != 0 && rc != -EEXIST)
            return stele__fail_errno(-rc, "%s: cannot make the directory", log->path);
    }
    log->dirfd = stele__dir_open(log->path);
    if (log->dirfd == -ENOTDIR)
        return stele__fail(STELE_ENOTLOG, "%s: not a directory, so not a log", log->path);
    return log->dirfd >= 0 ? 0 : stele__fail_errno(-log->dirfd, "%s: cannot open the directory", log->path);
}

/* Before anything is made or locked in it: is this a directory we may write a log into? */
struct place {
    bool other;    /* anything but what an interrupted creation leaves */
    bool segments; /* of a log that has lost its control file */
    bool control;  /* somebody else has just made a log here */
};

static int note_other(void *ctx, const char *name)
{
    uint64_t sequence;
    stele_lsn base;
    struct place *place = ctx;
    enum stele__name_kind kind = stele__name_parse(name, &sequence, &base);
    place->other |= kind != STELE__NAME_LOCK && kind != STELE__NAME_TEMP;
    place->control |= kind == STELE__NAME_CONTROL;
    place->segments |= kind == STELE__NAME_SEGMENT || kind == STELE__NAME_BROKEN;
    return 0;
}

/* *fresh: there is no log here, and there may be one. */
static int check_place(const struct stele *log, const struct stele_options *o, bool *fresh)
{
    *fresh = false;
    int fd = stele__file_open(log->dirfd, STELE__CONTROL_NAME, false);
    stele__file_close(fd);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
        return stele__fail_errno(-fd, "%s/" STELE__CONTROL_NAME ": cannot open it", log->path);
    struct place place = {.control = fd != -ENOENT};
    int rc = place.control ? 0 : stele__dir_each(log->dirfd, note_other, &place);
    if (rc != 0)
        return stele__fail_errno(-rc, "%s: cannot list the directory", log->path);
    if (place.control && (o->flags & STELE_EXCL) != 0) /* before the lock file is touched */
        return stele__fail(STELE_EEXIST, "%s: there is a log already", log->path);
    if (place.control)
        return 0;
    if (place.segments)
        return 0; /* a damaged log: recovery says what is missing */
    if ((o->flags & STELE_CREATE) != 0 && place.other)
        return stele__fail(STELE_ENOTLOG, "%s: no log is made here: the directory holds other files",
                           log->path);
    if ((o->flags & STELE_CREATE) == 0)
        return stele__fail(STELE_ENOTLOG, "%s: not a log: %s (stele create makes one)", log->path,
                           place.other ? "neither a control file nor a segment in it"
                                       : "the directory is empty");
    *fresh = true;
    return 0;
}

/* A failed opening takes back the directory that it made, unless somebody else made a log in it meanwhile.
 * Without the writer lock nothing in it is ours to judge: then it goes only when it is empty. */
static void undo_directory(struct stele *log)
{
    struct place place = {.other = log->lockfd < 0};
    if (!place.other && stele__dir_each(log->dirfd, note_other, &place) == 0 && !place.other)
        (void)stele__media_none_ops.unlink(&log->media, log->dirfd, STELE__LOCK_NAME);
    (void)stele__dir_remove(log->path);
}

int stele__open_with(const char *path, const struct stele_options *options, const struct stele__seams *seams,
                     struct stele **out)
{
    struct stele_options own = STELE_OPTIONS_INIT;
    *out = NULL;
    if (path == NULL || path[0] == '\0')
        return stele__fail(STELE_EINVAL, "a log needs the path of its directory");
    int rc = options != NULL ? stele__sized_in(&own, sizeof own, options, "struct stele_options") : 0;
    if (rc == 0)
        rc = check_options(path, &own);
    if (rc != 0)
        return rc;
    struct stele *log = allocate(path, &own);
    if (log == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for a handle", path);
    bool made = false, fresh = false;
    rc = open_directory(log, &own, &made);
    if (rc == 0)
        rc = check_place(log, &own, &fresh);
    if (rc == 0)
        rc = log->read_only ? stele__open_reader(log) : open_writer(log, &own, seams, fresh);
    if (rc == 0) {
        *out = log;
        return 0;
    }
    if (made)
        undo_directory(log);
    stele__log_free(log);
    return rc;
}

int stele_open(const char *path, const struct stele_options *options, struct stele **out)
{
    const struct stele__seams none = {0};
    return stele__open_with(path, options, &none, out);
}
