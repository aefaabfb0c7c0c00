/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_LOOP_H
#define ARILI_PROXY_LOOP_H
#include "proxy/flow.h"
#include "proxy/proxy.h"

/*
 * The proxy without sockets. A loop is what one thread runs: clients, links to servers, and the
 * work between them. The driver (cmd/arild, or a test) owns sockets and time; it moves bytes
 * between them and the peers of the loop, and after every call does what arili_loop_next() says
 * until it says ARILI_DO_NOTHING.
 *
 *   readable:   span = arili_loop_room(loop, peer); n = read(fd, span); arili_loop_came(peer, n)
 *   writable:   n = writev(fd, arili_flow_peek(&peer->out)); arili_loop_wrote(peer, n)
 *
 * Threads: one at a time for a loop and all that belongs to it. Nothing here blocks.
 */
enum arili_peer_kind { ARILI_PEER_CLIENT, ARILI_PEER_LINK };

/* One end of a connection. */
struct arili_peer {
    enum arili_peer_kind kind;
    struct arili_loop *loop;
    struct arili_flow out; /* to be written */
    /* What came and was not used yet: the beginning of a line, or all there is while paused. */
    struct arili_block *held;
    uint32_t held_at, held_len;
    bool paused;  /* do not read from it: back-pressure */
    bool closing; /* close it when out was written */
    bool ended;   /* it is gone; the loop forgets it with ARILI_DO_CLOSE */
    bool said;    /* the driver was told to close it */
    bool connect; /* a link that has to be connected */
    bool resume;  /* look at what is held: it is not paused any more */
    bool queued;  /* in the list of those with something to do */
    struct arili_peer *next_queued;
    struct arili_peer *next, **at; /* in the list of all of its kind */
    uint64_t deadline_ns;          /* a link must have logged in by then; 0: it has */
    void *handle;                  /* the driver's */
};

/* Something that may block, for a worker thread: run() there, then done() in the loop. Neither
 * touches the loop in run(). */
struct arili_task {
    void (*run)(struct arili_task *task);
    void (*done)(struct arili_task *task);
    struct arili_loop *loop;
    struct arili_task *next;
};

enum arili_do {
    ARILI_DO_NOTHING = 0,
    ARILI_DO_UPDATE,  /* peer: write what it has; read from it unless paused */
    ARILI_DO_CONNECT, /* peer: connect it to *address, then arili_loop_connected() or _ended() */
    ARILI_DO_CLOSE,   /* peer: close the socket; it is freed with the next call into the loop, and
                         its handle must not be used after this */
    ARILI_DO_WORK     /* task */
};
struct arili_action {
    enum arili_do what;
    struct arili_peer *peer;
    const struct arili_address *address; /* borrowed while the peer is there */
    struct arili_task *task;
};

ARIL_MUST_USE aril_status arili_loop_new(struct arili_proxy *proxy, struct arili_loop **ret);
/* No task may be on its way. Peers that are left are dropped without a word. */
void arili_loop_free(struct arili_loop *loop);

/* A client that was accepted. listener: index in the configuration; identity is what the driver
 * knows of it. LIMIT: there are too many (and the driver closes it). */
struct arili_identity {
    bool has_peer_cred;
    uint32_t uid, gid;
    aril_bytes certificate;     /* SHA-256 of the subject public key info; len 0: none */
    char address[64];           /* for logs and rate limits: "192.0.2.1", "unix:1000" */
    struct arili_address local; /* where it came in; host empty: not known, or a UNIX socket */
};
ARIL_MUST_USE aril_status arili_loop_accept(struct arili_loop *loop, uint32_t listener,
                                            const struct arili_identity *identity, void *handle,
                                            uint64_t now_ns, struct arili_peer **ret);

/* Where the next bytes that are read shall go; empty: memory is short, end the peer. Valid until
 * the next call into the loop. */
aril_span arili_loop_room(struct arili_loop *loop, struct arili_peer *peer);
void arili_loop_came(struct arili_peer *peer, size_t n, uint64_t now_ns);
void arili_loop_wrote(struct arili_peer *peer, size_t n);
void arili_loop_connected(struct arili_peer *peer, uint64_t now_ns);
/* The other side closed, or st says what failed. Also for a connection that did not come about. */
void arili_loop_ended(struct arili_peer *peer, aril_status st);
/* A task that came back from its worker. */
void arili_loop_done(struct arili_task *task, uint64_t now_ns);
/* Deadlines and what is done now and then. Call it every 100 ms. */
void arili_loop_tick(struct arili_loop *loop, uint64_t now_ns);
void arili_loop_next(struct arili_loop *loop, struct arili_action *ret);

/* No new commands: clients that have nothing under way are closed, the others when they have
 * their answers. */
void arili_loop_drain(struct arili_loop *loop);
bool arili_loop_is_empty(const struct arili_loop *loop);
#endif
