/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/content.c: records that can be judged without knowing who appended them. */
#include "content.h"

#include <string.h>

static uint64_t seed_of(const struct rig_head *head)
{
    return rig_mix(rig_mix((uint64_t)head->log << 32 | head->thread) ^ rig_mix(head->number) ^
                   rig_mix(head->previous + head->generation) ^ head->len);
}

static void fill(uint64_t seed, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = rig_mix(seed + i);
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
}

/* Mostly small, now and then one of several pages: both ends of a torn page must be met. */
static uint32_t length_of(uint64_t dice)
{
    if (dice % 64 == 0)
        return RIG_RECORD_MIN + (uint32_t)(dice >> 16) % (RIG_RECORD_MAX - RIG_RECORD_MIN);
    if (dice % 8 == 0)
        return RIG_RECORD_MIN + (uint32_t)(dice >> 16) % 3000;
    return RIG_RECORD_MIN + (uint32_t)(dice >> 16) % 200;
}

size_t rig_record(struct rig_head *head, uint64_t dice, uint8_t out[RIG_RECORD_MAX])
{
    head->len = length_of(dice);
    head->seed = seed_of(head);
    memcpy(out, head, sizeof *head);
    fill(head->seed, out + sizeof *head, head->len - sizeof *head);
    return head->len;
}

bool rig_is_record(const void *data, size_t len, struct rig_head *head)
{
    uint8_t wanted[RIG_RECORD_MAX];
    if (len < sizeof *head || len > sizeof wanted)
        return false;
    memcpy(head, data, sizeof *head);
    if (head->len != len || head->seed != seed_of(head))
        return false;
    fill(head->seed, wanted, len - sizeof *head);
    return memcmp((const uint8_t *)data + sizeof *head, wanted, len - sizeof *head) == 0;
}
