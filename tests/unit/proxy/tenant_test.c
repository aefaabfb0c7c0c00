/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tenant.h"
#include "keyring/keyring.h"
#include "proxy_tenant.h"
#include "temp_folder.h"
#include <string.h>

/* What a refresh sees: keys that come, change and go, by changes and by time. */

#define LEAD_S 600u
#define DAY_S  UINT64_C(86400)

static struct world w;
static struct keyring_home h;
static struct arili_tenant *alice;

static int setup_as(const aril_key_policy *policy)
{
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, policy);
    home_tenant(&h, "alice");
    alice = proxy_tenant(&h, "alice", "redis", false);
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_as(NULL);
}
static int setup_strict(void **state)
{
    (void)state;
    return setup_as(&(aril_key_policy){ .lead_s = LEAD_S, .overdue_refuses = 1 });
}
static int teardown(void **state)
{
    (void)state;
    arili_tenant_free(alice);
    home_done(&h);
    world_done(&w);
    return 0;
}

static void refresh(void)
{
    proxy_refresh(&h, alice);
}

/* The keys that are published, not held: to compare. */
static struct arili_tenant_keys *published(void)
{
    struct arili_tenant_keys *k = arili_tenant_keys_hold(alice);
    arili_tenant_keys_drop(k);
    return k;
}

static void expect_status(aril_status st)
{
    refresh();
    assert_status(proxy_status(alice), st);
}

static void check_whole(const struct arili_tenant_keys *k)
{
    uint8_t siv[ARILI_SIV_KEY_BYTES];
    assert_int_equal(aril_tenant_key_purpose(k->data), ARIL_KEY_DATA);
    assert_int_equal(aril_tenant_key_purpose(k->name), ARIL_KEY_NAME);
    assert_memory_equal(k->naming.key_id, aril_tenant_key_id(k->name), ARIL_KEY_ID_BYTES);
    assert_status(arili_cache_listing_key(&w.rt->crypto, k->hash, k->name, siv), ARIL_OK);
    assert_memory_equal(k->siv, siv, sizeof siv);
    assert_ptr_equal(k->naming.listing, k->siv);
    assert_int_equal(k->hash, ARILI_SHA256);
}

/* --- Tenants ------------------------------------------------------------------------------- */

static void a_tenant_has_no_keys_before_it_was_refreshed(void **state)
{
    (void)state;
    struct arili_tenant *t = NULL, *u = NULL;
    char space[ARIL_CACHE_SPACE_BYTES_MAX + 1] = { 0 };
    uint8_t id[ARIL_TENANT_ID_BYTES_MAX];
    memset(space, 's', sizeof space - 1);
    memset(id, 'i', sizeof id);
    assert_status(arili_tenant_new((aril_bytes){ id, sizeof id }, space, true, &t), ARIL_OK);
    assert_status(arili_tenant_new(TEXT("b"), "", false, &u), ARIL_OK);
    assert_status(proxy_status(t), ARIL_E_KEYSTORE_BUSY);
    assert_int_equal(t->id_len, sizeof id);
    assert_memory_equal(t->id, id, sizeof id);
    assert_string_equal(t->space, space);
    assert_true(t->hash_tags && !u->hash_tags);
    assert_int_not_equal(t->number, 0);
    assert_int_not_equal(t->number, u->number);
    arili_tenant_free(t);
    arili_tenant_free(u);
    arili_tenant_free(NULL);
}

static void ids_and_spaces_out_of_range_are_refused(void **state)
{
    (void)state;
    struct arili_tenant *t = alice;
    char space[ARIL_CACHE_SPACE_BYTES_MAX + 2] = { 0 };
    uint8_t id[ARIL_TENANT_ID_BYTES_MAX + 1] = { 0 };
    memset(space, 's', sizeof space - 1);
    assert_status(arili_tenant_new(TEXT(""), "s", false, &t), ARIL_E_USAGE_RANGE);
    assert_status(arili_tenant_new((aril_bytes){ id, sizeof id }, "s", false, &t),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_tenant_new(TEXT("a"), space, false, &t), ARIL_E_USAGE_RANGE);
    assert_ptr_equal(t, alice);
}

static void a_tenant_that_comes_later_is_seen(void **state)
{
    (void)state;
    struct arili_tenant *bob = NULL;
    assert_status(arili_tenant_new(TEXT("bob"), "redis", false, &bob), ARIL_OK);
    proxy_refresh(&h, bob);
    assert_status(proxy_status(bob), ARIL_E_NOT_FOUND);
    proxy_refresh(&h, bob);
    assert_status(proxy_status(bob), ARIL_E_NOT_FOUND);
    home_tenant(&h, "bob");
    proxy_refresh(&h, bob);
    assert_status(proxy_status(bob), ARIL_OK);
    arili_tenant_free(bob);
}

/* --- Nothing changed ----------------------------------------------------------------------- */

static void keys_stay_while_nothing_of_theirs_changes(void **state)
{
    (void)state;
    const struct arili_tenant_keys *const k = published();
    check_whole(k);
    refresh();
    assert_ptr_equal(published(), k);
    home_tenant(&h, "bob");
    refresh();
    assert_ptr_equal(published(), k);
    proxy_bump(&h, "alice", "other", 1);
    proxy_bump(&h, "bob", "redis", 1);
    refresh();
    assert_ptr_equal(published(), k);
}

/* With many tenants the keyring does not keep the keys of all unwrapped: looking must not bring
 * them back every time. */
static void a_look_unwraps_nothing(void **state)
{
    (void)state;
    const struct arili_tenant_keys *const k = published();
    home_tenant(&h, "bob");
    aril_keyring_forget(h.kr);
    refresh();
    refresh();
    assert_ptr_equal(published(), k);
    assert_null(arili_cache_find(&h.kr->cache, aril_tenant_key_id(k->data), FAKE_BOOT_NS));
    assert_null(arili_cache_find(&h.kr->cache, aril_tenant_key_id(k->name), FAKE_BOOT_NS));
}

/* --- Rotation ------------------------------------------------------------------------------ */

static void a_new_data_key_seals_and_the_former_one_opens(void **state)
{
    (void)state;
    struct arili_tenant_keys *former = proxy_keys(alice);
    const struct arili_place before = proxy_place(alice, "key");
    struct arili_key_table table = { 0 };
    aril_tenant_key *key = NULL;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    refresh();
    struct arili_tenant_keys *now = proxy_keys(alice);
    check_whole(now);
    assert_memory_not_equal(aril_tenant_key_id(now->data), aril_tenant_key_id(former->data), 32);
    const struct arili_place after = proxy_place(alice, "key");
    assert_int_equal(before.name_len, after.name_len);
    assert_memory_equal(before.name, after.name, before.name_len);
    assert_memory_equal(before.context, after.context, sizeof before.context);
    /* As a loop does it with a value under the former key. */
    const uint8_t *id = aril_tenant_key_id(former->data);
    assert_status(arili_key_table_find(&table, alice, now, id, 0, &key), ARIL_OK);
    assert_null(key);
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), id, &key, &h.error), ARIL_OK);
    arili_key_table_put(&table, alice, id, key, ARIL_OK, 0);
    assert_status(arili_key_table_find(&table, alice, now, id, 0, &key), ARIL_OK);
    assert_memory_equal(arili_tenant_key_bytes(key).data, arili_tenant_key_bytes(former->data).data,
                        32);
    aril_tenant_key_put(key);
    arili_key_table_done(&table);
    check_whole(former); /* whoever holds them may go on */
    arili_tenant_keys_drop(former);
    arili_tenant_keys_drop(now);
}

static void a_new_name_key_changes_names_fields_and_members(void **state)
{
    (void)state;
    struct arili_tenant_keys *former = proxy_keys(alice);
    const struct arili_place before = proxy_place(alice, "key");
    uint8_t sealed[2][ARILI_SEALED_NAME_BYTES(1)], room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len[2], n;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_NAME, "alice", NULL)), ARIL_OK);
    refresh();
    struct arili_tenant_keys *now = proxy_keys(alice);
    check_whole(now);
    const struct arili_place after = proxy_place(alice, "key");
    assert_memory_not_equal(before.name, after.name, ARILI_CACHE_PREFIX_TEXT);
    assert_memory_equal(before.context, after.context, sizeof before.context);
    assert_status(
        arili_inner_seal(alice, former, &before, ARILI_INNER_MEMBER, TEXT("m"), sealed[0], &len[0]),
        ARIL_OK);
    assert_status(
        arili_inner_seal(alice, now, &after, ARILI_INNER_MEMBER, TEXT("m"), sealed[1], &len[1]),
        ARIL_OK);
    assert_memory_not_equal(sealed[0], sealed[1], len[0]);
    const aril_bytes old_name = { (const uint8_t *)before.name, before.name_len };
    assert_status(arili_place_open(alice, now, 0, old_name, room, &n), ARIL_E_NOT_FOUND);
    assert_status(arili_place_open(alice, former, 0, old_name, room, &n), ARIL_OK);
    arili_tenant_keys_drop(former);
    arili_tenant_keys_drop(now);
}

static void a_pending_key_becomes_the_one_that_seals_by_time_alone(void **state)
{
    (void)state;
    for (int name = 0; name < 2; name++) {
        const struct arili_tenant_keys *const k = published();
        assert_status(home_rotate(&h, slot_of(name ? ARIL_KEY_NAME : ARIL_KEY_DATA, "alice", NULL)),
                      ARIL_OK);
        refresh();
        fake_clock_add_s(&w.clock, LEAD_S - 1);
        refresh();
        assert_ptr_equal(published(), k);
        struct arili_tenant_keys *former = proxy_keys(alice);
        fake_clock_add_s(&w.clock, 1);
        refresh();
        struct arili_tenant_keys *now = proxy_keys(alice);
        const bool data = memcmp(aril_tenant_key_id(now->data), aril_tenant_key_id(former->data),
                                 ARIL_KEY_ID_BYTES) != 0;
        const bool named = memcmp(aril_tenant_key_id(now->name), aril_tenant_key_id(former->name),
                                  ARIL_KEY_ID_BYTES) != 0;
        assert_true(name ? named && !data : data && !named);
        arili_tenant_keys_drop(former);
        arili_tenant_keys_drop(now);
    }
}

static void expect_sealing(aril_status st)
{
    expect_status(ARIL_OK);
    assert_status(published()->seal_status, st);
    assert_true((published()->data != NULL) == (st == ARIL_OK));
}

static void a_key_that_is_overdue_ends_sealing_by_time_alone(void **state)
{
    (void)state;
    fake_clock_add_s(&w.clock, 90 * DAY_S - 1);
    expect_sealing(ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    expect_sealing(ARIL_E_KEY_OVERDUE);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    expect_sealing(ARIL_E_KEY_OVERDUE); /* the new one waits */
    fake_clock_add_s(&w.clock, LEAD_S);
    expect_sealing(ARIL_OK);
    check_whole(published());
}

/* Names are made and values of its key are opened, as docs/keyring.md has it. */
static void what_was_sealed_opens_when_its_key_is_overdue(void **state)
{
    (void)state;
    uint8_t id[ARIL_KEY_ID_BYTES];
    struct arili_key_table table = { 0 };
    aril_tenant_key *key = NULL;
    const struct arili_place before = proxy_place(alice, "key");
    memcpy(id, aril_tenant_key_id(published()->data), sizeof id);
    fake_clock_add_s(&w.clock, 90 * DAY_S);
    expect_sealing(ARIL_E_KEY_OVERDUE);
    const struct arili_tenant_keys *const k = published();
    refresh();
    assert_ptr_equal(published(), k); /* the same reason is no change */
    const struct arili_place after = proxy_place(alice, "key");
    assert_memory_equal(before.name, after.name, before.name_len);
    assert_status(arili_key_table_find(&table, alice, k, id, FAKE_BOOT_NS, &key), ARIL_OK);
    assert_null(key); /* not in memory: whoever asks the keyring gets it */
    assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), id, &key, &h.error), ARIL_OK);
    aril_tenant_key_put(key);
}

static void what_ends_reading_ends_it_when_a_key_is_overdue(void **state)
{
    (void)state;
    aril_shred_info info;
    fake_clock_add_s(&w.clock, 90 * DAY_S);
    expect_sealing(ARIL_E_KEY_OVERDUE);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_LOCKED);
    assert_status(published()->seal_status, ARIL_E_KEY_LOCKED);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    expect_sealing(ARIL_E_KEY_OVERDUE);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, &info, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_DESTROYED);
    assert_status(published()->seal_status, ARIL_E_KEY_DESTROYED);
}

/* --- Access that ends ---------------------------------------------------------------------- */

static void a_lock_ends_access_and_unlocking_brings_it_back(void **state)
{
    (void)state;
    struct arili_tenant_keys *held = proxy_keys(alice);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_LOCKED);
    const struct arili_tenant_keys *const none = published();
    assert_null(none->data);
    assert_null(none->name);
    assert_null(none->siv);
    refresh();
    assert_ptr_equal(published(), none);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_OK);
    check_whole(held);
    arili_tenant_keys_drop(held);
}

static void a_lock_by_another_process_is_seen_in_time(void **state)
{
    (void)state;
    struct keyring_handle other = home_second(&h);
    refresh();
    assert_status(aril_keyring_lock(other.kr, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, h.kr->refresh_ns);
    expect_status(ARIL_E_KEY_LOCKED);
    assert_status(aril_keyring_unlock(other.kr, &h.error), ARIL_OK);
    fake_clock_add_ns(&w.clock, h.kr->refresh_ns);
    expect_status(ARIL_OK);
    handle_close(&other);
}

static void a_tenant_that_was_shredded_has_no_keys(void **state)
{
    (void)state;
    aril_shred_info info;
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, &info, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_DESTROYED);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_LOCKED);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_DESTROYED);
}

/* The clock is what every look begins with, so its status is that of the look. */
static void only_failures_that_say_nothing_leave_the_keys(void **state)
{
    (void)state;
    static const struct {
        aril_status st;
        bool stays;
    } cases[] = { { ARIL_E_NOMEM, true },
                  { ARIL_E_IO, true },
                  { ARIL_E_IO_PERMISSION, true },
                  { ARIL_E_TIMEOUT, true },
                  { ARIL_E_RANDOM, true },
                  { ARIL_E_CRYPTO, true },
                  { ARIL_E_CLOCK, true },
                  { ARIL_E_KEYSTORE, true },
                  { ARIL_E_KEYSTORE_BUSY, true },
                  { ARIL_E_KEYSTORE_LOCKOUT, true },
                  { ARIL_E_KEYSTORE_SECRET, false },
                  { ARIL_E_KEYSTORE_POLICY, false },
                  { ARIL_E_KEYSTORE_WRONG, false },
                  { ARIL_E_AUTH, false },
                  { ARIL_E_FORMAT_TRUNCATED, false },
                  { ARIL_E_REPLAY_ROLLBACK, false },
                  { ARIL_E_FORKED, false },
                  { ARIL_E_NOT_FOUND, false },
                  { ARIL_E_ISOLATION, false },
                  { ARIL_E_KEY_UNKNOWN, false } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct arili_tenant_keys *const k = published();
        atomic_store(&w.clock.status, (int)cases[i].st);
        refresh();
        assert_status(proxy_status(alice), cases[i].stays ? ARIL_OK : cases[i].st);
        assert_true((published() == k) == cases[i].stays);
        atomic_store(&w.clock.status, (int)ARIL_OK);
        expect_status(ARIL_OK);
        check_whole(published());
    }
}

/* --- Generations --------------------------------------------------------------------------- */

static void a_bump_is_seen_and_generations_only_go_up(void **state)
{
    (void)state;
    assert_true(published()->generation == 0);
    proxy_bump(&h, "alice", "redis", 3);
    refresh();
    assert_true(published()->generation == 3);
    check_whole(published());
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_E_KEY_LOCKED);
    assert_true(published()->generation == 3);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    expect_status(ARIL_OK);
    assert_true(published()->generation == 3);
    /* What was seen stays, though the floor of the file were lower. */
    alice->keys->generation = 7;
    proxy_bump(&h, "alice", "redis", 4);
    refresh();
    assert_true(published()->generation == 7);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    refresh();
    assert_true(published()->generation == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tenant_has_no_keys_before_it_was_refreshed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ids_and_spaces_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tenant_that_comes_later_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_stay_while_nothing_of_theirs_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_look_unwraps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_data_key_seals_and_the_former_one_opens, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_new_name_key_changes_names_fields_and_members, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_pending_key_becomes_the_one_that_seals_by_time_alone,
                                        setup_strict, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_overdue_ends_sealing_by_time_alone,
                                        setup_strict, teardown),
        cmocka_unit_test_setup_teardown(what_was_sealed_opens_when_its_key_is_overdue, setup_strict,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_ends_reading_ends_it_when_a_key_is_overdue,
                                        setup_strict, teardown),
        cmocka_unit_test_setup_teardown(a_lock_ends_access_and_unlocking_brings_it_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_lock_by_another_process_is_seen_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tenant_that_was_shredded_has_no_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(only_failures_that_say_nothing_leave_the_keys, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_bump_is_seen_and_generations_only_go_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
