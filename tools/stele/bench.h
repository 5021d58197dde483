/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.h: one measurement of stele bench. */
#ifndef BENCH_H
#define BENCH_H

#include "hdr.h"
#include "json.h"

#include <stddef.h>
#include <stele/stele.h>

enum bench_sync { BENCH_EACH, BENCH_GROUP, BENCH_NONE };

#define BENCH_GROUP_RECORDS 64 /* a thread's records between two syncs with --sync group */
#define BENCH_THREADS_MAX 256

struct bench_case {
    size_t size; /* payload bytes */
    unsigned threads;
    enum bench_sync sync;
    uint64_t duration_ns;
    double rate; /* operations a second, all threads together; 0: as fast as it goes */
};

struct bench_result {
    uint64_t operations, elapsed_ns;
    int stopped;        /* a signal ended it early */
    int code;           /* of the first call that failed, 0 */
    char error[512];    /* what the library said about it */
    struct hdr latency; /* ns from the (intended) start of an append until it is as durable as asked for */
};

/* Run it on a fresh log. Returns 0, or a negative code with nothing measured. */
int bench_run(struct stele *log, const struct bench_case *bench, struct bench_result *result);

/* What is printed of them: once the machine and the durability class in force, then each measurement. */
struct bench_report {
    int as_json, begun;
    struct json json;
};

const char *bench_sync_name(enum bench_sync sync);
void bench_report_begin(struct bench_report *report, const char *directory, const struct stele_stat *stat);
void bench_report_case(struct bench_report *report, const struct bench_case *bench,
                       const struct bench_result *result);
void bench_report_end(struct bench_report *report);

#endif
