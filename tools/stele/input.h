/* SPDX-License-Identifier: BSD-3-Clause */
/* input.h: records out of a stream: lines, or pieces with their length in front. */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>

enum framing { FRAMING_DELIMITER, FRAMING_LENGTH /* 4 bytes, little-endian, before each record */ };

enum input_result {
    INPUT_RECORD = 1,   /* a record was returned */
    INPUT_MORE = 0,     /* nothing whole in the buffer: call input_read() */
    INPUT_END = -1,     /* the stream ended, everything was returned */
    INPUT_TOO_BIG = -2, /* the record being read is larger than the limit */
    INPUT_CUT = -3,     /* the stream ended inside a length-prefixed record */
};

struct input {
    int fd;
    enum framing framing;
    unsigned char delimiter;
    size_t limit;    /* bytes of the largest record */
    uint64_t number; /* of the record last returned, or of the one that failed; from 1 */
    uint64_t total;  /* bytes read */
    unsigned char *data;
    size_t room, begin, end;
    size_t searched; /* bytes behind begin that hold no delimiter: a long line is searched once */
    int ended;
};

/* The buffer is kept from one file to the next; fd and counters start anew. */
void input_begin(struct input *input, int fd);
void input_free(struct input *input);

enum input_result input_next(struct input *input, const unsigned char **record, size_t *len);

/* Read once. Returns 0, or an errno; EINTR and EAGAIN are not errors. */
int input_read(struct input *input);

/* Bytes of a record whose end has not been read. */
size_t input_unfinished(const struct input *input);

#endif
