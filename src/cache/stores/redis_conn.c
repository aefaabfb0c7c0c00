/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <poll.h>

#define AGGREGATE_MAX (UINT64_C(1) << 20)

aril_status arili_redis_conn_nonsense(struct arili_redis_conn *conn, const char *what,
                                      aril_error *error)
{
    conn->broken = true;
    return arili_error_set(error, arili_fail(ARIL_E_FORMAT),
                           "%s: %s; check that it is a Redis or Valkey server, and nothing stands "
                           "in between",
                           conn->node->name, what);
}

void arili_redis_conn_close(struct arili_redis_conn *conn)
{
    if (conn != NULL) {
        arili_redis_socket_close(&conn->socket);
        arili_free(conn, sizeof *conn);
    }
}

void arili_redis_conn_closep(struct arili_redis_conn **conn)
{
    arili_redis_conn_close(*conn);
}

/* --- Sending --------------------------------------------------------------------------------- */

static aril_status write_all(struct arili_redis_conn *conn, aril_bytes bytes, uint64_t deadline_ns,
                             aril_error *error)
{
    size_t at = 0;
    while (at < bytes.len) {
        const struct iovec iov = { (void *)(bytes.data + at), bytes.len - at };
        size_t len = 0;
        aril_status st = arili_redis_socket_write(&conn->socket, &iov, 1, deadline_ns, &len, error);
        if (st == ARIL_OK && len == 0) {
            st = arili_redis_socket_wait(&conn->socket, POLLOUT, deadline_ns, error);
        }
        if (st != ARIL_OK) {
            conn->broken = true;
            return st;
        }
        at += len;
    }
    return ARIL_OK;
}

aril_status arili_redis_conn_flush(struct arili_redis_conn *conn, uint64_t deadline_ns,
                                   aril_error *error)
{
    const size_t len = conn->out_len;
    conn->out_len = 0;
    const aril_status st = write_all(conn, (aril_bytes){ conn->out, len }, deadline_ns, error);
    arili_wipe(conn->out, len); /* it may have been a password */
    return st;
}

aril_status arili_redis_conn_send(struct arili_redis_conn *conn, const aril_bytes *args,
                                  size_t count, uint64_t deadline_ns, aril_error *error)
{
    const size_t len = arili_resp_put_command(args, count, NULL, 0);
    if (len > sizeof conn->out - conn->out_len) {
        ARILI_TRY(arili_redis_conn_flush(conn, deadline_ns, error));
    }
    if (len <= sizeof conn->out) {
        conn->out_len += arili_resp_put_command(args, count, conn->out + conn->out_len,
                                                sizeof conn->out - conn->out_len);
        return ARIL_OK;
    }
    uint8_t head[ARILI_RESP_HEADER_BYTES];
    size_t n = arili_resp_put_header('*', count, head, sizeof head);
    ARILI_TRY(arili_redis_conn_send_raw(conn, (aril_bytes){ head, n }, deadline_ns, error));
    for (size_t i = 0; i < count; i++) {
        n = arili_resp_put_header('$', args[i].len, head, sizeof head);
        ARILI_TRY(arili_redis_conn_send_raw(conn, (aril_bytes){ head, n }, deadline_ns, error));
        ARILI_TRY(arili_redis_conn_send_raw(conn, args[i], deadline_ns, error));
        ARILI_TRY(arili_redis_conn_send_raw(conn, ARILI_LITERAL("\r\n"), deadline_ns, error));
    }
    return ARIL_OK;
}

aril_status arili_redis_conn_send_raw(struct arili_redis_conn *conn, aril_bytes bytes,
                                      uint64_t deadline_ns, aril_error *error)
{
    if (bytes.len > sizeof conn->out - conn->out_len) {
        ARILI_TRY(arili_redis_conn_flush(conn, deadline_ns, error));
    }
    if (bytes.len > sizeof conn->out) {
        return write_all(conn, bytes, deadline_ns, error);
    }
    if (bytes.len > 0) {
        memcpy(conn->out + conn->out_len, bytes.data, bytes.len);
        conn->out_len += bytes.len;
    }
    return ARIL_OK;
}

/* --- Receiving ------------------------------------------------------------------------------- */

/* At least one more byte, or a failure. */
static aril_status fill(struct arili_redis_conn *conn, uint64_t deadline_ns, aril_error *error)
{
    if (conn->in_at > 0) {
        memmove(conn->in, conn->in + conn->in_at, conn->in_len - conn->in_at);
        conn->in_len -= conn->in_at;
        conn->in_at = 0;
    }
    if (conn->in_len == sizeof conn->in) {
        return arili_redis_conn_nonsense(conn, "a line of its answer is too long", error);
    }
    for (;;) {
        const struct iovec iov = { conn->in + conn->in_len, sizeof conn->in - conn->in_len };
        size_t len = 0;
        aril_status st = arili_redis_socket_read(&conn->socket, &iov, 1, &len, error);
        if (st == ARIL_OK && len == 0) {
            st = arili_redis_socket_wait(&conn->socket, POLLIN, deadline_ns, error);
        }
        if (st != ARIL_OK) {
            conn->broken = true;
            return st;
        }
        if (len > 0) {
            conn->in_len += len;
            return ARIL_OK;
        }
    }
}

/* Whoever reads what is there without a wait looks here in between: a server that never stops
 * talking must neither outlast the deadline nor keep the listener from ending. */
static aril_status go_on(struct arili_redis_conn *conn, bool begun, uint64_t deadline_ns,
                         aril_error *error)
{
    struct pollfd stop = { .fd = conn->socket.stop_fd, .events = POLLIN };
    if (stop.fd >= 0 && poll(&stop, 1, 0) > 0) {
        conn->broken = true;
        return arili_fail(ARIL_E_INTERRUPTED);
    }
    if (begun && arili_redis_poll_ms(deadline_ns) == 0) {
        conn->broken = true;
        return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                               "%s: its answer had no end within the deadline; check its load, or "
                               "raise deadline_ms",
                               conn->node->name);
    }
    return ARIL_OK;
}

struct reading {
    aril_span room;
    size_t len;
    bool cut;
    struct arili_redis_value open; /* the bulk that is being read */
};

/* Tells fn what the event completes. */
static aril_status tell(struct reading *r, const struct arili_resp_event *e,
                        arili_redis_value_fn *fn, void *user)
{
    struct arili_redis_value v = {
        .kind = e->kind, .depth = e->depth, .number = e->number, .count = e->count, .text = e->text
    };
    switch (e->kind) {
    case ARILI_RESP_BULK:
    case ARILI_RESP_VERBATIM:
    case ARILI_RESP_BLOB_ERROR:
        r->open = v;
        r->len = 0;
        r->cut = false;
        return ARIL_OK;
    case ARILI_RESP_BODY: {
        const size_t n = e->text.len < r->room.len - r->len ? e->text.len : r->room.len - r->len;
        if (n > 0) {
            memcpy(r->room.data + r->len, e->text.data, n);
        }
        r->len += n;
        r->cut = r->cut || n < e->text.len;
        if (!e->last) {
            return ARIL_OK;
        }
        v = r->open;
        v.text = (aril_bytes){ r->room.data, r->len };
        v.cut = r->cut;
        return fn(user, &v);
    }
    default:
        return fn(user, &v);
    }
}

aril_status arili_redis_conn_receive(struct arili_redis_conn *conn, aril_span room,
                                     arili_redis_value_fn *fn, void *user, uint64_t deadline_ns,
                                     aril_error *error)
{
    struct reading r = { .room = room };
    bool begun = false; /* something was read for it */
    if (room.len == 0) {
        r.room = (aril_span){ conn->text, sizeof conn->text };
    }
    for (;;) {
        aril_bytes in = { conn->in + conn->in_at, conn->in_len - conn->in_at };
        struct arili_resp_event e = { 0 };
        const aril_status st = arili_resp_next(&conn->decoder, &in, &e);
        conn->in_at = conn->in_len - in.len;
        if (st != ARIL_OK) {
            return arili_redis_conn_nonsense(conn, "its answer is no RESP", error);
        }
        if (e.kind == ARILI_RESP_END) {
            return ARIL_OK;
        }
        if (e.kind == ARILI_RESP_MORE) {
            ARILI_TRY(go_on(conn, begun, deadline_ns, error));
            ARILI_TRY(fill(conn, deadline_ns, error));
            begun = true;
            continue;
        }
        const aril_status told = tell(&r, &e, fn, user);
        if (told != ARIL_OK) {
            conn->broken = true;
            return arili_error_set(error, told, "%s: its answer makes no sense", conn->node->name);
        }
    }
}

static aril_status note_answer(void *user, const struct arili_redis_value *v)
{
    struct arili_redis_answer *const a = user;
    const bool outermost = a->kind == ARILI_RESP_MORE;
    const bool first = !outermost && a->first == ARILI_RESP_MORE;
    if (outermost) {
        a->kind = v->kind;
        a->count = v->count;
    } else if (first) {
        a->first = v->kind;
    }
    if (outermost || first) {
        a->number = v->number;
        a->len = v->text.len < sizeof a->text ? v->text.len : sizeof a->text;
        if (a->len > 0) {
            memcpy(a->text, v->text.data, a->len);
        }
    }
    return ARIL_OK;
}

aril_status arili_redis_conn_answer(struct arili_redis_conn *conn, struct arili_redis_answer *ret,
                                    uint64_t deadline_ns, aril_error *error)
{
    memset(ret, 0, sizeof *ret);
    return arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, note_answer, ret, deadline_ns,
                                    error);
}

/* --- Login ----------------------------------------------------------------------------------- */

struct hello {
    struct arili_redis_conn *conn;
    const struct arili_redis_login *login;
    uint64_t deadline_ns;
    aril_error *error;
};

static aril_status ask(const struct hello *h, const aril_bytes *args, size_t count,
                       struct arili_redis_answer *ret)
{
    ARILI_TRY(arili_redis_conn_send(h->conn, args, count, h->deadline_ns, h->error));
    ARILI_TRY(arili_redis_conn_flush(h->conn, h->deadline_ns, h->error));
    return arili_redis_conn_answer(h->conn, ret, h->deadline_ns, h->error);
}

/* What the server says to a login is never repeated whole: it may hold the password. */
static aril_status login_refused(const struct hello *h, const struct arili_redis_answer *a,
                                 bool is_auth)
{
    struct arili_redis_verdict v;
    arili_redis_judge((aril_bytes){ a->text, a->len }, &v);
    if (is_auth || v.status == ARIL_E_AUTH) {
        v.status = ARIL_E_AUTH;
        return arili_error_set(h->error, arili_fail(v.status),
                               "%s: the server refuses user \"%s\"%s; check user and password "
                               "(secret_path), and the server's ACL",
                               h->conn->node->name,
                               h->login->user[0] != '\0' ? h->login->user : "default",
                               h->login->password.len > 0 ? "" : " without a password");
    }
    return arili_redis_refused(&v, h->conn->node->name, h->error);
}

/* Of a server that does not know HELLO: RESP2, and AUTH in the form that it does know. */
static aril_status login_old(const struct hello *h)
{
    h->conn->decoder.limits.resp3 = false;
    if (h->login->password.len == 0) {
        return ARIL_OK;
    }
    const bool has_user = h->login->user[0] != '\0';
    const aril_bytes user = { (const uint8_t *)h->login->user, strlen(h->login->user) };
    const aril_bytes args[3] = { ARILI_LITERAL("AUTH"), has_user ? user : h->login->password,
                                 h->login->password };
    struct arili_redis_answer a;
    ARILI_TRY(ask(h, args, has_user ? 3 : 2, &a));
    if (a.kind == ARILI_RESP_ERROR) {
        return login_refused(h, &a, true);
    }
    return a.kind == ARILI_RESP_SIMPLE
               ? ARIL_OK
               : arili_redis_conn_nonsense(h->conn, "its answer to AUTH is none", h->error);
}

static bool begins(const struct arili_redis_answer *a, const char *text)
{
    return a->len >= strlen(text) && memcmp(a->text, text, strlen(text)) == 0;
}

static aril_status login(const struct hello *h)
{
    const char *const user = h->login->user[0] != '\0' ? h->login->user : "default";
    const aril_bytes args[5] = { ARILI_LITERAL("HELLO"),
                                 ARILI_LITERAL("3"),
                                 ARILI_LITERAL("AUTH"),
                                 { (const uint8_t *)user, strlen(user) },
                                 h->login->password };
    struct arili_redis_answer a;
    ARILI_TRY(ask(h, args, h->login->password.len > 0 ? 5 : 2, &a));
    if (a.kind == ARILI_RESP_MAP) {
        return ARIL_OK;
    }
    if (a.kind != ARILI_RESP_ERROR) {
        return arili_redis_conn_nonsense(h->conn, "its answer to HELLO is none", h->error);
    }
    if (begins(&a, "ERR unknown command") || begins(&a, "NOPROTO")) {
        return login_old(h);
    }
    return login_refused(h, &a, false);
}

/* The name of the connection is for those who look at the server; the database is not. */
static aril_status set_up(const struct hello *h)
{
    const aril_bytes name[] = { ARILI_LITERAL("CLIENT"), ARILI_LITERAL("SETNAME"),
                                ARILI_LITERAL("aril") };
    uint8_t digits[ARILI_RESP_HEADER_BYTES];
    const size_t len = arili_resp_put_integer(h->login->db, digits, sizeof digits);
    const aril_bytes select[] = { ARILI_LITERAL("SELECT"), { digits + 1, len - 3 } };
    struct arili_redis_answer a;
    ARILI_TRY(arili_redis_conn_send(h->conn, name, 3, h->deadline_ns, h->error));
    if (h->login->db != 0) {
        ARILI_TRY(arili_redis_conn_send(h->conn, select, 2, h->deadline_ns, h->error));
    }
    ARILI_TRY(arili_redis_conn_flush(h->conn, h->deadline_ns, h->error));
    ARILI_TRY(arili_redis_conn_answer(h->conn, &a, h->deadline_ns, h->error));
    if (a.kind == ARILI_RESP_ERROR && begins(&a, "NOAUTH")) {
        return login_refused(h, &a, false); /* RESP2: HELLO would have said so */
    }
    if (h->login->db == 0) {
        return ARIL_OK;
    }
    ARILI_TRY(arili_redis_conn_answer(h->conn, &a, h->deadline_ns, h->error));
    if (a.kind == ARILI_RESP_ERROR) {
        struct arili_redis_verdict v;
        arili_redis_judge((aril_bytes){ a.text, a.len }, &v);
        if (begins(&a, "ERR DB index")) {
            return arili_error_set(h->error, arili_fail(ARIL_E_USAGE_RANGE),
                                   "%s: the server has no database %u; take a lower number, or "
                                   "raise its databases",
                                   h->conn->node->name, (unsigned)h->login->db);
        }
        return arili_redis_refused(&v, h->conn->node->name, h->error);
    }
    return a.kind == ARILI_RESP_SIMPLE
               ? ARIL_OK
               : arili_redis_conn_nonsense(h->conn, "its answer to SELECT is none", h->error);
}

static aril_status reach(struct arili_redis_conn *conn, struct arili_redis_resolved *resolved,
                         uint64_t deadline_ns, aril_error *error)
{
    struct arili_redis_node *const node = conn->node;
    struct arili_redis_resolved fresh;
    const aril_status st = arili_redis_resolve(&node->address, deadline_ns, &fresh, error);
    if (st == ARIL_OK) {
        *resolved = fresh;
    } else if (resolved->count == 0) {
        return st; /* else the address that worked last may still be right */
    }
    return arili_redis_socket_open(&conn->socket, &node->address, resolved, node->store->tls,
                                   deadline_ns, error);
}

aril_status arili_redis_conn_open(struct arili_redis_node *node,
                                  const struct arili_redis_login *credentials, int stop_fd,
                                  uint64_t deadline_ns, struct arili_redis_conn **ret,
                                  aril_error *error)
{
    ARILI_DEFER(arili_redis_conn_closep) struct arili_redis_conn *conn = arili_alloc(sizeof *conn);
    if (conn == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM), "%s: out of memory", node->name);
    }
    conn->node = node;
    conn->socket = (struct arili_redis_socket){ .fd = -1, .stop_fd = stop_fd, .name = node->name };
    arili_resp_decoder_init(&conn->decoder,
                            &(struct arili_resp_limits){ .bulk_max = ARIL_STORE_VALUE_BYTES_MAX,
                                                         .count_max = AGGREGATE_MAX,
                                                         .resp3 = true });
    struct arili_redis_resolved resolved;
    (void)pthread_mutex_lock(&node->store->mutex);
    resolved = node->resolved;
    (void)pthread_mutex_unlock(&node->store->mutex);
    ARILI_TRY(reach(conn, &resolved, deadline_ns, error));
    const struct hello h = { conn, credentials, deadline_ns, error };
    ARILI_TRY(login(&h));
    ARILI_TRY(set_up(&h));
    (void)pthread_mutex_lock(&node->store->mutex);
    node->resolved = resolved;
    (void)pthread_mutex_unlock(&node->store->mutex);
    *ret = ARILI_TAKE(conn);
    return ARIL_OK;
}
