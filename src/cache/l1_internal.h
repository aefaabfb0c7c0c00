/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_L1_INTERNAL_H
#define ARILI_CACHE_L1_INTERNAL_H
#include "cache/l1.h"
#include "cache/packed.h"
#include <pthread.h>
#include <stdatomic.h>

/* What the parts of L1 share: l1.c and l1_put.c (the interface), l1_shard.c (index,
 * queues, bytes), l1_key.c. */

#define ARILI_L1_BYTES_MIN ((uint64_t)64 << 10)
#define ARILI_L1_SHARDS    256u
/* Fewer shards are made when each would get less. */
#define ARILI_L1_SHARD_BYTES_MIN ((uint64_t)64 << 10)
/* A bucket and two ghosts for so many bytes of a shard; the smallest entry takes half of it. */
#define ARILI_L1_BYTES_PER_BUCKET  512u
#define ARILI_L1_GHOSTS_PER_BUCKET 2u
/* Names share counters of changes: two that meet make a put_if give up in vain. */
#define ARILI_L1_TICKETS 64u

/* What all shards of a cache may seal under one key together: DESIGN.md section 2. */
#define ARILI_L1_KEY_SEALS_MAX (UINT64_C(1) << 32)
#define ARILI_L1_KEY_BYTES_MAX (UINT64_C(1) << 38)

/* --- Keys (l1_key.c) ----------------------------------------------------------------------- */

/*
 * One key for all shards at a time: contexts keyed with it stay in each thread's cache. The nonce
 * is the number of the shard and the shard's counter, so shards never meet.
 */
struct arili_l1_key {
    aril_runtime *rt;
    atomic_size_t references; /* one per entry, per shard that has it, and the cache's */
    uint64_t uid;
    uint8_t *secret; /* secure cell */
};
ARIL_MUST_USE aril_status arili_l1_key_new(aril_runtime *rt, struct arili_l1_key **ret);
void arili_l1_key_hold(struct arili_l1_key *key);
/* The last one wipes it, and every context that was keyed with it. */
void arili_l1_key_put(struct arili_l1_key *key);
void arili_l1_key_putp(struct arili_l1_key **key);
ARIL_MUST_USE aril_status arili_l1_key_seal(const struct arili_l1_key *key, const uint8_t *nonce,
                                            aril_bytes aad, aril_bytes value, uint8_t *ret_body,
                                            uint8_t *ret_tag);
/* On failure ret is wiped. */
ARIL_MUST_USE aril_status arili_l1_key_open(const struct arili_l1_key *key, const uint8_t *nonce,
                                            aril_bytes aad, aril_bytes body, const uint8_t *tag,
                                            uint8_t *ret);

/* --- Entries ------------------------------------------------------------------------------- */

/* Associated data, as it lies: this, the bytes of the name behind it, zeros to a whole block. */
struct arili_l1_bound {
    uint64_t created_ms, not_after_ms, generation, until_ns, stale_ns, epoch;
    uint64_t value_len;
    uint32_t format, old_key;
    struct arili_packed name;
};
_Static_assert(sizeof(struct arili_l1_bound) == 7 * 8 + 2 * 4 + sizeof(struct arili_packed),
               "no gaps: all of it is associated data");

/*
 * One allocation: this, the rest of the associated data, the ciphertext. Fixed once it is in the
 * index, but for the members under the shard's lock.
 */
struct arili_l1_entry {
    struct arili_l1_entry *next;          /* in its bucket, or in a list to be released; lock */
    struct arili_l1_entry *older, *newer; /* in its queue; lock */
    uint64_t hash;
    size_t bytes; /* of the allocation */
    struct arili_l1_key *key;
    atomic_size_t references; /* the index's, and one per get under way */
    uint8_t asked;            /* 0 to 3; lock */
    bool in_main, linked;     /* lock */
    /* From here on a changed bit is noticed. */
    _Alignas(4) uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    struct arili_l1_bound bound;
};
_Static_assert(offsetof(struct arili_l1_entry, bound) - offsetof(struct arili_l1_entry, nonce) ==
                   ARILI_AEAD_NONCE_BYTES + ARILI_AEAD_TAG_BYTES,
               "no gaps: a test changes every bit from nonce on");

/* --- Shards (l1_shard.c) ------------------------------------------------------------------- */

struct arili_l1_queue {
    struct arili_l1_entry *oldest, *newest;
    uint64_t bytes;
};

struct arili_l1_shard {
    uint8_t apart[64]; /* the lock on a cache line that no other shard writes */
    pthread_mutex_t lock;
    struct arili_l1_entry **buckets;
    size_t bucket_count; /* a power of two */
    struct arili_l1_queue small, main;
    uint64_t entries, evictions;
    uint64_t bytes;     /* of entries, and reserved for those that are being sealed */
    uint64_t bytes_max; /* for them */
    uint32_t *ghosts;   /* fingerprints, in sets with the newest first; 0: none */
    uint64_t tickets[ARILI_L1_TICKETS]; /* changes so far, of the names that share one */
    struct arili_l1_key *key;
    uint32_t number;
    uint64_t seals, sealed_bytes; /* under key; seals is the counter in the nonce */
};

struct arili_l1 {
    aril_runtime *rt;
    struct arili_fork_guard guard;
    uint64_t seed;
    uint64_t fixed_bytes; /* all but entries */
    size_t alloc_bytes;
    uint64_t shard_seals_max, shard_bytes_max; /* under one key */
    pthread_mutex_t key_lock;
    struct arili_l1_key *key; /* the newest; key_lock */
    size_t shard_count;       /* a power of two */
    struct arili_l1_shard shards[];
};

/* For tests; all zero is what arili_l1_new() does. */
struct arili_l1_options {
    bool fixed_seed; /* seed is used. Under 0 names that are equal as sets of words collide */
    uint64_t seed;
    uint64_t key_seals_max; /* of all shards together; 0: ARILI_L1_KEY_SEALS_MAX */
    uint64_t key_bytes_max; /* 0: ARILI_L1_KEY_BYTES_MAX */
};
ARIL_MUST_USE aril_status arili_l1_new_with(aril_runtime *rt, uint64_t bytes_max, size_t shards,
                                            const struct arili_l1_options *options,
                                            struct arili_l1 **ret);

/* bytes: index, ghosts and entries of the shard. */
ARIL_MUST_USE aril_status arili_l1_shard_init(struct arili_l1_shard *s, uint32_t number,
                                              uint64_t bytes, struct arili_l1_key *key);
void arili_l1_shard_done(struct arili_l1_shard *s);
/* Fetch what a look-up reads first; touches nothing, so without the lock. */
void arili_l1_fetch_bucket(const struct arili_l1_shard *s, uint64_t hash);
/* Bytes of index and ghosts of a shard that has so many. */
uint64_t arili_l1_shard_fixed(uint64_t bytes);

/* The rest is called with the lock held. Entries that leave go to *dead, a list for
 * arili_l1_release(), which is called without it: wiping takes time. */
struct arili_l1_entry *arili_l1_find(struct arili_l1_shard *s, uint64_t hash,
                                     const aril_cache_key *key);
void arili_l1_unlink(struct arili_l1_shard *s, struct arili_l1_entry *e,
                     struct arili_l1_entry **dead);
/* Makes room for bytes and takes it; false when there is none, with much evicted. */
bool arili_l1_reserve(struct arili_l1_shard *s, uint64_t bytes, struct arili_l1_entry **dead);
/* Room was reserved; there is none of that name. in_main and asked are set. */
void arili_l1_link(struct arili_l1_shard *s, struct arili_l1_entry *e);
void arili_l1_unlink_all(struct arili_l1_shard *s, struct arili_l1_entry **dead);
/* Uses key from now on. What is under the current one stays; what is under one before it leaves.
 * Takes over the reference to key. */
void arili_l1_change_key(struct arili_l1_shard *s, struct arili_l1_key *key,
                         struct arili_l1_entry **dead);

void arili_l1_entry_put(struct arili_l1_entry *e);
void arili_l1_release(struct arili_l1_entry *dead);

static inline void arili_l1_lock(struct arili_l1_shard *s)
{
    (void)pthread_mutex_lock(&s->lock);
}
static inline void arili_l1_unlock(struct arili_l1_shard *s)
{
    (void)pthread_mutex_unlock(&s->lock);
}
static inline struct arili_l1_shard *arili_l1_shard_of(struct arili_l1 *l1, uint64_t hash)
{
    return &l1->shards[(hash >> 56) & (l1->shard_count - 1)];
}
static inline uint64_t *arili_l1_ticket_of(struct arili_l1_shard *s, uint64_t hash)
{
    return &s->tickets[hash >> 48 & (ARILI_L1_TICKETS - 1)];
}
/* Associated data for a name of so many bytes: with zeros to whole blocks of AES, because half a
 * block costs more time than all the others together. */
static inline size_t arili_l1_aad_bytes(size_t name_bytes)
{
    return (sizeof(struct arili_l1_bound) + name_bytes + 15) & ~(size_t)15;
}
/* Bytes of an entry that has so many of associated data and of value. */
static inline size_t arili_l1_entry_bytes(size_t aad_bytes, size_t value_len)
{
    return offsetof(struct arili_l1_entry, bound) + aad_bytes + value_len;
}
/* Of an entry whose lengths agree with its allocation. */
static inline aril_bytes arili_l1_aad(const struct arili_l1_entry *e)
{
    const struct arili_packed *n = &e->bound.name;
    const size_t name = (size_t)n->tenant_len + n->space_len + n->key_len + n->field_len;
    return (aril_bytes){ (const uint8_t *)&e->bound, arili_l1_aad_bytes(name) };
}
static inline uint8_t *arili_l1_body(struct arili_l1_entry *e)
{
    return (uint8_t *)&e->bound + arili_l1_aad(e).len;
}
#endif
