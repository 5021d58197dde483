/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.h: what a measurement was made on. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

struct machine {
    char cpu[128];
    char kernel[256];
    char file_system[64]; /* type of the file system that holds the directory */
    char source[256];     /* its device */
    char mount_options[256];
    uint64_t cpus, memory_bytes;
};

/* Facts that cannot be found are "unknown" or 0. */
void machine_describe(struct machine *machine, const char *directory);

#endif
