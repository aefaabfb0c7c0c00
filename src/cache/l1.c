/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/l1.h"
#include "base/ensure.h"
#include "cache/l1_internal.h"

#define PREFETCH_BYTES 1024u

/* --- New and free -------------------------------------------------------------------------- */

static void l1_freep(struct arili_l1 **l1)
{
    arili_l1_free(*l1);
}

static size_t l1_size(size_t shards)
{
    return sizeof(struct arili_l1) + shards * sizeof(struct arili_l1_shard);
}

static aril_status shards_init(struct arili_l1 *l1, size_t shards, uint64_t bytes_max)
{
    const uint64_t each = (bytes_max - l1_size(shards)) / shards;
    for (size_t i = 0; i < shards; i++) {
        l1->shard_count++; /* counted first: a shard that failed half-way is ended as well */
        ARILI_TRY(arili_l1_shard_init(&l1->shards[i], (uint32_t)i, each, l1->key));
    }
    l1->fixed_bytes = l1_size(shards) + shards * arili_l1_shard_fixed(each);
    return ARIL_OK;
}

/* A shard's part of what all may do under one key. */
static uint64_t share(uint64_t wanted, uint64_t max, size_t shards)
{
    const uint64_t all = wanted != 0 && wanted < max ? wanted : max;
    return all / shards > 0 ? all / shards : 1;
}

aril_status arili_l1_new_with(aril_runtime *rt, uint64_t bytes_max, size_t shards,
                              const struct arili_l1_options *options, struct arili_l1 **ret)
{
    ARILI_ENSURE(bytes_max >= ARILI_L1_BYTES_MIN, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(shards >= 1 && shards <= ARILI_L1_SHARDS && (shards & (shards - 1)) == 0,
                 ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_runtime_check(rt));
    while (shards > 1 && bytes_max / shards < ARILI_L1_SHARD_BYTES_MIN) {
        shards /= 2;
    }
    struct arili_l1 *const fresh = arili_alloc(l1_size(shards));
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    fresh->rt = rt;
    fresh->guard = arili_secure_guard(rt->secure);
    fresh->alloc_bytes = l1_size(shards);
    fresh->shard_seals_max = share(options->key_seals_max, ARILI_L1_KEY_SEALS_MAX, shards);
    fresh->shard_bytes_max = share(options->key_bytes_max, ARILI_L1_KEY_BYTES_MAX, shards);
    (void)pthread_mutex_init(&fresh->key_lock, NULL);
    ARILI_DEFER(l1_freep) struct arili_l1 *l1 = fresh;
    if (options->fixed_seed) {
        l1->seed = options->seed;
    } else {
        ARILI_TRY(
            rt->crypto.ops->random(rt->crypto.provider, (uint8_t *)&l1->seed, sizeof l1->seed));
    }
    ARILI_TRY(arili_l1_key_new(rt, &l1->key));
    ARILI_TRY(shards_init(l1, shards, bytes_max));
    *ret = ARILI_TAKE(l1);
    return ARIL_OK;
}

aril_status arili_l1_new(aril_runtime *rt, uint64_t bytes_max, size_t shards, struct arili_l1 **ret)
{
    const struct arili_l1_options none = { 0 };
    return arili_l1_new_with(rt, bytes_max, shards, &none, ret);
}

void arili_l1_free(struct arili_l1 *l1)
{
    if (l1 == NULL) {
        return;
    }
    for (size_t i = 0; i < l1->shard_count; i++) {
        arili_l1_shard_done(&l1->shards[i]);
    }
    arili_l1_key_put(l1->key);
    (void)pthread_mutex_destroy(&l1->key_lock);
    arili_free(l1, l1->alloc_bytes);
}

/* --- Get ----------------------------------------------------------------------------------- */

static bool satisfies(const struct arili_l1_entry *e, const struct arili_l1_want *want)
{
    const struct arili_l1_bound *b = &e->bound;
    return want->now_ns < b->until_ns && b->generation >= want->generation &&
           b->epoch == want->epoch;
}

/* With the lock held: the entry if it is a hit; one that is over leaves. */
static struct arili_l1_entry *find_hit(struct arili_l1_shard *s, uint64_t hash,
                                       const aril_cache_key *key, const struct arili_l1_want *want,
                                       struct arili_l1_entry **dead)
{
    struct arili_l1_entry *const e = arili_l1_find(s, hash, key);
    if (e != NULL && !satisfies(e, want)) {
        arili_l1_unlink(s, e, dead);
        return NULL;
    }
    return e;
}

/* The cipher needs these lines soon; fetching them overlaps with what comes before it. */
static void prefetch(const struct arili_l1_entry *e)
{
    const uint8_t *const at = (const uint8_t *)e;
    const size_t bytes = e->bytes < PREFETCH_BYTES ? e->bytes : PREFETCH_BYTES;
    for (size_t i = sizeof *e; i < bytes; i += 64) {
        __builtin_prefetch(at + i);
    }
}

/* A reference to the entry, or NULL. */
static struct arili_l1_entry *take(struct arili_l1_shard *s, uint64_t hash,
                                   const aril_cache_key *key, const struct arili_l1_want *want)
{
    struct arili_l1_entry *dead = NULL;
    arili_l1_lock(s);
    struct arili_l1_entry *const e = find_hit(s, hash, key, want, &dead);
    if (e != NULL) {
        prefetch(e);
        atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
        if (e->asked < 3) {
            e->asked++;
        }
    }
    arili_l1_unlock(s);
    arili_l1_release(dead);
    return e;
}

/* Where the value goes; NULL when there is no room. An empty value needs none. */
static aril_status find_room(const struct arili_l1_into *into, size_t len, uint8_t **ret,
                             size_t *ret_len)
{
    if (len <= into->buffer.len) {
        *ret = into->buffer.data;
        return ARIL_OK;
    }
    if (into->room == NULL) {
        *ret_len = len;
        ARILI_FAIL(ARIL_E_USAGE_TOO_SMALL);
    }
    *ret = into->room(into->user, len);
    ARILI_ENSURE(*ret != NULL, ARIL_E_LIMIT);
    return ARIL_OK;
}

/* Lengths steer where the cipher reads: they must agree with the allocation before the tag can
 * tell that they were changed. */
static bool lengths_agree(const struct arili_l1_entry *e)
{
    const size_t before = arili_l1_entry_bytes(arili_l1_aad(e).len, 0);
    return before <= e->bytes && e->bound.value_len == e->bytes - before;
}

static aril_status open_entry(struct arili_l1_entry *e, const struct arili_l1_into *into,
                              uint8_t **ret_data, size_t *ret_len, struct arili_l1_meta *ret_meta)
{
    const struct arili_l1_bound *const b = &e->bound;
    uint8_t *data = NULL;
    ARILI_ENSURE(lengths_agree(e), ARIL_E_AUTH);
    const aril_bytes body = { arili_l1_body(e), (size_t)b->value_len };
    ARILI_TRY(find_room(into, body.len, &data, ret_len));
    ARILI_TRY(arili_l1_key_open(e->key, e->nonce, arili_l1_aad(e), body, e->tag, data));
    *ret_data = data;
    *ret_len = body.len;
    *ret_meta = (struct arili_l1_meta){ .created_ms = b->created_ms,
                                        .not_after_ms = b->not_after_ms,
                                        .generation = b->generation,
                                        .until_ns = b->until_ns,
                                        .stale_ns = b->stale_ns,
                                        .epoch = b->epoch,
                                        .format = (uint8_t)b->format,
                                        .old_key = b->old_key != 0 };
    return ARIL_OK;
}

/* It failed its check: nobody else should meet it. */
static void drop_entry(struct arili_l1_shard *s, struct arili_l1_entry *e)
{
    struct arili_l1_entry *dead = NULL;
    arili_l1_lock(s);
    if (e->linked) {
        arili_l1_unlink(s, e, &dead);
    }
    arili_l1_unlock(s);
    arili_l1_release(dead);
}

uint64_t arili_l1_hash(const struct arili_l1 *l1, const aril_cache_key *key)
{
    const uint64_t hash = arili_packed_hash(l1->seed, key);
    arili_l1_fetch_bucket(arili_l1_shard_of((struct arili_l1 *)(uintptr_t)l1, hash), hash);
    return hash;
}

aril_status arili_l1_get_hashed(struct arili_l1 *l1, uint64_t hash, const aril_cache_key *key,
                                const struct arili_l1_want *want, const struct arili_l1_into *into,
                                uint8_t **ret_data, size_t *ret_len, struct arili_l1_meta *ret_meta)
{
    ARILI_ENSURE(!arili_is_forked(&l1->guard), ARIL_E_FORKED);
    struct arili_l1_shard *const s = arili_l1_shard_of(l1, hash);
    struct arili_l1_entry *const e = take(s, hash, key, want);
    if (e == NULL) {
        return ARIL_E_NOT_FOUND; /* the usual miss is no failure */
    }
    const aril_status st = open_entry(e, into, ret_data, ret_len, ret_meta);
    if (st == ARIL_E_AUTH) {
        drop_entry(s, e);
    }
    arili_l1_entry_put(e);
    return st;
}

aril_status arili_l1_get(struct arili_l1 *l1, const aril_cache_key *key,
                         const struct arili_l1_want *want, const struct arili_l1_into *into,
                         uint8_t **ret_data, size_t *ret_len, struct arili_l1_meta *ret_meta)
{
    return arili_l1_get_hashed(l1, arili_packed_hash(l1->seed, key), key, want, into, ret_data,
                               ret_len, ret_meta);
}

bool arili_l1_has(struct arili_l1 *l1, const aril_cache_key *key, const struct arili_l1_want *want)
{
    if (arili_is_forked(&l1->guard)) {
        return false;
    }
    struct arili_l1_entry *dead = NULL;
    const uint64_t hash = arili_packed_hash(l1->seed, key);
    struct arili_l1_shard *const s = arili_l1_shard_of(l1, hash);
    arili_l1_lock(s);
    const bool found = find_hit(s, hash, key, want, &dead) != NULL;
    arili_l1_unlock(s);
    arili_l1_release(dead);
    return found;
}

/* --- Drop, clear, tickets, figures --------------------------------------------------------- */

uint64_t arili_l1_drop(struct arili_l1 *l1, const aril_cache_key *key)
{
    if (arili_is_forked(&l1->guard)) {
        return 0;
    }
    struct arili_l1_entry *dead = NULL;
    const uint64_t hash = arili_packed_hash(l1->seed, key);
    struct arili_l1_shard *const s = arili_l1_shard_of(l1, hash);
    arili_l1_lock(s);
    struct arili_l1_entry *const e = arili_l1_find(s, hash, key);
    if (e != NULL) {
        arili_l1_unlink(s, e, &dead);
    }
    const uint64_t ticket = ++*arili_l1_ticket_of(s, hash);
    arili_l1_unlock(s);
    arili_l1_release(dead);
    return ticket;
}

void arili_l1_clear(struct arili_l1 *l1)
{
    for (size_t i = 0; i < l1->shard_count && !arili_is_forked(&l1->guard); i++) {
        struct arili_l1_shard *const s = &l1->shards[i];
        struct arili_l1_entry *dead = NULL;
        arili_l1_lock(s);
        arili_l1_unlink_all(s, &dead);
        for (size_t k = 0; k < ARILI_L1_TICKETS; k++) {
            s->tickets[k]++;
        }
        arili_l1_unlock(s);
        arili_l1_release(dead);
    }
}

uint64_t arili_l1_ticket(struct arili_l1 *l1, const aril_cache_key *key)
{
    if (arili_is_forked(&l1->guard)) {
        return 0;
    }
    const uint64_t hash = arili_packed_hash(l1->seed, key);
    struct arili_l1_shard *const s = arili_l1_shard_of(l1, hash);
    arili_l1_lock(s);
    const uint64_t ticket = *arili_l1_ticket_of(s, hash);
    arili_l1_unlock(s);
    return ticket;
}

struct arili_l1_stats arili_l1_get_stats(struct arili_l1 *l1)
{
    struct arili_l1_stats stats = { .bytes = l1->fixed_bytes };
    for (size_t i = 0; i < l1->shard_count && !arili_is_forked(&l1->guard); i++) {
        struct arili_l1_shard *const s = &l1->shards[i];
        arili_l1_lock(s);
        stats.entries += s->entries;
        stats.bytes += s->bytes;
        stats.evictions += s->evictions;
        arili_l1_unlock(s);
    }
    return stats;
}
