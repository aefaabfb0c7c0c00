/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a keyring, and that they are remembered. */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
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

struct backups {
    size_t count, destroyed;
    aril_backup_info last;
    char path[HOME_PATH_BYTES];
};
static int keep_backup(void *user, const aril_backup_info *info)
{
    struct backups *b = user;
    b->count++;
    b->destroyed += info->destroyed != 0;
    b->last = *info;
    (void)snprintf(b->path, sizeof b->path, "%.*s", (int)info->path.len,
                   (const char *)info->path.data);
    return 0;
}
static struct backups backups(aril_keyring *kr)
{
    struct backups b = { .count = 0 };
    assert_status(aril_keyring_backups(kr, keep_backup, &b, &h.error), ARIL_OK);
    return b;
}

static void a_backup_is_a_keyring_and_is_remembered(void **state)
{
    const char *path = temp_path("backup");
    struct stat st;
    (void)state;
    assert_status(aril_keyring_backup(h.kr, path, &h.error), ARIL_OK);
    assert_string_equal(world_last(&w, ARIL_EVENT_KEYRING).action, "backup");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct backups b = backups(h.kr);
    assert_int_equal(b.count, 1);
    assert_string_equal(b.path, path);
    assert_int_equal(b.last.created_s, FAKE_UNIX_S);
    assert_int_equal(b.last.generation, keyring_info(h.kr).generation);
    assert_int_equal(b.last.destroyed, 0);
    aril_keyring_config config = home_config(&h, h.ks);
    config.path = path;
    aril_keyring *copy = NULL;
    assert_status(aril_keyring_open(w.rt, &config, &copy, &h.error), ARIL_OK);
    assert_status(box_open(copy, &box, &h.error), ARIL_OK);
    assert_int_equal(backups(copy).count, 1); /* it knows of itself */
    aril_keyring_close(copy);
    assert_status(verify_recovery(path, recovery), ARIL_OK);
    temp_clear(path);
}

static void a_backup_of_a_locked_keyring_is_locked(void **state)
{
    const char *path = temp_path("backup");
    (void)state;
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    assert_status(aril_keyring_backup(h.kr, path, &h.error), ARIL_OK);
    aril_keyring_config config = home_config(&h, h.ks);
    config.path = path;
    aril_keyring *copy = NULL;
    assert_status(aril_keyring_open(w.rt, &config, &copy, &h.error), ARIL_OK);
    assert_status(box_open(copy, &box, &h.error), ARIL_E_KEY_LOCKED);
    aril_keyring_close(copy);
    temp_clear(path);
}

static void a_backup_that_cannot_be_written_leaves_no_trace(void **state)
{
    const char *path = temp_write("backup", 0600, TEXT("precious"));
    (void)state;
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_backup(h.kr, path, &h.error), ARIL_E_EXISTS);
    assert_error(&h.error, ARIL_E_EXISTS, path);
    assert_status(aril_keyring_backup(h.kr, "", &h.error), ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_backup(h.kr, NULL, &h.error), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
    temp_clear(path);
    const size_t files = home_files(&h);
    assert_true(aril_keyring_backup(h.kr, temp_path("none/backup"), &h.error) != ARIL_OK);
    assert_int_equal(backups(h.kr).count, 0);
    assert_int_equal(home_files(&h), files);
}

static void a_destroyed_backup_is_noted_and_unknown_ones_are_refused(void **state)
{
    uint8_t id[16];
    (void)state;
    assert_status(aril_keyring_backup(h.kr, temp_path("b"), &h.error), ARIL_OK);
    memcpy(id, backups(h.kr).last.id, sizeof id);
    assert_status(aril_keyring_backup_destroyed(h.kr, id, &h.error), ARIL_OK);
    assert_status(aril_keyring_backup_destroyed(h.kr, id, &h.error), ARIL_OK);
    assert_int_equal(backups(h.kr).destroyed, 1);
    assert_int_equal(keyring_info(h.kr).backups_open, 0);
    id[0] ^= 1;
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_backup_destroyed(h.kr, id, &h.error), ARIL_E_NOT_FOUND);
    assert_status(aril_keyring_backup_destroyed(h.kr, NULL, &h.error), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
    temp_clear(temp_path("b"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_is_a_keyring_and_is_remembered),
        TEST(a_backup_of_a_locked_keyring_is_locked),
        TEST(a_backup_that_cannot_be_written_leaves_no_trace),
        TEST(a_destroyed_backup_is_noted_and_unknown_ones_are_refused),
    };
    return cmocka_run_group_tests_name("backup", tests, temp_folder_make, temp_folder_remove);
}
