/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "listen.h"
#include "log.h"
#include "thread.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECES_MAX      64u
#define READ_TURN       ((size_t)1 << 20) /* of one peer, before others have their turn */
#define WRITE_TURN      ((size_t)4 << 20)
#define KEY_DIGEST_SIZE 32u
/* For a client on this host, who takes what is written at once: with megabytes in the socket, both
 * copies of a long value go through memory instead of the cache. The kernel doubles it. */
#define NEAR_BUFFER_BYTES (128 * 1024)

static void link_conn(struct conn *c, struct conn **list)
{
    c->next = *list;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    *list = c;
    c->link = list;
}

static void unlink_conn(struct conn *c)
{
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
}

struct conn *conn_new(struct thread *t, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->thread = t;
        c->transport.fd = fd;
        c->read_wants = TRANSPORT_READABLE;
        c->write_wants = TRANSPORT_WRITABLE;
        c->wiring = driver_wiring(t->driver);
        link_conn(c, &t->conns);
    }
    return c;
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED) {
        return;
    }
    if (c->has_events) {
        (void)event_del(&c->reads);
        (void)event_del(&c->writes);
        c->has_events = false;
    }
    if (event_initialized(&c->timer)) {
        (void)event_del(&c->timer);
    }
    connect_cancel(c);
    transport_close(&c->transport);
    if (!c->is_link) {
        atomic_fetch_sub_explicit(&c->thread->driver->clients, 1, memory_order_relaxed);
    }
    c->state = CONN_CLOSED;
    c->peer = NULL;
    unlink_conn(c);
    link_conn(c, &c->thread->dead);
}

void conn_free_dead(struct thread *t)
{
    while (t->dead != NULL) {
        struct conn *c = t->dead;
        t->dead = c->next;
        wiring_drop(c->wiring); /* its certificates are used no more: transport_close() was */
        free(c);
    }
}

void conn_fail(struct conn *c, aril_status st)
{
    if (c->state == CONN_CLOSED) {
        return;
    }
    if (c->peer == NULL) {
        conn_close(c);
    } else if (!c->peer->ended) {
        arili_loop_ended(c->peer, st);
    }
}

/* --- waiting --------------------------------------------------------------------------------- */

static void set_event(struct event *e, bool wanted)
{
    const bool pending = event_pending(e, EV_READ | EV_WRITE, NULL) != 0;
    if (wanted && !pending) {
        (void)event_add(e, NULL); /* fails only for descriptors that are none */
    } else if (!wanted && pending) {
        (void)event_del(e);
    }
}

static bool may_read(const struct conn *c)
{
    return !c->peer->paused && !c->peer->closing && !c->peer->ended;
}

static void wait_for(struct conn *c)
{
    int wants = 0;
    if (c->state == CONN_CONNECTING) {
        wants = TRANSPORT_WRITABLE;
    } else if (c->state == CONN_SHAKING) {
        wants = c->shake_wants;
    } else if (c->state == CONN_OPEN) {
        wants |= may_read(c) ? c->read_wants : 0;
        wants |= c->peer->out.bytes > 0 && !c->peer->ended ? c->write_wants : 0;
    }
    if (c->has_events) {
        set_event(&c->reads, (wants & TRANSPORT_READABLE) != 0);
        set_event(&c->writes, (wants & TRANSPORT_WRITABLE) != 0);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    struct conn *c = user;
    struct thread *t = c->thread;
    (void)fd;
    (void)what;
    if (c->state != CONN_OPEN) {
        conn_fail(c, arili_fail(ARIL_E_TIMEOUT));
    }
    thread_settle(t);
    thread_finish(t);
}

bool conn_set_timer(struct conn *c, uint32_t ms)
{
    const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
    if (!event_initialized(&c->timer) &&
        event_assign(&c->timer, c->thread->base, -1, 0, on_timer, c) != 0) {
        return false;
    }
    return event_add(&c->timer, &tv) == 0;
}

/* --- bytes ----------------------------------------------------------------------------------- */

static void write_out(struct conn *c)
{
    struct arili_peer *peer = c->peer;
    size_t turn = 0;
    while (peer->out.bytes > 0 && !peer->ended && turn < WRITE_TURN) {
        struct iovec pieces[PIECES_MAX];
        const size_t count = arili_flow_peek(&peer->out, pieces, PIECES_MAX);
        size_t len = 0;
        int wants = 0;
        const aril_status st =
            transport_try_write(&c->transport, pieces, count, c->thread->gather, &len, &wants);
        if (st != ARIL_OK) {
            arili_loop_ended(peer, st);
            return;
        }
        c->write_wants = wants == 0 ? TRANSPORT_WRITABLE : wants;
        if (len == 0) {
            break;
        }
        turn += len;
        arili_loop_wrote(peer, len);
    }
    if (peer->ended) {
        return;
    }
    if (peer->out.failed) {
        arili_loop_ended(peer, arili_fail(ARIL_E_NOMEM));
    } else if (peer->out.bytes == 0 && peer->closing) {
        arili_loop_ended(peer, ARIL_OK);
    }
}

/* Why TLS failed, for whoever has to mend it. A client that came and went without a word, as the
 * check of a load balancer does, is none of that. */
static void tell_tls(struct conn *c, aril_status st)
{
    struct driver *d = c->thread->driver;
    char address[ARILI_ADDRESS_TEXT];
    char more[64] = "";
    uint64_t left_out = 0;
    const bool went = !c->is_link && aril_status_class(st) == ARIL_E_IO;
    if (went || !log_quota_take(c->is_link ? &d->tls_servers : &d->tls_clients, monotonic_ns(),
                                &left_out)) {
        log_line(LOG_FINE, "TLS with a %s: %s", c->is_link ? "server" : "client",
                 aril_status_text(st));
        return;
    }
    if (c->is_link) {
        arili_address_text(c->target, address);
    } else {
        struct arili_identity who;
        listen_identify(c->transport.fd, &who);
        snprintf(address, sizeof address, "%s", who.address);
    }
    if (left_out > 0) {
        snprintf(more, sizeof more, "; %llu more failed since the last line",
                 (unsigned long long)left_out);
    }
    log_line(LOG_WARN, "TLS with %s %s: %s (%s)%s", c->is_link ? "server" : "client", address,
             aril_status_text(st), transport_why(&c->transport), more);
}

static void read_in(struct conn *c)
{
    struct thread *t = c->thread;
    size_t turn = 0;
    while (c->state == CONN_OPEN && may_read(c)) {
        const aril_span room = arili_loop_room(t->loop, c->peer);
        size_t len = 0;
        int wants = 0;
        if (room.len == 0) {
            arili_loop_ended(c->peer, arili_fail(ARIL_E_NOMEM));
            return;
        }
        const aril_status st = transport_try_read(&c->transport, room, &len, &wants);
        c->read_wants = wants == 0 ? TRANSPORT_READABLE : wants;
        if (st != ARIL_OK || (len == 0 && wants == 0)) {
            if (aril_status_class(st) == ARIL_E_TRUST) { /* our certificate, after the handshake */
                tell_tls(c, st);
            }
            arili_loop_ended(c->peer, st);
            return;
        }
        if (len == 0) {
            return;
        }
        arili_loop_came(c->peer, len, monotonic_ns());
        thread_settle(t); /* may close it */
        turn += len;
        if (c->state != CONN_OPEN) {
            return;
        }
        const bool pending = transport_has_pending(&c->transport);
        if (len < room.len && !pending) {
            return; /* the socket is empty, or says so when asked next */
        }
        if (turn >= READ_TURN) {
            if (pending) {
                event_active(&c->reads, EV_READ, 0); /* the socket does not know */
            }
            return;
        }
    }
}

void conn_update(struct conn *c)
{
    if (c->state == CONN_OPEN) {
        write_out(c);
        if (may_read(c) && transport_has_pending(&c->transport)) {
            event_active(&c->reads, EV_READ, 0); /* it was paused while bytes were under TLS */
        }
        wait_for(c);
    }
}

static void on_socket(evutil_socket_t fd, short what, void *user)
{
    struct conn *c = user;
    struct thread *t = c->thread;
    const int ready = ((what & EV_READ) != 0 ? TRANSPORT_READABLE : 0) |
                      ((what & EV_WRITE) != 0 ? TRANSPORT_WRITABLE : 0);
    (void)fd;
    if (c->state == CONN_CONNECTING) {
        connect_writable(c);
    } else if (c->state == CONN_SHAKING) {
        conn_shake(c);
    } else if (c->state == CONN_OPEN) {
        if ((c->write_wants & ready) != 0) {
            write_out(c);
        }
        if ((c->read_wants & ready) != 0) {
            read_in(c);
        }
    }
    thread_settle(t);
    if (c->state != CONN_CLOSED) {
        wait_for(c);
    }
    thread_finish(t);
}

bool conn_watch(struct conn *c)
{
    const evutil_socket_t fd = c->transport.fd;
    if (event_assign(&c->reads, c->thread->base, fd, EV_READ | EV_PERSIST, on_socket, c) != 0 ||
        event_assign(&c->writes, c->thread->base, fd, EV_WRITE | EV_PERSIST, on_socket, c) != 0) {
        return false;
    }
    c->has_events = true;
    wait_for(c);
    return true;
}

/* --- becoming open --------------------------------------------------------------------------- */

/* One client too many: it is told, if its socket takes the line at once. */
static void refuse(struct conn *c)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    struct iovec piece = { .iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1 };
    size_t len = 0;
    int wants = 0;
    arili_forgive(transport_try_write(&c->transport, &piece, 1, c->thread->gather, &len, &wants));
    conn_close(c);
}

static void admit(struct conn *c)
{
    uint8_t key[KEY_DIGEST_SIZE];
    struct arili_identity who;
    listen_identify(c->transport.fd, &who);
    if (c->transport.tls != NULL && arili_tls_peer_key(c->transport.tls, key) == ARIL_OK) {
        who.certificate = (aril_bytes){ key, sizeof key };
    }
    const aril_status st =
        arili_loop_accept(c->thread->loop, c->listener, &who, c, monotonic_ns(), &c->peer);
    if (st != ARIL_OK) {
        c->peer = NULL;
        log_line(LOG_FINE, "client %s was refused: %s", who.address, aril_status_text(st));
        refuse(c);
        return;
    }
    c->peer->handle = c;
}

void conn_shake(struct conn *c)
{
    c->state = CONN_SHAKING;
    const aril_status st = transport_shake(&c->transport, &c->shake_wants);
    if (st != ARIL_OK) {
        tell_tls(c, st);
        conn_fail(c, st);
        return;
    }
    if (c->shake_wants != 0) {
        wait_for(c);
        return;
    }
    if (event_initialized(&c->timer)) {
        (void)event_del(&c->timer);
    }
    c->state = CONN_OPEN;
    if (c->is_link) {
        arili_loop_connected(c->peer, monotonic_ns());
    } else {
        admit(c);
    }
    if (c->state == CONN_OPEN) {
        conn_update(c);
    }
}

/* Whether the other end is on this host, over TCP. */
static bool is_near(int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof at;
    if (getpeername(fd, (struct sockaddr *)&at, &len) != 0) {
        return false;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&at;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&at;
    return (at.ss_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) ||
           (at.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
}

static void tune(int fd)
{
    const int on = 1;
    const int near_bytes = NEAR_BUFFER_BYTES;
    /* UNIX sockets have neither. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (is_near(fd)) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &near_bytes, sizeof near_bytes);
    }
}

void conn_accept(struct thread *t, int fd, uint32_t listener)
{
    struct conn *c = conn_new(t, fd);
    if (c == NULL) {
        atomic_fetch_sub_explicit(&t->driver->clients, 1, memory_order_relaxed);
        close(fd);
        return;
    }
    c->listener = listener;
    c->state = CONN_SHAKING;
    c->shake_wants = 0;
    tune(fd);
    struct arili_tls *tls = c->wiring->listeners[listener];
    if ((tls != NULL && arili_tls_accept_on(tls, fd, &c->transport.tls) != ARIL_OK) ||
        !conn_watch(c) || (tls != NULL && !conn_set_timer(c, c->wiring->login_ms))) {
        conn_close(c);
        return;
    }
    conn_shake(c);
}
