/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <string.h>

/* What takes several exchanges with a server, over a link of its own, while its client waits. */

struct arili_job *arili_job_new(struct arili_loop *loop, size_t bytes, struct arili_client *c,
                                struct arili_request *r,
                                void (*step)(struct arili_job *, struct arili_request *))
{
    struct arili_job *job = arili_alloc(bytes);
    if (job == NULL) {
        return NULL;
    }
    job->bytes = bytes;
    job->loop = loop;
    job->client = c;
    job->tenant = c != NULL ? c->tenant : NULL;
    job->request = r;
    job->step = step;
    job->resp3 = c != NULL && c->resp3;
    job->database = c != NULL ? c->database : 0;
    job->next = loop->jobs;
    job->at = &loop->jobs;
    if (job->next != NULL) {
        job->next->at = &job->next;
    }
    loop->jobs = job;
    if (c != NULL && c->job == NULL) { /* a removal may begin while another holds it up */
        c->job = job;
    }
    return job;
}

void arili_job_give_link(struct arili_job *job)
{
    struct arili_link *link = job->link;
    job->link = NULL;
    if (link != NULL) {
        link->holder.job = NULL;
        arili_link_give(link);
    }
}

/* Answers that are still to come are for nobody. */
static void orphan(struct arili_job *job)
{
    struct arili_loop *loop = job->loop;
    for (struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        struct arili_link *link = (struct arili_link *)p;
        for (uint32_t i = 0; i < link->count; i++) {
            struct arili_expected *x = &link->expected[(link->first + i) % link->cap];
            if (x->request != NULL && x->request->job == job) {
                arili_request_free(loop, x->request);
                *x = (struct arili_expected){ .what = ARILI_SWALLOW_ANY };
                link->half_sent = true; /* nobody else gets this link */
            }
        }
    }
}

void arili_job_free(struct arili_job *job)
{
    job->ending = true;
    if (job->owed > 0) {
        orphan(job);
    }
    if (job->client != NULL && job->client->job == job) {
        job->client->job = NULL;
    }
    arili_job_give_link(job);
    if (job->done != NULL) {
        job->done(job);
    }
    *job->at = job->next;
    if (job->next != NULL) {
        job->next->at = job->at;
    }
    arili_free(job, job->bytes);
}

void arili_job_end(struct arili_job *job)
{
    struct arili_client *c = job->client;
    if (job->request != NULL) {
        job->request->frozen = false;
        job->request->answered = true;
    }
    arili_job_free(job);
    if (c != NULL) {
        arili_client_advance(c);
    }
}

void arili_job_fail(struct arili_job *job, const char *text)
{
    if (job->request != NULL && !job->request->frozen) {
        arili_flow_done(&job->request->out);
        arili_say_error(&job->request->out, "%s", text);
    }
    if (job->link != NULL && job->owed > 0) {
        job->link->sticky = true; /* what it still says is for nobody: it is closed */
    }
    arili_job_end(job);
}

bool arili_job_link(struct arili_job *job, struct arili_node *node)
{
    struct arili_loop *loop = job->loop;
    if (job->link != NULL && job->link->node == node && job->link->database == job->database) {
        return true;
    }
    arili_job_give_link(job);
    if (node != NULL && arili_node_is_down(loop, node)) {
        arili_job_fail(job, "ERR aril: the server cannot be reached; try again shortly");
        return false;
    }
    job->link = node == NULL ? NULL
                             : arili_link_take(loop, node, (struct arili_holder){ .job = job },
                                               job->resp3, job->database);
    job->waits = job->link == NULL;
    return !job->waits;
}

struct arili_request *arili_job_expect(struct arili_job *job, enum arili_shape shape)
{
    struct arili_request *r = arili_request_new(job->loop);
    if (r == NULL || !arili_link_has_room(job->link)) {
        arili_request_free(job->loop, r);
        job->link->sticky = true; /* it was asked what nobody expects an answer to: it is closed */
        arili_job_fail(job, "ERR aril: out of memory");
        return NULL;
    }
    r->job = job;
    r->shape = shape;
    r->resp3 = job->resp3;
    r->database = job->database;
    job->owed++;
    (void)arili_link_expect(job->link, r, ARILI_SWALLOW_OK); /* there is room */
    return r;
}

struct arili_request *arili_job_ask(struct arili_job *job, enum arili_shape shape,
                                    const aril_bytes *args, size_t count)
{
    if (job->link == NULL) { /* it was lost just now */
        arili_job_fail(job, "ERR aril: the connection to the server was lost");
        return NULL;
    }
    arili_link_command(job->link, args, count);
    return arili_job_expect(job, shape);
}

void arili_job_opens(struct arili_request *r, struct arili_tenant *tenant,
                     struct arili_tenant_keys *keys,
                     const uint8_t context[ARILI_CACHE_CONTEXT_BYTES])
{
    if (r != NULL) {
        r->tenant = tenant;
        r->keys = keys;
        atomic_fetch_add(&keys->refs, 1);
        memcpy(r->asked_one.context, context, sizeof r->asked_one.context);
    }
}

void arili_job_answered(struct arili_job *job, struct arili_request *r)
{
    struct arili_loop *loop = job->loop;
    job->owed--;
    if (!job->ending) {
        job->step(job, r);
    }
    arili_request_free(loop, r);
}

void arili_jobs_tick(struct arili_loop *loop)
{
    struct arili_job *job = loop->jobs;
    while (job != NULL) {
        struct arili_job *next = job->next;
        if (job->waits) {
            job->waits = false;
            job->step(job, NULL);
        }
        job = next;
    }
}
