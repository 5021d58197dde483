/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/crc32c.h"

#include "base/bits.h"

/* table[n] is four shifts of n through the reflected polynomial. Constant data: no initialisation order,
 * no global state; sixteen entries, because this path serves only processors without a crc32 instruction. */
static const uint32_t nibble_table[16] = {
    0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
    0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
};

static uint32_t table_step8(uint32_t raw, uint8_t byte)
{
    raw ^= byte;
    raw = (raw >> 4) ^ nibble_table[raw & 15u];
    raw = (raw >> 4) ^ nibble_table[raw & 15u];
    return raw;
}

uint32_t stele__crc32c_table(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint32_t raw = ~crc;
    for (size_t i = 0; i < len; i++)
        raw = table_step8(raw, at[i]);
    return ~raw;
}

#if defined(__x86_64__)
const uint32_t stele__crc32c_powers[9] = {
    0x00000001u, 0x493c7d27u, 0xba4fc28eu, 0x9e4addf8u, 0x0d3b6092u,
    0xb9e02b86u, 0xdd7e3b0cu, 0x170076fau, 0xa51b6135u,
};

/* Lanes of 2^k words. */
#define LANE_SMALL 4u /* 128 bytes */
#define LANE_LARGE 7u /* 1 KiB */

/* The instruction takes one word a cycle and answers after three: three lanes keep it busy. */
STELE__CRC_TARGET static inline uint64_t three_lanes(uint64_t raw, const uint8_t *at, unsigned k)
{
    const size_t lane = (size_t)8 << k;
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < lane; i += 8) {
        raw = stele__crc32c_step64(raw, stele__load64(at + i));
        second = stele__crc32c_step64(second, stele__load64(at + lane + i));
        third = stele__crc32c_step64(third, stele__load64(at + 2 * lane + i));
    }
    return stele__crc32c_move_power(raw, k + 1) ^ stele__crc32c_move_power(second, k) ^ third;
}

STELE__CRC_TARGET uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    const size_t small = (size_t)24 << LANE_SMALL, large = (size_t)24 << LANE_LARGE;
    const uint8_t *at = data;
    uint64_t raw = (uint32_t)~crc;
    for (; len >= large; at += large, len -= large)
        raw = three_lanes(raw, at, LANE_LARGE);
    for (; len >= small; at += small, len -= small)
        raw = three_lanes(raw, at, LANE_SMALL);
    for (; len >= 8; at += 8, len -= 8)
        raw = stele__crc32c_step64(raw, stele__load64(at));
    for (; len > 0; at++, len--)
        raw = stele__crc32c_step8((uint32_t)raw, *at);
    return ~(uint32_t)raw;
}
#else
uint64_t stele__crc32c_step64(uint64_t raw, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++)
        raw = table_step8((uint32_t)raw, (uint8_t)(word >> (8 * i)));
    return raw;
}

uint32_t stele__crc32c_step8(uint32_t raw, uint8_t byte)
{
    return table_step8(raw, byte);
}

uint64_t stele__crc32c_move_power(uint64_t raw, unsigned k)
{
    for (unsigned i = 0; i < 1u << k; i++)
        raw = stele__crc32c_step64(raw, 0);
    return raw;
}

uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    return stele__crc32c_table(crc, data, len);
}
#endif
