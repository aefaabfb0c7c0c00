/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "resp/inline.h"
#include "resp/number.h"
#include "resp/resp.h"

enum {
    STATE_VALUE = 0, /* the type of a value comes next */
    STATE_BODY,      /* body_left bytes, then CRLF */
    STATE_ENDED,     /* a top-level value has ended, END was not given */
    STATE_INLINE,    /* words of an inline command; left[0] are still to come */
    STATE_WORD       /* within a word: body_left bytes of it */
};

_Static_assert(ARILI_RESP_DEPTH_MAX <= 32, "attributes has a bit for each depth");

static void take(aril_bytes *in, size_t n)
{
    in->data += n;
    in->len -= n;
}

/* --- Lines */

/*
 * The line at *in without its type byte and CRLF, and moves *in behind it. Without *ret_whole the
 * line has not ended. How a bad line is refused depends on its bytes alone, not on how many of
 * them are there.
 */
static aril_status take_line(aril_bytes *in, size_t max, aril_bytes *ret, bool *ret_whole)
{
    const size_t seen = in->len - 1 < max + 2 ? in->len - 1 : max + 2;
    const uint8_t *const text = in->data + 1;
    const uint8_t *const lf = seen > 0 ? memchr(text, '\n', seen) : NULL;
    *ret_whole = lf != NULL;
    if (lf == NULL) {
        ARILI_ENSURE(seen < max + 2, ARIL_E_FORMAT_LENGTH);
        return ARIL_OK;
    }
    const size_t len = (size_t)(lf - text);
    ARILI_ENSURE(len > 0 && text[len - 1] == '\r', ARIL_E_FORMAT_FIELD);
    *ret = (aril_bytes){ text, len - 1 };
    ARILI_ENSURE(ret->len == 0 || memchr(text, '\r', ret->len) == NULL, ARIL_E_FORMAT_FIELD);
    take(in, 1 + len + 1);
    return ARIL_OK;
}

/* The length of the line of an inline command up to and with its LF; 0: it has not ended. */
static aril_status inline_line(aril_bytes in, size_t *ret_len)
{
    const size_t max = ARILI_RESP_TEXT_MAX;
    const size_t seen = in.len < max + 2 ? in.len : max + 2;
    const uint8_t *const lf = memchr(in.data, '\n', seen);
    *ret_len = lf != NULL ? (size_t)(lf - in.data) + 1 : 0;
    if (lf == NULL) {
        ARILI_ENSURE(seen < max + 2, ARIL_E_FORMAT_LENGTH);
        return ARIL_OK;
    }
    const size_t end = *ret_len - 1;
    const size_t len = end > 0 && in.data[end - 1] == '\r' ? end - 1 : end;
    ARILI_ENSURE(len <= max, ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

/* --- Nesting */

/* A value has ended: also the aggregates that it was the last element of. */
static void end_value(struct arili_resp_decoder *d)
{
    while (d->depth > 0) {
        d->state = STATE_VALUE;
        if (--d->left[d->depth - 1] > 0) {
            return;
        }
        d->depth--;
        const uint32_t bit = (uint32_t)1 << d->depth;
        if ((d->attributes & bit) != 0) {
            d->attributes &= ~bit; /* its value comes now, and is the one that counts */
            return;
        }
    }
    d->attributed = false;
    d->state = STATE_ENDED;
}

static aril_status begin_aggregate(struct arili_resp_decoder *d, enum arili_resp_kind kind,
                                   uint64_t count)
{
    const bool in_pairs = kind == ARILI_RESP_MAP || kind == ARILI_RESP_ATTRIBUTE;
    ARILI_ENSURE(count <= (in_pairs ? d->limits.count_max / 2 : d->limits.count_max), ARIL_E_LIMIT);
    ARILI_ENSURE(d->depth < ARILI_RESP_DEPTH_MAX, ARIL_E_FORMAT_FIELD);
    const bool is_attribute = kind == ARILI_RESP_ATTRIBUTE;
    if (is_attribute && d->depth == 0) {
        d->attributed = true;
    }
    if (count == 0) {
        if (!is_attribute) {
            end_value(d);
        }
        return ARIL_OK;
    }
    if (is_attribute) {
        d->attributes |= (uint32_t)1 << d->depth;
    }
    d->left[d->depth++] = in_pairs ? 2 * count : count;
    return ARIL_OK;
}

/* --- Values */

struct type {
    char byte;
    enum arili_resp_kind kind;
    bool resp3;
};

static const struct type *type_of(uint8_t byte)
{
    static const struct type types[] = {
        { '+', ARILI_RESP_SIMPLE, false },   { '-', ARILI_RESP_ERROR, false },
        { ':', ARILI_RESP_INTEGER, false },  { '$', ARILI_RESP_BULK, false },
        { '*', ARILI_RESP_ARRAY, false },    { '_', ARILI_RESP_NIL, true },
        { '#', ARILI_RESP_BOOL, true },      { ',', ARILI_RESP_DOUBLE, true },
        { '(', ARILI_RESP_BIGNUM, true },    { '!', ARILI_RESP_BLOB_ERROR, true },
        { '=', ARILI_RESP_VERBATIM, true },  { '%', ARILI_RESP_MAP, true },
        { '~', ARILI_RESP_SET, true },       { '>', ARILI_RESP_PUSH, true },
        { '|', ARILI_RESP_ATTRIBUTE, true },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if ((uint8_t)types[i].byte == byte) {
            return &types[i];
        }
    }
    return NULL;
}

/* What may stand here. */
static aril_status check_type(const struct arili_resp_decoder *d, const struct type *type)
{
    ARILI_ENSURE(type != NULL, ARIL_E_FORMAT_KIND);
    if (d->limits.commands) {
        const enum arili_resp_kind wanted = d->depth == 0 ? ARILI_RESP_ARRAY : ARILI_RESP_BULK;
        ARILI_ENSURE(type->kind == wanted, ARIL_E_FORMAT_KIND);
    }
    ARILI_ENSURE(!type->resp3 || d->limits.resp3, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(type->kind != ARILI_RESP_PUSH || d->depth == 0, ARIL_E_FORMAT_KIND);
    return ARIL_OK;
}

/* A value that is its line. */
static aril_status parse_scalar(struct arili_resp_decoder *d, aril_bytes line,
                                struct arili_resp_event *ret)
{
    switch (ret->kind) {
    case ARILI_RESP_INTEGER:
        ARILI_ENSURE(arili_number_integer(line, &ret->number), ARIL_E_FORMAT_FIELD);
        break;
    case ARILI_RESP_BOOL:
        ARILI_ENSURE(line.len == 1 && (line.data[0] == 't' || line.data[0] == 'f'),
                     ARIL_E_FORMAT_FIELD);
        ret->number = line.data[0] == 't';
        break;
    case ARILI_RESP_NIL:
        ARILI_ENSURE(line.len == 0, ARIL_E_FORMAT_FIELD);
        break;
    case ARILI_RESP_DOUBLE:
        ARILI_ENSURE(arili_number_is_double(line), ARIL_E_FORMAT_FIELD);
        ret->text = line;
        break;
    case ARILI_RESP_BIGNUM:
        ARILI_ENSURE(arili_number_is_bignum(line), ARIL_E_FORMAT_FIELD);
        ret->text = line;
        break;
    default: /* SIMPLE, ERROR */
        ret->text = line;
        break;
    }
    end_value(d);
    return ARIL_OK;
}

/* A value whose line is a length or a count. */
static aril_status parse_header(struct arili_resp_decoder *d, aril_bytes line,
                                struct arili_resp_event *ret)
{
    const enum arili_resp_kind kind = ret->kind;
    const bool is_blob =
        kind == ARILI_RESP_BULK || kind == ARILI_RESP_BLOB_ERROR || kind == ARILI_RESP_VERBATIM;
    uint64_t n = 0;
    if (arili_number_is_minus_one(line)) {
        const bool may = d->limits.commands ? kind == ARILI_RESP_BULK && d->limits.null_bulk
                                            : kind == ARILI_RESP_BULK || kind == ARILI_RESP_ARRAY;
        ARILI_ENSURE(may, ARIL_E_FORMAT_FIELD);
        ret->kind = ARILI_RESP_NIL;
        ret->count = kind == ARILI_RESP_ARRAY;
        end_value(d);
        return ARIL_OK;
    }
    ARILI_ENSURE(arili_number_length(line, &n), ARIL_E_FORMAT_FIELD);
    if (is_blob) {
        ARILI_ENSURE(n <= d->limits.bulk_max, ARIL_E_LIMIT);
        ARILI_ENSURE(kind != ARILI_RESP_VERBATIM || n >= 4, ARIL_E_FORMAT_LENGTH);
        ret->body_len = n;
        d->body_left = n;
        d->state = STATE_BODY;
        return ARIL_OK;
    }
    ret->count = n;
    return begin_aggregate(d, kind, n);
}

static aril_status next_value(struct arili_resp_decoder *d, aril_bytes *in,
                              struct arili_resp_event *ret)
{
    const struct type *const type = type_of(in->data[0]);
    ARILI_TRY(check_type(d, type));
    const bool is_text = type->kind == ARILI_RESP_SIMPLE || type->kind == ARILI_RESP_ERROR;
    aril_bytes line = { NULL, 0 };
    bool whole = false;
    ARILI_TRY(take_line(in, is_text ? ARILI_RESP_TEXT_MAX : ARILI_RESP_LINE_MAX, &line, &whole));
    if (!whole) {
        return ARIL_OK;
    }
    ret->kind = type->kind;
    ret->depth = d->depth;
    switch (type->kind) {
    case ARILI_RESP_SIMPLE:
    case ARILI_RESP_ERROR:
    case ARILI_RESP_INTEGER:
    case ARILI_RESP_BOOL:
    case ARILI_RESP_NIL:
    case ARILI_RESP_DOUBLE:
    case ARILI_RESP_BIGNUM:
        return parse_scalar(d, line, ret);
    default:
        return parse_header(d, line, ret);
    }
}

/* The piece of the body that is there; with the CRLF it is the last one. What stands in the place
 * of the CRLF is refused alone, when the pieces before it were given. */
static aril_status next_body(struct arili_resp_decoder *d, aril_bytes *in,
                             struct arili_resp_event *ret)
{
    const size_t n = d->body_left < in->len ? (size_t)d->body_left : in->len;
    const aril_bytes piece = { in->data, n };
    if (n > 0) {
        take(in, n);
        d->body_left -= n;
    }
    const bool last = d->body_left == 0 && in->len >= 2 && memcmp(in->data, "\r\n", 2) == 0;
    if (n == 0 && !last) {
        ARILI_ENSURE(in->len == 1 && in->data[0] == '\r', ARIL_E_FORMAT_FIELD);
        return ARIL_OK;
    }
    *ret = (struct arili_resp_event){
        .kind = ARILI_RESP_BODY, .depth = d->depth, .text = piece, .last = last
    };
    if (last) {
        take(in, 2);
        end_value(d);
    }
    return ARIL_OK;
}

/* --- Inline commands */

static aril_status count_words(const struct arili_resp_decoder *d, aril_bytes line,
                               uint64_t *ret_count)
{
    uint64_t count = 0;
    while (arili_inline_begin(&line)) {
        size_t len = 0;
        ARILI_ENSURE(arili_inline_word(&line, &len), ARIL_E_FORMAT_FIELD);
        ARILI_ENSURE(len <= d->limits.bulk_max, ARIL_E_LIMIT);
        ARILI_ENSURE(count < d->limits.count_max, ARIL_E_LIMIT);
        count++;
    }
    *ret_count = count;
    return ARIL_OK;
}

/* A line at the top level of a command that is no array. Nothing of it is taken off the input yet,
 * unless there is nothing in it. */
static aril_status begin_inline(struct arili_resp_decoder *d, aril_bytes *in,
                                struct arili_resp_event *ret)
{
    size_t len = 0;
    ARILI_TRY(inline_line(*in, &len));
    if (len == 0) {
        return ARIL_OK;
    }
    const aril_bytes line = { in->data, len - 1 };
    ARILI_ENSURE(line.len == 0 || memchr(line.data, '\0', line.len) == NULL, ARIL_E_FORMAT_FIELD);
    uint64_t count = 0;
    ARILI_TRY(count_words(d, line, &count));
    if (count == 0) {
        take(in, len);
        return ARIL_OK;
    }
    *ret = (struct arili_resp_event){ .kind = ARILI_RESP_ARRAY, .count = count };
    d->left[0] = count;
    d->depth = 1;
    d->inline_left = (uint32_t)len;
    d->state = STATE_INLINE;
    return ARIL_OK;
}

static aril_status next_word(struct arili_resp_decoder *d, aril_bytes *line,
                             struct arili_resp_event *ret)
{
    ARILI_ENSURE(arili_inline_begin(line), ARIL_E_USAGE_STATE);
    aril_bytes ahead = *line;
    size_t len = 0;
    ARILI_ENSURE(arili_inline_word(&ahead, &len), ARIL_E_USAGE_STATE);
    *ret = (struct arili_resp_event){ .kind = ARILI_RESP_BULK, .depth = d->depth, .body_len = len };
    d->body_left = len;
    d->quote = 0;
    d->state = STATE_WORD;
    return ARIL_OK;
}

static aril_status next_piece(struct arili_resp_decoder *d, aril_bytes *line,
                              struct arili_resp_event *ret)
{
    *ret = (struct arili_resp_event){ .kind = ARILI_RESP_BODY, .depth = d->depth };
    if (d->body_left > 0) {
        ARILI_ENSURE(arili_inline_step(line, &d->quote, &ret->text) == ARILI_INLINE_PIECE &&
                         ret->text.len <= d->body_left,
                     ARIL_E_USAGE_STATE);
        d->body_left -= ret->text.len;
    }
    if (d->body_left > 0) {
        return ARIL_OK;
    }
    aril_bytes none = { NULL, 0 };
    ARILI_ENSURE(arili_inline_step(line, &d->quote, &none) == ARILI_INLINE_END, ARIL_E_USAGE_STATE);
    ret->last = true;
    end_value(d);
    return ARIL_OK;
}

/* The rest of a line that was found whole and right: ARIL_E_USAGE_STATE when the caller gives
 * other bytes now. */
static aril_status next_inline(struct arili_resp_decoder *d, aril_bytes *in,
                               struct arili_resp_event *ret)
{
    if (in->len < d->inline_left) {
        return ARIL_OK;
    }
    aril_bytes line = { in->data, d->inline_left - 1 };
    if (d->state == STATE_INLINE) {
        ARILI_TRY(next_word(d, &line, ret));
    } else {
        ARILI_TRY(next_piece(d, &line, ret));
    }
    size_t used = d->inline_left;
    if (d->state != STATE_ENDED) { /* else what is left are blanks */
        used -= line.len + 1;
    }
    if (d->state == STATE_VALUE) {
        d->state = STATE_INLINE;
    }
    take(in, used);
    d->inline_left -= (uint32_t)used;
    return ARIL_OK;
}

/* --- The decoder */

static bool begins_inline(const struct arili_resp_decoder *d, uint8_t byte)
{
    const bool is_text = byte >= ' ' || (byte >= '\t' && byte <= '\r');
    return d->limits.commands && d->depth == 0 && is_text && type_of(byte) == NULL;
}

static aril_status step(struct arili_resp_decoder *d, aril_bytes *in, struct arili_resp_event *ret)
{
    if (d->state == STATE_ENDED) {
        ret->kind = ARILI_RESP_END;
        d->state = STATE_VALUE;
        return ARIL_OK;
    }
    size_t before = 0;
    /* More than once only for inline commands without a word, which are no event. */
    while (ret->kind == ARILI_RESP_MORE && in->len > 0 && in->len != before) {
        before = in->len;
        if (d->state == STATE_BODY) {
            ARILI_TRY(next_body(d, in, ret));
        } else if (d->state != STATE_VALUE) {
            ARILI_TRY(next_inline(d, in, ret));
        } else if (begins_inline(d, in->data[0])) {
            ARILI_TRY(begin_inline(d, in, ret));
        } else {
            ARILI_TRY(next_value(d, in, ret));
        }
    }
    return ARIL_OK;
}

void arili_resp_decoder_init(struct arili_resp_decoder *d, const struct arili_resp_limits *limits)
{
    *d = (struct arili_resp_decoder){ .limits = *limits, .failed = ARIL_OK };
}

aril_status arili_resp_next(struct arili_resp_decoder *d, aril_bytes *in,
                            struct arili_resp_event *ret)
{
    *ret = (struct arili_resp_event){ .kind = ARILI_RESP_MORE };
    if (d->failed != ARIL_OK) {
        return d->failed;
    }
    struct arili_resp_event event = *ret;
    aril_bytes rest = *in;
    d->failed = step(d, &rest, &event);
    ARILI_TRY(d->failed);
    *in = rest;
    *ret = event;
    return ARIL_OK;
}

uint64_t arili_resp_body_left(const struct arili_resp_decoder *d)
{
    return d->state == STATE_BODY && d->failed == ARIL_OK ? d->body_left : 0;
}

void arili_resp_skip_body(struct arili_resp_decoder *d, uint64_t n)
{
    if (n > arili_resp_body_left(d)) {
        d->failed = d->failed != ARIL_OK ? d->failed : arili_fail(ARIL_E_USAGE_RANGE);
    } else if (n > 0) {
        d->body_left -= n;
    }
}

bool arili_resp_is_idle(const struct arili_resp_decoder *d)
{
    return d->failed == ARIL_OK && d->state == STATE_VALUE && d->depth == 0 && !d->attributed;
}
