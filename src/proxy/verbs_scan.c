/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/run.h"
#include <stdio.h>
#include <string.h>

/*
 * SCAN, HSCAN and SSCAN: the server walks over sealed names, and MATCH is done here. Over a Cluster
 * a cursor is that of a node times NODES, plus the number of the node.
 */
#define NODES 1024u

struct scan_options {
    aril_bytes match, count, type;
    bool wrong;
};

static void parse(const struct arili_running *run, size_t first, struct scan_options *ret)
{
    *ret = (struct scan_options){ .wrong = false };
    for (size_t i = first; i < run->count; i += 2) {
        if (i + 1 >= run->count) {
            ret->wrong = true;
        } else if (arili_word_is(run->args[i], "match")) {
            ret->match = run->args[i + 1];
        } else if (arili_word_is(run->args[i], "count")) {
            ret->count = run->args[i + 1];
        } else if (arili_word_is(run->args[i], "type")) {
            ret->type = run->args[i + 1];
        } else {
            ret->wrong = true;
        }
    }
}

static bool keep_pattern(struct arili_request *r, aril_bytes match)
{
    if (match.data == NULL) {
        return true;
    }
    if (arili_request_keep_room(r, match.len) != ARIL_OK) {
        return false;
    }
    memcpy(r->room, match.data, match.len);
    r->pattern = (aril_bytes){ r->room, match.len };
    return true;
}

static size_t option_count(const struct scan_options *o, bool match)
{
    return (match ? 2u : 0u) + (o->count.data != NULL ? 2u : 0u) + (o->type.data != NULL ? 2u : 0u);
}

static void send_options(struct arili_running *run, const struct scan_options *o)
{
    if (o->count.data != NULL) {
        arili_send_arg(run, ARILI_LITERAL("COUNT"));
        arili_send_option(run, o->count);
    }
    if (o->type.data != NULL) {
        arili_send_arg(run, ARILI_LITERAL("TYPE"));
        arili_send_option(run, o->type);
    }
}

enum arili_ran arili_run_inner_scan(struct arili_running *run, const struct arili_place *place,
                                    enum arili_shape shape)
{
    struct scan_options o;
    enum arili_ran ran = ARILI_RAN;
    parse(run, 3, &o);
    if (o.wrong || o.type.data != NULL) {
        return arili_refuse(run, "ERR syntax error");
    }
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (!arili_run_remember(run, run->args[1], place) || !keep_pattern(run->r, o.match)) {
        return arili_no_memory(run);
    }
    run->r->in_hash = shape == ARILI_SHAPE_HSCAN;
    arili_send_count(run, 3 + option_count(&o, false));
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    arili_send_option(run, run->args[2]);
    send_options(run, &o);
    return arili_send_end(run, shape);
}

/* --- SCAN ----------------------------------------------------------------------------------- */

/* The node with that number, or the next one that has slots. */
static struct arili_node *node_number(struct arili_loop *loop, uint64_t number)
{
    struct arili_node *best = NULL;
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        if (n->has_slots && n->index >= number && (best == NULL || n->index < best->index)) {
            best = n;
        }
    }
    return best;
}

uint64_t arili_cursor_out(const struct arili_request *r, uint64_t cursor)
{
    if (r->shape != ARILI_SHAPE_SCAN || r->loop->slots == NULL) {
        return cursor;
    }
    if (cursor != 0) {
        return cursor * NODES + r->node;
    }
    const struct arili_node *next = node_number(r->loop, (uint64_t)r->node + 1);
    return next == NULL ? 0 : next->index;
}

static bool parse_cursor(aril_bytes text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 20) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || n > UINT64_MAX / 10 - 1) {
            return false;
        }
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret = n;
    return true;
}

enum arili_ran arili_run_scan(struct arili_running *run)
{
    struct scan_options o;
    struct arili_loop *loop = run->c->peer.loop;
    enum arili_ran ran = ARILI_RAN;
    char text[24];
    char pattern[ARILI_CACHE_PREFIX_TEXT + 1];
    uint64_t cursor = 0;
    parse(run, 2, &o);
    if (!parse_cursor(run->args[1], &cursor)) {
        return arili_refuse(run, "ERR invalid cursor");
    }
    if (o.wrong) {
        return arili_refuse(run, "ERR syntax error");
    }
    struct arili_node *node = arili_cluster_any(loop);
    if (loop->slots != NULL && node != NULL) {
        node = node_number(loop, cursor % NODES);
        cursor /= NODES;
        if (node == NULL) {
            return arili_refuse(run, "ERR invalid cursor");
        }
    }
    if (!arili_send_begin_at(run, node, &ran)) {
        return ran;
    }
    struct arili_request *r = run->r;
    r->tenant = run->c->tenant;
    atomic_fetch_add(&run->keys->refs, 1);
    r->keys = run->keys;
    r->node = node->index;
    if (!keep_pattern(r, o.match)) {
        return arili_no_memory(run);
    }
    const int n = snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    memcpy(pattern, arili_place_prefix(run->keys), ARILI_CACHE_PREFIX_TEXT);
    pattern[ARILI_CACHE_PREFIX_TEXT] = '*';
    arili_send_count(run, 2 + option_count(&o, true));
    arili_send_arg(run, run->args[0]);
    arili_send_arg(run, (aril_bytes){ (const uint8_t *)text, (size_t)n });
    arili_send_arg(run, ARILI_LITERAL("MATCH"));
    arili_send_arg(run, (aril_bytes){ (const uint8_t *)pattern, sizeof pattern });
    send_options(run, &o);
    return arili_send_end(run, ARILI_SHAPE_SCAN);
}
