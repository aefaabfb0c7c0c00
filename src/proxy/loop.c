/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
/* Of those who wait for a link, in each tick. */
#define WAKE_MAX 128u
/* With less room than this the scratch block is changed for another. */
#define ROOM_MIN (ARILI_RESP_TEXT_MAX + 32768u)

/* --- Peers ---------------------------------------------------------------------------------- */

static struct arili_peer **list_of(struct arili_loop *loop, enum arili_peer_kind kind)
{
    return kind == ARILI_PEER_CLIENT ? &loop->clients : &loop->all_links;
}

static void list_add(struct arili_peer **list, struct arili_peer *p)
{
    p->next = *list;
    p->at = list;
    if (p->next != NULL) {
        p->next->at = &p->next;
    }
    *list = p;
}

static void list_remove(struct arili_peer *p)
{
    *p->at = p->next;
    if (p->next != NULL) {
        p->next->at = p->at;
    }
    p->next = NULL;
    p->at = NULL;
}

void arili_peer_init(struct arili_peer *p, struct arili_loop *loop, enum arili_peer_kind kind)
{
    p->kind = kind;
    p->loop = loop;
    arili_flow_init(&p->out, &loop->blocks);
    list_add(list_of(loop, kind), p);
}

void arili_peer_touch(struct arili_peer *p)
{
    if (!p->queued) {
        struct arili_loop *loop = p->loop;
        p->queued = true;
        p->next_queued = NULL;
        *loop->queue_end = p;
        loop->queue_end = &p->next_queued;
    }
}

void arili_peer_resume(struct arili_peer *p)
{
    p->paused = false;
    p->resume = true;
    arili_peer_touch(p);
}

void arili_peer_end(struct arili_peer *p)
{
    if (!p->ended) {
        p->ended = true;
        p->paused = true;
        arili_peer_touch(p);
    }
}

static void drop_held(struct arili_peer *p)
{
    arili_block_drop(&p->loop->blocks, p->held);
    p->held = NULL;
    p->held_at = p->held_len = 0;
}

/* --- The loop ------------------------------------------------------------------------------- */

/* The driver's time is monotonic; sealed times are the system's. */
static void set_time(struct arili_loop *loop, uint64_t now_ns)
{
    const aril_clock *clock = &loop->proxy->rt->clock;
    uint64_t s = 0;
    if (now_ns - loop->wall_at_ns < 100 * NS_PER_MS && loop->wall_at_ns != 0) {
        loop->now_ns = now_ns;
        return;
    }
    loop->now_ns = now_ns;
    if (clock->unix_s(clock->state, &s) == ARIL_OK) {
        loop->now_ms = s * 1000;
        loop->wall_at_ns = now_ns;
    }
}

aril_status arili_loop_new(struct arili_proxy *proxy, struct arili_loop **ret)
{
    struct arili_loop *loop = arili_alloc(sizeof *loop);
    ARILI_ENSURE(loop != NULL, ARIL_E_NOMEM);
    loop->proxy = proxy;
    arili_blocks_init(&loop->blocks, &proxy->budget);
    arili_flow_init(&loop->build, &loop->blocks);
    arili_value_batch_init(&loop->values, proxy->rt);
    loop->queue_end = &loop->queue;
    loop->tasks_end = &loop->tasks;
    loop->waiting_end = &loop->waiting;
    const aril_status st = arili_name_cache_new(proxy->rt, &loop->names);
    if (st != ARIL_OK) {
        arili_free(loop, sizeof *loop);
        return st;
    }
    loop->settings = arili_settings_hold(proxy);
    if (loop->settings->config->upstream.cluster) {
        loop->slots = arili_alloc(ARILI_RESP_SLOTS * sizeof(struct arili_node *));
        if (loop->slots == NULL) {
            arili_settings_drop(loop->settings);
            arili_name_cache_free(loop->names);
            arili_free(loop, sizeof *loop);
            return ARIL_E_NOMEM;
        }
    }
    *ret = loop;
    return ARIL_OK;
}

static void free_peer(struct arili_peer *p)
{
    drop_held(p);
    arili_flow_done(&p->out);
    if (p->kind == ARILI_PEER_CLIENT) {
        arili_client_free((struct arili_client *)p);
    } else {
        arili_link_free((struct arili_link *)p);
    }
}

static void bury(struct arili_loop *loop)
{
    while (loop->grave != NULL) {
        struct arili_peer *p = loop->grave;
        loop->grave = p->next;
        free_peer(p);
    }
}

void arili_loop_free(struct arili_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    struct arili_action action;
    for (struct arili_peer *p = loop->clients; p != NULL; p = p->next) {
        arili_peer_end(p);
    }
    do {
        arili_loop_next(loop, &action);
    } while (action.what != ARILI_DO_NOTHING);
    while (loop->jobs != NULL) {
        arili_job_free(loop->jobs);
    }
    for (struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        arili_link_lost((struct arili_link *)p, ARIL_E_INTERRUPTED, "the proxy ends");
    }
    do {
        arili_loop_next(loop, &action);
    } while (action.what != ARILI_DO_NOTHING);
    bury(loop);
    while (loop->nodes != NULL) {
        struct arili_node *next = loop->nodes->next;
        arili_free(loop->nodes, sizeof *loop->nodes);
        loop->nodes = next;
    }
    arili_requests_done(loop);
    arili_flow_done(&loop->build);
    arili_block_drop(&loop->blocks, loop->scratch);
    arili_blocks_done(&loop->blocks);
    arili_value_batch_end(&loop->values);
    arili_key_table_done(&loop->keys);
    arili_name_cache_free(loop->names);
    arili_free(loop->slots, ARILI_RESP_SLOTS * sizeof(struct arili_node *));
    arili_settings_drop(loop->settings);
    arili_free(loop, sizeof *loop);
}

aril_status arili_loop_accept(struct arili_loop *loop, uint32_t listener,
                              const struct arili_identity *identity, void *handle, uint64_t now_ns,
                              struct arili_peer **ret)
{
    struct arili_client *c = NULL;
    bury(loop);
    set_time(loop, now_ns);
    ARILI_TRY(arili_client_new(loop, listener, identity, &c));
    c->peer.handle = handle;
    *ret = &c->peer;
    return ARIL_OK;
}

/* --- Bytes in ------------------------------------------------------------------------------- */

static bool scratch_ready(struct arili_loop *loop)
{
    if (loop->scratch != NULL && loop->scratch->refs == 1) {
        loop->scratch_at = 0;
    }
    if (loop->scratch != NULL && loop->scratch->cap - loop->scratch_at < ROOM_MIN) {
        arili_block_drop(&loop->blocks, loop->scratch);
        loop->scratch = NULL;
    }
    if (loop->scratch == NULL) {
        loop->scratch = arili_block_take(&loop->blocks, ARILI_BLOCK_BIG_BYTES);
        loop->scratch_at = 0;
    }
    return loop->scratch != NULL;
}

aril_span arili_loop_room(struct arili_loop *loop, struct arili_peer *peer)
{
    bury(loop);
    if (!scratch_ready(loop)) {
        return (aril_span){ NULL, 0 };
    }
    /* What is held of a line goes first, so that the line is in one piece. */
    const uint32_t before = peer->held_len;
    if (before >= loop->scratch->cap - loop->scratch_at) {
        return (aril_span){ NULL, 0 };
    }
    uint8_t *at = loop->scratch->data + loop->scratch_at;
    if (before > 0) {
        memcpy(at, peer->held->data + peer->held_at, before);
    }
    return (aril_span){ at + before, loop->scratch->cap - loop->scratch_at - before };
}

static size_t hand_over(struct arili_peer *p, struct arili_block *block, uint8_t *data, size_t n)
{
    return p->kind == ARILI_PEER_CLIENT
               ? arili_client_came((struct arili_client *)p, block, data, n)
               : arili_link_came((struct arili_link *)p, block, data, n);
}

/* What was not used is kept: a little is copied, much keeps its block. */
static void hold(struct arili_peer *p, struct arili_block *block, const uint8_t *data, size_t n)
{
    struct arili_loop *loop = p->loop;
    if (n == 0 || p->ended) {
        return;
    }
    if (n > ARILI_BLOCK_BYTES) {
        arili_block_hold(block);
        p->held = block;
        p->held_at = (uint32_t)(data - block->data);
    } else {
        p->held = arili_block_take(&loop->blocks, ARILI_BLOCK_BYTES);
        if (p->held == NULL) {
            p->kind == ARILI_PEER_CLIENT
                ? arili_peer_end(p)
                : arili_link_lost((struct arili_link *)p, ARIL_E_NOMEM, "out of memory");
            return;
        }
        memcpy(p->held->data, data, n);
        p->held_at = 0;
    }
    p->held_len = (uint32_t)n;
}

void arili_loop_came(struct arili_peer *peer, size_t n, uint64_t now_ns)
{
    struct arili_loop *loop = peer->loop;
    set_time(loop, now_ns);
    if (peer->ended) {
        return;
    }
    struct arili_block *block = loop->scratch;
    loop->has_read = true;
    uint8_t *data = block->data + loop->scratch_at;
    const size_t all = peer->held_len + n;
    drop_held(peer);
    arili_block_hold(block);
    const size_t used = hand_over(peer, block, data, all);
    hold(peer, block, data + used, all - used);
    loop->scratch_at += (uint32_t)all;
    arili_block_drop(&loop->blocks, block);
    arili_peer_touch(peer);
}

/* The same with what is held already. */
static void resume(struct arili_peer *p)
{
    p->resume = false;
    if (p->ended || p->paused) {
        return;
    }
    struct arili_block *block = p->held;
    const uint32_t at = p->held_at;
    const uint32_t len = p->held_len;
    p->held = NULL;
    p->held_len = 0;
    uint8_t none = 0;
    const size_t used = hand_over(p, block, block != NULL ? block->data + at : &none, len);
    if (block != NULL) {
        hold(p, block, block->data + at + used, len - used);
        arili_block_drop(&p->loop->blocks, block);
    }
}

/* --- Bytes out, and the rest of what happens ------------------------------------------------ */

void arili_loop_wrote(struct arili_peer *peer, size_t n)
{
    arili_flow_consume(&peer->out, n);
    if (peer->ended) {
        return;
    }
    if (peer->kind == ARILI_PEER_CLIENT) {
        arili_client_wrote((struct arili_client *)peer, n);
        arili_client_flow((struct arili_client *)peer);
    } else {
        struct arili_link *link = (struct arili_link *)peer;
        if (link->holder.client != NULL) {
            arili_client_advance(link->holder.client);
        } else if (link->holder.job != NULL && link->holder.job->wrote != NULL) {
            link->holder.job->wrote(link->holder.job);
        }
    }
}

void arili_loop_connected(struct arili_peer *peer, uint64_t now_ns)
{
    set_time(peer->loop, now_ns);
    if (!peer->ended) {
        arili_link_connected((struct arili_link *)peer);
    }
}

void arili_loop_ended(struct arili_peer *peer, aril_status st)
{
    if (peer->ended) {
        return;
    }
    if (peer->kind == ARILI_PEER_CLIENT) {
        arili_peer_end(peer);
        return;
    }
    struct arili_link *link = (struct arili_link *)peer;
    const char *why =
        link->state == ARILI_LINK_CONNECTING ? "it cannot be reached" : "it closed the connection";
    arili_link_lost(link,
                    link->holder.client == NULL && link->holder.job == NULL && link->count == 0 &&
                            st == ARIL_OK
                        ? ARIL_E_INTERRUPTED
                        : ARIL_E_IO,
                    why);
}

void arili_loop_work(struct arili_loop *loop, struct arili_task *task)
{
    task->loop = loop;
    task->next = NULL;
    *loop->tasks_end = task;
    loop->tasks_end = &task->next;
    loop->tasks_out++;
}

void arili_loop_done(struct arili_task *task, uint64_t now_ns)
{
    struct arili_loop *loop = task->loop;
    set_time(loop, now_ns);
    loop->tasks_out--;
    task->done(task);
}

/* Settings are taken over between commands. */
static void look_at_settings(struct arili_loop *loop)
{
    struct arili_settings *now = arili_settings_hold(loop->proxy);
    arili_settings_drop(loop->settings);
    loop->settings = now;
}

static void slow_client(struct arili_peer *p)
{
    arili_figure_add(&p->loop->proxy->figures.slow_clients, 1);
    arili_peer_end(p);
}

static void tick_links(struct arili_loop *loop, uint64_t now_ns)
{
    const uint64_t answer_ns = loop->settings->config->upstream.answer_ms * NS_PER_MS;
    for (struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        struct arili_link *link = (struct arili_link *)p;
        if (p->ended) {
            continue;
        }
        if (p->deadline_ns != 0 && now_ns > p->deadline_ns) {
            arili_link_lost(link, ARIL_E_TIMEOUT, "no connection in time");
        } else if (link->stuck) {
            arili_link_unstick(link);
        } else if (link->count > 0 && !p->paused && now_ns > link->heard_ns &&
                   now_ns - link->heard_ns > answer_ns) {
            arili_link_lost(link, ARIL_E_TIMEOUT, "no answer in time");
        }
    }
}

/* What the last read left is not kept while nobody says anything: it may be plaintext. */
static void drop_scratch(struct arili_loop *loop)
{
    if (!loop->has_read) {
        arili_block_drop(&loop->blocks, loop->scratch);
        loop->scratch = NULL;
    }
    loop->has_read = false;
}

void arili_loop_tick(struct arili_loop *loop, uint64_t now_ns)
{
    bury(loop);
    drop_scratch(loop);
    set_time(loop, now_ns);
    look_at_settings(loop);
    arili_value_batch_end(&loop->values);
    for (struct arili_peer *p = loop->clients; p != NULL; p = p->next) {
        if (!p->ended && !arili_client_in_time((struct arili_client *)p, now_ns)) {
            slow_client(p);
        }
    }
    tick_links(loop, now_ns);
    arili_links_probe(loop);
    arili_links_wake(loop, WAKE_MAX); /* what one waits for may be there without a word of it */
    arili_jobs_tick(loop);
}

/* --- What the driver does ------------------------------------------------------------------- */

static bool close_peer(struct arili_peer *p, struct arili_action *ret)
{
    if (p->said) {
        return false;
    }
    if (p->kind == ARILI_PEER_CLIENT) {
        arili_client_lost((struct arili_client *)p);
    }
    p->said = true;
    list_remove(p);
    list_add(&p->loop->grave, p);
    *ret = (struct arili_action){ .what = ARILI_DO_CLOSE, .peer = p };
    return true;
}

static bool act(struct arili_peer *p, struct arili_action *ret)
{
    if (p->out.failed && !p->ended) { /* memory was short: something is missing in it */
        p->kind == ARILI_PEER_CLIENT
            ? arili_peer_end(p)
            : arili_link_lost((struct arili_link *)p, ARIL_E_NOMEM, "out of memory");
    }
    if (p->ended) {
        return close_peer(p, ret);
    }
    if (p->closing && p->out.bytes == 0) {
        p->ended = true;
        return close_peer(p, ret);
    }
    if (p->connect) {
        p->connect = false;
        *ret = (struct arili_action){ .what = ARILI_DO_CONNECT,
                                      .peer = p,
                                      .address = &((struct arili_link *)p)->node->address };
        return true;
    }
    if (p->kind == ARILI_PEER_LINK && ((struct arili_link *)p)->state == ARILI_LINK_CONNECTING) {
        return false;
    }
    *ret = (struct arili_action){ .what = ARILI_DO_UPDATE, .peer = p };
    return true;
}

void arili_loop_next(struct arili_loop *loop, struct arili_action *ret)
{
    *ret = (struct arili_action){ .what = ARILI_DO_NOTHING };
    while (loop->queue != NULL) {
        struct arili_peer *p = loop->queue;
        if (p->resume) {
            resume(p);
            continue; /* it stays first: what it did is told with it */
        }
        loop->queue = p->next_queued;
        if (loop->queue == NULL) {
            loop->queue_end = &loop->queue;
        }
        p->queued = false;
        if (act(p, ret)) {
            return;
        }
    }
    if (loop->tasks != NULL) {
        struct arili_task *task = loop->tasks;
        loop->tasks = task->next;
        if (loop->tasks == NULL) {
            loop->tasks_end = &loop->tasks;
        }
        *ret = (struct arili_action){ .what = ARILI_DO_WORK, .task = task };
    }
}

void arili_loop_drain(struct arili_loop *loop)
{
    loop->draining = true;
    for (struct arili_peer *p = loop->clients; p != NULL; p = p->next) {
        arili_client_advance((struct arili_client *)p);
    }
}

bool arili_loop_is_empty(const struct arili_loop *loop)
{
    return loop->clients == NULL && loop->tasks_out == 0;
}
