/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bundles a node takes: copies of an authority, and new signing keys of one. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

/* Keystores without a counter, so that a copy of the authority opens. */
static struct small_fleet fleet;
static struct keyring_home copy;

static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, ARIL_KEYSTORE_DESTROY);
    small_fleet_share(&fleet);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    small_fleet_done(&fleet);
    return 0;
}

static void copy_authority(void)
{
    home_close(&fleet.authority);
    const aril_span file = home_read(fleet.authority.path);
    home_open(&fleet.authority);
    home_init(&copy, &fleet.w, "copy.aril", ARIL_KEYSTORE_DESTROY);
    memory_backing_free(copy.backing);
    copy.backing = fleet.authority.backing;
    const char *path = temp_write("copy.aril", 0600, (aril_bytes){ file.data, file.len });
    assert_string_equal(path, copy.path);
    home_open(&copy);
    free(file.data);
}

static void copy_done(void)
{
    home_close(&copy);
    copy.backing = NULL;
    home_done(&copy);
}

static void refuse(struct keyring_home *node, aril_span b, aril_status st, const char *words)
{
    const struct keyring_trace before = keyring_trace(node->kr);
    assert_status(fleet_take(node, b), st);
    assert_error(&node->error, st, words);
    assert_untouched(node->kr, &before);
}

/* The next bundle is taken by a node, or refused with that status. */
static void next_to(struct keyring_home *node, aril_status st)
{
    const aril_span b = fleet_next(&fleet.authority);
    const aril_status got = fleet_take(node, b);
    if (got != st) {
        fail_msg("%s, not %s: %s", aril_status_name(got), aril_status_name(st),
                 node->error.message);
    }
    free(b.data);
}

static void rotate_signer(void)
{
    assert_status(home_rotate(&fleet.authority, slot_of(ARIL_KEY_AUTHORITY, NULL, NULL)), ARIL_OK);
}

static void retire_signer(uint32_t version, int destroy)
{
    struct key_copy k;
    keyring_key(fleet.authority.kr, slot_of(ARIL_KEY_AUTHORITY, NULL, NULL), version, &k);
    assert_status(aril_keyring_retire(fleet.authority.kr, k.info.id, destroy, NULL), ARIL_OK);
}

static struct arili_bundle parsed(aril_span b)
{
    struct arili_bundle ret;
    assert_status(arili_bundle_parse((aril_bytes){ b.data, b.len }, &ret), ARIL_OK);
    return ret;
}

/* Which version of the key signs the next bundle, and which one it names. 0: none. */
static void assert_next(uint32_t signer, uint32_t successor)
{
    const aril_span bytes = fleet_next(&fleet.authority);
    const struct arili_bundle b = parsed(bytes);
    aril_identity *s = forge_authority(fleet.authority.kr, signer);
    assert_memory_equal(b.authority.data, aril_identity_public(s).data, b.authority.len);
    aril_identity_free(s);
    if (successor == 0) {
        assert_int_equal(b.successor.len, 0);
    } else {
        s = forge_authority(fleet.authority.kr, successor);
        assert_int_equal(b.successor.len, aril_identity_public(s).len);
        assert_memory_equal(b.successor.data, aril_identity_public(s).data, b.successor.len);
        aril_identity_free(s);
    }
    free(bytes.data);
}

/* --- Two authorities ----------------------------------------------------------------------- */

static void a_copy_of_the_authority_contradicts_it(void **state)
{
    (void)state;
    copy_authority();
    assert_status(home_rotate(&fleet.authority, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    const aril_span real = fleet_next(&fleet.authority);
    const aril_span other = fleet_next(&copy);
    assert_int_equal(parsed(real).version, parsed(other).version);
    assert_status(fleet_take(&fleet.alpha, real), ARIL_OK);
    refuse(&fleet.alpha, other, ARIL_E_TRUST_AUTHORITY, "find out which keyring was copied");
    assert_status(fleet_take(&fleet.beta, other), ARIL_OK);
    refuse(&fleet.beta, real, ARIL_E_TRUST_AUTHORITY, "there are two authorities");
    home_reopen(&fleet.alpha);
    refuse(&fleet.alpha, other, ARIL_E_TRUST_AUTHORITY, "there are two authorities");
    assert_status(fleet_take(&fleet.alpha, real), ARIL_OK);
    free(real.data);
    free(other.data);
    copy_done();
}

static void equal_content_signed_twice_contradicts_as_well(void **state)
{
    (void)state;
    copy_authority();
    const aril_span real = fleet_next(&fleet.authority);
    const aril_span other = fleet_next(&copy);
    assert_status(fleet_take(&fleet.alpha, real), ARIL_OK);
    refuse(&fleet.alpha, other, ARIL_E_TRUST_AUTHORITY, "there are two authorities");
    free(real.data);
    free(other.data);
    copy_done();
}

static void change_fleet(struct arili_bundle *b, void *arg)
{
    (void)arg;
    b->fleet[3] ^= 1;
    b->version += 5;
}

static void another_fleet_under_the_same_key_is_another_authority(void **state)
{
    (void)state;
    aril_identity *signer = forge_authority(fleet.authority.kr, 0);
    const aril_span real = fleet_next(&fleet.authority);
    const aril_span other =
        forge_again((aril_bytes){ real.data, real.len }, change_fleet, NULL, signer);
    refuse(&fleet.alpha, other, ARIL_E_TRUST_AUTHORITY, "there are two authorities");
    assert_status(fleet_take(&fleet.alpha, real), ARIL_OK);
    aril_identity_free(signer);
    free(real.data);
    free(other.data);
}

/* --- New signing keys ----------------------------------------------------------------------------
 */

static void the_old_key_signs_and_names_its_successor_until_it_is_retired(void **state)
{
    (void)state;
    assert_next(1, 0);
    rotate_signer();
    assert_next(1, 2);
    next_to(&fleet.alpha, ARIL_OK);
    assert_next(1, 2);
    retire_signer(1, 0);
    assert_next(2, 0);
    next_to(&fleet.alpha, ARIL_OK);
    home_reopen(&fleet.alpha);
    next_to(&fleet.alpha, ARIL_OK);
}

static void a_retired_key_signs_nothing_that_a_node_takes(void **state)
{
    (void)state;
    aril_identity *old = forge_authority(fleet.authority.kr, 1);
    rotate_signer();
    next_to(&fleet.alpha, ARIL_OK);
    retire_signer(1, 1);
    next_to(&fleet.alpha, ARIL_OK);
    struct forge f;
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    aril_span stolen = forge_end(&f, old);
    refuse(&fleet.alpha, stolen, ARIL_E_TRUST_REVOKED, "the authority has retired");
    stolen.data[stolen.len - 1] ^= 1;
    refuse(&fleet.alpha, stolen, ARIL_E_TRUST_REVOKED, "the authority has retired");
    free(stolen.data);
    aril_identity_free(old);
}

static void a_retired_key_does_not_come_back_as_a_successor(void **state)
{
    (void)state;
    aril_identity *old = forge_authority(fleet.authority.kr, 1);
    rotate_signer();
    next_to(&fleet.alpha, ARIL_OK);
    retire_signer(1, 0);
    next_to(&fleet.alpha, ARIL_OK);
    aril_identity *fresh = forge_authority(fleet.authority.kr, 0);
    struct forge f;
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    f.successor = aril_identity_public(old);
    const aril_span names_old = forge_end(&f, fresh);
    const aril_status st = fleet_take(&fleet.alpha, names_old);
    assert_true(st == ARIL_OK || aril_status_class(st) == ARIL_E_TRUST);
    f.version++;
    const aril_span by_old = forge_end(&f, old);
    refuse(&fleet.alpha, by_old, ARIL_E_TRUST_REVOKED, "the authority has retired");
    free(names_old.data);
    free(by_old.data);
    aril_identity_free(fresh);
    aril_identity_free(old);
}

static void a_successor_that_the_same_bundle_revokes_is_not_believed(void **state)
{
    (void)state;
    aril_identity *signer = forge_authority(fleet.authority.kr, 1);
    aril_identity *other = fixture_identity(ARIL_ML_DSA_65, 1);
    struct forge f;
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    f.successor = aril_identity_public(other);
    f.revoked_authorities[0] = f.successor;
    const aril_span both = forge_end(&f, signer);
    const aril_status st = fleet_take(&fleet.alpha, both);
    assert_true(st == ARIL_OK || aril_status_class(st) == ARIL_E_TRUST);
    f.revoked_authorities[0] = (aril_bytes){ NULL, 0 };
    f.version++;
    const aril_span later = forge_end(&f, other);
    const struct keyring_trace before = keyring_trace(fleet.alpha.kr);
    assert_status_class(fleet_take(&fleet.alpha, later), ARIL_E_TRUST);
    assert_untouched(fleet.alpha.kr, &before);
    free(both.data);
    free(later.data);
    aril_identity_free(signer);
}

static void a_node_that_slept_through_the_change_is_told_of_another_authority(void **state)
{
    (void)state;
    rotate_signer();
    next_to(&fleet.alpha, ARIL_OK); /* beta sleeps */
    retire_signer(1, 0);
    next_to(&fleet.alpha, ARIL_OK);
    next_to(&fleet.beta, ARIL_E_TRUST_AUTHORITY);
    /* A node that is made now begins with the new key. */
    struct keyring_home fresh;
    home_init(&fresh, &fleet.w, "fresh.aril", ARIL_KEYSTORE_DESTROY);
    home_make_node(&fresh, &fleet.authority, "fresh");
    assert_status(fleet_enrol(&fleet.authority, &fresh, NULL), ARIL_OK);
    next_to(&fresh, ARIL_OK);
    home_done(&fresh);
}

static void a_node_that_was_made_in_between_waits_for_the_new_key(void **state)
{
    (void)state;
    struct keyring_home fresh;
    rotate_signer();
    home_init(&fresh, &fleet.w, "fresh.aril", ARIL_KEYSTORE_DESTROY);
    home_make_node(&fresh, &fleet.authority, "fresh"); /* pins the active key, version 2 */
    assert_status(fleet_enrol(&fleet.authority, &fresh, NULL), ARIL_OK);
    next_to(&fresh, ARIL_E_TRUST_AUTHORITY);
    retire_signer(1, 0);
    next_to(&fresh, ARIL_OK);
    home_done(&fresh);
}

static void several_new_keys_are_handed_on_one_after_the_other(void **state)
{
    (void)state;
    rotate_signer();
    rotate_signer();
    assert_next(1, 2);
    small_fleet_share(&fleet);
    retire_signer(1, 0);
    assert_next(2, 3);
    small_fleet_share(&fleet);
    retire_signer(2, 1);
    assert_next(3, 0);
    small_fleet_share(&fleet);
}

/* Their hashes are in ascending order in a bundle, whatever the order of the keys. */
static void many_retired_keys_are_all_named(void **state)
{
    (void)state;
    enum { RETIRED = 6 }; /* in order by chance: once in 720 times */
    for (uint32_t version = 1; version <= RETIRED; version++) {
        rotate_signer();
        small_fleet_share(&fleet);
        retire_signer(version, version % 2);
        const aril_span bytes = fleet_next(&fleet.authority);
        assert_int_equal(parsed(bytes).revoked_authority_count, version);
        assert_status(fleet_take(&fleet.alpha, bytes), ARIL_OK);
        assert_status(fleet_take(&fleet.beta, bytes), ARIL_OK);
        free(bytes.data);
    }
    assert_next(RETIRED + 1, 0);
}

static void a_key_in_the_middle_may_go_first(void **state)
{
    (void)state;
    rotate_signer();
    rotate_signer();
    retire_signer(2, 0);
    assert_next(1, 3);
    small_fleet_share(&fleet);
    retire_signer(1, 0);
    small_fleet_share(&fleet);
}

static void the_key_that_signs_alone_can_not_be_retired(void **state)
{
    (void)state;
    struct key_copy k;
    aril_error error = { .status = ARIL_OK };
    keyring_key(fleet.authority.kr, slot_of(ARIL_KEY_AUTHORITY, NULL, NULL), 1, &k);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(aril_keyring_retire(fleet.authority.kr, k.info.id, 1, &error),
                  ARIL_E_USAGE_STATE);
    assert_error(&error, ARIL_E_USAGE_STATE, "rotate it first");
    assert_untouched(fleet.authority.kr, &before);
    next_to(&fleet.alpha, ARIL_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_of_the_authority_contradicts_it),
        TEST(equal_content_signed_twice_contradicts_as_well),
        TEST(another_fleet_under_the_same_key_is_another_authority),
        TEST(the_old_key_signs_and_names_its_successor_until_it_is_retired),
        TEST(a_retired_key_signs_nothing_that_a_node_takes),
        TEST(a_retired_key_does_not_come_back_as_a_successor),
        TEST(a_successor_that_the_same_bundle_revokes_is_not_believed),
        TEST(a_node_that_slept_through_the_change_is_told_of_another_authority),
        TEST(a_node_that_was_made_in_between_waits_for_the_new_key),
        TEST(several_new_keys_are_handed_on_one_after_the_other),
        TEST(many_retired_keys_are_all_named),
        TEST(a_key_in_the_middle_may_go_first),
        TEST(the_key_that_signs_alone_can_not_be_retired),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
