/* SPDX-License-Identifier: Apache-2.0 */
/* A keyring that is recovered in the middle of a rotation: the old keystore, which sealed the new
 * root, is lost. */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>

static int stop(void *user, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return *(const int *)user;
}

/* An authority with a recovery key and a tenant, whose rotation of that slot was cut off. */
struct story {
    struct world w;
    struct keyring_home h;
    struct memory_backing *lost;
    struct sealed_box box;
    char recovery[HOME_PATH_BYTES];
    int stops;
};

static void begin(struct story *s, aril_key_slot slot)
{
    world_init(&s->w);
    home_init(&s->h, &s->w, "keys.aril", MEMORY_STORE_ALL);
    (void)snprintf(s->recovery, sizeof s->recovery, "%s", temp_path("recovery.pem"));
    s->h.config.progress = stop;
    s->h.config.user = &s->stops;
    s->stops = 0;
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                            .recovery_path = s->recovery };
    home_make_as(&s->h, &init);
    home_tenant(&s->h, "alice");
    assert_status(box_seal(s->h.kr, "alice", &s->box, NULL), ARIL_OK);
    s->stops = 1;
    assert_status(home_rotate(&s->h, slot), ARIL_E_INTERRUPTED);
    s->stops = 0;
    assert_int_equal(keyring_info(s->h.kr).rotation_pending, 1);
    home_close(&s->h);
    s->lost = s->h.backing;
    s->h.backing = memory_backing_new();
}

static void recover(struct story *s)
{
    aril_keystore *ks = home_keystore(&s->h);
    const aril_keyring_config config = home_config(&s->h, ks);
    const aril_status st = aril_keyring_recover(s->w.rt, &config, s->recovery, &s->h.error);
    if (st != ARIL_OK) {
        fail_msg("%s", s->h.error.message);
    }
    aril_keystore_close(ks);
    home_open(&s->h);
}

static void done(struct story *s)
{
    home_done(&s->h);
    memory_backing_free(s->lost);
    temp_clear(s->recovery);
    world_done(&s->w);
}

static void must_rotate(struct story *s, aril_key_slot slot)
{
    if (home_rotate(&s->h, slot) != ARIL_OK) {
        fail_msg("%s", s->h.error.message);
    }
}

static void a_root_that_only_the_lost_keystore_sealed_is_given_up(void **state)
{
    (void)state;
    struct story s;
    struct key_copy root;
    begin(&s, slot_of(ARIL_KEY_ROOT, NULL, NULL));
    recover(&s);
    assert_int_equal(keyring_info(s.h.kr).rotation_pending, 0);
    assert_int_equal(keyring_count(s.h.kr, ARIL_KEY_ROOT, ARIL_KEY_PENDING), 0);
    must_rotate(&s, slot_of(ARIL_KEY_ROOT, NULL, NULL));
    keyring_key(s.h.kr, slot_of(ARIL_KEY_ROOT, NULL, NULL), 0, &root);
    assert_int_equal(root.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(root.info.version, 2);
    must_rotate(&s, slot_of(ARIL_KEY_TENANT, "alice", NULL));
    home_reopen(&s.h);
    assert_status(box_open(s.h.kr, &s.box, NULL), ARIL_OK);
    assert_status(aril_keyring_verify(s.h.kr, NULL, NULL, NULL), ARIL_OK);
    done(&s);
}

static void a_rotation_of_a_tenant_goes_on_under_the_new_keystore(void **state)
{
    (void)state;
    struct story s;
    struct key_copy tenant;
    begin(&s, slot_of(ARIL_KEY_TENANT, "alice", NULL));
    recover(&s);
    assert_int_equal(keyring_info(s.h.kr).rotation_pending, 1);
    must_rotate(&s, slot_of(ARIL_KEY_ROOT, NULL, NULL));
    keyring_key(s.h.kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 0, &tenant);
    assert_int_equal(tenant.info.state, ARIL_KEY_ACTIVE);
    assert_int_equal(tenant.info.version, 2);
    assert_status(box_open(s.h.kr, &s.box, NULL), ARIL_OK);
    done(&s);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, temp_folder_make, temp_folder_remove)
    const struct CMUnitTest tests[] = {
        CASE(a_root_that_only_the_lost_keystore_sealed_is_given_up),
        CASE(a_rotation_of_a_tenant_goes_on_under_the_new_keystore),
    };
    return cmocka_run_group_tests_name("keyring recovered in a rotation", tests, NULL, NULL);
}
