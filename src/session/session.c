/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"
#include "audit/report.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "session/ratchet.h"
#include <string.h>

/* --- What a chain asks of its session -------------------------------------------- */

static aril_status derive(struct arili_chain *chain, const struct arili_ratchet *r,
                          struct arili_epoch_keys *ret_keys, uint8_t ret_key_id[ARILI_KEY_ID_BYTES])
{
    const aril_session *s = chain->owner;
    return arili_ratchet_keys(&s->rt->crypto, s->profile->hash, chain->direction, r, ret_keys,
                              ret_key_id);
}

static aril_status advance(struct arili_chain *chain, struct arili_ratchet *r)
{
    const aril_session *s = chain->owner;
    return arili_ratchet_advance(&s->rt->crypto, s->profile->hash, chain->direction, r);
}

static void emit(const aril_session *s, aril_direction direction, aril_event *event)
{
    event->direction = direction;
    event->tenant = (aril_bytes){ s->tenant, s->tenant_len };
    memcpy(event->session_id, s->id, sizeof s->id);
    arili_audit_emit(s->rt->audit, &s->rt->clock, event);
}

static void report(struct arili_chain *chain, aril_event *event)
{
    emit(chain->owner, chain->direction, event);
}

static void expired(struct arili_chain *chain)
{
    arili_session_end(chain->owner, ARIL_E_EXPIRED);
}

static const struct arili_chain_ops session_chain_ops = {
    .derive = derive, .advance = advance, .report = report, .expired = expired
};

/* --- Life --------------------------------------------------------------------- */

static size_t session_size(size_t tenant_len)
{
    return sizeof(aril_session) + tenant_len;
}

static void session_destroy(aril_session *s)
{
    arili_chain_done(&s->chain[0]);
    arili_chain_done(&s->chain[1]);
    arili_free(s, session_size(s->tenant_len));
}

static void session_destroyp(aril_session **s)
{
    if (*s != NULL) {
        session_destroy(*s);
    }
}

static aril_status begin_chain(aril_session *s, const struct arili_session_seed *seed,
                               aril_direction direction)
{
    struct arili_ratchet *ratchet = arili_secure_take(s->rt->secure);
    ARILI_ENSURE(ratchet != NULL, ARIL_E_NOMEM);
    aril_status st =
        arili_ratchet_begin(&s->rt->crypto, s->profile->hash, seed->secret, direction, ratchet);
    if (st == ARIL_OK) {
        st = arili_chain_init(&s->chain[direction], s->rt, &session_chain_ops, s, direction,
                              direction == s->sends, &s->policy, s->began_ns, ratchet);
    }
    if (st != ARIL_OK) {
        arili_secure_give(s->rt->secure, ratchet);
    }
    return st;
}

aril_status arili_session_new(aril_runtime *rt, const struct arili_session_seed *seed,
                              aril_session **ret)
{
    ARILI_DEFER(session_destroyp) aril_session *s = arili_alloc(session_size(seed->tenant_id.len));
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    s->rt = rt;
    s->profile = seed->profile;
    s->sends = seed->sends;
    memcpy(s->id, seed->id, sizeof s->id);
    s->tenant_tag = seed->tenant_tag;
    s->order = seed->order;
    s->policy = *seed->policy;
    s->tenant_len = seed->tenant_id.len;
    memcpy(s->tenant, seed->tenant_id.data, seed->tenant_id.len);
    atomic_store(&s->references, 1);
    ARILI_TRY(arili_session_now(s, &s->began_ns));
    atomic_store(&s->tell_at_ns, s->began_ns + ARILI_TELL_INTERVAL_NS);
    ARILI_TRY(begin_chain(s, seed, ARIL_TENANT_TO_SERVER));
    ARILI_TRY(begin_chain(s, seed, ARIL_SERVER_TO_TENANT));
    aril_event ev = { .kind = ARIL_EVENT_SESSION };
    emit(s, s->sends, &ev);
    *ret = ARILI_TAKE(s);
    return ARIL_OK;
}

void arili_session_hold(aril_session *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void arili_session_drop(aril_session *s)
{
    if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1) {
        session_destroy(s);
    }
}

void arili_session_end(aril_session *s, aril_status why)
{
    const bool ended_here = arili_chain_end(&s->chain[0], why);
    (void)arili_chain_end(&s->chain[1], why);
    if (ended_here) {
        aril_event ev = { .kind = ARIL_EVENT_CLOSE, .status = why };
        emit(s, s->sends, &ev);
    }
}

void aril_session_close(aril_session *session)
{
    if (session != NULL) {
        arili_session_end(session, ARIL_E_KEY_CLOSED);
        arili_session_drop(session);
    }
}

/* --- Use ---------------------------------------------------------------------- */

aril_status arili_session_now(const aril_session *s, uint64_t *ret_ns)
{
    return s->rt->clock.boot_ns(s->rt->clock.state, ret_ns);
}

void arili_session_tick(aril_session *s, uint64_t now_ns)
{
    uint64_t due = atomic_load_explicit(&s->tell_at_ns, memory_order_relaxed);
    if (now_ns < due || s->rt->audit == NULL || arili_chain_forked(&s->chain[0])) {
        return; /* in a forked child a lock may be held for ever */
    }
    /* One of the threads that see it due does the work. */
    if (atomic_compare_exchange_strong(&s->tell_at_ns, &due, now_ns + ARILI_TELL_INTERVAL_NS)) {
        arili_chain_tell(&s->chain[0], now_ns);
        arili_chain_tell(&s->chain[1], now_ns);
    }
}

void aril_session_flush_audit(aril_session *session)
{
    uint64_t now;
    if (session != NULL && !arili_chain_forked(&session->chain[0]) &&
        arili_session_now(session, &now) == ARIL_OK) {
        arili_chain_tell(&session->chain[0], now);
        arili_chain_tell(&session->chain[1], now);
    }
}

/* In our own direction a key that is unknown is that of an earlier session: a miss, as a cache has
 * many after a restart. */
static bool event_of(aril_status why, bool from_peer, aril_event_kind *ret)
{
    switch (aril_status_class(why)) {
    case ARIL_E_ISOLATION:
        *ret = ARIL_EVENT_ISOLATION_VIOLATION;
        return true;
    case ARIL_E_REPLAY:
        *ret = ARIL_EVENT_REPLAY;
        return true;
    case ARIL_E_AUTH:
        *ret = ARIL_EVENT_AUTH_FAILURE;
        return true;
    default:
        /* An unreadable seal fails before anybody could vouch for it: as forged as a bad tag. */
        *ret = ARIL_EVENT_AUTH_FAILURE;
        return aril_status_class(why) == ARIL_E_FORMAT || why == ARIL_E_KEY_FUTURE ||
               (why == ARIL_E_KEY_UNKNOWN && from_peer);
    }
}

void arili_session_refused(aril_session *s, aril_direction d, aril_status why,
                           const struct arili_seal_header *h)
{
    atomic_fetch_add_explicit(&s->chain[d].refused, 1, memory_order_relaxed);
    aril_event_kind kind;
    if (!event_of(why, d != s->sends, &kind)) {
        return;
    }
    aril_event ev = { .kind = kind, .status = why };
    ev.epoch = h->epoch;
    ev.sequence = h->sequence;
    ev.foreign_tag = kind == ARIL_EVENT_ISOLATION_VIOLATION ? h->tenant_tag : 0;
    emit(s, d, &ev);
}

aril_status aril_session_rotate(aril_session *session)
{
    ARILI_ENSURE(session != NULL, ARIL_E_USAGE_NULL);
    uint64_t now;
    ARILI_TRY(arili_session_now(session, &now));
    return arili_chain_rotate(&session->chain[session->sends], now, ARIL_ROTATE_MANUAL);
}

aril_status aril_session_retire(aril_session *session, aril_direction direction, uint32_t epoch)
{
    ARILI_ENSURE(session != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(direction == ARIL_TENANT_TO_SERVER || direction == ARIL_SERVER_TO_TENANT,
                 ARIL_E_USAGE_RANGE);
    uint64_t now;
    ARILI_TRY(arili_session_now(session, &now));
    return arili_chain_retire(&session->chain[direction], now, epoch);
}

aril_status aril_session_get_info(const aril_session *session, aril_session_info *ret_info)
{
    ARILI_ENSURE(session != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    aril_session *s = (aril_session *)(uintptr_t)session; /* const for the caller only */
    uint64_t now;
    ARILI_TRY(arili_session_now(s, &now));
    /* Looking at an expired session is what ends one that nobody uses any more. */
    ARILI_ENSURE(arili_chain_check(&s->chain[0], now) != ARIL_E_FORKED, ARIL_E_FORKED);
    const uint64_t age_ns = now > s->began_ns ? now - s->began_ns : 0;
    aril_session_info info = { .profile = s->profile->id,
                               .sends = s->sends,
                               .tenant_tag = s->tenant_tag,
                               .policy = s->policy,
                               .age_s = age_ns / ARILI_NS_PER_S };
    info.ttl_left_s = info.age_s < s->policy.ttl_s ? s->policy.ttl_s - info.age_s : 0;
    memcpy(info.session_id, s->id, sizeof info.session_id);
    arili_chain_info(&s->chain[0], &info.direction[0]);
    arili_chain_info(&s->chain[1], &info.direction[1]);
    *ret_info = info;
    return ARIL_OK;
}

aril_bytes aril_session_tenant(const aril_session *session)
{
    return session != NULL ? (aril_bytes){ session->tenant, session->tenant_len }
                           : (aril_bytes){ NULL, 0 };
}
