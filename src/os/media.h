/* SPDX-License-Identifier: BSD-3-Clause */
/* os/media.h: the persistence back-ends behind one table of functions, chosen once at open.
 *
 * The core touches durable bytes only through this table: it stores into map.base and calls persist(). That
 * leaves room for a back-end whose base is a DRAM mirror that persist() writes to the file (O_DIRECT), and
 * for the simulated medium of the crash tests, which keeps what was persisted apart from what was not. Every
 * function returns 0 or a negative errno. A failed persist() is final: the caller must not try again (the
 * kernel may have dropped the pages). */
#ifndef STELE_OS_MEDIA_H
#define STELE_OS_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stele__guard;

/* One mapped file. `base` is what appenders fill; offsets into it are file offsets. */
struct stele__map {
    uint8_t *base;
    uint64_t bytes;
    int fd;     /* stays open as long as the map: fsync errors are reported once per open file */
    void *priv; /* the back-end's */
    struct stele__guard *guard; /* of os/guard.h; NULL: none */
};

enum stele__media_class { STELE__MEDIA_PMEM = 1, STELE__MEDIA_MSYNC = 2, STELE__MEDIA_NONE = 3 };

struct stele__media;

struct stele__media_ops {
    const char *name; /* "pmem", "msync", "none": what stat prints */

    /* Create `name`, which must not exist: `bytes` zero bytes with their blocks allocated, mapped for
     * writing. Nothing of it is durable yet. -ENOSPC leaves no file behind. */
    int (*create)(struct stele__media *, int dirfd, const char *name, uint64_t bytes, mode_t mode,
                  struct stele__map *out);
    /* Map an existing file of exactly `bytes` for writing; -ENODATA when its size differs. */
    int (*open)(struct stele__media *, int dirfd, const char *name, uint64_t bytes, struct stele__map *out);
    void (*close)(struct stele__media *, struct stele__map *);

    /* Make [offset, offset+len) of the file durable, and its allocation and size with it. */
    int (*persist)(struct stele__media *, const struct stele__map *, uint64_t offset, uint64_t len);
    /* Have [offset, offset+len) present and writable without faults. Best effort, never an error. */
    void (*populate)(struct stele__media *, const struct stele__map *, uint64_t offset, uint64_t len);

    int (*rename)(struct stele__media *, int dirfd, const char *from, const char *to);
    int (*unlink)(struct stele__media *, int dirfd, const char *name);
    int (*sync_dir)(struct stele__media *, int dirfd);
};

struct stele__media {
    const struct stele__media_ops *ops;
    enum stele__media_class class_;
    char reason[192]; /* why this one, for stat: "msync: ext4 is not mapped synchronously (MAP_SYNC:
                         EOPNOTSUPP)" */
    void *priv;
};

/* Choose a back-end for the file system behind dirfd. `wanted`: 0 auto, else enum stele__media_class.
 * 0; -ENOTSUP when the wanted one is not possible there (out->reason says why). Probes with a temporary file
 * only when `may_write`; a read-only caller learns what can be known without one. */
int stele__media_choose(int dirfd, int wanted, bool may_write, struct stele__media *out);

/* Shared by back-ends: create/open/close/populate/rename/unlink/sync_dir on plain mapped files
 * (media_file.c). */
int stele__media_file_create(struct stele__media *, int dirfd, const char *name, uint64_t bytes, mode_t mode,
                             struct stele__map *out);
int stele__media_file_open(struct stele__media *, int dirfd, const char *name, uint64_t bytes,
                           struct stele__map *out);
void stele__media_file_close(struct stele__media *, struct stele__map *);
void stele__media_file_populate(struct stele__media *, const struct stele__map *, uint64_t offset,
                                uint64_t len);
int stele__media_file_rename(struct stele__media *, int dirfd, const char *from, const char *to);
int stele__media_file_unlink(struct stele__media *, int dirfd, const char *name);
int stele__media_file_sync_dir(struct stele__media *, int dirfd);

extern const struct stele__media_ops stele__media_msync_ops;
extern const struct stele__media_ops stele__media_none_ops;
extern const struct stele__media_ops stele__media_pmem_ops;

#endif
