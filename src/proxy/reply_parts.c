/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/reply_internal.h"
#include <string.h>

/*
 * The pieces that answers are made of. Values are opened where they lie; names and members are
 * gathered whole, because they are short and come out of one cipher call.
 */
#define GATHER_MAX ((size_t)2 << 20)
/* What a name is gathered in at first. */
#define GATHER_MIN 256u
/* What a list may have although memory is short. */
#define ITEMS_FREE ((uint64_t)1 << 18)

/* Elements of an aggregate whose count is known last gather. */
struct arili_flow *arili_reply_target(struct arili_request *r)
{
    return r->aggregate != 0 ? &r->items : arili_reply_out(r);
}

/* --- As it is ------------------------------------------------------------------------------- */

char arili_reply_type(enum arili_resp_kind kind)
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
    if (of_array) {
        arili_say_nil_array(out, r->resp3);
    } else {
        arili_say_nil(out, r->resp3);
    }
}

void arili_reply_raw(struct arili_request *r, const struct arili_resp_event *e,
                     struct arili_block *block)
{
    struct arili_flow *out = arili_reply_target(r);
    r->said = true;
    switch (e->kind) {
    case ARILI_RESP_SIMPLE:
    case ARILI_RESP_ERROR:
    case ARILI_RESP_DOUBLE:
    case ARILI_RESP_BIGNUM:
        put_line(out, arili_reply_type(e->kind), e->text);
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
        arili_say_header(out, arili_reply_type(e->kind), e->body_len);
        break;
    case ARILI_RESP_BODY:
        arili_flow_share(out, block, e->text);
        if (e->last) {
            arili_flow_put(out, ARILI_LITERAL("\r\n"));
        }
        break;
    default:
        arili_say_header(out, arili_reply_type(e->kind), e->count);
        break;
    }
}

/* --- Names and members, whole --------------------------------------------------------------- */

void arili_gather_begin(struct arili_request *r, uint64_t len)
{
    r->gather_len = 0;
    r->in_gather = true;
    r->gather_failed = false;
    r->gather_bad = len > GATHER_MAX;
}

void arili_gather_piece(struct arili_request *r, aril_bytes piece)
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

aril_bytes arili_gathered(const struct arili_request *r)
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
enum arili_ending arili_gathered_open(struct arili_request *r, enum arili_inner what,
                                      aril_bytes *ret)
{
    aril_status st = r->gather_failed || r->place == NULL ? ARIL_E_NOMEM : ARIL_E_FORMAT_LENGTH;
    uint8_t *plain = NULL;
    size_t len = 0;
    if (!r->gather_failed && !r->gather_bad && r->place != NULL && r->gather_len > 0) {
        plain = arili_alloc(r->gather_len);
        st = plain == NULL ? ARIL_E_NOMEM
                           : arili_inner_open(r->tenant, r->keys, r->place, what, arili_gathered(r),
                                              plain, &len);
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
bool arili_reply_has_room(struct arili_request *r)
{
    if (r->items.bytes >= ITEMS_FREE && !arili_budget_has(&r->loop->proxy->budget, 0)) {
        spoil(r, ARILI_ENDING_FAILED, ARIL_E_NOMEM);
    }
    if (r->spoiled != ARILI_ENDING_HIT) {
        arili_flow_done(&r->items);
    }
    return r->spoiled == ARILI_ENDING_HIT;
}

void arili_reply_say_inner(struct arili_request *r, enum arili_inner what)
{
    aril_bytes plain;
    const enum arili_ending ending = arili_gathered_open(r, what, &plain);
    if (ending == ARILI_ENDING_HIT) {
        if (arili_reply_has_room(r) && (r->pattern.data == NULL || arili_glob(r->pattern, plain))) {
            arili_say_bulk(arili_reply_target(r), plain);
            r->item_count++;
        }
    } else if (r->aggregate != 0) {
        spoil(r, ending, ARIL_E_NOMEM);
    } else if (arili_ending_is_error(r, ending)) {
        arili_ending_say(arili_reply_target(r), ending, ARIL_E_NOMEM, 0);
    } else {
        arili_say_nil(arili_reply_target(r), r->resp3);
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

void arili_reply_say_value(struct arili_request *r, aril_bytes text)
{
    const struct arili_opening *o = &r->value;
    if (o->ending == ARILI_ENDING_HIT) {
        struct arili_flow *out = arili_reply_target(r);
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
    struct arili_flow *out = arili_reply_target(r); /* which a bad value changes */
    if (arili_ending_is_error(r, o->ending)) {
        arili_ending_say(out, o->ending, o->status, o->plain_bytes);
    } else if (!o->streamed) {
        arili_say_nil(out, r->resp3);
    }
}

const struct arili_asked *arili_reply_asked(const struct arili_request *r)
{
    return r->element < r->asked_count ? &r->asked[r->element] : NULL;
}

/* The value of a pair came: it goes out with its field, or neither does. */
void arili_reply_say_pair(struct arili_request *r)
{
    const aril_bytes field = { r->field, r->field_len };
    const enum arili_ending ending =
        r->field_ending != ARILI_ENDING_HIT ? r->field_ending : r->value.ending;
    if (r->value.ending == ARILI_ENDING_TAMPERED) {
        arili_opening_bad(r, arili_gathered(r));
        arili_bad_tell(r, arili_gathered(r));
    } else if (ending == ARILI_ENDING_TAMPERED) { /* of its value nothing is known */
        arili_figure_add(&r->tenant->figures.tampered, 1);
        arili_bad_name_tell(r);
    } else if (r->value.ending == ARILI_ENDING_EXPIRED) {
        arili_replay_tell(r, arili_gathered(r));
    }
    if (!r->field_unwanted) {
        spoil(r, ending, r->value.status);
    }
    if (!arili_reply_has_room(r) || r->field_unwanted || ending != ARILI_ENDING_HIT) {
        arili_flow_consume(&r->hold, r->hold.bytes); /* a value whose field is not wanted */
        return;
    }
    struct arili_flow *out = arili_reply_target(r);
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

enum arili_heard arili_reply_value_begin(struct arili_request *r, uint64_t len,
                                         const uint8_t *context)
{
    r->in_value = true;
    return arili_opening_begin(r, len, context);
}
