/* SPDX-License-Identifier: Apache-2.0 */
#include "record/chain.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "record/chain_internal.h"

/* --- Epochs ------------------------------------------------------------------ */

uint64_t arili_epoch_sealed(const struct arili_epoch *e)
{
    return atomic_load(&e->next_sequence) - 1 - atomic_load(&e->unused);
}

static void report_epoch(struct arili_chain *chain, aril_event_kind kind, uint32_t number,
                         aril_rotate_reason reason)
{
    aril_event ev = { .kind = kind, .epoch = number, .reason = reason };
    chain->ops->report(chain, &ev);
}

static void report_count(struct arili_chain *chain, aril_event_kind kind, uint32_t number,
                         uint64_t records, uint64_t bytes)
{
    if (records > 0) {
        aril_event ev = { .kind = kind, .epoch = number, .records = records, .bytes = bytes };
        ev.interval_start_ns = chain->told_ns;
        chain->ops->report(chain, &ev);
    }
}

/* What came on top of *told, which follows. Counts fall when a reserved place is not used after
 * all; what was told too much is then made good by the next records. */
static uint64_t news(uint64_t count, uint64_t *told)
{
    const uint64_t more = count > *told ? count - *told : 0;
    *told += more;
    return more;
}

/* With the lock held: report what e counted since the last time. */
void arili_epoch_tell(struct arili_chain *chain, struct arili_epoch *e, uint32_t number)
{
    const uint64_t sealed = news(arili_epoch_sealed(e), &e->told_sealed);
    const uint64_t bytes = news(atomic_load(&e->bytes), &e->told_sealed_bytes);
    const uint64_t opened = news(atomic_load(&e->opened), &e->told_opened);
    const uint64_t opened_bytes = news(atomic_load(&e->opened_bytes), &e->told_opened_bytes);
    if (chain->seals) {
        report_count(chain, ARIL_EVENT_ENCRYPT, number, sealed, bytes);
    }
    report_count(chain, ARIL_EVENT_DECRYPT, number, opened, opened_bytes);
}

/* The last use of a retired epoch is over: destroy its key, wherever it is. */
static void wipe_epoch(struct arili_chain *chain, struct arili_epoch *e, uint32_t number)
{
    arili_contexts_forget(chain->rt->contexts, e->uid);
    arili_secure_give(chain->rt->secure, e->keys);
    (void)pthread_mutex_lock(&chain->lock);
    e->keys = NULL;
    arili_epoch_tell(chain, e, number);
    chain->past_sealed += arili_epoch_sealed(e);
    chain->past_sealed_bytes += atomic_load(&e->bytes);
    chain->past_opened += atomic_load(&e->opened);
    chain->past_opened_bytes += atomic_load(&e->opened_bytes);
    report_epoch(chain, ARIL_EVENT_RETIRE, number, ARIL_ROTATE_NONE);
    atomic_store_explicit(&e->state, 0, memory_order_release);
    (void)pthread_mutex_unlock(&chain->lock);
}

void arili_epoch_unpin(struct arili_chain *chain, struct arili_epoch *epoch)
{
    const uint64_t before = atomic_fetch_sub_explicit(&epoch->state, 1, memory_order_acq_rel);
    const bool last = (before & (ARILI_EPOCH_LIVE | ARILI_EPOCH_PINS)) == 1;
    if (last && !arili_chain_forked(chain)) { /* a child has no keys, and may not wait for locks */
        wipe_epoch(chain, epoch, arili_epoch_number(before));
    }
}

/* With the lock held: no new pins. The pin that this holds keeps the epoch until the
 * caller has let go of the lock and unpins it. NULL when there is nothing to do. */
static struct arili_epoch *unlink_epoch(struct arili_chain *chain, uint32_t number)
{
    _Atomic(struct arili_epoch *) *at = &chain->ring[number % chain->policy.readable_epochs];
    struct arili_epoch *e = atomic_load(at);
    uint32_t got;
    if (e == NULL || !arili_epoch_pin(e, &number, &got)) {
        return NULL;
    }
    atomic_store(at, NULL);
    (void)atomic_fetch_and(&e->state, ~ARILI_EPOCH_LIVE);
    return e;
}

/* With the lock held: a free epoch struct, new or used before. */
static struct arili_epoch *free_epoch(struct arili_chain *chain)
{
    for (struct arili_epoch *e = chain->all; e != NULL; e = e->next) {
        if (atomic_load_explicit(&e->state, memory_order_acquire) == 0) {
            return e;
        }
    }
    struct arili_epoch *e = arili_alloc(sizeof *e);
    if (e != NULL) {
        arili_window_init(&e->window);
        e->next = chain->all;
        chain->all = e;
    }
    return e;
}

/* With the lock held: an epoch with keys of ratchet r, not yet live. */
static aril_status make_epoch(struct arili_chain *chain, const struct arili_ratchet *r,
                              uint64_t now_ns, struct arili_epoch **ret)
{
    struct arili_epoch *e = free_epoch(chain);
    ARILI_ENSURE(e != NULL, ARIL_E_NOMEM);
    struct arili_epoch_keys *keys = arili_secure_take(chain->rt->secure);
    ARILI_ENSURE(keys != NULL, ARIL_E_NOMEM);
    const aril_status st = chain->ops->derive(chain, r, keys, e->key_id);
    if (st != ARIL_OK) {
        arili_secure_give(chain->rt->secure, keys);
        return st;
    }
    e->keys = keys;
    e->uid = arili_contexts_uid(chain->rt->contexts);
    e->born_ns = now_ns;
    atomic_store(&e->next_sequence, 1);
    atomic_store(&e->bytes, 0);
    atomic_store(&e->unused, 0);
    atomic_store(&e->opened, 0);
    atomic_store(&e->opened_bytes, 0);
    e->told_sealed = e->told_sealed_bytes = e->told_opened = e->told_opened_bytes = 0;
    arili_window_reset(&e->window);
    *ret = e;
    return ARIL_OK;
}

/* With the lock held: the epoch of number r->number goes live as the newest one. */
static void publish(struct arili_chain *chain, struct arili_epoch *e, uint32_t number)
{
    atomic_store_explicit(&e->state, (uint64_t)number << 32 | ARILI_EPOCH_LIVE | ARILI_EPOCH_TAKEN,
                          memory_order_release);
    atomic_store(&chain->ring[number % chain->policy.readable_epochs], e);
    atomic_store(&chain->newest, number);
    atomic_store(&chain->current, e);
}

/* --- Chains ------------------------------------------------------------------ */

aril_status arili_chain_init(struct arili_chain *chain, aril_runtime *rt,
                             const struct arili_chain_ops *ops, void *owner,
                             aril_direction direction, bool seals, const aril_policy *policy,
                             uint64_t now_ns, struct arili_ratchet *ratchet)
{
    *chain = (struct arili_chain){ .ops = ops,
                                   .owner = owner,
                                   .rt = rt,
                                   .guard = arili_secure_guard(rt->secure),
                                   .direction = direction,
                                   .seals = seals,
                                   .policy = *policy,
                                   .told_ns = now_ns };
    chain->expires_ns = now_ns + policy->ttl_s * ARILI_NS_PER_S;
    (void)pthread_mutex_init(&chain->lock, NULL);
    chain->ring = arili_alloc(policy->readable_epochs * sizeof *chain->ring);
    if (chain->ring == NULL) {
        arili_chain_done(chain);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    struct arili_epoch *first = NULL;
    aril_status st = make_epoch(chain, ratchet, now_ns, &first);
    if (st == ARIL_OK) {
        publish(chain, first, ratchet->number);
        st = ops->advance(chain, ratchet);
    }
    if (st != ARIL_OK) {
        arili_chain_done(chain);
        return st;
    }
    chain->ratchet = ratchet;
    return ARIL_OK;
}

void arili_chain_done(struct arili_chain *chain)
{
    if (chain->ops == NULL) {
        return;
    }
    const bool forked = arili_chain_forked(chain);
    for (struct arili_epoch *e = chain->all; e != NULL;) {
        struct arili_epoch *next = e->next;
        if (e->keys != NULL && !forked) {
            arili_contexts_forget(chain->rt->contexts, e->uid);
            arili_secure_give(chain->rt->secure, e->keys);
        }
        arili_window_done(&e->window);
        arili_free(e, sizeof *e);
        e = next;
    }
    if (!forked) {
        arili_secure_give(chain->rt->secure, chain->ratchet);
    }
    arili_free(chain->ring, chain->policy.readable_epochs * sizeof *chain->ring);
    (void)pthread_mutex_destroy(&chain->lock);
    *chain = (struct arili_chain){ 0 };
}

/* The list holds its epochs pinned, because wiping needs the lock free. */
void arili_chain_unlink(struct arili_chain *chain, uint32_t last, struct arili_epoch **dying)
{
    const uint32_t first = atomic_load(&chain->oldest);
    const uint32_t newest = atomic_load(&chain->newest);
    for (uint32_t n = first; n <= last && n <= newest; n++) {
        struct arili_epoch *e = unlink_epoch(chain, n);
        if (e != NULL) {
            e->dying = *dying;
            *dying = e;
        }
        if (n == UINT32_MAX) {
            break;
        }
    }
    if (last >= first) {
        atomic_store(&chain->oldest, last == UINT32_MAX ? last : last + 1);
    }
}

void arili_chain_bury(struct arili_chain *chain, struct arili_epoch *dying)
{
    while (dying != NULL) {
        struct arili_epoch *e = dying;
        dying = e->dying; /* read before the unpin: afterwards e may be reused */
        arili_epoch_unpin(chain, e);
    }
}

bool arili_chain_end(struct arili_chain *chain, aril_status why)
{
    int expected = ARIL_OK;
    if (arili_chain_forked(chain)) {
        return false; /* another thread of the parent may have held a lock when it forked */
    }
    if (!atomic_compare_exchange_strong(&chain->ended, &expected, (int)why)) {
        return false;
    }
    struct arili_epoch *dying = NULL;
    (void)pthread_mutex_lock(&chain->lock);
    atomic_store(&chain->current, NULL);
    arili_chain_unlink(chain, atomic_load(&chain->newest), &dying);
    arili_wipe(chain->ratchet->secret, sizeof chain->ratchet->secret);
    (void)pthread_mutex_unlock(&chain->lock);
    arili_chain_bury(chain, dying);
    return true;
}

aril_status arili_chain_step(struct arili_chain *chain, uint64_t now_ns, aril_rotate_reason reason,
                             struct arili_epoch **dying)
{
    ARILI_ENSURE(atomic_load(&chain->ended) == ARIL_OK, (aril_status)atomic_load(&chain->ended));
    struct arili_ratchet *r = chain->ratchet;
    ARILI_ENSURE(r->number != UINT32_MAX, ARIL_E_LIMIT_EPOCHS);
    const uint32_t number = r->number;
    struct arili_epoch *e = NULL;
    ARILI_TRY(make_epoch(chain, r, now_ns, &e));
    const aril_status st = chain->ops->advance(chain, r);
    if (st != ARIL_OK) {
        arili_secure_give(chain->rt->secure, ARILI_TAKE(e->keys));
        return st;
    }
    if (number >= chain->policy.readable_epochs) {
        arili_chain_unlink(chain, number - chain->policy.readable_epochs, dying);
    }
    publish(chain, e, number);
    report_epoch(chain, ARIL_EVENT_ROTATE, number, reason);
    return ARIL_OK;
}
