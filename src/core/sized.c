/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/sized.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

static size_t size_of(const void *callers)
{
    size_t size;
    memcpy(&size, callers, sizeof size);
    return size;
}

int stele__sized_check(const void *callers, const char *what)
{
    if (callers == NULL)
        return stele__fail(STELE_EINVAL, "%s: NULL; pass one with its size field set", what);
    size_t size = size_of(callers);
    if (size < sizeof size || size > STELE__SIZED_MAX)
        return stele__fail(STELE_EINVAL, "%s: its size field says %zu; set it to sizeof(%s)", what, size,
                           what);
    return 0;
}

int stele__sized_in(void *own, size_t own_size, const void *callers, const char *what)
{
    STELE__ASSERT(own_size >= sizeof(size_t));
    memset(own, 0, own_size);
    if (callers != NULL) {
        int rc = stele__sized_check(callers, what);
        if (rc != 0)
            return rc;
        size_t size = size_of(callers);
        if (size > own_size && !stele__is_zero((const uint8_t *)callers + own_size, size - own_size))
            return stele__fail(STELE_EINVAL,
                               "%s: it has %zu bytes, and something is set beyond the %zu that this library "
                               "(version %s) knows; clear what is newer, or use a newer library",
                               what, size, own_size, STELE_VERSION_STRING);
        memcpy(own, callers, size < own_size ? size : own_size);
    }
    memcpy(own, &own_size, sizeof own_size);
    return 0;
}

void stele__sized_out(void *callers, const void *own, size_t own_size)
{
    size_t size = size_of(callers);
    size_t known = size < own_size ? size : own_size;
    STELE__ASSERT(known >= sizeof size);
    memcpy((uint8_t *)callers + sizeof size, (const uint8_t *)own + sizeof size, known - sizeof size);
    memset((uint8_t *)callers + known, 0, size - known);
}
