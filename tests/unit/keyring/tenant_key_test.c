/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in use: which one is handed out, how long it lives, and for whom. */
#include "keyring_fixture.h"
#include "keyring/keyring.h"
#include "temp_folder.h"
#include <string.h>

#define DAY_S UINT64_C(86400)

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
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

static aril_status take(aril_key_purpose purpose, aril_tenant_key **ret)
{
    *ret = (aril_tenant_key *)(void *)&h;
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_tenant_key(h.kr, TEXT("alice"), purpose, ret, &h.error);
    assert_true((st == ARIL_OK) == (*ret != NULL));
    assert_status(h.error.status, st == ARIL_OK ? ARIL_OK : st);
    return st;
}

static aril_status take_id(const char *tenant, const uint8_t *id, aril_tenant_key **ret)
{
    *ret = (aril_tenant_key *)(void *)&h;
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_key_by_id(h.kr, text_bytes(tenant), id, ret, &h.error);
    assert_true((st == ARIL_OK) == (*ret != NULL));
    assert_status(h.error.status, st);
    return st;
}

/* --- Which one ----------------------------------------------------------------------------- */

static void keys_are_those_of_the_file(void **state)
{
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_NAME };
    (void)state;
    for (size_t i = 0; i < COUNT(purposes); i++) {
        struct key_copy copy;
        aril_tenant_key *key;
        aril_tenant_key *again;
        keyring_key(h.kr, slot_of(purposes[i], "alice", NULL), 1, &copy);
        assert_status(take(purposes[i], &key), ARIL_OK);
        assert_memory_equal(aril_tenant_key_id(key), copy.info.id, 32);
        assert_int_equal(aril_tenant_key_purpose(key), purposes[i]);
        assert_status(take(purposes[i], &again), ARIL_OK);
        assert_ptr_equal(again, key); /* one in memory */
        aril_tenant_key_put(again);
        assert_status(take_id("alice", copy.info.id, &again), ARIL_OK);
        assert_ptr_equal(again, key);
        aril_tenant_key_put(again);
        assert_status(take_id("", copy.info.id, &again), ARIL_OK); /* anybody's */
        aril_tenant_key_put(again);
        aril_tenant_key_put(key);
    }
    aril_tenant_key_put(NULL);
}

static void labels_and_models_have_keys_of_their_own(void **state)
{
    aril_tenant_key *keys[3];
    const aril_key_slot slots[] = { data_slot, slot_of(ARIL_KEY_DATA, "alice", "x"),
                                    slot_of(ARIL_KEY_DATA, "m@1", NULL) };
    (void)state;
    assert_status(home_create(&h, slot_of(ARIL_KEY_MODEL, "m@1", NULL)), ARIL_OK);
    assert_status(home_create(&h, slots[1]), ARIL_OK);
    assert_status(home_create(&h, slots[2]), ARIL_OK);
    for (size_t i = 0; i < COUNT(slots); i++) {
        assert_status(aril_keyring_slot_key(h.kr, &slots[i], &keys[i], &h.error), ARIL_OK);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(arili_tenant_key_bytes(keys[i]).data,
                                    arili_tenant_key_bytes(keys[k]).data, 32);
        }
    }
    for (size_t i = 0; i < COUNT(slots); i++) {
        aril_tenant_key_put(keys[i]);
    }
}

static void what_is_no_key_of_a_tenant_is_refused(void **state)
{
    aril_tenant_key *key;
    struct key_copy copy;
    static const uint8_t unknown[32] = { 3 };
    const aril_key_slot legacy = slot_of(ARIL_KEY_LEGACY, "alice", NULL);
    (void)state;
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("carol"), ARIL_KEY_DATA, &key, &h.error),
                  ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "carol");
    assert_null(key);
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("alice"), ARIL_KEY_TENANT, &key, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_tenant_key(h.kr, TEXT(""), ARIL_KEY_DATA, &key, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_slot_key(h.kr, &legacy, &key, NULL), ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_slot_key(h.kr, &data_slot, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_slot_key(h.kr, NULL, &key, NULL), ARIL_E_USAGE_NULL);
    assert_status(take_id("alice", unknown, &key), ARIL_E_KEY_UNKNOWN);
    assert_error(&h.error, ARIL_E_KEY_UNKNOWN, h.path);
    keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 1, &copy);
    assert_status(take_id("alice", copy.info.id, &key), ARIL_E_KEY_UNKNOWN);
    keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 1, &copy);
    assert_status(take_id("", copy.info.id, &key), ARIL_E_KEY_UNKNOWN);
}

static void a_message_is_of_this_failure_and_not_of_an_earlier_one(void **state)
{
    static const uint8_t unknown[32] = { 3 };
    aril_error error = { .status = ARIL_E_KEY_UNKNOWN, .message = "of another keyring" };
    aril_tenant_key *key;
    (void)state;
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), unknown, &key, &error),
                  ARIL_E_KEY_UNKNOWN);
    assert_error(&error, ARIL_E_KEY_UNKNOWN, h.path);
}

static void a_key_of_another_tenant_is_refused_and_told(void **state)
{
    aril_tenant_key *key;
    struct key_copy copy;
    (void)state;
    keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "bob", NULL), 1, &copy);
    for (unsigned i = 0; i < 2; i++) { /* from the file, and from the cache */
        world_forget(&w);
        assert_status(take_id("alice", copy.info.id, &key), ARIL_E_ISOLATION);
        assert_error(&h.error, ARIL_E_ISOLATION, h.path);
        assert_int_equal(world_events(&w, ARIL_EVENT_ISOLATION_VIOLATION), 1);
        assert_true(world_last_tenant_is(&w, ARIL_EVENT_ISOLATION_VIOLATION, TEXT("alice")));
        assert_memory_equal(world_last(&w, ARIL_EVENT_ISOLATION_VIOLATION).key_id, copy.info.id,
                            32);
        assert_status(take_id("bob", copy.info.id, &key), ARIL_OK);
        aril_tenant_key_put(key);
    }
    assert_status(take_id("bo", copy.info.id, &key), ARIL_E_ISOLATION);
    assert_status(take_id("bobb", copy.info.id, &key), ARIL_E_ISOLATION);
}

/* --- Pins ---------------------------------------------------------------------------------- */

static void a_pinned_key_lives_through_rotation_lock_forget_and_destruction(void **state)
{
    aril_tenant_key *key;
    aril_tenant_key *other;
    uint8_t bytes[32];
    uint8_t id[32];
    (void)state;
    assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
    memcpy(bytes, arili_tenant_key_bytes(key).data, 32);
    memcpy(id, aril_tenant_key_id(key), 32);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(take(ARIL_KEY_DATA, &other), ARIL_OK);
    assert_memory_not_equal(aril_tenant_key_id(other), id, 32);
    aril_tenant_key_put(other);
    aril_keyring_forget(h.kr);
    assert_memory_equal(arili_tenant_key_bytes(key).data, bytes, 32);
    assert_status(take_id("alice", id, &other), ARIL_OK);
    assert_ptr_not_equal(other, key);
    assert_memory_equal(arili_tenant_key_bytes(other).data, bytes, 32);
    aril_tenant_key_put(other);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    assert_status(take_id("alice", id, &other), ARIL_E_KEY_LOCKED);
    assert_memory_equal(arili_tenant_key_bytes(key).data, bytes, 32);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    assert_status(aril_keyring_retire(h.kr, id, 1, &h.error), ARIL_OK);
    assert_status(take_id("alice", id, &other), ARIL_E_KEY_DESTROYED);
    assert_memory_equal(arili_tenant_key_bytes(key).data, bytes, 32);
    aril_tenant_key_put(key);
}

static void a_destroyed_key_leaves_the_memory_of_every_process(void **state)
{
    struct keyring_handle second = home_second(&h);
    aril_tenant_key *here;
    aril_tenant_key *there = NULL;
    aril_tenant_key *bobs = NULL;
    (void)state;
    assert_status(take(ARIL_KEY_DATA, &here), ARIL_OK);
    assert_status(
        aril_keyring_tenant_key(second.kr, TEXT("alice"), ARIL_KEY_DATA, &there, &h.error),
        ARIL_OK);
    assert_status(aril_keyring_tenant_key(second.kr, TEXT("bob"), ARIL_KEY_DATA, &bobs, &h.error),
                  ARIL_OK);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(aril_keyring_retire(h.kr, aril_tenant_key_id(here), 1, &h.error), ARIL_OK);
    assert_int_equal(atomic_load(&here->references), 1); /* ours */
    assert_int_equal(atomic_load(&there->references), 2);
    assert_status(aril_keyring_refresh(second.kr, NULL, &h.error), ARIL_OK);
    assert_int_equal(atomic_load(&there->references), 1);
    assert_int_equal(atomic_load(&bobs->references), 2);
    aril_tenant_key_put(here);
    aril_tenant_key_put(there);
    aril_tenant_key_put(bobs);
    handle_close(&second);
}

/* --- Times --------------------------------------------------------------------------------- */

/* Whether the key in memory is the same object after that time. */
static bool is_kept_for(uint64_t ns)
{
    aril_tenant_key *before;
    aril_tenant_key *after;
    assert_status(take(ARIL_KEY_DATA, &before), ARIL_OK);
    fake_clock_add_ns(&w.clock, ns);
    assert_status(take(ARIL_KEY_DATA, &after), ARIL_OK);
    const bool same = before == after;
    aril_tenant_key_put(before);
    aril_tenant_key_put(after);
    return same;
}

static void an_unwrapped_key_is_forgotten_after_its_time(void **state)
{
    (void)state;
    h.config.cache_ttl_s = 7;
    home_reopen(&h);
    assert_true(is_kept_for(7 * FAKE_NS_PER_S - 1));
    assert_false(is_kept_for(1));
    assert_false(is_kept_for(7 * FAKE_NS_PER_S));
    h.config.cache_ttl_s = 0; /* five minutes */
    home_reopen(&h);
    assert_true(is_kept_for(300 * FAKE_NS_PER_S - 1));
    assert_false(is_kept_for(1));
}

static void what_nobody_uses_any_more_is_forgotten_as_well(void **state)
{
    aril_tenant_key *key;
    struct sealed_box box;
    (void)state;
    assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
    assert_non_null(h.kr->root);
    fake_clock_add_s(&w.clock, 299);
    assert_status(aril_keyring_refresh(h.kr, NULL, &h.error), ARIL_OK);
    assert_int_equal(atomic_load(&key->references), 2);
    fake_clock_add_s(&w.clock, 1);
    assert_status(aril_keyring_refresh(h.kr, NULL, &h.error), ARIL_OK);
    assert_int_equal(atomic_load(&key->references), 1); /* ours */
    assert_null(h.kr->root);
    aril_tenant_key_put(key);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
}

/* Cells are given back, so the same one comes next. */
static void no_more_keys_are_kept_than_the_config_says(void **state)
{
    aril_tenant_key *keys[2][2];
    static const char *const tenants[] = { "alice", "bob" };
    (void)state;
    h.config.cache_max = 1;
    home_reopen(&h);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            assert_status(aril_keyring_tenant_key(h.kr, text_bytes(tenants[i]), ARIL_KEY_DATA,
                                                  &keys[round][i], &h.error),
                          ARIL_OK);
        }
    }
    assert_ptr_not_equal(keys[0][0], keys[1][0]); /* bob's took its place */
    assert_memory_equal(arili_tenant_key_bytes(keys[0][0]).data,
                        arili_tenant_key_bytes(keys[1][0]).data, 32);
    for (size_t i = 0; i < 4; i++) {
        aril_tenant_key_put(keys[i / 2][i % 2]);
    }
    assert_true(is_kept_for(1));
}

static void overdue_warns_or_refuses_by_policy_and_opens_all_the_same(void **state)
{
    struct sealed_box box;
    aril_tenant_key *key;
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        home_done(&h);
        home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
        home_make(&h, ARIL_PROFILE_HYBRID,
                  &(aril_key_policy){ .data_days = 10, .overdue_refuses = refuses });
        home_tenant(&h, "alice");
        assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
        fake_clock_add_s(&w.clock, 9 * DAY_S);
        assert_int_equal(keyring_info(h.kr).due, 1);
        fake_clock_add_s(&w.clock, DAY_S - 1);
        assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
        aril_tenant_key_put(key);
        assert_int_equal(keyring_info(h.kr).overdue, 0);
        fake_clock_add_s(&w.clock, 1);
        assert_int_equal(keyring_info(h.kr).overdue, 1);
        assert_status(take(ARIL_KEY_DATA, &key), refuses ? ARIL_E_KEY_OVERDUE : ARIL_OK);
        aril_tenant_key_put(key);
        if (refuses) {
            assert_error(&h.error, ARIL_E_KEY_OVERDUE, "data key of alice");
            assert_error(&h.error, ARIL_E_KEY_OVERDUE, h.path);
        }
        fake_clock_add_s(&w.clock, 10 * DAY_S - 1);
        assert_status(take(ARIL_KEY_DATA, &key), refuses ? ARIL_E_KEY_OVERDUE : ARIL_OK);
        aril_tenant_key_put(key);
        fake_clock_add_s(&w.clock, 1); /* not_after */
        assert_status(take(ARIL_KEY_DATA, &key), ARIL_E_KEY_OVERDUE);
        assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
        assert_status(take(ARIL_KEY_NAME, &key), ARIL_OK); /* never due */
        aril_tenant_key_put(key);
        assert_status(home_rotate(&h, data_slot), ARIL_OK);
        assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
        aril_tenant_key_put(key);
        assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    }
}

static void signing_keys_end_as_well(void **state)
{
    aril_identity *signer = NULL;
    (void)state;
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "client", NULL)), ARIL_OK);
    fake_clock_add_s(&w.clock, 60 * DAY_S - 1);
    assert_status(aril_keyring_signing_key(h.kr, TEXT("client"), &signer, &h.error), ARIL_OK);
    aril_identity_free(signer);
    fake_clock_add_s(&w.clock, 1);
    assert_status(aril_keyring_signing_key(h.kr, TEXT("client"), &signer, &h.error),
                  ARIL_E_KEY_OVERDUE);
    assert_null(signer);
    assert_error(&h.error, ARIL_E_KEY_OVERDUE, "api key of client");
}

static void a_clock_that_fails_is_no_time_at_all(void **state)
{
    aril_tenant_key *key;
    (void)state;
    assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
    aril_tenant_key_put(key);
    atomic_store(&w.clock.status, ARIL_E_CLOCK);
    h.error = (aril_error){ .status = ARIL_OK };
    key = NULL;
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("alice"), ARIL_KEY_DATA, &key, &h.error),
                  ARIL_E_CLOCK);
    assert_null(key);
    atomic_store(&w.clock.status, ARIL_OK);
}

/* --- Whether it still is the one ----------------------------------------------------------- */

static void expect_current(const aril_tenant_key *key, aril_status st, bool same)
{
    bool got = !same;
    assert_status(arili_tenant_key_current(h.kr, key, &got), st);
    assert_true(st != ARIL_OK || got == same);
}

static void a_key_is_current_as_long_as_it_would_be_handed_out(void **state)
{
    (void)state;
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_NAME };
    for (size_t i = 0; i < COUNT(purposes); i++) {
        aril_tenant_key *former = NULL, *key = NULL;
        assert_status(take(purposes[i], &former), ARIL_OK);
        expect_current(former, ARIL_OK, true);
        assert_status(home_rotate(&h, slot_of(purposes[i], "bob", NULL)), ARIL_OK);
        expect_current(former, ARIL_OK, true);
        assert_status(home_rotate(&h, slot_of(purposes[i], "alice", NULL)), ARIL_OK);
        expect_current(former, ARIL_OK, false);
        assert_status(take(purposes[i], &key), ARIL_OK);
        /* It needs nothing unwrapped, and unwraps nothing. */
        aril_keyring_forget(h.kr);
        expect_current(key, ARIL_OK, true);
        assert_int_equal(h.kr->cache.used, 0);
        assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
        expect_current(key, ARIL_E_KEY_LOCKED, false);
        assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
        expect_current(key, ARIL_OK, true);
        aril_tenant_key_put(key);
        aril_tenant_key_put(former);
    }
    aril_tenant_key *key = NULL;
    assert_status(take(ARIL_KEY_DATA, &key), ARIL_OK);
    fake_clock_add_s(&w.clock, 180 * DAY_S);
    expect_current(key, ARIL_E_KEY_OVERDUE, false);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, &h.error), ARIL_OK);
    expect_current(key, ARIL_E_KEY_DESTROYED, false);
    aril_tenant_key_put(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_those_of_the_file),
        TEST(labels_and_models_have_keys_of_their_own),
        TEST(what_is_no_key_of_a_tenant_is_refused),
        TEST(a_message_is_of_this_failure_and_not_of_an_earlier_one),
        TEST(a_key_of_another_tenant_is_refused_and_told),
        TEST(a_pinned_key_lives_through_rotation_lock_forget_and_destruction),
        TEST(a_destroyed_key_leaves_the_memory_of_every_process),
        TEST(an_unwrapped_key_is_forgotten_after_its_time),
        TEST(what_nobody_uses_any_more_is_forgotten_as_well),
        TEST(no_more_keys_are_kept_than_the_config_says),
        TEST(overdue_warns_or_refuses_by_policy_and_opens_all_the_same),
        TEST(signing_keys_end_as_well),
        TEST(a_clock_that_fails_is_no_time_at_all),
        TEST(a_key_is_current_as_long_as_it_would_be_handed_out),
    };
    return cmocka_run_group_tests_name("tenant keys", tests, temp_folder_make, temp_folder_remove);
}
