/* SPDX-License-Identifier: BSD-3-Clause */
/* print.h: one record on standard output, in the form that was asked for. */
#ifndef PRINT_H
#define PRINT_H

#include <stele/stele.h>

enum print_form { PRINT_LINE, PRINT_RAW, PRINT_HEX, PRINT_JSON, PRINT_FORMAT };

#define PRINT_PIECES 64

struct print_piece {
    char kind;        /* 'o' 's' 'l' 'T' as in the format; 0: text */
    const char *text; /* in struct print.text */
    size_t len;
};

struct print {
    enum print_form form;
    struct print_piece pieces[PRINT_PIECES];
    int count;
    char text[512];
};

/* Take a format apart. Returns NULL, or what is wrong with it. */
const char *print_parse(struct print *print, const char *format);

void print_record(const struct print *print, const struct stele_record *record);

#endif
