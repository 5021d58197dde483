/* SPDX-License-Identifier: BSD-3-Clause */
/* os/guard.h: mapped files that may lose their bytes under the map: somebody cuts the file short, or its medium fails.
 * The next touch is SIGBUS. A guarded map turns it into zeroes and a fact that its owner asks for: the handler puts
 * private zero memory where the page was, and the touch goes on. Zeroes are never a record, so what is read behind the
 * loss does not check; what is stored there is lost, and the owner must ask before it calls anything durable.
 *
 * The handler is the process's, installed when the first map is guarded, and hands on every SIGBUS that is not about
 * one: to the handler it found, or to the default action. A handler that the program installs later takes its place. */
#ifndef STELE_OS_GUARD_H
#define STELE_OS_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stele__guard {
    _Atomic uintptr_t base; /* 0: free, 1: being filled in */
    _Atomic uintptr_t end;
    _Atomic uint64_t lost; /* offset of the first page found gone, plus 1; 0: none */
    _Atomic bool writable;
};

/* Guard a map from now on. NULL without memory, or when guarding is off: then a loss is a signal, as without this. */
struct stele__guard *stele__guard_add(void *base, uint64_t bytes, bool writable);
/* Before it is unmapped. NULL is allowed. */
void stele__guard_remove(struct stele__guard *guard);

/* Has a page of it been lost? Ask after the bytes were read, or made durable: then what was lost before is known. */
static inline bool stele__guard_lost(const struct stele__guard *guard)
{
    return guard != NULL && atomic_load_explicit(&guard->lost, memory_order_acquire) != 0;
}

/* Its owner has found out by itself: bytes from `offset` on are gone. */
void stele__guard_note(struct stele__guard *guard, uint64_t offset);

/* Offset of the page found gone first, in a map that lost one. */
static inline uint64_t stele__guard_offset(const struct stele__guard *guard)
{
    return atomic_load_explicit(&guard->lost, memory_order_acquire) - 1;
}

/* Guard no map from now on, and install no handler. */
void stele__guard_off(void);

#endif
