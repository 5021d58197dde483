/* SPDX-License-Identifier: BSD-3-Clause */
/* help_man.c: the tables as the source of the manual page stele(1), in the language of scdoc(1). */
#include "opts.h"
#include "out.h"

#include <string.h>

/* scdoc gives these characters a meaning. */
static void plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\*_`", text[i]))
            out_char('\\');
        out_char(text[i]);
    }
}

static void paragraphs(const char *text)
{
    for (const char *at = text; *at != '\0';) {
        const char *end = strstr(at, "\n\n");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        plain(at, len);
        out_text("\n\n");
        at += len;
        while (*at == '\n')
            at++;
    }
}

static void option(const struct opt *row)
{
    if (row->id < OPT_LONG)
        out_printf("*-%c*, ", row->id);
    out_printf("*--%s*", row->name);
    if (row->arg)
        out_printf(" _%s_", row->arg);
    out_text("\n\t");
    plain(row->help, strlen(row->help));
    out_text("\n\n");
}

static void command(const struct command *self)
{
    out_printf("## stele %s %s\n\n", self->name, self->operands);
    paragraphs(self->summary);
    paragraphs(self->text);
    for (const struct opt *row = self->options; row->id != 0; row++)
        option(row);
}

void help_man(void)
{
    out_text("stele(1)\n\n"
             "# NAME\n\nstele - keep, read, check and mend a write-ahead log\n\n"
             "# SYNOPSIS\n\n*stele* _COMMAND_ [_OPERAND_...] [_OPTION_...]\n\n"
             "*stele* *--version* | *--help* | *--man* | *--completion* _SHELL_\n\n"
             "# DESCRIPTION\n\n");
    paragraphs(tool_about);
    out_text("Every command takes *-h*, *--help*. *--completion* prints completions for bash, zsh or fish, "
             "*--man* the "
             "source of this page. With *--json* a command prints one JSON document, or one object a line "
             "for streams, "
             "each with a member _schema_ such as \"stele.stat/1\"; numbers are integers, times are "
             "nanoseconds, bytes "
             "of unknown kind are members _base64_ and, when they are valid UTF-8, _utf8_. A progress line "
             "appears only "
             "when standard error is a terminal and the work takes more than two seconds.\n\n"
             "# COMMANDS\n\n");
    for (const struct command *const *at = tool_commands; *at; at++)
        command(*at);
    out_text("# EXIT STATUS\n\n");
    for (const struct exit_text *row = tool_exits; row->text; row++) {
        out_printf("*%d*\n\t", row->code);
        plain(row->text, strlen(row->text));
        out_text("\n\n");
    }
    out_text("# ENVIRONMENT\n\n"
             "*NO_COLOR*\n\tWhen set and not empty: no colour, on a terminal either.\n\n"
             "*PMEM_IS_PMEM_FORCE*\n\tSet to 1, libpmem takes any mapping for persistent memory. For tests "
             "only.\n\n"
             "# EXAMPLES\n\n");
    for (const struct command *const *at = tool_commands; *at; at++) {
        for (const struct example *row = (*at)->examples; row->command; row++) {
            plain(row->what, strlen(row->what));
            out_printf("\n\n```\n%s\n```\n\n", row->command);
        }
    }
    out_text("# SEE ALSO\n\n*stele*(7), *stele-durability*(7), *stele-format*(5)\n");
}
