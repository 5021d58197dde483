/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_thread.h: threads whose interleaving follows from a seed: coroutines of one real thread. The library
 * is compiled with a hook before each store (and each load of src/core), where another thread may go on,
 * or the power may fail, and with these functions in place of those that wait. A thread that waits for
 * what nobody will do ends the test: a lost wake-up is a deadlock here, not a delay. Time passes only when
 * everybody waits.
 *
 * What this does not show: stores that another processor sees in another order. */
#ifndef STELE_TEST_SIM_THREAD_H
#define STELE_TEST_SIM_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define SIM_THREADS 16u

/* Called at a store, with switching and hooks off. */
typedef void sim_store_fn(void *ctx, const void *address);

struct sim_schedule {
    uint64_t seed;
    uint32_t switch_one_in; /* chance at a hook */
    sim_store_fn *store;
    void *ctx;
};

void sim_threads_begin(const struct sim_schedule *schedule);
/* Start a thread that calls fn(arg); it runs once sim_threads_run() does. Returns what to join. */
pthread_t sim_thread_start(void *(*fn)(void *), void *arg);
/* Run them all to their ends. NULL, or what they wait for for ever. */
const char *sim_threads_run(void);
/* Switching and hooks are off between the two; nests. */
void sim_threads_hold(void);
void sim_threads_go_on(void);
/* Another thread may go on. */
void sim_thread_pause(void);
uint64_t sim_threads_switches(void);

/* What the library calls: see tests/stores/CMakeLists.txt. */
int sim_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
int sim_thread_join(pthread_t thread, void **result);
int sim_thread_lock(pthread_mutex_t *mutex);
int sim_thread_unlock(pthread_mutex_t *mutex);
int sim_thread_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int sim_thread_broadcast(pthread_cond_t *condition);
int sim_thread_yield(void);
int sim_thread_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left);
long sim_thread_syscall(long number, ...); /* futex only */
void *sim_thread_memcpy(void *to, const void *from, size_t len);
void *sim_thread_memset(void *to, int byte, size_t len);

#endif
