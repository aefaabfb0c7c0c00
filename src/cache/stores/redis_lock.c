/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include <stdio.h>

/*
 * A lock is a value beside its name, NAME:aril-lock: the fencing token in decimal, with the time to
 * live. A second one, NAME:aril-fence, keeps the highest token for a day, or longer when the lock
 * lives longer. Both change in one transaction that counts only if neither changed since they were
 * read (WATCH), so tokens grow with every holder. A token is also not below the server's clock in
 * microseconds: should the second value be evicted, tokens grow all the same. Scanning does not
 * tell such names, and nobody should give them to a value.
 */
#define KEEP_TOKEN_MS UINT64_C(86400000)
#define TOKEN_TEXT    21u
#define KEY_BYTES     (ARIL_STORE_NAME_BYTES_MAX + 2u + sizeof ARILI_REDIS_FENCE_SUFFIX)

_Static_assert(sizeof ARILI_REDIS_FENCE_SUFFIX >= sizeof ARILI_REDIS_LOCK_SUFFIX, "KEY_BYTES");

struct turn {
    struct arili_redis *s;
    aril_bytes lock, counter; /* names beside that of the lock */
    aril_store_item *item;    /* guarded put */
    uint64_t fence;
    uint32_t ttl_ms;
    uint64_t deadline_ns;
    aril_error *error;
    /* What the server said, where it refused something. */
    bool refused;
    struct arili_redis_verdict verdict;
    bool raced; /* somebody changed what was watched */
    uint8_t lock_bytes[KEY_BYTES], counter_bytes[KEY_BYTES];
};
typedef aril_status turn_fn(struct turn *t, struct arili_redis_conn *conn);

/* --- Small exchanges ------------------------------------------------------------------------- */

static aril_status say(struct turn *t, struct arili_redis_conn *conn, const aril_bytes *args,
                       size_t count)
{
    return arili_redis_conn_send(conn, args, count, t->deadline_ns, t->error);
}

static void note_refusal(struct turn *t, const struct arili_redis_answer *a)
{
    if (a->kind == ARILI_RESP_ERROR && !t->refused) {
        t->refused = true;
        arili_redis_judge((aril_bytes){ a->text, a->len }, &t->verdict);
    }
}

/* Sends what was said and reads an answer for each. The first that is an error is kept. */
static aril_status hear(struct turn *t, struct arili_redis_conn *conn,
                        struct arili_redis_answer *answers, size_t count)
{
    ARILI_TRY(arili_redis_conn_flush(conn, t->deadline_ns, t->error));
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(arili_redis_conn_answer(conn, &answers[i], t->deadline_ns, t->error));
        note_refusal(t, &answers[i]);
    }
    return ARIL_OK;
}

static aril_status unwatch(struct turn *t, struct arili_redis_conn *conn)
{
    const aril_bytes args[] = { ARILI_LITERAL("UNWATCH") };
    struct arili_redis_answer a;
    ARILI_TRY(say(t, conn, args, 1));
    return hear(t, conn, &a, 1);
}

/* Refused in the middle: what is watched is let go, or the connection is. */
static aril_status give_up(struct turn *t, struct arili_redis_conn *conn)
{
    conn->broken = true;
    return arili_redis_refused(&t->verdict, conn->node->name, t->error);
}

static aril_bytes decimal(uint64_t n, char ret[static TOKEN_TEXT])
{
    const int len = snprintf(ret, TOKEN_TEXT, "%llu", (unsigned long long)n);
    return (aril_bytes){ (const uint8_t *)ret, (size_t)len };
}

static bool token(const struct arili_redis_answer *a, uint64_t *ret)
{
    uint64_t n = 0;
    if (a->kind != ARILI_RESP_BULK || a->len == 0 || a->len > 19) {
        return false;
    }
    for (size_t i = 0; i < a->len; i++) {
        if (a->text[i] < '0' || a->text[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(a->text[i] - '0');
    }
    *ret = n;
    return true;
}

/* --- Names ----------------------------------------------------------------------------------- */

/* NAME and the suffix; in a Cluster in the slot of NAME, or false. */
static bool beside(const struct arili_redis *s, aril_bytes name, aril_bytes suffix,
                   uint8_t ret[static KEY_BYTES], aril_bytes *ret_name)
{
    memcpy(ret, name.data, name.len);
    memcpy(ret + name.len, suffix.data, suffix.len);
    *ret_name = (aril_bytes){ ret, name.len + suffix.len };
    const uint16_t slot = arili_resp_slot(name);
    if (!s->uri.cluster || arili_resp_slot(*ret_name) == slot) {
        return true;
    }
    ret[0] = '{';
    memcpy(ret + 1, name.data, name.len);
    ret[1 + name.len] = '}';
    memcpy(ret + 2 + name.len, suffix.data, suffix.len);
    ret_name->len += 2;
    return arili_resp_slot(*ret_name) == slot;
}

static aril_status turn_names(struct turn *t, aril_bytes name)
{
    if (beside(t->s, name, ARILI_LITERAL(ARILI_REDIS_LOCK_SUFFIX), t->lock_bytes, &t->lock) &&
        beside(t->s, name, ARILI_LITERAL(ARILI_REDIS_FENCE_SUFFIX), t->counter_bytes,
               &t->counter)) {
        return ARIL_OK;
    }
    return arili_error_set(t->error, arili_fail(ARIL_E_UNAVAILABLE),
                           "redis: in a Cluster the name of a lock has a hash tag, or no '}'");
}

/* --- Where it runs --------------------------------------------------------------------------- */

/* Runs fn at the node of the slot; follows a Cluster that sends it elsewhere. */
static aril_status at_node(struct turn *t, uint16_t slot, turn_fn *fn)
{
    struct arili_redis *const s = t->s;
    if (s->uri.cluster && arili_redis_map_generation(s) == 0) {
        ARILI_TRY(arili_redis_map_refresh(s, 0, t->deadline_ns, t->error));
    }
    struct arili_redis_node *node = NULL;
    ARILI_TRY(arili_redis_route(s, slot, &node, t->error));
    aril_status st = ARIL_OK;
    unsigned redirects = 0;
    for (bool again = true; again;) {
        struct arili_redis_conn *conn = NULL;
        t->refused = false;
        t->raced = false;
        st = arili_redis_pool_take(node, t->deadline_ns, &conn, t->error);
        if (st == ARIL_OK) {
            st = fn(t, conn);
            conn->broken =
                conn->broken || (st != ARIL_OK && st != ARIL_E_EXISTS && st != ARIL_E_REPLAY_STALE);
            arili_redis_pool_give(conn);
        }
        again = t->raced && arili_redis_now_ns() < t->deadline_ns;
        if (!t->refused || !s->uri.cluster || t->verdict.trouble == ARILI_REDIS_FINAL) {
            continue;
        }
        if (t->verdict.trouble == ARILI_REDIS_MOVED) {
            struct arili_redis_node *next = NULL;
            again = redirects++ < ARILI_REDIS_REDIRECTS &&
                    arili_redis_redirect(s, &t->verdict, node, &next, t->error) == ARIL_OK;
            arili_redis_node_drop(next != NULL ? node : NULL);
            node = next != NULL ? next : node;
        } else { /* a slot on its way: a transaction waits until it is there */
            again = arili_redis_settle(t->deadline_ns);
        }
    }
    arili_redis_node_drop(node);
    if (st == ARIL_OK && t->raced) {
        st = arili_error_set(t->error, arili_fail(ARIL_E_TIMEOUT),
                             "redis: others changed a lock all the time; allow more time");
    }
    return st;
}

/* --- Taking ---------------------------------------------------------------------------------- */

struct clock_answer {
    unsigned fields;
    uint64_t parts[2];
    bool bad;
};

static aril_status note_clock(void *user, const struct arili_redis_value *v)
{
    struct clock_answer *const c = user;
    if (v->depth == 0) {
        c->bad = v->kind != ARILI_RESP_ARRAY || v->count != 2;
        return ARIL_OK;
    }
    struct arili_redis_answer a = { .kind = v->kind, .len = v->text.len };
    if (v->depth != 1 || c->fields == 2 || v->text.len > sizeof a.text) {
        c->bad = true;
        return ARIL_OK;
    }
    if (v->text.len > 0) {
        memcpy(a.text, v->text.data, v->text.len);
    }
    c->bad = c->bad || !token(&a, &c->parts[c->fields++]);
    return ARIL_OK;
}

/* WATCH, GET, GET, TIME. *ret_fence: the token that would be next. */
static aril_status look(struct turn *t, struct arili_redis_conn *conn, bool *ret_held,
                        uint64_t *ret_fence)
{
    const aril_bytes watch[] = { ARILI_LITERAL("WATCH"), t->lock, t->counter };
    const aril_bytes get_lock[] = { ARILI_LITERAL("GET"), t->lock };
    const aril_bytes get_counter[] = { ARILI_LITERAL("GET"), t->counter };
    const aril_bytes get_time[] = { ARILI_LITERAL("TIME") };
    struct arili_redis_answer a[3];
    struct clock_answer clock = { 0 };
    ARILI_TRY(say(t, conn, watch, 3));
    ARILI_TRY(say(t, conn, get_lock, 2));
    ARILI_TRY(say(t, conn, get_counter, 2));
    ARILI_TRY(say(t, conn, get_time, 1));
    ARILI_TRY(hear(t, conn, a, 3));
    ARILI_TRY(arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, note_clock, &clock,
                                       t->deadline_ns, t->error));
    if (t->refused) {
        return give_up(t, conn);
    }
    uint64_t last = 0;
    const bool known = a[2].kind == ARILI_RESP_NIL || token(&a[2], &last);
    const bool sane = a[0].kind == ARILI_RESP_SIMPLE && known &&
                      (a[1].kind == ARILI_RESP_NIL || a[1].kind == ARILI_RESP_BULK);
    if (!sane || clock.bad || clock.fields != 2 || clock.parts[0] > UINT32_MAX * UINT64_C(16) ||
        clock.parts[1] >= 1000000) {
        return arili_redis_conn_nonsense(conn, "its answers about a lock are none", t->error);
    }
    const uint64_t now = clock.parts[0] * 1000000 + clock.parts[1];
    *ret_held = a[1].kind == ARILI_RESP_BULK;
    *ret_fence = last + 1 > now ? last + 1 : now;
    return ARIL_OK;
}

/* What EXEC said: done, not done because something was changed, or nonsense. */
static aril_status executed(struct turn *t, struct arili_redis_conn *conn,
                            const struct arili_redis_answer *a, uint64_t count)
{
    if (t->refused) {
        return give_up(t, conn);
    }
    if (a->kind == ARILI_RESP_NIL) {
        t->raced = true;
        return ARIL_OK;
    }
    const bool sane = a->kind == ARILI_RESP_ARRAY && a->count == count;
    if (sane && a->first == ARILI_RESP_ERROR) {
        arili_redis_judge((aril_bytes){ a->text, a->len }, &t->verdict);
        return give_up(t, conn);
    }
    return sane ? ARIL_OK : arili_redis_conn_nonsense(conn, "its answer to EXEC is none", t->error);
}

static aril_status lock_turn(struct turn *t, struct arili_redis_conn *conn)
{
    bool held = false;
    ARILI_TRY(look(t, conn, &held, &t->fence));
    if (held) {
        ARILI_TRY(unwatch(t, conn));
        return ARIL_E_EXISTS;
    }
    char fence_text[TOKEN_TEXT];
    char ttl_text[TOKEN_TEXT];
    char keep_text[TOKEN_TEXT];
    const aril_bytes fence = decimal(t->fence, fence_text);
    const aril_bytes ttl = decimal(t->ttl_ms, ttl_text);
    const aril_bytes keep = decimal(t->ttl_ms + KEEP_TOKEN_MS, keep_text);
    const aril_bytes multi[] = { ARILI_LITERAL("MULTI") };
    const aril_bytes set_lock[] = { ARILI_LITERAL("SET"), t->lock, fence, ARILI_LITERAL("PX"),
                                    ttl };
    const aril_bytes set_counter[] = { ARILI_LITERAL("SET"), t->counter, fence, ARILI_LITERAL("PX"),
                                       keep };
    const aril_bytes exec[] = { ARILI_LITERAL("EXEC") };
    struct arili_redis_answer a[4];
    ARILI_TRY(say(t, conn, multi, 1));
    ARILI_TRY(say(t, conn, set_lock, 5));
    ARILI_TRY(say(t, conn, set_counter, 5));
    ARILI_TRY(say(t, conn, exec, 1));
    ARILI_TRY(hear(t, conn, a, 4));
    return executed(t, conn, &a[3], 2);
}

aril_status arili_redis_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                             uint64_t *ret_fence, aril_error *error)
{
    aril_error note = { 0 };
    struct turn t = { .s = state, .ttl_ms = ttl_ms, .deadline_ns = deadline_ns, .error = &note };
    aril_status st = turn_names(&t, name);
    if (st == ARIL_OK) {
        st = at_node(&t, arili_resp_slot(name), lock_turn);
    }
    if (st == ARIL_OK) {
        *ret_fence = t.fence;
        return ARIL_OK;
    }
    return arili_error_set(error, st, "%s",
                           st == ARIL_E_EXISTS ? "redis: somebody holds the lock; wait, or retry"
                                               : note.message);
}

/* --- Holding --------------------------------------------------------------------------------- */

/* WATCH and GET: ARIL_E_REPLAY_STALE when it is not ours. */
static aril_status check_held(struct turn *t, struct arili_redis_conn *conn)
{
    const aril_bytes watch[] = { ARILI_LITERAL("WATCH"), t->lock };
    const aril_bytes get[] = { ARILI_LITERAL("GET"), t->lock };
    struct arili_redis_answer a[2];
    ARILI_TRY(say(t, conn, watch, 2));
    ARILI_TRY(say(t, conn, get, 2));
    ARILI_TRY(hear(t, conn, a, 2));
    if (t->refused) {
        return give_up(t, conn);
    }
    uint64_t held = 0;
    if (token(&a[1], &held) && held == t->fence) {
        return ARIL_OK;
    }
    ARILI_TRY(unwatch(t, conn));
    return arili_error_set(t->error, arili_fail(ARIL_E_REPLAY_STALE),
                           "redis: the lock is not held with this token any more; take it again");
}

/* With what was said between MULTI and EXEC. */
static aril_status finish(struct turn *t, struct arili_redis_conn *conn,
                          struct arili_redis_answer *ret)
{
    const aril_bytes exec[] = { ARILI_LITERAL("EXEC") };
    struct arili_redis_answer a[3];
    ARILI_TRY(say(t, conn, exec, 1));
    ARILI_TRY(hear(t, conn, a, 3));
    ARILI_TRY(executed(t, conn, &a[2], 1));
    if (t->raced) { /* the lock changed: it is somebody else's, or nobody's */
        t->raced = false;
        return arili_error_set(t->error, arili_fail(ARIL_E_REPLAY_STALE),
                               "redis: the lock was lost meanwhile; take it again");
    }
    *ret = a[2];
    return ARIL_OK;
}

static aril_status unlock_turn(struct turn *t, struct arili_redis_conn *conn)
{
    const aril_bytes multi[] = { ARILI_LITERAL("MULTI") };
    const aril_bytes del[] = { ARILI_LITERAL("DEL"), t->lock };
    struct arili_redis_answer a;
    ARILI_TRY(check_held(t, conn));
    ARILI_TRY(say(t, conn, multi, 1));
    ARILI_TRY(say(t, conn, del, 2));
    return finish(t, conn, &a);
}

aril_status arili_redis_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                               aril_error *error)
{
    aril_error note = { 0 };
    struct turn t = { .s = state, .fence = fence, .deadline_ns = deadline_ns, .error = &note };
    aril_status st = turn_names(&t, name);
    if (st == ARIL_OK) {
        st = at_node(&t, arili_resp_slot(name), unlock_turn);
    }
    return st == ARIL_OK ? ARIL_OK : arili_error_set(error, st, "%s", note.message);
}

static aril_status put_turn(struct turn *t, struct arili_redis_conn *conn)
{
    const aril_bytes multi[] = { ARILI_LITERAL("MULTI") };
    const aril_store_item *const item = t->item;
    uint8_t head[ARILI_REDIS_HEAD_BYTES];
    uint8_t tail[ARILI_REDIS_TAIL_BYTES];
    size_t value_len = 0;
    struct arili_redis_answer a;
    ARILI_TRY(arili_redis_value_bytes(item, &value_len));
    ARILI_TRY(check_held(t, conn));
    ARILI_TRY(say(t, conn, multi, 1));
    const size_t head_len = arili_redis_set_head(item, value_len, head);
    ARILI_TRY(
        arili_redis_conn_send_raw(conn, (aril_bytes){ head, head_len }, t->deadline_ns, t->error));
    for (size_t i = 0; i < item->part_count; i++) {
        ARILI_TRY(arili_redis_conn_send_raw(conn, item->parts[i], t->deadline_ns, t->error));
    }
    const size_t tail_len = arili_redis_set_tail(item, tail);
    ARILI_TRY(
        arili_redis_conn_send_raw(conn, (aril_bytes){ tail, tail_len }, t->deadline_ns, t->error));
    ARILI_TRY(finish(t, conn, &a));
    return a.first == ARILI_RESP_NIL && item->absent_only ? ARIL_E_EXISTS
           : a.first == ARILI_RESP_SIMPLE
               ? ARIL_OK
               : arili_redis_conn_nonsense(conn, "its answer to SET is none", t->error);
}

void arili_redis_guarded_put(struct arili_redis *s, aril_store_item *item, uint64_t deadline_ns,
                             aril_error *error)
{
    struct turn t = {
        .s = s, .item = item, .fence = item->fence, .deadline_ns = deadline_ns, .error = error
    };
    const uint16_t slot = arili_resp_slot(item->name);
    item->data = NULL;
    item->len = 0;
    if (s->uri.cluster && arili_resp_slot(item->lock) != slot) {
        item->status = arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                                       "redis: in a Cluster a lock guards names of its own slot; "
                                       "give both the same hash tag");
        return;
    }
    item->status = turn_names(&t, item->lock);
    if (item->status == ARIL_OK) {
        item->status = at_node(&t, slot, put_turn);
    }
}
