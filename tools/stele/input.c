/* SPDX-License-Identifier: BSD-3-Clause */
/* input.c: see input.h. Records are returned in place; the buffer moves only when it is read into. */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES ((size_t)1 << 20) /* one read(2) of a file costs as much as copying it from there on */
#define PREFIX_BYTES 4u

void input_begin(struct input *input, int fd)
{
    input->fd = fd;
    input->number = 0;
    input->total = 0;
    input->begin = input->end = input->searched = 0;
    input->ended = 0;
}

void input_free(struct input *input)
{
    free(input->data);
    input->data = NULL;
    input->room = 0;
}

static enum input_result next_line(struct input *input, const unsigned char **record, size_t *len)
{
    const unsigned char *from = input->data + input->begin;
    size_t have = input->end - input->begin;
    if (have == 0)
        return input->ended ? INPUT_END : INPUT_MORE;
    const unsigned char *stop = memchr(from + input->searched, input->delimiter, have - input->searched);
    size_t found = stop ? (size_t)(stop - from) : have;
    input->searched = stop ? 0 : have;
    if (found > input->limit) {
        input->number++;
        return INPUT_TOO_BIG;
    }
    if (!stop && !input->ended)
        return INPUT_MORE;
    *record = from;
    *len = found;
    input->begin += stop ? found + 1 : found;
    input->number++;
    return INPUT_RECORD;
}

static enum input_result next_piece(struct input *input, const unsigned char **record, size_t *len)
{
    const unsigned char *from = input->data + input->begin;
    size_t have = input->end - input->begin;
    if (have == 0 && input->ended)
        return INPUT_END;
    size_t need = PREFIX_BYTES;
    if (have >= PREFIX_BYTES) {
        size_t length =
            (size_t)from[0] | (size_t)from[1] << 8 | (size_t)from[2] << 16 | (size_t)from[3] << 24;
        if (length > input->limit) {
            input->number++;
            return INPUT_TOO_BIG;
        }
        need += length;
    }
    if (have < need) {
        if (!input->ended)
            return INPUT_MORE;
        input->number++;
        return INPUT_CUT;
    }
    *record = from + PREFIX_BYTES;
    *len = need - PREFIX_BYTES;
    input->begin += need;
    input->number++;
    return INPUT_RECORD;
}

enum input_result input_next(struct input *input, const unsigned char **record, size_t *len)
{
    if (!input->data)
        return input->ended ? INPUT_END : INPUT_MORE;
    return input->framing == FRAMING_LENGTH ? next_piece(input, record, len) : next_line(input, record, len);
}

int input_read(struct input *input)
{
    if (input->begin > 0) {
        /* What is left is less than a record: little to move after a large read. */
        memmove(input->data, input->data + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    if (input->end == input->room) {
        size_t room = input->room == 0 ? INPUT_BYTES : 2 * input->room;
        unsigned char *larger = realloc(input->data, room);
        if (!larger)
            return ENOMEM;
        input->data = larger;
        input->room = room;
    }
    ssize_t n = read(input->fd, input->data + input->end, input->room - input->end);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : errno;
    input->ended = n == 0;
    input->end += (size_t)n;
    input->total += (uint64_t)n;
    return 0;
}

size_t input_unfinished(const struct input *input)
{
    return input->end - input->begin;
}
