/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static aril_status create(const aril_key_slot *slots, size_t count)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_create(h.kr, slots, count, &h.error);
}

static void refused(const aril_key_slot *slots, size_t count, aril_status st)
{
    struct home_mark mark = home_mark(&h);
    assert_status(create(slots, count), st);
    home_unchanged(&h, &mark);
}

/* --- What is made -------------------------------------------------------------------------- */

static void a_tenant_comes_with_a_data_and_a_name_key(void **state)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        home_done(&h);
        home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
        home_make(&h, profiles[i], NULL);
        home_tenant(&h, "alice");
        struct key_copy root;
        struct key_copy tenant;
        struct key_copy data;
        struct key_copy name;
        keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 1, &root);
        keyring_key(h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 1, &tenant);
        keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &data);
        keyring_key(h.kr, slot_of(ARIL_KEY_NAME, "alice", NULL), 1, &name);
        assert_memory_equal(tenant.info.parent, root.info.id, 32);
        assert_memory_equal(data.info.parent, tenant.info.id, 32);
        assert_memory_equal(name.info.parent, tenant.info.id, 32);
        assert_memory_not_equal(name.info.id, data.info.id, 32);
        assert_int_equal(root.info.children, 2);
        assert_int_equal(tenant.info.children, 2);
        assert_int_equal(data.info.state, ARIL_KEY_ACTIVE);
        assert_int_equal(data.info.created_s, FAKE_UNIX_S);
        assert_int_equal(data.info.rotate_by_s, FAKE_UNIX_S + 90 * 86400);
        assert_int_equal(name.info.rotate_by_s, 0);
        assert_true(is_filled(data.info.predecessor, 32, 0));
        assert_int_equal(keyring_count_all(h.kr), 5);
        home_reopen(&h);
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
        struct sealed_box box;
        assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
        assert_memory_equal(box_key_id(&box), data.info.id, 32);
    }
}

static void keys_and_their_parents_may_come_in_one_call_and_in_order(void **state)
{
    const aril_key_slot slots[] = {
        slot_of(ARIL_KEY_TENANT, "t", NULL),    slot_of(ARIL_KEY_MODEL, "m@1", NULL),
        slot_of(ARIL_KEY_DATA, "t", "extra"),   slot_of(ARIL_KEY_DATA, "m@1", NULL),
        slot_of(ARIL_KEY_NAME, "m@1", "names"), slot_of(ARIL_KEY_API, "client", NULL),
    };
    (void)state;
    assert_status(create(slots, COUNT(slots)), ARIL_OK);
    assert_int_equal(keyring_count_all(h.kr), 2 + COUNT(slots) + 2);
    struct key_copy model;
    struct key_copy data;
    keyring_key(h.kr, slots[1], 1, &model);
    keyring_key(h.kr, slots[3], 1, &data);
    assert_memory_equal(data.info.parent, model.info.id, 32);
    assert_int_equal(model.info.children, 2);
    assert_int_equal(model.info.rotate_by_s, 0);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void a_creation_is_one_commit_and_tells_each_slot(void **state)
{
    const aril_key_slot slots[] = { slot_of(ARIL_KEY_TENANT, "a", NULL),
                                    slot_of(ARIL_KEY_TENANT, "b", NULL) };
    const uint64_t revision = keyring_info(h.kr).revision;
    (void)state;
    world_forget(&w);
    assert_status(create(slots, 2), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).revision, revision + 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_KEY), 2);
    const aril_event event = world_last(&w, ARIL_EVENT_KEY);
    assert_string_equal(event.action, "create");
    assert_int_equal(event.key_purpose, ARIL_KEY_TENANT);
    assert_int_equal(event.key_state, ARIL_KEY_ACTIVE);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_KEY, TEXT("b")));
}

static void owners_and_labels_of_greatest_length_work(void **state)
{
    uint8_t owner[ARIL_KEY_OWNER_BYTES_MAX];
    uint8_t label[ARIL_KEY_LABEL_BYTES_MAX];
    (void)state;
    memset(owner, 0xff, sizeof owner);
    memset(label, '~', sizeof label);
    const aril_key_slot slots[] = {
        { ARIL_KEY_TENANT, { owner, sizeof owner }, { NULL, 0 } },
        { ARIL_KEY_DATA, { owner, sizeof owner }, { label, sizeof label } },
        { ARIL_KEY_DATA, { owner, sizeof owner }, { label, sizeof label - 1 } },
    };
    assert_status(create(slots, 3), ARIL_OK);
    struct key_copy key;
    home_reopen(&h);
    keyring_key(h.kr, slots[1], 1, &key);
    assert_int_equal(key.info.owner.len, sizeof owner);
    assert_memory_equal(key.label, label, sizeof label);
    assert_status(home_rotate(&h, slots[1]), ARIL_OK);
}

/* --- What is refused ----------------------------------------------------------------------- */

static void slots_that_do_not_fit_are_refused(void **state)
{
    static const uint8_t long_owner[256] = { 1 };
    static const uint8_t nul[3] = { 'a', 0, 'b' };
    const aril_key_slot slots[] = {
        slot_of(ARIL_KEY_ROOT, NULL, NULL),
        slot_of(ARIL_KEY_AUTHORITY, NULL, NULL),
        slot_of(ARIL_KEY_NODE, "n", NULL),
        slot_of(ARIL_KEY_LEGACY, "a", NULL),
        slot_of((aril_key_purpose)0, "a", NULL),
        slot_of((aril_key_purpose)10, "a", NULL),
        slot_of(ARIL_KEY_TENANT, NULL, NULL),
        slot_of(ARIL_KEY_TENANT, "a", "label"),
        slot_of(ARIL_KEY_MODEL, "a", "label"),
        slot_of(ARIL_KEY_API, "a", "label"),
        slot_of(ARIL_KEY_DATA, "a", "line\n"),
        slot_of(ARIL_KEY_DATA, "a", "\xc3\xa4"),
        slot_of(ARIL_KEY_DATA, "a", "\x7f"),
        slot_of(ARIL_KEY_DATA, "a",
                "0123456789012345678901234567890123456789012345678901234567890123"),
        { ARIL_KEY_TENANT, { long_owner, sizeof long_owner }, { NULL, 0 } },
        { ARIL_KEY_TENANT, { nul, sizeof nul }, { NULL, 0 } },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(slots); i++) {
        const aril_key_slot pair[] = { slot_of(ARIL_KEY_TENANT, "fine", NULL), slots[i] };
        refused(pair, 2, ARIL_E_USAGE_RANGE);
    }
    const aril_key_slot null_owner = { ARIL_KEY_TENANT, { NULL, 3 }, { NULL, 0 } };
    const aril_key_slot null_label = { ARIL_KEY_DATA, TEXT("a"), { NULL, 3 } };
    refused(&null_owner, 1, ARIL_E_USAGE_NULL);
    refused(&null_label, 1, ARIL_E_USAGE_NULL);
    refused(NULL, 1, ARIL_E_USAGE_NULL);
    refused(slots, 0, ARIL_E_USAGE_RANGE);
    refused(slots, (1u << 20) + 1, ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_create(NULL, slots, 1, NULL), ARIL_E_USAGE_NULL);
}

static void doubles_in_one_call_are_refused(void **state)
{
    const aril_key_slot doubles[][3] = {
        { slot_of(ARIL_KEY_TENANT, "a", NULL), slot_of(ARIL_KEY_TENANT, "b", NULL),
          slot_of(ARIL_KEY_TENANT, "a", NULL) },
        { slot_of(ARIL_KEY_TENANT, "a", NULL), slot_of(ARIL_KEY_API, "b", NULL),
          slot_of(ARIL_KEY_DATA, "a", NULL) },
        { slot_of(ARIL_KEY_NAME, "a", NULL), slot_of(ARIL_KEY_API, "b", NULL),
          slot_of(ARIL_KEY_TENANT, "a", NULL) },
        { slot_of(ARIL_KEY_TENANT, "a", NULL), slot_of(ARIL_KEY_DATA, "a", "x"),
          slot_of(ARIL_KEY_DATA, "a", "x") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(doubles); i++) {
        refused(doubles[i], 3, ARIL_E_EXISTS);
        assert_error(&h.error, ARIL_E_EXISTS, "rotate it");
    }
}

static void all_or_nothing_when_one_exists_or_has_no_parent(void **state)
{
    (void)state;
    home_tenant(&h, "old");
    const aril_key_slot existing[] = { slot_of(ARIL_KEY_TENANT, "new", NULL),
                                       slot_of(ARIL_KEY_MODEL, "m@1", NULL),
                                       slot_of(ARIL_KEY_TENANT, "old", NULL) };
    refused(existing, 3, ARIL_E_EXISTS);
    assert_error(&h.error, ARIL_E_EXISTS, "old");
    assert_error(&h.error, ARIL_E_EXISTS, h.path);
    const aril_key_slot orphan[] = { slot_of(ARIL_KEY_TENANT, "new", NULL),
                                     slot_of(ARIL_KEY_DATA, "nobody", NULL) };
    refused(orphan, 2, ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "nobody");
    const aril_key_slot data[] = { slot_of(ARIL_KEY_DATA, "old", NULL) };
    refused(data, 1, ARIL_E_EXISTS);
    assert_status(create(existing, 2), ARIL_OK);
}

static void the_id_of_a_shredded_tenant_is_not_used_again(void **state)
{
    (void)state;
    home_tenant(&h, "gone");
    assert_status(aril_keyring_shred(h.kr, TEXT("gone"), 0, NULL, &h.error), ARIL_OK);
    const aril_key_slot slots[] = { slot_of(ARIL_KEY_TENANT, "new", NULL),
                                    slot_of(ARIL_KEY_TENANT, "gone", NULL) };
    refused(slots, 2, ARIL_E_KEY_DESTROYED);
    assert_error(&h.error, ARIL_E_KEY_DESTROYED, "gone");
    const aril_key_slot data = slot_of(ARIL_KEY_DATA, "gone", "again");
    refused(&data, 1, ARIL_E_KEY_DESTROYED);
    home_reopen(&h);
    refused(slots, 2, ARIL_E_KEY_DESTROYED);
    assert_status(create(slots, 1), ARIL_OK);
}

static void a_tombstone_is_of_exactly_that_id(void **state)
{
    (void)state;
    home_tenant(&h, "gone");
    assert_status(aril_keyring_shred(h.kr, TEXT("gone"), 0, NULL, &h.error), ARIL_OK);
    home_tenant(&h, "gon");
    home_tenant(&h, "gone2");
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "gone", NULL)), ARIL_OK);
}

static void tenants_and_models_do_not_share_a_name(void **state)
{
    (void)state;
    home_tenant(&h, "acme");
    assert_status(home_create(&h, slot_of(ARIL_KEY_MODEL, "llama@3", NULL)), ARIL_OK);
    const aril_key_slot model = slot_of(ARIL_KEY_MODEL, "acme", NULL);
    const aril_key_slot tenant = slot_of(ARIL_KEY_TENANT, "llama@3", NULL);
    const aril_key_slot both[] = { slot_of(ARIL_KEY_TENANT, "new", NULL),
                                   slot_of(ARIL_KEY_MODEL, "new", NULL) };
    refused(&model, 1, ARIL_E_EXISTS);
    refused(&tenant, 1, ARIL_E_EXISTS);
    refused(both, 2, ARIL_E_EXISTS);
    assert_status(aril_keyring_shred(h.kr, TEXT("llama@3"), 0, NULL, &h.error), ARIL_E_NOT_FOUND);
}

static void a_node_creates_nothing(void **state)
{
    struct keyring_home n;
    (void)state;
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "node-1");
    struct home_mark mark = home_mark(&n);
    assert_status(home_create(&n, slot_of(ARIL_KEY_TENANT, "a", NULL)), ARIL_E_USAGE_STATE);
    assert_error(&n.error, ARIL_E_USAGE_STATE, "authority");
    home_unchanged(&n, &mark);
    home_done(&n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tenant_comes_with_a_data_and_a_name_key),
        TEST(keys_and_their_parents_may_come_in_one_call_and_in_order),
        TEST(a_creation_is_one_commit_and_tells_each_slot),
        TEST(owners_and_labels_of_greatest_length_work),
        TEST(slots_that_do_not_fit_are_refused),
        TEST(doubles_in_one_call_are_refused),
        TEST(all_or_nothing_when_one_exists_or_has_no_parent),
        TEST(the_id_of_a_shredded_tenant_is_not_used_again),
        TEST(a_tombstone_is_of_exactly_that_id),
        TEST(tenants_and_models_do_not_share_a_name),
        TEST(a_node_creates_nothing),
    };
    return cmocka_run_group_tests_name("create", tests, temp_folder_make, temp_folder_remove);
}
