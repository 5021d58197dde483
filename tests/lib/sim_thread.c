/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_thread.h"

#include "sim.h"
#include "sim_sys.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define STACK_BYTES (UINT32_C(1) << 20) /* an image is recovered and judged on one */

struct thread {
    ucontext_t context;
    void *stack;
    void *(*fn)(void *);
    void *arg;
    bool ended;
    const void *waits_for; /* NULL: can go on */
    bool until_later;      /* and not for ever: time can pass */
};

static struct thread threads[SIM_THREADS];
static uint32_t thread_count, held = 1;
static struct thread *current; /* NULL: the one that runs the others */
static ucontext_t runner;
static struct sim_schedule schedule;
static struct sim_rand dice;
static uint64_t switches;
static int own_errno;

void sim_threads_begin(const struct sim_schedule *wanted)
{
    for (uint32_t i = 0; i < thread_count; i++)
        sim__check(threads[i].ended, "all threads have ended");
    schedule = *wanted;
    dice = sim_rand_of(wanted->seed, 77);
    thread_count = 0;
    held = 0;
    switches = 0;
}

uint64_t sim_threads_switches(void)
{
    return switches;
}

static void enter(void)
{
    struct thread *self = current;
    (void)self->fn(self->arg);
    self->ended = true;
    for (uint32_t i = 0; i < thread_count; i++)
        if (threads[i].waits_for == self)
            threads[i].waits_for = NULL;
    (void)setcontext(&runner);
}

pthread_t sim_thread_start(void *(*fn)(void *), void *arg)
{
    sim__check(thread_count < SIM_THREADS, "few threads");
    struct thread *thread = &threads[thread_count];
    void *stack = thread->stack != NULL ? thread->stack : malloc(STACK_BYTES);
    *thread = (struct thread){.stack = stack, .fn = fn, .arg = arg};
    sim__check(stack != NULL && getcontext(&thread->context) == 0, "a thread can be made");
    thread->context.uc_stack.ss_sp = stack;
    thread->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&thread->context, enter, 0);
    return (pthread_t)thread_count++;
}

static void give_way(void)
{
    own_errno = errno;
    struct thread *self = current;
    switches++;
    (void)swapcontext(&self->context, &runner);
    errno = own_errno;
}

void sim_thread_pause(void)
{
    if (current != NULL && held == 0)
        give_way();
}

void sim_threads_hold(void)
{
    held++;
}

void sim_threads_go_on(void)
{
    held--;
}

/* Somebody who can go on; with nobody, time passes for somebody who waits for it. */
static struct thread *draw(bool *left)
{
    struct thread *ready = NULL, *later = NULL;
    uint64_t met = 0, met_later = 0;
    *left = false;
    for (uint32_t i = 0; i < thread_count; i++) {
        struct thread *thread = &threads[i];
        if (thread->ended)
            continue;
        *left = true;
        if (thread->waits_for == NULL && sim_rand_one_in(&dice, ++met))
            ready = thread;
        if (thread->waits_for != NULL && thread->until_later && sim_rand_one_in(&dice, ++met_later))
            later = thread;
    }
    return ready != NULL ? ready : later;
}

/* So often may time pass for one thread while nobody else can go on. */
#define PATIENCE 5000u

const char *sim_threads_run(void)
{
    bool left;
    const struct thread *alone = NULL;
    uint32_t passed = 0;
    for (struct thread *next = draw(&left); next != NULL && passed < PATIENCE; next = draw(&left)) {
        passed = next != alone ? 0 : passed + (next->waits_for != NULL ? 1 : 0);
        alone = next;
        next->waits_for = NULL;
        current = next;
        (void)swapcontext(&runner, &next->context);
        current = NULL;
    }
    held = 1;
    return left ? "nobody is left who could wake those that wait" : NULL;
}

static void wait_for(const void *what, bool until_later)
{
    sim__check(held == 0 && current != NULL, "nobody waits while the others are held");
    current->waits_for = what;
    current->until_later = until_later;
    give_way();
}

static void wake(const void *what, int count)
{
    for (uint32_t i = 0; i < thread_count && count > 0; i++)
        if (!threads[i].ended && threads[i].waits_for == what) {
            threads[i].waits_for = NULL;
            count--;
        }
}

static void hook(const void *address, bool store)
{
    if (held > 0 || current == NULL)
        return;
    struct sim_file *file;
    if (store && schedule.store != NULL && sim__of_address(address, &file) != NULL) {
        held++;
        schedule.store(schedule.ctx, address);
        held--;
    }
    if (sim_rand_one_in(&dice, schedule.switch_one_in))
        give_way();
}

int sim_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg)
{
    (void)attributes;
    *thread = sim_thread_start(fn, arg);
    return 0;
}

int sim_thread_join(pthread_t thread, void **result)
{
    const struct thread *other = &threads[(uint32_t)thread];
    (void)result;
    while (!other->ended)
        wait_for(other, false);
    return 0;
}

int sim_thread_lock(pthread_mutex_t *mutex)
{
    sim_thread_pause();
    while (pthread_mutex_trylock(mutex) == EBUSY)
        wait_for(mutex, false);
    return 0;
}

int sim_thread_unlock(pthread_mutex_t *mutex)
{
    int rc = pthread_mutex_unlock(mutex);
    wake(mutex, 1);
    sim_thread_pause();
    return rc;
}

int sim_thread_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    (void)until;
    (void)pthread_mutex_unlock(mutex);
    wake(mutex, 1);
    wait_for(condition, true);
    while (pthread_mutex_trylock(mutex) == EBUSY)
        wait_for(mutex, false);
    return 0; /* as a spurious wake-up: who waits looks again */
}

int sim_thread_broadcast(pthread_cond_t *condition)
{
    wake(condition, (int)SIM_THREADS);
    return 0;
}

int sim_thread_yield(void)
{
    sim_thread_pause();
    return 0;
}

int sim_thread_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    static const int nap;
    (void)clock;
    (void)flags;
    (void)until;
    (void)left;
    if (current != NULL && held == 0)
        wait_for(&nap, true);
    return 0;
}

long sim_thread_syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    const uint32_t *word = va_arg(args, const uint32_t *);
    int op = va_arg(args, int) & FUTEX_CMD_MASK;
    uint32_t value = va_arg(args, uint32_t);
    const struct timespec *timeout = va_arg(args, const struct timespec *);
    va_end(args);
    sim__check(number == SYS_futex, "only futexes go past the C library");
    if (op == FUTEX_WAKE) {
        wake(word, (int)value);
        return 0;
    }
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value)
        return sim__refuse(EAGAIN);
    wait_for(word, timeout != NULL);
    return 0;
}

/* The library's copies go through these: eight bytes at a time, so that the power can fail in the middle
 * of one. */
void *sim_thread_memcpy(void *to, const void *from, size_t len)
{
    if (held > 0 || current == NULL)
        return memcpy(to, from, len);
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t done = 0; done < len; done += 8) {
        hook(out + done, true);
        (void)memcpy(out + done, in + done, len - done < 8 ? len - done : 8);
    }
    return to;
}

void *sim_thread_memset(void *to, int byte, size_t len)
{
    const size_t step = 512; /* of what is cleared, a sector is as good as a word */
    if (held > 0 || current == NULL)
        return memset(to, byte, len);
    uint8_t *out = to;
    for (size_t done = 0; done < len; done += step) {
        hook(out + done, true);
        (void)memset(out + done, byte, len - done < step ? len - done : step);
    }
    return to;
}

/* Called by what clang's -fsanitize-coverage=trace-stores,trace-loads has put before each access. */
#define STORE(bytes)                                                                                         \
    void __sanitizer_cov_store##bytes(void *address);                                                        \
    void __sanitizer_cov_store##bytes(void *address)                                                         \
    {                                                                                                        \
        hook(address, true);                                                                                 \
    }                                                                                                        \
    void __sanitizer_cov_load##bytes(void *address);                                                         \
    void __sanitizer_cov_load##bytes(void *address)                                                          \
    {                                                                                                        \
        hook(address, false);                                                                                \
    }
STORE(1)
STORE(2)
STORE(4)
STORE(8)
STORE(16)
