/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c: see log.h. */
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void log_options_init(struct log_options *options)
{
    memset(options, 0, sizeof *options);
    options->stele.size = sizeof options->stele;
}

int log_option(struct log_options *options, struct opts *opts, int id)
{
    int durability = 0;
    switch (id) {
    case OPT_DURABILITY:
        if (opts_word(opts, &durability, tool_durability(opts->arg)) != 0)
            return -1;
        options->stele.durability = (uint32_t)durability;
        return 1;
    case OPT_SEGMENT_SIZE:
        options->sized = 1;
        return opts_size(opts, &options->stele.segment_bytes) == 0 ? 1 : -1;
    case OPT_METADATA:
        options->stele.metadata = opts->arg;
        options->stele.metadata_bytes = strlen(opts->arg);
        return 1;
    default: return 0;
    }
}

/* Called from the library's helper thread, too: straight to stderr, no shared buffer. */
static void hear(void *ctx, enum stele_log_level level, const char *text)
{
    const struct command *self = ctx;
    if (level <= STELE_LOG_WARN)
        fprintf(stderr, "stele: %s: %s\n", self->name, text);
}

/* What a writer calls an error comes back from the next call, which says it. */
static void hear_writer(void *ctx, enum stele_log_level level, const char *text)
{
    if (level == STELE_LOG_WARN)
        hear(ctx, level, text);
}

const char *log_none_warning(void)
{
    return "durability is none: records survive the death of the process, not a crash of the system or a "
           "power cut";
}

int log_open(const struct command *self, const char *path, struct log_options *options, uint32_t flags,
             struct stele **out)
{
    options->stele.flags = flags;
    options->stele.log = hear_writer;
    options->stele.log_ctx = (void *)(uintptr_t)self;
    int code = stele_open(path, &options->stele, out);
    if (code != 0)
        return tool_fail(self, code);
    if (options->stele.durability == STELE_DURABILITY_NONE)
        tool_warn(self, "%s", log_none_warning());
    return TOOL_FINE;
}

int log_open_reader(const struct command *self, const char *path, struct stele **out)
{
    struct stele_options options = STELE_OPTIONS_INIT;
    options.flags = STELE_READ_ONLY;
    options.log = hear;
    options.log_ctx = (void *)(uintptr_t)self;
    int code = stele_open(path, &options, out);
    return code == 0 ? TOOL_FINE : tool_fail(self, code);
}

const char *log_reason(const struct stele_stat *stat)
{
    const char *reason = stat->durability_reason;
    size_t len = strlen(stat->durability_name);
    if (strncmp(reason, stat->durability_name, len) == 0 && strncmp(reason + len, ": ", 2) == 0)
        return reason + len + 2;
    return reason;
}

int log_close(const struct command *self, struct stele *log, int code)
{
    int closed = stele_close(log);
    if (closed == 0)
        return code;
    int failed = tool_fail(self, closed);
    return code == TOOL_FINE ? failed : code;
}

int log_stat(const struct command *self, struct stele *log, struct stele_stat *stat)
{
    memset(stat, 0, sizeof *stat);
    stat->size = sizeof *stat;
    int code = stele_stat(log, stat);
    return code == 0 ? TOOL_FINE : tool_fail(self, code);
}

int log_segments(const struct command *self, struct stele *log, struct stele_segment_stat **list,
                 size_t *count)
{
    size_t room = 64;
    *list = NULL;
    for (;;) {
        struct stele_segment_stat *larger = realloc(*list, room * sizeof **list);
        long found = larger ? stele_stat_segments(log, larger, room) : STELE_ENOMEM;
        if (larger)
            *list = larger;
        if (found >= 0 && (size_t)found <= room) {
            *count = (size_t)found;
            return TOOL_FINE;
        }
        if (found < 0) {
            free(*list);
            *list = NULL;
            return tool_fail(self, (int)found);
        }
        room = (size_t)found + 16; /* a live writer makes more meanwhile */
    }
}
