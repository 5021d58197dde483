/* SPDX-License-Identifier: BSD-3-Clause */
/* stop.c: see stop.h. A signal descriptor rather than a handler: it can be polled beside the input, so no
 * signal can slip in between looking and waiting. */
#include "stop.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int descriptor = -1;
static int seen;

static void both(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
}

int stop_begin(void)
{
    sigset_t set;
    both(&set);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor;
}

int stop_seen(void)
{
    struct signalfd_siginfo info;
    if (seen == 0 && descriptor >= 0 && read(descriptor, &info, sizeof info) == (ssize_t)sizeof info) {
        sigset_t set;
        seen = (int)info.ssi_signo;
        both(&set);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    return seen;
}
