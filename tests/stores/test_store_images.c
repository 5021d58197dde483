/* SPDX-License-Identifier: BSD-3-Clause */
/* Store images: several appenders, syncers and a trimmer on one log, with the library's own helper thread,
 * interleaved at single loads and stores by a schedule that follows from the seed (lib/sim_thread.h). The
 * power fails at single stores, in the middle of copies, marks, headers and footers; the real stele_open()
 * recovers what may then be found:
 *
 *   - every record below the durable point is there, byte for byte, at its position;
 *   - nothing is there that nobody appended, none is there twice, and what stands there is unbroken;
 *   - no crash is called corruption, and no interleaving leaves a thread asleep for ever.
 *
 * The environment sets how many: sim_budget.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/open.h"
#include "lib/sim_cut.h"
#include "lib/sim_interpose.h"
#include "lib/sim_run.h"
#include "lib/sim_thread.h"
#include "lib/sim_truth.h"

#define IMAGES UINT64_C(50000)
#define APPENDERS 3u
#define OPERATIONS 16u /* of an appender */
#define RECORDS (APPENDERS * OPERATIONS * 4u)
#define STORE_ONE_IN 160u
#define WRITE_BACK_ONE_IN 4000u
#define SWITCH_ONE_IN 24u

enum state { UNDER_WAY, DONE, GIVEN_UP };

/* What an appender has handed to the library. */
struct deed {
    stele_lsn lsn; /* STELE_LSN_NONE: the call has not returned yet */
    uint32_t len, at;
    uint8_t type;
    enum state state;
    bool seen; /* in the image that is judged */
};

struct trial {
    struct sim sim, found;
    struct sim_run *run;
    struct stele *log;
    struct stele_options options;
    struct deed deeds[RECORDS];
    uint32_t deed_count;
    stele_lsn first, first_limit;
    uint64_t seed, stores;
    struct sim_rand dice;
    struct sim_list kept;
    char why[300];
};

enum count { IMAGE, STORES, SWITCHES, LOGS, ROLLS, TRIMS, KEPT };

struct appender {
    struct trial *trial;
    uint32_t number;
};

__attribute__((format(printf, 2, 3))) static void check(struct trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    sim_run_violation(t->run, "a power cut at a store broke the law", t->why);
}

static struct deed *new_deed(struct trial *t, struct sim_rand *rand, unsigned type)
{
    static const uint32_t below[] = {40, 400, 4000, 16000};
    struct deed *deed = &t->deeds[t->deed_count++];
    sim__check(t->deed_count <= RECORDS, "few records");
    uint32_t len = (uint32_t)sim_rand_below(rand, below[sim_rand_below(rand, 4)]), at;
    (void)sim_payload(rand, len, &at);
    *deed = (struct deed){.lsn = STELE_LSN_NONE, .len = len, .at = at, .type = (uint8_t)type};
    return deed;
}

/* Which of them a shown record is. */
static struct deed *match(struct trial *t, const struct stele_record *record)
{
    for (uint32_t i = 0; i < t->deed_count; i++) {
        struct deed *deed = &t->deeds[i];
        if (!deed->seen && deed->state != GIVEN_UP && deed->type == record->type &&
            deed->len == record->len &&
            (deed->lsn == record->lsn || (deed->lsn == STELE_LSN_NONE && deed->state == UNDER_WAY)) &&
            memcmp(sim_payload_at(deed->at), record->data, record->len) == 0)
            return deed;
    }
    return NULL;
}

static void judge(struct trial *t, struct stele *log, stele_lsn acked)
{
    struct stele_cursor *cursor;
    struct stele_record record;
    stele_lsn first = stele_first(log), last = 0;
    if (first < t->first || first > t->first_limit)
        check(t, "the log begins at lsn %" PRIu64 ", not from %" PRIu64 " to %" PRIu64, first, t->first,
              t->first_limit);
    for (uint32_t i = 0; i < t->deed_count; i++)
        t->deeds[i].seen = false;
    int rc = stele_cursor_open(log, 0, STELE_FROM_BEGIN, 0, &cursor);
    while (rc == 0 && (rc = stele_cursor_next(cursor, &record)) == 1) {
        struct deed *deed = match(t, &record);
        if (deed == NULL)
            check(t,
                  "nobody appended the record at lsn %" PRIu64 " (%zu bytes, type %u), or it is there twice",
                  record.lsn, record.len, record.type);
        else
            deed->seen = true;
        last = record.lsn;
        rc = 0;
    }
    if (rc != 0)
        check(t, "reading ends with %s: %s", stele_strerror(rc), stele_last_error());
    stele_cursor_close(cursor);
    for (uint32_t i = 0; i < t->deed_count; i++) {
        const struct deed *deed = &t->deeds[i];
        if (deed->seen || deed->state != DONE || deed->lsn < first)
            continue;
        if (deed->lsn < acked)
            check(t,
                  "the record at lsn %" PRIu64 " is missing; everything before lsn %" PRIu64
                  " was acknowledged",
                  deed->lsn, acked);
        if (deed->lsn < last)
            check(t, "the record at lsn %" PRIu64 " is missing, one at lsn %" PRIu64 " is shown", deed->lsn,
                  last);
    }
}

static void recover(struct trial *t, stele_lsn acked)
{
    struct stele__media media;
    struct stele_options options = t->options;
    struct stele *log;
    sim_media(&t->found, &media);
    const struct stele__seams seams = {.media = &media, .no_helper = true};
    options.flags |= STELE_CREATE;
    int rc = stele__open_with(t->found.dir, &options, &seams, &log);
    if (rc != 0)
        check(t, "the log does not open: %s", stele_last_error());
    judge(t, log, acked);
    stele__log_free(log);
}

/* The power fails before this store. */
static void at_store(void *ctx, const void *address)
{
    struct trial *t = ctx;
    struct sim_file *file;
    t->run->count[STORES]++;
    if (sim_rand_one_in(&t->dice, WRITE_BACK_ONE_IN))
        sim_write_back(&t->sim, &t->dice);
    if (sim_run_done(t->run) || !sim_rand_one_in(&t->dice, STORE_ONE_IN))
        return;
    struct sim_rand rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 44), t->run->in_step);
    if (!sim_run_image(t->run))
        return;
    struct sim_cut cut = {.grain = sim_cut_grain(t->sim.model, &rand)};
    cut.units = sim_undecided(&t->sim, cut.grain);
    sim_cut_draw(&cut, &t->sim, &rand);
    sim_cut_settle(&cut, &t->sim, &rand, t->run, 0, &t->kept);
    t->run->count[KEPT] += cut.listed;
    if (t->run->narrate) {
        (void)sim__of_address(address, &file);
        fprintf(stderr, "  before a store at offset %td of %s\n", (const uint8_t *)address - file->live,
                file->name);
        sim_cut_tell(t->run, &t->sim, &cut, false);
    }
    const stele_lsn acked = t->log != NULL ? stele_durable(t->log) : 0;
    sim_crash(&t->sim, &t->found, &cut, &rand);
    recover(t, acked);
}

static void must(struct trial *t, const char *what, long rc)
{
    if (rc < 0)
        check(t, "%s: %s", what, stele_last_error());
}

static void append_batch(struct trial *t, struct sim_rand *rand)
{
    struct stele_entry entries[3];
    struct deed *deeds[3];
    const size_t count = 1 + (size_t)sim_rand_below(rand, 3);
    for (size_t i = 0; i < count; i++) {
        deeds[i] = new_deed(t, rand, (unsigned)i);
        entries[i] = (struct stele_entry){
            .data = sim_payload_at(deeds[i]->at), .len = deeds[i]->len, .type = deeds[i]->type};
    }
    must(t, "stele_append_batch", stele_append_batch(t->log, entries, count));
    for (size_t i = 0; i < count; i++) {
        deeds[i]->lsn = entries[i].lsn;
        deeds[i]->state = DONE;
    }
}

static void fill_slot(struct trial *t, struct sim_rand *rand)
{
    struct stele_slot slot;
    struct deed *deed = new_deed(t, rand, 7);
    const bool publish = !sim_rand_one_in(rand, 6);
    must(t, "stele_reserve", stele_reserve(t->log, 7, deed->len, &slot));
    if (deed->len > 0)
        (void)sim_thread_memcpy(slot.data, sim_payload_at(deed->at), deed->len);
    sim_thread_pause();
    const stele_lsn lsn = slot.lsn;
    if (!publish)
        deed->state = GIVEN_UP;
    must(t, "publish or abandon",
         publish ? stele_publish(t->log, &slot, deed->len) : stele_abandon(t->log, &slot));
    deed->lsn = lsn;
    deed->state = publish ? DONE : GIVEN_UP;
}

static void trim(struct trial *t, struct sim_rand *rand)
{
    stele_lsn lsn = sim_rand_below(rand, stele_durable(t->log) + 1), first;
    stele_lsn limit = lsn & ~(STELE_SEGMENT_BYTES_MIN - 1);
    t->first_limit = limit > t->first_limit ? limit : t->first_limit;
    long rc = stele_trim(t->log, lsn, &first);
    must(t, "stele_trim", rc);
    t->first = first > t->first ? first : t->first;
    t->run->count[TRIMS] += rc > 0 ? 1 : 0;
}

static void *append_some(void *argument)
{
    static const char *const words[] = {"append a batch", "reserve, fill, publish or abandon", "sync all",
                                        "sync_begin", "trim (the first one only)"};
    const struct appender *self = argument;
    struct trial *t = self->trial;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        struct sim_rand rand = sim_rand_of(t->seed ^ (UINT64_C(1) << 45), self->number * OPERATIONS + i);
        if (!sim_run_has(t->run, 0, SIM_PART_STEP, self->number * OPERATIONS + i))
            continue;
        struct deed *deed;
        const uint64_t kind = sim_rand_below(&rand, 8);
        sim_run_tell(t->run, "      appender %" PRIu32 ": %s", self->number,
                     kind < 5 ? words[kind] : "append");
        switch (kind) {
        case 0: append_batch(t, &rand); break;
        case 1: fill_slot(t, &rand); break;
        case 2: must(t, "stele_sync", stele_sync(t->log, STELE_LSN_ALL)); break;
        case 3: must(t, "stele_sync_begin", stele_sync_begin(t->log)); break;
        case 4:
            if (self->number == 0)
                trim(t, &rand);
            break;
        default:
            deed = new_deed(t, &rand, 0);
            must(t, "stele_append", stele_append(t->log, sim_payload_at(deed->at), deed->len, &deed->lsn));
            deed->state = DONE;
            if (sim_rand_one_in(&rand, 3))
                must(t, "stele_sync", stele_sync(t->log, deed->lsn));
        }
    }
    return NULL;
}

static void *live(void *argument)
{
    static struct appender appenders[APPENDERS];
    struct trial *t = argument;
    pthread_t threads[APPENDERS];
    struct stele__media media;
    sim_media(&t->sim, &media);
    const struct stele__seams seams = {.media = &media};
    struct stele *log;
    must(t, "stele_open", stele__open_with(t->sim.dir, &t->options, &seams, &log));
    t->log = log;
    for (uint32_t i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){t, i};
        threads[i] = sim_thread_start(append_some, &appenders[i]);
    }
    for (uint32_t i = 0; i < APPENDERS; i++)
        (void)sim_thread_join(threads[i], NULL);
    t->run->count[ROLLS] += stele_tail(log) / STELE_SEGMENT_BYTES_MIN;
    t->log = NULL;
    must(t, "stele_close", stele_close(log));
    return NULL;
}

static void one_log(void *ctx, uint64_t seed)
{
    struct trial *t = ctx;
    t->seed = seed;
    t->dice = sim_rand_of(seed, 5);
    sim_sys_begin(seed);
    sim_reset(&t->sim);
    t->sim.model = sim_rand_one_in(&t->dice, 2) ? SIM_PMEM : SIM_BLOCK;
    t->sim.narrate = t->found.narrate = t->run->narrate;
    t->options = (struct stele_options)STELE_OPTIONS_INIT;
    t->options.flags = STELE_CREATE;
    t->options.segment_bytes = STELE_SEGMENT_BYTES_MIN;
    t->options.spare_segments = 1;
    t->options.mark_bytes = UINT64_C(1024) << sim_rand_below(&t->dice, 6);
    t->deed_count = 0;
    t->first = t->first_limit = 0;
    t->log = NULL;
    const struct sim_schedule schedule = {.seed = seed,
                                          .switch_one_in =
                                              1 + (uint32_t)sim_rand_below(&t->dice, SWITCH_ONE_IN),
                                          .store = at_store,
                                          .ctx = t};
    sim_threads_begin(&schedule);
    (void)sim_thread_start(live, t);
    const char *stuck = sim_threads_run();
    if (stuck != NULL)
        sim_run_violation(t->run, "a thread waits for ever", stuck);
    t->run->count[SWITCHES] += sim_threads_switches();
    t->run->count[LOGS]++;
}

static void *begin(struct sim_run *run)
{
    struct trial *t = calloc(1, sizeof *t);
    sim__check(t != NULL, "memory for a campaign");
    t->run = run;
    sim_sys_all_clocks();
    sim_open(&t->sim, 1);
    sim_open(&t->found, 2);
    return t;
}

static void end(void *ctx)
{
    struct trial *t = ctx;
    sim_close(&t->sim);
    sim_close(&t->found);
    free(t->kept.at);
    free(t);
}

static void no_power_cut_at_a_store_and_no_interleaving_breaks_the_law(void **state)
{
    const struct sim_campaign campaign = {.program = "stores/test_store_images",
                                          .images = IMAGES,
                                          .begin = begin,
                                          .workload = one_log,
                                          .end = end};
    struct sim_budget budget;
    uint64_t n[SIM_COUNTS];
    (void)state;
    assert_true(sim_run(&campaign, &budget, n));
    double took = sim_budget_took(&budget);
    printf("%" PRIu64 " images, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu32
           " workers (%.1f s, %.0f a second): %" PRIu64 " stores to the medium, %" PRIu64
           " switches between threads, %" PRIu64 " rolls, %" PRIu64 " trims\n",
           n[IMAGE], budget.seed, budget.seed + n[LOGS] - 1, budget.workers, took, (double)n[IMAGE] / took,
           n[STORES], n[SWITCHES], n[ROLLS], n[TRIMS]);
    for (enum count what = STORES; what <= KEPT && budget.complete; what++)
        assert_true(n[what] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_power_cut_at_a_store_and_no_interleaving_breaks_the_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
