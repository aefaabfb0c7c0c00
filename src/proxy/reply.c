/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include "proxy/opening.h"
#include "proxy/reply_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * A server's answer made a client's, event by event: one answer, and those of a transaction. What
 * becomes of the events of one shape is in reply_shape.c, what is said of it in reply_parts.c.
 */
/* --- Where it goes -------------------------------------------------------------------------- */

struct arili_flow *arili_reply_out(struct arili_request *r)
{
    struct arili_client *c = r->client;
    if (r->exec != NULL) { /* inside EXEC */
        return arili_reply_out(r->exec);
    }
    if (c == NULL || c->first != r || r->frozen || r->silent || r->held_back) {
        return &r->out;
    }
    return &c->peer.out;
}

/* --- One answer ----------------------------------------------------------------------------- */

/* How many values an event leaves to come, beside the ones before. */
static bool counts(struct arili_request *r, const struct arili_resp_event *e)
{
    switch (e->kind) {
    case ARILI_RESP_ARRAY:
    case ARILI_RESP_SET:
    case ARILI_RESP_PUSH:
        r->pending += e->count;
        break;
    case ARILI_RESP_MAP:
        r->pending += 2 * e->count;
        break;
    case ARILI_RESP_ATTRIBUTE:
        r->pending += 2 * e->count + 1;
        break;
    case ARILI_RESP_BULK:
    case ARILI_RESP_BLOB_ERROR:
    case ARILI_RESP_VERBATIM:
        return false;
    case ARILI_RESP_BODY:
        if (!e->last) {
            return false;
        }
        break;
    default:
        break;
    }
    return --r->pending == 0;
}

static void finish(struct arili_request *r)
{
    if (r->aggregate != 0 && r->shape != ARILI_SHAPE_NAMES) {
        arili_reply_put_list(r);
    }
    r->answered = true;
}

static bool is_redirect(aril_bytes text)
{
    return (text.len > 6 && memcmp(text.data, "MOVED ", 6) == 0) ||
           (text.len > 4 && memcmp(text.data, "ASK ", 4) == 0);
}

/* A Cluster says that the slot is elsewhere. */
static bool is_moved(struct arili_request *r, const struct arili_resp_event *e)
{
    if (e->kind != ARILI_RESP_ERROR || r->loop->slots == NULL || !is_redirect(e->text)) {
        return false;
    }
    r->moved = true;
    r->got.len = e->text.len < sizeof r->got.text ? e->text.len : sizeof r->got.text;
    memcpy(r->got.text, e->text.data, r->got.len);
    return true;
}

static enum arili_heard one_answer(struct arili_request *r, const struct arili_resp_event *e,
                                   struct arili_block *block)
{
    const unsigned depth = e->depth - r->base;
    if (!r->begun) {
        r->begun = true;
        r->pending = 1;
        if (r->base == 0 && is_moved(r, e)) {
            return ARILI_HEARD_ALL;
        }
    }
    if (!arili_reply_fits(r, e, depth)) {
        return ARILI_HEARD_NONSENSE;
    }
    const bool ended = counts(r, e);
    const enum arili_heard heard = arili_reply_shape(r, e, block, depth);
    if (heard != ARILI_HEARD) {
        return heard;
    }
    if (ended) {
        if (!arili_reply_is_whole(r)) {
            return ARILI_HEARD_NONSENSE;
        }
        finish(r);
        return ARILI_HEARD_ALL;
    }
    return ARILI_HEARD;
}

/* --- EXEC ----------------------------------------------------------------------------------- */

static void answered_here(struct arili_request *exec, struct arili_request *r)
{
    if (r->here) {
        arili_flow_move(arili_reply_out(exec), &r->mine);
    }
}

/* What a request of the transaction found bad is dealt with when all is there. */
static void inherit(struct arili_request *exec, struct arili_request *r)
{
    while (r->bad != NULL) {
        struct arili_bad *bad = r->bad;
        r->bad = bad->next;
        bad->next = exec->bad;
        exec->bad = bad;
    }
    exec->cut = exec->cut || r->cut;
    if (exec->policy == NULL && exec->bad != NULL) {
        exec->policy = r->policy;
        exec->tenant = r->tenant;
        exec->database = r->database;
    }
}

static enum arili_heard exec_element_ended(struct arili_request *exec)
{
    struct arili_request *r = exec->current;
    answered_here(exec, r);
    inherit(exec, r);
    exec->current = r->next;
    if (--exec->pending == 0) {
        finish(exec);
        return ARILI_HEARD_ALL;
    }
    return exec->current != NULL ? ARILI_HEARD : ARILI_HEARD_NONSENSE;
}

static enum arili_heard exec_event(struct arili_request *exec, const struct arili_resp_event *e,
                                   struct arili_block *block)
{
    if (!exec->begun) {
        exec->begun = true;
        uint64_t want = 0;
        for (const struct arili_request *r = exec->transaction; r != NULL; r = r->next) {
            want++;
        }
        if (!arili_exec_fits(e, want)) {
            return ARILI_HEARD_NONSENSE;
        }
        if (is_moved(exec, e)) {
            return ARILI_HEARD_ALL;
        }
        arili_reply_raw(exec, e, block);
        if (e->kind == ARILI_RESP_ARRAY && want > 0) {
            exec->current = exec->transaction;
            exec->pending = want;
            return ARILI_HEARD;
        }
        finish(exec);
        return ARILI_HEARD_ALL;
    }
    const enum arili_heard heard = one_answer(exec->current, e, block);
    return heard == ARILI_HEARD_ALL ? exec_element_ended(exec) : heard;
}

enum arili_heard arili_reply_event(struct arili_request *r, const struct arili_resp_event *event,
                                   struct arili_block *block)
{
    return r->shape == ARILI_SHAPE_EXEC ? exec_event(r, event, block) : one_answer(r, event, block);
}

/* --- Going on, and not ---------------------------------------------------------------------- */

enum arili_heard arili_reply_resume(struct arili_request *r)
{
    struct arili_request *inner = r->current != NULL ? r->current : r;
    if (inner->wants_memory) {
        inner->wants_memory = false;
        return arili_opening_begin(inner, inner->value.stored_bytes, inner->value.context);
    }
    if (inner->waiting == NULL) {
        return ARILI_HEARD;
    }
    struct arili_block *block = inner->waiting;
    const aril_span piece = inner->waiting_piece;
    const bool last = inner->waiting_last;
    inner->waiting = NULL;
    const enum arili_heard heard = arili_opening_piece(inner, block, piece, last);
    if (heard == ARILI_HEARD && last) {
        arili_reply_value_end(inner);
    }
    arili_block_drop(&r->loop->blocks, block);
    if (heard == ARILI_HEARD && last && inner->pending == 0) {
        finish(inner);
        return inner == r ? ARILI_HEARD_ALL : exec_element_ended(r);
    }
    return heard;
}

bool arili_reply_fail(struct arili_request *r, const char *text)
{
    r->answered = true;
    arili_opening_done(r);
    arili_block_drop(&r->loop->blocks, r->waiting);
    r->waiting = NULL;
    if (r->sum != NULL) {
        if (r->sum->error[0] == '\0') {
            (void)snprintf(r->sum->error, sizeof r->sum->error, "%s", text);
        }
        return true;
    }
    r->aggregate = 0;
    arili_flow_done(&r->items);
    struct arili_flow *out = arili_reply_out(r);
    if (out == &r->out && !r->torn) { /* nobody heard it yet */
        arili_flow_done(out);
    } else if (r->said) {
        return false;
    }
    arili_say_error(out, "%s", text);
    return true;
}
