/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <dirent.h>
#include <stele/base.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *own_stderr;

void fuzz_broken(const char *what, const char *file, int line)
{
    FILE *to = own_stderr != NULL ? own_stderr : stderr;
    fprintf(to, "%s:%d: broken invariant: %s\n", file, line, what);
    fprintf(to, "the library's last error: %s\n", stele_last_error());
    abort();
}

void fuzz_silence(void)
{
    if (own_stderr != NULL)
        return;
    FILE *nowhere = fopen("/dev/null", "w");
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere == NULL || fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        perror("/dev/null");
        exit(2);
    }
    (void)close(fd);
    own_stderr = stderr;
    stderr = nowhere; /* libFuzzer took its own before */
}

void fuzz_take(struct fuzz_in *in, void *out, size_t len)
{
    size_t have = len < in->left ? len : in->left;
    memset(out, 0, len);
    if (have > 0) /* an empty input may be a null pointer */
        memcpy(out, in->at, have);
    in->at += have;
    in->left -= have;
}

uint8_t fuzz_u8(struct fuzz_in *in)
{
    uint8_t value;
    fuzz_take(in, &value, sizeof value);
    return value;
}

uint16_t fuzz_u16(struct fuzz_in *in)
{
    uint8_t bytes[2];
    fuzz_take(in, bytes, sizeof bytes);
    return stele__load16(bytes);
}

uint32_t fuzz_u32(struct fuzz_in *in)
{
    uint8_t bytes[4];
    fuzz_take(in, bytes, sizeof bytes);
    return stele__load32(bytes);
}

uint64_t fuzz_u64(struct fuzz_in *in)
{
    uint8_t bytes[8];
    fuzz_take(in, bytes, sizeof bytes);
    return stele__load64(bytes);
}

static void empty_at(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) != 0) {
            empty_at(fd, entry->d_name);
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(dir);
}

void fuzz_empty(const char *path)
{
    empty_at(AT_FDCWD, path);
}

static char scratch[128];
static pid_t owner; /* a child that a target forks must not take the directory away */

static void remove_scratch(void)
{
    if (getpid() != owner)
        return;
    fuzz_empty(scratch);
    (void)rmdir(scratch);
}

const char *fuzz_scratch(void)
{
    if (scratch[0] != '\0')
        return scratch;
    const char *base = getenv("STELE_FUZZ_DIR"); /* the runner removes it, also after a crash */
    if (base == NULL)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    (void)snprintf(scratch, sizeof scratch, "%s/stele-fuzz-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(scratch) == NULL) {
        perror(scratch);
        exit(1);
    }
    owner = getpid();
    (void)atexit(remove_scratch);
    return scratch;
}

uint32_t fuzz_crc32c(uint32_t crc, const void *data, size_t len)
{
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t r = i;
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ ((r & 1) != 0 ? 0x82f63b78u : 0);
        table[i] = r;
    }
    const uint8_t *at = data;
    uint32_t r = ~crc;
    for (size_t i = 0; i < len; i++)
        r = r >> 8 ^ table[(r ^ at[i]) & 0xff];
    return ~r;
}
