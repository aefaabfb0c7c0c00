/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

/* Values in formats of others: which keys, which names, until when. The bytes are legacy.c's. */
#define LMCACHE_LABEL      ARILI_LITERAL("lmcache")
#define MASTER_MIN         16u
#define LMCACHE_MASTER_MAX 4096u

aril_cache_format arili_others_format(const struct arili_policy *policy)
{
    for (unsigned f = 1; f < ARIL_CACHE_FORMATS; f++) {
        if ((policy->said.legacy_reads & 1u << f) != 0) {
            return (aril_cache_format)f;
        }
    }
    return ARIL_CACHE_NATIVE;
}

bool arili_others_apply(const struct arili_scope *scope, uint64_t now_ms)
{
    const aril_cache_policy *p = &scope->policy->said;
    return p->legacy_reads != 0 && now_ms / 1000 <= p->legacy_until_s;
}

bool arili_others_name(const aril_cache_key *key)
{
    const aril_bytes ours = ARILI_LITERAL(ARILI_CACHE_LEVEL_TEXT);
    const aril_bytes name = key->key;
    return key->field.len == 0 && name.len <= ARIL_STORE_NAME_BYTES_MAX &&
           (name.len < ours.len || memcmp(name.data, ours.data, ours.len) != 0);
}

/* --- Keys ----------------------------------------------------------------------------------- */

static aril_cache_format family_of(aril_cache_format format)
{
    return format == ARIL_CACHE_LMCACHE ? format : ARIL_CACHE_CACHEKIT_INTEROP;
}

static const struct arili_handed_keys *handed_keys(const aril_cache *cache, aril_bytes tenant,
                                                   aril_cache_format family)
{
    const struct arili_handed_keys *h = atomic_load(&cache->handed);
    while (h != NULL && (h->format != family || h->tenant_len != tenant.len ||
                         memcmp(h->tenant, tenant.data, tenant.len) != 0)) {
        h = h->next;
    }
    return h;
}

aril_status arili_others_keys(aril_cache *cache, const struct arili_scope *scope,
                              aril_cache_format format, struct arili_others_keys *ret,
                              aril_error *error)
{
    const aril_cache_format family = family_of(format);
    const struct arili_handed_keys *h = handed_keys(cache, scope->tenant, family);
    *ret = (struct arili_others_keys){ .pinned_count = 0 };
    if (h != NULL) {
        for (size_t i = 0; i < h->count; i++) {
            ret->keys.key[i] = (aril_bytes){ h->cells[i], h->lens[i] };
        }
        ret->keys.count = h->count;
        return ARIL_OK;
    }
    const aril_bytes label = family == ARIL_CACHE_LMCACHE ? LMCACHE_LABEL : (aril_bytes){ NULL, 0 };
    ARILI_TRY(arili_keyring_legacy(cache->keyring, scope->tenant, label, ret->pinned,
                                   &ret->pinned_count, error));
    for (size_t i = 0; i < ret->pinned_count; i++) {
        ret->keys.key[i] = arili_tenant_key_bytes(ret->pinned[i]);
    }
    ret->keys.count = ret->pinned_count;
    return ARIL_OK;
}

void arili_others_keys_done(struct arili_others_keys *k)
{
    for (size_t i = 0; i < k->pinned_count; i++) {
        aril_tenant_key_put(k->pinned[i]);
    }
    k->pinned_count = 0;
}

static void free_handed(aril_cache *cache, struct arili_handed_keys *h)
{
    for (size_t i = 0; h != NULL && i < h->count; i++) {
        arili_secure_give(cache->rt->secure, h->cells[i]);
    }
    arili_free(h, sizeof *h);
}

void arili_handed_keys_free(aril_cache *cache)
{
    struct arili_handed_keys *h = atomic_load(&cache->handed);
    while (h != NULL) {
        struct arili_handed_keys *next = h->next;
        free_handed(cache, h);
        h = next;
    }
    atomic_store(&cache->handed, NULL);
}

static aril_status check_handed(aril_cache_format format, const aril_bytes *keys, size_t count)
{
    const bool lmcache = format == ARIL_CACHE_LMCACHE;
    ARILI_ENSURE(lmcache || format == ARIL_CACHE_CACHEKIT_INTEROP, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(keys != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(count >= 1 && count <= (lmcache ? 1 : ARILI_LEGACY_KEYS_MAX), ARIL_E_USAGE_RANGE);
    const size_t most = lmcache ? LMCACHE_MASTER_MAX : ARILI_LEGACY_MASTER_BYTES_MAX;
    for (size_t i = 0; i < count; i++) {
        ARILI_ENSURE(keys[i].data != NULL, ARIL_E_USAGE_NULL);
        ARILI_ENSURE(keys[i].len >= MASTER_MIN && keys[i].len <= most, ARIL_E_USAGE_RANGE);
        /* cachekit: the current key is none of the former ones. */
        for (size_t k = 0; k < i; k++) {
            ARILI_ENSURE(keys[k].len != keys[i].len ||
                             !arili_equal_ct(keys[k].data, keys[i].data, keys[i].len),
                         ARIL_E_USAGE_RANGE);
        }
    }
    return ARIL_OK;
}

static aril_status take_handed(aril_cache *cache, struct arili_handed_keys *h,
                               const aril_bytes *keys, size_t count)
{
    _Static_assert(ARILI_LEGACY_MASTER_BYTES_MAX <= ARILI_SECURE_CELL_BYTES, "a cell holds one");
    for (size_t i = 0; i < count; i++) {
        h->cells[i] = arili_secure_take(cache->rt->secure);
        ARILI_ENSURE(h->cells[i] != NULL, ARIL_E_NOMEM);
        h->count++;
        if (h->format == ARIL_CACHE_LMCACHE) {
            ARILI_TRY(arili_lmcache_prk(&cache->rt->crypto, keys[i], h->cells[i]));
            h->lens[i] = 32;
        } else {
            memcpy(h->cells[i], keys[i].data, keys[i].len);
            h->lens[i] = keys[i].len;
        }
    }
    return ARIL_OK;
}

aril_status aril_cache_legacy_keys(aril_cache *cache, aril_bytes tenant, aril_cache_format format,
                                   const aril_bytes *keys, size_t count, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(tenant.data != NULL && tenant.len >= 1 && tenant.len <= ARIL_TENANT_ID_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    const aril_status st = check_handed(format, keys, count);
    if (st != ARIL_OK) {
        return arili_error_set(
            error, st,
            "cachekit has 1 to 4 different master keys of 16 to 64 bytes, LMCache "
            "one of 16 to 4096 bytes");
    }
    struct arili_handed_keys *h = arili_alloc(sizeof *h);
    ARILI_ENSURE(h != NULL, ARIL_E_NOMEM);
    h->format = format;
    h->tenant_len = tenant.len;
    memcpy(h->tenant, tenant.data, tenant.len);
    const aril_status taken = take_handed(cache, h, keys, count);
    if (taken != ARIL_OK) {
        free_handed(cache, h);
        return taken;
    }
    /* What was handed in before stays for who uses it now; the newest is found first. */
    (void)pthread_mutex_lock(&cache->lock);
    h->next = atomic_load(&cache->handed);
    atomic_store(&cache->handed, h);
    (void)pthread_mutex_unlock(&cache->lock);
    return ARIL_OK;
}

/* --- Values --------------------------------------------------------------------------------- */

static struct arili_legacy_scope legacy_scope(aril_cache *cache, const struct arili_scope *scope,
                                              aril_cache_format format, aril_bytes name,
                                              const struct arili_others_keys *keys)
{
    const aril_cache_policy *p = &scope->policy->said;
    return (struct arili_legacy_scope){ .crypto = &cache->rt->crypto,
                                        .contexts = cache->rt->contexts,
                                        .format = format,
                                        .tenant = p->legacy_tenant,
                                        .name = name,
                                        .lmcache_key_bits = p->lmcache_key_bits,
                                        .value_max = (size_t)p->value_max,
                                        .keys = &keys->keys };
}

/* What formats of others add to a value, at most. */
#define SLACK 65536u

/* Their values may be written as arrays of numbers, two bytes for each. */
uint8_t *arili_others_room(void *user, size_t len)
{
    struct arili_others_room *room = user;
    arili_others_room_done(room); /* a store that asks twice tries again */
    if (len > 2 * room->policy->said.value_max + SLACK) {
        return NULL;
    }
    room->memory.data = arili_alloc(len > 0 ? len : 1);
    room->memory.len = room->memory.data != NULL ? len : 0;
    room->no_memory = room->memory.data == NULL;
    return room->memory.data;
}

aril_status arili_others_room_status(const struct arili_others_room *room, aril_status st)
{
    return st == ARIL_E_LIMIT && room->no_memory ? ARIL_E_NOMEM : st;
}

void arili_others_room_done(struct arili_others_room *room)
{
    aril_cache_value_free(&room->memory);
}

static aril_status no_keys(const struct arili_scope *scope, aril_error *error)
{
    return arili_error_set(error, ARIL_E_KEY_UNKNOWN,
                           "cache: tenant %.*s has no key of that format for this; run 'aril keys "
                           "import'",
                           (int)scope->tenant.len, (const char *)scope->tenant.data);
}

aril_status arili_others_open(aril_cache *cache, const struct arili_scope *scope, aril_bytes name,
                              aril_bytes stored, struct arili_legacy_value *ret, aril_error *error)
{
    const aril_cache_format format = arili_others_format(scope->policy);
    ARILI_DEFER(arili_others_keys_done) struct arili_others_keys keys = { .pinned_count = 0 };
    ARILI_TRY(arili_others_keys(cache, scope, format, &keys, error));
    if (keys.keys.count == 0) {
        return no_keys(scope, error);
    }
    const struct arili_legacy_scope ls = legacy_scope(cache, scope, format, name, &keys);
    return arili_legacy_open(&ls, stored, ret);
}

aril_status arili_others_seal(aril_cache *cache, struct arili_scope *scope, aril_bytes name,
                              aril_bytes value, struct arili_stage *ret_stage, size_t *ret_len,
                              aril_error *error)
{
    const aril_cache_format format = scope->policy->said.writes;
    ARILI_DEFER(arili_others_keys_done) struct arili_others_keys keys = { .pinned_count = 0 };
    ARILI_TRY(arili_others_keys(cache, scope, format, &keys, error));
    /* Of the keyring's, one that only opens may come first when there is no active one. */
    const bool seals =
        keys.pinned_count == 0 || arili_tenant_key_is_active(cache->keyring, keys.pinned[0]);
    if (keys.keys.count == 0 || !seals) {
        return no_keys(scope, error);
    }
    const struct arili_legacy_scope ls = legacy_scope(cache, scope, format, name, &keys);
    *ret_len = value.len + arili_legacy_overhead(format);
    ARILI_TRY(arili_staging_take(cache->staging, *ret_len, ret_stage));
    const aril_status st = arili_legacy_seal(&ls, &scope->writer, value, ret_stage->data);
    if (st == ARIL_E_LIMIT) {
        return arili_error_set(
            error, st,
            "cache: this process has sealed %llu values in the format of others, "
            "and may seal no more; take a new master key",
            (unsigned long long)scope->writer.used_max);
    }
    return st;
}
