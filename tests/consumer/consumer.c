/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of a user, in C: it appends, syncs, closes, opens again and reads what it wrote.
 * Argument: a directory to create. */
#include <stele/stele.h>

#include <stdio.h>
#include <string.h>

#define RECORDS 1000

static int complain(const char *what, int code)
{
    fprintf(stderr, "%s: %s: %s\n", what, stele_strerror(code), stele_last_error());
    return 1;
}

static int write_records(const char *path)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log;
    stele_lsn lsn = 0;
    options.flags = STELE_CREATE | STELE_EXCL;
    options.segment_bytes = STELE_SEGMENT_BYTES_MIN;
    int code = stele_open(path, &options, &log);
    if (code != 0)
        return complain("create", code);
    for (int i = 0; i < RECORDS; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "record %d", i);
        code = stele_append(log, text, (size_t)len, &lsn);
        if (code != 0)
            return complain("append", code);
    }
    code = stele_sync(log, lsn);
    if (code != 0)
        return complain("sync", code);
    if (stele_durable(log) <= lsn) {
        fprintf(stderr, "the durable point did not pass what was synced\n");
        return 1;
    }
    code = stele_close(log);
    return code == 0 ? 0 : complain("close", code);
}

static int read_records(const char *path)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    struct stele *log;
    struct stele_cursor *cursor;
    struct stele_record record;
    int count = 0;
    options.flags = STELE_READ_ONLY;
    int code = stele_open(path, &options, &log);
    if (code != 0)
        return complain("open", code);
    code = stele_cursor_open(log, STELE_DURABLE_ONLY, STELE_FROM_BEGIN, 0, &cursor);
    if (code != 0)
        return complain("cursor", code);
    while ((code = stele_cursor_next(cursor, &record)) == 1) {
        char text[64];
        int len = snprintf(text, sizeof text, "record %d", count);
        if (record.len != (size_t)len || memcmp(record.data, text, record.len) != 0) {
            fprintf(stderr, "record %d differs\n", count);
            return 1;
        }
        count++;
    }
    if (code != 0)
        return complain("next", code);
    stele_cursor_close(cursor);
    code = stele_close(log);
    if (code != 0)
        return complain("close", code);
    if (count != RECORDS) {
        fprintf(stderr, "%d records of %d\n", count, RECORDS);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (strcmp(stele_version(), STELE_VERSION_STRING) != 0) {
        fprintf(stderr, "library %s, headers %s\n", stele_version(), STELE_VERSION_STRING);
        return 1;
    }
    return write_records(argv[1]) != 0 || read_records(argv[1]) != 0;
}
