/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_bench.h"
#include "failure.h"
#include "files.h"
#include "seeded.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The conversations of a made trace: lengths in blocks of 512 tokens. */
#define MADE_SYSTEM_PROMPTS 8u
#define MADE_SYSTEM_BLOCKS  4u
#define MADE_BLOCKS_MAX     24u
#define MADE_OPEN           64u /* conversations that may go on */
#define MADE_LENGTH_MAX     256u

void trace_free(struct trace *trace)
{
    free(trace->ids);
    free(trace->first);
    *trace = (struct trace){ .ids = NULL };
}

/* A trace while it grows. */
struct growing {
    struct trace *trace;
    size_t ids_cap, first_cap;
};

static bool grow(void **array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return true;
    }
    const size_t wanted = need > SIZE_MAX / 4 / size ? 0 : 2 * need + 1024;
    void *data = wanted == 0 ? NULL : realloc(*array, wanted * size);
    if (data == NULL) {
        return false;
    }
    *array = data;
    *cap = wanted;
    return true;
}

static bool add_id(struct growing *g, uint64_t id)
{
    struct trace *t = g->trace;
    void *ids = t->ids;
    const bool done = grow(&ids, &g->ids_cap, t->reads + 1, sizeof *t->ids);
    t->ids = ids;
    if (done) {
        t->ids[t->reads++] = id;
    }
    return done;
}

/* The ids that were added since the last call are one request. */
static bool end_request(struct growing *g)
{
    struct trace *t = g->trace;
    void *first = t->first;
    const bool done = grow(&first, &g->first_cap, t->requests + 2, sizeof *t->first);
    t->first = first;
    if (done) {
        const size_t from = t->requests == 0 ? 0 : t->first[t->requests];
        const size_t len = t->reads - from;
        t->first[0] = 0;
        t->first[++t->requests] = t->reads;
        t->longest = len > t->longest ? len : t->longest;
    }
    return done;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool count_distinct(struct trace *t)
{
    uint64_t *sorted = malloc((t->reads + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return false;
    }
    if (t->reads > 0) {
        memcpy(sorted, t->ids, t->reads * sizeof *sorted);
        qsort(sorted, t->reads, sizeof *sorted, compare);
    }
    for (size_t i = 0; i < t->reads; i++) {
        t->distinct += i == 0 || sorted[i] != sorted[i - 1];
    }
    free(sorted);
    return true;
}

static int finish(const char *command, const char *path, struct trace *t, bool whole)
{
    if (!whole || !count_distinct(t)) {
        return failure_report(command, ARIL_E_NOMEM, "%s", path);
    }
    return t->reads > 0 ? 0
                        : failure_explain(command, ARIL_E_FORMAT_TRUNCATED,
                                          "a line is {\"hash_ids\": [...], ...}",
                                          "%s: no request with blocks in it", path);
}

static int bad_line(const char *command, const char *path, size_t number, const char *why)
{
    return failure_explain(command, ARIL_E_FORMAT_FIELD, "a line is {\"hash_ids\": [...], ...}",
                           "%s, line %zu: %s", path, number, why);
}

static int add_line(struct growing *g, const char *command, const char *path, size_t number,
                    const char *line, size_t len)
{
    DEFER(json_freep) json_t *json = json_loadb(line, len, 0, NULL);
    const json_t *ids = json_object_get(json, "hash_ids");
    bool done = true;
    if (!json_is_array(ids)) {
        return bad_line(command, path, number, "not a JSON object with an array hash_ids");
    }
    if (json_array_size(ids) > ARIL_STORE_BATCH_MAX) {
        return bad_line(command, path, number, "more blocks than a batch has");
    }
    for (size_t i = 0; done && i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return bad_line(command, path, number, "hash_ids holds what is no number");
        }
        done = add_id(g, (uint64_t)json_integer_value(id));
    }
    done = done && end_request(g);
    return done ? 0 : failure_report(command, ARIL_E_NOMEM, "%s", path);
}

int trace_load(const char *command, const char *path, uint64_t requests, struct trace *ret)
{
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    struct growing g = { .trace = ret };
    int rc = file_read(command, path, FILES_BYTES_MAX, &text);
    size_t at = 0;
    for (size_t number = 1; rc == 0 && at < text.len; number++) {
        const char *line = (const char *)text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        const size_t len = end == NULL ? text.len - at : (size_t)(end - line);
        if (requests != 0 && ret->requests == requests) {
            break;
        }
        rc = len == 0 ? 0 : add_line(&g, command, path, number, line, len);
        at += len + 1;
    }
    return rc != 0 ? rc : finish(command, path, ret, true);
}

/* A conversation: where its newest request lies in the trace. */
struct conversation {
    size_t from, len;
};

static bool make_request(struct growing *g, struct seeded *random, uint64_t *next_id,
                         struct conversation *open)
{
    struct trace *t = g->trace;
    struct conversation *c = &open[seeded_next(random) % MADE_OPEN];
    const size_t more = 1 + (size_t)(seeded_next(random) % MADE_BLOCKS_MAX);
    const bool goes_on =
        c->len > 0 && c->len + more <= MADE_LENGTH_MAX && seeded_next(random) % 100 < 40;
    const uint64_t prompt = seeded_next(random) % MADE_SYSTEM_PROMPTS;
    const size_t start = t->reads;
    const size_t old = goes_on ? c->len : MADE_SYSTEM_BLOCKS;
    bool done = true;
    for (size_t i = 0; done && i < old; i++) {
        done = add_id(g, goes_on ? t->ids[c->from + i] : prompt * MADE_SYSTEM_BLOCKS + i);
    }
    for (size_t i = 0; done && i < more; i++) {
        done = add_id(g, (*next_id)++);
    }
    *c = (struct conversation){ start, t->reads - start };
    return done && end_request(g);
}

int trace_make(const char *command, uint64_t seed, uint64_t requests, struct trace *ret)
{
    struct growing g = { .trace = ret };
    struct seeded random = seeded_init(seed);
    struct conversation open[MADE_OPEN] = { { 0, 0 } };
    uint64_t next_id = (uint64_t)MADE_SYSTEM_PROMPTS * MADE_SYSTEM_BLOCKS;
    bool done = true;
    for (uint64_t i = 0; done && i < requests; i++) {
        done = make_request(&g, &random, &next_id, open);
    }
    return finish(command, "the trace", ret, done);
}
