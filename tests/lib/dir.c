/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/dir.h"

#include "format/name.h"
#include "lib/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void must_be(bool condition, const char *what, const char *file, int line)
{
    if (condition)
        return;
    bool main_thread = gettid() == getpid();
    if (child_inside() || !main_thread) {
        fprintf(stderr, "%s:%d: in a %s: not true: %s (last error: %s)\n", file, line,
                child_inside() ? "child" : "thread", what, stele_last_error());
        if (child_inside())
            _exit(CHILD_FAILED);
        abort(); /* cmocka's jump leads back in the main thread only */
    }
    print_error("not true: %s (last error: %s)\n", what, stele_last_error());
    _fail(file, line);
}

void must_return(long got, long wanted, const char *what, const char *file, int line)
{
    if (got == wanted)
        return;
    fprintf(stderr, "%s:%d: %s returned %ld, not %ld (%s)\n", file, line, what, got, wanted,
            stele_last_error());
    must_be(false, what, file, line);
}

void must_say(const char *part, const char *file, int line)
{
    if (strstr(stele_last_error(), part) == NULL)
        fprintf(stderr, "%s:%d: \"%s\" is not in the last error\n", file, line, part);
    must_be(strstr(stele_last_error(), part) != NULL, part, file, line);
}

/* ---- scratch directories */

static int make(void **state, const char *parent)
{
    struct dir *dir = calloc(1, sizeof *dir);
    must(dir != NULL);
    (void)snprintf(dir->path, sizeof dir->path, "%s/stele-test-XXXXXX", parent);
    must(mkdtemp(dir->path) != NULL);
    must(chmod(dir->path, 0755) == 0);
    (void)snprintf(dir->log, sizeof dir->log, "%s/log", dir->path);
    *state = dir;
    return 0;
}

int dir_setup(void **state)
{
    const char *parent = getenv("TMPDIR");
    return make(state, parent != NULL && parent[0] != '\0' ? parent : "/tmp");
}

int dir_setup_memory(void **state)
{
    return make(state, "/dev/shm");
}

int dir_teardown(void **state)
{
    struct dir *dir = *state;
    dir_empty(dir->path);
    free(dir);
    return 0;
}

static char *next_path(void)
{
    static _Thread_local char paths[64][512];
    static _Thread_local unsigned at;
    return paths[at++ % 64];
}

const char *log_file(const struct dir *dir, const char *name)
{
    char text[512]; /* `name` may be one of our paths itself */
    (void)snprintf(text, sizeof text, "%s/%s", dir->log, name);
    return memcpy(next_path(), text, sizeof text);
}

const char *dir_file(const struct dir *dir, const char *name)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s/%s", dir->path, name);
    return memcpy(next_path(), text, sizeof text);
}

const char *segment_name(uint64_t sequence, uint64_t segment_bytes)
{
    char *name = next_path();
    stele__name_segment(name, sequence, sequence * segment_bytes);
    return name;
}

const char *segment_file(const struct dir *dir, uint64_t sequence, uint64_t segment_bytes)
{
    return log_file(dir, segment_name(sequence, segment_bytes));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void dir_empty(const char *path)
{
    must(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT);
}

/* Names in `path` in order; free with free_names(). */
static int list(const char *path, struct dirent ***names)
{
    int n = scandir(path, names, NULL, alphasort);
    must(n >= 2);
    return n;
}

static void free_names(struct dirent **names, int n)
{
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

size_t dir_count_ending(const char *path, const char *suffix)
{
    struct dirent **names;
    int n = list(path, &names);
    size_t count = 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name), want = strlen(suffix);
        count +=
            !is_dot(names[i]->d_name) && len >= want && strcmp(names[i]->d_name + len - want, suffix) == 0;
    }
    free_names(names, n);
    return count;
}

size_t dir_count(const char *path)
{
    return dir_count_ending(path, "");
}

static uint8_t *load(const char *path, struct stat *st)
{
    must(stat(path, st) == 0);
    uint8_t *bytes = malloc((size_t)st->st_size + 1);
    must(bytes != NULL);
    file_read(path, 0, bytes, (size_t)st->st_size);
    return bytes;
}

void dir_copy(const char *from, const char *to)
{
    struct dirent **names;
    int n = list(from, &names);
    must(mkdir(to, 0700) == 0);
    for (int i = 0; i < n; i++) {
        if (is_dot(names[i]->d_name))
            continue;
        char source[512], target[512];
        must(snprintf(source, sizeof source, "%s/%s", from, names[i]->d_name) < (int)sizeof source);
        must(snprintf(target, sizeof target, "%s/%s", to, names[i]->d_name) < (int)sizeof target);
        struct stat st;
        uint8_t *bytes = load(source, &st);
        file_make(target, "");
        file_write(target, 0, bytes, (size_t)st.st_size);
        const struct timespec times[2] = {st.st_atim, st.st_mtim};
        must(utimensat(AT_FDCWD, target, times, 0) == 0);
        free(bytes);
    }
    free_names(names, n);
}

static uint64_t digest_file(const char *path, uint64_t digest)
{
    struct stat st;
    must(stat(path, &st) == 0);
    const int64_t facts[] = {st.st_mode, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                             (int64_t)st.st_ino};
    digest = XXH3_64bits_withSeed(path, strlen(path), digest);
    digest = XXH3_64bits_withSeed(facts, sizeof facts, digest);
    if (S_ISREG(st.st_mode)) {
        uint8_t *bytes = load(path, &st);
        digest = XXH3_64bits_withSeed(bytes, (size_t)st.st_size, digest);
        free(bytes);
    }
    return digest;
}

uint64_t log_digest(const char *path)
{
    struct dirent **names;
    int n = list(path, &names);
    uint64_t digest = 0;
    for (int i = 0; i < n; i++) {
        char name[512];
        must(snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name) < (int)sizeof name);
        if (!is_dot(names[i]->d_name) && strcmp(names[i]->d_name, "lock") != 0)
            digest = digest_file(name, digest);
    }
    free_names(names, n);
    return digest;
}

uint64_t dir_digest(const char *path)
{
    char lock[512];
    must(snprintf(lock, sizeof lock, "%s/lock", path) < (int)sizeof lock);
    uint64_t digest = digest_file(path, log_digest(path));
    return file_exists(lock) ? digest_file(lock, digest) : digest;
}

/* ---- bytes of files */

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

uint64_t file_bytes(const char *path)
{
    struct stat st;
    must(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

unsigned file_mode_of(const char *path)
{
    struct stat st;
    must(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

void file_read(const char *path, uint64_t offset, void *out, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    must(pread(fd, out, len, (off_t)offset) == (ssize_t)len);
    (void)close(fd);
}

void file_write(const char *path, uint64_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0);
    must(pwrite(fd, data, len, (off_t)offset) == (ssize_t)len);
    (void)close(fd);
}

void file_zero(const char *path, uint64_t offset, size_t len)
{
    uint8_t *zero = calloc(1, len + 1);
    must(zero != NULL);
    file_write(path, offset, zero, len);
    free(zero);
}

void file_flip(const char *path, uint64_t offset, unsigned bit)
{
    uint8_t byte;
    file_read(path, offset, &byte, 1);
    byte ^= (uint8_t)(1u << (bit % 8));
    file_write(path, offset, &byte, 1);
}

void file_make(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

bool dir_mount_tmpfs(const char *path, uint64_t bytes)
{
    char options[64];
    (void)snprintf(options, sizeof options, "size=%llu,mode=0755", (unsigned long long)bytes);
    must(mkdir(path, 0755) == 0);
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", path, "tmpfs", 0, options) == 0)
        return true;
    const char *excused = getenv("STELE_TEST_NO_MOUNT");
    if (excused == NULL || strcmp(excused, "1") != 0)
        fail_msg("cannot mount a tmpfs (%s); run as root, or say STELE_TEST_NO_MOUNT=1", strerror(errno));
    print_message("STELE_TEST_NO_MOUNT: what needs a tmpfs of its own was not checked\n");
    return false;
}

void dir_unmount(const char *path)
{
    must(umount2(path, 0) == 0);
}
