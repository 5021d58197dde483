/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/durable.cc: threads that append one record and wait until it is durable, over and over. The
 * baseline does the same with what the system offers: reserve by fetch_add, copy the record's bytes, msync
 * the page they are in. */
#include "support.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <sys/mman.h>

namespace bench {

namespace {

constexpr size_t payload_bytes = 64;
constexpr size_t page_bytes = 4096;

struct Class {
    const char *name;
    Place place;
    uint32_t durability;
    size_t records; /* of one window, all threads together */
};

/* Windows of some 50 ms: long enough that starting 64 threads does not count. */
constexpr Class classes[] = {
    {"msync", Place::disk, STELE_DURABILITY_MSYNC, 512},
    {"pmem", Place::memory, STELE_DURABILITY_PMEM, 65536},
    {"none", Place::disk, STELE_DURABILITY_NONE, 65536},
};

/* More threads share each flush, so their windows hold more records. */
size_t per_thread(const Class &kind, unsigned threads)
{
    const size_t gain = kind.durability == STELE_DURABILITY_MSYNC ? std::min(threads, 8u) : 1;
    return (is_quick() ? kind.records / 8 : kind.records) * gain / threads;
}

void run_durable(benchmark::State &state, const Class &kind, unsigned threads)
{
    const Payloads payloads(payload_bytes);
    const size_t each = per_thread(kind, threads), records = each * threads;
    for (auto _ : state) {
        Directory directory(kind.place);
        LogShape shape;
        shape.segment_bytes = size_t{16} << 20; /* holds the window and its marks */
        shape.flags = STELE_CREATE;
        shape.durability = kind.durability;
        Log log(directory.path("log"), shape);
        log.wait_prepared(shape.spare_segments);
        double seconds = timed(threads, [&](unsigned) {
            stele_lsn lsn;
            for (size_t i = 0; i < each; i++) {
                must(stele_append(log.get(), payloads.at(i), payload_bytes, &lsn), "append");
                must(stele_sync(log.get(), lsn), "sync");
                if (stele_durable(log.get()) <= lsn)
                    fail("self-check failed: sync returned too early");
            }
        });
        check_records(log.get(), payloads, records, threads, STELE_DURABLE_ONLY);
        log.close();
        report(state, seconds, records, records * payload_bytes);
    }
}

void run_raw(benchmark::State &state, unsigned threads)
{
    const size_t bytes = record_bytes(payload_bytes);
    const Payloads payloads(payload_bytes);
    const size_t each = per_thread(classes[0], threads), records = each * threads;
    for (auto _ : state) {
        Directory directory(Place::disk);
        MappedFile file(directory.path("map"), size_t{16} << 20);
        std::atomic<size_t> tail{0};
        double seconds = timed(threads, [&](unsigned) {
            for (size_t i = 0; i < each; i++) {
                const size_t at = tail.fetch_add(bytes);
                std::memcpy(file.data() + at, payloads.at(i), bytes);
                const size_t page = at / page_bytes * page_bytes;
                if (msync(file.data() + page, at + bytes - page, MS_SYNC) != 0)
                    fail(std::strerror(errno));
            }
        });
        expect(tail == records * bytes, "raw msync wrote another number of records");
        report(state, seconds, records, records * payload_bytes);
    }
}

} // namespace

void add_durable()
{
    for (unsigned threads : {1u, 4u, 16u, 64u}) {
        const std::string suffix = "/64/threads:" + std::to_string(threads);
        add("raw_msync" + suffix, [=](benchmark::State &state) { run_raw(state, threads); });
        for (const Class &kind : classes)
            add("durable/" + std::string(kind.name) + suffix,
                [=, &kind](benchmark::State &state) { run_durable(state, kind, threads); });
    }
}

} // namespace bench
