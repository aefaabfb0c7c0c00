/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/tablehash.h"
#include "cache/stores/memory_internal.h"
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

struct arili_memory_lock {
    struct arili_memory_lock *next;
    uint64_t fence;
    uint64_t until_ns;
    size_t name_len;
    uint8_t name[];
};

static void lock_free(struct arili_memory_lock *k)
{
    arili_free(k, sizeof *k + k->name_len);
}

aril_status arili_memory_locks_init(struct arili_memory_locks *l, uint64_t seed)
{
    l->seed = seed;
    ARILI_ENSURE(pthread_mutex_init(&l->mutex, NULL) == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

void arili_memory_locks_done(struct arili_memory_locks *l)
{
    for (size_t i = 0; i < ARILI_MEMORY_LOCK_BUCKETS; i++) {
        for (struct arili_memory_lock *k = l->buckets[i], *next; k != NULL; k = next) {
            next = k->next;
            lock_free(k);
        }
    }
    (void)pthread_mutex_destroy(&l->mutex);
}

/* With the mutex. Where the pointer to the lock of that name is, or the end of its bucket; locks of
 * the bucket that are over are gone then. */
static struct arili_memory_lock **find(struct arili_memory_locks *l, aril_bytes name)
{
    const uint64_t now = arili_memory_now_ns();
    struct arili_memory_lock **at =
        &l->buckets[arili_table_hash(l->seed, name) % ARILI_MEMORY_LOCK_BUCKETS];
    struct arili_memory_lock **found = NULL;
    while (*at != NULL) {
        struct arili_memory_lock *const k = *at;
        if (now >= k->until_ns) {
            *at = k->next;
            l->count--;
            lock_free(k);
            continue;
        }
        if (k->name_len == name.len && memcmp(k->name, name.data, name.len) == 0) {
            found = at;
        }
        at = &k->next;
    }
    return found != NULL ? found : at;
}

/* With the mutex: every lock that is over, when there are too many. */
static void sweep(struct arili_memory_locks *l)
{
    const uint64_t now = arili_memory_now_ns();
    for (size_t i = 0; i < ARILI_MEMORY_LOCK_BUCKETS; i++) {
        for (struct arili_memory_lock **at = &l->buckets[i]; *at != NULL;) {
            struct arili_memory_lock *const k = *at;
            if (now >= k->until_ns) {
                *at = k->next;
                l->count--;
                lock_free(k);
            } else {
                at = &k->next;
            }
        }
    }
}

/* With the mutex. */
static aril_status take(struct arili_memory_locks *l, aril_bytes name, uint32_t ttl_ms,
                        uint64_t *ret_fence)
{
    if (l->count >= ARILI_MEMORY_LOCKS_MAX) {
        sweep(l);
    }
    struct arili_memory_lock **const at = find(l, name);
    ARILI_ENSURE(*at == NULL, ARIL_E_EXISTS);
    ARILI_ENSURE(l->count < ARILI_MEMORY_LOCKS_MAX, ARIL_E_LIMIT);
    struct arili_memory_lock *const k = arili_alloc(sizeof *k + name.len);
    ARILI_ENSURE(k != NULL, ARIL_E_NOMEM);
    k->name_len = name.len;
    memcpy(k->name, name.data, name.len);
    k->until_ns = arili_memory_now_ns() + ttl_ms * NS_PER_MS;
    k->fence = ++l->last_fence;
    *at = k;
    l->count++;
    *ret_fence = k->fence;
    return ARIL_OK;
}

aril_status arili_memory_locks_take(struct arili_memory_locks *l, aril_bytes name, uint32_t ttl_ms,
                                    uint64_t *ret_fence)
{
    (void)pthread_mutex_lock(&l->mutex);
    const aril_status st = take(l, name, ttl_ms, ret_fence);
    (void)pthread_mutex_unlock(&l->mutex);
    return st;
}

bool arili_memory_locks_held(struct arili_memory_locks *l, aril_bytes name, uint64_t fence)
{
    const struct arili_memory_lock *const k = *find(l, name);
    return k != NULL && k->fence == fence;
}

aril_status arili_memory_locks_give(struct arili_memory_locks *l, aril_bytes name, uint64_t fence)
{
    (void)pthread_mutex_lock(&l->mutex);
    struct arili_memory_lock **const at = find(l, name);
    struct arili_memory_lock *const k = *at;
    const bool ours = k != NULL && k->fence == fence;
    if (ours) {
        *at = k->next;
        l->count--;
        lock_free(k);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    ARILI_ENSURE(ours, ARIL_E_REPLAY_STALE);
    return ARIL_OK;
}
