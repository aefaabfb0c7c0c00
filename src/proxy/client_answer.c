/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/client_internal.h"

/*
 * A client's requests leave in the order in which they came, and what it may do meanwhile follows
 * from what is under way.
 */
#define NS_PER_US UINT64_C(1000)
/* What a server was not sent yet, of a value that is streamed: more, and the client waits. */
#define STREAM_HIGH ((uint64_t)1 << 20)

void arili_client_append(struct arili_client *c, struct arili_request *r)
{
    r->client = c;
    r->next = NULL;
    *c->end = r;
    c->end = &r->next;
    c->count++;
}

static void count_latency(struct arili_client *c, const struct arili_request *r)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    const uint64_t now = c->peer.loop->now_ns;
    const uint64_t us = now > r->began_ns ? (now - r->began_ns) / NS_PER_US : 0;
    unsigned bucket = us == 0 ? 0 : 64u - (unsigned)__builtin_clzll(us);
    bucket = bucket < ARILI_LATENCY_BUCKETS ? bucket : ARILI_LATENCY_BUCKETS - 1;
    arili_figure_add(&proxy->latency.buckets[bucket], 1);
    arili_figure_add(&proxy->latency.sum_us, us);
    if (c->tenant != NULL) {
        arili_figure_add(&c->tenant->figures.commands, 1);
    }
}

static void say_sum(struct arili_client *c, const struct arili_sum *sum)
{
    if (sum->error[0] != '\0') {
        arili_say_error(&c->peer.out, "%s", sum->error);
    } else if (sum->ok_alone) {
        arili_say_simple(&c->peer.out, "OK");
    } else {
        arili_say_integer(&c->peer.out, sum->number);
    }
}

/* The first request is answered: it leaves. */
static void pop(struct arili_client *c)
{
    struct arili_request *r = c->first;
    if (!r->silent) {
        arili_flow_move(&c->peer.out, &r->out);
        count_latency(c, r);
    }
    if (r->sum != NULL && r->sum_last) {
        say_sum(c, r->sum);
        count_latency(c, r);
    }
    c->first = r->next;
    if (c->first == NULL) {
        c->end = &c->first;
    }
    c->count--;
    if (r->cut) {
        arili_peer_end(&c->peer);
    }
    arili_request_free(c->peer.loop, r);
    if (c->first != NULL && !c->first->silent && !c->first->frozen && !c->first->held_back) {
        arili_flow_move(&c->peer.out, &c->first->out);
    }
}

static void answer(struct arili_client *c)
{
    while (c->first != NULL && c->first->answered && c->first->link == NULL && !c->first->frozen &&
           !c->peer.ended) {
        if (c->first->bad != NULL) {
            arili_job_remove(c->first); /* which may have ended already, and popped it */
            continue;
        }
        pop(c);
    }
}

void arili_client_give_links(struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count;) {
        if (c->links[i]->sticky) {
            i++;
            continue;
        }
        struct arili_link *link = c->links[i];
        c->links[i] = c->links[--c->link_count];
        arili_link_give(link);
    }
}

/* Those that owe nothing, while a job holds the client up: it may wait for one of them, or for
 * others who do, and what is held back for it may be the memory that they wait for. */
static void give_spare_links(struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count;) {
        struct arili_link *link = c->links[i];
        if (link->sticky || link->half_sent || link->count > 0) {
            i++;
            continue;
        }
        c->links[i] = c->links[--c->link_count];
        arili_link_give(link);
    }
}

/* A server does not take what it was sent. */
static bool servers_are_full(const struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->peer.out.bytes > STREAM_HIGH) {
            return true;
        }
    }
    return false;
}

/* With more under way than memory has room for, a client has one command at a time. */
static bool too_many(const struct arili_client *c)
{
    return c->count > 0 && c->stream == NULL &&
           (c->count >= c->settings->config->pipeline_max ||
            !arili_budget_has(&c->peer.loop->proxy->budget, 0));
}

bool arili_client_is_held(const struct arili_client *c)
{
    return c->job != NULL || c->login != NULL || c->waits_for_link || servers_are_full(c) ||
           too_many(c) || c->peer.out.bytes > c->settings->config->client_out_max ||
           c->peer.closing;
}

void arili_client_advance(struct arili_client *c)
{
    if (c->peer.ended) {
        return;
    }
    answer(c);
    if (c->job != NULL) {
        give_spare_links(c);
    }
    if (c->count == 0 && c->stream == NULL) {
        arili_client_give_links(c);
        if (c->refused_input || (c->peer.loop->draining && !c->in_command && c->job == NULL)) {
            c->peer.closing = true;
        }
    }
    if (c->peer.paused && !arili_client_is_held(c)) {
        arili_peer_resume(&c->peer);
    }
    arili_peer_touch(&c->peer);
}

void arili_client_flow(struct arili_client *c)
{
    const uint64_t high = c->settings->config->client_out_max;
    if (c->peer.out.bytes > high / 2) {
        return;
    }
    for (uint32_t i = 0; i < c->link_count; i++) {
        struct arili_link *link = c->links[i];
        if (link->peer.paused && !link->stuck) {
            arili_peer_resume(&link->peer);
        }
    }
    if (c->peer.paused && !arili_client_is_held(c)) {
        arili_peer_resume(&c->peer);
    }
}
