/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tablehash.h"
#include <string.h>

static uint64_t load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The length is in the state already, so the last word may repeat bytes of the one before, and no
 * word has to be put together byte by byte. */
uint64_t arili_table_mix_bytes(uint64_t seed, uint64_t h, aril_bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.len;
    if (left >= 8) {
        for (; left > 8; left -= 8, at += 8) {
            h = arili_table_mix(seed, h, load64(at));
        }
        return arili_table_mix(seed, h, load64(at + left - 8));
    }
    if (left >= 4) {
        return arili_table_mix(seed, h, load32(at) << 32 | load32(at + left - 4));
    }
    if (left > 0) {
        const uint64_t three = (uint64_t)at[0] << 16 | (uint64_t)at[left / 2] << 8 | at[left - 1];
        return arili_table_mix(seed, h, three);
    }
    return h;
}

uint64_t arili_table_hash(uint64_t seed, aril_bytes key)
{
    const uint64_t h = arili_table_mix(seed, ~seed, key.len);
    return arili_table_mix(seed, arili_table_mix_bytes(seed, h, key), seed >> 1);
}
