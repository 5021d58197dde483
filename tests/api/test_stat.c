/* SPDX-License-Identifier: BSD-3-Clause */
/* test_stat.c: the figures of a log, as its writer and as others see them. */
#include "test_admin.h"

#include "core/owner.h"

#include <fcntl.h>
#include <pthread.h>

static struct stele_stat stat_of(struct stele *log)
{
    struct stele_stat stat = {.size = sizeof stat};
    succeeds(stele_stat(log, &stat));
    return stat;
}

static struct stele_stat stat_read_only(const char *path)
{
    struct stele *log = log_open(path, STELE_READ_ONLY);
    struct stele_stat stat = stat_of(log);
    succeeds(stele_close(log));
    return stat;
}

static void a_writer_and_a_reader_count_alike(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    struct stele *log = log_open(dir->log, 0);
    struct stele_stat writer = stat_of(log), reader = stat_read_only(dir->log);
    must(writer.records == count && reader.records == count);
    must(writer.first_lsn == 0 && reader.first_lsn == 0);
    must(writer.published_lsn == reader.published_lsn && writer.published_lsn == stele_tail(log));
    must(writer.durable_lsn == stele_durable(log) && reader.durable_lsn == writer.durable_lsn);
    must(writer.segment_bytes == SEGMENT_SMALL && reader.segment_bytes == SEGMENT_SMALL);
    must(memcmp(writer.uuid, reader.uuid, 16) == 0 && writer.created_ns == reader.created_ns);
    must(writer.created_ns != 0 && writer.oldest_time_ns >= writer.created_ns);
    must(reader.oldest_time_ns == writer.oldest_time_ns);
    must(writer.failed == 0 && reader.failed == 0);
    succeeds(stele_close(log));
    reader = stat_read_only(dir->log);
    must(reader.records == count && reader.published_lsn == verify_log(dir->log, NULL).end_lsn);
    must(reader.durable_lsn == reader.published_lsn);
}

/* Published, but neither committed nor durable: both sides see it. */
static void records_nobody_has_synced_are_counted(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX;
    struct stele *log = log_open_with(dir->log, &options);
    append_range(log, 0, 100);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    stele_lsn durable = stele_durable(log);
    append_range(log, 100, 150);
    struct stele_stat stat = stat_of(log);
    must(stat.records == 150 && stat.durable_lsn == durable && stat.published_lsn == stele_tail(log));
    must(stele_durable(log) == durable); /* counting commits nothing */
    struct stele_stat reader = stat_read_only(dir->log);
    must(reader.records == 150 && reader.durable_lsn == durable &&
         reader.published_lsn == stat.published_lsn);
    /* An open slot hides what stands behind it. */
    struct stele_slot slot;
    succeeds(stele_reserve(log, 0, 64, &slot));
    append_range(log, 150, 160);
    stat = stat_of(log);
    must(stat.records == 150 && stat.published_lsn == slot.lsn);
    must(stat_read_only(dir->log).records == 150);
    succeeds(stele_publish(log, &slot, 10));
    must(stat_of(log).records == 161);
    succeeds(stele_close(log));
}

static void trimmed_records_are_counted_no_more(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    stele_lsn where;
    uint64_t left = count - number_at(dir->log, 2 * SEGMENT_SMALL, &where);
    struct stele *log = log_open(dir->log, 0);
    must(stele_trim(log, 2 * SEGMENT_SMALL, NULL) == 2);
    struct stele_stat stat = stat_of(log);
    must(stat.first_lsn == 2 * SEGMENT_SMALL && stat.records == left);
    must(stat_read_only(dir->log).records == left);
    succeeds(stele_close(log));
    must(stat_read_only(dir->log).records == left);
    must(stat_read_only(dir->log).first_lsn == 2 * SEGMENT_SMALL);
}

static void quarantined_records_are_counted_no_more(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    stele_lsn where;
    uint64_t gone =
        number_at(dir->log, 2 * SEGMENT_SMALL, &where) - number_at(dir->log, SEGMENT_SMALL, &where);
    file_zero(segment(dir, 1), 0, 4096);
    struct stele_repair_options options = {.size = sizeof options,
                                           .flags = STELE_REPAIR_APPLY | STELE_REPAIR_QUARANTINE};
    struct stele_repair_result result = {.size = sizeof result};
    succeeds(stele_repair(dir->log, &options, &result));
    must(stat_read_only(dir->log).records == count - gone);
    struct stele *log = log_open(dir->log, 0);
    append_range(log, count, count + 7);
    must(stat_of(log).records == count - gone + 7);
    struct stele_segment_stat segments[16];
    long found = stele_stat_segments(log, segments, 16);
    must(found >= 4 && segments[1].state == STELE_SEGMENT_BROKEN && segments[1].sequence == 1);
    must(strstr(segments[1].name, ".stele.broken") != NULL);
    succeeds(stele_close(log));
}

static void segments_are_listed_with_their_state(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    const struct stele_options options = log_options(0);
    struct stele *log = log_open_with(dir->log, &options);
    struct stele_segment_stat all[32];
    long found = stele_stat_segments(log, all, 32);
    must(found > (long)SEALED && found <= 32);
    uint64_t records = 0, file_bytes_sum = 0, disk_bytes_sum = 0;
    for (long i = 0; i < found; i++) {
        must(all[i].sequence == (uint64_t)i && all[i].base_lsn == (uint64_t)i * SEGMENT_SMALL);
        must(strcmp(all[i].name, segment_name((uint64_t)i, SEGMENT_SMALL)) == 0);
        must(all[i].file_bytes == stele__segment_file_bytes(SEGMENT_SMALL) &&
             all[i].incarnation >= (uint32_t)i + 1);
        enum stele_segment_state wanted = (uint64_t)i < SEALED    ? STELE_SEGMENT_SEALED
                                          : (uint64_t)i == SEALED ? STELE_SEGMENT_ACTIVE
                                                                  : STELE_SEGMENT_SPARE;
        must(all[i].state == wanted);
        must((all[i].records > 0) == (wanted == STELE_SEGMENT_SEALED));
        must((all[i].last_time_ns >= all[i].first_time_ns) &&
             (all[i].first_time_ns > 0) == (wanted == STELE_SEGMENT_SEALED));
        records += all[i].records;
        file_bytes_sum += all[i].file_bytes;
        disk_bytes_sum += all[i].disk_bytes;
    }
    must(records < count && records + EXTRA + 10 > count);
    struct stele_segment_stat two[2];
    must(stele_stat_segments(log, two, 2) >= (long)SEALED + 1); /* how many there are, not how many fit */
    must(memcmp(two, all, sizeof two) == 0);
    must(stele_stat_segments(log, NULL, 0) >= (long)SEALED + 1);
    returns(STELE_EINVAL, (int)stele_stat_segments(log, NULL, 1));
    struct stele_stat stat = stat_of(log);
    must(stat.segments >= (uint64_t)found && stat.file_bytes >= file_bytes_sum &&
         stat.disk_bytes >= disk_bytes_sum);
    must(stat.file_bytes == stat.segments * stele__segment_file_bytes(SEGMENT_SMALL));
    struct stele *reader = log_open(dir->log, STELE_READ_ONLY);
    struct stele_segment_stat again[32];
    must(stele_stat_segments(reader, again, 32) >= found);
    must(memcmp(again, all, (SEALED + 1) * sizeof all[0]) == 0);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

static void pins_of_anybody_are_seen(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct stele *log = log_open(dir->log, 0), *reader = log_open(dir->log, STELE_READ_ONLY);
    must(stat_of(log).pins == 0 && stat_of(log).pinned_lsn == STELE_LSN_NONE);
    struct stele_pin *pins[4];
    succeeds(stele_pin(log, 2 * SEGMENT_SMALL + 64, &pins[0]));
    must(stat_of(log).pins == 1 && stat_of(log).pinned_lsn == 2 * SEGMENT_SMALL);
    succeeds(stele_pin(reader, 2 * SEGMENT_SMALL, &pins[1])); /* the same segment once more */
    must(stat_of(log).pins == 1);
    succeeds(stele_pin(reader, SEGMENT_SMALL, &pins[2]));
    succeeds(stele_pin(log, SEALED * SEGMENT_SMALL, &pins[3]));
    struct stele_stat stat = stat_of(reader);
    must(stat.pins == 3 && stat.pinned_lsn == SEGMENT_SMALL);
    stele_unpin(pins[2]);
    must(stat_of(log).pins == 2 && stat_of(log).pinned_lsn == 2 * SEGMENT_SMALL);
    stele_unpin(pins[0]);
    stele_unpin(pins[1]);
    stele_unpin(pins[3]);
    must(stat_of(reader).pins == 0);
    struct stele_cursor *cursor;
    struct stele_record record;
    succeeds(stele_cursor_open(reader, 0, STELE_FROM_BEGIN, 0, &cursor));
    returns(1, stele_cursor_next(cursor, &record));
    must(stat_of(log).pins == 1 && stat_of(log).pinned_lsn == 0);
    stele_cursor_close(cursor);
    succeeds(stele_close(reader));
    succeeds(stele_close(log));
}

static void the_writer_is_named(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct stele_stat stat = stat_read_only(dir->log);
    must(stat.writer_alive == 0 && stat.writer_pid == -1 && stat.writer_start_ns == 0);
    struct stele *log = log_open(dir->log, 0);
    stat = stat_read_only(dir->log);
    must(stat.writer_alive == 1 && stat.writer_pid == getpid() && stat.writer_start_ns > stat.created_ns);
    must(stat_of(log).writer_pid == getpid() && stat_of(log).writer_alive == 1);
    const struct stele_options options = log_options(0);
    struct stele *second;
    returns(STELE_ELOCKED, stele_open(dir->log, &options, &second));
    char text[64];
    (void)snprintf(text, sizeof text, "process %ld", (long)getpid());
    error_says(text);
    succeeds(stele_close(log));
    must(stat_read_only(dir->log).writer_alive == 0);
    /* Whatever stands in the file while somebody holds the lock: no name is better than a wrong one. */
    int fd = open(log_file(dir, "lock"), O_RDWR | O_CLOEXEC);
    struct stele__owner owner;
    int dirfd = open(dir->log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0 && dirfd >= 0 && stele__owner_lock(fd) == 0);
    must(stele__owner_read(dirfd, &owner) == 1 && owner.pid == getpid() && owner.command[0] != '\0');
    static const char *const texts[] = {"", "pid", "pid x", "pid 0 start_ns 1 comm x\n",
                                        "pid -5 start_ns 1 comm x\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        file_zero(log_file(dir, "lock"), 0, 128);
        file_write(log_file(dir, "lock"), 0, texts[i], strlen(texts[i]));
        must(stele__owner_read(dirfd, &owner) == 1 && owner.pid == -1 && owner.start_ns == 0);
        returns(STELE_ELOCKED, stele__owner_refuse(dirfd, dir->log));
    }
    must(close(fd) == 0);
    must(stele__owner_read(dirfd, &owner) == 0 && owner.pid == -1);
    must(close(dirfd) == 0);
}

static void durability_in_force_is_told_with_its_reason(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct stele *log = log_open(dir->log, 0);
    struct stele_stat stat = stat_of(log), reader = stat_read_only(dir->log);
    must(stat.durability == STELE_DURABILITY_NONE && strcmp(stat.durability_name, "none") == 0);
    must(strncmp(stat.durability_reason, "none: ", 6) == 0);
    must(reader.durability == STELE_DURABILITY_NONE && strcmp(reader.durability_name, "none") == 0);
    succeeds(stele_close(log));
    struct stele_options options = log_options(0);
    options.durability = STELE_DURABILITY_MSYNC;
    log = log_open_with(dir->log, &options);
    stat = stat_of(log);
    must(stat.durability == STELE_DURABILITY_MSYNC && strcmp(stat.durability_name, "msync") == 0);
    succeeds(stele_close(log));
    reader = stat_read_only(dir->log);
    must(reader.durability == STELE_DURABILITY_MSYNC || reader.durability == STELE_DURABILITY_PMEM);
    must(reader.durability_reason[0] != '\0');
}

static void metadata_is_that_of_the_newest_segment(void **state)
{
    struct dir *dir = *state;
    struct stele_options options = log_options(STELE_CREATE);
    uint8_t metadata[STELE_METADATA_MAX];
    memset(metadata, 0xc3, sizeof metadata);
    options.metadata = metadata;
    options.metadata_bytes = sizeof metadata;
    struct stele *log = log_open_with(dir->log, &options);
    struct stele_stat stat = stat_of(log);
    must(stat.metadata_bytes == sizeof metadata && memcmp(stat.metadata, metadata, sizeof metadata) == 0);
    succeeds(stele_close(log));
    options = log_options(0);
    options.metadata = "newer";
    options.metadata_bytes = 5;
    log = log_open_with(dir->log, &options);
    append_until_segment(log, 0, 8); /* past every segment prepared before */
    stat = stat_of(log);
    must(stat.metadata_bytes == 5 && memcmp(stat.metadata, "newer", 5) == 0);
    succeeds(stele_close(log));
    must(stat_read_only(dir->log).metadata_bytes == 5);
    must(stat_read_only(dir->log).metadata[5] == 0);
}

static void structs_of_other_sizes_are_understood(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir);
    struct stele *log = log_open(dir->log, STELE_READ_ONLY);
    struct stele_stat small;
    memset(&small, 0x44, sizeof small);
    small.size = offsetof(struct stele_stat, segment_bytes);
    succeeds(stele_stat(log, &small));
    must(small.records == count && small.segment_bytes == UINT64_C(0x4444444444444444));
    must(small.size == offsetof(struct stele_stat, segment_bytes));
    struct {
        struct stele_stat known;
        uint64_t newer;
    } big = {.known = {.size = sizeof big}, .newer = 3};
    succeeds(stele_stat(log, &big.known));
    must(big.known.records == count && big.newer == 0);
    small.size = 0;
    returns(STELE_EINVAL, stele_stat(log, &small));
    returns(STELE_EINVAL, stele_stat(log, NULL));
    succeeds(stele_close(log));
}

struct appender {
    struct stele *log;
    uint64_t count;
};

static void *append_and_sync(void *argument)
{
    struct appender *appender = argument;
    for (uint64_t i = 0; i < appender->count; i++)
        succeeds(stele_sync(appender->log, append_numbered(appender->log, i)));
    return NULL;
}

/* Asking takes its turn among those who commit, never more: nobody waits for ever, and the points are in
 * order. */
static void asking_a_busy_writer_gives_points_in_order(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    struct appender appenders[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        appenders[i] = (struct appender){.log = log, .count = scaled(2000)};
        must(pthread_create(&threads[i], NULL, append_and_sync, &appenders[i]) == 0);
    }
    struct stele_stat last = {0};
    for (uint64_t i = 0; i < scaled(200); i++) {
        struct stele_stat stat = stat_of(log);
        must(stat.durable_lsn <= stat.published_lsn && stat.published_lsn <= stele_tail(log));
        must(stat.records >= last.records && stat.published_lsn >= last.published_lsn);
        last = stat;
    }
    for (int i = 0; i < 3; i++)
        must(pthread_join(threads[i], NULL) == 0);
    must(stat_of(log).records == 3 * scaled(2000));
    succeeds(stele_close(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_writer_and_a_reader_count_alike),
        LAW(records_nobody_has_synced_are_counted),
        LAW(trimmed_records_are_counted_no_more),
        LAW(quarantined_records_are_counted_no_more),
        LAW(segments_are_listed_with_their_state),
        LAW(pins_of_anybody_are_seen),
        LAW(the_writer_is_named),
        LAW(durability_in_force_is_told_with_its_reason),
        LAW(metadata_is_that_of_the_newest_segment),
        LAW(structs_of_other_sizes_are_understood),
        LAW(asking_a_busy_writer_gives_points_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
