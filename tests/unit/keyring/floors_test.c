/* SPDX-License-Identifier: Apache-2.0 */
/* Floors that travel in bundles. Floors of one keyring: retire_test.c. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct small_fleet fleet;

static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, MEMORY_STORE_ALL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    small_fleet_done(&fleet);
    return 0;
}

static uint64_t floor_of(struct keyring_home *h, const char *name)
{
    uint64_t value = UINT64_MAX;
    assert_status(aril_keyring_floor_get(h->kr, text_bytes(name), &value, &h->error), ARIL_OK);
    return value;
}

static void raise_to(struct keyring_home *h, const char *name, uint64_t value)
{
    assert_status(aril_keyring_floor_raise(h->kr, text_bytes(name), value, &h->error), ARIL_OK);
}

static void floors_of_the_authority_reach_every_node(void **state)
{
    struct keyring_home *const nodes[] = { &fleet.alpha, &fleet.beta };
    (void)state;
    raise_to(&fleet.authority, "z", 1);
    raise_to(&fleet.authority, "a", UINT64_MAX);
    raise_to(&fleet.authority, "a model, of 27 characters!!", 3);
    small_fleet_share(&fleet);
    for (size_t i = 0; i < COUNT(nodes); i++) {
        assert_true(floor_of(nodes[i], "a") == UINT64_MAX);
        assert_int_equal(floor_of(nodes[i], "a model, of 27 characters!!"), 3);
        assert_int_equal(floor_of(nodes[i], "z"), 1);
        assert_int_equal(floor_of(nodes[i], "b"), 0);
        home_reopen(nodes[i]);
        assert_int_equal(floor_of(nodes[i], "z"), 1);
        assert_status(aril_keyring_floor_raise(nodes[i]->kr, TEXT("z"), 0, &nodes[i]->error),
                      ARIL_E_REPLAY_ROLLBACK);
    }
    raise_to(&fleet.authority, "z", 2);
    small_fleet_share(&fleet);
    assert_int_equal(floor_of(&fleet.alpha, "z"), 2);
    assert_int_equal(floor_of(&fleet.beta, "z"), 2);
}

static void what_a_node_raised_further_stays(void **state)
{
    (void)state;
    raise_to(&fleet.authority, "m", 5);
    raise_to(&fleet.alpha, "m", 9);
    raise_to(&fleet.alpha, "own", 4);
    raise_to(&fleet.beta, "m", 2);
    small_fleet_share(&fleet);
    assert_int_equal(floor_of(&fleet.alpha, "m"), 9);
    assert_int_equal(floor_of(&fleet.alpha, "own"), 4);
    assert_int_equal(floor_of(&fleet.beta, "m"), 5);
    assert_int_equal(floor_of(&fleet.beta, "own"), 0);
    assert_int_equal(floor_of(&fleet.authority, "m"), 5);
    raise_to(&fleet.authority, "m", 10);
    small_fleet_share(&fleet);
    assert_int_equal(floor_of(&fleet.alpha, "m"), 10);
}

/* A newer bundle of an authority that came back from a backup. */
static void a_newer_bundle_with_lower_floors_lowers_nothing(void **state)
{
    struct forge f;
    (void)state;
    raise_to(&fleet.authority, "m", 5);
    small_fleet_share(&fleet);
    aril_identity *signer = forge_authority(fleet.authority.kr, 0);
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    f.floors[0] = (struct forge_floor){ "a", 0 };
    f.floors[1] = (struct forge_floor){ "m", 4 };
    f.floors[2] = (struct forge_floor){ "n", 1 };
    const aril_span lower = forge_end(&f, signer);
    assert_status(fleet_take(&fleet.alpha, lower), ARIL_OK);
    assert_int_equal(floor_of(&fleet.alpha, "a"), 0);
    assert_int_equal(floor_of(&fleet.alpha, "m"), 5);
    assert_int_equal(floor_of(&fleet.alpha, "n"), 1);
    free(lower.data);
    aril_identity_free(signer);
}

static void a_bundle_that_is_refused_raises_nothing(void **state)
{
    struct forge f;
    (void)state;
    raise_to(&fleet.authority, "m", 5);
    small_fleet_share(&fleet);
    aril_identity *stranger = forge_node(fleet.beta.kr);
    aril_identity *signer = forge_authority(fleet.authority.kr, 0);
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    f.floors[0] = (struct forge_floor){ "m", 100 };
    const struct keyring_trace before = keyring_trace(fleet.alpha.kr);
    const aril_span forged = forge_end(&f, stranger);
    assert_status_class(fleet_take(&fleet.alpha, forged), ARIL_E_TRUST);
    f.version = 1;
    const aril_span old = forge_end(&f, signer);
    assert_status_class(fleet_take(&fleet.alpha, old), ARIL_E_TRUST);
    f.version = 9;
    f.nodes[0] = fleet.beta.kr;
    const aril_span of_beta = forge_end(&f, signer);
    assert_status(fleet_take(&fleet.alpha, of_beta), ARIL_E_NOT_FOUND);
    assert_untouched(fleet.alpha.kr, &before);
    assert_int_equal(floor_of(&fleet.alpha, "m"), 5);
    free(forged.data);
    free(old.data);
    free(of_beta.data);
    aril_identity_free(signer);
    aril_identity_free(stranger);
}

/* Each bit of the list: the signature covers it. */
static void no_bit_of_the_floors_can_be_changed(void **state)
{
    struct arili_bundle b;
    (void)state;
    raise_to(&fleet.authority, "m", 5);
    const aril_span bundle = fleet_next(&fleet.authority);
    assert_status(arili_bundle_parse((aril_bytes){ bundle.data, bundle.len }, &b), ARIL_OK);
    const size_t at = (size_t)(b.floors.data - bundle.data) - 4;
    const struct keyring_trace before = keyring_trace(fleet.alpha.kr);
    for (size_t bit = 8 * at; bit < 8 * (at + 4 + b.floors.len); bit++) {
        bundle.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const aril_status st = fleet_take(&fleet.alpha, bundle);
        assert_true(st == ARIL_E_AUTH || aril_status_class(st) == ARIL_E_FORMAT);
        bundle.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_untouched(fleet.alpha.kr, &before);
    assert_status(fleet_take(&fleet.alpha, bundle), ARIL_OK);
    assert_int_equal(floor_of(&fleet.alpha, "m"), 5);
    free(bundle.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(floors_of_the_authority_reach_every_node),
        TEST(what_a_node_raised_further_stays),
        TEST(a_newer_bundle_with_lower_floors_lowers_nothing),
        TEST(a_bundle_that_is_refused_raises_nothing),
        TEST(no_bit_of_the_floors_can_be_changed),
    };
    return cmocka_run_group_tests_name("floors", tests, temp_folder_make, temp_folder_remove);
}
