/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/client_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * One connection of a client, from its beginning to its end. Who it is: client_who.c. Its commands
 * are read in client_read.c, run in run.c, and answered in order in client_answer.c.
 */

/* A listener at all addresses was reached at one of them, and one whose port the system chose at
 * that port. */
static void set_reached(struct arili_client *c, const struct arili_identity *identity)
{
    c->reached = c->settings->config->listeners[c->listener].address;
    if (!c->reached.is_unix && identity->local.host[0] != '\0') {
        c->reached.port = identity->local.port;
        if (arili_address_is_any(&c->reached)) {
            c->reached = identity->local;
        }
    }
    arili_address_text(&c->reached, c->reached_text);
}

aril_status arili_client_new(struct arili_loop *loop, uint32_t listener,
                             const struct arili_identity *identity, struct arili_client **ret)
{
    struct arili_proxy *proxy = loop->proxy;
    const uint64_t max = loop->settings->config->clients_max;
    if (atomic_fetch_add(&proxy->clients, 1) >= max) {
        atomic_fetch_sub(&proxy->clients, 1);
        arili_figure_add(&proxy->figures.rejected, 1);
        return ARIL_E_LIMIT;
    }
    struct arili_client *c = arili_alloc(sizeof *c);
    if (c == NULL) {
        atomic_fetch_sub(&proxy->clients, 1);
        return ARIL_E_NOMEM;
    }
    c->peer.loop = loop;
    c->listener = listener;
    c->settings = arili_settings_hold(proxy);
    memcpy(c->address, identity->address, sizeof c->address); /* before it is told of */
    c->address[sizeof c->address - 1] = '\0';
    if (!arili_client_introduce(c, identity)) { /* before anything knows of it */
        arili_settings_drop(c->settings);
        arili_free(c, sizeof *c);
        atomic_fetch_sub(&proxy->clients, 1);
        return ARIL_E_LIMIT;
    }
    arili_figure_add(&proxy->figures.connections, 1);
    arili_peer_init(&c->peer, loop, ARILI_PEER_CLIENT);
    arili_flow_init(&c->value, &loop->blocks);
    arili_flow_init(&c->tail, &loop->blocks);
    c->id = atomic_fetch_add(&proxy->next_client, 1) + 1;
    c->end = &c->first;
    c->queued_end = &c->queued;
    c->value_arg = UINT32_MAX;
    c->connected_ms = loop->now_ms;
    c->said_ns = c->read_ns = c->stranger_ns = loop->now_ns;
    set_reached(c, identity);
    const struct arili_resp_limits limits = arili_client_limits(c);
    arili_resp_decoder_init(&c->decoder, &limits);
    *ret = c;
    return ARIL_OK;
}

void arili_client_describe(struct arili_client *c)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    const struct arili_proxy_config *config = c->settings->config;
    const struct arili_listen_config *listener = &config->listeners[c->listener];
    struct arili_local *l = &c->local;
    l->resp3 = c->resp3;
    l->client_id = c->id;
    l->database = c->database;
    l->address = c->address;
    l->cluster = c->peer.loop->slots != NULL;
    l->self = listener->announce.host[0] != '\0' ? listener->announce : c->reached;
    l->local_address = c->reached_text;
    memcpy(l->node_id, proxy->run_id, sizeof l->node_id);
    memcpy(l->run_id, proxy->run_id, sizeof l->run_id);
    l->now_ms = c->peer.loop->now_ms;
    l->started_ms = proxy->started_ms;
    l->connected_ms = c->connected_ms;
    l->clients = atomic_load(&proxy->clients);
    l->connections_total = arili_figure(&proxy->figures.connections);
    l->memory_used = atomic_load(&proxy->budget.used);
    l->memory_max = proxy->budget.max;
    l->hits = c->tenant != NULL ? arili_figure(&c->tenant->figures.hits) : 0;
    l->misses = c->tenant != NULL ? arili_figure(&c->tenant->figures.misses) : 0;
    l->commands_total = c->tenant != NULL ? arili_figure(&c->tenant->figures.commands) : 0;
    l->databases = config->databases;
    l->server_version = proxy->server_version;
}

static void free_requests(struct arili_loop *loop, struct arili_request *r)
{
    while (r != NULL) {
        struct arili_request *next = r->next;
        r->client = NULL;
        arili_request_free(loop, r);
        r = next;
    }
}

void arili_client_forget_transaction(struct arili_client *c)
{
    free_requests(c->peer.loop, c->queued);
    c->queued = NULL;
    c->queued_end = &c->queued;
    c->in_multi = c->multi_bad = c->multi_sent = false;
    arili_free(c->changes, c->change_cap * sizeof *c->changes);
    c->changes = NULL;
    c->change_count = c->change_cap = 0;
}

void arili_client_lost(struct arili_client *c)
{
    struct arili_loop *loop = c->peer.loop;
    if (c->waits_for_link) {
        struct arili_client **at = &loop->waiting;
        while (*at != NULL && *at != c) {
            at = &(*at)->next_waiting;
        }
        if (*at == c) {
            *at = c->next_waiting;
        }
        loop->waiting_end = &loop->waiting;
        while (*loop->waiting_end != NULL) {
            loop->waiting_end = &(*loop->waiting_end)->next_waiting;
        }
        c->waits_for_link = false;
    }
    for (struct arili_job *job = loop->jobs; job != NULL; job = job->next) {
        if (job->client == c) {
            job->client = NULL;
            job->request = NULL;
        }
    }
    c->job = NULL;
    if (c->login != NULL) {
        *c->login = NULL; /* its task finds nobody */
        c->login = NULL;
    }
    arili_stream_abort(c);
    /* Links first: what they owe is told to requests that are still there. */
    while (c->link_count > 0) {
        arili_link_give(c->links[--c->link_count]);
    }
    struct arili_request *first = c->first;
    c->first = NULL;
    c->end = &c->first;
    c->count = 0;
    free_requests(loop, first);
    arili_client_forget_transaction(c);
    (void)arili_client_login(c, NULL); /* nobody may always be */
    atomic_fetch_sub(&loop->proxy->clients, 1);
}

void arili_client_free(struct arili_client *c)
{
    arili_flow_done(&c->value);
    arili_flow_done(&c->tail);
    arili_client_drop_command(c);
    arili_free(c->links, c->link_cap * sizeof(struct arili_link *));
    arili_settings_drop(c->settings);
    arili_free(c, sizeof *c);
}

void arili_client_link_lost(struct arili_client *c, struct arili_link *link)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i] == link) {
            c->links[i] = c->links[--c->link_count];
            break;
        }
    }
    if (c->stream_link == link) { /* half a value was sent, and the rest cannot follow */
        struct arili_request *r = c->stream;
        arili_stream_abort(c);
        if (!arili_reply_fail(r, "ERR aril: the connection to the server was lost")) {
            arili_peer_end(&c->peer);
        }
    }
    if (link->sticky) { /* WATCH and MULTI went with it, and nothing could tell the client later */
        arili_peer_end(&c->peer);
    }
    arili_client_advance(c);
}
