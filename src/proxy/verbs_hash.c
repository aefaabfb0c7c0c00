/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/run.h"

/*
 * Hashes: names of fields are deterministic, so that they are found again; values are sealed for
 * their field. When a key ends is not known when a field is set, so its bound is the policy's.
 */
#define STACK_BYTES 1024u

/* A name as the store has it: in stack where it fits. */
struct inner {
    uint8_t stack[STACK_BYTES];
    uint8_t *data;
    size_t len, cap;
};
static void inner_done(struct inner *n)
{
    if (n->data != n->stack) {
        arili_free(n->data, n->cap);
    }
}
static bool inner_make(const struct arili_running *run, const struct arili_place *place,
                       enum arili_inner what, aril_bytes text, struct inner *ret)
{
    ret->data = ret->stack;
    ret->cap = ARILI_SEALED_NAME_BYTES(text.len);
    if (text.len > ARILI_SIV_PLAIN_BYTES_MAX) {
        return false;
    }
    if (ret->cap > sizeof ret->stack) {
        ret->data = arili_alloc(ret->cap);
        if (ret->data == NULL) {
            ret->data = ret->stack;
            return false;
        }
    }
    return arili_inner_seal(run->c->tenant, run->keys, place, what, text, ret->data, &ret->len) ==
           ARIL_OK;
}

/* True: it was written. */
bool arili_send_inner(struct arili_running *run, const struct arili_place *place,
                      enum arili_inner what, aril_bytes text)
{
    struct inner n;
    const bool made = inner_make(run, place, what, text, &n);
    if (made) {
        arili_send_arg(run, (aril_bytes){ n.data, n.len });
    }
    inner_done(&n);
    return made;
}

static enum arili_ran half_sent(struct arili_running *run)
{
    arili_request_free(run->c->peer.loop, run->r);
    run->r = NULL;
    arili_link_lost(run->link, ARIL_E_INTERRUPTED, "a field could not be sealed");
    return arili_refuse(run,
                        "ERR aril: a field or a member is longer than %zu bytes, or memory is "
                        "short",
                        (size_t)ARILI_SIV_PLAIN_BYTES_MAX);
}

/* --- Writing -------------------------------------------------------------------------------- */

static enum arili_ran hset(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    const uint64_t not_after = arili_not_after(run, UINT64_MAX);
    if (run->count % 2 != 0) {
        return arili_wrong_count(run);
    }
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i += 2) {
        uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
        if (!arili_send_inner(run, place, ARILI_INNER_FIELD, run->args[i]) ||
            arili_field_context(run->c->tenant, run->keys, run->c->database, run->args[1],
                                run->args[i], context) != ARIL_OK) {
            return half_sent(run);
        }
        if (!arili_send_value(run, context, not_after, run->args[i + 1], NULL)) {
            return ARILI_RAN;
        }
    }
    arili_transaction_changes(run->c, place, not_after);
    return arili_send_end(run, ARILI_SHAPE_RAW);
}

/* --- Reading -------------------------------------------------------------------------------- */

/* Remembers what the values of the fields from argument 2 on are bound to, and sends them. */
static bool ask_fields(struct arili_running *run, const struct arili_place *place)
{
    struct arili_request *r = run->r;
    const size_t n = run->count - 2;
    size_t bytes = 0;
    for (size_t i = 2; i < run->count; i++) {
        bytes += ARILI_SEALED_NAME_BYTES(run->args[i].len);
    }
    r->asked = n == 1 ? &r->asked_one : arili_alloc(n * sizeof *r->asked);
    if (r->asked == NULL || arili_request_keep_room(r, bytes) != ARIL_OK) {
        return false;
    }
    r->asked_count = (uint32_t)n;
    arili_request_count(r, n > 1 ? n * sizeof *r->asked + bytes : 0);
    r->in_hash = true;
    for (size_t i = 2; i < run->count; i++) {
        struct arili_asked *a = &r->asked[i - 2];
        size_t len = 0;
        uint8_t *at = r->room + r->room_at;
        if (run->args[i].len > ARILI_SIV_PLAIN_BYTES_MAX ||
            arili_inner_seal(run->c->tenant, run->keys, place, ARILI_INNER_FIELD, run->args[i], at,
                             &len) != ARIL_OK ||
            arili_field_context(run->c->tenant, run->keys, run->c->database, run->args[1],
                                run->args[i], a->context) != ARIL_OK) {
            return false;
        }
        a->text = (aril_bytes){ at, len };
        r->room_at += len;
    }
    return true;
}

static enum arili_ran hget(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (!arili_run_remember(run, run->args[1], place) || !ask_fields(run, place)) {
        return arili_no_memory(run);
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (uint32_t i = 0; i < run->r->asked_count; i++) {
        arili_send_arg(run, run->r->asked[i].text);
    }
    return arili_send_end(run, run->command->verb == ARILI_VERB_HGET ? ARILI_SHAPE_VALUE
                                                                     : ARILI_SHAPE_VALUES);
}

/* HDEL, HEXISTS, HSTRLEN: fields sealed; the answer is a number. */
static enum arili_ran hfields(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i++) {
        if (!arili_send_inner(run, place, ARILI_INNER_FIELD, run->args[i])) {
            return half_sent(run);
        }
    }
    return arili_send_end(run, run->command->verb == ARILI_VERB_HSTRLEN ? ARILI_SHAPE_LENGTH
                                                                        : ARILI_SHAPE_RAW);
}

static enum arili_shape shape_of_all(const struct arili_running *run)
{
    switch (run->command->verb) {
    case ARILI_VERB_HVALS:
        return ARILI_SHAPE_HVALUES;
    case ARILI_VERB_HKEYS:
        return ARILI_SHAPE_FIELDS;
    case ARILI_VERB_HRANDFIELD:
        return run->count > 3 ? ARILI_SHAPE_PAIRS : ARILI_SHAPE_FIELDS;
    default:
        return ARILI_SHAPE_PAIRS;
    }
}

static enum arili_ran hall(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    /* Values are needed to know which are good; names alone of HVALS' hash are not asked for. */
    const bool values_alone = run->command->verb == ARILI_VERB_HVALS;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (!arili_run_remember(run, run->args[1], place)) {
        return arili_no_memory(run);
    }
    run->r->in_hash = true;
    arili_send_count(run, run->count);
    arili_send_arg(run, values_alone ? ARILI_LITERAL("HGETALL") : run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i++) {
        arili_send_option(run, run->args[i]);
    }
    return arili_send_end(run, shape_of_all(run));
}

enum arili_ran arili_run_hash(struct arili_running *run)
{
    struct arili_place place;
    if (!arili_run_place(run, run->args[1], &place)) {
        return ARILI_RAN;
    }
    switch (run->command->verb) {
    case ARILI_VERB_HSET:
        return hset(run, &place);
    case ARILI_VERB_HGET:
    case ARILI_VERB_HMGET:
        return hget(run, &place);
    case ARILI_VERB_HFIELDS:
    case ARILI_VERB_HSTRLEN:
        return hfields(run, &place);
    case ARILI_VERB_HSCAN:
        return arili_run_inner_scan(run, &place, ARILI_SHAPE_HSCAN);
    default:
        return hall(run, &place);
    }
}
