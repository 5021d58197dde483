/* SPDX-License-Identifier: BSD-3-Clause */
/* out.h: standard output, buffered, with the first error kept.
 *
 * All output to stdout goes through here. Nothing is written before the buffer is full or
 * out_flush() is called; whoever is about to wait flushes first. */
#ifndef OUT_H
#define OUT_H

#include <stddef.h>

struct command;

void out_write(const void *data, size_t len);
void out_text(const char *text);
void out_char(char c);
void out_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

int out_flush(void); /* 0, or the errno of the first failed write */
int out_error(void); /* the same without writing anything */
int out_gone(void);  /* 1: whoever was reading has left (only looks, works before the next write) */

/* Flush and judge: `code` when all is well, when the reader has left (a pager was closed: no error), or
 * when it says already what failed. Otherwise complain and return the exit code for an I/O error. */
int out_finish(const struct command *self, int code);

#endif
