/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/event.h"

#include "os/file.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int stele__event_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : stele__fd_above_standard(fd);
}

void stele__event_signal(int fd)
{
    const uint64_t one = 1;
    ssize_t written =
        write(fd, &one, sizeof one); /* fails only when the counter is full: it is readable then */
    (void)written;
}
