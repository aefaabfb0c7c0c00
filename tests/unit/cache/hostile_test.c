/* SPDX-License-Identifier: Apache-2.0 */
/* What a store, another tenant, or bad timing tries against a whole cache. */
#include "cache_fixture.h"
#include "faulty_cache_store.h"
#include "cache/cache.h"
#include "temp_folder.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static struct world w;
static struct cache_home ch;
static uint8_t big[MIB + 4096]; /* two segments: the executor is asked */

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    memset(&ch, 0, sizeof ch);
    fill_pattern(big, sizeof big, 7);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cache_home_done(&ch);
    world_done(&w);
    return 0;
}

static void start(const aril_cache_policy *policies, size_t count)
{
    cache_home_init(&ch, &w, "memory:", policies, count);
}

/* --- In the middle of a call */

/* Does something once, when the segments of a value were sealed or opened. */
struct meanwhile {
    void (*then)(void);
};
static void run_and_then(void *state, void (*task)(void *arg, size_t index), void *arg,
                         size_t count)
{
    struct meanwhile *m = state;
    for (size_t i = 0; i < count; i++) {
        task(arg, i);
    }
    void (*const then)(void) = m->then;
    m->then = NULL;
    if (then != NULL) {
        then();
    }
}
static struct meanwhile meanwhile;
static const aril_executor executor = { ARIL_EXECUTOR_ABI, &meanwhile, run_and_then };

static void start_with_executor(void)
{
    static const aril_cache_policy policy = { .l1_value_max = 4 * MIB };
    start(&policy, 1);
    ch.config.executor = &executor;
    ch.config.l1_bytes = 16 * MIB;
    ch.config.l1_shards = 1;
    cache_home_reopen(&ch);
}

static struct key_copy first_key;

static void retire_the_first_key(void)
{
    assert_status(aril_keyring_retire(ch.keys.kr, first_key.info.id, 0, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    /* Another call looks at the keyring. */
    assert_status(cache_get(&ch, cache_key("alice", "s", "other"), TEXT(""), NULL),
                  ARIL_E_NOT_FOUND);
}

static void a_key_that_retires_during_a_read_leaves_nothing_in_l1(void **state)
{
    (void)state;
    start_with_executor();
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_bytes value = { big, sizeof big };
    aril_cache_result result;
    assert_status(cache_put(&ch, key, value), ARIL_OK);
    keyring_key(ch.keys.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &first_key);
    assert_status(home_rotate(&ch.keys, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    cache_home_reopen(&ch);
    assert_status(cache_get(&ch, cache_key("alice", "s", "other"), TEXT(""), NULL),
                  ARIL_E_NOT_FOUND);
    meanwhile.then = retire_the_first_key;
    assert_status(cache_get(&ch, key, value, &result), ARIL_OK);
    assert_null(meanwhile.then);
    assert_status(cache_get(&ch, key, value, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
}

static void end_the_tag(void)
{
    assert_status(
        aril_cache_invalidate_tag(ch.cache, TEXT("alice"), TEXT("s"), TEXT("red"), &ch.error),
        ARIL_OK);
}

static void a_tag_that_ends_during_a_call_leaves_nothing_in_l1(void **state)
{
    (void)state;
    start_with_executor();
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_bytes value = { big, sizeof big };
    const aril_bytes red[] = { TEXT("red") };
    aril_cache_item item = { .key = key, .value = value, .tags = red, .tag_count = 1 };
    aril_cache_result result;
    meanwhile.then = end_the_tag; /* after the put took its stamp */
    assert_status(aril_cache_put(ch.cache, &item, 1, &ch.error), ARIL_OK);
    assert_status(cache_get(&ch, key, value, &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
    assert_status(aril_cache_put(ch.cache, &item, 1, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    meanwhile.then = end_the_tag; /* after the get looked its stamp up */
    assert_status(cache_get(&ch, key, value, &result), ARIL_OK);
    assert_null(meanwhile.then);
    assert_status(cache_get(&ch, key, value, &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
}

/* --- Policies */

static void a_closed_policy_holds_for_keys_that_are_gone_and_locked(void **state)
{
    (void)state;
    static const aril_cache_policy policy = { .on_key_gone = ARIL_CACHE_FAIL_CLOSED,
                                              .on_store_down = ARIL_CACHE_FAIL_CLOSED };
    start(&policy, 1);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    aril_cache_stats stats;
    aril_shred_info info;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(aril_keyring_lock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_KEY_LOCKED);
    assert_int_equal(result.outcome, ARIL_CACHE_DOWN);
    assert_status(aril_keyring_unlock(ch.keys.kr, &ch.error), ARIL_OK);
    assert_status(aril_keyring_shred(ch.keys.kr, TEXT("alice"), 0, &info, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_KEY_DESTROYED);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.outcomes[ARIL_CACHE_DOWN], 1);
    assert_int_equal(stats.outcomes[ARIL_CACHE_KEY_GONE], 1);
}

static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    (void)user;
    (void)key;
    *ret = TEXT("computed");
    return ARIL_OK;
}

static void what_was_tampered_with_is_counted_when_it_is_computed_anew(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_cache_compute with = { .compute = compute };
    uint8_t room[16];
    aril_cache_item item = { .key = key, .buffer = { room, sizeof room } };
    aril_cache_stats stats;
    cache_store_put(&ch, cache_name(&ch, key), TEXT("plain text in its place"));
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, &ch.error), ARIL_OK);
    assert_memory_equal(room, "computed", 8);
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.outcomes[ARIL_CACHE_TAMPERED], 1);
}

/* A longer value in the place of one is tampering also to who has no room for it. */
static void a_length_is_told_only_when_it_is_that_of_the_value(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2,
                                       .on_tamper = ARIL_CACHE_FAIL_CLOSED };
    start(&policy, 1);
    const aril_cache_key key = cache_key("alice", "s", "k");
    const aril_cache_key other = cache_key("alice", "s", "longer");
    uint8_t room[16];
    aril_cache_item item = { .key = other, .buffer = { room, sizeof room } };
    assert_status(cache_put(&ch, other, (aril_bytes){ big, sizeof big }), ARIL_OK);
    assert_status(aril_cache_get(ch.cache, &item, 1, &ch.error), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(item.result.len, sizeof big);
    const aril_span stored = cache_stored(&ch, cache_name(&ch, other));
    cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ stored.data, stored.len });
    item.key = key;
    assert_status(aril_cache_get(ch.cache, &item, 1, &ch.error), ARIL_E_AUTH);
    assert_int_equal(item.result.outcome, ARIL_CACHE_TAMPERED);
    free(stored.data);
}

/* --- Names and keys of others */

static const uint8_t master[2][32] = { { 1 }, { 2 } };
#define OTHERS \
    .legacy_reads = 1u << ARIL_CACHE_CACHEKIT_INTEROP, .legacy_until_s = FAKE_UNIX_S + 1000

static void hand_master_to(const char *tenant)
{
    const aril_bytes key = { master[0], sizeof master[0] };
    assert_status(aril_cache_legacy_keys(ch.cache, text_bytes(tenant), ARIL_CACHE_CACHEKIT_INTEROP,
                                         &key, 1, &ch.error),
                  ARIL_OK);
}

/* In a namespace of another format keys are names of the store; they are not those of native
 * values, which may be another tenant's. */
static void a_key_of_another_format_reaches_no_native_value(void **state)
{
    (void)state;
    const aril_cache_policy policies[] = {
        { .space = TEXT("reads"), OTHERS },
        { .space = TEXT("writes"), .writes = ARIL_CACHE_CACHEKIT_INTEROP, OTHERS },
    };
    start(policies, 2);
    hand_master_to("alice");
    const aril_cache_key bobs = cache_key("bob", "s", "k");
    char name[ARIL_CACHE_NAME_BYTES_MAX];
    const aril_bytes stored_as = cache_name(&ch, bobs);
    memcpy(name, stored_as.data, stored_as.len);
    assert_status(cache_put(&ch, bobs, TEXT("bob's")), ARIL_OK);
    for (size_t i = 0; i < 2; i++) {
        aril_cache_item item = { .key = cache_key("alice", i == 0 ? "reads" : "writes", "k"),
                                 .value = { (const uint8_t *)"\xa3"
                                                             "abc",
                                            4 } };
        item.key.key = (aril_bytes){ (const uint8_t *)name, stored_as.len };
        (void)!aril_cache_delete(ch.cache, &item, 1, &ch.error);
        assert_status(cache_get_l2(&ch, bobs, TEXT("bob's"), NULL), ARIL_OK);
        hand_master_to("alice");
        (void)!aril_cache_put(ch.cache, &item, 1, &ch.error);
        assert_status(cache_get_l2(&ch, bobs, TEXT("bob's"), NULL), ARIL_OK);
        hand_master_to("alice");
        (void)!aril_cache_exists(ch.cache, &item, 1, &ch.error);
        assert_true(item.status != ARIL_OK || i == 0); /* of its own, put just now */
    }
}

static void a_legacy_key_that_only_opens_seals_nothing(void **state)
{
    (void)state;
    static const aril_cache_policy policy = { .writes = ARIL_CACHE_CACHEKIT_INTEROP, OTHERS };
    start(&policy, 1);
    const aril_bytes keys[] = { { master[0], 32 }, { master[1], 32 } };
    const aril_cache_key key = cache_key("alice", "", "app:f:1");
    const aril_bytes value = { (const uint8_t *)"\xa3"
                                                "abc",
                               4 };
    struct key_copy newest;
    assert_status(aril_keyring_import_cachekit(ch.keys.kr, TEXT("alice"), keys, 2, &ch.error),
                  ARIL_OK);
    assert_status(cache_put(&ch, key, value), ARIL_OK);
    keyring_key(ch.keys.kr, slot_of(ARIL_KEY_LEGACY, "alice", NULL), 2, &newest);
    assert_int_equal(newest.info.state, ARIL_KEY_ACTIVE);
    assert_status(aril_keyring_retire(ch.keys.kr, newest.info.id, 0, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status_class(cache_put(&ch, key, value), ARIL_E_KEY);
}

/* --- A store that fails in the middle of a value */

static size_t memory_in_use(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void a_value_of_others_that_is_cut_off_takes_no_memory(void **state)
{
    (void)state;
    static const aril_cache_policy policy = { OTHERS };
    const aril_store_config config = { .uri = "memory:" };
    struct faulty_cache_store *faulty = faulty_cache_store_new(&arili_cache_store_memory);
    cache_home_init(&ch, &w, NULL, &policy, 1);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    hand_master_to("alice");
    cache_store_put(&ch, TEXT("app:f:1"), (aril_bytes){ big, sizeof big });
    size_t before = 0;
    for (unsigned i = 0; i < 8; i++) {
        faulty_cache_store_arm_lost(faulty, 2, ARIL_E_IO); /* the first one asks for native */
        assert_status(cache_get(&ch, cache_key("alice", "", "app:f:1"), TEXT(""), NULL),
                      ARIL_E_NOT_FOUND);
        assert_true(faulty_cache_store_fired(faulty));
        before = i == 3 ? memory_in_use() : before;
    }
    assert_true(memory_in_use() < before + sizeof big); /* under ASan its leak check says it */
    cache_home_done(&ch);
    memset(&ch, 0, sizeof ch);
    faulty_cache_store_free(faulty);
    cache_home_init(&ch, &w, NULL, NULL, 0); /* for teardown() */
}

/* Who may write one name of the store puts something there that is no value: a list, say. That is
 * an answer, and the store of all tenants is not given up for it. */
static void a_name_that_holds_something_else_does_not_open_the_breaker(void **state)
{
    (void)state;
    const aril_store_config config = { .uri = "memory:" };
    struct faulty_cache_store *faulty = faulty_cache_store_new(&arili_cache_store_memory);
    aril_store_info info;
    cache_home_init(&ch, &w, NULL, NULL, 0);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    for (unsigned i = 0; i < 20; i++) {
        aril_cache_result result;
        faulty_cache_store_arm_item(faulty, 1, 0, ARIL_E_FORMAT_KIND);
        assert_status(cache_get(&ch, cache_key("alice", "s", "k"), TEXT(""), &result),
                      ARIL_E_NOT_FOUND);
        assert_status(result.status, ARIL_E_FORMAT_KIND);
    }
    assert_status(aril_store_get_info(ch.store, &info, &ch.error), ARIL_OK);
    assert_int_equal(info.breaker, ARIL_BREAKER_CLOSED);
    cache_home_done(&ch);
    memset(&ch, 0, sizeof ch);
    faulty_cache_store_free(faulty);
    cache_home_init(&ch, &w, NULL, NULL, 0); /* for teardown() */
}

/* --- A keyring that cannot be asked once */

static const struct arili_crypto_ops *sound;
static unsigned hashes_fail;
static aril_status hash(struct arili_provider *provider, enum arili_hash which,
                        const aril_bytes *parts, size_t count, uint8_t *ret)
{
    if (hashes_fail > 0) {
        hashes_fail--;
        return ARIL_E_CRYPTO;
    }
    return sound->hash(provider, which, parts, count, ret);
}

static void a_bump_is_seen_though_the_first_look_failed(void **state)
{
    (void)state;
    start(NULL, 0);
    const aril_cache_key key = cache_key("alice", "s", "k");
    uint8_t floor[ARILI_FLOOR_NAME_BYTES];
    aril_cache_result result;
    struct arili_crypto_ops ops = *w.rt->crypto.ops;
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(
        arili_cache_floor_name(&w.rt->crypto, ch.cache->hash, TEXT("alice"), TEXT("s"), floor),
        ARIL_OK);
    /* As another process would, that sends no messages. */
    assert_status(
        aril_keyring_floor_raise(ch.keys.kr, (aril_bytes){ floor, sizeof floor }, 1, &ch.error),
        ARIL_OK);
    sound = w.rt->crypto.ops;
    ops.hash = hash;
    w.rt->crypto.ops = &ops;
    hashes_fail = 1;
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    assert_int_equal(hashes_fail, 0);
    w.rt->crypto.ops = sound;
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_NOT_FOUND);
    assert_status(result.status, ARIL_E_REPLAY_SUPERSEDED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_that_retires_during_a_read_leaves_nothing_in_l1),
        TEST(a_tag_that_ends_during_a_call_leaves_nothing_in_l1),
        TEST(a_closed_policy_holds_for_keys_that_are_gone_and_locked),
        TEST(what_was_tampered_with_is_counted_when_it_is_computed_anew),
        TEST(a_length_is_told_only_when_it_is_that_of_the_value),
        TEST(a_key_of_another_format_reaches_no_native_value),
        TEST(a_legacy_key_that_only_opens_seals_nothing),
        TEST(a_value_of_others_that_is_cut_off_takes_no_memory),
        TEST(a_name_that_holds_something_else_does_not_open_the_breaker),
        TEST(a_bump_is_seen_though_the_first_look_failed),
    };
    return cmocka_run_group_tests_name("hostile", tests, temp_folder_make, temp_folder_remove);
}
