/* SPDX-License-Identifier: BSD-3-Clause */
/* base/bits.h: alignment, little-endian fields, saturation. Pure inline functions, usable everywhere. */
#ifndef STELE_BASE_BITS_H
#define STELE_BASE_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The format is mapped as it is: a big-endian host would need another build of format/. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "stele's format is mapped in place: little-endian hosts only");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the record word needs lock-free 64-bit atomics");

#define STELE__LIKELY(x) __builtin_expect(!!(x), 1)
#define STELE__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define STELE__ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Two cache lines: adjacent-line prefetchers pull pairs, so hot words share neither. */
#define STELE__HOT_ALIGN 128

static inline uint64_t stele__align_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t stele__align_down(uint64_t value, uint64_t power_of_two)
{
    return value & ~(power_of_two - 1);
}

static inline bool stele__is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline uint64_t stele__min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t stele__max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint16_t stele__load16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t stele__load32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t stele__load64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void stele__store16(void *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void stele__store32(void *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void stele__store64(void *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

/* True when all of [data, data+len) is zero. */
bool stele__is_zero(const void *data, size_t len);

#endif
