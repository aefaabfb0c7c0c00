/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/contexts.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <sched.h>
#include <stdatomic.h>

struct slot {
    atomic_bool lent;           /* set under the shard's lock, cleared by _put */
    struct arili_aead_ctx *ctx; /* NULL until first needed; belongs to whoever has the lease */
    _Atomic uint64_t uid;       /* 0: holds no key */
    uint64_t used;              /* tick of its shard; under its lock */
    bool lone;                  /* in no shard: made for one lease, and freed with it */
};

/* The lock is held while a slot is looked up, never while a cipher runs: so forgetting a key
 * does not wait for records of other keys, however long they are. */
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

static void shard_lock(struct shard *s)
{
    while (!shard_try(s)) {
        sched_yield(); /* held for a look-up only */
    }
}

/* Where to put a key that is not cached: a context without a key, else a place without a
 * context, else the one used longest ago. NULL when all are lent. */
__attribute__((cold)) static struct slot *victim(struct slot *set)
{
    struct slot *best = NULL;
    for (size_t i = 0; i < ARILI_CONTEXT_WAYS; i++) {
        struct slot *s = &set[i];
        if (atomic_load_explicit(&s->lent, memory_order_acquire)) {
            continue;
        }
        if (s->ctx != NULL && atomic_load_explicit(&s->uid, memory_order_relaxed) == 0) {
            return s;
        }
        if (best == NULL || (best->ctx != NULL && (s->ctx == NULL || s->used < best->used))) {
            best = s;
        }
    }
    return best;
}

/* With the shard locked: lend the slot that holds uid, else one that may. NULL when there is
 * none to be had. *ret_keyed: it holds the key already. */
static struct slot *lend(struct shard *s, uint64_t uid, bool *ret_keyed)
{
    struct slot *const set = s->sets[uid % ARILI_CONTEXT_SETS];
    struct slot *found = NULL;
    *ret_keyed = false;
    if (uid == 0) {
        found = atomic_load_explicit(&s->once.lent, memory_order_acquire) ? NULL : &s->once;
    }
    for (size_t i = 0; i < ARILI_CONTEXT_WAYS && uid != 0; i++) {
        if (atomic_load_explicit(&set[i].uid, memory_order_relaxed) == uid &&
            !atomic_load_explicit(&set[i].lent, memory_order_acquire)) {
            found = &set[i];
            *ret_keyed = true;
            break;
        }
    }
    if (found == NULL && uid != 0) {
        found = victim(set);
    }
    if (found != NULL) {
        atomic_store_explicit(&found->lent, true, memory_order_relaxed);
        found->used = ++s->tick;
    }
    return found;
}

/* Without the lock: key a slot that we have the lease of. */
__attribute__((cold)) static aril_status slot_key(const struct arili_crypto *c, struct slot *slot,
                                                  uint64_t uid, const uint8_t *key)
{
    if (slot->ctx == NULL) {
        ARILI_TRY(c->ops->aead_new(c->provider, &slot->ctx));
    }
    /* The old uid stays until its key is gone: who forgets it waits for us. */
    const aril_status st = key != NULL ? c->ops->aead_key(slot->ctx, key) : ARIL_OK;
    if (st != ARIL_OK) {
        c->ops->aead_wipe(slot->ctx);
    }
    atomic_store_explicit(&slot->uid, st == ARIL_OK ? uid : 0, memory_order_relaxed);
    return st;
}

/* For a key that is not remembered, when every shard lent its place for such: messages that come in
 * pieces hold theirs for long, and one thread may have any number of them under way. */
__attribute__((cold)) static aril_status slot_alone(struct slot **ret)
{
    struct slot *const slot = arili_alloc(sizeof *slot);
    ARILI_ENSURE(slot != NULL, ARIL_E_NOMEM);
    slot->lone = true;
    *ret = slot;
    return ARIL_OK;
}

/* A slot of the thread's own shard, else of the next one that has one free. */
static aril_status slot_take(struct arili_contexts *cache, uint64_t uid, struct slot **ret,
                             bool *ret_keyed)
{
    for (unsigned i = first_shard();; i++) {
        struct shard *const s = shard_at(cache, i % ARILI_CONTEXT_SHARDS);
        ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
        if (shard_try(s)) {
            *ret = lend(s, uid, ret_keyed);
            shard_release(s);
            if (*ret != NULL) {
                return ARIL_OK;
            }
        }
        if ((i - thread_number) % ARILI_CONTEXT_SHARDS == ARILI_CONTEXT_SHARDS - 1) {
            /* Everything is lent out. */
            if (uid == 0) {
                return slot_alone(ret);
            }
            sched_yield();
        }
    }
}

static void slot_return(const struct arili_crypto *c, struct slot *slot)
{
    if (slot->lone) {
        c->ops->aead_free(slot->ctx);
        arili_free(slot, sizeof *slot);
        return;
    }
    atomic_store_explicit(&slot->lent, false, memory_order_release);
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
    struct slot *slot = NULL;
    bool keyed = false;

    ARILI_ENSURE(key != NULL || uid == 0, ARIL_E_USAGE_NULL);
    ARILI_TRY(slot_take(cache, uid, &slot, &keyed));
    if (!keyed) {
        const aril_status st = slot_key(cache->crypto, slot, uid, key);
        if (st != ARIL_OK) {
            slot_return(cache->crypto, slot);
            return st;
        }
    }
    *ret = (struct arili_context_lease){ .ctx = slot->ctx, .slot = slot };
    return ARIL_OK;
}

void arili_contexts_put(struct arili_contexts *cache, struct arili_context_lease *lease)
{
    struct slot *const slot = lease->slot;
    if (atomic_load_explicit(&slot->uid, memory_order_relaxed) == 0) {
        cache->crypto->ops->aead_wipe(lease->ctx); /* a key of one message */
    }
    *lease = (struct arili_context_lease){ 0 };
    slot_return(cache->crypto, slot);
}

/* With the shard locked: wipe uid out of the set. Whether nobody has a lease of it. */
static bool wipe_in_set(const struct arili_crypto *c, struct slot *set, uint64_t uid)
{
    bool done = true;
    for (size_t i = 0; i < ARILI_CONTEXT_WAYS; i++) {
        if (atomic_load_explicit(&set[i].uid, memory_order_relaxed) != uid) {
            continue;
        }
        if (atomic_load_explicit(&set[i].lent, memory_order_acquire)) {
            done = false;
            continue;
        }
        c->ops->aead_wipe(set[i].ctx);
        atomic_store_explicit(&set[i].uid, 0, memory_order_relaxed);
    }
    return done;
}

void arili_contexts_forget(struct arili_contexts *cache, uint64_t uid)
{
    for (size_t i = 0; i < ARILI_CONTEXT_SHARDS && uid != 0; i++) {
        struct shard *const s = atomic_load_explicit(&cache->shards[i], memory_order_acquire);
        for (bool done = s == NULL; !done;) {
            shard_lock(s);
            done = wipe_in_set(cache->crypto, s->sets[uid % ARILI_CONTEXT_SETS], uid);
            shard_release(s);
            if (!done) {
                sched_yield();
            }
        }
    }
}

uint64_t arili_contexts_uid(struct arili_contexts *cache)
{
    return atomic_fetch_add_explicit(&cache->last_uid, 1, memory_order_relaxed) + 1;
}
