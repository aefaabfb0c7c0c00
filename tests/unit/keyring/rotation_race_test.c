/* SPDX-License-Identifier: Apache-2.0 */
/* While the keystore seals a new root for one process, another one rotates. */
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "keyring_state.h"
#include "provider.h"
#include "temp_folder.h"
#include <pthread.h>
#include <string.h>

static struct world w;
static struct keyring_home h;
static struct faulty_store *faulty;
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
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    h.store = over_faults;
    home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&h, "alice");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static void *rotate_root(void *arg)
{
    const aril_key_slot root = { .purpose = ARIL_KEY_ROOT };
    aril_status *const ret = arg;
    *ret = aril_keyring_rotate(h.kr, &root, &h.error);
    return NULL;
}

/* Blocks the nth call of the store in a rotation of the root; false: there are not so many. */
static bool rotate_around(unsigned nth, unsigned *ret_seals)
{
    const aril_key_slot root = { .purpose = ARIL_KEY_ROOT };
    const aril_key_slot tenant = slot_of(ARIL_KEY_TENANT, "alice", NULL);
    struct sealed_box box;
    aril_status st = ARIL_E_USAGE_STATE;
    pthread_t thread;
    with_faults = true;
    home_reopen(&h);
    with_faults = false;
    const uint32_t before = (uint32_t)keyring_count_all(h.kr);
    struct key_copy key;
    keyring_key(h.kr, root, 0, &key);
    const uint32_t version = key.info.version;
    assert_status(box_seal(h.kr, "alice", &box, NULL), ARIL_OK);
    aril_keyring_forget(h.kr); /* so that the root is unsealed anew */
    faulty_store_arm_blocked(faulty, nth);
    assert_int_equal(pthread_create(&thread, NULL, rotate_root, &st), 0);
    if (nth <= 2) {
        faulty_store_wait_blocked(faulty);
        const bool sealing = strcmp(faulty_store_last(faulty), "seal") == 0;
        struct keyring_handle other = home_second(&h);
        if (sealing) { /* the file is free: others may rotate, and end what they find */
            ++*ret_seals;
            assert_status(aril_keyring_rotate(other.kr, &root, NULL), ARIL_OK);
            assert_status(aril_keyring_rotate(other.kr, &tenant, NULL), ARIL_OK);
            assert_null(keyring_unsound(other.kr));
        }
        handle_close(&other);
        faulty_store_release(faulty);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    faulty_store_disarm(faulty);
    if (st != ARIL_OK) {
        fail_msg("%s: %s", aril_status_name(st), h.error.message);
    }
    keyring_key(h.kr, root, 0, &key);
    assert_true(key.info.version > version && keyring_count_all(h.kr) > before);
    const bool blocked = faulty_store_fired(faulty);
    const char *wrong = keyring_unsound(h.kr);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    assert_false(keyring_info(h.kr).rotation_pending);
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
    home_close(&h);
    faulty_store_free(faulty);
    home_open(&h);
    assert_null(keyring_unsound(h.kr));
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
    return blocked;
}

static void two_processes_rotate_the_root_one_after_the_other(void **state)
{
    (void)state;
    unsigned seals = 0;
    /* The calls of a rotation: unseal the root, seal the new one. */
    assert_true(rotate_around(1, &seals));
    assert_true(rotate_around(2, &seals));
    assert_true(seals >= 1);
    /* Slots of roots that were given up are destroyed. */
    assert_int_equal(memory_backing_slots(h.backing),
                     keyring_count(h.kr, ARIL_KEY_ROOT, ARIL_KEY_ACTIVE) +
                         keyring_count(h.kr, ARIL_KEY_ROOT, ARIL_KEY_RETIRED));
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
        CASE(two_processes_rotate_the_root_one_after_the_other),
    };
    return cmocka_run_group_tests_name("rotation race", tests, group_setup, group_teardown);
}
