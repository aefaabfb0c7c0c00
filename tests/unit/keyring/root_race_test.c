/* SPDX-License-Identifier: Apache-2.0 */
/* Another process replaces the root and destroys the old one in the keystore, just when this one
 * asks the keystore for it. */
#include "fleet_forge.h"
#include "temp_folder.h"
#include <string.h>

static struct world w;
static struct keyring_home h;
static struct keyring_handle other; /* the other process */
static struct sealed_box box;

/* The store of h: at the next unseal, if armed, the other process is quicker. */
static struct arili_store inner;
static struct arili_store_ops ops;
static atomic_bool armed;
static aril_status done;

static aril_status replace_root(void)
{
    const aril_key_slot root = slot_of(ARIL_KEY_ROOT, NULL, NULL);
    uint8_t old[ARIL_KEY_ID_BYTES];
    struct arili_rowset *set = arili_keyring_rows(other.kr);
    memcpy(old, set->head.root, sizeof old);
    arili_rowset_drop(set);
    const aril_status st = aril_keyring_rotate(other.kr, &root, NULL);
    return st == ARIL_OK ? aril_keyring_retire(other.kr, old, 1, NULL) : st;
}

static aril_status slow_unseal(void *state, const struct arili_store_place *place, aril_bytes blob,
                               uint8_t ret_secret[ARILI_STORE_SECRET_BYTES], aril_error *error)
{
    if (atomic_exchange(&armed, false)) {
        done = replace_root();
    }
    return inner.ops->unseal(state, place, blob, ret_secret, error);
}

static struct arili_store slow_store(struct keyring_home *home)
{
    inner = memory_store(home->backing, home->capabilities);
    ops = *inner.ops;
    ops.unseal = slow_unseal;
    return (struct arili_store){ &ops, inner.state };
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "race.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&h, "ada");
    assert_status(box_seal(h.kr, "ada", &box, NULL), ARIL_OK);
    other = home_second(&h);
    home_close(&h);
    h.store = slow_store;
    home_open(&h);
    aril_keyring_forget(h.kr);
    done = ARIL_E_INTERRUPTED;
    atomic_store(&armed, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_false(atomic_load(&armed)); /* it was met */
    assert_status(done, ARIL_OK);
    handle_close(&other);
    home_done(&h);
    world_done(&w);
    return 0;
}

static void a_key_that_seals_is_found_under_the_new_root(void **state)
{
    (void)state;
    aril_tenant_key *key = NULL;
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("ada"), ARIL_KEY_DATA, &key, NULL), ARIL_OK);
    aril_tenant_key_put(key);
}

static void a_box_opens_under_the_new_root(void **state)
{
    (void)state;
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
}

static void a_signing_key_is_found_under_the_new_root(void **state)
{
    (void)state;
    aril_identity *identity = NULL;
    assert_status(aril_keyring_signing_key(h.kr, (aril_bytes){ NULL, 0 }, &identity, NULL),
                  ARIL_OK);
    aril_identity_free(identity);
}

static void a_keyring_opens_with_the_new_root(void **state)
{
    (void)state;
    home_close(&h);
    home_open(&h);
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
}

static void a_look_takes_the_newest_of_several_roots_over(void **state)
{
    (void)state;
    int changed = 0;
    assert_status(replace_root(), ARIL_OK);
    assert_status(aril_keyring_refresh(h.kr, &changed, &h.error), ARIL_OK);
    assert_int_equal(changed, 1);
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).revision, keyring_info(other.kr).revision);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_that_seals_is_found_under_the_new_root),
        TEST(a_box_opens_under_the_new_root),
        TEST(a_signing_key_is_found_under_the_new_root),
        TEST(a_keyring_opens_with_the_new_root),
        TEST(a_look_takes_the_newest_of_several_roots_over),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
