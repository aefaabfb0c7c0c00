/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant that is gone for ever. */
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <string.h>

static struct world w;
static struct keyring_home h;

static void make(unsigned capabilities)
{
    home_init(&h, &w, "keys.aril", capabilities);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
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

static const aril_key_slot root_slot = { .purpose = ARIL_KEY_ROOT };

static aril_status shred(const char *tenant, int destroy_root, aril_shred_info *ret)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_shred(h.kr, text_bytes(tenant), destroy_root, ret, &h.error);
}

struct shreds {
    size_t count;
    aril_shred_info last;
    char tenant[64];
};
static int keep_shred(void *user, const aril_shred_info *info)
{
    struct shreds *s = user;
    s->count++;
    s->last = *info;
    memcpy(s->tenant, info->tenant.data, info->tenant.len);
    s->tenant[info->tenant.len] = '\0';
    return 0;
}
static struct shreds shreds(void)
{
    struct shreds s = { .count = 0 };
    assert_status(aril_keyring_shreds(h.kr, keep_shred, &s, &h.error), ARIL_OK);
    return s;
}

/* --- What is gone -------------------------------------------------------------------------- */

static void every_key_of_the_tenant_is_destroyed_and_no_other(void **state)
{
    const uint8_t legacy[32] = { 9 };
    const aril_bytes legacies[] = { { legacy, sizeof legacy } };
    struct sealed_box alice[3];
    struct sealed_box bob;
    aril_shred_info info;
    (void)state;
    assert_status(aril_keyring_import_cachekit(h.kr, TEXT("alice"), legacies, 1, &h.error),
                  ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_DATA, "alice", "x")), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "alice", NULL)), ARIL_OK);
    for (size_t i = 0; i < COUNT(alice); i++) {
        assert_status(box_seal(h.kr, "alice", &alice[i], &h.error), ARIL_OK);
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    }
    assert_status(box_seal(h.kr, "bob", &bob, &h.error), ARIL_OK);
    world_forget(&w);
    assert_status(shred("alice", 0, &info), ARIL_OK);
    /* tenant, four data keys, one with a label, name, legacy */
    assert_int_equal(info.keys, 8);
    assert_int_equal(info.shredded_s, FAKE_UNIX_S);
    assert_int_equal(info.root_open, 1);
    assert_null(info.tenant.data);
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_DATA, ARIL_KEY_DESTROYED), 5);
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_API, ARIL_KEY_ACTIVE), 1);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_KEY, (aril_bytes){ NULL, 0 })); /* the root */
    for (size_t i = 0; i < COUNT(alice); i++) {
        assert_status(box_open(h.kr, &alice[i], &h.error), ARIL_E_KEY_DESTROYED);
    }
    struct sealed_box none;
    assert_status(box_seal(h.kr, "alice", &none, &h.error), ARIL_E_KEY_DESTROYED);
    assert_error(&h.error, ARIL_E_KEY_DESTROYED, "alice");
    assert_status(box_open(h.kr, &bob, &h.error), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).shreds_pending, 1);
    home_reopen(&h);
    assert_status(box_open(h.kr, &alice[0], &h.error), ARIL_E_KEY_DESTROYED);
    assert_status(box_open(h.kr, &bob, &h.error), ARIL_OK);
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void a_key_that_another_handle_has_unwrapped_is_not_handed_out_any_more(void **state)
{
    struct sealed_box box;
    (void)state;
    struct keyring_handle second = home_second(&h);
    assert_status(box_seal(second.kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(shred("alice", 0, NULL), ARIL_OK);
    fake_clock_add_ns(&w.clock, 251000000);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
    handle_close(&second);
}

static void the_root_is_rotated_and_on_demand_the_old_one_destroyed(void **state)
{
    struct key_copy root;
    aril_shred_info info;
    (void)state;
    assert_status(shred("alice", 1, &info), ARIL_OK);
    assert_int_equal(info.root_open, 0);
    assert_int_equal(memory_backing_slots(h.backing), 1);
    keyring_key(h.kr, root_slot, 1, &root);
    assert_int_equal(root.info.state, ARIL_KEY_DESTROYED);
    keyring_key(h.kr, root_slot, 2, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(keyring_info(h.kr).shreds_pending, 0);
    assert_int_equal(shreds().count, 1);
    assert_string_equal(shreds().tenant, "alice");
    assert_int_equal(shreds().last.root_open, 0);
}

static void a_later_destruction_closes_earlier_shreds_as_well(void **state)
{
    (void)state;
    assert_status(shred("alice", 0, NULL), ARIL_OK);
    assert_int_equal(memory_backing_slots(h.backing), 2);
    assert_status(shred("bob", 1, NULL), ARIL_OK);
    assert_int_equal(memory_backing_slots(h.backing), 1);
    assert_int_equal(keyring_info(h.kr).shreds_pending, 0);
    assert_int_equal(shreds().count, 2);
}

/* --- Again --------------------------------------------------------------------------------- */

static void the_same_again_changes_nothing_but_may_destroy_the_root(void **state)
{
    aril_shred_info info;
    (void)state;
    assert_status(shred("alice", 0, NULL), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(shred("alice", 0, &info), ARIL_OK);
    assert_int_equal(info.keys, 3);
    assert_int_equal(info.root_open, 1);
    home_unchanged(&h, &mark);
    fake_clock_add_s(&w.clock, 10);
    assert_status(shred("alice", 1, &info), ARIL_OK);
    assert_int_equal(info.root_open, 0);
    assert_int_equal(info.shredded_s, FAKE_UNIX_S);
    assert_int_equal(memory_backing_slots(h.backing), 1);
}

static struct faulty_store *faulty;
static struct arili_store faulty_over_memory(struct keyring_home *home)
{
    faulty = faulty_store_new(memory_store(home->backing, home->capabilities));
    return faulty_store_store(faulty);
}

static void what_failed_after_the_tombstone_goes_on_when_it_is_called_again(void **state)
{
    struct sealed_box box;
    aril_shred_info info;
    unsigned nth;
    unsigned after_tombstone = 0;
    (void)state;
    for (nth = 1;; nth++) {
        home_done(&h);
        make(MEMORY_STORE_ALL);
        assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
        home_close(&h);
        h.store = faulty_over_memory;
        home_open(&h);
        faulty_store_arm(faulty, nth, ARIL_E_KEYSTORE_BUSY);
        const aril_status st = shred("alice", 1, NULL);
        const bool fired = faulty_store_fired(faulty);
        faulty_store_disarm(faulty);
        assert_status(st, fired ? ARIL_E_KEYSTORE_BUSY : ARIL_OK);
        if (shreds().count == 1) {
            after_tombstone += fired;
            assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
        } else {
            assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
        }
        assert_status(shred("alice", 1, &info), ARIL_OK);
        assert_int_equal(info.keys, 3);
        assert_int_equal(info.root_open, 0);
        assert_false(keyring_info(h.kr).rotation_pending);
        assert_int_equal(memory_backing_slots(h.backing), 1);
        assert_int_equal(keyring_count(h.kr, ARIL_KEY_ROOT, ARIL_KEY_ACTIVE), 1);
        home_close(&h);
        faulty_store_free(faulty);
        h.store = NULL;
        home_open(&h);
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
        if (!fired) {
            break;
        }
    }
    assert_true(after_tombstone >= 3); /* seal, destroy, counters */
}

static void a_backup_that_has_the_tombstone_is_not_open(void **state)
{
    (void)state;
    home_close(&h);
    h.store = faulty_over_memory;
    home_open(&h);
    faulty_store_arm(faulty, 6, ARIL_E_KEYSTORE_BUSY); /* after the counter of the tombstone */
    assert_status(shred("alice", 1, NULL), ARIL_E_KEYSTORE_BUSY);
    assert_string_equal(faulty_store_last(faulty), "seal");
    assert_int_equal(shreds().count, 1);
    assert_status(aril_keyring_backup(h.kr, temp_path("b1"), &h.error), ARIL_OK);
    assert_status(shred("alice", 1, NULL), ARIL_OK);
    assert_int_equal(shreds().last.backups_open, 0);
    temp_clear(temp_path("b1"));
    home_close(&h);
    faulty_store_free(faulty);
    h.store = NULL;
    home_open(&h);
}

static void a_store_that_cannot_destroy_is_said_when_the_rest_is_done(void **state)
{
    aril_shred_info info;
    struct sealed_box box;
    (void)state;
    home_done(&h);
    make(ARIL_KEYSTORE_COUNTER);
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(shred("alice", 1, &info), ARIL_E_UNAVAILABLE);
    assert_error(&h.error, ARIL_E_UNAVAILABLE, "cannot destroy");
    assert_int_equal(info.keys, 3);
    assert_int_equal(info.root_open, 1);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
    struct key_copy root;
    keyring_key(h.kr, root_slot, 2, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
}

/* --- What is left to do -------------------------------------------------------------------- */

static int keep_id(void *user, const aril_backup_info *info)
{
    memcpy(user, info->id, sizeof info->id);
    return 0;
}

static void open_backups_are_those_from_before_that_nobody_destroyed(void **state)
{
    aril_shred_info info;
    uint8_t id[16];
    (void)state;
    assert_status(aril_keyring_backup(h.kr, temp_path("b1"), &h.error), ARIL_OK);
    assert_status(aril_keyring_backups(h.kr, keep_id, id, &h.error), ARIL_OK);
    assert_status(aril_keyring_backup(h.kr, temp_path("b2"), &h.error), ARIL_OK);
    assert_status(shred("alice", 1, &info), ARIL_OK);
    assert_int_equal(info.backups_open, 2);
    assert_status(aril_keyring_backup(h.kr, temp_path("b3"), &h.error), ARIL_OK);
    assert_int_equal(shreds().last.backups_open, 2);
    assert_int_equal(keyring_info(h.kr).backups_open, 3);
    assert_int_equal(keyring_info(h.kr).shreds_pending, 1);
    assert_status(aril_keyring_backup_destroyed(h.kr, id, &h.error), ARIL_OK);
    assert_int_equal(shreds().last.backups_open, 1);
    temp_clear(temp_path("b1"));
    temp_clear(temp_path("b2"));
    temp_clear(temp_path("b3"));
}

static void open_nodes_are_those_that_serve_it_and_gave_no_receipt(void **state)
{
    struct keyring_home nodes[3];
    static const char *const files[] = { "n0.aril", "n1.aril", "n2.aril" };
    static const char *const names[] = { "n0", "n1", "n2" };
    static const char *const tenants[] = { NULL, "alice", "bob" };
    aril_shred_info info;
    struct sealed_box box;
    (void)state;
    for (size_t i = 0; i < COUNT(nodes); i++) {
        home_init(&nodes[i], &w, files[i], MEMORY_STORE_ALL);
        home_make_node(&nodes[i], &h, names[i]);
        assert_status(fleet_enrol(&h, &nodes[i], tenants[i]), ARIL_OK);
        fleet_pull(&h, &nodes[i]);
    }
    assert_status(box_seal(nodes[0].kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(shred("alice", 1, &info), ARIL_OK);
    assert_int_equal(info.nodes_open, 2);
    fleet_pull(&h, &nodes[0]); /* the first bundle that carries the tombstone */
    assert_int_equal(shreds().last.nodes_open, 1);
    fleet_pull(&h, &nodes[2]); /* serves bob alone */
    assert_int_equal(shreds().last.nodes_open, 1);
    assert_status(box_open(nodes[0].kr, &box, &h.error), ARIL_E_KEY_DESTROYED);
    assert_status(aril_keyring_node_revoke(h.kr, TEXT("n1"), 0, NULL, &h.error), ARIL_OK);
    assert_int_equal(shreds().last.nodes_open, 0);
    assert_int_equal(keyring_info(h.kr).shreds_pending, 0);
    for (size_t i = 0; i < COUNT(nodes); i++) {
        home_done(&nodes[i]);
    }
}

/* --- What is refused ----------------------------------------------------------------------- */

static void only_tenants_are_shredded(void **state)
{
    struct sealed_box box;
    (void)state;
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_MODEL, "m@1", NULL)), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_DATA, "m@1", NULL)), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "client", NULL)), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    aril_shred_info info = { .keys = 77 };
    assert_status(shred("carol", 1, &info), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "carol");
    assert_status(shred("m@1", 1, &info), ARIL_E_NOT_FOUND);
    assert_status(shred("client", 1, &info), ARIL_E_NOT_FOUND);
    assert_status(shred("", 1, &info), ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_shred(h.kr, (aril_bytes){ NULL, 3 }, 0, &info, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_shred(NULL, TEXT("alice"), 0, &info, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_shreds(h.kr, NULL, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_int_equal(info.keys, 77);
    home_unchanged(&h, &mark);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
}

static void a_node_shreds_nothing(void **state)
{
    struct keyring_home n;
    (void)state;
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "n");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    fleet_pull(&h, &n);
    struct home_mark mark = home_mark(&n);
    assert_status(aril_keyring_shred(n.kr, TEXT("alice"), 0, NULL, &n.error), ARIL_E_USAGE_STATE);
    home_unchanged(&n, &mark);
    home_done(&n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_key_of_the_tenant_is_destroyed_and_no_other),
        TEST(a_key_that_another_handle_has_unwrapped_is_not_handed_out_any_more),
        TEST(the_root_is_rotated_and_on_demand_the_old_one_destroyed),
        TEST(a_later_destruction_closes_earlier_shreds_as_well),
        TEST(the_same_again_changes_nothing_but_may_destroy_the_root),
        TEST(what_failed_after_the_tombstone_goes_on_when_it_is_called_again),
        TEST(a_backup_that_has_the_tombstone_is_not_open),
        TEST(a_store_that_cannot_destroy_is_said_when_the_rest_is_done),
        TEST(open_backups_are_those_from_before_that_nobody_destroyed),
        TEST(open_nodes_are_those_that_serve_it_and_gave_no_receipt),
        TEST(only_tenants_are_shredded),
        TEST(a_node_shreds_nothing),
    };
    return cmocka_run_group_tests_name("shred", tests, temp_folder_make, temp_folder_remove);
}
