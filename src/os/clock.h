/* SPDX-License-Identifier: BSD-3-Clause */
/* os/clock.h: time and randomness. */
#ifndef STELE_OS_CLOCK_H
#define STELE_OS_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t stele__clock_realtime_ns(void);
uint64_t stele__clock_monotonic_ns(void);
void stele__clock_sleep_ns(uint64_t ns);
int stele__random_bytes(void *buf, size_t len); /* getrandom(2); 0 or -errno */

#endif
