/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/opening.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <stddef.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* --- Beginning ------------------------------------------------------------------------------ */

/* Memory for a value, so that two that are half there never wait for one another. */
static bool reserve(struct arili_loop *loop, uint64_t bytes)
{
    struct arili_proxy *proxy = loop->proxy;
    const uint64_t reserved = atomic_fetch_add(&proxy->reserved, bytes);
    const bool alone =
        reserved == 0 && arili_budget_has(&proxy->budget, 0); /* however long it is */
    if (alone || arili_budget_has(&proxy->budget, reserved + bytes)) {
        return true;
    }
    atomic_fetch_sub(&proxy->reserved, bytes);
    return false;
}

static void skip(struct arili_opening *o, enum arili_ending ending, aril_status st)
{
    o->skipping = true;
    o->ending = ending;
    o->status = st;
}

/* For as long as a server may take to answer: what holds the memory may wait for this one. */
static enum arili_heard wait_for_memory(struct arili_request *r)
{
    const struct arili_upstream_config *u = &r->loop->settings->config->upstream;
    const uint64_t now = r->loop->now_ns;
    if (r->waits_ns == 0) {
        r->waits_ns = now;
    } else if (now - r->waits_ns > u->answer_ms * NS_PER_MS) {
        r->waits_ns = 0;
        skip(&r->value, ARILI_ENDING_FAILED, ARIL_E_NOMEM);
        return ARILI_HEARD;
    }
    r->wants_memory = true;
    return ARILI_HEARD_WAIT;
}

enum arili_heard arili_opening_begin(struct arili_request *r, uint64_t stored_bytes,
                                     const uint8_t context[ARILI_CACHE_CONTEXT_BYTES])
{
    const struct arili_proxy_config *config = r->loop->settings->config;
    struct arili_opening *o = &r->value;
    memset(o, 0, offsetof(struct arili_opening, context));
    o->active = true;
    o->stored_bytes = stored_bytes;
    memmove(o->context, context, sizeof o->context); /* it may be o's own */
    if (arili_plain_bytes(stored_bytes, &o->plain_bytes) != ARIL_OK) {
        skip(o, ARILI_ENDING_TAMPERED, ARIL_E_FORMAT_LENGTH);
        return ARILI_HEARD;
    }
    o->streaming = o->plain_bytes > config->max_verified_value;
    if (o->streaming && (r->policy == NULL || !r->policy->streaming ||
                         r->shape != ARILI_SHAPE_VALUE || r->base > 0)) {
        skip(o, ARILI_ENDING_TOO_LONG, ARIL_E_LIMIT);
        return ARILI_HEARD;
    }
    const uint64_t want = o->streaming ? ARILI_VALUE_SEGMENT_BYTES : o->plain_bytes;
    if (want < ARILI_SLICE_MIN) {
        return ARILI_HEARD;
    }
    if (!reserve(r->loop, want)) {
        return wait_for_memory(r);
    }
    r->waits_ns = 0;
    o->reserved = true;
    return ARILI_HEARD;
}

void arili_opening_done(struct arili_request *r)
{
    struct arili_opening *o = &r->value;
    if (o->begun) {
        arili_forgive(arili_value_opener_done(&o->opener));
    }
    if (o->reserved) {
        atomic_fetch_sub(&r->loop->proxy->reserved,
                         o->streaming ? ARILI_VALUE_SEGMENT_BYTES : o->plain_bytes);
    }
    aril_tenant_key_put(o->key);
    o->key = NULL;
    o->begun = o->active = o->reserved = false;
}

/* --- The key -------------------------------------------------------------------------------- */

/* A key that is not in memory: the keyring is asked on a worker. */
struct key_task {
    struct arili_task task; /* first */
    struct arili_tenant *tenant;
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_tenant_key *key;
    aril_status status;
};

static void key_run(struct arili_task *task)
{
    struct key_task *t = (struct key_task *)task;
    const aril_bytes tenant = { (const uint8_t *)t->tenant->id, t->tenant->id_len };
    t->status = aril_keyring_key_by_id(task->loop->proxy->keyring, tenant, t->id, &t->key, NULL);
}

static void key_done(struct arili_task *task)
{
    struct key_task *t = (struct key_task *)task;
    struct arili_loop *loop = task->loop;
    arili_key_table_put(&loop->keys, t->tenant, t->id, t->key, t->status, loop->now_ns);
    arili_free(t, sizeof *t);
    for (struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        arili_link_unstick((struct arili_link *)p);
    }
}

static aril_status ask_for_key(struct arili_request *r)
{
    struct key_task *t = arili_alloc(sizeof *t);
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    t->task.run = key_run;
    t->task.done = key_done;
    t->tenant = r->tenant;
    memcpy(t->id, r->value.said.key_id, sizeof t->id);
    arili_figure_add(&r->loop->proxy->figures.key_waits, 1);
    arili_loop_work(r->loop, &t->task);
    return ARIL_OK;
}

/* --- The header ----------------------------------------------------------------------------- */

enum arili_ending arili_ending_of(aril_status st)
{
    switch (aril_status_class(st)) {
    case ARIL_E_KEY:
    case ARIL_E_NOT_FOUND:
        return ARILI_ENDING_KEY_GONE;
    case ARIL_E_ISOLATION:
    case ARIL_E_AUTH:
    case ARIL_E_FORMAT:
        return ARILI_ENDING_TAMPERED;
    default:
        return ARILI_ENDING_FAILED;
    }
}

/* The header is there: is the value one that may be read, and with which key? */
static enum arili_heard judge_header(struct arili_request *r)
{
    struct arili_opening *o = &r->value;
    const aril_bytes stored = { o->header, (size_t)o->stored_bytes };
    const aril_status parsed = arili_value_parse(stored, &o->said);
    if (parsed != ARIL_OK || (o->said.flags & ARILI_VALUE_TRAILER) != 0) {
        skip(o, ARILI_ENDING_TAMPERED, parsed != ARIL_OK ? parsed : ARIL_E_FORMAT_FIELD);
        return ARILI_HEARD;
    }
    const aril_status st = arili_key_table_find(&r->loop->keys, r->tenant, r->keys, o->said.key_id,
                                                r->loop->now_ns, &o->key);
    if (st != ARIL_OK) {
        skip(o, arili_ending_of(st), st);
        return ARILI_HEARD;
    }
    if (o->key == NULL) {
        const aril_status asked = ask_for_key(r);
        if (asked != ARIL_OK) {
            skip(o, ARILI_ENDING_FAILED, asked);
            return ARILI_HEARD;
        }
        return ARILI_HEARD_WAIT;
    }
    arili_value_opener_begin_in(&o->opener, &r->loop->values, o->key, o->header, &o->said,
                                o->context);
    o->begun = true;
    return ARILI_HEARD;
}

/* --- The body ------------------------------------------------------------------------------- */

/* Only what was verified says when it ends: a changed date is tampering, not the end. */
static bool is_over(const struct arili_request *r)
{
    const struct arili_value_header *h = &r->value.said;
    return h->not_after_ms <= r->loop->now_ms || h->generation < r->keys->generation;
}

/* Verified segments of a streamed value leave; the length goes first. */
static void stream_out(struct arili_request *r)
{
    struct arili_flow *out = arili_reply_out(r);
    if (!r->value.streamed) {
        if (is_over(r)) {
            skip(&r->value, ARILI_ENDING_EXPIRED, ARIL_E_EXPIRED);
            return;
        }
        arili_say_header(out, '$', r->value.plain_bytes);
        r->value.streamed = true;
        r->said = true;
    }
    arili_flow_move(out, &r->hold);
    if (r->client != NULL) {
        arili_peer_touch(&r->client->peer);
    }
}

/* Nothing came before it, and nothing comes behind it: it needs no place of its own. */
static bool is_whole(const struct arili_request *r)
{
    return r->hold.bytes == 0 && !r->value.streaming && r->shape != ARILI_SHAPE_PLAIN;
}

static void open_runs(struct arili_request *r, struct arili_block *block, aril_span piece,
                      bool last)
{
    struct arili_opening *o = &r->value;
    while (piece.len > 0 && !o->skipping) {
        aril_span run = { NULL, 0 };
        bool verified = false;
        const aril_status st = arili_value_opener_run(&o->opener, &piece, &run, &verified);
        if (st != ARIL_OK) {
            skip(o, arili_ending_of(st), st);
            return;
        }
        if (verified && last && piece.len == 0 && is_whole(r)) {
            o->whole_in = block;
            o->whole = (aril_bytes){ run.data, run.len };
            return;
        }
        arili_flow_share(&r->hold, block, (aril_bytes){ run.data, run.len });
        if (r->hold.failed) {
            skip(o, ARILI_ENDING_FAILED, ARIL_E_NOMEM);
            return;
        }
        if (verified && o->streaming) {
            stream_out(r);
        }
    }
}

enum arili_heard arili_opening_piece(struct arili_request *r, struct arili_block *block,
                                     aril_span piece, bool last)
{
    struct arili_opening *o = &r->value;
    if (o->header_len < ARILI_VALUE_HEADER_BYTES) { /* kept of a bad value too: it is known by it */
        const size_t want = ARILI_VALUE_HEADER_BYTES - o->header_len;
        const size_t n = piece.len < want ? piece.len : want;
        memcpy(o->header + o->header_len, piece.data, n);
        o->header_len += (uint32_t)n;
        piece = (aril_span){ piece.data + n, piece.len - n };
        if (o->header_len < ARILI_VALUE_HEADER_BYTES) {
            return ARILI_HEARD;
        }
    }
    if (!o->skipping && !o->begun && judge_header(r) == ARILI_HEARD_WAIT) {
        r->waiting = block;
        arili_block_hold(block);
        r->waiting_piece = piece;
        return ARILI_HEARD_WAIT;
    }
    if (!o->skipping) {
        open_runs(r, block, piece, last);
    }
    return ARILI_HEARD;
}

/* --- The end -------------------------------------------------------------------------------- */

static void count(struct arili_request *r)
{
    struct arili_tenant_figures *f = &r->tenant->figures;
    switch (r->value.ending) {
    case ARILI_ENDING_HIT:
        arili_figure_add(&f->hits, 1);
        arili_figure_add(&f->opened_bytes, r->value.plain_bytes);
        break;
    case ARILI_ENDING_TAMPERED:
        arili_figure_add(&f->tampered, 1);
        break;
    case ARILI_ENDING_EXPIRED:
        arili_figure_add(&f->expired, 1);
        break;
    case ARILI_ENDING_KEY_GONE:
        arili_figure_add(&f->key_gone, 1);
        break;
    default:
        arili_figure_add(&f->misses, 1);
        break;
    }
}

void arili_opening_end(struct arili_request *r)
{
    struct arili_opening *o = &r->value;
    if (!o->skipping) {
        const aril_status st =
            o->begun ? arili_value_opener_done(&o->opener) : ARIL_E_FORMAT_TRUNCATED;
        o->begun = false;
        if (st != ARIL_OK) {
            skip(o, arili_ending_of(st), st);
        } else if (is_over(r)) {
            o->ending = ARILI_ENDING_EXPIRED;
        }
    }
    if (o->ending != ARILI_ENDING_HIT && !o->streamed) {
        arili_flow_clear(&r->hold);
        o->whole_in = NULL;
    }
    if (o->ending != ARILI_ENDING_HIT && o->streamed) {
        r->cut = true;
    }
    count(r);
    arili_opening_done(r);
}

bool arili_ending_is_error(const struct arili_request *r, enum arili_ending ending)
{
    return ending == ARILI_ENDING_TOO_LONG || ending == ARILI_ENDING_FAILED ||
           (ending == ARILI_ENDING_TAMPERED && r->policy != NULL &&
            r->policy->on_tamper == ARILI_TAMPER_ERROR);
}

void arili_ending_say(struct arili_flow *out, enum arili_ending ending, aril_status st,
                      uint64_t bytes)
{
    if (ending == ARILI_ENDING_TAMPERED) {
        arili_say_error(out, "ERR aril: the value of this key is not what was put there; see the "
                             "log and the audit trail");
    } else if (ending == ARILI_ENDING_TOO_LONG) {
        arili_say_error(out,
                        "ERR aril: the value has %llu bytes, more than max_verified_value; allow "
                        "streaming in its policy, or raise the limit",
                        (unsigned long long)bytes);
    } else {
        arili_say_error(out, "ERR aril: the value could not be opened: %s", aril_status_text(st));
    }
}

/* No more of the answer leaves before the value has gone: who heard nil would still see it. */
static void hold(struct arili_request *r)
{
    while (r->exec != NULL) {
        r = r->exec;
    }
    if (!r->held_back) {
        r->torn = r->said && arili_reply_out(r) != &r->out;
        r->held_back = true;
    }
}

void arili_opening_bad(struct arili_request *r, aril_bytes text)
{
    if (r->policy == NULL || r->policy->on_tamper == ARILI_TAMPER_ERROR) {
        return;
    }
    const aril_bytes key = r->in_hash ? (aril_bytes){ r->key, r->key_len } : text;
    const size_t field_len = r->in_hash ? text.len : 0;
    struct arili_bad *bad = arili_alloc(sizeof *bad + key.len + field_len);
    if (bad == NULL) {
        return; /* it is found again by the next who reads it */
    }
    bad->in_hash = r->in_hash;
    bad->key_len = key.len;
    bad->field_len = field_len;
    memcpy(bad->text, key.data, key.len);
    if (field_len > 0) {
        memcpy(bad->text + key.len, text.data, field_len);
    }
    memcpy(bad->header, r->value.header, r->value.header_len);
    bad->header_len = r->value.header_len;
    bad->next = r->bad;
    r->bad = bad;
    hold(r);
}
