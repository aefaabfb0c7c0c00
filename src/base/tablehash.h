/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_TABLEHASH_H
#define ARILI_BASE_TABLEHASH_H
#include <aril/base.h>

/* Hashes for tables in memory, not for anything that must resist an attacker who sees
 * results: multiply and fold, started from a seed that the table draws at random. */
static inline uint64_t arili_table_mix(uint64_t state, uint64_t word)
{
    const uint64_t x = (state ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 32;
}
uint64_t arili_table_hash(uint64_t seed, aril_bytes key);
#endif
