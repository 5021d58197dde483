/* SPDX-License-Identifier: BSD-3-Clause */
/* stele/cursor.h: reading records, in the writer's process or another one, also live.
 *
 * Threads: a cursor belongs to one thread at a time; any number of cursors may be open on a handle.
 * A cursor pins the segment it stands in (as stele_pin), so its records stay valid under trims. */
#ifndef STELE_CURSOR_H
#define STELE_CURSOR_H

#include <stele/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_cursor;

enum stele_from {
    STELE_FROM_BEGIN = 0, /* the first record not trimmed */
    STELE_FROM_LSN = 1,   /* value = LSN: the first record at or after it */
    STELE_FROM_TIME = 2,  /* value = ns since 1970: no record appended at or after it is left out; up to
                             one mark interval of earlier ones may come first */
    STELE_FROM_END = 3,   /* behind the last record there is */
    STELE_FROM_LAST = 4,  /* value = n: the last n records there are (fewer if there are fewer) */
};

enum stele_cursor_flags {
    STELE_DURABLE_ONLY = 1u << 0, /* show a record only once it is durable */
};

struct stele_record {
    const void *data; /* payload, borrowed from the map until the next call on the cursor; zeroes if somebody cuts
                       * the file short meanwhile, which that call then says */
    size_t len;       /* bytes */
    stele_lsn lsn;
    stele_lsn next; /* where the record after this one begins, at the earliest */
    unsigned type;  /* user type, 0..STELE_TYPE_MAX */
};

/* Open a cursor. Without STELE_DURABLE_ONLY it sees records as soon as they are published.
 * Returns 0; STELE_EINVAL; STELE_ETRIMMED; STELE_ECORRUPT; STELE_ENOMEM; STELE_EIO; with STELE_FROM_END also
 *         STELE_EGAP and STELE_EREWOUND.
 * Owns: the caller owns *out until stele_cursor_close(), which must come before stele_close(). */
STELE_API int stele_cursor_open(struct stele *log, unsigned flags, enum stele_from from, uint64_t value,
                                struct stele_cursor **out);

/* Move an open cursor, as stele_cursor_open(). After an error it stands where it stood. */
STELE_API int stele_cursor_seek(struct stele_cursor *cursor, enum stele_from from, uint64_t value);

/* Read the next record; its checksums are verified before it is shown.
 *
 * Returns  1 and a record; 0: nothing to read now; STELE_ECORRUPT (the cursor stays in front of the
 *          damage); STELE_EGAP (once per quarantined segment; the next call reads behind it);
 *          STELE_ETRIMMED; STELE_EREWOUND; STELE_EIO; STELE_ENOMEM.
 * No system call except when it enters a segment or finds nothing at the end of one. */
STELE_API int stele_cursor_next(struct stele_cursor *cursor, struct stele_record *out);

/* Wait until stele_cursor_next() would return something else than 0.
 *   timeout_ns  0 = only look; STELE_WAIT_FOREVER.
 * Returns 1 (also when the next read would be an error: it tells which); 0 when the time ran out;
 * STELE_EFAILED (a writer's handle whose log has failed). A signal does not end it: wait in slices
 * when one should. */
STELE_API int stele_cursor_wait(struct stele_cursor *cursor, int64_t timeout_ns);

/* Position of the next record to be read: hand it to STELE_FROM_LSN to go on later. */
STELE_API stele_lsn stele_cursor_lsn(const struct stele_cursor *cursor);

STELE_API void stele_cursor_close(struct stele_cursor *cursor); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
