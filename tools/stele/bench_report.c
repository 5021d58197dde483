/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_report.c: what stele bench prints: the machine, then a row or an object for each measurement. */
#include "bench.h"

#include "log.h"
#include "machine.h"
#include "out.h"
#include "sizes.h"

#include <inttypes.h>

const char *bench_sync_name(enum bench_sync sync)
{
    static const char *const names[] = {"each", "group", "none"};
    return names[sync];
}

void bench_report_begin(struct bench_report *report, const char *directory, const struct stele_stat *stat)
{
    struct machine machine;
    char memory[SIZES_TEXT];
    machine_describe(&machine, directory);
    report->begun = 1;
    if (!report->as_json) {
        out_printf("machine      %s, %" PRIu64 " CPUs, %s, %s\n", machine.cpu, machine.cpus,
                   size_text(memory, machine.memory_bytes), machine.kernel);
        out_printf("file system  %s on %s (%s)\n", machine.file_system, machine.source,
                   machine.mount_options);
        out_printf("durability   %s: %s\n\n", stat->durability_name, log_reason(stat));
        out_printf("%9s %7s %5s %12s %12s %9s %9s %9s %9s %9s\n", "size", "threads", "sync", "appends/s",
                   "bytes/s", "p50", "p90", "p99", "p99.9", "max");
        (void)out_flush();
        return;
    }
    struct json *json = &report->json;
    json_begin(json, "stele.bench/1");
    json_text(json, "version", stele_version());
    json_open(json, "machine", '{');
    json_text(json, "cpu", machine.cpu);
    json_number(json, "cpus", machine.cpus);
    json_number(json, "memory_bytes", machine.memory_bytes);
    json_text(json, "kernel", machine.kernel);
    json_text(json, "file_system", machine.file_system);
    json_text(json, "source", machine.source);
    json_text(json, "mount_options", machine.mount_options);
    json_close(json, '}');
    json_text(json, "durability", stat->durability_name);
    json_text(json, "durability_reason", stat->durability_reason);
    json_number(json, "segment_bytes", stat->segment_bytes);
    json_open(json, "runs", '[');
}

void bench_report_case(struct bench_report *report, const struct bench_case *bench,
                       const struct bench_result *result)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999};
    static const char *const names[] = {"p50", "p90", "p99", "p999"};
    char text[SIZES_TEXT];
    double seconds = (double)result->elapsed_ns / 1e9;
    double ops = seconds > 0 ? (double)result->operations / seconds : 0;
    double bytes = ops * (double)bench->size;
    if (!report->as_json) {
        out_printf("%9zu %7u %5s %12.0f", bench->size, bench->threads, bench_sync_name(bench->sync), ops);
        out_printf(" %12s", size_text(text, (uint64_t)bytes));
        for (int i = 0; i < 4; i++)
            out_printf(" %9s", duration_text(text, hdr_percentile(&result->latency, shares[i])));
        out_printf(" %9s\n", duration_text(text, result->latency.max));
        (void)out_flush();
        return;
    }
    struct json *json = &report->json;
    json_open(json, NULL, '{');
    json_number(json, "size", bench->size);
    json_number(json, "threads", bench->threads);
    json_text(json, "sync", bench_sync_name(bench->sync));
    if (bench->rate > 0)
        json_real(json, "rate", bench->rate);
    else
        json_null(json, "rate");
    json_number(json, "operations", result->operations);
    json_real(json, "seconds", seconds);
    json_real(json, "ops_per_second", ops);
    json_real(json, "bytes_per_second", bytes);
    json_open(json, "latency_ns", '{');
    for (int i = 0; i < 4; i++)
        json_number(json, names[i], hdr_percentile(&result->latency, shares[i]));
    json_number(json, "max", result->latency.max);
    json_close(json, '}');
    json_close(json, '}');
}

void bench_report_end(struct bench_report *report)
{
    if (!report->as_json || !report->begun)
        return;
    json_close(&report->json, ']');
    json_end(&report->json);
}
