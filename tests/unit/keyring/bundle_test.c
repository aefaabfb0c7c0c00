/* SPDX-License-Identifier: Apache-2.0 */
/* What a node has after it took a bundle. */
#include "fleet_forge.h"
#include "keyring/cache.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct small_fleet fleet;

static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, MEMORY_STORE_ALL);
    small_fleet_share(&fleet);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    small_fleet_done(&fleet);
    return 0;
}

static struct sealed_box sealed_by(struct keyring_home *h, const char *tenant)
{
    struct sealed_box box;
    assert_status(box_seal(h->kr, tenant, &box, &h->error), ARIL_OK);
    return box;
}

static void rotate(aril_key_purpose purpose, const char *owner)
{
    assert_status(home_rotate(&fleet.authority, slot_of(purpose, owner, NULL)), ARIL_OK);
}

static struct key_copy version_of(struct keyring_home *h, aril_key_purpose purpose,
                                  const char *owner, uint32_t version)
{
    static struct key_copy kept[4];
    static unsigned next;
    struct key_copy *const k = &kept[next++ % 4];
    keyring_key(h->kr, slot_of(purpose, owner, NULL), version, k);
    return *k;
}

/* --- Keys come ----------------------------------------------------------------------------- */

static void a_node_opens_what_the_authority_and_other_nodes_sealed(void **state)
{
    (void)state;
    struct keyring_home *const all[] = { &fleet.authority, &fleet.alpha, &fleet.beta };
    for (size_t from = 0; from < COUNT(all); from++) {
        const struct sealed_box box = sealed_by(all[from], "bob");
        for (size_t to = 0; to < COUNT(all); to++) {
            assert_status(box_open(all[to]->kr, &box, NULL), ARIL_OK);
        }
    }
}

static void keys_of_a_node_are_those_of_the_authority_in_each_field_that_is_shared(void **state)
{
    (void)state;
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_NAME };
    static const uint8_t zeros[ARIL_KEY_ID_BYTES];
    rotate(ARIL_KEY_DATA, "bob");
    small_fleet_share(&fleet);
    for (size_t i = 0; i < COUNT(purposes); i++) {
        const aril_key_info a = version_of(&fleet.authority, purposes[i], "bob", 0).info;
        const aril_key_info b = version_of(&fleet.beta, purposes[i], "bob", 0).info;
        assert_memory_equal(a.id, b.id, sizeof a.id);
        assert_memory_equal(a.predecessor, b.predecessor, sizeof a.predecessor);
        assert_int_equal(a.version, b.version);
        assert_int_equal(a.state, b.state);
        assert_int_equal(a.created_s, b.created_s);
        assert_int_equal(a.activates_s, b.activates_s);
        assert_int_equal(a.rotate_by_s, b.rotate_by_s);
        assert_int_equal(a.not_after_s, b.not_after_s);
        assert_int_equal(a.changed_s, b.changed_s);
        /* The wraps are the node's own. */
        assert_memory_not_equal(a.parent, b.parent, sizeof a.parent);
        assert_memory_not_equal(b.parent, zeros, sizeof zeros);
    }
    assert_status(aril_keyring_verify(fleet.beta.kr, NULL, NULL, NULL), ARIL_OK);
}

static void names_are_equal_on_all_nodes(void **state)
{
    (void)state;
    aril_tenant_key *keys[3] = { NULL };
    struct keyring_home *const all[] = { &fleet.authority, &fleet.alpha, &fleet.beta };
    for (size_t i = 0; i < COUNT(all); i++) {
        assert_status(
            aril_keyring_tenant_key(all[i]->kr, TEXT("bob"), ARIL_KEY_NAME, &keys[i], NULL),
            ARIL_OK);
        assert_memory_equal(aril_tenant_key_id(keys[0]), aril_tenant_key_id(keys[i]),
                            ARIL_KEY_ID_BYTES);
        assert_memory_equal(arili_tenant_key_bytes(keys[0]).data,
                            arili_tenant_key_bytes(keys[i]).data, 32);
    }
    for (size_t i = 0; i < COUNT(all); i++) {
        aril_tenant_key_put(keys[i]);
    }
}

static void a_node_with_a_tenant_list_gets_those_alone(void **state)
{
    (void)state;
    const struct sealed_box box = sealed_by(&fleet.authority, "ada");
    struct sealed_box none;
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
    assert_status(box_seal(fleet.beta.kr, "ada", &none, NULL), ARIL_E_NOT_FOUND);
    assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_DATA], 1);
    assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_NAME], 1);
    assert_int_equal(keyring_info(fleet.alpha.kr).keys[ARIL_KEY_DATA], 2);
    /* Nor does it open for another tenant's name. */
    aril_tenant_key *key = NULL;
    const struct sealed_box bobs = sealed_by(&fleet.authority, "bob");
    assert_status(aril_keyring_key_by_id(fleet.beta.kr, TEXT("ada"), box_key_id(&bobs), &key, NULL),
                  ARIL_E_ISOLATION);
    assert_null(key);
}

static void tenants_that_are_made_later_come_with_the_next_bundle(void **state)
{
    (void)state;
    home_tenant(&fleet.authority, "cleo");
    const struct sealed_box box = sealed_by(&fleet.authority, "cleo");
    assert_status(box_open(fleet.alpha.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
    small_fleet_share(&fleet);
    assert_status(box_open(fleet.alpha.kr, &box, NULL), ARIL_OK);
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
}

static void labels_models_and_legacy_keys_come_too(void **state)
{
    (void)state;
    uint8_t master[32];
    fill_pattern(master, sizeof master, 5);
    const aril_bytes masters[] = { { master, sizeof master } };
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_DATA, "bob", "disk")), ARIL_OK);
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_MODEL, "qwen@1", NULL)), ARIL_OK);
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_DATA, "qwen@1", NULL)), ARIL_OK);
    assert_status(aril_keyring_import_cachekit(fleet.authority.kr, TEXT("bob"), masters, 1, NULL),
                  ARIL_OK);
    small_fleet_share(&fleet);
    struct key_copy k;
    const aril_key_slot disk = slot_of(ARIL_KEY_DATA, "bob", "disk");
    const aril_key_slot model = slot_of(ARIL_KEY_DATA, "qwen@1", NULL);
    aril_tenant_key *key = NULL;
    assert_status(aril_keyring_slot_key(fleet.beta.kr, &disk, &key, NULL), ARIL_OK);
    aril_tenant_key_put(key);
    assert_status(aril_keyring_slot_key(fleet.alpha.kr, &model, &key, NULL), ARIL_OK);
    aril_tenant_key_put(key);
    assert_status(aril_keyring_slot_key(fleet.beta.kr, &model, &key, NULL), ARIL_E_NOT_FOUND);
    keyring_key(fleet.beta.kr, slot_of(ARIL_KEY_LEGACY, "bob", NULL), 0, &k);
    assert_status(aril_keyring_key_by_id(fleet.beta.kr, TEXT("bob"), k.info.id, &key, NULL),
                  ARIL_OK);
    assert_memory_equal(arili_tenant_key_bytes(key).data, master, sizeof master);
    aril_tenant_key_put(key);
    home_reopen(&fleet.beta);
    assert_status(aril_keyring_verify(fleet.beta.kr, NULL, NULL, NULL), ARIL_OK);
}

static void the_keys_of_api_clients_stay_at_the_authority(void **state)
{
    (void)state;
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_API, "client", NULL)), ARIL_OK);
    small_fleet_share(&fleet);
    assert_int_equal(keyring_info(fleet.alpha.kr).keys[ARIL_KEY_API], 0);
}

/* --- Keys change ----------------------------------------------------------------------------- */

static void a_rotation_comes_with_the_next_bundle(void **state)
{
    (void)state;
    const struct sealed_box old = sealed_by(&fleet.alpha, "bob");
    rotate(ARIL_KEY_DATA, "bob");
    const struct sealed_box fresh = sealed_by(&fleet.authority, "bob");
    assert_memory_not_equal(box_key_id(&old), box_key_id(&fresh), ARIL_KEY_ID_BYTES);
    assert_status(box_open(fleet.beta.kr, &fresh, NULL), ARIL_E_KEY_UNKNOWN);
    small_fleet_share(&fleet);
    assert_status(box_open(fleet.beta.kr, &fresh, NULL), ARIL_OK);
    assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_OK);
    const struct sealed_box mine = sealed_by(&fleet.beta, "bob");
    assert_memory_equal(box_key_id(&mine), box_key_id(&fresh), ARIL_KEY_ID_BYTES);
    assert_int_equal(version_of(&fleet.beta, ARIL_KEY_DATA, "bob", 1).info.state,
                     ARIL_KEY_DECRYPT_ONLY);
}

static void a_bundle_in_between_may_be_missed(void **state)
{
    (void)state;
    const struct sealed_box old = sealed_by(&fleet.alpha, "bob");
    for (unsigned i = 0; i < 3; i++) {
        rotate(ARIL_KEY_DATA, "bob");
        free(fleet_next(&fleet.authority).data);
    }
    small_fleet_share(&fleet);
    assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_OK);
    assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_DATA], 4);
}

static void retired_and_destroyed_keys_are_gone_from_nodes(void **state)
{
    (void)state;
    for (int destroy = 0; destroy <= 1; destroy++) {
        const struct sealed_box old = sealed_by(&fleet.alpha, "bob");
        rotate(ARIL_KEY_DATA, "bob");
        small_fleet_share(&fleet);
        assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_OK);
        assert_status(aril_keyring_retire(fleet.authority.kr, box_key_id(&old), destroy, NULL),
                      ARIL_OK);
        assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_OK); /* has not heard of it */
        small_fleet_share(&fleet);
        assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_E_KEY_UNKNOWN);
        assert_status(box_open(fleet.alpha.kr, &old, NULL), ARIL_E_KEY_UNKNOWN);
        home_reopen(&fleet.beta);
        assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_E_KEY_UNKNOWN);
        assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_DATA], 1);
    }
}

static void a_shredded_tenant_is_shredded_on_its_nodes(void **state)
{
    (void)state;
    const struct sealed_box box = sealed_by(&fleet.beta, "bob");
    struct sealed_box none;
    assert_status(aril_keyring_shred(fleet.authority.kr, TEXT("bob"), 0, NULL, NULL), ARIL_OK);
    small_fleet_share(&fleet);
    struct keyring_home *const nodes[] = { &fleet.alpha, &fleet.beta };
    for (size_t i = 0; i < COUNT(nodes); i++) {
        for (unsigned again = 0; again < 2; again++) {
            assert_status(box_open(nodes[i]->kr, &box, NULL), ARIL_E_KEY_DESTROYED);
            assert_status(box_seal(nodes[i]->kr, "bob", &none, NULL), ARIL_E_KEY_DESTROYED);
            home_reopen(nodes[i]);
        }
        small_fleet_share(&fleet); /* it stays so */
    }
    assert_int_equal(keyring_count(fleet.beta.kr, ARIL_KEY_TENANT, ARIL_KEY_DESTROYED), 1);
    assert_int_equal(keyring_count(fleet.beta.kr, 0, ARIL_KEY_ACTIVE), 2); /* root and node */
}

static void new_roots_and_tenant_keys_change_nothing_for_nodes(void **state)
{
    (void)state;
    const struct sealed_box box = sealed_by(&fleet.alpha, "bob");
    rotate(ARIL_KEY_TENANT, "bob");
    rotate(ARIL_KEY_ROOT, NULL);
    assert_status(home_rotate(&fleet.beta, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    assert_status(home_rotate(&fleet.beta, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_OK);
    small_fleet_share(&fleet);
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_OK);
    rotate(ARIL_KEY_DATA, "bob");
    small_fleet_share(&fleet);
    const struct sealed_box fresh = sealed_by(&fleet.beta, "bob");
    assert_status(box_open(fleet.authority.kr, &fresh, NULL), ARIL_OK);
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_OK);
}

static void a_key_that_waits_for_its_time_is_used_by_all_at_that_time(void **state)
{
    (void)state;
    struct keyring_home late;
    struct keyring_home node;
    const aril_key_policy policy = { .lead_s = 600 };
    home_init(&late, &fleet.w, "late.aril", MEMORY_STORE_ALL);
    home_make(&late, ARIL_PROFILE_ML_KEM_768, &policy);
    home_tenant(&late, "bob");
    home_init(&node, &fleet.w, "late-node.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &late, "late");
    assert_status(fleet_enrol(&late, &node, NULL), ARIL_OK);
    assert_status(home_rotate(&late, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    fleet_pull(&late, &node);
    const struct sealed_box before = sealed_by(&node, "bob");
    assert_int_equal(version_of(&node, ARIL_KEY_DATA, "bob", 2).info.state, ARIL_KEY_PENDING);
    assert_memory_equal(box_key_id(&before), version_of(&node, ARIL_KEY_DATA, "bob", 1).info.id,
                        ARIL_KEY_ID_BYTES);
    fake_clock_add_s(&fleet.w.clock, 600);
    const struct sealed_box at_node = sealed_by(&node, "bob");
    const struct sealed_box at_home = sealed_by(&late, "bob");
    assert_memory_equal(box_key_id(&at_node), box_key_id(&at_home), ARIL_KEY_ID_BYTES);
    assert_memory_equal(box_key_id(&at_node), version_of(&node, ARIL_KEY_DATA, "bob", 2).info.id,
                        ARIL_KEY_ID_BYTES);
    assert_status(box_open(node.kr, &before, NULL), ARIL_OK);
    home_done(&node);
    home_done(&late);
}

/* --- One bundle is one change ------------------------------------------------------------------
 */

static void a_bundle_moves_the_counter_by_one(void **state)
{
    (void)state;
    const uint64_t counted = memory_backing_counter(fleet.beta.backing);
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    rotate(ARIL_KEY_DATA, "bob");
    small_fleet_share(&fleet);
    const struct keyring_trace after = keyring_trace(fleet.beta.kr);
    assert_int_equal(memory_backing_counter(fleet.beta.backing), counted + 1);
    assert_int_equal(after.generation, before.generation + 1);
    assert_int_equal(after.revision, before.revision + 1);
    assert_int_equal(after.bundle_version, before.bundle_version + 1);
}

static void a_signed_bundle_moves_the_counter_of_the_authority(void **state)
{
    (void)state;
    const uint64_t counted = memory_backing_counter(fleet.authority.backing);
    const uint64_t generation = keyring_info(fleet.authority.kr).generation;
    small_fleet_share(&fleet);
    assert_int_equal(memory_backing_counter(fleet.authority.backing), counted + 1);
    assert_int_equal(keyring_info(fleet.authority.kr).generation, generation + 1);
}

static void the_same_bundle_again_changes_nothing(void **state)
{
    (void)state;
    const aril_span bundle = fleet_next(&fleet.authority);
    const aril_bytes bytes = { bundle.data, bundle.len };
    int changed = 0;
    assert_status(aril_keyring_bundle_apply(fleet.beta.kr, bytes, &changed, NULL), ARIL_OK);
    assert_int_equal(changed, 1);
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    const uint64_t counted = memory_backing_counter(fleet.beta.backing);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(aril_keyring_bundle_apply(fleet.beta.kr, bytes, &changed, NULL), ARIL_OK);
        assert_int_equal(changed, 0);
        assert_untouched(fleet.beta.kr, &before);
        home_reopen(&fleet.beta);
    }
    assert_int_equal(memory_backing_counter(fleet.beta.backing), counted);
    free(bundle.data);
}

static void a_bundle_without_news_still_counts_as_taken(void **state)
{
    (void)state;
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    small_fleet_share(&fleet);
    const struct keyring_trace after = keyring_trace(fleet.beta.kr);
    assert_int_equal(after.bundle_version, before.bundle_version + 1);
    assert_memory_equal(after.keys, before.keys, sizeof after.keys);
}

static void other_handles_of_the_node_see_the_new_keys(void **state)
{
    (void)state;
    struct keyring_handle second = home_second(&fleet.beta);
    rotate(ARIL_KEY_DATA, "bob");
    small_fleet_share(&fleet);
    const struct sealed_box box = sealed_by(&fleet.authority, "bob");
    int changed = 0;
    assert_status(aril_keyring_refresh(second.kr, &changed, NULL), ARIL_OK);
    assert_int_equal(changed, 1);
    assert_status(box_open(second.kr, &box, NULL), ARIL_OK);
    handle_close(&second);
}

static void an_older_copy_of_a_node_is_noticed(void **state)
{
    (void)state;
    home_close(&fleet.beta);
    const aril_span older = home_read(fleet.beta.path);
    home_open(&fleet.beta);
    small_fleet_share(&fleet);
    home_close(&fleet.beta);
    home_write(fleet.beta.path, older);
    assert_status(home_try_open(&fleet.beta), ARIL_E_REPLAY_ROLLBACK);
    assert_error(&fleet.beta.error, ARIL_E_REPLAY_ROLLBACK, "older copy");
    free(older.data);
}

static void an_authority_that_was_rolled_back_signs_no_version_twice(void **state)
{
    (void)state;
    home_close(&fleet.authority);
    const aril_span older = home_read(fleet.authority.path);
    home_open(&fleet.authority);
    free(fleet_next(&fleet.authority).data);
    home_close(&fleet.authority);
    home_write(fleet.authority.path, older);
    assert_status(home_try_open(&fleet.authority), ARIL_E_REPLAY_ROLLBACK);
    free(older.data);
}

static void a_bundle_that_can_not_be_written_uses_its_version_up(void **state)
{
    (void)state;
    uint64_t version = 77;
    assert_status(aril_keyring_bundle_write(fleet.authority.kr, temp_path("nowhere/x.bundle"),
                                            &version, &fleet.authority.error),
                  ARIL_E_NOT_FOUND);
    assert_error(&fleet.authority.error, ARIL_E_NOT_FOUND, "nowhere");
    assert_int_equal(version, 77);
    assert_int_equal(keyring_info(fleet.authority.kr).bundle_version, 2);
    small_fleet_share(&fleet);
    assert_int_equal(keyring_info(fleet.beta.kr).bundle_version, 3);
}

static void nothing_of_a_secret_is_in_a_bundle(void **state)
{
    (void)state;
    aril_tenant_key *key = NULL;
    const aril_span bundle = fleet_next(&fleet.authority);
    assert_status(
        aril_keyring_tenant_key(fleet.authority.kr, TEXT("bob"), ARIL_KEY_DATA, &key, NULL),
        ARIL_OK);
    const aril_bytes secret = arili_tenant_key_bytes(key);
    for (size_t i = 0; i + secret.len <= bundle.len; i++) {
        assert_memory_not_equal(bundle.data + i, secret.data, secret.len);
    }
    aril_tenant_key_put(key);
    free(bundle.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_opens_what_the_authority_and_other_nodes_sealed),
        TEST(keys_of_a_node_are_those_of_the_authority_in_each_field_that_is_shared),
        TEST(names_are_equal_on_all_nodes),
        TEST(a_node_with_a_tenant_list_gets_those_alone),
        TEST(tenants_that_are_made_later_come_with_the_next_bundle),
        TEST(labels_models_and_legacy_keys_come_too),
        TEST(the_keys_of_api_clients_stay_at_the_authority),
        TEST(a_rotation_comes_with_the_next_bundle),
        TEST(a_bundle_in_between_may_be_missed),
        TEST(retired_and_destroyed_keys_are_gone_from_nodes),
        TEST(a_shredded_tenant_is_shredded_on_its_nodes),
        TEST(new_roots_and_tenant_keys_change_nothing_for_nodes),
        TEST(a_key_that_waits_for_its_time_is_used_by_all_at_that_time),
        TEST(a_bundle_moves_the_counter_by_one),
        TEST(a_signed_bundle_moves_the_counter_of_the_authority),
        TEST(the_same_bundle_again_changes_nothing),
        TEST(a_bundle_without_news_still_counts_as_taken),
        TEST(other_handles_of_the_node_see_the_new_keys),
        TEST(an_older_copy_of_a_node_is_noticed),
        TEST(an_authority_that_was_rolled_back_signs_no_version_twice),
        TEST(a_bundle_that_can_not_be_written_uses_its_version_up),
        TEST(nothing_of_a_secret_is_in_a_bundle),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
