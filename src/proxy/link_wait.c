/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"

/*
 * Links are few, and a client may keep one for long: with WATCH or MULTI, or because it does not
 * read what is there for it. The last quarter of the links to a server is for tenants that have
 * few, so that none keeps the others away.
 */
#define SHARED_PARTS 4u /* a quarter */
#define FEW_PARTS    8u /* of all: what a tenant may have of the last quarter too */

/* Links to node of a tenant: those of jobs, or all. */
static uint32_t count(const struct arili_loop *loop, const struct arili_node *node,
                      const struct arili_tenant *tenant, bool of_jobs)
{
    uint32_t n = 0;
    for (const struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        const struct arili_link *link = (const struct arili_link *)p;
        n += !p->ended && link->held && link->node == node && link->tenant == tenant &&
                     (!of_jobs || link->holder.job != NULL)
                 ? 1
                 : 0;
    }
    return n;
}

static uint32_t count_brief(const struct arili_loop *loop, const struct arili_node *node)
{
    uint32_t n = 0;
    for (const struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        const struct arili_link *link = (const struct arili_link *)p;
        n += !p->ended && link->node == node && link->holder.job != NULL && link->holder.job->brief;
    }
    return n;
}

bool arili_link_job_may(const struct arili_loop *loop, const struct arili_node *node,
                        const struct arili_job *job)
{
    const uint32_t max = loop->settings->config->upstream.links_max;
    const struct arili_tenant *tenant = job->tenant;
    if (job->brief) { /* whoever has the others may wait for memory that its client's answers have
                       */
        return count_brief(loop, node) <= (max - 1) / FEW_PARTS;
    }
    return node->links < 2 * max && count(loop, node, tenant, true) <= (max - 1) / FEW_PARTS;
}

bool arili_link_is_allowed(const struct arili_loop *loop, const struct arili_node *node,
                           const struct arili_tenant *tenant)
{
    const struct arili_proxy_config *config = loop->settings->config;
    const uint32_t max = config->upstream.links_max;
    if (tenant == NULL || config->tenant_count < 2 || node->held < max - max / SHARED_PARTS) {
        return true;
    }
    return count(loop, node, tenant, false) <= (max - 1) / FEW_PARTS;
}

void arili_link_wait(struct arili_client *c, const struct arili_node *node)
{
    struct arili_loop *loop = c->peer.loop;
    c->waits_for = node;
    if (!c->waits_for_link) {
        c->waits_for_link = true;
        c->next_waiting = NULL;
        *loop->waiting_end = c;
        loop->waiting_end = &c->next_waiting;
    }
}

/* The one that *at points to looks again. */
static void wake(struct arili_loop *loop, struct arili_client **at)
{
    struct arili_client *c = *at;
    *at = c->next_waiting;
    if (*at == NULL) {
        loop->waiting_end = at;
    }
    c->next_waiting = NULL;
    c->waits_for_link = false;
    arili_peer_resume(&c->peer);
}

void arili_link_is_free(struct arili_loop *loop, const struct arili_node *node)
{
    for (struct arili_client **at = &loop->waiting; *at != NULL; at = &(*at)->next_waiting) {
        if ((*at)->waits_for == node && arili_link_is_allowed(loop, node, (*at)->tenant)) {
            wake(loop, at);
            return;
        }
    }
}

void arili_links_wake(struct arili_loop *loop, uint32_t most)
{
    for (uint32_t i = 0; i < most && loop->waiting != NULL; i++) {
        wake(loop, &loop->waiting);
    }
}
