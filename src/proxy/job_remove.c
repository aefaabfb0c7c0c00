/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/loop_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * A value that failed its check is removed, or moved aside, before the client hears that it is not
 * there: then EXISTS and NX say the same as GET. Only what was found is touched: its beginning is
 * compared between WATCH and EXEC, so that a value that was put meanwhile stays.
 */
#define TRIES_MAX 8u

struct removing {
    struct arili_job job; /* first */
    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys;
    struct arili_bad *bad; /* what is left to do */
    bool aside;            /* quarantine */
    struct arili_place place;
    uint32_t answers;
    char to[ARILI_CACHE_NAME_TEXT + 128]; /* where it is moved; empty: it is removed */
};

/* --- Steps ---------------------------------------------------------------------------------- */

static void removing_done(struct arili_job *job)
{
    struct removing *m = (struct removing *)job;
    arili_bad_free(m->bad);
    arili_tenant_keys_drop(m->keys);
}

static aril_bytes name_of(const struct removing *m)
{
    return (aril_bytes){ (const uint8_t *)m->place.name, m->place.name_len };
}

static aril_bytes field_of(const struct arili_bad *bad)
{
    return (aril_bytes){ bad->text + bad->key_len, bad->field_len };
}

static void next_one(struct removing *m);

static void done_with(struct removing *m)
{
    struct arili_bad *bad = m->bad;
    m->bad = bad->next;
    bad->next = NULL;
    arili_bad_free(bad);
    m->job.tries = 0;
    if (m->job.link != NULL && m->job.stage == 1) { /* else it still watches, and is closed */
        m->job.link->sticky = false;
    }
    next_one(m);
}

static void next_one(struct removing *m)
{
    struct arili_job *job = &m->job;
    struct arili_bad *bad = m->bad;
    if (bad == NULL) {
        arili_job_end(job);
        return;
    }
    const aril_bytes key = { bad->text, bad->key_len };
    if (arili_place_make(NULL, m->tenant, m->keys, job->database, key, &m->place) != ARIL_OK) {
        done_with(m);
        return;
    }
    if (!arili_job_link(job, arili_cluster_node(job->loop, arili_resp_slot(name_of(m))))) {
        return;
    }
    const aril_bytes watch[] = { ARILI_LITERAL("WATCH"), name_of(m) };
    const aril_bytes head[] = { ARILI_LITERAL("GETRANGE"), name_of(m), ARILI_LITERAL("0"),
                                ARILI_LITERAL("95") };
    const aril_bytes field[] = { ARILI_LITERAL("HGET"), name_of(m), field_of(bad) };
    m->answers = 0;
    job->stage = 0;
    job->link->sticky = true;
    if (arili_job_ask(job, ARILI_SHAPE_COLLECT, watch, 2) != NULL) {
        (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, bad->in_hash ? field : head,
                            bad->in_hash ? 3 : 4);
    }
}

/* Whether it is still the one that was found. */
static bool is_it(const struct arili_bad *bad, const struct arili_got *got)
{
    return got->kind == ARILI_RESP_BULK && got->len >= bad->header_len &&
           (bad->header_len == ARILI_VALUE_HEADER_BYTES || got->len == bad->header_len) &&
           memcmp(got->text, bad->header, bad->header_len) == 0;
}

/* Another one each time, here and in the other proxies: RENAME would replace what has the name. 0:
 * it would be too long. */
static size_t name_aside(struct removing *m)
{
    struct arili_loop *loop = m->job.loop;
    const uint64_t number = atomic_fetch_add(&loop->proxy->moved, 1);
    const int n =
        snprintf(m->to, sizeof m->to, "%s%.*s:%llu-%llu-%.8s", loop->settings->config->quarantine,
                 (int)m->place.name_len, m->place.name, (unsigned long long)loop->now_ms,
                 (unsigned long long)number, loop->proxy->run_id);
    if (n < 0 || (size_t)n >= sizeof m->to) {
        m->to[0] = '\0';
        return 0;
    }
    return (size_t)n;
}

static void take_away(struct removing *m)
{
    struct arili_job *job = &m->job;
    const struct arili_bad *bad = m->bad;
    const size_t n = m->aside && !bad->in_hash ? name_aside(m) : 0;
    const bool moves = n > 0;
    const aril_bytes multi = ARILI_LITERAL("MULTI");
    const aril_bytes exec = ARILI_LITERAL("EXEC");
    const aril_bytes unlink_it[] = { ARILI_LITERAL("UNLINK"), name_of(m) };
    const aril_bytes hdel[] = { ARILI_LITERAL("HDEL"), name_of(m), field_of(bad) };
    const aril_bytes rename_it[] = { ARILI_LITERAL("RENAME"),
                                     name_of(m),
                                     { (const uint8_t *)m->to, n } };
    job->stage = 1;
    if (arili_job_ask(job, ARILI_SHAPE_COLLECT, &multi, 1) == NULL ||
        arili_job_ask(job, ARILI_SHAPE_COLLECT,
                      moves          ? rename_it
                      : bad->in_hash ? hdel
                                     : unlink_it,
                      moves || bad->in_hash ? 3 : 2) == NULL) {
        return;
    }
    (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, &exec, 1);
}

/* It is not there any more. A field cannot be moved alone. */
static void tell_done(struct removing *m)
{
    const bool moved = m->to[0] != '\0';
    struct arili_telling t = { .kind = moved ? ARILI_TELL_ASIDE : ARILI_TELL_REMOVED,
                               .status = ARIL_E_AUTH,
                               .subject = name_of(m) };
    if (moved) {
        t.subject = (aril_bytes){ (const uint8_t *)m->to, strlen(m->to) };
    }
    arili_figure_add(moved ? &m->tenant->figures.quarantined : &m->tenant->figures.removed, 1);
    if (arili_proxy_may_tell(m->job.loop->proxy, m->tenant, &t)) {
        arili_proxy_tell(m->job.loop->proxy, &t);
    }
}

static void step(struct arili_job *job, struct arili_request *answer)
{
    struct removing *m = (struct removing *)job;
    if (answer == NULL) {
        next_one(m);
        return;
    }
    const struct arili_got *got = &answer->got;
    if (got->kind == ARILI_RESP_MORE) { /* it stays, and is found again */
        arili_job_end(job);
        return;
    }
    m->answers++;
    if (job->stage == 0) {
        if (m->answers == 2) {
            if (is_it(m->bad, got)) {
                take_away(m);
            } else {
                done_with(m);
            }
        }
        return;
    }
    if (job->owed > 0) {
        return;
    }
    if (got->kind == ARILI_RESP_NIL && ++job->tries < TRIES_MAX) {
        next_one(m);
        return;
    }
    if (got->kind == ARILI_RESP_ARRAY && !got->inner_error) {
        tell_done(m);
    }
    done_with(m);
}

void arili_job_remove(struct arili_request *r)
{
    struct removing *m = (struct removing *)arili_job_new(r->loop, sizeof *m, r->client, r, step);
    if (m == NULL) { /* it is found again */
        arili_bad_free(r->bad);
        r->bad = NULL;
        return;
    }
    m->job.done = removing_done;
    m->job.brief = true;
    m->job.database = r->database;
    m->tenant = r->tenant;
    m->keys = arili_tenant_keys_hold(r->tenant);
    m->aside = r->policy->on_tamper == ARILI_TAMPER_QUARANTINE;
    m->bad = r->bad;
    r->bad = NULL;
    r->frozen = true;
    if (m->keys == NULL || m->keys->status != ARIL_OK) {
        arili_job_end(&m->job);
        return;
    }
    step(&m->job, NULL);
}
