/* SPDX-License-Identifier: BSD-3-Clause */
/* sizes.c: see sizes.h. */
#include "sizes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Digits up to *end; strtoull alone would take signs, spaces and octal. */
static int digits(const char *word, int base, uint64_t *value, const char **end)
{
    const char *first = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    char *stop = NULL;
    if (word[0] == '\0' || !strchr(first, word[0]))
        return -1;
    errno = 0;
    unsigned long long parsed = strtoull(word, &stop, base);
    if (errno != 0)
        return -1;
    *value = parsed;
    *end = stop;
    return 0;
}

int number_parse(const char *word, uint64_t *number)
{
    const char *end = NULL;
    int hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    uint64_t value = 0;
    if (digits(hex ? word + 2 : word, hex ? 16 : 10, &value, &end) != 0 || *end != '\0')
        return -1;
    *number = value;
    return 0;
}

int size_parse(const char *word, uint64_t *bytes)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {
        {"", 1},
        {"b", 1},
        {"k", UINT64_C(1) << 10},
        {"kib", UINT64_C(1) << 10},
        {"kb", 1000},
        {"m", UINT64_C(1) << 20},
        {"mib", UINT64_C(1) << 20},
        {"mb", 1000000},
        {"g", UINT64_C(1) << 30},
        {"gib", UINT64_C(1) << 30},
        {"gb", 1000000000},
        {"t", UINT64_C(1) << 40},
        {"tib", UINT64_C(1) << 40},
        {"tb", UINT64_C(1000000000000)},
    };
    const char *end = NULL;
    uint64_t value = 0;
    if (number_parse(word, bytes) == 0)
        return 0;
    if (digits(word, 10, &value, &end) != 0)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(end, units[i].suffix) != 0)
            continue;
        if (value > UINT64_MAX / units[i].factor)
            return -1;
        *bytes = value * units[i].factor;
        return 0;
    }
    return -1;
}

int size_list_parse(const char *word, uint64_t *values, int max)
{
    char copy[512];
    int count = 0;
    if (strlen(word) >= sizeof copy)
        return -1;
    memcpy(copy, word, strlen(word) + 1);
    for (char *rest = copy, *item = NULL; (item = strsep(&rest, ",")) != NULL; count++)
        if (count == max || size_parse(item, &values[count]) != 0)
            return -1;
    return count;
}

int seconds_parse(const char *word, uint64_t *ns)
{
    const char *end = NULL;
    uint64_t whole = 0, fraction = 0, unit = 1000000000;
    if (digits(word, 10, &whole, &end) != 0 || whole > UINT64_C(10000000000))
        return -1;
    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++) {
            unit /= 10;
            fraction += (uint64_t)(*end - '0') * unit;
        }
    }
    if (*end != '\0')
        return -1;
    *ns = whole * 1000000000 + fraction;
    return 0;
}

const char *size_text(char text[SIZES_TEXT], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    const char *format = unit == 0 || value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s";
    (void)snprintf(text, SIZES_TEXT, format, value, units[unit]);
    return text;
}

const char *duration_text(char text[SIZES_TEXT], uint64_t ns)
{
    double value = (double)ns;
    if (ns < 1000)
        (void)snprintf(text, SIZES_TEXT, "%" PRIu64 " ns", ns);
    else if (ns < 1000000)
        (void)snprintf(text, SIZES_TEXT, "%.1f us", value / 1e3);
    else if (ns < 1000000000)
        (void)snprintf(text, SIZES_TEXT, "%.1f ms", value / 1e6);
    else
        (void)snprintf(text, SIZES_TEXT, "%.2f s", value / 1e9);
    return text;
}

const char *time_text(char text[SIZES_TEXT], uint64_t ns)
{
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm utc;
    if (ns == 0 || !gmtime_r(&seconds, &utc) || strftime(text, SIZES_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        (void)snprintf(text, SIZES_TEXT, "-");
    return text;
}
