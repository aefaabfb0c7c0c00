/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * Which server has a key. Without a Cluster there is one. With one, each loop reads the map with
 * CLUSTER SLOTS when it needs one and when a server says MOVED (Redis Cluster specification).
 */
#define NS_PER_MS     UINT64_C(1000000)
#define REFRESH_MS    100u /* not more often than this */
#define REDIRECTS_MAX 8u

/* --- Nodes ---------------------------------------------------------------------------------- */

static struct arili_node *seed(struct arili_loop *loop, uint64_t number)
{
    const struct arili_upstream_config *u = &loop->settings->config->upstream;
    return arili_node_of(loop, &u->seeds[number % u->seed_count]);
}

/* Somebody to ask for the map: who has slots and is up, else a seed. In turns: one of them may know
 * less than the others. */
static struct arili_node *somebody(struct arili_loop *loop)
{
    uint32_t up = 0;
    for (const struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        up += n->has_slots && !arili_node_is_down(loop, n) ? 1 : 0;
    }
    uint32_t turn = up > 0 ? loop->map_asks++ % up : 0;
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        if (n->has_slots && !arili_node_is_down(loop, n) && turn-- == 0) {
            return n;
        }
    }
    const struct arili_upstream_config *u = &loop->settings->config->upstream;
    const uint32_t first = loop->map_asks++;
    for (size_t i = 0; i < u->seed_count; i++) {
        struct arili_node *n = seed(loop, first + i);
        if (n != NULL && !arili_node_is_down(loop, n)) {
            return n;
        }
    }
    return NULL;
}

struct arili_node *arili_cluster_node(struct arili_loop *loop, uint16_t slot)
{
    if (loop->slots == NULL) {
        struct arili_node *n = seed(loop, 0);
        if (n != NULL) {
            n->has_slots = true;
        }
        return n;
    }
    struct arili_node *node = loop->slots[slot % ARILI_RESP_SLOTS];
    if (node != NULL) {
        if (arili_node_is_down(loop, node)) {
            arili_cluster_refresh(loop); /* another one may have its slots now */
        }
        return node;
    }
    arili_cluster_refresh(loop);
    /* When nobody could be asked, the caller is told so by a node that is down. */
    return loop->map_loading ? NULL : seed(loop, 0);
}

struct arili_node *arili_cluster_any(struct arili_loop *loop)
{
    if (loop->slots == NULL) {
        return arili_cluster_node(loop, 0);
    }
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        if (n->has_slots && !arili_node_is_down(loop, n)) {
            return n;
        }
    }
    return arili_cluster_node(loop, 0);
}

/* --- Reading the map ------------------------------------------------------------------------ */

struct mapping {
    struct arili_job job; /* first */
    struct arili_node *asked;
    struct arili_node **slots; /* ARILI_RESP_SLOTS */
    unsigned element;          /* of the range that is being read */
    unsigned part;             /* of its first node */
    int64_t first, last;
    bool any; /* there was a range */
    struct arili_address address;
    size_t host_len;
    bool wrong;
};

static void mapping_done(struct arili_job *job)
{
    struct mapping *m = (struct mapping *)job;
    job->loop->map_loading = false;
    arili_free(m->slots, ARILI_RESP_SLOTS * sizeof(struct arili_node *));
    arili_links_wake(job->loop,
                     UINT32_MAX); /* they find what they wait for, or hear that nobody is there */
}

static void take_range(struct mapping *m, int64_t port)
{
    if (m->first < 0 || m->last >= (int64_t)ARILI_RESP_SLOTS || m->first > m->last || port < 1 ||
        port > 65535) {
        m->wrong = true;
        return;
    }
    if (m->host_len == 0) { /* "the one that you asked" */
        m->address = m->asked->address;
    }
    m->address.port = (uint16_t)port;
    struct arili_node *node = arili_node_of(m->job.loop, &m->address);
    m->wrong = m->wrong || node == NULL;
    m->any = true;
    for (int64_t s = m->first; s <= m->last; s++) {
        m->slots[s] = node;
    }
}

void arili_cluster_event(struct arili_request *r, const struct arili_resp_event *e)
{
    struct mapping *m = (struct mapping *)r->job;
    if (e->depth == 0 && e->kind != ARILI_RESP_ARRAY) {
        m->wrong = true;
    } else if (e->depth == 1 && e->kind == ARILI_RESP_ARRAY) {
        m->element = 0;
        m->part = 0;
    } else if (e->depth == 2 && e->kind == ARILI_RESP_INTEGER) {
        *(m->element == 0 ? &m->first : &m->last) = e->number;
        m->element++;
    } else if (e->depth == 2 && e->kind == ARILI_RESP_ARRAY) {
        m->element++;
        m->part = 0;
        m->host_len = 0;
        memset(&m->address, 0, sizeof m->address);
    } else if (e->depth == 3 && m->element == 3) { /* the master; replicas follow */
        if (e->kind == ARILI_RESP_BODY && m->part == 0) {
            if (e->text.len >= sizeof m->address.host - m->host_len) {
                m->wrong = true;
                return;
            }
            memcpy(m->address.host + m->host_len, e->text.data, e->text.len);
            m->host_len += e->text.len;
            m->part += e->last ? 1 : 0;
        } else if (e->kind == ARILI_RESP_NIL && m->part == 0) {
            m->part = 1;
        } else if (e->kind == ARILI_RESP_INTEGER && m->part == 1) {
            m->part = 2;
            take_range(m, e->number);
        }
    }
}

static void take_map(struct mapping *m)
{
    struct arili_loop *loop = m->job.loop;
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        n->has_slots = false;
    }
    for (uint32_t s = 0; s < ARILI_RESP_SLOTS; s++) {
        loop->map_version += loop->slots[s] != m->slots[s] ? 1 : 0;
        loop->slots[s] = m->slots[s];
        if (m->slots[s] != NULL) {
            m->slots[s]->has_slots = true;
            m->slots[s]->gone = false;
        }
    }
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        n->gone = !n->has_slots;
    }
}

static void step(struct arili_job *job, struct arili_request *answer)
{
    struct mapping *m = (struct mapping *)job;
    struct arili_loop *loop = job->loop;
    const aril_bytes args[] = { ARILI_LITERAL("CLUSTER"), ARILI_LITERAL("SLOTS") };
    if (answer == NULL || answer->got.kind == ARILI_RESP_MORE) {
        m->asked = somebody(loop);
        if (m->asked == NULL || job->tries++ > ARILI_NODES_MAX) {
            arili_job_end(job);
            return;
        }
        if (arili_job_link(job, m->asked)) {
            struct arili_request *r = arili_job_ask(job, ARILI_SHAPE_SLOTS, args, 2);
            if (r != NULL) {
                r->got.kind = ARILI_RESP_ARRAY;
            }
        }
        return;
    }
    if (!m->wrong && m->any) { /* a node that was reset knows of nobody: that is no map */
        take_map(m);
    } else {
        arili_proxy_say(loop->proxy, 1, "the server's CLUSTER SLOTS is no map of a Cluster");
    }
    arili_job_end(job);
}

void arili_cluster_refresh(struct arili_loop *loop)
{
    if (loop->slots == NULL || loop->map_loading ||
        (loop->map_at_ns != 0 && loop->now_ns - loop->map_at_ns < REFRESH_MS * NS_PER_MS)) {
        return;
    }
    struct mapping *m = (struct mapping *)arili_job_new(loop, sizeof *m, NULL, NULL, step);
    if (m == NULL) {
        return;
    }
    loop->map_loading = true;
    loop->map_at_ns = loop->now_ns;
    m->job.done = mapping_done;
    m->slots = arili_alloc(ARILI_RESP_SLOTS * sizeof(struct arili_node *));
    if (m->slots == NULL) {
        arili_job_end(&m->job);
        return;
    }
    step(&m->job, NULL);
}

/* --- Redirections --------------------------------------------------------------------------- */

/* "MOVED 3999 127.0.0.1:6381", "ASK 3999 :6381" */
static bool parse(const struct arili_got *got, const struct arili_node *from, bool *ret_ask,
                  uint16_t *ret_slot, struct arili_address *ret)
{
    char text[sizeof got->text + 1];
    char where[300];
    unsigned slot = 0;
    memcpy(text, got->text, got->len);
    text[got->len] = '\0';
    *ret_ask = text[0] == 'A';
    if (sscanf(text, *ret_ask ? "ASK %5u %299s" : "MOVED %5u %299s", &slot, where) != 2 ||
        slot >= ARILI_RESP_SLOTS) {
        return false;
    }
    *ret_slot = (uint16_t)slot;
    char *colon = strrchr(where, ':');
    unsigned port = 0;
    if (colon == NULL || sscanf(colon + 1, "%5u", &port) != 1 || port < 1 || port > 65535) {
        return false;
    }
    *colon = '\0';
    *ret = from->address;
    if (where[0] != '\0') {
        ret->is_unix = false;
        (void)snprintf(ret->host, sizeof ret->host, "%.255s", where);
    }
    ret->port = (uint16_t)port;
    return true;
}

bool arili_cluster_learn(struct arili_request *r, bool *ret_ask, struct arili_node **ret)
{
    struct arili_loop *loop = r->loop;
    struct arili_address address;
    uint16_t slot = 0;
    if (r->asked_at == NULL || !parse(&r->got, r->asked_at, ret_ask, &slot, &address)) {
        return false;
    }
    struct arili_node *node = arili_node_of(loop, &address);
    if (node != NULL && !*ret_ask) {
        loop->map_version += loop->slots[slot] != node ? 1 : 0;
        loop->slots[slot] = node;
        node->has_slots = true;
        node->gone = false;
        loop->map_at_ns = 0;
        arili_cluster_refresh(loop);
    }
    *ret = node;
    return node != NULL;
}

/* Commands of one slot stay in their order: none is sent to a node while one that was sent before
 * it is still with another. */
static bool would_overtake(const struct arili_request *r, const struct arili_node *node)
{
    for (const struct arili_request *q = r->client->first; q != NULL && q != r; q = q->next) {
        if (q->slot == r->slot && q->link != NULL && q->link->node != node) {
            return true;
        }
    }
    return false;
}

/* What is watched goes to another server, when it is all that the client has begun there. Else the
 * client hears that WATCH failed; and then nothing is watched, so that it can try again. */
static bool move_watch(const struct arili_request *r, struct arili_link *to)
{
    struct arili_client *c = r->client;
    if (c->watches != 1 || c->in_multi || r->next != NULL) {
        return false;
    }
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->node == r->asked_at) {
            c->links[i]->sticky = false;
        }
    }
    if (to == NULL) {
        c->watching = false;
        c->watches = 0;
        return false;
    }
    to->sticky = true;
    return true;
}

/* NULL: there is none, or something else is on its way there that nothing can come between. */
static struct arili_link *link_to(const struct arili_request *r, struct arili_node *node)
{
    struct arili_client *c = r->client;
    if (node == NULL || would_overtake(r, node)) {
        return NULL;
    }
    struct arili_link *link = arili_client_link(c, node);
    const bool free = link != NULL && !link->half_sent && !(link->sticky && c->multi_sent);
    return free ? link : NULL;
}

bool arili_cluster_redirect(struct arili_request *r)
{
    bool ask = false;
    struct arili_node *node = NULL;
    if (!arili_cluster_learn(r, &ask, &node) || r->client == NULL) {
        return false;
    }
    const bool may = r->sent != NULL && r->redirects++ < REDIRECTS_MAX;
    struct arili_link *link = may ? link_to(r, node) : NULL;
    const bool watch = r->command != NULL && r->command->verb == ARILI_VERB_WATCH;
    if (watch && !move_watch(r, ask ? NULL : link)) {
        return false;
    }
    if (link == NULL) {
        return false;
    }
    if (ask) {
        const aril_bytes asking = ARILI_LITERAL("ASKING");
        arili_link_command(link, &asking, 1);
        if (!arili_link_expect(link, NULL, ARILI_SWALLOW_OK)) {
            return false;
        }
    }
    arili_flow_put(&link->peer.out, (aril_bytes){ r->sent, r->sent_len });
    (void)arili_link_expect(link, r, ARILI_SWALLOW_OK); /* else r was told */
    arili_peer_touch(&link->peer);
    return true;
}
