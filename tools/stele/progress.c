/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.c: see progress.h. */
#include "progress.h"

#include "sizes.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define QUIET_NS UINT64_C(2000000000) /* shorter work needs no explanation */
#define EVERY_NS UINT64_C(200000000)  /* as often as an eye can read */

uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void progress_begin(struct progress *progress, uint64_t total, int busy)
{
    progress->on = isatty(STDERR_FILENO) && !(busy && isatty(STDOUT_FILENO));
    progress->shown = 0;
    progress->total = total;
    progress->start_ns = progress->last_ns = now_ns();
}

void progress_update(struct progress *progress, uint64_t done)
{
    if (!progress->on)
        return;
    uint64_t now = now_ns(), spent = now - progress->start_ns;
    if (spent < QUIET_NS || now - progress->last_ns < EVERY_NS)
        return;
    progress->last_ns = now;
    progress->shown = 1;
    char amount[SIZES_TEXT], rate[SIZES_TEXT], left[SIZES_TEXT];
    double per_second = (double)done / ((double)spent / 1e9);
    fprintf(stderr, "\r%s, %s/s", size_text(amount, done), size_text(rate, (uint64_t)per_second));
    if (progress->total > done && per_second > 0)
        fprintf(stderr, ", %d %%, %s left", (int)(100.0 * (double)done / (double)progress->total),
                duration_text(left, (uint64_t)((double)(progress->total - done) / per_second * 1e9)));
    fputs("\033[K", stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}
