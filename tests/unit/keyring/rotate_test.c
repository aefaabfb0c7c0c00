/* SPDX-License-Identifier: Apache-2.0 */
/* New versions of keys: what changes, what stays, and that old boxes open. */
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

static struct world w;
static struct keyring_home h;

static void make(aril_profile profile)
{
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, profile, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    assert_status(home_create(&h, slot_of(ARIL_KEY_MODEL, "m@1", NULL)), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_DATA, "m@1", "w")), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "client", NULL)), ARIL_OK);
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    make(ARIL_PROFILE_HYBRID);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                         ARIL_PROFILE_STRICT };

/* --- Leaves -------------------------------------------------------------------------------- */

static void a_new_version_of_a_leaf_seals_and_the_old_one_opens(void **state)
{
    const aril_key_slot slots[] = { slot_of(ARIL_KEY_DATA, "alice", NULL),
                                    slot_of(ARIL_KEY_NAME, "alice", NULL),
                                    slot_of(ARIL_KEY_DATA, "m@1", "w"),
                                    slot_of(ARIL_KEY_API, "client", NULL),
                                    slot_of(ARIL_KEY_AUTHORITY, NULL, NULL) };
    struct sealed_box box;
    const uint64_t counted = memory_backing_counter(h.backing);
    (void)state;
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    for (size_t i = 0; i < COUNT(slots); i++) {
        struct key_copy first;
        struct key_copy old;
        struct key_copy fresh;
        const aril_keyring_info before = keyring_info(h.kr);
        keyring_key(h.kr, slots[i], 1, &first);
        fake_clock_add_s(&w.clock, 1000);
        world_forget(&w);
        assert_status(home_rotate(&h, slots[i]), ARIL_OK);
        keyring_key(h.kr, slots[i], 1, &old);
        keyring_key(h.kr, slots[i], 2, &fresh);
        assert_int_equal(old.info.state, ARIL_KEY_DECRYPT_ONLY);
        assert_int_equal(old.info.changed_s, atomic_load(&w.clock.unix_s));
        assert_int_equal(old.info.created_s, first.info.created_s);
        assert_int_equal(old.info.rotate_by_s, first.info.rotate_by_s);
        assert_memory_equal(old.info.id, first.info.id, 32);
        assert_int_equal(fresh.info.state, ARIL_KEY_ACTIVE);
        assert_int_equal(fresh.info.activates_s, atomic_load(&w.clock.unix_s));
        assert_memory_equal(fresh.info.predecessor, old.info.id, 32);
        assert_memory_equal(fresh.info.parent, old.info.parent, 32);
        assert_int_equal(keyring_info(h.kr).revision, before.revision + 1);
        assert_int_equal(keyring_info(h.kr).generation, before.generation + 1);
        assert_int_equal(memory_backing_counter(h.backing), counted + i + 1);
        const aril_event event = world_last(&w, ARIL_EVENT_KEY);
        assert_string_equal(event.action, "rotate");
        assert_memory_equal(event.key_id, fresh.info.id, 32);
        assert_int_equal(event.key_state, ARIL_KEY_ACTIVE);
    }
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    home_reopen(&h);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void boxes_of_every_version_open(void **state)
{
    struct sealed_box boxes[6];
    (void)state;
    for (size_t p = 0; p < COUNT(profiles); p++) {
        home_done(&h);
        make(profiles[p]);
        for (size_t i = 0; i < COUNT(boxes); i++) {
            assert_status(box_seal(h.kr, "alice", &boxes[i], &h.error), ARIL_OK);
            assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
            for (size_t k = 0; k < i; k++) {
                assert_memory_not_equal(box_key_id(&boxes[i]), box_key_id(&boxes[k]), 32);
            }
        }
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_OK);
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
        aril_keyring_forget(h.kr);
        for (size_t i = 0; i < COUNT(boxes); i++) {
            assert_status(box_open(h.kr, &boxes[i], &h.error), ARIL_OK);
        }
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
        home_reopen(&h);
        for (size_t i = 0; i < COUNT(boxes); i++) {
            assert_status(box_open(h.kr, &boxes[i], &h.error), ARIL_OK);
        }
    }
}

static void an_overdue_key_is_rotated_back_to_life(void **state)
{
    struct sealed_box box;
    (void)state;
    fake_clock_add_s(&w.clock, UINT64_C(86400) * 181);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_E_KEY_OVERDUE);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
}

static void signing_keys_sign_with_the_new_version(void **state)
{
    aril_identity *before = NULL;
    aril_identity *after = NULL;
    (void)state;
    assert_status(aril_keyring_signing_key(h.kr, TEXT("client"), &before, &h.error), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_API, "client", NULL)), ARIL_OK);
    assert_status(aril_keyring_signing_key(h.kr, TEXT("client"), &after, &h.error), ARIL_OK);
    const aril_bytes a = aril_identity_public(before);
    const aril_bytes b = aril_identity_public(after);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.data, b.data, a.len);
    aril_identity_free(before);
    aril_identity_free(after);
    assert_status(aril_keyring_signing_key(h.kr, TEXT("other"), &after, &h.error),
                  ARIL_E_NOT_FOUND);
    assert_null(after);
}

/* --- Key-encryption keys ------------------------------------------------------------------- */

static void a_new_tenant_key_takes_the_children_over_unchanged(void **state)
{
    const aril_key_slot slots[] = { slot_of(ARIL_KEY_TENANT, "alice", NULL),
                                    slot_of(ARIL_KEY_MODEL, "m@1", NULL) };
    const aril_key_slot children[] = { slot_of(ARIL_KEY_DATA, "alice", NULL),
                                       slot_of(ARIL_KEY_DATA, "m@1", "w") };
    (void)state;
    for (size_t i = 0; i < COUNT(slots); i++) {
        struct key_copy before;
        struct key_copy child;
        struct key_copy old;
        struct key_copy fresh;
        struct key_copy moved;
        keyring_key(h.kr, slots[i], 1, &before);
        keyring_key(h.kr, children[i], 1, &child);
        fake_clock_add_s(&w.clock, 1000);
        world_forget(&w);
        assert_status(home_rotate(&h, slots[i]), ARIL_OK);
        keyring_key(h.kr, slots[i], 1, &old);
        keyring_key(h.kr, slots[i], 2, &fresh);
        keyring_key(h.kr, children[i], 1, &moved);
        assert_int_equal(old.info.state, ARIL_KEY_DESTROYED);
        assert_int_equal(old.info.children, 0);
        assert_int_equal(fresh.info.state, ARIL_KEY_ACTIVE);
        assert_int_equal(fresh.info.children, before.info.children);
        assert_memory_equal(fresh.info.predecessor, old.info.id, 32);
        assert_memory_equal(moved.info.parent, fresh.info.id, 32);
        assert_memory_equal(moved.info.id, child.info.id, 32);
        assert_int_equal(moved.info.state, ARIL_KEY_ACTIVE);
        assert_int_equal(moved.info.changed_s, child.info.changed_s);
        assert_int_equal(moved.info.version, 1);
        assert_false(keyring_info(h.kr).rotation_pending);
        const aril_event event = world_last(&w, ARIL_EVENT_KEY);
        assert_string_equal(event.action, "rotate");
        assert_memory_equal(event.key_id, fresh.info.id, 32);
        assert_int_equal(event.key_state, ARIL_KEY_ACTIVE);
    }
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void a_new_root_takes_all_over_and_the_old_one_keeps_its_slot(void **state)
{
    const aril_key_slot slot = slot_of(ARIL_KEY_ROOT, NULL, NULL);
    struct key_copy before;
    struct key_copy old;
    struct key_copy fresh;
    struct key_copy tenant;
    (void)state;
    keyring_key(h.kr, slot, 1, &before);
    assert_status(home_rotate(&h, slot), ARIL_OK);
    keyring_key(h.kr, slot, 1, &old);
    keyring_key(h.kr, slot, 2, &fresh);
    keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "bob", NULL), 1, &tenant);
    assert_int_equal(old.info.state, ARIL_KEY_RETIRED);
    assert_int_equal(old.info.children, 0);
    assert_int_equal(fresh.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(fresh.info.children, before.info.children);
    assert_memory_equal(tenant.info.parent, fresh.info.id, 32);
    assert_int_equal(memory_backing_slots(h.backing), 2);
    home_reopen(&h);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void another_handle_follows_a_new_root(void **state)
{
    struct sealed_box box;
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
        const aril_key_slot data = slot_of(ARIL_KEY_DATA, "alice", NULL);
        assert_status(aril_keyring_rotate(second.kr, &data, &h.error), ARIL_OK);
        assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
        assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    }
    handle_close(&second);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

/* --- More children than one change takes ---------------------------------------------------- */

#define MANY 700u

static unsigned stop_after;
static uint64_t last_done;
static int stop_in_time(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    assert_true(done <= total);
    last_done = done;
    return stop_after > 0 && --stop_after == 0;
}

static void make_many(void)
{
    static char labels[MANY][16];
    static aril_key_slot slots[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(labels[i], sizeof labels[i], "label %u", i);
        slots[i] = slot_of(ARIL_KEY_DATA, "alice", labels[i]);
    }
    assert_status(aril_keyring_create(h.kr, slots, MANY, &h.error), ARIL_OK);
}

static void what_was_interrupted_is_ended_by_the_next_rotation_of_anybody(void **state)
{
    struct sealed_box box;
    struct key_copy tenant;
    (void)state;
    home_close(&h);
    h.config.progress = stop_in_time;
    home_open(&h);
    make_many();
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    stop_after = 2;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_E_INTERRUPTED);
    assert_error(&h.error, ARIL_E_INTERRUPTED, "rotate again");
    assert_true(last_done > 0 && last_done < MANY);
    assert_true(keyring_info(h.kr).rotation_pending);
    keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 1, &tenant);
    assert_int_equal(tenant.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(tenant.info.children, MANY + 2);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_DATA, "alice", "meanwhile")), ARIL_OK);
    h.config.progress = NULL;
    home_reopen(&h);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_NAME, "bob", NULL)), ARIL_OK);
    assert_false(keyring_info(h.kr).rotation_pending);
    keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 2, &tenant);
    assert_int_equal(tenant.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(tenant.info.children, MANY + 3);
    assert_false(keyring_find(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 3, &tenant));
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
}

static void an_interrupted_root_goes_on_after_a_restart(void **state)
{
    struct sealed_box box;
    (void)state;
    home_close(&h);
    h.config.progress = stop_in_time;
    home_open(&h);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    stop_after = 1;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_INTERRUPTED);
    assert_true(keyring_info(h.kr).rotation_pending);
    assert_int_equal(memory_backing_slots(h.backing), 2);
    home_reopen(&h);
    home_tenant(&h, "meanwhile");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    struct key_copy root; /* ending the interrupted one is what was asked for */
    keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 2, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
    assert_false(keyring_find(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 3, &root));
    assert_int_equal(memory_backing_slots(h.backing), 2);
    home_reopen(&h);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

/* --- Stores that fail ---------------------------------------------------------------------- */

static struct faulty_store *faulty;
static struct arili_store faulty_over_memory(struct keyring_home *home)
{
    faulty = faulty_store_new(memory_store(home->backing, home->capabilities));
    return faulty_store_store(faulty);
}

static void a_root_that_could_not_be_sealed_is_given_up_by_the_next_rotation(void **state)
{
    struct key_copy root;
    (void)state;
    home_close(&h);
    h.store = faulty_over_memory;
    home_open(&h);
    faulty_store_arm(faulty, 1, ARIL_E_KEYSTORE_BUSY);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_KEYSTORE_BUSY);
    assert_string_equal(faulty_store_last(faulty), "seal");
    assert_true(keyring_info(h.kr).rotation_pending);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    assert_false(keyring_info(h.kr).rotation_pending);
    keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 2, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(memory_backing_slots(h.backing), 2);
    home_close(&h);
    faulty_store_free(faulty);
    h.store = NULL;
    home_open(&h);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

/* --- What is refused ----------------------------------------------------------------------- */

static void what_cannot_be_rotated_is_refused(void **state)
{
    const uint8_t key[32] = { 7 };
    const aril_bytes keys[] = { { key, sizeof key } };
    (void)state;
    assert_status(aril_keyring_import_cachekit(h.kr, TEXT("alice"), keys, 1, &h.error), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_LEGACY, "alice", NULL)), ARIL_E_USAGE_RANGE);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_NODE, "alice", NULL)), ARIL_E_USAGE_RANGE);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, NULL, NULL)), ARIL_E_USAGE_RANGE);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "carol", NULL)), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "tenant key of carol");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", "x")), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "label x");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_API, "alice", NULL)), ARIL_E_NOT_FOUND);
    assert_status(aril_keyring_rotate(h.kr, NULL, &h.error), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_rotate(NULL, NULL, NULL), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_version_of_a_leaf_seals_and_the_old_one_opens),
        TEST(boxes_of_every_version_open),
        TEST(an_overdue_key_is_rotated_back_to_life),
        TEST(signing_keys_sign_with_the_new_version),
        TEST(a_new_tenant_key_takes_the_children_over_unchanged),
        TEST(a_new_root_takes_all_over_and_the_old_one_keeps_its_slot),
        TEST(another_handle_follows_a_new_root),
        TEST(what_was_interrupted_is_ended_by_the_next_rotation_of_anybody),
        TEST(an_interrupted_root_goes_on_after_a_restart),
        TEST(a_root_that_could_not_be_sealed_is_given_up_by_the_next_rotation),
        TEST(what_cannot_be_rotated_is_refused),
    };
    return cmocka_run_group_tests_name("rotate", tests, temp_folder_make, temp_folder_remove);
}
