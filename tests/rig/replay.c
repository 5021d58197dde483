/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/replay.c: cuts the power in a recording, again and again: makes the image a device could have been
 * left with, mounts it (the file system replays its journal), lets the real recovery look at the logs on
 * it, and asks rig/law.c.
 *
 * Invariant: an image holds everything written before the last flush that was answered, and of the sectors
 * written since any subset. The recording's order is exact: the loop device hands over one request at a
 * time, so a write that stands before a flush had been answered before it.
 *
 *   rig_replay LOG BASE FS MOUNT-POINT MARK-OFFSET KEEP-DIR ...
 *     ... SEED POINTS SECONDS   so many cuts, anywhere, or what SECONDS allow
 *     ... SEED POINTS deaf      of a device that answers a flush before it is done: the law must break
 *     ... ENTRY:SHAPE:DICE      this one cut */
#include "image.h"
#include "law.h"
#include "replay_log.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

/* What arrives of the sectors written since the last flush. */
enum shape { NONE, ALL, HALF, MOST, FEW, PREFIX, ALL_BUT_ONE, ONLY_ONE, SHAPES };
static const char *const shapes[SHAPES] = {"none", "all",    "half",        "most",
                                           "few",  "prefix", "all-but-one", "only-one"};

struct point {
    size_t entry; /* the power fails in front of it */
    enum shape shape;
    uint64_t dice;
};

struct replay {
    struct rig_recording recording;
    struct rig_image image;
    struct rig_truth truth;
    struct rig_findings findings;
    const char *base, *fs, *at;
    double started;
    size_t done;        /* cuts */
    uint64_t marks;     /* offset on the device; the file system ends there */
    size_t known;       /* truth and `flushed` are as of this entry */
    size_t flushed;     /* everything before it is in image.durable */
    uint64_t undecided; /* sectors, over all cuts */
    uint64_t gave_up;   /* images the file system itself did not survive */
    size_t flush;       /* the last flush seen */
    bool deaf;
    const char *keep;
    char *why;
};

static bool is_mark(const struct replay *replay, const struct rig_entry *entry, struct rig_mark *mark)
{
    if (entry->offset < replay->marks || entry->len < sizeof *mark || entry->data == NULL)
        return false;
    memcpy(mark, entry->data, sizeof *mark);
    return memcmp(mark->magic, RIG_MAGIC, sizeof mark->magic) == 0;
}

/* Take in what happened before `entry`. */
static void advance(struct replay *replay, size_t entry)
{
    struct rig_mark mark;
    for (; replay->known < entry; replay->known++) {
        const struct rig_entry *at = &replay->recording.entries[replay->known];
        if (is_mark(replay, at, &mark))
            rig_truth_learn(&replay->truth, &mark);
        if (!at->flush)
            continue;
        const size_t upto = replay->deaf ? replay->flush : replay->known;
        replay->flush = replay->known;
        for (; replay->flushed < upto; replay->flushed++) {
            const struct rig_entry *done = &replay->recording.entries[replay->flushed];
            if (done->offset < replay->marks)
                rig_image_keep(&replay->image, done->offset, done->data, done->len);
        }
    }
}

static bool arrives(enum shape shape, uint64_t piece, uint64_t pieces, bool chosen, uint64_t dice)
{
    uint64_t own = rig_mix(dice ^ rig_mix(piece));
    switch (shape) {
    case NONE: return false;
    case ALL: return true;
    case HALF: return own % 2 == 0;
    case MOST: return own % 8 != 0;
    case FEW: return own % 8 == 0;
    case PREFIX: return piece < dice % (pieces + 1);
    case ALL_BUT_ONE: return !chosen;
    case ONLY_ONE: return chosen;
    default: return true;
    }
}

/* Make the image the cut leaves; writes are torn between grains of so many bytes. Returns how many sectors
 * were undecided. */
static uint64_t cut(struct replay *replay, const struct point *point, uint64_t grain)
{
    const struct rig_entry *entries = replay->recording.entries;
    uint64_t sectors = 0, writes = 0, piece = 0, write = 0;
    rig_image_restore(&replay->image);
    for (size_t i = replay->flushed; i < point->entry; i++)
        if (entries[i].len > 0 && entries[i].offset < replay->marks) {
            sectors += entries[i].len / RIG_SECTOR;
            writes++;
        }
    uint64_t one = writes > 0 ? (point->dice >> 8) % writes : 0;
    for (size_t i = replay->flushed; i < point->entry; i++) {
        const struct rig_entry *entry = &entries[i];
        if (entry->len == 0 || entry->offset >= replay->marks)
            continue;
        for (uint64_t at = 0; at < entry->len; at += RIG_SECTOR) {
            piece += (entry->offset + at) % grain == 0 || at == 0;
            if (arrives(point->shape, piece, sectors * RIG_SECTOR / grain, write == one, point->dice))
                rig_image_try(&replay->image, entry->offset + at,
                              entry->data != NULL ? entry->data + at : NULL, RIG_SECTOR);
        }
        write++;
    }
    return sectors;
}

#define WHY_BYTES 1024u

enum judged { HOLDS, BREAKS, GAVE_UP };

/* What a file system says when it is damaged itself. */
static bool is_file_systems_own(const char *why)
{
    return strstr(why, strerror(EUCLEAN)) != NULL || strstr(why, strerror(EBADMSG)) != NULL;
}

static enum judged judge(struct replay *replay, const struct point *point)
{
    int error = rig_image_mount(&replay->image);
    if (error != 0) {
        (void)snprintf(replay->why, WHY_BYTES, "%s does not mount: %s", replay->image.fs, strerror(error));
        return GAVE_UP;
    }
    bool fine = rig_law_holds(&replay->truth, replay->image.at, point->dice, &replay->findings, replay->why,
                              WHY_BYTES);
    error = rig_image_unmount(&replay->image);
    if (error != 0)
        errx(2, "%s does not unmount: %s", replay->image.fs, strerror(error));
    return fine ? HOLDS : is_file_systems_own(replay->why) ? GAVE_UP : BREAKS;
}

/* A disk may tear a block of a file system between its sectors, and xfs for one does not promise to
 * survive that in its own blocks (recovery trusts the first sector of a block for all of it). Then the cut
 * is made again with whole blocks, which it must survive. */
static bool survives(struct replay *replay, const struct point *point, uint64_t *grain)
{
    *grain = RIG_SECTOR;
    replay->undecided += cut(replay, point, *grain);
    enum judged judged = judge(replay, point);
    if (judged == GAVE_UP) {
        replay->gave_up++;
        *grain = RIG_BLOCK;
        (void)cut(replay, point, *grain);
        judged = judge(replay, point);
    }
    return judged == HOLDS;
}

static void tell(struct replay *replay, const struct point *point, uint64_t grain)
{
    char path[600];
    (void)cut(replay, point, grain);
    (void)snprintf(path, sizeof path, "%s/%s-%zu-%s.img", replay->keep, replay->image.fs, point->entry,
                   shapes[point->shape]);
    bool saved = rig_image_save(&replay->image, path);
    printf("FAILED: %s, power cut in front of entry %zu, %s of what was not flushed: %s\n", replay->image.fs,
           point->entry, shapes[point->shape], replay->why);
    printf("  this cut again:  ... %zu:%d:%" PRIu64 "\n", point->entry, (int)point->shape, point->dice);
    if (saved)
        printf("  the image:  %s  (mount -t %s -o loop %s /mnt; stele verify /mnt/log0)\n", path,
               replay->image.fs, path);
}

/* Where the recording begins and ends, by its marks. */
static void limits(const struct replay *replay, size_t *begin, size_t *end)
{
    struct rig_mark mark;
    *begin = *end = 0;
    for (size_t i = 0; i < replay->recording.count; i++) {
        if (!is_mark(replay, &replay->recording.entries[i], &mark))
            continue;
        if (mark.kind == RIG_MARK_START)
            *begin = i + 1;
        if (mark.kind == RIG_MARK_END)
            *end = i + 1;
    }
    if (*begin == 0 || *end <= *begin)
        errx(2, "the recording has no beginning or no end");
}

static bool interesting(const struct replay *replay, size_t entry, uint64_t kind)
{
    struct rig_mark mark;
    const struct rig_entry *entries = replay->recording.entries;
    if (kind == 0) /* in front of a flush: the most is undecided */
        return entries[entry].flush;
    if (kind == 1) /* behind an acknowledgement */
        return is_mark(replay, &entries[entry - 1], &mark);
    return true;
}

static int by_entry(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static struct point *choose(const struct replay *replay, uint64_t seed, size_t count)
{
    size_t begin, end;
    struct point *points = calloc(count, sizeof *points);
    limits(replay, &begin, &end);
    if (points == NULL)
        err(2, "points");
    for (size_t i = 0; i < count; i++) {
        uint64_t dice = rig_mix(seed ^ rig_mix(i));
        size_t entry = begin + (size_t)(dice % (end - begin));
        while (entry < end && !interesting(replay, entry, (dice >> 32) % 4))
            entry++;
        points[i] = (struct point){
            .entry = entry, .shape = (enum shape)((dice >> 40) % SHAPES), .dice = rig_mix(dice)};
    }
    qsort(points, count, sizeof *points, by_entry);
    return points;
}

static double now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Cut at each of these, in the order of the recording. False: the law broke, and that has been told. */
static bool run(struct replay *replay, const struct point *points, size_t count)
{
    uint64_t grain;
    rig_image_begin(&replay->image, replay->base, replay->fs, replay->at);
    rig_truth_begin(&replay->truth);
    replay->known = replay->flushed = replay->flush = 0;
    for (size_t i = 0; i < count; i++) {
        advance(replay, points[i].entry);
        replay->done++;
        if (survives(replay, &points[i], &grain))
            continue;
        printf("after %zu power cuts and %.1f s:\n", replay->done, now() - replay->started);
        tell(replay, &points[i], grain);
        return false;
    }
    rig_image_end(&replay->image);
    return true;
}

/* Batches that each go through the whole recording, so that a slow machine, which comes to fewer of them
 * in its time, has still seen all of it. */
#define BATCH 125u

static bool run_batches(struct replay *replay, uint64_t seed, size_t count, double seconds)
{
    bool fine = true;
    while (fine && replay->done < count && (replay->done == 0 || now() - replay->started < seconds)) {
        size_t some = count - replay->done < BATCH ? count - replay->done : BATCH;
        struct point *points = choose(replay, rig_mix(seed + replay->done), some);
        fine = run(replay, points, some);
        free(points);
    }
    return fine;
}

static void print_summary(const struct replay *replay)
{
    printf("%s: %zu power cuts in %zu requests, %.1f s; %.1f sectors undecided on average; %" PRIu64
           " logs recovered, %" PRIu64 " records found, %" PRIu64 " logs torn, %" PRIu64
           " not made yet; %" PRIu64 " images the file system did not survive\n",
           replay->fs, replay->done, replay->recording.count, now() - replay->started,
           (double)replay->undecided / (double)replay->done, replay->findings.recovered,
           replay->findings.records, replay->findings.torn, replay->findings.missing, replay->gave_up);
}

/* "ENTRY:SHAPE:DICE", as tell() prints it. */
static bool run_one(struct replay *replay, const char *text)
{
    struct point point = {0};
    int shape;
    if (sscanf(text, "%zu:%d:%" SCNu64, &point.entry, &shape, &point.dice) != 3 || shape < 0 ||
        shape >= SHAPES || point.entry > replay->recording.count)
        errx(2, "%s: no ENTRY:SHAPE:DICE", text);
    point.shape = (enum shape)shape;
    return run(replay, &point, 1);
}

int main(int argc, char **argv)
{
    static char why[WHY_BYTES];
    static struct replay replay;
    if (argc != 8 && argc != 10)
        errx(2, "usage: rig_replay LOG BASE FS MOUNT-POINT MARK-OFFSET KEEP-DIR SEED POINTS SECONDS|deaf\n"
                "       rig_replay LOG BASE FS MOUNT-POINT MARK-OFFSET KEEP-DIR ENTRY:SHAPE:DICE");
    /* Whatever ends this process unmounts and detaches everything. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        err(2, "a mount name space of its own");
    replay.base = argv[2];
    replay.fs = argv[3];
    replay.at = argv[4];
    replay.marks = strtoull(argv[5], NULL, 10);
    replay.keep = argv[6];
    replay.why = why;
    replay.started = now();
    replay.deaf = argc == 10 && strcmp(argv[9], "deaf") == 0;
    rig_recording_load(&replay.recording, argv[1]);
    bool fine = argc == 8
                    ? run_one(&replay, argv[7])
                    : run_batches(&replay, strtoull(argv[7], NULL, 10), (size_t)strtoull(argv[8], NULL, 10),
                                  replay.deaf ? 60 : strtod(argv[9], NULL));
    if (fine)
        print_summary(&replay);
    return fine ? 0 : 1;
}
