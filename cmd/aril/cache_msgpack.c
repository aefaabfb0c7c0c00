/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "cache_pack.h"
#include "failure.h"
#include <stdlib.h>
#include <string.h>

/* cachekit's tagged JSON as MessagePack: numbers, texts, arrays and objects as they are, and
 * objects with one member whose name begins with $ for what JSON lacks. Nested values are walked
 * with a stack of fixed depth. */

#define DEPTH_MAX 33u /* the arguments, and 32 levels in them; the library allows no more */

struct frame {
    const json_t *json; /* array or object */
    void *iterator;     /* of an object */
    size_t next, count;
    bool is_set;
    size_t start; /* of a set: where its elements begin */
};

struct walk {
    const char *command;
    struct cache_packed *out;
    struct frame stack[DEPTH_MAX];
    size_t depth;
    struct cache_spans sets; /* where the elements of the sets on the stack begin */
};

static int no_memory(const struct walk *w)
{
    return failure_report(w->command, ARIL_E_NOMEM, "the arguments");
}

static int push(struct walk *w, const json_t *json, bool is_set)
{
    const bool is_array = json_is_array(json);
    const size_t count = is_array ? json_array_size(json) : json_object_size(json);
    if (w->depth == DEPTH_MAX) {
        return failure_explain(w->command, ARIL_E_FORMAT_LENGTH, NULL,
                               "the arguments are nested deeper than %u", DEPTH_MAX - 1);
    }
    w->stack[w->depth++] = (struct frame){
        .json = json,
        .iterator = is_array ? NULL : json_object_iter((json_t *)(uintptr_t)json),
        .count = count,
        .is_set = is_set,
        .start = w->out->len,
    };
    if (is_set) {
        return 0; /* its head comes when it is known how many differ */
    }
    return pack_head(w->out, is_array ? PACK_ARRAY : PACK_MAP, count) ? 0 : no_memory(w);
}

/* A set ends: its elements are sorted by their bytes, and each is there once. */
static int pop(struct walk *w)
{
    const struct frame *f = &w->stack[--w->depth];
    return !f->is_set || pack_set(w->out, f->start, f->count, &w->sets) ? 0 : no_memory(w);
}

static int tagged(struct walk *w, const char *tag, const json_t *value)
{
    if (strcmp(tag, "$set") == 0 && json_is_array(value)) {
        return push(w, value, true);
    }
    return pack_tagged(w->command, w->out, tag, value);
}

static int object(struct walk *w, const json_t *json)
{
    json_t *mutable = (json_t *)(uintptr_t)json;
    void *first = json_object_iter(mutable);
    const char *tag = first == NULL ? "" : json_object_iter_key(first);
    if (json_object_size(json) == 1 && tag[0] == '$') {
        return tagged(w, tag, json_object_iter_value(first));
    }
    for (size_t i = 0; i < w->depth; i++) {
        if (w->stack[i].is_set) {
            return failure_usage(w->command, "a $set holds no objects");
        }
    }
    return push(w, json, false);
}

static int value(struct walk *w, const json_t *json)
{
    bool done = true;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return object(w, json);
    case JSON_ARRAY:
        return push(w, json, false);
    case JSON_STRING:
        done = pack_bytes(w->out, PACK_TEXT, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        done = pack_integer(w->out, json_integer_value(json));
        break;
    case JSON_REAL:
        done = pack_real(w->out, json_real_value(json));
        break;
    case JSON_NULL:
        done = pack_byte(w->out, 0xc0);
        break;
    default:
        done = pack_byte(w->out, json_is_true(json) ? 0xc3 : 0xc2);
        break;
    }
    return done ? 0 : no_memory(w);
}

/* The next value of the innermost array or object. */
static int step(struct walk *w)
{
    struct frame *f = &w->stack[w->depth - 1];
    if (f->next == f->count) {
        return pop(w);
    }
    if (f->is_set && !spans_add(&w->sets, w->out->len)) {
        return no_memory(w);
    }
    if (json_is_array(f->json)) {
        return value(w, json_array_get(f->json, f->next++));
    }
    json_t *mutable = (json_t *)(uintptr_t)f->json;
    const char *name = json_object_iter_key(f->iterator);
    const json_t *of = json_object_iter_value(f->iterator);
    if (!pack_bytes(w->out, PACK_TEXT, name, strlen(name))) {
        return no_memory(w);
    }
    f->iterator = json_object_iter_next(mutable, f->iterator);
    f->next++;
    return value(w, of);
}

void cache_packed_free(struct cache_packed *packed)
{
    free(packed->data);
    *packed = (struct cache_packed){ .data = NULL };
}

int cache_pack(const char *command, const json_t *json, struct cache_packed *ret)
{
    struct walk w = { .command = command, .out = ret };
    int rc = push(&w, json, false);
    while (rc == 0 && w.depth > 0) {
        rc = step(&w);
    }
    free(w.sets.at);
    return rc;
}
