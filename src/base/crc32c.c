/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/crc32c.h"

#include "base/bits.h"

/* table[n] is four shifts of n through the reflected polynomial. Constant data: no initialisation order, no global
 * state; sixteen entries, because this path serves only processors without a crc32 instruction. */
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
STELE__CRC_TARGET uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t raw = (uint32_t)~crc;
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

uint32_t stele__crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    return stele__crc32c_table(crc, data, len);
}
#endif

uint32_t stele__crc32c(uint32_t crc, const void *data, size_t len)
{
    return stele__crc32c_has_hw() ? stele__crc32c_hw(crc, data, len) : stele__crc32c_table(crc, data, len);
}
