/* SPDX-License-Identifier: BSD-3-Clause */
/* opts.h: walk a command line by a subcommand's option table. */
#ifndef OPTS_H
#define OPTS_H

#include "tool.h"

#include <getopt.h>

#define OPT_MAX 32 /* options of one subcommand, --help included */

/* Ids of options without a letter start here; each file numbers its own from OPT_OWN on. */
enum { OPT_LONG = 256, OPT_DURABILITY, OPT_SEGMENT_SIZE, OPT_METADATA, OPT_JSON, OPT_DRY_RUN, OPT_OWN = 300 };

/* Rows that several tables share, so that they read and mean the same everywhere. */
#define OPT_ROW_JSON OPT_JSON, "json", NULL, NULL, "Print the result as JSON on standard output."
#define OPT_ROW_DURABILITY                                                                                   \
    OPT_DURABILITY, "durability", "CLASS", tool_durabilities,                                                \
        "What makes a record durable while this command runs: auto (pmem where the file system can, else "   \
        "msync), pmem, msync, or none (survives the death of the process only)."
#define OPT_ROW_SEGMENT_SIZE                                                                                 \
    OPT_SEGMENT_SIZE, "segment-size", "N", NULL,                                                             \
        "Data bytes of a segment, a power of two from 64K to 4G (default 64M). Fixed when the log is made; " \
        "the largest record is a quarter of it less 16 bytes."
#define OPT_ROW_METADATA                                                                                     \
    OPT_METADATA, "metadata", "TEXT", NULL,                                                                  \
        "Application text kept at the head of every segment, at most 1920 bytes."
#define OPT_ROW_END 0, NULL, NULL, NULL, NULL
#define OPT_FLAG(id, name, help) id, name, NULL, NULL, help

struct opts {
    const struct command *self;
    int argc;
    char **argv;
    const char *arg; /* of the option just returned */
    int exit;        /* set when opts_next() returned -1 */
    char **operands; /* when it returned 0 */
    int count;
    char letters[2 * OPT_MAX + 2]; /* the table as getopt_long() wants it */
    struct option longs[OPT_MAX + 1];
};

void opts_begin(struct opts *opts, const struct command *self, int argc, char **argv);

/* Returns the id of the next option; 0 at the end, with the right number of operands; -1 when the
 * command is over: return opts->exit (help was printed, or a complaint). */
int opts_next(struct opts *opts);
int opts_over(struct opts *opts, int exit); /* sets opts->exit, returns -1 */

/* Arguments of options: 0, or -1 with the complaint printed and opts->exit set. */
int opts_size(struct opts *opts, uint64_t *value);
int opts_number(struct opts *opts, uint64_t *value, uint64_t min, uint64_t max);
int opts_word(struct opts *opts, int *value, int parsed); /* parsed < 0: not one of the row's values */

/* help.c: the same tables as text. */
void help_command(const struct command *self); /* what --help prints, on standard output */
void help_overview(void);
void help_bash(void);
void help_zsh(void);
void help_fish(void);
void help_man(void); /* scdoc source of stele(1) */

#endif
