/* SPDX-License-Identifier: BSD-3-Clause */
/* encode.c: see encode.h. */
#include "encode.h"

#include "out.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

size_t utf8_sequence(const unsigned char *data, size_t len)
{
    if (len == 0)
        return 0;
    unsigned char first = data[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len < need)
        return 0;
    /* The second byte carries the limits: overlong, surrogate, too large. */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (data[1] < low || data[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((data[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

int utf8_valid(const void *data, size_t len)
{
    const unsigned char *at = data;
    for (size_t i = 0, step = 0; i < len; i += step)
        if ((step = utf8_sequence(at + i, len - i)) == 0)
            return 0;
    return 1;
}

void encode_hex(const void *data, size_t len)
{
    static const char digit[] = "0123456789abcdef";
    const unsigned char *at = data;
    for (size_t i = 0; i < len; i++) {
        out_char(digit[at[i] >> 4]);
        out_char(digit[at[i] & 15]);
    }
}

void encode_base64(const void *data, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = data;
    for (size_t i = 0; i < len; i += 3) {
        unsigned group = (unsigned)at[i] << 16;
        group |= i + 1 < len ? (unsigned)at[i + 1] << 8 : 0;
        group |= i + 2 < len ? (unsigned)at[i + 2] : 0;
        out_char(digit[group >> 18]);
        out_char(digit[(group >> 12) & 63]);
        out_char(i + 1 < len ? digit[(group >> 6) & 63] : '=');
        out_char(i + 2 < len ? digit[group & 63] : '=');
    }
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));
    return at ? (int)(at - digits) : -1;
}

int escape_parse(const char **at)
{
    static const char letters[] = "ntr0\\", bytes[] = "\n\t\r\0\\";
    const char *known = **at == '\0' ? NULL : strchr(letters, **at);
    if (known)
        return bytes[known - letters];
    int high = **at == 'x' ? hex_digit((*at)[1]) : -1;
    int low = high < 0 ? -1 : hex_digit((*at)[2]);
    if (low < 0)
        return -1;
    *at += 2;
    return high * 16 + low;
}

void encode_preview(const void *data, size_t len, size_t max)
{
    const unsigned char *at = data;
    size_t shown = len < max ? len : max;
    for (size_t i = 0; i < shown; i++) {
        if (at[i] >= 0x20 && at[i] < 0x7f && at[i] != '\\')
            out_char((char)at[i]);
        else
            out_printf("\\x%02x", at[i]);
    }
    if (shown < len)
        out_text("...");
}

const char *uuid_text(char text[UUID_TEXT], const unsigned char uuid[16])
{
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        (void)snprintf(text + at, 3, "%02x", uuid[i]);
        at += 2;
    }
    return text;
}
