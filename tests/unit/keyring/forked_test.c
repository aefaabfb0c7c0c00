/* SPDX-License-Identifier: Apache-2.0 */
/* In a forked child every call answers FORKED, and closing is safe. */
#include "child.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include "valgrind.h"
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct keyring_home h;
static struct sealed_box box;
static aril_tenant_key *pinned;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    assert_status(box_seal(h.kr, "alice", &box, &h.error), ARIL_OK);
    assert_status(aril_keyring_tenant_key(h.kr, TEXT("alice"), ARIL_KEY_DATA, &pinned, &h.error),
                  ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aril_tenant_key_put(pinned);
    home_done(&h);
    world_done(&w);
    return 0;
}

static int ignore(void *user, const aril_key_info *info)
{
    (void)user;
    (void)info;
    return 0;
}
static int ignore_node(void *user, const aril_node_info *info)
{
    (void)user;
    (void)info;
    return 0;
}
static int ignore_backup(void *user, const aril_backup_info *info)
{
    (void)user;
    (void)info;
    return 0;
}
static int ignore_shred(void *user, const aril_shred_info *info)
{
    (void)user;
    (void)info;
    return 0;
}

/* 0, or the number of the call that answered something else. */
static int every_call(void *arg)
{
    const aril_key_slot slot = slot_of(ARIL_KEY_DATA, "alice", NULL);
    const aril_key_slot tenant = slot_of(ARIL_KEY_TENANT, "bob", NULL);
    const aril_bytes alice = TEXT("alice");
    const aril_bytes context = TEXT("c");
    const aril_bytes sealed = { box.bytes, sizeof box.bytes };
    const char *away = arg;
    static char pem[ARIL_CARD_BYTES_MAX];
    const uint8_t id[32] = { 1 };
    const aril_bytes key = { id, sizeof id };
    uint8_t out[256];
    size_t len = 0;
    uint64_t number = 0;
    int changed = 0;
    aril_keyring_info info;
    aril_tenant_key *taken = NULL;
    aril_identity *signer = NULL;
    aril_keyring *other = NULL;
    aril_error e = { .status = ARIL_OK };
    aril_keyring_config config = home_config(&h, h.ks);
    aril_keyring_config fresh = config;
    fresh.path = away;
    const aril_keyring_init_config init = { .no_recovery = 1 };
    const aril_status answers[] = {
        aril_keyring_init(w.rt, &fresh, &init, &e),
        aril_keyring_open(w.rt, &config, &other, &e),
        aril_keyring_lock(h.kr, &e),
        aril_keyring_unlock(h.kr, &e),
        aril_keyring_refresh(h.kr, &changed, &e),
        aril_keyring_get_info(h.kr, &info, &e),
        aril_keyring_list(h.kr, NULL, ignore, NULL, &e),
        aril_keyring_verify(h.kr, NULL, NULL, &e),
        aril_keyring_create(h.kr, &tenant, 1, &e),
        aril_keyring_rotate(h.kr, &slot, &e),
        aril_keyring_retire(h.kr, id, 1, &e),
        aril_keyring_shred(h.kr, alice, 0, NULL, &e),
        aril_keyring_shreds(h.kr, ignore_shred, NULL, &e),
        aril_keyring_floor_get(h.kr, alice, &number, &e),
        aril_keyring_floor_raise(h.kr, alice, 1, &e),
        aril_keyring_tenant_key(h.kr, alice, ARIL_KEY_DATA, &taken, &e),
        aril_keyring_slot_key(h.kr, &slot, &taken, &e),
        aril_keyring_key_by_id(h.kr, alice, box_key_id(&box), &taken, &e),
        aril_keyring_seal(h.kr, alice, context, key, out, sizeof out, &len, &e),
        aril_keyring_open_box(h.kr, alice, context, sealed, out, sizeof out, &len, &e),
        aril_keyring_signing_key(h.kr, (aril_bytes){ NULL, 0 }, &signer, &e),
        aril_keyring_card(h.kr, pem, sizeof pem, &len, &e),
        aril_keyring_node_add(h.kr, alice, NULL, 0, &e),
        aril_keyring_nodes(h.kr, ignore_node, NULL, &e),
        aril_keyring_node_revoke(h.kr, alice, 0, &len, &e),
        aril_keyring_bundle_write(h.kr, away, &number, &e),
        aril_keyring_bundle_apply(h.kr, sealed, &changed, &e),
        aril_keyring_receipt(h.kr, pem, sizeof pem, &len, &e),
        aril_keyring_confirm(h.kr, alice, &e),
        aril_keyring_backup(h.kr, away, &e),
        aril_keyring_backups(h.kr, ignore_backup, NULL, &e),
        aril_keyring_backup_destroyed(h.kr, id, &e),
        aril_recovery_key_new(w.rt, away, away, &e),
        aril_keyring_verify_recovery(w.rt, h.path, away, &e),
        aril_keyring_recover(w.rt, &config, away, &e),
        aril_keyring_import_cachekit(h.kr, alice, &key, 1, &e),
    };
    for (int i = 0; i < (int)COUNT(answers); i++) {
        if (answers[i] != ARIL_E_FORKED) {
            return i + 1;
        }
    }
    aril_keyring_forget(h.kr);
    return taken == NULL && signer == NULL && other == NULL ? 0 : 127;
}

static void every_call_answers_forked_and_touches_no_file(void **state)
{
    (void)state;
    struct home_mark mark = home_mark(&h);
    assert_int_equal(child_run(every_call, (void *)(uintptr_t)temp_path("away")), 0);
    home_unchanged(&h, &mark);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
}

static int close_all(void *arg)
{
    (void)arg;
    aril_tenant_key_put(pinned);
    aril_keyring_close(h.kr);
    aril_keystore_close(h.ks);
    return 0;
}

/* What another thread may have had in its hands is left in a child, on purpose; valgrind calls
 * that lost. */
static void closing_in_a_child_leaves_the_parent_alone(void **state)
{
    if (under_valgrind()) {
        skip();
    }
    (void)state;
    struct home_mark mark = home_mark(&h);
    assert_int_equal(child_run(close_all, NULL), 0);
    home_unchanged(&h, &mark);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
    home_tenant(&h, "bob");
    struct keyring_handle second = home_second(&h);
    assert_status(box_open(second.kr, &box, &h.error), ARIL_OK);
    handle_close(&second);
}

/* Somebody forks while another call of the process holds the keyring's locks. */
static int fork_within(void *user, const aril_key_info *info, aril_status st)
{
    (void)info;
    (void)st;
    *(int *)user = child_run(every_call, (void *)(uintptr_t)temp_path("away"));
    *(int *)user += child_run(close_all, NULL);
    return 1;
}

static void a_child_that_began_under_a_lock_does_not_wait_for_it(void **state)
{
    if (under_valgrind()) {
        skip(); /* it closes in a child, as above */
    }
    int answer = 77;
    (void)state;
    assert_status(aril_keyring_verify(h.kr, fork_within, &answer, &h.error), ARIL_OK);
    assert_int_equal(answer, 0);
    assert_status(box_open(h.kr, &box, &h.error), ARIL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_answers_forked_and_touches_no_file),
        TEST(closing_in_a_child_leaves_the_parent_alone),
        TEST(a_child_that_began_under_a_lock_does_not_wait_for_it),
    };
    return cmocka_run_group_tests_name("forked", tests, temp_folder_make, temp_folder_remove);
}
