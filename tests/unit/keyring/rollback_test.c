/* SPDX-License-Identifier: Apache-2.0 */
/* Older copies of the file against a keystore that counts. */
#include "base/ensure.h"
#include "faulty_store.h"
#include "keyring/change.h"
#include "keyring_attack.h"
#include "keyring_state.h"
#include "provider.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct keyring_home h, node;
static struct faulty_store *faulty; /* of the newest keystore */
static bool with_faults;

static struct arili_store over_faults(struct keyring_home *home)
{
    const struct arili_store inner = memory_store(home->backing, home->capabilities);
    if (!with_faults) {
        return inner;
    }
    faulty = faulty_store_new(inner);
    return faulty_store_store(faulty);
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    with_faults = false;
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    h.store = over_faults;
    home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    home_init(&node, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&node, &h, "node-1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&node);
    home_done(&h);
    world_done(&w);
    return 0;
}

/* From here on h has a faulty keystore; end_faults() closes it. */
static void begin_faults(void)
{
    home_close(&h);
    with_faults = true;
    home_open(&h);
    with_faults = false;
}

static void end_faults(void)
{
    home_close(&h);
    faulty_store_free(faulty);
    faulty = NULL;
}

/* --- What counts ---------------------------------------------------------------------------------
 */

static aril_status rotate_data(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL));
}
static aril_status rotate_name(void)
{
    return home_rotate(&h, slot_of(ARIL_KEY_NAME, "alice", NULL));
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
static aril_status retire_data(void)
{
    struct key_copy key;
    keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &key);
    return aril_keyring_retire(h.kr, key.info.id, 0, NULL);
}
static aril_status destroy_data(void)
{
    struct key_copy key;
    keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &key);
    return aril_keyring_retire(h.kr, key.info.id, 1, NULL);
}
static aril_status destroy_root(void)
{
    struct key_copy key;
    keyring_key(h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 1, &key);
    return aril_keyring_retire(h.kr, key.info.id, 1, NULL);
}
static aril_status raise_floor(void)
{
    return aril_keyring_floor_raise(h.kr, TEXT("model"), 5, NULL);
}
static aril_status enrol(void)
{
    return fleet_enrol(&h, &node, NULL);
}
static aril_status write_bundle(void)
{
    uint64_t version = 0;
    const aril_status st = aril_keyring_bundle_write(h.kr, temp_path("bundle"), &version, &h.error);
    temp_clear(temp_path("bundle"));
    return st;
}
static aril_status revoke_node(void)
{
    return aril_keyring_node_revoke(h.kr, TEXT("node-1"), 0, NULL, NULL);
}
static aril_status shred(void)
{
    return aril_keyring_shred(h.kr, TEXT("bob"), 0, NULL, NULL);
}
static aril_status create(void)
{
    return home_create(&h, slot_of(ARIL_KEY_TENANT, "carol", NULL));
}
static aril_status lock(void)
{
    return aril_keyring_lock(h.kr, NULL);
}
static aril_status unlock(void)
{
    return aril_keyring_unlock(h.kr, NULL);
}
static aril_status backup(void)
{
    const aril_status st = aril_keyring_backup(h.kr, temp_path("backup"), NULL);
    temp_clear(temp_path("backup"));
    return st;
}
static aril_status import(void)
{
    static const uint8_t key[32] = { 9 };
    const aril_bytes keys[] = { { key, sizeof key } };
    return aril_keyring_import_cachekit(h.kr, TEXT("alice"), keys, 1, NULL);
}
static aril_status seal_and_open(void)
{
    struct sealed_box box;
    const aril_status st = box_seal(h.kr, "alice", &box, NULL);
    return st != ARIL_OK ? st : box_open(h.kr, &box, NULL);
}
static aril_status raise_again(void)
{
    return aril_keyring_floor_raise(h.kr, TEXT("model"), 5, NULL);
}

/* In this order. */
static const struct step {
    const char *name;
    aril_status (*run)(void);
    bool counts;
    bool changes;
} steps[] = {
    { "create", create, false, true },
    { "rotate data", rotate_data, true, true },
    { "rotate name", rotate_name, true, true },
    { "rotate tenant", rotate_tenant, true, true },
    { "seal and open", seal_and_open, false, false },
    { "rotate root", rotate_root, true, true },
    { "rotate authority", rotate_authority, true, true },
    { "retire", retire_data, true, true },
    { "retire again", retire_data, false, false },
    { "destroy", destroy_data, true, true },
    { "raise a floor", raise_floor, true, true },
    { "raise it to the same", raise_again, false, false },
    { "enrol a node", enrol, false, true },
    { "write a bundle", write_bundle, true, true },
    { "revoke a node", revoke_node, true, true },
    { "lock", lock, false, true },
    { "unlock", unlock, false, true },
    { "backup", backup, false, true },
    { "import", import, false, true },
    { "destroy a root", destroy_root, true, true },
    { "shred", shred, true, true },
};

static void what_must_not_be_undone_moves_the_counter_and_nothing_else_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        const struct step *s = &steps[i];
        const uint64_t before = memory_backing_counter(h.backing);
        const aril_keyring_info old = keyring_info(h.kr);
        const aril_status st = s->run();
        if (st != ARIL_OK) {
            fail_msg("%s: %s", s->name, aril_status_name(st));
        }
        const aril_keyring_info info = keyring_info(h.kr);
        const uint64_t moved = memory_backing_counter(h.backing) - before;
        if (s->counts ? moved == 0 : moved != 0) {
            fail_msg("%s moved the counter by %u", s->name, (unsigned)moved);
        }
        assert_int_equal(info.generation - old.generation, moved);
        if ((info.revision > old.revision) != s->changes) {
            fail_msg("%s: revision %u, then %u", s->name, (unsigned)old.revision,
                     (unsigned)info.revision);
        }
        assert_int_equal(info.rollback, ARIL_ROLLBACK_DETECTED);
    }
}

static void every_copy_from_before_such_a_change_is_refused(void **state)
{
    (void)state;
    static aril_span copies[COUNT(steps) + 1];
    static uint64_t generations[COUNT(steps) + 1];
    for (size_t i = 0; i <= COUNT(steps); i++) {
        generations[i] = keyring_info(h.kr).generation;
        home_close(&h);
        copies[i] = home_read(h.path);
        home_open(&h);
        if (i < COUNT(steps)) {
            assert_status(steps[i].run(), ARIL_OK);
        }
    }
    const uint64_t newest = keyring_info(h.kr).generation;
    home_close(&h);
    const uint64_t counter = memory_backing_counter(h.backing);
    for (size_t i = 0; i <= COUNT(steps); i++) {
        home_write(h.path, copies[i]);
        const aril_status st = attack_open(&h);
        /* Where the root of that time is gone from the keystore, that is what comes first. */
        const aril_status want = generations[i] == newest ? ARIL_OK : ARIL_E_REPLAY_ROLLBACK;
        if (st != want && !(want != ARIL_OK && st == ARIL_E_KEYSTORE_WRONG && i <= 5)) {
            fail_msg("before %s: %s", i < COUNT(steps) ? steps[i].name : "nothing",
                     aril_status_name(st));
        }
        if (st == ARIL_E_REPLAY_ROLLBACK) {
            assert_error(&h.error, st, "older copy");
        }
        assert_int_equal(memory_backing_counter(h.backing), counter); /* refusals count nothing */
        aril_span same = home_read(h.path);
        assert_int_equal(same.len, copies[i].len);
        assert_memory_equal(same.data, copies[i].data, same.len);
        free(same.data);
    }
    home_write(h.path, copies[COUNT(steps)]);
    home_open(&h);
    for (size_t i = 0; i <= COUNT(steps); i++) {
        free(copies[i].data);
    }
}

static void a_node_does_not_take_an_older_copy(void **state)
{
    (void)state;
    assert_status(enrol(), ARIL_OK);
    home_close(&node);
    aril_span empty = home_read(node.path);
    home_open(&node);
    const uint64_t before = memory_backing_counter(node.backing);
    fleet_pull(&h, &node);
    assert_int_equal(memory_backing_counter(node.backing), before + 1);
    home_close(&node);
    aril_span full = home_read(node.path);
    home_write(node.path, empty);
    assert_status(attack_open(&node), ARIL_E_REPLAY_ROLLBACK);
    home_write(node.path, full);
    assert_status(attack_open(&node), ARIL_OK);
    free(empty.data);
    free(full.data);
}

/* --- Crashes between the commit and the counter
 * --------------------------------------------------- */

static void a_counter_that_was_not_moved_is_moved_by_the_next_opening(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        begin_faults();
        const uint64_t before = memory_backing_counter(h.backing);
        const uint64_t generation = keyring_info(h.kr).generation;
        unsigned n = 0;
        do { /* read, read, read, increment: whichever it is */
            n++;
            faulty_store_disarm(faulty);
            if (lost) {
                faulty_store_arm_lost(faulty, n, ARIL_E_KEYSTORE);
            } else {
                faulty_store_arm(faulty, n, ARIL_E_KEYSTORE);
            }
            const aril_status st = aril_keyring_floor_raise(
                h.kr, TEXT("x"), keyring_info(h.kr).generation + 1000, &h.error);
            assert_true(faulty_store_fired(faulty));
            assert_status(st, ARIL_E_KEYSTORE);
            assert_true(n < 9);
        } while (strcmp(faulty_store_last(faulty), "counter_increment") != 0);
        assert_error(&h.error, ARIL_E_KEYSTORE, "was changed, but");
        faulty_store_disarm(faulty);
        const uint64_t now = keyring_info(h.kr).generation;
        assert_true(now > generation);
        assert_int_equal(memory_backing_counter(h.backing) - before,
                         now - generation - (lost ? 0 : 1));
        end_faults();
        home_open(&h); /* the crash ends here */
        assert_int_equal(memory_backing_counter(h.backing) - before, now - generation);
        uint64_t floor = 0;
        assert_status(aril_keyring_floor_get(h.kr, TEXT("x"), &floor, NULL), ARIL_OK);
        assert_true(floor >= 1000);
        assert_status(rotate_data(), ARIL_OK);
        assert_int_equal(memory_backing_counter(h.backing) - before, now - generation + 1);
    }
}

static void the_next_change_moves_it_as_well(void **state)
{
    (void)state;
    begin_faults();
    for (unsigned n = 1;; n++) {
        faulty_store_arm(faulty, n, ARIL_E_KEYSTORE);
        const uint64_t generation = keyring_info(h.kr).generation;
        const aril_status st = rotate_data();
        if (!faulty_store_fired(faulty)) {
            faulty_store_disarm(faulty);
            assert_status(st, ARIL_OK);
            break;
        }
        faulty_store_disarm(faulty);
        assert_status(st, ARIL_E_KEYSTORE);
        /* Done or not, and the message says which. */
        const bool done = keyring_info(h.kr).generation > generation;
        assert_int_equal(done, strstr(h.error.message, "was changed") != NULL);
    }
    assert_status(rotate_data(), ARIL_OK);
    const char *wrong = keyring_unsound(h.kr);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    end_faults();
    home_open(&h);
}

/* --- Counters that lie
 * ---------------------------------------------------------------------------- */

/* What is refused was not opened before. */
static void assert_opening_told(size_t events_before, aril_status st)
{
    const aril_event event = world_last(&w, ARIL_EVENT_KEYRING);
    assert_int_equal(world_events(&w, ARIL_EVENT_KEYRING), events_before + 1);
    assert_string_equal(event.action, "open");
    assert_status(event.status, st);
}

static void a_counter_that_is_ahead_is_a_rollback_and_one_behind_is_another_counter(void **state)
{
    (void)state;
    home_close(&h);
    aril_span old = home_read(h.path);
    home_open(&h);
    assert_status(raise_floor(), ARIL_OK);
    assert_status(rotate_data(), ARIL_OK);
    home_close(&h);
    aril_span fresh = home_read(h.path);
    home_write(h.path, old);
    const size_t told = world_events(&w, ARIL_EVENT_KEYRING);
    assert_status(attack_open(&h), ARIL_E_REPLAY_ROLLBACK);
    assert_opening_told(told, ARIL_E_REPLAY_ROLLBACK);
    home_write(h.path, fresh);
    assert_status(attack_open(&h), ARIL_OK);
    /* A keystore that was reset: a new memory has no such counter. */
    struct keyring_home reset = h;
    reset.backing = memory_backing_new();
    reset.kr = NULL;
    reset.ks = NULL;
    assert_status(attack_open(&reset), ARIL_E_KEYSTORE_WRONG);
    home_close(&reset);
    memory_backing_free(reset.backing);
    free(old.data);
    free(fresh.data);
}

/* A keystore that says it counted, or counts back, is not believed. */
static void a_counter_that_lies_is_noticed_while_the_process_runs(void **state)
{
    (void)state;
    begin_faults();
    assert_status(rotate_data(), ARIL_OK);
    const uint64_t generation = keyring_info(h.kr).generation;
    faulty_store_lie(faulty, FAULTY_COUNTER_STUCK);
    assert_status(rotate_data(), ARIL_E_KEYSTORE);
    assert_error(&h.error, ARIL_E_KEYSTORE, "was changed");
    assert_int_equal(keyring_info(h.kr).generation, generation + 1);
    for (int i = 0; i < 2; i++) { /* two ahead would be another keystore's */
        assert_status(rotate_data(), ARIL_E_KEYSTORE);
        assert_int_equal(keyring_info(h.kr).generation, generation + 1);
    }
    faulty_store_lie(faulty, FAULTY_COUNTER_BACK);
    assert_status(rotate_data(), ARIL_E_KEYSTORE);
    assert_int_equal(keyring_info(h.kr).generation, generation + 1);
    end_faults();
    home_open(&h);
    assert_status(rotate_data(), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).generation, generation + 2);
}

/* A generation that no change of the library writes, with the right MACs. */
static aril_status skip_generations(aril_keyring *kr, uint64_t by)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, NULL));
    ch.head.generation += by;
    return arili_change_commit(&ch, NULL);
}

static void a_file_that_is_one_ahead_is_a_crash_and_two_another_keystores(void **state)
{
    (void)state;
    for (uint64_t by = 1; by <= 3; by++) {
        const uint64_t before = memory_backing_counter(h.backing);
        aril_span file = home_read(h.path);
        assert_status(skip_generations(h.kr, by), ARIL_OK);
        aril_keyring_close(h.kr);
        h.kr = NULL;
        const size_t told = world_events(&w, ARIL_EVENT_KEYRING);
        const aril_status st = attack_open(&h);
        assert_status(st, by == 1 ? ARIL_OK : ARIL_E_KEYSTORE_WRONG);
        if (by > 1) {
            assert_error(&h.error, st, "another counter");
            assert_opening_told(told, st);
            home_write(h.path, file);
        }
        assert_int_equal(memory_backing_counter(h.backing) - before, by == 1);
        home_open(&h);
        free(file.data);
    }
}

/* --- Without one
 * ----------------------------------------------------------------------------------- */

static void without_a_counter_a_keyring_says_that_rollback_is_not_noticed(void **state)
{
    (void)state;
    struct keyring_home plain;
    home_init(&plain, &w, "plain.aril", ARIL_KEYSTORE_DESTROY);
    home_make(&plain, ARIL_PROFILE_ML_KEM_768, NULL);
    assert_int_equal(keyring_info(plain.kr).rollback, ARIL_ROLLBACK_UNDETECTED);
    assert_int_equal(memory_backing_counters(plain.backing), 0);
    home_close(&plain);
    aril_span old = home_read(plain.path);
    home_open(&plain);
    assert_status(aril_keyring_floor_raise(plain.kr, TEXT("x"), 4, NULL), ARIL_OK);
    home_close(&plain);
    home_write(plain.path, old);
    home_open(&plain);
    uint64_t floor = 1;
    assert_status(aril_keyring_floor_get(plain.kr, TEXT("x"), &floor, NULL), ARIL_OK);
    assert_int_equal(floor, 0);
    assert_int_equal(keyring_info(plain.kr).rollback, ARIL_ROLLBACK_UNDETECTED);
    free(old.data);
    home_done(&plain);
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
        CASE(what_must_not_be_undone_moves_the_counter_and_nothing_else_does),
        CASE(every_copy_from_before_such_a_change_is_refused),
        CASE(a_node_does_not_take_an_older_copy),
        CASE(a_counter_that_was_not_moved_is_moved_by_the_next_opening),
        CASE(the_next_change_moves_it_as_well),
        CASE(a_counter_that_is_ahead_is_a_rollback_and_one_behind_is_another_counter),
        CASE(a_counter_that_lies_is_noticed_while_the_process_runs),
        CASE(a_file_that_is_one_ahead_is_a_crash_and_two_another_keystores),
        CASE(without_a_counter_a_keyring_says_that_rollback_is_not_noticed),
    };
    return cmocka_run_group_tests_name("rollback", tests, group_setup, group_teardown);
}
