/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tablehash.h"
#include <string.h>

uint64_t arili_table_hash(uint64_t seed, aril_bytes key)
{
    uint64_t h = arili_table_mix(seed, ~seed, key.len);
    for (size_t at = 0; at < key.len;) {
        uint64_t word = 0;
        const size_t n = key.len - at < sizeof word ? key.len - at : sizeof word;
        memcpy(&word, key.data + at, n);
        h = arili_table_mix(seed, h, word);
        at += n;
    }
    return arili_table_mix(seed, h, seed >> 1);
}
