/* SPDX-License-Identifier: BSD-3-Clause */
/* term.h: colour, and only where a person looks: a terminal, TERM not "dumb", NO_COLOR not set. */
#ifndef TERM_H
#define TERM_H

#define TERM_GOOD "\033[32m"
#define TERM_WARN "\033[1;33m"
#define TERM_BAD "\033[1;31m"
#define TERM_BOLD "\033[1m"

int term_colour(int fd);                           /* 1: escape sequences may be written to fd */
const char *term_on(int fd, const char *sequence); /* the sequence, or "" */
const char *term_off(int fd);

#endif
