/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include "proxy/opening.h"
#include <stdio.h>
#include <string.h>

/*
 * A server's answer made a client's, event by event. Values are opened where they lie; names and
 * members are gathered whole, because they are short and come out of one cipher call.
 */
#define GATHER_MAX ((size_t)2 << 20)
/* What a name is gathered in at first. */
#define GATHER_MIN 256u
/* What a list may have although memory is short. */
#define ITEMS_FREE ((uint64_t)1 << 18)

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

/* Elements of an aggregate whose count is known last gather. */
static struct arili_flow *target(struct arili_request *r)
{
    return r->aggregate != 0 ? &r->items : arili_reply_out(r);
}

/* --- As it is ------------------------------------------------------------------------------- */

static char type_of(enum arili_resp_kind kind)
{
    static const char types[] = {
        [ARILI_RESP_SIMPLE] = '+',   [ARILI_RESP_ERROR] = '-',     [ARILI_RESP_INTEGER] = ':',
        [ARILI_RESP_BULK] = '$',     [ARILI_RESP_ARRAY] = '*',     [ARILI_RESP_BOOL] = '#',
        [ARILI_RESP_DOUBLE] = ',',   [ARILI_RESP_BIGNUM] = '(',    [ARILI_RESP_BLOB_ERROR] = '!',
        [ARILI_RESP_VERBATIM] = '=', [ARILI_RESP_MAP] = '%',       [ARILI_RESP_SET] = '~',
        [ARILI_RESP_PUSH] = '>',     [ARILI_RESP_ATTRIBUTE] = '|',
    };
    return types[kind];
}

static void put_line(struct arili_flow *out, char type, aril_bytes text)
{
    arili_flow_put(out, (aril_bytes){ (const uint8_t *)&type, 1 });
    arili_flow_put(out, text);
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
}

static void put_nil(struct arili_request *r, struct arili_flow *out, bool of_array)
{
    if (of_array && !r->resp3) {
        arili_say_nil_array(out, false);
        return;
    }
    arili_say_nil(out, r->resp3);
}

static void raw(struct arili_request *r, const struct arili_resp_event *e,
                struct arili_block *block)
{
    struct arili_flow *out = target(r);
    r->said = true;
    switch (e->kind) {
    case ARILI_RESP_SIMPLE:
    case ARILI_RESP_ERROR:
    case ARILI_RESP_DOUBLE:
    case ARILI_RESP_BIGNUM:
        put_line(out, type_of(e->kind), e->text);
        break;
    case ARILI_RESP_INTEGER:
        arili_say_integer(out, e->number);
        break;
    case ARILI_RESP_BOOL:
        put_line(out, '#', e->number != 0 ? ARILI_LITERAL("t") : ARILI_LITERAL("f"));
        break;
    case ARILI_RESP_NIL:
        put_nil(r, out, e->count != 0);
        break;
    case ARILI_RESP_BULK:
    case ARILI_RESP_BLOB_ERROR:
    case ARILI_RESP_VERBATIM:
        arili_say_header(out, type_of(e->kind), e->body_len);
        break;
    case ARILI_RESP_BODY:
        arili_flow_share(out, block, e->text);
        if (e->last) {
            arili_flow_put(out, ARILI_LITERAL("\r\n"));
        }
        break;
    default:
        arili_say_header(out, type_of(e->kind), e->count);
        break;
    }
}

/* --- Names and members, whole --------------------------------------------------------------- */

static void gather_begin(struct arili_request *r, uint64_t len)
{
    r->gather_len = 0;
    r->in_gather = true;
    r->gather_failed = false;
    r->gather_bad = len > GATHER_MAX;
}

static void gather_piece(struct arili_request *r, aril_bytes piece)
{
    if (r->gather_bad || r->gather_failed || piece.len == 0) {
        return;
    }
    if (r->gather_cap - r->gather_len < piece.len) {
        size_t cap = r->gather_cap < GATHER_MIN ? GATHER_MIN : r->gather_cap;
        while (cap - r->gather_len < piece.len) {
            cap *= 2;
        }
        uint8_t *more = arili_alloc(cap);
        if (more == NULL) {
            r->gather_failed = true;
            return;
        }
        if (r->gather_len > 0) {
            memcpy(more, r->gather, r->gather_len);
        }
        arili_free(r->gather, r->gather_cap);
        r->gather = more;
        r->gather_cap = cap;
    }
    memcpy(r->gather + r->gather_len, piece.data, piece.len);
    r->gather_len += piece.len;
}

static aril_bytes gathered(const struct arili_request *r)
{
    return (aril_bytes){ r->gather, r->gather_len };
}

/* Whether what is bad is told by whoever looks at the value of the field. */
static bool has_values(const struct arili_request *r)
{
    return r->shape == ARILI_SHAPE_PAIRS || r->shape == ARILI_SHAPE_HVALUES ||
           r->shape == ARILI_SHAPE_HSCAN;
}

/* What was gathered, opened to r->field. TAMPERED: it is none of this key's. */
static enum arili_ending open_inner(struct arili_request *r, enum arili_inner what, aril_bytes *ret)
{
    aril_status st = r->gather_failed || r->place == NULL ? ARIL_E_NOMEM : ARIL_E_FORMAT_LENGTH;
    uint8_t *plain = NULL;
    size_t len = 0;
    if (!r->gather_failed && !r->gather_bad && r->place != NULL && r->gather_len > 0) {
        plain = arili_alloc(r->gather_len);
        st = plain == NULL
                 ? ARIL_E_NOMEM
                 : arili_inner_open(r->tenant, r->keys, r->place, what, gathered(r), plain, &len);
    }
    if (st == ARIL_OK) {
        arili_free(r->field, r->field_cap);
        r->field = plain;
        r->field_cap = r->gather_len;
        r->field_len = len;
        *ret = (aril_bytes){ plain, len };
        return ARILI_ENDING_HIT;
    }
    arili_free(plain, r->gather_len);
    if (arili_ending_of(st) != ARILI_ENDING_TAMPERED) {
        return ARILI_ENDING_FAILED;
    }
    if (!has_values(r)) {
        arili_figure_add(&r->tenant->figures.tampered, 1);
        arili_bad_name_tell(r);
    }
    return ARILI_ENDING_TAMPERED;
}

/* --- What is said of bad ones --------------------------------------------------------------- */

/* An element of a list ended so: the whole list may be an error, of the first one. */
static void spoil(struct arili_request *r, enum arili_ending ending, aril_status st)
{
    if (r->spoiled == ARILI_ENDING_HIT && arili_ending_is_error(r, ending)) {
        r->spoiled = ending;
        r->spoiled_status = st;
        r->spoiled_bytes = r->value.plain_bytes;
    }
}

/* A list is told when all of it is there: whether one more element may be kept. */
static bool has_room(struct arili_request *r)
{
    if (r->items.bytes >= ITEMS_FREE && !arili_budget_has(&r->loop->proxy->budget, 0)) {
        spoil(r, ARILI_ENDING_FAILED, ARIL_E_NOMEM);
    }
    if (r->spoiled != ARILI_ENDING_HIT) {
        arili_flow_done(&r->items);
    }
    return r->spoiled == ARILI_ENDING_HIT;
}

static void say_inner(struct arili_request *r, enum arili_inner what)
{
    aril_bytes plain;
    const enum arili_ending ending = open_inner(r, what, &plain);
    if (ending == ARILI_ENDING_HIT) {
        if (has_room(r) && (r->pattern.data == NULL || arili_glob(r->pattern, plain))) {
            arili_say_bulk(target(r), plain);
            r->item_count++;
        }
    } else if (r->aggregate != 0) {
        spoil(r, ending, ARIL_E_NOMEM);
    } else if (arili_ending_is_error(r, ending)) {
        arili_ending_say(target(r), ending, ARIL_E_NOMEM, 0);
    } else {
        arili_say_nil(target(r), r->resp3);
    }
}

/* --- Values --------------------------------------------------------------------------------- */

/* The plaintext, and the end of the line. */
static void put_plain(struct arili_request *r, struct arili_flow *out)
{
    if (r->value.whole_in != NULL) {
        arili_flow_share(out, r->value.whole_in, r->value.whole);
    } else {
        arili_flow_move(out, &r->hold);
    }
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
}

static void say_value(struct arili_request *r, aril_bytes text)
{
    const struct arili_opening *o = &r->value;
    if (o->ending == ARILI_ENDING_HIT) {
        struct arili_flow *out = target(r);
        if (!o->streamed) {
            arili_say_header(out, '$', o->plain_bytes);
        }
        put_plain(r, out);
        return;
    }
    if (o->ending == ARILI_ENDING_TAMPERED) {
        arili_opening_bad(r, text);
        arili_bad_tell(r, text);
    } else if (o->ending == ARILI_ENDING_EXPIRED) {
        arili_replay_tell(r, text);
    }
    struct arili_flow *out = target(r); /* which a bad value changes */
    if (arili_ending_is_error(r, o->ending)) {
        arili_ending_say(out, o->ending, o->status, o->plain_bytes);
    } else if (!o->streamed) {
        arili_say_nil(out, r->resp3);
    }
}

static const struct arili_asked *asked(const struct arili_request *r)
{
    return r->element < r->asked_count ? &r->asked[r->element] : NULL;
}

/* The value of a pair came: it goes out with its field, or neither does. */
static void say_pair(struct arili_request *r)
{
    const aril_bytes field = { r->field, r->field_len };
    const enum arili_ending ending =
        r->field_ending != ARILI_ENDING_HIT ? r->field_ending : r->value.ending;
    if (r->value.ending == ARILI_ENDING_TAMPERED) {
        arili_opening_bad(r, gathered(r));
        arili_bad_tell(r, gathered(r));
    } else if (ending == ARILI_ENDING_TAMPERED) { /* of its value nothing is known */
        arili_figure_add(&r->tenant->figures.tampered, 1);
        arili_bad_name_tell(r);
    } else if (r->value.ending == ARILI_ENDING_EXPIRED) {
        arili_replay_tell(r, gathered(r));
    }
    if (!r->field_unwanted) {
        spoil(r, ending, r->value.status);
    }
    if (!has_room(r) || r->field_unwanted || ending != ARILI_ENDING_HIT) {
        arili_flow_consume(&r->hold, r->hold.bytes); /* a value whose field is not wanted */
        return;
    }
    struct arili_flow *out = target(r);
    if (r->nested) {
        arili_say_header(out, '*', 2);
    }
    if (r->shape != ARILI_SHAPE_HVALUES) {
        arili_say_bulk(out, field);
    }
    arili_say_header(out, '$', r->value.plain_bytes);
    put_plain(r, out);
    r->item_count++;
}

static enum arili_heard value_begin(struct arili_request *r, uint64_t len, const uint8_t *context)
{
    r->in_value = true;
    return arili_opening_begin(r, len, context);
}

/* --- Events of one shape -------------------------------------------------------------------- */

static bool is_aggregate(enum arili_resp_kind kind)
{
    return kind == ARILI_RESP_ARRAY || kind == ARILI_RESP_MAP || kind == ARILI_RESP_SET ||
           kind == ARILI_RESP_PUSH;
}

static enum arili_heard on_value(struct arili_request *r, const struct arili_resp_event *e,
                                 struct arili_block *block, unsigned depth)
{
    const bool many = r->shape == ARILI_SHAPE_VALUES;
    if (e->kind == ARILI_RESP_BULK && depth == (many ? 1u : 0u) && asked(r) != NULL) {
        return value_begin(r, e->body_len, asked(r)->context);
    }
    if (e->kind == ARILI_RESP_NIL && (!many || depth == 1)) {
        arili_figure_add(&r->tenant->figures.misses, 1);
        r->value.ending = ARILI_ENDING_MISS;
    }
    if (e->kind == ARILI_RESP_ERROR && r->wrong_type_is_nil && e->text.len >= 9 &&
        memcmp(e->text.data, "WRONGTYPE", 9) == 0) {
        arili_say_nil(target(r), r->resp3);
        return ARILI_HEARD;
    }
    raw(r, e, block);
    if (depth == 1 && !is_aggregate(e->kind)) {
        r->element++;
    }
    return ARILI_HEARD;
}

/* Aggregates whose elements are opened, and whose count is known when all were. */
static bool begins_list(struct arili_request *r, const struct arili_resp_event *e, unsigned depth,
                        unsigned at)
{
    if (depth != at || !is_aggregate(e->kind)) {
        return false;
    }
    r->aggregate = type_of(e->kind);
    return true;
}

static enum arili_heard on_names(struct arili_request *r, const struct arili_resp_event *e,
                                 struct arili_block *block, unsigned depth)
{
    const bool scan = r->shape == ARILI_SHAPE_SSCAN || r->shape == ARILI_SHAPE_SCAN ||
                      r->shape == ARILI_SHAPE_NAMES;
    if (scan && depth == 0 && e->kind == ARILI_RESP_ARRAY) {
        return ARILI_HEARD;
    }
    if (begins_list(r, e, depth, scan ? 1 : 0)) {
        return ARILI_HEARD;
    }
    if (e->kind == ARILI_RESP_BULK) {
        gather_begin(r, e->body_len);
        return ARILI_HEARD;
    }
    if (r->shape == ARILI_SHAPE_NAMES && e->kind == ARILI_RESP_ERROR) {
        r->got.kind = ARILI_RESP_ERROR;
        r->got.len = e->text.len < sizeof r->got.text ? e->text.len : sizeof r->got.text;
        memcpy(r->got.text, e->text.data, r->got.len);
        return ARILI_HEARD;
    }
    raw(r, e, block);
    return ARILI_HEARD;
}

static enum arili_heard on_pairs(struct arili_request *r, const struct arili_resp_event *e,
                                 struct arili_block *block, unsigned depth)
{
    const unsigned at = r->shape == ARILI_SHAPE_HSCAN ? 1 : 0;
    if (at == 1 && depth == 0 && e->kind == ARILI_RESP_ARRAY) {
        return ARILI_HEARD;
    }
    if (begins_list(r, e, depth, at)) {
        return ARILI_HEARD;
    }
    if (depth == at + 1 && e->kind == ARILI_RESP_ARRAY) {
        r->nested = true;
        return ARILI_HEARD;
    }
    if (e->kind != ARILI_RESP_BULK) {
        raw(r, e, block);
        return ARILI_HEARD;
    }
    if (depth > at && r->element % 2 == 1) {
        if (r->field_ending == ARILI_ENDING_FAILED) { /* nothing is known of its value */
            r->in_value = true;
            r->value = (struct arili_opening){ .active = true,
                                               .skipping = true,
                                               .ending = ARILI_ENDING_FAILED,
                                               .status = ARIL_E_NOMEM,
                                               .stored_bytes = e->body_len };
            return ARILI_HEARD;
        }
        return value_begin(r, e->body_len, r->field_context);
    }
    gather_begin(r, e->body_len);
    return ARILI_HEARD;
}

static void on_length(struct arili_request *r, const struct arili_resp_event *e,
                      struct arili_block *block)
{
    uint64_t plain = 0;
    if (e->kind != ARILI_RESP_INTEGER || e->number <= 0) {
        raw(r, e, block);
        return;
    }
    if (arili_plain_bytes((uint64_t)e->number, &plain) != ARIL_OK) {
        plain = 0;
    }
    arili_say_integer(target(r), (int64_t)plain);
}

static void collect(struct arili_request *r, const struct arili_resp_event *e, unsigned depth)
{
    struct arili_got *got = &r->got;
    if (e->kind == ARILI_RESP_BODY) {
        if (depth == 0) {
            const size_t room = sizeof got->text - got->len;
            const size_t n = e->text.len < room ? e->text.len : room;
            memcpy(got->text + got->len, e->text.data, n);
            got->len += n;
            got->cut = got->cut || n < e->text.len;
        }
        return;
    }
    if (depth > 0) {
        got->inner_kind = e->kind;
        got->inner_number = e->number;
        if (e->kind == ARILI_RESP_ERROR) {
            got->inner_error = true;
            got->len = e->text.len < sizeof got->text ? e->text.len : sizeof got->text;
            memcpy(got->text, e->text.data, got->len);
        }
        return;
    }
    got->kind = e->kind;
    got->number = e->number;
    got->count = e->count;
    if (e->kind == ARILI_RESP_SIMPLE || e->kind == ARILI_RESP_ERROR) {
        got->len = e->text.len < sizeof got->text ? e->text.len : sizeof got->text;
        memcpy(got->text, e->text.data, got->len);
    }
}

static void add_up(struct arili_request *r, const struct arili_resp_event *e, unsigned depth)
{
    struct arili_sum *sum = r->sum;
    if (depth > 0) {
        return;
    }
    if (e->kind == ARILI_RESP_INTEGER) {
        sum->number += e->number;
    }
    if (e->kind == ARILI_RESP_ERROR && sum->error[0] == '\0') {
        const size_t n = e->text.len < sizeof sum->error - 1 ? e->text.len : sizeof sum->error - 1;
        memcpy(sum->error, e->text.data, n);
        sum->error[n] = '\0';
    }
}

/* --- Bodies --------------------------------------------------------------------------------- */

/* The cursor of a scan: that of the client knows which node it is of. False: it is no number. */
static bool cursor_came(struct arili_request *r)
{
    const aril_bytes text = gathered(r);
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    r->got.number = (int64_t)n;
    r->got.kind = ARILI_RESP_BULK;
    return text.len > 0 && !r->gather_bad && !r->gather_failed;
}

static void name_came(struct arili_request *r)
{
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len = 0;
    if (r->shape == ARILI_SHAPE_NAMES) {
        if (!r->gather_bad && !r->gather_failed) {
            r->job->name(r->job, gathered(r));
        }
        return;
    }
    if (has_room(r) && !r->gather_bad && !r->gather_failed &&
        arili_place_open(r->tenant, r->keys, r->database, gathered(r), room, &len) == ARIL_OK) {
        const aril_bytes key = { room, len };
        if (r->pattern.data == NULL || arili_glob(r->pattern, key)) {
            arili_say_bulk(&r->items, key);
            r->item_count++;
        }
    }
}

static void field_came(struct arili_request *r)
{
    aril_bytes plain;
    r->field_unwanted = false;
    r->field_ending = open_inner(r, ARILI_INNER_FIELD, &plain);
    if (r->field_ending == ARILI_ENDING_HIT &&
        arili_field_context(r->tenant, r->keys, r->database, (aril_bytes){ r->key, r->key_len },
                            plain, r->field_context) != ARIL_OK) {
        r->field_ending = ARILI_ENDING_FAILED;
    }
    if (r->field_ending != ARILI_ENDING_HIT) { /* then its value does not open either */
        memset(r->field_context, 0, sizeof r->field_context);
        return;
    }
    r->field_unwanted = r->pattern.data != NULL && !arili_glob(r->pattern, plain);
}

static bool is_scan(const struct arili_request *r)
{
    return r->shape == ARILI_SHAPE_SCAN || r->shape == ARILI_SHAPE_NAMES ||
           r->shape == ARILI_SHAPE_HSCAN || r->shape == ARILI_SHAPE_SSCAN;
}

/* False: nonsense. */
static bool gather_end(struct arili_request *r)
{
    r->in_gather = false;
    if (is_scan(r) && r->aggregate == 0) {
        return cursor_came(r);
    }
    switch (r->shape) {
    case ARILI_SHAPE_SCAN:
    case ARILI_SHAPE_NAMES:
        name_came(r);
        break;
    case ARILI_SHAPE_FIELDS:
        say_inner(r, ARILI_INNER_FIELD);
        break;
    case ARILI_SHAPE_SSCAN:
    case ARILI_SHAPE_MEMBERS:
        say_inner(r, ARILI_INNER_MEMBER);
        break;
    default: /* PAIRS, HVALUES, HSCAN */
        field_came(r);
        r->element++;
        break;
    }
    return true;
}

static void value_end(struct arili_request *r)
{
    r->in_value = false;
    arili_opening_end(r);
    switch (r->shape) {
    case ARILI_SHAPE_PLAIN:
        r->got.kind = ARILI_RESP_BULK;
        break;
    case ARILI_SHAPE_VALUE:
    case ARILI_SHAPE_VALUES:
        say_value(r, asked(r)->text);
        r->element++;
        break;
    default:
        say_pair(r);
        r->element++;
        break;
    }
}

/* --- One answer ----------------------------------------------------------------------------- */

static enum arili_heard body(struct arili_request *r, const struct arili_resp_event *e,
                             struct arili_block *block, unsigned depth)
{
    if (r->in_value) {
        const aril_span piece = { (uint8_t *)(uintptr_t)e->text.data, e->text.len };
        const enum arili_heard heard = arili_opening_piece(r, block, piece, e->last);
        if (heard == ARILI_HEARD_WAIT) {
            r->waiting_last = e->last;
            return heard;
        }
        if (e->last) {
            value_end(r);
        }
        return ARILI_HEARD;
    }
    if (r->in_gather) {
        gather_piece(r, e->text);
        return !e->last || gather_end(r) ? ARILI_HEARD : ARILI_HEARD_NONSENSE;
    }
    if (r->shape == ARILI_SHAPE_COLLECT) {
        collect(r, e, depth);
    } else if (r->shape < ARILI_SHAPE_COLLECT) {
        raw(r, e, block);
    }
    return ARILI_HEARD;
}

static enum arili_heard shape(struct arili_request *r, const struct arili_resp_event *e,
                              struct arili_block *block, unsigned depth)
{
    if (r->here && r->base > 0) { /* the server's PONG: our own answer takes its place */
        return ARILI_HEARD;
    }
    if (r->shape == ARILI_SHAPE_SLOTS) {
        arili_cluster_event(r, e);
        return ARILI_HEARD;
    }
    if (e->kind == ARILI_RESP_BODY) {
        return body(r, e, block, depth);
    }
    switch (r->shape) {
    case ARILI_SHAPE_VALUE:
    case ARILI_SHAPE_VALUES:
        return on_value(r, e, block, depth);
    case ARILI_SHAPE_PLAIN:
        if (e->kind == ARILI_RESP_BULK && depth == 0) {
            return value_begin(r, e->body_len, r->asked_one.context);
        }
        collect(r, e, depth);
        return ARILI_HEARD;
    case ARILI_SHAPE_FIELDS:
    case ARILI_SHAPE_MEMBERS:
    case ARILI_SHAPE_SCAN:
    case ARILI_SHAPE_SSCAN:
    case ARILI_SHAPE_NAMES:
        return on_names(r, e, block, depth);
    case ARILI_SHAPE_PAIRS:
    case ARILI_SHAPE_HVALUES:
    case ARILI_SHAPE_HSCAN:
        return on_pairs(r, e, block, depth);
    case ARILI_SHAPE_LENGTH:
        on_length(r, e, block);
        return ARILI_HEARD;
    case ARILI_SHAPE_COLLECT:
        collect(r, e, depth);
        return ARILI_HEARD;
    case ARILI_SHAPE_COUNT:
    case ARILI_SHAPE_NOTHING:
        add_up(r, e, depth);
        return ARILI_HEARD;
    default:
        raw(r, e, block);
        return ARILI_HEARD;
    }
}

/* The count of the list is known now. */
static void put_list(struct arili_request *r)
{
    const char type = r->shape == ARILI_SHAPE_HVALUES ? '*' : r->aggregate;
    const bool scan = r->shape == ARILI_SHAPE_SCAN || r->shape == ARILI_SHAPE_HSCAN ||
                      r->shape == ARILI_SHAPE_SSCAN;
    const bool both = r->shape == ARILI_SHAPE_PAIRS || r->shape == ARILI_SHAPE_HSCAN;
    r->aggregate = 0;
    struct arili_flow *out = target(r);
    if (r->spoiled != ARILI_ENDING_HIT) { /* nothing of it was said yet */
        arili_flow_done(&r->items);
        arili_flow_init(&r->items, &r->loop->blocks);
        arili_ending_say(out, r->spoiled, r->spoiled_status, r->spoiled_bytes);
        return;
    }
    if (scan) {
        char cursor[24];
        const int n = snprintf(cursor, sizeof cursor, "%llu",
                               (unsigned long long)arili_cursor_out(r, (uint64_t)r->got.number));
        arili_say_header(out, '*', 2);
        arili_say_bulk(out, (aril_bytes){ (const uint8_t *)cursor, (size_t)n });
    }
    const bool flat = both && type != '%' && !r->nested;
    arili_say_header(out, type, flat ? 2 * r->item_count : r->item_count);
    arili_flow_move(out, &r->items);
}

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
        put_list(r);
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
    const enum arili_heard heard = shape(r, e, block, depth);
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
        raw(exec, e, block);
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
        value_end(inner);
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
