/* SPDX-License-Identifier: BSD-3-Clause */
/* out.c: see out.h. The buffer is static: there is one stdout, and one thread that writes to it. */
#include "out.h"

#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Large enough that the system call is lost in the noise, small enough to stay in the cache. */
#define OUT_BYTES ((size_t)256 << 10)

static char buffer[OUT_BYTES];
static size_t used;
static int first_error;

static void write_through(const char *data, size_t len)
{
    while (len > 0 && first_error == 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            /* Somebody made the pipe non-blocking; wait, do not spin. */
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
            (void)poll(&fd, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            first_error = errno;
        }
    }
}

int out_flush(void)
{
    write_through(buffer, used);
    used = 0;
    return first_error;
}

int out_error(void)
{
    return first_error;
}

int out_gone(void)
{
    struct pollfd fd = {.fd = STDOUT_FILENO, .events = 0, .revents = 0};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

void out_write(const void *data, size_t len)
{
    if (len > OUT_BYTES - used)
        (void)out_flush();
    if (len >= OUT_BYTES) {
        write_through(data, len);
        return;
    }
    memcpy(buffer + used, data, len);
    used += len;
}

void out_text(const char *text)
{
    out_write(text, strlen(text));
}

void out_char(char c)
{
    if (used == OUT_BYTES)
        (void)out_flush();
    buffer[used++] = c;
}

void out_printf(const char *format, ...)
{
    char text[1024]; /* enough for all but a line with a long path */
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= (int)sizeof text) {
        char *longer = malloc((size_t)length + 1);
        if (longer && vsnprintf(longer, (size_t)length + 1, format, again) == length)
            out_write(longer, (size_t)length);
        else if (first_error == 0)
            first_error = ENOMEM;
        free(longer);
    } else if (length > 0) {
        out_write(text, (size_t)length);
    }
    va_end(again);
}

int out_finish(const struct command *self, int code)
{
    int error = out_flush();
    if (error == 0 || error == EPIPE || code == TOOL_IO)
        return code;
    return tool_io(self, "cannot write to standard output: %s", strerror(error));
}
