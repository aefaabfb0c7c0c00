/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

/*
 * A tag is a small record of its own: a random stamp, sealed under the tag's name. A value keeps
 * the stamps that its tags had when it was put; it is over when one of them is another now, or
 * gone. So ending a tag is one put, whatever it was on. docs/CACHE-FORMAT.md section 5.
 */

/* The key of the record: a digest of namespace and tag, which the values keep. */
struct tag_key {
    uint8_t id[ARILI_CACHE_CONTEXT_BYTES];
    aril_cache_key key;
};

static void record_key(const aril_cache_key *of, struct tag_key *t)
{
    t->key = (aril_cache_key){ .tenant = of->tenant,
                               .space = of->space,
                               .key = { t->id, sizeof t->id },
                               .type = (aril_cache_type)ARILI_CACHE_TAG };
}

static aril_status tag_key_init(aril_cache *cache, const aril_cache_key *of, aril_bytes tag,
                                struct tag_key *ret)
{
    const aril_cache_key named = { .tenant = of->tenant,
                                   .space = of->space,
                                   .key = tag,
                                   .type = (aril_cache_type)ARILI_CACHE_TAG_ID };
    ARILI_TRY(arili_cache_context(&cache->rt->crypto, cache->hash, &named, ret->id));
    record_key(of, ret);
    return ARIL_OK;
}

/* NOT_FOUND: there is no stamp, or none that can be believed. */
static aril_status read_stamp(aril_cache *cache, const struct tag_key *t, bool past_l1,
                              uint8_t ret[ARILI_VALUE_STAMP_BYTES], uint64_t *ret_until_ns,
                              aril_error *error)
{
    uint8_t stamp[ARILI_VALUE_STAMP_BYTES];
    aril_cache_item item = { .key = t->key, .buffer = { stamp, sizeof stamp } };
    arili_cache_read_record(cache, &item, past_l1, ret_until_ns, error);
    ARILI_ENSURE(item.result.outcome != ARIL_CACHE_DOWN, item.result.status);
    ARILI_ENSURE(item.result.outcome == ARIL_CACHE_HIT && item.result.len == sizeof stamp,
                 ARIL_E_NOT_FOUND);
    memcpy(ret, stamp, sizeof stamp);
    return ARIL_OK;
}

static aril_status write_stamp(aril_cache *cache, const struct tag_key *t, bool absent_only,
                               uint8_t ret[ARILI_VALUE_STAMP_BYTES], aril_error *error)
{
    const struct arili_crypto *c = &cache->rt->crypto;
    uint8_t stamp[ARILI_VALUE_STAMP_BYTES];
    ARILI_TRY(c->ops->random(c->provider, stamp, sizeof stamp));
    aril_cache_item item = { .key = t->key,
                             .value = { stamp, sizeof stamp },
                             .absent_only = absent_only,
                             .ttl_ms = UINT64_MAX };
    ARILI_TRY(arili_cache_write_record(cache, &item, error));
    memcpy(ret, stamp, sizeof stamp);
    return ARIL_OK;
}

static aril_status stamp_of(aril_cache *cache, const struct tag_key *t,
                            uint8_t ret[ARILI_VALUE_STAMP_BYTES], aril_error *error)
{
    /* From the store: with a stamp that was ended elsewhere the value would be over at once. */
    uint64_t until_ns;
    aril_status st = read_stamp(cache, t, true, ret, &until_ns, error);
    if (st != ARIL_E_NOT_FOUND) {
        return st;
    }
    st = write_stamp(cache, t, true, ret, error);
    if (st != ARIL_E_EXISTS) {
        return st;
    }
    /* Somebody was faster; or what is there cannot be believed, and is replaced. */
    st = read_stamp(cache, t, true, ret, &until_ns, error);
    return st == ARIL_E_NOT_FOUND ? write_stamp(cache, t, false, ret, error) : st;
}

aril_status arili_tag_stamps(aril_cache *cache, const aril_cache_item *item,
                             struct arili_value_tag *ret, aril_error *error)
{
    for (size_t i = 0; i < item->tag_count; i++) {
        struct tag_key t;
        ARILI_TRY(tag_key_init(cache, &item->key, item->tags[i], &t));
        memcpy(ret[i].context, t.id, sizeof t.id);
        ARILI_TRY(stamp_of(cache, &t, ret[i].stamp, error));
    }
    return ARIL_OK;
}

/* A stamp in L1 may be an old one: it can say that a tag still stands, for the time that L1 has
 * left, but not that it was ended. */
static aril_status check_stamp(aril_cache *cache, const struct tag_key *t,
                               const uint8_t expected[ARILI_VALUE_STAMP_BYTES],
                               uint64_t *ret_until_ns, aril_error *error)
{
    for (int past_l1 = 0; past_l1 < 2; past_l1++) {
        uint8_t stamp[ARILI_VALUE_STAMP_BYTES];
        const aril_status st = read_stamp(cache, t, past_l1 != 0, stamp, ret_until_ns, error);
        if (st != ARIL_E_NOT_FOUND) {
            ARILI_TRY(st);
            if (memcmp(stamp, expected, sizeof stamp) == 0) {
                return ARIL_OK;
            }
        }
        if (*ret_until_ns == UINT64_MAX) {
            break; /* the store said so */
        }
    }
    ARILI_FAIL(ARIL_E_REPLAY_SUPERSEDED);
}

aril_status arili_tags_check(aril_cache *cache, const aril_cache_key *key,
                             const struct arili_value_trailer *trailer, uint64_t *ret_until_ns,
                             aril_error *error)
{
    *ret_until_ns = UINT64_MAX;
    /* A record of a tag has no tags: this ends here. */
    for (size_t i = 0; i < trailer->tag_count; i++) {
        uint64_t until_ns;
        struct tag_key t;
        memcpy(t.id, trailer->tags[i].context, sizeof t.id);
        record_key(key, &t);
        ARILI_TRY(check_stamp(cache, &t, trailer->tags[i].stamp, &until_ns, error));
        *ret_until_ns = until_ns < *ret_until_ns ? until_ns : *ret_until_ns;
    }
    return ARIL_OK;
}

aril_status aril_cache_invalidate_tag(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                                      aril_bytes tag, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    const aril_cache_key named = { .tenant = tenant, .space = space, .key = tag };
    struct arili_scope *scope;
    struct tag_key t;
    uint8_t stamp[ARILI_VALUE_STAMP_BYTES];
    uint64_t now;
    ARILI_TRY(arili_cache_key_check(&named));
    ARILI_TRY(arili_scope_find(cache, tenant, space, &scope, &now, error));
    ARILI_TRY(tag_key_init(cache, &named, tag, &t));
    ARILI_TRY(write_stamp(cache, &t, false, stamp, error));
    /* L1 does not know which of its values have the tag. */
    atomic_fetch_add(&scope->epoch, 1);
    arili_messages_tell(cache, tenant, space, NULL, 0);
    return ARIL_OK;
}
