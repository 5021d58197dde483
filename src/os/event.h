/* SPDX-License-Identifier: BSD-3-Clause */
/* os/event.h: an eventfd: a counter that epoll can wait for. */
#ifndef STELE_OS_EVENT_H
#define STELE_OS_EVENT_H

int stele__event_open(void); /* non-blocking, close-on-exec; descriptor or -errno */
void stele__event_signal(int fd);

#endif
