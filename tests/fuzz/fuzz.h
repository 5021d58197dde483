/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz.h: what the fuzz targets share. A target is one file, fuzz_NAME.c, that defines
 * LLVMFuzzerTestOneInput(): called again and again in one process, it must leave nothing behind but what it
 * finds again itself. Linked with libFuzzer by clang, or with driver.c, which replays files, by any compiler.
 * Invariant: the same input always does the same, whatever came before it; no clock, no random numbers. */
#ifndef STELE_FUZZ_H
#define STELE_FUZZ_H

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken invariant ends the process, which is how libFuzzer and the driver learn of it. */
#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fuzz_broken(#condition, __FILE__, __LINE__);                                                     \
    } while (0)
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* The input, taken from the front; what it does not have is zero. */
struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
void fuzz_take(struct fuzz_in *in, void *out, size_t len);
uint8_t fuzz_u8(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in);
uint32_t fuzz_u32(struct fuzz_in *in);
uint64_t fuzz_u64(struct fuzz_in *in);

/* A directory of our own for this process, made at the first call and removed at exit. On tmpfs where there
 * is one. */
const char *fuzz_scratch(void);
/* Remove what is in a directory (files, and directories of files), not the directory itself. */
void fuzz_empty(const char *path);

/* Standard output, and the standard error stream of the code under test, lead nowhere from now on; what the
 * target itself has to say is still seen. */
void fuzz_silence(void);

/* CRC-32C as docs/format.md writes it down, not as the library computes it. */
uint32_t fuzz_crc32c(uint32_t crc, const void *data, size_t len);

#endif
