/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; libc headers are older */
#endif

namespace bench {

void fail(const std::string &what)
{
    throw std::runtime_error(what);
}

void expect(bool fact, const std::string &what)
{
    if (!fact)
        fail("self-check failed: " + what);
}

long must(long rc, const char *what)
{
    if (rc < 0)
        fail(std::string(what) + ": " + stele_last_error());
    return rc;
}

static void must_errno(bool fine, const std::string &what)
{
    if (!fine)
        fail(what + ": " + std::strerror(errno));
}

static std::string environment(const char *name, const char *otherwise)
{
    const char *value = std::getenv(name);
    return value != nullptr && value[0] != '\0' ? value : otherwise;
}

std::string root_of(Place place)
{
    if (place == Place::memory)
        return environment("STELE_BENCH_SHM", "/dev/shm");
    return environment("STELE_BENCH_DIR", environment("TMPDIR", "/var/tmp").c_str());
}

bool is_quick()
{
    return !environment("STELE_BENCH_QUICK", "").empty();
}

/* Cold as in a running log, where a segment is zeroed two segments of 64 MiB before the tail gets there:
 * with one spare of the same size, 256 MiB lie between a line's last use and ours. (After 16 MiB memcpy is
 * twice as fast.) The small one still holds sixteen of the largest records for each of four threads. */
size_t window_bytes()
{
    return is_quick() ? size_t{8} << 20 : size_t{128} << 20;
}

Directory::Directory(Place place)
{
    std::string name = root_of(place) + "/stele-bench.XXXXXX";
    must_errno(mkdtemp(name.data()) != nullptr, name);
    path_ = name;
}

Directory::~Directory()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string Directory::path(const std::string &name) const
{
    return path_ + "/" + name;
}

Log::Log(const std::string &path, const LogShape &shape)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = shape.flags;
    options.durability = shape.durability;
    options.segment_bytes = shape.segment_bytes;
    options.spare_segments = shape.spare_segments;
    must(stele_open(path.c_str(), &options, &log_), "open");
}

Log::~Log()
{
    (void)stele_close(log_);
}

void Log::close()
{
    stele *log = log_;
    log_ = nullptr;
    must(stele_close(log), "close");
}

void Log::wait_prepared(uint32_t spare_segments) const
{
    while (must(stele_region(log_, nullptr, 0), "region") < 1 + static_cast<long>(spare_segments))
        std::this_thread::sleep_for(std::chrono::microseconds(100));
}

MappedFile::MappedFile(const std::string &path, size_t bytes) : bytes_(bytes)
{
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must_errno(fd >= 0, path);
    int error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    if (error == 0)
        error = ::fdatasync(fd) == 0 ? 0 : errno;
    void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (error != 0)
        fail(path + ": " + std::strerror(error));
    must_errno(base != MAP_FAILED, path);
    data_ = static_cast<char *>(base);
    const size_t step = size_t{1} << 20;
    for (size_t at = 0; at < bytes; at += step)
        if (madvise(data_ + at, std::min(step, bytes - at), MADV_POPULATE_WRITE) != 0)
            for (size_t byte = at; byte < std::min(at + step, bytes); byte += 4096)
                data_[byte] = 0;
}

MappedFile::~MappedFile()
{
    munmap(data_, bytes_);
}

Payloads::Payloads(size_t len) : len_(len)
{
    const size_t hot = size_t{16} << 10; /* a third of a first-level cache of 48 KiB */
    stride_ = (record_bytes(len) + 63) / 64 * 64;
    size_t count = 1;
    while (count < 64 && count * 2 * stride_ <= hot)
        count *= 2;
    mask_ = count - 1;
    bytes_.resize(count * stride_);
    uint64_t random = 88172645463325252u; /* xorshift64: any content will do, as long as payloads differ */
    for (char &byte : bytes_) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        byte = static_cast<char>(random);
    }
}

static double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double timed(unsigned threads, const std::function<void(unsigned)> &body)
{
    if (threads == 1) {
        const double start = now();
        body(0);
        return now() - start;
    }
    std::atomic<unsigned> waiting{threads};
    std::vector<double> start(threads), end(threads);
    std::vector<std::exception_ptr> failed(threads);
    std::vector<std::thread> pool;
    for (unsigned t = 0; t < threads; t++)
        pool.emplace_back([&, t] {
            waiting--;
            while (waiting > 0)
                std::this_thread::yield();
            start[t] = now();
            try {
                body(t);
            } catch (...) {
                failed[t] = std::current_exception();
            }
            end[t] = now();
        });
    for (std::thread &thread : pool)
        thread.join();
    for (const std::exception_ptr &error : failed)
        if (error)
            std::rethrow_exception(error);
    return *std::max_element(end.begin(), end.end()) - *std::min_element(start.begin(), start.end());
}

static size_t payload_number(const Payloads &payloads, const char *data)
{
    for (size_t i = 0; i < payloads.count(); i++)
        if (std::memcmp(data, payloads.at(i), payloads.len()) == 0)
            return i;
    fail("self-check failed: a record that nobody appended");
}

void check_records(stele *log, const Payloads &payloads, size_t records, unsigned threads,
                   unsigned cursor_flags)
{
    struct stele_cursor *cursor = nullptr;
    must(stele_cursor_open(log, cursor_flags, STELE_FROM_BEGIN, 0, &cursor), "cursor_open");
    std::vector<size_t> seen(payloads.count());
    size_t count = 0;
    bool in_order = true;
    struct stele_record record;
    int rc;
    while ((rc = stele_cursor_next(cursor, &record)) == 1 && record.len == payloads.len()) {
        const char *data = static_cast<const char *>(record.data);
        const size_t due = count++ % payloads.count();
        const bool as_due = std::memcmp(data, payloads.at(due), record.len) == 0;
        in_order = in_order && as_due;
        seen[as_due ? due : payload_number(payloads, data)]++;
    }
    stele_cursor_close(cursor);
    must(rc, "cursor_next");
    expect(rc == 0 && count == records,
           std::to_string(count) + " records found instead of " + std::to_string(records));
    expect(in_order || threads > 1, "records out of order");
    const size_t each = records / threads;
    for (size_t i = 0; i < payloads.count(); i++)
        expect(seen[i] == threads * ((each + payloads.count() - 1 - i) / payloads.count()),
               "a payload was found too often or not often enough");
}

void report(benchmark::State &state, double seconds, size_t items, size_t bytes)
{
    state.SetIterationTime(seconds);
    state.SetItemsProcessed(state.items_processed() + static_cast<int64_t>(items));
    state.SetBytesProcessed(state.bytes_processed() + static_cast<int64_t>(bytes));
}

void add(const std::string &name, const std::function<void(benchmark::State &)> &run)
{
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
}

} // namespace bench
