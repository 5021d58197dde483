/* SPDX-License-Identifier: BSD-3-Clause */
/* sim.h: a simulated medium behind the library's back-end table. The library stores into real mapped files, as ever; the
 * simulator keeps a second image of each, the disk: what a power cut leaves for certain. Invariant: the disk changes only
 * by persist(), sync_dir() and chance (write-back nobody asked for).
 *
 *   block  persist() writes whole pages of 4 KiB
 *   pmem   persist() flushes whole lines of 64 bytes
 *
 * Names are journalled: creates, renames and unlinks reach the disk with sync_dir(), or earlier, in any order. At a crash
 * (sim_crash) another simulator receives the disk and any part of what differs from it; the first goes on undisturbed.
 * Any call can be made to fail, and a failed persist() leaves a random part durable and the rest silently clean: nothing
 * writes it later unless it is stored to again (tracked with the page protection). One thread only. */
#ifndef STELE_TEST_SIM_H
#define STELE_TEST_SIM_H

#include "os/media.h"
#include "sim_rand.h"

#define SIM_PAGE 4096u
#define SIM_LINE 64u
#define SIM_FILES 64u /* alive at once, names on either side and files under construction */
#define SIM_OPS 64u   /* name changes between two sync_dir() */
#define SIM_NAME 64u

enum sim_model { SIM_BLOCK, SIM_PMEM };

enum sim_call { SIM_CREATE, SIM_OPEN, SIM_PERSIST, SIM_RENAME, SIM_UNLINK, SIM_SYNC_DIR, SIM_CALLS };

struct sim_file {
    bool used;
    bool sized;             /* its length has reached the disk */
    char name[SIM_NAME];    /* as the library sees it; "": none */
    char on_disk[SIM_NAME]; /* in the durable directory; "": none */
    uint64_t bytes;
    uint8_t *live, *disk; /* what is stored to, and what is durable */
    uint64_t lost;        /* a bit per page: clean, though the disk has other bytes */
    uint32_t maps;        /* the library's */
    uint32_t number;      /* its name among the unused files */
    int fd;
};

struct sim_op {
    struct sim_file *file;
    char name[SIM_NAME]; /* the name it gets, and any other file loses; "": it loses its own */
};

struct sim_fault {
    uint64_t at;    /* the call that fails, counted from 1 among those in `kinds`; 0: none */
    uint32_t kinds; /* bits 1 << enum sim_call */
    bool all_after; /* and all later ones */
    int error;      /* positive errno */
    uint64_t seen, fired;
    enum sim_call call; /* of the last one that failed */
};

struct sim;

/* Called before and after each call that changes something (not: open). */
typedef void sim_point_fn(void *ctx, struct sim *sim, enum sim_call call, bool after);

struct sim {
    enum sim_model model;
    char root[256], dir[264]; /* scratch, and the log's directory in it */
    int dirfd, poolfd;        /* of the log, and of the files that are not in use */
    struct sim_file files[SIM_FILES];
    uint32_t file_count; /* made so far, used or not */
    struct sim_op ops[SIM_OPS];
    uint32_t op_count; /* name changes not on disk yet, oldest first */
    struct sim_fault fault;
    struct sim_rand rand; /* what a failing call leaves behind, and write-back */
    sim_point_fn *point;  /* may be NULL */
    void *ctx;
    uint64_t calls[SIM_CALLS];
    struct sim_unit *units; /* scratch of sim_undecided() */
    size_t unit_capacity;
};

/* An empty directory on a medium of its own, under `parent`. Anything that fails here ends the test. */
void sim_open(struct sim *sim, const char *parent, uint64_t seed);
void sim_close(struct sim *sim);
/* The seam for stele__open_with(). */
void sim_media(struct sim *sim, struct stele__media *out);
/* Empty it again: files go back to the pool. No file may be mapped by the library. */
void sim_reset(struct sim *sim);

/* Where simulations keep their files: memory when there is some, $TMPDIR, /tmp. Made, and removed with all in it. */
void sim_scratch_make(char out[256]);
void sim_scratch_remove(const char *path);

struct sim_file *sim_find(struct sim *sim, const char *name);

/* Write-back: some dirty pages (lines) and some name changes reach the disk by themselves. */
void sim_write_back(struct sim *sim, struct sim_rand *rand);

/* What a crash can decide: pieces of `grain` bytes (8, 64, 512, 4096) in which a file differs from its disk. */
struct sim_unit {
    uint32_t file; /* index */
    uint32_t offset;
};
size_t sim_undecided(struct sim *sim, uint32_t grain);

enum sim_keep {
    SIM_KEEP_NONE,
    SIM_KEEP_ALL,
    SIM_KEEP_ONE,     /* only number `arg` */
    SIM_KEEP_BUT_ONE, /* all but number `arg` */
    SIM_KEEP_BEFORE,  /* those before number `arg`: a prefix */
    SIM_KEEP_FROM,    /* those from number `arg` on: a suffix */
    SIM_KEEP_SOME,    /* each with `arg` chances in 256 */
    SIM_KEEP_MASK,    /* bit i of `arg`: number i */
};

struct sim_cut {
    uint32_t grain; /* as it was given to sim_undecided(), right before */
    size_t units;   /* what it returned */
    enum sim_keep keep;
    uint64_t arg;
    uint64_t ops; /* name changes that reached the disk: bit i: sim.ops[i] */
};
/* All name changes, none, the first so many, or any of them. */
uint64_t sim_draw_ops(const struct sim *sim, struct sim_rand *rand);

/* A power cut: `to` becomes what is found after it. */
void sim_crash(const struct sim *from, struct sim *to, const struct sim_cut *cut, struct sim_rand *rand);
/* The death of the process alone: everything stored is there, no more of it is durable than before. */
void sim_kill(const struct sim *from, struct sim *to);

/* Parts of it, for each other. */
struct sim_file *sim__take(struct sim *sim, uint64_t bytes, bool zero);
void sim__move(struct sim *sim, struct sim_file *file, const char *name); /* "": to the pool */
void sim__release(struct sim *sim);
void sim__apply(struct sim *sim, uint32_t ops);
bool sim__fails(struct sim *sim, enum sim_call call); /* counts the call */
void sim__lose(struct sim *sim, struct sim_file *file, uint64_t offset, uint64_t end);
void sim__lose_page(struct sim_file *file, uint64_t page);
void sim__find_all(struct sim *sim, struct sim_file *file); /* no page is lost any more */
void sim__check(bool ok, const char *what);

#endif
