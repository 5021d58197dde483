/* SPDX-License-Identifier: BSD-3-Clause */
/* core/log.h: the open log. Who may touch what:
 *
 *   - set at open, then constant: no rule needed;
 *   - `tail`, `ready`, `durable`, `failed`: atomics, see the tags [Pn] where they are used;
 *   - struct stele__commit: whoever leads (sync.leader == 1), one at a time;
 *   - struct stele__space: under its lock, slow paths only;
 *   - segments ring: entries below `ready` are constant for appenders; the helper adds and retires them;
 *   - control block: under control_lock.
 *
 * A record's path: append.c -> tail.h (reserve) -> segtab.h (address) -> format/record.c (fill) -> tail.h
 * (publish)
 * -> commit.c (fold, mark, persist, advance) -> helper.c/seal.c (seal). */
#ifndef STELE_CORE_LOG_H
#define STELE_CORE_LOG_H

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "format/control.h"
#include "format/mark.h"
#include "format/name.h"
#include "format/record.h"
#include "format/segment.h"
#include "os/guard.h"
#include "os/media.h"
#include "os/view.h"

#include <errno.h>
#include <pthread.h>
#include <stele/stele.h>

/* Segments mapped at once: the unsealed ones behind the tail and the spares ahead. A power of two; 16 leaves
 * room for 8 spares and as many full segments that wait for the device. */
#define STELE__RING 16u

/* A segment mapped for appending. */
struct stele__seg {
    /* What appenders read: constant from before `ready` covers it until it is retired. */
    uint8_t *data;
    uint64_t sequence;
    uint32_t salt;

    uint32_t incarnation;
    struct stele__map map;

    /* The committer's, final once the durable point has passed the end; then the helper's. */
    uint64_t chain_start;
    uint64_t first_record, records;
    uint64_t chain_end;
    uint64_t first_time_ns, last_time_ns;
    struct stele__index_entry *index; /* stele__index_capacity() entries */
    uint64_t index_entries;
};

/* State of the commit leader. */
struct stele__commit {
    stele_lsn frontier;     /* everything before it is published and folded */
    uint64_t chain;         /* at the frontier */
    uint64_t record_number; /* data records before the frontier */
    stele_lsn last_mark; /* where the last mark was put (it may be in front of the frontier), or the start */
    stele_lsn data_end;  /* end of the last data record folded */
    stele_lsn vouched;   /* what the records folded testify to have been durable */
    uint64_t time_ns;    /* of the last index entry, mark or seal: never runs back */
};

/* A mark a single appender is asked to write (it owns the tail). */
struct stele__pending_mark {
    _Atomic bool wanted;
    struct stele__mark mark;
};

struct stele__debt {
    stele_lsn from, to;
};

/* Waiting for prepared space: slow paths of the tail, and the helper. */
struct stele__space {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* ready moved, an attempt failed, or the log failed or closes */
    uint64_t attempts;      /* to prepare a segment, begun so far */
    uint64_t refused;       /* number of the last one that failed */
    uint32_t waiting;       /* appends that wait */
    int error;              /* of the last one */
    char text[STELE__ERROR_MAX];
    struct stele__debt *debts; /* reserved beyond `ready` by appends that gave up: padded when space comes */
    size_t debt_count, debt_capacity;
};

struct stele__sync {
    _Atomic uint32_t leader;    /* 1: somebody leads */
    _Atomic uint32_t commits;   /* futex word of followers: changes when leadership is free again */
    _Atomic uint32_t followers; /* asleep, or about to be */
    _Atomic uint32_t waiting;   /* in a call that waits for durability: stele_close() leaves them the log */
};

struct stele__helper {
    pthread_t thread;
    bool running;
    _Atomic uint32_t word; /* futex: changes when there is something to do now */
    _Atomic bool stop;
    _Atomic bool sync_wanted;
    bool inline_only; /* no thread: slow paths do its work themselves (deterministic tests) */
};

/* A file trimmed away, waiting under a temporary name for its next life. */
struct stele__recycled {
    char name[STELE__NAME_MAX];
};

struct stele {
    /* Constant after open. */
    uint64_t data_bytes;
    uint32_t record_max;
    uint16_t epoch;
    uint8_t data_log2;
    bool read_only;
    bool single;
    bool recycle;
    bool live; /* reader: a writer was at work at open (one that came since: core/reader.h) */
    uint32_t spares;
    uint32_t file_mode;
    int dirfd, lockfd;
    char *path;
    uint64_t mark_bytes, idle_mark_ns;
    uint8_t uuid[16];
    uint64_t created_ns;
    uint8_t *metadata;
    uint32_t metadata_bytes;
    struct stele__logger logger;
    struct stele__media media;

    _Alignas(
        STELE__HOT_ALIGN) _Atomic uint64_t tail; /* next free position: the only word all appenders write */

    _Alignas(STELE__HOT_ALIGN) _Atomic uint64_t
        ready; /* slots below it are mapped; 0: closed, failed, read-only */
    _Atomic uint64_t durable;
    struct stele__pending_mark pending;

    _Alignas(STELE__HOT_ALIGN) struct stele__seg ring[STELE__RING];

    _Alignas(STELE__HOT_ALIGN) struct stele__sync sync;
    struct stele__commit commit;
    _Atomic int failed;             /* 0, or the code */
    char failure[STELE__ERROR_MAX]; /* written before `failed` is set */

    pthread_mutex_t ring_lock;    /* ring membership, for region() and the helper */
    uint64_t ring_low, ring_high; /* sequences mapped: [low, high) */
    uint32_t incarnation;         /* highest used; the helper's after open */
    struct stele__space space;
    struct stele__helper helper;
    struct stele__recycled *recycled; /* `spares` places; ring_lock */
    uint32_t recycled_count;
    _Atomic uint64_t temp_number; /* makes temporary names unique */

    pthread_mutex_t control_lock; /* and trims, one at a time */
    struct stele__control control;
    struct stele__map control_map;   /* writer */
    struct stele__view control_view; /* reader */
    struct stele__view waiters_view; /* reader, opened writable when it first sleeps */
    bool waiters_tried;
    struct stele__live *live_page;
    struct stele__waiters *waiters;
    uint64_t seen_opens; /* reader: live_page->opens when its facts were taken */
    stele_lsn
        end; /* reader without a writer: where valid records end. Writer: where its opening cut the log */
    bool damaged; /* reader without a writer: corruption begins at `end`, and `failure` says what */

    _Atomic int eventfd;      /* -1 until asked for */
    _Atomic uint32_t handles; /* cursors and pins open */
};

static inline uint64_t stele__sequence_of(const struct stele *log, stele_lsn lsn)
{
    return lsn >> log->data_log2;
}

static inline stele_lsn stele__base_of(const struct stele *log, uint64_t sequence)
{
    return sequence << log->data_log2;
}

/* Latch the log as failed, for good: appends, syncs and waits return STELE_EFAILED from now on. The first
 * call wins. The message is this thread's last error. Returns STELE_EFAILED. */
int stele__latch(struct stele *log, int code);
/* STELE_EFAILED with the latched message as this thread's last error. */
int stele__fail_latched(const struct stele *log);

/* STELE_ECORRUPT: the mapped file `name` lost its bytes under the map (os/guard.h). */
int stele__fail_lost(const struct stele *log, const char *name, const struct stele__guard *guard);

/* The only way from here to the back-end's persist(): bytes of a page that the map has lost are not durable,
 * whatever it returned. 0 or a negative errno. */
static inline int stele__persist(struct stele *log, const struct stele__map *map, uint64_t offset,
                                 uint64_t len)
{
    int rc = log->media.ops->persist(&log->media, map, offset, len);
    return rc == 0 && STELE__UNLIKELY(stele__guard_lost(map->guard)) ? -EIO : rc;
}

#endif
