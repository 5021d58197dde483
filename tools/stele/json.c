/* SPDX-License-Identifier: BSD-3-Clause */
/* json.c: see json.h. */
#include "json.h"

#include "encode.h"
#include "out.h"

#include <inttypes.h>
#include <stele/base.h>
#include <string.h>

/* Bytes that are no UTF-8 (a file name may be any bytes) become U+FFFD: the document stays JSON. */
static void quoted(const void *data, size_t len)
{
    const unsigned char *at = data;
    out_char('"');
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(at + i, len - i);
        if (step == 0) {
            out_text("\\ufffd");
            step = 1;
        } else if (at[i] == '"' || at[i] == '\\') {
            out_char('\\');
            out_char((char)at[i]);
        } else if (at[i] == '\n') {
            out_text("\\n");
        } else if (at[i] == '\t') {
            out_text("\\t");
        } else if (at[i] < 0x20 || at[i] == 0x7f) {
            out_printf("\\u%04x", at[i]);
        } else {
            out_write(at + i, step);
        }
        i += step;
    }
    out_char('"');
}

static void begin(struct json *json, const char *key)
{
    if (json->more)
        out_char(',');
    json->more = 1;
    if (key) {
        quoted(key, strlen(key));
        out_char(':');
    }
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    out_char(bracket);
    json->more = 0;
}

void json_close(struct json *json, char bracket)
{
    out_char(bracket);
    json->more = 1;
}

void json_text(struct json *json, const char *key, const char *value)
{
    begin(json, key);
    quoted(value, strlen(value));
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    begin(json, key);
    out_printf("%" PRIu64, value);
}

void json_lsn(struct json *json, const char *key, uint64_t lsn)
{
    if (lsn == STELE_LSN_NONE)
        json_null(json, key);
    else
        json_number(json, key, lsn);
}

void json_real(struct json *json, const char *key, double value)
{
    begin(json, key);
    out_printf("%.6f", value);
}

void json_bool(struct json *json, const char *key, int value)
{
    begin(json, key);
    out_text(value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    begin(json, key);
    out_text("null");
}

void json_hex(struct json *json, const char *key, uint64_t value)
{
    begin(json, key);
    out_printf("\"0x%016" PRIx64 "\"", value);
}

void json_bytes(struct json *json, const void *data, size_t len)
{
    begin(json, "base64");
    out_char('"');
    encode_base64(data, len);
    out_char('"');
    if (utf8_valid(data, len)) {
        begin(json, "utf8");
        quoted(data, len);
    }
}

void json_begin(struct json *json, const char *schema)
{
    json->more = 0;
    json_open(json, NULL, '{');
    json_text(json, "schema", schema);
}

void json_end(struct json *json)
{
    json_close(json, '}');
    out_char('\n');
}
