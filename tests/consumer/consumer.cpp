/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of a user, in C++: it appends, syncs, closes, opens again and reads what it wrote.
 * Argument: a directory to create. */
#include <stele/stele.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(int code, const char *what)
{
    if (code < 0)
        throw std::runtime_error(std::string(what) + ": " + stele_strerror(code) + ": " + stele_last_error());
}

struct closer {
    void operator()(struct stele *log) const
    {
        stele_close(log);
    }
    void operator()(stele_cursor *cursor) const
    {
        stele_cursor_close(cursor);
    }
};
using log_ptr = std::unique_ptr<struct stele, closer>;
using cursor_ptr = std::unique_ptr<stele_cursor, closer>;

log_ptr open_log(const char *path, unsigned flags)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.flags = flags;
    options.segment_bytes = STELE_SEGMENT_BYTES_MIN;
    struct stele *log = nullptr;
    check(stele_open(path, &options, &log), "open");
    return log_ptr(log);
}

void write_records(const char *path, const std::vector<std::string> &records)
{
    log_ptr log = open_log(path, STELE_CREATE | STELE_EXCL);
    for (const std::string &record : records)
        check(stele_append(log.get(), record.data(), record.size(), nullptr), "append");
    check(stele_sync(log.get(), STELE_LSN_ALL), "sync");
    check(stele_close(log.release()), "close");
}

std::vector<std::string> read_records(const char *path)
{
    std::vector<std::string> records;
    log_ptr log = open_log(path, STELE_READ_ONLY);
    stele_cursor *raw = nullptr;
    check(stele_cursor_open(log.get(), STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &raw), "cursor");
    cursor_ptr cursor(raw);
    stele_record record;
    int code;
    while ((code = stele_cursor_next(cursor.get(), &record)) == 1)
        records.emplace_back(static_cast<const char *>(record.data), record.len);
    check(code, "next");
    return records;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    std::vector<std::string> records;
    for (int i = 0; i < 1000; i++)
        records.push_back("record " + std::to_string(i));
    try {
        write_records(argv[1], records);
        if (read_records(argv[1]) != records)
            throw std::runtime_error("what was read differs from what was appended");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
