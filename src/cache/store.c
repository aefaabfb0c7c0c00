/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/store_internal.h"
#include "cache/store_items.h"
#include <string.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

#define MESSAGE_BYTES_MAX 65536u

static uint64_t now_ns(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ARILI_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint32_t arili_store_capabilities(const aril_store *store)
{
    return store->capabilities;
}

/* --- Around every call --------------------------------------------------------------------- */

/* A call that is going on: what the breaker said, when it ends, what the backend says. */
struct call {
    enum arili_breaker_pass pass;
    uint64_t deadline_ns;
    aril_error detail;
};

static aril_status rejected(aril_store *s, aril_error *error)
{
    (void)atomic_fetch_add(&s->rejected, 1);
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE_STORE),
                           "%s: failed several times in a row and is left alone for a while; see "
                           "to it that it runs and can be reached",
                           s->shown);
}

/* After ARIL_OK the call ends with end(). */
static aril_status begin(aril_store *s, struct call *ret, aril_error *error)
{
    const aril_status st = arili_runtime_check(s->rt);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: %s; %s", s->shown, aril_status_text(st),
                               aril_status_hint(st));
    }
    const uint64_t now = now_ns();
    (void)atomic_fetch_add(&s->calls, 1);
    ret->pass = arili_breaker_enter(&s->breaker, now);
    if (ret->pass == ARILI_PASS_NONE) {
        return rejected(s, error);
    }
    ret->deadline_ns = now + s->deadline_ms * NS_PER_MS;
    ret->detail.status = ARIL_OK;
    ret->detail.message[0] = '\0';
    return ARIL_OK;
}

/* st: what the call is answered with; shown: what it says of the store. */
static aril_status end(aril_store *s, struct call *c, aril_status st, aril_error *error)
{
    const enum arili_breaker_outcome outcome = arili_breaker_judge(st);
    if (outcome == ARILI_OUTCOME_FAILED) {
        (void)atomic_fetch_add(&s->failures, 1);
    }
    arili_breaker_leave(&s->breaker, c->pass, outcome, now_ns());
    if (st == ARIL_OK) {
        return ARIL_OK;
    }
    return c->detail.message[0] != '\0'
               ? arili_error_set(error, st, "%s", c->detail.message)
               : arili_error_set(error, st, "%s: %s; %s", s->shown, aril_status_text(st),
                                 aril_status_hint(st));
}

static aril_status lacks(const aril_store *s, const char *what, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           "%s: has no %s; choose another store for that", s->shown, what);
}

/* --- Items --------------------------------------------------------------------------------- */

typedef aril_status items_fn(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error);

/* Some items may have no answer: the call failed when none has one, else it is a partial batch. */
static aril_status end_items(aril_store *s, struct call *c, const struct arili_items_sum *sum,
                             aril_error *error)
{
    if (sum->unanswered == 0 || sum->unanswered == sum->count) {
        return end(s, c, sum->first_failure, error);
    }
    (void)end(s, c, ARIL_OK, NULL);
    return arili_error_set(error, arili_fail(ARIL_E_BATCH), "%s: %zu of %zu have no answer: %s",
                           s->shown, sum->unanswered, sum->count,
                           c->detail.message[0] != '\0' ? c->detail.message
                                                        : aril_status_text(sum->first_failure));
}

static aril_status run_items(aril_store *s, items_fn *fn, enum arili_items_kind kind,
                             aril_store_item *items, size_t count, aril_error *error)
{
    ARILI_ENSURE(s != NULL && (items != NULL || count == 0), ARIL_E_USAGE_NULL);
    aril_status st = arili_items_check(kind, s->capabilities, items, count, s->shown, error);
    if (st != ARIL_OK || count == 0) {
        arili_items_fail(items, count <= ARIL_STORE_BATCH_MAX ? count : 0, st);
        return st;
    }
    arili_items_fail(items, count, ARIL_OK);
    struct call c;
    st = begin(s, &c, error);
    if (st != ARIL_OK) {
        arili_items_fail(items, count, st);
        return st;
    }
    st = fn(s->state, items, count, c.deadline_ns, &c.detail);
    if (st != ARIL_OK) {
        arili_items_wipe(kind, items, count);
        arili_items_fail(items, count, st);
        return end(s, &c, st, error);
    }
    const struct arili_items_sum sum = arili_items_judge(kind, items, count);
    return end_items(s, &c, &sum, error);
}

#define OPS(store, member) ((store) != NULL ? (store)->ops->member : NULL)

aril_status aril_store_get(aril_store *store, aril_store_item *items, size_t count,
                           aril_error *error)
{
    return run_items(store, OPS(store, get), ARILI_ITEMS_GET, items, count, error);
}

aril_status aril_store_put(aril_store *store, aril_store_item *items, size_t count,
                           aril_error *error)
{
    return run_items(store, OPS(store, put), ARILI_ITEMS_PUT, items, count, error);
}

aril_status aril_store_delete(aril_store *store, aril_store_item *items, size_t count,
                              aril_error *error)
{
    return run_items(store, OPS(store, erase), ARILI_ITEMS_NAMES, items, count, error);
}

aril_status aril_store_exists(aril_store *store, aril_store_item *items, size_t count,
                              aril_error *error)
{
    return run_items(store, OPS(store, exists), ARILI_ITEMS_NAMES, items, count, error);
}

/* --- The others ---------------------------------------------------------------------------- */

static aril_status check_bytes(const aril_store *s, const char *what, aril_bytes b, size_t min,
                               size_t max, aril_error *error)
{
    ARILI_ENSURE(b.data != NULL || b.len == 0, ARIL_E_USAGE_NULL);
    if (b.len < min || b.len > max) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: a %s of %zu bytes; it may have %zu to %zu", s->shown, what,
                               b.len, min, max);
    }
    return ARIL_OK;
}

/* What a store tells that was not asked for is passed over. */
struct visitor {
    aril_bytes prefix;
    aril_store_visit_fn *visit;
    void *user;
};

static int visit_name(void *user, aril_bytes name)
{
    const struct visitor *const v = user;
    if (name.len == 0 || name.len > ARIL_STORE_NAME_BYTES_MAX || name.len < v->prefix.len ||
        (v->prefix.len > 0 && memcmp(name.data, v->prefix.data, v->prefix.len) != 0)) {
        return 0;
    }
    return v->visit(v->user, name);
}

aril_status aril_store_scan(aril_store *store, aril_bytes prefix, aril_store_visit_fn *visit,
                            void *user, aril_error *error)
{
    ARILI_ENSURE(store != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_bytes(store, "prefix", prefix, 0, ARIL_STORE_NAME_BYTES_MAX, error));
    if ((store->capabilities & ARIL_STORE_LIST) == 0) {
        return lacks(store, "list of names", error);
    }
    struct visitor v = { prefix, visit, user };
    struct call c;
    ARILI_TRY(begin(store, &c, error));
    const aril_status st =
        store->ops->scan(store->state, prefix, visit_name, &v, store->deadline_ms, &c.detail);
    return end(store, &c, st, error);
}

aril_status aril_store_lock(aril_store *store, aril_bytes name, uint32_t ttl_ms,
                            uint64_t *ret_fence, aril_error *error)
{
    ARILI_ENSURE(store != NULL && ret_fence != NULL, ARIL_E_USAGE_NULL);
    *ret_fence = 0;
    ARILI_TRY(check_bytes(store, "name", name, 1, ARIL_STORE_NAME_BYTES_MAX, error));
    if (ttl_ms == 0) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: a lock is taken for a time above 0", store->shown);
    }
    if ((store->capabilities & ARIL_STORE_LOCK) == 0) {
        return lacks(store, "locks", error);
    }
    struct call c;
    ARILI_TRY(begin(store, &c, error));
    uint64_t fence = 0;
    aril_status st = store->ops->lock(store->state, name, ttl_ms, c.deadline_ns, &fence, &c.detail);
    if (st == ARIL_OK && fence == 0) {
        st = arili_fail(ARIL_E_FORMAT_FIELD);
    }
    if (st == ARIL_OK) {
        *ret_fence = fence;
    }
    return end(store, &c, st, error);
}

aril_status aril_store_unlock(aril_store *store, aril_bytes name, uint64_t fence, aril_error *error)
{
    ARILI_ENSURE(store != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_bytes(store, "name", name, 1, ARIL_STORE_NAME_BYTES_MAX, error));
    if ((store->capabilities & ARIL_STORE_LOCK) == 0) {
        return lacks(store, "locks", error);
    }
    struct call c;
    ARILI_TRY(begin(store, &c, error));
    const aril_status st = store->ops->unlock(store->state, name, fence, c.deadline_ns, &c.detail);
    return end(store, &c, st, error);
}

aril_status aril_store_publish(aril_store *store, aril_bytes channel, aril_bytes message,
                               aril_error *error)
{
    ARILI_ENSURE(store != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_bytes(store, "channel", channel, 1, ARIL_STORE_NAME_BYTES_MAX, error));
    ARILI_TRY(check_bytes(store, "message", message, 1, MESSAGE_BYTES_MAX, error));
    if ((store->capabilities & ARIL_STORE_NOTIFY) == 0) {
        return lacks(store, "messages", error);
    }
    struct call c;
    ARILI_TRY(begin(store, &c, error));
    const aril_status st =
        store->ops->publish(store->state, channel, message, c.deadline_ns, &c.detail);
    return end(store, &c, st, error);
}

static void hand_over(void *user, aril_bytes message)
{
    aril_store *store = user;
    (void)pthread_mutex_lock(&store->hearing);
    if (store->fn != NULL) {
        store->fn(store->user, message);
    }
    (void)pthread_mutex_unlock(&store->hearing);
}

void arili_store_deafen(aril_store *store)
{
    (void)pthread_mutex_lock(&store->hearing);
    store->fn = NULL;
    (void)pthread_mutex_unlock(&store->hearing);
}

/* Under hearing, which messages wait for. */
static aril_status start_listening(aril_store *store, aril_bytes channel, aril_error *error)
{
    if (store->channel.len > 0) {
        if (store->channel.len == channel.len &&
            memcmp(store->channel.data, channel.data, channel.len) == 0) {
            return ARIL_OK; /* it goes on since the last listener */
        }
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_STATE),
                               "%s: listens on another channel already", store->shown);
    }
    uint8_t *copy = arili_alloc(channel.len);
    ARILI_ENSURE(copy != NULL, ARIL_E_NOMEM);
    memcpy(copy, channel.data, channel.len);
    struct call c;
    aril_status st = begin(store, &c, error);
    if (st == ARIL_OK) {
        st = end(store, &c, store->ops->listen(store->state, channel, hand_over, store, &c.detail),
                 error);
    }
    if (st != ARIL_OK) {
        arili_free(copy, channel.len);
        return st;
    }
    store->channel = (aril_bytes){ copy, channel.len };
    return ARIL_OK;
}

aril_status aril_store_listen(aril_store *store, aril_bytes channel, aril_store_message_fn *fn,
                              void *user, aril_error *error)
{
    ARILI_ENSURE(store != NULL && fn != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_bytes(store, "channel", channel, 1, ARIL_STORE_NAME_BYTES_MAX, error));
    if ((store->capabilities & ARIL_STORE_NOTIFY) == 0) {
        return lacks(store, "messages", error);
    }
    (void)pthread_mutex_lock(&store->hearing);
    aril_status st = ARIL_OK;
    if (store->fn != NULL) {
        st =
            arili_error_set(error, arili_fail(ARIL_E_USAGE_STATE),
                            "%s: has a listener already; one is allowed for a store", store->shown);
    } else {
        st = start_listening(store, channel, error);
    }
    if (st == ARIL_OK) {
        store->fn = fn;
        store->user = user;
    }
    (void)pthread_mutex_unlock(&store->hearing);
    return st;
}

/* Asks the store while it is in use. Whoever only looks changes nothing: neither the breaker nor
 * the numbers. A store that does not answer is told by those, and is no failure here. */
static struct arili_cache_store_stat ask_stat(aril_store *s, aril_breaker_state breaker)
{
    struct arili_cache_store_stat asked = { .entries = UINT64_MAX, .bytes = UINT64_MAX };
    const uint64_t deadline_ns = now_ns() + s->deadline_ms * NS_PER_MS;
    if (breaker != ARIL_BREAKER_CLOSED ||
        s->ops->stat(s->state, deadline_ns, &asked, NULL) != ARIL_OK) {
        return (struct arili_cache_store_stat){ .entries = UINT64_MAX, .bytes = UINT64_MAX };
    }
    return asked;
}

aril_status aril_store_get_info(aril_store *store, aril_store_info *ret_info, aril_error *error)
{
    ARILI_ENSURE(store != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    const aril_status st = arili_runtime_check(store->rt);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: %s; %s", store->shown, aril_status_text(st),
                               aril_status_hint(st));
    }
    const aril_breaker_state breaker = arili_breaker_state(&store->breaker, now_ns());
    struct arili_cache_store_stat stat = ask_stat(store, breaker);
    *ret_info = (aril_store_info){ .kind = store->ops->kind,
                                   .capabilities = store->capabilities,
                                   .breaker = breaker,
                                   .calls = atomic_load(&store->calls),
                                   .failures = atomic_load(&store->failures),
                                   .rejected = atomic_load(&store->rejected),
                                   .entries = stat.entries,
                                   .bytes = stat.bytes };
    stat.description[sizeof stat.description - 1] = '\0';
    const char *const text = stat.description[0] != '\0' ? stat.description : store->shown;
    for (size_t i = 0; i + 1 < sizeof ret_info->description && text[i] != '\0'; i++) {
        const unsigned char ch = (unsigned char)text[i];
        ret_info->description[i] = ch < 0x20 || ch == 0x7f ? '?' : text[i];
    }
    return ARIL_OK;
}
