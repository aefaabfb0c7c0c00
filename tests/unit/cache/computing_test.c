/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "team.h"
#include "temp_folder.h"
#include "cache/store.h"
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

/* Get or compute: what fails before it, who else works, and what becomes of a slow one's put. */

static struct world w;
static struct cache_home ch;
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
    world_done(&w);
    return 0;
}

static void start(const aril_cache_policy *policy)
{
    cache_home_init(&ch, &w, "memory:shared", policy, 1);
}

/* A second cache over the same memory and keyring: it shares locks and messages alone. */
static void start_other(void)
{
    const aril_store_config store_config = { .uri = "memory:shared" };
    aril_cache_config config = ch.config;
    assert_status(aril_store_open(w.rt, &store_config, &store, &ch.error), ARIL_OK);
    config.keyring = ch.keys.kr;
    config.store = store;
    assert_status(aril_cache_open(w.rt, &config, &other, &ch.error), ARIL_OK);
}

static const aril_cache_policy in_store = { .tiers = ARIL_CACHE_L2 };

struct computing {
    atomic_uint calls;
    aril_status answer;
    void (*meanwhile)(void);
};
static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *c = user;
    (void)key;
    atomic_fetch_add(&c->calls, 1);
    if (c->meanwhile != NULL) {
        c->meanwhile();
    }
    *ret = TEXT("computed");
    return c->answer;
}

static aril_status ask(struct computing *c, aril_cache_key key, uint32_t lock_ms,
                       aril_cache_result *ret)
{
    const aril_cache_compute with = { .user = c, .compute = compute, .lock_ms = lock_ms };
    aril_cache_item item = { .key = key };
    const aril_status st = aril_cache_get_or_compute(ch.cache, &item, &with, NULL);
    assert_status(item.status, st);
    if (st == ARIL_OK) {
        assert_int_equal(item.buffer.len, 8);
        assert_memory_equal(item.buffer.data, "computed", 8);
    } else {
        assert_null(item.buffer.data);
    }
    aril_cache_value_free(&item.buffer);
    *ret = item.result;
    return st;
}

static uint64_t outcomes(aril_cache_outcome outcome)
{
    aril_cache_stats stats;
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    return stats.outcomes[outcome];
}

/* --- Before it ----------------------------------------------------------------------------- */

static void what_was_changed_is_counted_and_computed_where_it_fails_open(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2,
                                           .on_tamper = closed ? ARIL_CACHE_FAIL_CLOSED
                                                               : ARIL_CACHE_FAIL_OPEN };
        struct computing c = { .answer = ARIL_OK };
        aril_cache_result result;
        const aril_cache_key key = cache_key("alice", "s", "k");
        start(&policy);
        cache_store_put(&ch, cache_name(&ch, key), TEXT("\xa1 and nothing that fits"));
        assert_status_class(ask(&c, key, 0, &result), closed ? ARIL_E_FORMAT : ARIL_OK);
        assert_int_equal(c.calls, closed ? 0 : 1);
        assert_int_equal(result.outcome, closed ? ARIL_CACHE_TAMPERED : ARIL_CACHE_MISS);
        assert_int_equal(outcomes(ARIL_CACHE_TAMPERED), 1);
        assert_int_equal(outcomes(ARIL_CACHE_MISS), 0);
        teardown(NULL);
        setup(NULL);
    }
    start(&in_store);
}

static void a_locked_keyring_computes_and_keeps_nothing_where_it_fails_open(void **state)
{
    (void)state;
    start(&in_store);
    struct computing c = { .answer = ARIL_OK };
    aril_cache_result result;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(ask(&c, key, 0, &result), ARIL_OK);
    assert_status(aril_keyring_lock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(ask(&c, key, 0, &result), ARIL_OK);
    assert_status(result.status, ARIL_E_KEY_LOCKED);
    assert_int_equal(c.calls, 2);
    assert_int_equal(outcomes(ARIL_CACHE_DOWN), 1);
}

static void a_lock_that_is_too_long_is_refused(void **state)
{
    (void)state;
    start(&in_store);
    struct computing c = { .answer = ARIL_OK };
    aril_cache_item item = { .key = cache_key("alice", "s", "k") };
    const aril_cache_compute with = { .user = &c, .compute = compute, .lock_ms = 600001 };
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, NULL), ARIL_E_USAGE_RANGE);
    assert_int_equal(c.calls, 0);
}

/* --- With others --------------------------------------------------------------------------- */

static aril_bytes lock_name(aril_cache_key key)
{
    static uint8_t name[ARIL_STORE_NAME_BYTES_MAX];
    const aril_bytes of = cache_name(&ch, key);
    memcpy(name, of.data, of.len);
    memcpy(name + of.len, ":l", 2);
    return (aril_bytes){ name, of.len + 2 };
}

static void look_for_the_lock(void)
{
    uint64_t fence;
    assert_status(
        aril_store_lock(ch.store, lock_name(cache_key("alice", "s", "k")), 1000, &fence, NULL),
        ARIL_E_EXISTS);
}

static void who_computes_holds_the_lock_of_the_value(void **state)
{
    (void)state;
    start(&in_store);
    struct computing c = { .answer = ARIL_OK, .meanwhile = look_for_the_lock };
    aril_cache_result result;
    uint64_t fence;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(ask(&c, key, 0, &result), ARIL_OK);
    /* Given back, also after a failure. */
    assert_status(aril_store_lock(ch.store, lock_name(key), 1000, &fence, NULL), ARIL_OK);
    assert_status(aril_store_unlock(ch.store, lock_name(key), fence, NULL), ARIL_OK);
}

static aril_status lock_late(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                             uint64_t *ret_fence, aril_error *error)
{
    aril_cache_item item = { .key = cache_key("alice", "s", "k"), .value = TEXT("computed") };
    assert_status(aril_cache_put(other, &item, 1, NULL), ARIL_OK);
    return arili_cache_store_memory.lock(state, name, ttl_ms, deadline_ns, ret_fence, error);
}

static void what_came_before_the_lock_is_not_computed_again(void **state)
{
    (void)state;
    const aril_store_config config = { .uri = "memory:shared" };
    static struct arili_cache_store_ops ops;
    struct computing c = { .answer = ARIL_OK };
    aril_cache_result result;
    ops = arili_cache_store_memory;
    ops.lock = lock_late;
    start(&in_store);
    start_other();
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
    assert_status(arili_store_open_over(w.rt, &ops, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    assert_status(ask(&c, cache_key("alice", "s", "k"), 0, &result), ARIL_OK);
    assert_int_equal(result.outcome, ARIL_CACHE_HIT);
    assert_int_equal(c.calls, 0);
}

/* As if the holder had been too slow: its lock is gone, and another one's value is there. */
static void be_overtaken(void)
{
    const aril_bytes name = lock_name(cache_key("alice", "s", "k"));
    uint64_t fence;
    for (fence = 1; aril_store_unlock(ch.store, name, fence, NULL) != ARIL_OK; fence++) {
        assert_true(fence < 1000);
    }
    assert_status(aril_store_lock(ch.store, name, 60000, &fence, NULL), ARIL_OK);
    aril_cache_item item = { .key = cache_key("alice", "s", "k"), .value = TEXT("of another") };
    assert_status(aril_cache_put(other, &item, 1, NULL), ARIL_OK);
}

static void who_was_too_slow_gets_its_value_and_overwrites_none(void **state)
{
    (void)state;
    start(&in_store);
    start_other();
    struct computing c = { .answer = ARIL_OK, .meanwhile = be_overtaken };
    aril_cache_result result;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(ask(&c, key, 0, &result), ARIL_OK);
    assert_status(result.status, ARIL_E_REPLAY_STALE);
    assert_status(cache_get(&ch, key, TEXT("of another"), NULL), ARIL_OK);
}

static void who_waits_longer_than_the_lock_computes_too(void **state)
{
    (void)state;
    start(&in_store);
    struct computing c = { .answer = ARIL_OK };
    aril_cache_result result;
    uint64_t fence;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(aril_store_lock(ch.store, lock_name(key), 60000, &fence, NULL), ARIL_OK);
    assert_status(ask(&c, key, 20, &result), ARIL_OK);
    assert_int_equal(c.calls, 1);
}

static struct {
    struct computing computing;
    atomic_uint served;
} crowd;

#define CROWD 8u
static void wait_for_the_others(void)
{
    /* Whoever comes while this one works may not work as well; some are let come. */
    for (int i = 0; i < 2000; i++) {
        sched_yield();
    }
}
static void ask_in_crowd(void *arg, unsigned number)
{
    (void)arg;
    (void)number;
    uint8_t room[16];
    const aril_cache_compute with = { .user = &crowd.computing, .compute = compute };
    aril_cache_item item = { .key = cache_key("alice", "s", "k"), .buffer = { room, sizeof room } };
    const aril_status st = aril_cache_get_or_compute(ch.cache, &item, &with, NULL);
    team_demand(st == ARIL_OK && item.result.len == 8 && memcmp(room, "computed", 8) == 0,
                "no value");
    atomic_fetch_add(&crowd.served, 1);
}

static void of_many_threads_one_computes(void **state)
{
    (void)state;
    start(&in_store);
    memset(&crowd, 0, sizeof crowd);
    crowd.computing.meanwhile = wait_for_the_others;
    const struct team_role roles[] = { { "asks", ask_in_crowd, CROWD } };
    team_run(roles, 1, NULL);
    assert_int_equal(crowd.computing.calls, 1);
    assert_int_equal(crowd.served, CROWD);
}

static void a_computed_value_replaces_what_is_there_whatever_the_item_says(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2, .ttl_ms = 60000, .stale_ms = 50000 };
    start(&policy);
    struct computing c = { .answer = ARIL_OK };
    const aril_cache_compute with = { .user = &c, .compute = compute };
    aril_cache_item item = { .key = cache_key("alice", "s", "k"), .absent_only = 1 };
    assert_status(cache_put(&ch, item.key, TEXT("old")), ARIL_OK);
    fake_clock_add_s(&w.clock, 20);
    assert_status(aril_cache_get_or_compute(ch.cache, &item, &with, NULL), ARIL_OK);
    assert_status(item.result.status, ARIL_E_NOT_FOUND);
    aril_cache_value_free(&item.buffer);
    assert_status(cache_get(&ch, item.key, TEXT("computed"), NULL), ARIL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_changed_is_counted_and_computed_where_it_fails_open),
        TEST(a_locked_keyring_computes_and_keeps_nothing_where_it_fails_open),
        TEST(a_lock_that_is_too_long_is_refused),
        TEST(who_computes_holds_the_lock_of_the_value),
        TEST(what_came_before_the_lock_is_not_computed_again),
        TEST(who_was_too_slow_gets_its_value_and_overwrites_none),
        TEST(who_waits_longer_than_the_lock_computes_too),
        TEST(of_many_threads_one_computes),
        TEST(a_computed_value_replaces_what_is_there_whatever_the_item_says),
    };
    return cmocka_run_group_tests_name("computing", tests, temp_folder_make, temp_folder_remove);
}
