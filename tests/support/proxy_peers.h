/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROXY_PEERS_H
#define ARIL_TESTS_PROXY_PEERS_H
/*
 * A loop of the proxy whose sockets are buffers: the test is its driver, its clients and its
 * servers, and says what each of them says, byte by byte. Nothing waits, time stands still.
 *
 *   struct proxy_peers p;                          temp_folder_make_quick() before
 *   proxy_peers_init(&p, proxy_peers_config());
 *   struct proxy_peer *c = proxy_accept(&p);       a client of tenant "alice"
 *   proxy_say(c, TEXT("GET k\r\n"));               the loop has run when it returns
 *   struct proxy_peer *s = proxy_link(&p, 0);      the first link, connected and logged in
 *   proxy_command(s, args, 4, &n);                 what was asked of the server
 *   proxy_say(s, TEXT("$-1\r\n"));
 *   proxy_heard_is(c, "$-1\r\n");
 *   proxy_peers_done(&p);                          demands that nothing is left
 *
 * The functions end the running test when something does not work.
 */
#include "keyring_fixture.h"
#include "proxy/loop.h"

#define PROXY_PEERS_MAX 64u

struct proxy_peers;
struct proxy_peer {
    struct proxy_peers *all;
    struct arili_peer *peer;      /* NULL: closed */
    bool connecting;              /* a link that was asked for; proxy_link() lets it come about */
    bool deaf;                    /* does not read */
    struct arili_address address; /* of a link */
    uint8_t *heard;               /* what it was told, from heard_at on not looked at */
    size_t heard_len, heard_cap, heard_at;
    uint8_t *unsaid; /* what the loop did not read yet */
    size_t unsaid_len, unsaid_at;
};

struct proxy_peers {
    struct world w;
    struct keyring_home h;
    struct arili_proxy *proxy;
    struct arili_loop *loop;
    struct proxy_peer clients[PROXY_PEERS_MAX], links[PROXY_PEERS_MAX];
    size_t client_count, link_count; /* closed ones too */
    size_t step;                     /* most bytes of one read; 0: as many as there is room */
    bool tasks_wait;                 /* tasks are kept until proxy_work() */
    struct arili_task *tasks;
    uint64_t now_ns;
    char log[512]; /* the last line */
};

/* Tenants "alice" and "bob", a listener for each in that order, one server, everything sealed. */
struct arili_proxy_config *proxy_peers_config(void);
/* config is taken. */
void proxy_peers_init(struct proxy_peers *p, struct arili_proxy_config *config);
/* Everybody goes; then there are no clients, links and blocks. */
void proxy_peers_done(struct proxy_peers *p);
/* The same in two, so that one proxy has several loops one after the other. */
void proxy_peers_begin(struct proxy_peers *p);
void proxy_peers_end(struct proxy_peers *p);

struct proxy_peer *proxy_accept(struct proxy_peers *p); /* alice */
struct proxy_peer *proxy_accept_at(struct proxy_peers *p, uint32_t listener);
/* Link number n, which must have been asked for; connected and logged in if it was not. */
struct proxy_peer *proxy_link(struct proxy_peers *p, size_t n);
void proxy_say(struct proxy_peer *peer, aril_bytes bytes);
void proxy_go(struct proxy_peer *peer); /* it closes its end */
/* Let it hear again, and read what is there for it. */
void proxy_listen(struct proxy_peer *peer);
void proxy_tick(struct proxy_peers *p, uint64_t ms);
void proxy_work(struct proxy_peers *p);

/* What it heard since the last look. */
aril_bytes proxy_heard(struct proxy_peer *peer);
void proxy_heard_is(struct proxy_peer *peer, const char *text);
void proxy_heard_begins(struct proxy_peer *peer, const char *text);
/* The next command that a link heard; false: no whole one. args is good until it hears more. */
bool proxy_command(struct proxy_peer *link, aril_bytes *args, size_t cap, size_t *ret_count);
/* The same, whose first word must be this; the number of arguments. */
size_t proxy_command_is(struct proxy_peer *link, const char *word, aril_bytes *args, size_t cap);
bool proxy_is_closed(const struct proxy_peer *peer);
#endif
