/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_model.h"
#include "fixture.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sealed times are in whole seconds, and none ends early. */
#define STEP_MS   1000u
#define NS_PER_MS UINT64_C(1000000)

void cache_model_init(struct cache_model *m, uint64_t l1_ttl_ns, uint64_t refresh_ns, bool loses)
{
    memset(m, 0, sizeof *m);
    m->l1_ttl_ns = l1_ttl_ns;
    m->refresh_ns = refresh_ns;
    m->loses = loses;
    for (unsigned t = 0; t < CACHE_MODEL_TENANTS; t++) {
        m->data_key[t] = 1;
    }
}

unsigned cache_model_tenant(unsigned name)
{
    return name % CACHE_MODEL_TENANTS;
}

unsigned cache_model_space(unsigned name)
{
    return name / CACHE_MODEL_TENANTS % CACHE_MODEL_SPACES;
}

static struct cache_model_tag *tag_of(struct cache_model *m, unsigned name, unsigned tag)
{
    return &m->tags[cache_model_tenant(name)][cache_model_space(name)][tag];
}

/* --- Ending ---------------------------------------------------------------------------------- */

/* Over for the cache that ended it at once, for the others after a time. */
static void end_value(struct cache_model *m, struct cache_model_value *v, unsigned cache,
                      uint64_t grace_ns)
{
    for (unsigned c = 0; c < CACHE_MODEL_CACHES; c++) {
        const uint64_t until = c == cache ? 0 : m->now_ns + grace_ns;
        v->until_ns[c] = until < v->until_ns[c] ? until : v->until_ns[c];
    }
}

static void end_all(struct cache_model *m, struct cache_model_name *n, unsigned cache,
                    uint64_t grace_ns)
{
    for (unsigned i = 0; i < CACHE_MODEL_KEPT; i++) {
        end_value(m, &n->kept[i], cache, grace_ns);
    }
    n->newest = 0;
}

static bool is_over(const struct cache_model *m, const struct cache_model_value *v)
{
    bool over = v->seed == 0 || m->now_ms >= v->put_ms + v->ttl_ms + STEP_MS;
    bool ended = true;
    for (unsigned c = 0; c < CACHE_MODEL_CACHES; c++) {
        ended = ended && v->until_ns[c] < m->now_ns;
    }
    return over || ended;
}

/* A place for one more version: what no cache may give any more makes room. */
static unsigned place(const struct cache_model *m, const struct cache_model_name *n)
{
    unsigned i = 0;
    while (i < CACHE_MODEL_KEPT && !is_over(m, &n->kept[i])) {
        i++;
    }
    if (i == CACHE_MODEL_KEPT) {
        fail_msg("the model keeps %u versions of one name, and needs more", CACHE_MODEL_KEPT);
    }
    return i;
}

/* --- What was done --------------------------------------------------------------------------- */

struct cache_model_value cache_model_next(struct cache_model *m, size_t len, uint64_t ttl_ms,
                                          uint64_t stale_ms, unsigned tags)
{
    struct cache_model_value v = { .seed = ++m->last_seed,
                                   .len = len,
                                   .put_ms = m->now_ms,
                                   .ttl_ms = ttl_ms,
                                   .stale_ms = stale_ms,
                                   .tags = tags };
    for (unsigned c = 0; c < CACHE_MODEL_CACHES; c++) {
        v.until_ns[c] = UINT64_MAX;
    }
    return v;
}

void cache_model_doubt_tags(struct cache_model *m, unsigned name, unsigned tags)
{
    for (unsigned i = 0; i < CACHE_MODEL_NAMES; i++) {
        if (cache_model_tenant(i) != cache_model_tenant(name) ||
            cache_model_space(i) != cache_model_space(name)) {
            continue;
        }
        for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
            m->names[i].kept[k].may_miss =
                m->names[i].kept[k].may_miss || (m->names[i].kept[k].tags & tags) != 0;
        }
    }
    for (unsigned t = 0; t < CACHE_MODEL_TAGS; t++) {
        if ((tags & 1u << t) != 0) {
            tag_of(m, name, t)->known = false;
        }
    }
}

void cache_model_stamp(struct cache_model *m, unsigned name, unsigned tags)
{
    for (unsigned t = 0; t < CACHE_MODEL_TAGS; t++) {
        struct cache_model_tag *tag = tag_of(m, name, t);
        if ((tags & 1u << t) == 0) {
            continue;
        }
        if (!tag->known || m->loses) { /* it may have got a new one, which ends who had the old */
            cache_model_doubt_tags(m, name, 1u << t);
            tag->known = true;
            tag->data_key =
                tag->data_key != 0 ? tag->data_key : m->data_key[cache_model_tenant(name)];
        }
    }
}

void cache_model_put(struct cache_model *m, unsigned cache, unsigned name,
                     const struct cache_model_value *value, bool done)
{
    struct cache_model_name *n = &m->names[name];
    const unsigned tenant = cache_model_tenant(name);
    cache_model_stamp(m, name, value->tags);
    const bool old_generation = m->now_ns <= m->bumped_ns[tenant][cache_model_space(name)][cache];
    if (done) {
        end_all(m, n, cache, m->l1_ttl_ns);
    }
    const unsigned at = place(m, n);
    n->kept[at] = *value;
    n->kept[at].data_key = m->data_key[tenant];
    n->kept[at].may_miss = old_generation;
    n->newest = done ? at + 1 : 0;
    n->raw = done || n->raw == RAW_THERE ? RAW_THERE : RAW_EITHER;
    n->raw_until_ms = done ? m->now_ms + value->ttl_ms : n->raw_until_ms;
}

void cache_model_delete(struct cache_model *m, unsigned cache, unsigned name, bool done)
{
    struct cache_model_name *n = &m->names[name];
    n->newest = 0;
    if (done) {
        end_all(m, n, cache, m->l1_ttl_ns);
    }
    n->raw = done ? RAW_NONE : n->raw == RAW_NONE ? RAW_NONE : RAW_EITHER;
}

/* Names of that tenant and namespace, one after the other. NULL at the end. */
static struct cache_model_name *next_of(struct cache_model *m, unsigned tenant, unsigned space,
                                        unsigned *i)
{
    while (*i < CACHE_MODEL_NAMES &&
           (cache_model_tenant(*i) != tenant || cache_model_space(*i) != space)) {
        ++*i;
    }
    return *i < CACHE_MODEL_NAMES ? &m->names[(*i)++] : NULL;
}

void cache_model_bump(struct cache_model *m, unsigned cache, unsigned tenant, unsigned space)
{
    struct cache_model_name *n;
    for (unsigned i = 0; (n = next_of(m, tenant, space, &i)) != NULL;) {
        end_all(m, n, cache, m->refresh_ns);
    }
    for (unsigned t = 0; t < CACHE_MODEL_TAGS; t++) {
        m->tags[tenant][space][t] = (struct cache_model_tag){ .known = false };
    }
    for (unsigned c = 0; c < CACHE_MODEL_CACHES; c++) {
        if (c != cache) {
            m->bumped_ns[tenant][space][c] = m->now_ns + m->refresh_ns;
        }
    }
}

void cache_model_flush(struct cache_model *m, unsigned tenant, unsigned space, bool done)
{
    struct cache_model_name *n;
    for (unsigned i = 0; (n = next_of(m, tenant, space, &i)) != NULL;) {
        n->raw = done ? RAW_NONE : n->raw == RAW_NONE ? RAW_NONE : RAW_EITHER;
    }
}

void cache_model_end_tag(struct cache_model *m, unsigned cache, unsigned tenant, unsigned space,
                         unsigned tag, bool done)
{
    struct cache_model_tag *of = &m->tags[tenant][space][tag];
    struct cache_model_name *n;
    of->known = done;
    of->data_key = done || of->data_key == 0 ? m->data_key[tenant] : of->data_key;
    for (unsigned i = 0; (n = next_of(m, tenant, space, &i)) != NULL;) {
        for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
            struct cache_model_value *v = &n->kept[k];
            if ((v->tags & 1u << tag) == 0) {
                continue;
            }
            v->may_miss = true;
            if (done) {
                end_value(m, v, cache, m->l1_ttl_ns);
                n->newest = n->newest == k + 1 ? 0 : n->newest;
            }
        }
    }
}

void cache_model_rotate(struct cache_model *m, unsigned tenant)
{
    m->data_key[tenant]++;
}

void cache_model_retire(struct cache_model *m, unsigned tenant)
{
    m->retired[tenant] = m->data_key[tenant] - 1;
    for (unsigned i = 0; i < CACHE_MODEL_NAMES; i++) {
        struct cache_model_name *n = &m->names[i];
        for (unsigned k = 0; cache_model_tenant(i) == tenant && k < CACHE_MODEL_KEPT; k++) {
            if (n->kept[k].seed != 0 && n->kept[k].data_key <= m->retired[tenant]) {
                /* By no cache: each hears of it when it looks. */
                end_value(m, &n->kept[k], CACHE_MODEL_CACHES, m->refresh_ns);
                n->newest = n->newest == k + 1 ? 0 : n->newest;
            }
        }
    }
    for (unsigned i = 0; i < CACHE_MODEL_NAMES; i++) {
        for (unsigned t = 0; cache_model_tenant(i) == tenant && t < CACHE_MODEL_TAGS; t++) {
            struct cache_model_tag *tag = tag_of(m, i, t);
            if (tag->data_key != 0 && tag->data_key <= m->retired[tenant]) {
                cache_model_doubt_tags(m, i, 1u << t);
                tag->data_key = m->retired[tenant] + 1; /* or a newer one */
            }
        }
    }
}

void cache_model_reopen(struct cache_model *m, unsigned cache)
{
    for (unsigned i = 0; i < CACHE_MODEL_NAMES; i++) {
        for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
            struct cache_model_value *v = &m->names[i].kept[k];
            v->until_ns[cache] = v->until_ns[cache] != UINT64_MAX ? 0 : UINT64_MAX;
        }
        m->bumped_ns[cache_model_tenant(i)][cache_model_space(i)][cache] = 0;
    }
}

/* --- What must be answered ------------------------------------------------------------------- */

static bool may_give(const struct cache_model *m, unsigned cache, const struct cache_model_value *v)
{
    return v->seed != 0 && m->now_ms < v->put_ms + v->ttl_ms + STEP_MS &&
           m->now_ns <= v->until_ns[cache];
}

const struct cache_model_value *cache_model_find(const struct cache_model *m, unsigned cache,
                                                 unsigned name, aril_bytes value,
                                                 uint64_t created_ms, uint64_t not_after_ms)
{
    for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
        const struct cache_model_value *v = &m->names[name].kept[k];
        if (may_give(m, cache, v) && v->len == value.len && v->put_ms == created_ms &&
            v->put_ms + v->ttl_ms + STEP_MS == not_after_ms &&
            is_pattern(value.data, value.len, v->seed)) {
            return v;
        }
    }
    return NULL;
}

void cache_model_explain(const struct cache_model *m, unsigned cache, unsigned name,
                         aril_bytes value, char *ret, size_t cap)
{
    (void)snprintf(ret, cap, "of no version of the name");
    for (uint64_t seed = m->last_seed; value.len > 8 && seed > 0; seed--) {
        if (is_pattern(value.data, value.len, seed)) {
            (void)snprintf(ret, cap, "of version %" PRIu64 ", which is another name's", seed);
            break;
        }
    }
    for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
        const struct cache_model_value *v = &m->names[name].kept[k];
        if (v->seed != 0 && v->len == value.len && is_pattern(value.data, v->len, v->seed)) {
            (void)snprintf(ret, cap,
                           "of version %" PRIu64 ", tags %u, over since %" PRIu64
                           " ns (now %" PRIu64 "), newest is %" PRIu64,
                           v->seed, v->tags, v->until_ns[cache], m->now_ns,
                           m->names[name].newest > 0
                               ? m->names[name].kept[m->names[name].newest - 1].seed
                               : 0);
        }
    }
}

bool cache_model_has_length(const struct cache_model *m, unsigned cache, unsigned name, size_t len)
{
    for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
        const struct cache_model_value *v = &m->names[name].kept[k];
        if (may_give(m, cache, v) && v->len == len) {
            return true;
        }
    }
    return false;
}

bool cache_model_may_hit(const struct cache_model *m, unsigned cache, unsigned name)
{
    for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
        if (may_give(m, cache, &m->names[name].kept[k])) {
            return true;
        }
    }
    return false;
}

bool cache_model_must_hit(const struct cache_model *m, unsigned name)
{
    const struct cache_model_name *n = &m->names[name];
    if (n->newest == 0 || m->loses) {
        return false;
    }
    const struct cache_model_value *v = &n->kept[n->newest - 1];
    return !v->may_miss && m->now_ms < v->put_ms + v->ttl_ms;
}

enum cache_model_raw cache_model_raw(const struct cache_model *m, unsigned name)
{
    const struct cache_model_name *n = &m->names[name];
    const bool may_be_gone = m->loses || m->now_ms >= n->raw_until_ms;
    return n->raw == RAW_THERE && may_be_gone ? RAW_EITHER : n->raw;
}

bool cache_model_may_be_stale(const struct cache_model *m, const struct cache_model_value *v)
{
    return v->stale_ms > 0 && m->now_ms + v->stale_ms + STEP_MS >= v->put_ms + v->ttl_ms;
}

bool cache_model_may_hit_stale(const struct cache_model *m, unsigned cache, unsigned name)
{
    for (unsigned k = 0; k < CACHE_MODEL_KEPT; k++) {
        const struct cache_model_value *v = &m->names[name].kept[k];
        if (may_give(m, cache, v) && cache_model_may_be_stale(m, v)) {
            return true;
        }
    }
    return false;
}

bool cache_model_must_be_stale(const struct cache_model *m, const struct cache_model_value *v)
{
    return v->stale_ms > 0 && m->now_ms + v->stale_ms >= v->put_ms + v->ttl_ms + 2 * STEP_MS;
}
