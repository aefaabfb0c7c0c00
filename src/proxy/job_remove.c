/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/report.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
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
};

/* --- Telling -------------------------------------------------------------------------------- */

void arili_bad_tell(struct arili_request *r, aril_bytes text)
{
    const struct arili_proxy *proxy = r->loop->proxy;
    aril_event event = { .kind = ARIL_EVENT_AUTH_FAILURE,
                         .status = r->value.status != ARIL_OK ? r->value.status : ARIL_E_AUTH,
                         .action = r->in_hash ? "proxy field" : "proxy value",
                         .tenant = { (const uint8_t *)r->tenant->id, r->tenant->id_len } };
    (void)text; /* a key is the tenant's secret: the log has none */
    memcpy(event.key_id, r->value.said.key_id, sizeof event.key_id);
    arili_audit_emit(proxy->rt->audit, &proxy->rt->clock, &event);
    arili_proxy_say(proxy, 1, "tenant %s: a value failed its check: %s", r->tenant->id,
                    aril_status_text(event.status));
}

/* --- Steps ---------------------------------------------------------------------------------- */

static void free_bad(struct arili_bad *bad)
{
    arili_free(bad, sizeof *bad + bad->key_len + bad->field_len);
}

static void removing_done(struct arili_job *job)
{
    struct removing *m = (struct removing *)job;
    while (m->bad != NULL) {
        struct arili_bad *next = m->bad->next;
        free_bad(m->bad);
        m->bad = next;
    }
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
    free_bad(bad);
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

static void take_away(struct removing *m)
{
    struct arili_job *job = &m->job;
    const struct arili_bad *bad = m->bad;
    char aside[ARILI_CACHE_NAME_TEXT + 64];
    const int n =
        snprintf(aside, sizeof aside, "%s%.*s:%llu", job->loop->settings->config->quarantine,
                 (int)m->place.name_len, m->place.name, (unsigned long long)job->loop->now_ms);
    const aril_bytes multi = ARILI_LITERAL("MULTI");
    const aril_bytes exec = ARILI_LITERAL("EXEC");
    const aril_bytes unlink_it[] = { ARILI_LITERAL("UNLINK"), name_of(m) };
    const aril_bytes hdel[] = { ARILI_LITERAL("HDEL"), name_of(m), field_of(bad) };
    const aril_bytes rename_it[] = { ARILI_LITERAL("RENAME"),
                                     name_of(m),
                                     { (const uint8_t *)aside, (size_t)n } };
    const bool moves = m->aside && !bad->in_hash && n > 0 && (size_t)n < sizeof aside;
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
        const bool moved = m->aside && !m->bad->in_hash; /* a field cannot be moved alone */
        arili_figure_add(moved ? &m->tenant->figures.quarantined : &m->tenant->figures.removed, 1);
    }
    done_with(m);
}

void arili_job_remove(struct arili_request *r)
{
    struct removing *m = (struct removing *)arili_job_new(r->loop, sizeof *m, r->client, r, step);
    if (m == NULL) { /* it is found again */
        arili_bad_free(r);
        return;
    }
    m->job.done = removing_done;
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
