/* SPDX-License-Identifier: Apache-2.0 */
/* What a store, a caller or a clock can do wrong, one test each with its exact outcome. */
#include "cache_fixture.h"
#include "faulty_cache_store.h"
#include "legacy_values.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB   ((size_t)1 << 20)
#define DAY_S UINT64_C(86400)

static struct world w;
static struct cache_home ch;
static struct faulty_cache_store *faulty;

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
    if (faulty != NULL) {
        faulty_cache_store_free(faulty);
        faulty = NULL;
    }
    world_done(&w);
    return 0;
}

/* A cache without L1, over a store that lies and fails when it is told to. */
static void start(void)
{
    static const aril_cache_policy past_l1 = { .tiers = ARIL_CACHE_L2 };
    const aril_store_config config = { .uri = "memory:",
                                       .breaker_after = 1000,
                                       .bytes_max = (uint64_t)1 << 30,
                                       .deadline_ms = 60000 };
    cache_home_init(&ch, &w, NULL, NULL, 0);
    faulty = faulty_cache_store_new(&arili_cache_store_memory);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    ch.config.policies = &past_l1;
    ch.config.policy_count = 1;
    cache_home_reopen(&ch);
}

static aril_cache_key key_k(void)
{
    return cache_key("alice", "s", "k");
}

/* What a get says of the key, with the status behind it. */
static void expect(aril_cache_key key, aril_cache_outcome outcome, aril_status status)
{
    aril_cache_result result;
    const aril_status st = cache_get(&ch, key, TEXT("the value of k"), &result);
    if (result.outcome != outcome || result.status != status) {
        fail_msg("%s, %s; not %s, %s", aril_cache_outcome_name(result.outcome),
                 aril_status_name(result.status), aril_cache_outcome_name(outcome),
                 aril_status_name(status));
    }
    assert_status(st, outcome == ARIL_CACHE_HIT ? ARIL_OK : ARIL_E_NOT_FOUND);
}

static void put_k(void)
{
    assert_status(cache_put(&ch, key_k(), TEXT("the value of k")), ARIL_OK);
}

/* --- A store that answers something else ------------------------------------------------------ */

static void get_two(aril_cache_key a, aril_cache_key b, aril_status want)
{
    aril_cache_item items[] = { { .key = a }, { .key = b } };
    faulty_cache_store_lie(faulty, FAULTY_CACHE_SWAP, 0);
    assert_status(aril_cache_get(ch.cache, items, 2, &ch.error), ARIL_OK);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_HONEST, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_status(items[i].status, ARIL_E_NOT_FOUND);
        assert_int_equal(items[i].result.outcome, ARIL_CACHE_TAMPERED);
        assert_status(items[i].result.status, want);
        assert_null(items[i].buffer.data);
    }
}

static void values_that_are_swapped_are_tampering(void **state)
{
    (void)state;
    start();
    aril_cache_key others[] = { key_k(), key_k(), key_k(), key_k(), key_k() };
    others[0].key = TEXT("j");
    others[1].space = TEXT("t");
    others[2].database = 1;
    others[3].type = ARIL_CACHE_SET_MEMBER;
    others[4].tenant = TEXT("bob");
    put_k();
    for (size_t i = 0; i < COUNT(others); i++) {
        const bool other_tenant = i == 4;
        assert_status(cache_put(&ch, others[i], TEXT("another value!")), ARIL_OK);
        world_forget(&w);
        get_two(key_k(), others[i], other_tenant ? ARIL_E_ISOLATION : ARIL_E_AUTH);
        assert_int_equal(world_events(&w, ARIL_EVENT_ISOLATION_VIOLATION), other_tenant ? 2 : 0);
        assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), other_tenant ? 0 : 2);
        expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    }
}

static void the_value_of_another_key_is_tampering(void **state)
{
    (void)state;
    start();
    assert_status(cache_put(&ch, cache_key("alice", "s", "j"), TEXT("the value of j")), ARIL_OK);
    put_k();
    faulty_cache_store_lie(faulty, FAULTY_CACHE_OTHER, 0);
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_AUTH);
}

/* Within its life a value that was replaced can be given back by a store: nothing but that life
 * and its generation ends it. docs/THREAT-MODEL.md. */
static void an_older_value_is_bounded_by_its_life_and_generation(void **state)
{
    (void)state;
    start();
    put_k();
    assert_status(cache_put(&ch, key_k(), TEXT("the next value")), ARIL_OK);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_REPLAY, 0);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    assert_status(aril_cache_bump(ch.cache, TEXT("alice"), TEXT("s"), NULL, &ch.error), ARIL_OK);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_REPLAY_SUPERSEDED);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_HONEST, 0);
    put_k();
    put_k();
    fake_clock_add_s(&w.clock, 3601); /* the default life is an hour, and up to a second more */
    faulty_cache_store_lie(faulty, FAULTY_CACHE_REPLAY, 0);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_EXPIRED_VALUE);
}

static void every_lie_about_the_length_is_noticed(void **state)
{
    (void)state;
    start();
    put_k();
    const aril_span stored = cache_stored(&ch, cache_name(&ch, key_k()));
    for (size_t len = 0; len < stored.len; len++) {
        aril_cache_result result;
        faulty_cache_store_lie(faulty, FAULTY_CACHE_TRUNCATE, len);
        assert_status(cache_get(&ch, key_k(), TEXT("the value of k"), &result), ARIL_E_NOT_FOUND);
        assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
        assert_status_class(result.status, ARIL_E_FORMAT);
    }
    faulty_cache_store_lie(faulty, FAULTY_CACHE_APPEND, 1);
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_FORMAT_LENGTH);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_APPEND, MIB);
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_FORMAT_LENGTH);
    /* Longer than any value of the policy: passed over, nothing is taken for it. */
    faulty_cache_store_lie(faulty, FAULTY_CACHE_APPEND, 80 * MIB);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_LIMIT);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_HONEST, 0);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    free(stored.data);
}

static void a_length_that_no_value_has_is_an_answer_without_sense(void **state)
{
    (void)state;
    start();
    put_k();
    faulty_cache_store_lie(faulty, FAULTY_CACHE_LENGTH, SIZE_MAX);
    expect(key_k(), ARIL_CACHE_DOWN, ARIL_E_FORMAT_LENGTH);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_GONE, 0);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_NOT_FOUND);
}

static void plaintext_is_no_value(void **state)
{
    (void)state;
    start();
    cache_store_put(&ch, cache_name(&ch, key_k()), TEXT("the value of k"));
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_FORMAT_VERSION);
    cache_store_put(&ch, cache_name(&ch, key_k()), TEXT(""));
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_FORMAT_TRUNCATED);
}

/* --- Frames of others where none are read ------------------------------------------------------
 */

static void count_refused(const struct legacy_case *c)
{
    cache_store_put(&ch, cache_name(&ch, key_k()), c->stored);
    aril_cache_result result;
    (void)cache_get(&ch, key_k(), TEXT("the value of k"), &result);
    assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
    assert_status_class(result.status, ARIL_E_FORMAT);
    /* Under its own name it is not even looked at. */
    aril_cache_key own = cache_key("alice", "s", "");
    own.key = c->scope.name;
    cache_store_put(&ch, c->scope.name, c->stored);
    (void)cache_get(&ch, own, c->value, &result);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
    assert_status(result.status, ARIL_E_NOT_FOUND);
}

static void frames_of_others_are_refused_in_a_native_namespace(void **state)
{
    (void)state;
    start();
    assert_true(legacy_case_each(count_refused) > 10);
}

/* --- Disk full, clocks ------------------------------------------------------------------------ */

static void a_full_store_is_said_and_loses_nothing(void **state)
{
    (void)state;
    start();
    put_k();
    faulty_cache_store_arm_item(faulty, 1, 0, ARIL_E_IO_FULL);
    assert_status(cache_put(&ch, key_k(), TEXT("a newer value!")), ARIL_E_IO_FULL);
    faulty_cache_store_disarm(faulty);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    aril_cache_item items[] = { { .key = cache_key("alice", "s", "a"), .value = TEXT("a") },
                                { .key = cache_key("alice", "s", "b"), .value = TEXT("b") } };
    faulty_cache_store_arm_item(faulty, 1, 1, ARIL_E_IO_FULL);
    assert_status(aril_cache_put(ch.cache, items, 2, &ch.error), ARIL_E_BATCH);
    faulty_cache_store_disarm(faulty);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_IO_FULL);
    aril_cache_stats stats;
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.put_failures, 2);
}

static void a_clock_that_jumps_forward_ends_values(void **state)
{
    (void)state;
    start();
    put_k();
    fake_clock_add_s(&w.clock, 40 * DAY_S);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_EXPIRED_VALUE);
    put_k();
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
}

/* The time of day goes back; what was put in the meantime ends when its time of day says so, and no
 * later than the time to live after that. */
static void a_clock_that_jumps_back_ends_nothing_early(void **state)
{
    (void)state;
    start();
    put_k();
    atomic_fetch_sub(&w.clock.unix_s, DAY_S);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    put_k();
    fake_clock_add_s(&w.clock, 3599);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    fake_clock_add_s(&w.clock, 2);
    expect(key_k(), ARIL_CACHE_MISS, ARIL_E_EXPIRED_VALUE);
}

/* L1 goes by the boot clock, which nobody sets. */
static void the_time_of_day_does_not_keep_values_in_l1(void **state)
{
    (void)state;
    cache_home_init(&ch, &w, "memory:", NULL, 0);
    aril_cache_result result;
    put_k();
    atomic_fetch_sub(&w.clock.unix_s, 10 * DAY_S);
    assert_status(cache_get(&ch, key_k(), TEXT("the value of k"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
    fake_clock_add_ns(&w.clock, 61 * FAKE_NS_PER_S);
    assert_status(cache_get(&ch, key_k(), TEXT("the value of k"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
}

static void a_clock_that_fails_is_said(void **state)
{
    (void)state;
    start();
    put_k();
    atomic_store(&w.clock.status, ARIL_E_CLOCK);
    expect(key_k(), ARIL_CACHE_DOWN, ARIL_E_CLOCK);
    assert_status(cache_put(&ch, key_k(), TEXT("x")), ARIL_E_CLOCK);
    atomic_store(&w.clock.status, ARIL_OK);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
}

/* --- Lengths ---------------------------------------------------------------------------------- */

static void run_tasks(void *state, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    (void)state;
    for (size_t i = count; i > 0; i--) { /* any order is right */
        task(arg, i - 1);
    }
}

static void a_value_of_80_mib_comes_back_where_it_is_allowed(void **state)
{
    (void)state;
    start();
    static const aril_executor executor = { .abi = ARIL_EXECUTOR_ABI, .run = run_tasks };
    static const aril_cache_policy wide = { .value_max = 81 * MIB };
    const size_t len = 80 * MIB;
    uint8_t *value = malloc(len);
    assert_non_null(value);
    fill_pattern(value, len, 80);
    assert_status(cache_put(&ch, key_k(), (aril_bytes){ value, len }), ARIL_E_LIMIT);
    for (int threads = 0; threads < 2; threads++) {
        ch.config.policies = &wide;
        ch.config.executor = threads != 0 ? &executor : NULL;
        cache_home_reopen(&ch);
        assert_status(cache_put(&ch, key_k(), (aril_bytes){ value, len }), ARIL_OK);
        assert_status(cache_get(&ch, key_k(), (aril_bytes){ value, len }, NULL), ARIL_OK);
    }
    free(value);
}

static void keys_have_up_to_a_mebibyte(void **state)
{
    (void)state;
    start();
    uint8_t *bytes = calloc(1, MIB + 1);
    assert_non_null(bytes);
    aril_cache_key key = key_k();
    key.key = (aril_bytes){ bytes, MIB };
    assert_status(cache_put(&ch, key, TEXT("the value of k")), ARIL_OK);
    expect(key, ARIL_CACHE_HIT, ARIL_OK);
    bytes[MIB - 1] = 1; /* another key, by its last byte */
    expect(key, ARIL_CACHE_MISS, ARIL_E_NOT_FOUND);
    key.field = (aril_bytes){ bytes, MIB };
    key.type = ARIL_CACHE_HASH_FIELD;
    assert_status(cache_put(&ch, key, TEXT("the value of k")), ARIL_OK);
    expect(key, ARIL_CACHE_HIT, ARIL_OK);
    key.field.len++;
    assert_status(cache_put(&ch, key, TEXT("x")), ARIL_E_USAGE_RANGE);
    key = key_k();
    key.key = (aril_bytes){ bytes, MIB + 1 };
    assert_status(cache_put(&ch, key, TEXT("x")), ARIL_E_USAGE_RANGE);
    aril_cache_result result;
    assert_status(cache_get(&ch, key, TEXT("x"), &result), ARIL_E_USAGE_RANGE);
    free(bytes);
}

static void empty_values_and_keys_with_nul_are_values_and_keys(void **state)
{
    (void)state;
    cache_home_init(&ch, &w, "memory:", NULL, 0);
    static const uint8_t a[] = { 'a', 0, 'b' };
    static const uint8_t b[] = { 'a', 0, 'c' };
    static const uint8_t nul[] = { 0 };
    const aril_bytes keys[] = { { a, 3 }, { b, 3 }, { a, 1 }, { a, 2 }, { nul, 1 } };
    for (size_t i = 0; i < COUNT(keys); i++) {
        const uint8_t text[] = { (uint8_t)('0' + i) };
        aril_cache_key key = key_k();
        key.key = keys[i];
        assert_status(cache_put(&ch, key, (aril_bytes){ text, i > 0 ? 1 : 0 }), ARIL_OK);
    }
    for (int l2 = 0; l2 < 2; l2++) {
        for (size_t i = 0; i < COUNT(keys); i++) {
            const uint8_t text[] = { (uint8_t)('0' + i) };
            aril_cache_key key = key_k();
            key.key = keys[i];
            assert_status(cache_get(&ch, key, (aril_bytes){ text, i > 0 ? 1 : 0 }, NULL), ARIL_OK);
        }
        cache_home_reopen(&ch);
    }
}

/* --- Arguments -------------------------------------------------------------------------------- */

static void expect_refused(aril_cache_item item, aril_status want)
{
    const aril_cache_item before = item;
    assert_status(aril_cache_put(ch.cache, &item, 1, NULL), want);
    item = before;
    if (before.tags == NULL && before.value.len == 0) { /* it is the key that is wrong */
        assert_status(aril_cache_get(ch.cache, &item, 1, NULL), want);
        assert_null(item.buffer.data);
        assert_status(aril_cache_delete(ch.cache, &item, 1, NULL), want);
        assert_status(aril_cache_exists(ch.cache, &item, 1, NULL), want);
    }
}

static void arguments_out_of_range_are_refused_everywhere(void **state)
{
    (void)state;
    start();
    static uint8_t bytes[300];
    const aril_bytes none = { NULL, 1 };
    aril_bytes tags[ARIL_CACHE_TAGS_MAX + 1];
    aril_cache_item item = { .key = key_k() };
    item.key.tenant.len = 0;
    expect_refused(item, ARIL_E_USAGE_RANGE);
    item.key.tenant = (aril_bytes){ bytes, ARIL_TENANT_ID_BYTES_MAX + 1 };
    expect_refused(item, ARIL_E_USAGE_RANGE);
    item.key = key_k();
    item.key.space = (aril_bytes){ bytes, ARIL_CACHE_SPACE_BYTES_MAX + 1 };
    expect_refused(item, ARIL_E_USAGE_RANGE);
    item.key = key_k();
    item.key.key.len = 0;
    expect_refused(item, ARIL_E_USAGE_RANGE);
    item.key.key = none;
    expect_refused(item, ARIL_E_USAGE_NULL);
    item.key = key_k();
    item.key.field = none;
    expect_refused(item, ARIL_E_USAGE_NULL);
    item.key = key_k();
    item.value = none;
    expect_refused(item, ARIL_E_USAGE_NULL);
    item = (aril_cache_item){ .key = key_k(), .tags = tags, .tag_count = COUNT(tags) };
    for (size_t i = 0; i < COUNT(tags); i++) {
        tags[i] = TEXT("tag");
    }
    expect_refused(item, ARIL_E_USAGE_RANGE);
    item.tag_count = 1;
    tags[0].len = 0;
    expect_refused(item, ARIL_E_USAGE_RANGE);
    assert_int_equal(cache_store_count(&ch), 0);
}

/* Types of our own records are not a caller's. */
static void a_type_that_is_none_is_refused(void **state)
{
    (void)state;
    start();
    static const unsigned types[] = { 4, 5, 0x7f, 0x80, 0x81, 0x100, 0x181 };
    for (size_t i = 0; i < COUNT(types); i++) {
        aril_cache_item item = { .key = key_k() };
        item.key.type = (aril_cache_type)types[i];
        expect_refused(item, ARIL_E_USAGE_RANGE);
    }
}

/* --- KV blocks -------------------------------------------------------------------------------- */

static void every_member_of_a_block_changes_its_name(void **state)
{
    (void)state;
    start();
    static const uint8_t chain[64] = { 1, 2, 3 };
    const aril_cache_block own = { .model = TEXT("model@1"),
                                   .layer_count = 1,
                                   .chain = { chain, 32 } };
    aril_cache_block others[8];
    uint8_t names[9][ARIL_CACHE_BLOCK_KEY_BYTES];
    for (size_t i = 0; i < 8; i++) {
        others[i] = own;
    }
    others[0].model = TEXT("model@2");
    others[1].layout[31] = 1;
    others[2].layer_first = 1;
    others[3].layer_count = 2;
    others[4].rank = 1;
    others[5].group = 1;
    others[6].chain.len = 33;
    others[7].chain.data = chain + 1;
    assert_status(aril_cache_block_name(ch.cache, &own, names[8]), ARIL_OK);
    for (size_t i = 0; i < 8; i++) {
        assert_status(aril_cache_block_name(ch.cache, &others[i], names[i]), ARIL_OK);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(names[i], names[k], sizeof names[i]);
        }
        assert_memory_not_equal(names[i], names[8], sizeof names[i]);
    }
    others[0].chain.len = 15;
    assert_status(aril_cache_block_name(ch.cache, &others[0], names[0]), ARIL_E_USAGE_RANGE);
    others[0].chain.len = 65;
    assert_status(aril_cache_block_name(ch.cache, &others[0], names[0]), ARIL_E_USAGE_RANGE);
    others[1].layer_count = 0;
    assert_status(aril_cache_block_name(ch.cache, &others[1], names[0]), ARIL_E_USAGE_RANGE);
    /* A block is a value like any other, and no string of that name is one. */
    aril_cache_key block = key_k();
    block.key = (aril_bytes){ names[8], sizeof names[8] };
    block.type = ARIL_CACHE_BLOCK;
    assert_status(cache_put(&ch, block, TEXT("the value of k")), ARIL_OK);
    expect(block, ARIL_CACHE_HIT, ARIL_OK);
    block.type = ARIL_CACHE_STRING;
    expect(block, ARIL_CACHE_MISS, ARIL_E_NOT_FOUND);
}

static void salts_tell_tenants_and_domains_apart_and_caches_not(void **state)
{
    (void)state;
    start();
    char salts[4][ARIL_CACHE_SALT_TEXT];
    assert_status(aril_cache_salt(ch.cache, TEXT("alice"), TEXT(""), salts[0], NULL), ARIL_OK);
    assert_status(aril_cache_salt(ch.cache, TEXT("alice"), TEXT("d"), salts[1], NULL), ARIL_OK);
    assert_status(aril_cache_salt(ch.cache, TEXT("bob"), TEXT(""), salts[2], NULL), ARIL_OK);
    cache_home_reopen(&ch);
    assert_status(aril_cache_salt(ch.cache, TEXT("alice"), TEXT(""), salts[3], NULL), ARIL_OK);
    assert_string_equal(salts[0], salts[3]);
    assert_string_not_equal(salts[0], salts[1]);
    assert_string_not_equal(salts[0], salts[2]);
    assert_string_not_equal(salts[1], salts[2]);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(strlen(salts[i]), 43);
        assert_int_equal(strspn(salts[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789-_"),
                         43);
    }
    assert_status(aril_cache_salt(ch.cache, TEXT("carol"), TEXT(""), salts[0], NULL),
                  ARIL_E_NOT_FOUND);
}

static bool is_tenant(aril_bytes got, const char *want)
{
    return got.len == strlen(want) && memcmp(got.data, want, got.len) == 0;
}

static void a_listed_prefix_belongs_to_the_shared_tenant(void **state)
{
    (void)state;
    start();
    uint8_t chains[100][32];
    for (size_t i = 0; i < 100; i++) {
        fill_pattern(chains[i], sizeof chains[i], i);
    }
    const aril_bytes listed = { chains[0], 32 };
    const aril_bytes other = { chains[99], 32 };
    const aril_bytes shorter = { chains[0], 31 };
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), listed), "alice"));
    assert_status(aril_cache_share(ch.cache, TEXT("carol"), chains[0], 32, 99, NULL),
                  ARIL_E_NOT_FOUND);
    assert_status(aril_cache_share(ch.cache, TEXT("bob"), chains[0], 32, 99, NULL), ARIL_OK);
    for (size_t i = 0; i < 99; i++) {
        const aril_bytes chain = { chains[i], 32 };
        assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), chain), "bob"));
    }
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), other), "alice"));
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), shorter), "alice"));
    /* A new list takes the place of the old one; an empty one ends it. */
    assert_status(aril_cache_share(ch.cache, TEXT("bob"), chains[99], 32, 1, NULL), ARIL_OK);
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), listed), "alice"));
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), other), "bob"));
    assert_status(aril_cache_share(ch.cache, TEXT("bob"), NULL, 32, 0, NULL), ARIL_OK);
    assert_true(is_tenant(aril_cache_block_tenant(ch.cache, TEXT("alice"), other), "alice"));
}

/* --- Evidence --------------------------------------------------------------------------------- */

static struct {
    unsigned calls;
    aril_status why;
    uint8_t value[256];
    size_t len;
    char name[ARIL_CACHE_NAME_BYTES_MAX];
    size_t name_len;
} seen;

static void keep_evidence(void *user, const aril_cache_key *key, aril_bytes name, aril_bytes value,
                          aril_status why)
{
    assert_ptr_equal(user, &seen);
    assert_memory_equal(key->key.data, "k", 1);
    assert_true(value.len <= sizeof seen.value && name.len <= sizeof seen.name);
    seen.calls++;
    seen.why = why;
    seen.len = value.len;
    seen.name_len = name.len;
    memcpy(seen.value, value.data, value.len);
    memcpy(seen.name, name.data, name.len);
}

static void evidence_is_the_whole_value_and_its_name(void **state)
{
    (void)state;
    start();
    static const aril_cache_policy wanted = { .tiers = ARIL_CACHE_L2, .evidence = 1 };
    ch.config.policies = &wanted;
    ch.config.evidence = keep_evidence;
    ch.config.user = &seen;
    memset(&seen, 0, sizeof seen);
    cache_home_reopen(&ch);
    put_k();
    const aril_bytes name = cache_name(&ch, key_k());
    const aril_span stored = cache_stored(&ch, name);
    expect(key_k(), ARIL_CACHE_HIT, ARIL_OK);
    assert_int_equal(seen.calls, 0);
    stored.data[stored.len - 1] ^= 1;
    cache_store_put(&ch, name, (aril_bytes){ stored.data, stored.len });
    expect(key_k(), ARIL_CACHE_TAMPERED, ARIL_E_AUTH);
    assert_int_equal(seen.calls, 1);
    assert_status(seen.why, ARIL_E_AUTH);
    assert_int_equal(seen.len, stored.len);
    assert_memory_equal(seen.value, stored.data, stored.len);
    assert_int_equal(seen.name_len, name.len);
    assert_memory_equal(seen.name, name.data, name.len);
    free(stored.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_that_are_swapped_are_tampering),
        TEST(the_value_of_another_key_is_tampering),
        TEST(an_older_value_is_bounded_by_its_life_and_generation),
        TEST(every_lie_about_the_length_is_noticed),
        TEST(a_length_that_no_value_has_is_an_answer_without_sense),
        TEST(plaintext_is_no_value),
        TEST(frames_of_others_are_refused_in_a_native_namespace),
        TEST(a_full_store_is_said_and_loses_nothing),
        TEST(a_clock_that_jumps_forward_ends_values),
        TEST(a_clock_that_jumps_back_ends_nothing_early),
        TEST(the_time_of_day_does_not_keep_values_in_l1),
        TEST(a_clock_that_fails_is_said),
        TEST(a_value_of_80_mib_comes_back_where_it_is_allowed),
        TEST(keys_have_up_to_a_mebibyte),
        TEST(empty_values_and_keys_with_nul_are_values_and_keys),
        TEST(arguments_out_of_range_are_refused_everywhere),
        TEST(a_type_that_is_none_is_refused),
        TEST(every_member_of_a_block_changes_its_name),
        TEST(salts_tell_tenants_and_domains_apart_and_caches_not),
        TEST(a_listed_prefix_belongs_to_the_shared_tenant),
        TEST(evidence_is_the_whole_value_and_its_name),
    };
    if (temp_folder_make(NULL) != 0) {
        return 1;
    }
    const int failed = cmocka_run_group_tests_name("bad input", tests, legacy_values_setup,
                                                   legacy_values_teardown);
    return failed + (temp_folder_remove(NULL) != 0);
}
