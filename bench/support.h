/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/support.h: what the benchmarks share: scratch places, open logs, payloads that can be recognised,
 * timed windows. A failed self-check throws, so that nothing is left behind and the program ends with
 * status 1: figures of work that was not done are worth nothing. */
#ifndef STELE_BENCH_SUPPORT_H
#define STELE_BENCH_SUPPORT_H

#include <benchmark/benchmark.h>
#include <stele/stele.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

constexpr size_t record_header_bytes = 16; /* docs/format.md */

/* Bytes a record takes in the log. */
constexpr size_t record_bytes(size_t payload)
{
    return record_header_bytes + (payload + 7) / 8 * 8;
}

[[noreturn]] void fail(const std::string &what);
void expect(bool fact, const std::string &what);
/* A call into the library that must not fail. */
long must(long rc, const char *what);

/* Where files go: STELE_BENCH_DIR, else TMPDIR, else /var/tmp; STELE_BENCH_SHM, else /dev/shm. */
enum class Place { disk, memory };
std::string root_of(Place place);

/* How much one timed window writes: small with STELE_BENCH_QUICK, where only the self-checks matter. */
bool is_quick();
size_t window_bytes();

/* A directory of its own, removed with everything in it. */
class Directory {
  public:
    explicit Directory(Place place);
    ~Directory();
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;
    std::string path(const std::string &name) const;

  private:
    std::string path_;
};

struct LogShape {
    uint64_t segment_bytes = 0;
    uint32_t flags = 0;
    uint32_t durability = STELE_DURABILITY_NONE;
    uint32_t spare_segments = 1;
};

class Log {
  public:
    Log(const std::string &path, const LogShape &shape);
    ~Log();
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
    stele *get() const
    {
        return log_;
    }
    /* Wait until the spare segments stand: by then the first one is populated too and the helper thread
     * sleeps. */
    void wait_prepared(uint32_t spare_segments) const;
    void close(); /* and throw when that fails */

  private:
    stele *log_ = nullptr;
};

/* A file made as a segment is: allocated, mapped shared, every page touched for writing in steps. */
class MappedFile {
  public:
    MappedFile(const std::string &path, size_t bytes);
    ~MappedFile();
    MappedFile(const MappedFile &) = delete;
    MappedFile &operator=(const MappedFile &) = delete;
    char *data() const
    {
        return data_;
    }

  private:
    char *data_ = nullptr;
    size_t bytes_ = 0;
};

/* A few different payloads in a hot buffer; the number of an operation says which one it writes. */
class Payloads {
  public:
    explicit Payloads(size_t len);
    const char *at(size_t number) const
    {
        return bytes_.data() + (number & mask_) * stride_;
    }
    size_t len() const
    {
        return len_;
    }
    size_t count() const
    {
        return mask_ + 1;
    }

  private:
    size_t len_, stride_, mask_;
    std::vector<char> bytes_;
};

/* Seconds from the first thread's start to the last one's end; thread 0 alone runs where it is called. */
double timed(unsigned threads, const std::function<void(unsigned)> &body);

/* Every record of the log, by a cursor: `records` of them, each a payload, in order when one thread wrote
 * them, and each payload as often as `threads` threads must have written it. */
void check_records(stele *log, const Payloads &payloads, size_t records, unsigned threads,
                   unsigned cursor_flags = 0);

/* Close an iteration's books: time, and items and bytes so far. */
void report(benchmark::State &state, double seconds, size_t items, size_t bytes);

/* One case: a name, and a function that runs one window per iteration. */
void add(const std::string &name, const std::function<void(benchmark::State &)> &run);

void add_append();
void add_durable();
void add_open();
void add_scan();

} // namespace bench

#endif
