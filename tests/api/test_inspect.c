/* SPDX-License-Identifier: BSD-3-Clause */
/* test_inspect.c: everything that stands in a log's files is shown, in order, and nothing in them,
 * whatever it is, ends the show with more than an item that says so. */
#include "test_admin.h"

#include "base/bits.h"
#include "base/crc32c.h"

struct seen {
    uint64_t count[8], records, headers_whole, bytes;
    stele_lsn next; /* items of one segment follow each other without a gap */
    uint64_t last_sequence;
    const char *invalid;
    uint64_t invalid_offset;
    uint64_t stop_after;
    const char *only; /* all items are of this segment */
    uint64_t mark_number;
    bool numbered; /* records are numbered from 0 on */
};

static uint64_t occupied(const struct stele_item *item)
{
    if (item->wire_type == 8)
        return 8;
    return 16 + stele__align_up(item->len, 8);
}

static void see_log_item(struct seen *seen, const struct stele_item *item)
{
    must(item->lsn == seen->next);
    must(item->offset == 4096 + item->lsn % SEGMENT_SMALL);
    seen->next += occupied(item);
    seen->bytes += occupied(item);
    if (item->kind == STELE_ITEM_RECORD) {
        const struct stele_record record = {.data = item->data, .len = item->len, .type = item->type};
        must(!seen->numbered || is_numbered(seen->records, &record));
        seen->records++;
    }
    if (item->kind == STELE_ITEM_MARK) {
        must(item->upto_lsn <= item->lsn && item->durable_lsn <= item->lsn && item->time_ns > 0 &&
             item->chain != 0);
        must(item->record_number >= seen->mark_number);
        seen->mark_number = item->record_number;
    }
}

static int see(void *ctx, const struct stele_item *item)
{
    struct seen *seen = ctx;
    must(item->kind >= STELE_ITEM_HEADER && item->kind <= STELE_ITEM_FOOTER && item->segment != NULL);
    must(seen->only == NULL || strcmp(seen->only, item->segment) == 0);
    seen->count[item->kind]++;
    switch (item->kind) {
    case STELE_ITEM_HEADER:
        must(item->offset == 0 && item->lsn == item->sequence * SEGMENT_SMALL && item->created_ns > 0);
        must(item->sequence >= seen->last_sequence && item->incarnation > 0);
        seen->last_sequence = item->sequence;
        seen->next = item->lsn;
        seen->headers_whole += item->valid_copies == 3 ? 1 : 0;
        break;
    case STELE_ITEM_RECORD:
    case STELE_ITEM_PAD:
    case STELE_ITEM_MARK:
    case STELE_ITEM_RESERVED: see_log_item(seen, item); break;
    case STELE_ITEM_INVALID:
        must(item->detail != NULL && item->detail[0] != '\0');
        seen->invalid = item->detail;
        seen->invalid_offset = item->offset;
        break;
    case STELE_ITEM_FOOTER:
        must(item->lsn == (item->sequence + 1) * SEGMENT_SMALL && item->records > 0 &&
             item->index_entries > 0);
        must(item->data_hash != 0 && item->detail == NULL);
        break;
    }
    return seen->stop_after != 0 && --seen->stop_after == 0 ? 77 : 0;
}

static struct seen inspect(const char *path, int code)
{
    struct seen seen = {0};
    returns(code, stele_inspect(path, see, &seen));
    return seen;
}

static void a_log_is_shown_completely_and_in_order(void **state)
{
    struct dir *dir = *state;
    uint64_t count = make_log(dir), before = dir_digest(dir->log);
    struct seen seen = {.numbered = true};
    succeeds(stele_inspect(dir->log, see, &seen));
    must(dir_digest(dir->log) == before);
    must(seen.records == count && seen.count[STELE_ITEM_RECORD] == count);
    must(seen.bytes == verify_log(dir->log, NULL).end_lsn); /* every byte of the log is accounted for */
    must(seen.count[STELE_ITEM_HEADER] == dir_count_ending(dir->log, ".stele"));
    must(seen.headers_whole == seen.count[STELE_ITEM_HEADER]);
    must(seen.count[STELE_ITEM_FOOTER] == SEALED && seen.count[STELE_ITEM_INVALID] == 0);
    must(seen.count[STELE_ITEM_MARK] > SEALED && seen.count[STELE_ITEM_PAD] > 0);
    must(seen.count[STELE_ITEM_RESERVED] == 0);
}

static void one_segment_is_shown_by_its_path(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    char name[64];
    (void)snprintf(name, sizeof name, "%s", segment_name(1, SEGMENT_SMALL));
    struct seen seen = {.only = name};
    succeeds(stele_inspect(segment(dir, 1), see, &seen));
    must(seen.count[STELE_ITEM_HEADER] == 1 && seen.count[STELE_ITEM_FOOTER] == 1 &&
         seen.bytes == SEGMENT_SMALL);
    /* Under any name, and quarantined. */
    put(segment(dir, 1), dir_file(dir, "found-somewhere"));
    must(inspect(dir_file(dir, "found-somewhere"), 0).bytes == SEGMENT_SMALL);
    char broken[512];
    (void)snprintf(broken, sizeof broken, "%s.broken", segment(dir, 1));
    must(rename(segment(dir, 1), broken) == 0);
    must(inspect(broken, 0).bytes == SEGMENT_SMALL);
    seen = inspect(dir->log, 0);
    must(seen.count[STELE_ITEM_FOOTER] == SEALED - 1);
}

static void a_callback_ends_the_show(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    for (uint64_t after = 1; after < 60; after++) {
        struct seen seen = {.stop_after = after};
        returns(77, stele_inspect(dir->log, see, &seen));
        must(seen.stop_after == 0);
    }
}

static void slots_that_are_not_published_are_shown_as_such(void **state)
{
    struct dir *dir = *state;
    struct stele *log = log_open(dir->log, STELE_CREATE);
    append_range(log, 0, 10);
    struct stele_slot slot;
    succeeds(stele_reserve(log, 0, 100, &slot));
    append_range(log, 10, 20);
    struct seen seen = inspect(dir->log, 0);
    must(seen.count[STELE_ITEM_RESERVED] == 1 && seen.records == 20); /* what stands behind it is found */
    succeeds(stele_publish(log, &slot, 100));
    seen = inspect(dir->log, 0);
    must(seen.count[STELE_ITEM_RESERVED] == 0 && seen.records == 21);
    succeeds(stele_close(log));
}

static void damage_is_shown_where_it_stands(void **state)
{
    struct dir *dir = *state;
    for (uint64_t sequence = 0; sequence <= SEALED; sequence++) {
        make_log(dir);
        stele_lsn lsn;
        number_at(dir->log, sequence * SEGMENT_SMALL + 1000, &lsn);
        damage_record(dir, lsn);
        struct seen seen = inspect(segment(dir, sequence), 0);
        must(seen.count[STELE_ITEM_INVALID] == 1 && seen.invalid_offset == offset_of(lsn));
        must(strcmp(seen.invalid, "checksum differs") == 0 && seen.next == lsn);
        must(seen.count[STELE_ITEM_FOOTER] ==
             (sequence < SEALED ? 1 : 0)); /* the seal is shown all the same */
        seen = inspect(dir->log, 0);
        must(seen.count[STELE_ITEM_HEADER] == dir_count_ending(dir->log, ".stele"));
        dir_empty(dir->log);
    }
}

static void copies_that_are_damaged_are_counted(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    file_flip(segment(dir, 1), 60, 0);
    struct seen seen = inspect(dir->log, 0);
    must(seen.headers_whole == seen.count[STELE_ITEM_HEADER] - 1);
    file_flip(segment(dir, 1), stele__segment_file_bytes(SEGMENT_SMALL) - 8192 + 9, 0);
    file_flip(segment(dir, 1), stele__segment_file_bytes(SEGMENT_SMALL) - 4096 + 9, 0);
    seen = inspect(dir->log, 0);
    must(seen.count[STELE_ITEM_FOOTER] == SEALED - 1 && seen.count[STELE_ITEM_INVALID] == 1);
    must(seen.invalid_offset == stele__segment_file_bytes(SEGMENT_SMALL) - 8192);
}

static void a_header_that_cannot_be_read_hides_only_its_own_segment(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    struct seen whole = inspect(dir->log, 0);
    file_zero(segment(dir, 1), 0, 4096);
    struct seen seen = inspect(dir->log, STELE_ECORRUPT);
    error_says(segment_name(1, SEGMENT_SMALL));
    must(seen.count[STELE_ITEM_HEADER] == whole.count[STELE_ITEM_HEADER] - 1);
    must(seen.count[STELE_ITEM_INVALID] == 1 && seen.invalid_offset == 0);
    inspect(segment(dir, 1), STELE_ECORRUPT);
    uint8_t copy[2048];
    file_read(segment(dir, 2), 0, copy, sizeof copy);
    stele__store16(copy + 8, STELE_FORMAT_VERSION + 1);
    uint32_t crc = stele__crc32c(0, copy, 124);
    stele__store32(copy + 124, stele__crc32c(crc, copy + 128, stele__load32(copy + 84)));
    file_write(segment(dir, 2), 0, copy, sizeof copy);
    inspect(dir->log, STELE_EVERSION);
    error_says(segment_name(2, SEGMENT_SMALL));
}

/* At every length: never beyond the end of the file, never a signal. */
static void a_file_of_any_length_is_survived(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    put(segment(dir, 1), dir_file(dir, "whole"));
    for (uint64_t size = stele__segment_file_bytes(SEGMENT_SMALL); size > 0; size -= size > 4200 ? 331 : 37) {
        put(dir_file(dir, "whole"), segment(dir, 1));
        must(truncate(segment(dir, 1), (off_t)size) == 0);
        struct seen seen = inspect(dir->log, size >= 4096 ? 0 : STELE_ECORRUPT);
        must(seen.count[STELE_ITEM_FOOTER] >= SEALED - 1 && seen.count[STELE_ITEM_INVALID] <= 2);
        must(size == stele__segment_file_bytes(SEGMENT_SMALL) || seen.count[STELE_ITEM_INVALID] > 0);
        if (size < 37)
            break;
    }
}

static void any_bytes_are_survived(void **state)
{
    struct dir *dir = *state;
    make_log(dir);
    uint64_t dice = 1;
    for (uint64_t i = 0; i < scaled(3000); i++) {
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t at = (dice >> 20) % (stele__segment_file_bytes(SEGMENT_SMALL) - 8);
        uint64_t was;
        file_read(segment(dir, 1), at, &was, sizeof was);
        file_write(segment(dir, 1), at, &dice, sizeof dice);
        struct seen seen = {0};
        int rc = stele_inspect(segment(dir, 1), see, &seen);
        must(rc == 0 || rc == STELE_ECORRUPT);
        file_write(segment(dir, 1), at, &was, sizeof was);
    }
    inspect(dir->log, 0);
}

static void what_is_no_log_is_called_that(void **state)
{
    struct dir *dir = *state;
    inspect(dir->log, STELE_ENOENT);
    inspect(dir->path, STELE_ENOTLOG);
    file_make(dir_file(dir, "text"), "just text");
    inspect(dir_file(dir, "text"), STELE_ENOTLOG);
    struct seen seen = {0};
    returns(STELE_EINVAL, stele_inspect("", see, &seen));
    returns(STELE_EINVAL, stele_inspect(NULL, see, &seen));
    returns(STELE_EINVAL, stele_inspect(dir->path, NULL, NULL));
    char big[8192];
    memset(big, 'x', sizeof big);
    file_write(dir_file(dir, "text"), 0, big, sizeof big);
    inspect(dir_file(dir, "text"), STELE_ENOTLOG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_log_is_shown_completely_and_in_order),
        LAW(one_segment_is_shown_by_its_path),
        LAW(a_callback_ends_the_show),
        LAW(slots_that_are_not_published_are_shown_as_such),
        LAW(damage_is_shown_where_it_stands),
        LAW(copies_that_are_damaged_are_counted),
        LAW(a_header_that_cannot_be_read_hides_only_its_own_segment),
        LAW(a_file_of_any_length_is_survived),
        LAW(any_bytes_are_survived),
        LAW(what_is_no_log_is_called_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
