/* SPDX-License-Identifier: BSD-3-Clause */
/* stele/base.h: scalar types, limits, error codes and messages.
 *
 * Every function of the library returns 0 or a count on success and one of the
 * negative codes below otherwise. The numbers are part of the ABI and never change. */
#ifndef STELE_BASE_H
#define STELE_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define STELE_API __attribute__((visibility("default")))
#else
#define STELE_API
#endif

#define STELE_VERSION_MAJOR 0
#define STELE_VERSION_MINOR 1
#define STELE_VERSION_PATCH 0
#define STELE_VERSION_STRING "0.1.0"

/* The on-disk format this library writes. It changes independently of the version above. */
#define STELE_FORMAT_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

/* A position in the log, in bytes from its beginning. Always a multiple of 8. Never reused once it was
 * durable: not after a trim or a crash; only a repair that is allowed to lose data goes on where it cuts.
 * The first record of a new log has LSN 0. */
typedef uint64_t stele_lsn;

#define STELE_LSN_NONE UINT64_MAX /* no position */
#define STELE_LSN_ALL UINT64_MAX  /* stele_sync(): everything appended so far */

#define STELE_SEGMENT_BYTES_MIN (UINT64_C(64) << 10)
#define STELE_SEGMENT_BYTES_MAX (UINT64_C(4) << 30)
#define STELE_SEGMENT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define STELE_METADATA_MAX 1920u /* application bytes at the head of every segment */
#define STELE_TYPE_MAX 112u      /* user record types are 0 (plain) .. 112 */
#define STELE_WAIT_FOREVER (-1)  /* a timeout_ns that never ends */

enum stele_error {
    STELE_OK = 0,
    STELE_EINVAL = -1,    /* an argument or option is outside its documented range */
    STELE_ENOMEM = -2,    /* memory, descriptors or threads ran out */
    STELE_EIO = -3,       /* a system call failed; the message has its errno */
    STELE_ENOSPC = -4,    /* no prepared segment: disk or quota full. Trim, then go on */
    STELE_EACCES = -5,    /* permission denied, or a read-only file system or handle */
    STELE_ENOTLOG = -6,   /* the directory holds no log */
    STELE_EVERSION = -7,  /* other format version, or a feature this library does not know */
    STELE_EEXIST = -8,    /* there is a log (or something else) already */
    STELE_ELOCKED = -9,   /* another process has the log open for writing */
    STELE_ECORRUPT = -10, /* bytes that had been durable are damaged or missing */
    STELE_EFAILED = -11,  /* an earlier sync failed; close, reopen, append again */
    STELE_ETOOBIG = -12,  /* record larger than stele_record_max() */
    STELE_ETRIMMED = -13, /* the position lies before the first LSN */
    STELE_ETIMEDOUT = -14,
    STELE_EGAP = -15,     /* a cursor stepped over a quarantined segment; go on to read behind it */
    STELE_EREWOUND = -16, /* records seen as published, not durable, did not survive a crash */
    STELE_EBUSY = -17,    /* cursors or pins are still open */
    STELE_ENOENT = -18,   /* no such file or directory */
};

/* Name a code in a few English words. Never NULL, never freed. Any thread. */
STELE_API const char *stele_strerror(int code);

/* The last failure in this thread, in full: what was tried, on which file, at which offset, why
 * (errno), and what to do next. An empty string when nothing failed yet.
 * Owns: the library; valid until the next call of this thread into it. */
STELE_API const char *stele_last_error(void);

/* "0.1.0": the library in use, which may differ from the header. */
STELE_API const char *stele_version(void);

/* Leave SIGBUS alone. Otherwise the first open of the process installs a handler for it (SA_ONSTACK): a mapped file
 * that somebody cuts short, or whose medium fails, is then an error of the cursor or the log that uses it, instead of
 * the death of the process, in threads that do not block the signal. Every other SIGBUS goes on to the handler that was there before, or to the default action.
 * Any thread, before the first stele_open(): what is open already stays guarded. A program that installs a handler of
 * its own afterwards should hand on to the one it replaces what is not its own. Cannot fail. */
STELE_API void stele_leave_sigbus(void);

/* Severities a log callback sees. */
enum stele_log_level { STELE_LOG_ERROR = 1, STELE_LOG_WARN = 2, STELE_LOG_INFO = 3, STELE_LOG_DEBUG = 4 };

/* Receives what the library has to say; it is silent otherwise and never writes to stderr.
 * Called from any thread that uses the log and from its helper thread, never on the append path.
 * It must not call back into the same log. `text` is valid during the call. */
typedef void stele_log_fn(void *ctx, enum stele_log_level level, const char *text);

#ifdef __cplusplus
}
#endif
#endif
