/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/contexts.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <sched.h>
#include <stdatomic.h>

struct slot {
    struct arili_aead_ctx *ctx; /* NULL until first needed */
    uint64_t uid;               /* 0: holds no key */
    uint64_t used;              /* tick of its shard */
};

/* One lease at a time: whoever set `taken` has the whole shard until _put. */
struct shard {
    uint8_t apart[64]; /* the lock on a cache line that no other thread writes */
    atomic_bool taken;
    uint64_t tick;
    struct slot once; /* for uid 0 */
    struct slot sets[ARILI_CONTEXT_SETS][ARILI_CONTEXT_WAYS];
};

struct arili_contexts {
    const struct arili_crypto *crypto;
    _Atomic uint64_t last_uid;
    _Atomic(struct shard *) shards[ARILI_CONTEXT_SHARDS];
};

/* Number of this thread, from 1; 0 before its first lease. */
static _Thread_local unsigned thread_number;
static atomic_uint threads_seen;

static unsigned first_shard(void)
{
    if (thread_number == 0) {
        thread_number = atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed) + 1;
    }
    return thread_number;
}

static bool shard_try(struct shard *s)
{
    return !atomic_load_explicit(&s->taken, memory_order_relaxed) &&
           !atomic_exchange_explicit(&s->taken, true, memory_order_acquire);
}

static void shard_release(struct shard *s)
{
    atomic_store_explicit(&s->taken, false, memory_order_release);
}

/* The shard at index, made now if it is not there; NULL without memory. */
static struct shard *shard_at(struct arili_contexts *cache, unsigned index)
{
    struct shard *s = atomic_load_explicit(&cache->shards[index], memory_order_acquire);
    if (s != NULL) {
        return s;
    }
    struct shard *const fresh = arili_alloc(sizeof *fresh);
    if (fresh == NULL) {
        return NULL;
    }
    if (atomic_compare_exchange_strong_explicit(&cache->shards[index], &s, fresh,
                                                memory_order_acq_rel, memory_order_acquire)) {
        return fresh;
    }
    arili_free(fresh, sizeof *fresh); /* another thread was first */
    return s;
}

/* A shard that is now ours: the thread's own, else the next that is free. */
static aril_status shard_take(struct arili_contexts *cache, struct shard **ret)
{
    for (unsigned i = first_shard();; i++) {
        struct shard *const s = shard_at(cache, i % ARILI_CONTEXT_SHARDS);
        ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
        if (shard_try(s)) {
            *ret = s;
            return ARIL_OK;
        }
        if ((i - thread_number) % ARILI_CONTEXT_SHARDS == ARILI_CONTEXT_SHARDS - 1) {
            sched_yield(); /* all are lent out */
        }
    }
}

/* Where to put a key that is not cached: a context without a key, else a place
 * without a context, else the one used longest ago. */
static struct slot *victim(struct slot *set)
{
    struct slot *best = &set[0];
    for (size_t i = 0; i < ARILI_CONTEXT_WAYS; i++) {
        if (set[i].ctx != NULL && set[i].uid == 0) {
            return &set[i];
        }
        if (best->ctx != NULL && (set[i].ctx == NULL || set[i].used < best->used)) {
            best = &set[i];
        }
    }
    return best;
}

static aril_status slot_key(const struct arili_crypto *c, struct slot *slot, uint64_t uid,
                            const uint8_t *key)
{
    slot->uid = 0;
    if (slot->ctx == NULL) {
        ARILI_TRY(c->ops->aead_new(c->provider, &slot->ctx));
    }
    if (key != NULL) {
        ARILI_TRY(c->ops->aead_key(slot->ctx, key));
    }
    slot->uid = uid;
    return ARIL_OK;
}

/* The slot of the shard that holds uid after this. */
static aril_status slot_find(const struct arili_crypto *c, struct shard *s, uint64_t uid,
                             const uint8_t *key, struct slot **ret)
{
    struct slot *const set = s->sets[uid % ARILI_CONTEXT_SETS];
    for (size_t i = 0; i < ARILI_CONTEXT_WAYS; i++) {
        if (set[i].uid == uid) {
            *ret = &set[i];
            return ARIL_OK;
        }
    }
    *ret = victim(set);
    return slot_key(c, *ret, uid, key);
}

aril_status arili_contexts_new(const struct arili_crypto *c, struct arili_contexts **ret)
{
    struct arili_contexts *const cache = arili_alloc(sizeof *cache);
    ARILI_ENSURE(cache != NULL, ARIL_E_NOMEM);
    cache->crypto = c;
    atomic_init(&cache->last_uid, 0);
    for (size_t i = 0; i < ARILI_CONTEXT_SHARDS; i++) {
        atomic_init(&cache->shards[i], NULL);
    }
    *ret = cache;
    return ARIL_OK;
}

static void shard_free(const struct arili_crypto *c, struct shard *s)
{
    c->ops->aead_free(s->once.ctx);
    for (size_t i = 0; i < ARILI_CONTEXT_SETS; i++) {
        for (size_t k = 0; k < ARILI_CONTEXT_WAYS; k++) {
            c->ops->aead_free(s->sets[i][k].ctx);
        }
    }
    arili_free(s, sizeof *s);
}

void arili_contexts_free(struct arili_contexts *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < ARILI_CONTEXT_SHARDS; i++) {
        struct shard *const s = atomic_load_explicit(&cache->shards[i], memory_order_acquire);
        if (s != NULL) {
            shard_free(cache->crypto, s);
        }
    }
    arili_free(cache, sizeof *cache);
}

aril_status arili_contexts_get(struct arili_contexts *cache, uint64_t uid,
                               const uint8_t key[ARILI_AEAD_KEY_BYTES],
                               struct arili_context_lease *ret)
{
    const struct arili_crypto *const c = cache->crypto;
    struct shard *s = NULL;
    struct slot *slot = NULL;
    aril_status st;

    ARILI_ENSURE(key != NULL || uid == 0, ARIL_E_USAGE_NULL);
    ARILI_TRY(shard_take(cache, &s));
    if (uid == 0) {
        slot = &s->once;
        st = slot_key(c, slot, 0, key);
    } else {
        st = slot_find(c, s, uid, key, &slot);
    }
    if (st != ARIL_OK) {
        shard_release(s);
        return st;
    }
    slot->used = ++s->tick;
    *ret = (struct arili_context_lease){ .ctx = slot->ctx, .slot = s };
    return ARIL_OK;
}

void arili_contexts_put(struct arili_contexts *cache, struct arili_context_lease *lease)
{
    struct shard *const s = lease->slot;
    if (lease->ctx == s->once.ctx) {
        cache->crypto->ops->aead_wipe(lease->ctx);
    }
    *lease = (struct arili_context_lease){ 0 };
    shard_release(s);
}

void arili_contexts_forget(struct arili_contexts *cache, uint64_t uid)
{
    for (size_t i = 0; i < ARILI_CONTEXT_SHARDS; i++) {
        struct shard *const s = atomic_load_explicit(&cache->shards[i], memory_order_acquire);
        if (s == NULL || uid == 0) {
            continue;
        }
        while (!shard_try(s)) {
            sched_yield();
        }
        struct slot *const set = s->sets[uid % ARILI_CONTEXT_SETS];
        for (size_t k = 0; k < ARILI_CONTEXT_WAYS; k++) {
            if (set[k].uid == uid) {
                cache->crypto->ops->aead_wipe(set[k].ctx);
                set[k].uid = 0;
            }
        }
        shard_release(s);
    }
}

uint64_t arili_contexts_uid(struct arili_contexts *cache)
{
    return atomic_fetch_add_explicit(&cache->last_uid, 1, memory_order_relaxed) + 1;
}
