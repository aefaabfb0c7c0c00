/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/l1_internal.h"
#include "base/ensure.h"
#include <string.h>

/* A ghost lies in one set of so many, and leaves when as many came after it. */
#define GHOST_WAYS 8u

/* --- Memory -------------------------------------------------------------------------------- */

static size_t buckets_for(uint64_t bytes)
{
    size_t count = GHOST_WAYS / ARILI_L1_GHOSTS_PER_BUCKET;
    while (count <= SIZE_MAX / 64 && (uint64_t)count * 2 * ARILI_L1_BYTES_PER_BUCKET <= bytes) {
        count *= 2;
    }
    return count;
}

uint64_t arili_l1_shard_fixed(uint64_t bytes)
{
    return (uint64_t)buckets_for(bytes) *
           (sizeof(struct arili_l1_entry *) + ARILI_L1_GHOSTS_PER_BUCKET * sizeof(uint32_t));
}

static size_t ghosts_size(const struct arili_l1_shard *s)
{
    return s->bucket_count * ARILI_L1_GHOSTS_PER_BUCKET * sizeof *s->ghosts;
}

aril_status arili_l1_shard_init(struct arili_l1_shard *s, uint32_t number, uint64_t bytes,
                                struct arili_l1_key *key)
{
    /* With default attributes it needs no memory, so it cannot fail. */
    (void)pthread_mutex_init(&s->lock, NULL);
    s->number = number;
    s->bucket_count = buckets_for(bytes);
    s->bytes_max = bytes - arili_l1_shard_fixed(bytes);
    s->buckets = arili_alloc(s->bucket_count * sizeof(struct arili_l1_entry *));
    s->ghosts = arili_alloc(ghosts_size(s));
    ARILI_ENSURE(s->buckets != NULL && s->ghosts != NULL, ARIL_E_NOMEM);
    arili_l1_key_hold(key);
    s->key = key;
    return ARIL_OK;
}

void arili_l1_shard_done(struct arili_l1_shard *s)
{
    struct arili_l1_entry *dead = NULL;
    if (s->buckets != NULL && s->ghosts != NULL) {
        arili_l1_unlink_all(s, &dead);
        arili_l1_release(dead);
    }
    arili_l1_key_put(s->key);
    arili_free(s->ghosts, ghosts_size(s));
    arili_free(s->buckets, s->bucket_count * sizeof(struct arili_l1_entry *));
    (void)pthread_mutex_destroy(&s->lock);
}

void arili_l1_entry_put(struct arili_l1_entry *e)
{
    if (atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) == 1) {
        arili_l1_key_put(e->key);
        arili_free(e, e->bytes);
    }
}

void arili_l1_release(struct arili_l1_entry *dead)
{
    while (dead != NULL) {
        struct arili_l1_entry *const e = dead;
        dead = e->next;
        arili_l1_entry_put(e);
    }
}

/* --- Index --------------------------------------------------------------------------------- */

static struct arili_l1_entry **bucket_of(const struct arili_l1_shard *s, uint64_t hash)
{
    return &s->buckets[hash & (s->bucket_count - 1)];
}

struct arili_l1_entry *arili_l1_find(struct arili_l1_shard *s, uint64_t hash,
                                     const aril_cache_key *key)
{
    struct arili_l1_entry *e = *bucket_of(s, hash);
    while (e != NULL) {
        __builtin_prefetch(e->tag); /* the name is there too */
        __builtin_prefetch(&e->bound.name);
        if (e->hash == hash && arili_packed_equal(&e->bound.name, key)) {
            break;
        }
        e = e->next;
    }
    return e;
}

void arili_l1_fetch_bucket(const struct arili_l1_shard *s, uint64_t hash)
{
    __builtin_prefetch(&s->lock);
    __builtin_prefetch(bucket_of((struct arili_l1_shard *)(uintptr_t)s, hash));
}

static struct arili_l1_queue *queue_of(struct arili_l1_shard *s, const struct arili_l1_entry *e)
{
    return e->in_main ? &s->main : &s->small;
}

static void queue_append(struct arili_l1_queue *q, struct arili_l1_entry *e)
{
    e->older = q->newest;
    e->newer = NULL;
    *(q->newest != NULL ? &q->newest->newer : &q->oldest) = e;
    q->newest = e;
    q->bytes += e->bytes;
}

static void queue_remove(struct arili_l1_queue *q, struct arili_l1_entry *e)
{
    *(e->older != NULL ? &e->older->newer : &q->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &q->newest) = e->older;
    q->bytes -= e->bytes;
}

void arili_l1_unlink(struct arili_l1_shard *s, struct arili_l1_entry *e,
                     struct arili_l1_entry **dead)
{
    struct arili_l1_entry **link = bucket_of(s, e->hash);
    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    queue_remove(queue_of(s, e), e);
    e->linked = false;
    s->bytes -= e->bytes;
    s->entries--;
    e->next = *dead;
    *dead = e;
}

void arili_l1_unlink_all(struct arili_l1_shard *s, struct arili_l1_entry **dead)
{
    while (s->small.oldest != NULL) {
        arili_l1_unlink(s, s->small.oldest, dead);
    }
    while (s->main.oldest != NULL) {
        arili_l1_unlink(s, s->main.oldest, dead);
    }
}

/* --- Ghosts -------------------------------------------------------------------------------- */

/* Other bits than those that choose shard, ticket and, in all but huge shards, the set. */
static uint32_t fingerprint(uint64_t hash)
{
    return (uint32_t)(hash >> 16) | 1;
}

static uint32_t *ghosts_of(const struct arili_l1_shard *s, uint64_t hash)
{
    const size_t sets = s->bucket_count * ARILI_L1_GHOSTS_PER_BUCKET / GHOST_WAYS;
    return &s->ghosts[(hash & (sets - 1)) * GHOST_WAYS];
}

static void ghost_add(struct arili_l1_shard *s, uint64_t hash)
{
    uint32_t *const set = ghosts_of(s, hash);
    memmove(set + 1, set, (GHOST_WAYS - 1) * sizeof *set);
    set[0] = fingerprint(hash);
}

/* Whether it left the small queue not long ago; it is forgotten then. */
static bool ghost_take(const struct arili_l1_shard *s, uint64_t hash)
{
    uint32_t *const set = ghosts_of(s, hash);
    for (size_t i = 0; i < GHOST_WAYS; i++) {
        if (set[i] == fingerprint(hash)) {
            set[i] = 0;
            return true;
        }
    }
    return false;
}

/* --- Eviction ------------------------------------------------------------------------------ */

static void evict(struct arili_l1_shard *s, struct arili_l1_entry *e, struct arili_l1_entry **dead)
{
    if (!e->in_main) {
        ghost_add(s, e->hash);
    }
    s->evictions++;
    arili_l1_unlink(s, e, dead);
}

/* One step of S3-FIFO: an entry leaves, or one that was asked for gets another round. */
static void evict_step(struct arili_l1_shard *s, struct arili_l1_entry **dead)
{
    const bool from_small =
        s->main.oldest == NULL || (s->small.oldest != NULL && s->small.bytes > s->bytes_max / 10);
    struct arili_l1_queue *const q = from_small ? &s->small : &s->main;
    struct arili_l1_entry *const e = q->oldest;
    if (e->asked == 0) {
        evict(s, e, dead);
        return;
    }
    queue_remove(q, e);
    e->asked = from_small ? 0 : (uint8_t)(e->asked - 1);
    e->in_main = true;
    queue_append(&s->main, e);
}

bool arili_l1_reserve(struct arili_l1_shard *s, uint64_t bytes, struct arili_l1_entry **dead)
{
    if (bytes > s->bytes_max) {
        return false;
    }
    while (s->bytes > s->bytes_max - bytes && s->entries > 0) {
        evict_step(s, dead);
    }
    if (s->bytes > s->bytes_max - bytes) {
        return false; /* others seal into what is left */
    }
    s->bytes += bytes;
    return true;
}

void arili_l1_link(struct arili_l1_shard *s, struct arili_l1_entry *e)
{
    struct arili_l1_entry **const bucket = bucket_of(s, e->hash);
    e->next = *bucket;
    *bucket = e;
    e->in_main = ghost_take(s, e->hash) || e->in_main;
    e->linked = true;
    queue_append(queue_of(s, e), e);
    s->entries++;
}

void arili_l1_change_key(struct arili_l1_shard *s, struct arili_l1_key *key,
                         struct arili_l1_entry **dead)
{
    struct arili_l1_queue *const queues[] = { &s->small, &s->main };
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        struct arili_l1_entry *e = queues[i]->oldest;
        while (e != NULL) {
            struct arili_l1_entry *const newer = e->newer;
            if (e->key != s->key) {
                arili_l1_unlink(s, e, dead);
            }
            e = newer;
        }
    }
    arili_l1_key_put(s->key);
    s->key = key;
    s->seals = 0;
    s->sealed_bytes = 0;
}
