/* SPDX-License-Identifier: Apache-2.0 */
/* The model's operations on single values and on batches of them. */
#include "base/ensure.h"
#include "cache_model_run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 80u /* more than one window of every call */
#define ROOM      6000u

/* What was asked for, and what lies behind it. */
struct asked {
    unsigned name;
    bool too_small;
    struct cache_model_value value; /* put */
    uint8_t *bytes;
    aril_bytes tags[CACHE_MODEL_TAGS];
};

/* --- Get ------------------------------------------------------------------------------------- */

static void demand_hit(unsigned cache, unsigned name, const aril_cache_item *item)
{
    const aril_cache_result *r = &item->result;
    const struct cache_model *m = &mrun.model;
    const aril_bytes got = { item->buffer.data, r->len };
    const struct cache_model_value *v =
        cache_model_find(m, cache, name, got, r->created_ms, r->not_after_ms);
    if (v == NULL) {
        char text[160];
        cache_model_explain(m, cache, name, got, text, sizeof text);
        mrun_demand(false, "name %u, cache %u, L%u: not the map's value, but %s", name, cache,
                    r->tier, text);
    }
    mrun_demand(r->outcome == ARIL_CACHE_HIT && r->status == ARIL_OK, "name %u: a hit that is none",
                name);
    const unsigned tenant = cache_model_tenant(name);
    mrun_demand(r->tier != ARIL_CACHE_L2 || r->len < 8 || /* short ones look alike */
                    (r->old_key != 0) == (v->data_key != m->data_key[tenant]),
                "name %u: old_key is %d", name, r->old_key);
    mrun_demand(r->stale ? cache_model_may_be_stale(m, v) : !cache_model_must_be_stale(m, v),
                "name %u: stale is %d", name, r->stale);
    mrun.met.hits++;
    mrun.met.hits_stale_l1 += v->until_ns[cache] != UINT64_MAX;
}

static void demand_read(unsigned cache, const struct asked *a, const aril_cache_item *item)
{
    const aril_cache_result *r = &item->result;
    if (item->status == ARIL_OK) {
        demand_hit(cache, a->name, item);
        return;
    }
    if (item->status == ARIL_E_USAGE_TOO_SMALL) {
        mrun_demand(a->too_small && (mrun.disturbed ||
                                     cache_model_has_length(&mrun.model, cache, a->name, r->len)),
                    "name %u: too small for %zu bytes", a->name, r->len);
        return;
    }
    mrun_demand(item->status == ARIL_E_NOT_FOUND, "name %u: %s", a->name,
                aril_status_name(item->status));
    mrun_demand(mrun.disturbed || !cache_model_must_hit(&mrun.model, a->name),
                "name %u: a miss without a reason: %s, %s", a->name,
                aril_cache_outcome_name(r->outcome), aril_status_name(r->status));
    mrun_demand(mrun.disturbed || r->outcome == ARIL_CACHE_MISS ||
                    r->outcome == ARIL_CACHE_KEY_GONE,
                "name %u: %s, %s", a->name, aril_cache_outcome_name(r->outcome),
                aril_status_name(r->status));
    mrun.met.misses++;
}

static void ask(struct asked *a, aril_cache_item *item)
{
    *a = (struct asked){ .name = (unsigned)mrun_below(CACHE_MODEL_NAMES) };
    *item = (aril_cache_item){ .key = mrun_key(a->name) };
    const uint64_t kind = mrun_below(8);
    if (kind < 4) { /* a buffer; 0: one byte */
        a->bytes = malloc(ROOM);
        assert_non_null(a->bytes);
        a->too_small = true; /* it may be */
        item->buffer = (aril_span){ a->bytes, kind == 0 ? 1 : ROOM };
    }
}

static void get_some(unsigned count)
{
    static struct asked asked[BATCH_MAX];
    static aril_cache_item items[BATCH_MAX];
    const unsigned cache = mrun_cache();
    mrun.what = count == 1 ? "get" : "get of many";
    for (unsigned i = 0; i < count; i++) {
        ask(&asked[i], &items[i]);
    }
    mrun_now();
    const aril_status st = aril_cache_get(mrun.caches[cache], items, count, NULL);
    mrun_look_disturbed();
    bool fine = true;
    for (unsigned i = 0; i < count; i++) {
        demand_read(cache, &asked[i], &items[i]);
        fine = fine && (items[i].status == ARIL_OK || items[i].status == ARIL_E_NOT_FOUND);
        if (asked[i].bytes == NULL) {
            aril_cache_value_free(&items[i].buffer);
        }
        free(asked[i].bytes);
    }
    mrun_demand(st == (count == 1 ? items[0].status
                       : fine     ? ARIL_OK
                                  : ARIL_E_BATCH),
                "%s in all", aril_status_name(st));
}

void mrun_op_get(void)
{
    get_some(1);
}

void mrun_op_get_many(void)
{
    mrun.met.batches++;
    get_some(2 + (unsigned)mrun_below(BATCH_MAX - 1));
}

/* --- Put ------------------------------------------------------------------------------------- */

static size_t some_length(void)
{
    static const size_t usual[] = { 0, 1, 15, 16, 17, 100, 1000, 4096 };
    if (mrun_one_in(400) && mrun.setup->bytes_max == 0) {
        return ((size_t)1 << 20) * (1 + mrun_below(3)) - 8 + mrun_below(16);
    }
    return mrun_one_in(2) ? usual[mrun_below(COUNT(usual))] : mrun_below(ROOM);
}

static struct cache_model_value some_value(unsigned name)
{
    static const uint64_t ttls[] = { 900000, 3600000, 7200000 };
    const unsigned tags = mrun_one_in(3) ? (unsigned)mrun_below(1u << CACHE_MODEL_TAGS) : 0;
    const uint64_t stale_ms = cache_model_space(name) == 3 ? 300000 : 0;
    return cache_model_next(&mrun.model, some_length(), ttls[mrun_below(COUNT(ttls))], stale_ms,
                            tags);
}

static void offer(unsigned name, struct asked *a, aril_cache_item *item)
{
    *a = (struct asked){ .name = name, .value = some_value(name) };
    a->bytes = mrun_bytes(&a->value);
    *item = (aril_cache_item){ .key = mrun_key(name),
                               .value = { a->bytes, a->value.len },
                               .ttl_ms = a->value.ttl_ms,
                               .absent_only = mrun_one_in(6),
                               .tags = a->tags };
    for (unsigned t = 0; t < CACHE_MODEL_TAGS; t++) {
        if ((a->value.tags & 1u << t) != 0) {
            a->tags[item->tag_count++] = mrun_tag(t);
        }
    }
}

static void settle_put(unsigned cache, const struct asked *a, const aril_cache_item *item)
{
    struct cache_model *m = &mrun.model;
    const enum cache_model_raw raw = cache_model_raw(m, a->name);
    if (mrun.disturbed && a->value.tags != 0) {
        cache_model_doubt_tags(m, a->name, a->value.tags);
    }
    if (item->status == ARIL_E_EXISTS) {
        mrun_demand(item->absent_only && raw != RAW_NONE, "name %u: exists already", a->name);
        cache_model_stamp(m, a->name, a->value.tags);
        return;
    }
    mrun_demand(item->status == ARIL_OK || mrun.disturbed, "name %u: %s", a->name,
                aril_status_name(item->status));
    mrun_demand(item->status != ARIL_OK || !item->absent_only || raw != RAW_THERE,
                "name %u: put over what is there", a->name);
    cache_model_put(m, cache, a->name, &a->value, item->status == ARIL_OK);
    mrun.met.puts++;
    mrun.met.failed += item->status != ARIL_OK;
}

/* Names in a row from a random one; a batch with absent_only has each name once. */
static void put_some(unsigned count)
{
    static struct asked asked[BATCH_MAX];
    static aril_cache_item items[BATCH_MAX];
    const unsigned cache = mrun_cache();
    const unsigned first = (unsigned)mrun_below(CACHE_MODEL_NAMES);
    mrun.what = count == 1 ? "put" : "put of many";
    mrun_now();
    for (unsigned i = 0; i < count; i++) {
        offer((first + i) % CACHE_MODEL_NAMES, &asked[i], &items[i]);
        items[i].absent_only = count <= CACHE_MODEL_NAMES && items[i].absent_only;
    }
    const aril_status st = aril_cache_put(mrun.caches[cache], items, count, NULL);
    mrun_look_disturbed();
    bool fine = true;
    for (unsigned i = 0; i < count; i++) {
        settle_put(cache, &asked[i], &items[i]);
        fine = fine && items[i].status == ARIL_OK;
    }
    for (unsigned i = 0; i < count; i++) {
        free(asked[i].bytes);
    }
    mrun_demand(st == (count == 1 ? items[0].status
                       : fine     ? ARIL_OK
                                  : ARIL_E_BATCH),
                "%s in all", aril_status_name(st));
}

void mrun_op_put(void)
{
    put_some(1);
}

void mrun_op_put_many(void)
{
    mrun.met.batches++;
    put_some(2 + (unsigned)mrun_below(BATCH_MAX - 1));
}

/* --- Delete, exists -------------------------------------------------------------------------- */

void mrun_op_delete(void)
{
    static aril_cache_item items[CACHE_MODEL_NAMES];
    const unsigned cache = mrun_cache();
    const unsigned first = (unsigned)mrun_below(CACHE_MODEL_NAMES);
    const unsigned count = mrun_one_in(8) ? 1 + (unsigned)mrun_below(40) : 1;
    mrun.what = "delete";
    for (unsigned i = 0; i < count; i++) {
        items[i] = (aril_cache_item){ .key = mrun_key((first + i) % CACHE_MODEL_NAMES) };
    }
    mrun_now();
    arili_forgive(aril_cache_delete(mrun.caches[cache], items, count, NULL));
    mrun_look_disturbed();
    for (unsigned i = 0; i < count; i++) {
        const unsigned name = (first + i) % CACHE_MODEL_NAMES;
        const enum cache_model_raw raw = cache_model_raw(&mrun.model, name);
        const aril_status st = items[i].status;
        const bool done = st == ARIL_OK || st == ARIL_E_NOT_FOUND;
        mrun_demand(done || mrun.disturbed, "name %u: %s", name, aril_status_name(st));
        mrun_demand(st != ARIL_OK || raw != RAW_NONE, "name %u: there was nothing", name);
        mrun_demand(st != ARIL_E_NOT_FOUND || raw != RAW_THERE, "name %u: it was there", name);
        cache_model_delete(&mrun.model, cache, name, done);
        mrun.met.deletes++;
    }
}

void mrun_op_exists(void)
{
    static aril_cache_item items[CACHE_MODEL_NAMES];
    const unsigned cache = mrun_cache();
    const unsigned first = (unsigned)mrun_below(CACHE_MODEL_NAMES);
    const unsigned count = mrun_one_in(4) ? 1 + (unsigned)mrun_below(40) : 1;
    mrun.what = "exists";
    for (unsigned i = 0; i < count; i++) {
        items[i] = (aril_cache_item){ .key = mrun_key((first + i) % CACHE_MODEL_NAMES) };
    }
    mrun_now();
    arili_forgive(aril_cache_exists(mrun.caches[cache], items, count, NULL));
    mrun_look_disturbed();
    for (unsigned i = 0; i < count; i++) {
        const unsigned name = (first + i) % CACHE_MODEL_NAMES;
        const enum cache_model_raw raw = cache_model_raw(&mrun.model, name);
        const aril_status st = items[i].status;
        mrun_demand(st == ARIL_OK || st == ARIL_E_NOT_FOUND || mrun.disturbed, "name %u: %s", name,
                    aril_status_name(st));
        mrun_demand(st != ARIL_OK || raw != RAW_NONE ||
                        cache_model_may_hit(&mrun.model, cache, name),
                    "name %u: there is nothing", name);
        mrun_demand(st != ARIL_E_NOT_FOUND || raw != RAW_THERE, "name %u: it is there", name);
        mrun.met.exists++;
    }
}

/* --- Get or compute -------------------------------------------------------------------------- */

struct computing {
    struct cache_model_value value;
    uint8_t *bytes;
    unsigned calls;
    bool fails;
};

static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *c = user;
    (void)key;
    c->calls++;
    *ret = (aril_bytes){ c->bytes, c->value.len };
    return c->fails ? ARIL_E_IO : ARIL_OK;
}

static void settle_computed(unsigned cache, unsigned name, const struct computing *c,
                            const aril_cache_item *item)
{
    struct cache_model *m = &mrun.model;
    mrun_demand(mrun.disturbed || cache_model_may_hit_stale(m, cache, name) ||
                    !cache_model_must_hit(m, name),
                "name %u: computed though it is there", name);
    if (c->fails) {
        mrun_demand(item->status == (item->result.stale ? ARIL_OK : ARIL_E_IO), "name %u: %s", name,
                    aril_status_name(item->status));
        if (item->status == ARIL_OK) {
            demand_hit(cache, name, item);
        }
        return;
    }
    mrun_demand(item->status == ARIL_OK && item->result.len == c->value.len &&
                    is_pattern(item->buffer.data, c->value.len, c->value.seed),
                "name %u: not what was computed, %s", name, aril_status_name(item->status));
    const bool kept = item->result.status == ARIL_E_NOT_FOUND;
    /* Where faults keep locks from being given back, locks are short: who is slow is refused. */
    const bool too_slow = mrun.faulty != NULL && item->result.status == ARIL_E_REPLAY_STALE;
    mrun_demand(kept || mrun.disturbed || too_slow, "name %u: was not kept: %s", name,
                aril_status_name(item->result.status));
    cache_model_put(m, cache, name, &c->value, kept);
    mrun.met.computed++;
}

void mrun_op_compute(void)
{
    const unsigned cache = mrun_cache();
    const unsigned name = (unsigned)mrun_below(CACHE_MODEL_NAMES);
    struct computing c = { .fails = mrun_one_in(10) };
    mrun.what = "get or compute";
    mrun_now();
    c.value = some_value(name);
    c.value.tags = 0; /* no compute has any */
    c.bytes = mrun_bytes(&c.value);
    aril_cache_item item = { .key = mrun_key(name), .ttl_ms = c.value.ttl_ms };
    const aril_cache_compute with = { .user = &c,
                                      .compute = compute,
                                      .lock_ms = mrun.faulty != NULL ? 20 : 0 };
    const aril_status st = aril_cache_get_or_compute(mrun.caches[cache], &item, &with, NULL);
    mrun_look_disturbed();
    mrun_demand(st == item.status && c.calls <= 1, "name %u: %u calls", name, c.calls);
    if (c.calls > 0) {
        settle_computed(cache, name, &c, &item);
    } else {
        const struct asked a = { .name = name };
        mrun_demand(item.status == ARIL_OK, "name %u: neither there nor computed: %s", name,
                    aril_status_name(st));
        demand_read(cache, &a, &item);
    }
    aril_cache_value_free(&item.buffer);
    free(c.bytes);
}
