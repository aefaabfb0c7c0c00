/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

#define TTL_MS         UINT64_C(3600000)
#define TTL_MAX_MS     (UINT64_C(30) * 86400 * 1000)
#define TTL_LIMIT_MS   (UINT64_C(3660) * 86400 * 1000)
#define L1_TTL_MS      UINT64_C(60000)
#define VALUE_MAX      ((uint64_t)64 << 20)
#define L1_VALUE_MAX   ((uint64_t)1 << 20)
#define PAD_MIN        16u
#define PAD_MAX        (1u << 20)
#define JITTER_MAX     50u
#define POLICIES_MAX   4096u
#define LMCACHE_WRITES (UINT64_C(1) << 32)
#define FORMATS_KNOWN  ((1u << ARIL_CACHE_FORMATS) - 2u)

void arili_count(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static aril_status wrong(const aril_cache_policy *p, const char *member, const char *rule,
                         aril_error *error)
{
    return arili_error_set(error, ARIL_E_USAGE_RANGE, "policy of namespace '%.*s': %s %s",
                           (int)(p->space.len < 64 ? p->space.len : 64),
                           (const char *)(p->space.len > 0 ? p->space.data : (const uint8_t *)""),
                           member, rule);
}

static void fill_defaults(aril_cache_policy *p)
{
    p->tiers = p->tiers == 0 ? ARIL_CACHE_L1 | ARIL_CACHE_L2 : p->tiers;
    p->ttl_max_ms = p->ttl_max_ms == 0 ? TTL_MAX_MS : p->ttl_max_ms;
    if (p->ttl_ms == 0) {
        p->ttl_ms = TTL_MS < p->ttl_max_ms ? TTL_MS : p->ttl_max_ms;
    }
    p->l1_ttl_ms = p->l1_ttl_ms == 0 ? L1_TTL_MS : p->l1_ttl_ms;
    p->value_max = p->value_max == 0 ? VALUE_MAX : p->value_max;
    p->l1_value_max = p->l1_value_max == 0 ? L1_VALUE_MAX : p->l1_value_max;
    p->lmcache_key_bits = p->lmcache_key_bits == 0 ? 128 : p->lmcache_key_bits;
}

static bool is_choice(int value, int last)
{
    return value >= 0 && value <= last;
}

static aril_status check_others(const aril_cache_policy *p, aril_error *error)
{
    if ((p->legacy_reads & ~FORMATS_KNOWN) != 0 || (p->legacy_reads & (p->legacy_reads - 1)) != 0) {
        return wrong(p, "legacy_reads", "names one format of others, or none", error);
    }
    if ((p->legacy_reads == 0) != (p->legacy_until_s == 0)) {
        return wrong(p, "legacy_until_s", "goes with legacy_reads: say until when", error);
    }
    if (p->writes != ARIL_CACHE_NATIVE && p->writes != ARIL_CACHE_CACHEKIT_INTEROP &&
        p->writes != ARIL_CACHE_LMCACHE) {
        return wrong(p, "writes", "is native, cachekit-interop or lmcache", error);
    }
    if (p->writes != ARIL_CACHE_NATIVE && p->legacy_reads != 1u << p->writes) {
        return wrong(p, "writes", "is a format that legacy_reads has to name as well", error);
    }
    if ((p->writes == ARIL_CACHE_LMCACHE) != (p->lmcache_writes_max != 0) ||
        p->lmcache_writes_max > LMCACHE_WRITES) {
        return wrong(p, "lmcache_writes_max",
                     "is 1 to 2^32 where LMCache frames are written, else 0", error);
    }
    if (p->lmcache_key_bits != 128 && p->lmcache_key_bits != 256) {
        return wrong(p, "lmcache_key_bits", "is 128 or 256", error);
    }
    if (p->legacy_tenant.len > 255 || (p->legacy_tenant.data == NULL && p->legacy_tenant.len > 0)) {
        return wrong(p, "legacy_tenant", "has at most 255 bytes", error);
    }
    return ARIL_OK;
}

static aril_status check(const aril_cache_policy *p, bool has_store, aril_error *error)
{
    if (p->space.len > ARIL_CACHE_SPACE_BYTES_MAX || (p->space.data == NULL && p->space.len > 0)) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "a policy's namespace has %zu bytes; at most %u are allowed",
                               p->space.len, ARIL_CACHE_SPACE_BYTES_MAX);
    }
    if ((p->tiers & ~(uint32_t)(ARIL_CACHE_L1 | ARIL_CACHE_L2)) != 0) {
        return wrong(p, "tiers", "is a set of ARIL_CACHE_L1 and ARIL_CACHE_L2", error);
    }
    if (!has_store && (p->tiers & ARIL_CACHE_L1) == 0) {
        return wrong(p, "tiers", "asks for a store, and the cache has none", error);
    }
    if (p->ttl_max_ms > TTL_LIMIT_MS || p->ttl_ms > p->ttl_max_ms) {
        return wrong(p, "ttl_ms", "is at most ttl_max_ms, and that at most ten years", error);
    }
    if (p->stale_ms >= p->ttl_ms && p->stale_ms != 0) {
        return wrong(p, "stale_ms", "is shorter than ttl_ms", error);
    }
    if (p->jitter_percent > JITTER_MAX) {
        return wrong(p, "jitter_percent", "is at most 50", error);
    }
    if (!is_choice((int)p->on_store_down, 1) || !is_choice((int)p->on_tamper, 1) ||
        !is_choice((int)p->on_key_gone, 1)) {
        return wrong(p, "on_store_down, on_tamper and on_key_gone", "are open or closed", error);
    }
    if (!is_choice((int)p->padding, 2) ||
        (p->padding == ARIL_CACHE_PAD_BLOCK ? p->pad_bytes < PAD_MIN || p->pad_bytes > PAD_MAX
                                            : p->pad_bytes != 0)) {
        return wrong(p, "pad_bytes", "is 16 to 2^20 with padding to blocks, else 0", error);
    }
    if (p->value_max > ARIL_CACHE_VALUE_BYTES_MAX) {
        return wrong(p, "value_max", "is at most 256 MiB", error);
    }
    return check_others(p, error);
}

static aril_status copy_span(aril_bytes *span)
{
    if (span->len == 0) {
        *span = (aril_bytes){ NULL, 0 };
        return ARIL_OK;
    }
    uint8_t *copy = arili_alloc(span->len);
    if (copy != NULL) {
        memcpy(copy, span->data, span->len);
    }
    /* On failure nothing of the caller's is kept, so _done finds nothing to free. */
    *span = (aril_bytes){ copy, copy != NULL ? span->len : 0 };
    ARILI_ENSURE(copy != NULL, ARIL_E_NOMEM);
    return ARIL_OK;
}

static aril_status policy_init(struct arili_policy *ret, const aril_cache_policy *said,
                               bool has_store, aril_error *error)
{
    aril_cache_policy p = *said;
    fill_defaults(&p);
    if (!has_store) {
        p.tiers &= (uint32_t)ARIL_CACHE_L1;
    }
    ARILI_TRY(check(&p, has_store, error));
    aril_bytes space = p.space;
    aril_bytes tenant = p.legacy_tenant;
    p.space = p.legacy_tenant = (aril_bytes){ NULL, 0 };
    ret->said = p;
    ARILI_TRY(copy_span(&space));
    ret->said.space = space;
    ARILI_TRY(copy_span(&tenant));
    ret->said.legacy_tenant = tenant;
    return ARIL_OK;
}

static bool is_double(const aril_cache_config *config, size_t i)
{
    const aril_bytes a = config->policies[i].space;
    for (size_t k = 0; k < i; k++) {
        const aril_bytes b = config->policies[k].space;
        if (a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0)) {
            return true;
        }
    }
    return false;
}

aril_status arili_policies_init(aril_cache *cache, const aril_cache_config *config,
                                aril_error *error)
{
    static const aril_cache_policy all_zero = { .tiers = 0 };
    const bool has_store = config->store != NULL;
    ARILI_ENSURE(config->policies != NULL || config->policy_count == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->policy_count <= POLICIES_MAX, ARIL_E_USAGE_RANGE);
    cache->policies = arili_alloc((config->policy_count + 1) * sizeof *cache->policies);
    ARILI_ENSURE(cache->policies != NULL, ARIL_E_NOMEM);
    cache->policy_count = config->policy_count + 1;
    /* The one for all other namespaces goes last, wherever it was given. */
    const aril_cache_policy *rest = &all_zero;
    size_t at = 0;
    for (size_t i = 0; i < config->policy_count; i++) {
        const aril_cache_policy *p = &config->policies[i];
        if (is_double(config, i)) {
            return wrong(p, "space", "has two policies", error);
        }
        if (p->space.len == 0) {
            rest = p;
            continue;
        }
        ARILI_TRY(policy_init(&cache->policies[at++], p, has_store, error));
    }
    if (rest != &all_zero) {
        cache->policy_count--;
        cache->policies_room = 1;
    }
    return policy_init(&cache->policies[at], rest, has_store, error);
}

void arili_policies_done(aril_cache *cache)
{
    for (size_t i = 0; cache->policies != NULL && i < cache->policy_count; i++) {
        aril_cache_policy *p = &cache->policies[i].said;
        arili_free((void *)(uintptr_t)p->space.data, p->space.len);
        arili_free((void *)(uintptr_t)p->legacy_tenant.data, p->legacy_tenant.len);
    }
    arili_free(cache->policies,
               (cache->policy_count + cache->policies_room) * sizeof *cache->policies);
}
