/* SPDX-License-Identifier: BSD-3-Clause */
/* sim.h: a simulated machine under the library: its system calls on files, and libpmem's flush and fence,
 * are answered from memory (sim_interpose.h puts them in place), so that the real back-ends of src/os run
 * on it. Each file has two images: what was stored, and the disk, which is what a power cut leaves for
 * certain. Invariant: the disk changes only by what is documented to change it, and by chance (write-back
 * nobody asked for).
 *
 *   block  msync() writes whole pages of 4 KiB
 *   pmem   pmem_flush() puts lines of 64 bytes on their way as they are, pmem_drain() has them arrive
 *   both   fdatasync() writes a file and its length; nothing else makes a length durable
 *
 * Names are journalled: creates, renames and unlinks reach the disk with fsync() of the directory, or
 * earlier, in any order. At a crash (sim_crash) another machine receives the disk and any part of what
 * differs from it; the first goes on undisturbed. Any call can be made to fail, and a failed sync leaves a
 * random part durable and the rest silently clean: nothing writes it later unless it is stored to again
 * (tracked with the page protection). One thread only. */
#ifndef STELE_TEST_SIM_H
#define STELE_TEST_SIM_H

#include "os/media.h"
#include "sim_rand.h"

#define SIM_PAGE 4096u
#define SIM_LINE 64u
#define SIM_FILE_MAX 98304u /* bytes of a file: the smallest segment has 80 KiB */
#define SIM_FILES 64u       /* alive at once, names on either side and files under construction */
#define SIM_OPS 64u         /* name changes between two syncs of the directory */
#define SIM_NAME 64u

enum sim_model { SIM_BLOCK, SIM_PMEM };

/* The first ones change something: crash points are before and after each. */
enum sim_call {
    SIM_CREATE,
    SIM_ALLOCATE,
    SIM_WRITE,
    SIM_SYNC_FILE,
    SIM_MSYNC,
    SIM_FLUSH,
    SIM_DRAIN,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_SYNC_DIR,
    SIM_OPEN,
    SIM_READ,
    SIM_LIST,
    SIM_STAT,
    SIM_MAP,
    SIM_LOCK,
    SIM_CALLS
};
#define SIM_CHANGES SIM_OPEN
/* What a medium refuses, in a mask of calls. */
#define SIM_CHANGING ((1u << SIM_CHANGES) - 1)
/* Those that a signal can end early. */
#define SIM_INTERRUPTED                                                                                      \
    (1u << SIM_CREATE | 1u << SIM_ALLOCATE | 1u << SIM_WRITE | 1u << SIM_SYNC_FILE | 1u << SIM_MSYNC |       \
     1u << SIM_SYNC_DIR | 1u << SIM_OPEN | 1u << SIM_READ | 1u << SIM_LOCK)
extern const char *const sim_call_names[SIM_CALLS];

struct sim_file {
    bool used;
    bool reborn;            /* it was a segment before, under another name: a second life begins */
    char name[SIM_NAME];    /* as the library sees it; "": none */
    char on_disk[SIM_NAME]; /* in the durable directory; "": none */
    uint64_t bytes;         /* length */
    uint64_t disk_bytes;    /* and the durable one */
    uint8_t *live,
        *disk;       /* what is stored to, and what is durable; SIM_FILE_MAX bytes, zero behind the length */
    uint8_t *staged; /* lines that were flushed, and wait for the fence */
    uint64_t waiting[SIM_FILE_MAX / SIM_LINE / 64]; /* a bit for each of them */
    uint64_t lost; /* a bit per page: clean, though the disk has other bytes */
    uint32_t refs; /* the library's maps and descriptors */
};

struct sim_op {
    struct sim_file *file;
    char name[SIM_NAME]; /* the name it gets, and any other file loses; "": it loses its own */
};

/* Half of a read or write, instead of an error. */
#define SIM_SHORT (-1)

struct sim_fault {
    uint64_t at;    /* the call that fails, counted from 1 among those in `kinds`; 0: none */
    uint32_t kinds; /* bits 1 << enum sim_call */
    bool all_after; /* and all later ones */
    int error;      /* positive errno; EINTR and SIM_SHORT: only of calls that can */
    uint64_t seen, fired;
    enum sim_call call; /* of the last one that failed */
};

/* Where a crash point is. */
struct sim_where {
    enum sim_call call;
    bool after;
    char name[SIM_NAME], to[SIM_NAME];
    uint64_t offset, len;
};

struct sim;

/* Called before and after each call that changes something. */
typedef void sim_point_fn(void *ctx, struct sim *sim, enum sim_call call, bool after);

struct sim {
    enum sim_model model;
    uint32_t number; /* among the machines of this process */
    char dir[32];    /* the log's directory: a path that the library can open */
    bool made, kept; /* the directory is there; and so it is after a crash */
    int dirfd;       /* the same for the *at() calls of a test */
    uint8_t *memory; /* of all files: live, disk and staged bytes */
    struct sim_file files[SIM_FILES];
    uint32_t file_count; /* places touched so far, used or not */
    struct sim_op ops[SIM_OPS];
    uint32_t op_count; /* name changes not on disk yet, oldest first */
    struct sim_fault fault;
    struct sim_rand rand; /* what a failing call leaves behind, and write-back */
    sim_point_fn *point;  /* may be NULL */
    void *ctx;
    struct sim_where where; /* the last point */
    bool narrate;           /* print every call that changes something */
    bool staged;            /* lines wait for the fence */
    uint64_t calls[SIM_CALLS];
    uint64_t reborn;        /* files that got a second life */
    uint64_t version;       /* changes with the disk */
    struct sim_unit *units; /* scratch of sim_undecided() */
    size_t unit_capacity;
};

/* A machine with an empty directory. Anything that fails here ends the test. */
void sim_open(struct sim *sim, uint64_t seed);
void sim_close(struct sim *sim);
/* The real back-end of the model, for stele__open_with(). */
void sim_media(struct sim *sim, struct stele__media *out);
/* Empty it again. The library must have let go of every file. */
void sim_reset(struct sim *sim);

struct sim_file *sim_find(struct sim *sim, const char *name);
/* Is every file's content what its disk has? */
bool sim_is_settled(const struct sim *sim);

/* One of the next calls that change something will fail. */
void sim_draw_fault(struct sim *sim, struct sim_rand *rand);

#define SIM_EXIT_ENDLESS 4
/* End the process when it uses the processor for so many more seconds: something does not end. 0: no limit. */
void sim_limit(unsigned seconds);

/* Write-back: some dirty pages (lines) and some name changes reach the disk by themselves. */
void sim_write_back(struct sim *sim, struct sim_rand *rand);

/* What a crash can decide: pieces of `grain` bytes (8, 64, 512, 4096) in which a file differs from its
 * disk. What the file "lock" holds counts for nothing and is left out. */
struct sim_unit {
    uint32_t file; /* index */
    uint32_t offset;
};
size_t sim_undecided(struct sim *sim, uint32_t grain);
/* The state that sim_undecided() has just described, in one number: equal numbers, equal images. */
uint64_t sim_state(const struct sim *sim, size_t units, uint32_t grain);

enum sim_keep {
    SIM_KEEP_NONE,
    SIM_KEEP_ALL,
    SIM_KEEP_ONE,     /* only number `arg` */
    SIM_KEEP_BUT_ONE, /* all but number `arg` */
    SIM_KEEP_BEFORE,  /* those before number `arg`: a prefix */
    SIM_KEEP_FROM,    /* those from number `arg` on: a suffix */
    SIM_KEEP_SOME,    /* each with `arg` chances in 256 */
    SIM_KEEP_MASK,    /* bit i of `arg`: number i */
    SIM_KEEP_LIST,    /* those in `list` */
};

struct sim_cut {
    uint32_t grain; /* as it was given to sim_undecided(), right before */
    size_t units;   /* what it returned */
    enum sim_keep keep;
    uint64_t arg;
    const uint32_t *list; /* ascending */
    size_t listed;
    uint64_t ops; /* name changes that reached the disk: bit i: sim.ops[i] */
};
/* All name changes, none, the first so many, or any of them. */
uint64_t sim_draw_ops(const struct sim *sim, struct sim_rand *rand);
/* Which pieces `cut` keeps, drawn once: the numbers into `out`, which has room for all. Returns how many. */
size_t sim_draw_kept(const struct sim_cut *cut, struct sim_rand *rand, uint32_t *out);

/* A power cut: `to` becomes what is found after it. */
void sim_crash(const struct sim *from, struct sim *to, const struct sim_cut *cut, struct sim_rand *rand);
/* The death of the process alone: everything stored is there, no more of it is durable than before. */
void sim_kill(const struct sim *from, struct sim *to);

/* Parts of it, for each other. */
struct sim_file *sim__take(struct sim *sim, bool zero);
void sim__drop(struct sim *sim,
               struct sim_file *file); /* its name and content are gone, at once and for good */
void sim__release(struct sim *sim);
void sim__apply(struct sim *sim, uint32_t ops);
void sim__persist(struct sim *sim, struct sim_file *file, uint64_t offset, uint64_t end);
int sim__fails(struct sim *sim, enum sim_call call); /* counts the call; 0, or the errno */
void sim__lose(struct sim *sim, struct sim_file *file, uint64_t offset, uint64_t end);
void sim__lose_page(struct sim_file *file, uint64_t page);
void sim__find_all(struct sim_file *file); /* no page is lost any more */
bool sim__dirty_again(const uint8_t *address);
void sim__check(bool ok, const char *what);
struct sim *sim__of(uint32_t number);
struct sim *sim__of_address(const void *address, struct sim_file **file);

#endif
