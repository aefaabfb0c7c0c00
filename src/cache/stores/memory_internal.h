/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_MEMORY_INTERNAL_H
#define ARILI_CACHE_STORES_MEMORY_INTERNAL_H
#include "base/mem.h"
#include "cache/stores/store.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * A memory is what stores with one name share: values in shards, locks, listeners. Time is the
 * system's boot clock, in nanoseconds, exact to a tick of it.
 */

/* --- Values: memory_table.c ---------------------------------------------------------------- */

#define ARILI_MEMORY_SHARDS 16u

/* Bytes that never change. Freed with the last reference. */
struct arili_memory_value {
    _Atomic uint32_t references;
    size_t len;
    uint8_t bytes[];
};
void arili_memory_value_release(struct arili_memory_value *v); /* accepts NULL */

struct arili_memory_entry;
/* Buckets are ordered by the top bits of the hash, so growing keeps their order: that is what lets
 * a scan go on after it. */
struct arili_memory_shard {
    pthread_mutex_t mutex;
    struct arili_memory_entry **buckets;
    unsigned bits; /* of the number of buckets */
    size_t count;
    struct arili_memory_entry *newest, *oldest; /* by use */
    _Atomic uint64_t oldest_use;                /* of oldest; UINT64_MAX: the shard is empty */
};
struct arili_memory_table {
    struct arili_memory_shard shards[ARILI_MEMORY_SHARDS];
    uint64_t seed;
    uint64_t bytes_max;
    _Atomic uint64_t bytes, entries;
    _Atomic uint64_t uses; /* numbers the uses of all entries, to find the oldest one */
};

ARIL_MUST_USE aril_status arili_memory_table_init(struct arili_memory_table *t, uint64_t seed,
                                                  uint64_t bytes_max);
void arili_memory_table_done(struct arili_memory_table *t);
/* A reference, or NULL when there is none that is not over. */
struct arili_memory_value *arili_memory_table_get(struct arili_memory_table *t, aril_bytes name);
bool arili_memory_table_has(struct arili_memory_table *t, aril_bytes name);
bool arili_memory_table_erase(struct arili_memory_table *t, aril_bytes name);
/* ARIL_OK, ARIL_E_EXISTS, ARIL_E_IO_FULL (longer than the memory), ARIL_E_NOMEM. */
ARIL_MUST_USE aril_status arili_memory_table_put(struct arili_memory_table *t,
                                                 const aril_store_item *item);
/* All names, in pages; none is locked while visit runs. */
ARIL_MUST_USE aril_status arili_memory_table_scan(struct arili_memory_table *t, aril_bytes prefix,
                                                  aril_store_visit_fn *visit, void *user);

/* --- Locks: memory_locks.c ----------------------------------------------------------------- */

#define ARILI_MEMORY_LOCK_BUCKETS 256u
#define ARILI_MEMORY_LOCKS_MAX    65536u

struct arili_memory_lock;
struct arili_memory_locks {
    pthread_mutex_t mutex;
    uint64_t seed;
    uint64_t last_fence; /* of any lock, so one that ended need not be remembered */
    size_t count;
    struct arili_memory_lock *buckets[ARILI_MEMORY_LOCK_BUCKETS];
};
ARIL_MUST_USE aril_status arili_memory_locks_init(struct arili_memory_locks *l, uint64_t seed);
void arili_memory_locks_done(struct arili_memory_locks *l);
/* ARIL_OK, ARIL_E_EXISTS, ARIL_E_LIMIT, ARIL_E_NOMEM. */
ARIL_MUST_USE aril_status arili_memory_locks_take(struct arili_memory_locks *l, aril_bytes name,
                                                  uint32_t ttl_ms, uint64_t *ret_fence);
ARIL_MUST_USE aril_status arili_memory_locks_give(struct arili_memory_locks *l, aril_bytes name,
                                                  uint64_t fence);
/* With l->mutex: whether it is held with that token. */
bool arili_memory_locks_held(struct arili_memory_locks *l, aril_bytes name, uint64_t fence);

/* --- Messages: memory_notify.c ------------------------------------------------------------- */

struct arili_memory_listener;
struct arili_memory_channels {
    pthread_mutex_t mutex;
    struct arili_memory_listener *first;
};
ARIL_MUST_USE aril_status arili_memory_channels_init(struct arili_memory_channels *c);
void arili_memory_channels_done(struct arili_memory_channels *c); /* all listeners are gone */
ARIL_MUST_USE aril_status arili_memory_channels_listen(struct arili_memory_channels *c,
                                                       aril_bytes channel,
                                                       aril_store_message_fn *fn, void *user,
                                                       struct arili_memory_listener **ret);
/* Ends its thread; no message comes after it. Accepts NULL. */
void arili_memory_channels_leave(struct arili_memory_channels *c,
                                 struct arili_memory_listener *listener);
void arili_memory_channels_send(struct arili_memory_channels *c, aril_bytes channel,
                                aril_bytes message);

/* The boot clock; 0 when the system has none. */
uint64_t arili_memory_now_ns(void);
#endif
