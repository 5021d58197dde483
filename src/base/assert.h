/* SPDX-License-Identifier: BSD-3-Clause */
/* base/assert.h: asserts judge our own code, in every build: a log that goes on after a broken invariant
 * would write damage. Bytes from disk and arguments of callers never reach one. */
#ifndef STELE_BASE_ASSERT_H
#define STELE_BASE_ASSERT_H

_Noreturn void stele__assert_failed(const char *expression, const char *file, int line);

#define STELE__ASSERT(expression)                                                                            \
    do {                                                                                                     \
        if (__builtin_expect(!(expression), 0))                                                              \
            stele__assert_failed(#expression, __FILE__, __LINE__);                                           \
    } while (0)

#endif
