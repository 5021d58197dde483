/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_save.c: copies of what a repair will destroy. Invariant: when this returns 0, every piece,
 * the list of them (manifest.json) and the names of both are durable. One piece a file:
 * SEGMENT.from-OFFSET holds the bytes of SEGMENT from that offset on, so that dd(1) can put it back. */
#include "core/repair.h"

#include "base/error.h"
#include "core/copy.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/media.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Copies hold what the log held: nobody else may read them. */
#define FILE_MODE 0600
/* Names tried for one piece: as many repairs into one directory. */
#define NAMES_MAX 10000
#define PIECE_NAME 128

struct saver {
    struct stele__repair *repair;
    char path[PATH_MAX];
    int dirfd;
    bool made;                 /* the directory is new */
    char (*names)[PIECE_NAME]; /* what we put into it */
    size_t count;
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

/* A new file. *out: the name it got. */
static int create_named(struct saver *saver, const char *wanted, const char **out)
{
    char *name = saver->names[saver->count];
    int fd = -EEXIST;
    for (int i = 1; fd == -EEXIST && i <= NAMES_MAX; i++) {
        int n = i == 1 ? snprintf(name, PIECE_NAME, "%s", wanted)
                       : snprintf(name, PIECE_NAME, "%s.%d", wanted, i);
        fd = n < PIECE_NAME ? stele__file_create(saver->dirfd, name, FILE_MODE) : -ENAMETOOLONG;
    }
    if (fd >= 0)
        saver->count++;
    *out = name;
    return fd;
}

/* Copies that are not complete are in nobody's way: what was written goes again, what was there stays. */
static void undo(struct saver *saver)
{
    for (size_t i = 0; i < saver->count; i++)
        (void)stele__media_file_unlink(NULL, saver->dirfd, saver->names[i]);
    if (saver->made)
        (void)stele__dir_remove(saver->path);
}

static int fail_copy(const struct saver *saver, const char *name, int err)
{
    return stele__fail_errno(-err,
                             "%s/%s: cannot keep a copy of what is to be removed; the log was not changed",
                             saver->path, name);
}

/* [offset, end) of a file of the log. *out: the name of the copy. */
static int copy_piece(struct saver *saver, const char *file, uint64_t offset, uint64_t end, const char **out)
{
    char wanted[PIECE_NAME];
    snprintf(wanted, sizeof wanted, "%s.from-%llu", file, (unsigned long long)offset);
    int from = stele__file_open(saver->repair->look->dirfd, file, false);
    if (from < 0)
        return stele__fail_errno(-from, "%s/%s: cannot open it to keep a copy", saver->repair->look->path,
                                 file);
    int to = create_named(saver, wanted, out);
    int rc = to;
    if (to >= 0)
        rc = stele__copy_range(from, to, offset, end - offset, 0);
    if (rc == 0)
        rc = stele__file_datasync(to);
    stele__file_close(to);
    stele__file_close(from);
    return rc == 0 ? 0 : fail_copy(saver, wanted, rc);
}

/* What is left of a control file that is made anew: all that told where the log began. */
static int save_control(struct saver *saver)
{
    const char *piece;
    uint64_t size = 0;
    int fd = stele__file_open(saver->repair->look->dirfd, STELE__CONTROL_NAME, false);
    int rc = fd < 0 ? fd : stele__file_size(fd, &size, NULL);
    stele__file_close(fd);
    if (rc != 0 || size == 0)
        return rc == 0 || rc == -ENOENT ? 0 : fail_copy(saver, STELE__CONTROL_NAME, rc);
    size = stele__min_u64(size, STELE__CONTROL_BYTES);
    rc = copy_piece(saver, STELE__CONTROL_NAME, 0, size, &piece);
    return rc == 0 ? say(saver,
                         "\n    {\"file\": \"%s\", \"segment\": \"" STELE__CONTROL_NAME
                         "\", \"sequence\": null, \"offset\": 0, \"lsn\": null, \"length\": %llu}",
                         piece, (unsigned long long)size)
                   : rc;
}

static int save_pieces(struct saver *saver)
{
    const struct stele__repair *repair = saver->repair;
    int rc = repair->rebuild_control ? save_control(saver) : 0;
    for (size_t i = 0; rc == 0 && i < repair->count; i++) {
        const struct stele__deed *deed = &repair->deeds[i];
        if (deed->save_from >= deed->save_to)
            continue;
        char segment[STELE__NAME_MAX];
        const char *piece, *separator = saver->count > 0 ? "," : "";
        stele__repair_name(deed, segment);
        rc = copy_piece(saver, segment, deed->save_from, deed->save_to, &piece);
        const uint64_t skipped =
            deed->save_from > STELE__HEADER_BYTES ? deed->save_from - STELE__HEADER_BYTES : 0;
        if (rc == 0)
            rc = say(saver,
                     "%s\n    {\"file\": \"%s\", \"segment\": \"%s\", \"sequence\": %llu, \"offset\": %llu, "
                     "\"lsn\": %llu, \"length\": %llu}",
                     separator, piece, segment, (unsigned long long)deed->sequence,
                     (unsigned long long)deed->save_from, (unsigned long long)(deed->base + skipped),
                     (unsigned long long)(deed->save_to - deed->save_from));
    }
    return rc;
}

static int write_manifest(struct saver *saver)
{
    const char *name;
    int fd = create_named(saver, "manifest.json", &name);
    int rc = fd < 0 ? fd : stele__file_write(fd, saver->text, saver->len, 0);
    if (rc == 0)
        rc = stele__file_datasync(fd);
    stele__file_close(fd);
    if (rc == 0)
        rc = stele__dir_sync(saver->dirfd);
    return rc == 0 ? 0 : fail_copy(saver, "manifest.json", rc);
}

static int open_place(struct saver *saver)
{
    int rc = stele__repair_make_place(saver->repair, saver->path, &saver->made);
    if (rc == 0)
        saver->dirfd = stele__dir_open(saver->path);
    if (rc != 0 || saver->dirfd >= 0)
        return rc;
    return stele__fail_errno(
        -saver->dirfd, "%s: cannot open the directory for copies; the log was not changed", saver->path);
}

static int save(struct saver *saver)
{
    struct stele__repair *repair = saver->repair;
    saver->names = calloc(repair->count + 2, sizeof *saver->names); /* control and the manifest besides */
    int rc = saver->names == NULL ? stele__fail(STELE_ENOMEM, "%s: no memory for names", repair->look->path)
                                  : open_place(saver);
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
    bool any = repair->rebuild_control && stele__file_exists(repair->look->dirfd, STELE__CONTROL_NAME);
    for (size_t i = 0; i < repair->count; i++)
        any |= repair->deeds[i].save_from < repair->deeds[i].save_to;
    if (!any)
        return 0;
    struct saver saver = {.repair = repair, .dirfd = -1};
    int rc = save(&saver);
    if (rc == 0)
        name_backup(repair, saver.path);
    else
        undo(&saver);
    stele__file_close(saver.dirfd);
    free(saver.names);
    free(saver.text);
    return rc;
}
