/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_CACHE_H
#define ARILI_KEYRING_CACHE_H
#include "crypto/xaes.h"
#include "keyring/wrap.h"

/*
 * Unwrapped keys of one keyring, by id: bounded, each for a limited time. Everything here is
 * called under the keyring's quick lock, but for aril_tenant_key_put().
 */

/* The secret of a key, in a secure cell. */
struct arili_tenant_secret {
    struct arili_xaes xaes; /* key and, for DATA, what XAES derives once */
};
_Static_assert(sizeof(struct arili_tenant_secret) <= ARILI_SECURE_CELL_BYTES, "a cell holds it");

struct aril_tenant_key {
    _Atomic uint32_t references;
    aril_runtime *rt;
    struct arili_tenant_secret *secret; /* secure cell */
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_key_purpose purpose;
    uint16_t owner_len;
    uint8_t owner[ARIL_KEY_OWNER_BYTES_MAX];
};

/* An entry is a tenant key or a KEK, never both. */
struct arili_cache_entry {
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_tenant_key *key;
    struct arili_kek *kek;
    uint64_t until_ns;
    uint32_t next;         /* in its bucket: 1 + index, 0 ends */
    uint32_t older, newer; /* by last put: 1 + index, 0 ends */
};
struct arili_cache {
    size_t max;
    struct arili_cache_entry *entries;
    size_t used, cap;
    uint32_t *buckets;
    size_t bucket_count; /* a power of two, or 0 */
    uint32_t oldest, newest, free;
};
void arili_cache_init(struct arili_cache *cache, size_t max);
/* Drops everything; the cache can be used again. */
void arili_cache_clear(struct arili_cache *cache);

/* NULL when it is not there or its time is over. Borrowed. */
struct arili_cache_entry *arili_cache_find(struct arili_cache *cache,
                                           const uint8_t id[ARIL_KEY_ID_BYTES], uint64_t now_ns);
/* Forget those whose time is over: all keys live equally long, so the oldest end first. */
void arili_cache_expire(struct arili_cache *cache, uint64_t now_ns);
/* Drops that entry, when it is there. */
void arili_cache_drop(struct arili_cache *cache, const uint8_t id[ARIL_KEY_ID_BYTES]);
/* Take a reference to one of key and kek. Without memory it remembers nothing. The oldest goes
 * when there are max. */
void arili_cache_put(struct arili_cache *cache, const uint8_t id[ARIL_KEY_ID_BYTES],
                     aril_tenant_key *key, struct arili_kek *kek, uint64_t until_ns);

/* A key object with one reference. */
ARIL_MUST_USE aril_status arili_tenant_key_new(aril_runtime *rt, aril_key_purpose purpose,
                                               aril_bytes owner,
                                               const uint8_t id[ARIL_KEY_ID_BYTES],
                                               const uint8_t secret[ARILI_AEAD_KEY_BYTES],
                                               aril_tenant_key **ret);
void arili_tenant_key_hold(aril_tenant_key *key);
void arili_tenant_key_putp(aril_tenant_key **key);
/* The parts that use keys: XAES of a DATA key; the 32 bytes of any. Borrowed. */
const struct arili_xaes *arili_tenant_key_xaes(const aril_tenant_key *key);
aril_bytes arili_tenant_key_bytes(const aril_tenant_key *key);
#endif
