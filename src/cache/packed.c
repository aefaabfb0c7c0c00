/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/packed.h"
#include "base/tablehash.h"
#include <string.h>

static uint8_t *append(uint8_t *to, aril_bytes part)
{
    if (part.len > 0) {
        memcpy(to, part.data, part.len);
    }
    return to + part.len;
}

void arili_packed_write(struct arili_packed *packed, const aril_cache_key *key)
{
    *packed = (struct arili_packed){ .database = key->database,
                                     .type = (uint32_t)key->type,
                                     .tenant_len = (uint32_t)key->tenant.len,
                                     .space_len = (uint32_t)key->space.len,
                                     .key_len = (uint32_t)key->key.len,
                                     .field_len = (uint32_t)key->field.len };
    uint8_t *to = (uint8_t *)(packed + 1);
    to = append(to, key->tenant);
    to = append(to, key->space);
    to = append(to, key->key);
    (void)append(to, key->field);
}

static uint64_t load(const uint8_t *at, size_t bytes)
{
    uint64_t word = 0;
    memcpy(&word, at, bytes);
    return word;
}

/* Parts of names are short: no call for those of up to 64 bytes. The last word may repeat bytes of
 * the one before. */
static inline bool same(const uint8_t *at, aril_bytes part)
{
    const uint8_t *const b = part.data;
    const size_t len = part.len;
    if (len > 64) {
        return memcmp(at, b, len) == 0;
    }
    uint64_t difference = 0;
    if (len >= 8) {
        for (size_t i = 0; i + 8 < len; i += 8) {
            difference |= load(at + i, 8) ^ load(b + i, 8);
        }
        difference |= load(at + len - 8, 8) ^ load(b + len - 8, 8);
    } else if (len >= 4) {
        difference = (load(at, 4) ^ load(b, 4)) | (load(at + len - 4, 4) ^ load(b + len - 4, 4));
    } else {
        for (size_t i = 0; i < len; i++) {
            difference |= (uint64_t)(at[i] ^ b[i]);
        }
    }
    return difference == 0;
}

bool arili_packed_equal(const struct arili_packed *packed, const aril_cache_key *key)
{
    if (packed->key_len != key->key.len || packed->tenant_len != key->tenant.len ||
        packed->space_len != key->space.len || packed->field_len != key->field.len ||
        packed->database != key->database || packed->type != (uint32_t)key->type) {
        return false;
    }
    const uint8_t *const tenant = (const uint8_t *)(packed + 1);
    const uint8_t *const space = tenant + key->tenant.len;
    const uint8_t *const name = space + key->space.len;
    return same(name, key->key) && same(tenant, key->tenant) && same(space, key->space) &&
           same(name + key->key.len, key->field);
}

uint64_t arili_packed_hash(uint64_t seed, const aril_cache_key *key)
{
    uint64_t h = ~seed;
    h = arili_table_mix(seed, h, (uint64_t)key->key.len << 32 ^ key->field.len);
    h = arili_table_mix(seed, h,
                        (uint64_t)key->tenant.len << 48 ^ (uint64_t)key->space.len << 40 ^
                            (uint64_t)key->type << 32 ^ key->database);
    h = arili_table_mix_bytes(seed, h, key->key);
    h = arili_table_mix_bytes(seed, h, key->tenant);
    h = arili_table_mix_bytes(seed, h, key->space);
    h = arili_table_mix_bytes(seed, h, key->field);
    return arili_table_mix(seed, h, seed >> 1);
}
