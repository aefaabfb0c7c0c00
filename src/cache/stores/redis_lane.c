/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include <assert.h>

/*
 * Requests go out as vectors: heads, and what is short, are copied to conn->out; longer parts of
 * values stay where the caller has them. Answers are read while requests are written, and the bytes
 * of a long value go from the socket to where the caller wants them.
 */
#define COPY_MAX     2048u /* a part up to this length is copied */
#define STEP_WRITES  4u    /* in one step, so that other lanes get their turn */
#define STEP_READS   16u
#define WINDOW_MAX   1024u /* requests without an answer */
#define WINDOW_FIRST 64u   /* before it is known how long the values are */
#define WINDOW_MIN   4u
#define WINDOW_BYTES (UINT64_C(4) << 20) /* of answers that a server keeps for us */

/* --- Requests -------------------------------------------------------------------------------- */

aril_status arili_redis_value_bytes(const aril_store_item *item, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < item->part_count; i++) {
        ARILI_ENSURE(item->parts[i].len <= ARIL_STORE_VALUE_BYTES_MAX - len, ARIL_E_LIMIT);
        len += item->parts[i].len;
    }
    *ret_len = len;
    return ARIL_OK;
}

static size_t put_text(const char *text, uint8_t *ret)
{
    memcpy(ret, text, strlen(text));
    return strlen(text);
}

/* ret has the room: the callers' buffers are sized for the longest name. */
static size_t put_bulk(aril_bytes body, uint8_t *ret)
{
    return arili_resp_put_bulk(body, ret, body.len + ARILI_RESP_HEADER_BYTES + 2);
}

size_t arili_redis_set_head(const aril_store_item *item, size_t value_len,
                            uint8_t ret[static ARILI_REDIS_HEAD_BYTES])
{
    const uint64_t args = 3u + (item->ttl_ms != 0 ? 2u : 0u) + (item->absent_only ? 1u : 0u);
    size_t len = arili_resp_put_header('*', args, ret, ARILI_RESP_HEADER_BYTES);
    len += put_text("$3\r\nSET\r\n", ret + len);
    len += put_bulk(item->name, ret + len);
    return len + arili_resp_put_header('$', value_len, ret + len, ARILI_RESP_HEADER_BYTES);
}

size_t arili_redis_set_tail(const aril_store_item *item, uint8_t ret[static ARILI_REDIS_TAIL_BYTES])
{
    size_t len = put_text("\r\n", ret);
    if (item->ttl_ms != 0) {
        uint8_t digits[ARILI_RESP_HEADER_BYTES];
        /* ":123\r\n": the digits alone. Redis refuses times above 2^63 ms. */
        const uint64_t ttl =
            item->ttl_ms < (UINT64_C(1) << 53) ? item->ttl_ms : (UINT64_C(1) << 53);
        const size_t n = arili_resp_put_integer((int64_t)ttl, digits, sizeof digits);
        len += put_text("$2\r\nPX\r\n", ret + len);
        len += put_bulk((aril_bytes){ digits + 1, n - 3 }, ret + len);
    }
    if (item->absent_only) {
        len += put_text("$2\r\nNX\r\n", ret + len);
    }
    return len;
}

static size_t head(const struct arili_redis_lane *lane, const struct arili_redis_job *job,
                   const aril_store_item *item, uint8_t ret[static ARILI_REDIS_HEAD_BYTES])
{
    static const char *const WORDS[] = { [ARILI_REDIS_GET] = "*2\r\n$3\r\nGET\r\n",
                                         [ARILI_REDIS_UNLINK] = "*2\r\n$6\r\nUNLINK\r\n",
                                         [ARILI_REDIS_EXISTS] = "*2\r\n$6\r\nEXISTS\r\n" };
    size_t len = 0;
    if (job->asking) {
        len = put_text("*1\r\n$6\r\nASKING\r\n", ret);
    }
    if (lane->verb == ARILI_REDIS_SET) {
        size_t value_len = 0;
        const aril_status st = arili_redis_value_bytes(item, &value_len);
        assert(st == ARIL_OK); /* was checked before the batch began */
        uint8_t set[ARILI_REDIS_HEAD_BYTES];
        const size_t n = arili_redis_set_head(item, value_len, set);
        memcpy(ret + len, set, n);
        return len + n;
    }
    len += put_text(WORDS[lane->verb], ret + len);
    return len + put_bulk(item->name, ret + len);
}

static uint32_t window(const struct arili_redis_lane *lane)
{
    if (lane->verb != ARILI_REDIS_GET) {
        return WINDOW_MAX;
    }
    if (lane->answered == 0) {
        return WINDOW_FIRST;
    }
    const uint64_t n = WINDOW_BYTES / (lane->bytes / lane->answered + 1);
    return n < WINDOW_MIN ? WINDOW_MIN : n > WINDOW_MAX ? WINDOW_MAX : (uint32_t)n;
}

static bool may_feed(const struct arili_redis_lane *lane)
{
    return lane->fed < lane->count && lane->fed - lane->answered < window(lane);
}

static void add(struct arili_redis_lane *lane, const uint8_t *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (lane->iov_count > 0) {
        struct iovec *const last = &lane->iov[lane->iov_count - 1];
        if ((const uint8_t *)last->iov_base + last->iov_len == data) {
            last->iov_len += len;
            return;
        }
    }
    lane->iov[lane->iov_count++] = (struct iovec){ (void *)data, len };
}

static void add_copy(struct arili_redis_lane *lane, const uint8_t *data, size_t len)
{
    struct arili_redis_conn *const conn = lane->conn;
    if (len > 0) {
        memcpy(conn->out + conn->out_len, data, len);
        add(lane, conn->out + conn->out_len, len);
        conn->out_len += len;
    }
}

/* Adds the next piece of the requests; false when there is no room for it. */
static bool feed_piece(struct arili_redis_lane *lane)
{
    const uint32_t i = lane->queue[lane->fed];
    const aril_store_item *const item = &lane->items[i];
    const size_t room = sizeof lane->conn->out - lane->conn->out_len;
    uint8_t text[ARILI_REDIS_HEAD_BYTES];
    if (lane->iov_count == ARILI_REDIS_IOV) {
        return false;
    }
    if (lane->part == 0) {
        if (room < sizeof text) {
            return false;
        }
        add_copy(lane, text, head(lane, &lane->jobs[i], item, text));
    } else if (lane->part <= item->part_count) {
        const aril_bytes part = item->parts[lane->part - 1];
        if (part.len > COPY_MAX) {
            add(lane, part.data, part.len);
        } else if (part.len > room) {
            return false;
        } else {
            add_copy(lane, part.data, part.len);
        }
    } else {
        if (room < ARILI_REDIS_TAIL_BYTES) {
            return false;
        }
        add_copy(lane, text, arili_redis_set_tail(item, text));
    }
    const size_t pieces = lane->verb == ARILI_REDIS_SET ? item->part_count + 2 : 1;
    lane->part = lane->part + 1 < pieces ? lane->part + 1 : 0;
    lane->fed += lane->part == 0;
    return true;
}

static void feed(struct arili_redis_lane *lane)
{
    lane->iov_at = 0;
    lane->iov_count = 0;
    lane->conn->out_len = 0;
    while (may_feed(lane) && feed_piece(lane)) {
    }
}

bool arili_redis_lane_wants_write(const struct arili_redis_lane *lane)
{
    return lane->iov_at < lane->iov_count || may_feed(lane);
}

bool arili_redis_lane_done(const struct arili_redis_lane *lane)
{
    return lane->answered == lane->count;
}

aril_status arili_redis_lane_write(struct arili_redis_lane *lane)
{
    for (unsigned i = 0; i < STEP_WRITES && arili_redis_lane_wants_write(lane); i++) {
        if (lane->iov_at == lane->iov_count) {
            feed(lane);
        }
        size_t n = 0;
        ARILI_TRY(arili_redis_socket_write(&lane->conn->socket, lane->iov + lane->iov_at,
                                           lane->iov_count - lane->iov_at, lane->deadline_ns, &n,
                                           lane->error));
        const bool stuck = n == 0;
        while (n > 0) {
            struct iovec *const iov = &lane->iov[lane->iov_at];
            const size_t used = n < iov->iov_len ? n : iov->iov_len;
            iov->iov_base = (uint8_t *)iov->iov_base + used;
            iov->iov_len -= used;
            n -= used;
            lane->iov_at += iov->iov_len == 0;
        }
        if (lane->iov_at == lane->iov_count) {
            lane->conn->out_len = 0;
        }
        if (stuck) {
            break;
        }
    }
    return ARIL_OK;
}

/* --- Answers --------------------------------------------------------------------------------- */

static aril_status nonsense(struct arili_redis_lane *lane, const char *what)
{
    return arili_redis_conn_nonsense(lane->conn, what, lane->error);
}

/* Another node has it, or will shortly; or the request has failed. */
static aril_status refused(struct arili_redis_lane *lane, struct arili_redis_job *job,
                           aril_bytes text)
{
    struct arili_redis_verdict v;
    arili_redis_judge(text, &v);
    struct arili_redis *const s = lane->node->store;
    lane->result = v.status;
    if (v.status == ARIL_E_FORMAT) {
        return nonsense(lane, "it points to a node that is none");
    }
    if (!s->uri.cluster || v.trouble == ARILI_REDIS_FINAL) {
        lane->result = arili_redis_refused(&v, lane->node->name, lane->error);
        return ARIL_OK;
    }
    if (v.trouble == ARILI_REDIS_SETTLING) {
        lane->result = arili_redis_refused(&v, lane->node->name, lane->error);
        job->again = true;
        lane->settling = true;
        return ARIL_OK;
    }
    if (job->redirects++ == ARILI_REDIS_REDIRECTS) {
        lane->result = arili_error_set(lane->error, arili_fail(ARIL_E_IO),
                                       "%s: the nodes of the Cluster send a name from one to "
                                       "another; wait until it is consistent",
                                       lane->node->name);
        return ARIL_OK;
    }
    struct arili_redis_node *next = NULL;
    ARILI_TRY(arili_redis_redirect(s, &v, lane->node, &next, lane->error));
    arili_redis_node_drop(job->next);
    job->next = next;
    job->asking_next = v.trouble == ARILI_REDIS_ASK;
    job->again = true;
    lane->moved = lane->moved || v.trouble == ARILI_REDIS_MOVED;
    return ARIL_OK;
}

static void hand_over(struct arili_redis_lane *lane, const aril_store_item *item, aril_bytes piece)
{
    if (item->take(item->user, lane->value_len, lane->value_at, piece) != 0) {
        lane->result = ARIL_E_LIMIT;
    }
}

static void begin_value(struct arili_redis_lane *lane, aril_store_item *item, uint64_t len)
{
    lane->in_value = true;
    lane->value = NULL;
    lane->value_at = 0;
    lane->value_len = (size_t)len; /* the decoder knows the limit */
    lane->result = ARIL_OK;
    lane->taken = item->take != NULL;
    if (lane->taken) {
        if (len == 0) {
            hand_over(lane, item, (aril_bytes){ NULL, 0 });
        }
    } else if (len <= item->buffer.len) {
        lane->value = item->buffer.data;
    } else if (item->room != NULL) {
        lane->value = item->room(item->user, lane->value_len);
        lane->result = lane->value != NULL ? ARIL_OK : arili_fail(ARIL_E_LIMIT);
    } else {
        lane->result = arili_fail(ARIL_E_USAGE_TOO_SMALL);
    }
}

static void take_piece(struct arili_redis_lane *lane, const aril_store_item *item, aril_bytes piece)
{
    if (lane->result != ARIL_OK || piece.len == 0) {
        return;
    }
    if (lane->taken) {
        hand_over(lane, item, piece);
    } else {
        memcpy(lane->value + lane->value_at, piece.data, piece.len);
    }
    lane->value_at += piece.len;
}

/* The outermost value of an answer. */
static aril_status begin_answer(struct arili_redis_lane *lane, struct arili_redis_job *job,
                                aril_store_item *item, const struct arili_resp_event *e)
{
    lane->decided = true;
    job->again = false;
    if (e->kind == ARILI_RESP_ERROR) {
        return refused(lane, job, e->text);
    }
    switch (lane->verb) {
    case ARILI_REDIS_GET:
        if (e->kind == ARILI_RESP_BULK) {
            begin_value(lane, item, e->body_len);
            return ARIL_OK;
        }
        lane->result = ARIL_E_NOT_FOUND;
        return e->kind == ARILI_RESP_NIL ? ARIL_OK : nonsense(lane, "its answer to GET is none");
    case ARILI_REDIS_SET:
        lane->result = e->kind == ARILI_RESP_NIL ? ARIL_E_EXISTS : ARIL_OK;
        return e->kind == ARILI_RESP_SIMPLE || (e->kind == ARILI_RESP_NIL && item->absent_only)
                   ? ARIL_OK
                   : nonsense(lane, "its answer to SET is none");
    default:
        lane->result = e->number > 0 ? ARIL_OK : ARIL_E_NOT_FOUND;
        return e->kind == ARILI_RESP_INTEGER && e->number >= 0 && e->number <= 1
                   ? ARIL_OK
                   : nonsense(lane, "its answer to a command is none");
    }
}

static void end_answer(struct arili_redis_lane *lane, aril_store_item *item)
{
    item->status = lane->result;
    if (lane->in_value) {
        item->len = lane->value_len;
        item->data = lane->result == ARIL_OK ? lane->value : NULL;
        lane->bytes += lane->value_len;
    }
    lane->in_value = false;
    lane->decided = false;
    lane->asked = false;
    lane->answered++;
}

/* ASKING was answered before the request itself. */
static aril_status asking_event(struct arili_redis_lane *lane, const struct arili_resp_event *e)
{
    if (e->kind == ARILI_RESP_END) {
        lane->asked = true;
        return ARIL_OK;
    }
    return e->kind == ARILI_RESP_SIMPLE ? ARIL_OK : nonsense(lane, "its answer to ASKING is none");
}

/* Whether the request whose answer comes was not sent whole. Of several in one vector that is known
 * of the last one, which is enough: each has to be answered. */
static bool is_early(const struct arili_redis_lane *lane)
{
    const bool is_last = lane->answered + 1 == lane->fed && lane->part == 0;
    return lane->answered >= lane->fed || (is_last && lane->iov_at < lane->iov_count);
}

static aril_status take_event(struct arili_redis_lane *lane, const struct arili_resp_event *e)
{
    if (lane->answered == lane->count) {
        return nonsense(lane, "it answers more than it was asked");
    }
    const uint32_t i = lane->queue[lane->answered];
    struct arili_redis_job *const job = &lane->jobs[i];
    aril_store_item *const item = &lane->items[i];
    if (is_early(lane)) {
        /* A request that is too long for it is refused before its end, and the rest of it would be
         * read as something else: the connection is done for. */
        if (lane->answered <= lane->fed && e->kind == ARILI_RESP_ERROR) {
            struct arili_redis_verdict v;
            arili_redis_judge(e->text, &v);
            return arili_redis_refused(&v, lane->node->name, lane->error);
        }
        return nonsense(lane, "it answers before it was asked");
    }
    if (job->asking && !lane->asked) {
        return asking_event(lane, e);
    }
    if (e->kind == ARILI_RESP_END) {
        end_answer(lane, item);
        return ARIL_OK;
    }
    if (e->kind == ARILI_RESP_BODY) {
        take_piece(lane, item, e->text);
        return ARIL_OK;
    }
    return lane->decided ? nonsense(lane, "its answer has more parts than expected")
                         : begin_answer(lane, job, item, e);
}

static aril_status decode(struct arili_redis_lane *lane)
{
    struct arili_redis_conn *const conn = lane->conn;
    for (;;) {
        aril_bytes in = { conn->in + conn->in_at, conn->in_len - conn->in_at };
        struct arili_resp_event e = { 0 };
        const aril_status st = arili_resp_next(&conn->decoder, &in, &e);
        conn->in_at = conn->in_len - in.len;
        /* The decoder refused it where it stands; aggregates are no values, however long. */
        if (st == ARIL_E_LIMIT && in.data[0] == '$') {
            conn->broken = true;
            return arili_error_set(lane->error, st,
                                   "%s: a value is longer than %zu MiB; something else uses the "
                                   "same names",
                                   lane->node->name, ARIL_STORE_VALUE_BYTES_MAX >> 20);
        }
        if (st != ARIL_OK) {
            return nonsense(lane, "its answer is no RESP");
        }
        if (e.kind == ARILI_RESP_MORE) {
            return ARIL_OK;
        }
        ARILI_TRY(take_event(lane, &e));
    }
}

/* Reads what there is: the rest of a value to its place, what follows it to conn->in. */
static aril_status fill(struct arili_redis_lane *lane, size_t *ret_len)
{
    struct arili_redis_conn *const conn = lane->conn;
    if (conn->in_at > 0) {
        memmove(conn->in, conn->in + conn->in_at, conn->in_len - conn->in_at);
        conn->in_len -= conn->in_at;
        conn->in_at = 0;
    }
    const struct iovec rest = { conn->in + conn->in_len, sizeof conn->in - conn->in_len };
    const uint64_t body =
        lane->in_value && !lane->taken && lane->result == ARIL_OK && conn->in_len == 0
            ? arili_resp_body_left(&conn->decoder)
            : 0;
    if (body == 0) {
        if (rest.iov_len == 0) {
            return nonsense(lane, "a line of its answer is too long");
        }
        ARILI_TRY(arili_redis_socket_read(&conn->socket, &rest, 1, ret_len, lane->error));
        conn->in_len += *ret_len;
        return ARIL_OK;
    }
    const struct iovec iov[2] = { { lane->value + lane->value_at, (size_t)body }, rest };
    ARILI_TRY(arili_redis_socket_read(&conn->socket, iov, 2, ret_len, lane->error));
    const size_t direct = *ret_len < body ? *ret_len : (size_t)body;
    arili_resp_skip_body(&conn->decoder, direct);
    lane->value_at += direct;
    conn->in_len = *ret_len - direct;
    return ARIL_OK;
}

aril_status arili_redis_lane_read(struct arili_redis_lane *lane)
{
    /* TLS may hold bytes that poll() does not see, so there all is read, until the deadline. */
    const bool all = lane->conn->socket.tls != NULL;
    for (unsigned i = 0; !arili_redis_lane_done(lane); i++) {
        if (i >= STEP_READS && (!all || arili_redis_poll_ms(lane->deadline_ns) == 0)) {
            break;
        }
        size_t len = 0;
        ARILI_TRY(fill(lane, &len));
        if (len == 0) {
            return ARIL_OK;
        }
        lane->started = true;
        ARILI_TRY(decode(lane));
    }
    return ARIL_OK;
}
