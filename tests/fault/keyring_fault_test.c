/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation, each primitive and each call of the keystore fails once during the work of a
 * keyring: the status is that of the fault, the keyring is as before or said to be changed, and
 * the same call works afterwards. */
#include "failing_vfs.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "keyring_state.h"
#include "provider.h"
#include "keyring/keyring.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct faulty_crypto *crypto;
static struct world w;
static struct keyring_home h, node;
static struct faulty_store *stores[2]; /* of h->ks: one keystore at a time, and one before it */
static char name[32];

enum what { ALLOC, CRYPTO, RANDOM, STORE, STORE_LOST, WHATS };

static const aril_status wants[WHATS] = { ARIL_E_NOMEM, ARIL_E_CRYPTO, ARIL_E_RANDOM,
                                          ARIL_E_KEYSTORE, ARIL_E_KEYSTORE };

static struct arili_store over_faults(struct keyring_home *home)
{
    assert_null(stores[1]);
    stores[1] = stores[0];
    stores[0] = faulty_store_new(memory_store(home->backing, home->capabilities));
    return faulty_store_store(stores[0]);
}

/* After a keystore was closed. */
static void drop_store(void)
{
    for (size_t i = 0; i < COUNT(stores); i++) {
        if (stores[i] != NULL && faulty_store_closed(stores[i])) {
            faulty_store_free(stores[i]);
            stores[i] = NULL;
        }
    }
}

static void close_home(void)
{
    home_close(&h);
    for (size_t i = 0; i < COUNT(stores); i++) {
        faulty_store_free(stores[i]); /* waits */
        stores[i] = NULL;
    }
}

static void arm(enum what what, unsigned nth)
{
    switch (what) {
    case ALLOC:
        fault_alloc_arm(nth);
        break;
    case CRYPTO:
        faulty_crypto_arm(crypto, nth, ARIL_E_CRYPTO);
        break;
    case RANDOM:
        faulty_crypto_arm_random(crypto, ARIL_E_RANDOM);
        break;
    case STORE:
        faulty_store_arm(stores[0], nth, ARIL_E_KEYSTORE);
        break;
    default:
        faulty_store_arm_lost(stores[0], nth, ARIL_E_KEYSTORE);
        break;
    }
}

static bool disarm(enum what what)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(crypto);
    if (stores[0] != NULL) {
        faulty_store_disarm(stores[0]);
    }
    return what == ALLOC                      ? fault_alloc_fired()
           : what == CRYPTO || what == RANDOM ? faulty_crypto_fired(crypto)
                                              : faulty_store_fired(stores[0]);
}

static const char *where(enum what what)
{
    return what == ALLOC                      ? "allocation"
           : what == CRYPTO || what == RANDOM ? faulty_crypto_last(crypto)
                                              : faulty_store_last(stores[0]);
}

static int setup(void **state)
{
    (void)state;
    crypto = faulty_crypto_new(provider());
    assert_non_null(crypto);
    world_init_over(&w, faulty_crypto_table(crypto));
    failing_vfs_install(); /* nothing fails there, but nobody waits for the disk */
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    h.store = over_faults;
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                            .recovery_path = temp_path("recovery") };
    assert_status(home_try_init(&h, &init), ARIL_OK);
    drop_store();
    home_open(&h);
    home_tenant(&h, "alice");
    home_init(&node, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &h, "node-1");
    assert_status(fleet_enrol(&h, &node, NULL), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_home();
    home_done(&node);
    assert_int_equal(memory_backing_open(h.backing), 0);
    home_done(&h);
    temp_clear(temp_path("recovery"));
    failing_vfs_remove();
    world_done(&w);
    assert_int_equal(faulty_crypto_alive(crypto), 0);
    faulty_crypto_free(crypto);
    crypto = NULL;
    return 0;
}

/* --- Operations
 * ----------------------------------------------------------------------------------------- */

static aril_status create(void)
{
    return home_create(&h, slot_of(ARIL_KEY_TENANT, name, NULL));
}
static aril_status rotate_data(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL));
}
static aril_status rotate_tenant(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_TENANT, "alice", NULL));
}
static aril_status rotate_root(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL));
}
static aril_status rotate_authority(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_AUTHORITY, NULL, NULL));
}
static aril_status lock_and_unlock(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_lock(h.kr, &h.error);
    return st != ARIL_OK ? st : aril_keyring_unlock(h.kr, &h.error);
}
static aril_status raise_floor(void)
{
    static uint64_t value;
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_floor_raise(h.kr, TEXT("x"), ++value, &h.error);
}
static aril_status import_lmcache(void)
{
    static uint64_t seed;
    uint8_t master[16]; /* another one each time */
    h.error = (aril_error){ .status = ARIL_OK };
    fill_pattern(master, sizeof master, ++seed);
    return aril_keyring_import_lmcache(h.kr, TEXT("alice"), (aril_bytes){ master, sizeof master },
                                       &h.error);
}
static aril_status pin_legacy(void)
{
    aril_tenant_key *keys[ARILI_LEGACY_PINNED_MAX] = { NULL };
    size_t count = 0;
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st =
        arili_keyring_legacy(h.kr, TEXT("alice"), TEXT("lmcache"), keys, &count, &h.error);
    assert_int_equal(count, st == ARIL_OK ? 3 : 0);
    for (size_t i = 0; i < ARILI_LEGACY_PINNED_MAX; i++) {
        assert_int_equal(keys[i] != NULL, i < count);
        aril_tenant_key_put(keys[i]);
    }
    return st;
}
static aril_status shred(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_shred(h.kr, TEXT("alice"), 1, NULL, &h.error);
}
static aril_status revoke_node(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_node_revoke(h.kr, TEXT("node-1"), 0, NULL, &h.error);
}
static aril_status write_bundle(void)
{
    uint64_t version = 0;
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_bundle_write(h.kr, temp_path("bundle"), &version, &h.error);
    temp_clear(temp_path("bundle"));
    return st;
}
static aril_status backup(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_backup(h.kr, temp_path("backup"), &h.error);
    temp_clear(temp_path("backup"));
    return st;
}
static aril_status seal_and_open(void)
{
    struct sealed_box box;
    aril_keyring_forget(h.kr);
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = box_seal(h.kr, "alice", &box, &h.error);
    return st != ARIL_OK ? st : box_open(h.kr, &box, &h.error);
}
static aril_status verify(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_verify(h.kr, NULL, NULL, &h.error);
}
static aril_status sign(void)
{
    aril_identity *identity = NULL;
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st =
        aril_keyring_signing_key(h.kr, (aril_bytes){ NULL, 0 }, &identity, &h.error);
    assert_int_equal(st == ARIL_OK, identity != NULL);
    aril_identity_free(identity);
    return st;
}

enum {
    ONE_COMMIT = 1u, /* a failure leaves the old state, or says "was changed" */
    READS = 2u,      /* changes nothing */
    GROWS = 4u       /* leaves more and more keys behind */
};
struct operation {
    const char *title;
    aril_status (*run)(void);
    unsigned flags;
};

static void assert_sound(const struct operation *o, enum what what, unsigned n)
{
    const char *wrong = keyring_unsound(h.kr);
    if (wrong != NULL) {
        fail_msg("%s, %s number %u: %s", o->title, where(what), n, wrong);
    }
}

static void start_anew(void)
{
    void *state = NULL;
    (void)teardown(&state);
    (void)setup(&state);
}

static void sweep(const struct operation *o, enum what what)
{
    unsigned n = 1;
    unsigned runs = 0;
    for (;; n += n < 48 ? 1 : 7, runs++) { /* later ones are like those before */
        struct keyring_state before;
        struct keyring_state after;
        if ((o->flags & GROWS) != 0 && runs % 12 == 11) {
            start_anew();
        }
        (void)snprintf(name, sizeof name, "%s-%u", o->title, (unsigned)what * 10000 + n);
        if (n % 8 == 0 || what >= STORE) {
            close_home();
            home_open(&h);
        }
        assert_status(keyring_state(h.kr, &before, NULL), ARIL_OK);
        aril_keyring_forget(h.kr);
        arm(what, n);
        const aril_status st = o->run();
        if (!disarm(what)) {
            if (st != ARIL_OK) {
                fail_msg("%s without a fault: %s: %s", o->title, aril_status_name(st),
                         h.error.message);
            }
            break;
        }
        if (st != ARIL_OK && st != wants[what]) {
            fail_msg("%s, %s number %u: %s: %s", o->title, where(what), n, aril_status_name(st),
                     h.error.message);
        }
        if (keyring_info(h.kr).locked) {
            assert_status(aril_keyring_unlock(h.kr, NULL), ARIL_OK);
        }
        assert_sound(o, what, n);
        assert_status(keyring_state(h.kr, &after, NULL), ARIL_OK);
        const bool same = keyring_state_equal(&before, &after);
        const bool said = strstr(h.error.message, "was changed") != NULL;
        if (((o->flags & READS) != 0 && !same) ||
            ((o->flags & ONE_COMMIT) != 0 && st != ARIL_OK && !same && !said)) {
            fail_msg("%s, %s number %u: %s, but it was changed", o->title, where(what), n,
                     aril_status_name(st));
        }
        if (what == RANDOM) {
            break; /* all of it fails */
        }
        assert_true(n < 3000);
    }
    close_home();
    home_open(&h);
    assert_sound(o, what, n);
    const aril_status st = o->run(); /* everything can be asked for again */
    if (st != ARIL_OK && st != ARIL_E_EXISTS && st != ARIL_E_NOT_FOUND) {
        fail_msg("%s again: %s: %s", o->title, aril_status_name(st), h.error.message);
    }
    assert_false(keyring_info(h.kr).rotation_pending);
}

static void sweep_all(const struct operation *o, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int what = 0; what < WHATS; what++) {
            sweep(&o[i], (enum what)what);
        }
    }
}

static void changes_of_one_commit_are_made_or_not(void **state)
{
    (void)state;
    static const struct operation operations[] = {
        { "create", create, ONE_COMMIT },
        { "rotate data", rotate_data, ONE_COMMIT },
        { "rotate authority", rotate_authority, ONE_COMMIT },
        { "raise", raise_floor, ONE_COMMIT },
        { "import", import_lmcache, ONE_COMMIT | GROWS },
    };
    sweep_all(operations, COUNT(operations));
}

static void rotations_go_on_after_a_fault(void **state)
{
    (void)state;
    static const struct operation operations[] = {
        { "rotate tenant", rotate_tenant, GROWS },
        { "rotate root", rotate_root, GROWS },
    };
    sweep_all(operations, COUNT(operations));
}

static void other_work_can_be_repeated_after_a_fault(void **state)
{
    (void)state;
    static const struct operation operations[] = {
        { "lock", lock_and_unlock, 0 },
        { "bundle", write_bundle, 0 },
        { "backup", backup, 0 },
    };
    sweep_all(operations, COUNT(operations));
}

static void looking_and_using_change_nothing(void **state)
{
    (void)state;
    static const struct operation operations[] = {
        { "box", seal_and_open, READS },
        { "verify", verify, READS },
        { "sign", sign, READS },
        { "legacy", pin_legacy, READS },
    };
    for (unsigned i = 0; i < 3; i++) {
        assert_status(import_lmcache(), ARIL_OK);
    }
    sweep_all(operations, COUNT(operations));
}

/* Once done they cannot be done again: each kind of fault starts anew. */
static void sweep_fresh(const struct operation *o)
{
    for (int what = 0; what < WHATS; what++) {
        if (what > 0) {
            start_anew();
        }
        sweep(o, (enum what)what);
    }
}

static void a_shred_goes_on_after_a_fault(void **state)
{
    (void)state;
    static const struct operation operation = { "shred", shred, 0 };
    sweep_fresh(&operation);
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_TENANT, ARIL_KEY_ACTIVE), 0);
}

static void a_revocation_is_made_or_not(void **state)
{
    (void)state;
    static const struct operation operation = { "revoke", revoke_node, ONE_COMMIT };
    for (int what = 0; what < WHATS; what++) {
        if (what > 0) {
            start_anew();
        }
        for (unsigned n = 1;; n++) {
            struct keyring_state before;
            struct keyring_state after;
            assert_status(keyring_state(h.kr, &before, NULL), ARIL_OK);
            arm((enum what)what, n);
            const aril_status st = operation.run();
            const bool fired = disarm((enum what)what);
            if (st == ARIL_OK) {
                break;
            }
            assert_true(fired);
            assert_status(st, wants[what]);
            assert_sound(&operation, (enum what)what, n);
            assert_status(keyring_state(h.kr, &after, NULL), ARIL_OK);
            if (!keyring_state_equal(&before, &after)) {
                assert_error(&h.error, st, "was changed");
                assert_status(operation.run(), ARIL_E_NOT_FOUND);
                break;
            }
            if (what == RANDOM) {
                assert_status(operation.run(), ARIL_OK);
                break;
            }
        }
        assert_int_equal(keyring_info(h.kr).nodes_revoked, 1);
    }
}

/* --- Making and opening
 * --------------------------------------------------------------------------------- */

static void a_keyring_is_opened_or_not(void **state)
{
    (void)state;
    for (int what = 0; what < WHATS; what++) {
        for (unsigned n = 1;; n++) {
            close_home();
            h.ks = home_keystore(&h);
            arm((enum what)what, n);
            const aril_status st = home_try_open(&h);
            if (!disarm((enum what)what)) {
                assert_status(st, ARIL_OK);
                break;
            }
            if (st != wants[what]) {
                fail_msg("open, %s number %u: %s: %s", where((enum what)what), n,
                         aril_status_name(st), h.error.message);
            }
            assert_null(h.kr);
            assert_status(home_try_open(&h), ARIL_OK); /* with the same keystore */
            if (what == RANDOM) {
                break;
            }
        }
    }
}

static void a_keyring_is_made_or_leaves_nothing(void **state)
{
    (void)state;
    struct keyring_home fresh;
    home_init(&fresh, &w, "fresh.aril", MEMORY_STORE_ALL);
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                            .recovery_path = temp_path("fresh.recovery") };
    const size_t files = home_files(&fresh);
    for (int what = 0; what < WHATS; what++) {
        for (unsigned n = 1;; n++) {
            struct faulty_store *const kept = stores[0];
            stores[0] = faulty_store_new(memory_store(fresh.backing, MEMORY_STORE_ALL));
            aril_keystore *ks = NULL;
            assert_status(
                arili_keystore_new_over(w.rt, faulty_store_store(stores[0]), 600000, &ks, NULL),
                ARIL_OK);
            const aril_keyring_config config = { .path = fresh.path, .keystore = ks };
            arm((enum what)what, n);
            const aril_status st = aril_keyring_init(w.rt, &config, &init, &fresh.error);
            const bool fired = disarm((enum what)what);
            aril_keystore_close(ks);
            if (st != ARIL_OK && st != wants[what]) {
                fail_msg("init, %s number %u: %s: %s", where((enum what)what), n,
                         aril_status_name(st), fresh.error.message);
            }
            if (st == ARIL_OK) {
                assert_int_equal(home_files(&fresh), files + 2);
                assert_int_equal(unlink(fresh.path) | unlink(init.recovery_path), 0);
            }
            if (home_files(&fresh) != files) {
                fail_msg("init, %s number %u, %s: a file is left", where((enum what)what), n,
                         aril_status_name(st));
            }
            faulty_store_free(stores[0]);
            stores[0] = kept;
            if (!fired || what == RANDOM) {
                assert_status(st, fired ? ARIL_E_RANDOM : ARIL_OK);
                break;
            }
            if (st != ARIL_OK && what <= RANDOM) { /* one that fails may keep what it has */
                assert_true(memory_backing_slots(fresh.backing) <= (unsigned)what + 8);
            }
        }
    }
    home_done(&fresh);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int group_setup(void **state)
{
    return provider_setup(state) != 0 || temp_folder_make(state) != 0;
}

static int group_teardown(void **state)
{
    return temp_folder_remove(state) != 0 || provider_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(changes_of_one_commit_are_made_or_not),
        CASE(rotations_go_on_after_a_fault),
        CASE(other_work_can_be_repeated_after_a_fault),
        CASE(looking_and_using_change_nothing),
        CASE(a_shred_goes_on_after_a_fault),
        CASE(a_revocation_is_made_or_not),
        CASE(a_keyring_is_opened_or_not),
        CASE(a_keyring_is_made_or_leaves_nothing),
    };
    return cmocka_run_group_tests_name("keyring faults", tests, group_setup, group_teardown);
}
