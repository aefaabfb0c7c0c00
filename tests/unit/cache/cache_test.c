/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem() */
#include "cache_fixture.h"
#include "temp_folder.h"
#include "format/cachevalue.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct world w;
static struct cache_home ch;

#define MIB ((size_t)1 << 20)

static void start(const aril_cache_policy *policies, size_t count)
{
    cache_home_init(&ch, &w, "memory:", policies, count);
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    memset(&ch, 0, sizeof ch);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cache_home_done(&ch);
    world_done(&w);
    return 0;
}

static aril_bytes pattern(size_t len, uint64_t seed)
{
    static uint8_t *bytes;
    free(bytes);
    bytes = malloc(len > 0 ? len : 1);
    assert_non_null(bytes);
    fill_pattern(bytes, len, seed);
    return (aril_bytes){ bytes, len };
}

/* Put a value and take what the store has of it. */
static aril_span put_and_take(aril_cache_key key, aril_bytes value)
{
    assert_status(cache_put(&ch, key, value), ARIL_OK);
    const aril_span stored = cache_stored(&ch, cache_name(&ch, key));
    assert_non_null(stored.data);
    return stored;
}

static void a_value_is_a_hit_in_l1_and_then_in_l2(void **state)
{
    (void)state;
    start(NULL, 0);
    aril_cache_result result;
    const aril_cache_key key = cache_key("alice", "sessions", "user:1");
    assert_status(cache_get(&ch, key, TEXT(""), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
    assert_status(cache_put(&ch, key, TEXT("plain text")), ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("plain text"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
    assert_status(cache_get_l2(&ch, key, TEXT("plain text"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
    assert_int_equal(result.created_ms, FAKE_UNIX_S * 1000);
    assert_status(cache_get(&ch, key, TEXT("plain text"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
}

static void values_of_every_length_come_back(void **state)
{
    (void)state;
    const aril_cache_policy policies[] = {
        { .space = TEXT("plain"), .tiers = ARIL_CACHE_L2 },
        { .space = TEXT("padme"), .tiers = ARIL_CACHE_L2, .padding = ARIL_CACHE_PAD_PADME },
        { .space = TEXT("block"),
          .tiers = ARIL_CACHE_L2,
          .padding = ARIL_CACHE_PAD_BLOCK,
          .pad_bytes = 4096 },
    };
    static const char *const spaces[] = { "plain", "padme", "block" };
    start(policies, 3);
    const size_t lens[] = { 0,           1,       15,      16,          4084,
                            4085,        MIB - 1, MIB,     MIB + 1,     2 * MIB - 12,
                            2 * MIB - 5, 2 * MIB, 3 * MIB, 3 * MIB + 7, 5 * MIB - 1 };
    for (size_t s = 0; s < 3; s++) {
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            const aril_cache_key key = cache_key("alice", spaces[s], "k");
            const aril_bytes value = pattern(lens[i], i);
            assert_status(cache_put(&ch, key, value), ARIL_OK);
            assert_status(cache_get(&ch, key, value, NULL), ARIL_OK);
        }
    }
}

static void the_store_sees_neither_names_nor_values(void **state)
{
    (void)state;
    start(NULL, 0);
    static const char *const secrets[] = { "alice", "sessions", "user:1", "plain text of a value" };
    const aril_cache_key key = cache_key("alice", "sessions", "user:1");
    const aril_span stored = put_and_take(key, TEXT("plain text of a value"));
    const aril_bytes name = cache_name(&ch, key);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        const size_t len = strlen(secrets[i]);
        assert_null(memmem(stored.data, stored.len, secrets[i], len));
        assert_null(memmem(name.data, name.len, secrets[i], len));
    }
    assert_int_equal(stored.len, arili_value_stored_bytes(21));
    assert_int_equal(cache_store_count(&ch), 1);
    free(stored.data);
}

static aril_cache_outcome outcome_with(aril_cache_key key, aril_bytes name, const uint8_t *bytes,
                                       size_t len, aril_status *ret)
{
    aril_cache_result result;
    cache_store_put(&ch, name, (aril_bytes){ bytes, len });
    (void)cache_get(&ch, key, TEXT("0123456789"), &result);
    *ret = result.status;
    return result.outcome;
}

/* Which outcome each byte of the header may have when it is changed. */
static void every_flipped_bit_has_its_outcome(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    start(&policy, 1);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_span stored = put_and_take(key, TEXT("0123456789"));
    const aril_bytes name = cache_name(&ch, key);
    for (size_t i = 0; i < stored.len * 8; i++) {
        aril_status st;
        stored.data[i / 8] ^= (uint8_t)(1u << i % 8);
        const aril_cache_outcome outcome = outcome_with(key, name, stored.data, stored.len, &st);
        stored.data[i / 8] ^= (uint8_t)(1u << i % 8);
        const size_t at = i / 8;
        const bool is_not_after = at >= 16 && at < 24;
        const bool is_key_id = at >= 40 && at < 72;
        assert_true(outcome == ARIL_CACHE_TAMPERED ||
                    (is_not_after && outcome == ARIL_CACHE_MISS && st == ARIL_E_EXPIRED_VALUE) ||
                    (is_key_id && outcome == ARIL_CACHE_KEY_GONE && st == ARIL_E_KEY_UNKNOWN));
    }
    aril_status st;
    assert_int_equal(outcome_with(key, name, stored.data, stored.len, &st), ARIL_CACHE_HIT);
    free(stored.data);
}

static void every_truncation_and_every_byte_more_is_tampering(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    start(&policy, 1);
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_span stored = put_and_take(key, TEXT("0123456789"));
    const aril_bytes name = cache_name(&ch, key);
    uint8_t *longer = calloc(1, stored.len + 32);
    assert_non_null(longer);
    memcpy(longer, stored.data, stored.len);
    for (size_t len = 0; len < stored.len + 32; len++) {
        aril_status st;
        const aril_cache_outcome outcome = outcome_with(key, name, longer, len, &st);
        assert_int_equal(outcome, len == stored.len ? ARIL_CACHE_HIT : ARIL_CACHE_TAMPERED);
        if (len != stored.len) {
            assert_status_class(st, ARIL_E_FORMAT);
        }
    }
    free(longer);
    free(stored.data);
}

/* A value moved to each of these names is not that name's. */
static void a_value_opens_under_its_own_name_alone(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    start(&policy, 1);
    const aril_cache_key own = cache_key("alice", "s", "k");
    aril_cache_key others[6];
    for (size_t i = 0; i < 6; i++) {
        others[i] = own;
    }
    others[0].key = TEXT("j");
    others[1].space = TEXT("t");
    others[2].database = 1;
    others[3].type = ARIL_CACHE_SET_MEMBER;
    others[4].type = ARIL_CACHE_HASH_FIELD;
    others[4].field = TEXT("f");
    others[5].tenant = TEXT("bob");
    const aril_span stored = put_and_take(own, TEXT("0123456789"));
    for (size_t i = 0; i < 6; i++) {
        aril_status st;
        world_forget(&w);
        const aril_cache_outcome outcome =
            outcome_with(others[i], cache_name(&ch, others[i]), stored.data, stored.len, &st);
        assert_int_equal(outcome, ARIL_CACHE_TAMPERED);
        assert_status(st, i == 5 ? ARIL_E_ISOLATION : ARIL_E_AUTH);
        assert_int_equal(
            world_events(&w, i == 5 ? ARIL_EVENT_ISOLATION_VIOLATION : ARIL_EVENT_AUTH_FAILURE), 1);
    }
    /* Segments of one value do not change places either. */
    const aril_bytes value = pattern(3 * MIB, 5);
    const aril_span big = put_and_take(own, value);
    uint8_t *first = big.data + ARILI_VALUE_HEADER_BYTES;
    uint8_t *swapped = malloc(big.len);
    const size_t segment = ARILI_VALUE_SEGMENT_BYTES + ARILI_VALUE_TAG_BYTES;
    assert_non_null(swapped);
    memcpy(swapped, big.data, big.len);
    memcpy(swapped + ARILI_VALUE_HEADER_BYTES, first + segment, segment);
    memcpy(swapped + ARILI_VALUE_HEADER_BYTES + segment, first, segment);
    aril_cache_result result;
    cache_store_put(&ch, cache_name(&ch, own), (aril_bytes){ swapped, big.len });
    assert_status(cache_get(&ch, own, value, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
    assert_status(result.status, ARIL_E_AUTH);
    free(swapped);
    free(big.data);
    free(stored.data);
}

static void policies_decide_what_a_caller_hears(void **state)
{
    (void)state;
    const aril_cache_policy policies[] = {
        { .space = TEXT("open"), .tiers = ARIL_CACHE_L2 },
        { .space = TEXT("closed"),
          .tiers = ARIL_CACHE_L2,
          .on_tamper = ARIL_CACHE_FAIL_CLOSED,
          .on_key_gone = ARIL_CACHE_FAIL_CLOSED },
    };
    start(policies, 2);
    for (int closed = 0; closed < 2; closed++) {
        const aril_cache_key key = cache_key("alice", closed ? "closed" : "open", "k");
        aril_cache_result result;
        cache_store_put(&ch, cache_name(&ch, key), TEXT("plain text in its place"));
        assert_status(cache_get(&ch, key, TEXT("?"), &result),
                      closed ? ARIL_E_FORMAT_VERSION : ARIL_E_NOT_FOUND);
        assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
    }
}

static void a_rotation_makes_no_miss_and_drains(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    aril_cache_stats stats;
    assert_status(cache_put(&ch, key, TEXT("before")), ARIL_OK);
    assert_status(home_rotate(&ch.keys, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("before"), &result), ARIL_OK);
    assert_true(result.old_key);
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.hits_old_key, 1);
    assert_status(cache_put(&ch, key, TEXT("after")), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("after"), &result), ARIL_OK);
    assert_false(result.old_key);
}

static void a_retired_key_is_gone_from_l1_as_well(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    struct key_copy old;
    aril_cache_result result;
    assert_status(cache_put(&ch, key, TEXT("before")), ARIL_OK);
    keyring_key(ch.keys.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &old);
    assert_status(home_rotate(&ch.keys, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    assert_status(aril_keyring_retire(ch.keys.kr, old.info.id, 0, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("before"), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
    assert_status(result.status, ARIL_E_KEY_RETIRED);
}

static void a_locked_keyring_serves_nothing_and_loses_nothing(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(aril_keyring_lock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_DOWN);
    assert_status(result.status, ARIL_E_KEY_LOCKED);
    assert_status(cache_put(&ch, key, TEXT("new")), ARIL_E_KEY_LOCKED);
    assert_status(aril_keyring_unlock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
}

static void a_shredded_tenant_has_nothing_any_more(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_cache_key other = cache_key("bob", "s", "k");
    aril_cache_result result;
    aril_shred_info info;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(cache_put(&ch, other, TEXT("bob's")), ARIL_OK);
    assert_status(aril_keyring_shred(ch.keys.kr, TEXT("alice"), 0, &info, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
    assert_status(result.status, ARIL_E_KEY_DESTROYED);
    assert_status(cache_put(&ch, key, TEXT("new")), ARIL_E_KEY_DESTROYED);
    assert_status(cache_get(&ch, other, TEXT("bob's"), &result), ARIL_OK);
}

static void a_tenant_that_is_not_there_has_nothing(void **state)
{
    (void)state;
    start(NULL, 0);
    aril_cache_result result;
    const aril_cache_key key = cache_key("carol", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_E_NOT_FOUND);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
}

static void yesterdays_value_is_a_miss(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .ttl_ms = 60000, .l1_ttl_ms = 10000 };
    start(&policy, 1);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    const aril_span stored = put_and_take(key, TEXT("value"));
    fake_clock_add_s(&w.clock, 59);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    fake_clock_add_s(&w.clock, 3);
    cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ stored.data, stored.len });
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
    assert_status(result.status, ARIL_E_EXPIRED_VALUE);
    free(stored.data);
}

static void a_bump_ends_a_namespace_and_an_older_value_stays_over(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_cache_key other = cache_key("alice", "t", "k");
    aril_cache_result result;
    uint64_t generation = 0;
    const aril_span stored = put_and_take(key, TEXT("value"));
    assert_status(cache_put(&ch, other, TEXT("other")), ARIL_OK);
    assert_status(aril_cache_bump(ch.cache, TEXT("alice"), TEXT("s"), &generation, &ch.error),
                  ARIL_OK);
    assert_int_equal(generation, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
    assert_status(cache_get(&ch, other, TEXT("other"), &result), ARIL_OK);
    assert_status(cache_put(&ch, key, TEXT("new")), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("new"), &result), ARIL_OK);
    cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ stored.data, stored.len });
    assert_status(cache_get_l2(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
    free(stored.data);
}

static void a_flush_empties_a_namespace_alone(void **state)
{
    (void)state;
    start(NULL, 0);
    uint64_t deleted = 0;
    char name[16];
    for (unsigned i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "k%u", i);
        assert_status(cache_put(&ch, cache_key("alice", "s", name), TEXT("v")), ARIL_OK);
    }
    assert_status(cache_put(&ch, cache_key("alice", "t", "k"), TEXT("v")), ARIL_OK);
    assert_status(cache_put(&ch, cache_key("bob", "s", "k"), TEXT("v")), ARIL_OK);
    assert_status(aril_cache_flush(ch.cache, TEXT("alice"), TEXT("s"), &deleted, &ch.error),
                  ARIL_OK);
    assert_int_equal(deleted, 700);
    assert_int_equal(cache_store_count(&ch), 2);
    assert_status(cache_get(&ch, cache_key("alice", "s", "k1"), TEXT("v"), NULL), ARIL_E_NOT_FOUND);
    assert_status(cache_get_l2(&ch, cache_key("alice", "t", "k"), TEXT("v"), NULL), ARIL_OK);
    assert_status(cache_get(&ch, cache_key("bob", "s", "k"), TEXT("v"), NULL), ARIL_OK);
}

static void a_tag_ends_what_was_put_with_it(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_bytes red[] = { TEXT("red") };
    const aril_bytes both[] = { TEXT("blue"), TEXT("red") };
    const aril_bytes blue[] = { TEXT("blue") };
    struct {
        const char *key;
        const aril_bytes *tags;
        size_t count;
    } const puts[] = { { "r", red, 1 }, { "rb", both, 2 }, { "b", blue, 1 }, { "n", NULL, 0 } };
    for (size_t i = 0; i < 4; i++) {
        aril_cache_item item = { .key = cache_key("alice", "s", puts[i].key),
                                 .value = TEXT("v"),
                                 .tags = puts[i].tags,
                                 .tag_count = puts[i].count };
        assert_status(aril_cache_put(ch.cache, &item, 1, &ch.error), ARIL_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_status(cache_get_l2(&ch, cache_key("alice", "s", puts[i].key), TEXT("v"), NULL),
                      ARIL_OK);
    }
    assert_status(
        aril_cache_invalidate_tag(ch.cache, TEXT("alice"), TEXT("s"), TEXT("red"), &ch.error),
        ARIL_OK);
    for (size_t i = 0; i < 4; i++) {
        aril_cache_result result;
        const aril_status st =
            cache_get(&ch, cache_key("alice", "s", puts[i].key), TEXT("v"), &result);
        assert_status(st, i < 2 ? ARIL_E_NOT_FOUND : ARIL_OK);
        assert_status(result.status, i < 2 ? ARIL_E_REPLAY_SUPERSEDED : ARIL_OK);
    }
}

static void deletes_and_exists_tell_what_is_there(void **state)
{
    (void)state;
    start(NULL, 0);
    aril_cache_item items[3] = { { .key = cache_key("alice", "s", "a") },
                                 { .key = cache_key("alice", "s", "b") },
                                 { .key = cache_key("alice", "s", "c") } };
    assert_status(cache_put(&ch, items[0].key, TEXT("v")), ARIL_OK);
    assert_status(cache_put(&ch, items[2].key, TEXT("v")), ARIL_OK);
    assert_status(aril_cache_exists(ch.cache, items, 3, &ch.error), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_NOT_FOUND);
    assert_status(items[2].status, ARIL_OK);
    assert_status(aril_cache_delete(ch.cache, items, 3, &ch.error), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_NOT_FOUND);
    assert_status(cache_get(&ch, items[0].key, TEXT("v"), NULL), ARIL_E_NOT_FOUND);
    assert_int_equal(cache_store_count(&ch), 0);
}

static void batches_mix_hits_and_misses(void **state)
{
    (void)state;
    start(NULL, 0);
    enum { N = 300 };
    static char names[N][8];
    static uint8_t buffers[N][16];
    static aril_cache_item items[N];
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i);
        items[i] = (aril_cache_item){ .key = cache_key("alice", "s", names[i]),
                                      .value = text_bytes(names[i]) };
    }
    assert_status(aril_cache_put(ch.cache, items, N, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    for (size_t i = 0; i < N; i++) {
        items[i] = (aril_cache_item){ .key = cache_key("alice", "s", names[i]),
                                      .buffer = { buffers[i], i == 7 ? 1 : 16 } };
        if (i % 3 == 2) {
            items[i].key.space = TEXT("elsewhere");
        }
    }
    assert_status(aril_cache_get(ch.cache, items, N, &ch.error), ARIL_E_BATCH);
    for (size_t i = 0; i < N; i++) {
        const size_t len = strlen(names[i]);
        if (i == 7) {
            assert_status(items[i].status, ARIL_E_USAGE_TOO_SMALL);
            assert_int_equal(items[i].result.len, len);
        } else if (i % 3 == 2) {
            assert_status(items[i].status, ARIL_E_NOT_FOUND);
        } else {
            assert_status(items[i].status, ARIL_OK);
            assert_int_equal(items[i].result.len, len);
            assert_memory_equal(buffers[i], names[i], len);
        }
    }
}

static void names_can_be_listed_where_the_policy_says_so(void **state);
static int note_name(void *user, const aril_cache_key *key, aril_bytes name)
{
    (void)name;
    unsigned *seen = user;
    assert_non_null(key);
    assert_int_equal(key->tenant.len, 5);
    *seen |= 1u << (key->key.data[key->key.len - 1] - '0');
    if (key->key.data[key->key.len - 1] == '3') {
        assert_int_equal(key->field.len, 1);
        assert_int_equal(key->database, 9);
    }
    return 0;
}
static void names_can_be_listed_where_the_policy_says_so(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .space = TEXT("listed"), .listable = 1, .hash_tags = 1 };
    start(&policy, 1);
    unsigned seen = 0;
    assert_status(cache_put(&ch, cache_key("alice", "listed", "key 1"), TEXT("v")), ARIL_OK);
    assert_status(cache_put(&ch, cache_key("alice", "listed", "{tag}2"), TEXT("v")), ARIL_OK);
    aril_cache_key field = cache_key("alice", "listed", "3");
    field.field = TEXT("f");
    field.type = ARIL_CACHE_HASH_FIELD;
    field.database = 9;
    assert_status(cache_put(&ch, field, TEXT("v")), ARIL_OK);
    assert_status(cache_put(&ch, cache_key("alice", "other", "4"), TEXT("v")), ARIL_OK);
    assert_status(
        aril_cache_list(ch.cache, TEXT("alice"), TEXT("listed"), note_name, &seen, &ch.error),
        ARIL_OK);
    assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
    /* One hash tag, one slot; and the tag itself does not show. */
    const aril_bytes a = cache_name(&ch, cache_key("alice", "listed", "{tag}2"));
    char first[ARIL_CACHE_NAME_BYTES_MAX];
    memcpy(first, a.data, a.len);
    const aril_bytes b = cache_name(&ch, cache_key("alice", "listed", "x{tag}y"));
    assert_memory_equal(first, b.data, 3 + 2 * 13 + 1 + 12 + 1);
    assert_null(memmem(b.data, b.len, "tag", 3));
}

struct computing {
    unsigned calls;
    aril_status answer;
    unsigned released;
};
static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *c = user;
    (void)key;
    c->calls++;
    *ret = TEXT("computed");
    return c->answer;
}
static void release(void *user, aril_bytes value)
{
    struct computing *c = user;
    assert_int_equal(value.len, 8);
    c->released++;
}

static void what_is_missing_is_computed_once(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .ttl_ms = 60000, .stale_ms = 20000 };
    start(&policy, 1);
    struct computing c = { .answer = ARIL_OK };
    const aril_cache_compute with = { .user = &c, .compute = compute, .release = release };
    for (int i = 0; i < 3; i++) {
        aril_cache_item item = { .key = cache_key("alice", "s", "k") };
        assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, &ch.error), ARIL_OK);
        assert_int_equal(item.buffer.len, 8);
        assert_memory_equal(item.buffer.data, "computed", 8);
        assert_int_equal(item.result.outcome, i == 0 ? ARIL_CACHE_MISS : ARIL_CACHE_HIT);
        aril_cache_value_free(&item.buffer);
        cache_home_reopen(&ch);
    }
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.released, 1);
    /* Stale: it is computed anew; when that fails the stale value is served. */
    fake_clock_add_s(&w.clock, 45);
    c.answer = ARIL_E_IO;
    aril_cache_item item = { .key = cache_key("alice", "s", "k") };
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, &ch.error), ARIL_OK);
    assert_int_equal(item.result.stale, 1);
    assert_int_equal(c.calls, 2);
    aril_cache_value_free(&item.buffer);
    c.answer = ARIL_OK;
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, &ch.error), ARIL_OK);
    assert_int_equal(c.calls, 3);
    aril_cache_value_free(&item.buffer);
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, &ch.error), ARIL_OK);
    assert_int_equal(item.result.stale, 0);
    assert_int_equal(c.calls, 3);
    aril_cache_value_free(&item.buffer);
    /* What fails is not cached. */
    c.answer = ARIL_E_IO;
    aril_cache_item missing = { .key = cache_key("alice", "s", "other") };
    assert_status(aril_cache_get_or_compute(ch.cache, &missing, &with, &ch.error), ARIL_E_IO);
    assert_null(missing.buffer.data);
}

static void another_cache_hears_of_changes(void **state)
{
    (void)state;
    cache_home_init(&ch, &w, "memory:shared", NULL, 0);
    aril_store *store = NULL;
    aril_cache *other = NULL;
    const aril_store_config store_config = { .uri = "memory:shared" };
    assert_status(aril_store_open(w.rt, &store_config, &store, &ch.error), ARIL_OK);
    const aril_cache_config config = { .keyring = ch.keys.kr, .store = store };
    assert_status(aril_cache_open(w.rt, &config, &other, &ch.error), ARIL_OK);
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("old")), ARIL_OK);
    uint8_t room[16];
    aril_cache_item item = { .key = key, .buffer = { room, sizeof room } };
    assert_status(aril_cache_get(other, &item, 1, NULL), ARIL_OK); /* now in its L1 */
    assert_status(cache_put(&ch, key, TEXT("newer")), ARIL_OK);
    for (int i = 0; i < 5000; i++) {
        assert_status(aril_cache_get(other, &item, 1, NULL), ARIL_OK);
        if (item.result.len == 5) {
            break;
        }
        const struct timespec ms = { .tv_nsec = 1000000 };
        nanosleep(&ms, NULL);
    }
    assert_int_equal(item.result.len, 5);
    aril_cache_stats stats;
    assert_status(aril_cache_get_stats(other, &stats), ARIL_OK);
    assert_true(stats.invalidated >= 1);
    aril_cache_close(other);
    aril_store_close(store);
}

static void a_namespace_of_another_format_has_no_native_values(void **state)
{
    (void)state;
    const aril_cache_policy native = { .space = TEXT("s") };
    const aril_cache_policy other = { .space = TEXT("s"),
                                      .legacy_reads = 1u << ARIL_CACHE_CACHEKIT_INTEROP,
                                      .legacy_until_s = FAKE_UNIX_S + 1000,
                                      .writes = ARIL_CACHE_CACHEKIT_INTEROP };
    const aril_bytes master = TEXT("0123456789abcdef0123456789abcdef");
    const aril_cache_key key = cache_key("alice", "s", "users:get:1");
    start(&native, 1);
    assert_status(cache_put(&ch, key, TEXT("native")), ARIL_OK);
    ch.config.policies = &other;
    cache_home_reopen(&ch);
    assert_status(aril_cache_legacy_keys(ch.cache, TEXT("alice"), ARIL_CACHE_CACHEKIT_INTEROP,
                                         &master, 1, &ch.error),
                  ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("native"), NULL), ARIL_E_NOT_FOUND);
    assert_status(cache_put(&ch, key, TEXT("\xa3new")), ARIL_OK);
    aril_cache_result result;
    assert_status(cache_get(&ch, key, TEXT("\xa3new"), &result), ARIL_OK);
    assert_int_equal(result.format, ARIL_CACHE_CACHEKIT_INTEROP);
    aril_cache_item item = { .key = key };
    assert_status(aril_cache_delete(ch.cache, &item, 1, &ch.error), ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("native"), NULL), ARIL_E_NOT_FOUND);
    /* Nothing of it is accepted after its day. */
    assert_status(cache_put(&ch, key, TEXT("\xa3new")), ARIL_OK);
    fake_clock_add_s(&w.clock, 1001);
    assert_status(cache_get(&ch, key, TEXT("\xa3new"), NULL), ARIL_E_NOT_FOUND);
}

static void policies_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_policy bad[] = {
        { .tiers = 4 },
        { .ttl_ms = 10, .ttl_max_ms = 5 },
        { .ttl_ms = 10, .stale_ms = 10 },
        { .jitter_percent = 51 },
        { .on_tamper = (aril_cache_failure)2 },
        { .padding = ARIL_CACHE_PAD_BLOCK },
        { .pad_bytes = 16 },
        { .value_max = ARIL_CACHE_VALUE_BYTES_MAX + 1 },
        { .legacy_reads = 1 },
        { .legacy_reads = 2 },
        { .legacy_reads = 6, .legacy_until_s = 1 },
        { .legacy_until_s = 1 },
        { .writes = ARIL_CACHE_CACHEKIT_INTEROP },
        { .writes = ARIL_CACHE_CACHEKIT_PY, .legacy_reads = 4, .legacy_until_s = 1 },
        { .writes = ARIL_CACHE_LMCACHE, .legacy_reads = 32, .legacy_until_s = 1 },
        { .lmcache_writes_max = 5 },
        { .lmcache_key_bits = 192 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const aril_cache_config config = {
            .keyring = ch.keys.kr, .store = ch.store, .policies = &bad[i], .policy_count = 1
        };
        aril_cache *cache = (aril_cache *)&ch;
        ch.error = (aril_error){ .status = ARIL_OK };
        assert_status(aril_cache_open(w.rt, &config, &cache, &ch.error), ARIL_E_USAGE_RANGE);
        assert_null(cache);
        assert_true(strlen(ch.error.message) > 10);
    }
}

static void a_config_out_of_range_is_refused_and_named(void **state)
{
    (void)state;
    cache_home_init(&ch, &w, "memory:shared", NULL, 0);
    const struct {
        aril_cache_config config;
        const char *member;
    } bad[] = {
        { { .keyring = ch.keys.kr }, "l1_bytes" },
        { { .keyring = ch.keys.kr, .l1_bytes = 65535 }, "l1_bytes of a cache is 65535" },
        { { .keyring = ch.keys.kr, .l1_bytes = 65536, .l1_shards = 3 },
          "l1_shards of a cache is 3" },
        { { .keyring = ch.keys.kr, .l1_bytes = 65536, .l1_shards = 512 }, "l1_shards" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aril_cache *cache = NULL;
        assert_status(aril_cache_open(w.rt, &bad[i].config, &cache, &ch.error), ARIL_E_USAGE_RANGE);
        assert_non_null(strstr(ch.error.message, bad[i].member));
    }
    aril_cache *second = NULL;
    const aril_cache_config same_store = { .keyring = ch.keys.kr, .store = ch.store };
    assert_status(aril_cache_open(w.rt, &same_store, &second, &ch.error), ARIL_E_USAGE_STATE);
    assert_null(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_a_hit_in_l1_and_then_in_l2),
        TEST(values_of_every_length_come_back),
        TEST(the_store_sees_neither_names_nor_values),
        TEST(every_flipped_bit_has_its_outcome),
        TEST(every_truncation_and_every_byte_more_is_tampering),
        TEST(a_value_opens_under_its_own_name_alone),
        TEST(policies_decide_what_a_caller_hears),
        TEST(a_rotation_makes_no_miss_and_drains),
        TEST(a_retired_key_is_gone_from_l1_as_well),
        TEST(a_locked_keyring_serves_nothing_and_loses_nothing),
        TEST(a_shredded_tenant_has_nothing_any_more),
        TEST(a_tenant_that_is_not_there_has_nothing),
        TEST(yesterdays_value_is_a_miss),
        TEST(a_bump_ends_a_namespace_and_an_older_value_stays_over),
        TEST(a_flush_empties_a_namespace_alone),
        TEST(a_tag_ends_what_was_put_with_it),
        TEST(deletes_and_exists_tell_what_is_there),
        TEST(batches_mix_hits_and_misses),
        TEST(names_can_be_listed_where_the_policy_says_so),
        TEST(what_is_missing_is_computed_once),
        TEST(another_cache_hears_of_changes),
        TEST(a_namespace_of_another_format_has_no_native_values),
        TEST(policies_that_contradict_themselves_are_refused),
        TEST(a_config_out_of_range_is_refused_and_named),
    };
    return cmocka_run_group_tests_name("cache", tests, temp_folder_make, temp_folder_remove);
}
