/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/flip.h"

#include "base/bits.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void map(struct flip_image *image)
{
    struct stat st;
    int fd = open(image->path, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size == image->size);
    image->map = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(image->map != MAP_FAILED);
    image->inode = st.st_ino;
    (void)close(fd);
}

static void take(struct flip_image *image, const char *path)
{
    (void)snprintf(image->path, sizeof image->path, "%s", path);
    image->size = (size_t)file_bytes(path);
    map(image);
    image->bytes = malloc(image->size);
    must(image->bytes != NULL);
    memcpy(image->bytes, image->map, image->size);
}

/* Data of many types and lengths, several marks, a shrunk and an abandoned slot, more than one epoch. */
static uint64_t write_log(const struct dir *dir)
{
    struct stele_options options = log_options(STELE_CREATE);
    options.mark_bytes = 8192;
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    uint64_t count = 0;
    while (stele_tail(log) < SEGMENT_SMALL) {
        append_numbered(log, count++);
        succeeds(stele_sync(log, STELE_LSN_ALL));
    }
    succeeds(stele_close(log));
    log = log_open_with(dir->log, &options);
    struct stele_slot slot;
    succeeds(stele_reserve(log, 3, 200, &slot));
    memset(slot.data, 0xab, 200);
    succeeds(stele_abandon(log, &slot));
    succeeds(stele_reserve(log, numbered_type(count), NUMBERED_MAX, &slot));
    succeeds(stele_publish(log, &slot, numbered(count, slot.data)));
    count = count + 1;
    append_range(log, count, count + 12);
    succeeds(stele_close(log));
    return count + 12;
}

struct flip *flip_make(struct dir *dir)
{
    struct flip *flip = calloc(1, sizeof *flip);
    must(flip != NULL);
    flip->dir = dir;
    flip->count = write_log(dir);
    for (uint64_t sequence = 2; sequence < 8; sequence++)
        (void)unlink(segment_file(dir, sequence, SEGMENT_SMALL));
    take(&flip->files[FLIP_CONTROL], log_file(dir, "control"));
    take(&flip->files[FLIP_SEALED], segment_file(dir, 0, SEGMENT_SMALL));
    take(&flip->files[FLIP_ACTIVE], segment_file(dir, 1, SEGMENT_SMALL));
    must(judge(dir->log, flip->count) == HARMLESS);
    return flip;
}

void flip_free(struct flip *flip)
{
    for (int i = 0; i < FLIP_FILES; i++) {
        must(munmap(flip->files[i].map, flip->files[i].size) == 0);
        free(flip->files[i].bytes);
    }
    free(flip);
}

static void put_back(struct flip_image *image)
{
    struct stat st;
    bool there = stat(image->path, &st) == 0;
    if (!there || st.st_ino != image->inode || (size_t)st.st_size != image->size) {
        must(munmap(image->map, image->size) == 0);
        (void)unlink(image->path);
        file_make(image->path, "");
        file_write(image->path, 0, image->bytes, image->size);
        map(image);
    }
    for (size_t at = 0; at < image->size; at += 4096)
        if (memcmp(image->map + at, image->bytes + at, 4096) != 0)
            memcpy(image->map + at, image->bytes + at, 4096);
}

static void restore(struct flip *flip)
{
    DIR *dir = opendir(flip->dir->log);
    must(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        bool ours = entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0;
        for (int i = 0; i < FLIP_FILES; i++)
            ours |= strcmp(entry->d_name, strrchr(flip->files[i].path, '/') + 1) == 0;
        if (!ours)
            must(unlinkat(dirfd(dir), entry->d_name, 0) == 0);
    }
    (void)closedir(dir);
    for (int i = 0; i < FLIP_FILES; i++)
        put_back(&flip->files[i]);
}

enum judgement flip_bytes(struct flip *flip, enum flip_file file, uint64_t offset, const void *bytes,
                          size_t len)
{
    struct flip_image *image = &flip->files[file];
    must(offset + len <= image->size);
    memcpy(image->map + offset, bytes, len);
    enum judgement judged = judge(flip->dir->log, flip->count);
    *(judged == DETECTED ? &flip->detected : &flip->harmless) += 1;
    restore(flip);
    return judged;
}

static bool inside_zeroes(const struct flip_image *image, uint64_t at)
{
    uint64_t from = at > 64 ? at - 64 : 0, to = at + 64 < image->size ? at + 64 : image->size;
    return stele__is_zero(image->bytes + from, to - from);
}

void flip_range(struct flip *flip, enum flip_file file, uint64_t from, uint64_t to, uint64_t stride)
{
    const struct flip_image *image = &flip->files[file];
    for (uint64_t at = from; at < to; at++) {
        if (at % (inside_zeroes(image, at) ? 509 : stride) != 0)
            continue;
        uint8_t flipped = (uint8_t)(image->bytes[at] ^ 1u << (at / stride + at) % 8);
        flip_bytes(flip, file, at, &flipped, 1);
    }
}
