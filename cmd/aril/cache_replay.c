/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_bench.h"
#include "failure.h"
#include "histogram.h"
#include "out.h"
#include "seeded.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_NS UINT64_C(100000000)
#define NAME_BYTES  64u
#define CHAIN_BYTES 32u
/* What a killed run leaves in a shared store ends by itself. */
#define TTL_MS UINT64_C(3600000)

/* Room for the longest request. */
struct room {
    const struct replay *r;
    uint8_t *values; /* longest * block_bytes */
    uint8_t *pattern;
    char (*names)[NAME_BYTES];
    uint8_t (*keys)[ARIL_CACHE_BLOCK_KEY_BYTES];
    aril_bytes *parts;
    aril_store_item *store_items;
    aril_cache_item *cache_items;
};

static void room_free(struct room *room)
{
    free(room->values);
    free(room->pattern);
    free(room->names);
    free(room->keys);
    free(room->parts);
    free(room->store_items);
    free(room->cache_items);
}

static bool room_init(struct room *room, const struct replay *r)
{
    const size_t n = r->trace->longest;
    struct seeded random = seeded_init(1);
    room->r = r;
    room->values = n > SIZE_MAX / r->block_bytes ? NULL : malloc(n * r->block_bytes);
    room->pattern = malloc(r->block_bytes);
    room->names = calloc(n, sizeof *room->names);
    room->keys = calloc(n, sizeof *room->keys);
    room->parts = calloc(n, sizeof *room->parts);
    room->store_items = calloc(n, sizeof *room->store_items);
    room->cache_items = calloc(n, sizeof *room->cache_items);
    if (room->values == NULL || room->pattern == NULL || room->names == NULL ||
        room->keys == NULL || room->parts == NULL || room->store_items == NULL ||
        room->cache_items == NULL) {
        return false;
    }
    seeded_fill(&random, room->pattern, r->block_bytes);
    return true;
}

/* What block id holds: the pattern, and the id in front of it. */
static void fill_block(const struct room *room, uint64_t id, uint8_t *ret)
{
    memcpy(ret, room->pattern, room->r->block_bytes);
    memcpy(ret, &id, sizeof id);
}

static bool is_block(const struct room *room, uint64_t id, const uint8_t *block, size_t len)
{
    return len == room->r->block_bytes && memcmp(block, &id, sizeof id) == 0 &&
           memcmp(block + sizeof id, room->pattern + sizeof id, len - sizeof id) == 0;
}

static aril_status name_block(struct room *room, size_t i, uint64_t id)
{
    struct seeded random = seeded_init(id);
    uint8_t chain[CHAIN_BYTES];
    aril_cache_item *item = &room->cache_items[i];
    const aril_cache_block block = {
        .model = keys_bytes("llama-3-8b"),
        .layer_count = 32,
        .chain = { chain, sizeof chain },
    };
    seeded_fill(&random, chain, sizeof chain);
    item->key = (aril_cache_key){
        .tenant = keys_bytes(PLACE_TENANT),
        .space = keys_bytes("kv"),
        .key = { room->keys[i], ARIL_CACHE_BLOCK_KEY_BYTES },
        .type = ARIL_CACHE_BLOCK,
    };
    return aril_cache_block_name(room->r->cache, &block, room->keys[i]);
}

static void name_plain(struct room *room, size_t i, uint64_t id)
{
    snprintf(room->names[i], NAME_BYTES, "aril-bench:%016" PRIx64 ":%016" PRIx64, room->r->nonce,
             id);
    room->store_items[i].name = keys_bytes(room->names[i]);
}

/* Clear n items and name them. */
static aril_status prepare(struct room *room, const uint64_t *ids, size_t n)
{
    aril_status st = ARIL_OK;
    memset(room->store_items, 0, n * sizeof *room->store_items);
    memset(room->cache_items, 0, n * sizeof *room->cache_items);
    for (size_t i = 0; i < n && st == ARIL_OK; i++) {
        const aril_span block = { room->values + i * room->r->block_bytes, room->r->block_bytes };
        if (room->r->cache == NULL) {
            name_plain(room, i, ids[i]);
            room->store_items[i].buffer = block;
        } else {
            st = name_block(room, i, ids[i]);
            room->cache_items[i].buffer = block;
        }
    }
    return st;
}

static aril_status get_all(struct room *room, const uint64_t *ids, size_t n, aril_error *error)
{
    aril_status st = prepare(room, ids, n);
    if (st != ARIL_OK) {
        return st;
    }
    return room->r->cache == NULL ? aril_store_get(room->r->store, room->store_items, n, error)
                                  : aril_cache_get(room->r->cache, room->cache_items, n, error);
}

/* The status of a get or put of item i, and how long the value is. */
static aril_status status_of(const struct room *room, size_t i, size_t *ret_len)
{
    if (room->r->cache == NULL) {
        *ret_len = room->store_items[i].len;
        return room->store_items[i].status;
    }
    *ret_len = room->cache_items[i].result.len;
    /* What was tampered with, or cannot be asked for, is no miss here. */
    return room->cache_items[i].result.outcome > ARIL_CACHE_HIT ? room->cache_items[i].result.status
                                                                : room->cache_items[i].status;
}

static int failed(const struct replay *r, aril_status st, const aril_error *error)
{
    return failure_error(r->command, st, error, r->what);
}

/* How many blocks from the first one on are there, and as they were put. */
static int count_hits(const struct room *room, const uint64_t *ids, size_t n,
                      const aril_error *error, size_t *ret)
{
    const struct replay *r = room->r;
    size_t hits = 0;
    for (; hits < n; hits++) {
        size_t len = 0;
        const aril_status st = status_of(room, hits, &len);
        if (st == ARIL_E_NOT_FOUND) {
            break;
        }
        if (st != ARIL_OK) {
            return failed(r, st, error);
        }
        if (!is_block(room, ids[hits], room->values + hits * r->block_bytes, len)) {
            return failure_explain(r->command, ARIL_E_AUTH, NULL,
                                   "%s: block %" PRIu64 " is not what was put", r->what, ids[hits]);
        }
    }
    *ret = hits;
    return 0;
}

static aril_status put_all(struct room *room, const uint64_t *ids, size_t n, aril_error *error,
                           uint64_t *ns)
{
    const struct replay *r = room->r;
    for (size_t i = 0; i < n; i++) {
        fill_block(room, ids[i], room->values + i * r->block_bytes);
        room->parts[i] = (aril_bytes){ room->values + i * r->block_bytes, r->block_bytes };
    }
    const uint64_t started = monotonic_ns();
    aril_status st = prepare(room, ids, n);
    for (size_t i = 0; i < n; i++) {
        room->store_items[i].parts = &room->parts[i];
        room->store_items[i].part_count = 1;
        room->store_items[i].ttl_ms = TTL_MS;
        room->store_items[i].buffer = (aril_span){ .data = NULL };
        room->cache_items[i].value = room->parts[i];
        room->cache_items[i].ttl_ms = TTL_MS;
        room->cache_items[i].buffer = (aril_span){ .data = NULL };
    }
    if (st == ARIL_OK) {
        st = r->cache == NULL ? aril_store_put(r->store, room->store_items, n, error)
                              : aril_cache_put(r->cache, room->cache_items, n, error);
    }
    *ns += monotonic_ns() - started;
    for (size_t i = 0; i < n && (st == ARIL_OK || st == ARIL_E_BATCH); i++) {
        size_t len = 0;
        const aril_status one = status_of(room, i, &len);
        st = one != ARIL_OK ? one : st;
    }
    return st;
}

static int replay_one(struct room *room, const uint64_t *ids, size_t n, struct replay_result *ret)
{
    aril_error error = { .status = ARIL_OK };
    size_t hits = 0;
    const uint64_t started = monotonic_ns();
    aril_status st = get_all(room, ids, n, &error);
    ret->get_ns += monotonic_ns() - started;
    if (st != ARIL_OK && st != ARIL_E_BATCH && st != ARIL_E_NOT_FOUND) {
        return failed(room->r, st, &error);
    }
    const int rc = count_hits(room, ids, n, &error, &hits);
    if (rc != 0) {
        return rc;
    }
    if (hits < n) {
        st = put_all(room, ids + hits, n - hits, &error, &ret->put_ns);
        if (st != ARIL_OK) {
            return failed(room->r, st, &error);
        }
    }
    ret->reads += n;
    ret->hits += hits;
    ret->puts += n - hits;
    return 0;
}

int replay_run(const struct replay *r, struct replay_result *ret)
{
    DEFER(room_free) struct room room = { .r = r };
    const struct trace *t = r->trace;
    uint64_t shown_ns = 0;
    int rc = room_init(&room, r) ? 0 : failure_report(r->command, ARIL_E_NOMEM, "%s", r->what);
    for (size_t i = 0; rc == 0 && i < t->requests; i++) {
        const size_t n = t->first[i + 1] - t->first[i];
        if (keys_stopped != 0) {
            return failure_explain(r->command, ARIL_E_INTERRUPTED, NULL,
                                   "%s: stopped after %zu of %zu requests", r->what, i,
                                   t->requests);
        }
        if (monotonic_ns() - shown_ns >= PROGRESS_NS) {
            shown_ns = monotonic_ns();
            out_progress("%s: %zu of %zu requests", r->what, i, t->requests);
        }
        ret->requests++;
        rc = n == 0 ? 0 : replay_one(&room, t->ids + t->first[i], n, ret);
    }
    out_progress_end();
    return rc;
}

int replay_clean(const struct replay *r, uint64_t requests)
{
    DEFER(room_free) struct room room = { .r = r };
    const struct trace *t = r->trace;
    aril_status st = room_init(&room, r) ? ARIL_OK : ARIL_E_NOMEM;
    aril_error error = { .status = ARIL_OK };
    for (size_t i = 0; i < requests && i < t->requests; i++) {
        const uint64_t *ids = t->ids + t->first[i];
        const size_t n = t->first[i + 1] - t->first[i];
        if (st != ARIL_OK && st != ARIL_E_NOT_FOUND) {
            break;
        }
        st = n == 0 ? ARIL_OK : prepare(&room, ids, n);
        if (st == ARIL_OK && n > 0) {
            st = r->cache == NULL ? aril_store_delete(r->store, room.store_items, n, &error)
                                  : aril_cache_delete(r->cache, room.cache_items, n, &error);
        }
    }
    return st == ARIL_OK || st == ARIL_E_NOT_FOUND ? 0 : failed(r, st, &error);
}
