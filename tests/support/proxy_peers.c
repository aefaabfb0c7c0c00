/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_peers.h"
#include "check.h"
#include "proxy/loop_internal.h"
#include "proxy_config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS  UINT64_C(1000000)
#define IOVECS_MAX 16u

/* --- Beginning and end ---------------------------------------------------------------------- */

struct arili_proxy_config *proxy_peers_config(void)
{
    return proxy_config_parse(PROXY_CONFIG_TOP
                              "[upstream]\nserver = redis://127.0.0.1:6380\n"
                              "[listen]\naddress = 127.0.0.1:6379\ntenant = alice\n"
                              "[listen]\naddress = 127.0.0.1:6378\ntenant = bob\n"
                              "[tenant alice]\n[tenant bob]\n");
}

static void keep_log(void *user, int level, const char *text)
{
    struct proxy_peers *p = user;
    (void)snprintf(p->log, sizeof p->log, "%d %s", level, text);
}

void proxy_peers_begin(struct proxy_peers *p)
{
    assert_status(arili_loop_new(p->proxy, &p->loop), ARIL_OK);
    p->client_count = p->link_count = 0;
    p->step = 0;
    p->tasks_wait = false;
    p->now_ns = FAKE_BOOT_NS;
    arili_loop_tick(p->loop, p->now_ns);
}

void proxy_peers_init(struct proxy_peers *p, struct arili_proxy_config *config)
{
    memset(p, 0, sizeof *p);
    world_init(&p->w);
    home_init(&p->h, &p->w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&p->h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&p->h, "alice");
    home_tenant(&p->h, "bob");
    const struct arili_proxy_setup setup = {
        .rt = p->w.rt, .keyring = p->h.kr, .config = config, .log = keep_log, .user = p
    };
    assert_status(arili_proxy_new(&setup, &p->proxy, &p->h.error), ARIL_OK);
    arili_proxy_refresh(p->proxy);
    proxy_peers_begin(p);
}

static void forget(struct proxy_peer *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(all[i].heard);
        free(all[i].unsaid);
        memset(&all[i], 0, sizeof all[i]);
    }
}

void proxy_peers_end(struct proxy_peers *p)
{
    proxy_work(p);
    arili_loop_free(p->loop);
    p->loop = NULL;
    assert_int_equal(atomic_load(&p->proxy->budget.used), 0);
    assert_int_equal(atomic_load(&p->proxy->reserved), 0);
    assert_int_equal(atomic_load(&p->proxy->clients), 0);
    assert_int_equal(atomic_load(&p->proxy->links), 0);
    forget(p->clients, p->client_count);
    forget(p->links, p->link_count);
}

void proxy_peers_done(struct proxy_peers *p)
{
    proxy_peers_end(p);
    arili_proxy_free(p->proxy);
    home_done(&p->h);
    world_done(&p->w);
}

/* --- The driver ----------------------------------------------------------------------------- */

static void append(uint8_t **to, size_t *len, aril_bytes bytes)
{
    if (bytes.len == 0) {
        return;
    }
    *to = realloc(*to, *len + bytes.len);
    assert_non_null(*to);
    memcpy(*to + *len, bytes.data, bytes.len);
    *len += bytes.len;
}

static void hear(struct proxy_peer *peer)
{
    struct iovec parts[IOVECS_MAX];
    size_t n = 0;
    while (peer->peer != NULL && !peer->deaf && !peer->connecting &&
           (n = arili_flow_peek(&peer->peer->out, parts, IOVECS_MAX)) > 0) {
        size_t all = 0;
        for (size_t i = 0; i < n; i++) {
            append(&peer->heard, &peer->heard_len,
                   (aril_bytes){ parts[i].iov_base, parts[i].iov_len });
            all += parts[i].iov_len;
        }
        arili_loop_wrote(peer->peer, all);
    }
    if (peer->peer != NULL && !peer->deaf && peer->peer->closing && peer->peer->out.bytes == 0) {
        arili_loop_ended(peer->peer, ARIL_OK); /* as loop.h wants it of a driver */
    }
}

static void new_link(struct proxy_peers *p, const struct arili_action *a)
{
    assert_true(p->link_count < PROXY_PEERS_MAX);
    struct proxy_peer *link = &p->links[p->link_count++];
    link->all = p;
    link->peer = a->peer;
    link->connecting = true;
    link->address = *a->address;
    a->peer->handle = link;
}

static void act(struct proxy_peers *p, const struct arili_action *a)
{
    switch (a->what) {
    case ARILI_DO_UPDATE:
        hear(a->peer->handle);
        break;
    case ARILI_DO_CONNECT:
        new_link(p, a);
        break;
    case ARILI_DO_CLOSE:
        if (a->peer->handle != NULL) { /* else it was given up before it was asked for */
            ((struct proxy_peer *)a->peer->handle)->peer = NULL;
        }
        break;
    case ARILI_DO_WORK:
        a->task->next = p->tasks;
        p->tasks = a->task;
        break;
    default:
        break;
    }
}

/* One read of what it has to say. False: there was nothing, or it is not read from. */
static bool read_some(struct proxy_peer *peer)
{
    struct proxy_peers *p = peer->all;
    if (peer->peer == NULL || peer->connecting || peer->peer->paused || peer->peer->closing ||
        peer->peer->ended || peer->unsaid_at == peer->unsaid_len) {
        return false;
    }
    const aril_span room = arili_loop_room(p->loop, peer->peer);
    size_t n = peer->unsaid_len - peer->unsaid_at;
    assert_true(room.len > 0);
    n = n < room.len ? n : room.len;
    n = p->step > 0 && p->step < n ? p->step : n;
    memcpy(room.data, peer->unsaid + peer->unsaid_at, n);
    peer->unsaid_at += n;
    arili_loop_came(peer->peer, n, p->now_ns);
    return true;
}

static void settle(struct proxy_peers *p)
{
    struct arili_action a;
    bool moved = false;
    do {
        moved = false;
        for (arili_loop_next(p->loop, &a); a.what != ARILI_DO_NOTHING;
             arili_loop_next(p->loop, &a)) {
            act(p, &a);
            moved = true;
        }
        if (!p->tasks_wait && p->tasks != NULL) {
            proxy_work(p);
            moved = true;
        }
        for (size_t i = 0; i < p->client_count; i++) {
            moved = read_some(&p->clients[i]) || moved;
        }
        for (size_t i = 0; i < p->link_count; i++) {
            moved = read_some(&p->links[i]) || moved;
        }
    } while (moved);
}

void proxy_work(struct proxy_peers *p)
{
    while (p->tasks != NULL) {
        struct arili_task *task = p->tasks;
        p->tasks = task->next;
        task->run(task);
        arili_loop_done(task, p->now_ns);
    }
    if (!p->tasks_wait) {
        return;
    }
    settle(p);
}

void proxy_tick(struct proxy_peers *p, uint64_t ms)
{
    p->now_ns += ms * NS_PER_MS;
    arili_loop_tick(p->loop, p->now_ns);
    settle(p);
}

/* --- Peers ---------------------------------------------------------------------------------- */

struct proxy_peer *proxy_accept_at(struct proxy_peers *p, uint32_t listener)
{
    static const struct arili_identity nobody = { .address = "192.0.2.1" };
    assert_true(p->client_count < PROXY_PEERS_MAX);
    struct proxy_peer *c = &p->clients[p->client_count];
    c->all = p;
    assert_status(arili_loop_accept(p->loop, listener, &nobody, c, p->now_ns, &c->peer), ARIL_OK);
    p->client_count++;
    return c;
}

struct proxy_peer *proxy_accept(struct proxy_peers *p)
{
    return proxy_accept_at(p, 0);
}

struct proxy_peer *proxy_link(struct proxy_peers *p, size_t n)
{
    aril_bytes args[8];
    assert_true(n < p->link_count);
    struct proxy_peer *link = &p->links[n];
    if (link->connecting && link->peer != NULL) {
        link->connecting = false;
        arili_loop_connected(link->peer, p->now_ns);
        settle(p);
        (void)proxy_command_is(link, "HELLO", args, COUNT(args));
        proxy_say(link, TEXT("+OK\r\n"));
    }
    return link;
}

void proxy_say(struct proxy_peer *peer, aril_bytes bytes)
{
    append(&peer->unsaid, &peer->unsaid_len, bytes);
    settle(peer->all);
}

void proxy_go(struct proxy_peer *peer)
{
    if (peer->peer != NULL) {
        arili_loop_ended(peer->peer, ARIL_OK);
    }
    settle(peer->all);
}

void proxy_listen(struct proxy_peer *peer)
{
    peer->deaf = false;
    hear(peer);
    settle(peer->all);
}

bool proxy_is_closed(const struct proxy_peer *peer)
{
    return peer->peer == NULL;
}

/* --- What they heard ------------------------------------------------------------------------ */

aril_bytes proxy_heard(struct proxy_peer *peer)
{
    const aril_bytes all = { peer->heard != NULL ? peer->heard + peer->heard_at : NULL,
                             peer->heard_len - peer->heard_at };
    peer->heard_at = peer->heard_len;
    return all;
}

void proxy_heard_is(struct proxy_peer *peer, const char *text)
{
    const aril_bytes heard = proxy_heard(peer);
    if (heard.len != strlen(text) || (heard.len > 0 && memcmp(heard.data, text, heard.len) != 0)) {
        fail_msg("heard \"%.*s\", not \"%s\"", (int)(heard.len < 200 ? heard.len : 200),
                 (const char *)heard.data, text);
    }
}

void proxy_heard_begins(struct proxy_peer *peer, const char *text)
{
    const aril_bytes heard = proxy_heard(peer);
    if (heard.len < strlen(text) || memcmp(heard.data, text, strlen(text)) != 0) {
        fail_msg("heard \"%.*s\", not \"%s...\"", (int)(heard.len < 200 ? heard.len : 200),
                 (const char *)heard.data, text);
    }
}

/* "*12\r\n" or "$12\r\n" at *at: the number. SIZE_MAX: not whole. */
static size_t header(const struct proxy_peer *link, char type, size_t *at)
{
    size_t n = 0;
    size_t i = *at;
    if (i >= link->heard_len) {
        return SIZE_MAX;
    }
    assert_int_equal(link->heard[i], type);
    for (i++; i < link->heard_len && link->heard[i] != '\r'; i++) {
        assert_true(link->heard[i] >= '0' && link->heard[i] <= '9');
        n = n * 10 + (size_t)(link->heard[i] - '0');
    }
    *at = i + 2;
    return *at <= link->heard_len ? n : SIZE_MAX;
}

bool proxy_command(struct proxy_peer *link, aril_bytes *args, size_t cap, size_t *ret_count)
{
    size_t at = link->heard_at;
    const size_t count = header(link, '*', &at);
    if (count == SIZE_MAX) {
        return false;
    }
    assert_true(count <= cap);
    for (size_t i = 0; i < count; i++) {
        const size_t len = header(link, '$', &at);
        if (len == SIZE_MAX || link->heard_len - at < len + 2) {
            return false;
        }
        args[i] = (aril_bytes){ link->heard + at, len };
        at += len + 2;
    }
    link->heard_at = at;
    *ret_count = count;
    return true;
}

size_t proxy_command_is(struct proxy_peer *link, const char *word, aril_bytes *args, size_t cap)
{
    size_t count = 0;
    if (!proxy_command(link, args, cap, &count)) {
        fail_msg("the server did not hear %s", word);
    }
    assert_int_equal(args[0].len, strlen(word));
    assert_memory_equal(args[0].data, word, args[0].len);
    return count;
}
