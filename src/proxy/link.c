/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * One connection to a server. A client or a job has it while answers are owed to it, or while the
 * server keeps state for it (WATCH, MULTI); else it is idle and anybody's.
 */
#define NS_PER_MS      UINT64_C(1000000)
#define EXPECTED_MIN   8u
#define RETRY_FIRST_MS 50u
#define RETRY_MOST_MS  2000u
#define BODY_MAX       (UINT64_C(1) << 34) /* of a server's answer: it is never kept whole */

/* --- Commands out --------------------------------------------------------------------------- */

void arili_link_command(struct arili_link *link, const aril_bytes *args, size_t count)
{
    arili_say_header(&link->peer.out, '*', count);
    for (size_t i = 0; i < count; i++) {
        arili_say_bulk(&link->peer.out, args[i]);
    }
    arili_peer_touch(&link->peer);
}

static bool grow(struct arili_link *link)
{
    const uint32_t cap = link->cap < EXPECTED_MIN ? EXPECTED_MIN : 2 * link->cap;
    struct arili_expected *more = arili_alloc(cap * sizeof *more);
    if (more == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < link->count; i++) {
        more[i] = link->expected[(link->first + i) % link->cap];
    }
    arili_free(link->expected, link->cap * sizeof *more);
    link->expected = more;
    link->first = 0;
    link->cap = cap;
    return true;
}

/* Tell a request that its answer will not come. */
static void fail_one(struct arili_request *r, const char *why)
{
    char text[256];
    struct arili_client *c = r->client;
    (void)snprintf(text, sizeof text,
                   "ERR aril: the connection to the server was lost before it answered: %s", why);
    r->link = NULL;
    if (r->job != NULL) {
        r->got = (struct arili_got){ .kind = ARILI_RESP_MORE };
        r->answered = true;
        arili_job_answered(r->job, r);
        return;
    }
    if (r->answered) { /* all of it came, and the link went before it could say so */
        return;
    }
    if (!arili_reply_fail(r, text) && c != NULL) {
        arili_peer_end(&c->peer);
    }
}

bool arili_link_has_room(struct arili_link *link)
{
    return link->count < link->cap || grow(link);
}

bool arili_link_expect(struct arili_link *link, struct arili_request *r, enum arili_swallow what)
{
    if (link->peer.ended || !arili_link_has_room(link)) {
        arili_link_lost(link, ARIL_E_NOMEM, "out of memory");
        if (r != NULL) {
            struct arili_client *c = r->client;
            fail_one(r, "out of memory");
            arili_client_advance(c);
        }
        return false;
    }
    if (link->count == 0) {
        link->heard_ns = link->peer.loop->now_ns;
    }
    link->expected[(link->first + link->count++) % link->cap] =
        (struct arili_expected){ .request = r, .what = (uint8_t)what };
    if (r != NULL) {
        r->link = link;
        r->asked_at = link->node;
    }
    return true;
}

static struct arili_expected *head(struct arili_link *link)
{
    return link->count > 0 ? &link->expected[link->first] : NULL;
}

static void pop(struct arili_link *link)
{
    link->first = (link->first + 1) % link->cap;
    link->count--;
    link->heard_ns = link->peer.loop->now_ns;
}

/* --- Log-in and state ----------------------------------------------------------------------- */

static void say_hello(struct arili_link *link, bool resp3)
{
    const struct arili_settings *s = link->peer.loop->settings;
    const char *user = s->config->upstream.user;
    aril_bytes args[5] = { ARILI_LITERAL("HELLO"),
                           resp3 ? ARILI_LITERAL("3") : ARILI_LITERAL("2") };
    size_t n = 2;
    if (s->password_len > 0) {
        args[n++] = ARILI_LITERAL("AUTH");
        args[n++] = user != NULL ? (aril_bytes){ (const uint8_t *)user, strlen(user) }
                                 : ARILI_LITERAL("default");
        args[n++] = (aril_bytes){ s->password, s->password_len };
    }
    link->resp3 = resp3;
    if (arili_link_expect(link, NULL, ARILI_SWALLOW_LOGIN)) {
        arili_link_command(link, args, n);
    }
}

static void say_select(struct arili_link *link, uint32_t database)
{
    char text[12];
    const int n = snprintf(text, sizeof text, "%u", database);
    const aril_bytes args[2] = { ARILI_LITERAL("SELECT"), { (const uint8_t *)text, (size_t)n } };
    link->database = database;
    if (arili_link_expect(link, NULL, ARILI_SWALLOW_OK)) {
        arili_link_command(link, args, 2);
    }
}

void arili_link_prepare(struct arili_link *link, bool resp3, uint32_t database)
{
    if (link->resp3 != resp3) {
        say_hello(link, resp3);
    }
    if (!link->peer.ended && link->database != database) {
        say_select(link, database);
    }
}

/* --- Taking and giving ---------------------------------------------------------------------- */

static struct arili_link *link_new(struct arili_loop *loop, struct arili_node *node, bool resp3)
{
    struct arili_link *link = arili_alloc(sizeof *link);
    if (link == NULL) {
        return NULL;
    }
    arili_peer_init(&link->peer, loop, ARILI_PEER_LINK);
    const struct arili_resp_limits limits = { .bulk_max = BODY_MAX,
                                              .count_max = UINT32_MAX,
                                              .resp3 = true };
    arili_resp_decoder_init(&link->decoder, &limits);
    link->node = node;
    link->state = ARILI_LINK_CONNECTING;
    link->peer.deadline_ns = loop->now_ns + loop->settings->config->upstream.connect_ms * NS_PER_MS;
    link->peer.connect = true;
    node->links++;
    say_hello(link, resp3); /* goes out when it is connected */
    arili_peer_touch(&link->peer);
    return link->peer.ended ? NULL : link;
}

static struct arili_tenant *tenant_of(struct arili_holder holder)
{
    return holder.client != NULL ? holder.client->tenant
           : holder.job != NULL  ? holder.job->tenant
                                 : NULL;
}

static void hold(struct arili_link *link, struct arili_holder holder)
{
    link->holder = holder;
    link->tenant = tenant_of(holder);
    link->held = true;
    link->node->held++;
}

static void let_go(struct arili_link *link)
{
    link->holder = (struct arili_holder){ NULL, NULL };
    link->tenant = NULL;
    link->node->held -= link->held ? 1 : 0;
    link->held = false;
}

struct arili_link *arili_link_take(struct arili_loop *loop, struct arili_node *node,
                                   struct arili_holder holder, bool resp3, uint32_t database)
{
    struct arili_link *link = node->idle;
    const bool room = link != NULL || node->links < loop->settings->config->upstream.links_max;
    if (!(room && arili_link_is_allowed(loop, node, tenant_of(holder))) &&
        !(holder.job != NULL && arili_link_job_may(loop, node, holder.job))) {
        return NULL;
    }
    if (link != NULL) {
        node->idle = link->next_idle;
        link->next_idle = NULL;
    } else {
        link = link_new(loop, node, resp3);
        if (link == NULL) {
            return NULL;
        }
    }
    arili_link_prepare(link, resp3, database);
    if (link->peer.ended) {
        return NULL;
    }
    hold(link, holder);
    return link;
}

void arili_link_give(struct arili_link *link)
{
    struct arili_loop *loop = link->peer.loop;
    let_go(link);
    if (link->peer.ended) {
        return;
    }
    if (link->count > 0 || link->sticky || link->half_sent ||
        link->node->gone) { /* nobody else may have what it still says */
        arili_link_lost(link, ARIL_E_INTERRUPTED, "given up");
        return;
    }
    if (link->peer.paused) { /* for one who does not read; the next one does */
        arili_peer_resume(&link->peer);
    }
    link->next_idle = link->node->idle;
    link->node->idle = link;
    arili_link_is_free(loop, link->node);
}

/* --- Servers that failed -------------------------------------------------------------------- */

static bool is_coming(const struct arili_loop *loop, const struct arili_node *node)
{
    for (struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        const struct arili_link *link = (const struct arili_link *)p;
        if (link->node == node && !p->ended && link->state != ARILI_LINK_READY) {
            return true;
        }
    }
    return false;
}

/* Over a Cluster one of them is enough, and links that are there never log in again. */
static void look_who_is_up(struct arili_loop *loop)
{
    for (struct arili_peer *p = loop->all_links; p != NULL && loop->slots != NULL; p = p->next) {
        const struct arili_link *link = (const struct arili_link *)p;
        if (!p->ended && link->state == ARILI_LINK_READY && link->node->failures == 0) {
            atomic_store(&loop->proxy->server_down, false);
            return;
        }
    }
}

void arili_links_probe(struct arili_loop *loop)
{
    const uint32_t max = loop->settings->config->upstream.links_max;
    arili_nodes_reap(loop);
    if (!atomic_load(&loop->proxy->server_down) || loop->draining) {
        return;
    }
    look_who_is_up(loop);
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        if (n->failures == 0 || n->gone || n->links >= max || n->retry_at_ns > loop->now_ns ||
            is_coming(loop, n)) {
            continue;
        }
        struct arili_link *link = link_new(loop, n, false);
        if (link != NULL && !link->peer.ended) {
            link->next_idle = n->idle;
            n->idle = link;
        }
    }
}

/* --- The end -------------------------------------------------------------------------------- */

static void forget_idle(struct arili_link *link)
{
    for (struct arili_link **at = &link->node->idle; *at != NULL; at = &(*at)->next_idle) {
        if (*at == link) {
            *at = link->next_idle;
            return;
        }
    }
}

static void node_failed(struct arili_link *link, const char *why)
{
    struct arili_loop *loop = link->peer.loop;
    struct arili_node *node = link->node;
    char text[ARILI_ADDRESS_TEXT];
    const uint32_t shift = node->failures < 6 ? node->failures : 6;
    const uint64_t wait = (uint64_t)RETRY_FIRST_MS << shift;
    node->failures++;
    node->retry_at_ns = loop->now_ns + (wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS) * NS_PER_MS;
    arili_figure_add(&loop->proxy->figures.link_failures, 1);
    atomic_store(&loop->proxy->server_down, true);
    if ((node->failures & (node->failures - 1)) == 0) { /* 1, 2, 4, ...: it may be down for days */
        arili_address_text(&node->address, text);
        arili_proxy_say(loop->proxy, 1, "server %s: %s", text, why);
    }
    arili_cluster_refresh(loop);
}

void arili_link_lost(struct arili_link *link, aril_status st, const char *why)
{
    if (link->peer.ended) {
        return;
    }
    struct arili_loop *loop = link->peer.loop;
    const struct arili_holder holder = link->holder;
    const bool was_ready = link->state == ARILI_LINK_READY;
    let_go(link);
    forget_idle(link);
    link->node->links--;
    if (was_ready) {
        atomic_fetch_sub(&loop->proxy->links, 1);
    }
    arili_peer_end(&link->peer);
    if (st != ARIL_E_INTERRUPTED) {
        node_failed(link, link->error[0] != '\0' ? link->error : why);
    }
    /* A job that writes and is owed nothing hears of it from nobody else. */
    const bool writes = holder.job != NULL && holder.job->wrote != NULL && holder.job->owed == 0;
    if (holder.job != NULL) { /* before it hears of it: then it may end */
        holder.job->link = NULL;
    }
    while (link->count > 0) {
        struct arili_request *r = head(link)->request;
        pop(link);
        if (r != NULL) {
            fail_one(r, link->error[0] != '\0' ? link->error : why);
        }
    }
    if (holder.client != NULL) {
        arili_client_link_lost(holder.client, link);
    } else if (writes && !holder.job->ending) {
        arili_job_fail(holder.job, "ERR aril: the connection to the server was lost; the command "
                                   "was not done");
    }
    arili_link_is_free(loop, link->node);
}

void arili_link_free(struct arili_link *link)
{
    arili_free(link->expected, link->cap * sizeof *link->expected);
    arili_free(link, sizeof *link);
}

/* --- Answers in ----------------------------------------------------------------------------- */

/* The slot of r is not here. True: it was sent where it is. */
static bool elsewhere(struct arili_request *r)
{
    bool ask = false;
    struct arili_node *node = NULL;
    if (r->job != NULL) { /* which may look at r->moved, and else has no answer */
        (void)arili_cluster_learn(r, &ask, &node);
        r->got.kind = ARILI_RESP_MORE;
        r->answered = true;
        return false;
    }
    r->moved = false;
    r->begun = false;
    if (arili_cluster_redirect(r)) {
        return true;
    }
    (void)arili_reply_fail(r, "TRYAGAIN aril: the slot of this key has moved; try again");
    return false;
}

static void answered(struct arili_link *link, struct arili_request *r)
{
    r->link = NULL;
    pop(link);
    if (r->moved) {
        arili_figure_add(&link->peer.loop->proxy->figures.redirects, 1);
        if (elsewhere(r)) {
            return;
        }
    }
    if (r->job != NULL) {
        arili_job_answered(r->job, r);
    } else if (r->client != NULL) {
        arili_client_advance(r->client);
    }
}

/* A server may say LOADING, NOAUTH or WRONGPASS to the log-in. */
static void keep_error(struct arili_link *link, aril_bytes text)
{
    const size_t n = text.len < sizeof link->error - 1 ? text.len : sizeof link->error - 1;
    memcpy(link->error, text.data, n);
    link->error[n] = '\0';
}

static void logged_in(struct arili_link *link)
{
    struct arili_proxy *proxy = link->peer.loop->proxy;
    if (link->state != ARILI_LINK_READY) {
        link->state = ARILI_LINK_READY;
        atomic_fetch_add(&proxy->links, 1);
    }
    link->node->failures = 0;
    link->peer.deadline_ns = 0;
    atomic_store(&proxy->server_down, false);
}

/* An answer of which only errors matter. True: go on. */
static bool swallow(struct arili_link *link, const struct arili_resp_event *e)
{
    const struct arili_expected *x = head(link);
    if (e->kind == ARILI_RESP_ERROR && e->depth == 0) {
        keep_error(link, e->text);
        link->swallowed_error = true;
    }
    if (e->kind != ARILI_RESP_END) {
        return true;
    }
    const bool failed = link->swallowed_error && x->what != ARILI_SWALLOW_ANY;
    const bool login = x->what == ARILI_SWALLOW_LOGIN;
    link->swallowed_error = false;
    pop(link);
    if (failed) {
        arili_link_lost(link, ARIL_E_IO, "the server refused the log-in");
        return false;
    }
    if (login) {
        logged_in(link);
    }
    link->error[0] = '\0';
    return true;
}

static bool nonsense(struct arili_link *link, const char *what)
{
    arili_figure_add(&link->peer.loop->proxy->figures.link_nonsense, 1);
    arili_link_lost(link, ARIL_E_FORMAT_FIELD, what);
    return false;
}

/* True: go on reading. */
static bool one_event(struct arili_link *link, const struct arili_resp_event *e,
                      struct arili_block *block)
{
    struct arili_expected *x = head(link);
    if (link->in_push || (e->kind == ARILI_RESP_PUSH && e->depth == 0)) {
        link->in_push = e->kind != ARILI_RESP_END; /* nothing was subscribed to */
        return true;
    }
    link->heard_ns = link->peer.loop->now_ns; /* a push is no answer */
    if (x == NULL) {
        return e->kind == ARILI_RESP_END || nonsense(link, "it spoke without being asked");
    }
    if (x->request == NULL) {
        return swallow(link, e);
    }
    struct arili_request *r = x->request;
    if (e->kind == ARILI_RESP_END) {
        if (!r->answered && !r->moved) {
            return nonsense(link, "its answer is none of this command");
        }
        answered(link, r);
        return !link->peer.ended;
    }
    const enum arili_heard heard =
        r->answered ? ARILI_HEARD_NONSENSE : arili_reply_event(r, e, block);
    if (heard == ARILI_HEARD_NONSENSE) {
        return nonsense(link, "its answer is none of this command");
    }
    if (heard == ARILI_HEARD_WAIT) {
        link->stuck = true;
        link->peer.paused = true;
        return false;
    }
    return true;
}

/* The client does not read what is there for it: neither do we. */
static void press_back(struct arili_link *link)
{
    struct arili_client *c = link->holder.client;
    if (c != NULL && c->peer.out.bytes > c->settings->config->client_out_max) {
        link->peer.paused = true;
    }
}

size_t arili_link_came(struct arili_link *link, struct arili_block *block, uint8_t *data, size_t n)
{
    struct arili_resp_event e;
    aril_bytes in = { data, n };
    while (!link->peer.ended && !link->peer.paused) {
        const aril_status st = arili_resp_next(&link->decoder, &in, &e);
        if (st != ARIL_OK) {
            nonsense(link, "it does not speak RESP");
            break;
        }
        if (e.kind == ARILI_RESP_MORE || !one_event(link, &e, block)) {
            break;
        }
        if (e.kind == ARILI_RESP_END) {
            press_back(link);
        }
    }
    if (!link->peer.ended) {
        press_back(link);
        const struct arili_expected *x = head(link);
        if (x != NULL && x->request != NULL && x->request->client != NULL) {
            arili_peer_touch(&x->request->client->peer);
        }
    }
    return n - in.len;
}

void arili_link_unstick(struct arili_link *link)
{
    if (!link->stuck || link->peer.ended) {
        return;
    }
    struct arili_expected *x = head(link);
    const enum arili_heard heard =
        x != NULL && x->request != NULL ? arili_reply_resume(x->request) : ARILI_HEARD;
    if (heard == ARILI_HEARD_WAIT) {
        return;
    }
    link->stuck = false;
    if (heard == ARILI_HEARD_NONSENSE) {
        nonsense(link, "its answer is none of this command");
        return;
    }
    arili_peer_resume(&link->peer);
}

void arili_link_connected(struct arili_link *link)
{
    struct arili_proxy *proxy = link->peer.loop->proxy;
    arili_figure_add(&proxy->figures.link_connects, 1);
    link->state = ARILI_LINK_LOGIN;
    link->heard_ns = link->peer.loop->now_ns;
    arili_peer_touch(&link->peer);
}
