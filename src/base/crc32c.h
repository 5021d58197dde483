/* SPDX-License-Identifier: BSD-3-Clause */
/* base/crc32c.h: CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, complemented in and out),
 * extendable: crc32c(crc32c(0, a), b) == crc32c(0, a|b). Any value may be the start, which is how records
 * are seeded.
 *
 * The hardware step is offered as an inline function so that copy and checksum of a record run in one
 * loop. */
#ifndef STELE_BASE_CRC32C_H
#define STELE_BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both ways by name, for tests that compare them. _hw must not be called when stele__crc32c_has_hw() is
 * false. */
uint32_t stele__crc32c_table(uint32_t crc, const void *data, size_t len);
uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len);

#if defined(__x86_64__)
#define STELE__CRC_TARGET __attribute__((target("sse4.2,pclmul")))
static inline bool stele__crc32c_has_hw(void)
{
    return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
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

/* x^(64 * 2^k - 33) modulo the polynomial, reflected. The product of two reflected numbers carries a
 * factor x, and a crc32 step one of x^32: 33 in all. */
extern const uint32_t stele__crc32c_powers[9];

/* The register after 2^k more words of zero. By linearity, the register after a and then b is that after
 * a, moved over the length of b, xor that after b alone. */
STELE__CRC_TARGET static inline uint64_t stele__crc32c_move_power(uint64_t raw, unsigned k)
{
    typedef long long pair __attribute__((vector_size(16)));
    pair product =
        __builtin_ia32_pclmulqdq128((pair){(long long)raw, 0}, (pair){stele__crc32c_powers[k], 0}, 0);
    return stele__crc32c_step64(0, (uint64_t)product[0]);
}
#else
#define STELE__CRC_TARGET
uint64_t stele__crc32c_step64(uint64_t raw, uint64_t word);
uint32_t stele__crc32c_step8(uint32_t raw, uint8_t byte);
uint64_t stele__crc32c_move_power(uint64_t raw, unsigned k);
static inline bool stele__crc32c_has_hw(void)
{
    return false;
}
#endif

/* The register after `words` more words of zero, at most 511. */
STELE__CRC_TARGET static inline uint64_t stele__crc32c_move(uint64_t raw, unsigned words)
{
    for (; words != 0; words &= words - 1)
        raw = stele__crc32c_move_power(raw, (unsigned)__builtin_ctz(words));
    return raw;
}

/* Any length; picks hardware or table. */
static inline uint32_t stele__crc32c(uint32_t crc, const void *data, size_t len)
{
    return stele__crc32c_has_hw() ? stele__crc32c_hw(crc, data, len) : stele__crc32c_table(crc, data, len);
}

#endif
