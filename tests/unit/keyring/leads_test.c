/* SPDX-License-Identifier: Apache-2.0 */
/* Time: versions that wait before they seal, and clocks that are set back. */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <string.h>

#define LEAD_S 600u

static struct world w;
static struct keyring_home h;
static const struct {
    aril_key_purpose purpose;
    const char *owner;
} leaves[] = { { ARIL_KEY_DATA, "alice" }, { ARIL_KEY_NAME, "alice" }, { ARIL_KEY_API, "alice" } };

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, &(aril_key_policy){ .lead_s = LEAD_S });
    home_tenant(&h, "alice");
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "alice", NULL)), ARIL_OK);
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

static void state_is(aril_key_slot slot, uint32_t version, aril_key_state want)
{
    struct key_copy key;
    keyring_key(h.kr, slot, version, &key);
    assert_string_equal(aril_key_state_name(key.info.state), aril_key_state_name(want));
}

/* The version that seals now. */
static void seals(uint32_t version)
{
    struct key_copy key;
    struct sealed_box box;
    keyring_key(h.kr, data_slot, version, &key);
    h.error = (aril_error){ .status = ARIL_OK };
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_memory_equal(box_key_id(&box), key.info.id, 32);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
}

/* --- Leads --------------------------------------------------------------------------------- */

static void a_new_version_waits_and_becomes_active_by_time_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(leaves); i++) {
        const aril_key_slot slot = slot_of(leaves[i].purpose, leaves[i].owner, NULL);
        assert_status(home_rotate(&h, slot), ARIL_OK);
        state_is(slot, 1, ARIL_KEY_ACTIVE);
        state_is(slot, 2, ARIL_KEY_PENDING);
        assert_int_equal(world_last(&w, ARIL_EVENT_KEY).key_state, ARIL_KEY_PENDING);
    }
    seals(1);
    const uint64_t revision = keyring_info(h.kr).revision;
    fake_clock_add_s(&w.clock, LEAD_S - 1);
    seals(1);
    state_is(data_slot, 2, ARIL_KEY_PENDING);
    fake_clock_add_s(&w.clock, 1);
    for (size_t i = 0; i < COUNT(leaves); i++) {
        const aril_key_slot slot = slot_of(leaves[i].purpose, leaves[i].owner, NULL);
        state_is(slot, 1, ARIL_KEY_DECRYPT_ONLY);
        state_is(slot, 2, ARIL_KEY_ACTIVE);
    }
    seals(2);
    aril_identity *signer = NULL;
    assert_status(aril_keyring_signing_key(h.kr, TEXT("alice"), &signer, &h.error), ARIL_OK);
    aril_identity_free(signer);
    assert_int_equal(keyring_info(h.kr).revision, revision);
    home_reopen(&h);
    seals(2);
}

static void a_pending_version_opens_already(void **state)
{
    struct key_copy key;
    aril_tenant_key *pinned = NULL;
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 2, &key);
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), key.info.id, &pinned, &h.error),
                  ARIL_OK);
    aril_tenant_key_put(pinned);
}

static void of_two_rotations_within_one_lead_the_first_never_seals(void **state)
{
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    fake_clock_add_s(&w.clock, LEAD_S / 2);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    state_is(data_slot, 1, ARIL_KEY_ACTIVE);
    state_is(data_slot, 2, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 3, ARIL_KEY_PENDING);
    seals(1);
    fake_clock_add_s(&w.clock, LEAD_S / 2); /* when the first would have begun */
    seals(1);
    fake_clock_add_s(&w.clock, LEAD_S / 2);
    seals(3);
    state_is(data_slot, 1, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 2, ARIL_KEY_DECRYPT_ONLY);
}

static void a_rotation_after_the_lead_keeps_the_one_that_seals(void **state)
{
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    fake_clock_add_s(&w.clock, LEAD_S);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    state_is(data_slot, 1, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 2, ARIL_KEY_ACTIVE);
    state_is(data_slot, 3, ARIL_KEY_PENDING);
    seals(2);
    fake_clock_add_s(&w.clock, LEAD_S);
    seals(3);
}

static void dates_count_from_when_it_seals(void **state)
{
    struct key_copy key;
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 2, &key);
    assert_int_equal(key.info.created_s, FAKE_UNIX_S);
    assert_int_equal(key.info.activates_s, FAKE_UNIX_S + LEAD_S);
    assert_int_equal(key.info.rotate_by_s, FAKE_UNIX_S + LEAD_S + 90 * 86400);
}

static void only_leaves_of_tenants_and_clients_wait(void **state)
{
    const aril_key_slot slots[] = { slot_of(ARIL_KEY_ROOT, NULL, NULL),
                                    slot_of(ARIL_KEY_TENANT, "alice", NULL),
                                    slot_of(ARIL_KEY_AUTHORITY, NULL, NULL) };
    (void)state;
    for (size_t i = 0; i < COUNT(slots); i++) {
        assert_status(home_rotate(&h, slots[i]), ARIL_OK);
        state_is(slots[i], 2, ARIL_KEY_ACTIVE);
    }
    seals(1);
}

static void a_key_that_is_active_by_time_alone_is_not_retired_and_the_one_before_is(void **state)
{
    struct key_copy old;
    struct key_copy fresh;
    (void)state;
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 1, &old);
    keyring_key(h.kr, data_slot, 2, &fresh);
    assert_status(aril_keyring_retire(h.kr, old.info.id, 0, &h.error), ARIL_E_USAGE_STATE);
    assert_error(&h.error, ARIL_E_USAGE_STATE, "active");
    assert_status(aril_keyring_retire(h.kr, fresh.info.id, 1, &h.error), ARIL_E_USAGE_STATE);
    assert_error(&h.error, ARIL_E_USAGE_STATE, "pending");
    fake_clock_add_s(&w.clock, LEAD_S);
    assert_status(aril_keyring_retire(h.kr, fresh.info.id, 1, &h.error), ARIL_E_USAGE_STATE);
    assert_error(&h.error, ARIL_E_USAGE_STATE, "active");
    assert_status(aril_keyring_retire(h.kr, old.info.id, 0, &h.error), ARIL_OK);
    state_is(data_slot, 1, ARIL_KEY_RETIRED);
    seals(2);
    assert_status(aril_keyring_retire(h.kr, old.info.id, 1, &h.error), ARIL_OK);
    state_is(data_slot, 1, ARIL_KEY_DESTROYED);
    home_reopen(&h);
    seals(2);
}

static void a_node_is_revoked_and_names_stay(void **state)
{
    struct keyring_home n;
    size_t rotated = 0;
    const aril_key_slot name_slot = { .purpose = ARIL_KEY_NAME, .owner = data_slot.owner };
    (void)state;
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "node-1");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    assert_status(aril_keyring_node_revoke(h.kr, TEXT("node-1"), 2, &rotated, &h.error),
                  ARIL_E_USAGE_RANGE);
    assert_status(
        aril_keyring_node_revoke(h.kr, TEXT("node-1"), ARIL_REVOKE_KEEP_NAMES, &rotated, &h.error),
        ARIL_OK);
    assert_int_equal(rotated, 1);
    state_is(data_slot, 1, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 2, ARIL_KEY_ACTIVE);
    state_is(name_slot, 1, ARIL_KEY_ACTIVE);
    home_done(&n);
}

static void a_revoked_node_ignores_leads(void **state)
{
    struct keyring_home n;
    size_t rotated = 0;
    (void)state;
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "node-1");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    fleet_pull(&h, &n);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    fleet_pull(&h, &n);
    assert_status(aril_keyring_node_revoke(h.kr, TEXT("node-1"), 0, &rotated, &h.error), ARIL_OK);
    assert_int_equal(rotated, 2);
    state_is(data_slot, 1, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 2, ARIL_KEY_DECRYPT_ONLY);
    state_is(data_slot, 3, ARIL_KEY_ACTIVE);
    seals(3);
    fake_clock_add_s(&w.clock, LEAD_S);
    seals(3);
    home_done(&n);
}

/* --- Clocks -------------------------------------------------------------------------------- */

static void set_back(uint64_t seconds)
{
    atomic_fetch_sub(&w.clock.unix_s, seconds);
}

static void a_clock_that_is_far_behind_changes_nothing_but_opens(void **state)
{
    struct sealed_box box;
    struct key_copy old;
    (void)state;
    fake_clock_add_s(&w.clock, 1000);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    fake_clock_add_s(&w.clock, LEAD_S);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 1, &old);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    set_back(301);
    assert_int_equal(keyring_info(h.kr).clock_behind_s, 301);
    struct home_mark mark = home_mark(&h);
    assert_status(home_rotate(&h, data_slot), ARIL_E_CLOCK);
    assert_error(&h.error, ARIL_E_CLOCK, "301 s behind");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_CLOCK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_E_CLOCK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_E_CLOCK);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, &h.error), ARIL_E_CLOCK);
    home_unchanged(&h, &mark);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    seals(2);
    home_reopen(&h);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    seals(2);
    /* what sets no date of its own still works */
    assert_status(aril_keyring_retire(h.kr, old.info.id, 0, &h.error), ARIL_OK);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 1, &h.error), ARIL_OK);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).clock_behind_s, 301);
}

static void a_clock_that_is_a_little_behind_does_not_turn_dates_back(void **state)
{
    struct key_copy key;
    (void)state;
    fake_clock_add_s(&w.clock, 1000);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_NAME, "alice", NULL)), ARIL_OK);
    set_back(300);
    assert_status(home_rotate(&h, data_slot), ARIL_OK);
    keyring_key(h.kr, data_slot, 2, &key);
    assert_int_equal(key.info.created_s, FAKE_UNIX_S + 1000);
    assert_int_equal(key.info.activates_s, FAKE_UNIX_S + 1000 + LEAD_S);
    assert_int_equal(keyring_info(h.kr).clock_behind_s, 300);
    home_reopen(&h);
    assert_int_equal(keyring_info(h.kr).clock_behind_s, 300);
    fake_clock_add_s(&w.clock, 300 + LEAD_S);
    assert_int_equal(keyring_info(h.kr).clock_behind_s, 0);
    seals(2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_version_waits_and_becomes_active_by_time_alone),
        TEST(a_pending_version_opens_already),
        TEST(of_two_rotations_within_one_lead_the_first_never_seals),
        TEST(a_rotation_after_the_lead_keeps_the_one_that_seals),
        TEST(dates_count_from_when_it_seals),
        TEST(only_leaves_of_tenants_and_clients_wait),
        TEST(a_key_that_is_active_by_time_alone_is_not_retired_and_the_one_before_is),
        TEST(a_node_is_revoked_and_names_stay),
        TEST(a_revoked_node_ignores_leads),
        TEST(a_clock_that_is_far_behind_changes_nothing_but_opens),
        TEST(a_clock_that_is_a_little_behind_does_not_turn_dates_back),
    };
    return cmocka_run_group_tests_name("leads", tests, temp_folder_make, temp_folder_remove);
}
