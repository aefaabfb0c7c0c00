/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"

/*
 * Which answers a command has. A server is not trusted with values: what is not of this form is
 * not passed on, or a status line would be taken for a value that nobody verified, and an element
 * of another kind would shift all answers behind it.
 */

static bool is_only_resp3(enum arili_resp_kind kind)
{
    switch (kind) {
    case ARILI_RESP_BOOL:
    case ARILI_RESP_DOUBLE:
    case ARILI_RESP_BIGNUM:
    case ARILI_RESP_BLOB_ERROR:
    case ARILI_RESP_VERBATIM:
    case ARILI_RESP_MAP:
    case ARILI_RESP_SET:
    case ARILI_RESP_PUSH:
    case ARILI_RESP_ATTRIBUTE:
        return true;
    default:
        return false;
    }
}

/* GET, HGET */
static bool fits_value(const struct arili_resp_event *e, unsigned depth)
{
    return depth == 0 && (e->kind == ARILI_RESP_BULK || e->kind == ARILI_RESP_NIL);
}

/* MGET, HMGET: one element for each that was asked for. */
static bool fits_values(const struct arili_request *r, const struct arili_resp_event *e,
                        unsigned depth)
{
    return depth == 0 ? e->kind == ARILI_RESP_ARRAY && e->count == r->asked_count
                      : fits_value(e, depth - 1);
}

/* HKEYS, SMEMBERS: a list, or one of them alone. */
static bool fits_names(const struct arili_resp_event *e, unsigned depth)
{
    return depth == 0
               ? e->kind == ARILI_RESP_ARRAY || e->kind == ARILI_RESP_SET || fits_value(e, depth)
               : depth == 1 && e->kind == ARILI_RESP_BULK;
}

/* HGETALL: a map, a list of twice as many, or in RESP3 a list of twos (HRANDFIELD WITHVALUES). */
static bool fits_pairs(const struct arili_request *r, const struct arili_resp_event *e,
                       unsigned depth)
{
    switch (depth) {
    case 0:
        return e->kind == ARILI_RESP_MAP ||
               (e->kind == ARILI_RESP_ARRAY && (r->resp3 || e->count % 2 == 0));
    case 1:
        if (e->kind == ARILI_RESP_ARRAY) {
            return r->resp3 && r->aggregate == '*' && e->count == 2 &&
                   (r->nested || r->element == 0);
        }
        return e->kind == ARILI_RESP_BULK && !r->nested;
    default:
        return depth == 2 && e->kind == ARILI_RESP_BULK && r->nested;
    }
}

/* SCAN, HSCAN, SSCAN: a cursor and a list. */
static bool fits_scan(const struct arili_request *r, const struct arili_resp_event *e,
                      unsigned depth)
{
    switch (depth) {
    case 0:
        return e->kind == ARILI_RESP_ARRAY && e->count == 2;
    case 1:
        if (r->got.kind != ARILI_RESP_BULK) {
            return e->kind == ARILI_RESP_BULK;
        }
        return e->kind == ARILI_RESP_ARRAY && (r->shape != ARILI_SHAPE_HSCAN || e->count % 2 == 0);
    default:
        return depth == 2 && e->kind == ARILI_RESP_BULK;
    }
}

bool arili_reply_fits(const struct arili_request *r, const struct arili_resp_event *e,
                      unsigned depth)
{
    if (e->kind == ARILI_RESP_BODY || (r->here && r->base > 0)) {
        return true;
    }
    if (!r->resp3 && is_only_resp3(e->kind)) {
        return false;
    }
    if (depth == 0 && e->kind == ARILI_RESP_ERROR) {
        return true;
    }
    switch (r->shape) {
    case ARILI_SHAPE_VALUE:
        return fits_value(e, depth);
    case ARILI_SHAPE_VALUES:
        return fits_values(r, e, depth);
    case ARILI_SHAPE_FIELDS:
    case ARILI_SHAPE_MEMBERS:
        return fits_names(e, depth);
    case ARILI_SHAPE_PAIRS:
    case ARILI_SHAPE_HVALUES:
        return fits_pairs(r, e, depth);
    case ARILI_SHAPE_SCAN:
    case ARILI_SHAPE_HSCAN:
    case ARILI_SHAPE_SSCAN:
    case ARILI_SHAPE_NAMES:
        return fits_scan(r, e, depth);
    case ARILI_SHAPE_LENGTH:
    case ARILI_SHAPE_COUNT:
        return depth == 0 && e->kind == ARILI_RESP_INTEGER;
    default:
        return true;
    }
}

bool arili_reply_is_whole(const struct arili_request *r)
{
    return (r->shape != ARILI_SHAPE_PAIRS && r->shape != ARILI_SHAPE_HVALUES) ||
           r->element % 2 == 0;
}

bool arili_exec_fits(const struct arili_resp_event *e, uint64_t commands)
{
    return e->kind == ARILI_RESP_ERROR || e->kind == ARILI_RESP_NIL ||
           (e->kind == ARILI_RESP_ARRAY && e->count == commands);
}
