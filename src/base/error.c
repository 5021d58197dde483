/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"

#include "base/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char last_error[STELE__ERROR_MAX];

const char *stele_last_error(void)
{
    return last_error;
}

const char *stele_version(void)
{
    return STELE_VERSION_STRING;
}

const char *stele_strerror(int code)
{
    switch (code) {
    case STELE_OK: return "success";
    case STELE_EINVAL: return "invalid argument";
    case STELE_ENOMEM: return "out of memory, descriptors or threads";
    case STELE_EIO: return "input/output error";
    case STELE_ENOSPC: return "no space for another segment";
    case STELE_EACCES: return "permission denied or read-only";
    case STELE_ENOTLOG: return "not a log";
    case STELE_EVERSION: return "unknown format version or feature";
    case STELE_EEXIST: return "exists already";
    case STELE_ELOCKED: return "locked by another writer";
    case STELE_ECORRUPT: return "durable data damaged or missing";
    case STELE_EFAILED: return "the log has failed";
    case STELE_ETOOBIG: return "record too big";
    case STELE_ETRIMMED: return "position trimmed";
    case STELE_ETIMEDOUT: return "timed out";
    case STELE_EGAP: return "quarantined segment skipped";
    case STELE_EREWOUND: return "undurable records lost in a crash";
    case STELE_EBUSY: return "cursors or pins still open";
    case STELE_ENOENT: return "no such file or directory";
    default: return code > 0 ? "success" : "unknown error code";
    }
}

int stele__fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return code;
}

int stele__code_of_errno(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return STELE_ENOSPC;
    case EACCES:
    case EPERM:
    case EROFS: return STELE_EACCES;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EAGAIN: return STELE_ENOMEM;
    case ENOENT: return STELE_ENOENT;
    case EEXIST: return STELE_EEXIST;
    default: return STELE_EIO;
    }
}

int stele__fail_errno(int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof last_error) {
        char text[96];
        snprintf(last_error + n, sizeof last_error - (size_t)n, ": %s (errno %d)",
                 strerror_r(err, text, sizeof text), err);
    }
    return stele__code_of_errno(err);
}

void stele__log(const struct stele__logger *logger, enum stele_log_level level, const char *format, ...)
{
    if (logger->fn == NULL)
        return;
    char text[STELE__ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    logger->fn(logger->ctx, level, text);
}

_Noreturn void stele__assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "stele: broken invariant: %s (%s:%d). The log was not touched further.\n", expression,
            file, line);
    abort();
}
