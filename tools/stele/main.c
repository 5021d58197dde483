/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c: find the subcommand and run it. */
#include "opts.h"
#include "out.h"
#include "tool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command *const tool_commands[] = {
    &cmd_create, &cmd_append, &cmd_cat,   &cmd_tail,    &cmd_dump,    &cmd_verify, &cmd_repair, &cmd_stat,
    &cmd_trim,   &cmd_backup, &cmd_bench, &cmd_metrics, &cmd_version, &cmd_help,   NULL,
};

const struct command *tool_find(const char *name)
{
    for (const struct command *const *at = tool_commands; *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

/* Somebody cut a segment short under the map, or its medium failed: an error, not a core dump. */
static void on_bus_error(int signal_number)
{
    static const char text[] =
        "stele: a segment was cut short, or its medium failed, while it was in use. Run stele verify.\n";
    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(TOOL_IO); /* nowhere to say it: the code says it */
    _exit(TOOL_IO);
}

static void set_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    (void)sigemptyset(&action.sa_mask);
    action.sa_handler = on_bus_error;
    (void)sigaction(SIGBUS, &action, NULL);
    /* A reader that leaves is an errno here: append must still make durable what it has read. */
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    /* So is a file that hits the limit of ulimit -f. */
    (void)sigaction(SIGXFSZ, &action, NULL);
}

static int completion(const char *shell)
{
    if (shell && strcmp(shell, "bash") == 0)
        help_bash();
    else if (shell && strcmp(shell, "zsh") == 0)
        help_zsh();
    else if (shell && strcmp(shell, "fish") == 0)
        help_fish();
    else
        return tool_usage(NULL, "--completion takes bash, zsh or fish");
    return out_finish(NULL, TOOL_FINE);
}

/* A standard stream that was closed must not become a file of the log. It stays an error to use it: input is opened for
 * writing only, output for reading only. */
static void fill_standard_streams(void)
{
    int fd;
    while ((fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY)) >= 0)
        if (fd > STDERR_FILENO) {
            (void)close(fd);
            return;
        }
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    set_signals();
    if (argc < 2) {
        (void)tool_usage(NULL, "no command given");
        return TOOL_USAGE;
    }
    const char *word = argv[1];
    const struct command *command = tool_find(word);
    if (command)
        return command->run(command, argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_overview();
        return out_finish(NULL, TOOL_FINE);
    }
    if (strcmp(word, "--version") == 0)
        return cmd_version.run(&cmd_version, 1, argv + 1);
    if (strcmp(word, "--completion") == 0)
        return completion(argv[2]);
    if (strcmp(word, "--man") == 0) {
        help_man();
        return out_finish(NULL, TOOL_FINE);
    }
    return tool_usage(NULL, "unknown command '%s'", word);
}
