/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "proxy/run.h"
#include <string.h>

/*
 * Values that are long: ciphertext goes to the server while plaintext still comes from the client.
 * That needs all options before the value, because the header comes first and says when the value
 * ends: SET key value, SETEX, SETNX, GETSET. Values with options behind them are kept until those
 * are there.
 */
#define VALUE_MIN 65537u /* longer than any inline command */

static aril_bytes argument(const struct arili_client *c, uint32_t i)
{
    aril_bytes a = c->args[i];
    if (c->spilled) {
        a.data = c->spill + (size_t)(uintptr_t)a.data;
    }
    return a;
}

bool arili_run_is_value(const struct arili_client *c, uint32_t at, uint64_t len)
{
    if (len < VALUE_MIN || at < 2 || at > 3 || c->tenant == NULL) {
        return false;
    }
    const struct arili_command *command = arili_command_find(argument(c, 0));
    if (command == NULL) {
        return false;
    }
    switch (command->verb) {
    case ARILI_VERB_SET:
    case ARILI_VERB_SETNX:
    case ARILI_VERB_GETSET:
        return at == 2;
    case ARILI_VERB_SETEX:
        return at == 3;
    default:
        return false;
    }
}

static const struct arili_policy_config *policy_of(const struct arili_client *c)
{
    const aril_bytes tenant = { (const uint8_t *)c->tenant->id, c->tenant->id_len };
    return arili_config_policy(c->settings->config, tenant, argument(c, 1));
}

uint64_t arili_run_value_max(const struct arili_client *c)
{
    return arili_policy_value_max(c->settings->config, policy_of(c));
}

/* --- The beginning -------------------------------------------------------------------------- */

/* Everything before the value; on failure nothing of it was sent to the server. */
static aril_status head(struct arili_running *run, const struct arili_place *place,
                        uint64_t value_bytes)
{
    struct arili_client *c = run->c;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    if (c->stream_sealed) {
        struct arili_set_options o = { .ttl_ms = UINT64_MAX };
        int64_t n = 0;
        if (run->command->verb == ARILI_VERB_SETEX && arili_word_number(run->args[2], &n) &&
            n > 0 && n < INT64_MAX / 1000) {
            o.ttl_ms = (uint64_t)n * (run->command->name[0] == 's' ? 1000 : 1);
        }
        const uint64_t not_after = arili_not_after(run, o.ttl_ms);
        ARILI_TRY(arili_value_sealer_begin_in(&c->sealer, &c->peer.loop->values, run->keys->data,
                                              place->context, run->now_ms, not_after,
                                              run->keys->generation, value_bytes, header));
        arili_transaction_changes(c, place, not_after);
    }
    arili_send_count(run, c->arg_want);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i + 1 < c->arg_want; i++) { /* of SETEX the time, else none */
        char room[ARILI_TIME_TEXT];
        int64_t n = 0;
        aril_bytes a = run->args[i];
        if (c->stream_sealed) { /* what is no time may be a piece of a value */
            a = arili_word_number(a, &n) ? a : ARILI_LITERAL("x");
            a = arili_time_cut(run, run->command->name[0] == 's', false, a, room);
        }
        arili_send_arg(run, a);
    }
    arili_say_header(run->out, '$',
                     c->stream_sealed ? arili_sealed_bytes(value_bytes) : value_bytes);
    if (c->stream_sealed) {
        arili_flow_put(run->out, (aril_bytes){ header, sizeof header });
        arili_figure_add(&c->tenant->figures.sealed_bytes, value_bytes);
    }
    return ARIL_OK;
}

static bool remember(struct arili_running *run, const struct arili_place *place)
{
    struct arili_request *r = run->r;
    r->shape = ARILI_SHAPE_RAW;
    if (run->command->verb != ARILI_VERB_GETSET || !run->c->stream_sealed) {
        atomic_fetch_add(&run->keys->refs, 1); /* the key outlives its rotation */
        r->keys = run->keys;
        r->tenant = run->c->tenant;
        return true;
    }
    r->shape = ARILI_SHAPE_VALUE;
    if (!arili_run_remember(run, run->args[1], NULL)) {
        return false;
    }
    memcpy(r->asked_one.context, place->context, sizeof r->asked_one.context);
    r->asked_one.text = (aril_bytes){ r->key, r->key_len };
    r->asked = &r->asked_one;
    r->asked_count = 1;
    return true;
}

static enum arili_ran begin(struct arili_running *run, uint64_t value_bytes, bool *ret)
{
    struct arili_client *c = run->c;
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    run->policy = policy_of(c);
    run->keys = arili_tenant_keys_hold(c->tenant);
    if (run->policy->values == ARILI_VALUES_DENY || run->keys == NULL ||
        (run->policy->values == ARILI_VALUES_SEAL && run->keys->seal_status != ARIL_OK) ||
        run->keys->status != ARIL_OK || c->in_multi || run->args[1].len > c->name_max ||
        arili_place_make(c->peer.loop->names, c->tenant, run->keys, c->database, run->args[1],
                         &place) != ARIL_OK) {
        return ARILI_RAN; /* what is wrong is said when the command is whole */
    }
    const uint32_t before = c->count;
    if (!arili_send_begin(run, &place, &ran)) {
        c->streamed = c->count != before || ran == ARILI_RAN; /* refused: the value is dropped */
        *ret = ran == ARILI_RAN;
        return ran;
    }
    c->stream_sealed = run->policy->values == ARILI_VALUES_SEAL;
    if (!remember(run, &place) || head(run, &place, value_bytes) != ARIL_OK) {
        arili_request_free(c->peer.loop, run->r);
        (void)arili_refuse(run, "ERR aril: the value could not be sealed");
        c->streamed = *ret = true;
        return ARILI_RAN;
    }
    if (run->out != &run->link->peer.out) {
        arili_flow_move(&run->link->peer.out, run->out);
    }
    run->link->half_sent = true;
    c->stream = run->r;
    c->stream_link = run->link;
    c->streamed = *ret = true;
    arili_client_append(c, run->r);
    arili_peer_touch(&run->link->peer);
    return ARILI_RAN;
}

enum arili_ran arili_run_stream(struct arili_client *c, uint64_t value_bytes, bool *ret)
{
    struct arili_running run = { .c = c,
                                 .command = arili_command_find(c->args[0]),
                                 .args = c->args,
                                 .count = c->arg_count,
                                 .now_ms = c->peer.loop->now_ms };
    *ret = false;
    const enum arili_ran ran = begin(&run, value_bytes, ret);
    arili_tenant_keys_drop(run.keys);
    return ran;
}

/* --- The value, and its end ----------------------------------------------------------------- */

void arili_stream_abort(struct arili_client *c)
{
    c->stream_held = false;
    arili_flow_consume(&c->tail, c->tail.bytes);
    if (c->stream != NULL && c->stream_sealed) {
        arili_forgive(arili_value_sealer_done(&c->sealer));
    }
    c->stream = NULL;
    c->stream_link = NULL;
}

static aril_status seal_piece(struct arili_client *c, struct arili_block *block, aril_span piece)
{
    struct arili_flow *out = &c->stream_link->peer.out;
    uint8_t tag[ARILI_VALUE_TAG_BYTES];
    while (piece.len > 0) {
        aril_span run = { NULL, 0 };
        bool tagged = false;
        ARILI_TRY(arili_value_sealer_run(&c->sealer, &piece, &run, tag, &tagged));
        arili_flow_share(out, block, (aril_bytes){ run.data, run.len });
        if (tagged) {
            arili_flow_put(out, (aril_bytes){ tag, sizeof tag });
        }
    }
    return ARIL_OK;
}

void arili_stream_piece(struct arili_client *c, struct arili_block *block, aril_span piece,
                        bool last)
{
    struct arili_link *link = c->stream_link;
    if (!c->stream_sealed) {
        arili_flow_share(&link->peer.out, block, (aril_bytes){ piece.data, piece.len });
    } else if (seal_piece(c, block, piece) != ARIL_OK) {
        arili_link_lost(link, ARIL_E_INTERRUPTED, "a value could not be sealed");
        return;
    }
    if (last) {
        struct arili_request *r = c->stream;
        arili_flow_put(&link->peer.out, ARILI_LITERAL("\r\n"));
        arili_stream_abort(c); /* the cipher is given back */
        link->half_sent = false;
        (void)arili_link_expect(link, r, ARILI_SWALLOW_OK);
    }
    arili_peer_touch(&link->peer);
}

void arili_stream_end(struct arili_client *c)
{
    arili_client_advance(c);
}

/* --- A value that was held ------------------------------------------------------------------ */

/*
 * A value that waited for the options behind it is there whole, up to hundreds of megabytes. Sealed
 * at once it would hold up all other clients of the loop; so it is sealed as fast as the server
 * takes it, and the client waits as one does whose value streams.
 */
#define HELD_STEP ((uint64_t)1 << 20)

enum arili_ran arili_held_begin(struct arili_running *run, const struct arili_place *place,
                                uint64_t not_after_ms, enum arili_shape shape)
{
    struct arili_client *c = run->c;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    const aril_status st = arili_value_sealer_begin_in(
        &c->sealer, &c->peer.loop->values, run->keys->data, place->context, run->now_ms,
        not_after_ms, run->keys->generation, c->value.bytes, header);
    if (st != ARIL_OK) {
        arili_request_free(c->peer.loop, run->r);
        return arili_refuse(run, "ERR aril: the value could not be sealed: %s",
                            aril_status_text(st));
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    arili_say_header(run->out, '$', arili_sealed_bytes(c->value.bytes));
    arili_flow_put(run->out, (aril_bytes){ header, sizeof header });
    if (run->out != &run->link->peer.out) {
        arili_flow_move(&run->link->peer.out, run->out);
    }
    run->out = &c->tail; /* what follows the value */
    for (size_t i = c->value_arg + 1; i < run->count;) {
        i = arili_send_set_option(run, i);
    }
    arili_figure_add(&c->tenant->figures.sealed_bytes, c->value.bytes);
    run->r->shape = shape;
    if (run->r->keys == NULL) { /* the key outlives its rotation */
        atomic_fetch_add(&run->keys->refs, 1);
        run->r->keys = run->keys;
        run->r->tenant = c->tenant;
    }
    run->link->half_sent = true;
    c->stream = run->r;
    c->stream_link = run->link;
    c->stream_sealed = c->streamed = c->stream_held = true;
    arili_client_append(c, run->r);
    return arili_held_more(c);
}

/* The options behind the value, and the end. */
static void held_end(struct arili_client *c)
{
    struct arili_link *link = c->stream_link;
    struct arili_request *r = c->stream;
    struct arili_flow *out = &link->peer.out;
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
    arili_flow_move(out, &c->tail);
    arili_stream_abort(c); /* the cipher is given back */
    link->half_sent = false;
    (void)arili_link_expect(link, r, ARILI_SWALLOW_OK);
    arili_peer_touch(&link->peer);
}

enum arili_ran arili_held_more(struct arili_client *c)
{
    uint64_t done = 0;
    while (c->stream != NULL && c->value.bytes > 0 && done < HELD_STEP &&
           c->stream_link->peer.out.bytes < HELD_STEP) {
        const struct arili_slice *slice = &c->value.slices[c->value.first];
        struct arili_block *block = slice->block;
        const aril_span piece = { block->data + slice->at, slice->len };
        if (seal_piece(c, block, piece) != ARIL_OK) {
            arili_link_lost(c->stream_link, ARIL_E_INTERRUPTED, "a value could not be sealed");
            return ARILI_RAN;
        }
        done += piece.len;
        arili_flow_consume(&c->value, piece.len);
    }
    if (c->stream == NULL) { /* its link was lost */
        return ARILI_RAN;
    }
    arili_peer_touch(&c->stream_link->peer);
    if (c->value.bytes > 0) {
        if (!arili_client_is_held(c)) { /* another turn, when others had theirs */
            arili_peer_touch(&c->peer);
            c->peer.resume = true;
        }
        return ARILI_RAN_LATER;
    }
    held_end(c);
    return ARILI_RAN;
}
