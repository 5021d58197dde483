/* SPDX-License-Identifier: BSD-3-Clause */
/* What the unit tests of base/ and format/ share: memory that faults behind its last byte, a data area to put
 * records into, numbers that look random and are always the same. */
#ifndef STELE_TEST_FORMAT_H
#define STELE_TEST_FORMAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/chain.h"
#include "format/record.h"

#include <sys/mman.h>

#define PAGE 4096u

/* `bytes` of zeroes right in front of a page that may not be touched. */
static inline uint8_t *guarded_new(size_t bytes)
{
    size_t rounded = (size_t)stele__align_up(bytes, PAGE) + PAGE; /* at least one page, also for 0 bytes */
    uint8_t *map = mmap(NULL, rounded + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + rounded, PAGE, PROT_NONE), 0);
    return map + rounded - bytes;
}

static inline void guarded_free(uint8_t *data, size_t bytes)
{
    size_t rounded = (size_t)stele__align_up(bytes, PAGE) + PAGE;
    assert_int_equal(munmap(data + bytes - rounded, rounded + PAGE), 0);
}

/* A data area with a guard page behind it. */
struct sheet {
    uint8_t *data;
    struct stele__area area;
};

static inline struct sheet sheet_new(size_t bytes, stele_lsn base, uint32_t salt)
{
    struct sheet sheet = {.data = guarded_new(bytes)};
    sheet.area = (struct stele__area){
        .data = sheet.data, .bytes = bytes, .base = base, .salt = salt, .record_max = (uint32_t)(bytes / 4)};
    return sheet;
}

static inline void sheet_free(struct sheet *sheet)
{
    guarded_free(sheet->data, (size_t)sheet->area.bytes);
}

static inline uint8_t *sheet_at(const struct sheet *sheet, stele_lsn lsn)
{
    return sheet->data + (lsn - sheet->area.base);
}

static inline uint32_t sheet_seed(const struct sheet *sheet, stele_lsn lsn)
{
    return stele__record_seed(sheet->area.salt, lsn);
}

/* Store a record as a writer does, the word last. Returns where the next one begins. */
static inline stele_lsn sheet_put(struct sheet *sheet, stele_lsn lsn, uint8_t wire, uint16_t epoch,
                                  uint32_t dback, const void *data, uint32_t len)
{
    uint8_t *at = sheet_at(sheet, lsn);
    uint64_t word = stele__word_pack(len, wire, epoch);
    stele__store64(at, stele__record_fill(at, word, sheet_seed(sheet, lsn), dback, data, len));
    return lsn + stele__record_bytes(len);
}

/* A PAD over `bytes`, or a FILL when there are 8. */
static inline stele_lsn sheet_pad(struct sheet *sheet, stele_lsn lsn, uint64_t bytes, uint16_t epoch,
                                  uint32_t dback)
{
    uint8_t *at = sheet_at(sheet, lsn);
    stele__store64(at, stele__record_pad(at, bytes, epoch, sheet_seed(sheet, lsn), dback));
    return lsn + bytes;
}

static inline enum stele__check sheet_check(const struct sheet *sheet, stele_lsn lsn)
{
    struct stele__record record;
    return stele__record_check(&sheet->area, lsn, &record);
}

static inline void flip_bit(uint8_t *data, size_t bit)
{
    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* xorshift64*: the same sequence in every run. `*state` must not be 0. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}

static inline void fill_random(uint8_t *data, size_t len, uint64_t *state)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(next_random(state) >> 32);
}

#endif
