/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/canonical.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include "format/cachekit.h"
#include "format/msgpack.h"
#include <math.h>

_Static_assert(ARILI_CANONICAL_GROWTH *ARILI_CANONICAL_BYTES_MAX <= UINT32_MAX,
               "offsets of an entry fit 32 bits");

/* One pair of a map, as offsets into the output. Its value follows its key. */
struct entry {
    uint32_t key, key_len; /* the text alone, without its head */
    uint32_t start, end;   /* of key and value together */
};
struct level {
    bool is_map, key_next;
    uint64_t left;     /* elements to come; a pair has two */
    size_t start;      /* of the first entry in the output */
    size_t entry_base; /* of this map in entries */
};
struct canonical {
    struct arili_writer out;
    uint8_t *scratch; /* as long as the output */
    size_t cap;
    struct entry *entries; /* of all open maps, the innermost last */
    size_t entry_count, entries_max;
    struct level levels[ARILI_CANONICAL_DEPTH_MAX];
    size_t depth;
};

static void canonical_done(struct canonical *c)
{
    arili_free(c->scratch, c->cap);
    arili_free(c->entries, c->entries_max * sizeof *c->entries);
}

/* --- Sorting -------------------------------------------------------------------------- */

/* Names are public to whoever calls; nothing here is compared with a secret. */
static int compare(const struct canonical *c, const struct entry *a, const struct entry *b)
{
    const size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    const int order = memcmp(c->out.data + a->key, c->out.data + b->key, shorter);
    if (order != 0) {
        return order;
    }
    return a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}

static void sift_down(const struct canonical *c, struct entry *heap, size_t root, size_t count)
{
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(c, &heap[child], &heap[child + 1]) < 0) {
            child++;
        }
        if (compare(c, &heap[root], &heap[child]) >= 0) {
            return;
        }
        const struct entry swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* Heap sort: qsort() may allocate, and may take quadratic time for chosen keys. */
static void sort(const struct canonical *c, struct entry *entries, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(c, entries, i, count);
    }
    for (size_t end = count; end-- > 1;) {
        const struct entry swap = entries[0];
        entries[0] = entries[end];
        entries[end] = swap;
        sift_down(c, entries, 0, end);
    }
}

static bool is_sorted(const struct canonical *c, const struct entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(c, &entries[i - 1], &entries[i]) >= 0) {
            return false;
        }
    }
    return true;
}

/* The innermost map is complete: put its entries in order. */
static aril_status close_map(struct canonical *c, const struct level *level)
{
    struct entry *entries = c->entries + level->entry_base;
    const size_t count = c->entry_count - level->entry_base;
    c->entry_count = level->entry_base;
    if (count == 0 || is_sorted(c, entries, count)) {
        return ARIL_OK;
    }
    sort(c, entries, count);
    ARILI_ENSURE(is_sorted(c, entries, count), ARIL_E_FORMAT_FIELD); /* else a key is there twice */
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t n = entries[i].end - entries[i].start;
        memcpy(c->scratch + len, c->out.data + entries[i].start, n);
        len += n;
    }
    memcpy(c->out.data + level->start, c->scratch, len);
    return ARIL_OK;
}

/* --- Writing -------------------------------------------------------------------------- */

static aril_status write_real(struct canonical *c, double v)
{
    ARILI_ENSURE(isfinite(v), ARIL_E_FORMAT_FIELD);
    /* Both bounds are powers of two, so they are exact. */
    if (v != trunc(v) || v < -0x1p63 || v >= 0x1p64) {
        arili_msgpack_write_real(&c->out, v);
    } else if (v >= 0) {
        arili_msgpack_write_uint(&c->out, (uint64_t)v);
    } else {
        arili_msgpack_write_int(&c->out, (int64_t)v);
    }
    return ARIL_OK;
}

static aril_status write_str(struct canonical *c, aril_bytes text)
{
    ARILI_ENSURE(arili_utf8_is_valid(text), ARIL_E_FORMAT_FIELD);
    arili_msgpack_write_str(&c->out, text);
    return ARIL_OK;
}

/* Two's complement to what it means. */
static int64_t negative(uint64_t bits)
{
    return -(int64_t)(~bits) - 1;
}

static aril_status write_scalar(struct canonical *c, const struct arili_msgpack *t)
{
    switch (t->type) {
    case ARILI_MSGPACK_NIL:
        arili_msgpack_write_nil(&c->out);
        return ARIL_OK;
    case ARILI_MSGPACK_BOOL:
        arili_msgpack_write_bool(&c->out, t->number != 0);
        return ARIL_OK;
    case ARILI_MSGPACK_UINT:
        arili_msgpack_write_uint(&c->out, t->number);
        return ARIL_OK;
    case ARILI_MSGPACK_INT:
        arili_msgpack_write_int(&c->out, negative(t->number));
        return ARIL_OK;
    case ARILI_MSGPACK_REAL:
        return write_real(c, t->real);
    case ARILI_MSGPACK_STR:
        return write_str(c, t->bytes);
    case ARILI_MSGPACK_BIN:
        arili_msgpack_write_bin(&c->out, t->bytes);
        return ARIL_OK;
    case ARILI_MSGPACK_EXT:
    case ARILI_MSGPACK_ARRAY:
    case ARILI_MSGPACK_MAP:
        break;
    }
    ARILI_FAIL(ARIL_E_FORMAT_FIELD);
}

static void open_level(struct canonical *c, const struct arili_msgpack *t)
{
    const bool is_map = t->type == ARILI_MSGPACK_MAP;
    if (is_map) {
        arili_msgpack_write_map(&c->out, t->count);
    } else {
        arili_msgpack_write_array(&c->out, t->count);
    }
    c->levels[c->depth++] = (struct level){ .is_map = is_map,
                                            .key_next = is_map,
                                            .left = is_map ? (uint64_t)t->count * 2 : t->count,
                                            .start = c->out.len,
                                            .entry_base = c->entry_count };
}

/* The token is a key of the innermost map: note where its pair begins. */
static aril_status begin_entry(struct canonical *c, const struct arili_msgpack *t)
{
    ARILI_ENSURE(t->type == ARILI_MSGPACK_STR, ARIL_E_FORMAT_FIELD);
    const size_t start = c->out.len;
    ARILI_TRY(write_str(c, t->bytes));
    c->entries[c->entry_count++] = (struct entry){ .key = (uint32_t)(c->out.len - t->bytes.len),
                                                   .key_len = (uint32_t)t->bytes.len,
                                                   .start = (uint32_t)start };
    return ARIL_OK;
}

/* An element of the innermost level is complete, and with it perhaps that level, and so on. */
static aril_status end_element(struct canonical *c)
{
    while (c->depth > 0) {
        struct level *level = &c->levels[c->depth - 1];
        level->left--;
        if (level->is_map && !level->key_next) {
            c->entries[c->entry_count - 1].end = (uint32_t)c->out.len;
        }
        level->key_next = level->is_map && !level->key_next;
        if (level->left > 0) {
            return ARIL_OK;
        }
        if (level->is_map) {
            ARILI_TRY(close_map(c, level));
        }
        c->depth--;
    }
    return ARIL_OK;
}

static aril_status write_token(struct canonical *c, const struct arili_msgpack *t)
{
    const bool container = t->type == ARILI_MSGPACK_MAP || t->type == ARILI_MSGPACK_ARRAY;
    if (c->depth > 0 && c->levels[c->depth - 1].key_next) {
        ARILI_TRY(begin_entry(c, t));
    } else if (container) {
        open_level(c, t);
        if (t->count > 0) {
            return ARIL_OK; /* its elements end it */
        }
        c->depth--;
    } else {
        ARILI_TRY(write_scalar(c, t));
    }
    return end_element(c);
}

aril_status arili_canonical(aril_bytes document, uint8_t *ret, size_t *ret_len)
{
    size_t pairs;
    ARILI_ENSURE(document.len <= ARILI_CANONICAL_BYTES_MAX, ARIL_E_LIMIT);
    ARILI_TRY(arili_msgpack_check(document, ARILI_CANONICAL_DEPTH_MAX, &pairs));
    ARILI_DEFER(canonical_done)
    struct canonical c = {
        .cap = ARILI_CANONICAL_GROWTH * document.len,
        .entries_max = pairs,
    };
    c.out = arili_writer_init(ret, c.cap);
    if (pairs > 0) { /* as many as the document holds, so at most half its bytes */
        c.scratch = arili_alloc(c.cap);
        ARILI_ENSURE(c.scratch != NULL, ARIL_E_NOMEM);
        c.entries = arili_alloc(pairs * sizeof *c.entries);
        ARILI_ENSURE(c.entries != NULL, ARIL_E_NOMEM);
    }
    struct arili_reader r = arili_reader_init(document);
    do {
        struct arili_msgpack t;
        ARILI_TRY(arili_msgpack_next(&r, &t));
        ARILI_TRY(write_token(&c, &t));
    } while (c.depth > 0);
    return arili_writer_end(&c.out, ret_len);
}

/* --- The public function -------------------------------------------------------------- */

struct buffer {
    uint8_t *data;
    size_t bytes;
};

static void buffer_done(struct buffer *b)
{
    arili_free(b->data, b->bytes);
}

static aril_status check_segment(aril_bytes segment, const char *what, aril_error *error)
{
    ARILI_ENSURE(segment.data != NULL || segment.len == 0, ARIL_E_USAGE_NULL);
    if (!arili_cachekit_segment_is_valid(segment)) {
        return arili_error_set(
            error, arili_fail(ARIL_E_USAGE_RANGE),
            "the %s \"%.*s\" is no segment of a cachekit key; use 1 to %u characters of "
            "a-z 0-9 . _ - that begin with a letter or digit",
            what, (int)(segment.len < 80 ? segment.len : 80),
            segment.len > 0 ? (const char *)segment.data : "", ARILI_CACHEKIT_SEGMENT_MAX);
    }
    return ARIL_OK;
}

static aril_status args_failed(aril_status st, aril_bytes args, aril_error *error)
{
    if (st == ARIL_E_LIMIT) {
        return arili_error_set(error, st, "the arguments have %zu bytes, %zu at most", args.len,
                               ARILI_CANONICAL_BYTES_MAX);
    }
    if (aril_status_class(st) == ARIL_E_FORMAT) {
        return arili_error_set(error, st,
                               "the arguments (%zu bytes) are no MessagePack array that cachekit "
                               "can name: %s; NaN, infinities, ext types, map keys that are no "
                               "strings or there twice, and more than %u levels are refused",
                               args.len, aril_status_text(st), ARILI_CANONICAL_DEPTH_MAX);
    }
    return st;
}

static aril_status hash_args(aril_runtime *rt, aril_bytes args, uint8_t ret[32])
{
    struct arili_reader r = arili_reader_init(args);
    struct arili_msgpack root;
    ARILI_ENSURE(args.len <= ARILI_CANONICAL_BYTES_MAX, ARIL_E_LIMIT);
    ARILI_TRY(arili_msgpack_next(&r, &root));
    ARILI_ENSURE(root.type == ARILI_MSGPACK_ARRAY, ARIL_E_FORMAT_KIND);
    ARILI_DEFER(buffer_done) struct buffer b = { .bytes = ARILI_CANONICAL_GROWTH * args.len };
    b.data = arili_alloc(b.bytes);
    ARILI_ENSURE(b.data != NULL, ARIL_E_NOMEM);
    size_t len = 0;
    ARILI_TRY(arili_canonical(args, b.data, &len));
    const aril_bytes part = { b.data, len };
    return rt->crypto.ops->blake2b(rt->crypto.provider, &part, 1, ret, 32);
}

aril_status aril_cachekit_key(aril_runtime *rt, aril_bytes space, aril_bytes operation,
                              aril_bytes args, char ret_key[ARIL_CACHEKIT_KEY_TEXT],
                              aril_error *error)
{
    static const char digits[] = "0123456789abcdef";
    ARILI_ENSURE(rt != NULL && ret_key != NULL && (args.data != NULL || args.len == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_TRY(check_segment(space, "namespace", error));
    ARILI_TRY(check_segment(operation, "operation", error));
    ARILI_TRY(arili_runtime_check(rt));
    uint8_t hash[32];
    const aril_status st = hash_args(rt, args, hash);
    if (st != ARIL_OK) {
        return args_failed(st, args, error);
    }
    char *at = ret_key;
    memcpy(at, space.data, space.len);
    at += space.len;
    *at++ = ':';
    memcpy(at, operation.data, operation.len);
    at += operation.len;
    *at++ = ':';
    for (size_t i = 0; i < sizeof hash; i++) {
        *at++ = digits[hash[i] >> 4];
        *at++ = digits[hash[i] & 15];
    }
    *at = '\0';
    return ARIL_OK;
}

_Static_assert(2 * ARILI_CACHEKIT_SEGMENT_MAX + 2 + 64 + 1 == ARIL_CACHEKIT_KEY_TEXT,
               "two segments, two colons, 64 digits, NUL");
