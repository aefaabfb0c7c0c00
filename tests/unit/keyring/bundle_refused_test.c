/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that a node refuses: each leaves it as it was. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct small_fleet fleet;
static aril_span bundle; /* the one that nobody has taken yet, version 2 */

static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, MEMORY_STORE_ALL);
    small_fleet_share(&fleet);
    assert_status(home_rotate(&fleet.authority, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    bundle = fleet_next(&fleet.authority);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(bundle.data);
    small_fleet_done(&fleet);
    return 0;
}

/* Refused for that reason, with these words; the node is as before, now and when it is opened
 * again. */
static void refuse(struct keyring_home *node, aril_span b, aril_status st, const char *words)
{
    const struct keyring_trace before = keyring_trace(node->kr);
    assert_status(fleet_take(node, b), st);
    assert_error(&node->error, st, words);
    assert_untouched(node->kr, &before);
    home_reopen(node);
    assert_untouched(node->kr, &before);
}

static aril_span copy_of(aril_span b)
{
    const aril_span copy = { malloc(b.len + 1), b.len };
    assert_non_null(copy.data);
    memcpy(copy.data, b.data, b.len);
    return copy;
}

/* --- Time ------------------------------------------------------------------------------------ */

static void an_older_bundle_is_a_rollback(void **state)
{
    (void)state;
    const aril_span newer = fleet_next(&fleet.authority);
    assert_status(fleet_take(&fleet.beta, newer), ARIL_OK);
    refuse(&fleet.beta, bundle, ARIL_E_REPLAY_ROLLBACK, "version 2, this node has 3");
    free(newer.data);
}

static void a_bundle_ends_after_its_days(void **state)
{
    (void)state;
    fake_clock_add_s(&fleet.w.clock, 7 * UINT64_C(86400) - 1);
    assert_status(fleet_take(&fleet.alpha, bundle), ARIL_OK);
    fake_clock_add_s(&fleet.w.clock, 1);
    refuse(&fleet.beta, bundle, ARIL_E_EXPIRED_BUNDLE, "fetch a newer one");
    /* Whoever took it hears that nobody gives him newer ones. */
    refuse(&fleet.alpha, bundle, ARIL_E_EXPIRED_BUNDLE, "fetch a newer one");
    fake_clock_add_s(&fleet.w.clock, 100000);
    refuse(&fleet.beta, bundle, ARIL_E_EXPIRED_BUNDLE, "ended 100000 s ago");
}

static void a_clock_that_was_set_back_does_not_bring_an_ended_bundle_back(void **state)
{
    (void)state;
    fake_clock_add_s(&fleet.w.clock, 20 * UINT64_C(86400));
    const aril_span newest = fleet_next(&fleet.authority);
    assert_status(fleet_take(&fleet.alpha, newest), ARIL_OK);
    atomic_store(&fleet.w.clock.unix_s, FAKE_UNIX_S);
    struct forge f;
    forge_init(&f, fleet.authority.kr, fleet.alpha.kr);
    aril_identity *signer = forge_authority(fleet.authority.kr, 0);
    const aril_span ended = forge_end(&f, signer); /* newer by number, ended by its dates */
    refuse(&fleet.alpha, ended, ARIL_E_EXPIRED_BUNDLE, "fetch a newer one");
    aril_identity_free(signer);
    free(ended.data);
    free(newest.data);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static bool is_expected(aril_status st)
{
    const aril_status class = aril_status_class(st);
    return st == ARIL_E_AUTH || st == ARIL_E_PROFILE || class == ARIL_E_TRUST ||
           class == ARIL_E_FORMAT;
}

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    const struct keyring_trace before = keyring_trace(fleet.alpha.kr);
    const aril_span changed = copy_of(bundle);
    for (size_t i = 0; i < changed.len; i += SANITIZED ? 29 : 3) {
        const uint8_t flip = (uint8_t)(1u << (i * 5 % 8));
        changed.data[i] ^= flip;
        const aril_status st = fleet_take(&fleet.alpha, changed);
        if (!is_expected(st)) {
            fail_msg("byte %zu of %zu: %s", i, changed.len, aril_status_name(st));
        }
        assert_true(strstr(fleet.alpha.error.message, "fetch") != NULL || st == ARIL_E_PROFILE);
        changed.data[i] ^= flip;
    }
    assert_untouched(fleet.alpha.kr, &before);
    assert_status(fleet_take(&fleet.alpha, changed), ARIL_OK);
    free(changed.data);
}

static void a_bundle_that_was_not_fetched_whole_is_refused_at_each_length(void **state)
{
    (void)state;
    const struct keyring_trace before = keyring_trace(fleet.alpha.kr);
    aril_span cut = copy_of(bundle);
    for (cut.len = 0; cut.len < bundle.len; cut.len++) {
        assert_status(fleet_take(&fleet.alpha, cut), ARIL_E_FORMAT_TRUNCATED);
        assert_error(&fleet.alpha.error, ARIL_E_FORMAT_TRUNCATED, "only a part of one");
    }
    cut.data[bundle.len] = 0;
    cut.len = bundle.len + 1;
    assert_status(fleet_take(&fleet.alpha, cut), ARIL_E_FORMAT_LENGTH);
    assert_untouched(fleet.alpha.kr, &before);
    free(cut.data);
}

static void other_files_are_no_bundles(void **state)
{
    (void)state;
    struct fleet_text card;
    struct fleet_inside in;
    fleet_card(fleet.alpha.kr, &card);
    fleet_card_inside(&card, &in);
    refuse(&fleet.alpha, (aril_span){ in.der, in.len }, ARIL_E_FORMAT_KIND, "no key bundle");
    refuse(&fleet.alpha, (aril_span){ (uint8_t *)card.pem, card.len }, ARIL_E_FORMAT_KIND,
           "no key bundle");
    uint8_t page[] = "<html>404 Not Found</html>";
    refuse(&fleet.alpha, (aril_span){ page, sizeof page }, ARIL_E_FORMAT_KIND, "no key bundle");
}

static void an_empty_file_is_no_bundle(void **state)
{
    (void)state;
    uint8_t nothing[1] = { 0 };
    refuse(&fleet.alpha, (aril_span){ nothing, 0 }, ARIL_E_FORMAT_TRUNCATED, "fetch it again");
    assert_status(aril_keyring_bundle_apply(fleet.alpha.kr, (aril_bytes){ NULL, 0 }, NULL, NULL),
                  ARIL_E_USAGE_NULL);
}

/* --- Who signed --------------------------------------------------------------------------------
 */

static void a_bundle_of_another_authority_is_told_from_a_damaged_one(void **state)
{
    (void)state;
    struct keyring_home other;
    home_init(&other, &fleet.w, "other.aril", MEMORY_STORE_ALL);
    home_make(&other, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&other, "bob");
    assert_status(fleet_enrol(&other, &fleet.beta, NULL), ARIL_OK);
    const aril_span foreign = fleet_next(&other);
    refuse(&fleet.beta, foreign, ARIL_E_TRUST_AUTHORITY, "your own authority");
    foreign.data[foreign.len - 1] ^= 1; /* the signature */
    refuse(&fleet.beta, foreign, ARIL_E_TRUST_UNKNOWN, "your own authority");
    free(foreign.data);
    home_done(&other);
}

static void a_bundle_that_a_node_signed_is_refused(void **state)
{
    (void)state;
    aril_identity *signer = forge_node(fleet.alpha.kr);
    const aril_span forged =
        forge_again((aril_bytes){ bundle.data, bundle.len }, NULL, NULL, signer);
    refuse(&fleet.alpha, forged, ARIL_E_TRUST_AUTHORITY, "not signed by the authority");
    refuse(&fleet.beta, forged, ARIL_E_TRUST_AUTHORITY, "not signed by the authority");
    aril_identity_free(signer);
    free(forged.data);
}

static void claim_authority(struct arili_bundle *b, void *arg)
{
    b->authority = *(const aril_bytes *)arg;
}

static void a_signature_by_another_key_under_the_authoritys_name_is_refused(void **state)
{
    (void)state;
    aril_identity *real = forge_authority(fleet.authority.kr, 0);
    aril_bytes named = aril_identity_public(real);
    const aril_span forged = forge_again((aril_bytes){ bundle.data, bundle.len }, claim_authority,
                                         &named, fixture_identity(ARIL_ML_DSA_65, 0));
    refuse(&fleet.alpha, forged, ARIL_E_AUTH, "was changed or is damaged");
    aril_identity_free(real);
    free(forged.data);
}

static void a_signature_for_something_else_is_no_signature_of_a_bundle(void **state)
{
    (void)state;
    struct arili_bundle b;
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    aril_identity *real = forge_authority(fleet.authority.kr, 0);
    assert_status(arili_bundle_parse((aril_bytes){ bundle.data, bundle.len }, &b), ARIL_OK);
    assert_status(aril_identity_sign(real, ARILI_RECEIPT_CONTEXT, b.signed_part, signature,
                                     sizeof signature, &b.signature.len),
                  ARIL_OK);
    const aril_span forged = copy_of(bundle);
    memcpy(forged.data + forged.len - b.signature.len, signature, b.signature.len);
    refuse(&fleet.alpha, forged, ARIL_E_AUTH, "signature");
    aril_identity_free(real);
    free(forged.data);
}

/* --- For whom ------------------------------------------------------------------------------------
 */

static void a_bundle_without_this_node_holds_nothing_for_it(void **state)
{
    (void)state;
    struct keyring_home stranger;
    home_init(&stranger, &fleet.w, "stranger.aril", MEMORY_STORE_ALL);
    home_make_node(&stranger, &fleet.authority, "stranger");
    refuse(&stranger, bundle, ARIL_E_NOT_FOUND, "aril keys node add");
    /* Enrolling helps with the next bundle, not with this one. */
    assert_status(fleet_enrol(&fleet.authority, &stranger, NULL), ARIL_OK);
    refuse(&stranger, bundle, ARIL_E_NOT_FOUND, "aril keys node add");
    const aril_span next = fleet_next(&fleet.authority);
    assert_status(fleet_take(&stranger, next), ARIL_OK);
    free(next.data);
    home_done(&stranger);
}

static void a_revoked_node_takes_no_bundle_any_more(void **state)
{
    (void)state;
    struct sealed_box box;
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("beta"), 0, NULL, NULL),
                  ARIL_OK);
    for (unsigned i = 0; i < 2; i++) {
        const aril_span next = fleet_next(&fleet.authority);
        refuse(&fleet.beta, next, ARIL_E_TRUST_REVOKED, "this node was revoked");
        assert_status(fleet_take(&fleet.alpha, next), ARIL_OK);
        free(next.data);
    }
    assert_status(box_seal(fleet.authority.kr, "bob", &box, NULL), ARIL_OK);
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
}

static void a_revoked_node_is_told_so_even_by_a_bundle_that_ended(void **state)
{
    (void)state;
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("beta"), 0, NULL, NULL),
                  ARIL_OK);
    const aril_span next = fleet_next(&fleet.authority);
    fake_clock_add_s(&fleet.w.clock, 30 * UINT64_C(86400));
    refuse(&fleet.beta, next, ARIL_E_TRUST_REVOKED, "this node was revoked");
    free(next.data);
}

static void a_bundle_of_another_profile_is_refused(void **state)
{
    (void)state;
    struct keyring_home other;
    home_init(&other, &fleet.w, "other.aril", MEMORY_STORE_ALL);
    home_make(&other, ARIL_PROFILE_HYBRID, NULL);
    const aril_span foreign = fleet_next(&other);
    refuse(&fleet.beta, foreign, ARIL_E_PROFILE, "profile hybrid, this node mlkem768");
    free(foreign.data);
    home_done(&other);
}

static void a_node_and_an_authority_do_not_change_places(void **state)
{
    (void)state;
    aril_error error = { .status = ARIL_OK };
    uint64_t version = 0;
    const char *path = temp_path("none.bundle");
    refuse(&fleet.authority, bundle, ARIL_E_USAGE_STATE, "do this on a node");
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    const aril_key_slot slot = slot_of(ARIL_KEY_DATA, "bob", NULL);
    const aril_key_slot fresh = slot_of(ARIL_KEY_TENANT, "eve", NULL);
    struct key_copy k;
    keyring_key(fleet.beta.kr, slot, 0, &k);
    assert_status(aril_keyring_bundle_write(fleet.beta.kr, path, &version, &error),
                  ARIL_E_USAGE_STATE);
    assert_status(aril_keyring_rotate(fleet.beta.kr, &slot, &error), ARIL_E_USAGE_STATE);
    assert_status(aril_keyring_create(fleet.beta.kr, &fresh, 1, &error), ARIL_E_USAGE_STATE);
    assert_status(aril_keyring_shred(fleet.beta.kr, TEXT("bob"), 0, NULL, &error),
                  ARIL_E_USAGE_STATE);
    assert_status(aril_keyring_retire(fleet.beta.kr, k.info.id, 1, &error), ARIL_E_USAGE_STATE);
    assert_untouched(fleet.beta.kr, &before);
}

static void a_locked_node_takes_no_bundle(void **state)
{
    (void)state;
    assert_status(aril_keyring_lock(fleet.beta.kr, NULL), ARIL_OK);
    refuse(&fleet.beta, bundle, ARIL_E_KEY_LOCKED, "aril keys unlock");
    assert_status(aril_keyring_unlock(fleet.beta.kr, NULL), ARIL_OK);
    assert_status(fleet_take(&fleet.beta, bundle), ARIL_OK);
}

static void each_refusal_is_told_to_the_audit_sink(void **state)
{
    (void)state;
    world_forget(&fleet.w);
    bundle.data[bundle.len - 1] ^= 1;
    assert_status(fleet_take(&fleet.beta, bundle), ARIL_E_AUTH);
    assert_int_equal(world_events(&fleet.w, ARIL_EVENT_FLEET), 1);
    const aril_event event = world_last(&fleet.w, ARIL_EVENT_FLEET);
    assert_status(event.status, ARIL_E_AUTH);
    assert_string_equal(event.action, "bundle-apply");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_older_bundle_is_a_rollback),
        TEST(a_bundle_ends_after_its_days),
        TEST(a_clock_that_was_set_back_does_not_bring_an_ended_bundle_back),
        TEST(every_changed_byte_is_refused),
        TEST(a_bundle_that_was_not_fetched_whole_is_refused_at_each_length),
        TEST(other_files_are_no_bundles),
        TEST(an_empty_file_is_no_bundle),
        TEST(a_bundle_of_another_authority_is_told_from_a_damaged_one),
        TEST(a_bundle_that_a_node_signed_is_refused),
        TEST(a_signature_by_another_key_under_the_authoritys_name_is_refused),
        TEST(a_signature_for_something_else_is_no_signature_of_a_bundle),
        TEST(a_bundle_without_this_node_holds_nothing_for_it),
        TEST(a_revoked_node_takes_no_bundle_any_more),
        TEST(a_revoked_node_is_told_so_even_by_a_bundle_that_ended),
        TEST(a_bundle_of_another_profile_is_refused),
        TEST(a_node_and_an_authority_do_not_change_places),
        TEST(a_locked_node_takes_no_bundle),
        TEST(each_refusal_is_told_to_the_audit_sink),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
