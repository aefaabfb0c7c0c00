/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

/* --- Bump ----------------------------------------------------------------------------------- */

aril_status aril_cache_bump(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                            uint64_t *ret_generation, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    const aril_cache_key some = { .tenant = tenant, .space = space, .key = ARILI_LITERAL("-") };
    struct arili_scope *scope;
    uint8_t name_bytes[ARILI_FLOOR_NAME_BYTES];
    const aril_bytes name = { name_bytes, sizeof name_bytes };
    uint64_t now;
    uint64_t generation;
    ARILI_TRY(arili_cache_key_check(&some));
    ARILI_TRY(arili_scope_find(cache, tenant, space, &scope, &now, error));
    ARILI_TRY(arili_cache_floor_name(&cache->rt->crypto, cache->hash, tenant, space, name_bytes));
    aril_status st;
    do {
        /* Another process may raise it between the two. */
        ARILI_TRY(aril_keyring_floor_get(cache->keyring, name, &generation, error));
        const uint64_t known = atomic_load(&scope->generation);
        generation = (generation > known ? generation : known) + 1;
        st = aril_keyring_floor_raise(cache->keyring, name, generation, error);
    } while (st == ARIL_E_REPLAY_ROLLBACK);
    ARILI_TRY(st);
    uint64_t before = atomic_load(&scope->generation);
    while (before < generation &&
           !atomic_compare_exchange_weak(&scope->generation, &before, generation)) {
    }
    arili_messages_tell(cache, tenant, space, NULL, 0);
    if (ret_generation != NULL) {
        *ret_generation = generation;
    }
    return ARIL_OK;
}

/* --- Prefixes and lists --------------------------------------------------------------------- */

aril_status aril_cache_prefix(aril_cache *cache, aril_bytes tenant, const aril_bytes *space,
                              char *ret_prefix, size_t cap, size_t *ret_len, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(ret_prefix != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    const aril_bytes of = space != NULL ? *space : (aril_bytes){ NULL, 0 };
    const aril_cache_key some = { .tenant = tenant, .space = of, .key = ARILI_LITERAL("-") };
    struct arili_scope *scope;
    const struct arili_naming *naming;
    uint64_t now;
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(arili_cache_key_check(&some));
    ARILI_TRY(arili_scope_find(cache, tenant, of, &scope, &now, error));
    ARILI_TRY(arili_scope_naming(cache, scope, &key, &naming, error));
    const size_t len = space != NULL ? ARILI_CACHE_PREFIX_TEXT
                                     : ARILI_CACHE_PREFIX_TEXT - ARILI_CACHE_PART_TEXT - 1;
    ARILI_ENSURE(len < cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret_prefix, naming->prefix, len);
    ret_prefix[len] = '\0';
    *ret_len = len;
    return ARIL_OK;
}

aril_status aril_cache_name(aril_cache *cache, const aril_cache_key *key, char *ret_name,
                            size_t cap, size_t *ret_len, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(key != NULL && ret_name != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    struct arili_scope *scope;
    struct arili_place_of_value place;
    uint64_t now;
    ARILI_TRY(arili_cache_key_check(key));
    ARILI_TRY(arili_scope_find(cache, key->tenant, key->space, &scope, &now, error));
    ARILI_TRY(arili_cache_place(cache, scope, key, &place, error));
    ARILI_ENSURE(place.name_len <= cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret_name, place.name, place.name_len);
    *ret_len = place.name_len;
    return ARIL_OK;
}

struct listing {
    aril_cache *cache;
    aril_cache_visit_fn *visit;
    void *user;
    aril_bytes tenant, space;
    const aril_tenant_key *key;
    const struct arili_naming *naming;
    struct arili_listed_name name;
    aril_status st;
};

/* Locks and fences lie beside the values. */
static bool is_value(aril_bytes name)
{
    return memchr(name.data + ARILI_CACHE_PREFIX_TEXT, ':', name.len - ARILI_CACHE_PREFIX_TEXT) ==
           NULL;
}

static int visit_name(void *user, aril_bytes name)
{
    struct listing *l = user;
    if (name.len <= ARILI_CACHE_PREFIX_TEXT ||
        memcmp(name.data, l->naming->prefix, ARILI_CACHE_PREFIX_TEXT) != 0 || !is_value(name)) {
        return 0;
    }
    const struct arili_crypto *c = &l->cache->rt->crypto;
    const aril_status st =
        arili_cache_name_open(c, l->cache->hash, l->naming, l->key, l->space, name, &l->name);
    const aril_status class = aril_status_class(st);
    if (st != ARIL_OK && st != ARIL_E_NOT_FOUND && class != ARIL_E_AUTH && class != ARIL_E_FORMAT) {
        l->st = st; /* whether it can be listed is not known */
        return 1;
    }
    l->name.key.tenant = l->tenant;
    return l->visit(l->user, st == ARIL_OK ? &l->name.key : NULL, name);
}

aril_status aril_cache_list(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                            aril_cache_visit_fn *visit, void *user, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(visit != NULL, ARIL_E_USAGE_NULL);
    const aril_cache_key some = { .tenant = tenant, .space = space, .key = ARILI_LITERAL("-") };
    struct arili_scope *scope;
    uint64_t now;
    struct listing l = { .cache = cache, .visit = visit, .user = user, .tenant = tenant };
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    l.space = space;
    ARILI_TRY(arili_cache_key_check(&some));
    ARILI_TRY(arili_scope_find(cache, tenant, space, &scope, &now, error));
    ARILI_TRY(arili_scope_naming(cache, scope, &key, &l.naming, error));
    l.key = key;
    if (cache->store == NULL || (cache->capabilities & ARIL_STORE_LIST) == 0) {
        return arili_error_set(error, ARIL_E_UNAVAILABLE,
                               "cache: this store cannot list its names");
    }
    ARILI_TRY(aril_store_scan(
        cache->store, (aril_bytes){ (const uint8_t *)l.naming->prefix, ARILI_CACHE_PREFIX_TEXT },
        visit_name, &l, error));
    return l.st;
}

/* --- Flush ---------------------------------------------------------------------------------- */

#define FLUSH_WINDOW 256u
struct flushing {
    aril_cache *cache;
    aril_error *error;
    aril_status st;
    uint64_t deleted;
    size_t count;
    aril_store_item wanted[FLUSH_WINDOW];
    uint8_t names[FLUSH_WINDOW][ARIL_STORE_NAME_BYTES_MAX];
};
static void flushing_freep(struct flushing **f)
{
    arili_free(*f, sizeof **f);
}

static void flush_window(struct flushing *f)
{
    if (f->count == 0) {
        return;
    }
    const aril_status st = aril_store_delete(f->cache->store, f->wanted, f->count, f->error);
    if (st != ARIL_OK) {
        f->st = st;
    }
    for (size_t i = 0; (st == ARIL_OK || st == ARIL_E_BATCH) && i < f->count; i++) {
        const aril_status item = f->wanted[i].status;
        f->deleted += item == ARIL_OK;
        f->st = item == ARIL_OK || item == ARIL_E_NOT_FOUND ? f->st : item;
    }
    f->count = 0;
}

static int flush_name(void *user, aril_bytes name)
{
    struct flushing *f = user;
    if (name.len > 0 && name.len <= ARIL_STORE_NAME_BYTES_MAX) {
        memcpy(f->names[f->count], name.data, name.len);
        f->wanted[f->count] = (aril_store_item){ .name = { f->names[f->count], name.len } };
        f->count++;
    }
    if (f->count == FLUSH_WINDOW) {
        flush_window(f);
    }
    return f->st != ARIL_OK;
}

aril_status aril_cache_flush(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                             uint64_t *ret_deleted, aril_error *error)
{
    ARILI_TRY(aril_cache_bump(cache, tenant, space, NULL, error));
    if (ret_deleted != NULL) {
        *ret_deleted = 0;
    }
    if (cache->store == NULL || (cache->capabilities & ARIL_STORE_LIST) == 0) {
        return ARIL_OK; /* they are over; the store forgets them by itself */
    }
    char prefix[ARILI_CACHE_PREFIX_TEXT + 1];
    size_t len;
    ARILI_TRY(aril_cache_prefix(cache, tenant, &space, prefix, sizeof prefix, &len, error));
    ARILI_DEFER(flushing_freep) struct flushing *f = arili_alloc(sizeof *f);
    ARILI_ENSURE(f != NULL, ARIL_E_NOMEM);
    f->cache = cache;
    f->error = error;
    const aril_status st = aril_store_scan(
        cache->store, (aril_bytes){ (const uint8_t *)prefix, len }, flush_name, f, error);
    flush_window(f);
    if (ret_deleted != NULL) {
        *ret_deleted = f->deleted;
    }
    return st != ARIL_OK ? st : f->st;
}
