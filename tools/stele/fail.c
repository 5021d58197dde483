/* SPDX-License-Identifier: BSD-3-Clause */
/* fail.c: how the tool complains, and the one table from library errors to exit codes. */
#include "out.h"
#include "term.h"
#include "tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct exit_text tool_exits[] = {
    {TOOL_FINE,
     "Fine. For verify: the log is clean (damage that a second copy heals is reported, and is fine)."},
    {TOOL_TORN,
     "A torn tail only: unfinished bytes behind the last record. Nothing acknowledged is lost, and the next "
     "open for writing cuts them."},
    {TOOL_USAGE, "Wrong usage: an unknown option, a missing operand, a value out of range."},
    {TOOL_CORRUPT, "Corruption: data that had been acknowledged is damaged or missing."},
    {TOOL_IO,
     "An input or output error, no permission, no space, not a log, another format version, a log that "
     "exists "
     "already, a position that was trimmed, or input that cannot be a record (too long, cut short)."},
    {TOOL_LOCKED, "Another process has the log open for writing. Its pid and start time are printed."},
    {TOOL_TIMEOUT, "No record arrived within --timeout."},
    {TOOL_INTERRUPTED + 2,
     "Interrupted by SIGINT. For append: what had been read was appended and is durable."},
    {TOOL_INTERRUPTED + 15, "The same, by SIGTERM."},
    {0, NULL},
};

int tool_exit_of(int code)
{
    switch (code) {
    case STELE_OK: return TOOL_FINE;
    case STELE_EINVAL: return TOOL_USAGE;
    case STELE_ECORRUPT:
    case STELE_EGAP: return TOOL_CORRUPT;
    case STELE_ELOCKED: return TOOL_LOCKED;
    case STELE_ETIMEDOUT: return TOOL_TIMEOUT;
    default: return TOOL_IO;
    }
}

static void complain(const struct command *self, const char *colour, const char *format, va_list args)
{
    char text[2048];
    int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0)
        text[0] = '\0';
    /* What went to stdout before the complaint shall be seen before it. */
    (void)out_flush();
    fprintf(stderr, "%sstele: %s%s%s%s\n", term_on(2, colour), self ? self->name : "", self ? ": " : "", text,
            term_off(2));
}

int tool_usage(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(self, "", format, args);
    va_end(args);
    fprintf(stderr, "Try 'stele %s%s--help'.\n", self ? self->name : "", self ? " " : "");
    return TOOL_USAGE;
}

int tool_io(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(self, "", format, args);
    va_end(args);
    return TOOL_IO;
}

void tool_warn(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(self, TERM_WARN, format, args);
    va_end(args);
}

int tool_fail(const struct command *self, int code)
{
    const char *text = stele_last_error();
    (void)tool_io(self, "%s", text[0] != '\0' ? text : stele_strerror(code));
    return tool_exit_of(code);
}

const char tool_durabilities[] = "auto pmem msync none";

int tool_durability(const char *word)
{
    static const struct {
        const char *word;
        enum stele_durability durability;
    } known[] = {
        {"auto", STELE_DURABILITY_AUTO},
        {"pmem", STELE_DURABILITY_PMEM},
        {"msync", STELE_DURABILITY_MSYNC},
        {"none", STELE_DURABILITY_NONE},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(word, known[i].word) == 0)
            return (int)known[i].durability;
    return -1;
}
