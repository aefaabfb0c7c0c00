/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "faulty_cache_store.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What puts, deletes, bumps and tags change: in the store, in L1, and in the L1 of others. */

static struct world w;
static struct cache_home ch;
static struct faulty_cache_store *faulty;
static aril_store *store; /* of the other process */
static aril_cache *other;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    memset(&ch, 0, sizeof ch);
    store = NULL;
    other = NULL;
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    aril_cache_close(other);
    aril_store_close(store);
    cache_home_done(&ch);
    if (faulty != NULL) {
        faulty_cache_store_free(faulty);
        faulty = NULL;
    }
    world_done(&w);
    return 0;
}

static void start(const aril_cache_policy *policy)
{
    cache_home_init(&ch, &w, "memory:shared", policy, policy != NULL ? 1 : 0);
}

static void start_faulty(const aril_cache_policy *policy)
{
    const aril_store_config config = { .uri = "memory:", .breaker_after = 1000 };
    start(policy);
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
    faulty = faulty_cache_store_new(&arili_cache_store_memory);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
}

/* A second cache over the same memory and keyring: it shares messages alone. */
static void start_other(void)
{
    const aril_store_config store_config = { .uri = "memory:shared" };
    aril_cache_config config = ch.config;
    assert_status(aril_store_open(w.rt, &store_config, &store, &ch.error), ARIL_OK);
    config.keyring = ch.keys.kr;
    config.store = store;
    config.refresh_ms = 600000; /* what it hears, it heard from messages */
    assert_status(aril_cache_open(w.rt, &config, &other, &ch.error), ARIL_OK);
}

static aril_status put_tagged(aril_cache_key key, aril_bytes value, const aril_bytes *tag)
{
    aril_cache_item item = { .key = key, .value = value, .tags = tag, .tag_count = 1 };
    return aril_cache_put(ch.cache, &item, 1, &ch.error);
}

/* What the other one has: its status, and from which tier. */
static aril_status ask_other(aril_cache_key key, uint32_t *ret_tier)
{
    uint8_t room[64];
    aril_cache_item item = { .key = key, .buffer = { room, sizeof room } };
    const aril_status st = aril_cache_get(other, &item, 1, NULL);
    *ret_tier = item.result.tier;
    return st;
}

/* Fill the L1 of the other one. */
static void warm_other(aril_cache_key key)
{
    uint32_t tier;
    assert_status(ask_other(key, &tier), ARIL_OK);
    assert_status(ask_other(key, &tier), ARIL_OK);
    assert_int_equal(tier, ARIL_CACHE_L1);
}

static uint64_t heard(aril_cache *cache)
{
    aril_cache_stats stats;
    assert_status(aril_cache_get_stats(cache, &stats), ARIL_OK);
    return stats.invalidated;
}

/* Until the other one has heard so many messages. Messages come from a thread of the store. */
static void wait_heard(uint64_t count)
{
    for (int i = 0; heard(other) < count && i < 20000; i++) {
        const struct timespec ms = { .tv_nsec = 1000000 };
        nanosleep(&ms, NULL);
    }
    assert_int_equal(heard(other), count);
}

/* --- Told to others ------------------------------------------------------------------------ */

static void a_delete_is_heard_also_of_what_the_store_had_lost(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        start(NULL);
        start_other();
        uint32_t tier;
        aril_cache_item item = { .key = cache_key("alice", "s", "k") };
        assert_status(cache_put(&ch, item.key, TEXT("value")), ARIL_OK);
        wait_heard(1);
        warm_other(item.key);
        if (lost) {
            aril_store_item gone = { .name = cache_name(&ch, item.key) };
            assert_status(aril_store_delete(ch.store, &gone, 1, NULL), ARIL_OK);
        }
        assert_status(aril_cache_delete(ch.cache, &item, 1, NULL),
                      lost ? ARIL_E_NOT_FOUND : ARIL_OK);
        wait_heard(2);
        assert_status(ask_other(item.key, &tier), ARIL_E_NOT_FOUND);
        assert_int_equal(heard(ch.cache), 0); /* its own are not */
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
}

static void a_bump_and_an_ended_tag_are_heard_at_once(void **state)
{
    (void)state;
    for (int tag = 0; tag < 2; tag++) {
        start(NULL);
        start_other();
        uint32_t tier;
        const aril_bytes red = TEXT("red");
        const aril_cache_key key = cache_key("alice", "s", "k");
        const aril_cache_key elsewhere = cache_key("alice", "t", "k");
        assert_status(put_tagged(key, TEXT("value"), &red), ARIL_OK);
        assert_status(cache_put(&ch, elsewhere, TEXT("value")), ARIL_OK);
        wait_heard(2);
        warm_other(key);
        warm_other(elsewhere);
        assert_status(tag ? aril_cache_invalidate_tag(ch.cache, TEXT("alice"), TEXT("s"), red, NULL)
                          : aril_cache_bump(ch.cache, TEXT("alice"), TEXT("s"), NULL, NULL),
                      ARIL_OK);
        wait_heard(3);
        if (tag) { /* of a bump L1 alone is ended; the floor is looked at later */
            assert_status(ask_other(key, &tier), ARIL_E_NOT_FOUND);
        } else {
            assert_status(ask_other(key, &tier), ARIL_OK);
            assert_int_equal(tier, ARIL_CACHE_L2);
        }
        assert_status(ask_other(elsewhere, &tier), ARIL_OK);
        assert_int_equal(tier, ARIL_CACHE_L1);
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
}

static void a_name_too_long_for_a_message_ends_its_namespace(void **state)
{
    (void)state;
    start(NULL);
    start_other();
    uint32_t tier;
    static uint8_t name[70000];
    memset(name, 'n', sizeof name);
    aril_cache_key key = cache_key("alice", "s", "");
    const aril_cache_key beside = cache_key("alice", "s", "beside");
    key.key = (aril_bytes){ name, sizeof name };
    assert_status(cache_put(&ch, key, TEXT("old")), ARIL_OK);
    assert_status(cache_put(&ch, beside, TEXT("value")), ARIL_OK);
    wait_heard(2);
    warm_other(key);
    warm_other(beside);
    assert_status(cache_put(&ch, key, TEXT("newer")), ARIL_OK);
    wait_heard(3);
    assert_status(ask_other(key, &tier), ARIL_OK);
    assert_int_equal(tier, ARIL_CACHE_L2);
    assert_status(ask_other(beside, &tier), ARIL_OK);
    assert_int_equal(tier, ARIL_CACHE_L2);
}

static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    (void)user;
    (void)key;
    *ret = TEXT("computed");
    return ARIL_OK;
}

static void a_computed_value_is_heard_and_a_block_is_not(void **state)
{
    (void)state;
    start(NULL);
    start_other();
    const aril_cache_compute with = { .compute = compute };
    aril_cache_item items[2] = { { .key = cache_key("alice", "s", "block") },
                                 { .key = cache_key("alice", "s", "k") } };
    items[0].key.type = ARIL_CACHE_BLOCK;
    for (size_t i = 0; i < 2; i++) { /* messages keep their order */
        assert_status(aril_cache_get_or_compute(ch.cache, &items[i], &with, NULL), ARIL_OK);
        aril_cache_value_free(&items[i].buffer);
    }
    wait_heard(1);
}

static aril_store_message_fn *listener;
static void *listener_user;
static aril_status note_listener(void *state, aril_bytes channel, aril_store_message_fn *fn,
                                 void *user, aril_error *error)
{
    (void)state;
    (void)channel;
    (void)error;
    listener = fn;
    listener_user = user;
    return ARIL_OK;
}

static void when_messages_were_lost_memory_is_asked_for_nothing(void **state)
{
    (void)state;
    const aril_store_config config = { .uri = "memory:" };
    static struct arili_cache_store_ops ops;
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    ops = arili_cache_store_memory;
    ops.listen = note_listener;
    start(NULL);
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
    assert_status(arili_store_open_over(w.rt, &ops, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
    listener(listener_user, (aril_bytes){ NULL, 0 });
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
    /* What is no message of a cache changes nothing. */
    listener(listener_user, TEXT("short"));
    static const uint8_t noise[200] = { 0xa3, 1 };
    listener(listener_user, (aril_bytes){ noise, sizeof noise });
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
}

/* --- Tags ---------------------------------------------------------------------------------- */

static void an_ended_tag_is_over_without_messages_too(void **state)
{
    (void)state;
    start_faulty(NULL);
    const aril_bytes red = TEXT("red");
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(put_tagged(key, TEXT("value"), &red), ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("value"), NULL), ARIL_OK);
    assert_status(aril_cache_invalidate_tag(ch.cache, TEXT("alice"), TEXT("s"), red, NULL),
                  ARIL_OK);
    assert_status(cache_get(&ch, key, TEXT("value"), NULL), ARIL_E_NOT_FOUND);
    /* With a stamp of before, a new value would be over at once. */
    assert_status(put_tagged(key, TEXT("again"), &red), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("again"), NULL), ARIL_OK);
}

/* Two caches that hear nothing of one another. */
static void start_silent(void)
{
    static const char uri[] = "memory:silent";
    start(NULL);
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
    assert_status(cache_store_open_silent(w.rt, uri, &ch.store, &ch.error), ARIL_OK);
    assert_status(cache_store_open_silent(w.rt, uri, &store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    const aril_cache_config away = { .keyring = ch.keys.kr, .store = store };
    assert_status(aril_cache_open(w.rt, &away, &other, &ch.error), ARIL_OK);
}

/* L1 has the stamp of before. It neither goes into a new value nor ends one. */
static void a_stamp_in_l1_does_not_speak_for_the_store(void **state)
{
    (void)state;
    start_silent();
    const aril_bytes red = TEXT("red");
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_cache_key theirs = cache_key("alice", "s", "theirs");
    uint32_t tier;
    aril_cache_item item = { .key = theirs, .value = TEXT("value"), .tags = &red, .tag_count = 1 };
    assert_status(put_tagged(key, TEXT("value"), &red), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("value"), NULL), ARIL_OK); /* and the stamp */
    assert_status(aril_cache_invalidate_tag(other, TEXT("alice"), TEXT("s"), red, NULL), ARIL_OK);
    assert_status(aril_cache_put(other, &item, 1, NULL), ARIL_OK);
    assert_status(cache_get(&ch, theirs, TEXT("value"), NULL), ARIL_OK);
    assert_status(put_tagged(key, TEXT("newer"), &red), ARIL_OK);
    assert_status(ask_other(key, &tier), ARIL_OK);
    assert_int_equal(tier, ARIL_CACHE_L2);
}

static void a_put_takes_its_stamp_from_the_store(void **state)
{
    (void)state;
    start_silent();
    const aril_bytes red = TEXT("red");
    const aril_cache_key key = cache_key("alice", "s", "k");
    uint32_t tier;
    assert_status(put_tagged(key, TEXT("value"), &red), ARIL_OK);
    assert_status(cache_get_l2(&ch, key, TEXT("value"), NULL), ARIL_OK); /* and the stamp */
    assert_status(aril_cache_invalidate_tag(other, TEXT("alice"), TEXT("s"), red, NULL), ARIL_OK);
    assert_status(put_tagged(key, TEXT("newer"), &red), ARIL_OK);
    assert_status(ask_other(key, &tier), ARIL_OK);
}

/* The stamp that L1 has says that a tag stands for as long as it would itself be kept. */
static void a_value_is_kept_no_longer_than_the_stamps_it_was_checked_with(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .l1_ttl_ms = 60000 };
    cache_home_init(&ch, &w, "memory:", &policy, 1);
    const aril_bytes red = TEXT("red");
    const aril_cache_key first = cache_key("alice", "s", "a");
    const aril_cache_key second = cache_key("alice", "s", "b");
    aril_cache_result result;
    assert_status(put_tagged(first, TEXT("value"), &red), ARIL_OK);
    assert_status(put_tagged(second, TEXT("value"), &red), ARIL_OK);
    assert_status(cache_get_l2(&ch, first, TEXT("value"), &result), ARIL_OK); /* with the stamp */
    fake_clock_add_s(&w.clock, 50);
    assert_status(cache_get(&ch, second, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
    fake_clock_add_s(&w.clock, 5);
    assert_status(cache_get(&ch, second, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L1);
    fake_clock_add_s(&w.clock, 10); /* 65 s since the stamp came */
    assert_status(cache_get(&ch, second, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
}

/* --- Puts ---------------------------------------------------------------------------------- */

static void lives_are_bounded_and_shortened_by_the_policy(void **state)
{
    (void)state;
    const aril_cache_policy policy = {
        .tiers = ARIL_CACHE_L2, .ttl_ms = 1000, .ttl_max_ms = 1000000, .jitter_percent = 50
    };
    start(&policy);
    uint64_t shortest = UINT64_MAX;
    uint64_t longest = 0;
    for (unsigned i = 0; i < 64; i++) {
        aril_cache_item item = { .key = cache_key("alice", "s", "k"),
                                 .value = TEXT("value"),
                                 .ttl_ms = UINT64_MAX };
        aril_cache_result result;
        assert_status(aril_cache_put(ch.cache, &item, 1, NULL), ARIL_OK);
        assert_status(cache_get(&ch, item.key, item.value, &result), ARIL_OK);
        const uint64_t life = result.not_after_ms - result.created_ms;
        shortest = life < shortest ? life : shortest;
        longest = life > longest ? life : longest;
    }
    assert_true(shortest >= 500000 && longest <= 1000000 + 1000);
    assert_true(longest - shortest > 100000); /* else 64 draws came out alike */
}

static void only_the_first_of_two_is_put_where_none_may_be_there(void **state)
{
    (void)state;
    const aril_cache_policy policies[] = { { .tiers = ARIL_CACHE_L1 | ARIL_CACHE_L2 },
                                           { .tiers = ARIL_CACHE_L1 },
                                           { .tiers = ARIL_CACHE_L2 } };
    for (size_t i = 0; i < COUNT(policies); i++) {
        start(&policies[i]);
        aril_cache_item items[2] = {
            { .key = cache_key("alice", "s", "k"), .value = TEXT("first"), .absent_only = 1 },
            { .key = cache_key("alice", "s", "k"), .value = TEXT("second"), .absent_only = 1 }
        };
        assert_status(aril_cache_put(ch.cache, &items[0], 1, NULL), ARIL_OK);
        assert_status(aril_cache_put(ch.cache, &items[1], 1, NULL), ARIL_E_EXISTS);
        assert_status(cache_get(&ch, items[0].key, TEXT("first"), NULL), ARIL_OK);
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
}

static void a_value_that_is_too_long_is_refused_and_said(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .value_max = 5 };
    start(&policy);
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("12345")), ARIL_OK);
    assert_status(cache_put(&ch, key, TEXT("123456")), ARIL_E_LIMIT);
    assert_non_null(strstr(ch.error.message, "6 bytes"));
    assert_non_null(strstr(ch.error.message, "5"));
    assert_status(cache_get(&ch, key, TEXT("12345"), NULL), ARIL_OK);
}

static void after_a_put_that_failed_the_store_is_asked(void **state)
{
    (void)state;
    start_faulty(NULL);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    assert_status(cache_put(&ch, key, TEXT("old")), ARIL_OK);
    faulty_cache_store_arm_lost(faulty, 1, ARIL_E_TIMEOUT); /* done, and nobody heard */
    assert_status(cache_put(&ch, key, TEXT("newer")), ARIL_E_TIMEOUT);
    assert_status(cache_get(&ch, key, TEXT("newer"), &result), ARIL_OK);
    assert_int_equal(result.tier, ARIL_CACHE_L2);
}

/* --- Scopes -------------------------------------------------------------------------------- */

static void a_bump_elsewhere_is_seen_when_the_keyring_is_looked_at(void **state)
{
    (void)state;
    start_faulty(NULL);
    /* Another handle on the keyring's file, and a cache of its own memory: no messages. */
    struct keyring_handle second = home_second(&ch.keys);
    const aril_cache_config config = { .keyring = second.kr, .l1_bytes = 1 << 20 };
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    aril_cache *away = NULL;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(aril_cache_open(w.rt, &config, &away, &ch.error), ARIL_OK);
    assert_status(aril_cache_bump(away, TEXT("alice"), TEXT("s"), NULL, &ch.error), ARIL_OK);
    aril_cache_close(away);
    handle_close(&second);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
}

static void many_namespaces_are_many_scopes(void **state)
{
    (void)state;
    start(NULL);
    char name[16];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof name, "space %u", i);
            const aril_cache_key key = cache_key("alice", name, "k");
            assert_status(round == 0 ? cache_put(&ch, key, text_bytes(name))
                                     : cache_get(&ch, key, text_bytes(name), NULL),
                          ARIL_OK);
        }
    }
}

static int count_value(void *user, const aril_cache_key *key, aril_bytes name)
{
    (void)name;
    assert_non_null(key);
    *(unsigned *)user += 1;
    return 0;
}

static void locks_are_not_listed(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .listable = 1 };
    start(&policy);
    const aril_cache_key key = cache_key("alice", "s", "k");
    uint8_t lock[ARIL_STORE_NAME_BYTES_MAX];
    unsigned seen = 0;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    const aril_bytes name = cache_name(&ch, key);
    memcpy(lock, name.data, name.len);
    memcpy(lock + name.len, ":l", 2);
    cache_store_put(&ch, (aril_bytes){ lock, name.len + 2 }, TEXT("1"));
    assert_status(
        aril_cache_list(ch.cache, TEXT("alice"), TEXT("s"), count_value, &seen, &ch.error),
        ARIL_OK);
    assert_int_equal(seen, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_delete_is_heard_also_of_what_the_store_had_lost),
        TEST(a_bump_and_an_ended_tag_are_heard_at_once),
        TEST(a_name_too_long_for_a_message_ends_its_namespace),
        TEST(a_computed_value_is_heard_and_a_block_is_not),
        TEST(when_messages_were_lost_memory_is_asked_for_nothing),
        TEST(an_ended_tag_is_over_without_messages_too),
        TEST(a_stamp_in_l1_does_not_speak_for_the_store),
        TEST(a_put_takes_its_stamp_from_the_store),
        TEST(a_value_is_kept_no_longer_than_the_stamps_it_was_checked_with),
        TEST(lives_are_bounded_and_shortened_by_the_policy),
        TEST(only_the_first_of_two_is_put_where_none_may_be_there),
        TEST(a_value_that_is_too_long_is_refused_and_said),
        TEST(after_a_put_that_failed_the_store_is_asked),
        TEST(a_bump_elsewhere_is_seen_when_the_keyring_is_looked_at),
        TEST(many_namespaces_are_many_scopes),
        TEST(locks_are_not_listed),
    };
    return cmocka_run_group_tests_name("changes", tests, temp_folder_make, temp_folder_remove);
}
