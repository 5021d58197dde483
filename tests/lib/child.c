/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/child.h"

#include "lib/dir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool inside;

bool child_inside(void)
{
    return inside;
}

pid_t child_start(void (*fn)(void *ctx), void *ctx)
{
    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    inside = true;
    must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    if (getppid() != parent) /* it was faster */
        _exit(CHILD_FAILED);
    fn(ctx);
    (void)fflush(NULL);
    _exit(0);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    must(got == pid);
    return status;
}

void child_join(pid_t pid)
{
    int status = wait_for(pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "child %ld ended with wait status 0x%x\n", (long)pid, (unsigned)status);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void child_join_killed(pid_t pid, int signal)
{
    int status = wait_for(pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signal)
        fprintf(stderr, "child %ld ended with wait status 0x%x\n", (long)pid, (unsigned)status);
    must(WIFSIGNALED(status) && WTERMSIG(status) == signal);
}

void child_alive(pid_t pid)
{
    siginfo_t info = {0};
    must(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    if (info.si_pid != 0)
        child_join(pid);
}

void child_kill(pid_t pid)
{
    must(kill(pid, SIGKILL) == 0);
    child_join_killed(pid, SIGKILL);
}

void *shared_alloc(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED);
    return memory;
}

void shared_free(void *memory, size_t bytes)
{
    must(munmap(memory, bytes) == 0);
}

void gate_init(struct gate *gate)
{
    must(sem_init(&gate->open, 1, 0) == 0);
}

void gate_open(struct gate *gate)
{
    must(sem_post(&gate->open) == 0);
}

void gate_pass(struct gate *gate)
{
    while (sem_wait(&gate->open) != 0)
        must(errno == EINTR);
}
