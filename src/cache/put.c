/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

/* Values that are sealed and handed to the store together. */
#define WINDOW       64u
#define WINDOW_BYTES ((size_t)32 << 20)
/* Sealed not-afters are in whole seconds of the clock: none ends early. */
#define CLOCK_STEP_MS 1000u

/* One value on its way to the store. */
struct writing {
    aril_cache_item *item;
    bool own; /* it is one of our own records */
    struct arili_scope *scope;
    uint64_t now_ns, now_ms, ttl_ms, not_after_ms, generation;
    uint64_t epoch; /* of the scope, before stamps were read */
    struct arili_place_of_value place;
    aril_bytes name; /* in the store */
    uint64_t ticket; /* of L1, taken before the store was asked */
    struct arili_stage stage;
    size_t stored_bytes;
    aril_bytes part;
};

static void writing_done(aril_cache *cache, struct writing *w)
{
    arili_staging_give(cache->staging, &w->stage);
}

/* --- Sealing -------------------------------------------------------------------------------- */

static aril_status item_check(const aril_cache_item *item, bool own)
{
    ARILI_TRY(own ? arili_cache_record_check(&item->key) : arili_cache_key_check(&item->key));
    ARILI_ENSURE(item->value.data != NULL || item->value.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(item->tags != NULL || item->tag_count == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(item->tag_count <= ARIL_CACHE_TAGS_MAX, ARIL_E_USAGE_RANGE);
    for (size_t i = 0; i < item->tag_count; i++) {
        ARILI_ENSURE(item->tags[i].data != NULL && item->tags[i].len >= 1 &&
                         item->tags[i].len <= ARIL_CACHE_KEY_BYTES_MAX,
                     ARIL_E_USAGE_RANGE);
    }
    return ARIL_OK;
}

static aril_status choose_life(aril_cache *cache, struct writing *w)
{
    const aril_cache_policy *p = &w->scope->policy->said;
    uint64_t ttl = w->item->ttl_ms != 0 ? w->item->ttl_ms : p->ttl_ms;
    ttl = ttl < p->ttl_max_ms ? ttl : p->ttl_max_ms;
    if (p->jitter_percent > 0) {
        const struct arili_crypto *c = &cache->rt->crypto;
        uint8_t random[4];
        ARILI_TRY(c->ops->random(c->provider, random, sizeof random));
        const uint64_t most = ttl / 100 * p->jitter_percent;
        ttl -= most > 0 ? arili_load32(random) % (most + 1) : 0;
    }
    ARILI_TRY(arili_cache_now(cache, NULL, &w->now_ms));
    w->ttl_ms = ttl;
    w->not_after_ms = w->now_ms + CLOCK_STEP_MS + ttl;
    w->generation = atomic_load(&w->scope->generation);
    return ARIL_OK;
}

static aril_status seal_native(aril_cache *cache, struct writing *w, aril_error *error)
{
    const aril_cache_policy *p = &w->scope->policy->said;
    struct arili_value_tag tags[ARIL_CACHE_TAGS_MAX];
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(arili_tag_stamps(cache, w->item, tags, error));
    ARILI_TRY(arili_cache_place(cache, w->scope, &w->item->key, &w->place, error));
    w->name = (aril_bytes){ (const uint8_t *)w->place.name, w->place.name_len };
    ARILI_TRY(
        aril_keyring_tenant_key(cache->keyring, w->scope->tenant, ARIL_KEY_DATA, &key, error));
    const struct arili_value_sealing s = {
        .rt = cache->rt,
        .executor = cache->executor,
        .key = key,
        .context = w->place.context,
        .created_ms = w->now_ms,
        .not_after_ms = w->not_after_ms,
        .generation = w->generation,
        .plan = arili_value_plan(w->item->value.len, w->item->tag_count, p->padding, p->pad_bytes),
        .value = w->item->value,
        .tags = tags,
    };
    w->stored_bytes = (size_t)arili_value_stored_bytes(s.plan.body_bytes);
    ARILI_TRY(arili_staging_take(cache->staging, w->stored_bytes, &w->stage));
    return arili_value_seal(&s, w->stage.data);
}

/* Another format has the caller's key as its name. */
static aril_status seal_other(aril_cache *cache, struct writing *w, aril_error *error)
{
    const aril_bytes name = w->item->key.key;
    if (!arili_others_name(&w->item->key) || w->item->tag_count > 0) {
        return arili_error_set(
            error, ARIL_E_USAGE_RANGE,
            "cache: the format of this namespace has names of at most %u bytes that do not begin "
            "with \"" ARILI_CACHE_LEVEL_TEXT "\", no fields and no tags",
            ARIL_STORE_NAME_BYTES_MAX);
    }
    w->name = name;
    return arili_others_seal(cache, w->scope, name, w->item->value, &w->stage, &w->stored_bytes,
                             error);
}

static aril_status writing_begin(aril_cache *cache, aril_cache_item *item, struct writing *w,
                                 aril_error *error)
{
    w->item = item;
    w->stage = (struct arili_stage){ NULL, 0 };
    ARILI_TRY(item_check(item, w->own));
    ARILI_TRY(
        arili_scope_find(cache, item->key.tenant, item->key.space, &w->scope, &w->now_ns, error));
    w->epoch = atomic_load(&w->scope->epoch);
    const aril_cache_policy *p = &w->scope->policy->said;
    if (item->value.len > p->value_max) {
        return arili_error_set(error, ARIL_E_LIMIT,
                               "cache: the value has %zu bytes, the policy of its namespace allows "
                               "%llu",
                               item->value.len, (unsigned long long)p->value_max);
    }
    ARILI_TRY(choose_life(cache, w));
    w->ticket = item->absent_only ? arili_l1_ticket(cache->l1, &item->key)
                                  : arili_l1_drop(cache->l1, &item->key);
    if ((p->tiers & ARIL_CACHE_L2) == 0) {
        return ARIL_OK;
    }
    ARILI_TRY(p->writes == ARIL_CACHE_NATIVE ? seal_native(cache, w, error)
                                             : seal_other(cache, w, error));
    w->part = (aril_bytes){ w->stage.data, w->stored_bytes };
    return ARIL_OK;
}

static void writing_item(const struct writing *w, aril_store_item *ret)
{
    *ret = (aril_store_item){ .name = w->name,
                              .parts = &w->part,
                              .part_count = 1,
                              .ttl_ms = w->ttl_ms,
                              .absent_only = w->item->absent_only };
}

/* --- After it ------------------------------------------------------------------------------- */

static void keep_in_l1(aril_cache *cache, const struct writing *w)
{
    const aril_cache_policy *p = &w->scope->policy->said;
    if ((p->tiers & ARIL_CACHE_L1) == 0 || p->writes != ARIL_CACHE_NATIVE) {
        return;
    }
    if (w->item->value.len > p->l1_value_max) {
        arili_l1_drop(cache->l1, &w->item->key);
        return;
    }
    const struct arili_l1_meta meta = arili_l1_meta_of(w->scope, w->epoch, w->now_ns, w->now_ms,
                                                       w->now_ms, w->not_after_ms, w->generation);
    if (!arili_l1_put_if(cache->l1, &w->item->key, w->item->value, &meta, w->ticket)) {
        /* Somebody else changed it meanwhile: which of the two the store has is not known. */
        (void)arili_l1_drop(cache->l1, &w->item->key);
    }
}

static void writing_end(aril_cache *cache, struct writing *w, aril_status st)
{
    struct arili_policy *p = w->scope != NULL ? w->scope->policy : NULL;
    w->item->status = st;
    if (st == ARIL_OK) {
        keep_in_l1(cache, w);
        arili_count(&p->puts, 1);
        if (w->stage.data != NULL) {
            arili_count(&p->bytes_sealed, w->item->value.len);
        }
    } else if (p != NULL) {
        arili_count(&p->put_failures, 1);
        if (st != ARIL_E_EXISTS) {
            arili_l1_drop(cache->l1, &w->item->key); /* what the store has now is not known */
        }
    }
    writing_done(cache, w);
}

/* Without a store. */
static aril_status put_in_l1(aril_cache *cache, const struct writing *w)
{
    const struct arili_l1_want want = { .now_ns = w->now_ns,
                                        .generation = w->generation,
                                        .epoch = atomic_load(&w->scope->epoch) };
    ARILI_ENSURE(!w->item->absent_only || !arili_l1_has(cache->l1, &w->item->key, &want),
                 ARIL_E_EXISTS);
    return ARIL_OK;
}

static aril_status write_one(aril_cache *cache, aril_cache_item *item, bool own, aril_bytes lock,
                             uint64_t fence, aril_error *error)
{
    struct writing w = { .item = item, .own = own };
    aril_status st = writing_begin(cache, item, &w, error);
    if (st == ARIL_OK && w.stage.data == NULL) {
        st = put_in_l1(cache, &w);
    } else if (st == ARIL_OK) {
        aril_store_item wanted;
        writing_item(&w, &wanted);
        wanted.lock = lock;
        wanted.fence = fence;
        st = aril_store_put(cache->store, &wanted, 1, error);
        st = st == ARIL_OK || st == ARIL_E_BATCH ? wanted.status : st;
    }
    writing_end(cache, &w, st);
    return st;
}

aril_status arili_cache_write(aril_cache *cache, aril_cache_item *item, aril_bytes lock,
                              uint64_t fence, aril_error *error)
{
    return write_one(cache, item, false, lock, fence, error);
}

aril_status arili_cache_write_record(aril_cache *cache, aril_cache_item *item, aril_error *error)
{
    return write_one(cache, item, true, (aril_bytes){ NULL, 0 }, 0, error);
}

/* --- Batches -------------------------------------------------------------------------------- */

struct window {
    size_t count, cap, bytes;
    aril_store_item *wanted;
    struct writing writings[];
};
static size_t window_size(size_t cap)
{
    return sizeof(struct window) + cap * (sizeof(struct writing) + sizeof(aril_store_item));
}
static void window_freep(struct window **w)
{
    if (*w != NULL) {
        arili_free(*w, window_size((*w)->cap));
    }
}

static aril_status window_new(size_t count, struct window **ret)
{
    const size_t cap = count < WINDOW ? count : WINDOW;
    struct window *w = arili_alloc(window_size(cap));
    ARILI_ENSURE(w != NULL, ARIL_E_NOMEM);
    w->cap = cap;
    w->wanted = (aril_store_item *)(w->writings + cap);
    *ret = w;
    return ARIL_OK;
}

static void window_write(aril_cache *cache, struct window *win, aril_error *error)
{
    if (win->count == 0) {
        return;
    }
    const aril_status st = aril_store_put(cache->store, win->wanted, win->count, error);
    for (size_t i = 0; i < win->count; i++) {
        writing_end(cache, &win->writings[i],
                    st == ARIL_OK || st == ARIL_E_BATCH ? win->wanted[i].status : st);
    }
    win->count = win->bytes = 0;
}

static void window_add(aril_cache *cache, struct window *win, aril_cache_item *item,
                       aril_error *error)
{
    struct writing *w = &win->writings[win->count];
    memset(w, 0, sizeof *w);
    const aril_status st = writing_begin(cache, item, w, error);
    if (st != ARIL_OK || w->stage.data == NULL) {
        writing_end(cache, w, st == ARIL_OK ? put_in_l1(cache, w) : st);
        return;
    }
    writing_item(w, &win->wanted[win->count++]);
    win->bytes += w->stored_bytes;
    if (win->count == win->cap || win->bytes >= WINDOW_BYTES) {
        window_write(cache, win, error);
    }
}

/* Tell others of what they may hold: not of blocks, whose names stand for their content. */
static void tell_others(aril_cache *cache, const aril_cache_item *items, size_t count)
{
    if (!cache->listens) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].status == ARIL_OK && items[i].key.type != ARIL_CACHE_BLOCK) {
            arili_messages_tell(cache, items[i].key.tenant, items[i].key.space, &items[i], 1);
        }
    }
}

aril_status aril_cache_put(aril_cache *cache, aril_cache_item *items, size_t count,
                           aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(items != NULL || count == 0, ARIL_E_USAGE_NULL);
    if (count == 1) {
        arili_forgive(arili_cache_write(cache, items, (aril_bytes){ NULL, 0 }, 0, error));
        tell_others(cache, items, 1);
        return items->status;
    }
    ARILI_DEFER(window_freep) struct window *win = NULL;
    ARILI_TRY(window_new(count > 0 ? count : 1, &win));
    for (size_t i = 0; i < count; i++) {
        window_add(cache, win, &items[i], error);
    }
    window_write(cache, win, error);
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        all = all && items[i].status == ARIL_OK;
    }
    tell_others(cache, items, count);
    return all ? ARIL_OK : ARIL_E_BATCH;
}
