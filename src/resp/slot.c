/* SPDX-License-Identifier: Apache-2.0 */
#include "resp/resp.h"
#include <string.h>

aril_bytes arili_resp_hash_tag(aril_bytes key)
{
    const uint8_t *const open = key.len > 0 ? memchr(key.data, '{', key.len) : NULL;
    if (open == NULL) {
        return key;
    }
    const size_t from = (size_t)(open - key.data) + 1;
    const uint8_t *const close = memchr(key.data + from, '}', key.len - from);
    if (close == NULL || close == key.data + from) {
        return key;
    }
    return (aril_bytes){ key.data + from, (size_t)(close - key.data) - from };
}

uint16_t arili_resp_slot(aril_bytes key)
{
    const aril_bytes tag = arili_resp_hash_tag(key);
    uint32_t crc = 0;
    for (size_t i = 0; i < tag.len; i++) {
        /* One byte by x^16 + x^12 + x^5 + 1 without a table: the upper nibble acts on the lower
         * one, then each bit of x is worth 0x1021 shifted. */
        uint32_t x = (crc >> 8 ^ tag.data[i]) & 0xffu;
        x ^= x >> 4;
        crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xffffu;
    }
    return (uint16_t)(crc % ARILI_RESP_SLOTS);
}
