/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CACHE_MODEL_H
#define ARIL_TESTS_CACHE_MODEL_H
#include <aril/cache.h>
#include <stdbool.h>

/*
 * What caches over one store must answer: a plain map beside them. It knows nothing of formats,
 * tiers or keys; it knows what ends a value, and how long a cache may not have heard of it.
 *
 * Of a name every version is kept that some cache may still have. A hit must be one of them, whole.
 * A miss must have a reason: nothing was put, something ended it, or the store may have lost it.
 * Times are those of the test's clock, which stands still unless the test moves it.
 */
#define CACHE_MODEL_CACHES  2u
#define CACHE_MODEL_TENANTS 2u
#define CACHE_MODEL_SPACES  4u
#define CACHE_MODEL_KEYS    8u /* of each tenant and namespace */
#define CACHE_MODEL_NAMES   (CACHE_MODEL_TENANTS * CACHE_MODEL_SPACES * CACHE_MODEL_KEYS)
#define CACHE_MODEL_TAGS    3u  /* of each tenant and namespace */
#define CACHE_MODEL_KEPT    24u /* versions of one name */

/* One version of a value. Its bytes are a pattern of `seed`, which no other version has. */
struct cache_model_value {
    uint64_t seed; /* 0: a free place */
    size_t len;
    uint64_t put_ms, ttl_ms, stale_ms; /* unix time; stale_ms of the policy */
    unsigned data_key;                 /* number of the key that sealed it */
    unsigned tags;                     /* bit for each */
    bool may_miss;                     /* it may be gone without a reason that the map knows */
    /* Boot clock: a cache that gives it later gives a wrong value. UINT64_MAX: it is the newest. */
    uint64_t until_ns[CACHE_MODEL_CACHES];
};

/* Whether the store has something under a name, be it good or not. */
enum cache_model_raw { RAW_NONE, RAW_THERE, RAW_EITHER };

struct cache_model_name {
    struct cache_model_value kept[CACHE_MODEL_KEPT];
    unsigned newest; /* in kept, plus 1; 0: none, or not known which */
    enum cache_model_raw raw;
    uint64_t raw_until_ms; /* the store may forget it then */
};

/* The stamp of a tag as the store has it. */
struct cache_model_tag {
    bool known;
    unsigned data_key; /* the oldest that may have sealed it; 0: there is none */
};

struct cache_model {
    uint64_t now_ns, now_ms; /* set by the caller before each call below */
    uint64_t l1_ttl_ns, refresh_ns;
    bool loses; /* the store is bounded: every value may be gone */
    struct cache_model_name names[CACHE_MODEL_NAMES];
    struct cache_model_tag tags[CACHE_MODEL_TENANTS][CACHE_MODEL_SPACES][CACHE_MODEL_TAGS];
    uint64_t bumped_ns[CACHE_MODEL_TENANTS][CACHE_MODEL_SPACES][CACHE_MODEL_CACHES];
    unsigned data_key[CACHE_MODEL_TENANTS]; /* that seals; counted from 1 */
    unsigned retired[CACHE_MODEL_TENANTS];  /* all below and with it open nothing more */
    uint64_t last_seed;
};

/* Nothing in it. */
void cache_model_init(struct cache_model *m, uint64_t l1_ttl_ns, uint64_t refresh_ns, bool loses);

unsigned cache_model_tenant(unsigned name);
unsigned cache_model_space(unsigned name);

/* --- What was done, by which cache */

/* A value to put: a new version, not in the map yet. */
struct cache_model_value cache_model_next(struct cache_model *m, size_t len, uint64_t ttl_ms,
                                          uint64_t stale_ms, unsigned tags);
/* done: the store has it. Else it has that or what it had. */
void cache_model_put(struct cache_model *m, unsigned cache, unsigned name,
                     const struct cache_model_value *value, bool done);
/* Only its tags have got stamps: there was something already. cache_model_put() does this too. */
void cache_model_stamp(struct cache_model *m, unsigned name, unsigned tags);
void cache_model_delete(struct cache_model *m, unsigned cache, unsigned name, bool done);
void cache_model_bump(struct cache_model *m, unsigned cache, unsigned tenant, unsigned space);
/* After a bump: the store's names are gone too. */
void cache_model_flush(struct cache_model *m, unsigned tenant, unsigned space, bool done);
void cache_model_end_tag(struct cache_model *m, unsigned cache, unsigned tenant, unsigned space,
                         unsigned tag, bool done);
/* A put with tags was disturbed: who shares one of them may be ended. */
void cache_model_doubt_tags(struct cache_model *m, unsigned name, unsigned tags);
void cache_model_rotate(struct cache_model *m, unsigned tenant);
/* All data keys of the tenant but the newest open nothing more. */
void cache_model_retire(struct cache_model *m, unsigned tenant);
/* A cache began anew: it knows what the store has, nothing else. */
void cache_model_reopen(struct cache_model *m, unsigned cache);

/* --- What must be answered */

/* The version that these bytes and times are, when that cache may give it now; else NULL. */
const struct cache_model_value *cache_model_find(const struct cache_model *m, unsigned cache,
                                                 unsigned name, aril_bytes value,
                                                 uint64_t created_ms, uint64_t not_after_ms);
/* For messages: what these bytes were once, if anything. */
void cache_model_explain(const struct cache_model *m, unsigned cache, unsigned name,
                         aril_bytes value, char *ret, size_t cap);
/* Whether a version of that length may be given. */
bool cache_model_has_length(const struct cache_model *m, unsigned cache, unsigned name, size_t len);
/* Whether any version may be given. */
bool cache_model_may_hit(const struct cache_model *m, unsigned cache, unsigned name);
bool cache_model_must_hit(const struct cache_model *m, unsigned name);
/* As it is now. */
enum cache_model_raw cache_model_raw(const struct cache_model *m, unsigned name);
/* Whether the version may be, or must be, in the stale part of its life. */
bool cache_model_may_be_stale(const struct cache_model *m, const struct cache_model_value *v);
/* Whether a version may be given that may be stale. */
bool cache_model_may_hit_stale(const struct cache_model *m, unsigned cache, unsigned name);
bool cache_model_must_be_stale(const struct cache_model *m, const struct cache_model_value *v);
#endif
