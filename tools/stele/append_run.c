/* SPDX-License-Identifier: BSD-3-Clause */
/* append_run.c: read, append, make durable, acknowledge.
 *
 * Invariant: whatever ends the run, records that were appended are made durable before it ends, unless the
 * log itself refuses; and nothing is acknowledged before stele_sync(), or with --sync none stele_close(), has
 * returned 0. */
#include "append.h"

#include "out.h"
#include "progress.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Large records fill a batch by bytes: a sync of 4 MiB costs milliseconds, so waiting longer saves nothing. */
#define BATCH_BYTES ((uint64_t)4 << 20)

static int acknowledge(struct append *append)
{
    append->durable_records = append->records;
    append->pending_bytes = 0;
    if (!append->ack)
        return TOOL_FINE;
    out_printf("ACK %" PRIu64 " %" PRIu64 "\n", append->records, append->last);
    int error = out_flush();
    if (error == 0)
        return TOOL_FINE;
    append->ack = 0; /* said once */
    return tool_io(append->self, "cannot write to standard output: %s; no more is read", strerror(error));
}

/* Make durable what is not yet. */
static int settle(struct append *append)
{
    if (append->durable_records == append->records || append->refused)
        return TOOL_FINE;
    int code = stele_sync(append->log, append->last);
    if (code == 0)
        return acknowledge(append);
    append->refused = 1;
    return tool_fail(append->self, code);
}

static int append_one(struct append *append, const unsigned char *record, size_t len)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)record, .iov_len = len};
    stele_lsn lsn = 0;
    int code = append->type == 0 ? stele_append(append->log, record, len, &lsn)
                                 : stele_appendv(append->log, append->type, &piece, 1, &lsn);
    if (code != 0) {
        append->refused |= code == STELE_EFAILED; /* the log has latched: sync and close would say it again */
        return tool_fail(append->self, code);
    }
    if (append->records++ == 0)
        append->first = lsn;
    append->last = lsn;
    append->bytes += len;
    append->pending_bytes += len;
    if (append->when == SYNC_EACH)
        return settle(append);
    if (append->when == SYNC_BATCH &&
        (append->records - append->durable_records >= append->batch || append->pending_bytes >= BATCH_BYTES))
        return settle(append);
    return TOOL_FINE;
}

/* Append every whole record in the buffer. *more: the stream goes on. */
static int take(struct append *append, const char *name, int *more)
{
    const unsigned char *record = NULL;
    size_t len = 0;
    for (;;) {
        enum input_result result = input_next(&append->input, &record, &len);
        *more = result == INPUT_MORE;
        if (result == INPUT_MORE || result == INPUT_END)
            return TOOL_FINE;
        if (result == INPUT_TOO_BIG)
            return tool_io(append->self,
                           "%s: %s %" PRIu64
                           " is longer than a record of this log may be (%zu bytes, a quarter of a "
                           "segment less 16)",
                           name, append->input.framing == FRAMING_LENGTH ? "record" : "line",
                           append->input.number, append->input.limit);
        if (result == INPUT_CUT)
            return tool_io(append->self, "%s: the input ends inside record %" PRIu64, name,
                           append->input.number);
        int code = append_one(append, record, len);
        if (code != TOOL_FINE)
            return code;
    }
}

/* Wait until there is something to read. What has been read is made durable before waiting, so that on a
 * slow pipe an acknowledgement never waits for the next line. Returns a signal's exit code when one came. */
static int wait_input(struct append *append, int stop)
{
    struct pollfd fds[2] = {{append->input.fd, POLLIN, 0}, {stop, POLLIN, 0}};
    int unsettled = append->when == SYNC_BATCH && append->durable_records < append->records;
    int ready = poll(fds, 2, unsettled ? 0 : -1);
    if (ready == 0) {
        int code = settle(append);
        if (code != TOOL_FINE)
            return code;
        (void)poll(fds, 2, -1);
    }
    return fds[1].revents != 0 ? TOOL_INTERRUPTED + stop_seen() : TOOL_FINE;
}

static int append_stream(struct append *append, int fd, const char *name, int stop, struct progress *progress)
{
    int more = 1;
    input_begin(&append->input, fd);
    while (more) {
        int code = wait_input(append, stop);
        if (code > TOOL_INTERRUPTED && input_unfinished(&append->input) > 0)
            tool_warn(append->self, "%s: an unfinished record of %zu bytes was left out", name,
                      input_unfinished(&append->input));
        if (code != TOOL_FINE)
            return code;
        uint64_t before = append->input.total;
        int error = input_read(&append->input);
        if (error != 0)
            return tool_io(append->self, "%s: cannot read: %s", name, strerror(error));
        code = take(append, name, &more);
        if (code != TOOL_FINE)
            return code;
        append->read_bytes += append->input.total - before;
        progress_update(progress, append->read_bytes);
    }
    return TOOL_FINE;
}

static int append_file(struct append *append, const char *name, int stop, struct progress *progress)
{
    if (strcmp(name, "-") == 0)
        return append_stream(append, STDIN_FILENO, "standard input", stop, progress);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tool_io(append->self, "%s: cannot open: %s", name, strerror(errno));
    int code = append_stream(append, fd, name, stop, progress);
    (void)close(fd);
    return code;
}

/* Bytes of all files, when every one of them is a regular file. */
static uint64_t known_total(char **files, int count)
{
    uint64_t total = 0;
    for (int i = 0; i < count; i++) {
        struct stat stat_of;
        if (strcmp(files[i], "-") == 0 || stat(files[i], &stat_of) != 0 || !S_ISREG(stat_of.st_mode))
            return 0;
        total += (uint64_t)stat_of.st_size;
    }
    return total;
}

/* The end of every run. A code that stands is kept; the first failure here becomes the code otherwise. */
static int finish(struct append *append, int code)
{
    int settled = append->when == SYNC_NONE ? TOOL_FINE : settle(append);
    if (code == TOOL_FINE)
        code = settled;
    append->durable = stele_durable(append->log);
    stele_lsn tail = stele_tail(append->log);
    if (append->refused) {
        (void)stele_close(append->log); /* it would say the same again */
        return code;
    }
    int closed = log_close(append->self, append->log, TOOL_FINE);
    if (closed == TOOL_FINE && append->durable_records < append->records && settled == TOOL_FINE) {
        /* --sync none: closing has made everything durable. */
        append->durable = tail;
        settled = acknowledge(append);
        if (code == TOOL_FINE)
            code = settled;
    }
    return code == TOOL_FINE ? closed : code;
}

int append_run(struct append *append, const char *path, char **files, int count)
{
    static char standard_input[] = "-";
    char *no_files[] = {standard_input};
    struct progress progress;
    uint32_t flags = STELE_SINGLE_APPENDER | (append->create ? (uint32_t)STELE_CREATE : 0);
    int code = log_open(append->self, path, &append->log_options, flags, &append->log);
    if (code != TOOL_FINE)
        return code;
    int stop = stop_begin();
    if (stop < 0)
        return log_close(append->self, append->log,
                         tool_io(append->self, "cannot watch for signals: %s", strerror(errno)));
    append->opened = 1;
    append->input.limit = stele_record_max(append->log);
    uint64_t start = now_ns();
    progress_begin(&progress, known_total(files, count), append->ack);
    for (int i = 0; code == TOOL_FINE && i < (count > 0 ? count : 1); i++)
        code = append_file(append, count > 0 ? files[i] : no_files[0], stop, &progress);
    progress_end(&progress);
    code = finish(append, code);
    append->seconds = (double)(now_ns() - start) / 1e9;
    input_free(&append->input);
    return code;
}
