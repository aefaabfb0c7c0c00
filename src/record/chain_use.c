/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "record/chain_internal.h"
#include <string.h>

/* What records do with a chain: reserve a place, find a key, count. */

aril_status arili_chain_check(struct arili_chain *chain, uint64_t now_ns)
{
    ARILI_ENSURE(!arili_chain_forked(chain), ARIL_E_FORKED);
    if (now_ns >= chain->expires_ns) {
        chain->ops->expired(chain);
    }
    const int ended = atomic_load_explicit(&chain->ended, memory_order_relaxed);
    ARILI_ENSURE(ended == ARIL_OK, (aril_status)ended);
    return ARIL_OK;
}

/* --- Sealing ------------------------------------------------------------------ */

static bool is_old(const struct arili_chain *chain, const struct arili_epoch *e, uint64_t now_ns)
{
    return now_ns > e->born_ns &&
           now_ns - e->born_ns >= chain->policy.rotate_after_s * ARILI_NS_PER_S;
}

/* Reserve bytes for as many of the records as fit. */
static size_t take_bytes(struct arili_chain *chain, struct arili_epoch *e, arili_length_fn *length,
                         const void *records, size_t count, uint64_t *ret_bytes)
{
    uint64_t before = atomic_load_explicit(&e->bytes, memory_order_relaxed);
    size_t fit;
    uint64_t sum;
    do {
        const uint64_t room = chain->policy.rotate_bytes - before;
        sum = 0;
        for (fit = 0; fit < count; fit++) {
            const uint64_t len = length(records, fit);
            if (len > room - sum) {
                break;
            }
            sum += len;
        }
    } while (fit > 0 &&
             !atomic_compare_exchange_weak_explicit(&e->bytes, &before, before + sum,
                                                    memory_order_relaxed, memory_order_relaxed));
    *ret_bytes = sum;
    return fit;
}

/* Reserve sequence numbers for as many of count records as the epoch has left. */
static size_t take_sequences(struct arili_chain *chain, struct arili_epoch *e, size_t count,
                             uint64_t *ret_first)
{
    uint64_t next = atomic_load_explicit(&e->next_sequence, memory_order_relaxed);
    uint64_t n;
    do {
        const uint64_t left =
            next > chain->policy.rotate_records ? 0 : chain->policy.rotate_records - next + 1;
        n = count < left ? count : left;
    } while (n > 0 &&
             !atomic_compare_exchange_weak_explicit(&e->next_sequence, &next, next + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    *ret_first = next;
    return (size_t)n;
}

/* Reserve in the pinned epoch e. ARIL_ROTATE_NONE when at least one record has a place. */
static aril_rotate_reason take(struct arili_chain *chain, struct arili_epoch *e,
                               arili_length_fn *length, const void *records, size_t count,
                               struct arili_reservation *ret)
{
    /* No more than the epoch could number: what is asked for in vain would be given back. */
    const uint64_t next = atomic_load_explicit(&e->next_sequence, memory_order_relaxed);
    const uint64_t left =
        next > chain->policy.rotate_records ? 0 : chain->policy.rotate_records - next + 1;
    if (left == 0) {
        return ARIL_ROTATE_RECORDS;
    }
    uint64_t bytes;
    const size_t fit =
        take_bytes(chain, e, length, records, count < left ? count : (size_t)left, &bytes);
    if (fit == 0) {
        return ARIL_ROTATE_BYTES;
    }
    ret->count = take_sequences(chain, e, fit, &ret->first);
    for (size_t i = ret->count; i < fit; i++) {
        atomic_fetch_sub_explicit(&e->bytes, length(records, i), memory_order_relaxed);
    }
    return ret->count > 0 ? ARIL_ROTATE_NONE : ARIL_ROTATE_RECORDS;
}

/* Rotate unless another thread did since number was the newest epoch. */
static aril_status rotate_from(struct arili_chain *chain, uint32_t number, uint64_t now_ns,
                               aril_rotate_reason reason)
{
    struct arili_epoch *dying = NULL;
    aril_status st = ARIL_OK;
    (void)pthread_mutex_lock(&chain->lock);
    if (atomic_load(&chain->newest) == number) {
        st = arili_chain_step(chain, now_ns, reason, &dying);
    }
    (void)pthread_mutex_unlock(&chain->lock);
    arili_chain_bury(chain, dying);
    return st;
}

aril_status arili_chain_reserve(struct arili_chain *chain, uint64_t now_ns, arili_length_fn *length,
                                const void *records, size_t count, struct arili_reservation *ret)
{
    ARILI_TRY(arili_chain_check(chain, now_ns));
    ARILI_ENSURE(length(records, 0) <= chain->policy.rotate_bytes, ARIL_E_LIMIT_RECORD);
    for (;;) {
        struct arili_epoch *e = atomic_load_explicit(&chain->current, memory_order_acquire);
        ARILI_ENSURE(e != NULL, (aril_status)atomic_load(&chain->ended));
        uint32_t number;
        if (!arili_epoch_pin(e, NULL, &number)) {
            continue; /* it is being replaced at this moment */
        }
        aril_rotate_reason reason = ARIL_ROTATE_AGE;
        if (number != atomic_load_explicit(&chain->newest, memory_order_acquire)) {
            arili_epoch_unpin(chain, e); /* replaced after we read current */
            continue;
        }
        if (!is_old(chain, e, now_ns)) {
            reason = take(chain, e, length, records, count, ret);
        }
        if (reason == ARIL_ROTATE_NONE) {
            ret->epoch = e;
            ret->number = number;
            return ARIL_OK;
        }
        arili_epoch_unpin(chain, e);
        ARILI_TRY(rotate_from(chain, number, now_ns, reason));
    }
}

void arili_epoch_unused(struct arili_epoch *epoch, uint64_t body_bytes)
{
    atomic_fetch_add_explicit(&epoch->unused, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&epoch->bytes, body_bytes, memory_order_relaxed);
}

/* --- Opening ------------------------------------------------------------------ */

/* With the lock held: the keys of an epoch ahead, made on copies. */
static aril_status derive_ahead(struct arili_chain *chain, const struct arili_seal_header *h,
                                struct arili_ratchet *scratch, struct arili_epoch_keys *keys)
{
    uint8_t key_id[ARILI_KEY_ID_BYTES];
    *scratch = *chain->ratchet;
    while (scratch->number < h->epoch) {
        ARILI_TRY(chain->ops->advance(chain, scratch));
    }
    ARILI_ENSURE(scratch->number == h->epoch, ARIL_E_KEY_RETIRED); /* others went past it */
    ARILI_TRY(chain->ops->derive(chain, scratch, keys, key_id));
    /* Key ids are public: no constant time needed. */
    ARILI_ENSURE(memcmp(key_id, h->key_id, sizeof key_id) == 0, ARIL_E_KEY_UNKNOWN);
    return ARIL_OK;
}

static aril_status find_ahead(struct arili_chain *chain, const struct arili_seal_header *h,
                              struct arili_opening *ret)
{
    struct arili_secure *secure = chain->rt->secure;
    struct arili_ratchet *scratch = arili_secure_take(secure);
    struct arili_epoch_keys *keys = arili_secure_take(secure);
    aril_status st = ARIL_E_NOMEM;
    if (scratch != NULL && keys != NULL) {
        (void)pthread_mutex_lock(&chain->lock);
        st = (aril_status)atomic_load(&chain->ended);
        st = st != ARIL_OK ? st : derive_ahead(chain, h, scratch, keys);
        (void)pthread_mutex_unlock(&chain->lock);
    }
    arili_secure_give(secure, scratch);
    if (st != ARIL_OK) {
        arili_secure_give(secure, keys);
        ARILI_FAIL(st);
    }
    *ret = (struct arili_opening){ .number = h->epoch, .keys = keys, .scratch = keys };
    return ARIL_OK;
}

/* Pin the epoch of that number. */
static aril_status pin_number(struct arili_chain *chain, uint32_t number, struct arili_epoch **ret)
{
    struct arili_epoch *e = atomic_load_explicit(
        &chain->ring[number % chain->policy.readable_epochs], memory_order_acquire);
    uint32_t got;
    if (e == NULL || !arili_epoch_pin(e, &number, &got)) {
        const int ended = atomic_load(&chain->ended); /* perhaps since the caller asked */
        ARILI_FAIL(ended != ARIL_OK ? (aril_status)ended : ARIL_E_KEY_RETIRED);
    }
    *ret = e;
    return ARIL_OK;
}

static aril_status find_known(struct arili_chain *chain, const struct arili_seal_header *h,
                              bool once, struct arili_opening *ret)
{
    struct arili_epoch *e = NULL;
    ARILI_TRY(pin_number(chain, h->epoch, &e));
    aril_status st = ARIL_OK;
    if (memcmp(e->key_id, h->key_id, sizeof e->key_id) != 0) {
        st = ARIL_E_KEY_UNKNOWN;
    } else if (once && arili_window_seen(&e->window, h->sequence)) {
        st = ARIL_E_REPLAY;
    }
    if (st != ARIL_OK) {
        arili_epoch_unpin(chain, e);
        ARILI_FAIL(st);
    }
    *ret = (struct arili_opening){ .epoch = e, .number = h->epoch, .uid = e->uid, .keys = e->keys };
    return ARIL_OK;
}

aril_status arili_chain_find(struct arili_chain *chain, uint64_t now_ns,
                             const struct arili_seal_header *h, bool once,
                             struct arili_opening *ret)
{
    ARILI_TRY(arili_chain_check(chain, now_ns));
    const uint32_t newest = atomic_load_explicit(&chain->newest, memory_order_acquire);
    if (h->epoch <= newest) {
        return find_known(chain, h, once, ret);
    }
    /* In our own direction we have not been there: an earlier session of the tenant was. */
    ARILI_ENSURE(!chain->seals, ARIL_E_KEY_UNKNOWN);
    ARILI_ENSURE(h->epoch - newest <= ARIL_EPOCHS_AHEAD_MAX, ARIL_E_KEY_FUTURE);
    const aril_status st = find_ahead(chain, h, ret);
    /* Another thread has followed the peer since we looked: the epoch is a known one now. */
    return st == ARIL_E_KEY_RETIRED ? find_known(chain, h, once, ret) : st;
}

/* The peer has rotated: follow it, and hold the epoch that it is in. */
static aril_status follow(struct arili_chain *chain, uint64_t now_ns, struct arili_opening *opening)
{
    struct arili_epoch *dying = NULL;
    aril_status st = ARIL_OK;
    (void)pthread_mutex_lock(&chain->lock);
    while (st == ARIL_OK && atomic_load(&chain->newest) < opening->number) {
        st = arili_chain_step(chain, now_ns, ARIL_ROTATE_PEER, &dying);
    }
    (void)pthread_mutex_unlock(&chain->lock);
    arili_chain_bury(chain, dying);
    ARILI_TRY(st);
    return pin_number(chain, opening->number, &opening->epoch);
}

aril_status arili_chain_verified(struct arili_chain *chain, uint64_t now_ns,
                                 const struct arili_seal_header *h, bool once,
                                 struct arili_opening *opening)
{
    if (opening->epoch == NULL) {
        ARILI_TRY(follow(chain, now_ns, opening));
    }
    struct arili_epoch *e = opening->epoch;
    if (once) {
        ARILI_TRY(arili_window_mark(&e->window, h->sequence));
    }
    atomic_fetch_add_explicit(&e->opened, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->opened_bytes, h->body_bytes, memory_order_relaxed);
    return ARIL_OK;
}

void arili_chain_release(struct arili_chain *chain, struct arili_opening *opening)
{
    arili_secure_give(chain->rt->secure, opening->scratch);
    if (opening->epoch != NULL) {
        arili_epoch_unpin(chain, opening->epoch);
    }
    *opening = (struct arili_opening){ 0 };
}

/* --- By hand ------------------------------------------------------------------ */

aril_status arili_chain_rotate(struct arili_chain *chain, uint64_t now_ns,
                               aril_rotate_reason reason)
{
    ARILI_TRY(arili_chain_check(chain, now_ns));
    struct arili_epoch *dying = NULL;
    (void)pthread_mutex_lock(&chain->lock);
    const aril_status st = arili_chain_step(chain, now_ns, reason, &dying);
    (void)pthread_mutex_unlock(&chain->lock);
    arili_chain_bury(chain, dying);
    return st;
}

aril_status arili_chain_retire(struct arili_chain *chain, uint64_t now_ns, uint32_t number)
{
    ARILI_TRY(arili_chain_check(chain, now_ns));
    struct arili_epoch *dying = NULL;
    aril_status st = ARIL_OK;
    (void)pthread_mutex_lock(&chain->lock);
    const uint32_t newest = atomic_load(&chain->newest);
    if (number > newest) {
        st = ARIL_E_USAGE_RANGE;
    } else if (number == newest) {
        /* The newest one is replaced, so that the chain always has an epoch. */
        st = arili_chain_step(chain, now_ns, ARIL_ROTATE_MANUAL, &dying);
    }
    if (st == ARIL_OK && number >= atomic_load(&chain->oldest)) {
        arili_chain_unlink(chain, number, &dying);
    }
    (void)pthread_mutex_unlock(&chain->lock);
    arili_chain_bury(chain, dying);
    return st;
}

void arili_chain_info(struct arili_chain *chain, aril_direction_info *ret)
{
    (void)pthread_mutex_lock(&chain->lock);
    *ret = (aril_direction_info){
        .epoch = atomic_load(&chain->newest),
        .oldest_readable = atomic_load(&chain->oldest),
        .records_sealed = chain->past_sealed,
        .bytes_sealed = chain->past_sealed_bytes,
        .records_opened = chain->past_opened,
        .bytes_opened = chain->past_opened_bytes,
        .refused = atomic_load(&chain->refused),
    };
    for (const struct arili_epoch *e = chain->all; e != NULL; e = e->next) {
        if (atomic_load(&e->state) != 0) {
            ret->records_sealed += arili_epoch_sealed(e);
            ret->bytes_sealed += atomic_load(&e->bytes);
            ret->records_opened += atomic_load(&e->opened);
            ret->bytes_opened += atomic_load(&e->opened_bytes);
        }
    }
    (void)pthread_mutex_unlock(&chain->lock);
}

void arili_chain_tell(struct arili_chain *chain, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&chain->lock);
    for (struct arili_epoch *e = chain->all; e != NULL; e = e->next) {
        const uint64_t s = atomic_load(&e->state);
        if (s != 0) {
            arili_epoch_tell(chain, e, arili_epoch_number(s));
        }
    }
    chain->told_ns = now_ns;
    (void)pthread_mutex_unlock(&chain->lock);
}
