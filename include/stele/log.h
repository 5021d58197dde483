/* SPDX-License-Identifier: BSD-3-Clause */
/* stele/log.h: open, append, sync, trim. The writer's half of the library.
 *
 * Default thread rule: any number of threads may call any function on one log at once, beside
 * stele_close(). Exceptions are stated. fork(): the child must not touch a log it inherited. */
#ifndef STELE_LOG_H
#define STELE_LOG_H

#include <stele/base.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele; /* an open log: the one writer, or one of many readers */

/* What makes a record durable. docs/durability.md says what survives what. */
enum stele_durability {
    STELE_DURABILITY_AUTO = 0,  /* pmem where the file system maps it synchronously, else msync */
    STELE_DURABILITY_PMEM = 1,  /* cache-line flushes and a fence through libpmem */
    STELE_DURABILITY_MSYNC = 2, /* msync(MS_SYNC) of the mapped pages */
    STELE_DURABILITY_NONE = 3,  /* survives the death of the process only */
};

enum stele_open_flags {
    STELE_CREATE = 1u << 0,          /* make the log when the directory is absent or empty */
    STELE_EXCL = 1u << 1,            /* fail with STELE_EEXIST when there is a log */
    STELE_READ_ONLY = 1u << 2,       /* a reader: takes no writer lock, changes no byte of the log (a cursor
                                        that sleeps counts itself in the control file while it does) */
    STELE_SINGLE_APPENDER = 1u << 3, /* at most one thread appends, reserves, publishes at a time */
    STELE_NO_RECYCLE = 1u << 4,      /* unlink trimmed segments instead of zeroing them for reuse */
};

/* Zero means default throughout. A shorter struct (older caller) is filled up with defaults; in a
 * longer one (newer caller) the bytes this library does not know must be zero, else STELE_EINVAL. */
struct stele_options {
    size_t size;             /* sizeof(struct stele_options) */
    uint32_t flags;          /* enum stele_open_flags */
    uint32_t durability;     /* enum stele_durability; chosen anew at every open */
    uint64_t segment_bytes;  /* at creation: data bytes of a segment, a power of two; 0 = 64 MiB */
    uint32_t spare_segments; /* prepared ahead of the tail, 1..8; 0 = 2 */
    uint32_t file_mode;      /* permission bits of new files; 0 = 0600 */
    uint32_t dir_mode;       /* of a new directory; 0 = 0700 */
    uint32_t reserved;       /* 0 */
    const void *metadata;    /* copied to the head of every segment made in this open; NULL = what the */
    size_t metadata_bytes;   /*   newest segment has. At most STELE_METADATA_MAX bytes */
    uint64_t mark_bytes;     /* a chain mark at least every so many bytes of log; 0 = 64 KiB */
    uint64_t idle_mark_ns;   /* a mark vouches for the last commit after so long without appends;
                                 0 = 100 ms, UINT64_MAX = only at close. STELE_SINGLE_APPENDER: the control
                                 file vouches instead */
    stele_log_fn *log;       /* NULL = silence */
    void *log_ctx;           /* handed to log; must outlive the log */
};

#define STELE_OPTIONS_INIT                                                                                   \
    {                                                                                                        \
        sizeof(struct stele_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                  \
    }

/* Open a log, or create one; for a writer this is also recovery.
 *
 *   path     the log's directory.
 *   options  NULL = all defaults: an existing log, for writing.
 *   out      receives the log; set to NULL on error.
 *
 * A writer finds the durable tail, checks every record above the last seal, cuts a torn tail
 * (which was never acknowledged), and persists again whatever it is about to show. It refuses to
 * touch a log in which bytes that had been durable are damaged.
 *
 * Returns  0; STELE_EINVAL; STELE_ENOENT, STELE_ENOTLOG (with STELE_CREATE: the directory holds
 *          other files); STELE_EEXIST; STELE_EVERSION; STELE_ELOCKED (message: pid and start time of
 *          the holder); STELE_ECORRUPT (message: file, offset, what follows); STELE_EACCES;
 *          STELE_ENOSPC (at creation only: an existing log opens on a full disk);
 *          STELE_EIO; STELE_ENOMEM.
 * Owns     the caller owns *out, until stele_close().
 * Threads  starts one helper thread (writers only), which blocks all signals but SIGBUS.
 * Crash    at any point leaves a log that opens; nothing changes before the verdict is known. */
STELE_API int stele_open(const char *path, const struct stele_options *options, struct stele **out);

/* Close a log. A writer first makes everything published durable, vouches for it with a mark,
 * and seals what is full. Frees `log` whatever it returns, except with STELE_EBUSY.
 *
 * Returns  0; STELE_EBUSY (cursors or pins of this handle are open: close them, call again; or, against
 *          the thread rule, a thread was seen waiting in an append, a sync or a stele_durable_wait():
 *          nothing was changed); STELE_EFAILED, STELE_EIO (the last appends may not be durable).
 * Threads  no other call on this log may run or follow. NULL is allowed. */
STELE_API int stele_close(struct stele *log);

/* The largest payload of one record in bytes: a quarter of a segment less its 16-byte header. */
STELE_API size_t stele_record_max(const struct stele *log);

/* Append one plain record (type 0); return before it is durable.
 *
 *   data, len  payload, 0..stele_record_max(log) bytes; borrowed for this call.
 *   out_lsn    receives the record's position in bytes; may be NULL.
 *
 * Returns  0; STELE_ETOOBIG; STELE_ENOSPC (no segment could be prepared; STELE_EACCES, STELE_ENOMEM or
 *          STELE_EIO when something else than space was missing for it);
 *          STELE_EFAILED (an earlier sync failed: close, reopen, append again);
 *          STELE_EACCES (a read-only handle).
 * Owns     nothing: the payload is copied into the log.
 * Threads  any number at once, beside everything but stele_close(). No lock, no allocation and no
 *          system call while prepared segments last. STELE_SINGLE_APPENDER: one at a time.
 * Crash    promises nothing until stele_sync(log, lsn) has returned 0. */
STELE_API int stele_append(struct stele *log, const void *data, size_t len, stele_lsn *out_lsn);

/* The same with a user type, 0..STELE_TYPE_MAX, and the payload gathered from `iovcnt` pieces.
 * Returns also STELE_EINVAL for a type or iovcnt out of range. */
STELE_API int stele_appendv(struct stele *log, unsigned type, const struct iovec *iov, int iovcnt,
                            stele_lsn *out_lsn);

struct stele_entry {
    const void *data; /* payload, borrowed for the call */
    size_t len;       /* bytes */
    unsigned type;    /* 0..STELE_TYPE_MAX */
    stele_lsn lsn;    /* out: where it went */
};

/* Append `count` records in order, with one reservation for as many as fit in a record's maximum.
 * They are records of their own: a crash may keep a prefix of them. Records of other threads may
 * stand between those of a batch larger than stele_record_max().
 *
 * Returns  the number appended: `count`, or less with stele_last_error() set when an error met
 *          the others; an error code when not even one was appended. All entries are checked for
 *          size and type first, and nothing is appended if one fails that check. */
STELE_API long stele_append_batch(struct stele *log, struct stele_entry *entries, size_t count);

/* A slot in the log to fill in place: by a serializer, a read(2), a NIC. */
struct stele_slot {
    void *data;     /* `len` bytes, zero so far; 8-byte aligned */
    size_t len;     /* bytes */
    stele_lsn lsn;  /* where the record will be */
    uint32_t type;  /* as reserved */
    uint32_t state; /* the library's */
};

/* Reserve a slot of `len` payload bytes. Every slot must be published or abandoned: the durable
 * point cannot pass an open one, syncs beyond it wait, and so do appends once 16 segments stand
 * behind it. stele_close() abandons what is still open.
 * Returns, Threads  as stele_append(). Owns: the caller, until publish or abandon. */
STELE_API int stele_reserve(struct stele *log, unsigned type, size_t len, struct stele_slot *slot);

/* Publish a slot with its first `used` bytes (0..slot->len) as payload: visible, not yet durable.
 * Returns 0; STELE_EINVAL (not an open slot, used > len; the slot stays open). No system call. */
STELE_API int stele_publish(struct stele *log, struct stele_slot *slot, size_t used);

/* Give a slot up; readers step over it. Returns 0 or STELE_EINVAL. No system call. */
STELE_API int stele_abandon(struct stele *log, struct stele_slot *slot);

/* Wait until the record at `lsn`, and so everything before it, is durable. Groups of callers share
 * one flush: one leads, the others wait.
 *
 *   lsn  of a record of this log; STELE_LSN_ALL: everything reserved before the call.
 *
 * Returns  0; STELE_EINVAL (beyond the tail); STELE_EFAILED (this or an earlier flush failed;
 *          stele_last_error() says which); STELE_EACCES (a read-only handle).
 * Threads  any. Without waiters and on pmem it makes no system call.
 * Crash    after 0 the record survives what the log's durability class says. */
STELE_API int stele_sync(struct stele *log, stele_lsn lsn);

/* Ask the helper thread for a sync of everything appended so far, and return at once. Watch
 * stele_durable(), stele_durable_wait() or the event descriptor.
 * Returns 0; STELE_EFAILED; STELE_EACCES. */
STELE_API int stele_sync_begin(struct stele *log);

/* The durable point: every record with a smaller LSN is durable. A reader's handle gives what it
 * can prove, or the live writer's. No system call. */
STELE_API stele_lsn stele_durable(const struct stele *log);

/* The end of what is reserved (a writer) or of what was found published (a reader). */
STELE_API stele_lsn stele_tail(const struct stele *log);

/* The first LSN not trimmed. */
STELE_API stele_lsn stele_first(const struct stele *log);

/* Wait, without leading a sync, until the record at `lsn` is durable.
 *   timeout_ns  0 = only look; STELE_WAIT_FOREVER.
 * Returns 0; STELE_ETIMEDOUT; STELE_EFAILED; STELE_EACCES (a read-only handle: wait with a cursor). */
STELE_API int stele_durable_wait(struct stele *log, stele_lsn lsn, int64_t timeout_ns);

/* An eventfd that becomes readable when the durable point has moved or the log has failed.
 * Read its 8 bytes, then look at stele_durable(). One descriptor a log, made at the first call,
 * closed by stele_close(). Returns it, or STELE_ENOMEM, STELE_EACCES (a read-only handle). */
STELE_API int stele_durable_eventfd(struct stele *log);

/* Drop whole segments that lie before `lsn`, below the durable point and below every pin.
 * The newest segment always stays.
 *
 *   first  receives the new first LSN; may be NULL. It may be smaller than `lsn`.
 *
 * Returns  the number of segments dropped; STELE_EFAILED; STELE_EACCES; STELE_EIO; STELE_ECORRUPT (the
 *          footer of the last segment to go cannot be read: nothing was dropped).
 * Crash    the new beginning is durable before the first file goes. Works on a full disk. */
STELE_API long stele_trim(struct stele *log, stele_lsn lsn, stele_lsn *first);

struct stele_pin;

/* Keep the log from `lsn` on: no process can trim the segment that holds it, or a later one, until
 * stele_unpin() or the death of this process. Works on read-only handles.
 * Returns 0; STELE_ETRIMMED; STELE_EINVAL (beyond the tail); STELE_ENOMEM; STELE_EIO. */
STELE_API int stele_pin(struct stele *log, stele_lsn lsn, struct stele_pin **out);
STELE_API void stele_unpin(struct stele_pin *pin); /* NULL is allowed */

/* One mapped segment of a writer, for registration with io_uring, RDMA or a user-space driver. */
struct stele_region {
    void *base;           /* address of the segment's data area */
    size_t bytes;         /* its length */
    stele_lsn lsn;        /* position of its first byte */
    int fd;               /* the file, owned by the log; -1 when slots are not in a file's pages */
    uint32_t reserved;    /* 0 */
    uint64_t file_offset; /* of base in that file */
};

/* List the segments that are mapped for appending, oldest first, up to `count` of them. A segment
 * appears here before the first slot in it is handed out and stays mapped until it is sealed.
 * Returns how many there are (which may exceed `count`), STELE_EACCES on a read-only handle. */
STELE_API long stele_region(struct stele *log, struct stele_region *out, size_t count);

#ifdef __cplusplus
}
#endif
#endif
