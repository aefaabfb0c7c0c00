/* SPDX-License-Identifier: Apache-2.0 */
#include "resp_events.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct arili_resp_decoder decoder;
    struct resp_events out;
    size_t cap;
    uint64_t body_left;
    bool in_body;
};

static void demand(bool cond)
{
    if (!cond) {
        abort();
    }
}

static void add(struct run *r, const char *text, size_t len)
{
    if (r->cap - r->out.len <= len) {
        const size_t cap = 2 * r->cap + len + 64;
        char *more = realloc(r->out.text, cap);
        demand(more != NULL);
        r->out.text = more;
        r->cap = cap;
    }
    memcpy(r->out.text + r->out.len, text, len);
    r->out.len += len;
    r->out.text[r->out.len] = '\0';
}

static void add_text(struct run *r, const char *text)
{
    add(r, text, strlen(text));
}

static void add_escaped(struct run *r, aril_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        char escaped[8];
        const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        const int len = plain ? snprintf(escaped, sizeof escaped, "%c", c)
                              : snprintf(escaped, sizeof escaped, "\\x%02x", c);
        add(r, escaped, (size_t)len);
    }
}

static const char *name_of(enum arili_resp_kind kind)
{
    static const char *const names[] = {
        [ARILI_RESP_SIMPLE] = "simple",     [ARILI_RESP_ERROR] = "error",
        [ARILI_RESP_INTEGER] = "int",       [ARILI_RESP_BULK] = "bulk",
        [ARILI_RESP_NIL] = "nil",           [ARILI_RESP_ARRAY] = "array",
        [ARILI_RESP_BOOL] = "bool",         [ARILI_RESP_DOUBLE] = "double",
        [ARILI_RESP_BIGNUM] = "bignum",     [ARILI_RESP_BLOB_ERROR] = "bloberr",
        [ARILI_RESP_VERBATIM] = "verbatim", [ARILI_RESP_MAP] = "map",
        [ARILI_RESP_SET] = "set",           [ARILI_RESP_PUSH] = "push",
        [ARILI_RESP_ATTRIBUTE] = "attr",    [ARILI_RESP_END] = "end",
    };
    demand(kind < sizeof names / sizeof names[0] && names[kind] != NULL);
    return names[kind];
}

static void add_body(struct run *r, const struct arili_resp_event *e)
{
    demand(r->in_body && e->text.len <= r->body_left && (e->text.len > 0 || e->last));
    r->body_left -= e->text.len;
    demand(!e->last || r->body_left == 0);
    add_escaped(r, e->text);
    if (e->last) {
        add_text(r, "\"");
        r->in_body = false;
    }
}

static void add_event(struct run *r, const struct arili_resp_event *e)
{
    if (e->kind == ARILI_RESP_BODY) {
        add_body(r, e);
        return;
    }
    demand(!r->in_body && e->depth <= ARILI_RESP_DEPTH_MAX);
    if (r->out.len > 0) {
        add_text(r, " ");
    }
    add_text(r, name_of(e->kind));
    char number[64] = "";
    switch (e->kind) {
    case ARILI_RESP_END:
        demand(e->depth == 0);
        return;
    case ARILI_RESP_NIL:
        (void)snprintf(number, sizeof number, "%u", e->depth);
        break;
    case ARILI_RESP_INTEGER:
    case ARILI_RESP_BOOL:
        (void)snprintf(number, sizeof number, "%u:%lld", e->depth, (long long)e->number);
        break;
    case ARILI_RESP_BULK:
    case ARILI_RESP_BLOB_ERROR:
    case ARILI_RESP_VERBATIM:
        demand(e->body_len <= r->decoder.limits.bulk_max);
        r->in_body = true;
        r->body_left = e->body_len;
        (void)snprintf(number, sizeof number, "%u:%llu\"", e->depth,
                       (unsigned long long)e->body_len);
        break;
    case ARILI_RESP_SIMPLE:
    case ARILI_RESP_ERROR:
    case ARILI_RESP_DOUBLE:
    case ARILI_RESP_BIGNUM:
        (void)snprintf(number, sizeof number, "%u\"", e->depth);
        add_text(r, number);
        add_escaped(r, e->text);
        add_text(r, "\"");
        return;
    default:
        demand(e->count <= r->decoder.limits.count_max);
        (void)snprintf(number, sizeof number, "%u:%llu", e->depth, (unsigned long long)e->count);
        break;
    }
    add_text(r, number);
}

static bool inside(aril_bytes part, aril_bytes whole)
{
    return part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
                             (size_t)(part.data - whole.data) <= whole.len - part.len);
}

static void check_failed(struct run *r, aril_bytes in, aril_status st)
{
    static const uint8_t good[] = "+OK\r\n*1\r\n$1\r\nx\r\n";
    struct arili_resp_event e = { .kind = ARILI_RESP_END, .count = 7 };
    aril_bytes rest = in;
    demand(arili_resp_next(&r->decoder, &rest, &e) == st);
    demand(rest.data == in.data && rest.len == in.len && e.kind == ARILI_RESP_MORE);
    rest = (aril_bytes){ good, sizeof good - 1 };
    demand(arili_resp_next(&r->decoder, &rest, &e) == st && rest.data == good);
    demand(!arili_resp_is_idle(&r->decoder) && arili_resp_body_left(&r->decoder) == 0);
}

/* All events of the bytes from out.used on up to visible, in a block of exactly their size. */
static void run_visible(struct run *r, aril_bytes in, size_t visible)
{
    const size_t len = visible - r->out.used;
    uint8_t *block = malloc(len > 0 ? len : 1);
    demand(block != NULL);
    if (len > 0) {
        memcpy(block, in.data + r->out.used, len);
    }
    aril_bytes rest = { block, len };
    struct arili_resp_event e;
    do {
        const aril_bytes before = rest;
        r->out.status = arili_resp_next(&r->decoder, &rest, &e);
        if (r->out.status != ARIL_OK) {
            demand(rest.data == before.data && rest.len == before.len);
            check_failed(r, rest, r->out.status);
            add_text(r, r->out.len > 0 ? " !" : "!");
            add_text(r, aril_status_name(r->out.status));
            break;
        }
        demand(inside((aril_bytes){ rest.data, rest.len }, before));
        demand(inside(e.text, before) || (r->decoder.limits.commands && e.text.len == 1));
        if (e.kind != ARILI_RESP_MORE) {
            add_event(r, &e);
        }
    } while (e.kind != ARILI_RESP_MORE);
    r->out.used += len - rest.len;
    free(block);
}

struct resp_events resp_events_cut(const struct arili_resp_limits *limits, aril_bytes in,
                                   size_t cut)
{
    struct run r = { .out = { .status = ARIL_OK } };
    arili_resp_decoder_init(&r.decoder, limits);
    add(&r, "", 0);
    run_visible(&r, in, cut);
    if (r.out.status == ARIL_OK && cut < in.len) {
        run_visible(&r, in, in.len);
    }
    r.out.is_idle = arili_resp_is_idle(&r.decoder);
    return r.out;
}

struct resp_events resp_events_of(const struct arili_resp_limits *limits, aril_bytes in,
                                  size_t step)
{
    if (step == 0) {
        return resp_events_cut(limits, in, in.len);
    }
    struct run r = { .out = { .status = ARIL_OK } };
    arili_resp_decoder_init(&r.decoder, limits);
    add(&r, "", 0);
    size_t visible = 0;
    while (visible < in.len && r.out.status == ARIL_OK) {
        visible += step < in.len - visible ? step : in.len - visible;
        run_visible(&r, in, visible);
    }
    r.out.is_idle = arili_resp_is_idle(&r.decoder);
    return r.out;
}

void resp_events_free(struct resp_events *e)
{
    free(e->text);
    *e = (struct resp_events){ .text = NULL };
}
