/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/tablehash.h"
#include "cache/cache.h"
#include "keyring/keyring.h"

#define TABLE_MIN 64u
#define NS_PER_MS UINT64_C(1000000)
#define MS_PER_S  UINT64_C(1000)

/* --- Checks --------------------------------------------------------------------------------- */

aril_status arili_cache_enter(const aril_cache *cache)
{
    ARILI_ENSURE(cache != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(!arili_is_forked(&cache->guard), ARIL_E_FORKED);
    return ARIL_OK;
}

static bool is_span(aril_bytes b)
{
    return b.data != NULL || b.len == 0;
}

aril_status arili_cache_key_check(const aril_cache_key *key)
{
    ARILI_TRY(arili_cache_record_check(key));
    ARILI_ENSURE((unsigned)key->type <= ARIL_CACHE_BLOCK, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

/* A type is one byte of the context: a longer one would be another value of the same name. */
static bool is_type(unsigned type)
{
    return type <= ARIL_CACHE_BLOCK || type == ARILI_CACHE_TAG;
}

aril_status arili_cache_record_check(const aril_cache_key *key)
{
    ARILI_ENSURE(is_span(key->tenant) && is_span(key->space) && is_span(key->key) &&
                     is_span(key->field),
                 ARIL_E_USAGE_NULL);
    ARILI_ENSURE(key->tenant.len >= 1 && key->tenant.len <= ARIL_TENANT_ID_BYTES_MAX &&
                     key->space.len <= ARIL_CACHE_SPACE_BYTES_MAX && key->key.len >= 1 &&
                     key->key.len <= ARIL_CACHE_KEY_BYTES_MAX &&
                     key->field.len <= ARIL_CACHE_KEY_BYTES_MAX && is_type((unsigned)key->type),
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_cache_now(const aril_cache *cache, uint64_t *ret_ns, uint64_t *ret_ms)
{
    const aril_clock *clock = &cache->rt->clock;
    if (ret_ns != NULL) {
        ARILI_TRY(clock->boot_ns(clock->state, ret_ns));
    }
    if (ret_ms != NULL) {
        uint64_t s;
        ARILI_TRY(clock->unix_s(clock->state, &s));
        *ret_ms = s * MS_PER_S;
    }
    return ARIL_OK;
}

/* --- The table ------------------------------------------------------------------------------ */

static uint64_t scope_hash(const aril_cache *cache, aril_bytes tenant, aril_bytes space)
{
    const uint64_t first = arili_table_hash(cache->seed, tenant);
    return arili_table_mix(cache->seed, first, arili_table_hash(cache->seed, space));
}

static bool same_bytes(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static struct arili_scope *look_up(const struct arili_scope_table *table, uint64_t hash,
                                   aril_bytes tenant, aril_bytes space)
{
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = hash & (table->cap - 1);; i = (i + 1) & (table->cap - 1)) {
        struct arili_scope *s = atomic_load_explicit(&table->slots[i], memory_order_acquire);
        if (s == NULL) {
            return NULL;
        }
        if (s->hash == hash && same_bytes(s->tenant, tenant) && same_bytes(s->space, space)) {
            return s;
        }
    }
}

static void table_put(struct arili_scope_table *table, struct arili_scope *s)
{
    size_t i = s->hash & (table->cap - 1);
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed) != NULL) {
        i = (i + 1) & (table->cap - 1);
    }
    atomic_store_explicit(&table->slots[i], s, memory_order_release);
}

static size_t table_bytes(size_t cap)
{
    return sizeof(struct arili_scope_table) + cap * sizeof(_Atomic(struct arili_scope *));
}

/* Under the lock: room for one more. Readers go on with the former table. */
static aril_status table_grow(aril_cache *cache)
{
    struct arili_scope_table *old = atomic_load(&cache->scopes);
    ARILI_ENSURE(cache->scope_count < ARILI_SCOPES_MAX, ARIL_E_LIMIT);
    if (old != NULL && cache->scope_count * 2 < old->cap) {
        return ARIL_OK;
    }
    const size_t cap = old == NULL ? TABLE_MIN : 2 * old->cap;
    struct arili_scope_table *table = arili_alloc(table_bytes(cap));
    ARILI_ENSURE(table != NULL, ARIL_E_NOMEM);
    table->cap = cap;
    table->former = old;
    for (size_t i = 0; old != NULL && i < old->cap; i++) {
        struct arili_scope *s = atomic_load(&old->slots[i]);
        if (s != NULL) {
            table_put(table, s);
        }
    }
    atomic_store(&cache->scopes, table);
    return ARIL_OK;
}

static void naming_free(struct arili_naming *n)
{
    while (n != NULL) {
        struct arili_naming *next = n->next;
        arili_free(n, sizeof *n);
        n = next;
    }
}

static void scope_free(struct arili_scope *s)
{
    if (s != NULL) {
        naming_free(atomic_load(&s->naming));
        arili_free(s, s->alloc_bytes);
    }
}
static void scope_freep(struct arili_scope **s)
{
    scope_free(*s);
}

void arili_scopes_free(aril_cache *cache)
{
    struct arili_scope_table *table = atomic_load(&cache->scopes);
    for (size_t i = 0; table != NULL && i < table->cap; i++) {
        scope_free(atomic_load(&table->slots[i]));
    }
    while (table != NULL) {
        struct arili_scope_table *former = table->former;
        arili_free(table, table_bytes(table->cap));
        table = former;
    }
    atomic_store(&cache->scopes, NULL);
}

/* --- What the keyring says ------------------------------------------------------------------ */

struct marking {
    uint64_t mark;
};
static int mark_key(void *user, const aril_key_info *info)
{
    struct marking *m = user;
    if (info->state >= ARIL_KEY_RETIRED) {
        m->mark ^= arili_load64(info->id) | 1;
        m->mark = m->mark * 31 + 1;
    }
    return 0;
}

/* A number that changes when a key of the tenant opens no more. */
static aril_status gone_mark(aril_cache *cache, aril_bytes tenant, uint64_t *ret)
{
    struct marking m = { 0 };
    const aril_key_filter filter = { .owner = tenant, .purposes = 1u << ARIL_KEY_DATA };
    ARILI_TRY(aril_keyring_list(cache->keyring, &filter, mark_key, &m, NULL));
    *ret = m.mark;
    return ARIL_OK;
}

/* Read what a scope must know; on failure it stays as it was. */
static aril_status scope_read(aril_cache *cache, struct arili_scope *s, aril_error *error)
{
    uint8_t name[ARILI_FLOOR_NAME_BYTES];
    uint64_t generation;
    uint64_t gone = 0;
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(arili_cache_floor_name(&cache->rt->crypto, cache->hash, s->tenant, s->space, name));
    ARILI_TRY(aril_keyring_floor_get(cache->keyring, (aril_bytes){ name, sizeof name }, &generation,
                                     error));
    ARILI_TRY(aril_keyring_tenant_key(cache->keyring, s->tenant, ARIL_KEY_NAME, &key, error));
    ARILI_TRY(gone_mark(cache, s->tenant, &gone));
    if (generation > atomic_load(&s->generation)) {
        atomic_store(&s->generation, generation);
    }
    if (gone != s->gone) {
        s->gone = gone;
        atomic_fetch_add(&s->epoch, 1);
    }
    return ARIL_OK;
}

/* Whether a failure says that the tenant's values may not be had, or only that it is not known now.
 */
static bool ends_access(aril_status st)
{
    return aril_status_class(st) == ARIL_E_KEY || st == ARIL_E_NOT_FOUND;
}

/* False: it is not known now, and has to be looked at again. */
static bool scope_look(aril_cache *cache, struct arili_scope *s)
{
    const aril_status st = scope_read(cache, s, NULL);
    const aril_status before = (aril_status)atomic_load(&s->status);
    if (st == ARIL_OK || ends_access(st)) {
        if (st != before) {
            atomic_store(&s->status, (int)st);
            atomic_fetch_add(&s->epoch, 1);
        }
        return true;
    }
    return false;
}

void arili_scopes_look(aril_cache *cache)
{
    arili_forgive(aril_keyring_refresh(cache->keyring, NULL, NULL));
    (void)pthread_mutex_lock(&cache->lock);
    struct arili_rowset *rows = arili_keyring_rows(cache->keyring);
    const uint64_t revision = rows->head.revision;
    arili_rowset_drop(rows);
    struct arili_scope_table *table = atomic_load(&cache->scopes);
    bool all = true;
    for (size_t i = 0; table != NULL && i < table->cap; i++) {
        struct arili_scope *s = atomic_load(&table->slots[i]);
        if (s != NULL && (revision != cache->revision || atomic_load(&s->status) != ARIL_OK)) {
            all = scope_look(cache, s) && all;
        }
    }
    if (all) { /* else a bump or the end of a key would be missed until the next change */
        cache->revision = revision;
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

/* Every refresh_ms, by whoever comes by. */
static void look_around(aril_cache *cache, uint64_t now_ns)
{
    uint64_t due = atomic_load_explicit(&cache->look_at_ns, memory_order_relaxed);
    if (now_ns >= due &&
        atomic_compare_exchange_strong(&cache->look_at_ns, &due, now_ns + cache->refresh_ns)) {
        arili_scopes_look(cache);
    }
}

/* --- Finding -------------------------------------------------------------------------------- */

struct arili_policy *arili_policy_of(const aril_cache *cache, aril_bytes space)
{
    for (size_t i = 0; i + 1 < cache->policy_count; i++) {
        if (same_bytes(cache->policies[i].said.space, space)) {
            return &cache->policies[i];
        }
    }
    return &cache->policies[cache->policy_count - 1];
}

static aril_status scope_new(aril_cache *cache, uint64_t hash, aril_bytes tenant, aril_bytes space,
                             struct arili_scope **ret, aril_error *error)
{
    const size_t bytes = sizeof(struct arili_scope) + tenant.len + space.len;
    const struct arili_crypto *c = &cache->rt->crypto;
    ARILI_DEFER(scope_freep) struct arili_scope *s = arili_alloc(bytes);
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    uint8_t *text = (uint8_t *)(s + 1);
    s->alloc_bytes = bytes;
    s->hash = hash;
    s->tenant = (aril_bytes){ memcpy(text, tenant.data, tenant.len), tenant.len };
    s->space = (aril_bytes){ text + tenant.len, space.len };
    if (space.len > 0) {
        memcpy(text + tenant.len, space.data, space.len);
    }
    s->policy = arili_policy_of(cache, space);
    ARILI_TRY(c->ops->random(c->provider, s->writer.instance, sizeof s->writer.instance));
    s->writer.used_max = s->policy->said.writes == ARIL_CACHE_LMCACHE
                             ? s->policy->said.lmcache_writes_max
                             : UINT64_C(1) << 32;
    ARILI_TRY(scope_read(cache, s, error));
    *ret = ARILI_TAKE(s);
    return ARIL_OK;
}

static aril_status scope_make(aril_cache *cache, uint64_t hash, aril_bytes tenant, aril_bytes space,
                              struct arili_scope **ret, aril_error *error)
{
    *ret = look_up(atomic_load(&cache->scopes), hash, tenant, space);
    if (*ret != NULL) {
        return ARIL_OK;
    }
    const aril_status grown = table_grow(cache);
    ARILI_ENSURE(grown != ARIL_E_NOMEM, grown);
    if (grown != ARIL_OK) {
        return arili_error_set(
            error, grown, "the cache knows %zu pairs of tenant and namespace, and takes no more",
            cache->scope_count);
    }
    ARILI_DEFER(scope_freep) struct arili_scope *fresh = NULL;
    ARILI_TRY(scope_new(cache, hash, tenant, space, &fresh, error));
    table_put(atomic_load(&cache->scopes), fresh);
    cache->scope_count++;
    *ret = ARILI_TAKE(fresh);
    return ARIL_OK;
}

aril_status arili_scope_find(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                             struct arili_scope **ret, uint64_t *ret_now_ns, aril_error *error)
{
    ARILI_TRY(arili_cache_now(cache, ret_now_ns, NULL));
    look_around(cache, *ret_now_ns);
    const uint64_t hash = scope_hash(cache, tenant, space);
    struct arili_scope *s =
        look_up(atomic_load_explicit(&cache->scopes, memory_order_acquire), hash, tenant, space);
    if (s == NULL) {
        (void)pthread_mutex_lock(&cache->lock);
        const aril_status st = scope_make(cache, hash, tenant, space, &s, error);
        (void)pthread_mutex_unlock(&cache->lock);
        ARILI_TRY(st);
    }
    const aril_status st = (aril_status)atomic_load_explicit(&s->status, memory_order_acquire);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "cache: %s; %s", aril_status_text(st),
                               aril_status_hint(st));
    }
    *ret = s;
    return ARIL_OK;
}

/* --- Names ---------------------------------------------------------------------------------- */

/* Names under the key that is active now; made anew when the NAME key was rotated. */
static aril_status naming_of(aril_cache *cache, struct arili_scope *s, const aril_tenant_key *key,
                             const struct arili_naming **ret)
{
    struct arili_naming *n = atomic_load_explicit(&s->naming, memory_order_acquire);
    if (n != NULL && memcmp(n->key_id, aril_tenant_key_id(key), sizeof n->key_id) == 0) {
        *ret = n;
        return ARIL_OK;
    }
    n = arili_alloc(sizeof *n);
    ARILI_ENSURE(n != NULL, ARIL_E_NOMEM);
    const aril_status st = arili_naming_init(&cache->rt->crypto, cache->hash, key, s->space, n);
    if (st != ARIL_OK) {
        arili_free(n, sizeof *n);
        return st;
    }
    (void)pthread_mutex_lock(&cache->lock);
    n->next = atomic_load(&s->naming);
    atomic_store_explicit(&s->naming, n, memory_order_release);
    (void)pthread_mutex_unlock(&cache->lock);
    *ret = n;
    return ARIL_OK;
}

aril_status arili_scope_naming(aril_cache *cache, struct arili_scope *s, aril_tenant_key **ret_key,
                               const struct arili_naming **ret, aril_error *error)
{
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_tenant_key(cache->keyring, s->tenant, ARIL_KEY_NAME, &key, error));
    ARILI_TRY(naming_of(cache, s, key, ret));
    *ret_key = ARILI_TAKE(key);
    return ARIL_OK;
}

aril_status arili_cache_place(aril_cache *cache, struct arili_scope *scope,
                              const aril_cache_key *key, struct arili_place_of_value *ret,
                              aril_error *error)
{
    const struct arili_crypto *c = &cache->rt->crypto;
    const aril_cache_policy *said = &scope->policy->said;
    const struct arili_name_want want = { said->listable != 0, said->hash_tags != 0 };
    const struct arili_naming *naming;
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *name_key = NULL;
    ARILI_TRY(arili_scope_naming(cache, scope, &name_key, &naming, error));
    ARILI_TRY(arili_cache_context(c, cache->hash, key, ret->context));
    const aril_status st = arili_cache_name(c, cache->hash, naming, name_key, want, key,
                                            ret->context, ret->name, &ret->name_len);
    if (st == ARIL_E_USAGE_RANGE) {
        return arili_error_set(error, st,
                               "cache: a key and its field may have %u bytes in a namespace whose "
                               "names can be listed, not %zu",
                               ARILI_CACHE_LISTED_KEY_MAX, key->key.len + key->field.len);
    }
    return st;
}
