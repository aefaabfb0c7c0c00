/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/reply_internal.h"
#include <stdio.h>
#include <string.h>

/* The events of one answer, by what the answer is. */

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
    if (e->kind == ARILI_RESP_BULK && depth == (many ? 1u : 0u) && arili_reply_asked(r) != NULL) {
        return arili_reply_value_begin(r, e->body_len, arili_reply_asked(r)->context);
    }
    if (e->kind == ARILI_RESP_NIL && (!many || depth == 1)) {
        arili_figure_add(&r->tenant->figures.misses, 1);
        r->value.ending = ARILI_ENDING_MISS;
    }
    if (e->kind == ARILI_RESP_ERROR && r->wrong_type_is_nil && e->text.len >= 9 &&
        memcmp(e->text.data, "WRONGTYPE", 9) == 0) {
        arili_say_nil(arili_reply_target(r), r->resp3);
        return ARILI_HEARD;
    }
    arili_reply_raw(r, e, block);
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
    r->aggregate = arili_reply_type(e->kind);
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
        arili_gather_begin(r, e->body_len);
        return ARILI_HEARD;
    }
    if (r->shape == ARILI_SHAPE_NAMES && e->kind == ARILI_RESP_ERROR) {
        r->got.kind = ARILI_RESP_ERROR;
        r->got.len = e->text.len < sizeof r->got.text ? e->text.len : sizeof r->got.text;
        memcpy(r->got.text, e->text.data, r->got.len);
        return ARILI_HEARD;
    }
    arili_reply_raw(r, e, block);
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
        arili_reply_raw(r, e, block);
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
        return arili_reply_value_begin(r, e->body_len, r->field_context);
    }
    arili_gather_begin(r, e->body_len);
    return ARILI_HEARD;
}

static void on_length(struct arili_request *r, const struct arili_resp_event *e,
                      struct arili_block *block)
{
    uint64_t plain = 0;
    if (e->kind != ARILI_RESP_INTEGER || e->number <= 0) {
        arili_reply_raw(r, e, block);
        return;
    }
    if (arili_plain_bytes((uint64_t)e->number, &plain) != ARIL_OK) {
        plain = 0;
    }
    arili_say_integer(arili_reply_target(r), (int64_t)plain);
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
    const aril_bytes text = arili_gathered(r);
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
            r->job->name(r->job, arili_gathered(r));
        }
        return;
    }
    if (arili_reply_has_room(r) && !r->gather_bad && !r->gather_failed &&
        arili_place_open(r->tenant, r->keys, r->database, arili_gathered(r), room, &len) ==
            ARIL_OK) {
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
    r->field_ending = arili_gathered_open(r, ARILI_INNER_FIELD, &plain);
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
        arili_reply_say_inner(r, ARILI_INNER_FIELD);
        break;
    case ARILI_SHAPE_SSCAN:
    case ARILI_SHAPE_MEMBERS:
        arili_reply_say_inner(r, ARILI_INNER_MEMBER);
        break;
    default: /* PAIRS, HVALUES, HSCAN */
        field_came(r);
        r->element++;
        break;
    }
    return true;
}

void arili_reply_value_end(struct arili_request *r)
{
    r->in_value = false;
    arili_opening_end(r);
    switch (r->shape) {
    case ARILI_SHAPE_PLAIN:
        r->got.kind = ARILI_RESP_BULK;
        break;
    case ARILI_SHAPE_VALUE:
    case ARILI_SHAPE_VALUES:
        arili_reply_say_value(r, arili_reply_asked(r)->text);
        r->element++;
        break;
    default:
        arili_reply_say_pair(r);
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
            arili_reply_value_end(r);
        }
        return ARILI_HEARD;
    }
    if (r->in_gather) {
        arili_gather_piece(r, e->text);
        return !e->last || gather_end(r) ? ARILI_HEARD : ARILI_HEARD_NONSENSE;
    }
    if (r->shape == ARILI_SHAPE_COLLECT) {
        collect(r, e, depth);
    } else if (r->shape < ARILI_SHAPE_COLLECT) {
        arili_reply_raw(r, e, block);
    }
    return ARILI_HEARD;
}

enum arili_heard arili_reply_shape(struct arili_request *r, const struct arili_resp_event *e,
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
            return arili_reply_value_begin(r, e->body_len, r->asked_one.context);
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
        arili_reply_raw(r, e, block);
        return ARILI_HEARD;
    }
}

/* The count of the list is known now. */
void arili_reply_put_list(struct arili_request *r)
{
    const char type = r->shape == ARILI_SHAPE_HVALUES ? '*' : r->aggregate;
    const bool scan = r->shape == ARILI_SHAPE_SCAN || r->shape == ARILI_SHAPE_HSCAN ||
                      r->shape == ARILI_SHAPE_SSCAN;
    const bool both = r->shape == ARILI_SHAPE_PAIRS || r->shape == ARILI_SHAPE_HSCAN;
    r->aggregate = 0;
    struct arili_flow *out = arili_reply_target(r);
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
