/* SPDX-License-Identifier: Apache-2.0 */
/* The end of keys: retired, destroyed; and floors, which only go up. */
#include "keyring/keyring.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct keyring_home h;

static void make(unsigned capabilities)
{
    home_init(&h, &w, "keys.aril", capabilities);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    make(MEMORY_STORE_ALL);
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
static const aril_key_slot root_slot = { .purpose = ARIL_KEY_ROOT };

static aril_status retire(aril_key_slot slot, uint32_t version, int destroy)
{
    struct key_copy key;
    keyring_key(h.kr, slot, version, &key);
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_retire(h.kr, key.info.id, destroy, &h.error);
}

static aril_key_state state_of(aril_key_slot slot, uint32_t version)
{
    struct key_copy key;
    keyring_key(h.kr, slot, version, &key);
    return key.info.state;
}

/* --- Retire -------------------------------------------------------------------------------- */

static void states_go_from_decrypt_only_to_retired_to_destroyed(void **state)
{
    struct sealed_box box;
    (void)state;
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 50);
    const uint64_t generation = keyring_info(h.kr).generation;
    assert_status(retire(data_slot, 1, 0), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).generation, generation + 1);
    assert_int_equal(state_of(data_slot, 1), ARIL_KEY_RETIRED);
    aril_event event = world_last(&w, ARIL_EVENT_KEY);
    assert_string_equal(event.action, "retire");
    assert_int_equal(event.key_state, ARIL_KEY_RETIRED);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_RETIRED);
    assert_error(&h.error, ARIL_E_KEY_RETIRED, h.path);
    struct key_copy key;
    keyring_key(h.kr, data_slot, 1, &key);
    assert_int_equal(key.info.changed_s, FAKE_UNIX_S + 50);
    assert_status(retire(data_slot, 1, 1), ARIL_OK);
    assert_int_equal(state_of(data_slot, 1), ARIL_KEY_DESTROYED);
    event = world_last(&w, ARIL_EVENT_KEY);
    assert_string_equal(event.action, "destroy");
    assert_int_equal(event.key_state, ARIL_KEY_DESTROYED);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
    home_reopen(&h);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void decrypt_only_may_be_destroyed_at_once(void **state)
{
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(retire(data_slot, 1, 1), ARIL_OK);
    assert_int_equal(state_of(data_slot, 1), ARIL_KEY_DESTROYED);
    struct key_copy tenant;
    keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 1, &tenant);
    assert_int_equal(tenant.info.children, 2); /* the new data key and the name key */
}

static void the_same_again_changes_nothing_and_nothing_comes_back(void **state)
{
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    assert_status(retire(data_slot, 1, 1), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(retire(data_slot, 1, 1), ARIL_OK);
    assert_status(retire(data_slot, 1, 0), ARIL_OK);
    assert_int_equal(state_of(data_slot, 1), ARIL_KEY_DESTROYED);
    home_unchanged(&h, &mark);
}

static bool contains(aril_span in, const uint8_t *what, size_t len)
{
    for (size_t at = 0; at + len <= in.len; at++) {
        if (memcmp(in.data + at, what, len) == 0) {
            return true;
        }
    }
    return false;
}

static void the_bytes_of_a_destroyed_key_are_not_in_the_file(void **state)
{
    struct key_copy key;
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    keyring_key(h.kr, data_slot, 1, &key);
    const struct arili_key *row = arili_rowset_key(set, key.info.id);
    assert_non_null(row);
    uint8_t wrap[48];
    memcpy(wrap, row->said.wrap.data + row->said.wrap.len - sizeof wrap, sizeof wrap);
    arili_rowset_drop(set);
    aril_span file = home_read(h.path);
    assert_true(contains(file, wrap, sizeof wrap));
    free(file.data);
    assert_status(retire(data_slot, 1, 1), ARIL_OK);
    file = home_read(h.path);
    assert_false(contains(file, wrap, sizeof wrap));
    free(file.data);
}

static void active_keys_are_not_retired(void **state)
{
    const aril_key_slot slots[] = { data_slot, root_slot, slot_of(ARIL_KEY_TENANT, "alice", NULL),
                                    slot_of(ARIL_KEY_NAME, "alice", NULL),
                                    slot_of(ARIL_KEY_AUTHORITY, NULL, NULL) };
    static const uint8_t unknown[32] = { 1 };
    (void)state;
    struct home_mark mark = home_mark(&h);
    for (size_t i = 0; i < COUNT(slots); i++) {
        for (int destroy = 0; destroy < 2; destroy++) {
            assert_status(retire(slots[i], 1, destroy), ARIL_E_USAGE_STATE);
            assert_error(&h.error, ARIL_E_USAGE_STATE, "rotate it first");
        }
    }
    assert_status(aril_keyring_retire(h.kr, unknown, 0, &h.error), ARIL_E_NOT_FOUND);
    assert_status(aril_keyring_retire(h.kr, NULL, 0, &h.error), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_retire(NULL, unknown, 0, &h.error), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
}

/* --- Roots --------------------------------------------------------------------------------- */

static void a_former_root_opens_older_copies_until_it_is_destroyed(void **state)
{
    struct keyring_home copy;
    (void)state;
    home_done(&h);
    make(ARIL_KEYSTORE_DESTROY); /* a counter would refuse the older copy */
    const aril_span old = home_read(h.path);
    assert_status(home_rotate(&h, root_slot), ARIL_OK);
    memset(&copy, 0, sizeof copy);
    copy = h;
    (void)snprintf(copy.path, sizeof copy.path, "%s", temp_path("copy.aril"));
    home_write(copy.path, old);
    struct keyring_handle second = home_second(&copy);
    handle_close(&second);
    assert_status(retire(root_slot, 1, 0), ARIL_OK); /* is retired already */
    assert_int_equal(memory_backing_slots(h.backing), 2);
    assert_status(retire(root_slot, 1, 1), ARIL_OK);
    assert_int_equal(memory_backing_slots(h.backing), 1);
    assert_int_equal(state_of(root_slot, 1), ARIL_KEY_DESTROYED);
    copy.ks = NULL;
    copy.kr = NULL;
    assert_status(home_try_open(&copy), ARIL_E_KEYSTORE_WRONG);
    home_close(&copy);
    temp_clear(copy.path);
    free(old.data);
    home_reopen(&h);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void a_store_that_cannot_destroy_says_so_and_nothing_changes(void **state)
{
    (void)state;
    home_done(&h);
    make(ARIL_KEYSTORE_COUNTER);
    assert_status(home_rotate(&h, root_slot), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(retire(root_slot, 1, 1), ARIL_E_UNAVAILABLE);
    assert_error(&h.error, ARIL_E_UNAVAILABLE, "cannot destroy");
    home_unchanged(&h, &mark);
    assert_int_equal(state_of(root_slot, 1), ARIL_KEY_RETIRED);
}

static void a_node_retires_roots_alone(void **state)
{
    struct keyring_home n;
    struct key_copy key;
    (void)state;
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "node-1");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    fleet_pull(&h, &n);
    keyring_key(n.kr, data_slot, 1, &key);
    struct home_mark mark = home_mark(&n);
    assert_status(aril_keyring_retire(n.kr, key.info.id, 1, &n.error), ARIL_E_USAGE_STATE);
    assert_status(home_rotate(&n, data_slot), ARIL_E_USAGE_STATE);
    home_unchanged(&n, &mark);
    assert_status(home_rotate(&n, root_slot), ARIL_OK);
    keyring_key(n.kr, root_slot, 1, &key);
    assert_status(aril_keyring_retire(n.kr, key.info.id, 1, &n.error), ARIL_OK);
    assert_int_equal(memory_backing_slots(n.backing), 1);
    home_done(&n);
}

/* --- Floors -------------------------------------------------------------------------------- */

static void a_floor_only_goes_up(void **state)
{
    uint64_t value = 7;
    (void)state;
    assert_status(aril_keyring_floor_get(h.kr, TEXT("m"), &value, &h.error), ARIL_OK);
    assert_int_equal(value, 0);
    const uint64_t generation = keyring_info(h.kr).generation;
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 5, &h.error), ARIL_OK);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m2"), UINT64_MAX, &h.error), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).generation, generation + 2);
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 5, &h.error), ARIL_OK);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("new"), 0, &h.error), ARIL_OK);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 4, &h.error), ARIL_E_REPLAY_ROLLBACK);
    assert_error(&h.error, ARIL_E_REPLAY_ROLLBACK, "floors only go up");
    home_unchanged(&h, &mark);
    home_reopen(&h);
    assert_status(aril_keyring_floor_get(h.kr, TEXT("m"), &value, &h.error), ARIL_OK);
    assert_int_equal(value, 5);
    assert_status(aril_keyring_floor_get(h.kr, TEXT("m2"), &value, &h.error), ARIL_OK);
    assert_true(value == UINT64_MAX);
}

static void names_of_floors_have_a_length(void **state)
{
    static const uint8_t name[256] = { 0 };
    uint64_t value = 7;
    (void)state;
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_floor_raise(h.kr, (aril_bytes){ name, 0 }, 1, &h.error),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_floor_raise(h.kr, (aril_bytes){ name, 256 }, 1, &h.error),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_floor_raise(h.kr, (aril_bytes){ NULL, 4 }, 1, &h.error),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_floor_get(h.kr, (aril_bytes){ name, 256 }, &value, &h.error),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_floor_get(h.kr, TEXT("m"), NULL, &h.error), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
    assert_status(aril_keyring_floor_raise(h.kr, (aril_bytes){ name, 255 }, 9, &h.error), ARIL_OK);
    assert_status(aril_keyring_floor_get(h.kr, (aril_bytes){ name, 255 }, &value, &h.error),
                  ARIL_OK);
    assert_int_equal(value, 9);
    assert_status(aril_keyring_floor_get(h.kr, (aril_bytes){ name, 254 }, &value, &h.error),
                  ARIL_OK);
    assert_int_equal(value, 0);
}

static uint64_t floor_of(aril_keyring *kr)
{
    uint64_t value = UINT64_MAX;
    assert_status(aril_keyring_floor_get(kr, TEXT("m"), &value, &h.error), ARIL_OK);
    return value;
}

/* As for keys: 250 ms at most, unless it asks. A raise always knows. */
static void another_handle_sees_a_floor_after_its_refresh_time(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_int_equal(floor_of(second.kr), 0); /* looks, and not again for a while */
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 5, &h.error), ARIL_OK);
    assert_int_equal(floor_of(h.kr), 5);
    fake_clock_add_ns(&w.clock, 249000000);
    assert_int_equal(floor_of(second.kr), 0);
    fake_clock_add_ns(&w.clock, 1000000);
    assert_int_equal(floor_of(second.kr), 5);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 6, &h.error), ARIL_OK);
    assert_int_equal(floor_of(second.kr), 5);
    assert_status(aril_keyring_floor_raise(second.kr, TEXT("m"), 5, &h.error),
                  ARIL_E_REPLAY_ROLLBACK);
    assert_int_equal(floor_of(second.kr), 6);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 7, &h.error), ARIL_OK);
    assert_status(aril_keyring_refresh(second.kr, NULL, &h.error), ARIL_OK);
    assert_int_equal(floor_of(second.kr), 7);
    handle_close(&second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(states_go_from_decrypt_only_to_retired_to_destroyed),
        TEST(decrypt_only_may_be_destroyed_at_once),
        TEST(the_same_again_changes_nothing_and_nothing_comes_back),
        TEST(the_bytes_of_a_destroyed_key_are_not_in_the_file),
        TEST(active_keys_are_not_retired),
        TEST(a_former_root_opens_older_copies_until_it_is_destroyed),
        TEST(a_store_that_cannot_destroy_says_so_and_nothing_changes),
        TEST(a_node_retires_roots_alone),
        TEST(a_floor_only_goes_up),
        TEST(names_of_floors_have_a_length),
        TEST(another_handle_sees_a_floor_after_its_refresh_time),
    };
    return cmocka_run_group_tests_name("retire", tests, temp_folder_make, temp_folder_remove);
}
