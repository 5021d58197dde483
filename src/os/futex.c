/* SPDX-License-Identifier: BSD-3-Clause */
/* os/futex.c: the futex system call. Invariant: a wait changes no byte, so its word may lie in a read-only
 * mapping. Callers: src/core. */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "the kernel sees the plain word");

int stele__futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, bool shared)
{
    int op = shared ? FUTEX_WAIT : FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    long rc = syscall(SYS_futex, word, op, expected, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    if (rc == 0 || errno == EAGAIN || errno == EINTR)
        return 0;
    return -errno; /* all but ETIMEDOUT mean the word is not mapped: said, since a caller's loop would spin */
}

void stele__futex_wake(const _Atomic uint32_t *word, int count, bool shared)
{
    (void)syscall(SYS_futex, word, shared ? FUTEX_WAKE : FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL,
                  0);
}
