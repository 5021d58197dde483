/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_save.c: copies of what a repair will destroy. Invariant: when this returns 0, every piece,
 * the list of them (manifest.json) and the names of both are durable. One piece a file:
 * SEGMENT.from-OFFSET holds the bytes of SEGMENT from that offset on, so that dd(1) can put it back. */
#include "core/repair.h"

#include "base/error.h"
#include "core/copy.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Copies hold what the log held: nobody else may read them. */
#define FILE_MODE 0600
#define DIR_MODE 0700
/* Names tried for one piece: as many repairs into one directory. */
#define NAMES_MAX 10000

struct saver {
    struct stele__repair *repair;
    char path[PATH_MAX];
    int dirfd;
    char *text; /* the manifest so far */
    size_t len, capacity;
};

static int say(struct saver *saver, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(struct saver *saver, const char *format, ...)
{
    for (;;) {
        size_t room = saver->capacity - saver->len;
        va_list args;
        va_start(args, format);
        int n = vsnprintf(saver->text != NULL ? saver->text + saver->len : NULL, room, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < room) {
            saver->len += (size_t)n;
            return 0;
        }
        char *grown = n >= 0 ? realloc(saver->text, saver->capacity + (size_t)n + 4096) : NULL;
        if (grown == NULL)
            return stele__fail(STELE_ENOMEM, "%s: no memory for a manifest", saver->path);
        saver->text = grown;
        saver->capacity += (size_t)n + 4096;
    }
}

/* A path as a JSON string; bytes that are no text in JSON become question marks. */
static int say_string(struct saver *saver, const char *text)
{
    int rc = say(saver, "\"");
    for (; rc == 0 && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            rc = say(saver, "\\%c", c);
        else
            rc = say(saver, "%c", c < 0x20 ? '?' : c);
    }
    return rc == 0 ? say(saver, "\"") : rc;
}

static int create_named(const struct saver *saver, const char *wanted, char *name, size_t size)
{
    int fd = -EEXIST;
    for (int i = 1; fd == -EEXIST && i <= NAMES_MAX; i++) {
        if (i == 1)
            snprintf(name, size, "%s", wanted);
        else
            snprintf(name, size, "%s.%d", wanted, i);
        fd = stele__file_create(saver->dirfd, name, FILE_MODE);
    }
    return fd;
}

static int fail_copy(const struct saver *saver, const char *name, int err)
{
    return stele__fail_errno(-err,
                             "%s/%s: cannot keep a copy of what is to be removed; the log was not changed",
                             saver->path, name);
}

/* *out: the name it got. */
static int copy_piece(const struct saver *saver, const struct stele__deed *deed, const char *segment,
                      char *out, size_t size)
{
    char wanted[96];
    snprintf(wanted, sizeof wanted, "%s.from-%llu", segment, (unsigned long long)deed->save_from);
    int from = stele__file_open(saver->repair->look->dirfd, segment, false);
    if (from < 0)
        return stele__fail_errno(-from, "%s/%s: cannot open it to keep a copy", saver->repair->look->path,
                                 segment);
    int to = create_named(saver, wanted, out, size);
    int rc = to;
    if (to >= 0)
        rc = stele__copy_range(from, to, deed->save_from, deed->save_to - deed->save_from, 0);
    if (rc == 0)
        rc = stele__file_datasync(to);
    stele__file_close(to);
    stele__file_close(from);
    return rc == 0 ? 0 : fail_copy(saver, wanted, rc);
}

static int save_pieces(struct saver *saver)
{
    const struct stele__repair *repair = saver->repair;
    const char *separator = "";
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < repair->count; i++) {
        const struct stele__deed *deed = &repair->deeds[i];
        if (deed->save_from >= deed->save_to)
            continue;
        char segment[STELE__NAME_MAX], piece[128];
        stele__name_segment(segment, deed->sequence, deed->base);
        rc = copy_piece(saver, deed, segment, piece, sizeof piece);
        const uint64_t skipped =
            deed->save_from > STELE__HEADER_BYTES ? deed->save_from - STELE__HEADER_BYTES : 0;
        if (rc == 0)
            rc = say(saver,
                     "%s\n    {\"file\": \"%s\", \"segment\": \"%s\", \"sequence\": %llu, \"offset\": %llu, "
                     "\"lsn\": %llu, \"length\": %llu}",
                     separator, piece, segment, (unsigned long long)deed->sequence,
                     (unsigned long long)deed->save_from, (unsigned long long)(deed->base + skipped),
                     (unsigned long long)(deed->save_to - deed->save_from));
        separator = ",";
    }
    return rc;
}

static int write_manifest(struct saver *saver)
{
    char name[64];
    int fd = create_named(saver, "manifest.json", name, sizeof name);
    int rc = fd < 0 ? fd : stele__file_write(fd, saver->text, saver->len, 0);
    if (rc == 0)
        rc = stele__file_datasync(fd);
    stele__file_close(fd);
    if (rc == 0)
        rc = stele__dir_sync(saver->dirfd);
    return rc == 0 ? 0 : fail_copy(saver, "manifest.json", rc);
}

/* The directory the caller named, which may be there; or a new one beside the log. */
static int open_backup(struct saver *saver)
{
    const struct stele__repair *repair = saver->repair;
    const char *log = repair->look->path;
    size_t len = strlen(log);
    while (len > 1 && log[len - 1] == '/')
        len--;
    char when[32] = "0";
    time_t now = (time_t)(stele__clock_realtime_ns() / 1000000000u);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    int rc = -EEXIST, n = 0;
    for (int i = 1; rc == -EEXIST && i <= NAMES_MAX; i++) {
        if (repair->backup != NULL)
            n = snprintf(saver->path, sizeof saver->path, "%s", repair->backup);
        else if (i == 1)
            n = snprintf(saver->path, sizeof saver->path, "%.*s.removed-%s", (int)len, log, when);
        else
            n = snprintf(saver->path, sizeof saver->path, "%.*s.removed-%s-%d", (int)len, log, when, i);
        if (n < 0 || (size_t)n >= sizeof saver->path)
            return stele__fail(STELE_EINVAL, "%s: the path of the backup directory is too long", log);
        rc = stele__dir_make(saver->path, DIR_MODE);
        if (repair->backup != NULL && rc == -EEXIST)
            rc = 0;
    }
    if (rc == 0)
        rc = saver->dirfd = stele__dir_open(saver->path);
    return rc >= 0
               ? 0
               : stele__fail_errno(-rc, "%s: cannot make the directory for copies; the log was not changed",
                                   saver->path);
}

static int save(struct saver *saver)
{
    struct stele__repair *repair = saver->repair;
    int rc = open_backup(saver);
    if (rc == 0)
        rc = say(saver, "{\"schema\": \"stele.removed/1\", \"log\": ");
    if (rc == 0)
        rc = say_string(saver, repair->look->path);
    if (rc == 0)
        rc = say(saver, ", \"time_ns\": %llu, \"cut_lsn\": ", (unsigned long long)stele__clock_realtime_ns());
    if (rc == 0)
        rc = repair->result.cut_lsn == STELE_LSN_NONE
                 ? say(saver, "null")
                 : say(saver, "%llu", (unsigned long long)repair->result.cut_lsn);
    if (rc == 0)
        rc = say(saver, ", \"pieces\": [");
    if (rc == 0)
        rc = save_pieces(saver);
    if (rc == 0)
        rc = say(saver, "\n]}\n");
    return rc == 0 ? write_manifest(saver) : rc;
}

/* The end of a path that is too long for the result says more than its beginning. */
static void name_backup(struct stele__repair *repair, const char *path)
{
    const size_t room = sizeof repair->result.backup;
    size_t len = strlen(path);
    if (len < room)
        snprintf(repair->result.backup, room, "%s", path);
    else
        snprintf(repair->result.backup, room, "...%s", path + len - (room - 4));
}

int stele__repair_save(struct stele__repair *repair)
{
    bool any = false;
    for (size_t i = 0; i < repair->count; i++)
        any |= repair->deeds[i].save_from < repair->deeds[i].save_to;
    if (!any)
        return 0;
    struct saver saver = {.repair = repair, .dirfd = -1};
    int rc = save(&saver);
    if (rc == 0)
        name_backup(repair, saver.path);
    stele__file_close(saver.dirfd);
    free(saver.text);
    return rc;
}
