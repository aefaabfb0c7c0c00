/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "resp/resp.h"

#define DIGITS_MAX 20u /* of 2^64 - 1, or of -2^63 with its sign */

/* type, digits and CRLF of the longest number fit. */
_Static_assert(ARILI_RESP_HEADER_BYTES >= 1 + DIGITS_MAX + 2, "the longest header fits");

static size_t put(aril_bytes text, uint8_t *ret, size_t cap)
{
    if (text.len > 0 && text.len <= cap) {
        memcpy(ret, text.data, text.len);
    }
    return text.len;
}

/* The line of a number: type, sign, digits, CRLF. */
static size_t put_number(char type, bool negative, uint64_t n, uint8_t *ret, size_t cap)
{
    uint8_t text[ARILI_RESP_HEADER_BYTES];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    if (negative) {
        text[--at] = '-';
    }
    text[--at] = (uint8_t)type;
    return put((aril_bytes){ text + at, sizeof text - at }, ret, cap);
}

/* The largest value instead of one that wraps, as struct arili_writer does. */
static size_t sum(size_t a, size_t b)
{
    return b <= SIZE_MAX - a ? a + b : SIZE_MAX;
}

static size_t bulk_size(size_t body_len)
{
    return sum(body_len, arili_resp_put_header('$', body_len, NULL, 0) + 2);
}

/* ret has the room. */
static size_t write_bulk(aril_bytes body, uint8_t *ret)
{
    size_t len = arili_resp_put_header('$', body.len, ret, ARILI_RESP_HEADER_BYTES);
    len += put(body, ret + len, body.len);
    ret[len++] = '\r';
    ret[len++] = '\n';
    return len;
}

size_t arili_resp_put_header(char type, uint64_t n, uint8_t *ret, size_t cap)
{
    return put_number(type, false, n, ret, cap);
}

size_t arili_resp_put_integer(int64_t n, uint8_t *ret, size_t cap)
{
    const bool negative = n < 0;
    return put_number(':', negative, negative ? 0 - (uint64_t)n : (uint64_t)n, ret, cap);
}

size_t arili_resp_put_bulk(aril_bytes body, uint8_t *ret, size_t cap)
{
    const size_t size = bulk_size(body.len);
    return size <= cap && size < SIZE_MAX ? write_bulk(body, ret) : size;
}

size_t arili_resp_put_line(char type, aril_bytes text, uint8_t *ret, size_t cap)
{
    const size_t size = sum(text.len, 3);
    if (size > cap || size == SIZE_MAX) {
        return size;
    }
    ret[0] = (uint8_t)type;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        ret[1 + i] = c == '\r' || c == '\n' ? (uint8_t)' ' : c;
    }
    ret[size - 2] = '\r';
    ret[size - 1] = '\n';
    return size;
}

size_t arili_resp_put_nil(bool resp3, uint8_t *ret, size_t cap)
{
    return put(resp3 ? ARILI_LITERAL("_\r\n") : ARILI_LITERAL("$-1\r\n"), ret, cap);
}

size_t arili_resp_put_command(const aril_bytes *args, size_t count, uint8_t *ret, size_t cap)
{
    size_t size = arili_resp_put_header('*', count, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        size = sum(size, bulk_size(args[i].len));
    }
    if (size > cap || size == SIZE_MAX) {
        return size;
    }
    size_t len = arili_resp_put_header('*', count, ret, cap);
    for (size_t i = 0; i < count; i++) {
        len += write_bulk(args[i], ret + len);
    }
    return len;
}
