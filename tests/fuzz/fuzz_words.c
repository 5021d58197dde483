/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_words.c: what people and pipes hand to the command: sizes, numbers, times, lists, formats,
 * framed input, text encodings, and command lines along every subcommand's option table (without running it).
 *
 *     what 1 | the rest depends on it */
#include "fuzz.h"

#include "encode.h"
#include "input.h"
#include "opts.h"
#include "out.h"
#include "print.h"
#include "sizes.h"

#include <ctype.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORD_MAX 600u

__extension__ typedef unsigned __int128 wide; /* where 64 bits overflow */

/* Digits that stand for no more than 64 bits; *value is what they stand for. */
static bool plain_number(const char *word, size_t digits, uint64_t *value)
{
    wide sum = 0;
    for (size_t i = 0; i < digits; i++) {
        sum = sum * 10 + (unsigned)(word[i] - '0');
        if (sum > UINT64_MAX)
            return false;
    }
    *value = (uint64_t)sum;
    return digits > 0;
}

static void sizes(const char *word)
{
    char text[SIZES_TEXT], printed[64];
    uint64_t got = 0, exact = 0, again = 0, list[4];
    const size_t digits = strspn(word, "0123456789");
    bool ok = size_parse(word, &got) == 0;
    if (word[digits] == '\0')
        FUZZ_CHECK(ok == plain_number(word, digits, &exact) && (!ok || got == exact));
    if (ok && plain_number(word, digits, &exact) && tolower((unsigned char)word[digits]) != 'x') {
        uint64_t factor = exact == 0 ? 1 : got / exact; /* one of the units, without overflow */
        FUZZ_CHECK(exact == 0 ? got == 0 : factor * exact == got && factor >= 1);
        FUZZ_CHECK(factor % 1024 == 0 || factor % 1000 == 0 || factor == 1);
    }
    if (ok) {
        (void)snprintf(printed, sizeof printed, "%llu", (unsigned long long)got);
        FUZZ_CHECK(size_parse(printed, &again) == 0 && again == got);
        FUZZ_CHECK(number_parse(printed, &again) == 0 && again == got);
        (void)snprintf(printed, sizeof printed, "0x%llx", (unsigned long long)got);
        FUZZ_CHECK(number_parse(printed, &again) == 0 && again == got);
        FUZZ_CHECK(strlen(size_text(text, got)) > 2);
        FUZZ_CHECK(strlen(duration_text(text, got)) > 2 && time_text(text, got)[0] != '\0');
    }
    int count = size_list_parse(word, list, 4);
    FUZZ_CHECK(count >= -1 && count <= 4 && (count != 1 || (ok && list[0] == got)));
    FUZZ_CHECK(!ok || count == 1 || strlen(word) >= 512); /* no longer list is looked at */
}

/* Every number with every unit: right, or refused because it is too large. */
static void units(struct fuzz_in *in)
{
    static const struct {
        const char *text;
        uint64_t factor;
    } all[] = {{"", 1},
               {"B", 1},
               {"k", 1024},
               {"KiB", 1024},
               {"KB", 1000},
               {"M", 1 << 20},
               {"mib", 1 << 20},
               {"MB", 1000000},
               {"g", 1 << 30},
               {"GiB", 1 << 30},
               {"gb", 1000000000},
               {"T", UINT64_C(1) << 40},
               {"TiB", UINT64_C(1) << 40},
               {"TB", 1000000000000}};
    const unsigned unit = fuzz_u8(in) % (sizeof all / sizeof all[0]), shift = fuzz_u8(in) % 64;
    const uint64_t number = fuzz_u64(in) >> shift;
    char word[64];
    uint64_t got = 0;
    (void)snprintf(word, sizeof word, "%llu%s", (unsigned long long)number, all[unit].text);
    wide exact = (wide)number * all[unit].factor;
    bool ok = size_parse(word, &got) == 0;
    FUZZ_CHECK(ok == (exact <= UINT64_MAX) && (!ok || got == (uint64_t)exact));
}

static void seconds(const char *word)
{
    uint64_t ns = 0, whole = 0;
    const size_t digits = strspn(word, "0123456789");
    bool ok = seconds_parse(word, &ns) == 0;
    FUZZ_CHECK(!ok || (plain_number(word, digits, &whole) && ns / 1000000000 == whole));
    FUZZ_CHECK(!ok || strspn(word, "0123456789.") == strlen(word));
    if (!ok)
        return;
    char printed[64];
    uint64_t again = 0;
    (void)snprintf(printed, sizeof printed, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
                   (unsigned long long)(ns % 1000000000));
    FUZZ_CHECK(seconds_parse(printed, &again) == 0 && again == ns);
}

static void format(const char *word, const uint8_t *data, size_t size)
{
    struct print print;
    memset(&print, 0, sizeof print);
    const char *wrong = print_parse(&print, word);
    FUZZ_CHECK(print.count <= PRINT_PIECES);
    if (wrong == NULL) {
        size_t text = 0;
        for (int i = 0; i < print.count; i++)
            text += print.pieces[i].len;
        FUZZ_CHECK(text <= strlen(word));
    }
    const struct stele_record record = {.data = data, .len = size, .lsn = size * UINT64_C(8), .type = 7};
    static const enum print_form forms[] = {PRINT_LINE, PRINT_RAW, PRINT_HEX, PRINT_JSON};
    if (wrong == NULL)
        print_record(&print, &record);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        print.form = forms[i];
        print_record(&print, &record);
    }
    encode_preview(data, size, size / 2);
    FUZZ_CHECK(out_flush() == 0);
}

static void utf8(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t step = utf8_sequence(data + at, size - at);
        FUZZ_CHECK(step <= 4 && step <= size - at);
        if (step == 0)
            break;
        uint32_t c = step == 1 ? data[at] : data[at] & (0x7fu >> step); /* what it decodes to is in range */
        for (size_t i = 1; i < step; i++)
            c = c << 6 | (data[at + i] & 0x3fu);
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        FUZZ_CHECK(c >= least[step] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
        at += step;
    }
    FUZZ_CHECK((at == size) == (utf8_valid(data, size) != 0));
}

/* Records out of pieces of any size are those out of the whole. */
static void framing(struct fuzz_in *in)
{
    static struct input input; /* its buffer is kept, as in the command */
    static int pair[2] = {-1, -1};
    if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        abort();
    const uint8_t how = fuzz_u8(in), step = fuzz_u8(in);
    input.framing = (how & 1) != 0 ? FRAMING_LENGTH : FRAMING_DELIMITER;
    input.delimiter = (how & 2) != 0 ? 0 : '\n';
    input.limit = (how & 4) != 0 ? 16 : 4096;
    input_begin(&input, pair[0]);
    const uint8_t *at = in->at, *record = NULL;
    const uint8_t *end = at + in->left;
    size_t sent = 0, len = 0;
    for (int ended = 0; ended == 0;) {
        enum input_result result = input_next(&input, &record, &len);
        if (result == INPUT_MORE) {
            size_t n = (size_t)step % 64 + 1;
            n = n < in->left - sent ? n : in->left - sent;
            ssize_t gone =
                send(pair[1], in->left > 0 ? in->at + sent : (const uint8_t *)"", n, 0); /* n 0: the end */
            FUZZ_CHECK(gone == (ssize_t)n && input_read(&input) == 0);
            sent += n;
            continue;
        }
        ended = result != INPUT_RECORD;
        if (ended != 0)
            FUZZ_CHECK(result == INPUT_END ? at == end && input_unfinished(&input) == 0 : at < end);
        if (result == INPUT_CUT)
            FUZZ_CHECK(input.framing == FRAMING_LENGTH && sent == in->left);
        if (ended != 0)
            break;
        at += input.framing == FRAMING_LENGTH ? 4 : 0;
        FUZZ_CHECK(len <= input.limit && len <= (size_t)(end - at) && memcmp(at, record, len) == 0);
        at += len;
        if (input.framing == FRAMING_DELIMITER && at < end)
            FUZZ_CHECK(*at++ == input.delimiter);
    }
    FUZZ_CHECK(sent <= in->left && input.total == sent);
}

static void options(struct fuzz_in *in)
{
    enum { WORDS = 12 };
    char text[WORD_MAX], *words[WORDS + 2] = {NULL};
    int count = 0;
    size_t commands = 0;
    while (tool_commands[commands] != NULL)
        commands++;
    const struct command *self = tool_commands[fuzz_u8(in) % commands];
    size_t len = in->left < sizeof text - 1 ? in->left : sizeof text - 1;
    fuzz_take(in, text, len);
    text[len] = '\0';
    char *rest = text, *word;
    words[count++] = text + len; /* argv[0] */
    while (count <= WORDS && (word = strsep(&rest, "\n")) != NULL)
        words[count++] = word;
    struct opts opts;
    int id, turns = 0;
    uint64_t value;
    opts_begin(&opts, self, count, words);
    while ((id = opts_next(&opts)) > 0) {
        const struct opt *row = self->options;
        while (row->id != 0 && row->id != id)
            row++;
        FUZZ_CHECK(row->id == id && (row->arg == NULL || opts.arg != NULL) && ++turns < (int)WORD_MAX);
        if (row->arg != NULL && opts_size(&opts, &value) != 0)
            FUZZ_CHECK(opts.exit == TOOL_USAGE);
        if (row->arg != NULL && opts_number(&opts, &value, 1, 9) == 0)
            FUZZ_CHECK(value >= 1 && value <= 9);
    }
    if (id == 0) {
        FUZZ_CHECK(opts.count >= self->operands_min && opts.operands + opts.count == words + count);
        FUZZ_CHECK(self->operands_max < 0 || opts.count <= self->operands_max);
    } else {
        FUZZ_CHECK(opts.exit == TOOL_USAGE || opts.exit == TOOL_FINE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_silence();
    struct fuzz_in in = {data, size};
    const uint8_t what = fuzz_u8(&in) % 7;
    if (what == 1)
        units(&in);
    if (what == 5)
        framing(&in);
    if (what == 6)
        options(&in);
    size_t len = in.left < WORD_MAX ? in.left : WORD_MAX;
    char *word = malloc(len + 1);
    if (word == NULL)
        return 0;
    fuzz_take(&in, word, len);
    word[len] = '\0';
    if (what == 0)
        sizes(word);
    if (what == 2)
        seconds(word);
    if (what == 3)
        format(word, (const uint8_t *)word, len);
    if (what == 4)
        utf8((const uint8_t *)word, len);
    free(word);
    return 0;
}
