/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_THREAD_H
#define ARILD_THREAD_H
#include "driver.h"
#include "log.h"
#include "proxy/loop.h"
#include "transport.h"
#include "workers.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <pthread.h>

/*
 * What one thread has: a loop of the proxy, an event base, connections. Shared by thread.c (life),
 * conn.c (bytes) and connect.c (links to servers).
 */
#define TICK_MS   100
#define NS_PER_MS UINT64_C(1000000)

enum conn_state {
    CONN_RESOLVING,  /* a link: its name is looked up */
    CONN_CONNECTING, /* a link */
    CONN_SHAKING,    /* TLS */
    CONN_OPEN,
    CONN_CLOSED /* only its memory is there, until the end of the callback */
};

/* A socket and what it is for. A client has no peer before it was admitted. */
struct conn {
    struct thread *thread;
    struct arili_peer *peer;
    struct wiring *wiring;
    struct transport transport;
    enum conn_state state;
    bool is_link;
    bool has_events;
    uint32_t listener;
    int shake_wants, read_wants, write_wants; /* TRANSPORT_* */
    struct event reads, writes, timer;
    const struct arili_address *target;   /* a link: borrowed while its peer is there */
    struct resolving *resolving;          /* a link: on its way, tells us when it is back */
    struct addrinfo *addresses, *address; /* a link: found; the one that is tried */
    struct conn *next, **link;            /* of all, or of the dead */
};

/* What other threads hand in. */
struct accepted {
    struct accepted *next;
    int fd;
    uint32_t listener;
};
struct mailbox {
    pthread_mutex_t lock; /* of what follows */
    struct accepted *accepted, **accepted_last;
    struct arili_task *done, **done_last;
    bool drain, stop;
};

struct thread {
    struct driver *driver;
    struct arili_loop *loop;
    struct event_base *base;
    struct event wake, tick;
    int wake_fd; /* eventfd */
    uint32_t number;
    bool draining;
    bool inline_work; /* workers are gone: what may block is run at once */
    bool started;
    pthread_t id;
    struct mailbox mail;
    struct conn *conns, *dead;
    _Atomic uint64_t alive_ns;
    uint8_t gather[TRANSPORT_GATHER_BYTES]; /* plaintext on its way into TLS */
};

struct driver {
    struct arili_proxy *proxy;
    struct workers *workers;   /* of the proxy's tasks */
    struct workers *resolvers; /* one thread: names, so that a slow server of names stops no key */
    int idle_fd;
    _Atomic uint64_t clients;
    _Atomic uint32_t running;
    pthread_mutex_t wiring_lock;
    struct wiring *wiring;
    struct log_quota tls_clients, tls_servers; /* of lines about them that failed */
    uint32_t next;                             /* thread that gets the next client */
    uint32_t count;
    struct thread **threads;
};

/* --- thread.c --- */
ARIL_MUST_USE aril_status thread_new(struct driver *d, uint32_t number, struct thread **ret);
void thread_free(struct thread *t);
int thread_run(struct thread *t); /* starts it; an errno */
void thread_wake(struct thread *t);
void thread_mail_task(struct thread *t, struct arili_task *task);
/* Does what the loop wants until it wants nothing more. After every call into the loop. */
void thread_settle(struct thread *t);
/* At the end of every callback: frees what was closed, and ends the thread when it is drained. */
void thread_finish(struct thread *t);
struct wiring *driver_wiring(struct driver *d); /* a reference */

/* --- conn.c --- */
struct conn *conn_new(struct thread *t, int fd); /* NULL: no memory; fd is the caller's then */
void conn_accept(struct thread *t, int fd, uint32_t listener); /* takes fd */
/* Sockets and events end; memory goes with thread_finish(). Tells the loop nothing. */
void conn_close(struct conn *c);
void conn_free_dead(struct thread *t);
/* The handshake, if there is one, and then open. */
void conn_shake(struct conn *c);
/* Write what there is, and wait for what is needed. */
void conn_update(struct conn *c);
/* Events of the socket, to be used from now on. False: no memory. */
bool conn_watch(struct conn *c);
bool conn_set_timer(struct conn *c, uint32_t ms);
/* It did not work out: tells the loop, or closes a client that it does not know yet. */
void conn_fail(struct conn *c, aril_status st);

/* --- connect.c --- */
void connect_begin(struct thread *t, struct arili_peer *peer, const struct arili_address *address);
/* A name was looked up. Frees task. */
void connect_resolved(struct thread *t, struct arili_task *task);
bool connect_is_mine(const struct arili_task *task);
/* The socket has become writable. */
void connect_writable(struct conn *c);
/* Forget what is on its way; addresses too. */
void connect_cancel(struct conn *c);
#endif
