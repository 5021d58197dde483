/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/owner.h"

#include "base/error.h"
#include "format/name.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Written with one call and always this long: a reader never sees the end of an older, longer text. */
#define TEXT_BYTES 128

static void own_command(char out[32])
{
    memset(out, 0, 32);
    int fd = stele__file_open(AT_FDCWD, "/proc/self/comm", false);
    if (fd < 0)
        return;
    /* The kernel cuts the name at 15 bytes and ends it with a newline. */
    for (size_t n = 0; n < 31 && stele__file_read(fd, out + n, 1, n) == 0 && out[n] != '\n'; n++)
        if ((unsigned char)out[n] < 0x20 || out[n] == 0x7f)
            out[n] = '?';
    stele__file_close(fd);
    out[strcspn(out, "\n")] = '\0';
}

int stele__owner_lock(int lockfd)
{
    int rc = stele__lock_exclusive(lockfd, STELE__LOCK_WRITER, 1);
    if (rc != 0)
        return rc;
    char command[32], text[TEXT_BYTES + 1];
    own_command(command);
    memset(text, ' ', sizeof text);
    int len = snprintf(text, sizeof text, "pid %ld start_ns %" PRIu64 " comm %s\n", (long)getpid(),
                       stele__clock_realtime_ns(), command);
    text[len] = ' ';
    text[TEXT_BYTES - 1] = '\n';
    rc = stele__file_write(lockfd, text, TEXT_BYTES, 0);
    if (rc == -ENOSPC || rc == -EDQUOT) /* only people miss it, and a log must open on a full disk */
        return 0;
    if (rc != 0)
        (void)stele__lock_release(lockfd, STELE__LOCK_WRITER, 1);
    return rc;
}

static void parse(char *text, struct stele__owner *out)
{
    long long pid = 0;
    uint64_t start_ns = 0;
    int at = 0;
    if (sscanf(text, "pid %lld start_ns %" SCNu64 " comm %n", &pid, &start_ns, &at) != 2 || at == 0 ||
        pid <= 0)
        return;
    out->pid = pid;
    out->start_ns = start_ns;
    text[at + (int)strcspn(text + at, "\n")] = '\0';
    snprintf(out->command, sizeof out->command, "%.31s", text + at);
}

int stele__owner_read(int dirfd, struct stele__owner *out)
{
    *out = (struct stele__owner){.pid = -1};
    int fd = stele__file_open(dirfd, STELE__LOCK_NAME, false);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int held = stele__lock_probe(fd, STELE__LOCK_WRITER, 1, NULL, NULL);
    if (held == 1) {
        char text[TEXT_BYTES + 1] = {0};
        if (stele__file_read(fd, text, TEXT_BYTES, 0) == 0)
            parse(text, out);
    }
    stele__file_close(fd);
    return held;
}

int stele__owner_holds(int dirfd, uint64_t which)
{
    int fd = stele__file_open(dirfd, STELE__LOCK_NAME, false);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int rc = stele__lock_probe(fd, which, 1, NULL, NULL);
    stele__file_close(fd);
    return rc;
}

int stele__owner_refuse(int dirfd, const char *path)
{
    struct stele__owner owner;
    int held = stele__owner_read(dirfd, &owner);
    if (held != 1 || owner.pid < 0)
        return stele__fail(STELE_ELOCKED,
                           "%s: another process has the log open for writing, or opens it right now", path);
    char when[32] = "an unknown time";
    time_t seconds = (time_t)(owner.start_ns / 1000000000u);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return stele__fail(
        STELE_ELOCKED,
        "%s: locked for writing by process %lld (%s), since %s. Reading needs no lock; to write, "
        "end that process or use it",
        path, (long long)owner.pid, owner.command, when);
}

int stele__owner_take(int dirfd, const char *path, mode_t mode)
{
    int fd = stele__file_open(dirfd, STELE__LOCK_NAME, true);
    if (fd == -ENOENT) {
        fd = stele__file_create(dirfd, STELE__LOCK_NAME, mode);
        if (fd == -EEXIST) /* somebody else was faster */
            fd = stele__file_open(dirfd, STELE__LOCK_NAME, true);
    }
    if (fd < 0)
        return stele__fail_errno(-fd, "%s/" STELE__LOCK_NAME ": cannot open it for writing", path);
    int rc = stele__owner_lock(fd);
    if (rc == 0)
        return fd;
    stele__file_close(fd);
    if (rc == -EAGAIN)
        return stele__owner_refuse(dirfd, path);
    return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot lock it%s", path,
                             rc == -ENOLCK ? " (a file system without locks, as some network mounts are, "
                                             "cannot hold a log)"
                                           : "");
}
