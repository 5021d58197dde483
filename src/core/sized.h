/* SPDX-License-Identifier: BSD-3-Clause */
/* core/sized.h: public structs that begin with their own size, so that caller and library may be of
 * different versions. Whoever takes options or fills in a result goes through here; nothing else reads a
 * `size` field. `what` names the struct in messages: "struct stele_options". */
#ifndef STELE_CORE_SIZED_H
#define STELE_CORE_SIZED_H

#include <stddef.h>

/* No public struct comes near it: a larger size is a field that was never set. */
#define STELE__SIZED_MAX 65536u

/* Options: copy the caller's struct over `own`, which becomes all zero first, but for its size. A shorter
 * one leaves zeroes, which mean default; bytes that only a newer library knows must be zero.
 * callers == NULL: all zero. 0 or STELE_EINVAL. */
int stele__sized_in(void *own, size_t own_size, const void *callers, const char *what);

/* Results: is there a struct to fill in? 0 or STELE_EINVAL. To be called before any work is done. */
int stele__sized_check(const void *callers, const char *what);
/* Copy `own` over it, as much as the caller knows; what only a newer library knows becomes zero. Its size
 * stays. */
void stele__sized_out(void *callers, const void *own, size_t own_size);

#endif
