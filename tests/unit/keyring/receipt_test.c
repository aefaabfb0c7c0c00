/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts of nodes, what they settle, and what is left of a node that was revoked. */
#include "fleet_forge.h"
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

static aril_status confirm(const struct fleet_text *t)
{
    fleet.authority.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_confirm(fleet.authority.kr, fleet_text_bytes(t), &fleet.authority.error);
}

static void refuse(const struct fleet_text *t, aril_status st, const char *words)
{
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(confirm(t), st);
    assert_error(&fleet.authority.error, st, words);
    assert_untouched(fleet.authority.kr, &before);
}

static struct fleet_text receipt_of(struct keyring_home *node)
{
    struct fleet_text t;
    fleet_receipt(node->kr, &t);
    return t;
}

struct noted {
    const char *name;
    uint64_t version, at_s;
};
static int note(void *user, const aril_node_info *info)
{
    struct noted *n = user;
    if (info->name.len == strlen(n->name) &&
        memcmp(info->name.data, n->name, info->name.len) == 0) {
        n->version = info->confirmed_version;
        n->at_s = info->confirmed_s;
    }
    return 0;
}
static struct noted noted(const char *name)
{
    struct noted n = { .name = name, .version = 99 };
    assert_status(aril_keyring_nodes(fleet.authority.kr, note, &n, NULL), ARIL_OK);
    return n;
}

static int first_shred(void *user, const aril_shred_info *info)
{
    *(aril_shred_info *)user = *info;
    return 1;
}
static aril_shred_info shred_info(void)
{
    aril_shred_info info = { .generation = 0 };
    assert_status(aril_keyring_shreds(fleet.authority.kr, first_shred, &info, NULL), ARIL_OK);
    return info;
}

/* --- Receipts ------------------------------------------------------------------------------ */

static void a_receipt_says_which_bundle_the_node_holds(void **state)
{
    (void)state;
    assert_int_equal(noted("beta").version, 0);
    fake_clock_add_s(&fleet.w.clock, 33);
    const struct fleet_text t = receipt_of(&fleet.beta);
    assert_status(confirm(&t), ARIL_OK);
    assert_int_equal(noted("beta").version, 1);
    assert_int_equal(noted("beta").at_s, FAKE_UNIX_S + 33);
    assert_int_equal(noted("alpha").version, 0);
    home_reopen(&fleet.authority);
    assert_int_equal(noted("beta").version, 1);
}

static void a_receipt_again_and_an_older_one_change_nothing(void **state)
{
    (void)state;
    const struct fleet_text old = receipt_of(&fleet.beta);
    small_fleet_share(&fleet);
    const struct fleet_text t = receipt_of(&fleet.beta);
    assert_status(confirm(&t), ARIL_OK);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(confirm(&old), ARIL_OK);
    assert_status(confirm(&t), ARIL_OK);
    assert_untouched(fleet.authority.kr, &before);
    assert_int_equal(noted("beta").version, 2);
}

static void a_node_without_a_bundle_confirms_nothing(void **state)
{
    (void)state;
    struct keyring_home fresh;
    home_init(&fresh, &fleet.w, "fresh.aril", MEMORY_STORE_ALL);
    home_make_node(&fresh, &fleet.authority, "fresh");
    assert_status(fleet_enrol(&fleet.authority, &fresh, NULL), ARIL_OK);
    const struct fleet_text t = receipt_of(&fresh);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    const aril_status st = confirm(&t);
    assert_true(st == ARIL_OK || st == ARIL_E_NOT_FOUND);
    assert_untouched(fleet.authority.kr, &before);
    home_done(&fresh);
}

static void a_receipt_that_is_not_signed_by_its_node_is_refused(void **state)
{
    (void)state;
    const struct fleet_text t = receipt_of(&fleet.beta);
    struct fleet_inside in;
    struct fleet_text forged;
    aril_identity *alpha = forge_node(fleet.alpha.kr);
    fleet_receipt_inside(&t, &in);
    forge_receipt(&in.receipt, alpha, &forged);
    refuse(&forged, ARIL_E_AUTH, "not signed by its node");
    aril_identity_free(alpha);
}

static void a_receipt_of_another_fleet_is_refused(void **state)
{
    (void)state;
    const struct fleet_text t = receipt_of(&fleet.beta);
    struct fleet_inside in;
    struct fleet_text forged;
    aril_identity *beta = forge_node(fleet.beta.kr);
    fleet_receipt_inside(&t, &in);
    in.receipt.fleet[0] ^= 1;
    forge_receipt(&in.receipt, beta, &forged);
    refuse(&forged, ARIL_E_NOT_FOUND, "aril keys node receipt");
    aril_identity_free(beta);
}

static void a_receipt_of_an_unknown_node_is_refused(void **state)
{
    (void)state;
    struct keyring_home stranger;
    struct fleet_inside in;
    struct fleet_text forged;
    home_init(&stranger, &fleet.w, "stranger.aril", MEMORY_STORE_ALL);
    home_make_node(&stranger, &fleet.authority, "stranger");
    const struct fleet_text t = receipt_of(&stranger);
    aril_identity *signer = forge_node(stranger.kr);
    fleet_receipt_inside(&t, &in);
    memcpy(in.receipt.fleet, keyring_info(fleet.authority.kr).id, sizeof in.receipt.fleet);
    in.receipt.bundle_version = 1;
    forge_receipt(&in.receipt, signer, &forged);
    refuse(&forged, ARIL_E_NOT_FOUND, "not enrolled here");
    aril_identity_free(signer);
    home_done(&stranger);
}

static void a_receipt_for_a_bundle_that_was_never_written_is_refused(void **state)
{
    (void)state;
    static const uint64_t versions[] = { 2, 3, UINT64_MAX };
    const struct fleet_text t = receipt_of(&fleet.beta);
    struct fleet_inside in;
    struct fleet_text forged;
    aril_identity *beta = forge_node(fleet.beta.kr);
    fleet_receipt_inside(&t, &in);
    for (size_t i = 0; i < COUNT(versions); i++) {
        in.receipt.bundle_version = versions[i];
        forge_receipt(&in.receipt, beta, &forged);
        refuse(&forged, ARIL_E_FORMAT_FIELD, "never written");
    }
    aril_identity_free(beta);
}

static void a_receipt_of_a_revoked_node_is_refused(void **state)
{
    (void)state;
    const struct fleet_text t = receipt_of(&fleet.beta);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("beta"), 0, NULL, NULL),
                  ARIL_OK);
    refuse(&t, ARIL_E_TRUST_REVOKED, "revoked");
}

static void every_changed_byte_of_a_receipt_is_refused(void **state)
{
    (void)state;
    const struct fleet_text t = receipt_of(&fleet.beta);
    struct fleet_inside in;
    struct fleet_text changed;
    fleet_receipt_inside(&t, &in);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    for (size_t i = 0; i < in.len; i += SANITIZED ? 5 : 1) {
        in.der[i] ^= (uint8_t)(1u << (i % 8));
        fleet_wrap(ARILI_RECEIPT_LABEL, (aril_bytes){ in.der, in.len }, &changed);
        const aril_status st = confirm(&changed);
        if (st != ARIL_E_AUTH && st != ARIL_E_NOT_FOUND && aril_status_class(st) != ARIL_E_FORMAT) {
            fail_msg("byte %zu: %s", i, aril_status_name(st));
        }
        in.der[i] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t len = 1; len < in.len; len += len < 80 ? 1 : 41) {
        fleet_wrap(ARILI_RECEIPT_LABEL, (aril_bytes){ in.der, len }, &changed);
        assert_status(confirm(&changed), ARIL_E_FORMAT_TRUNCATED);
    }
    assert_untouched(fleet.authority.kr, &before);
}

static void receipts_come_from_nodes_and_go_to_authorities(void **state)
{
    (void)state;
    struct fleet_text t = receipt_of(&fleet.beta);
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_keyring_confirm(fleet.alpha.kr, fleet_text_bytes(&t), &error),
                  ARIL_E_USAGE_STATE);
    assert_status(aril_keyring_receipt(fleet.authority.kr, t.pem, sizeof t.pem, &t.len, &error),
                  ARIL_E_USAGE_STATE);
    fleet_card(fleet.beta.kr, &t);
    refuse(&t, ARIL_E_FORMAT_KIND, "something else");
}

/* --- Shreds ------------------------------------------------------------------------------------
 */

static void a_shred_is_open_until_each_of_its_nodes_has_confirmed(void **state)
{
    (void)state;
    const struct fleet_text stale = receipt_of(&fleet.alpha);
    assert_status(aril_keyring_shred(fleet.authority.kr, TEXT("bob"), 1, NULL, NULL), ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 2);
    assert_status(confirm(&stale), ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 2);
    small_fleet_share(&fleet);
    assert_int_equal(shred_info().nodes_open, 2);
    struct fleet_text t = receipt_of(&fleet.alpha);
    assert_status(confirm(&t), ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 1);
    assert_int_equal(keyring_info(fleet.authority.kr).shreds_pending, 1);
    t = receipt_of(&fleet.beta);
    assert_status(confirm(&t), ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 0);
    assert_int_equal(shred_info().root_open, 0);
    assert_int_equal(keyring_info(fleet.authority.kr).shreds_pending, 0);
}

static void a_shred_does_not_wait_for_nodes_that_never_had_the_tenant(void **state)
{
    (void)state;
    assert_status(aril_keyring_shred(fleet.authority.kr, TEXT("ada"), 1, NULL, NULL), ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 1); /* alpha */
}

static void a_shred_does_not_wait_for_revoked_nodes(void **state)
{
    (void)state;
    assert_status(aril_keyring_shred(fleet.authority.kr, TEXT("bob"), 1, NULL, NULL), ARIL_OK);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("alpha"), 0, NULL, NULL),
                  ARIL_OK);
    assert_int_equal(shred_info().nodes_open, 1);
}

/* --- Revoking ------------------------------------------------------------------------------------
 */

static uint32_t newest(const char *owner, aril_key_purpose purpose)
{
    struct key_copy k;
    keyring_key(fleet.authority.kr, slot_of(purpose, owner, NULL), 0, &k);
    return k.info.version;
}

static void revoking_a_node_rotates_the_keys_that_it_held_and_no_other(void **state)
{
    (void)state;
    size_t rotated = 0;
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_DATA, "bob", "disk")), ARIL_OK);
    assert_status(home_create(&fleet.authority, slot_of(ARIL_KEY_API, "bob", NULL)), ARIL_OK);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("beta"), 0, &rotated, NULL),
                  ARIL_OK);
    const struct keyring_trace after = keyring_trace(fleet.authority.kr);
    assert_int_equal(rotated, 3);
    assert_int_equal(after.revision, before.revision + 1); /* one transaction */
    assert_int_equal(after.generation, before.generation + 1);
    assert_int_equal(newest("bob", ARIL_KEY_DATA), 2);
    assert_int_equal(newest("bob", ARIL_KEY_NAME), 2);
    assert_int_equal(newest("bob", ARIL_KEY_API), 1);
    assert_int_equal(newest("bob", ARIL_KEY_TENANT), 1);
    assert_int_equal(newest("ada", ARIL_KEY_DATA), 1);
    assert_int_equal(newest("ada", ARIL_KEY_NAME), 1);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("alpha"), 0, &rotated, NULL),
                  ARIL_OK);
    assert_int_equal(rotated, 5);
    assert_int_equal(newest("ada", ARIL_KEY_DATA), 2);
    assert_int_equal(newest("bob", ARIL_KEY_DATA), 3);
}

static void keys_that_wait_for_their_time_are_left_behind_by_a_revocation(void **state)
{
    (void)state;
    struct keyring_home late;
    struct keyring_home node;
    struct keyring_home bad;
    struct sealed_box box;
    const aril_key_policy policy = { .lead_s = 600 };
    home_init(&late, &fleet.w, "late.aril", MEMORY_STORE_ALL);
    home_make(&late, ARIL_PROFILE_ML_KEM_768, &policy);
    home_tenant(&late, "bob");
    home_init(&node, &fleet.w, "late-node.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &late, "late");
    home_init(&bad, &fleet.w, "late-bad.aril", MEMORY_STORE_ALL);
    home_make_node(&bad, &late, "bad");
    assert_status(fleet_enrol(&late, &node, NULL), ARIL_OK);
    assert_status(fleet_enrol(&late, &bad, NULL), ARIL_OK);
    assert_status(home_rotate(&late, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    fleet_pull(&late, &bad); /* knows the pending key */
    assert_status(aril_keyring_node_revoke(late.kr, TEXT("bad"), 0, NULL, NULL), ARIL_OK);
    fleet_pull(&late, &node);
    for (unsigned i = 0; i < 3; i++) {
        struct keyring_home *const both[] = { &late, &node };
        for (size_t k = 0; k < COUNT(both); k++) {
            assert_status(box_seal(both[k]->kr, "bob", &box, NULL), ARIL_OK);
            assert_status(box_open(bad.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
            assert_status(box_open(node.kr, &box, NULL), ARIL_OK);
        }
        fake_clock_add_s(&fleet.w.clock, 599);
    }
    home_done(&bad);
    home_done(&node);
    home_done(&late);
}

static void a_revoked_node_opens_nothing_new_even_with_every_later_bundle(void **state)
{
    (void)state;
    struct sealed_box before;
    struct sealed_box box;
    assert_status(box_seal(fleet.authority.kr, "bob", &before, NULL), ARIL_OK);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("beta"), 0, NULL, NULL),
                  ARIL_OK);
    uint8_t node[ARIL_NODE_ID_BYTES];
    forge_node_id(fleet.beta.kr, node);
    for (unsigned i = 0; i < 4; i++) {
        assert_status(box_seal(fleet.authority.kr, "bob", &box, NULL), ARIL_OK);
        const aril_span b = fleet_next(&fleet.authority);
        assert_status(fleet_take(&fleet.beta, b), ARIL_E_TRUST_REVOKED);
        assert_status(fleet_take(&fleet.alpha, b), ARIL_OK);
        assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
        assert_status(box_open(fleet.alpha.kr, &box, NULL), ARIL_OK);
        /* Not only refused: there is nothing in it for this node. */
        struct arili_bundle parsed;
        assert_status(arili_bundle_parse((aril_bytes){ b.data, b.len }, &parsed), ARIL_OK);
        aril_bytes list = parsed.sections;
        for (uint32_t k = 0; k < parsed.section_count; k++) {
            struct arili_bundle_section s;
            assert_status(arili_bundle_next_section(&list, &s), ARIL_OK);
            assert_memory_not_equal(s.node, node, sizeof node);
        }
        free(b.data);
        assert_status(home_rotate(&fleet.authority, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    }
    assert_status(box_open(fleet.beta.kr, &before, NULL), ARIL_OK); /* what it had, it had */
    assert_status(box_open(fleet.alpha.kr, &before, NULL), ARIL_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_receipt_says_which_bundle_the_node_holds),
        TEST(a_receipt_again_and_an_older_one_change_nothing),
        TEST(a_node_without_a_bundle_confirms_nothing),
        TEST(a_receipt_that_is_not_signed_by_its_node_is_refused),
        TEST(a_receipt_of_another_fleet_is_refused),
        TEST(a_receipt_of_an_unknown_node_is_refused),
        TEST(a_receipt_for_a_bundle_that_was_never_written_is_refused),
        TEST(a_receipt_of_a_revoked_node_is_refused),
        TEST(every_changed_byte_of_a_receipt_is_refused),
        TEST(receipts_come_from_nodes_and_go_to_authorities),
        TEST(a_shred_is_open_until_each_of_its_nodes_has_confirmed),
        TEST(a_shred_does_not_wait_for_nodes_that_never_had_the_tenant),
        TEST(a_shred_does_not_wait_for_revoked_nodes),
        TEST(revoking_a_node_rotates_the_keys_that_it_held_and_no_other),
        TEST(keys_that_wait_for_their_time_are_left_behind_by_a_revocation),
        TEST(a_revoked_node_opens_nothing_new_even_with_every_later_bundle),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
