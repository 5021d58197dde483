/* SPDX-License-Identifier: BSD-3-Clause */
/* os/futex.h: sleep on a 32-bit word, also one in a read-only shared mapping of a file. */
#ifndef STELE_OS_FUTEX_H
#define STELE_OS_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleep while *word == expected, at most timeout_ns (negative: for ever). `shared`: other processes wake it.
 * Returns 0 (woken, or the word differed, or a signal came: look again) or -ETIMEDOUT. */
int stele__futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, bool shared);
void stele__futex_wake(const _Atomic uint32_t *word, int count, bool shared);

#endif
