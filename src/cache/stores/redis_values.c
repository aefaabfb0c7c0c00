/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <errno.h>
#include <poll.h>

/*
 * A batch goes in rounds. In each, what is still to be asked is grouped by node; all nodes are
 * asked before any answer is waited for. What was sent elsewhere by a Cluster goes to the next
 * round. In an ordinary batch the first round is the only one.
 */
struct batch {
    struct arili_redis *s;
    enum arili_redis_verb verb;
    aril_store_item *items;
    uint32_t count;
    uint64_t deadline_ns;
    aril_error *error;
    struct arili_redis_job *jobs;
    uint32_t *queue; /* indices of the items of a round, by lane */
    struct arili_redis_lane *lanes;
    size_t lane_count, lane_cap;
    bool refreshed; /* the map was read again */
};

static void batch_done(struct batch *b)
{
    for (uint32_t i = 0; b->jobs != NULL && i < b->count; i++) {
        arili_redis_node_drop(b->jobs[i].node);
        arili_redis_node_drop(b->jobs[i].next);
    }
    for (size_t i = 0; i < b->lane_count; i++) {
        arili_redis_pool_give(b->lanes[i].conn);
    }
    arili_free(b->lanes, b->lane_cap * sizeof *b->lanes);
    arili_free(b->queue, b->count * sizeof *b->queue);
    arili_free(b->jobs, b->count * sizeof *b->jobs);
}

/* --- Lanes ----------------------------------------------------------------------------------- */

/* Whether asking twice is as good as once. */
static bool repeatable(const struct arili_redis_lane *lane, const aril_store_item *item)
{
    return lane->verb != ARILI_REDIS_SET || !item->absent_only;
}

/* The connection is lost: what was not answered fails, or is tried once more when all that
 * happened is that a kept connection had been closed meanwhile. */
static void lane_fail(struct arili_redis_lane *lane, aril_status st)
{
    struct arili_redis_conn *const conn = lane->conn;
    const bool stale = conn != NULL && conn->used && !lane->started && st == ARIL_E_IO;
    if (lane->in_value && lane->value != NULL) { /* what was taken is the caller's already */
        arili_wipe(lane->value, lane->value_at);
    }
    if (conn != NULL) {
        conn->broken = true;
        arili_redis_pool_give(conn);
        lane->conn = NULL;
    }
    /* When all is answered, more came than was asked for: then it is not known which answer was
     * whose. */
    const uint32_t from = lane->answered < lane->count ? lane->answered : 0;
    for (uint32_t k = from; k < lane->count; k++) {
        const uint32_t i = lane->queue[k];
        struct arili_redis_job *const job = &lane->jobs[i];
        aril_store_item *const item = &lane->items[i];
        item->data = NULL;
        item->len = 0;
        job->again = stale && repeatable(lane, item) && job->redirects < ARILI_REDIS_REDIRECTS;
        job->redirects += job->again;
        job->unreached = st == ARIL_E_IO || st == ARIL_E_TIMEOUT;
        /* Too long is said of one value; the others were lost with the connection. */
        item->status = st == ARIL_E_LIMIT && k > from ? ARIL_E_IO : st;
    }
    lane->answered = lane->count;
}

/* The beginning of one answer more. */
static void lane_check_end(struct arili_redis_lane *lane)
{
    if (lane->conn != NULL && lane->conn->in_at < lane->conn->in_len) {
        lane_fail(lane, arili_redis_conn_nonsense(lane->conn, "it answers more than it was asked",
                                                  lane->error));
    }
}

static void lane_step(struct arili_redis_lane *lane, short events)
{
    aril_status st = ARIL_OK;
    if ((events & (POLLIN | POLLERR | POLLHUP)) != 0) {
        st = arili_redis_lane_read(lane);
    }
    if (st == ARIL_OK && (events & POLLOUT) != 0 && !arili_redis_lane_done(lane)) {
        st = arili_redis_lane_write(lane);
    }
    if (st != ARIL_OK) {
        lane_fail(lane, st);
    }
}

static void connect_lane(struct batch *b, struct arili_redis_lane *lane)
{
    const uint64_t now = arili_redis_now_ns();
    const uint64_t left = now < b->deadline_ns ? b->deadline_ns - now : 0;
    /* A node that is silent must not take the time of the others. */
    const uint64_t share = b->lane_count > 1 ? left / 2 : left;
    const aril_status st = arili_redis_pool_take(lane->node, now + share, &lane->conn, b->error);
    if (st != ARIL_OK) {
        lane_fail(lane, st);
        return;
    }
    lane_step(lane, POLLOUT);
}

/* One wait for all lanes; false at the deadline. */
static bool pump(struct batch *b, struct pollfd *fds, struct arili_redis_lane **busy)
{
    nfds_t n = 0;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct arili_redis_lane *const lane = &b->lanes[i];
        if (!arili_redis_lane_done(lane)) {
            const bool write = arili_redis_lane_wants_write(lane);
            busy[n] = lane;
            fds[n++] = (struct pollfd){ .fd = lane->conn->socket.fd,
                                        .events = (short)(POLLIN | (write ? POLLOUT : 0)) };
        }
    }
    const int ms = arili_redis_poll_ms(b->deadline_ns);
    const int ready = poll(fds, n, ms);
    if (ready <= 0) {
        return ms > 0 && (ready == 0 || errno == EINTR);
    }
    for (nfds_t i = 0; i < n; i++) {
        lane_step(busy[i], fds[i].revents);
    }
    return ms > 0; /* what was there at the deadline counts; what goes on after it does not */
}

static bool all_done(const struct batch *b)
{
    bool done = true;
    for (size_t i = 0; i < b->lane_count; i++) {
        done = done && arili_redis_lane_done(&b->lanes[i]);
    }
    return done;
}

static void run_lanes(struct batch *b)
{
    struct pollfd fds[ARILI_REDIS_NODES_MAX];
    struct arili_redis_lane *busy[ARILI_REDIS_NODES_MAX];
    /* First those that have a connection: they work while the others get one. */
    for (size_t i = 0; i < b->lane_count; i++) {
        b->lanes[i].conn = arili_redis_pool_idle(b->lanes[i].node);
        if (b->lanes[i].conn != NULL) {
            lane_step(&b->lanes[i], POLLOUT);
        }
    }
    for (size_t i = 0; i < b->lane_count; i++) {
        if (b->lanes[i].conn == NULL && !arili_redis_lane_done(&b->lanes[i])) {
            connect_lane(b, &b->lanes[i]);
        }
    }
    while (!all_done(b)) {
        if (!pump(b, fds, busy)) {
            break;
        }
    }
    for (size_t i = 0; i < b->lane_count; i++) {
        struct arili_redis_lane *const lane = &b->lanes[i];
        if (!arili_redis_lane_done(lane)) {
            lane_fail(lane, arili_error_set(b->error, arili_fail(ARIL_E_TIMEOUT),
                                            "%s: no answer within the deadline; check its load, "
                                            "or raise deadline_ms",
                                            lane->node->name));
        }
        lane_check_end(lane);
        arili_redis_pool_give(lane->conn);
        lane->conn = NULL;
    }
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static aril_status lanes_reserve(struct batch *b, size_t count)
{
    if (count > b->lane_cap) {
        arili_free(b->lanes, b->lane_cap * sizeof *b->lanes);
        b->lane_cap = 0;
        b->lanes = arili_alloc(count * sizeof *b->lanes);
        ARILI_ENSURE(b->lanes != NULL, ARIL_E_NOMEM);
        b->lane_cap = count;
    }
    memset(b->lanes, 0, b->lane_cap * sizeof *b->lanes);
    b->lane_count = count;
    return ARIL_OK;
}

/* Groups what is to be asked by node, in the order of the items. *ret_count: how many. */
static aril_status group(struct batch *b, uint32_t *ret_count)
{
    struct arili_redis_node *nodes[ARILI_REDIS_NODES_MAX];
    uint32_t counts[ARILI_REDIS_NODES_MAX] = { 0 };
    size_t lanes = 0;
    size_t k = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct arili_redis_job *const job = &b->jobs[i];
        if (job->again) {
            for (k = k < lanes && nodes[k] == job->node ? k : 0; k < lanes && nodes[k] != job->node;
                 k++) {
            }
            ARILI_ENSURE(k < ARILI_REDIS_NODES_MAX, ARIL_E_LIMIT);
            nodes[k] = job->node;
            lanes += k == lanes;
            counts[k]++;
            ++*ret_count;
        }
    }
    ARILI_TRY(lanes_reserve(b, lanes));
    const uint32_t *queue = b->queue;
    for (size_t j = 0; j < lanes; j++) {
        b->lanes[j] = (struct arili_redis_lane){ .verb = b->verb,
                                                 .items = b->items,
                                                 .jobs = b->jobs,
                                                 .queue = queue,
                                                 .node = nodes[j],
                                                 .deadline_ns = b->deadline_ns,
                                                 .error = b->error };
        queue += counts[j];
    }
    k = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct arili_redis_job *const job = &b->jobs[i];
        if (job->again) {
            for (k = k < lanes && nodes[k] == job->node ? k : 0; nodes[k] != job->node; k++) {
            }
            struct arili_redis_lane *const lane = &b->lanes[k];
            b->queue[(size_t)(lane->queue - b->queue) + lane->count++] = i;
        }
    }
    return ARIL_OK;
}

/* Nodes failed, or slots moved: once in a batch the map is read again. */
static void look_again(struct batch *b, uint64_t generation)
{
    bool unreached = false;
    bool moved = false;
    for (size_t i = 0; i < b->lane_count; i++) {
        moved = moved || b->lanes[i].moved;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        unreached = unreached || (b->jobs[i].unreached && !b->jobs[i].again);
    }
    if (b->refreshed || (!unreached && !moved)) {
        return;
    }
    b->refreshed = true;
    /* When it fails, what is known is what there is. */
    if (arili_redis_map_refresh(b->s, generation, b->deadline_ns, NULL) != ARIL_OK) {
        return;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct arili_redis_job *const job = &b->jobs[i];
        if (!job->unreached || job->again || job->redirects == ARILI_REDIS_REDIRECTS) {
            continue;
        }
        struct arili_redis_node *node = NULL;
        if (arili_redis_route(b->s, job->slot, &node, NULL) == ARIL_OK && node != job->node &&
            (b->verb != ARILI_REDIS_SET || !b->items[i].absent_only)) {
            job->next = node;
            job->asking_next = false;
            job->again = true;
            job->redirects++;
        } else {
            arili_redis_node_drop(node);
        }
    }
}

/* What is tried again goes where it was sent. */
static void advance(struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct arili_redis_job *const job = &b->jobs[i];
        job->unreached = false;
        if (job->next != NULL) {
            arili_redis_node_drop(job->node);
            job->node = job->next;
            job->next = NULL;
            job->asking = job->asking_next;
        }
    }
}

static bool settles(const struct batch *b)
{
    for (size_t i = 0; i < b->lane_count; i++) {
        if (b->lanes[i].settling) {
            return arili_redis_settle(b->deadline_ns);
        }
    }
    return true;
}

/* Where each item goes. A value that is too long goes nowhere. */
static aril_status begin(struct batch *b)
{
    struct arili_redis *const s = b->s;
    if (s->uri.cluster && arili_redis_map_generation(s) == 0) {
        ARILI_TRY(arili_redis_map_refresh(s, 0, b->deadline_ns, b->error));
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct arili_redis_job *const job = &b->jobs[i];
        aril_store_item *const item = &b->items[i];
        size_t len = 0;
        item->data = NULL;
        item->len = 0;
        item->status = b->verb == ARILI_REDIS_SET ? arili_redis_value_bytes(item, &len) : ARIL_OK;
        job->again = item->status == ARIL_OK;
        if (job->again) {
            job->slot = s->uri.cluster ? arili_resp_slot(item->name) : 0;
            ARILI_TRY(arili_redis_route(s, job->slot, &job->node, b->error));
        }
    }
    return ARIL_OK;
}

static aril_status rounds(struct batch *b)
{
    ARILI_TRY(begin(b));
    for (;;) {
        uint32_t left = 0;
        ARILI_TRY(group(b, &left));
        if (left == 0) {
            return ARIL_OK;
        }
        const uint64_t generation = arili_redis_map_generation(b->s);
        run_lanes(b);
        if (b->s->uri.cluster) {
            look_again(b, generation);
        }
        if (!settles(b)) {
            return ARIL_OK; /* the items have what the server said last */
        }
        advance(b);
    }
}

static void fail_all(aril_store_item *items, size_t count, aril_status st)
{
    for (size_t i = 0; i < count; i++) {
        items[i].status = st;
        items[i].data = NULL;
        items[i].len = 0;
    }
}

/* Asks for items without guards. */
static void run(struct arili_redis *s, enum arili_redis_verb verb, aril_store_item *items,
                size_t count, uint64_t deadline_ns, aril_error *error)
{
    if (count == 0) {
        return;
    }
    ARILI_DEFER(batch_done)
    struct batch b = { .s = s,
                       .verb = verb,
                       .items = items,
                       .count = (uint32_t)count,
                       .deadline_ns = deadline_ns,
                       .error = error };
    b.jobs = arili_alloc(count * sizeof *b.jobs);
    b.queue = arili_alloc(count * sizeof *b.queue);
    aril_status st = ARIL_E_NOMEM;
    if (b.jobs != NULL && b.queue != NULL) {
        st = rounds(&b);
    }
    if (st != ARIL_OK) {
        fail_all(items, count, st);
    }
}

/* --- The table's functions ------------------------------------------------------------------- */

static bool is_answer(aril_status st)
{
    switch (st) {
    case ARIL_OK:
    case ARIL_E_NOT_FOUND:
    case ARIL_E_EXISTS:
    case ARIL_E_REPLAY_STALE:
    case ARIL_E_USAGE_TOO_SMALL:
    case ARIL_E_LIMIT:
    case ARIL_E_IO_FULL:
        return true;
    default:
        return false;
    }
}

/* ARIL_OK when the store answered for any item; *error is filled when it did not for some. */
static aril_status conclude(const aril_store_item *items, size_t count, const aril_error *note,
                            aril_error *error)
{
    aril_status failed = ARIL_OK;
    bool asked = count == 0;
    for (size_t i = 0; i < count; i++) {
        const aril_status st = items[i].status;
        asked = asked || is_answer(st);
        failed = is_answer(st) || failed != ARIL_OK ? failed : st;
    }
    if (failed != ARIL_OK) {
        (void)arili_error_set(error, failed, "%s",
                              note->status != ARIL_OK ? note->message : aril_status_text(failed));
    }
    return asked ? ARIL_OK : failed;
}

aril_status arili_redis_get(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                            aril_error *error)
{
    aril_error note = { 0 };
    run(state, ARILI_REDIS_GET, items, count, deadline_ns, &note);
    return conclude(items, count, &note, error);
}

aril_status arili_redis_put(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                            aril_error *error)
{
    aril_error note = { 0 };
    size_t from = 0;
    /* In order: of two items with one name the later one wins. */
    for (size_t i = 0; i <= count; i++) {
        if (i < count && items[i].lock.len == 0) {
            continue;
        }
        if (i > from) {
            run(state, ARILI_REDIS_SET, items + from, i - from, deadline_ns, &note);
        }
        if (i < count) {
            arili_redis_guarded_put(state, &items[i], deadline_ns, &note);
        }
        from = i + 1;
    }
    return conclude(items, count, &note, error);
}

aril_status arili_redis_erase(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    aril_error note = { 0 };
    run(state, ARILI_REDIS_UNLINK, items, count, deadline_ns, &note);
    return conclude(items, count, &note, error);
}

aril_status arili_redis_exists(void *state, aril_store_item *items, size_t count,
                               uint64_t deadline_ns, aril_error *error)
{
    aril_error note = { 0 };
    run(state, ARILI_REDIS_EXISTS, items, count, deadline_ns, &note);
    return conclude(items, count, &note, error);
}
