/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that the authority's key signed, but that no authority in order would write: of one that
 * was restored from a backup, is broken, or lost its key. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct small_fleet fleet;
static struct forge forge;
static aril_identity *signer;

/* beta has version 1. forge is version 2, for beta, without a key. */
static int setup(void **state)
{
    (void)state;
    small_fleet_init(&fleet, MEMORY_STORE_ALL);
    small_fleet_share(&fleet);
    forge_init(&forge, fleet.authority.kr, fleet.beta.kr);
    signer = forge_authority(fleet.authority.kr, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aril_identity_free(signer);
    small_fleet_done(&fleet);
    return 0;
}

static void add(uint64_t seed, aril_key_purpose purpose, aril_key_state state, uint32_t version,
                const char *owner)
{
    forge_add(
        &forge,
        (struct forge_key){
            .seed = seed, .purpose = purpose, .state = state, .version = version, .owner = owner });
}

static aril_status take(void)
{
    forge.nodes[0] = fleet.beta.kr; /* which is opened again now and then */
    const aril_span b = forge_end(&forge, signer);
    const aril_status st = fleet_take(&fleet.beta, b);
    free(b.data);
    return st;
}

/* What the node took stands, and it can be opened again. */
static void must_take(void)
{
    if (take() != ARIL_OK) {
        fail_msg("%s: %s", aril_status_name(fleet.beta.error.status), fleet.beta.error.message);
    }
    home_reopen(&fleet.beta);
    assert_status(aril_keyring_verify(fleet.beta.kr, NULL, NULL, NULL), ARIL_OK);
    forge.version++;
}

static void refuse(aril_status st, const char *words)
{
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    assert_status(take(), st);
    assert_error(&fleet.beta.error, st, words);
    assert_untouched(fleet.beta.kr, &before);
    home_reopen(&fleet.beta);
    assert_untouched(fleet.beta.kr, &before);
}

static aril_status by_seed(uint64_t seed)
{
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_tenant_key *key = NULL;
    forge_key_id(fleet.beta.kr, seed, id);
    const aril_status st =
        aril_keyring_key_by_id(fleet.beta.kr, (aril_bytes){ NULL, 0 }, id, &key, NULL);
    aril_tenant_key_put(key);
    return st;
}

/* As it stands in the file, whatever the date. */
static aril_key_state state_in_file(uint64_t seed)
{
    uint8_t id[ARIL_KEY_ID_BYTES];
    forge_key_id(fleet.beta.kr, seed, id);
    struct arili_rowset *set = arili_keyring_rows(fleet.beta.kr);
    const struct arili_key *key = arili_rowset_key(set, id);
    assert_non_null(key);
    const aril_key_state ret = key->said.state;
    arili_rowset_drop(set);
    return ret;
}

/* --- Scope ----------------------------------------------------------------------------------- */

static void a_tenant_that_is_left_out_is_gone_and_may_come_back(void **state)
{
    (void)state;
    struct sealed_box box;
    assert_status(box_seal(fleet.beta.kr, "bob", &box, NULL), ARIL_OK);
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    must_take();
    assert_status(by_seed(1), ARIL_OK);
    assert_status(box_open(fleet.beta.kr, &box, NULL), ARIL_E_KEY_UNKNOWN);
    assert_status(box_seal(fleet.beta.kr, "bob", &box, NULL), ARIL_E_NOT_FOUND);
    for (unsigned i = 0; i < 2; i++) { /* the authority's own bundles name bob again */
        free(fleet_next(&fleet.authority).data);
    }
    small_fleet_share(&fleet);
    assert_status(box_seal(fleet.beta.kr, "bob", &box, NULL), ARIL_OK);
    assert_status(by_seed(1), ARIL_E_KEY_UNKNOWN);
}

static void a_key_that_is_named_but_in_no_section_is_not_this_nodes(void **state)
{
    (void)state;
    forge_add(&forge, (struct forge_key){ .seed = 1,
                                          .purpose = ARIL_KEY_DATA,
                                          .state = ARIL_KEY_ACTIVE,
                                          .version = 1,
                                          .owner = "ada",
                                          .unsealed = true });
    add(2, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    must_take();
    assert_status(by_seed(1), ARIL_E_KEY_UNKNOWN);
    assert_status(by_seed(2), ARIL_OK);
}

static void a_bundle_without_a_key_takes_all_keys_away(void **state)
{
    (void)state;
    must_take();
    assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_DATA], 0);
    assert_int_equal(keyring_info(fleet.beta.kr).keys[ARIL_KEY_NAME], 0);
}

/* --- Tombstones ------------------------------------------------------------------------------- */

static void a_tombstone_wins_over_keys_of_the_same_bundle(void **state)
{
    (void)state;
    struct sealed_box box;
    forge.tombstones[0] = "bob";
    forge.tombstones[1] = "cleo";
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 2, "bob");
    add(2, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    add(3, ARIL_KEY_NAME, ARIL_KEY_PENDING, 1, "cleo");
    add(4, ARIL_KEY_LEGACY, ARIL_KEY_DECRYPT_ONLY, 1, "cleo");
    add(5, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "dora");
    must_take();
    for (uint64_t seed = 1; seed <= 4; seed++) {
        const aril_status st = by_seed(seed);
        assert_true(st == ARIL_E_KEY_UNKNOWN || st == ARIL_E_KEY_DESTROYED);
    }
    assert_status(by_seed(5), ARIL_OK);
    assert_status(box_seal(fleet.beta.kr, "bob", &box, NULL), ARIL_E_KEY_DESTROYED);
    assert_status(box_seal(fleet.beta.kr, "cleo", &box, NULL), ARIL_E_KEY_DESTROYED);
    struct key_copy k;
    assert_false(keyring_find(fleet.beta.kr, slot_of(ARIL_KEY_TENANT, "cleo", NULL), 0, &k) &&
                 k.info.state != ARIL_KEY_DESTROYED);
}

static void a_tombstone_wins_over_keys_of_every_later_bundle(void **state)
{
    (void)state;
    struct sealed_box old;
    struct sealed_box box;
    assert_status(box_seal(fleet.beta.kr, "bob", &old, NULL), ARIL_OK);
    forge.tombstones[0] = "bob";
    must_take();
    forge.tombstones[0] = NULL;
    for (uint64_t i = 0; i < 3; i++) {
        add(10 + i, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 2 + (uint32_t)i, "bob");
        add(20 + i, ARIL_KEY_NAME, ARIL_KEY_ACTIVE, 2 + (uint32_t)i, "bob");
        must_take();
        assert_status(by_seed(10 + i), ARIL_E_KEY_UNKNOWN);
        assert_status(box_seal(fleet.beta.kr, "bob", &box, NULL), ARIL_E_KEY_DESTROYED);
        assert_status(box_open(fleet.beta.kr, &old, NULL), ARIL_E_KEY_DESTROYED);
    }
}

static void a_restored_authority_does_not_bring_a_shredded_tenant_back(void **state)
{
    (void)state;
    /* The keystores of these have no counter, so that an older copy opens. */
    struct small_fleet f;
    struct sealed_box box;
    small_fleet_init(&f, ARIL_KEYSTORE_DESTROY);
    small_fleet_share(&f);
    assert_status(box_seal(f.beta.kr, "bob", &box, NULL), ARIL_OK);
    home_close(&f.authority);
    const aril_span backup = home_read(f.authority.path);
    home_open(&f.authority);
    assert_status(aril_keyring_shred(f.authority.kr, TEXT("bob"), 0, NULL, NULL), ARIL_OK);
    small_fleet_share(&f);
    home_close(&f.authority);
    home_write(f.authority.path, backup);
    home_open(&f.authority);
    free(fleet_next(&f.authority).data); /* 2 is there twice now */
    const aril_span third = fleet_next(&f.authority);
    assert_status(fleet_take(&f.beta, third), ARIL_OK);
    assert_status(box_open(f.beta.kr, &box, NULL), ARIL_E_KEY_DESTROYED);
    assert_int_equal(keyring_info(f.beta.kr).keys[ARIL_KEY_DATA], 0);
    free(third.data);
    free(backup.data);
    small_fleet_done(&f);
}

/* --- States ----------------------------------------------------------------------------------- */

static void states_only_move_forward(void **state)
{
    (void)state;
    static const aril_key_state states[] = { ARIL_KEY_PENDING, ARIL_KEY_ACTIVE,
                                             ARIL_KEY_DECRYPT_ONLY, ARIL_KEY_RETIRED };
    for (size_t from = 0; from < COUNT(states); from++) {
        for (size_t to = 0; to < COUNT(states); to++) {
            forge.key_count = 0;
            const uint64_t seed = 100 + 10 * from + to;
            add(seed, ARIL_KEY_DATA, states[from], 1, "cleo");
            must_take();
            assert_int_equal(state_in_file(seed), states[from]);
            forge.keys[0].state = states[to];
            must_take();
            assert_int_equal(state_in_file(seed), states[to > from ? to : from]);
        }
    }
}

static void a_retired_key_of_a_bundle_opens_nothing(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_RETIRED, 1, "cleo");
    must_take();
    assert_status(by_seed(1), ARIL_E_KEY_RETIRED);
}

/* --- Contradictions ------------------------------------------------------------------------------
 */

static void a_key_with_another_id_than_its_own_is_refused(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    add(2, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "dora");
    forge.keys[1].wrong_id = true;
    refuse(ARIL_E_AUTH, "fetch it again");
}

static void a_known_id_with_another_secret_is_refused(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    forge.keys[0].wrong_id = true;
    refuse(ARIL_E_AUTH, "fetch it again");
    forge.keys[0].wrong_id = false;
    must_take();
    assert_status(by_seed(1), ARIL_OK);
}

static void two_keys_of_one_version_are_refused(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    add(2, ARIL_KEY_DATA, ARIL_KEY_DECRYPT_ONLY, 1, "cleo");
    refuse(ARIL_E_FORMAT_FIELD, "two of one version");
}

static void a_key_that_replaces_another_of_its_version_stands_alone(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    must_take();
    forge.key_count = 0;
    add(2, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    must_take();
    assert_status(by_seed(1), ARIL_E_KEY_UNKNOWN);
    assert_status(by_seed(2), ARIL_OK);
}

static void a_key_does_not_change_its_tenant(void **state)
{
    (void)state;
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_tenant_key *key = NULL;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    must_take();
    forge.keys[0].owner = "dora";
    (void)take(); /* refused, or left with its tenant: never handed to the other one */
    home_reopen(&fleet.beta);
    forge_key_id(fleet.beta.kr, 1, id);
    assert_status(aril_keyring_key_by_id(fleet.beta.kr, TEXT("dora"), id, &key, NULL),
                  ARIL_E_ISOLATION);
    assert_status(aril_keyring_key_by_id(fleet.beta.kr, TEXT("cleo"), id, &key, NULL), ARIL_OK);
    aril_tenant_key_put(key);
}

static void keys_of_api_clients_are_refused(void **state)
{
    (void)state;
    add(1, ARIL_KEY_API, ARIL_KEY_ACTIVE, 1, "client");
    refuse(ARIL_E_FORMAT_FIELD, "that a node can not have");
}

/* --- Revoked, and for whom
 * ------------------------------------------------------------------------ */

static void a_revoked_node_takes_nothing_from_a_section_of_its_own(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    forge_node_id(fleet.beta.kr, forge.revoked_nodes[0]);
    forge.revoked_node_count = 1;
    refuse(ARIL_E_TRUST_REVOKED, "revoked");
    /* Whatever its version and its end. */
    forge.version = 1;
    refuse(ARIL_E_TRUST_REVOKED, "revoked");
    forge.created_s = forge.expires_s = 1;
    refuse(ARIL_E_TRUST_REVOKED, "revoked");
}

static void a_bundle_that_revokes_its_own_signer_is_refused(void **state)
{
    (void)state;
    add(1, ARIL_KEY_DATA, ARIL_KEY_ACTIVE, 1, "cleo");
    forge.revoked_authorities[0] = aril_identity_public(signer);
    refuse(ARIL_E_TRUST_REVOKED, "retired");
    forge.revoked_authorities[0] = (aril_bytes){ NULL, 0 };
    must_take();
}

struct moved {
    uint8_t from[ARIL_NODE_ID_BYTES], to[ARIL_NODE_ID_BYTES];
    uint8_t room[1 << 16];
};

/* Leaves one section, that of one node, and gives it to another. */
static void move_section(struct arili_bundle *b, void *arg)
{
    struct moved *m = arg;
    aril_bytes list = b->sections;
    for (uint32_t i = 0; i < b->section_count; i++) {
        struct arili_bundle_section s;
        const uint8_t *start = list.data;
        assert_status(arili_bundle_next_section(&list, &s), ARIL_OK);
        const size_t len = (size_t)(list.data - start);
        if (memcmp(s.node, m->from, sizeof s.node) == 0) {
            assert_true(len <= sizeof m->room);
            memcpy(m->room, start, len);
            memcpy(m->room, m->to, sizeof m->to);
            b->section_count = 1;
            b->sections = (aril_bytes){ m->room, len };
            return;
        }
    }
    fail_msg("no such section");
}

static void the_section_of_another_node_does_not_open(void **state)
{
    (void)state;
    static struct moved m;
    forge_node_id(fleet.alpha.kr, m.from);
    forge_node_id(fleet.beta.kr, m.to);
    const aril_span real = fleet_next(&fleet.authority);
    const aril_span moved =
        forge_again((aril_bytes){ real.data, real.len }, move_section, &m, signer);
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    assert_status(fleet_take(&fleet.beta, moved), ARIL_E_AUTH);
    assert_error(&fleet.beta.error, ARIL_E_AUTH, "made for another node");
    assert_untouched(fleet.beta.kr, &before);
    free(moved.data);
    free(real.data);
}

static void next_version(struct arili_bundle *b, void *arg)
{
    (void)arg;
    b->version++;
}

static void a_section_does_not_open_in_a_bundle_of_another_version(void **state)
{
    (void)state;
    const aril_span real = fleet_next(&fleet.authority);
    const aril_span moved =
        forge_again((aril_bytes){ real.data, real.len }, next_version, NULL, signer);
    const struct keyring_trace before = keyring_trace(fleet.beta.kr);
    assert_status(fleet_take(&fleet.beta, moved), ARIL_E_AUTH);
    assert_untouched(fleet.beta.kr, &before);
    free(moved.data);
    free(real.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tenant_that_is_left_out_is_gone_and_may_come_back),
        TEST(a_key_that_is_named_but_in_no_section_is_not_this_nodes),
        TEST(a_bundle_without_a_key_takes_all_keys_away),
        TEST(a_tombstone_wins_over_keys_of_the_same_bundle),
        TEST(a_tombstone_wins_over_keys_of_every_later_bundle),
        cmocka_unit_test(a_restored_authority_does_not_bring_a_shredded_tenant_back),
        TEST(states_only_move_forward),
        TEST(a_retired_key_of_a_bundle_opens_nothing),
        TEST(a_key_with_another_id_than_its_own_is_refused),
        TEST(a_known_id_with_another_secret_is_refused),
        TEST(two_keys_of_one_version_are_refused),
        TEST(a_key_that_replaces_another_of_its_version_stands_alone),
        TEST(a_key_does_not_change_its_tenant),
        TEST(keys_of_api_clients_are_refused),
        TEST(a_revoked_node_takes_nothing_from_a_section_of_its_own),
        TEST(a_bundle_that_revokes_its_own_signer_is_refused),
        TEST(the_section_of_another_node_does_not_open),
        TEST(a_section_does_not_open_in_a_bundle_of_another_version),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
