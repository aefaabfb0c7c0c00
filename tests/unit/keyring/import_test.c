/* SPDX-License-Identifier: Apache-2.0 */
/* Master keys of cachekit: they open, and nothing else. */
#include "keyring_fixture.h"
#include "keyring/cache.h"
#include "temp_folder.h"
#include <string.h>

static struct world w;
static struct keyring_home h;
static uint8_t masters[8][32];
static aril_bytes keys[8];

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    for (size_t i = 0; i < COUNT(masters); i++) {
        fill_pattern(masters[i], sizeof masters[i], 70 + i);
        keys[i] = (aril_bytes){ masters[i], sizeof masters[i] };
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static const aril_key_slot slot = { ARIL_KEY_LEGACY, { (const uint8_t *)"alice", 5 }, { NULL, 0 } };

static aril_status import(const char *tenant, const aril_bytes *list, size_t count)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_import_cachekit(h.kr, text_bytes(tenant), list, count, &h.error);
}

static void refused(const char *tenant, const aril_bytes *list, size_t count, aril_status st)
{
    struct home_mark mark = home_mark(&h);
    assert_status(import(tenant, list, count), st);
    home_unchanged(&h, &mark);
}

/* Version v of alice's is that master key, in that state. */
static void version_is(uint32_t v, size_t master, aril_key_state want)
{
    struct key_copy copy;
    aril_tenant_key *key = NULL;
    keyring_key(h.kr, slot, v, &copy);
    assert_string_equal(aril_key_state_name(copy.info.state), aril_key_state_name(want));
    assert_int_equal(copy.info.rotate_by_s, 0);
    assert_int_equal(copy.info.due, ARIL_KEY_NOT_DUE);
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), copy.info.id, &key, &h.error),
                  ARIL_OK);
    assert_int_equal(aril_tenant_key_purpose(key), ARIL_KEY_LEGACY);
    assert_memory_equal(arili_tenant_key_bytes(key).data, masters[master], 32);
    aril_tenant_key_put(key);
    if (v > 1) {
        struct key_copy before;
        keyring_key(h.kr, slot, v - 1, &before);
        assert_memory_equal(copy.info.predecessor, before.info.id, 32);
    }
}

static void four_keys_come_with_the_current_one_as_the_newest(void **state)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    (void)state;
    for (size_t p = 0; p < COUNT(profiles); p++) {
        home_done(&h);
        home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
        home_make(&h, profiles[p], NULL);
        home_tenant(&h, "alice");
        world_forget(&w);
        const uint64_t revision = keyring_info(h.kr).revision;
        assert_status(import("alice", keys, 4), ARIL_OK);
        assert_int_equal(keyring_info(h.kr).revision, revision + 1);
        assert_string_equal(world_last(&w, ARIL_EVENT_KEY).action, "import");
        assert_true(world_last_tenant_is(&w, ARIL_EVENT_KEY, TEXT("alice")));
        for (unsigned restart = 0; restart < 2; restart++) {
            version_is(4, 0, ARIL_KEY_ACTIVE);
            for (uint32_t v = 1; v < 4; v++) {
                version_is(v, 4 - v, ARIL_KEY_DECRYPT_ONLY);
            }
            home_reopen(&h);
        }
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
    }
}

static void later_imports_go_on_with_the_versions(void **state)
{
    (void)state;
    assert_status(import("alice", keys, 2), ARIL_OK);
    assert_status(import("alice", keys + 2, 3), ARIL_OK);
    version_is(1, 1, ARIL_KEY_DECRYPT_ONLY);
    version_is(2, 0, ARIL_KEY_DECRYPT_ONLY);
    version_is(3, 4, ARIL_KEY_DECRYPT_ONLY);
    version_is(4, 3, ARIL_KEY_DECRYPT_ONLY);
    version_is(5, 2, ARIL_KEY_ACTIVE);
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_LEGACY, ARIL_KEY_ACTIVE), 1);
}

static void a_legacy_key_never_seals(void **state)
{
    struct sealed_box box;
    struct key_copy legacy;
    aril_tenant_key *key = NULL;
    (void)state;
    assert_status(import("alice", keys, 4), ARIL_OK);
    keyring_key(h.kr, slot, 4, &legacy);
    assert_status(aril_keyring_slot_key(h.kr, &slot, &key, &h.error), ARIL_E_USAGE_RANGE);
    assert_null(key);
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("alice"), ARIL_KEY_LEGACY, &key, &h.error),
                  ARIL_E_USAGE_RANGE);
    assert_status(home_rotate(&h, slot), ARIL_E_USAGE_RANGE);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_memory_not_equal(box_key_id(&box), legacy.info.id, 32);
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("bob"), legacy.info.id, &key, &h.error),
                  ARIL_E_ISOLATION);
}

static void the_current_one_can_be_retired_without_a_successor(void **state)
{
    struct key_copy copy;
    aril_tenant_key *key = NULL;
    (void)state;
    assert_status(import("alice", keys, 1), ARIL_OK);
    keyring_key(h.kr, slot, 1, &copy);
    assert_status(aril_keyring_retire(h.kr, copy.info.id, 0, &h.error), ARIL_OK);
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), copy.info.id, &key, &h.error),
                  ARIL_E_KEY_RETIRED);
    assert_status(import("alice", keys + 1, 1), ARIL_OK);
    version_is(2, 1, ARIL_KEY_ACTIVE);
}

static void it_follows_its_tenant(void **state)
{
    (void)state;
    assert_status(import("alice", keys, 2), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    home_reopen(&h);
    version_is(2, 0, ARIL_KEY_ACTIVE);
    struct key_copy copy;
    keyring_key(h.kr, slot, 1, &copy);
    assert_status(aril_keyring_retire(h.kr, copy.info.id, 1, &h.error), ARIL_OK);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, &h.error), ARIL_OK);
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_LEGACY, ARIL_KEY_DESTROYED), 2);
    assert_status(import("alice", keys + 4, 1), ARIL_E_KEY_DESTROYED);
}

static void keys_that_were_imported_before_are_refused(void **state)
{
    const aril_bytes mixed[] = { keys[5], keys[1] };
    (void)state;
    assert_status(import("alice", keys, 2), ARIL_OK);
    refused("alice", mixed, 2, ARIL_E_EXISTS);
    assert_error(&h.error, ARIL_E_EXISTS, "imported before");
    refused("bob", mixed, 2, ARIL_E_EXISTS);
    assert_status(import("alice", mixed, 1), ARIL_OK);
}

static void keys_out_of_range_are_refused(void **state)
{
    const aril_bytes doubled[] = { keys[0], keys[1], keys[0] };
    const aril_bytes shorter[] = { { masters[0], 31 } };
    const aril_bytes longer[] = { { masters[0], 33 } };
    const aril_bytes null[] = { { NULL, 32 } };
    (void)state;
    refused("alice", doubled, 3, ARIL_E_USAGE_RANGE);
    refused("alice", shorter, 1, ARIL_E_USAGE_RANGE);
    refused("alice", longer, 1, ARIL_E_USAGE_RANGE);
    refused("alice", null, 1, ARIL_E_USAGE_NULL);
    refused("alice", keys, 0, ARIL_E_USAGE_RANGE);
    refused("alice", keys, 5, ARIL_E_USAGE_RANGE);
    refused("alice", NULL, 1, ARIL_E_USAGE_NULL);
    refused("", keys, 1, ARIL_E_USAGE_RANGE);
    refused("carol", keys, 1, ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "carol");
    assert_status(aril_keyring_import_cachekit(NULL, TEXT("alice"), keys, 1, NULL),
                  ARIL_E_USAGE_NULL);
}

static void a_node_imports_nothing_and_gets_them_by_bundle(void **state)
{
    struct keyring_home n;
    struct key_copy copy;
    aril_tenant_key *key = NULL;
    (void)state;
    assert_status(import("alice", keys, 2), ARIL_OK);
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "n");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    fleet_pull(&h, &n);
    struct home_mark mark = home_mark(&n);
    assert_status(aril_keyring_import_cachekit(n.kr, TEXT("alice"), keys + 4, 1, &n.error),
                  ARIL_E_USAGE_STATE);
    home_unchanged(&n, &mark);
    keyring_key(n.kr, slot, 2, &copy);
    assert_status(aril_keyring_key_by_id(n.kr, TEXT("alice"), copy.info.id, &key, &n.error),
                  ARIL_OK);
    assert_memory_equal(arili_tenant_key_bytes(key).data, masters[0], 32);
    aril_tenant_key_put(key);
    home_done(&n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(four_keys_come_with_the_current_one_as_the_newest),
        TEST(later_imports_go_on_with_the_versions),
        TEST(a_legacy_key_never_seals),
        TEST(the_current_one_can_be_retired_without_a_successor),
        TEST(it_follows_its_tenant),
        TEST(keys_that_were_imported_before_are_refused),
        TEST(keys_out_of_range_are_refused),
        TEST(a_node_imports_nothing_and_gets_them_by_bundle),
    };
    return cmocka_run_group_tests_name("import", tests, temp_folder_make, temp_folder_remove);
}
