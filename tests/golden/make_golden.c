/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/make_golden.c: writes the log that a golden file is packed from. Run by hand when a format version is
 * released, never by a test: golden files are read by every later version and never made again.
 *
 *     make_golden DIR basic|trimmed|single
 */
#include <stele/stele.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 3000u

static void must(long rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, stele_strerror((int)rc), stele_last_error());
    exit(1);
}

/* Sizes from nothing to a few hundred bytes, content that depends on the number. */
static size_t payload(unsigned number, char *out)
{
    size_t len = number % 7 == 0 ? number % 300 : number % 41;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(number * 31u + i * 7u);
    return len;
}

static void append_some(struct stele *log, unsigned from, unsigned to)
{
    char data[512];
    stele_lsn lsn = 0;
    for (unsigned number = from; number < to; number++) {
        size_t len = payload(number, data);
        struct iovec piece = {.iov_base = data, .iov_len = len};
        must(stele_appendv(log, number % (STELE_TYPE_MAX + 1), &piece, 1, &lsn), "append");
        if (number % 97 == 0)
            must(stele_sync(log, lsn), "sync");
    }
    must(stele_sync(log, STELE_LSN_ALL), "sync");
}

static void slots(struct stele *log)
{
    struct stele_slot slot;
    must(stele_reserve(log, 7, 100, &slot), "reserve");
    memcpy(slot.data, "shrunk", 6);
    must(stele_publish(log, &slot, 6), "publish");
    must(stele_reserve(log, 7, 8, &slot), "reserve");
    must(stele_publish(log, &slot, 0), "publish"); /* leaves a gap of 8 bytes: a FILL */
    must(stele_reserve(log, 7, 50, &slot), "reserve");
    must(stele_abandon(log, &slot), "abandon");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const bool trimmed = strcmp(argv[2], "trimmed") == 0;
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log;
    options.flags = STELE_CREATE | STELE_EXCL | (strcmp(argv[2], "single") == 0 ? STELE_SINGLE_APPENDER : 0u);
    options.segment_bytes = STELE_SEGMENT_BYTES_MIN;
    options.spare_segments = 1;
    options.metadata = "golden";
    options.metadata_bytes = 6;
    must(stele_open(argv[1], &options, &log), "create");
    append_some(log, 0, RECORDS / 2);
    slots(log);
    must(stele_close(log), "close");
    options.flags &= STELE_SINGLE_APPENDER; /* a second opening: another epoch */
    must(stele_open(argv[1], &options, &log), "open");
    append_some(log, RECORDS / 2, RECORDS);
    if (trimmed)
        must(stele_trim(log, stele_tail(log), NULL), "trim");
    must(stele_close(log), "close");
    return 0;
}
