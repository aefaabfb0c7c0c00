/* SPDX-License-Identifier: Apache-2.0 */
/* Locked keyrings, and what others changed. */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include "keyring/keyring.h"
#include <string.h>

#define MS UINT64_C(1000000)

static struct world w;
static struct keyring_home h;
static struct sealed_box box;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static const aril_key_slot data_slot = { ARIL_KEY_DATA,
                                         { (const uint8_t *)"alice", 5 },
                                         { NULL, 0 } };

static int ignore_key(void *user, const aril_key_info *info)
{
    (void)user;
    (void)info;
    return 0;
}

/* --- Lock ---------------------------------------------------------------------------------- */

static void a_locked_keyring_uses_no_key(void **state)
{
    struct sealed_box other;
    aril_identity *signer = NULL;
    struct key_copy key;
    uint64_t value = 0;
    const uint8_t bytes[32] = { 5 };
    const aril_bytes legacy[] = { { bytes, sizeof bytes } };
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 1, &key);
    const uint64_t generation = keyring_info(h.kr).generation;
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    assert_string_equal(world_last(&w, ARIL_EVENT_KEYRING).action, "lock");
    assert_null(h.kr->root);
    assert_int_equal(keyring_info(h.kr).locked, 1);
    assert_int_equal(keyring_info(h.kr).generation, generation);
    for (unsigned restart = 0; restart < 2; restart++) {
        struct home_mark mark = home_mark(&h);
        assert_status(box_seal(h.kr, "alice", &other, &h.error), ARIL_E_KEY_LOCKED);
        assert_error(&h.error, ARIL_E_KEY_LOCKED, "unlock");
        assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_LOCKED);
        assert_error(&h.error, ARIL_E_KEY_LOCKED, h.path);
        assert_status(aril_keyring_signing_key(h.kr, (aril_bytes){ NULL, 0 }, &signer, &h.error),
                      ARIL_E_KEY_LOCKED);
        assert_status(home_create(&h, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_E_KEY_LOCKED);
        assert_status(home_rotate(&h, data_slot), ARIL_E_KEY_LOCKED);
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_retire(h.kr, key.info.id, 1, &h.error), ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 1, NULL, &h.error),
                      ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 1, &h.error), ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_import_cachekit(h.kr, TEXT("alice"), legacy, 1, &h.error),
                      ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_bundle_write(h.kr, temp_path("b"), &value, &h.error),
                      ARIL_E_KEY_LOCKED);
        /* looking is no use */
        assert_status(aril_keyring_list(h.kr, NULL, ignore_key, NULL, &h.error), ARIL_OK);
        assert_status(aril_keyring_floor_get(h.kr, TEXT("m"), &value, &h.error), ARIL_OK);
        assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK); /* is locked */
        home_unchanged(&h, &mark);
        home_reopen(&h);
    }
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    assert_string_equal(world_last(&w, ARIL_EVENT_KEYRING).action, "unlock");
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK); /* is not locked */
    home_unchanged(&h, &mark);
}

static void another_process_forgets_its_keys_within_its_refresh_time(void **state)
{
    (void)state;
    h.config.refresh_ms = 400;
    struct keyring_handle second = home_second(&h);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, 400 * MS - 1);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, 1);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_E_KEY_LOCKED);
    assert_null(second.kr->root);
    assert_int_equal(second.kr->cache.used, 0);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, 400 * MS);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    handle_close(&second);
}

static void the_refresh_time_is_a_quarter_of_a_second_by_default(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, 250 * MS - 1);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, 1);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_E_KEY_LOCKED);
    handle_close(&second);
}

static void any_handle_unlocks_but_not_without_the_keystore(void **state)
{
    struct keyring_handle second = home_second(&h);
    (void)state;
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    /* the slot is gone: who has the file and a running process has nothing */
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    assert_status(arili_keystore_destroy(h.ks, set->head.root_slot, &h.error), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_unlock(second.kr, &h.error), ARIL_E_KEYSTORE_WRONG);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_E_KEYSTORE_WRONG);
    home_unchanged(&h, &mark);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_LOCKED);
    arili_rowset_drop(set);
    handle_close(&second);
}

static void forget_is_for_this_process_alone_and_keys_come_again(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    aril_keyring_forget(second.kr);
    assert_null(second.kr->root);
    assert_int_equal(second.kr->cache.used, 0);
    assert_non_null(h.kr->root);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    home_unchanged(&h, &mark);
    aril_keyring_forget(NULL);
    handle_close(&second);
}

/* Another place of the root in memory; the old one is held meanwhile. */
static bool is_unsealed_anew(struct arili_kek *old)
{
    struct arili_kek *root = NULL;
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    arili_kek_hold(old);
    assert_status(arili_keyring_root(h.kr, set, &root, &h.error), ARIL_OK);
    const bool anew = root != old;
    assert_ptr_equal(root, h.kr->root);
    arili_kek_drop(root);
    arili_kek_drop(old);
    arili_rowset_drop(set);
    return anew;
}

static void the_root_is_unsealed_anew_when_its_time_is_over(void **state)
{
    (void)state;
    h.config.cache_ttl_s = 60;
    home_reopen(&h);
    fake_clock_add_ns(&w.clock, 60000 * MS - 1);
    assert_false(is_unsealed_anew(h.kr->root));
    fake_clock_add_ns(&w.clock, 1);
    assert_true(is_unsealed_anew(h.kr->root));
    assert_false(is_unsealed_anew(h.kr->root));
    fake_clock_add_ns(&w.clock, 60000 * MS);
    assert_true(is_unsealed_anew(h.kr->root));
}

static void the_root_goes_at_its_time_though_nobody_needs_it(void **state)
{
    (void)state;
    h.config.cache_ttl_s = 60;
    home_reopen(&h);
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    fake_clock_add_ns(&w.clock, 60000 * MS - 1);
    assert_status(aril_keyring_refresh(h.kr, NULL, &h.error), ARIL_OK);
    assert_non_null(h.kr->root);
    fake_clock_add_ns(&w.clock, 1);
    assert_status(aril_keyring_refresh(h.kr, NULL, &h.error), ARIL_OK);
    assert_null(h.kr->root);
    /* and what opened a minute ago does not open without the keystore */
    assert_status(arili_keystore_destroy(h.ks, set->head.root_slot, &h.error), ARIL_OK);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEYSTORE_WRONG);
    arili_rowset_drop(set);
}

/* --- Refresh ------------------------------------------------------------------------------- */

static int refreshed(aril_keyring *kr)
{
    int changed = 77;
    assert_status(aril_keyring_refresh(kr, &changed, &h.error), ARIL_OK);
    return changed;
}

static void changes_by_others_are_told_once(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_int_equal(refreshed(second.kr), 0);
    home_tenant(&h, "bob");
    assert_int_equal(refreshed(second.kr), 1);
    assert_int_equal(refreshed(second.kr), 0);
    struct key_copy key;
    keyring_key(second.kr, slot_of(ARIL_KEY_DATA, "bob", NULL), 1, &key);
    handle_close(&second);
}

static void a_change_that_something_else_saw_first_is_still_told(void **state)
{
    uint64_t value = 0;
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_int_equal(refreshed(second.kr), 0);
    home_tenant(&h, "bob");
    assert_int_equal(keyring_info(second.kr).keys[ARIL_KEY_TENANT], 2);
    assert_int_equal(refreshed(second.kr), 1);
    home_tenant(&h, "carol");
    assert_status(aril_keyring_floor_get(second.kr, TEXT("m"), &value, &h.error), ARIL_OK);
    assert_status(aril_keyring_refresh(second.kr, NULL, &h.error), ARIL_OK);
    assert_int_equal(refreshed(second.kr), 1);
    home_tenant(&h, "dave");
    fake_clock_add_ns(&w.clock, 300 * MS);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    assert_int_equal(refreshed(second.kr), 1);
    assert_int_equal(refreshed(second.kr), 0);
    handle_close(&second);
}

static void a_key_that_another_process_just_made_is_found_at_once(void **state)
{
    struct sealed_box fresh;
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(box_seal(h.kr, "alice", &fresh, &h.error), ARIL_OK);
    assert_status(box_open(second.kr, &fresh, &h.error), ARIL_OK);
    handle_close(&second);
}

static void two_handles_write_in_turns(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&h);
    const uint64_t revision = keyring_info(h.kr).revision;
    for (unsigned i = 1; i <= 10; i++) {
        aril_keyring *kr = i % 2 ? second.kr : h.kr;
        assert_status(aril_keyring_rotate(kr, &data_slot, &h.error), ARIL_OK);
        assert_int_equal(keyring_info(i % 3 ? second.kr : h.kr).revision, revision + i);
    }
    assert_int_equal(keyring_count(second.kr, ARIL_KEY_DATA, ARIL_KEY_DECRYPT_ONLY), 10);
    handle_close(&second);
    home_reopen(&h);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_locked_keyring_uses_no_key),
        TEST(another_process_forgets_its_keys_within_its_refresh_time),
        TEST(the_refresh_time_is_a_quarter_of_a_second_by_default),
        TEST(any_handle_unlocks_but_not_without_the_keystore),
        TEST(forget_is_for_this_process_alone_and_keys_come_again),
        TEST(the_root_is_unsealed_anew_when_its_time_is_over),
        TEST(the_root_goes_at_its_time_though_nobody_needs_it),
        TEST(changes_by_others_are_told_once),
        TEST(a_change_that_something_else_saw_first_is_still_told),
        TEST(a_key_that_another_process_just_made_is_found_at_once),
        TEST(two_handles_write_in_turns),
    };
    return cmocka_run_group_tests_name("lock", tests, temp_folder_make, temp_folder_remove);
}
