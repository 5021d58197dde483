/* SPDX-License-Identifier: BSD-3-Clause */
/* base/error.h: the last error of each thread, and the log callback. The only state of the library outside a
 * handle is the thread-local text behind stele_last_error(). */
#ifndef STELE_BASE_ERROR_H
#define STELE_BASE_ERROR_H

#include <stele/base.h>

#define STELE__ERROR_MAX 640

/* Set this thread's last error and return `code`, so that a failing path reads: return stele__fail(STELE_EIO,
 * ...). */
int stele__fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: `err` is a positive errno; its text is appended and it picks the code
 * (ENOSPC/EDQUOT -> STELE_ENOSPC, EACCES/EPERM/EROFS -> STELE_EACCES, ENOMEM/EMFILE/... -> STELE_ENOMEM,
 * ENOENT -> STELE_ENOENT, else STELE_EIO). */
int stele__fail_errno(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code stele__fail_errno() would pick. */
int stele__code_of_errno(int err);

struct stele__logger {
    stele_log_fn *fn; /* NULL: silence */
    void *ctx;
};

void stele__log(const struct stele__logger *logger, enum stele_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
