/* SPDX-License-Identifier: BSD-3-Clause */
/* core/repair_place.c: where the copies of what a repair removes go. Invariant: never into the log itself, where
 * the next repair, or whoever removes the log, would take them with it. For core/repair_save.c. */
#include "core/repair.h"

#include "base/error.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

/* Copies hold what the log held: nobody else may read them. */
#define DIR_MODE 0700
/* Directories tried: as many repairs of one log within a second. */
#define NAMES_MAX 10000

/* The log's path as a beginning for the names of its neighbours. A path that ends in "." or ".." is none. */
static int name_log(const struct stele__repair *repair, char out[PATH_MAX])
{
    const char *log = repair->look->path;
    size_t len = strlen(log);
    while (len > 1 && log[len - 1] == '/')
        len--;
    size_t last = len;
    while (last > 0 && log[last - 1] != '/')
        last--;
    const bool dots = log[last] == '.' && (len - last == 1 || (len - last == 2 && log[last + 1] == '.'));
    if (dots || len >= PATH_MAX || (len == 1 && log[0] == '/')) {
        int rc = stele__dir_real(log, out);
        return rc == 0 && strcmp(out, "/") == 0 ? -EINVAL : rc;
    }
    memcpy(out, log, len);
    out[len] = '\0';
    return 0;
}

/* One candidate. 0; -EEXIST: try the next one; or -errno. */
static int try_place(const struct stele__repair *repair, const char *beside, int number, char path[PATH_MAX],
                     bool *made)
{
    int n;
    if (repair->backup != NULL)
        n = snprintf(path, PATH_MAX, "%s", repair->backup);
    else if (number == 1)
        n = snprintf(path, PATH_MAX, "%s", beside);
    else
        n = snprintf(path, PATH_MAX, "%s-%d", beside, number);
    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    int rc = stele__dir_make(path, DIR_MODE);
    *made = rc == 0;
    return repair->backup != NULL && rc == -EEXIST ? 0 : rc;
}

int stele__repair_make_place(const struct stele__repair *repair, char path[PATH_MAX], bool *made)
{
    char log[PATH_MAX], beside[PATH_MAX + 40] = "", when[32] = "0";
    path[0] = '\0';
    int rc = repair->backup == NULL ? name_log(repair, log) : 0;
    if (rc != 0)
        return stele__fail_errno(
            -rc, "%s: cannot name a directory beside it for the copies: name one; the log was not changed",
            repair->look->path);
    if (repair->backup == NULL) {
        time_t now = (time_t)(stele__clock_realtime_ns() / 1000000000u);
        struct tm utc;
        if (gmtime_r(&now, &utc) != NULL)
            (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
        snprintf(beside, sizeof beside, "%s.removed-%s", log, when);
    }
    rc = -EEXIST;
    for (int i = 1; rc == -EEXIST && i <= NAMES_MAX; i++)
        rc = try_place(repair, beside, i, path, made);
    return rc == 0 ? 0
                   : stele__fail_errno(
                         -rc, "%s: cannot make the directory for copies; the log was not changed", path);
}

/* The nearest directory there is on the way to `path`, without links. 0 or -errno. */
static int real_parent(const char *path, char out[PATH_MAX])
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return -ENAMETOOLONG;
    snprintf(copy, sizeof copy, "%s", path);
    for (;;) {
        int rc = stele__dir_real(copy, out);
        size_t len = strlen(copy);
        if (rc != -ENOENT || len == 0)
            return rc;
        while (len > 1 && copy[len - 1] == '/')
            len--;
        while (len > 0 && copy[len - 1] != '/')
            len--;
        snprintf(copy + len, sizeof copy - len, "%s", len == 0 ? "." : "");
        if (len == 0 && stele__dir_real(copy, out) != 0)
            return -ENOENT;
    }
}

bool stele__repair_is_inside(const char *path, const char *place)
{
    char log[PATH_MAX], copies[PATH_MAX];
    if (stele__dir_real(path, log) != 0 || real_parent(place, copies) != 0)
        return false; /* what is wrong with it is said when it is made */
    const size_t len = strlen(log);
    return strncmp(copies, log, len) == 0 && (copies[len] == '\0' || copies[len] == '/' || len <= 1);
}

int stele__repair_check_backup(const struct stele__repair *repair)
{
    if (repair->backup == NULL || !stele__repair_is_inside(repair->look->path, repair->backup))
        return 0;
    return stele__fail(STELE_EINVAL,
                       "%s: copies of what is removed must not be kept in the log itself: name a directory "
                       "outside it. Nothing was changed",
                       repair->backup);
}
