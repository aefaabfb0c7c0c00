/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/read.h"

/* Names that the store is asked about together. */
#define WINDOW 32u

typedef aril_status store_fn(aril_store *store, aril_store_item *items, size_t count,
                             aril_error *error);

struct asking {
    aril_cache *cache;
    store_fn *ask;
    bool other; /* under the names of another format, where the namespace has one */
    aril_error *error;
    size_t count;
    aril_cache_item *items[WINDOW];
    aril_store_item wanted[WINDOW];
    struct arili_place_of_value places[WINDOW];
};
static void asking_freep(struct asking **a)
{
    arili_free(*a, sizeof **a);
}

static void ask(struct asking *a)
{
    if (a->count == 0) {
        return;
    }
    const aril_status st = a->ask(a->cache->store, a->wanted, a->count, a->error);
    for (size_t i = 0; i < a->count; i++) {
        a->items[i]->status = st == ARIL_OK || st == ARIL_E_BATCH ? a->wanted[i].status : st;
    }
    a->count = 0;
}

/* ret_name: in place, or the caller's key. */
static aril_status find_name(struct asking *a, aril_cache_item *item, struct arili_scope *scope,
                             struct arili_place_of_value *place, aril_bytes *ret_name)
{
    if (scope->policy->said.writes == ARIL_CACHE_NATIVE && !a->other) {
        ARILI_TRY(arili_cache_place(a->cache, scope, &item->key, place, a->error));
        *ret_name = (aril_bytes){ (const uint8_t *)place->name, place->name_len };
        return ARIL_OK;
    }
    ARILI_ENSURE(arili_others_name(&item->key), ARIL_E_USAGE_RANGE);
    *ret_name = item->key.key;
    return ARIL_OK;
}

static void add(struct asking *a, aril_cache_item *item, struct arili_scope *scope)
{
    aril_bytes name;
    item->status = find_name(a, item, scope, &a->places[a->count], &name);
    if (item->status != ARIL_OK) {
        return;
    }
    a->items[a->count] = item;
    a->wanted[a->count++] = (aril_store_item){ .name = name };
    if (a->count == WINDOW) {
        ask(a);
    }
}

static aril_status scope_of(aril_cache *cache, const aril_cache_item *item,
                            struct arili_scope **ret, uint64_t *ret_now, aril_error *error)
{
    ARILI_TRY(arili_cache_key_check(&item->key));
    return arili_scope_find(cache, item->key.tenant, item->key.space, ret, ret_now, error);
}

static aril_status answer(const aril_cache_item *items, size_t count)
{
    if (count == 1) {
        return items->status;
    }
    for (size_t i = 0; i < count; i++) {
        ARILI_ENSURE(items[i].status == ARIL_OK || items[i].status == ARIL_E_NOT_FOUND,
                     ARIL_E_BATCH);
    }
    return ARIL_OK;
}

static aril_status asking_new(aril_cache *cache, store_fn *fn, aril_error *error,
                              struct asking **ret)
{
    *ret = arili_alloc(sizeof **ret);
    ARILI_ENSURE(*ret != NULL, ARIL_E_NOMEM);
    (*ret)->cache = cache;
    (*ret)->ask = fn;
    (*ret)->error = error;
    return ARIL_OK;
}

/* --- Delete --------------------------------------------------------------------------------- */

static bool has_value_of_others(const struct arili_scope *scope)
{
    return scope->policy->said.writes == ARIL_CACHE_NATIVE && scope->policy->said.legacy_reads != 0;
}

static void delete_one(struct asking *a, aril_cache_item *item)
{
    struct arili_scope *scope;
    uint64_t now;
    item->status = scope_of(a->cache, item, &scope, &now, a->error);
    if (item->status != ARIL_OK) {
        return;
    }
    const uint32_t tiers = scope->policy->said.tiers;
    const struct arili_l1_want want = { .now_ns = now,
                                        .generation = atomic_load(&scope->generation),
                                        .epoch = atomic_load(&scope->epoch) };
    const bool was_there =
        (tiers & ARIL_CACHE_L1) != 0 && arili_l1_has(a->cache->l1, &item->key, &want);
    arili_l1_drop(a->cache->l1, &item->key);
    arili_count(&scope->policy->deletes, 1);
    if ((tiers & ARIL_CACHE_L2) == 0) {
        item->status = was_there ? ARIL_OK : ARIL_E_NOT_FOUND;
        return;
    }
    if (has_value_of_others(scope) && arili_others_name(&item->key)) {
        ask(a); /* two names for one item: one after the other */
        a->other = true;
        add(a, item, scope);
        ask(a);
        a->other = false;
        const aril_status other = item->status;
        add(a, item, scope);
        ask(a);
        if (item->status == ARIL_E_NOT_FOUND ||
            (item->status == ARIL_OK && other != ARIL_E_NOT_FOUND)) {
            item->status = other; /* what may still be there is read again */
        }
        return;
    }
    add(a, item, scope);
}

aril_status aril_cache_delete(aril_cache *cache, aril_cache_item *items, size_t count,
                              aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(items != NULL || count == 0, ARIL_E_USAGE_NULL);
    ARILI_DEFER(asking_freep) struct asking *a = NULL;
    ARILI_TRY(asking_new(cache, aril_store_delete, error, &a));
    for (size_t i = 0; i < count; i++) {
        delete_one(a, &items[i]);
    }
    ask(a);
    for (size_t i = 0; i < count; i++) {
        /* Whoever read it from the store meanwhile put it in L1 again. */
        if (arili_cache_key_check(&items[i].key) == ARIL_OK) {
            arili_l1_drop(cache->l1, &items[i].key);
        }
        /* Also of what the store had no more: others may hold it. */
        if (cache->listens && (items[i].status == ARIL_OK || items[i].status == ARIL_E_NOT_FOUND)) {
            arili_messages_tell(cache, items[i].key.tenant, items[i].key.space, &items[i], 1);
        }
    }
    return answer(items, count);
}

/* --- Exists --------------------------------------------------------------------------------- */

static void exists_one(struct asking *a, aril_cache_item *item)
{
    struct arili_scope *scope;
    uint64_t now;
    item->status = scope_of(a->cache, item, &scope, &now, a->error);
    if (item->status != ARIL_OK) {
        return;
    }
    const uint32_t tiers = scope->policy->said.tiers;
    const struct arili_l1_want want = { .now_ns = now,
                                        .generation = atomic_load(&scope->generation),
                                        .epoch = atomic_load(&scope->epoch) };
    if ((tiers & ARIL_CACHE_L1) != 0 && arili_l1_has(a->cache->l1, &item->key, &want)) {
        item->result.tier = ARIL_CACHE_L1;
        return;
    }
    item->status = ARIL_E_NOT_FOUND;
    if ((tiers & ARIL_CACHE_L2) == 0) {
        return;
    }
    add(a, item, scope);
    uint64_t now_ms;
    if (has_value_of_others(scope) && arili_others_name(&item->key) &&
        arili_cache_now(a->cache, NULL, &now_ms) == ARIL_OK && arili_others_apply(scope, now_ms)) {
        ask(a);
        if (item->status == ARIL_E_NOT_FOUND) {
            a->other = true;
            add(a, item, scope);
            ask(a);
            a->other = false;
        }
    }
}

aril_status aril_cache_exists(aril_cache *cache, aril_cache_item *items, size_t count,
                              aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(items != NULL || count == 0, ARIL_E_USAGE_NULL);
    ARILI_DEFER(asking_freep) struct asking *a = NULL;
    ARILI_TRY(asking_new(cache, aril_store_exists, error, &a));
    for (size_t i = 0; i < count; i++) {
        items[i].result = (aril_cache_result){ .outcome = ARIL_CACHE_MISS };
        exists_one(a, &items[i]);
    }
    ask(a);
    for (size_t i = 0; i < count; i++) {
        const aril_status st = items[i].status;
        aril_cache_result *result = &items[i].result;
        result->status = st;
        result->outcome = st == ARIL_OK            ? ARIL_CACHE_HIT
                          : st == ARIL_E_NOT_FOUND ? ARIL_CACHE_MISS
                                                   : ARIL_CACHE_DOWN;
        if (st == ARIL_OK && result->tier == 0) {
            result->tier = ARIL_CACHE_L2;
        }
    }
    return answer(items, count);
}
