/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_PACKED_H
#define ARILI_CACHE_PACKED_H
#include "base/mem.h"
#include <aril/cache.h>

/*
 * The name of a value in one block of memory: this header, then tenant, space, key and field, one
 * after the other. Two names are equal when their blocks are. Never leaves the process.
 */
struct arili_packed {
    uint32_t database;
    uint32_t type;
    uint32_t tenant_len, space_len, key_len, field_len;
};
_Static_assert(sizeof(struct arili_packed) == 6 * sizeof(uint32_t), "no gaps: the block is bound");

/* Whether every part is within its bound of cache.h, so that lengths and their sum fit. */
static inline bool arili_packed_fits(const aril_cache_key *key)
{
    return key->tenant.len <= ARIL_TENANT_ID_BYTES_MAX &&
           key->space.len <= ARIL_CACHE_SPACE_BYTES_MAX &&
           key->key.len <= ARIL_CACHE_KEY_BYTES_MAX && key->field.len <= ARIL_CACHE_KEY_BYTES_MAX;
}
/* Bytes behind the header, of a name that fits. */
static inline size_t arili_packed_bytes(const aril_cache_key *key)
{
    return key->tenant.len + key->space.len + key->key.len + key->field.len;
}
/* Writes header and bytes of a name that fits. */
void arili_packed_write(struct arili_packed *packed, const aril_cache_key *key);
/* Names are not secret from who may ask for them: this stops at the first difference. */
bool arili_packed_equal(const struct arili_packed *packed, const aril_cache_key *key);
/* For tables in memory; seed as in base/tablehash.h. */
uint64_t arili_packed_hash(uint64_t seed, const aril_cache_key *key);
#endif
