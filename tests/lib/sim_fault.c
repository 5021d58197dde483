/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_fault.c: calls that fail, and what they leave. After a failed flush Linux calls the pages clean, written or not. Such
 * a page is "lost" here: readable, and what the library reads from it is not what the disk has. A store makes it dirty
 * again, and that is noticed as the kernel does: the page is write-protected until then. */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

bool sim__fails(struct sim *sim, enum sim_call call)
{
    sim->calls[call]++;
    struct sim_fault *fault = &sim->fault;
    if (fault->at == 0 || (fault->kinds >> call & 1) == 0)
        return false;
    fault->seen++;
    if (fault->seen != fault->at && !(fault->all_after && fault->seen > fault->at))
        return false;
    fault->fired++;
    fault->call = call;
    return true;
}

/* Files that have a lost page, for the signal handler. */
#define WATCHED_MAX 128u
static struct sim_file *watched[WATCHED_MAX];
static struct sigaction before;

static bool dirty_again(const uint8_t *address)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        struct sim_file *file = watched[i];
        if (file == NULL || address < file->live || address >= file->live + file->bytes)
            continue;
        uint64_t page = (uint64_t)(address - file->live) / SIM_PAGE;
        if ((file->lost >> page & 1) == 0)
            return false;
        file->lost &= ~(UINT64_C(1) << page);
        return mprotect(file->live + page * SIM_PAGE, SIM_PAGE, PROT_READ | PROT_WRITE) == 0;
    }
    return false;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int saved = errno;
    (void)signal;
    (void)context;
    if (!dirty_again(info->si_addr)) /* somebody else's fault: let it happen again, and end us */
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

static void watch(struct sim_file *file)
{
    install();
    size_t place = WATCHED_MAX;
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        if (watched[i] == file)
            return;
        if (watched[i] == NULL && place == WATCHED_MAX)
            place = i;
    }
    sim__check(place < WATCHED_MAX, "no more files with lost pages than can be watched");
    watched[place] = file;
}

void sim__lose_page(struct sim_file *file, uint64_t page)
{
    watch(file);
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
}

void sim__find_all(struct sim *sim, struct sim_file *file)
{
    (void)sim;
    for (size_t i = 0; i < WATCHED_MAX; i++)
        if (watched[i] == file)
            watched[i] = NULL;
    if (file->lost != 0)
        sim__check(mprotect(file->live, file->bytes, PROT_READ | PROT_WRITE) == 0,
                   "a page can be unprotected");
    file->lost = 0;
}
