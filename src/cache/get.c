/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/read.h"

/* Values that are asked for together; bounds the ciphertext that is on its way at one time. */
#define WINDOW 64u

static const char *const outcome_names[ARIL_CACHE_OUTCOMES] = { "miss", "hit", "key-gone",
                                                                "tampered", "down" };
const char *aril_cache_outcome_name(aril_cache_outcome outcome)
{
    return (unsigned)outcome < ARIL_CACHE_OUTCOMES ? outcome_names[outcome] : "unknown";
}

void aril_cache_value_free(aril_span *value)
{
    if (value != NULL) {
        arili_free(value->data, value->len);
        *value = (aril_span){ NULL, 0 };
    }
}

/* --- L1 ------------------------------------------------------------------------------------- */

/* user: an aril_span that keeps what was given, for when nothing comes of it. */
static uint8_t *allocate_room(void *user, size_t len)
{
    aril_span *given = user;
    *given = (aril_span){ arili_alloc(len > 0 ? len : 1), len };
    return given->data;
}

static struct arili_l1_want want_now(const struct arili_scope *scope, uint64_t now_ns)
{
    return (struct arili_l1_want){
        .now_ns = now_ns,
        .generation = atomic_load_explicit(&scope->generation, memory_order_relaxed),
        .epoch = atomic_load_explicit(&scope->epoch, memory_order_relaxed)
    };
}

/* How L1 is used, and what it said. */
struct look {
    bool own;          /* it is for one of our own records */
    bool past;         /* not at all, where there is a store */
    uint64_t until_ns; /* of what it gave */
};

/* False: the store has to be asked. */
static bool read_l1(aril_cache *cache, struct arili_scope *scope, uint64_t hash, uint64_t now_ns,
                    aril_cache_item *item, struct look *look)
{
    struct arili_l1_meta meta;
    uint8_t *data;
    aril_span given = { NULL, 0 };
    const struct arili_l1_want want = want_now(scope, now_ns);
    const bool allocate = item->buffer.data == NULL; /* whatever its length says */
    const struct arili_l1_into into = { .buffer = { item->buffer.data,
                                                    allocate ? 0 : item->buffer.len },
                                        .room = allocate ? allocate_room : NULL,
                                        .user = &given };
    const aril_status st = arili_l1_get_hashed(cache->l1, hash, &item->key, &want, &into, &data,
                                               &item->result.len, &meta);
    if (st != ARIL_OK) {
        aril_cache_value_free(&given);
    }
    if (st == ARIL_E_USAGE_TOO_SMALL) {
        arili_reading_judge(item, scope->policy, st, false);
        return true;
    }
    if (st != ARIL_OK) {
        return false;
    }
    if (allocate) {
        item->buffer = (aril_span){ data, item->result.len };
    }
    item->result.tier = ARIL_CACHE_L1;
    item->result.format = (aril_cache_format)meta.format;
    item->result.old_key = meta.old_key;
    item->result.created_ms = meta.created_ms;
    item->result.not_after_ms = meta.not_after_ms;
    item->result.stale = now_ns >= meta.stale_ns;
    look->until_ns = meta.until_ns;
    item->result.outcome = ARIL_CACHE_HIT;
    item->result.status = item->status = ARIL_OK;
    return true;
}

/* --- The store ------------------------------------------------------------------------------ */

/* A read that cannot even begin. policy NULL: of a key that is none. */
static void refuse(aril_cache_item *item, const struct arili_policy *policy, aril_status st)
{
    arili_reading_judge(item, policy, st, false);
    if (aril_status_class(st) == ARIL_E_USAGE || st == ARIL_E_FORKED) {
        item->status = st;
    }
}

static void take_other(const struct arili_policy *policy, aril_cache_item *item,
                       const struct arili_legacy_value *value)
{
    item->result.len = value->bytes.len;
    if (item->buffer.data == NULL) {
        (void)allocate_room(&item->buffer, value->bytes.len);
        item->buffer.len = item->buffer.data != NULL ? value->bytes.len : 0;
        if (item->buffer.data == NULL) {
            arili_reading_judge(item, policy, ARIL_E_NOMEM, false);
            return;
        }
    } else if (item->buffer.len < value->bytes.len) {
        arili_reading_judge(item, policy, ARIL_E_USAGE_TOO_SMALL, false);
        return;
    }
    if (value->bytes.len > 0) {
        memcpy(item->buffer.data, value->bytes.data, value->bytes.len);
    }
    item->result.tier = ARIL_CACHE_L2;
    item->result.format = arili_others_format(policy);
    item->result.old_key = value->key_index > 0;
    arili_reading_judge(item, policy, ARIL_OK, false);
}

/* What another system put under the key as its name. */
static void read_other(aril_cache *cache, struct arili_scope *scope, aril_cache_item *item,
                       aril_error *error)
{
    ARILI_DEFER(arili_others_room_done)
    struct arili_others_room room = { .policy = scope->policy };
    aril_store_item wanted = { .name = item->key.key, .room = arili_others_room, .user = &room };
    if (!arili_others_name(&item->key)) {
        return; /* no name of theirs: the miss stands */
    }
    aril_status st = aril_store_get(cache->store, &wanted, 1, error);
    st = st != ARIL_OK ? st : arili_others_room_status(&room, wanted.status);
    if (st != ARIL_OK) {
        arili_reading_judge(item, scope->policy, st, true);
        return;
    }
    const aril_bytes stored = { wanted.data, wanted.len };
    struct arili_legacy_value value = { .bytes = { NULL, 0 } };
    st = arili_others_open(cache, scope, item->key.key, stored, &value, error);
    if (st == ARIL_OK) {
        take_other(scope->policy, item, &value);
    } else {
        arili_reading_judge(item, scope->policy, st, false);
        if (item->result.outcome == ARIL_CACHE_TAMPERED) {
            arili_cache_tell(cache, ARIL_EVENT_AUTH_FAILURE, st, "cache-get", &item->key, NULL);
            if (scope->policy->said.evidence && cache->evidence != NULL) {
                cache->evidence(cache->user, &item->key, item->key.key, stored, st);
            }
        }
    }
    arili_legacy_value_done(&value);
}

/* A namespace that writes the format of others has no native values: one of former times would hide
 * what was put since. */
static void read_foreign(aril_cache *cache, struct arili_scope *scope, aril_cache_item *item,
                         aril_error *error)
{
    uint64_t now_ms;
    arili_reading_judge(item, scope->policy, ARIL_E_NOT_FOUND, true);
    const aril_status st = arili_cache_now(cache, NULL, &now_ms);
    if (st != ARIL_OK) {
        refuse(item, scope->policy, st);
    } else if (arili_others_apply(scope, now_ms)) {
        read_other(cache, scope, item, error);
    }
}

static void end_reading(struct arili_reading *r, const aril_store_item *stored, aril_error *error)
{
    arili_reading_end(r, stored, error);
    if (r->item->result.status == ARIL_E_NOT_FOUND && stored->status == ARIL_E_NOT_FOUND &&
        arili_others_apply(r->scope, r->now_ms)) {
        read_other(r->cache, r->scope, r->item, error);
    }
}

/* --- Counting ------------------------------------------------------------------------------- */

void arili_cache_count(struct arili_policy *p, const aril_cache_item *item)
{
    const aril_cache_result *result = &item->result;
    if (p == NULL) {
        return; /* it was no key */
    }
    if (result->outcome != ARIL_CACHE_HIT) { /* hits are counted by tier */
        arili_count(&p->outcomes[result->outcome], 1);
    } else {
        arili_count(result->tier == ARIL_CACHE_L1 ? &p->hits_l1 : &p->hits_l2, 1);
        if (result->tier == ARIL_CACHE_L2) {
            arili_count(&p->bytes_opened, result->len);
        }
        if (result->stale) {
            arili_count(&p->hits_stale, 1);
        }
        if (result->old_key) {
            arili_count(&p->hits_old_key, 1);
        }
        if (result->format != ARIL_CACHE_NATIVE) {
            arili_count(&p->hits_legacy, 1);
        }
    }
    if (result->status == ARIL_E_EXPIRED_VALUE) {
        arili_count(&p->expired, 1);
    } else if (result->status == ARIL_E_REPLAY_SUPERSEDED) {
        arili_count(&p->superseded, 1);
    }
}

/* --- Items ---------------------------------------------------------------------------------- */

/* False: *r is to be read from the store. */
static bool read_or_begin(aril_cache *cache, aril_cache_item *item, struct look *look,
                          struct arili_reading *r, struct arili_policy **ret_policy,
                          aril_error *error)
{
    struct arili_scope *scope;
    uint64_t now_ns;
    *ret_policy = NULL; /* what is no key has none */
    item->result = (aril_cache_result){ .outcome = ARIL_CACHE_MISS };
    uint64_t hash = 0;
    aril_status st =
        look->own ? arili_cache_record_check(&item->key) : arili_cache_key_check(&item->key);
    const bool named = st == ARIL_OK;
    if (named) {
        hash = arili_l1_hash(cache->l1, &item->key);
        st = arili_scope_find(cache, item->key.tenant, item->key.space, &scope, &now_ns, error);
    }
    if (st != ARIL_OK) {
        /* The namespace has a policy also when its tenant cannot be asked for. */
        *ret_policy = named ? arili_policy_of(cache, item->key.space) : NULL;
        refuse(item, *ret_policy, st);
        return true;
    }
    *ret_policy = scope->policy;
    const uint32_t tiers = scope->policy->said.tiers;
    if ((tiers & ARIL_CACHE_L1) != 0 && (!look->past || (tiers & ARIL_CACHE_L2) == 0) &&
        read_l1(cache, scope, hash, now_ns, item, look)) {
        return true;
    }
    if ((tiers & ARIL_CACHE_L2) == 0) {
        arili_reading_judge(item, scope->policy, ARIL_E_NOT_FOUND, true);
        return true;
    }
    if (scope->policy->said.writes != ARIL_CACHE_NATIVE) {
        read_foreign(cache, scope, item, error);
        return true;
    }
    st = arili_reading_begin(r, cache, item, scope, now_ns, error);
    if (st != ARIL_OK) {
        refuse(item, scope->policy, st);
        return true;
    }
    return false;
}

static void read_from_store(aril_cache *cache, struct arili_reading *r, aril_error *error)
{
    aril_store_item wanted;
    arili_reading_item(r, &wanted);
    const aril_status st = aril_store_get(cache->store, &wanted, 1, error);
    if (st != ARIL_OK && st != ARIL_E_BATCH) {
        wanted.status = st;
    }
    end_reading(r, &wanted, error);
}

static struct arili_policy *read_one(aril_cache *cache, aril_cache_item *item, struct look *look,
                                     aril_error *error)
{
    struct arili_reading r; /* filled only when the store has to be asked */
    struct arili_policy *policy;
    if (!read_or_begin(cache, item, look, &r, &policy, error)) {
        read_from_store(cache, &r, error);
    }
    return policy;
}

struct arili_policy *arili_cache_read_record(aril_cache *cache, aril_cache_item *item, bool past_l1,
                                             uint64_t *ret_until_ns, aril_error *error)
{
    struct look look = { .own = true, .past = past_l1, .until_ns = UINT64_MAX };
    struct arili_policy *policy = read_one(cache, item, &look, error);
    *ret_until_ns = look.until_ns;
    return policy;
}

struct arili_policy *arili_cache_read(aril_cache *cache, aril_cache_item *item, aril_error *error)
{
    struct look look = { .past = false };
    return read_one(cache, item, &look, error);
}

/* What is read from the store at one time. */
struct window {
    size_t count, cap;
    aril_store_item *wanted;
    struct arili_reading readings[];
};
static size_t window_bytes(size_t cap)
{
    return sizeof(struct window) + cap * (sizeof(struct arili_reading) + sizeof(aril_store_item));
}
static void window_freep(struct window **w)
{
    if (*w != NULL) {
        arili_free(*w, window_bytes((*w)->cap));
    }
}

static aril_status window_new(size_t count, struct window **ret)
{
    const size_t cap = count < WINDOW ? count : WINDOW;
    struct window *w = arili_alloc(window_bytes(cap));
    ARILI_ENSURE(w != NULL, ARIL_E_NOMEM);
    w->cap = cap;
    w->wanted = (aril_store_item *)(w->readings + cap);
    *ret = w;
    return ARIL_OK;
}

static void window_read(aril_cache *cache, struct window *w, aril_error *error)
{
    if (w->count == 0) {
        return;
    }
    const aril_status st = aril_store_get(cache->store, w->wanted, w->count, error);
    for (size_t i = 0; i < w->count; i++) {
        if (st != ARIL_OK && st != ARIL_E_BATCH) {
            w->wanted[i].status = st;
        }
        struct arili_reading *r = &w->readings[i];
        end_reading(r, &w->wanted[i], error);
        arili_cache_count(r->scope->policy, r->item);
    }
    w->count = 0;
}

static aril_status read_many(aril_cache *cache, aril_cache_item *items, size_t count,
                             aril_error *error)
{
    ARILI_DEFER(window_freep) struct window *w = NULL;
    struct arili_policy *policy;
    for (size_t i = 0; i < count; i++) {
        if (w == NULL) {
            ARILI_TRY(window_new(count - i, &w));
        }
        struct arili_reading *r = &w->readings[w->count];
        struct look look = { .until_ns = UINT64_MAX };
        if (read_or_begin(cache, &items[i], &look, r, &policy, error)) {
            arili_cache_count(policy, &items[i]);
            continue;
        }
        arili_reading_item(r, &w->wanted[w->count++]);
        if (w->count == w->cap) {
            window_read(cache, w, error);
        }
    }
    if (w != NULL) {
        window_read(cache, w, error);
    }
    return ARIL_OK;
}

aril_status aril_cache_get(aril_cache *cache, aril_cache_item *items, size_t count,
                           aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(items != NULL || count == 0, ARIL_E_USAGE_NULL);
    if (count == 1) {
        arili_cache_count(arili_cache_read(cache, items, error), items);
        return items->status;
    }
    ARILI_TRY(read_many(cache, items, count, error));
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        all = all && (items[i].status == ARIL_OK || items[i].status == ARIL_E_NOT_FOUND);
    }
    return all ? ARIL_OK : ARIL_E_BATCH;
}
