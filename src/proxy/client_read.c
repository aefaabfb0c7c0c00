/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/client_internal.h"
#include <string.h>

/*
 * A client's commands, as they come in. Arguments stay where they were read to while the input has
 * the whole command; else they are copied.
 */
#define ARGS_MIN  8u
#define SPILL_MIN 512u
#define INPUT_OWN 1024u
/* What a command may have although memory is short. */
#define INPUT_FREE 65536u

/* --- Memory --------------------------------------------------------------------------------- */

/* What a client sends is kept in memory of its own, which counts with the rest; but for the little
 * that every client has, whatever it says. */
static uint64_t counted(size_t bytes)
{
    return bytes > INPUT_OWN ? bytes : 0;
}

static void take_memory(const struct arili_client *c, size_t bytes)
{
    atomic_fetch_add_explicit(&c->peer.loop->proxy->budget.used, counted(bytes),
                              memory_order_relaxed);
}

static void give_memory(const struct arili_client *c, size_t bytes)
{
    atomic_fetch_sub_explicit(&c->peer.loop->proxy->budget.used, counted(bytes),
                              memory_order_relaxed);
}

static void drop_spill(struct arili_client *c)
{
    give_memory(c, c->spill_cap);
    arili_free(c->spill, c->spill_cap);
    c->spill = NULL;
    c->spill_cap = c->spill_len = 0;
}

static void drop_args(struct arili_client *c)
{
    give_memory(c, c->arg_cap * sizeof *c->args);
    arili_free(c->args, c->arg_cap * sizeof *c->args);
    c->args = NULL;
    c->arg_cap = 0;
}

void arili_client_drop_command(struct arili_client *c)
{
    drop_args(c);
    drop_spill(c);
}

/* --- Commands ------------------------------------------------------------------------------- */

static void say_protocol_error(struct arili_client *c, const char *text)
{
    struct arili_request *r = arili_request_new(c->peer.loop);
    arili_figure_add(&c->peer.loop->proxy->figures.protocol_errors, 1);
    if (r == NULL) {
        arili_peer_end(&c->peer);
        return;
    }
    if (c->stream_link != NULL) { /* the server waits for the rest of a value that has none */
        arili_link_lost(c->stream_link, ARIL_E_INTERRUPTED, "the client's value has no end");
    }
    arili_say_error(&r->out, "ERR Protocol error: %s", text);
    r->answered = true;
    arili_client_append(c, r);
    c->refused_input = true;
    c->in_command = false;
    arili_client_advance(c);
    c->peer.closing = c->count == 0;
    c->peer.paused = true;
}

/* Little is always there, so that a client can hear why it has no more. */
static bool may_grow(const struct arili_client *c, size_t bytes)
{
    return bytes <= INPUT_FREE || arili_budget_has(&c->peer.loop->proxy->budget, bytes);
}

static bool spill_room(struct arili_client *c, size_t n)
{
    if (c->spill_cap - c->spill_len >= n) {
        return true;
    }
    size_t cap = c->spill_cap < SPILL_MIN ? SPILL_MIN : c->spill_cap;
    while (cap - c->spill_len < n) {
        cap *= 2;
    }
    uint8_t *more = may_grow(c, cap) ? arili_alloc(cap) : NULL;
    if (more == NULL) {
        return false;
    }
    const size_t len = c->spill_len;
    if (len > 0) {
        memcpy(more, c->spill, len);
    }
    drop_spill(c);
    take_memory(c, cap);
    c->spill = more;
    c->spill_cap = cap;
    c->spill_len = len;
    return true;
}

static bool spill_put(struct arili_client *c, aril_bytes bytes)
{
    if (!spill_room(c, bytes.len)) {
        arili_peer_end(&c->peer);
        return false;
    }
    if (bytes.len > 0) {
        memmove(c->spill + c->spill_len, bytes.data, bytes.len); /* it may be there already */
        c->spill_len += bytes.len;
    }
    return true;
}

/* The input ends and the command does not: what is there of it is kept. From now on arguments are
 * offsets until it is run. */
static void spill(struct arili_client *c)
{
    if (c->spilled) {
        return;
    }
    c->spilled = true;
    c->spill_len = 0;
    for (uint32_t i = 0; i < c->arg_count; i++) {
        const size_t at = c->spill_len;
        if (!spill_put(c, c->args[i])) {
            return;
        }
        c->args[i].data = (const uint8_t *)at;
    }
}

static void unspill(struct arili_client *c)
{
    for (uint32_t i = 0; c->spilled && i < c->arg_count; i++) {
        c->args[i].data = c->spill + (size_t)(uintptr_t)c->args[i].data;
    }
    c->spilled = false;
}

static bool args_room(struct arili_client *c)
{
    if (c->arg_count < c->arg_cap) {
        return true;
    }
    const uint32_t cap = c->arg_cap < ARGS_MIN ? ARGS_MIN : 2 * c->arg_cap;
    aril_bytes *more = may_grow(c, cap * sizeof *more) ? arili_alloc(cap * sizeof *more) : NULL;
    if (more == NULL) {
        arili_peer_end(&c->peer);
        return false;
    }
    if (c->arg_count > 0) {
        memcpy(more, c->args, c->arg_count * sizeof *more);
    }
    drop_args(c);
    take_memory(c, cap * sizeof *more);
    c->args = more;
    c->arg_cap = cap;
    return true;
}

static void begin_command(struct arili_client *c, uint64_t count)
{
    c->in_command = true;
    c->begun_ns = c->peer.loop->now_ns;
    c->no_room = false;
    c->arg_want = count;
    c->arg_count = 0;
    c->command_bytes = 0;
    c->spilled = c->streamed = c->stream_asked = c->value_held = c->value_too_long = false;
    c->spill_len = 0;
    c->value_arg = UINT32_MAX;
    struct arili_settings *now = c->peer.loop->settings;
    if (c->settings != now) { /* a new configuration is followed from here */
        arili_settings_drop(c->settings);
        c->settings = now;
        atomic_fetch_add(&now->refs, 1);
        arili_client_take_limits(c);
    }
}

static void end_command(struct arili_client *c)
{
    c->in_command = c->ready = c->spilled = false;
    c->begun_ns = 0;
    arili_flow_done(&c->value);
    c->value_arg = UINT32_MAX;
    c->arg_count = 0;
    if (c->spill_cap > ARILI_BLOCK_BYTES) {
        drop_spill(c);
    }
    c->spill_len = 0;
    if (c->arg_cap > 1024) {
        drop_args(c);
    }
}

/* The whole command is there. False: it has to wait. */
static bool run(struct arili_client *c)
{
    unspill(c);
    c->ready = true;
    if (c->arg_count > 0 && arili_run(c) == ARILI_RAN_LATER) {
        c->peer.paused = true;
        return false;
    }
    end_command(c);
    return true;
}

/* An argument begins. */
static bool begin_argument(struct arili_client *c, uint64_t len)
{
    const struct arili_proxy_config *config = c->settings->config;
    const uint32_t at = c->arg_count;
    if (!args_room(c)) {
        return false;
    }
    c->body_begun = false;
    if (arili_run_is_value(c, at, len)) {
        c->args[c->arg_count++] = (aril_bytes){ NULL, 0 };
        c->value_arg = at;
        c->value_bytes = len;
        c->stream_asked = at + 1 == c->arg_want;
        c->no_room = !c->stream_asked && !may_grow(c, len);
        c->value_too_long = len > arili_run_value_max(c);
        c->value_held = !c->stream_asked && !c->value_too_long && !c->no_room;
        c->stream_asked = c->stream_asked && !c->value_too_long;
        return true;
    }
    c->command_bytes += len;
    if (c->command_bytes > config->command_bytes_max ||
        (c->tenant == NULL && c->command_bytes > ARILI_STRANGER_BYTES_MAX)) {
        say_protocol_error(c, "the command is too long");
        return false;
    }
    c->args[c->arg_count++] = (aril_bytes){ NULL, 0 };
    return true;
}

static bool argument_piece(struct arili_client *c, const struct arili_resp_event *e,
                           struct arili_block *block)
{
    const uint32_t at = c->arg_count - 1;
    if (at == c->value_arg) {
        const aril_span piece = { (uint8_t *)(uintptr_t)e->text.data, e->text.len };
        if (c->stream != NULL) {
            arili_stream_piece(c, block, piece, e->last);
        } else if (c->value_held) {
            arili_flow_share(&c->value, block, e->text);
            if (c->value.failed) {
                arili_peer_end(&c->peer);
                return false;
            }
        }
        return !c->peer.ended;
    }
    if (e->last && !c->body_begun && !c->spilled) { /* it is there in one piece */
        c->args[at] = e->text;
        return true;
    }
    if (!c->spilled) {
        c->arg_count--;
        spill(c);
        c->arg_count++;
    }
    if (!c->body_begun) {
        c->args[at] = (aril_bytes){ (const uint8_t *)c->spill_len, 0 };
        c->body_begun = true;
    }
    c->args[at].len += e->text.len;
    return !c->peer.ended && spill_put(c, e->text);
}

/* The value is to be streamed: now, or when a link is free. */
static bool try_stream(struct arili_client *c)
{
    bool streams = false;
    const bool spilled = c->spilled;
    unspill(c);
    const enum arili_ran ran = arili_run_stream(c, c->value_bytes, &streams);
    if (spilled || ran == ARILI_RAN_LATER) {
        spill(c);
    }
    if (ran == ARILI_RAN_LATER) {
        c->peer.paused = true;
        return false;
    }
    c->stream_asked = false;
    c->no_room = !streams && !may_grow(c, c->value_bytes);
    c->value_held = !streams && !c->no_room;
    return true;
}

/* True: go on. */
static bool one_event(struct arili_client *c, const struct arili_resp_event *e,
                      struct arili_block *block)
{
    switch (e->kind) {
    case ARILI_RESP_ARRAY:
        begin_command(c, e->count);
        return true;
    case ARILI_RESP_BULK:
        return begin_argument(c, e->body_len) && (!c->stream_asked || try_stream(c));
    case ARILI_RESP_BODY:
        return argument_piece(c, e, block);
    case ARILI_RESP_END:
        return run(c);
    default:
        return true;
    }
}

/* What was begun before and could not go on. True: it did. */
static bool go_on(struct arili_client *c)
{
    if (arili_client_is_held(c)) {
        c->peer.paused = true;
        return false;
    }
    if (c->ready) {
        return run(c);
    }
    return !c->stream_asked || try_stream(c);
}

size_t arili_client_came(struct arili_client *c, struct arili_block *block, uint8_t *data, size_t n)
{
    struct arili_resp_event e;
    aril_bytes in = { data, n };
    if (c->refused_input) {
        return n;
    }
    c->said_ns = c->peer.loop->now_ns;
    while (!c->peer.ended && !c->peer.closing && go_on(c)) {
        const aril_status st = arili_resp_next(&c->decoder, &in, &e);
        if (st != ARIL_OK) {
            say_protocol_error(c, aril_status_class(st) == ARIL_E_LIMIT
                                      ? "more than the limits of this proxy allow"
                                      : "this is not RESP");
            return n;
        }
        if (e.kind == ARILI_RESP_MORE || !one_event(c, &e, block)) {
            break;
        }
    }
    if (c->refused_input) {
        return n;
    }
    arili_client_got(c, n - in.len);
    if (c->in_command && !c->peer.ended) {
        spill(c);
    }
    return n - in.len;
}
