/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "log.h"
#include "thread.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A name that a worker looks up. conn belongs to the loop's thread: NULL when nobody waits. */
struct resolving {
    struct arili_task task;
    struct conn *conn;
    char host[sizeof((struct arili_address *)NULL)->host];
    char port[8];
    int rc; /* of getaddrinfo() */
    struct addrinfo *found;
};

static void run_resolve(struct arili_task *task)
{
    struct resolving *r = (struct resolving *)(void *)task; /* its first member */
    const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    r->rc = getaddrinfo(r->host, r->port, &hints, &r->found);
}

bool connect_is_mine(const struct arili_task *task)
{
    return task->run == run_resolve;
}

void connect_cancel(struct conn *c)
{
    if (c->resolving != NULL) {
        c->resolving->conn = NULL;
        c->resolving = NULL;
    }
    if (c->addresses != NULL) {
        freeaddrinfo(c->addresses);
        c->addresses = NULL;
        c->address = NULL;
    }
}

static void drop_socket(struct conn *c)
{
    if (c->has_events) {
        (void)event_del(&c->reads);
        (void)event_del(&c->writes);
        c->has_events = false;
    }
    if (c->transport.fd >= 0) {
        close(c->transport.fd);
        c->transport.fd = -1;
    }
}

/* TCP is there; TLS, when the servers want it. */
static void finish_connect(struct conn *c)
{
    const struct arili_address *address = c->target;
    struct arili_tls *tls = address->is_unix ? NULL : c->wiring->upstream;
    if (tls != NULL) {
        const aril_status st =
            arili_tls_connect_on(tls, c->transport.fd, address->host, &c->transport.tls);
        if (st != ARIL_OK) {
            conn_fail(c, st);
            return;
        }
    }
    conn_shake(c);
}

/* 0: connected or on its way; else an errno. */
static int start_socket(struct conn *c, int family, const struct sockaddr *to, socklen_t len)
{
    const int on = 1;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    c->transport.fd = fd;
    if (family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    c->state = CONN_CONNECTING;
    /* EAGAIN: the backlog of a UNIX socket is full; there is nothing to wait for, so it failed. */
    if (connect(fd, to, len) != 0 && errno != EINPROGRESS) {
        const int why = errno;
        drop_socket(c);
        return why;
    }
    if (!conn_watch(c)) {
        drop_socket(c);
        return ENOMEM;
    }
    return 0;
}

/* The first of the addresses that are left which takes a connection. */
static void try_addresses(struct conn *c)
{
    for (; c->address != NULL; c->address = c->address->ai_next) {
        const struct addrinfo *a = c->address;
        if (start_socket(c, a->ai_family, a->ai_addr, a->ai_addrlen) == 0) {
            return; /* connect_writable() goes on */
        }
    }
    conn_fail(c, arili_fail(ARIL_E_IO));
}

void connect_writable(struct conn *c)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(c->transport.fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0) {
        why = errno;
    }
    if (why == 0) {
        finish_connect(c);
        return;
    }
    log_line(LOG_FINE, "connect: %s", strerror(why));
    drop_socket(c);
    c->address = c->address == NULL ? NULL : c->address->ai_next;
    try_addresses(c);
}

static void connect_unix(struct conn *c, const struct arili_address *address)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const size_t len = strlen(address->host);
    if (len >= sizeof a.sun_path) {
        conn_fail(c, arili_fail(ARIL_E_LIMIT));
        return;
    }
    memcpy(a.sun_path, address->host, len);
    if (start_socket(c, AF_UNIX, (const struct sockaddr *)(const void *)&a, sizeof a) != 0) {
        conn_fail(c, arili_fail(ARIL_E_IO));
    }
}

/* "192.0.2.1" and "::1" need nobody to be asked. */
static bool connect_number(struct conn *c, const struct arili_address *address)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(address->port) };
    const struct sockaddr *to = (const struct sockaddr *)(const void *)&v4;
    socklen_t len = sizeof v4;
    if (inet_pton(AF_INET, address->host, &v4.sin_addr) != 1) {
        if (inet_pton(AF_INET6, address->host, &v6.sin6_addr) != 1) {
            return false;
        }
        to = (const struct sockaddr *)(const void *)&v6;
        len = sizeof v6;
    }
    if (start_socket(c, to->sa_family, to, len) != 0) {
        conn_fail(c, arili_fail(ARIL_E_IO));
    }
    return true;
}

static void connect_name(struct conn *c, const struct arili_address *address)
{
    struct resolving *r = calloc(1, sizeof *r);
    if (r == NULL || c->thread->inline_work) {
        free(r);
        conn_fail(c, arili_fail(ARIL_E_NOMEM));
        return;
    }
    r->task.run = run_resolve;
    r->task.loop = c->thread->loop;
    r->conn = c;
    snprintf(r->host, sizeof r->host, "%s", address->host);
    snprintf(r->port, sizeof r->port, "%u", (unsigned)address->port);
    c->resolving = r;
    c->state = CONN_RESOLVING;
    workers_put(c->thread->driver->resolvers, &r->task);
}

void connect_resolved(struct thread *t, struct arili_task *task)
{
    struct resolving *r = (struct resolving *)(void *)task; /* its first member */
    struct conn *c = r->conn;
    (void)t;
    if (c == NULL) {
        if (r->found != NULL) {
            freeaddrinfo(r->found);
        }
        free(r);
        return;
    }
    c->resolving = NULL;
    c->addresses = r->found;
    c->address = r->found;
    if (r->rc != 0) {
        log_line(LOG_WARN, "server %s: %s", r->host, gai_strerror(r->rc));
    }
    free(r);
    try_addresses(c);
}

void connect_begin(struct thread *t, struct arili_peer *peer, const struct arili_address *address)
{
    struct conn *c = conn_new(t, -1);
    if (c == NULL) {
        arili_loop_ended(peer, arili_fail(ARIL_E_NOMEM));
        return;
    }
    c->is_link = true;
    c->peer = peer;
    c->target = address;
    c->state = CONN_CONNECTING;
    peer->handle = c;
    if (!conn_set_timer(c, c->wiring->connect_ms)) {
        conn_fail(c, arili_fail(ARIL_E_NOMEM));
    } else if (address->is_unix) {
        connect_unix(c, address);
    } else if (!connect_number(c, address)) {
        connect_name(c, address);
    }
}
