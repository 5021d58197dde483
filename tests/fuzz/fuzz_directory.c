/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_directory.c: any directory: a golden log with changes. It is verified and read, and
 * inspected, backed up, opened for writing or repaired, and these must agree with each other:
 *
 *   - what only looks changes nothing, and so does whoever refuses;
 *   - a record shown stands in a file with right checksums, and every reading shows the same;
 *   - what verify calls clean or torn is read to the end, and opens for writing, with all it counted;
 * - a repair does what its dry run said, leaves a clean log, invents nothing, and finds nothing to do again;
 *   - what was appended behind it all is there after the next opening.
 *
 *     log 1 (a golden one, or the small one) | which judge 1 | salt 8 | changes, 16 bytes each */
#include "reading.h"

#include "core/open.h"

#include <unistd.h>

#define CHANGES_MAX 16u
#define HEAD ((size_t)10)   /* bytes of an input before the changes */
#define CHANGE ((size_t)16) /* bytes of one */

/* Verified and read is every input; one more judge keeps an input quick. */
enum judge { READ, LOOK, BACKUP, MEND, CUT, QUARANTINE, WRITE, TRIM, JUDGES };

static struct image image;
static struct stele_verify_result verified; /* of the directory as the input describes it */
static int verify_code;
static struct reading before; /* the same, by a reader */
static uint64_t salt;

static const char *in_scratch(const char *name)
{
    static char paths[8][192];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", fuzz_scratch(), name);
    return path;
}

static bool sound(void)
{
    return verify_code == 0 && verified.verdict != STELE_CORRUPT;
}

static int verify_with(const char *path, uint32_t jobs, struct stele_verify_result *out)
{
    struct stele_verify_options options = {.size = sizeof options, .jobs = jobs};
    *out = (struct stele_verify_result){.size = sizeof *out};
    return stele_verify(path, &options, out);
}

static int verify(const char *path, struct stele_verify_result *out)
{
    return verify_with(path, 1, out);
}

/* Several threads verify the same, and who reads durable records only sees the first of them, or all. */
static void read_again(const char *path)
{
    static struct reading durable;
    struct stele_verify_result result;
    struct stele *log = NULL;
    FUZZ_CHECK(verify_with(path, 3, &result) == verify_code);
    FUZZ_CHECK(verify_code != 0 || memcmp(&result, &verified, sizeof result) == 0);
    reading_take(&durable, path, STELE_DURABLE_ONLY, &log);
    FUZZ_CHECK(stele_close(log) == 0);
    FUZZ_CHECK(durable.opened == before.opened && reading_same(&durable, &before, durable.count));
    FUZZ_CHECK(!sound() || durable.count == before.count ||
               before.records[durable.count].lsn >= verified.durable_lsn);
}

/* Reading agrees with what verify has found. */
static void read_and_compare(const char *path)
{
    struct stele *log = NULL;
    reading_take(&before, path, 0, &log);
    reading_is_of(&before, &image);
    if (sound()) {
        FUZZ_CHECK(before.opened == 0 && before.ended == 0);
        FUZZ_CHECK(before.count == verified.records && before.first == verified.first_lsn);
        FUZZ_CHECK(before.count == 0 || before.records[before.count - 1].lsn < verified.end_lsn);
        reading_seek(&before, log, salt);
    }
    FUZZ_CHECK((verify_code == STELE_EVERSION) == (before.opened == STELE_EVERSION));
    FUZZ_CHECK(stele_close(log) == 0);
}

static int count_item(void *ctx, const struct stele_item *item)
{
    uint64_t *records = ctx;
    FUZZ_CHECK(item->segment != NULL);
    *records += item->kind == STELE_ITEM_RECORD ? 1 : 0;
    return 0;
}

static void look(const char *path)
{
    uint64_t records = 0;
    struct stele *log = NULL;
    struct stele_options options = STELE_OPTIONS_INIT;
    int rc = stele_inspect(path, count_item, &records);
    options.flags = STELE_READ_ONLY;
    if (sound())
        FUZZ_CHECK((rc == 0 || rc == STELE_ECORRUPT || rc == STELE_EIO) && records >= verified.records);
    if (stele_open(path, &options, &log) == 0) {
        struct stele_stat stat = {.size = sizeof stat};
        struct stele_segment_stat segments[IMAGE_FILES];
        rc = stele_stat(log, &stat);
        FUZZ_CHECK(!sound() || (rc == 0 && stat.records == verified.records));
        rc = (int)stele_stat_segments(log, segments, IMAGE_FILES);
        FUZZ_CHECK(!sound() || (rc >= 0 && rc <= (int)image.count));
        FUZZ_CHECK(stele_close(log) == 0);
    }
}

static void back_up(const char *path)
{
    static struct reading copied;
    struct stele_verify_result result;
    stele_lsn end = 0;
    struct stele *log = NULL;
    int rc = stele_backup(path, in_scratch("copy"), &end);
    FUZZ_CHECK(!sound() || rc == 0);
    if (rc != 0)
        return;
    FUZZ_CHECK(verify(in_scratch("copy"), &result) == 0 && (result.verdict == STELE_CLEAN || !sound()));
    reading_take(&copied, in_scratch("copy"), 0, &log);
    FUZZ_CHECK(stele_close(log) == 0);
    reading_take(&before, path, 0, &log);
    FUZZ_CHECK(stele_close(log) == 0);
    FUZZ_CHECK(copied.opened == 0 && reading_same(&copied, &before, copied.count));
    FUZZ_CHECK(!sound() || copied.count == before.count);
}

/* ---- opening for writing */
static struct stele *open_writer(const char *path, int *rc)
{
    const struct stele__seams seams = {.no_helper = true};
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log = NULL;
    options.durability = (salt & 1) != 0 ? STELE_DURABILITY_NONE : STELE_DURABILITY_MSYNC;
    options.spare_segments = 1;
    *rc = stele__open_with(path, &options, &seams, &log);
    return log;
}

static void append_some(struct stele *log, stele_lsn end)
{
    static const uint8_t payload[3000] = "appended behind it all";
    static const size_t sizes[] = {0, 10, sizeof payload};
    stele_lsn lsn = 0, last = end;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        FUZZ_CHECK(stele_append(log, payload, sizes[i], &lsn) == 0 && lsn >= last);
        last = lsn + 16;
    }
    FUZZ_CHECK(stele_sync(log, STELE_LSN_ALL) == 0 && stele_durable(log) > lsn);
}

static void write_and_compare(const char *path, bool trim)
{
    static struct reading after;
    struct stele_verify_result result;
    int rc;
    struct stele *log = open_writer(path, &rc);
    if (log == NULL) {
        FUZZ_CHECK(!sound() || rc == STELE_EVERSION);
        FUZZ_CHECK(image_is(&image, path, true));
        return;
    }
    FUZZ_CHECK(verify_code == 0); /* it may not see what is wrong in sealed segments, and verify does */
    append_some(log, verified.end_lsn);
    if (trim && before.count > 0) {
        stele_lsn first = 0;
        FUZZ_CHECK(stele_trim(log, before.records[salt % before.count].lsn, &first) >= 0 &&
                   first == stele_first(log));
    }
    FUZZ_CHECK(stele_close(log) == 0);
    reading_take(&after, path, STELE_DURABLE_ONLY, &log);
    FUZZ_CHECK(stele_close(log) == 0);
    if (!sound())
        return;
    FUZZ_CHECK(verify(path, &result) == 0 && result.verdict == STELE_CLEAN && after.ended == 0);
    FUZZ_CHECK(result.records == after.count && after.count >= 3);
    if (!trim)
        FUZZ_CHECK(after.count == before.count + 3 && reading_same(&after, &before, before.count));
}

/* ---- repair */
static int repair(const char *path, uint32_t flags, const char *kept, struct stele_repair_result *out)
{
    struct stele_repair_options options = {.size = sizeof options, .flags = flags, .backup = kept};
    *out = (struct stele_repair_result){.size = sizeof *out};
    return stele_repair(path, &options, out);
}

static bool same_outcome(const struct stele_repair_result *a, const struct stele_repair_result *b)
{
    return a->before == b->before && a->after == b->after && a->cut_lsn == b->cut_lsn &&
           a->records_removed == b->records_removed && a->bytes_removed == b->bytes_removed &&
           a->segments_quarantined == b->segments_quarantined;
}

static void compare_repaired(const char *path, uint32_t flags, const struct stele_repair_result *done)
{
    static struct reading after;
    struct stele_verify_result result;
    struct stele_repair_result again;
    struct stele *log = NULL;
    FUZZ_CHECK(done->after == STELE_CLEAN);
    FUZZ_CHECK(verify(path, &result) == 0 && result.verdict == STELE_CLEAN);
    reading_take(&after, path, 0, &log);
    FUZZ_CHECK(stele_close(log) == 0);
    reading_is_of(&after, &image);
    FUZZ_CHECK(after.opened == 0 && after.ended == 0 && after.count == result.records);
    /* A segment that gets its right name back may bring records with it. */
    if (sound())
        FUZZ_CHECK(reading_same(&after, &before, before.count));
    if (sound() && verified.problems == 0)
        FUZZ_CHECK(after.count == before.count);
    FUZZ_CHECK(repair(path, flags | STELE_REPAIR_APPLY, in_scratch("again"), &again) == 0);
    FUZZ_CHECK(again.before == STELE_CLEAN && again.after == STELE_CLEAN && again.cut_lsn == STELE_LSN_NONE);
    FUZZ_CHECK(again.records_removed == 0 && again.bytes_removed == 0 && again.segments_quarantined == 0);
    FUZZ_CHECK(access(in_scratch("again"), F_OK) != 0);
}

static void mend(const char *path, uint32_t flags)
{
    struct stele_repair_result planned, done;
    int rc = repair(path, flags, NULL, &planned);
    FUZZ_CHECK(image_is(&image, path, false));
    FUZZ_CHECK(!sound() || rc == 0 || rc == STELE_EVERSION);
    int applied = repair(path, flags | STELE_REPAIR_APPLY, in_scratch("kept"), &done);
    FUZZ_CHECK(applied == rc || applied == STELE_EVERSION);
    if (applied != 0) {
        FUZZ_CHECK(image_is(&image, path, true));
        return;
    }
    FUZZ_CHECK(same_outcome(&planned, &done));
    if (sound() && verified.verdict == STELE_CLEAN && verified.problems == 0)
        FUZZ_CHECK(image_keeps(&image, path, verified.end_lsn)); /* of spares nothing is reported */
    compare_repaired(path, flags, &done);
}

static void on_copy(void (*judge)(const char *, uint32_t), uint32_t flags)
{
    const char *path = in_scratch("log");
    fuzz_empty(fuzz_scratch());
    image_write(&image, path);
    judge(path, flags);
}

static void write_log(const char *path, uint32_t trim)
{
    write_and_compare(path, trim != 0);
}

/* libFuzzer's own mutations in place, and whole changes that come, go and move: a byte more in front of them
 * would turn all that follow into other ones. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak)); /* not in driver.c */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    const size_t count = size < HEAD ? 0 : (size - HEAD) / CHANGE;
    uint8_t *at = count > 0 ? data + HEAD + seed / 16 % count * CHANGE : data + HEAD;
    uint8_t *end = data + HEAD + count * CHANGE;
    if (max < HEAD + CHANGE)
        return LLVMFuzzerMutate(data, size, max);
    if (size < HEAD)
        memset(data + size, 0, HEAD - size);
    switch (seed % 16) {
    case 0: (void)LLVMFuzzerMutate(data, HEAD, HEAD); break;
    case 1:
    case 2: /* one more, of the same kind or any */
        if (count == CHANGES_MAX || (size_t)(end - data) + CHANGE > max)
            break;
        memmove(at + CHANGE, at, (size_t)(end - at));
        if (count == 0)
            memset(at, 0, CHANGE);
        if (seed % 16 == 1)
            at[0] = (uint8_t)(seed >> 12);
        end += CHANGE;
        break;
    case 3: /* one less */
        if (count > 0)
            memmove(at, at + CHANGE, (size_t)(end - at) - CHANGE);
        end -= count > 0 ? CHANGE : 0;
        break;
    default:
        if (count > 0)
            (void)LLVMFuzzerMutate(at, CHANGE, CHANGE);
        break;
    }
    return (size_t)(end - data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    const uint8_t base = fuzz_u8(&in);
    image_begin(&image, base < GOLDEN_LOGS ? golden_log(base) : golden_small());
    const enum judge judge = fuzz_u8(&in) % JUDGES;
    salt = fuzz_u64(&in);
    for (unsigned i = 0; i < CHANGES_MAX && in.left > 0; i++)
        image_change(&image, &in);
    const char *path = in_scratch("log");
    fuzz_empty(fuzz_scratch());
    image_write(&image, path);
    verify_code = verify(path, &verified);
    read_and_compare(path);
    if (judge == READ)
        read_again(path);
    if (judge == LOOK)
        look(path);
    if (judge == BACKUP)
        back_up(path);
    FUZZ_CHECK(image_is(&image, path, false));
    switch (judge) {
    case MEND: on_copy(mend, 0); break;
    case CUT: on_copy(mend, STELE_REPAIR_ALLOW_DATA_LOSS); break;
    case QUARANTINE: on_copy(mend, STELE_REPAIR_QUARANTINE); break;
    case WRITE: on_copy(write_log, 0); break;
    case TRIM: on_copy(write_log, 1); break;
    default: break;
    }
    image_free(&image);
    return 0;
}
