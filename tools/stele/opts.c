/* SPDX-License-Identifier: BSD-3-Clause */
/* opts.c: see opts.h. getopt_long does the walking; the complaints are ours, to be exact. */
#include "opts.h"

#include "out.h"
#include "sizes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct opt *row_of(const struct command *self, int id)
{
    for (const struct opt *row = self->options; row->id != 0; row++)
        if (row->id == id)
            return row;
    return NULL;
}

void opts_begin(struct opts *opts, const struct command *self, int argc, char **argv)
{
    memset(opts, 0, sizeof *opts);
    opts->self = self;
    opts->argc = argc;
    opts->argv = argv;
    optind = 0; /* GNU: start afresh, argv[0] is the subcommand */
    opterr = 0;
    char *letter = opts->letters;
    struct option *at = opts->longs;
    *letter++ = ':';
    for (const struct opt *row = self->options; row->id != 0; row++) {
        assert(at < opts->longs + OPT_MAX - 1);
        *at++ = (struct option){row->name, row->arg ? required_argument : no_argument, NULL, row->id};
        if (row->id >= OPT_LONG)
            continue;
        *letter++ = (char)row->id;
        if (row->arg)
            *letter++ = ':';
    }
    *at++ = (struct option){"help", no_argument, NULL, 'h'};
    *at = (struct option){NULL, 0, NULL, 0};
    *letter++ = 'h';
    *letter = '\0';
}

int opts_over(struct opts *opts, int exit)
{
    opts->exit = exit;
    return -1;
}

/* getopt returned '?' or ':': say which of the four mistakes it was. */
static int refuse(struct opts *opts, int kind)
{
    const struct opt *row = optopt != 0 ? row_of(opts->self, optopt) : NULL;
    const char *word = opts->argv[optind > 0 ? optind - 1 : 0];
    if (kind == ':')
        return opts_over(opts, tool_usage(opts->self, "option '%s' needs an argument", word));
    if (row && !row->arg)
        return opts_over(opts, tool_usage(opts->self, "option '--%s' takes no argument", row->name));
    if (optopt != 0 && optopt < OPT_LONG)
        return opts_over(opts, tool_usage(opts->self, "unknown option '-%c'", optopt));
    return opts_over(opts, tool_usage(opts->self, "unknown or ambiguous option '%s'", word));
}

int opts_next(struct opts *opts)
{
    const struct command *self = opts->self;
    int id = getopt_long(opts->argc, opts->argv, opts->letters, opts->longs, NULL);
    opts->arg = optarg;
    if (id == 'h') {
        help_command(self);
        return opts_over(opts, out_finish(self, TOOL_FINE));
    }
    if (id == '?' || id == ':')
        return refuse(opts, id);
    if (id != -1)
        return id;
    opts->operands = opts->argv + optind;
    opts->count = opts->argc - optind;
    if (opts->count < self->operands_min)
        return opts_over(opts, tool_usage(self, "missing operand: %s", self->operands));
    if (self->operands_max >= 0 && opts->count > self->operands_max)
        return opts_over(opts,
                         tool_usage(self, "unexpected operand '%s'", opts->operands[self->operands_max]));
    for (int i = 0; i < opts->count; i++)
        if (opts->operands[i][0] == '\0')
            return opts_over(opts, tool_usage(self, "an operand is empty"));
    return 0;
}

int opts_size(struct opts *opts, uint64_t *value)
{
    if (size_parse(opts->arg, value) == 0)
        return 0;
    return opts_over(opts, tool_usage(opts->self,
                                      "'%s' is not a size: write 4096, 64K, 64MiB or 1G (powers of two), "
                                      "64KB or 1GB (decimal)",
                                      opts->arg));
}

int opts_number(struct opts *opts, uint64_t *value, uint64_t min, uint64_t max)
{
    if (number_parse(opts->arg, value) == 0 && *value >= min && *value <= max)
        return 0;
    if (max == UINT64_MAX)
        return opts_over(opts,
                         tool_usage(opts->self, "'%s' is not a number from %" PRIu64 " on", opts->arg, min));
    return opts_over(opts, tool_usage(opts->self, "'%s' is not a number from %" PRIu64 " to %" PRIu64,
                                      opts->arg, min, max));
}

int opts_word(struct opts *opts, int *value, int parsed)
{
    if (parsed >= 0) {
        *value = parsed;
        return 0;
    }
    return opts_over(opts,
                     tool_usage(opts->self, "'%s' is not one of the words that --help lists", opts->arg));
}
