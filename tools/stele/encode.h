/* SPDX-License-Identifier: BSD-3-Clause */
/* encode.h: bytes as text. */
#ifndef ENCODE_H
#define ENCODE_H

#include <stddef.h>

/* Bytes of the well-formed UTF-8 sequence at `data` (1..4), or 0. As Unicode defines it: no overlong
 * forms, no surrogates, nothing above U+10FFFF. */
size_t utf8_sequence(const unsigned char *data, size_t len);
int utf8_valid(const void *data, size_t len);

/* Written to standard output. */
void encode_hex(const void *data, size_t len);
void encode_base64(const void *data, size_t len);

/* The byte that the escape behind a backslash stands for: n t r 0 \\ xHH. *at points at the first character
 * and moves to the last one. -1: no escape that is known. */
int escape_parse(const char **at);

/* A preview of at most `max` bytes: printable ASCII as it is, the rest as \xHH. */
void encode_preview(const void *data, size_t len, size_t max);

#define UUID_TEXT 37
const char *uuid_text(char text[UUID_TEXT], const unsigned char uuid[16]);

#endif
