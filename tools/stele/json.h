/* SPDX-License-Identifier: BSD-3-Clause */
/* json.h: a small JSON emitter on standard output. The caller nests correctly; commas, quoting and
 * UTF-8 are the emitter's. Key NULL: an element of an array, or the document itself. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

struct json {
    int more; /* something stands before the next element of the open object or array */
};

void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_text(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_lsn(struct json *json, const char *key, uint64_t lsn); /* STELE_LSN_NONE = null */
void json_real(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, int value);
void json_null(struct json *json, const char *key);
void json_hex(struct json *json, const char *key,
              uint64_t value); /* "0x..." as text: 64 bits fit no double */

/* Bytes of unknown kind, as two members: "base64", and "utf8" when they are valid UTF-8. */
void json_bytes(struct json *json, const void *data, size_t len);

/* A document of one line: opens the object with its schema; ends it with a newline. */
void json_begin(struct json *json, const char *schema);
void json_end(struct json *json);

#endif
