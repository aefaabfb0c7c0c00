/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include <assert.h>

static const char hex_digits[] = "0123456789abcdef";

static void put(struct arili_json *j, const char *text, size_t len)
{
    arili_write_bytes(&j->out, (aril_bytes){ (const uint8_t *)text, len });
}

/* The comma that the next entry needs. */
static void separate(struct arili_json *j)
{
    const uint32_t bit = UINT32_C(1) << j->depth;
    if (j->after_key) {
        j->after_key = false;
    } else if ((j->filled & bit) != 0) {
        put(j, ",", 1);
    }
    j->filled |= bit;
}

static void begin(struct arili_json *j, const char *bracket)
{
    separate(j);
    put(j, bracket, 1);
    assert(j->depth < ARILI_JSON_DEPTH_MAX);
    j->depth++;
    j->filled &= ~(UINT32_C(1) << j->depth);
}

static void end(struct arili_json *j, const char *bracket)
{
    assert(j->depth > 0 && !j->after_key);
    j->depth--;
    put(j, bracket, 1);
}

struct arili_json arili_json_init(char *data, size_t cap)
{
    return (struct arili_json){ .out = arili_writer_init((uint8_t *)data, cap) };
}

void arili_json_object_begin(struct arili_json *j)
{
    begin(j, "{");
}

void arili_json_object_end(struct arili_json *j)
{
    end(j, "}");
}

void arili_json_array_begin(struct arili_json *j)
{
    begin(j, "[");
}

void arili_json_array_end(struct arili_json *j)
{
    end(j, "]");
}

static void put_escaped(struct arili_json *j, uint8_t c)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *at = c != 0 ? strchr(named, c) : NULL;
    if (at != NULL) {
        const char pair[2] = { '\\', letters[at - named] };
        put(j, pair, sizeof pair);
    } else if (c < 0x20 || c == 0x7f) {
        const char unicode[6] = { '\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15] };
        put(j, unicode, sizeof unicode);
    } else {
        arili_write8(&j->out, c);
    }
}

static void put_quoted(struct arili_json *j, aril_bytes text)
{
    put(j, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        const size_t len = arili_utf8_length(text.data + i, text.len - i);
        if (len == 0) {
            put(j, "\\ufffd", 6);
        } else if (len == 1) {
            put_escaped(j, text.data[i]);
        } else {
            arili_write_bytes(&j->out, (aril_bytes){ text.data + i, len });
        }
        i += len == 0 ? 1 : len;
    }
    put(j, "\"", 1);
}

void arili_json_key(struct arili_json *j, const char *key)
{
    assert(j->depth > 0 && !j->after_key);
    separate(j);
    put_quoted(j, (aril_bytes){ (const uint8_t *)key, strlen(key) });
    put(j, ":", 1);
    j->after_key = true;
}

void arili_json_string(struct arili_json *j, aril_bytes text)
{
    separate(j);
    put_quoted(j, text);
}

void arili_json_text(struct arili_json *j, const char *text)
{
    arili_json_string(j, (aril_bytes){ (const uint8_t *)text, strlen(text) });
}

void arili_json_u64(struct arili_json *j, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    separate(j);
    put(j, digits + at, sizeof digits - at);
}

void arili_json_hex(struct arili_json *j, const char *prefix, aril_bytes bytes)
{
    separate(j);
    put(j, "\"", 1);
    put(j, prefix, strlen(prefix));
    for (size_t i = 0; i < bytes.len; i++) {
        const char pair[2] = { hex_digits[bytes.data[i] >> 4], hex_digits[bytes.data[i] & 15] };
        put(j, pair, sizeof pair);
    }
    put(j, "\"", 1);
}

aril_status arili_json_end(const struct arili_json *j, size_t *ret_len)
{
    assert(j->depth == 0 && !j->after_key);
    return arili_writer_end(&j->out, ret_len);
}
