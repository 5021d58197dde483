/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/open.cc: opening a log that was closed in order: one of a single segment, one with 64 sealed
 * segments before it. The last segment is filled alike in both, so the difference is what sealed segments
 * cost. Both are opened in turn on the same file system, files cached. */
#include "support.h"

#include <map>
#include <memory>

namespace bench {

namespace {

constexpr size_t payload_bytes = 64;

/* Closed, with `sealed` full segments and one that is half full. */
struct Closed {
    Closed(uint64_t segment_bytes, size_t sealed) : directory(Place::disk), payloads(payload_bytes)
    {
        LogShape shape;
        shape.segment_bytes = segment_bytes;
        shape.flags = STELE_CREATE;
        Log log(directory.path("log"), shape);
        const uint64_t end = segment_bytes * sealed + segment_bytes / 2;
        for (; stele_tail(log.get()) < end; records++)
            must(stele_append(log.get(), payloads.at(records), payload_bytes, nullptr), "append");
        log.close();
    }
    Directory directory;
    Payloads payloads;
    size_t records = 0;
};

/* Made once, opened in every repetition: filling 64 segments takes longer than opening them. */
using Logs = std::map<std::pair<uint64_t, size_t>, std::unique_ptr<Closed>>;

void run_open(benchmark::State &state, Logs &logs, uint64_t segment_bytes, size_t sealed, uint32_t flags)
{
    std::unique_ptr<Closed> &closed = logs[{segment_bytes, sealed}];
    if (!closed)
        closed = std::make_unique<Closed>(segment_bytes, sealed);
    for (auto _ : state) {
        LogShape shape;
        shape.flags = flags;
        shape.durability = STELE_DURABILITY_AUTO; /* what applications open with */
        std::unique_ptr<Log> log;
        double seconds =
            timed(1, [&](unsigned) { log = std::make_unique<Log>(closed->directory.path("log"), shape); });
        expect(stele_tail(log->get()) / segment_bytes == sealed, "the log has another number of segments");
        check_records(log->get(), closed->payloads, closed->records, 1);
        report(state, seconds, sealed + 1, (sealed + 1) * segment_bytes);
    }
}

} // namespace

void add_open()
{
    auto logs = std::make_shared<Logs>();
    for (uint64_t kib : {64u, 1024u, 16384u}) {
        if (is_quick() && kib > 1024)
            continue; /* a gigabyte of files */
        for (size_t sealed : {size_t{0}, size_t{64}}) {
            const std::string suffix = "/" + std::to_string(kib) + "KiB/sealed:" + std::to_string(sealed);
            add("open" + suffix,
                [=](benchmark::State &state) { run_open(state, *logs, kib << 10, sealed, 0); });
            add("open_read_only" + suffix,
                [=](benchmark::State &state) { run_open(state, *logs, kib << 10, sealed, STELE_READ_ONLY); });
        }
    }
}

} // namespace bench
