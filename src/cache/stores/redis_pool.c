/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <time.h>

#define NS_PER_S       UINT64_C(1000000000)
#define NS_PER_MS      UINT64_C(1000000)
#define BACKOFF_MS     20u /* after the first failure; doubled for each further one */
#define BACKOFF_MS_MAX 2000u
#define BACKOFF_STEPS  8u

/* --- Nodes ----------------------------------------------------------------------------------- */

static struct arili_redis_node *node_new(struct arili_redis *s,
                                         const struct arili_redis_address *address)
{
    struct arili_redis_node *const node = arili_alloc(sizeof *node);
    pthread_condattr_t monotonic;
    if (node == NULL || pthread_condattr_init(&monotonic) != 0) {
        arili_free(node, sizeof *node);
        return NULL;
    }
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    node->store = s;
    node->address = *address;
    arili_redis_address_text(address, node->name);
    return node;
}

aril_status arili_redis_node_find(struct arili_redis *s, const struct arili_redis_address *address,
                                  struct arili_redis_node **ret, size_t *index)
{
    size_t place = s->node_count;
    for (size_t i = 0; i < s->node_count; i++) {
        struct arili_redis_node *const node = s->nodes[i];
        if (node == NULL) {
            place = i;
        } else if (arili_redis_address_equal(&node->address, address)) {
            *ret = node;
            *index = i;
            return ARIL_OK;
        }
    }
    ARILI_ENSURE(place < ARILI_REDIS_NODES_MAX, ARIL_E_LIMIT);
    struct arili_redis_node *const node = node_new(s, address);
    ARILI_ENSURE(node != NULL, ARIL_E_NOMEM);
    s->nodes[place] = node;
    s->node_count += place == s->node_count;
    *ret = node;
    *index = place;
    return ARIL_OK;
}

aril_status arili_redis_node_hold(struct arili_redis *s, const struct arili_redis_address *address,
                                  struct arili_redis_node **ret, aril_error *error)
{
    size_t index = 0;
    (void)pthread_mutex_lock(&s->mutex);
    const aril_status st = arili_redis_node_find(s, address, ret, &index);
    if (st == ARIL_OK) {
        (*ret)->users++;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: no place for another node (%u at most)",
                               address->host, ARILI_REDIS_NODES_MAX);
    }
    return ARIL_OK;
}

void arili_redis_node_drop(struct arili_redis_node *node)
{
    if (node != NULL) {
        (void)pthread_mutex_lock(&node->store->mutex);
        node->users--;
        (void)pthread_mutex_unlock(&node->store->mutex);
    }
}

static void node_free(struct arili_redis_node *node)
{
    (void)pthread_cond_destroy(&node->changed);
    arili_free(node, sizeof *node);
}

struct arili_redis_conn *arili_redis_pool_sweep(struct arili_redis *s)
{
    struct arili_redis_conn *gone = NULL;
    for (size_t i = 0; i < s->node_count; i++) {
        struct arili_redis_node *const node = s->nodes[i];
        if (node == NULL || node->wanted || node->users > 0) {
            continue;
        }
        while (node->idle != NULL) {
            struct arili_redis_conn *const conn = node->idle;
            node->idle = conn->next;
            conn->next = gone;
            gone = conn;
        }
        s->nodes[i] = NULL;
        node_free(node);
    }
    return gone;
}

void arili_redis_pool_done(struct arili_redis *s)
{
    for (size_t i = 0; i < s->node_count; i++) {
        struct arili_redis_node *const node = s->nodes[i];
        while (node != NULL && node->idle != NULL) {
            struct arili_redis_conn *const conn = node->idle;
            node->idle = conn->next;
            arili_redis_conn_close(conn);
        }
        if (node != NULL) {
            node_free(node);
        }
        s->nodes[i] = NULL;
    }
    s->node_count = 0;
}

/* --- Connections ----------------------------------------------------------------------------- */

/* Half of the pause is certain, so that many clients do not come back at the same moment. */
static uint64_t pause_ns(struct arili_redis *s, uint32_t failures)
{
    const uint32_t steps = failures < BACKOFF_STEPS ? failures - 1 : BACKOFF_STEPS - 1;
    uint64_t ms = (uint64_t)BACKOFF_MS << steps;
    ms = ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
    s->jitter = s->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint64_t half = ms * NS_PER_MS / 2;
    return half + (s->jitter >> 33) % half;
}

/* With the mutex: waits for a change, until the time at most. */
static void wait_until(struct arili_redis_node *node, uint64_t until_ns)
{
    const struct timespec until = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };
    (void)pthread_cond_timedwait(&node->changed, &node->store->mutex, &until);
}

/* With the mutex, which it gives up meanwhile. */
static aril_status connect_new(struct arili_redis_node *node, uint64_t deadline_ns,
                               struct arili_redis_conn **ret, aril_error *error)
{
    struct arili_redis *const s = node->store;
    const bool probe = node->failures > 0;
    node->open++;
    node->probing = node->probing || probe;
    (void)pthread_mutex_unlock(&s->mutex);
    const aril_status st = arili_redis_conn_open(node, &s->login, -1, deadline_ns, ret, error);
    (void)pthread_mutex_lock(&s->mutex);
    if (probe) {
        node->probing = false;
    }
    if (st == ARIL_OK) {
        node->failures = 0;
    } else {
        node->open--;
        node->failures += node->failures < UINT32_MAX;
        node->retry_at_ns = arili_redis_now_ns() + pause_ns(s, node->failures);
    }
    (void)pthread_cond_broadcast(&node->changed);
    return st;
}

static aril_status resting(const struct arili_redis_node *node, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO),
                           "%s: it could not be reached %u times in a row and is left alone for a "
                           "moment; check that it is running",
                           node->name, (unsigned)node->failures);
}

/* With the mutex. *ret stays NULL while there is something to wait for, and the wait is over. */
static aril_status take_step(struct arili_redis_node *node, uint64_t deadline_ns,
                             struct arili_redis_conn **ret, aril_error *error)
{
    const uint64_t now = arili_redis_now_ns();
    if (node->idle != NULL) {
        *ret = node->idle;
        node->idle = (*ret)->next;
        return ARIL_OK;
    }
    const bool rests = node->failures > 0 && !node->probing && now < node->retry_at_ns;
    if (rests && node->retry_at_ns >= deadline_ns) {
        return resting(node, error);
    }
    const bool full = node->open >= node->store->connections;
    if (!full && !rests && !(node->failures > 0 && node->probing)) {
        return connect_new(node, deadline_ns, ret, error);
    }
    if (now >= deadline_ns) {
        return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                               "%s: none of %u connections was free within the deadline; allow "
                               "more connections, or more time",
                               node->name, (unsigned)node->store->connections);
    }
    wait_until(node, rests && !full ? node->retry_at_ns : deadline_ns);
    return ARIL_OK;
}

/* One that was idle, as it has to be; else it is closed. */
static bool still_good(struct arili_redis_conn *conn)
{
    if (arili_redis_socket_quiet(&conn->socket)) {
        conn->next = NULL;
        return true;
    }
    conn->broken = true;
    arili_redis_pool_give(conn);
    return false;
}

struct arili_redis_conn *arili_redis_pool_idle(struct arili_redis_node *node)
{
    for (;;) {
        (void)pthread_mutex_lock(&node->store->mutex);
        struct arili_redis_conn *const conn = node->idle;
        if (conn != NULL) {
            node->idle = conn->next;
        }
        (void)pthread_mutex_unlock(&node->store->mutex);
        if (conn == NULL || still_good(conn)) {
            return conn;
        }
    }
}

aril_status arili_redis_pool_take(struct arili_redis_node *node, uint64_t deadline_ns,
                                  struct arili_redis_conn **ret, aril_error *error)
{
    for (;;) {
        struct arili_redis_conn *conn = NULL;
        aril_status st = ARIL_OK;
        (void)pthread_mutex_lock(&node->store->mutex);
        while (st == ARIL_OK && conn == NULL) {
            st = take_step(node, deadline_ns, &conn, error);
        }
        (void)pthread_mutex_unlock(&node->store->mutex);
        ARILI_TRY(st);
        if (!conn->used || still_good(conn)) {
            *ret = conn;
            return ARIL_OK;
        }
    }
}

void arili_redis_pool_give(struct arili_redis_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    struct arili_redis_node *const node = conn->node;
    const bool keep = !conn->broken && conn->in_at == conn->in_len && conn->out_len == 0 &&
                      arili_resp_is_idle(&conn->decoder);
    conn->used = true;
    (void)pthread_mutex_lock(&node->store->mutex);
    if (keep) {
        conn->next = node->idle;
        node->idle = conn;
    } else {
        node->open--;
    }
    (void)pthread_cond_signal(&node->changed);
    (void)pthread_mutex_unlock(&node->store->mutex);
    if (!keep) {
        arili_redis_conn_close(conn);
    }
}

void arili_redis_pool_givep(struct arili_redis_conn **conn)
{
    arili_redis_pool_give(*conn);
}
