/* SPDX-License-Identifier: Apache-2.0 */
/* What a new keyring is, what is refused, and that a refusal leaves nothing behind. */
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (unsigned)st.st_mode & 07777;
}

/* Refused, and nothing is there but what was before. */
static void refused(const aril_keyring_init_config *init, aril_status st)
{
    const size_t files = home_files(&h);
    const size_t slots = memory_backing_slots(h.backing);
    const size_t counters = memory_backing_counters(h.backing);
    assert_status(home_try_init(&h, init), st);
    assert_int_equal(home_files(&h), files);
    assert_int_equal(memory_backing_slots(h.backing), slots);
    assert_int_equal(memory_backing_counters(h.backing), counters);
    assert_int_equal(memory_backing_open(h.backing), 0);
}

/* --- What is made -------------------------------------------------------------------------- */

static void a_new_authority_has_a_root_and_a_signing_key(void **state)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        home_make(&h, profiles[i], NULL);
        const aril_keyring_info info = keyring_info(h.kr);
        assert_int_equal(info.role, ARIL_KEYRING_AUTHORITY);
        assert_int_equal(info.profile, profiles[i]);
        assert_int_equal(info.created_s, FAKE_UNIX_S);
        assert_int_equal(info.revision, 1);
        assert_int_equal(info.rollback, ARIL_ROLLBACK_DETECTED);
        assert_int_equal(info.policy.data_days, 90);
        assert_int_equal(info.locked, 0);
        assert_int_equal(info.has_recovery, 0);
        assert_int_equal(info.rotation_pending, 0);
        assert_int_equal(info.keys[ARIL_KEY_ROOT], 1);
        assert_int_equal(info.keys[ARIL_KEY_AUTHORITY], 1);
        assert_int_equal(keyring_count_all(h.kr), 2);
        assert_string_equal(info.keystore.backend, "memory");
        struct key_copy root;
        struct key_copy authority;
        keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 1, &root);
        keyring_key(h.kr, slot_of(ARIL_KEY_AUTHORITY, NULL, NULL), 1, &authority);
        assert_true(is_filled(root.info.parent, 32, 0));
        assert_memory_equal(authority.info.parent, root.info.id, 32);
        assert_int_equal(root.info.children, 1);
        assert_int_equal(root.info.rotate_by_s, FAKE_UNIX_S + 365 * 86400);
        assert_int_equal(mode_of(h.path), 0600);
        assert_int_equal(memory_backing_slots(h.backing), 1);
        assert_int_equal(memory_backing_counters(h.backing), 1);
        home_done(&h);
        home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    }
}

static void zero_means_an_authority_of_the_hybrid_profile(void **state)
{
    (void)state;
    home_make_as(&h, &(aril_keyring_init_config){ .no_recovery = 1 });
    assert_int_equal(keyring_info(h.kr).role, ARIL_KEYRING_AUTHORITY);
    assert_int_equal(keyring_info(h.kr).profile, ARIL_PROFILE_HYBRID);
}

static void a_store_without_a_counter_notices_no_rollback_and_says_so(void **state)
{
    (void)state;
    h.capabilities = 0;
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    assert_int_equal(keyring_info(h.kr).rollback, ARIL_ROLLBACK_UNDETECTED);
    assert_int_equal(memory_backing_counters(h.backing), 0);
    home_reopen(&h);
}

static void the_policy_is_kept(void **state)
{
    const aril_key_policy policy = {
        .root_days = 100, .data_days = 9, .lead_s = 60, .overdue_refuses = 1
    };
    (void)state;
    home_make(&h, ARIL_PROFILE_HYBRID, &policy);
    home_reopen(&h);
    const aril_key_policy got = keyring_info(h.kr).policy;
    assert_int_equal(got.root_days, 100);
    assert_int_equal(got.tenant_days, 365);
    assert_int_equal(got.data_days, 9);
    assert_int_equal(got.api_days, 30);
    assert_int_equal(got.bundle_days, 7);
    assert_int_equal(got.lead_s, 60);
    assert_int_equal(got.overdue_refuses, 1);
}

static void a_recovery_key_is_a_private_file(void **state)
{
    const char *path = temp_path("recovery.pem");
    (void)state;
    home_make_as(&h, &(aril_keyring_init_config){ .recovery_path = path });
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(keyring_info(h.kr).has_recovery, 1);
    assert_status(aril_keyring_verify_recovery(w.rt, h.path, path, &h.error), ARIL_OK);
    temp_clear(path);
}

static void a_new_node_has_a_root_and_its_own_keys(void **state)
{
    struct keyring_home n;
    (void)state;
    home_make(&h, ARIL_PROFILE_STRICT, NULL);
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "node-1");
    const aril_keyring_info info = keyring_info(n.kr);
    assert_int_equal(info.role, ARIL_KEYRING_NODE);
    assert_int_equal(info.profile, ARIL_PROFILE_STRICT);
    assert_int_equal(info.keys[ARIL_KEY_NODE], 1);
    assert_int_equal(info.keys[ARIL_KEY_AUTHORITY], 0);
    struct key_copy key;
    keyring_key(n.kr, slot_of(ARIL_KEY_NODE, "node-1", NULL), 1, &key);
    home_done(&n);
}

/* --- What is refused ----------------------------------------------------------------------- */

static void exactly_one_way_of_recovery_is_demanded(void **state)
{
    static const char *const path = "r.pem";
    (void)state;
    refused(&(aril_keyring_init_config){ .no_recovery = 0 }, ARIL_E_USAGE_RANGE);
    assert_error(&h.error, ARIL_E_USAGE_RANGE, "exactly one of the three");
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .recovery_path = path },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .recipient_path = path },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .recipient_path = path, .recovery_path = path },
            ARIL_E_USAGE_RANGE);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .role = (aril_keyring_role)3 },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .profile = (aril_profile)9 },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1,
                                         .policy = &(aril_key_policy){ .data_days = 91 } },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .node_name = "n" }, ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1, .authority_path = "a" },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1,
                                         .role = ARIL_KEYRING_NODE,
                                         .node_name = "n" },
            ARIL_E_USAGE_RANGE);
    refused(&(aril_keyring_init_config){ .no_recovery = 1,
                                         .role = ARIL_KEYRING_NODE,
                                         .authority_path = "a" },
            ARIL_E_USAGE_RANGE);
}

static void configs_out_of_range_are_refused(void **state)
{
    const aril_keyring_init_config init = { .no_recovery = 1 };
    const aril_executor executor = { .abi = 77 };
    char path[5000];
    (void)state;
    h.config.cache_max = (1u << 24) + 1;
    refused(&init, ARIL_E_USAGE_RANGE);
    h.config.cache_max = 0;
    h.config.executor = &executor;
    refused(&init, ARIL_E_USAGE_RANGE);
    h.config.executor = NULL;
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    aril_keystore *ks = home_keystore(&h);
    aril_keyring_config config = { .path = path, .keystore = ks };
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_E_USAGE_RANGE);
    config.path = "";
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_E_USAGE_RANGE);
    config.path = NULL;
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_E_USAGE_NULL);
    config.path = h.path;
    assert_status(aril_keyring_init(w.rt, &config, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_init(w.rt, NULL, &init, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_init(NULL, &config, &init, NULL), ARIL_E_USAGE_NULL);
    config.keystore = NULL;
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_E_USAGE_NULL);
    aril_keystore_close(ks);
    assert_int_equal(home_files(&h), 0);
}

static void names_of_nodes_that_no_card_could_carry_are_refused(void **state)
{
    static const char *const names[] = {
        "",          "a b",  "a\n",
        "n\xc3\xb6", "\x7f", "0123456789012345678901234567890123456789012345678901234567890123"
    };
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len;
    (void)state;
    assert_status(
        aril_identity_public_pem(w.rt, ARIL_ML_DSA_65,
                                 aril_identity_public(fixture_identity(ARIL_ML_DSA_65, 0)), pem,
                                 sizeof pem, &len),
        ARIL_OK);
    const char *path = temp_write("a.pem", 0644, (aril_bytes){ (const uint8_t *)pem, len });
    for (size_t i = 0; i < COUNT(names); i++) {
        refused(&(aril_keyring_init_config){ .role = ARIL_KEYRING_NODE,
                                             .no_recovery = 1,
                                             .node_name = names[i],
                                             .authority_path = path },
                ARIL_E_USAGE_RANGE);
    }
    temp_clear(path);
}

static void a_key_of_another_profile_than_the_nodes_is_refused(void **state)
{
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len;
    (void)state;
    assert_status(
        aril_identity_public_pem(w.rt, ARIL_ML_DSA_65,
                                 aril_identity_public(fixture_identity(ARIL_ML_DSA_65, 0)), pem,
                                 sizeof pem, &len),
        ARIL_OK);
    aril_keyring_init_config init = {
        .role = ARIL_KEYRING_NODE,
        .profile = ARIL_PROFILE_STRICT,
        .no_recovery = 1,
        .node_name = "n",
        .authority_path = temp_write("a.pem", 0644, (aril_bytes){ (const uint8_t *)pem, len })
    };
    refused(&init, ARIL_E_PROFILE);
    assert_error(&h.error, ARIL_E_PROFILE, "a.pem");
    init.authority_path = temp_path("none.pem");
    refused(&init, ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "none.pem");
    temp_clear(temp_path("a.pem"));
}

static void a_file_that_is_there_is_left_alone(void **state)
{
    const aril_keyring_init_config init = { .no_recovery = 1 };
    (void)state;
    temp_write("keys.aril", 0600, TEXT("precious"));
    refused(&init, ARIL_E_EXISTS);
    assert_error(&h.error, ARIL_E_EXISTS, h.path);
    const aril_span kept = home_read(h.path);
    assert_int_equal(kept.len, 8);
    assert_memory_equal(kept.data, "precious", 8);
    free(kept.data);
    temp_clear(h.path);
    assert_int_equal(symlink("nowhere", h.path), 0); /* a link into the void as well */
    refused(&init, ARIL_E_EXISTS);
    refused(&(aril_keyring_init_config){ .recovery_path = temp_path("recovery.pem") },
            ARIL_E_EXISTS);
    temp_clear(h.path);
}

static void a_recovery_file_that_is_there_is_left_alone(void **state)
{
    const char *path = temp_write("recovery.pem", 0600, TEXT("precious"));
    (void)state;
    refused(&(aril_keyring_init_config){ .recovery_path = path }, ARIL_E_EXISTS);
    assert_error(&h.error, ARIL_E_EXISTS, "recovery.pem");
    const aril_span kept = home_read(path);
    assert_memory_equal(kept.data, "precious", 8);
    free(kept.data);
    temp_clear(path);
    refused(&(aril_keyring_init_config){ .recovery_path = temp_path("no/r.pem") },
            ARIL_E_NOT_FOUND);
    refused(&(aril_keyring_init_config){ .recipient_path = temp_path("none.pem") },
            ARIL_E_NOT_FOUND);
    path = temp_write("recipient.pem", 0644, TEXT("-----BEGIN RUBBISH-----\n"));
    assert_status_class(home_try_init(&h, &(aril_keyring_init_config){ .recipient_path = path }),
                        ARIL_E_FORMAT);
    assert_error(&h.error, h.error.status, "recipient.pem");
    temp_clear(path);
    assert_int_equal(home_files(&h), 0);
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    (void)state;
    (void)snprintf(h.path, sizeof h.path, "%s", temp_path("none/keys.aril"));
    const aril_status st = home_try_init(&h, &(aril_keyring_init_config){ .no_recovery = 1 });
    assert_true(aril_status_class(st) == ARIL_E_IO || st == ARIL_E_NOT_FOUND);
    assert_error(&h.error, st, "none/");
    assert_int_equal(memory_backing_slots(h.backing), 0);
}

/* --- Stores that fail ---------------------------------------------------------------------- */

static struct faulty_store *faulty;

static struct arili_store faulty_over_memory(struct keyring_home *home)
{
    faulty = faulty_store_new(memory_store(home->backing, home->capabilities));
    const unsigned nth = *(const unsigned *)home->user;
    if (nth > 0) {
        faulty_store_arm(faulty, nth, ARIL_E_KEYSTORE_BUSY);
    }
    return faulty_store_store(faulty);
}

static void whatever_call_of_the_store_fails_nothing_is_left(void **state)
{
    const char *recovery = temp_path("recovery.pem");
    unsigned fired = 0;
    unsigned nth = 1;
    (void)state;
    h.store = faulty_over_memory;
    h.user = &nth;
    for (nth = 2;; nth++) { /* the first one is info, when the keystore is made */
        const aril_status st =
            home_try_init(&h, &(aril_keyring_init_config){ .recovery_path = recovery });
        const bool reached = faulty_store_fired(faulty);
        faulty_store_free(faulty);
        if (!reached) {
            assert_status(st, ARIL_OK);
            break;
        }
        fired++;
        assert_status(st, ARIL_E_KEYSTORE_BUSY);
        assert_int_equal(home_files(&h), 0);
        assert_int_equal(memory_backing_slots(h.backing), 0);
        assert_int_equal(memory_backing_counters(h.backing), 0);
    }
    assert_true(fired >= 2);
    temp_clear(recovery);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_authority_has_a_root_and_a_signing_key),
        TEST(zero_means_an_authority_of_the_hybrid_profile),
        TEST(a_store_without_a_counter_notices_no_rollback_and_says_so),
        TEST(the_policy_is_kept),
        TEST(a_recovery_key_is_a_private_file),
        TEST(a_new_node_has_a_root_and_its_own_keys),
        TEST(exactly_one_way_of_recovery_is_demanded),
        TEST(values_out_of_range_are_refused),
        TEST(configs_out_of_range_are_refused),
        TEST(names_of_nodes_that_no_card_could_carry_are_refused),
        TEST(a_key_of_another_profile_than_the_nodes_is_refused),
        TEST(a_file_that_is_there_is_left_alone),
        TEST(a_recovery_file_that_is_there_is_left_alone),
        TEST(a_folder_that_is_not_there_is_said),
        TEST(whatever_call_of_the_store_fails_nothing_is_left),
    };
    return cmocka_run_group_tests_name("init", tests, temp_folder_make, temp_folder_remove);
}
