/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_pack.h"
#include <stdlib.h>
#include <string.h>

static bool room(struct cache_packed *out, size_t more)
{
    if (more <= out->cap - out->len) {
        return true;
    }
    if (more > SIZE_MAX / 4 || out->cap > SIZE_MAX / 4) {
        return false;
    }
    const size_t cap = 2 * out->cap + more + 64;
    uint8_t *data = realloc(out->data, cap);
    if (data == NULL) {
        return false;
    }
    out->data = data;
    out->cap = cap;
    return true;
}

static bool append(struct cache_packed *out, const void *bytes, size_t len)
{
    if (!room(out, len)) {
        return false;
    }
    if (len > 0) {
        memcpy(out->data + out->len, bytes, len);
    }
    out->len += len;
    return true;
}

bool pack_byte(struct cache_packed *out, uint8_t byte)
{
    return append(out, &byte, 1);
}

/* A type byte and a number of 1, 2, 4 or 8 bytes, big-endian. */
static bool pack_number(struct cache_packed *out, uint8_t type, uint64_t v, size_t bytes)
{
    uint8_t text[9] = { type };
    for (size_t i = 0; i < bytes; i++) {
        text[1 + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    }
    return append(out, text, 1 + bytes);
}

bool pack_head(struct cache_packed *out, enum pack_kind kind, size_t count)
{
    static const struct {
        uint8_t fixed, fixed_max, type8, type16, type32;
    } heads[] = {
        [PACK_ARRAY] = { 0x90, 15, 0, 0xdc, 0xdd },
        [PACK_MAP] = { 0x80, 15, 0, 0xde, 0xdf },
        [PACK_TEXT] = { 0xa0, 31, 0xd9, 0xda, 0xdb },
        [PACK_BINARY] = { 0, 0, 0xc4, 0xc5, 0xc6 },
    };
    if (heads[kind].fixed != 0 && count <= heads[kind].fixed_max) {
        return pack_byte(out, (uint8_t)(heads[kind].fixed | count));
    }
    if (heads[kind].type8 != 0 && count <= UINT8_MAX) {
        return pack_number(out, heads[kind].type8, count, 1);
    }
    if (count <= UINT16_MAX) {
        return pack_number(out, heads[kind].type16, count, 2);
    }
    return count <= UINT32_MAX && pack_number(out, heads[kind].type32, count, 4);
}

bool pack_bytes(struct cache_packed *out, enum pack_kind kind, const void *bytes, size_t len)
{
    return pack_head(out, kind, len) && append(out, bytes, len);
}

bool pack_unsigned(struct cache_packed *out, uint64_t v)
{
    if (v < 0x80) {
        return pack_byte(out, (uint8_t)v);
    }
    return v <= UINT8_MAX    ? pack_number(out, 0xcc, v, 1)
           : v <= UINT16_MAX ? pack_number(out, 0xcd, v, 2)
           : v <= UINT32_MAX ? pack_number(out, 0xce, v, 4)
                             : pack_number(out, 0xcf, v, 8);
}

bool pack_integer(struct cache_packed *out, int64_t v)
{
    if (v >= 0) {
        return pack_unsigned(out, (uint64_t)v);
    }
    if (v >= -32) {
        return pack_byte(out, (uint8_t)v);
    }
    return v >= INT8_MIN    ? pack_number(out, 0xd0, (uint64_t)v, 1)
           : v >= INT16_MIN ? pack_number(out, 0xd1, (uint64_t)v, 2)
           : v >= INT32_MIN ? pack_number(out, 0xd2, (uint64_t)v, 4)
                            : pack_number(out, 0xd3, (uint64_t)v, 8);
}

bool pack_real(struct cache_packed *out, double v)
{
    uint64_t bits = 0;
    if (v >= 0 && v < 18446744073709551616.0 && v == (double)(uint64_t)v) {
        return pack_unsigned(out, (uint64_t)v);
    }
    if (v < 0 && v >= -9223372036854775808.0 && v == (double)(int64_t)v) {
        return pack_integer(out, (int64_t)v);
    }
    memcpy(&bits, &v, sizeof bits);
    return pack_number(out, 0xcb, bits, 8);
}

bool spans_add(struct cache_spans *spans, size_t offset)
{
    if (spans->count == spans->cap) {
        const size_t cap = spans->cap == 0 ? 64 : 2 * spans->cap;
        size_t *at = cap > SIZE_MAX / sizeof *at ? NULL : realloc(spans->at, cap * sizeof *at);
        if (at == NULL) {
            return false;
        }
        spans->at = at;
        spans->cap = cap;
    }
    spans->at[spans->count++] = offset;
    return true;
}

/* By bytes; of two that begin alike the shorter one comes first. */
static int compare(const void *a, const void *b)
{
    const aril_bytes *x = a;
    const aril_bytes *y = b;
    const size_t shorter = x->len < y->len ? x->len : y->len;
    const int order = memcmp(x->data, y->data, shorter);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static bool rewrite(struct cache_packed *out, size_t start, aril_bytes *elements, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare(&elements[kept - 1], &elements[i]) != 0) {
            elements[kept++] = elements[i];
        }
    }
    out->len = start;
    bool done = pack_head(out, PACK_ARRAY, kept);
    for (size_t i = 0; done && i < kept; i++) {
        done = append(out, elements[i].data, elements[i].len);
    }
    return done;
}

bool pack_set(struct cache_packed *out, size_t start, size_t count, struct cache_spans *spans)
{
    const size_t first = spans->count - count;
    const size_t len = out->len - start;
    uint8_t *copy = malloc(len + 1);
    aril_bytes *elements = calloc(count + 1, sizeof *elements);
    bool done = copy != NULL && elements != NULL;
    if (done) {
        if (len > 0) {
            memcpy(copy, out->data + start, len);
        }
        for (size_t i = 0; i < count; i++) {
            const size_t from = spans->at[first + i];
            const size_t to = i + 1 < count ? spans->at[first + i + 1] : start + len;
            elements[i] = (aril_bytes){ copy + (from - start), to - from };
        }
        if (count > 1) {
            qsort(elements, count, sizeof *elements, compare);
        }
        done = rewrite(out, start, elements, count);
    }
    free(copy);
    free(elements);
    spans->count = first;
    return done;
}
