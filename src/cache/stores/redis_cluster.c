/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <time.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* An answer to CLUSTER SLOTS, while it is read:
 * [ [ first slot, last slot, [ host, port, ... ] of the master, of its replicas ... ] ... ] */
struct loading {
    const struct arili_redis_node *from;
    unsigned field;      /* of the range that is being read: elements seen */
    unsigned node_field; /* of the node that is being read */
    uint16_t first, last;
    struct arili_redis_address address;
    bool refused;
    struct arili_redis_verdict verdict;
    size_t count;
    uint16_t slots[ARILI_RESP_SLOTS]; /* index of addresses, or ARILI_REDIS_NO_NODE */
    struct arili_redis_address addresses[ARILI_REDIS_NODES_MAX];
};

static void loading_freep(struct loading **l)
{
    arili_free(*l, sizeof **l);
}

static aril_status assign(struct loading *l)
{
    size_t i = 0;
    while (i < l->count && !arili_redis_address_equal(&l->addresses[i], &l->address)) {
        i++;
    }
    if (i == l->count) {
        ARILI_ENSURE(l->count < ARILI_REDIS_NODES_MAX, ARIL_E_LIMIT);
        l->addresses[l->count++] = l->address;
    }
    for (size_t slot = l->first; slot <= l->last; slot++) {
        l->slots[slot] = (uint16_t)i;
    }
    return ARIL_OK;
}

static aril_status range_field(struct loading *l, const struct arili_redis_value *v)
{
    const unsigned field = l->field++;
    if (field < 2) {
        ARILI_ENSURE(v->kind == ARILI_RESP_INTEGER && v->number >= 0 &&
                         v->number < (int64_t)ARILI_RESP_SLOTS,
                     ARIL_E_FORMAT);
        *(field == 0 ? &l->first : &l->last) = (uint16_t)v->number;
        ARILI_ENSURE(field == 0 || l->first <= l->last, ARIL_E_FORMAT);
        return ARIL_OK;
    }
    ARILI_ENSURE(v->kind == ARILI_RESP_ARRAY && v->count >= 2, ARIL_E_FORMAT);
    l->node_field = 0;
    return ARIL_OK;
}

static aril_status node_field(struct loading *l, const struct arili_redis_value *v)
{
    const unsigned field = l->node_field++;
    if (l->field != 3) {
        return ARIL_OK; /* a replica */
    }
    if (field == 0) {
        l->address = (struct arili_redis_address){ 0 };
        const bool unknown = v->kind == ARILI_RESP_NIL ||
                             (v->kind == ARILI_RESP_BULK &&
                              (v->text.len == 0 || (v->text.len == 1 && v->text.data[0] == '?')));
        if (unknown) { /* where we asked */
            l->address = l->from->address;
            return ARIL_OK;
        }
        ARILI_ENSURE(v->kind == ARILI_RESP_BULK && v->text.len < sizeof l->address.host &&
                         memchr(v->text.data, '\0', v->text.len) == NULL,
                     ARIL_E_FORMAT);
        memcpy(l->address.host, v->text.data, v->text.len);
    } else if (field == 1) {
        ARILI_ENSURE(v->kind == ARILI_RESP_INTEGER && v->number > 0 && v->number <= UINT16_MAX,
                     ARIL_E_FORMAT);
        l->address.port = (uint16_t)v->number;
        return assign(l);
    }
    return ARIL_OK;
}

static aril_status note_slots(void *user, const struct arili_redis_value *v)
{
    struct loading *const l = user;
    switch (v->depth) {
    case 0:
        l->refused = v->kind == ARILI_RESP_ERROR;
        if (l->refused) {
            arili_redis_judge(v->text, &l->verdict);
        }
        ARILI_ENSURE(v->kind == ARILI_RESP_ARRAY || l->refused, ARIL_E_FORMAT);
        return ARIL_OK;
    case 1:
        ARILI_ENSURE(v->kind == ARILI_RESP_ARRAY && v->count >= 2, ARIL_E_FORMAT);
        l->field = 0;
        return ARIL_OK;
    case 2:
        return range_field(l, v);
    case 3:
        return node_field(l, v);
    default:
        return ARIL_OK; /* names of hosts besides the preferred one */
    }
}

/* Asks one node. */
static aril_status ask(struct arili_redis_node *node, uint64_t deadline_ns, struct loading *l,
                       aril_error *error)
{
    const aril_bytes args[] = { ARILI_LITERAL("CLUSTER"), ARILI_LITERAL("SLOTS") };
    ARILI_DEFER(arili_redis_pool_givep) struct arili_redis_conn *conn = NULL;
    l->from = node;
    l->count = 0;
    memset(l->slots, 0xff, sizeof l->slots);
    ARILI_TRY(arili_redis_pool_take(node, deadline_ns, &conn, error));
    ARILI_TRY(arili_redis_conn_send(conn, args, 2, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_flush(conn, deadline_ns, error));
    ARILI_TRY(
        arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, note_slots, l, deadline_ns, error));
    if (l->refused && strstr(l->verdict.text, "cluster support disabled") != NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: this server is no Cluster; write redis: instead of "
                               "redis+cluster:",
                               node->name);
    }
    if (l->refused) {
        return arili_redis_refused(&l->verdict, node->name, error);
    }
    if (l->count == 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "%s: no node of its Cluster has slots; check the Cluster",
                               node->name);
    }
    return ARIL_OK;
}

/* Makes what was read the map. Without memory for a node it has gaps, and is to be read again. */
static aril_status publish(struct arili_redis *s, const struct loading *l)
{
    uint16_t places[ARILI_REDIS_NODES_MAX] = { 0 };
    aril_status failed = ARIL_OK;
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->node_count; i++) {
        struct arili_redis_node *const node = s->nodes[i];
        for (size_t j = 0; node != NULL && j < l->count && !node->wanted; j++) {
            node->wanted = arili_redis_address_equal(&node->address, &l->addresses[j]);
        }
    }
    struct arili_redis_conn *gone = arili_redis_pool_sweep(s);
    for (size_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i] != NULL) {
            s->nodes[i]->wanted = false;
        }
    }
    for (size_t j = 0; j < l->count; j++) {
        struct arili_redis_node *node = NULL;
        size_t index = 0;
        const aril_status st = arili_redis_node_find(s, &l->addresses[j], &node, &index);
        places[j] = st == ARIL_OK ? (uint16_t)index : ARILI_REDIS_NO_NODE;
        failed = st == ARIL_E_NOMEM ? st : failed;
    }
    for (size_t slot = 0; slot < ARILI_RESP_SLOTS; slot++) {
        const uint16_t j = l->slots[slot];
        s->map.nodes[slot] = j == ARILI_REDIS_NO_NODE ? ARILI_REDIS_NO_NODE : places[j];
    }
    s->map.known = true;
    s->map_generation += failed == ARIL_OK;
    (void)pthread_mutex_unlock(&s->mutex);
    while (gone != NULL) {
        struct arili_redis_conn *const conn = gone;
        gone = conn->next;
        arili_redis_conn_close(conn);
    }
    return failed;
}

static void drop_all(struct arili_redis_node **nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        arili_redis_node_drop(nodes[i]);
    }
}

aril_status arili_redis_map_load(struct arili_redis *s, uint64_t deadline_ns, aril_error *error)
{
    ARILI_DEFER(loading_freep) struct loading *l = arili_alloc(sizeof *l);
    if (l == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM), "redis: out of memory");
    }
    struct arili_redis_node *nodes[ARILI_REDIS_NODES_MAX + ARILI_REDIS_SEEDS_MAX];
    size_t count = 0;
    ARILI_TRY(arili_redis_masters(s, nodes, ARILI_REDIS_NODES_MAX, &count, error));
    aril_status st = ARIL_E_IO;
    for (size_t i = 0; i < s->uri.seed_count; i++) {
        const aril_status held = arili_redis_node_hold(s, &s->uri.seeds[i], &nodes[count], error);
        count += held == ARIL_OK;
        st = held == ARIL_OK ? st : held;
    }
    for (size_t i = 0; i < count && st != ARIL_OK; i++) {
        /* One that is silent leaves time for the next. */
        const uint64_t now = arili_redis_now_ns();
        const uint64_t left = now < deadline_ns ? deadline_ns - now : 0;
        st = ask(nodes[i], now + (i + 1 < count ? left / 2 : left), l, error);
    }
    if (st == ARIL_OK) {
        st = publish(s, l);
    }
    if (st == ARIL_E_NOMEM) {
        (void)arili_error_set(error, st, "redis: no memory for the nodes of the Cluster");
    }
    drop_all(nodes, count);
    return st;
}

uint64_t arili_redis_map_generation(struct arili_redis *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    const uint64_t generation = s->map_generation;
    (void)pthread_mutex_unlock(&s->mutex);
    return generation;
}

aril_status arili_redis_map_refresh(struct arili_redis *s, uint64_t generation,
                                    uint64_t deadline_ns, aril_error *error)
{
    const struct timespec until = { (time_t)(deadline_ns / NS_PER_S),
                                    (long)(deadline_ns % NS_PER_S) };
    int code = 0;
    (void)pthread_mutex_lock(&s->mutex);
    while (s->refreshing && s->map_generation == generation && code == 0) {
        code = pthread_cond_timedwait(&s->map_changed, &s->mutex, &until);
    }
    const bool fresh = s->map_generation != generation;
    const bool mine = !fresh && !s->refreshing;
    s->refreshing = s->refreshing || mine;
    (void)pthread_mutex_unlock(&s->mutex);
    if (fresh) {
        return ARIL_OK;
    }
    if (!mine) {
        return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                               "redis: the map of the Cluster was not there within the deadline");
    }
    const aril_status st = arili_redis_map_load(s, deadline_ns, error);
    (void)pthread_mutex_lock(&s->mutex);
    s->refreshing = false;
    (void)pthread_cond_broadcast(&s->map_changed);
    (void)pthread_mutex_unlock(&s->mutex);
    return st;
}

aril_status arili_redis_route(struct arili_redis *s, uint16_t slot, struct arili_redis_node **ret,
                              aril_error *error)
{
    struct arili_redis_node *node = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->uri.cluster && s->map.known && s->map.nodes[slot] != ARILI_REDIS_NO_NODE) {
        node = s->nodes[s->map.nodes[slot]];
    }
    for (size_t i = 0; i < s->node_count && node == NULL; i++) {
        node = s->nodes[i];
    }
    if (node != NULL) {
        node->users++;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (node == NULL) {
        return arili_redis_node_hold(s, &s->uri.seeds[0], ret, error);
    }
    *ret = node;
    return ARIL_OK;
}

void arili_redis_map_moved(struct arili_redis *s, uint16_t slot, struct arili_redis_node *node)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i] == node) {
            s->map.nodes[slot] = (uint16_t)i;
        }
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

aril_status arili_redis_redirect(struct arili_redis *s, const struct arili_redis_verdict *v,
                                 const struct arili_redis_node *from, struct arili_redis_node **ret,
                                 aril_error *error)
{
    struct arili_redis_address address = v->address;
    if (v->same_host) {
        memcpy(address.host, from->address.host, sizeof address.host);
    }
    ARILI_TRY(arili_redis_node_hold(s, &address, ret, error));
    if (v->trouble == ARILI_REDIS_MOVED) {
        arili_redis_map_moved(s, v->slot, *ret);
    }
    return ARIL_OK;
}

aril_status arili_redis_masters(struct arili_redis *s, struct arili_redis_node **ret, size_t cap,
                                size_t *ret_count, aril_error *error)
{
    *ret_count = 0;
    if (!s->uri.cluster) {
        ARILI_TRY(arili_redis_node_hold(s, &s->uri.seeds[0], ret, error));
        *ret_count = 1;
        return ARIL_OK;
    }
    bool seen[ARILI_REDIS_NODES_MAX] = { false };
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t slot = 0; s->map.known && slot < ARILI_RESP_SLOTS; slot++) {
        const uint16_t i = s->map.nodes[slot];
        if (i != ARILI_REDIS_NO_NODE && s->nodes[i] != NULL && !seen[i] && *ret_count < cap) {
            seen[i] = true;
            s->nodes[i]->users++;
            ret[(*ret_count)++] = s->nodes[i];
        }
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return ARIL_OK;
}

bool arili_redis_settle(uint64_t deadline_ns)
{
    if (arili_redis_now_ns() + ARILI_REDIS_SETTLE_MS * NS_PER_MS >= deadline_ns) {
        return false;
    }
    const struct timespec pause = { 0, (long)(ARILI_REDIS_SETTLE_MS * NS_PER_MS) };
    (void)nanosleep(&pause, NULL);
    return true;
}
