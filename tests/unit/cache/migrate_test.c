/* SPDX-License-Identifier: Apache-2.0 */
/* Values that cachekit and LMCache wrote, from tests/data/vectors, through a cache: read until the
 * day that was said, and made native, also when that is interrupted at any place. */
#include "cache_fixture.h"
#include "legacy_values.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define UNTIL_S (FAKE_UNIX_S + 1000)

static struct world w;
static struct cache_home ch;
static aril_cache_policy policy;

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

/* A namespace that reads what the case is written in; its keys are handed in. */
static void read_as(const struct legacy_case *c)
{
    policy = (aril_cache_policy){ .legacy_reads = 1u << c->scope.format,
                                  .legacy_until_s = UNTIL_S,
                                  .legacy_tenant = c->scope.tenant,
                                  .lmcache_key_bits = c->scope.lmcache_key_bits };
    if (ch.cache == NULL) {
        cache_home_init(&ch, &w, "memory:", &policy, 1);
    } else {
        cache_home_reopen(&ch);
    }
    const bool is_lmcache = c->scope.format == ARIL_CACHE_LMCACHE;
    assert_status(
        aril_cache_legacy_keys(
            ch.cache, TEXT("alice"), is_lmcache ? ARIL_CACHE_LMCACHE : ARIL_CACHE_CACHEKIT_INTEROP,
            is_lmcache ? &c->master : c->keys.key, is_lmcache ? 1 : c->keys.count, &ch.error),
        ARIL_OK);
}

static aril_cache_key key_of(const struct legacy_case *c)
{
    return (aril_cache_key){ .tenant = TEXT("alice"), .space = TEXT("s"), .key = c->scope.name };
}

static aril_status exists(aril_bytes name)
{
    aril_store_item item = { .name = name };
    assert_status(aril_store_exists(ch.store, &item, 1, NULL), ARIL_OK);
    return item.status;
}

static void migrate_one(const struct legacy_case *c)
{
    aril_cache_result result;
    aril_cache_migration done;
    read_as(c);
    cache_store_put(&ch, c->scope.name, c->stored);
    assert_status(cache_get(&ch, key_of(c), c->value, &result), ARIL_OK);
    assert_int_equal(result.format, c->scope.format);
    assert_int_equal(result.old_key, c->key_index > 0);
    assert_status(aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), &c->scope.name, 1, NULL,
                                     NULL, &done, &ch.error),
                  ARIL_OK);
    assert_int_equal(done.seen, 1);
    assert_int_equal(done.migrated, 1);
    assert_status(exists(c->scope.name), ARIL_E_NOT_FOUND);
    assert_status(cache_get_l2(&ch, key_of(c), c->value, &result), ARIL_OK);
    assert_int_equal(result.format, ARIL_CACHE_NATIVE);
    aril_cache_item gone = { .key = key_of(c) };
    assert_status(aril_cache_delete(ch.cache, &gone, 1, &ch.error), ARIL_OK);
}

static void every_value_of_others_becomes_native(void **state)
{
    (void)state;
    assert_true(legacy_case_each(migrate_one) > 20);
}

/* --- The day that was said ---------------------------------------------------------------------
 */

static void on_the_next_day(const struct legacy_case *c)
{
    aril_cache_result result;
    aril_cache_migration done;
    read_as(c);
    cache_store_put(&ch, c->scope.name, c->stored);
    atomic_store(&w.clock.unix_s, UNTIL_S);
    assert_status(cache_get(&ch, key_of(c), c->value, &result), ARIL_OK);
    atomic_store(&w.clock.unix_s, UNTIL_S + 1);
    assert_status(cache_get(&ch, key_of(c), c->value, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_MISS);
    assert_status(aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), &c->scope.name, 1, NULL,
                                     NULL, &done, &ch.error),
                  ARIL_E_USAGE_STATE);
    assert_status(exists(c->scope.name), ARIL_OK);
    atomic_store(&w.clock.unix_s, FAKE_UNIX_S);
}

static void after_the_day_none_is_read(void **state)
{
    (void)state;
    (void)legacy_case_each(on_the_next_day);
}

/* --- Damage ------------------------------------------------------------------------------------
 */

static void damage(const struct legacy_case *c)
{
    static uint8_t bytes[65536];
    aril_cache_result result;
    aril_cache_migration done;
    assert_true(c->stored.len <= sizeof bytes);
    memcpy(bytes, c->stored.data, c->stored.len);
    bytes[c->stored.len - 1] ^= 1;
    read_as(c);
    cache_store_put(&ch, c->scope.name, (aril_bytes){ bytes, c->stored.len });
    assert_status(cache_get(&ch, key_of(c), c->value, &result), ARIL_E_NOT_FOUND);
    assert_int_equal(result.outcome, ARIL_CACHE_TAMPERED);
    assert_status(aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), &c->scope.name, 1, NULL,
                                     NULL, &done, &ch.error),
                  ARIL_OK);
    assert_int_equal(done.failed, 1);
    assert_int_equal(done.migrated, 0);
    assert_status(exists(c->scope.name), ARIL_OK); /* it stays as it is */
}

static void what_does_not_open_stays_as_it_is(void **state)
{
    (void)state;
    (void)legacy_case_each(damage);
}

/* --- Interruption ------------------------------------------------------------------------------
 */

#define NAMES 10u

static struct progress {
    unsigned calls, stop_at;
} progress;

static int stop_now(void *user, uint64_t done, uint64_t total)
{
    struct progress *p = user;
    (void)done;
    (void)total;
    return ++p->calls == p->stop_at;
}

/* The same stored bytes under many names: LMCache's frames do not bind one. */
static void an_interrupted_migration_is_done_by_the_next(void **state)
{
    (void)state;
    struct legacy_case c;
    char text[NAMES][8];
    aril_bytes names[NAMES];
    legacy_case_get("aes128_0", &c);
    for (unsigned stop = 1; stop <= NAMES; stop++) {
        aril_cache_migration done;
        aril_cache_result result;
        read_as(&c);
        for (unsigned i = 0; i < NAMES; i++) {
            (void)snprintf(text[i], sizeof text[i], "n%u", i);
            names[i] = text_bytes(text[i]);
            cache_store_put(&ch, names[i], c.stored);
        }
        progress = (struct progress){ .stop_at = stop };
        assert_status(aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), names, NAMES, stop_now,
                                         &progress, &done, &ch.error),
                      ARIL_E_INTERRUPTED);
        assert_int_equal(done.migrated, stop);
        for (unsigned i = 0; i < NAMES; i++) { /* each is there, in one way or the other */
            const aril_cache_key key = cache_key("alice", "s", text[i]);
            assert_status(cache_get(&ch, key, c.value, &result), ARIL_OK);
            assert_int_equal(result.format, i < stop ? ARIL_CACHE_NATIVE : ARIL_CACHE_LMCACHE);
        }
        progress = (struct progress){ .stop_at = 0 };
        assert_status(aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("s"), NULL, 0, stop_now,
                                         &progress, &done, &ch.error),
                      ARIL_OK);
        assert_int_equal(done.migrated, NAMES - stop);
        assert_true(done.native >= stop); /* new ones may come by as well */
        for (unsigned i = 0; i < NAMES; i++) {
            aril_cache_item item = { .key = cache_key("alice", "s", text[i]) };
            assert_status(cache_get(&ch, item.key, c.value, &result), ARIL_OK);
            assert_int_equal(result.format, ARIL_CACHE_NATIVE);
            assert_status(aril_cache_delete(ch.cache, &item, 1, &ch.error), ARIL_OK);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_value_of_others_becomes_native),
        TEST(after_the_day_none_is_read),
        TEST(what_does_not_open_stays_as_it_is),
        TEST(an_interrupted_migration_is_done_by_the_next),
    };
    if (temp_folder_make(NULL) != 0) {
        return 1;
    }
    const int failed = cmocka_run_group_tests_name("migration", tests, legacy_values_setup,
                                                   legacy_values_teardown);
    return failed + (temp_folder_remove(NULL) != 0);
}
