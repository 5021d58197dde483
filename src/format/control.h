/* SPDX-License-Identifier: BSD-3-Clause */
/* format/control.h: the file "control": where the log begins and how far something durable is known to reach,
 * in two blocks written in turn; and two pages for other processes, which recovery never reads.
 *
 *     page 0  block A      page 1  block B      page 2  live words of the writer      page 3  waiters of
 * readers */
#ifndef STELE_FORMAT_CONTROL_H
#define STELE_FORMAT_CONTROL_H

#include "format/segment.h"

#define STELE__CONTROL_BYTES 16384u
#define STELE__CONTROL_PAGE 4096u
#define STELE__CONTROL_LIVE 8192u
#define STELE__CONTROL_WAITERS 12288u

/* Segments were written by an opening of durability class none: what they call durable may live in a cache
 * only, until an opening of another class has persisted all of them. */
#define STELE__CONTROL_UNSYNCED 1u
/* An opening is cutting the end of the log: the zeroes behind it may live in a cache only. */
#define STELE__CONTROL_CUTTING 2u

struct stele__control {
    uint8_t uuid[16];
    uint64_t generation; /* of the block: the valid one with the higher generation counts */
    uint64_t first_sequence;
    uint64_t first_chain; /* chain and record number at the start of the first segment */
    uint64_t first_record;
    stele_lsn durable;   /* everything before it was durable when the block was written */
    uint64_t created_ns; /* of the log */
    uint64_t incompat, ro_compat;
    uint32_t incarnation; /* the highest given out when the block was written */
    uint8_t data_log2;
    uint8_t flags; /* STELE__CONTROL_UNSYNCED, STELE__CONTROL_CUTTING */
    uint8_t block; /* not stored: 0 or 1, where it was read from; the other is written next */
};

/* One block of STELE__CONTROL_PAGE bytes. */
void stele__control_encode(uint8_t out[STELE__CONTROL_PAGE], const struct stele__control *control);
/* Both blocks, 2 pages. Picks the valid one with the higher generation, unless either is of another version.
 */
enum stele__decode stele__control_decode(const uint8_t in[2 * STELE__CONTROL_PAGE],
                                         struct stele__control *out, uint32_t *copies);

/* The live page. Written by the writer process, believed by readers only while the writer lock is held (or
 * was, by the same opening: `opens`). Atomic, naturally aligned; readers map it read-only. */
struct stele__live {
    _Atomic uint64_t opens; /* changes at every writable open; last word stored then */
    _Atomic uint64_t durable;
    _Atomic uint64_t first;        /* first LSN not trimmed */
    _Atomic uint64_t tail_at_open; /* where the last writable open began to append */
    _Atomic uint32_t commits;      /* futex word: changes whenever durable, first or opens does */
    _Atomic uint32_t media_class;  /* enum stele__media_class in force; 0 after an orderly close */
    /* Changes before an opening or a repair changes anything: who sees it change looked too early. */
    _Atomic uint64_t recoveries;
};

/* The waiters page: readers that sleep on `commits`, so that a writer without any makes no system call. */
struct stele__waiters {
    _Atomic uint32_t count;
};

#endif
