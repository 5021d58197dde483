/* SPDX-License-Identifier: BSD-3-Clause */
/* term.c: see term.h. */
#include "term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int term_colour(int fd)
{
    const char *no = getenv("NO_COLOR"); /* the convention: set and not empty */
    const char *term = getenv("TERM");
    if (no && no[0] != '\0')
        return 0;
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

const char *term_on(int fd, const char *sequence)
{
    return term_colour(fd) ? sequence : "";
}

const char *term_off(int fd)
{
    return term_colour(fd) ? "\033[0m" : "";
}
