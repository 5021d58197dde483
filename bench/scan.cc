/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/scan.cc: a cursor over a full segment, checksums verified, from opening it to the end; recovery of
 * the same segment, found as a crash left it. The baseline maps the same segment file, copies the bytes of
 * each record into a hot buffer, and unmaps it: all three take the same page faults. */
#include "support.h"

#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench {

namespace {

constexpr size_t segment_header_bytes = 4096; /* docs/format.md */

/* The default size of a segment. */
size_t segment_bytes()
{
    return is_quick() ? size_t{8} << 20 : size_t{64} << 20;
}

size_t records_of(size_t size)
{
    return segment_bytes() / 16 * 15 / record_bytes(size);
}

/* A log of one segment with records of one size, published and (class none) durable. */
class Filled {
  public:
    explicit Filled(size_t size) : payloads(size), directory(Place::disk), log(directory.path("log"), shape())
    {
        for (size_t i = 0; i < records_of(size); i++)
            must(stele_append(log.get(), payloads.at(i), size, nullptr), "append");
        must(stele_sync(log.get(), STELE_LSN_ALL), "sync");
        /* The order of a directory is not that of the log. */
        for (const auto &entry : std::filesystem::directory_iterator(directory.path("log")))
            if (entry.path().extension() == ".stele" && (segment.empty() || entry.path() < segment))
                segment = entry.path();
    }

    Payloads payloads;
    Directory directory;
    Log log;
    std::string segment;

    static LogShape shape()
    {
        LogShape shape;
        shape.segment_bytes = segment_bytes();
        shape.flags = STELE_CREATE | STELE_SINGLE_APPENDER;
        return shape;
    }
};

void run_cursor(benchmark::State &state, size_t size)
{
    Filled filled(size);
    check_records(filled.log.get(), filled.payloads, records_of(size), 1);
    for (auto _ : state) {
        size_t count = 0, bytes = 0;
        double seconds = timed(1, [&](unsigned) {
            struct stele_cursor *cursor = nullptr;
            struct stele_record record;
            must(stele_cursor_open(filled.log.get(), 0, STELE_FROM_BEGIN, 0, &cursor), "cursor_open");
            while (stele_cursor_next(cursor, &record) == 1) {
                count++;
                bytes += record.len;
            }
            stele_cursor_close(cursor);
        });
        expect(count == records_of(size) && bytes == count * size, "the cursor did not show every record");
        report(state, seconds, count, bytes);
    }
}

void run_memcpy(benchmark::State &state, size_t size)
{
    Filled filled(size);
    const size_t bytes = record_bytes(size), records = records_of(size);
    std::vector<char> hot(bytes);
    for (auto _ : state) {
        double seconds = timed(1, [&](unsigned) {
            int fd = ::open(filled.segment.c_str(), O_RDONLY | O_CLOEXEC);
            void *base = mmap(nullptr, segment_header_bytes + segment_bytes(), PROT_READ, MAP_SHARED, fd, 0);
            ::close(fd);
            expect(base != MAP_FAILED, "cannot map the segment");
            const char *from = static_cast<const char *>(base) + segment_header_bytes;
            for (size_t i = 0; i < records; i++, from += bytes) {
                std::memcpy(hot.data(), from, bytes);
                benchmark::DoNotOptimize(*hot.data());
                benchmark::ClobberMemory();
            }
            munmap(base, segment_header_bytes + segment_bytes());
        });
        expect(std::memcmp(hot.data() + record_header_bytes, filled.payloads.at(records - 1), size) == 0,
               "the last record is not where it must be");
        report(state, seconds, records, records * size);
    }
}

/* Opening for writing what a copy of a running log's files left: everything in it is checked. */
void run_recover(benchmark::State &state, size_t size)
{
    Filled filled(size);
    LogShape shape;
    shape.durability = STELE_DURABILITY_NONE;
    for (auto _ : state) {
        Directory directory(Place::disk);
        std::filesystem::copy(filled.directory.path("log"), directory.path("log"));
        Log *opened = nullptr;
        double seconds = timed(1, [&](unsigned) { opened = new Log(directory.path("log"), shape); });
        check_records(opened->get(), filled.payloads, records_of(size), 1);
        delete opened;
        report(state, seconds, records_of(size), records_of(size) * size);
    }
}

} // namespace

void add_scan()
{
    for (size_t size : {16u, 64u, 256u, 1024u, 4096u, 65536u}) {
        const std::string suffix = "/" + std::to_string(size);
        add("scan_memcpy" + suffix, [=](benchmark::State &state) { run_memcpy(state, size); });
        add("scan" + suffix, [=](benchmark::State &state) { run_cursor(state, size); });
        add("recover" + suffix, [=](benchmark::State &state) { run_recover(state, size); });
    }
}

} // namespace bench
