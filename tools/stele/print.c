/* SPDX-License-Identifier: BSD-3-Clause */
/* print.c: see print.h. */
#include "print.h"

#include "encode.h"
#include "json.h"
#include "out.h"

#include <inttypes.h>
#include <string.h>

static struct print_piece *text_piece(struct print *print, size_t used)
{
    struct print_piece *last = print->count > 0 ? &print->pieces[print->count - 1] : NULL;
    if (last && last->kind == 0)
        return last;
    if (print->count == PRINT_PIECES)
        return NULL;
    last = &print->pieces[print->count++];
    *last = (struct print_piece){0, print->text + used, 0};
    return last;
}

const char *print_parse(struct print *print, const char *format)
{
    size_t used = 0;
    print->form = PRINT_FORMAT;
    print->count = 0;
    if (strlen(format) >= sizeof print->text)
        return "the format is too long";
    for (const char *at = format; *at != '\0'; at++) {
        int byte = (unsigned char)*at;
        if (*at == '%' && at[1] != '%') {
            if (at[1] == '\0' || !strchr("oslT", at[1]))
                return "the format knows %o %s %l %T %%";
            if (print->count == PRINT_PIECES)
                return "the format has too many pieces";
            print->pieces[print->count++] = (struct print_piece){*++at, NULL, 0};
            continue;
        }
        if (*at == '%')
            at++;
        if (*at == '\\') {
            at++;
            byte = escape_parse(&at);
            if (byte < 0)
                return "the format knows \\n \\t \\r \\0 \\\\ and \\xHH";
        }
        struct print_piece *piece = text_piece(print, used);
        if (!piece)
            return "the format has too many pieces";
        print->text[used++] = (char)byte;
        piece->len++;
    }
    return NULL;
}

static void formatted(const struct print *print, const struct stele_record *record)
{
    for (int i = 0; i < print->count; i++) {
        const struct print_piece *piece = &print->pieces[i];
        switch (piece->kind) {
        case 'o': out_printf("%" PRIu64, record->lsn); break;
        case 's': out_write(record->data, record->len); break;
        case 'l': out_printf("%zu", record->len); break;
        case 'T': out_printf("%u", record->type); break;
        default: out_write(piece->text, piece->len); break;
        }
    }
}

static void as_json(const struct stele_record *record)
{
    struct json json;
    json_begin(&json, "stele.record/1");
    json_lsn(&json, "lsn", record->lsn);
    json_number(&json, "type", record->type);
    json_number(&json, "length", record->len);
    json_bytes(&json, record->data, record->len);
    json_end(&json);
}

void print_record(const struct print *print, const struct stele_record *record)
{
    switch (print->form) {
    case PRINT_RAW: out_write(record->data, record->len); break;
    case PRINT_HEX:
        encode_hex(record->data, record->len);
        out_char('\n');
        break;
    case PRINT_JSON: as_json(record); break;
    case PRINT_FORMAT: formatted(print, record); break;
    default:
        out_write(record->data, record->len);
        out_char('\n');
        break;
    }
}
