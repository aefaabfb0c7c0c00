/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"

/*
 * SCAN on every node. The names of one step are collected and told when the connection is back, so
 * that visit may use the store, also one with a single connection.
 */
#define COUNT_TEXT    "512"
#define NAMES_FIRST   65536u
#define NAMES_MAX     ((size_t)16 << 20) /* of one step */
#define PATTERN_BYTES (2u * ARIL_STORE_NAME_BYTES_MAX + 1u)
#define CURSOR_BYTES  20u /* of 2^64 - 1 */
#define NS_PER_MS     UINT64_C(1000000)

struct step {
    struct arili_redis *s;
    aril_bytes pattern;
    size_t cursor_len;
    uint8_t cursor[CURSOR_BYTES];
    unsigned part; /* of the answer: 0 the cursor, 1 the names */
    bool refused;
    struct arili_redis_verdict verdict;
    uint8_t *names; /* length (2), bytes, ... */
    size_t len, cap;
};

static void step_done(struct step *step)
{
    arili_free(step->names, step->cap);
}

static aril_status names_reserve(struct step *step, size_t more)
{
    if (more <= step->cap - step->len) {
        return ARIL_OK;
    }
    const size_t cap = step->cap == 0 ? NAMES_FIRST : 2 * step->cap;
    ARILI_ENSURE(cap <= NAMES_MAX, ARIL_E_LIMIT);
    uint8_t *const names = arili_alloc(cap);
    ARILI_ENSURE(names != NULL, ARIL_E_NOMEM);
    if (step->len > 0) {
        memcpy(names, step->names, step->len);
    }
    arili_free(step->names, step->cap);
    step->names = names;
    step->cap = cap;
    return ARIL_OK;
}

static aril_status note_cursor(struct step *step, const struct arili_redis_value *v)
{
    ARILI_ENSURE(v->kind == ARILI_RESP_BULK && v->text.len > 0 && v->text.len <= CURSOR_BYTES,
                 ARIL_E_FORMAT);
    for (size_t i = 0; i < v->text.len; i++) {
        ARILI_ENSURE(v->text.data[i] >= '0' && v->text.data[i] <= '9', ARIL_E_FORMAT);
    }
    memcpy(step->cursor, v->text.data, v->text.len);
    step->cursor_len = v->text.len;
    return ARIL_OK;
}

static bool ends(aril_bytes name, aril_bytes suffix)
{
    return name.len > suffix.len &&
           memcmp(name.data + name.len - suffix.len, suffix.data, suffix.len) == 0;
}

static aril_status note(void *user, const struct arili_redis_value *v)
{
    struct step *const step = user;
    if (v->depth == 0 && v->kind == ARILI_RESP_ERROR) {
        step->refused = true;
        arili_redis_judge(v->text, &step->verdict);
        return ARIL_OK;
    }
    if (v->depth == 0) {
        ARILI_ENSURE(v->kind == ARILI_RESP_ARRAY && v->count == 2, ARIL_E_FORMAT);
        return ARIL_OK;
    }
    if (v->depth == 1) {
        if (step->part++ == 0) {
            return note_cursor(step, v);
        }
        ARILI_ENSURE(v->kind == ARILI_RESP_ARRAY, ARIL_E_FORMAT);
        return ARIL_OK;
    }
    ARILI_ENSURE(v->depth == 2 && v->kind == ARILI_RESP_BULK, ARIL_E_FORMAT);
    if (v->cut || v->text.len == 0 || v->text.len > ARIL_STORE_NAME_BYTES_MAX ||
        ends(v->text, ARILI_LITERAL(ARILI_REDIS_LOCK_SUFFIX)) ||
        ends(v->text, ARILI_LITERAL(ARILI_REDIS_FENCE_SUFFIX))) {
        return ARIL_OK; /* no name of a value of ours */
    }
    ARILI_TRY(names_reserve(step, v->text.len + 2));
    arili_store16(step->names + step->len, (uint16_t)v->text.len);
    memcpy(step->names + step->len + 2, v->text.data, v->text.len);
    step->len += v->text.len + 2;
    return ARIL_OK;
}

static aril_status ask(struct step *step, struct arili_redis_node *node, uint64_t deadline_ns,
                       aril_error *error)
{
    ARILI_DEFER(arili_redis_pool_givep) struct arili_redis_conn *conn = NULL;
    const aril_bytes args[] = { ARILI_LITERAL("SCAN"),  { step->cursor, step->cursor_len },
                                ARILI_LITERAL("MATCH"), step->pattern,
                                ARILI_LITERAL("COUNT"), ARILI_LITERAL(COUNT_TEXT) };
    step->len = 0;
    step->part = 0;
    ARILI_TRY(arili_redis_pool_take(node, deadline_ns, &conn, error));
    ARILI_TRY(arili_redis_conn_send(conn, args, 6, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_flush(conn, deadline_ns, error));
    ARILI_TRY(
        arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, note, step, deadline_ns, error));
    if (step->refused) {
        return arili_redis_refused(&step->verdict, node->name, error);
    }
    return step->part == 2 ? ARIL_OK
                           : arili_redis_conn_nonsense(conn, "its answer to SCAN is none", error);
}

/* Tells the names; true: visit wants no more. */
static bool tell(const struct step *step, aril_bytes prefix, aril_store_visit_fn *visit, void *user)
{
    size_t at = 0;
    while (at < step->len) {
        const size_t len = arili_load16(step->names + at);
        const aril_bytes name = { step->names + at + 2, len };
        at += len + 2;
        /* The server is not trusted to know the pattern. */
        const bool fits = name.len >= prefix.len &&
                          (prefix.len == 0 || memcmp(name.data, prefix.data, prefix.len) == 0);
        if (fits && visit(user, name) != 0) {
            return true;
        }
    }
    return false;
}

/* The prefix as a glob pattern. */
static size_t escape(aril_bytes prefix, uint8_t ret[static PATTERN_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < prefix.len; i++) {
        if (prefix.data[i] != '\0' && strchr("*?[]\\^-", prefix.data[i]) != NULL) {
            ret[len++] = '\\';
        }
        ret[len++] = prefix.data[i];
    }
    ret[len++] = '*';
    return len;
}

static aril_status scan_node(struct step *step, struct arili_redis_node *node, aril_bytes prefix,
                             aril_store_visit_fn *visit, void *user, uint64_t step_ms,
                             bool *ret_stop, aril_error *error)
{
    step->cursor[0] = '0';
    step->cursor_len = 1;
    do {
        const uint64_t deadline_ns = arili_redis_now_ns() + step_ms * NS_PER_MS;
        ARILI_TRY(ask(step, node, deadline_ns, error));
        *ret_stop = tell(step, prefix, visit, user);
    } while (!*ret_stop && !(step->cursor_len == 1 && step->cursor[0] == '0'));
    return ARIL_OK;
}

aril_status arili_redis_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit, void *user,
                             uint64_t step_ms, aril_error *error)
{
    struct arili_redis *const s = state;
    uint8_t pattern[PATTERN_BYTES];
    if (prefix.len > ARIL_STORE_NAME_BYTES_MAX) {
        return ARIL_OK; /* no name is that long */
    }
    if (s->uri.cluster && arili_redis_map_generation(s) == 0) {
        ARILI_TRY(arili_redis_map_refresh(s, 0, arili_redis_now_ns() + step_ms * NS_PER_MS, error));
    }
    ARILI_DEFER(step_done)
    struct step step = { .s = s, .pattern = { pattern, escape(prefix, pattern) } };
    struct arili_redis_node *nodes[ARILI_REDIS_NODES_MAX];
    size_t count = 0;
    ARILI_TRY(arili_redis_masters(s, nodes, ARILI_REDIS_NODES_MAX, &count, error));
    aril_status st = ARIL_OK;
    bool stop = false;
    for (size_t i = 0; i < count; i++) {
        if (st == ARIL_OK && !stop) {
            st = scan_node(&step, nodes[i], prefix, visit, user, step_ms, &stop, error);
        }
        arili_redis_node_drop(nodes[i]);
    }
    return st;
}
