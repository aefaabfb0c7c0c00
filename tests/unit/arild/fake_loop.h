/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_TESTS_FAKE_LOOP_H
#define ARILD_TESTS_FAKE_LOOP_H
/*
 * A loop that is no proxy: the functions of src/proxy/loop.h for tests of the driver, included once
 * by the test that wants them instead of the real ones. What a client's first byte says it gets:
 *
 *   E  everything behind it back; it is not read while 1 MiB waits for it
 *   X  "bye", and is closed
 *   W  "worked", after a task on another thread
 *   C  what a server says that the loop connects to (fake.server): "hi" goes there first. "lost"
 *      when there is no connection, or when it ends
 *   H  nothing: it stays as it is, and keeps a drain from ending
 *
 * A peer that was closed is poisoned at once and freed with the next call, so that a use of it is
 * found.
 */
#include "base/ensure.h"
#include "proxy/loop.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_OUT_MAX ((uint64_t)1 << 20)

static struct {
    struct arili_address server;
    struct arili_budget budget;
    _Atomic unsigned clients, clients_max, ticks;
    _Atomic unsigned worked_elsewhere;
    pthread_mutex_t lock;
    struct arili_identity last; /* under lock: of the client that came last */
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct fake_peer {
    struct arili_peer peer; /* first */
    char kind;
    bool connecting;
    struct fake_peer *other; /* client and link */
};
struct arili_loop {
    struct arili_blocks blocks;
    struct arili_peer *queue, **queue_end;
    struct arili_task *tasks;
    struct arili_peer *grave;
    struct arili_peer *all;
    unsigned count;
    uint8_t room[65536];
    pthread_t thread;
};
struct fake_task {
    struct arili_task task; /* first */
    struct fake_peer *client;
    pthread_t ran_on;
};

aril_status arili_loop_new(struct arili_proxy *proxy, struct arili_loop **ret)
{
    struct arili_loop *loop = calloc(1, sizeof *loop);
    (void)proxy;
    ARILI_ENSURE(loop != NULL, ARIL_E_NOMEM);
    fake.budget.max = UINT64_MAX;
    arili_blocks_init(&loop->blocks, &fake.budget);
    loop->queue_end = &loop->queue;
    *ret = loop;
    return ARIL_OK;
}

static void fake_bury(struct arili_loop *loop)
{
    while (loop->grave != NULL) {
        struct arili_peer *p = loop->grave;
        loop->grave = p->next;
        free(p);
    }
}

static void fake_touch(struct arili_peer *p)
{
    if (!p->queued) {
        p->queued = true;
        p->next_queued = NULL;
        *p->loop->queue_end = p;
        p->loop->queue_end = &p->next_queued;
    }
}

static void fake_remove(struct fake_peer *p)
{
    struct arili_loop *loop = p->peer.loop;
    struct arili_peer **at = &loop->all;
    while (*at != &p->peer) {
        at = &(*at)->next;
    }
    *at = p->peer.next;
    loop->count--;
    if (p->other != NULL) {
        p->other->other = NULL;
    }
    if (p->peer.kind == ARILI_PEER_CLIENT) {
        fake.clients--;
    }
    arili_flow_done(&p->peer.out);
    memset(p, 0xdd, sizeof *p);
    p->peer.next = loop->grave;
    loop->grave = &p->peer;
}

void arili_loop_free(struct arili_loop *loop)
{
    while (loop->all != NULL) {
        fake_remove((struct fake_peer *)(void *)loop->all);
    }
    fake_bury(loop);
    arili_blocks_done(&loop->blocks);
    free(loop);
}

static struct fake_peer *fake_peer_new(struct arili_loop *loop, enum arili_peer_kind kind)
{
    struct fake_peer *p = calloc(1, sizeof *p);
    assert(p != NULL);
    p->peer.kind = kind;
    p->peer.loop = loop;
    arili_flow_init(&p->peer.out, &loop->blocks);
    p->peer.next = loop->all;
    loop->all = &p->peer;
    loop->count++;
    return p;
}

static void fake_say(struct arili_peer *p, const char *text)
{
    arili_flow_put(&p->out, (aril_bytes){ (const uint8_t *)text, strlen(text) });
    fake_touch(p);
}

aril_status arili_loop_accept(struct arili_loop *loop, uint32_t listener,
                              const struct arili_identity *identity, void *handle, uint64_t now_ns,
                              struct arili_peer **ret)
{
    (void)listener;
    fake_bury(loop);
    loop->thread = pthread_self();
    ARILI_ENSURE(fake.clients < fake.clients_max && now_ns > 0, ARIL_E_LIMIT);
    fake.clients++;
    struct fake_peer *p = fake_peer_new(loop, ARILI_PEER_CLIENT);
    p->peer.handle = handle;
    pthread_mutex_lock(&fake.lock);
    fake.last = *identity;
    fake.last.certificate.data = NULL; /* it was lent */
    pthread_mutex_unlock(&fake.lock);
    *ret = &p->peer;
    return ARIL_OK;
}

aril_span arili_loop_room(struct arili_loop *loop, struct arili_peer *peer)
{
    (void)peer;
    fake_bury(loop);
    return (aril_span){ loop->room, sizeof loop->room };
}

static void fake_run(struct arili_task *task)
{
    ((struct fake_task *)(void *)task)->ran_on = pthread_self();
}

static void fake_done(struct arili_task *task)
{
    struct fake_task *t = (struct fake_task *)(void *)task;
    if (!pthread_equal(t->ran_on, pthread_self()) &&
        pthread_equal(task->loop->thread, pthread_self())) {
        fake.worked_elsewhere++;
    }
    for (struct arili_peer *p = task->loop->all; p != NULL; p = p->next) {
        if (p == &t->client->peer) { /* it may have left meanwhile */
            fake_say(p, "worked");
        }
    }
    free(t);
}

static void fake_work(struct fake_peer *p)
{
    struct fake_task *t = calloc(1, sizeof *t);
    assert(t != NULL);
    t->task = (struct arili_task){ .run = fake_run, .done = fake_done, .loop = p->peer.loop };
    t->client = p;
    t->task.next = p->peer.loop->tasks;
    p->peer.loop->tasks = &t->task;
}

static void fake_connect(struct fake_peer *client)
{
    struct fake_peer *link = fake_peer_new(client->peer.loop, ARILI_PEER_LINK);
    link->connecting = true;
    link->other = client;
    client->other = link;
    fake_touch(&link->peer);
}

void arili_loop_came(struct arili_peer *peer, size_t n, uint64_t now_ns)
{
    struct fake_peer *p = (struct fake_peer *)(void *)peer;
    aril_bytes in = { peer->loop->room, n };
    assert(n > 0 && now_ns > 0 && !peer->paused && !peer->ended);
    if (peer->kind == ARILI_PEER_LINK) {
        if (p->other != NULL) {
            arili_flow_put(&p->other->peer.out, in);
            fake_touch(&p->other->peer);
        }
        return;
    }
    if (p->kind == '\0') {
        p->kind = (char)in.data[0];
        in = (aril_bytes){ in.data + 1, n - 1 };
        if (p->kind == 'X') {
            fake_say(peer, "bye");
            peer->closing = true;
        } else if (p->kind == 'W') {
            fake_work(p);
        } else if (p->kind == 'C') {
            fake_connect(p);
        }
    }
    if (p->kind == 'E' && in.len > 0) {
        arili_flow_put(&peer->out, in);
        peer->paused = peer->out.bytes >= FAKE_OUT_MAX;
    }
    fake_touch(peer);
}

void arili_loop_wrote(struct arili_peer *peer, size_t n)
{
    arili_flow_consume(&peer->out, n);
    if (peer->paused && !peer->ended && peer->out.bytes < FAKE_OUT_MAX / 2) {
        peer->paused = false;
        fake_touch(peer);
    }
}

void arili_loop_connected(struct arili_peer *peer, uint64_t now_ns)
{
    assert(now_ns > 0);
    fake_say(peer, "hi");
}

void arili_loop_ended(struct arili_peer *peer, aril_status st)
{
    struct fake_peer *p = (struct fake_peer *)(void *)peer;
    (void)st;
    assert(!peer->ended);
    peer->ended = true;
    fake_touch(peer);
    if (peer->kind == ARILI_PEER_LINK && p->other != NULL) {
        fake_say(&p->other->peer, "lost");
    } else if (p->other != NULL && !p->other->peer.ended) {
        p->other->peer.ended = true;
        fake_touch(&p->other->peer);
    }
}

void arili_loop_done(struct arili_task *task, uint64_t now_ns)
{
    assert(now_ns > 0);
    task->done(task);
}

void arili_loop_tick(struct arili_loop *loop, uint64_t now_ns)
{
    assert(now_ns > 0);
    fake_bury(loop);
    fake.ticks++;
}

void arili_loop_next(struct arili_loop *loop, struct arili_action *ret)
{
    fake_bury(loop);
    *ret = (struct arili_action){ .what = ARILI_DO_NOTHING };
    if (loop->tasks != NULL) {
        ret->what = ARILI_DO_WORK;
        ret->task = loop->tasks;
        loop->tasks = ret->task->next;
        return;
    }
    struct arili_peer *p = loop->queue;
    if (p == NULL) {
        return;
    }
    struct fake_peer *f = (struct fake_peer *)(void *)p;
    loop->queue = p->next_queued;
    loop->queue_end = loop->queue == NULL ? &loop->queue : loop->queue_end;
    p->queued = false;
    ret->peer = p;
    if (p->ended) {
        static _Thread_local struct arili_peer gone; /* what the driver may still look at */
        gone = (struct arili_peer){ .handle = p->handle, .loop = loop, .ended = true };
        ret->what = ARILI_DO_CLOSE;
        ret->peer = &gone;
        fake_remove(f);
    } else if (f->connecting) {
        f->connecting = false;
        ret->what = ARILI_DO_CONNECT;
        ret->address = &fake.server;
    } else {
        ret->what = ARILI_DO_UPDATE;
    }
}

void arili_loop_drain(struct arili_loop *loop)
{
    for (struct arili_peer *p = loop->all; p != NULL; p = p->next) {
        const struct fake_peer *f = (const struct fake_peer *)(const void *)p;
        if (f->kind != 'H') {
            p->closing = p->out.bytes > 0;
            p->ended = !p->closing;
            fake_touch(p);
        }
    }
}

bool arili_loop_is_empty(const struct arili_loop *loop)
{
    return loop->count == 0;
}
#endif
