/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/tablehash.h"
#include "cache/cache.h"

/* Names of KV blocks, salts for engines, and the domain of shared prefixes. docs/CACHE-FORMAT.md
 * sections 3.2 and 4.4. */
#define BLOCK_LABEL ARILI_LITERAL("aril cache block v1")
#define SALT_LABEL  ARILI_LITERAL("aril cache salt v1")
#define MODEL_MAX   1024u
#define CHAIN_MIN   16u
#define CHAIN_MAX   64u
#define SALT_BYTES  32u
#define SHARED_MAX  ((size_t)1 << 24)

aril_status arili_cache_block_key(const struct arili_crypto *c, enum arili_hash hash,
                                  const aril_cache_block *block,
                                  uint8_t ret[ARIL_CACHE_BLOCK_KEY_BYTES])
{
    uint8_t model_len[2];
    uint8_t numbers[17];
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    arili_store16(model_len, (uint16_t)block->model.len);
    arili_store32(numbers, block->layer_first);
    arili_store32(numbers + 4, block->layer_count);
    arili_store32(numbers + 8, block->rank);
    arili_store32(numbers + 12, block->group);
    numbers[16] = (uint8_t)block->chain.len;
    const aril_bytes parts[] = { BLOCK_LABEL,
                                 { model_len, sizeof model_len },
                                 block->model,
                                 { block->layout, sizeof block->layout },
                                 { numbers, sizeof numbers },
                                 block->chain };
    ARILI_TRY(c->ops->hash(c->provider, hash, parts, sizeof parts / sizeof *parts, digest));
    memcpy(ret, digest, ARIL_CACHE_BLOCK_KEY_BYTES);
    return ARIL_OK;
}

aril_status aril_cache_block_name(aril_cache *cache, const aril_cache_block *block,
                                  uint8_t ret_key[ARIL_CACHE_BLOCK_KEY_BYTES])
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(block != NULL && ret_key != NULL && block->model.data != NULL &&
                     block->chain.data != NULL,
                 ARIL_E_USAGE_NULL);
    ARILI_ENSURE(block->model.len >= 1 && block->model.len <= MODEL_MAX &&
                     block->chain.len >= CHAIN_MIN && block->chain.len <= CHAIN_MAX &&
                     block->layer_count >= 1,
                 ARIL_E_USAGE_RANGE);
    return arili_cache_block_key(&cache->rt->crypto, cache->hash, block, ret_key);
}

aril_status arili_cache_salt(const struct arili_crypto *c, enum arili_hash hash,
                             const aril_tenant_key *name_key, aril_bytes domain,
                             char ret[ARILI_CACHE_SALT_CHARS])
{
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    const aril_bytes parts[] = { SALT_LABEL, domain };
    ARILI_TRY(c->ops->hmac(c->provider, hash, arili_tenant_key_bytes(name_key), parts, 2, digest));
    (void)arili_base64url(digest, SALT_BYTES, ret);
    arili_wipe(digest, sizeof digest);
    return ARIL_OK;
}

aril_status aril_cache_salt(aril_cache *cache, aril_bytes tenant, aril_bytes domain,
                            char ret_salt[ARIL_CACHE_SALT_TEXT], aril_error *error)
{
    _Static_assert(ARIL_CACHE_SALT_TEXT == ARILI_CACHE_SALT_CHARS + 1, "and a NUL");
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(ret_salt != NULL && (domain.data != NULL || domain.len == 0), ARIL_E_USAGE_NULL);
    ARILI_ENSURE(tenant.data != NULL && tenant.len >= 1 && tenant.len <= ARIL_TENANT_ID_BYTES_MAX &&
                     domain.len <= ARIL_CACHE_SPACE_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_tenant_key(cache->keyring, tenant, ARIL_KEY_NAME, &key, error));
    ARILI_TRY(arili_cache_salt(&cache->rt->crypto, cache->hash, key, domain, ret_salt));
    ret_salt[ARILI_CACHE_SALT_CHARS] = '\0';
    return ARIL_OK;
}

/* --- Shared prefixes ------------------------------------------------------------------------ */

/* A set of chains, never changed once it is published. */
struct arili_shared_chains {
    struct arili_shared_chains *former; /* that readers may still hold; freed at close */
    aril_bytes tenant;                  /* behind the slots */
    size_t chain_bytes, cap, alloc_bytes;
    uint64_t seed;
    uint8_t slots[]; /* cap times { u8 used, chain } */
};

static uint8_t *slot_at(struct arili_shared_chains *s, size_t i)
{
    return s->slots + i * (s->chain_bytes + 1);
}

static void chain_put(struct arili_shared_chains *s, const uint8_t *chain)
{
    const aril_bytes key = { chain, s->chain_bytes };
    size_t i = arili_table_hash(s->seed, key) & (s->cap - 1);
    for (; slot_at(s, i)[0] != 0; i = (i + 1) & (s->cap - 1)) {
        if (memcmp(slot_at(s, i) + 1, chain, s->chain_bytes) == 0) {
            return;
        }
    }
    slot_at(s, i)[0] = 1;
    memcpy(slot_at(s, i) + 1, chain, s->chain_bytes);
}

aril_status aril_cache_share(aril_cache *cache, aril_bytes shared_tenant, const uint8_t *chains,
                             size_t chain_bytes, size_t count, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(chains != NULL || count == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(chain_bytes >= CHAIN_MIN && chain_bytes <= CHAIN_MAX && count <= SHARED_MAX &&
                     shared_tenant.len >= 1 && shared_tenant.len <= ARIL_TENANT_ID_BYTES_MAX &&
                     shared_tenant.data != NULL,
                 ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_tenant_key(cache->keyring, shared_tenant, ARIL_KEY_DATA, &key, error));
    size_t cap = 16;
    while (cap < 2 * count) {
        cap *= 2;
    }
    const size_t slots = cap * (chain_bytes + 1);
    const size_t bytes = sizeof(struct arili_shared_chains) + slots + shared_tenant.len;
    struct arili_shared_chains *s = arili_alloc(bytes);
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    s->alloc_bytes = bytes;
    s->chain_bytes = chain_bytes;
    s->cap = cap;
    s->seed = cache->seed;
    s->tenant = (aril_bytes){ memcpy(s->slots + slots, shared_tenant.data, shared_tenant.len),
                              shared_tenant.len };
    for (size_t i = 0; i < count; i++) {
        chain_put(s, chains + i * chain_bytes);
    }
    (void)pthread_mutex_lock(&cache->lock);
    s->former = atomic_load(&cache->shared);
    atomic_store(&cache->shared, s);
    (void)pthread_mutex_unlock(&cache->lock);
    return ARIL_OK;
}

aril_bytes aril_cache_block_tenant(const aril_cache *cache, aril_bytes tenant, aril_bytes chain)
{
    struct arili_shared_chains *s = cache != NULL ? atomic_load(&cache->shared) : NULL;
    if (s == NULL || chain.data == NULL || chain.len != s->chain_bytes) {
        return tenant;
    }
    size_t i = arili_table_hash(s->seed, chain) & (s->cap - 1);
    for (; slot_at(s, i)[0] != 0; i = (i + 1) & (s->cap - 1)) {
        if (memcmp(slot_at(s, i) + 1, chain.data, chain.len) == 0) {
            return s->tenant;
        }
    }
    return tenant;
}

void arili_shared_chains_free(aril_cache *cache)
{
    struct arili_shared_chains *s = atomic_load(&cache->shared);
    while (s != NULL) {
        struct arili_shared_chains *former = s->former;
        arili_free(s, s->alloc_bytes);
        s = former;
    }
}
