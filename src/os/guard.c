/* SPDX-License-Identifier: BSD-3-Clause */
/* os/guard.c: see guard.h. Invariant: everything the handler does is a load, a store, or mmap(2); the list of guards
 * only grows, and a guard that is free again is used again. */
#include "os/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_GUARDS 64u
#define BEING_FILLED ((uintptr_t)1)

struct block {
    struct stele__guard guards[BLOCK_GUARDS];
    struct block *next; /* older; never changes once the block can be seen */
};

static struct block first_block;
static _Atomic(struct block *) newest = &first_block;
static _Atomic bool off;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before; /* what was there when we came */
static uintptr_t page_bytes;
static bool installed;

void stele__guard_note(struct stele__guard *guard, uint64_t offset)
{
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong(&guard->lost, &none, offset + 1);
}

static struct stele__guard *find(uintptr_t address)
{
    for (struct block *block = atomic_load_explicit(&newest, memory_order_acquire); block != NULL;
         block = block->next)
        for (unsigned i = 0; i < BLOCK_GUARDS; i++) {
            struct stele__guard *guard = &block->guards[i];
            /* ACQUIRE pairs with the RELEASE in stele__guard_add(): who sees the base sees the end. */
            uintptr_t base = atomic_load_explicit(&guard->base, memory_order_acquire);
            if (base <= BEING_FILLED || address < base)
                continue;
            uintptr_t end = atomic_load_explicit(&guard->end, memory_order_acquire);
            /* Still the same map? Of one that came in its place the end would be another's. */
            if (address < end && atomic_load_explicit(&guard->base, memory_order_relaxed) == base)
                return guard;
        }
    return NULL;
}

/* Zeroes where the lost page was. Two threads may do it for the same page: the second takes away what was stored
 * into the first one's zeroes, which is lost either way. */
static bool replace_page(uintptr_t address)
{
    struct stele__guard *guard = find(address);
    if (guard == NULL)
        return false;
    uintptr_t page = address & ~(page_bytes - 1);
    int prot = PROT_READ | (atomic_load_explicit(&guard->writable, memory_order_relaxed) ? PROT_WRITE : 0);
    /* The fact before the zeroes: who reads them and then asks is told. */
    stele__guard_note(guard, page - atomic_load_explicit(&guard->base, memory_order_relaxed));
    return mmap((void *)page, page_bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Not ours. With the default action in place a fault comes again and ends the process, a sent signal is sent again. */
static void hand_on(int number, siginfo_t *info, void *context)
{
    const bool standard_or_none =
        before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN; /* whatever the flags */
    if (!standard_or_none && (before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (!standard_or_none) {
        before.sa_handler(number);
    } else if (before.sa_handler == SIG_DFL || info->si_code > 0) {
        struct sigaction standard = {.sa_handler = SIG_DFL};
        (void)sigaction(number, &standard, NULL);
        if (info->si_code <= 0)
            (void)raise(number);
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const int error = errno;
    /* A misaligned access would come again from the zeroes. */
    if (info->si_code <= 0 || info->si_code == BUS_ADRALN || !replace_page((uintptr_t)info->si_addr))
        hand_on(number, info, context);
    errno = error;
}

static void install(void)
{
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_bus_error,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, NULL, &before) == 0)
        installed = sigaction(SIGBUS, &action, NULL) == 0;
}

static bool claim(struct stele__guard *guard)
{
    uintptr_t none = 0;
    return atomic_load_explicit(&guard->base, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(&guard->base, &none, BEING_FILLED, memory_order_acquire,
                                                   memory_order_relaxed);
}

static struct stele__guard *claim_any(void)
{
    for (struct block *block = atomic_load_explicit(&newest, memory_order_acquire); block != NULL;
         block = block->next)
        for (unsigned i = 0; i < BLOCK_GUARDS; i++)
            if (claim(&block->guards[i]))
                return &block->guards[i];
    struct block *block = calloc(1, sizeof *block);
    if (block == NULL)
        return NULL;
    (void)claim(&block->guards[0]);
    block->next = atomic_load_explicit(&newest, memory_order_acquire);
    while (!atomic_compare_exchange_weak_explicit(&newest, &block->next, block, memory_order_acq_rel,
                                                  memory_order_acquire))
        continue;
    return &block->guards[0];
}

struct stele__guard *stele__guard_add(void *base, uint64_t bytes, bool writable)
{
    if (atomic_load_explicit(&off, memory_order_relaxed))
        return NULL;
    (void)pthread_once(&once, install);
    struct stele__guard *guard = installed ? claim_any() : NULL;
    if (guard == NULL)
        return NULL;
    atomic_store_explicit(&guard->end, (uintptr_t)base + (uintptr_t)bytes, memory_order_relaxed);
    atomic_store_explicit(&guard->lost, 0, memory_order_relaxed);
    atomic_store_explicit(&guard->writable, writable, memory_order_relaxed);
    atomic_store_explicit(&guard->base, (uintptr_t)base, memory_order_release);
    return guard;
}

void stele__guard_remove(struct stele__guard *guard)
{
    if (guard != NULL)
        atomic_store_explicit(&guard->base, 0, memory_order_release);
}

void stele__guard_off(void)
{
    atomic_store_explicit(&off, true, memory_order_relaxed);
}
