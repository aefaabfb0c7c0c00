/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "check.h"
#include "proxy/tenant.h"
#include "proxy_tenant.h"
#include "temp_folder.h"
#include <string.h>

/* Former keys of a loop: found for a second, by their tenant alone, and given back. */

#define NOW_NS (UINT64_C(50) * ARILI_NS_PER_S)

static struct world w;
static struct keyring_home h;
static struct arili_tenant *alice, *bob;
static struct arili_tenant_keys *keys, *bobs;
static struct arili_key_table table;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    alice = proxy_tenant(&h, "alice", "redis", false);
    bob = proxy_tenant(&h, "bob", "redis", false);
    keys = proxy_keys(alice);
    bobs = proxy_keys(bob);
    memset(&table, 0, sizeof table);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arili_key_table_done(&table);
    arili_tenant_keys_drop(keys);
    arili_tenant_keys_drop(bobs);
    arili_tenant_free(alice);
    arili_tenant_free(bob);
    home_done(&h);
    world_done(&w);
    return 0;
}

struct id {
    uint8_t bytes[ARIL_KEY_ID_BYTES];
};
static struct id id_of(unsigned n)
{
    struct id id;
    memset(id.bytes, 0xee, sizeof id.bytes);
    id.bytes[31] = (uint8_t)n;
    return id;
}

static aril_tenant_key *key_new(aril_key_purpose purpose, struct id id)
{
    uint8_t secret[32] = { 1 };
    aril_tenant_key *key = NULL;
    assert_status(arili_tenant_key_new(w.rt, purpose, TEXT("alice"), id.bytes, secret, &key),
                  ARIL_OK);
    return key;
}

/* A key with that number, which the table takes; the test keeps a second reference. */
static aril_tenant_key *put(unsigned n, uint64_t now_ns)
{
    aril_tenant_key *key = key_new(ARIL_KEY_DATA, id_of(n));
    arili_tenant_key_hold(key);
    arili_key_table_put(&table, alice, id_of(n).bytes, key, ARIL_OK, now_ns);
    return key;
}

/* Whether the table has that key; it ends with as many references as before. */
static bool has(unsigned n, uint64_t now_ns)
{
    aril_tenant_key *key = NULL;
    assert_status(arili_key_table_find(&table, alice, keys, id_of(n).bytes, now_ns, &key), ARIL_OK);
    if (key == NULL) {
        return false;
    }
    assert_memory_equal(aril_tenant_key_id(key), id_of(n).bytes, ARIL_KEY_ID_BYTES);
    aril_tenant_key_put(key);
    return true;
}

static void only_we_hold(aril_tenant_key *key)
{
    assert_int_equal(atomic_load(&key->references), 1);
    aril_tenant_key_put(key);
}

static void the_key_that_seals_is_found_without_the_table(void **state)
{
    (void)state;
    aril_tenant_key *key = NULL;
    const uint32_t before = atomic_load(&keys->data->references);
    assert_status(
        arili_key_table_find(&table, alice, keys, aril_tenant_key_id(keys->data), NOW_NS, &key),
        ARIL_OK);
    assert_ptr_equal(key, keys->data);
    assert_int_equal(atomic_load(&key->references), before + 1);
    aril_tenant_key_put(key);
    /* Not by another tenant, and no NAME key. */
    assert_status(
        arili_key_table_find(&table, bob, bobs, aril_tenant_key_id(keys->data), NOW_NS, &key),
        ARIL_OK);
    assert_null(key);
    assert_status(
        arili_key_table_find(&table, alice, keys, aril_tenant_key_id(keys->name), NOW_NS, &key),
        ARIL_OK);
    assert_null(key);
}

static void a_key_is_kept_for_one_second_and_given_back(void **state)
{
    (void)state;
    aril_tenant_key *key = put(1, NOW_NS);
    assert_true(has(1, NOW_NS));
    assert_false(has(2, NOW_NS));
    assert_true(has(1, NOW_NS + ARILI_NS_PER_S - 1));
    assert_int_equal(atomic_load(&key->references), 2);
    assert_false(has(1, NOW_NS + ARILI_NS_PER_S));
    only_we_hold(key);
}

static void a_key_is_found_by_its_tenant_alone(void **state)
{
    (void)state;
    aril_tenant_key *found = NULL;
    aril_tenant_key *key = put(1, NOW_NS);
    assert_status(arili_key_table_find(&table, bob, bobs, id_of(1).bytes, NOW_NS, &found), ARIL_OK);
    assert_null(found);
    arili_key_table_put(&table, bob, id_of(1).bytes, NULL, ARIL_E_ISOLATION, NOW_NS);
    assert_status(arili_key_table_find(&table, bob, bobs, id_of(1).bytes, NOW_NS, &found),
                  ARIL_E_ISOLATION);
    assert_null(found);
    assert_true(has(1, NOW_NS));
    arili_key_table_done(&table);
    only_we_hold(key);
}

static void why_there_is_no_key_is_kept_for_one_second_too(void **state)
{
    (void)state;
    aril_tenant_key *found = keys->data;
    const struct id id = id_of(1);
    arili_key_table_put(&table, alice, id.bytes, NULL, ARIL_E_KEY_RETIRED, NOW_NS);
    assert_status(arili_key_table_find(&table, alice, keys, id.bytes, NOW_NS, &found),
                  ARIL_E_KEY_RETIRED);
    assert_null(found);
    assert_status(
        arili_key_table_find(&table, alice, keys, id.bytes, NOW_NS + ARILI_NS_PER_S, &found),
        ARIL_OK);
    assert_null(found);
}

static void what_is_put_again_takes_the_place_of_what_was_there(void **state)
{
    (void)state;
    aril_tenant_key *found = NULL;
    aril_tenant_key *first = put(1, NOW_NS);
    aril_tenant_key *second = put(1, NOW_NS + 1);
    only_we_hold(first);
    assert_true(has(1, NOW_NS + ARILI_NS_PER_S));
    arili_key_table_put(&table, alice, id_of(1).bytes, NULL, ARIL_E_KEY_DESTROYED, NOW_NS);
    only_we_hold(second);
    assert_status(arili_key_table_find(&table, alice, keys, id_of(1).bytes, NOW_NS, &found),
                  ARIL_E_KEY_DESTROYED);
}

static void the_least_used_key_goes_first(void **state)
{
    (void)state;
    aril_tenant_key *all[ARILI_KEY_TABLE + 2];
    for (unsigned i = 0; i < ARILI_KEY_TABLE; i++) {
        all[i] = put(i, NOW_NS + i);
    }
    /* Number 0 was used since, so 1 is the one that goes. */
    assert_true(has(0, NOW_NS + 1000));
    all[ARILI_KEY_TABLE] = put(ARILI_KEY_TABLE, NOW_NS + 1001);
    assert_false(has(1, NOW_NS + 1001));
    only_we_hold(all[1]);
    for (unsigned i = 0; i <= ARILI_KEY_TABLE; i++) {
        assert_true(i == 1 || has(i, NOW_NS + 2000 + i));
    }
    /* 2 is the first whose time is over, however lately it was used. */
    const uint64_t later = NOW_NS + ARILI_NS_PER_S + 2;
    assert_false(has(0, later - 2));
    aril_tenant_key *another = put(200, later - 2); /* in the place of 0 */
    assert_true(has(2, later - 1));
    all[ARILI_KEY_TABLE + 1] = put(201, later);
    assert_int_equal(atomic_load(&all[2]->references), 1);
    for (unsigned i = 3; i < ARILI_KEY_TABLE; i++) {
        assert_int_equal(atomic_load(&all[i]->references), 2);
    }
    arili_key_table_done(&table);
    only_we_hold(another);
    for (unsigned i = 0; i < COUNT(all); i++) {
        if (i != 1) {
            only_we_hold(all[i]);
        }
    }
}

static void a_key_that_opens_no_values_is_not_kept(void **state)
{
    (void)state;
    static const aril_key_purpose purposes[] = { ARIL_KEY_NAME, ARIL_KEY_LEGACY };
    for (size_t i = 0; i < COUNT(purposes); i++) {
        aril_tenant_key *found = NULL;
        aril_tenant_key *key = key_new(purposes[i], id_of(1));
        arili_tenant_key_hold(key);
        arili_key_table_put(&table, alice, id_of(1).bytes, key, ARIL_OK, NOW_NS);
        only_we_hold(key);
        assert_status(arili_key_table_find(&table, alice, keys, id_of(1).bytes, NOW_NS, &found),
                      ARIL_E_KEY_UNKNOWN);
        assert_null(found);
    }
}

static void without_keys_nothing_is_found(void **state)
{
    (void)state;
    const struct arili_tenant_keys none = { .status = ARIL_E_KEY_LOCKED };
    aril_tenant_key *found = keys->data;
    aril_tenant_key *key = put(1, NOW_NS);
    assert_status(arili_key_table_find(&table, alice, &none, id_of(1).bytes, NOW_NS, &found),
                  ARIL_E_KEY_LOCKED);
    assert_null(found);
    arili_key_table_done(&table);
    only_we_hold(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_key_that_seals_is_found_without_the_table, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_key_is_kept_for_one_second_and_given_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_key_is_found_by_its_tenant_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(why_there_is_no_key_is_kept_for_one_second_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_put_again_takes_the_place_of_what_was_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_least_used_key_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_opens_no_values_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(without_keys_nothing_is_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
