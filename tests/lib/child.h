/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/child.h: processes beside the test's own. Start them while this process has no log open: a child must not
 * touch a log it inherited, and an inherited descriptor would keep its parent's locks alive. */
#ifndef STELE_TEST_CHILD_H
#define STELE_TEST_CHILD_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_FAILED 98

/* Run fn(ctx) in a child; when it returns, the child ends with status 0. must() and its like end it with
 * CHILD_FAILED. It dies with its parent. */
pid_t child_start(void (*fn)(void *ctx), void *ctx);
/* Wait for its end: it must have ended with status 0. */
void child_join(pid_t pid);
/* It must not have failed so far; one that has ended well is waited for. */
void child_alive(pid_t pid);
/* Wait for its end: it must have been ended by this signal. */
void child_join_killed(pid_t pid, int signal);
void child_kill(pid_t pid);
bool child_inside(void); /* is this process one? */

/* Zeroed memory shared with children started later. */
void *shared_alloc(size_t bytes);
void shared_free(void *memory, size_t bytes);

/* One process waits until another has come so far. In shared memory. */
struct gate {
    sem_t open;
};
void gate_init(struct gate *gate);
void gate_open(struct gate *gate);
void gate_pass(struct gate *gate);

#endif
