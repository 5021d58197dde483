/* SPDX-License-Identifier: BSD-3-Clause */
/* stele/admin.h: look at, check, mend and copy logs. Everything but stele_repair() is read-only,
 * takes no writer lock and works beside a live writer. */
#ifndef STELE_ADMIN_H
#define STELE_ADMIN_H

#include <stele/log.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stele_segment_state {
    STELE_SEGMENT_ACTIVE = 0, /* holds records, not sealed */
    STELE_SEGMENT_SEALED = 1, /* footer valid: never written again */
    STELE_SEGMENT_SPARE = 2,  /* prepared, no record yet: not part of the log */
    STELE_SEGMENT_BROKEN = 3, /* quarantined by repair (NAME.broken) */
};

struct stele_segment_stat {
    char name[48]; /* file name inside the directory */
    uint64_t sequence;
    stele_lsn base_lsn;
    enum stele_segment_state state;
    uint32_t incarnation;   /* how many segment files had been prepared before, and this one */
    uint64_t records;       /* sealed: data records in it; else 0 */
    uint64_t file_bytes;    /* size of the file */
    uint64_t disk_bytes;    /* blocks it holds on disk */
    uint64_t first_time_ns; /* sealed: realtime clock, a hint; else 0 */
    uint64_t last_time_ns;
};

struct stele_stat {
    size_t size; /* sizeof(struct stele_stat), set by the caller */
    stele_lsn first_lsn, published_lsn, durable_lsn;
    uint64_t records;       /* data records from first_lsn to published_lsn */
    uint64_t segment_bytes; /* data bytes of a segment */
    uint64_t segments;      /* files that are part of the log, spares included */
    uint64_t file_bytes;    /* of all of them */
    uint64_t disk_bytes;
    uint64_t pins;                    /* distinct segments that cursors or pins of any process hold */
    stele_lsn pinned_lsn;             /* the lowest of them; STELE_LSN_NONE without */
    uint64_t oldest_time_ns;          /* first time known, 0 without */
    enum stele_durability durability; /* in force; without a writer at work, what auto would pick */
    char durability_name[16];
    char durability_reason[192];
    unsigned char uuid[16];
    uint64_t created_ns;
    int32_t failed;           /* 0, or the code that latched this log as failed */
    int32_t writer_alive;     /* 1: a process holds the writer lock */
    int64_t writer_pid;       /* -1 when there is none or it cannot be told */
    uint64_t writer_start_ns; /* when that process opened the log, ns since 1970 */
    uint32_t metadata_bytes;  /* application metadata of the newest segment */
    unsigned char metadata[STELE_METADATA_MAX];
};

/* Fill in `out` (whose size field the caller has set). On a reader's handle this counts the records
 * of unsealed segments by walking them. Returns 0; STELE_EINVAL; STELE_EIO; STELE_ECORRUPT. */
STELE_API int stele_stat(struct stele *log, struct stele_stat *out);

/* List segments, oldest first, up to `count`. Returns how many there are, or an error. */
STELE_API long stele_stat_segments(struct stele *log, struct stele_segment_stat *out, size_t count);

enum stele_verdict {
    STELE_CLEAN = 0,   /* every record valid, nothing behind the last one */
    STELE_TORN = 1,    /* unfinished bytes behind the last valid record, never acknowledged */
    STELE_CORRUPT = 2, /* bytes that had been durable are damaged or missing */
};

/* One thing found. Damage that a second copy heals (one header or footer copy, the index) is reported
 * with `harmless` set and does not change the verdict. */
struct stele_problem {
    const char *segment; /* file name */
    uint64_t offset;     /* byte offset in that file */
    stele_lsn lsn;       /* STELE_LSN_NONE where none applies */
    const char *kind;    /* a stable word: header, header-copy, footer, footer-copy, index, record, chain,
                            torn, missing, name, size, foreign-log, version, control, control-copy,
                            data-hash, residue, io, quarantined */
    const char *detail;  /* a sentence */
    int harmless;
};
typedef void stele_problem_fn(void *ctx, const struct stele_problem *problem);

struct stele_verify_options {
    size_t size;
    uint32_t jobs; /* threads; 0 = 1 */
    uint32_t reserved;
    stele_problem_fn *problem; /* called from the calling thread, in order; may be NULL */
    void *ctx;
};

struct stele_verify_result {
    size_t size;
    enum stele_verdict verdict;
    uint32_t live;    /* 1: a writer was at work; everything up to its durable point was checked */
    uint64_t records; /* data records that validated */
    stele_lsn first_lsn;
    stele_lsn durable_lsn; /* the highest position anything vouches for */
    stele_lsn end_lsn;     /* end of the valid records */
    uint64_t segments;
    uint64_t problems; /* harmless ones included */
    uint64_t bytes;    /* of log validated */
};

/* Check every byte that means something: headers, names, every record of every segment, chain and
 * counts at every mark and join, footers, index, data hashes. Changes nothing.
 * Returns 0 when the check ran to its end (see result->verdict), or STELE_ENOENT, STELE_ENOTLOG,
 * STELE_EVERSION, STELE_EACCES, STELE_EIO, STELE_ENOMEM, STELE_EINVAL. */
STELE_API int stele_verify(const char *path, const struct stele_verify_options *options,
                           struct stele_verify_result *result);

enum stele_repair_flags {
    STELE_REPAIR_APPLY = 1u << 0,           /* without it: only say what would be done */
    STELE_REPAIR_ALLOW_DATA_LOSS = 1u << 1, /* cut at the first damage, even below the durable point */
    STELE_REPAIR_QUARANTINE = 1u << 2,      /* rename damaged segments to NAME.broken, keep the rest */
};

struct stele_repair_options {
    size_t size;
    uint32_t flags;
    uint32_t reserved;
    const char *backup;        /* for copies of what is removed, outside the log; NULL = PATH.removed-TIME */
    stele_problem_fn *problem; /* what was found, as stele_verify() */
    void *ctx;
};

struct stele_repair_result {
    size_t size;
    enum stele_verdict before; /* what was found */
    enum stele_verdict after;  /* what a verify would say now (dry run: after the repair) */
    stele_lsn cut_lsn;         /* the log ends (ended) here; STELE_LSN_NONE when nothing is cut */
    uint64_t records_removed;  /* valid records behind the cut, and those in quarantined segments */
    uint64_t bytes_removed;
    uint64_t segments_quarantined;
    char backup[256]; /* where the copies are; empty when nothing was removed */
};

/* Mend a log: cut a torn tail, rebuild damaged copies of control blocks, headers, footers and indexes;
 * with permission also cut at, or quarantine, damage, and make a lost control file anew (either flag:
 * nothing can tell any more whether segments are missing). A copy of everything removed is made durable
 * first. Needs the writer lock when it applies. Returns 0; STELE_ECORRUPT (damage, and neither flag given:
 * nothing was changed); STELE_ELOCKED; and what stele_verify() returns. Killed at any point, it can be run
 * again. */
STELE_API int stele_repair(const char *path, const struct stele_repair_options *options,
                           struct stele_repair_result *result);

/* Copy a log, live or not, up to its durable point, into the new directory `dest`: a complete log
 * with the same uuid. The front is pinned while it runs.
 *   end  receives the LSN the copy ends at; may be NULL.
 * Returns 0; STELE_EINVAL (`dest` lies in the log); STELE_EEXIST; STELE_ECORRUPT; STELE_ENOSPC; STELE_EIO; as
 * stele_open() read-only. */
STELE_API int stele_backup(const char *path, const char *dest, stele_lsn *end);

/* What stele_inspect() meets, in file order. */
enum stele_item_kind {
    STELE_ITEM_HEADER = 1,
    STELE_ITEM_RECORD = 2, /* data */
    STELE_ITEM_PAD = 3,    /* pad or fill */
    STELE_ITEM_MARK = 4,
    STELE_ITEM_RESERVED = 5, /* a slot not published when the file was read */
    STELE_ITEM_INVALID = 6,  /* bytes that are no record: the walk of this segment ends */
    STELE_ITEM_FOOTER = 7,
};

struct stele_item {
    enum stele_item_kind kind;
    const char *segment; /* file name */
    uint64_t offset;     /* in the file, bytes */
    stele_lsn lsn;
    uint64_t sequence;
    uint32_t len;       /* payload bytes */
    uint32_t wire_type; /* the type byte as stored */
    unsigned type;      /* user type of data */
    uint32_t epoch;
    uint32_t crc;
    uint32_t dback;
    const void *data;   /* payload of a record, valid during the call */
    const char *detail; /* INVALID: why */
    /* HEADER, FOOTER, MARK */
    unsigned char uuid[16];
    uint32_t salt, incarnation;
    uint64_t created_ns;         /* HEADER */
    uint32_t valid_copies;       /* HEADER, FOOTER: bit 0 copy A, bit 1 copy B */
    uint32_t metadata_bytes;     /* HEADER: data points at the metadata */
    stele_lsn upto_lsn;          /* MARK: the chain below holds up to here */
    stele_lsn durable_lsn;       /* MARK */
    uint64_t chain, chain_start; /* MARK: at upto_lsn, at the segment's start. FOOTER: end, start */
    uint64_t record_number;      /* MARK: data records before upto_lsn. FOOTER: before the segment */
    uint64_t records;            /* FOOTER */
    uint64_t time_ns;            /* MARK; FOOTER: last */
    uint64_t index_entries;      /* FOOTER */
    uint64_t data_hash;          /* FOOTER */
};

/* Returns 0 to go on, anything else to stop; stele_inspect() then returns that value. */
typedef int stele_item_fn(void *ctx, const struct stele_item *item);

/* Show the structure of a log's directory or of one segment file, as found, without judging it.
 * Returns 0; the callback's value; STELE_ENOENT, STELE_ENOTLOG, STELE_EVERSION, STELE_EIO,
 * STELE_ECORRUPT (a header that cannot be read; the other segments were shown). */
STELE_API int stele_inspect(const char *path, stele_item_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
