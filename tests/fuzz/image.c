/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/image.c: the directory as a whole; single changes are in change.c. */
#include "image.h"

#include "format/control.h"
#include "format/name.h"
#include "format/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void image_begin(struct image *image, const struct golden_log *log)
{
    memset(image, 0, sizeof *image);
    for (; image->count < log->count; image->count++) {
        const struct golden_file *from = &log->files[image->count];
        struct image_file *file = &image->files[image->count];
        memcpy(file->name, from->name, sizeof file->name);
        file->data = from->data;
        file->size = from->size;
    }
}

void image_free(struct image *image)
{
    for (unsigned i = 0; i < image->count; i++)
        if (image->files[i].owned)
            free(image->files[i].data);
    image->count = 0;
}

void image_write(const struct image *image, const char *path)
{
    FUZZ_CHECK(mkdir(path, 0700) == 0);
    int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dirfd >= 0);
    for (unsigned i = 0; i < image->count; i++) {
        const struct image_file *file = &image->files[i];
        if (file->directory)
            FUZZ_CHECK(mkdirat(dirfd, file->name, 0700) == 0);
        else
            golden_write(dirfd, file->name, file->data, file->size);
    }
    (void)close(dirfd);
}

/* The first `upto` bytes, and the size. */
static bool same(int dirfd, const struct image_file *file, size_t upto)
{
    static uint8_t bytes[IMAGE_FILE_BYTES_MAX + 1];
    struct stat facts;
    if (file->directory)
        return fstatat(dirfd, file->name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode);
    int fd = openat(dirfd, file->name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
    (void)close(fd);
    return size == (ssize_t)file->size && memcmp(bytes, file->data, file->size < upto ? file->size : upto) == 0;
}

bool image_is(const struct image *image, const char *path, bool lock)
{
    DIR *dir = opendir(path);
    FUZZ_CHECK(dir != NULL);
    struct dirent *entry;
    unsigned names = 0;
    bool right = true;
    while ((entry = readdir(dir)) != NULL)
        names += entry->d_name[0] != '.' && !(lock && strcmp(entry->d_name, "lock") == 0) ? 1 : 0;
    for (unsigned i = 0; i < image->count; i++)
        right = right && same(dirfd(dir), &image->files[i], SIZE_MAX);
    (void)closedir(dir);
    return right && names == image->count;
}

bool image_keeps(const struct image *image, const char *path, stele_lsn end)
{
    int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool right = dirfd >= 0;
    for (unsigned i = 0; right && i < image->count; i++) {
        uint64_t sequence = 0;
        stele_lsn base = 0;
        enum stele__name_kind kind = stele__name_parse(image->files[i].name, &sequence, &base);
        if (kind == STELE__NAME_CONTROL)
            right = same(dirfd, &image->files[i], STELE__CONTROL_LIVE);
        else if (kind == STELE__NAME_SEGMENT && base < end)
            right = same(dirfd, &image->files[i], SIZE_MAX);
    }
    (void)close(dirfd);
    return right;
}

bool image_area(const struct image_file *file, struct stele__area *out)
{
    struct stele__header header;
    uint32_t copies;
    if (file->directory || file->size <= STELE__HEADER_BYTES ||
        stele__header_decode(file->data, &header, &copies) != STELE__DECODE_OK)
        return false;
    const uint64_t bytes = UINT64_C(1) << header.data_log2;
    /* What is missing at the end of a file counts as zeroes (R5): ours stand behind it. */
    const uint64_t have = (file->owned ? IMAGE_FILE_BYTES_MAX : file->size) - STELE__HEADER_BYTES;
    *out = (struct stele__area){.data = file->data + STELE__HEADER_BYTES,
                                .bytes = stele__min_u64(bytes, stele__align_down(have, 8)),
                                .base = header.base,
                                .salt = header.salt,
                                .record_max = stele__record_max(bytes)};
    return out->bytes > 0;
}
