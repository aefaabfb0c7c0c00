/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "faulty_cache_store.h"
#include "temp_folder.h"
#include <string.h>

/* Values in formats of others, through the cache: until when, under whose keys, and away from them.
 * What their bytes are is tests/kat/cachekit_test.c's. */

static struct world w;
static struct cache_home ch;
static struct faulty_cache_store *faulty;

#define UNTIL_S (FAKE_UNIX_S + 1000)
/* One MessagePack document: "value". */
#define DOCUMENT ((aril_bytes){ (const uint8_t *)"\xa5value", 6 })

static const aril_cache_policy both = { .legacy_reads = 1u << ARIL_CACHE_CACHEKIT_INTEROP,
                                        .legacy_until_s = UNTIL_S,
                                        .writes = ARIL_CACHE_CACHEKIT_INTEROP };
static const aril_cache_policy native = { .legacy_reads = 1u << ARIL_CACHE_CACHEKIT_INTEROP,
                                          .legacy_until_s = UNTIL_S };
static const aril_cache_policy lmcache = { .legacy_reads = 1u << ARIL_CACHE_LMCACHE,
                                           .legacy_until_s = UNTIL_S,
                                           .writes = ARIL_CACHE_LMCACHE,
                                           .lmcache_writes_max = 2 };

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

static aril_status hand_in(const char *tenant, aril_cache_format format, uint8_t fill)
{
    uint8_t key[32];
    memset(key, fill, sizeof key);
    const aril_bytes keys[] = { { key, sizeof key } };
    return aril_cache_legacy_keys(ch.cache, text_bytes(tenant), format, keys, 1, &ch.error);
}

static void start(const aril_cache_policy *policy)
{
    const aril_store_config config = { .uri = "memory:", .breaker_after = 1000 };
    cache_home_init(&ch, &w, "memory:", policy, 1);
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
    faulty = faulty_cache_store_new(&arili_cache_store_memory);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
    assert_status(hand_in("alice", ARIL_CACHE_CACHEKIT_INTEROP, 1), ARIL_OK);
}

/* With another policy from now on. */
static void change_policy(const aril_cache_policy *policy)
{
    ch.config.policies = policy;
    cache_home_reopen(&ch);
    assert_status(hand_in("alice", ARIL_CACHE_CACHEKIT_INTEROP, 1), ARIL_OK);
}

static aril_status exists(aril_bytes name)
{
    aril_store_item item = { .name = name };
    assert_status(aril_store_exists(ch.store, &item, 1, NULL), ARIL_OK);
    return item.status;
}

/* Values of cachekit, and a policy that only reads them. */
static void start_with(const char *const *names, size_t count)
{
    start(&both);
    for (size_t i = 0; i < count; i++) {
        assert_status(cache_put(&ch, cache_key("alice", "s", names[i]), DOCUMENT), ARIL_OK);
    }
    change_policy(&native);
}

static const char *const abc[] = { "a", "b", "c" };

/* --- Reading and writing ------------------------------------------------------------------- */

static void they_are_read_until_the_day_that_was_said(void **state)
{
    (void)state;
    start_with(abc, 1);
    aril_cache_result result;
    aril_cache_stats stats;
    const aril_cache_key key = cache_key("alice", "s", "a");
    fake_clock_add_s(&w.clock, 1000);
    assert_status(cache_get(&ch, key, DOCUMENT, &result), ARIL_OK);
    assert_int_equal(result.format, ARIL_CACHE_CACHEKIT_INTEROP);
    aril_cache_item two[2] = { { .key = key }, { .key = key } };
    assert_status(aril_cache_get(ch.cache, two, 2, NULL), ARIL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(two[i].buffer.len, DOCUMENT.len);
        assert_memory_equal(two[i].buffer.data, DOCUMENT.data, DOCUMENT.len);
        aril_cache_value_free(&two[i].buffer);
    }
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.hits_legacy, 3);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, DOCUMENT, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
}

static void the_keys_of_one_tenant_open_nothing_of_another(void **state)
{
    (void)state;
    start_with(abc, 1);
    aril_cache_result result;
    const aril_cache_key bobs = cache_key("bob", "s", "a");
    assert_status(cache_get(&ch, bobs, DOCUMENT, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
    assert_status(result.status, ARIL_E_KEY_UNKNOWN);
    assert_non_null(strstr(ch.error.message, "bob"));
    assert_status(hand_in("bob", ARIL_CACHE_CACHEKIT_INTEROP, 2), ARIL_OK);
    assert_status(cache_get(&ch, bobs, DOCUMENT, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
    assert_status(cache_get(&ch, cache_key("alice", "s", "a"), DOCUMENT, NULL), ARIL_OK);
}

static void a_delete_ends_both_names_of_a_value(void **state)
{
    (void)state;
    start_with(abc, 1);
    aril_cache_item item = { .key = cache_key("alice", "s", "a") };
    assert_status(cache_put(&ch, item.key, DOCUMENT), ARIL_OK);
    assert_int_equal(cache_store_count(&ch), 2);
    /* First their name, then ours: what could not be deleted would be read again. */
    for (unsigned nth = 1; nth <= 2; nth++) {
        faulty_cache_store_arm(faulty, nth, ARIL_E_TIMEOUT);
        assert_status(aril_cache_delete(ch.cache, &item, 1, NULL), ARIL_E_TIMEOUT);
        faulty_cache_store_disarm(faulty);
        assert_status(cache_put(&ch, item.key, DOCUMENT), ARIL_OK);
    }
    assert_status(aril_cache_delete(ch.cache, &item, 1, NULL), ARIL_OK);
    assert_int_equal(cache_store_count(&ch), 0);
    assert_status(aril_cache_delete(ch.cache, &item, 1, NULL), ARIL_E_NOT_FOUND);
}

static void no_more_are_written_than_was_said(void **state)
{
    (void)state;
    start(&lmcache);
    assert_status(hand_in("alice", ARIL_CACHE_LMCACHE, 3), ARIL_OK);
    const aril_cache_key key = cache_key("alice", "s", "frame");
    assert_status(cache_put(&ch, key, TEXT("one")), ARIL_OK);
    assert_status(cache_put(&ch, key, TEXT("two")), ARIL_OK);
    assert_status(cache_put(&ch, key, TEXT("three")), ARIL_E_LIMIT);
    assert_non_null(strstr(ch.error.message, " 2 values"));
    assert_status(cache_get(&ch, key, TEXT("two"), NULL), ARIL_OK);
}

static void keys_of_a_wrong_kind_are_refused(void **state)
{
    (void)state;
    start(&native);
    static const uint8_t key[65] = { 1 };
    const aril_bytes short_one[] = { { key, 15 } };
    const aril_bytes long_one[] = { { key, 65 } };
    const aril_bytes twice[] = { { key, 32 }, { key, 32 } };
    const aril_bytes good[] = { { key, 16 }, { key, 17 }, { key, 18 }, { key, 19 }, { key, 20 } };
    static const struct {
        aril_cache_format format;
        int which;
        size_t count;
    } bad[] = { { ARIL_CACHE_CACHEKIT_INTEROP, 0, 1 }, { ARIL_CACHE_CACHEKIT_INTEROP, 1, 1 },
                { ARIL_CACHE_CACHEKIT_INTEROP, 2, 2 }, { ARIL_CACHE_CACHEKIT_INTEROP, 3, 0 },
                { ARIL_CACHE_CACHEKIT_INTEROP, 3, 5 }, { ARIL_CACHE_LMCACHE, 3, 2 },
                { ARIL_CACHE_CACHEKIT_PY, 3, 1 },      { ARIL_CACHE_NATIVE, 3, 1 } };
    const aril_bytes *const lists[] = { short_one, long_one, twice, good };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(aril_cache_legacy_keys(ch.cache, TEXT("alice"), bad[i].format,
                                             lists[bad[i].which], bad[i].count, &ch.error),
                      ARIL_E_USAGE_RANGE);
        assert_non_null(strstr(ch.error.message, "16 to 64 bytes"));
    }
    assert_status(aril_cache_legacy_keys(ch.cache, TEXT("alice"), ARIL_CACHE_CACHEKIT_INTEROP, good,
                                         4, &ch.error),
                  ARIL_OK);
}

/* --- Migration ----------------------------------------------------------------------------- */

static aril_status migrate(const aril_bytes *names, size_t count, aril_cache_migration *ret)
{
    memset(ret, 0, sizeof *ret);
    return aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), names, count, NULL, NULL, ret,
                              &ch.error);
}

static void all_that_is_listed_is_native_afterwards(void **state)
{
    (void)state;
    start_with(abc, COUNT(abc));
    aril_cache_migration done;
    aril_cache_result result;
    cache_store_put(&ch, TEXT("foreign"), TEXT("what nobody knows"));
    assert_status(migrate(NULL, 0, &done), ARIL_OK);
    assert_int_equal(done.migrated, 3);
    assert_int_equal(done.failed, 1);
    assert_status(exists(TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(exists(TEXT("foreign")), ARIL_OK);
    for (size_t i = 0; i < COUNT(abc); i++) {
        assert_status(cache_get_l2(&ch, cache_key("alice", "s", abc[i]), DOCUMENT, &result),
                      ARIL_OK);
        assert_int_equal(result.format, ARIL_CACHE_NATIVE);
    }
    assert_status(hand_in("alice", ARIL_CACHE_CACHEKIT_INTEROP, 1), ARIL_OK);
    assert_status(migrate(NULL, 0, &done), ARIL_OK);
    assert_int_equal(done.migrated, 0);
    assert_int_equal(done.native, 3);
    assert_int_equal(done.seen, 1);
}

static void the_old_value_stays_until_the_new_one_was_seen(void **state)
{
    (void)state;
    start_with(abc, 1);
    const aril_bytes name = TEXT("a");
    aril_cache_migration done;
    faulty_cache_store_drop_puts(faulty, true); /* a store that says OK and does nothing */
    assert_status(migrate(&name, 1, &done), ARIL_E_NOT_FOUND);
    faulty_cache_store_drop_puts(faulty, false);
    assert_int_equal(done.migrated, 0);
    assert_status(exists(name), ARIL_OK);
    /* get, put, exists, delete: wherever it stops, the value is there. */
    for (unsigned nth = 1; nth <= 4; nth++) {
        faulty_cache_store_arm(faulty, nth, ARIL_E_TIMEOUT);
        assert_status(migrate(&name, 1, &done), ARIL_E_TIMEOUT);
        faulty_cache_store_disarm(faulty);
        assert_status(cache_get(&ch, cache_key("alice", "s", "a"), DOCUMENT, NULL), ARIL_OK);
    }
    assert_status(migrate(&name, 1, &done), ARIL_OK);
    assert_int_equal(done.migrated, 1);
    assert_status(exists(name), ARIL_E_NOT_FOUND);
}

static void a_list_with_a_wrong_name_changes_nothing(void **state)
{
    (void)state;
    start_with(abc, 1);
    const aril_bytes names[] = { TEXT("a"), { NULL, 0 } };
    aril_cache_migration done;
    assert_status(migrate(names, 2, &done), ARIL_E_USAGE_RANGE);
    assert_status(exists(TEXT("a")), ARIL_OK);
}

static void without_a_format_of_others_there_is_nothing_to_migrate(void **state)
{
    (void)state;
    static const aril_cache_policy none = { .ttl_ms = 1000 };
    start_with(abc, 1);
    const aril_bytes name = TEXT("a");
    aril_cache_migration done;
    fake_clock_add_s(&w.clock, 1001);
    assert_status(migrate(&name, 1, &done), ARIL_E_USAGE_STATE);
    change_policy(&both);
    assert_status(migrate(&name, 1, &done), ARIL_E_USAGE_STATE);
    change_policy(&none);
    assert_status(migrate(&name, 1, &done), ARIL_E_USAGE_STATE);
    assert_non_null(strstr(ch.error.message, "legacy_reads"));
    assert_status(exists(name), ARIL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_are_read_until_the_day_that_was_said),
        TEST(the_keys_of_one_tenant_open_nothing_of_another),
        TEST(a_delete_ends_both_names_of_a_value),
        TEST(no_more_are_written_than_was_said),
        TEST(keys_of_a_wrong_kind_are_refused),
        TEST(all_that_is_listed_is_native_afterwards),
        TEST(the_old_value_stays_until_the_new_one_was_seen),
        TEST(a_list_with_a_wrong_name_changes_nothing),
        TEST(without_a_format_of_others_there_is_nothing_to_migrate),
    };
    return cmocka_run_group_tests_name("others", tests, temp_folder_make, temp_folder_remove);
}
