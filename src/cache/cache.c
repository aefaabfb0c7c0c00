/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"
#include "audit/report.h"
#include "base/ensure.h"
#include "keyring/keyring.h"

#define L1_BYTES     ((uint64_t)64 << 20)
#define L1_BYTES_MIN ((uint64_t)64 << 10)
#define L1_SHARDS    16u
#define SHARDS_MAX   256u
#define REFRESH_MS   250u
#define NS_PER_MS    UINT64_C(1000000)

void arili_cache_tell(const aril_cache *cache, aril_event_kind kind, aril_status st,
                      const char *action, const aril_cache_key *key, const uint8_t *key_id)
{
    aril_event event = { .kind = kind, .status = st, .action = action, .tenant = key->tenant };
    if (key_id != NULL) {
        memcpy(event.key_id, key_id, sizeof event.key_id);
    }
    arili_audit_emit(cache->rt->audit, &cache->rt->clock, &event);
}

static aril_status check_config(const aril_cache_config *config, aril_error *error)
{
    const size_t shards = config->l1_shards;
    ARILI_ENSURE(config->keyring != NULL, ARIL_E_USAGE_NULL);
    if (config->store == NULL && config->l1_bytes == 0) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "a cache without a store has to say its l1_bytes");
    }
    if (config->l1_bytes != 0 && config->l1_bytes < L1_BYTES_MIN) {
        return arili_error_set(
            error, ARIL_E_USAGE_RANGE, "l1_bytes of a cache is %llu; it is 0 or at least %llu",
            (unsigned long long)config->l1_bytes, (unsigned long long)L1_BYTES_MIN);
    }
    if (shards > SHARDS_MAX || (shards & (shards - 1)) != 0) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "l1_shards of a cache is %zu; it is 0 or a power of two up to %u",
                               shards, SHARDS_MAX);
    }
    return ARIL_OK;
}

static aril_status draw(aril_cache *cache)
{
    const struct arili_crypto *c = &cache->rt->crypto;
    uint8_t seed[8];
    ARILI_TRY(c->ops->random(c->provider, seed, sizeof seed));
    memcpy(&cache->seed, seed, sizeof cache->seed);
    return c->ops->random(c->provider, cache->self, sizeof cache->self);
}

static aril_status fill(aril_cache *cache, const aril_cache_config *config, aril_error *error)
{
    aril_runtime *rt = cache->rt;
    ARILI_TRY(draw(cache));
    ARILI_TRY(arili_policies_init(cache, config, error));
    ARILI_TRY(arili_l1_new(rt, config->l1_bytes != 0 ? config->l1_bytes : L1_BYTES,
                           config->l1_shards != 0 ? config->l1_shards : L1_SHARDS, &cache->l1));
    ARILI_TRY(arili_flights_new(&cache->flights));
    ARILI_TRY(arili_staging_new(&cache->staging));
    return arili_messages_listen(cache, error);
}

aril_status aril_cache_open(aril_runtime *rt, const aril_cache_config *config,
                            aril_cache **ret_cache, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && config != NULL && ret_cache != NULL, ARIL_E_USAGE_NULL);
    *ret_cache = NULL;
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_TRY(check_config(config, error));
    aril_cache *cache = arili_alloc(sizeof *cache);
    ARILI_ENSURE(cache != NULL, ARIL_E_NOMEM);
    if (pthread_mutex_init(&cache->lock, NULL) != 0) {
        arili_free(cache, sizeof *cache);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    cache->rt = rt;
    cache->guard = arili_secure_guard(rt->secure);
    cache->keyring = config->keyring;
    cache->hash = config->keyring->profile->hash;
    cache->store = config->store;
    cache->capabilities = config->store != NULL ? arili_store_capabilities(config->store) : 0;
    cache->executor = config->executor;
    cache->evidence = config->evidence;
    cache->user = config->user;
    cache->refresh_ns = (config->refresh_ms != 0 ? config->refresh_ms : REFRESH_MS) * NS_PER_MS;
    const aril_status st = fill(cache, config, error);
    if (st != ARIL_OK) {
        aril_cache_close(cache);
        return st;
    }
    *ret_cache = cache;
    return ARIL_OK;
}

void aril_cache_close(aril_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    /* In a forked child the locks may be held for ever. */
    if (cache->listens && !arili_is_forked(&cache->guard)) {
        arili_store_deafen(cache->store); /* nobody calls on_message() after this */
    }
    arili_scopes_free(cache);
    arili_handed_keys_free(cache);
    arili_shared_chains_free(cache);
    arili_l1_free(cache->l1);
    arili_flights_free(cache->flights);
    arili_staging_free(cache->staging);
    arili_policies_done(cache);
    (void)pthread_mutex_destroy(&cache->lock);
    arili_free(cache, sizeof *cache);
}
