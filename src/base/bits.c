/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/bits.h"

bool stele__is_zero(const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len >= 64) { /* a whole line at once: the compiler turns this into vector ORs */
        uint64_t any = 0;
        for (size_t i = 0; i < 64; i += 8)
            any |= stele__load64(at + i);
        if (any != 0)
            return false;
        at += 64;
        len -= 64;
    }
    while (len > 0) {
        if (*at != 0)
            return false;
        at++;
        len--;
    }
    return true;
}
