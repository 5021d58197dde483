/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/append.cc: a record's way into a prepared segment, no durability. The baseline copies the bytes a
 * record takes in the log into a file that was made, mapped and populated as a segment is, just before,
 * and is as large: its lines are as cold. Payloads come from the same hot buffer in both. */
#include "support.h"

#include <cstring>

namespace bench {

namespace {

constexpr size_t batch_records = 16;

struct Shape {
    size_t size;
    unsigned threads;
    bool single;

    /* As many as fit in one segment with room to spare, the same for each thread, whole batches. */
    size_t per_thread() const
    {
        return window_bytes() / 16 * 15 / record_bytes(size) / threads / batch_records * batch_records;
    }
    uint32_t flags() const
    {
        uint32_t flags = STELE_CREATE;
        if (single)
            flags |= STELE_SINGLE_APPENDER;
        return flags;
    }
    std::string name(const std::string &what) const
    {
        const std::string how = threads > 1 || !single ? "/fetch_add/" : "/single/";
        return what + how + std::to_string(size) + "/threads:" + std::to_string(threads);
    }
};

/* What one thread does with its records. */
using Writer = void (*)(stele *log, const Payloads &payloads, size_t records);

void append_each(stele *log, const Payloads &payloads, size_t records)
{
    const size_t len = payloads.len();
    for (size_t i = 0; i < records; i++)
        if (stele_append(log, payloads.at(i), len, nullptr) != 0)
            fail(stele_last_error());
}

void append_batches(stele *log, const Payloads &payloads, size_t records)
{
    struct stele_entry entries[batch_records];
    for (size_t i = 0; i < records; i += batch_records) {
        for (size_t k = 0; k < batch_records; k++)
            entries[k] = {payloads.at(i + k), payloads.len(), 0, 0};
        if (stele_append_batch(log, entries, batch_records) != static_cast<long>(batch_records))
            fail(stele_last_error());
    }
}

void reserve_and_publish(stele *log, const Payloads &payloads, size_t records)
{
    const size_t len = payloads.len();
    struct stele_slot slot;
    for (size_t i = 0; i < records; i++) {
        if (stele_reserve(log, 0, len, &slot) != 0)
            fail(stele_last_error());
        std::memcpy(slot.data, payloads.at(i), len);
        if (stele_publish(log, &slot, len) != 0)
            fail(stele_last_error());
    }
}

void run_log(benchmark::State &state, const Shape &shape, Writer write)
{
    const Payloads payloads(shape.size);
    const size_t each = shape.per_thread(), records = each * shape.threads;
    for (auto _ : state) {
        Directory directory(Place::memory);
        LogShape log_shape;
        log_shape.segment_bytes = window_bytes();
        log_shape.flags = shape.flags();
        Log log(directory.path("log"), log_shape);
        log.wait_prepared(log_shape.spare_segments);
        double seconds = timed(shape.threads, [&](unsigned) { write(log.get(), payloads, each); });
        expect(stele_tail(log.get()) == records * record_bytes(shape.size),
               "the tail is not where it must be");
        check_records(log.get(), payloads, records, shape.threads);
        log.close();
        report(state, seconds, records, records * shape.size);
    }
}

void run_memcpy(benchmark::State &state, const Shape &shape)
{
    const Payloads payloads(shape.size);
    const size_t bytes = record_bytes(shape.size);
    const size_t each = shape.per_thread(), records = each * shape.threads;
    for (auto _ : state) {
        Directory directory(Place::memory);
        MappedFile file(directory.path("map"), window_bytes());
        /* A log prepares another segment before it appends. */
        MappedFile spare(directory.path("spare"), window_bytes());
        double seconds = timed(shape.threads, [&](unsigned thread) {
            char *to = file.data() + thread * each * bytes;
            for (size_t i = 0; i < each; i++, to += bytes)
                std::memcpy(to, payloads.at(i), bytes);
        });
        for (size_t i = 0; i < records; i++)
            expect(std::memcmp(file.data() + i * bytes, payloads.at(i % each), bytes) == 0, "memcpy");
        report(state, seconds, records, records * shape.size);
    }
}

/* Many segments, and with them everything the helper thread does: preparing, folding, hashing, sealing. */
void run_rolling(benchmark::State &state, const Shape &shape)
{
    const Payloads payloads(shape.size);
    const size_t records = shape.per_thread() * 2;
    for (auto _ : state) {
        Directory directory(Place::memory);
        LogShape log_shape;
        log_shape.segment_bytes = window_bytes() / 4;
        log_shape.flags = shape.flags();
        log_shape.spare_segments = 2;
        Log log(directory.path("log"), log_shape);
        log.wait_prepared(log_shape.spare_segments);
        double seconds = timed(1, [&](unsigned) { append_each(log.get(), payloads, records); });
        check_records(log.get(), payloads, records, 1);
        log.close();
        report(state, seconds, records, records * shape.size);
    }
}

void add_shape(const Shape &shape)
{
    add(shape.name("append"), [=](benchmark::State &state) { run_log(state, shape, append_each); });
    add(shape.name("batch16"), [=](benchmark::State &state) { run_log(state, shape, append_batches); });
    add(shape.name("reserve"), [=](benchmark::State &state) { run_log(state, shape, reserve_and_publish); });
}

} // namespace

void add_append()
{
    for (size_t size : {16u, 64u, 256u, 1024u, 4096u, 65536u}) {
        for (unsigned threads : {1u, 2u, 4u}) {
            const Shape shape{size, threads, false};
            add("memcpy/" + std::to_string(size) + "/threads:" + std::to_string(threads),
                [=](benchmark::State &state) { run_memcpy(state, shape); });
            if (threads == 1)
                add_shape(Shape{size, 1, true});
            add_shape(shape);
        }
    }
    for (size_t size : {64u, 1024u}) {
        const Shape shape{size, 1, true};
        add(shape.name("rolling"), [=](benchmark::State &state) { run_rolling(state, shape); });
    }
}

} // namespace bench
