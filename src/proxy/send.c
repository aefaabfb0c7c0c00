/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/run.h"
#include <stdio.h>
#include <string.h>

/* Sealed not-afters are in whole seconds of the clock: none ends early. */
#define CLOCK_STEP_MS 1000u
/* What of a command is kept for a MOVED: more is not sent again. */
#define KEPT_MAX 65536u

/* --- Links ---------------------------------------------------------------------------------- */

static struct arili_link *own_link(const struct arili_client *c, const struct arili_node *node)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->node == node && !c->links[i]->peer.ended) {
            return c->links[i];
        }
    }
    return NULL;
}

static bool links_room(struct arili_client *c)
{
    if (c->link_count < c->link_cap) {
        return true;
    }
    const uint32_t cap = c->link_cap == 0 ? 1 : 2 * c->link_cap;
    struct arili_link **more = arili_alloc(cap * sizeof(struct arili_link *));
    if (more == NULL) {
        return false;
    }
    if (c->link_count > 0) {
        memcpy(more, c->links, c->link_count * sizeof(struct arili_link *));
    }
    arili_free(c->links, c->link_cap * sizeof(struct arili_link *));
    c->links = more;
    c->link_cap = cap;
    return true;
}

struct arili_link *arili_client_link(struct arili_client *c, struct arili_node *node)
{
    struct arili_link *link = own_link(c, node);
    if (link != NULL) {
        if (link->database != c->database || link->resp3 != c->resp3) {
            arili_link_prepare(link, c->resp3, c->database);
        }
        return link->peer.ended ? NULL : link;
    }
    if (!links_room(c)) {
        return NULL;
    }
    link = arili_link_take(c->peer.loop, node, (struct arili_holder){ .client = c }, c->resp3,
                           c->database);
    if (link != NULL) {
        c->links[c->link_count++] = link;
    }
    return link;
}

/* What is under way was sent by another map, and may be sent on yet: who follows another path now
 * could overtake it. */
static bool follows_another_map(struct arili_client *c)
{
    const struct arili_loop *loop = c->peer.loop;
    if (c->map_version != loop->map_version && c->count > 0) {
        return true;
    }
    c->map_version = loop->map_version;
    return false;
}

bool arili_send_link(struct arili_running *run, struct arili_node *node, enum arili_ran *ran)
{
    struct arili_client *c = run->c;
    if (follows_another_map(c)) {
        *ran = ARILI_RAN_LATER; /* answers wake it up */
        return false;
    }
    if (node != NULL && own_link(c, node) == NULL && arili_node_is_down(c->peer.loop, node)) {
        *ran = arili_refuse(run, "ERR aril: the server cannot be reached; try again shortly");
        return false;
    }
    run->link = node != NULL ? arili_client_link(c, node) : NULL;
    if (run->link == NULL) {
        if (c->count == 0) { /* nobody keeps what it does not use: two could wait for one another */
            arili_client_give_links(c);
        }
        arili_link_wait(c, node);
        *ran = ARILI_RAN_LATER;
        return false;
    }
    return true;
}

/* --- Commands ------------------------------------------------------------------------------- */

uint16_t arili_send_slot(const struct arili_place *place)
{
    return arili_resp_slot((aril_bytes){ (const uint8_t *)place->name, place->name_len });
}

/* The transaction goes to the node of its first key; only then the server hears of it. */
static bool begin_transaction(struct arili_running *run, enum arili_ran *ran)
{
    struct arili_client *c = run->c;
    if (!c->in_multi || c->multi_sent) {
        return true;
    }
    const aril_bytes multi = ARILI_LITERAL("MULTI");
    if (!arili_link_expect(run->link, NULL, ARILI_SWALLOW_OK)) {
        *ran = arili_refuse(run, "ERR aril: out of memory");
        return false;
    }
    arili_link_command(run->link, &multi, 1);
    run->link->sticky = true;
    c->multi_sent = true;
    const aril_bytes ping = ARILI_LITERAL("PING");
    for (const struct arili_request *q = c->queued; q != NULL; q = q->next) {
        if (!arili_link_expect(run->link, NULL, ARILI_SWALLOW_OK)) {
            *ran = arili_refuse(run, "ERR aril: out of memory");
            return false;
        }
        arili_link_command(run->link, &ping, 1); /* holds the place of what was kept */
    }
    return true;
}

/* A transaction and what it watches are with one server. */
static bool same_server(const struct arili_client *c, const struct arili_link *link)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->sticky && c->links[i] != link) {
            return false;
        }
    }
    return true;
}

bool arili_send_begin_at(struct arili_running *run, struct arili_node *node, enum arili_ran *ran)
{
    struct arili_client *c = run->c;
    struct arili_loop *loop = c->peer.loop;
    if (!arili_send_link(run, node, ran)) {
        return false;
    }
    const bool bound = c->in_multi || run->command->verb == ARILI_VERB_WATCH;
    if (bound && !same_server(c, run->link)) {
        *ran = arili_refuse(run, "CROSSSLOT aril: keys of one transaction must be with one server; "
                                 "give them one {hash tag}");
        return false;
    }
    if (c->in_multi && !arili_budget_has(&loop->proxy->budget, 0)) { /* nothing bounds EXEC */
        *ran = arili_refuse(run, "ERR aril: there is no memory for more commands in MULTI");
        return false;
    }
    if (!begin_transaction(run, ran)) {
        return false;
    }
    run->r = arili_request_new(loop);
    if (run->r == NULL) {
        *ran = arili_refuse(run, "ERR aril: out of memory");
        return false;
    }
    run->r->command = run->command;
    run->r->resp3 = c->resp3;
    run->r->database = c->database;
    arili_flow_done(&loop->build); /* what could not be ended is nobody's */
    run->out = loop->slots != NULL ? &loop->build : &run->link->peer.out;
    return true;
}

bool arili_send_begin(struct arili_running *run, const struct arili_place *place,
                      enum arili_ran *ran)
{
    const struct arili_client *c = run->c;
    struct arili_loop *loop = c->peer.loop;
    const uint16_t slot = place != NULL && loop->slots != NULL ? arili_send_slot(place) : 0;
    struct arili_node *node =
        place != NULL ? arili_cluster_node(loop, slot) : arili_cluster_any(loop);
    for (uint32_t i = 0; place == NULL && c->in_multi && i < c->link_count; i++) {
        node = c->links[i]->sticky ? c->links[i]->node : node;
    }
    if (!arili_send_begin_at(run, node, ran)) {
        return false;
    }
    run->r->slot = slot;
    return true;
}

void arili_send_flow(struct arili_running *run, struct arili_flow *value)
{
    arili_say_header(run->out, '$', value->bytes);
    arili_flow_move(run->out, value);
    arili_flow_put(run->out, ARILI_LITERAL("\r\n"));
}

void arili_send_count(struct arili_running *run, size_t count)
{
    arili_say_header(run->out, '*', count);
}

void arili_send_arg(struct arili_running *run, aril_bytes arg)
{
    arili_say_bulk(run->out, arg);
}

void arili_send_option(struct arili_running *run, aril_bytes arg)
{
    arili_say_bulk(run->out, arili_word_is_option(arg) ? arg : ARILI_LITERAL("x"));
}

void arili_send_name(struct arili_running *run, const struct arili_place *place)
{
    arili_say_bulk(run->out, (aril_bytes){ (const uint8_t *)place->name, place->name_len });
}

/* Over a Cluster what was sent is kept, for the case that it has to go elsewhere. */
static void keep_sent(struct arili_running *run)
{
    struct arili_loop *loop = run->c->peer.loop;
    if (loop->slots == NULL) {
        return;
    }
    if (run->c->in_multi) { /* it cannot go elsewhere alone */
        arili_flow_move(&run->link->peer.out, &loop->build);
        return;
    }
    struct arili_flow *build = &loop->build;
    struct arili_request *r = run->r;
    r->sent = build->bytes <= KEPT_MAX && !build->failed ? arili_alloc((size_t)build->bytes) : NULL;
    if (r->sent != NULL) {
        r->sent_len = arili_flow_read(build, r->sent, (size_t)build->bytes);
        arili_flow_put(&run->link->peer.out, (aril_bytes){ r->sent, r->sent_len });
        arili_flow_consume(build, build->bytes);
    } else {
        arili_flow_move(&run->link->peer.out, build);
    }
    loop->build.failed = false;
}

/* "+QUEUED" comes now, and the answer with EXEC. */
static struct arili_request *queue(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_request *queued = arili_here(run);
    if (queued != NULL) {
        run->r->base = 1;
        arili_request_count(run->r, sizeof *run->r);
        *c->queued_end = run->r;
        c->queued_end = &run->r->next;
    }
    return queued;
}

enum arili_ran arili_send_end(struct arili_running *run, enum arili_shape shape)
{
    struct arili_client *c = run->c;
    run->r->shape = shape;
    keep_sent(run);
    struct arili_request *r = c->in_multi ? queue(run) : run->r;
    if (r == NULL) {
        arili_request_free(c->peer.loop, run->r);
        arili_link_lost(run->link, ARIL_E_INTERRUPTED, "out of memory");
        return ARILI_RAN;
    }
    arili_client_append(c, r);
    (void)arili_link_expect(run->link, r, ARILI_SWALLOW_OK); /* else the link told r */
    arili_peer_touch(&run->link->peer);
    return ARILI_RAN;
}

/* --- What requests need --------------------------------------------------------------------- */

bool arili_run_keys(struct arili_running *run)
{
    if (run->keys != NULL) {
        return true;
    }
    run->keys = arili_tenant_keys_hold(run->c->tenant);
    const aril_status st = run->keys != NULL ? run->keys->status : ARIL_E_KEY_LOCKED;
    if (st != ARIL_OK) {
        (void)arili_refuse(run, "ERR aril: no keys for this tenant: %s; %s", aril_status_text(st),
                           aril_status_hint(st));
        return false;
    }
    return true;
}

bool arili_run_seals(struct arili_running *run)
{
    const aril_status st = run->keys->seal_status;
    if (st != ARIL_OK) {
        (void)arili_refuse(run, "ERR aril: this tenant's values can be read, not written: %s; %s",
                           aril_status_text(st), aril_status_hint(st));
    }
    return st == ARIL_OK;
}

static aril_status find_place(const struct arili_running *run, aril_bytes key,
                              struct arili_place *ret)
{
    ARILI_ENSURE(key.len <= run->c->name_max, ARIL_E_USAGE_RANGE);
    return arili_place_make(run->c->peer.loop->names, run->c->tenant, run->keys, run->c->database,
                            key, ret);
}

bool arili_send_key(struct arili_running *run, aril_bytes key, struct arili_place *ret)
{
    const aril_status st = find_place(run, key, ret);
    if (st != ARIL_OK) { /* half a command was written */
        arili_request_free(run->c->peer.loop, run->r);
        run->r = NULL;
        arili_link_lost(run->link, ARIL_E_INTERRUPTED, "a name could not be made");
        (void)arili_refuse(run, "ERR aril: %s", aril_status_text(st));
        return false;
    }
    arili_send_name(run, ret);
    return true;
}

bool arili_run_place(struct arili_running *run, aril_bytes key, struct arili_place *ret)
{
    const aril_status st = find_place(run, key, ret);
    if (st == ARIL_OK) {
        return true;
    }
    if (st == ARIL_E_USAGE_RANGE) {
        (void)arili_refuse(run, "ERR aril: a key has 1 to %llu bytes, this one has %zu",
                           (unsigned long long)run->c->name_max, key.len);
    } else {
        (void)arili_refuse(run, "ERR aril: %s", aril_status_text(st));
    }
    return false;
}

uint64_t arili_not_after(const struct arili_running *run, uint64_t ttl_ms)
{
    const uint64_t max = run->policy->ttl_max_s * 1000;
    return run->now_ms + CLOCK_STEP_MS + (ttl_ms < max ? ttl_ms : max);
}

aril_bytes arili_time_cut(const struct arili_running *run, bool seconds, bool absolute,
                          aril_bytes number, char room[static ARILI_TIME_TEXT])
{
    const uint64_t unit = seconds ? 1000 : 1;
    const uint64_t max_ms = run->policy->ttl_max_s * 1000;
    int64_t n = 0;
    if (!arili_word_number(number, &n) || n <= 0 || (uint64_t)n > (uint64_t)INT64_MAX / unit) {
        return number;
    }
    const uint64_t asked_ms = (uint64_t)n * unit;
    const uint64_t most_ms = absolute ? run->now_ms + max_ms : max_ms;
    if (asked_ms <= most_ms || (!absolute && asked_ms > (uint64_t)INT64_MAX - run->now_ms)) {
        return number;
    }
    const int len = snprintf(room, ARILI_TIME_TEXT, "%llu", (unsigned long long)(most_ms / unit));
    return (aril_bytes){ (const uint8_t *)room, (size_t)len };
}

bool arili_run_remember(struct arili_running *run, aril_bytes key, const struct arili_place *place)
{
    struct arili_request *r = run->r;
    r->tenant = run->c->tenant;
    r->policy = run->policy;
    r->settings = run->c->settings; /* its client may follow others before the answer is there */
    atomic_fetch_add(&r->settings->refs, 1);
    atomic_fetch_add(&run->keys->refs, 1);
    r->keys = run->keys;
    if (arili_request_keep_key(r, key) != ARIL_OK) {
        return false;
    }
    if (place != NULL) {
        r->place = arili_alloc(sizeof *r->place);
        if (r->place == NULL) {
            return false;
        }
        memcpy(r->place, place, sizeof *place);
    }
    return true;
}

/* --- Sealing -------------------------------------------------------------------------------- */

aril_status arili_seal_span(struct arili_value_sealer *s, aril_bytes value, struct arili_flow *out)
{
    uint8_t tag[ARILI_VALUE_TAG_BYTES];
    while (value.len > 0) {
        const size_t n = value.len < ARILI_BLOCK_BYTES ? value.len : ARILI_BLOCK_BYTES;
        uint8_t *at = arili_flow_reserve(out, n);
        ARILI_ENSURE(at != NULL, ARIL_E_NOMEM);
        memcpy(at, value.data, n);
        aril_span in = { at, n };
        aril_span run;
        bool tagged = false;
        ARILI_TRY(arili_value_sealer_run(s, &in, &run, tag, &tagged));
        arili_flow_commit(out, run.len);
        value = (aril_bytes){ value.data + run.len, value.len - run.len };
        if (tagged) {
            arili_flow_put(out, (aril_bytes){ tag, sizeof tag });
        }
    }
    return ARIL_OK;
}

static aril_status seal_all(struct arili_value_sealer *s, aril_bytes value,
                            const struct arili_flow *flow, struct arili_flow *out)
{
    if (flow != NULL && flow->bytes > 0) {
        for (uint32_t i = 0; i < flow->count; i++) {
            const struct arili_slice *slice = &flow->slices[flow->first + i];
            ARILI_TRY(arili_seal_span(s, (aril_bytes){ slice->block->data + slice->at, slice->len },
                                      out));
        }
        return ARIL_OK;
    }
    if (value.len > 0) {
        return arili_seal_span(s, value, out);
    }
    uint8_t tag[ARILI_VALUE_TAG_BYTES];
    uint8_t none = 0;
    aril_span in = { &none, 0 };
    aril_span run;
    bool tagged = false;
    ARILI_TRY(arili_value_sealer_run(s, &in, &run, tag, &tagged));
    arili_flow_put(out, (aril_bytes){ tag, sizeof tag });
    return ARIL_OK;
}

aril_status arili_seal_bulk(struct arili_loop *loop, const struct arili_tenant_keys *keys,
                            const uint8_t *context, uint64_t not_after_ms, aril_bytes value,
                            const struct arili_flow *flow, struct arili_flow *out)
{
    struct arili_value_sealer s;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    const uint64_t bytes = flow != NULL ? flow->bytes : value.len;
    ARILI_TRY(keys->seal_status);
    ARILI_TRY(arili_value_sealer_begin_in(&s, &loop->values, keys->data, context, loop->now_ms,
                                          not_after_ms, keys->generation, bytes, header));
    arili_say_header(out, '$', arili_sealed_bytes(bytes));
    arili_flow_put(out, (aril_bytes){ header, sizeof header });
    const aril_status st = seal_all(&s, value, flow, out);
    const aril_status done = arili_value_sealer_done(&s);
    ARILI_TRY(st);
    ARILI_TRY(done);
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
    return out->failed ? ARIL_E_NOMEM : ARIL_OK;
}

bool arili_send_value(struct arili_running *run, const uint8_t *context, uint64_t not_after_ms,
                      aril_bytes value, const struct arili_flow *flow)
{
    const aril_status st =
        arili_seal_bulk(run->c->peer.loop, run->keys, context, not_after_ms, value, flow, run->out);
    if (st != ARIL_OK) { /* half a command was written */
        arili_request_free(run->c->peer.loop, run->r);
        run->r = NULL;
        arili_link_lost(run->link, ARIL_E_INTERRUPTED, "a value could not be sealed");
        (void)arili_refuse(run, "ERR aril: the value could not be sealed: %s",
                           aril_status_text(st));
        return false;
    }
    arili_figure_add(&run->c->tenant->figures.sealed_bytes, flow != NULL ? flow->bytes : value.len);
    return true;
}
