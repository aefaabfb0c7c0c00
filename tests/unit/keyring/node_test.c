/* SPDX-License-Identifier: Apache-2.0 */
/* Cards of nodes, and who is enrolled by them. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct small_fleet fleet;
/* Not enrolled: the card of a third node. */
static struct keyring_home gamma_home;
static struct fleet_text card;

static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, MEMORY_STORE_ALL);
    home_init(&gamma_home, &fleet.w, "gamma.aril", MEMORY_STORE_ALL);
    home_make_node(&gamma_home, &fleet.authority, "gamma");
    fleet_card(gamma_home.kr, &card);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&gamma_home);
    small_fleet_done(&fleet);
    return 0;
}

static aril_status add(const struct fleet_text *t, const aril_bytes *tenants, size_t count)
{
    fleet.authority.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_node_add(fleet.authority.kr, fleet_text_bytes(t), tenants, count,
                                 &fleet.authority.error);
}

/* The card is refused for that reason, and the keyring is as before. */
static void refuse(const struct fleet_text *t, aril_status st, const char *words)
{
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(add(t, NULL, 0), st);
    assert_error(&fleet.authority.error, st, words);
    assert_untouched(fleet.authority.kr, &before);
}

struct seen {
    const char *name;
    unsigned count;
    bool revoked;
    uint64_t added_s, revoked_s, confirmed_version;
    char did[128];
    size_t tenant_count;
    char tenants[300][16];
    uint8_t id[ARIL_NODE_ID_BYTES];
};

static int see(void *user, const aril_node_info *info)
{
    struct seen *s = user;
    if (info->name.len != strlen(s->name) ||
        memcmp(info->name.data, s->name, info->name.len) != 0) {
        return 0;
    }
    s->count++;
    s->revoked = info->revoked;
    s->added_s = info->added_s;
    s->revoked_s = info->revoked_s;
    s->confirmed_version = info->confirmed_version;
    (void)snprintf(s->did, sizeof s->did, "%.*s", (int)info->did.len, (const char *)info->did.data);
    s->tenant_count = info->tenant_count;
    for (size_t i = 0; i < info->tenant_count && i < COUNT(s->tenants); i++) {
        (void)snprintf(s->tenants[i], sizeof s->tenants[i], "%.*s", (int)info->tenants[i].len,
                       (const char *)info->tenants[i].data);
    }
    memcpy(s->id, info->id, sizeof s->id);
    return 0;
}

static struct seen look(const char *name)
{
    static struct seen s;
    s = (struct seen){ .name = name };
    assert_status(aril_keyring_nodes(fleet.authority.kr, see, &s, NULL), ARIL_OK);
    return s;
}

static int stop_at_once(void *user, const aril_node_info *info)
{
    (void)info;
    ++*(unsigned *)user;
    return 1;
}

/* --- Enrolling --------------------------------------------------------------------------- */

static void a_card_enrols_its_node(void **state)
{
    (void)state;
    fake_clock_add_s(&fleet.w.clock, 50);
    assert_status(add(&card, NULL, 0), ARIL_OK);
    const struct seen s = look("gamma");
    uint8_t id[ARIL_NODE_ID_BYTES];
    struct fleet_inside in;
    fleet_card_inside(&card, &in);
    forge_node_id(gamma_home.kr, id);
    assert_int_equal(s.count, 1);
    assert_false(s.revoked);
    assert_int_equal(s.added_s, FAKE_UNIX_S + 50);
    assert_int_equal(s.revoked_s, 0);
    assert_int_equal(s.confirmed_version, 0);
    assert_int_equal(s.tenant_count, 0);
    assert_int_equal(strlen(s.did), in.card.did.len);
    assert_memory_equal(s.did, in.card.did.data, in.card.did.len);
    assert_memory_equal(s.id, id, sizeof id);
    assert_int_equal(keyring_info(fleet.authority.kr).nodes, 3);
    unsigned visited = 0;
    assert_status(aril_keyring_nodes(fleet.authority.kr, stop_at_once, &visited, NULL), ARIL_OK);
    assert_int_equal(visited, 1);
}

static void an_enrolled_node_is_there_after_reopening(void **state)
{
    (void)state;
    assert_status(add(&card, NULL, 0), ARIL_OK);
    home_reopen(&fleet.authority);
    assert_int_equal(look("gamma").count, 1);
    assert_status(aril_keyring_verify(fleet.authority.kr, NULL, NULL, NULL), ARIL_OK);
}

static void a_tenant_list_is_kept_in_order_and_without_doubles(void **state)
{
    (void)state;
    const aril_bytes tenants[] = { TEXT("zoe"), TEXT("bob"), TEXT("bo"), TEXT("zoe"), TEXT("bob") };
    assert_status(add(&card, tenants, COUNT(tenants)), ARIL_OK);
    const struct seen s = look("gamma");
    assert_int_equal(s.tenant_count, 3);
    assert_string_equal(s.tenants[0], "bo");
    assert_string_equal(s.tenants[1], "bob");
    assert_string_equal(s.tenants[2], "zoe");
}

static void a_node_serves_at_most_256_named_tenants(void **state)
{
    (void)state;
    static char names[257][8];
    static aril_bytes tenants[257];
    for (unsigned i = 0; i < 257; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%u", i);
        tenants[i] = text_bytes(names[i]);
    }
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(add(&card, tenants, 257), ARIL_E_LIMIT);
    assert_untouched(fleet.authority.kr, &before);
    assert_status(add(&card, tenants, 256), ARIL_OK);
    assert_int_equal(look("gamma").tenant_count, 256);
}

static void a_tenant_list_with_impossible_names_is_refused(void **state)
{
    (void)state;
    static const uint8_t with_nul[] = { 'a', 0, 'b' };
    static uint8_t too_long[ARIL_KEY_OWNER_BYTES_MAX + 1];
    memset(too_long, 'x', sizeof too_long);
    const aril_bytes bad[] = {
        { NULL, 0 }, { with_nul, 0 }, { with_nul, 3 }, { too_long, sizeof too_long }
    };
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status_class(add(&card, &bad[i], 1), ARIL_E_USAGE);
    }
    assert_status(add(&card, NULL, 1), ARIL_E_USAGE_NULL);
    assert_untouched(fleet.authority.kr, &before);
}

/* --- Who is enrolled already --------------------------------------------------------------- */

static void the_same_card_is_not_enrolled_twice(void **state)
{
    (void)state;
    assert_status(add(&card, NULL, 0), ARIL_OK);
    refuse(&card, ARIL_E_EXISTS, "gamma");
    /* Signed anew, and with another name: it is still the same node. */
    struct fleet_text other;
    struct fleet_inside in;
    aril_identity *signer = forge_node(gamma_home.kr);
    fleet_card_inside(&card, &in);
    in.card.name = TEXT("delta");
    forge_card(&in.card, signer, &other);
    refuse(&other, ARIL_E_EXISTS, "enrolled already");
    aril_identity_free(signer);
}

static void two_nodes_of_one_name_are_not_enrolled(void **state)
{
    (void)state;
    struct keyring_home twin;
    struct fleet_text twins_card;
    home_init(&twin, &fleet.w, "twin.aril", MEMORY_STORE_ALL);
    home_make_node(&twin, &fleet.authority, "gamma");
    fleet_card(twin.kr, &twins_card);
    assert_status(add(&card, NULL, 0), ARIL_OK);
    refuse(&twins_card, ARIL_E_EXISTS, "gamma");
    /* The name is free again when its node is revoked. */
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("gamma"), 0, NULL, NULL),
                  ARIL_OK);
    assert_status(add(&twins_card, NULL, 0), ARIL_OK);
    assert_int_equal(look("gamma").count, 2);
    home_done(&twin);
}

static void a_revoked_card_never_comes_back(void **state)
{
    (void)state;
    assert_status(add(&card, NULL, 0), ARIL_OK);
    fake_clock_add_s(&fleet.w.clock, 7);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("gamma"), 0, NULL, NULL),
                  ARIL_OK);
    const struct seen s = look("gamma");
    assert_true(s.revoked);
    assert_int_equal(s.revoked_s, FAKE_UNIX_S + 7);
    assert_int_equal(keyring_info(fleet.authority.kr).nodes, 2);
    assert_int_equal(keyring_info(fleet.authority.kr).nodes_revoked, 1);
    refuse(&card, ARIL_E_TRUST_REVOKED, "make a new keyring on the node");
    home_reopen(&fleet.authority);
    refuse(&card, ARIL_E_TRUST_REVOKED, "make a new keyring on the node");
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("gamma"), 0, NULL,
                                           &fleet.authority.error),
                  ARIL_E_NOT_FOUND);
    assert_error(&fleet.authority.error, ARIL_E_NOT_FOUND, "no enrolled node gamma");
    assert_untouched(fleet.authority.kr, &before);
}

/* --- Cards that are not right --------------------------------------------------------------- */

static void a_card_with_the_did_of_another_key_is_refused(void **state)
{
    (void)state;
    struct fleet_text forged;
    struct fleet_text others;
    struct fleet_inside in;
    struct fleet_inside other;
    aril_identity *signer = forge_node(gamma_home.kr);
    fleet_card(fleet.alpha.kr, &others);
    fleet_card_inside(&others, &other);
    fleet_card_inside(&card, &in);
    in.card.did = other.card.did;
    forge_card(&in.card, signer, &forged);
    refuse(&forged, ARIL_E_TRUST_DID, "DID");
    aril_identity_free(signer);
}

static void a_card_that_is_not_signed_by_its_key_is_refused(void **state)
{
    (void)state;
    struct fleet_text forged;
    struct fleet_inside in;
    fleet_card_inside(&card, &in);
    forge_card(&in.card, fixture_identity(ARIL_ML_DSA_65, 0), &forged);
    refuse(&forged, ARIL_E_AUTH, "not signed by its key");
}

static void another_kem_key_under_the_same_signature_is_refused(void **state)
{
    (void)state;
    struct fleet_text forged;
    struct fleet_text others;
    struct fleet_inside in;
    struct fleet_inside other;
    uint8_t der[ARIL_CARD_BYTES_MAX];
    size_t len = 0;
    fleet_card(fleet.alpha.kr, &others);
    fleet_card_inside(&others, &other);
    fleet_card_inside(&card, &in);
    in.card.kem_public = other.card.kem_public;
    assert_status(arili_card_write(&in.card, der, sizeof der, &len), ARIL_OK);
    fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ der, len }, &forged);
    refuse(&forged, ARIL_E_AUTH, "not signed by its key");
}

/* Signed as it should be: but nothing could be sealed for that node, nor any bundle written. */
static void a_kem_key_that_is_none_is_refused(void **state)
{
    (void)state;
    struct fleet_text forged;
    struct fleet_inside in;
    uint8_t kem[ARILI_HPKE_PUBLIC_BYTES_MAX];
    aril_identity *signer = forge_node(gamma_home.kr);
    fleet_card_inside(&card, &in);
    assert_true(in.card.kem_public.len <= sizeof kem);
    memset(kem, 0xff, sizeof kem); /* coefficients above the modulus */
    in.card.kem_public.data = kem;
    forge_card(&in.card, signer, &forged);
    refuse(&forged, ARIL_E_FORMAT_FIELD, "KEM key that is none");
    aril_identity_free(signer);
    free(fleet_next(&fleet.authority).data);
}

static void a_card_of_another_profile_is_refused(void **state)
{
    (void)state;
    struct keyring_home other;
    struct keyring_home node;
    struct fleet_text foreign;
    home_init(&other, &fleet.w, "other.aril", MEMORY_STORE_ALL);
    home_make(&other, ARIL_PROFILE_HYBRID, NULL);
    home_init(&node, &fleet.w, "foreign.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &other, "foreign");
    fleet_card(node.kr, &foreign);
    refuse(&foreign, ARIL_E_PROFILE, "--profile mlkem768");
    home_done(&node);
    home_done(&other);
}

static void every_changed_byte_of_a_card_is_refused(void **state)
{
    (void)state;
    struct fleet_inside in;
    struct fleet_text changed;
    fleet_card_inside(&card, &in);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    for (size_t i = 0; i < in.len; i += SANITIZED ? 11 : 1) {
        in.der[i] ^= (uint8_t)(1u << (i % 8));
        fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ in.der, in.len }, &changed);
        const aril_status st = add(&changed, NULL, 0);
        if (st != ARIL_E_AUTH && st != ARIL_E_TRUST_DID && st != ARIL_E_PROFILE &&
            aril_status_class(st) != ARIL_E_FORMAT) {
            fail_msg("byte %zu: %s", i, aril_status_name(st));
        }
        assert_true(strstr(fleet.authority.error.message, "card") != NULL || st == ARIL_E_PROFILE);
        in.der[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_untouched(fleet.authority.kr, &before);
    fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ in.der, in.len }, &changed);
    assert_status(add(&changed, NULL, 0), ARIL_OK);
}

static void every_truncated_card_is_refused(void **state)
{
    (void)state;
    struct fleet_inside in;
    struct fleet_text cut;
    fleet_card_inside(&card, &in);
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    for (size_t len = 0; len < card.len; len += len < 100 ? 1 : 37) {
        cut = card;
        cut.len = len;
        assert_status_class(add(&cut, NULL, 0), ARIL_E_FORMAT);
    }
    for (size_t len = 1; len < in.len; len += len < 150 ? 1 : 37) {
        fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ in.der, len }, &cut);
        assert_status(add(&cut, NULL, 0), ARIL_E_FORMAT_TRUNCATED);
        assert_error(&fleet.authority.error, ARIL_E_FORMAT_TRUNCATED, "aril keys node card");
    }
    assert_untouched(fleet.authority.kr, &before);
}

static void a_receipt_is_no_card(void **state)
{
    (void)state;
    struct fleet_text receipt;
    struct fleet_inside in;
    fleet_receipt(gamma_home.kr, &receipt);
    refuse(&receipt, ARIL_E_FORMAT_KIND, "something else");
    fleet_receipt_inside(&receipt, &in);
    fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ in.der, in.len }, &receipt);
    refuse(&receipt, ARIL_E_FORMAT_KIND, "something else");
}

/* --- Who may, and when ------------------------------------------------------------------------ */

static void cards_come_from_nodes_and_go_to_authorities(void **state)
{
    (void)state;
    struct fleet_text t;
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_keyring_card(fleet.authority.kr, t.pem, sizeof t.pem, &t.len, &error),
                  ARIL_E_USAGE_STATE);
    assert_error(&error, ARIL_E_USAGE_STATE, "do this on a node");
    assert_status(aril_keyring_node_add(fleet.alpha.kr, fleet_text_bytes(&card), NULL, 0, &error),
                  ARIL_E_USAGE_STATE);
    assert_error(&error, ARIL_E_USAGE_STATE, "do this at the authority");
    assert_status(aril_keyring_node_revoke(fleet.alpha.kr, TEXT("beta"), 0, NULL, &error),
                  ARIL_E_USAGE_STATE);
}

static void a_card_needs_its_room(void **state)
{
    (void)state;
    struct fleet_text t;
    memset(t.pem, 0x5a, sizeof t.pem);
    assert_status(aril_keyring_card(gamma_home.kr, t.pem, card.len - 1, &t.len, NULL),
                  ARIL_E_USAGE_TOO_SMALL);
    assert_true(is_filled(t.pem, sizeof t.pem, 0x5a) || is_filled(t.pem, card.len - 1, 0));
    assert_status(aril_keyring_card(gamma_home.kr, t.pem, card.len, &t.len, NULL), ARIL_OK);
    assert_int_equal(t.len, card.len);
}

static void a_locked_keyring_enrols_nobody(void **state)
{
    (void)state;
    assert_status(aril_keyring_lock(fleet.authority.kr, NULL), ARIL_OK);
    refuse(&card, ARIL_E_KEY_LOCKED, "aril keys unlock");
    const struct keyring_trace before = keyring_trace(fleet.authority.kr);
    assert_status(aril_keyring_node_revoke(fleet.authority.kr, TEXT("alpha"), 0, NULL, NULL),
                  ARIL_E_KEY_LOCKED);
    assert_untouched(fleet.authority.kr, &before);
    assert_status(aril_keyring_unlock(fleet.authority.kr, NULL), ARIL_OK);
    assert_status(add(&card, NULL, 0), ARIL_OK);
}

static void a_clock_that_is_behind_enrols_nobody(void **state)
{
    (void)state;
    atomic_store(&fleet.w.clock.unix_s, FAKE_UNIX_S - 10000);
    refuse(&card, ARIL_E_CLOCK, "clock");
    atomic_store(&fleet.w.clock.unix_s, FAKE_UNIX_S);
    assert_status(add(&card, NULL, 0), ARIL_OK);
}

static void a_new_root_does_not_change_the_card(void **state)
{
    (void)state;
    uint8_t before[ARIL_NODE_ID_BYTES];
    uint8_t after[ARIL_NODE_ID_BYTES];
    assert_status(add(&card, NULL, 0), ARIL_OK);
    forge_node_id(gamma_home.kr, before);
    assert_status(home_rotate(&gamma_home, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    home_reopen(&gamma_home);
    forge_node_id(gamma_home.kr, after);
    assert_memory_equal(before, after, sizeof before);
    fleet_pull(&fleet.authority, &gamma_home);
    assert_int_equal(look("gamma").confirmed_version, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_card_enrols_its_node),
        TEST(an_enrolled_node_is_there_after_reopening),
        TEST(a_tenant_list_is_kept_in_order_and_without_doubles),
        TEST(a_node_serves_at_most_256_named_tenants),
        TEST(a_tenant_list_with_impossible_names_is_refused),
        TEST(the_same_card_is_not_enrolled_twice),
        TEST(two_nodes_of_one_name_are_not_enrolled),
        TEST(a_revoked_card_never_comes_back),
        TEST(a_card_with_the_did_of_another_key_is_refused),
        TEST(a_card_that_is_not_signed_by_its_key_is_refused),
        TEST(another_kem_key_under_the_same_signature_is_refused),
        TEST(a_kem_key_that_is_none_is_refused),
        TEST(a_card_of_another_profile_is_refused),
        TEST(every_changed_byte_of_a_card_is_refused),
        TEST(every_truncated_card_is_refused),
        TEST(a_receipt_is_no_card),
        TEST(cards_come_from_nodes_and_go_to_authorities),
        TEST(a_card_needs_its_room),
        TEST(a_locked_keyring_enrols_nobody),
        TEST(a_clock_that_is_behind_enrols_nobody),
        TEST(a_new_root_does_not_change_the_card),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
