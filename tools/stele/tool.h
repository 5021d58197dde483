/* SPDX-License-Identifier: BSD-3-Clause */
/* tool.h: what every subcommand shares: its description, its exit code, its complaints.
 *
 * A subcommand is one file, cmd_NAME.c, and one `struct command`. Everything a user can read about it
 * (--help, completions, the manual page) is printed from that description and from nothing else. */
#ifndef TOOL_H
#define TOOL_H

#include <stele/stele.h>

enum tool_exit {
    TOOL_FINE = 0,
    TOOL_TORN = 1, /* a torn tail only: nothing acknowledged is lost */
    TOOL_USAGE = 2,
    TOOL_CORRUPT = 3,       /* acknowledged data damaged or missing */
    TOOL_IO = 4,            /* I/O, permission, not a log, input that is no record */
    TOOL_LOCKED = 5,        /* another process holds the writer lock */
    TOOL_TIMEOUT = 124,     /* as timeout(1) */
    TOOL_INTERRUPTED = 128, /* + the signal's number, as shells do */
};

/* One row of a subcommand's option table; a row with id 0 ends it. */
struct opt {
    int id;             /* what opts_next() returns; below 256 it is the short option, too */
    const char *name;   /* long option */
    const char *arg;    /* name of its argument; NULL: it takes none */
    const char *values; /* the words it takes, separated by spaces; NULL: anything */
    const char *help;
};

struct example {
    const char *command;
    const char *what;
};

struct command {
    const char *name;
    const char *operands; /* as shown, e.g. "DIR [FILE...]" */
    int operands_min;
    int operands_max;    /* -1: any number */
    const char *summary; /* one line */
    const char *text;    /* paragraphs, separated by an empty line */
    const struct opt *options;
    const struct example *examples; /* a row with NULL ends it */
    const char *exits;              /* the codes it can end with, e.g. "0 2 4" */
    int (*run)(const struct command *self, int argc, char **argv); /* returns the exit code */
};

extern const struct command cmd_create, cmd_append, cmd_cat, cmd_tail, cmd_dump, cmd_verify, cmd_repair,
    cmd_stat, cmd_trim, cmd_backup, cmd_bench, cmd_metrics, cmd_version, cmd_help;

/* All of them in the order people meet them; NULL ends it. */
extern const struct command *const tool_commands[];
const struct command *tool_find(const char *name);

/* The first paragraphs of the manual, and what the exit codes mean. */
extern const char tool_about[];
struct exit_text {
    int code;
    const char *text;
};
extern const struct exit_text tool_exits[]; /* a row with NULL text ends it */

/* Complain on stderr as "stele: NAME: text". Return the exit code, so that a caller can return it. */
int tool_usage(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
int tool_io(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tool_warn(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed call of the library: prints stele_last_error(), maps the code. */
int tool_fail(const struct command *self, int code);
int tool_exit_of(int code);

/* The words --durability takes; -1 for another one. */
extern const char tool_durabilities[];
int tool_durability(const char *word);

#endif
