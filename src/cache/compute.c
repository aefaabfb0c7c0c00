/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"
#include <time.h>

/*
 * Get or compute. Inside the process flights keep it to one; between processes a lock in the store
 * does, whose fence the put carries: who was too slow does not overwrite a later value.
 */
#define LOCK_MS     30000u
#define LOCK_MS_MAX 600000u
#define POLL_MS_MIN 5u
#define POLL_MS_MAX 100u
#define LOCK_SUFFIX ":l"

struct work {
    aril_cache *cache;
    aril_cache_item *item;
    aril_span buffer; /* as the caller gave it */
    const aril_cache_compute *compute;
    struct arili_policy *policy; /* of its namespace */
    uint64_t end_ms;             /* when waiting ends */
    uint32_t lock_ms;
    aril_error *error;
    char lock[ARIL_CACHE_NAME_BYTES_MAX + sizeof LOCK_SUFFIX];
    size_t lock_len;
    uint64_t fence;
};

static uint64_t monotonic_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_ms(uint32_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&t, NULL);
}

/* Read. True: the item has what the caller gets, be it a value or why the policy lets it have
 * none. */
static bool read_value(struct work *w)
{
    if (w->buffer.data == NULL) {
        aril_cache_value_free(&w->item->buffer); /* of a read before */
    }
    w->item->buffer = w->buffer;
    w->policy = arili_cache_read(w->cache, w->item, w->error);
    return w->item->status != ARIL_E_NOT_FOUND;
}

static bool read_fresh(struct work *w)
{
    return read_value(w) && !w->item->result.stale;
}

/* --- Computing ------------------------------------------------------------------------------ */

static aril_status hand_out(struct work *w, aril_bytes value)
{
    aril_cache_item *item = w->item;
    if (w->buffer.data == NULL) {
        aril_cache_value_free(&item->buffer);
        uint8_t *data = arili_alloc(value.len > 0 ? value.len : 1);
        ARILI_ENSURE(data != NULL, ARIL_E_NOMEM);
        item->buffer = (aril_span){ data, value.len };
    }
    item->result = (aril_cache_result){ .outcome = ARIL_CACHE_MISS,
                                        .status = ARIL_E_NOT_FOUND,
                                        .len = value.len };
    ARILI_ENSURE(value.len <= item->buffer.len, ARIL_E_USAGE_TOO_SMALL);
    if (value.len > 0) {
        memcpy(item->buffer.data, value.data, value.len);
    }
    return ARIL_OK;
}

/* Compute, put, and give it to the caller. What cannot be put is given all the same; a stale value
 * stands when there is no new one. */
static void compute(struct work *w, aril_bytes lock)
{
    const aril_cache_compute *c = w->compute;
    aril_bytes value = { NULL, 0 };
    const aril_status st = c->compute(c->user, &w->item->key, &value);
    if (st != ARIL_OK) {
        w->item->status = w->item->result.stale ? ARIL_OK : st;
        return;
    }
    aril_cache_item put = *w->item;
    put.value = value;
    put.absent_only = 0;
    const aril_status kept = arili_cache_write(w->cache, &put, lock, w->fence, w->error);
    if (kept == ARIL_OK && put.key.type != ARIL_CACHE_BLOCK) {
        arili_messages_tell(w->cache, put.key.tenant, put.key.space, &put, 1);
    }
    w->item->status = hand_out(w, value);
    if (kept != ARIL_OK) {
        w->item->result.status = kept;
    }
    arili_count(&w->policy->computed, 1);
    if (c->release != NULL) {
        c->release(c->user, value);
    }
}

static void compute_alone(struct work *w)
{
    compute(w, (aril_bytes){ NULL, 0 });
}

/* --- The lock in the store ------------------------------------------------------------------ */

/* Whether locks can be had: the name of this one is made. It has the slot of the value. */
static bool has_locks(struct work *w)
{
    const aril_cache_key *key = &w->item->key;
    struct arili_place_of_value place;
    struct arili_scope *scope;
    uint64_t now;
    const aril_cache_policy *p = &w->policy->said;
    if (w->cache->store == NULL || (w->cache->capabilities & ARIL_STORE_LOCK) == 0 ||
        (p->tiers & ARIL_CACHE_L2) == 0 || p->writes != ARIL_CACHE_NATIVE ||
        arili_scope_find(w->cache, key->tenant, key->space, &scope, &now, NULL) != ARIL_OK ||
        arili_cache_place(w->cache, scope, key, &place, NULL) != ARIL_OK ||
        place.name_len + sizeof LOCK_SUFFIX > ARIL_STORE_NAME_BYTES_MAX) {
        return false;
    }
    memcpy(w->lock, place.name, place.name_len);
    memcpy(w->lock + place.name_len, LOCK_SUFFIX, sizeof LOCK_SUFFIX);
    w->lock_len = place.name_len + sizeof LOCK_SUFFIX - 1;
    return true;
}

/* Somebody else has the lock: wait for the value. EXISTS: still so. */
static aril_status wait_for_other(struct work *w, uint32_t *pause)
{
    if (monotonic_ms() >= w->end_ms) {
        ARILI_FAIL(ARIL_E_TIMEOUT);
    }
    pause_ms(*pause);
    *pause = *pause * 2 < POLL_MS_MAX ? *pause * 2 : POLL_MS_MAX;
    return read_value(w) ? ARIL_OK : ARIL_E_EXISTS;
}

/* This thread is the one of its process. stale: there is a value to fall back on, so nobody waits.
 */
static void work_as_leader(struct work *w, bool stale)
{
    uint32_t pause = POLL_MS_MIN;
    if (!has_locks(w)) {
        compute_alone(w);
        return;
    }
    const aril_bytes name = { (const uint8_t *)w->lock, w->lock_len };
    for (;;) {
        const aril_status st = aril_store_lock(w->cache->store, name, w->lock_ms, &w->fence, NULL);
        if (st == ARIL_OK) {
            /* Between our miss and the lock somebody may have put it. */
            if (!read_fresh(w)) {
                compute(w, name);
            }
            arili_forgive(aril_store_unlock(w->cache->store, name, w->fence, NULL));
            return;
        }
        if (st == ARIL_E_EXISTS && stale) {
            return; /* another process computes; the stale value is served */
        }
        const aril_status seen = st == ARIL_E_EXISTS ? wait_for_other(w, &pause) : st;
        if (seen == ARIL_OK) {
            arili_count(&w->policy->waited, 1);
            return;
        }
        if (seen != ARIL_E_EXISTS) {
            compute_alone(w); /* the store is down, or it took too long */
            return;
        }
    }
}

/* --- Flights -------------------------------------------------------------------------------- */

static void work_with_others(struct work *w, bool stale)
{
    for (;;) {
        struct arili_flight *flight;
        const uint64_t now = monotonic_ms();
        const uint32_t left = stale || now >= w->end_ms ? 0 : (uint32_t)(w->end_ms - now);
        const aril_status st = arili_flight_enter(w->cache->flights, &w->item->key, left, &flight);
        if (st == ARIL_OK && flight != NULL) {
            /* Somebody may have put it since this thread missed. */
            if (stale || !read_value(w)) {
                work_as_leader(w, stale);
            }
            arili_flight_leave(w->cache->flights, flight);
            return;
        }
        if (stale) {
            return; /* a thread computes; the stale value is served */
        }
        if (st != ARIL_OK) {
            compute_alone(w); /* it took too long */
            return;
        }
        if (read_value(w)) {
            arili_count(&w->policy->waited, 1);
            return;
        }
        /* Who worked has failed: the next one tries. */
    }
}

aril_status aril_cache_get_or_compute(aril_cache *cache, aril_cache_item *item,
                                      const aril_cache_compute *compute_with, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(item != NULL && compute_with != NULL && compute_with->compute != NULL,
                 ARIL_E_USAGE_NULL);
    ARILI_ENSURE(compute_with->lock_ms <= LOCK_MS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_cache_key_check(&item->key));
    struct work w = { .cache = cache,
                      .item = item,
                      .buffer = item->buffer,
                      .compute = compute_with,
                      .lock_ms = compute_with->lock_ms != 0 ? compute_with->lock_ms : LOCK_MS,
                      .error = error };
    w.end_ms = monotonic_ms() + w.lock_ms;
    const bool hit = read_value(&w);
    const aril_cache_item first = *item;
    if (!hit || item->result.stale) {
        work_with_others(&w, hit);
    }
    /* A computed value does not hide why there was none. */
    arili_cache_count(w.policy, hit || item->result.outcome == ARIL_CACHE_HIT ? item : &first);
    return item->status;
}
