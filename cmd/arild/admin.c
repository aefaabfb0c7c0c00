/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"
#include "admin_http.h"
#include "admin_pages.h"
#include "admin_socket.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 500u /* without descriptors, until it is tried again */

/* One connection: a head is read, the answer written, and what still comes is thrown away until the
 * other side closes, for closing before that could take the answer from it. */
struct connection {
    struct admin *admin;
    struct connection *next, **link;
    struct bufferevent *io;
    struct event *deadline;
    bool answered;
    bool at_end; /* nothing more comes */
};

struct admin {
    struct arili_proxy *proxy;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *resume;
    struct admin_socket socket;
    struct connection *connections;
    unsigned count;
    unsigned deadline_ms;
};

static struct timeval time_of(unsigned ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
}

/* --- connections ----------------------------------------------------------------------------- */

static void end_connection(struct connection *c)
{
    struct admin *a = c->admin;
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    if (c->deadline != NULL) {
        event_free(c->deadline);
    }
    bufferevent_free(c->io); /* closes the socket */
    free(c);
    if (a->count-- == ADMIN_CONNECTIONS_MAX && a->listener != NULL) {
        (void)evconnlistener_enable(a->listener);
    }
}

static void answer(struct connection *c, int code, const struct http_request *request)
{
    struct evbuffer *out = bufferevent_get_output(c->io);
    c->answered = true;
    if (!(code == 0 ? admin_answer(c->admin->proxy, request, out) : admin_refuse(code, out))) {
        end_connection(c);
    }
}

static void on_read(struct bufferevent *io, void *user)
{
    struct connection *c = user;
    struct evbuffer *in = bufferevent_get_input(io);
    const size_t len = evbuffer_get_length(in);
    struct http_request request = { .method = HTTP_GET };
    if (c->answered) {
        (void)evbuffer_drain(in, len);
        return;
    }
    const struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0 ? len > HTTP_HEAD_MAX : (size_t)end.pos + 4 > HTTP_HEAD_MAX) {
        (void)evbuffer_drain(in, len);
        answer(c, 431, &request);
        return;
    }
    if (end.pos < 0) {
        return;
    }
    const size_t head_len = (size_t)end.pos + 4;
    const unsigned char *head = evbuffer_pullup(in, (ev_ssize_t)head_len);
    const char *host = c->admin->socket.address.is_unix ? NULL : c->admin->socket.address.host;
    if (head == NULL) {
        end_connection(c);
        return;
    }
    const int code = http_parse((const char *)head, head_len, host, &request);
    (void)evbuffer_drain(in, len);
    answer(c, code, &request);
}

/* The answer was written. */
static void on_written(struct bufferevent *io, void *user)
{
    struct connection *c = user;
    if (!c->answered) {
        return;
    }
    if (c->at_end) {
        end_connection(c);
    } else {
        (void)shutdown(bufferevent_getfd(io), SHUT_WR);
    }
}

static void on_event(struct bufferevent *io, short what, void *user)
{
    struct connection *c = user;
    /* Who has sent everything may still read. */
    if ((what & BEV_EVENT_EOF) != 0 && (what & BEV_EVENT_ERROR) == 0 &&
        evbuffer_get_length(bufferevent_get_output(io)) > 0) {
        c->at_end = true;
        return;
    }
    end_connection(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    end_connection(user);
}

/* --- the listener ---------------------------------------------------------------------------- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *name,
                      int name_len, void *user)
{
    struct admin *a = user;
    const struct timeval time = time_of(a->deadline_ms);
    struct connection *c = calloc(1, sizeof *c);
    (void)name;
    (void)name_len;
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->io = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (c->io == NULL) {
        (void)close(fd);
        free(c);
        return;
    }
    c->admin = a;
    c->next = a->connections;
    c->link = &a->connections;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    a->connections = c;
    if (++a->count == ADMIN_CONNECTIONS_MAX) {
        (void)evconnlistener_disable(listener);
    }
    c->deadline = evtimer_new(a->base, on_deadline, c);
    bufferevent_setcb(c->io, on_read, on_written, on_event, c);
    /* Never more in memory than is looked at. */
    bufferevent_setwatermark(c->io, EV_READ, 0, HTTP_HEAD_MAX + 1);
    if (c->deadline == NULL || evtimer_add(c->deadline, &time) != 0 ||
        bufferevent_enable(c->io, EV_READ | EV_WRITE) != 0) {
        end_connection(c);
    }
}

/* Out of descriptors or memory: the socket stays readable, so looking again at once would take a
 * whole processor. */
static void on_accept_error(struct evconnlistener *listener, void *user)
{
    struct admin *a = user;
    const struct timeval time = time_of(ACCEPT_PAUSE_MS);
    if (evtimer_add(a->resume, &time) == 0) {
        (void)evconnlistener_disable(listener);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *user)
{
    struct admin *a = user;
    (void)fd;
    (void)what;
    if (a->count < ADMIN_CONNECTIONS_MAX) {
        (void)evconnlistener_enable(a->listener);
    }
}

aril_status admin_start(struct event_base *base, struct arili_proxy *proxy,
                        const struct arili_proxy_config *config, struct admin **ret,
                        aril_error *error)
{
    *ret = NULL;
    if (!config->admin) {
        return ARIL_OK;
    }
    struct admin *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return ARIL_E_NOMEM;
    }
    a->proxy = proxy;
    a->base = base;
    a->deadline_ms = ADMIN_DEADLINE_MS;
    const aril_status st = admin_socket_open(&config->admin_address, &a->socket, error);
    if (st != ARIL_OK) {
        free(a);
        return st;
    }
    a->resume = evtimer_new(base, on_resume, a);
    a->listener =
        a->resume == NULL
            ? NULL
            : evconnlistener_new(base, on_accept, a, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                 0, a->socket.fd);
    if (a->listener == NULL) {
        (void)close(a->socket.fd);
        admin_stop(a);
        return ARIL_E_NOMEM;
    }
    evconnlistener_set_error_cb(a->listener, on_accept_error);
    *ret = a;
    return ARIL_OK;
}

void admin_stop(struct admin *a)
{
    if (a == NULL) {
        return;
    }
    admin_socket_remove(&a->socket);
    if (a->listener != NULL) {
        evconnlistener_free(a->listener);
        a->listener = NULL;
    }
    while (a->connections != NULL) {
        end_connection(a->connections);
    }
    if (a->resume != NULL) {
        event_free(a->resume);
    }
    free(a);
}

void admin_address(const struct admin *a, struct arili_address *ret)
{
    *ret = a->socket.address;
}

void admin_set_deadline(struct admin *a, unsigned ms)
{
    a->deadline_ms = ms;
}
