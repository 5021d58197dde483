/* SPDX-License-Identifier: BSD-3-Clause */
/* base/crc32c.h: CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, complemented in and out), extendable:
 * crc32c(crc32c(0, a), b) == crc32c(0, a|b). Any value may be the start, which is how records are seeded.
 *
 * The hardware step is offered as an inline function so that copy and checksum of a record run in one loop. */
#ifndef STELE_BASE_CRC32C_H
#define STELE_BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any length; picks hardware or table. */
uint32_t stele__crc32c(uint32_t crc, const void *data, size_t len);
/* Both ways by name, for tests that compare them. _hw must not be called when stele__crc32c_has_hw() is false. */
uint32_t stele__crc32c_table(uint32_t crc, const void *data, size_t len);
uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len);

#if defined(__x86_64__)
#define STELE__CRC_TARGET __attribute__((target("sse4.2")))
static inline bool stele__crc32c_has_hw(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}
/* One step of the raw (not complemented) register. */
STELE__CRC_TARGET static inline uint64_t stele__crc32c_step64(uint64_t raw, uint64_t word)
{
    return __builtin_ia32_crc32di(raw, word);
}
STELE__CRC_TARGET static inline uint32_t stele__crc32c_step8(uint32_t raw, uint8_t byte)
{
    return __builtin_ia32_crc32qi(raw, byte);
}
#else
#define STELE__CRC_TARGET
uint64_t stele__crc32c_step64(uint64_t raw, uint64_t word);
uint32_t stele__crc32c_step8(uint32_t raw, uint8_t byte);
static inline bool stele__crc32c_has_hw(void)
{
    return false;
}
#endif

#endif
