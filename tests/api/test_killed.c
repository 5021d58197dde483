/* SPDX-License-Identifier: BSD-3-Clause */
/* test_killed.c: a writer killed with SIGKILL, wherever it was: with a slot reserved and not published, with slots before and
 * behind it published, in the middle of a roll, in a batch. What it had acknowledged is there, what it had not finished is
 * not shown, and the log goes on. */
#include "lib/child.h"
#include "lib/dir.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/control.h"

struct plan {
    char path[300];
    uint64_t before;    /* published, then synced */
    uint64_t published; /* then only published */
    unsigned slots;     /* then reserved, and left open */
    uint64_t behind;    /* then published behind the open slots */
    size_t slot_bytes;
    bool filled; /* the slots' payload was written */
    bool single;
    _Atomic uint64_t acknowledged;
    _Atomic stele_lsn slot_lsn;
};

static void write_and_die(void *ctx)
{
    struct plan *plan = ctx;
    struct stele *log = log_open(plan->path, STELE_CREATE | (plan->single ? STELE_SINGLE_APPENDER : 0));
    append_range(log, 0, plan->before);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    atomic_store(&plan->acknowledged, plan->before);
    append_range(log, plan->before, plan->before + plan->published);
    for (unsigned i = 0; i < plan->slots; i++) {
        struct stele_slot slot;
        succeeds(stele_reserve(log, 7, plan->slot_bytes, &slot));
        if (i == 0)
            atomic_store(&plan->slot_lsn, slot.lsn);
        if (plan->filled)
            memset(slot.data, 0x5a, slot.len);
    }
    uint64_t next = plan->before + plan->published;
    append_range(log, next, next + plan->behind);
    (void)raise(SIGKILL);
}

struct told {
    unsigned torn;
    char text[700];
};

static void note_torn(void *ctx, enum stele_log_level level, const char *text)
{
    struct told *told = ctx;
    if (level == STELE_LOG_WARN && strstr(text, "torn") != NULL) {
        told->torn++;
        (void)snprintf(told->text, sizeof told->text, "%s", text);
    }
}

static void run(const struct dir *dir, struct plan wanted)
{
    struct plan *plan = shared_alloc(sizeof *plan);
    memcpy(plan, &wanted, sizeof *plan);
    (void)snprintf(plan->path, sizeof plan->path, "%s", dir->log);
    child_join_killed(child_start(write_and_die, plan), SIGKILL);
    uint64_t kept = plan->before + plan->published;
    expect_log(dir->log, 0, kept); /* readers first: they change nothing and see the same */

    struct told told = {0};
    struct stele_options options = log_options(0);
    options.log = note_torn;
    options.log_ctx = &told;
    struct stele *log = log_open_with(dir->log, &options);
    expect_range(log, 0, kept);
    must(stele_tail(log) >= atomic_load(&plan->slot_lsn));
    must(told.torn == (plan->slots > 0 ? 1 : 0)); /* and says so, once */
    char where[64];
    (void)snprintf(where, sizeof where, "lsn %llu (%llu whole records",
                   (unsigned long long)atomic_load(&plan->slot_lsn), (unsigned long long)plan->behind);
    must(plan->slots == 0 || strstr(told.text, where) != NULL);
    append_range(log, kept, kept + 30);
    succeeds(stele_close(log));
    expect_log(dir->log, 0, kept + 30);
    struct stele_verify_result result = {.size = sizeof result};
    succeeds(stele_verify(dir->log, NULL, &result));
    must(result.verdict == STELE_CLEAN && result.problems == 0 && result.records == kept + 30);
    dir_empty(dir->log);
    shared_free(plan, sizeof *plan);
}

static void published_records_survive_the_process(void **state)
{
    run(*state, (struct plan){.before = 0, .published = 0});
    run(*state, (struct plan){.before = 10, .published = 0});
    run(*state, (struct plan){.before = 0, .published = 10});
    run(*state, (struct plan){.before = 10, .published = 2000}); /* over several segments */
    run(*state, (struct plan){.before = 2000, .published = 1, .single = true});
}

static void an_open_slot_and_what_follows_it_is_cut(void **state)
{
    static const size_t sizes[] = {0, 1, 8, 55, 56, 57, 1000, SEGMENT_SMALL / 4 - 16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned slots = 1; slots <= 2; slots++) {
            run(*state, (struct plan){.before = 5, .slots = slots, .slot_bytes = sizes[i]});
            run(*state,
                (struct plan){
                    .before = 5, .published = 3, .slots = slots, .slot_bytes = sizes[i], .filled = true});
            run(*state, (struct plan){.slots = slots, .slot_bytes = sizes[i], .behind = 4});
            run(*state,
                (struct plan){
                    .before = 3, .slots = slots, .slot_bytes = sizes[i], .behind = 40, .filled = true});
        }
    }
}

/* Records behind the open slot in this segment and the next ones: all of them go, in all segments. */
static void an_open_slot_with_records_in_later_segments_behind_it_is_cut(void **state)
{
    run(*state, (struct plan){.before = 20, .published = 5, .slots = 1, .slot_bytes = 100, .behind = 600});
    run(*state, (struct plan){.before = 0, .slots = 1, .slot_bytes = 64, .behind = 1500, .filled = true});
    run(*state, (struct plan){.before = 700, .slots = 3, .slot_bytes = 500, .behind = 300, .single = true});
}

/* ---- killed at no particular place, many times, the log going on each time */

struct campaign {
    char path[300];
    uint64_t from;
    unsigned round;
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t begun;
};

static void append_until_killed(void *ctx)
{
    struct campaign *campaign = ctx;
    struct stele_options options = log_options(0);
    options.flags = campaign->round % 3 == 0 ? STELE_SINGLE_APPENDER : 0;
    options.mark_bytes = UINT64_C(4096) << campaign->round % 5;
    options.durability = campaign->round % 2 == 0 ? STELE_DURABILITY_MSYNC : STELE_DURABILITY_NONE;
    struct stele *log = log_open_with(campaign->path, &options);
    for (uint64_t next = campaign->from;; next++) {
        atomic_store(&campaign->begun, next + 1);
        append_numbered(log, next);
        if (next % (1 + campaign->round % 11) == 0) {
            succeeds(stele_sync(log, STELE_LSN_ALL));
            atomic_store(&campaign->acknowledged, next + 1);
        }
        if (next % 512 == 511)
            must(stele_trim(log, stele_tail(log) / 2, NULL) >= 0);
    }
}

static void a_writer_killed_again_and_again_loses_nothing_acknowledged(void **state)
{
    struct dir *dir = *state;
    struct campaign *campaign = shared_alloc(sizeof *campaign);
    (void)snprintf(campaign->path, sizeof campaign->path, "%s", dir->log);
    succeeds(stele_close(log_open(dir->log, STELE_CREATE)));
    for (uint64_t round = 0; round < scaled(60); round++) {
        campaign->round = (unsigned)round;
        uint64_t enough = atomic_load(&campaign->acknowledged) + 1 + round * 37 % 400;
        pid_t child = child_start(append_until_killed, campaign);
        while (atomic_load(&campaign->acknowledged) < enough)
            (void)usleep(100);
        child_kill(child);
        struct stele *log = log_open(dir->log, 0);
        struct stele_cursor *cursor;
        struct stele_record record;
        succeeds(stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor));
        uint64_t number = UINT64_MAX, begun = atomic_load(&campaign->begun);
        while (stele_cursor_next(cursor, &record) == 1) {
            if (number == UINT64_MAX) /* the first one left by the trims */
                for (number = 0; !is_numbered(number, &record); number++)
                    must(number < begun);
            must(is_numbered(number, &record));
            number++;
        }
        expect_nothing(cursor);
        must(number >= atomic_load(&campaign->acknowledged) && number <= begun);
        campaign->from = number;
        atomic_store(&campaign->acknowledged, number);
        stele_cursor_close(cursor);
        succeeds(stele_close(log));
    }
    shared_free(campaign, sizeof *campaign);
}

/* ---- idle */

struct idler {
    char path[300];
    stele_lsn last;
    uint32_t flags;
    struct gate idle;
};

static stele_lsn durable_by_control(const char *path)
{
    char name[340];
    uint8_t blocks[2 * STELE__CONTROL_PAGE];
    struct stele__control control;
    uint32_t copies;
    (void)snprintf(name, sizeof name, "%s/control", path);
    file_read(name, 0, blocks, sizeof blocks);
    must(stele__control_decode(blocks, &control, &copies) == STELE__DECODE_OK);
    return control.durable;
}

static void append_and_idle(void *ctx)
{
    struct idler *idler = ctx;
    struct stele_options options = log_options(STELE_CREATE | idler->flags);
    options.idle_mark_ns = 1000 * 1000;
    struct stele *log = log_open_with(idler->path, &options);
    append_range(log, 0, 10);
    idler->last = append_numbered(log, 10);
    stele_lsn tail = stele_tail(log);
    succeeds(stele_sync(log, STELE_LSN_ALL));
    while (durable_by_control(idler->path) <= idler->last)
        (void)usleep(200);
    must(idler->flags != 0 || stele_tail(log) > tail); /* a mark; a single appender's tail is its own */
    gate_open(&idler->idle);
    for (;;)
        (void)pause();
}

/* Nothing appended behind it testifies to the last record, and yet damage to it is not taken for a torn write. */
static void an_idle_log_vouches_for_its_last_record(void **state)
{
    struct dir *dir = *state;
    static const uint32_t flags[] = {0, STELE_SINGLE_APPENDER};
    for (int i = 0; i < 2; i++) {
        struct idler *idler = shared_alloc(sizeof *idler);
        (void)snprintf(idler->path, sizeof idler->path, "%s", dir->log);
        idler->flags = flags[i];
        gate_init(&idler->idle);
        pid_t child = child_start(append_and_idle, idler);
        gate_pass(&idler->idle);
        child_kill(child);
        file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + idler->last + 17, 3);
        struct stele *log;
        returns(STELE_ECORRUPT, stele_open(dir->log, NULL, &log));
        error_says("had been durable");
        file_flip(segment_file(dir, 0, SEGMENT_SMALL), STELE__HEADER_BYTES + idler->last + 17, 3);
        expect_log(dir->log, 0, 11);
        dir_empty(dir->log);
        shared_free(idler, sizeof *idler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(published_records_survive_the_process),
        LAW(an_open_slot_and_what_follows_it_is_cut),
        LAW(an_open_slot_with_records_in_later_segments_behind_it_is_cut),
        LAW(an_idle_log_vouches_for_its_last_record),
        LAW(a_writer_killed_again_and_again_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
