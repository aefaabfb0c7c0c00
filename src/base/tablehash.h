/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_TABLEHASH_H
#define ARILI_BASE_TABLEHASH_H
#include <aril/base.h>

/*
 * Hashes for tables in memory: each word is multiplied by a secret, to 128 bits, and folded.
 * Who does not know the seed, which the table draws at random, can not choose keys that meet
 * in one place. Not for anything whose results an attacker sees.
 */
static inline uint64_t arili_table_mix(uint64_t seed, uint64_t state, uint64_t word)
{
    __extension__ const unsigned __int128 product = (unsigned __int128)(state ^ word) * (seed | 1);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
/* Mixes bytes into a state that has their length already. */
uint64_t arili_table_mix_bytes(uint64_t seed, uint64_t state, aril_bytes bytes);
uint64_t arili_table_hash(uint64_t seed, aril_bytes key);
#endif
