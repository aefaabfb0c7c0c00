/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/cache.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <aril/keyring.h>
#include <stdatomic.h>

/* --- Key objects --------------------------------------------------------------------------- */

aril_status arili_tenant_key_new(aril_runtime *rt, aril_key_purpose purpose, aril_bytes owner,
                                 const uint8_t id[ARIL_KEY_ID_BYTES],
                                 const uint8_t secret[ARILI_AEAD_KEY_BYTES], aril_tenant_key **ret)
{
    ARILI_ENSURE(owner.len <= ARIL_KEY_OWNER_BYTES_MAX, ARIL_E_LIMIT);
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = arili_alloc(sizeof *key);
    ARILI_ENSURE(key != NULL, ARIL_E_NOMEM);
    atomic_init(&key->references, 1);
    key->rt = rt;
    key->purpose = purpose;
    memcpy(key->id, id, sizeof key->id);
    key->owner_len = (uint16_t)owner.len;
    memcpy(key->owner, owner.data, owner.len);
    key->secret = arili_secure_take(rt->secure);
    ARILI_ENSURE(key->secret != NULL, ARIL_E_NOMEM);
    ARILI_TRY(arili_xaes_init(&rt->crypto, secret, &key->secret->xaes));
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

void arili_tenant_key_hold(aril_tenant_key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
}

void aril_tenant_key_put(aril_tenant_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    arili_secure_give(key->rt->secure, key->secret);
    arili_free(key, sizeof *key);
}

void arili_tenant_key_putp(aril_tenant_key **key)
{
    aril_tenant_key_put(*key);
}

const uint8_t *aril_tenant_key_id(const aril_tenant_key *key)
{
    return key->id;
}

aril_key_purpose aril_tenant_key_purpose(const aril_tenant_key *key)
{
    return key->purpose;
}

const struct arili_xaes *arili_tenant_key_xaes(const aril_tenant_key *key)
{
    return &key->secret->xaes;
}

aril_bytes arili_tenant_key_bytes(const aril_tenant_key *key)
{
    return (aril_bytes){ key->secret->xaes.key, sizeof key->secret->xaes.key };
}

/* --- The table ----------------------------------------------------------------------------- */

void arili_cache_init(struct arili_cache *cache, size_t max)
{
    *cache = (struct arili_cache){ .max = max };
}

/* Ids are outputs of HKDF, drawn by whoever made the key: nobody else chooses them. */
static uint32_t *bucket_of(const struct arili_cache *cache, const uint8_t *id)
{
    return &cache->buckets[(size_t)arili_load64(id) & (cache->bucket_count - 1)];
}

static void release(struct arili_cache_entry *e)
{
    aril_tenant_key_put(e->key);
    arili_kek_drop(e->kek);
    e->key = NULL;
    e->kek = NULL;
}

void arili_cache_clear(struct arili_cache *cache)
{
    for (size_t i = 0; i < cache->used; i++) {
        release(&cache->entries[i]);
    }
    arili_free(cache->entries, cache->cap * sizeof *cache->entries);
    arili_free(cache->buckets, cache->bucket_count * sizeof *cache->buckets);
    arili_cache_init(cache, cache->max);
}

static void unlink_bucket(struct arili_cache *cache, uint32_t number)
{
    struct arili_cache_entry *e = &cache->entries[number - 1];
    uint32_t *at = bucket_of(cache, e->id);
    while (*at != number) {
        at = &cache->entries[*at - 1].next;
    }
    *at = e->next;
}

static void unlink_age(struct arili_cache *cache, const struct arili_cache_entry *e)
{
    *(e->older != 0 ? &cache->entries[e->older - 1].newer : &cache->oldest) = e->newer;
    *(e->newer != 0 ? &cache->entries[e->newer - 1].older : &cache->newest) = e->older;
}

static void drop_entry(struct arili_cache *cache, uint32_t number)
{
    struct arili_cache_entry *e = &cache->entries[number - 1];
    unlink_bucket(cache, number);
    unlink_age(cache, e);
    release(e);
    e->next = cache->free;
    cache->free = number;
}

static uint32_t find_number(const struct arili_cache *cache, const uint8_t *id)
{
    if (cache->bucket_count == 0) {
        return 0;
    }
    uint32_t number = *bucket_of(cache, id);
    while (number != 0 && memcmp(cache->entries[number - 1].id, id, ARIL_KEY_ID_BYTES) != 0) {
        number = cache->entries[number - 1].next;
    }
    return number;
}

void arili_cache_expire(struct arili_cache *cache, uint64_t now_ns)
{
    while (cache->oldest != 0 && now_ns >= cache->entries[cache->oldest - 1].until_ns) {
        drop_entry(cache, cache->oldest);
    }
}

struct arili_cache_entry *arili_cache_find(struct arili_cache *cache,
                                           const uint8_t id[ARIL_KEY_ID_BYTES], uint64_t now_ns)
{
    arili_cache_expire(cache, now_ns);
    const uint32_t number = find_number(cache, id);
    if (number == 0) {
        return NULL;
    }
    if (now_ns >= cache->entries[number - 1].until_ns) {
        drop_entry(cache, number);
        return NULL;
    }
    return &cache->entries[number - 1];
}

/* Twice the entries, and buckets to match. False without memory; then nothing changed. */
static bool grow(struct arili_cache *cache)
{
    const size_t cap = cache->cap == 0 ? 64 : cache->cap * 2;
    struct arili_cache_entry *entries = arili_alloc(cap * sizeof *entries);
    uint32_t *buckets = arili_alloc(cap * sizeof *buckets);
    if (entries == NULL || buckets == NULL) {
        arili_free(entries, cap * sizeof *entries);
        arili_free(buckets, cap * sizeof *buckets);
        return false;
    }
    if (cache->used > 0) {
        memcpy(entries, cache->entries, cache->used * sizeof *entries);
    }
    arili_free(cache->entries, cache->cap * sizeof *cache->entries);
    arili_free(cache->buckets, cache->bucket_count * sizeof *cache->buckets);
    cache->entries = entries;
    cache->buckets = buckets;
    cache->cap = cap;
    cache->bucket_count = cap;
    /* Called only when no entry is free: all of them are linked again. */
    for (uint32_t number = 1; number <= cache->used; number++) {
        uint32_t *bucket = bucket_of(cache, entries[number - 1].id);
        entries[number - 1].next = *bucket;
        *bucket = number;
    }
    return true;
}

/* The number of an entry to fill, or 0. */
static uint32_t take_entry(struct arili_cache *cache)
{
    if (cache->free == 0 && cache->used == cache->max && cache->oldest != 0) {
        drop_entry(cache, cache->oldest);
    }
    if (cache->free != 0) {
        const uint32_t number = cache->free;
        cache->free = cache->entries[number - 1].next;
        return number;
    }
    if (cache->used == cache->max || (cache->used == cache->cap && !grow(cache))) {
        return 0;
    }
    return (uint32_t)++cache->used;
}

void arili_cache_drop(struct arili_cache *cache, const uint8_t id[ARIL_KEY_ID_BYTES])
{
    const uint32_t number = find_number(cache, id);
    if (number != 0) {
        drop_entry(cache, number);
    }
}

void arili_cache_put(struct arili_cache *cache, const uint8_t id[ARIL_KEY_ID_BYTES],
                     aril_tenant_key *key, struct arili_kek *kek, uint64_t until_ns)
{
    arili_cache_drop(cache, id);
    const uint32_t number = take_entry(cache);
    if (number == 0) {
        return;
    }
    struct arili_cache_entry *e = &cache->entries[number - 1];
    memcpy(e->id, id, sizeof e->id);
    if (key != NULL) {
        arili_tenant_key_hold(key);
    }
    if (kek != NULL) {
        arili_kek_hold(kek);
    }
    e->key = key;
    e->kek = kek;
    e->until_ns = until_ns;
    uint32_t *bucket = bucket_of(cache, id);
    e->next = *bucket;
    *bucket = number;
    e->older = cache->newest;
    e->newer = 0;
    *(cache->newest != 0 ? &cache->entries[cache->newest - 1].newer : &cache->oldest) = number;
    cache->newest = number;
}
