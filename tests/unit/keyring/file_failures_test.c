/* SPDX-License-Identifier: Apache-2.0 */
/* The disk fails once, at each place where it can: what was asked for is done or it is not, it is
 * said which, and it can be asked for again. */
#include "failing_vfs.h"
#include "keyring_fixture.h"
#include "keyring_state.h"
#include "provider.h"
#include "temp_folder.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world w;
static struct keyring_home h;

/* --- What is done
 * ------------------------------------------------------------------------------------ */

static char name[32];

static aril_status create(void)
{
    return home_create(&h, slot_of(ARIL_KEY_TENANT, name, NULL));
}
static aril_status rotate_leaf(void)
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
static aril_status shred(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_shred(h.kr, text_bytes(name), 1, NULL, &h.error);
}
static void enrol(void)
{
    struct keyring_home node;
    home_init(&node, &w, "node", 0);
    home_make_node(&node, &h, name);
    assert_status(fleet_enrol(&h, &node, NULL), ARIL_OK);
    home_done(&node);
}
static aril_status revoke_node(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_node_revoke(h.kr, text_bytes(name), 0, NULL, &h.error);
}
static aril_status backup(void)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_backup(h.kr, temp_path(name), &h.error);
}
static void create_first(void)
{
    assert_status(create(), ARIL_OK);
}
static void nothing_first(void)
{
}

static const struct operation {
    const char *title;
    void (*prepare)(void);
    aril_status (*run)(void);
    aril_status again; /* after it was done */
    bool is_rotation;
} operations[] = {
    { "create", nothing_first, create, ARIL_E_EXISTS, false },
    { "rotate data", nothing_first, rotate_leaf, ARIL_OK, false },
    { "rotate tenant", nothing_first, rotate_tenant, ARIL_OK, true },
    { "rotate root", nothing_first, rotate_root, ARIL_OK, true },
    { "shred", create_first, shred, ARIL_OK, true },
    { "revoke", enrol, revoke_node, ARIL_E_NOT_FOUND, false },
    { "backup", nothing_first, backup, ARIL_E_EXISTS, false },
};

/* --- What fails
 * ---------------------------------------------------------------------------------------- */

static const struct failure {
    unsigned calls;
    int code, reason;
    bool forever;
    aril_status want;
} failures[] = {
    { FAILING_TORN, SQLITE_IOERR_WRITE, EIO, true, ARIL_E_IO },
    { FAILING_DELETED, SQLITE_IOERR_DIR_FSYNC, EIO, false, ARIL_E_IO },
    { FAILING_WRITE, SQLITE_FULL, 0, false, ARIL_E_IO_FULL },
    { FAILING_DELETE, SQLITE_IOERR_DELETE, EIO, true, ARIL_E_IO },
    /* The others are for some operations alone: the time. */
    { FAILING_WRITE, SQLITE_IOERR_WRITE, EIO, false, ARIL_E_IO },
    { FAILING_SYNC, SQLITE_IOERR_FSYNC, EIO, false, ARIL_E_IO },
    { FAILING_OPEN, SQLITE_CANTOPEN, EIO, false, ARIL_E_IO },
    { FAILING_OPEN, SQLITE_READONLY_DIRECTORY, EACCES, false, ARIL_E_IO_READ_ONLY },
    { FAILING_DELETE, SQLITE_IOERR_DELETE, EIO, false, ARIL_E_IO },
    { FAILING_LOCK, SQLITE_BUSY, 0, true, ARIL_E_TIMEOUT },
    { FAILING_LOCK, SQLITE_IOERR_LOCK, ENOLCK, false, ARIL_E_IO },
    { FAILING_READ, SQLITE_IOERR_READ, EIO, false, ARIL_E_IO },
};

#define FAILURES_FOR_ALL 4u

static void assert_sound(const char *when, const struct operation *o, const struct failure *f,
                         unsigned n)
{
    const char *wrong = keyring_unsound(h.kr);
    if (wrong != NULL) {
        fail_msg("%s, %s, call %#x code %d number %u: %s", when, o->title, f->calls, f->code, n,
                 wrong);
    }
}

static void repeat(const struct operation *o, const struct failure *f, unsigned n)
{
    const aril_status st = o->run();
    if (st != ARIL_OK && st != o->again) {
        fail_msg("%s again, call %#x code %d number %u: %s: %s", o->title, f->calls, f->code, n,
                 aril_status_name(st), h.error.message);
    }
    if (o->is_rotation) {
        assert_false(keyring_info(h.kr).rotation_pending);
    }
    assert_sound("after the repetition", o, f, n);
}

/* False: there is no nth call of that kind. */
static bool fail_nth(const struct operation *o, const struct failure *f, unsigned n)
{
    struct keyring_state before;
    struct keyring_state after;
    (void)snprintf(name, sizeof name, "n%u", n);
    o->prepare();
    assert_status(keyring_state(h.kr, &before, NULL), ARIL_OK);
    failing_vfs_arm(f->calls, n, f->code, f->reason, f->forever);
    const aril_status st = o->run();
    const bool fired = failing_vfs_fired();
    failing_vfs_disarm();
    if (!fired) {
        assert_status(st, ARIL_OK);
    } else if (st != ARIL_OK && st != f->want) {
        fail_msg("%s, call %#x code %d number %u: %s: %s", o->title, f->calls, f->code, n,
                 aril_status_name(st), h.error.message);
    }
    if (fired && st != ARIL_OK) {
        assert_non_null(strstr(h.error.message, "aril-test")); /* names a file */
        assert_sound("in the same process", o, f, n);
    }
    home_reopen(&h);
    assert_sound("in another process", o, f, n);
    assert_status(keyring_state(h.kr, &after, NULL), ARIL_OK);
    if (st == ARIL_OK) {
        assert_false(keyring_state_equal(&before, &after));
    } else {
        if (o->run == backup) {
            assert_int_equal(access(temp_path(name), F_OK), -1);
        }
        repeat(o, f, n);
    }
    temp_clear(temp_path(name));
    return fired;
}

/* Early calls one by one, later ones are like those before. */
static unsigned next_call(unsigned n)
{
    return n < 10 ? n + 1 : n + 5;
}

static void sweep(const struct operation *o, bool all)
{
    unsigned count = 0;
    for (size_t i = 0; i < (all ? COUNT(failures) : FAILURES_FOR_ALL); i++) {
        bool more = true;
        for (unsigned n = 1; more; n = next_call(n)) {
            home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
            h.config.busy_ms = 1;
            home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
            home_tenant(&h, "alice");
            more = fail_nth(o, &failures[i], n);
            home_close(&h);
            assert_int_equal(home_files(&h), 1);
            home_done(&h);
            count++;
        }
    }
    print_message("%u failures\n", count);
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    failing_vfs_install();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    failing_vfs_remove();
    world_done(&w);
    return 0;
}

#define SWEEP(title, index, all)        \
    static void title(void **state)     \
    {                                   \
        (void)state;                    \
        sweep(&operations[index], all); \
    }
SWEEP(a_creation_is_done_or_not, 0, true)
SWEEP(a_new_data_key_is_there_or_not, 1, false)
SWEEP(a_rotation_of_a_tenant_can_be_ended, 2, false)
SWEEP(a_rotation_of_the_root_can_be_ended, 3, true)
SWEEP(a_shred_can_be_ended, 4, false)
SWEEP(a_node_is_revoked_or_not, 5, false)
SWEEP(a_backup_is_there_or_not, 6, true)

/* --- Making one
 * -------------------------------------------------------------------------------------- */

static void a_keyring_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++) {
        const struct failure *f = &failures[i];
        bool fired = true;
        for (unsigned n = 1; fired; n++) {
            home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
            h.config.busy_ms = 1;
            const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                                    .recovery_path = temp_path("recovery") };
            failing_vfs_arm(f->calls, n, f->code, f->reason, f->forever);
            const aril_status st = home_try_init(&h, &init);
            fired = failing_vfs_fired();
            failing_vfs_disarm();
            if (st != ARIL_OK) {
                if (!fired || st != f->want) {
                    fail_msg("call %#x code %d number %u: %s: %s", f->calls, f->code, n,
                             aril_status_name(st), h.error.message);
                }
                /* Nothing is left, in the folder or in the keystore. A journal that could not be
                 * deleted may stay. */
                assert_int_equal(access(h.path, F_OK), -1);
                assert_int_equal(access(init.recovery_path, F_OK), -1);
                if ((f->calls & FAILING_DELETE) == 0) {
                    assert_int_equal(home_files(&h), 0);
                }
                assert_int_equal(memory_backing_slots(h.backing), 0);
                assert_int_equal(memory_backing_counters(h.backing), 0);
                assert_status(home_try_init(&h, &init), ARIL_OK);
            }
            home_open(&h);
            assert_null(keyring_unsound(h.kr));
            temp_clear(init.recovery_path);
            home_done(&h);
        }
    }
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
        CASE(a_keyring_is_made_whole_or_not_at_all),
        CASE(a_creation_is_done_or_not),
        CASE(a_new_data_key_is_there_or_not),
        CASE(a_rotation_of_a_tenant_can_be_ended),
        CASE(a_rotation_of_the_root_can_be_ended),
        CASE(a_shred_can_be_ended),
        CASE(a_node_is_revoked_or_not),
        CASE(a_backup_is_there_or_not),
    };
    return cmocka_run_group_tests_name("file failures", tests, group_setup, group_teardown);
}
