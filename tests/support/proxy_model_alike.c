/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_model.h"
#include "check.h"
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 8192u

static bool same(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static int order(const void *a, const void *b)
{
    const aril_bytes *const x = a;
    const aril_bytes *const y = b;
    const size_t len = x->len < y->len ? x->len : y->len;
    const int diff = len > 0 ? memcmp(x->data, y->data, len) : 0;
    return diff != 0 ? diff : (x->len > y->len) - (x->len < y->len);
}

/* Elements, each of so many parts, in any order. */
static const char *unordered(aril_bytes a, aril_bytes b, size_t parts)
{
    static aril_bytes x[PARTS_MAX];
    static aril_bytes y[PARTS_MAX];
    size_t x_count = 0;
    size_t y_count = 0;
    if (!wire_parts(a, x, PARTS_MAX, &x_count) || !wire_parts(b, y, PARTS_MAX, &y_count)) {
        return same(a, b) ? NULL : "no aggregates, and other bytes";
    }
    if (a.data[0] != b.data[0] || x_count != y_count || x_count % parts != 0) {
        return "other types, or not as many elements";
    }
    /* The parts of an element lie side by side: as one run of bytes they are sorted together. */
    const size_t count = x_count / parts;
    for (size_t i = 0; i < count; i++) {
        const aril_bytes x_last = x[i * parts + parts - 1];
        const aril_bytes y_last = y[i * parts + parts - 1];
        x[i] = (aril_bytes){ x[i * parts].data,
                             (size_t)(x_last.data + x_last.len - x[i * parts].data) };
        y[i] = (aril_bytes){ y[i * parts].data,
                             (size_t)(y_last.data + y_last.len - y[i * parts].data) };
    }
    qsort(x, count, sizeof *x, order);
    qsort(y, count, sizeof *y, order);
    for (size_t i = 0; i < count; i++) {
        if (!same(x[i], y[i])) {
            return "other elements";
        }
    }
    return NULL;
}

static const char *about(aril_bytes a, aril_bytes b, long long apart)
{
    long long x = 0;
    long long y = 0;
    if (same(a, b)) {
        return NULL;
    }
    if (!wire_integer(a, &x) || !wire_integer(b, &y)) {
        return "no numbers, and other bytes";
    }
    return x >= 0 && y >= 0 && llabs(x - y) <= apart ? NULL : "numbers that are too far apart";
}

static const char *as_many(aril_bytes a, aril_bytes b)
{
    const uint8_t *const end = memchr(a.data, '\n', a.len);
    const size_t len = end != NULL ? (size_t)(end - a.data) + 1 : a.len;
    return b.len >= len && memcmp(a.data, b.data, len) == 0 ? NULL : "other heads";
}

static const char *of_a_kind(aril_bytes a, aril_bytes b)
{
    aril_bytes x;
    const bool is_content = wire_content(a, &x);
    return is_content == wire_content(b, &x) && (is_content || same(a, b))
               ? NULL
               : "one has nothing, or an error";
}

const char *pmodel_difference(enum pmodel_alike how, aril_bytes a, aril_bytes b)
{
    switch (how) {
    case PMODEL_SET:
        return unordered(a, b, 1);
    case PMODEL_PAIRS:
        return unordered(a, b, 2);
    case PMODEL_SECONDS:
        return about(a, b, 1);
    case PMODEL_MS:
        return about(a, b, 1000);
    case PMODEL_COUNT:
        return as_many(a, b);
    case PMODEL_KIND:
        return of_a_kind(a, b);
    case PMODEL_BYTES:
        break;
    }
    return same(a, b) ? NULL : "other bytes";
}
