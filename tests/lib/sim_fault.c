/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_fault.c: calls that fail, and what they leave. After a failed flush Linux calls the pages clean,
 * written or not. Such a page is "lost" here: readable, and what the library reads from it is not what the
 * disk has. A store makes it dirty again, and that is noticed as the kernel does: the page is
 * write-protected until then. */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

/* Errors that not every call can return: the others have nothing to wait for, or nothing to cut short. */
static bool can(enum sim_call call, int error)
{
    if (error == EINTR)
        return (SIM_INTERRUPTED >> call & 1) != 0;
    if (call == SIM_LOCK && error == EACCES) /* that is an answer: somebody else has it */
        return false;
    return error != SIM_SHORT || call == SIM_READ || call == SIM_WRITE;
}

int sim__fails(struct sim *sim, enum sim_call call)
{
    sim->calls[call]++;
    struct sim_fault *fault = &sim->fault;
    if (fault->at == 0 || (fault->kinds >> call & 1) == 0 || !can(call, fault->error))
        return 0;
    fault->seen++;
    if (fault->seen != fault->at && !(fault->all_after && fault->seen > fault->at))
        return 0;
    fault->fired++;
    fault->call = call;
    return fault->error;
}

void sim_draw_fault(struct sim *sim, struct sim_rand *rand)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EACCES, EINTR, SIM_SHORT};
    sim->fault = (struct sim_fault){.at = 1 + sim_rand_below(rand, 8),
                                    .kinds = SIM_CHANGING,
                                    .error = errors[sim_rand_below(rand, sizeof errors / sizeof errors[0])]};
}

static void on_limit(int signal)
{
    static const char text[] = "\nsimulator: what the library does here does not end\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(SIM_EXIT_ENDLESS);
}

void sim_limit(unsigned seconds)
{
    struct sigaction action = {.sa_handler = on_limit};
    const struct itimerval limit = {.it_value.tv_sec = (time_t)seconds};
    (void)sigemptyset(&action.sa_mask);
    sim__check(sigaction(SIGPROF, &action, NULL) == 0 && setitimer(ITIMER_PROF, &limit, NULL) == 0,
               "a timer can be set");
}

static struct sigaction before;

bool sim__dirty_again(const uint8_t *address)
{
    struct sim_file *file;
    if (sim__of_address(address, &file) == NULL)
        return false;
    uint64_t page = (uint64_t)(address - file->live) / SIM_PAGE;
    if ((file->lost >> page & 1) == 0)
        return false;
    file->lost &= ~(UINT64_C(1) << page);
    return mprotect(file->live + page * SIM_PAGE, SIM_PAGE, PROT_READ | PROT_WRITE) == 0;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int saved = errno;
    (void)signal;
    (void)context;
    if (!sim__dirty_again(info->si_addr)) /* somebody else's fault: let it happen again, and end us */
        (void)sigaction(SIGSEGV, &before, NULL);
    errno = saved;
}

/* The test's runner sets its own handler anew for every test. */
static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, now;
    sigemptyset(&action.sa_mask);
    sim__check(sigaction(SIGSEGV, NULL, &now) == 0, "a signal handler can be asked for");
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_fault)
        return;
    sim__check(sigaction(SIGSEGV, &action, &before) == 0, "a signal handler can be installed");
}

void sim__lose_page(struct sim_file *file, uint64_t page)
{
    install();
    file->lost |= UINT64_C(1) << page;
    sim__check(mprotect(file->live + page * SIM_PAGE, SIM_PAGE, PROT_READ) == 0, "a page can be protected");
}

/* A flush of [offset, end) failed. */
void sim__lose(struct sim *sim, struct sim_file *file, uint64_t offset, uint64_t end)
{
    const uint64_t unit = sim->model == SIM_PMEM ? SIM_LINE : SIM_PAGE;
    for (uint64_t at = offset; at < end; at += unit) {
        bool lost = sim->model == SIM_BLOCK && (file->lost >> (at / SIM_PAGE) & 1) != 0;
        if (lost || memcmp(file->disk + at, file->live + at, unit) == 0)
            continue;
        if (sim_rand_one_in(&sim->rand, 2))
            memcpy(file->disk + at, file->live + at, unit);
        else if (sim->model ==
                 SIM_BLOCK) /* lines of memory stay dirty: there is no cache that lies about them */
            sim__lose_page(file, at / SIM_PAGE);
    }
    sim->version++;
}

void sim__find_all(struct sim_file *file)
{
    if (file->lost != 0)
        sim__check(mprotect(file->live, SIM_FILE_MAX, PROT_READ | PROT_WRITE) == 0,
                   "a page can be unprotected");
    file->lost = 0;
}
