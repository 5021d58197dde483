/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static struct golden_log logs[GOLDEN_LOGS];

static void give_up(const char *path)
{
    fprintf(stderr, "%s: ", path);
    perror("golden log");
    exit(2);
}

static void load_file(struct golden_file *file, const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0)
        give_up(path);
    (void)snprintf(file->name, sizeof file->name, "%.63s", name); /* ours are shorter */
    file->size = (size_t)facts.st_size;
    file->data = malloc(file->size + 1);
    if (file->data == NULL || read(fd, file->data, file->size) != (ssize_t)file->size)
        give_up(path);
    (void)close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load(struct golden_log *log, const char *name)
{
    char path[1024], inner[2048];
    struct dirent **names;
    (void)snprintf(path, sizeof path, "%s/%s/log", STELE_FUZZ_GOLDEN, name);
    int count = scandir(path, &names, NULL, by_name);
    if (count < 0)
        give_up(path);
    for (int i = 0; i < count; i++) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "lock") != 0 && log->count < GOLDEN_FILES)
            load_file(&log->files[log->count++], inner, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

const struct golden_log *golden_log(unsigned which)
{
    static const char *const names[GOLDEN_LOGS] = {"v1-basic",  "v1-corrupt", "v1-quarantined",
                                                   "v1-single", "v1-torn",    "v1-trimmed"};
    if (logs[0].count == 0)
        for (unsigned i = 0; i < GOLDEN_LOGS; i++)
            load(&logs[i], names[i]);
    return &logs[which % GOLDEN_LOGS];
}

void golden_write(int dirfd, const char *name, const uint8_t *data, size_t size)
{
    int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        give_up(name);
    for (size_t at = 0; at < size;) {
        size_t end = at; /* as many pages as there are in a row */
        while (end < size && !stele__is_zero(data + end, size - end < PAGE ? size - end : PAGE))
            end += size - end < PAGE ? size - end : PAGE;
        if (end > at && pwrite(fd, data + at, end - at, (off_t)at) != (ssize_t)(end - at))
            give_up(name);
        at = end > at ? end : at + PAGE;
    }
    (void)close(fd);
}

void golden_write_log(const struct golden_log *log, const char *path)
{
    if (mkdir(path, 0700) != 0)
        give_up(path);
    int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < log->count; i++)
        golden_write(dirfd, log->files[i].name, log->files[i].data, log->files[i].size);
    (void)close(dirfd);
}
