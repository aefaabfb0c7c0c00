/* SPDX-License-Identifier: Apache-2.0 */
/* A keyring whose keystore is gone. */
#include "faulty_store.h"
#include "keyring/keyring.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct world w;
static struct keyring_home h;
static struct sealed_box box;
static char recovery[HOME_PATH_BYTES];

static void make(aril_profile profile, unsigned capabilities)
{
    temp_clear(recovery);
    home_init(&h, &w, "keys.aril", capabilities);
    home_make_as(&h, &(aril_keyring_init_config){ .profile = profile, .recovery_path = recovery });
    home_tenant(&h, "alice");
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(recovery, sizeof recovery, "%s", temp_path("recovery.pem"));
    world_init(&w);
    make(ARIL_PROFILE_HYBRID, MEMORY_STORE_ALL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    temp_clear(recovery);
    world_done(&w);
    return 0;
}

static aril_status verify_recovery(const char *path, const char *key)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_verify_recovery(w.rt, path, key, &h.error);
}

/* Another machine with the file and without the keystore. */
static void move(struct keyring_home *to, const char *path, unsigned capabilities)
{
    home_init(to, &w, "moved.aril", capabilities);
    const aril_span file = home_read(path);
    home_write(to->path, file);
    free(file.data);
    assert_int_equal(chmod(to->path, 0600), 0);
}

static aril_status recover(struct keyring_home *to, const char *key)
{
    aril_keystore *ks = home_keystore(to);
    const aril_keyring_config config = home_config(to, ks);
    to->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_recover(w.rt, &config, key, &to->error);
    aril_keystore_close(ks);
    return st;
}

/* --- Recovery keys ------------------------------------------------------------------------- */

static void a_recovery_key_opens_whatever_root_the_keyring_has(void **state)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        home_done(&h);
        make(profiles[i], MEMORY_STORE_ALL);
        struct home_mark mark = home_mark(&h);
        assert_status(verify_recovery(h.path, recovery), ARIL_OK);
        home_unchanged(&h, &mark);
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
        assert_status(verify_recovery(h.path, recovery), ARIL_OK);
        assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 1, NULL, &h.error), ARIL_OK);
        assert_status(verify_recovery(h.path, recovery), ARIL_OK);
    }
}

static void another_recovery_key_or_none_does_not_open_it(void **state)
{
    struct keyring_home bare;
    const char *secret = temp_path("s.pem");
    const char *recipient = temp_path("r.pem");
    (void)state;
    assert_status(aril_recovery_key_new(w.rt, secret, recipient, &h.error), ARIL_OK);
    assert_status(verify_recovery(h.path, secret), ARIL_E_AUTH);
    assert_error(&h.error, ARIL_E_AUTH, "s.pem");
    assert_status(verify_recovery(h.path, recipient) == ARIL_OK ? ARIL_OK : ARIL_E_AUTH,
                  ARIL_E_AUTH);
    assert_status(verify_recovery(h.path, temp_path("none.pem")), ARIL_E_NOT_FOUND);
    assert_status(verify_recovery(temp_path("none.aril"), recovery), ARIL_E_NOT_FOUND);
    assert_status(verify_recovery(NULL, recovery), ARIL_E_USAGE_NULL);
    home_init(&bare, &w, "bare.aril", MEMORY_STORE_ALL);
    home_make(&bare, ARIL_PROFILE_HYBRID, NULL);
    assert_status(verify_recovery(bare.path, recovery), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "no recovery recipient");
    home_done(&bare);
    assert_int_equal(chmod(secret, 0644), 0);
    assert_status(verify_recovery(h.path, secret), ARIL_E_IO_PERMISSION);
    temp_clear(secret);
    temp_clear(recipient);
}

static void a_recipient_made_elsewhere_works_as_well(void **state)
{
    struct keyring_home other;
    const char *secret = temp_path("s.pem");
    const char *recipient = temp_path("r.pem");
    struct stat st;
    (void)state;
    assert_status(aril_recovery_key_new(w.rt, secret, recipient, &h.error), ARIL_OK);
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    home_init(&other, &w, "other.aril", MEMORY_STORE_ALL);
    home_make_as(&other, &(aril_keyring_init_config){ .recipient_path = recipient });
    assert_int_equal(keyring_info(other.kr).has_recovery, 1);
    assert_status(verify_recovery(other.path, secret), ARIL_OK);
    assert_status(verify_recovery(other.path, recovery), ARIL_E_AUTH);
    home_done(&other);
    assert_status(aril_recovery_key_new(w.rt, secret, temp_path("r2.pem"), &h.error),
                  ARIL_E_EXISTS);
    assert_status(verify_recovery(h.path, temp_path("r2.pem")), ARIL_E_NOT_FOUND);
    temp_clear(secret);
    assert_status(aril_recovery_key_new(w.rt, secret, recipient, &h.error), ARIL_E_EXISTS);
    assert_int_not_equal(stat(secret, &st), 0); /* half a pair is not left */
    temp_clear(recipient);
    assert_status(aril_recovery_key_new(w.rt, secret, recipient, &h.error), ARIL_OK);
    assert_status(aril_recovery_key_new(w.rt, NULL, recipient, NULL), ARIL_E_USAGE_NULL);
    temp_clear(secret);
    temp_clear(recipient);
}

/* --- Recover ------------------------------------------------------------------------------- */

static void a_keyring_lives_on_under_another_keystore(void **state)
{
    static const unsigned capabilities[] = { MEMORY_STORE_ALL, 0, ARIL_KEYSTORE_COUNTER };
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    (void)state;
    for (size_t i = 0; i < COUNT(capabilities); i++) {
        struct keyring_home to;
        home_done(&h);
        make(profiles[i], i == 1 ? MEMORY_STORE_ALL : capabilities[i == 0 ? 1 : 0]);
        for (unsigned k = 0; k < 4; k++) {
            assert_status(home_rotate(&h, slot_of(ARIL_KEY_NAME, "alice", NULL)), ARIL_OK);
        }
        const aril_keyring_info before = keyring_info(h.kr);
        move(&to, h.path, capabilities[i]);
        home_close(&h);
        world_forget(&w);
        assert_status(recover(&to, recovery), ARIL_OK);
        assert_string_equal(world_last(&w, ARIL_EVENT_KEYRING).action, "recover");
        home_open(&to);
        const aril_keyring_info after = keyring_info(to.kr);
        assert_memory_equal(after.id, before.id, sizeof after.id);
        assert_int_equal(after.generation, before.generation);
        assert_int_equal(after.revision, before.revision + 1);
        assert_int_equal(after.rollback, (capabilities[i] & ARIL_KEYSTORE_COUNTER) != 0
                                             ? ARIL_ROLLBACK_DETECTED
                                             : ARIL_ROLLBACK_UNDETECTED);
        assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
        assert_status(aril_keyring_verify(to.kr, NULL, NULL, &to.error), ARIL_OK);
        /* generations and counter go on together */
        assert_status(home_rotate(&to, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
        assert_status(home_rotate(&to, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
        home_reopen(&to);
        assert_int_equal(keyring_info(to.kr).generation, before.generation + 2);
        assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
        assert_status(verify_recovery(to.path, recovery), ARIL_OK);
        home_open(&h); /* the old one is as it was */
        home_done(&to);
    }
}

static void the_old_keystore_does_not_open_what_was_recovered(void **state)
{
    struct keyring_home to;
    (void)state;
    move(&to, h.path, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    struct memory_backing *mine = to.backing;
    to.backing = h.backing;
    assert_true(home_try_open(&to) != ARIL_OK);
    home_close(&to);
    to.backing = mine;
    home_open(&to);
    home_done(&to);
}

static void rollback_is_noticed_after_a_recovery_as_well(void **state)
{
    struct keyring_home to;
    (void)state;
    move(&to, h.path, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    const aril_span old = home_read(to.path);
    home_open(&to);
    assert_status(aril_keyring_floor_raise(to.kr, TEXT("m"), 1, &to.error), ARIL_OK);
    home_close(&to);
    home_write(to.path, old);
    free(old.data);
    assert_status(home_try_open(&to), ARIL_E_REPLAY_ROLLBACK);
    home_done(&to);
}

static void a_failed_recovery_changes_nothing(void **state)
{
    struct keyring_home to;
    const char *secret = temp_path("s.pem");
    const char *recipient = temp_path("r.pem");
    (void)state;
    assert_status(aril_recovery_key_new(w.rt, secret, recipient, &h.error), ARIL_OK);
    move(&to, h.path, MEMORY_STORE_ALL);
    const aril_span before = home_read(to.path);
    assert_status(recover(&to, secret), ARIL_E_AUTH);
    assert_error(&to.error, ARIL_E_AUTH, to.path);
    assert_status(recover(&to, temp_path("none.pem")), ARIL_E_NOT_FOUND);
    assert_int_equal(memory_backing_slots(to.backing), 0);
    assert_int_equal(memory_backing_counters(to.backing), 0);
    const aril_span after = home_read(to.path);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, after.len);
    free(before.data);
    free(after.data);
    assert_status(aril_keyring_recover(w.rt, NULL, recovery, NULL), ARIL_E_USAGE_NULL);
    home_done(&to);
    temp_clear(secret);
    temp_clear(recipient);
}

static struct faulty_store *faulty;
static struct arili_store faulty_over_memory(struct keyring_home *home)
{
    faulty = faulty_store_new(memory_store(home->backing, home->capabilities));
    faulty_store_arm(faulty, *(const unsigned *)home->user, ARIL_E_KEYSTORE_BUSY);
    return faulty_store_store(faulty);
}

static void whatever_call_of_the_new_keystore_fails_it_can_be_tried_again(void **state)
{
    struct keyring_home to;
    unsigned nth;
    (void)state;
    move(&to, h.path, MEMORY_STORE_ALL);
    to.user = &nth;
    to.store = faulty_over_memory;
    for (nth = 2;; nth++) { /* the first one is info, when the keystore is made */
        const aril_status st = recover(&to, recovery);
        const bool fired = faulty_store_fired(faulty);
        faulty_store_free(faulty);
        if (!fired) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_KEYSTORE_BUSY);
        assert_int_equal(memory_backing_slots(to.backing), 0);
        assert_int_equal(memory_backing_counters(to.backing), 0);
    }
    assert_int_equal(nth, 4);
    to.store = NULL;
    home_open(&to);
    assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
    home_done(&to);
}

/* 1: at once; 2: when new wraps are in the file. */
static int stop_when_told(void *user, uint64_t done, uint64_t total)
{
    const int when = *(const int *)user;
    (void)total;
    return when == 1 || (when == 2 && done > 0);
}

/* More than one change takes. */
static void make_clients(void)
{
    static char names[600][8];
    static aril_key_slot slots[600];
    for (unsigned i = 0; i < COUNT(slots); i++) {
        (void)snprintf(names[i], sizeof names[i], "c%u", i);
        slots[i] = slot_of(ARIL_KEY_API, names[i], NULL);
    }
    assert_status(aril_keyring_create(h.kr, slots, COUNT(slots), &h.error), ARIL_OK);
}

static size_t staged_rows(aril_keyring *kr)
{
    size_t count;
    struct arili_rowset *set = arili_keyring_rows(kr);
    (void)arili_rowset_kind(set, ARILI_ROW_STAGED, &count);
    arili_rowset_drop(set);
    return count;
}

/* The new root was sealed by the keystore that is gone. */
static void a_rotation_of_the_root_that_was_interrupted_is_no_hindrance(void **state)
{
    struct keyring_home to;
    struct key_copy root;
    int stops = 0;
    (void)state;
    make_clients();
    h.config.progress = stop_when_told;
    h.config.user = &stops;
    home_reopen(&h);
    stops = 2;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_INTERRUPTED);
    assert_true(keyring_info(h.kr).rotation_pending);
    assert_true(staged_rows(h.kr) > 0);
    assert_status(verify_recovery(h.path, recovery), ARIL_OK);
    move(&to, h.path, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    home_open(&to);
    assert_false(keyring_info(to.kr).rotation_pending);
    assert_int_equal(staged_rows(to.kr), 0);
    assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
    assert_status(home_rotate(&to, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_OK);
    keyring_key(to.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 2, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
    assert_false(keyring_find(to.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 3, &root));
    assert_status(aril_keyring_verify(to.kr, NULL, NULL, &to.error), ARIL_OK);
    home_done(&to);
}

static void a_rotation_of_a_tenant_that_was_interrupted_goes_on(void **state)
{
    struct keyring_home to;
    struct key_copy tenant;
    int stops = 0;
    (void)state;
    h.config.progress = stop_when_told;
    h.config.user = &stops;
    home_reopen(&h);
    stops = 1;
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_E_INTERRUPTED);
    move(&to, h.path, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    home_open(&to);
    assert_true(keyring_info(to.kr).rotation_pending);
    assert_status(home_rotate(&to, slot_of(ARIL_KEY_NAME, "alice", NULL)), ARIL_OK);
    keyring_key(to.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 2, &tenant);
    assert_int_equal(tenant.info.state, ARIL_KEY_ACTIVE);
    assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
    home_done(&to);
}

static void a_locked_keyring_stays_locked(void **state)
{
    struct keyring_home to;
    (void)state;
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    move(&to, h.path, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    home_open(&to);
    assert_status(box_open(to.kr, &box, &to.error), ARIL_E_KEY_LOCKED);
    assert_status(aril_keyring_unlock(to.kr, &to.error), ARIL_OK);
    assert_status(box_open(to.kr, &box, &to.error), ARIL_OK);
    home_done(&to);
}

/* Nodes took bundles that were signed after the backup was made, and take no older ones. */
static void what_a_recovered_backup_signs_is_newer_than_what_nodes_have(void **state)
{
    struct keyring_home to;
    struct keyring_home node;
    const char *backup = temp_path("backup");
    (void)state;
    home_init(&node, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &h, "node");
    assert_status(fleet_enrol(&h, &node, NULL), ARIL_OK);
    assert_status(aril_keyring_backup(h.kr, backup, &h.error), ARIL_OK);
    for (unsigned i = 0; i < 3; i++) {
        fleet_pull(&h, &node);
    }
    const uint64_t taken = keyring_info(node.kr).bundle_version;
    move(&to, backup, MEMORY_STORE_ALL);
    assert_status(recover(&to, recovery), ARIL_OK);
    home_open(&to);
    assert_true(keyring_info(to.kr).bundle_version > taken);
    assert_status(home_rotate(&to, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    assert_status(box_seal(to.kr, "alice", &box, &to.error), ARIL_OK);
    fleet_pull(&to, &node);
    assert_true(keyring_info(node.kr).bundle_version > taken);
    assert_status(box_open(node.kr, &box, &node.error), ARIL_OK);
    home_done(&node);
    home_done(&to);
    temp_clear(backup);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_recovery_key_opens_whatever_root_the_keyring_has),
        TEST(another_recovery_key_or_none_does_not_open_it),
        TEST(a_recipient_made_elsewhere_works_as_well),
        TEST(a_keyring_lives_on_under_another_keystore),
        TEST(the_old_keystore_does_not_open_what_was_recovered),
        TEST(rollback_is_noticed_after_a_recovery_as_well),
        TEST(a_failed_recovery_changes_nothing),
        TEST(whatever_call_of_the_new_keystore_fails_it_can_be_tried_again),
        TEST(a_rotation_of_the_root_that_was_interrupted_is_no_hindrance),
        TEST(a_rotation_of_a_tenant_that_was_interrupted_goes_on),
        TEST(a_locked_keyring_stays_locked),
        TEST(what_a_recovered_backup_signs_is_newer_than_what_nodes_have),
    };
    return cmocka_run_group_tests_name("recovery", tests, temp_folder_make, temp_folder_remove);
}
