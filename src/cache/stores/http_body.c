/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#if ARILI_HTTP_HEADERS
#include "base/ensure.h"
#include "base/mem.h"
#include <string.h>

/*
 * The body of an answer to GET. When its length is told, the place is asked for first and the
 * bytes go there. Else they go to buffer while they fit, then to memory that doubles, at most to
 * the longest value there may be; without a room they are only counted.
 */
#define FIRST_BYTES       65536u
#define IGNORED_BYTES_MAX 65536u

/* Where a value of len bytes goes. */
static aril_status place(struct arili_http_body *b, size_t len)
{
    aril_store_item *const item = b->item;
    item->len = len;
    if (len <= item->buffer.len) {
        b->to = item->buffer.data;
        return ARIL_OK;
    }
    ARILI_ENSURE(item->room != NULL, ARIL_E_USAGE_TOO_SMALL);
    b->to = item->room(item->user, len);
    ARILI_ENSURE(b->to != NULL, ARIL_E_LIMIT);
    return ARIL_OK;
}

void arili_http_body_begin(struct arili_http_body *b, uint64_t len)
{
    b->is_begun = true;
    if (b->is_ignored) {
        return;
    }
    b->is_known = len != UINT64_MAX;
    if (!b->is_known) {
        /* The end of the connection is no sign of the end of the value. */
        b->st = b->is_chunked ? ARIL_OK : arili_fail(ARIL_E_FORMAT);
        b->to = b->item->buffer.data;
    } else if (len > ARIL_STORE_VALUE_BYTES_MAX) {
        b->st = arili_fail(ARIL_E_LIMIT);
    } else {
        b->expected = (size_t)len;
        b->st = place(b, (size_t)len);
    }
}

/* Memory of ours for more bytes. more: checked against the longest value. */
static bool grow(struct arili_http_body *b, size_t more)
{
    if (b->grown != NULL && more <= b->grown_bytes - b->len) {
        return true;
    }
    size_t bytes = b->grown != NULL ? b->grown_bytes : FIRST_BYTES;
    while (bytes < b->len || bytes - b->len < more) {
        bytes *= 2; /* below twice the longest value */
    }
    uint8_t *const grown = arili_alloc(bytes);
    if (grown == NULL) {
        b->st = arili_fail(ARIL_E_NOMEM);
        return false;
    }
    const uint8_t *const from = b->grown != NULL ? b->grown : b->to;
    if (b->len > 0) {
        memcpy(grown, from, b->len);
    }
    if (b->grown == NULL && b->len > 0) {
        arili_wipe(b->to, b->len);
    }
    arili_free(b->grown, b->grown_bytes);
    b->grown = grown;
    b->grown_bytes = bytes;
    return true;
}

static bool take_unknown(struct arili_http_body *b, aril_bytes bytes)
{
    if (bytes.len > ARIL_STORE_VALUE_BYTES_MAX - b->len) {
        b->st = arili_fail(ARIL_E_LIMIT);
        return false;
    }
    const bool fits = b->grown == NULL && !b->is_counted && b->len <= b->item->buffer.len &&
                      bytes.len <= b->item->buffer.len - b->len;
    if (!fits && b->item->room == NULL && !b->is_counted) {
        b->is_counted = true;
        if (b->len > 0) {
            arili_wipe(b->to, b->len);
        }
    }
    if (!b->is_counted) {
        if (!fits && !grow(b, bytes.len)) {
            return false;
        }
        memcpy((fits ? b->to : b->grown) + b->len, bytes.data, bytes.len);
    }
    b->len += bytes.len;
    return true;
}

bool arili_http_body_take(struct arili_http_body *b, aril_bytes bytes)
{
    if (b->is_ignored) {
        const bool goes_on = bytes.len <= IGNORED_BYTES_MAX - b->len;
        b->len = goes_on ? b->len + bytes.len : b->len;
        return goes_on;
    }
    if (b->st != ARIL_OK || bytes.len == 0) {
        return b->st == ARIL_OK;
    }
    if (!b->is_known) {
        return take_unknown(b, bytes);
    }
    if (bytes.len > b->expected - b->len) {
        b->st = arili_fail(ARIL_E_FORMAT_LENGTH);
        return false;
    }
    memcpy(b->to + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
    return true;
}

aril_status arili_http_body_end(struct arili_http_body *b)
{
    ARILI_TRY(b->st);
    ARILI_ENSURE(!b->is_known || b->len == b->expected, ARIL_E_IO);
    if (b->is_counted) {
        b->item->len = b->len;
        return arili_fail(ARIL_E_USAGE_TOO_SMALL);
    }
    if (b->grown != NULL) {
        b->to = NULL;
        ARILI_TRY(place(b, b->len));
        memcpy(b->to, b->grown, b->len);
        arili_free(b->grown, b->grown_bytes);
        b->grown = NULL;
    }
    b->item->data = b->to;
    b->item->len = b->len;
    return ARIL_OK;
}

void arili_http_body_drop(struct arili_http_body *b)
{
    if (!b->is_ignored && b->grown == NULL && !b->is_counted && b->to != NULL && b->len > 0) {
        arili_wipe(b->to, b->len);
    }
    arili_free(b->grown, b->grown_bytes);
    *b = (struct arili_http_body){ 0 };
}
#endif
