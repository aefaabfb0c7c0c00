/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pem.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

#define LINE_CHARS 64u
#define LINE_BYTES 48u
#define BAD_DIGIT  0x40u

static const char head_open[] = "-----BEGIN ";
static const char tail_open[] = "-----END ";
static const char dashes[] = "-----";

/* All ones when lo <= v <= hi, else zero; without a branch, for secret v below 256. */
static uint32_t in_range(uint32_t v, uint32_t lo, uint32_t hi)
{
    return (((v - lo) | (hi - v)) >> 31) - 1;
}

/* Base64 digit of six secret bits, and back; no table, no branch (RFC 4648 section 4). */
static char digit_char(uint32_t v)
{
    const uint32_t c = (in_range(v, 0, 25) & (v + 'A')) | (in_range(v, 26, 51) & (v - 26 + 'a')) |
                       (in_range(v, 52, 61) & (v - 52 + '0')) | (in_range(v, 62, 62) & '+') |
                       (in_range(v, 63, 63) & '/');
    return (char)c;
}

/* The six bits, or BAD_DIGIT. */
static uint32_t digit_value(uint8_t c)
{
    const uint32_t upper = in_range(c, 'A', 'Z');
    const uint32_t lower = in_range(c, 'a', 'z');
    const uint32_t number = in_range(c, '0', '9');
    const uint32_t plus = in_range(c, '+', '+');
    const uint32_t slash = in_range(c, '/', '/');
    return (upper & (uint32_t)(c - 'A')) | (lower & (uint32_t)(c - 'a' + 26)) |
           (number & (uint32_t)(c - '0' + 52)) | (plus & 62) | (slash & 63) |
           (~(upper | lower | number | plus | slash) & BAD_DIGIT);
}

/* The next line without its end; FORMAT_TRUNCATED when no line end follows. */
static aril_status next_line(aril_bytes *rest, aril_bytes *ret_line)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    ARILI_ENSURE(end != NULL, ARIL_E_FORMAT_TRUNCATED);
    size_t len = (size_t)(end - rest->data);
    *ret_line = (aril_bytes){ rest->data, len };
    if (len > 0 && rest->data[len - 1] == '\r') {
        ret_line->len--;
    }
    rest->data += len + 1;
    rest->len -= len + 1;
    return ARIL_OK;
}

/* Whether line is opening, label and the five dashes. */
static bool is_boundary(aril_bytes line, const char *opening, const char *label)
{
    const size_t a = strlen(opening);
    const size_t b = strlen(label);
    const size_t c = sizeof dashes - 1;
    return line.len == a + b + c && memcmp(line.data, opening, a) == 0 &&
           memcmp(line.data + a, label, b) == 0 && memcmp(line.data + a + b, dashes, c) == 0;
}

static bool has_prefix(aril_bytes line, const char *prefix)
{
    return line.len >= strlen(prefix) && memcmp(line.data, prefix, strlen(prefix)) == 0;
}

/* Four characters to one to three bytes. Padding is only looked for where the caller
 * allows it, in the last group. */
static aril_status decode_group(const uint8_t in[4], bool last, uint8_t out[3], size_t *ret_len)
{
    size_t pad = 0;
    if (last && in[3] == '=') {
        pad = in[2] == '=' ? 2 : 1;
    }
    uint32_t bits = 0;
    uint32_t bad = 0;
    for (size_t i = 0; i < 4; i++) {
        const uint32_t v = i < 4 - pad ? digit_value(in[i]) : 0;
        bad |= v & BAD_DIGIT;
        bits = bits << 6 | (v & 63);
    }
    /* The bits that padding cuts off must be zero. */
    bad |= bits & ((UINT32_C(1) << (8 * pad)) - 1);
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
    arili_wipe(&bits, sizeof bits);
    ARILI_ENSURE(bad == 0, ARIL_E_FORMAT_FIELD);
    *ret_len = 3 - pad;
    return ARIL_OK;
}

/* One line of base64. *ret_last when it must be the last: short or padded. */
static aril_status decode_line(aril_bytes line, uint8_t out[LINE_BYTES], size_t *ret_len,
                               bool *ret_last)
{
    ARILI_ENSURE(line.len > 0 && line.len <= LINE_CHARS && line.len % 4 == 0, ARIL_E_FORMAT_FIELD);
    size_t len = 0;
    for (size_t i = 0; i < line.len; i += 4) {
        size_t n = 0;
        ARILI_TRY(decode_group(line.data + i, i + 4 == line.len, out + len, &n));
        len += n;
    }
    *ret_len = len;
    *ret_last = len < LINE_BYTES;
    return ARIL_OK;
}

static void line_wipe(uint8_t (*line)[LINE_BYTES])
{
    arili_wipe(*line, sizeof *line);
}

static aril_status decode_body(aril_bytes *rest, const char *label, uint8_t *ret, size_t cap,
                               size_t *ret_len)
{
    size_t len = 0;
    bool last = false;
    for (;;) {
        aril_bytes line = { NULL, 0 };
        ARILI_TRY(next_line(rest, &line));
        if (has_prefix(line, tail_open)) {
            ARILI_ENSURE(is_boundary(line, tail_open, label) && len > 0, ARIL_E_FORMAT_FIELD);
            break;
        }
        ARILI_ENSURE(!last, ARIL_E_FORMAT_FIELD);
        ARILI_DEFER(line_wipe) uint8_t bytes[LINE_BYTES];
        size_t n = 0;
        ARILI_TRY(decode_line(line, bytes, &n, &last));
        ARILI_ENSURE(n <= cap - len, ARIL_E_FORMAT_LENGTH);
        memcpy(ret + len, bytes, n);
        len += n;
    }
    ARILI_ENSURE(rest->len == 0, ARIL_E_FORMAT_LENGTH);
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_pem_parse(aril_bytes text, const char *label, uint8_t *ret, size_t cap,
                            size_t *ret_len)
{
    memset(ret, 0, cap);
    aril_bytes rest = text;
    aril_bytes line = { NULL, 0 };
    ARILI_TRY(next_line(&rest, &line));
    if (!is_boundary(line, head_open, label)) {
        ARILI_FAIL(has_prefix(line, head_open) ? ARIL_E_FORMAT_KIND : ARIL_E_FORMAT);
    }
    const aril_status st = decode_body(&rest, label, ret, cap, ret_len);
    if (st != ARIL_OK) {
        arili_wipe(ret, cap);
    }
    return st;
}

static void write_text(struct arili_writer *w, const char *text)
{
    arili_write_bytes(w, (aril_bytes){ (const uint8_t *)text, strlen(text) });
}

static void write_group(struct arili_writer *w, const uint8_t *in, size_t n)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; i++) {
        bits = bits << 8 | (i < n ? in[i] : 0);
    }
    for (size_t i = 0; i < 4; i++) {
        const char c = i <= n ? digit_char(bits >> (18 - 6 * i) & 63) : '=';
        arili_write8(w, (uint8_t)c);
    }
    arili_wipe(&bits, sizeof bits);
}

aril_status arili_pem_write(const char *label, aril_bytes der, char *ret, size_t cap,
                            size_t *ret_len)
{
    ARILI_ENSURE(ARILI_PEM_BYTES(strlen(label), der.len) <= cap, ARIL_E_USAGE_TOO_SMALL);
    struct arili_writer w = arili_writer_init((uint8_t *)ret, cap);
    write_text(&w, head_open);
    write_text(&w, label);
    write_text(&w, dashes);
    write_text(&w, "\n");
    for (size_t i = 0; i < der.len; i += 3) {
        write_group(&w, der.data + i, der.len - i < 3 ? der.len - i : 3);
        if (i % LINE_BYTES == LINE_BYTES - 3 || der.len - i <= 3) {
            write_text(&w, "\n");
        }
    }
    write_text(&w, tail_open);
    write_text(&w, label);
    write_text(&w, dashes);
    write_text(&w, "\n");
    return arili_writer_end(&w, ret_len);
}
