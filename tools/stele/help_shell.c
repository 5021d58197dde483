/* SPDX-License-Identifier: BSD-3-Clause */
/* help_shell.c: the tables as completions for bash, zsh and fish. */
#include "opts.h"
#include "out.h"

#include <string.h>

/* The first sentence: what fits beside an option in a menu. */
static size_t sentence(const char *text)
{
    const char *end = strstr(text, ". ");
    return end ? (size_t)(end - text) : strlen(text) - (text[0] != '\0' && text[strlen(text) - 1] == '.');
}

/* Inside single quotes; zsh also gives ':' and brackets a meaning in an option's description. */
static void quoted(const char *text, size_t len, const char *escape)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'')
            out_text("'\\''");
        else if (strchr(escape, text[i]))
            out_printf("\\%c", text[i]);
        else
            out_char(text[i]);
    }
}

static void names(void)
{
    for (const struct command *const *at = tool_commands; *at; at++)
        out_printf("%s%s", at == tool_commands ? "" : " ", (*at)->name);
}

static void bash_values(const struct command *self)
{
    for (const struct opt *row = self->options; row->id != 0; row++) {
        if (!row->arg)
            continue;
        out_printf("        %s:--%s", self->name, row->name);
        if (row->id < OPT_LONG)
            out_printf("|%s:-%c", self->name, row->id);
        if (row->values)
            out_printf(") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", row->values);
        else
            out_text(") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    }
}

void help_bash(void)
{
    out_text("# bash completion for stele; printed by: stele --completion bash\n"
             "_stele()\n{\n"
             "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} "
             "words=\n"
             "    COMPREPLY=()\n"
             "    if [ \"$COMP_CWORD\" -le 1 ]; then\n        COMPREPLY=($(compgen -W '");
    names();
    out_text(" --help --version --completion --man' -- \"$cur\"))\n        return\n    fi\n"
             "    case $cmd:$prev in\n"
             "        --completion:--completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")); "
             "return ;;\n"
             "        help:help) COMPREPLY=($(compgen -W '");
    names();
    out_text("' -- \"$cur\")); return ;;\n");
    for (const struct command *const *at = tool_commands; *at; at++)
        bash_values(*at);
    out_text("    esac\n    case $cmd in\n");
    for (const struct command *const *at = tool_commands; *at; at++) {
        out_printf("        %s) words='--help", (*at)->name);
        for (const struct opt *row = (*at)->options; row->id != 0; row++)
            out_printf(" --%s", row->name);
        out_text("' ;;\n");
    }
    out_text("    esac\n"
             "    case $cur in\n"
             "        -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
             "        *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
             "    esac\n}\n"
             "complete -o filenames -F _stele stele\n");
}

static void zsh_option(const struct opt *row)
{
    if (row->id < OPT_LONG)
        out_printf(" \\\n                '(-%c --%s)'{-%c,--%s%s}'[", row->id, row->name, row->id, row->name,
                   row->arg ? "=" : "");
    else
        out_printf(" \\\n                '--%s%s[", row->name, row->arg ? "=" : "");
    quoted(row->help, sentence(row->help), "[]:\\");
    out_char(']');
    if (row->values)
        out_printf(":%s:(%s)", row->arg, row->values);
    else if (row->arg)
        out_printf(":%s:_files", row->arg);
    out_char('\'');
}

void help_zsh(void)
{
    out_text("#compdef stele\n# zsh completion for stele; printed by: stele --completion zsh\n"
             "_stele() {\n    local -a commands\n    commands=(\n");
    for (const struct command *const *at = tool_commands; *at; at++) {
        out_printf("        '%s:", (*at)->name);
        quoted((*at)->summary, sentence((*at)->summary), ":\\");
        out_text("'\n");
    }
    out_text(
        "    )\n    if (( CURRENT == 2 )); then\n        _describe -t commands 'stele command' commands\n"
        "        return\n    fi\n    local cmd=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case "
        "$cmd in\n");
    for (const struct command *const *at = tool_commands; *at; at++) {
        out_printf("        %s)\n            _arguments '(-h --help)'{-h,--help}'[Print help and end]'",
                   (*at)->name);
        for (const struct opt *row = (*at)->options; row->id != 0; row++)
            zsh_option(row);
        if (*at == &cmd_help)
            out_text(" \\\n                '1:command:{_describe command commands}'");
        else if ((*at)->operands_max != 0)
            out_text(" \\\n                '*:file:_files'");
        out_text("\n            ;;\n");
    }
    out_text("    esac\n}\n"
             "if [ \"$funcstack[1]\" = _stele ]; then _stele \"$@\"; else compdef _stele stele; fi\n");
}

void help_fish(void)
{
    out_text("# fish completion for stele; printed by: stele --completion fish\n"
             "complete -c stele -n __fish_use_subcommand -f -s h -l help -d 'Print help and end'\n"
             "complete -c stele -n __fish_use_subcommand -f -l version -d 'Print the version'\n"
             "complete -c stele -n __fish_use_subcommand -x -l completion -a 'bash zsh fish' -d 'Print "
             "completions'\n");
    for (const struct command *const *at = tool_commands; *at; at++) {
        const char *name = (*at)->name;
        out_printf("complete -c stele -n __fish_use_subcommand -f -a %s -d '", name);
        quoted((*at)->summary, sentence((*at)->summary), "\\");
        out_text("'\n");
        for (const struct opt *row = (*at)->options; row->id != 0; row++) {
            out_printf("complete -c stele -n '__fish_seen_subcommand_from %s' -l %s", name, row->name);
            if (row->id < OPT_LONG)
                out_printf(" -s %c", row->id);
            if (row->values)
                out_printf(" -x -a '%s'", row->values);
            else if (row->arg)
                out_text(" -r");
            out_text(" -d '");
            quoted(row->help, sentence(row->help), "\\");
            out_text("'\n");
        }
    }
    out_text("complete -c stele -n '__fish_seen_subcommand_from help' -f -a '");
    names();
    out_text("'\n");
}
