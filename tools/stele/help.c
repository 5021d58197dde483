/* SPDX-License-Identifier: BSD-3-Clause */
/* help.c: the tables as --help. */
#include "opts.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMNS 78 /* two fewer than the narrowest terminal in use */

const char tool_about[] =
    "stele keeps a write-ahead log in a directory: records go in at the end, are made durable in groups, and "
    "come back "
    "in order after any crash.\n\n"
    "Data goes to standard output, everything else to standard error. Sizes are written 4096, 64K, 64MiB, 1G "
    "(powers "
    "of two) or 64KB, 1GB (decimal); positions in the log (LSN) are bytes, decimal or 0x.";

/* One paragraph, wrapped; `at` is the column the cursor is in, `indent` that of the next lines. */
static void wrap(const char *text, size_t len, size_t at, size_t indent)
{
    for (size_t i = 0; i < len;) {
        size_t word = strcspn(text + i, " ");
        if (word > len - i)
            word = len - i;
        if (i > 0 && at + 1 + word > HELP_COLUMNS) {
            out_printf("\n%*s", (int)indent, "");
            at = indent;
        } else if (i > 0) {
            out_char(' ');
            at++;
        }
        out_write(text + i, word);
        at += word;
        i += word;
        while (i < len && text[i] == ' ')
            i++;
    }
    out_char('\n');
}

static void paragraphs(const char *text)
{
    for (const char *at = text; *at != '\0';) {
        const char *end = strstr(at, "\n\n");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        wrap(at, len, 0, 0);
        out_char('\n');
        at += len;
        while (*at == '\n')
            at++;
    }
}

static void option(const struct opt *row)
{
    const size_t column = 26;
    char letter[8] = "    ", head[80];
    if (row->id < OPT_LONG)
        (void)snprintf(letter, sizeof letter, "-%c, ", row->id);
    int width = snprintf(head, sizeof head, "  %s--%s%s%s", letter, row->name, row->arg ? " " : "",
                         row->arg ? row->arg : "");
    out_text(head);
    size_t at = (size_t)width;
    if (at + 2 > column) {
        out_char('\n');
        at = 0;
    }
    out_printf("%*s", (int)(column - at), "");
    wrap(row->help, strlen(row->help), column, column);
}

static const struct opt help_row = {'h', "help", NULL, NULL, "Print this and end."};

/* 1 when the code stands in the subcommand's list. */
static int ends_with(const struct command *self, int code)
{
    char list[64], word[16];
    (void)snprintf(list, sizeof list, " %s ", self->exits);
    (void)snprintf(word, sizeof word, " %d ", code);
    return strstr(list, word) != NULL;
}

void help_command(const struct command *self)
{
    out_printf("Usage: stele %s %s%s[OPTION...]\n\n", self->name, self->operands,
               self->operands[0] ? " " : "");
    wrap(self->summary, strlen(self->summary), 0, 0);
    out_char('\n');
    paragraphs(self->text);
    out_text("Options:\n");
    for (const struct opt *row = self->options; row->id != 0; row++)
        option(row);
    option(&help_row);
    if (self->examples[0].command)
        out_text("\nExamples:\n");
    for (const struct example *row = self->examples; row->command; row++)
        out_printf("  %s\n      %s\n", row->command, row->what);
    out_text("\nExit status:\n");
    for (const struct exit_text *row = tool_exits; row->text; row++) {
        if (!ends_with(self, row->code))
            continue;
        out_printf("  %3d  ", row->code);
        wrap(row->text, strlen(row->text), 7, 7);
    }
}

void help_overview(void)
{
    out_text("Usage: stele COMMAND [OPERAND...] [OPTION...]\n\n");
    paragraphs(tool_about);
    out_text("Commands:\n");
    for (const struct command *const *at = tool_commands; *at; at++)
        out_printf("  %-9s %s\n", (*at)->name, (*at)->summary);
    out_text("\n'stele help COMMAND' or 'stele COMMAND --help' explains one of them.\n\n"
             "  stele --version             print the version\n"
             "  stele --completion SHELL    print completions for bash, zsh or fish\n"
             "  stele --man                 print the source (scdoc) of the manual page stele(1)\n");
}
