/* SPDX-License-Identifier: Apache-2.0 */
/* Places where a keyring cannot be: what is not there, not a file, not a keyring, not writable, or
 * held by somebody else. */
#include "child.h"
#include "keyring_attack.h"
#include "keyring_state.h"
#include "provider.h"
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
    home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&h, "alice");
    home_close(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

static aril_status open_at(const char *path)
{
    struct keyring_home there = h;
    (void)snprintf(there.path, sizeof there.path, "%s", path);
    const aril_status st = attack_open(&there);
    h.error = there.error;
    home_close(&there);
    return st;
}

static aril_status init_at(const char *path)
{
    static const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                                   .no_recovery = 1 };
    struct keyring_home there = h;
    (void)snprintf(there.path, sizeof there.path, "%s", path);
    const aril_status st = home_try_init(&there, &init);
    h.error = there.error;
    return st;
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_status(open_at(temp_path("nothing")), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "aril keys init");
    assert_status(open_at(temp_path("no/folder")), ARIL_E_NOT_FOUND);
    const size_t files = home_files(&h);
    const size_t slots = memory_backing_slots(h.backing);
    assert_status(init_at(temp_path("no/folder")), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(h.error.message, "no/"));
    assert_int_equal(home_files(&h), files);
    assert_int_equal(memory_backing_slots(h.backing), slots);
    assert_int_equal(memory_backing_counters(h.backing), 1);
    assert_status(open_at(""), ARIL_E_USAGE_RANGE);
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    (void)state;
    const char *paths[] = { temp_path("folder"), temp_path("pipe"), temp_path("link"),
                            temp_path("dangling") };
    assert_int_equal(mkdir(paths[0], 0700), 0);
    assert_int_equal(mkfifo(paths[1], 0600), 0);
    assert_int_equal(symlink(h.path, paths[2]), 0);
    assert_int_equal(symlink("nothing", paths[3]), 0);
    for (size_t i = 0; i < COUNT(paths); i++) {
        assert_status(open_at(paths[i]), ARIL_E_IO);
        assert_error(&h.error, ARIL_E_IO, "no regular file");
        assert_status(init_at(paths[i]), ARIL_E_EXISTS);
        assert_error(&h.error, ARIL_E_EXISTS, "left alone");
    }
    for (size_t i = 0; i < COUNT(paths); i++) {
        temp_clear(paths[i]);
    }
    assert_status(attack_open(&h), ARIL_OK);
    assert_int_equal(memory_backing_counters(h.backing), 1);
}

static void what_is_no_keyring_is_a_format_error(void **state)
{
    (void)state;
    static uint8_t noise[9000];
    fill_pattern(noise, sizeof noise, 3);
    assert_status(open_at(temp_write("empty", 0600, (aril_bytes){ noise, 0 })),
                  ARIL_E_FORMAT_TRUNCATED);
    assert_error(&h.error, ARIL_E_FORMAT_TRUNCATED, "is empty");
    assert_status(open_at(temp_write("noise", 0600, (aril_bytes){ noise, sizeof noise })),
                  ARIL_E_FORMAT_KIND);
    assert_error(&h.error, ARIL_E_FORMAT_KIND, "aril keys init");
    sqlite3 *db = NULL;
    const char *path = temp_path("other.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    attack_sql(db, "CREATE TABLE t(x)");
    attack_end(db);
    assert_status(open_at(path), ARIL_E_FORMAT_KIND);
    db = attack_begin(path);
    attack_sql(db, "PRAGMA application_id=1634888044; PRAGMA user_version=1");
    attack_end(db);
    assert_status(open_at(path), ARIL_E_FORMAT);
    assert_error(&h.error, ARIL_E_FORMAT, "restore it from a backup");
    temp_clear(path);
    temp_clear(temp_path("empty"));
    temp_clear(temp_path("noise"));
}

static void a_newer_version_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        aril_status want;
        const char *words;
    } cases[] = {
        { "PRAGMA user_version=2", ARIL_E_FORMAT_VERSION, "newer" },
        { "PRAGMA user_version=0", ARIL_E_FORMAT_VERSION, "newer" },
        { "PRAGMA user_version=-1", ARIL_E_FORMAT_VERSION, "newer" },
        { "UPDATE aril_head SET body=CAST(x'0002' || substr(body, 3) AS BLOB)",
          ARIL_E_FORMAT_VERSION, "newer" },
        { "PRAGMA application_id=1634888045", ARIL_E_FORMAT_KIND, "no keyring" },
        { "PRAGMA application_id=0", ARIL_E_FORMAT_KIND, "no keyring" },
    };
    aril_span file = home_read(h.path);
    for (size_t i = 0; i < COUNT(cases); i++) {
        sqlite3 *db = attack_begin(h.path);
        attack_sql(db, cases[i].sql);
        attack_end(db);
        assert_status(attack_open(&h), cases[i].want);
        assert_error(&h.error, cases[i].want, cases[i].words);
        home_write(h.path, file);
    }
    free(file.data);
    assert_status(attack_open(&h), ARIL_OK);
}

/* --- Held by others
 * -------------------------------------------------------------------------------- */

static void a_file_that_another_process_holds_is_a_timeout(void **state)
{
    (void)state;
    h.config.busy_ms = 1;
    home_open(&h);
    struct sealed_box box;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    attack_sql(db, "BEGIN IMMEDIATE"); /* somebody writes: readers go on */
    const uint64_t revision = keyring_info(h.kr).revision;
    assert_status(home_create(&h, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_E_TIMEOUT);
    assert_error(&h.error, ARIL_E_TIMEOUT, "another process");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_E_TIMEOUT);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_TIMEOUT);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, NULL), ARIL_E_TIMEOUT);
    assert_status(aril_keyring_lock(h.kr, NULL), ARIL_E_TIMEOUT);
    assert_status(aril_keyring_backup(h.kr, temp_path("copy"), NULL), ARIL_E_TIMEOUT);
    assert_int_equal(access(temp_path("copy"), F_OK), -1);
    assert_status(box_seal(h.kr, "alice", &box, NULL), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).revision, revision);
    attack_sql(db, "ROLLBACK; BEGIN EXCLUSIVE"); /* nobody reads */
    fake_clock_add_ns(&w.clock, FAKE_NS_PER_S);
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK); /* from memory */
    assert_status(aril_keyring_refresh(h.kr, NULL, &h.error), ARIL_E_TIMEOUT);
    struct keyring_home second = h;
    second.kr = NULL;
    second.ks = NULL;
    assert_status(attack_open(&second), ARIL_E_TIMEOUT);
    assert_error(&second.error, ARIL_E_TIMEOUT, "another process");
    home_close(&second);
    attack_sql(db, "ROLLBACK");
    attack_end(db);
    home_tenant(&h, "bob");
    assert_null(keyring_unsound(h.kr));
    home_close(&h);
}

/* --- Without the right to write
 * ------------------------------------------------------------------- */

struct unprivileged {
    const char *folder;
};

#define EXPECT(condition)                                             \
    if (!(condition)) {                                               \
        (void)fprintf(stderr, "%s: %s\n", #condition, error.message); \
        return 1;                                                     \
    }

/* Runs without root: permissions count. Everything of it is made after the fork. */
static int without_rights(void *arg)
{
    const struct unprivileged *u = arg;
    char path[HOME_PATH_BYTES];
    struct keyring_handle handle = { NULL, NULL };
    aril_runtime *rt = NULL;
    aril_error error = { .status = ARIL_OK };
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        return 1;
    }
    const aril_runtime_config config = { .clock = &w.clock.table, .error = &error };
    EXPECT(aril_runtime_new(&config, &rt) == ARIL_OK);
    char uri[HOME_PATH_BYTES];
    (void)snprintf(uri, sizeof uri, "credential:%s/key", u->folder);
    const aril_keystore_config store = { .uri = uri };
    EXPECT(aril_keystore_open(rt, &store, &handle.ks, &error) == ARIL_OK);
    (void)snprintf(path, sizeof path, "%s/keys", u->folder);
    const aril_keyring_config kr = { .path = path, .keystore = handle.ks, .busy_ms = 1 };
    EXPECT(aril_keyring_open(rt, &kr, &handle.kr, &error) == ARIL_OK);
    /* Keys are used; changes are refused with the word. */
    uint8_t box[100];
    size_t len = 0;
    EXPECT(aril_keyring_seal(handle.kr, TEXT("alice"), TEXT("c"), TEXT("secret"), box, sizeof box,
                             &len, &error) == ARIL_OK);
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = TEXT("bob") };
    const aril_key_slot root = { .purpose = ARIL_KEY_ROOT };
    EXPECT(aril_keyring_create(handle.kr, &slot, 1, &error) == ARIL_E_IO_READ_ONLY);
    EXPECT(strstr(error.message, "can not be written") != NULL);
    EXPECT(aril_keyring_rotate(handle.kr, &root, NULL) == ARIL_E_IO_READ_ONLY);
    EXPECT(aril_keyring_lock(handle.kr, NULL) == ARIL_E_IO_READ_ONLY);
    EXPECT(aril_keyring_verify(handle.kr, NULL, NULL, NULL) == ARIL_OK);
    EXPECT(aril_keyring_refresh(handle.kr, NULL, NULL) == ARIL_OK);
    aril_keyring_close(handle.kr);
    aril_keystore_close(handle.ks);
    aril_runtime_free(rt);
    return 0;
}

static void make_public_keyring(const char *folder)
{
    char uri[HOME_PATH_BYTES];
    char path[HOME_PATH_BYTES];
    aril_keystore *ks = NULL;
    aril_keyring *kr = NULL;
    (void)snprintf(uri, sizeof uri, "file:%s/key", folder);
    (void)snprintf(path, sizeof path, "%s/keys", folder);
    const aril_keystore_config store = { .uri = uri, .create = 1 };
    assert_status(aril_keystore_open(w.rt, &store, &ks, NULL), ARIL_OK);
    const aril_keyring_config config = { .path = path, .keystore = ks };
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768, .no_recovery = 1 };
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_OK);
    assert_status(aril_keyring_open(w.rt, &config, &kr, NULL), ARIL_OK);
    const aril_key_slot slot = slot_of(ARIL_KEY_TENANT, "alice", NULL);
    assert_status(aril_keyring_create(kr, &slot, 1, NULL), ARIL_OK);
    aril_keyring_close(kr);
    aril_keystore_close(ks);
}

static void without_the_right_to_write_keys_are_used_and_changes_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t folder, file;
    } cases[] = { { 0755, 0444 }, { 0555, 0666 }, { 0555, 0444 } };
    const char *folder = temp_path("shared");
    char key[HOME_PATH_BYTES];
    char keys[HOME_PATH_BYTES];
    (void)snprintf(key, sizeof key, "%s/key", folder);
    (void)snprintf(keys, sizeof keys, "%s/keys", folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(chmod(temp_path(""), 0711), 0);
    make_public_keyring(folder);
    assert_int_equal(geteuid() == 0 ? chown(key, 65534, 65534) : 0, 0);
    aril_span before = home_read(keys);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct unprivileged u = { folder };
        assert_int_equal(chmod(keys, cases[i].file), 0);
        assert_int_equal(chmod(folder, cases[i].folder), 0);
        const int got = child_run(without_rights, &u);
        assert_int_equal(chmod(folder, 0755), 0);
        if (got != 0) {
            fail_msg("folder %o, file %o: %d", (unsigned)cases[i].folder, (unsigned)cases[i].file,
                     got);
        }
        aril_span after = home_read(keys);
        assert_int_equal(before.len, after.len);
        assert_memory_equal(before.data, after.data, before.len);
        free(after.data);
    }
    free(before.data);
    temp_clear(key);
    (void)snprintf(key, sizeof key, "%s/key.lock", folder);
    temp_clear(key);
    temp_clear(keys);
    temp_clear(folder);
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
        CASE(what_is_not_there_is_not_found),
        CASE(what_is_no_regular_file_is_refused_at_once),
        CASE(what_is_no_keyring_is_a_format_error),
        CASE(a_newer_version_says_so),
        CASE(a_file_that_another_process_holds_is_a_timeout),
        CASE(without_the_right_to_write_keys_are_used_and_changes_refused),
    };
    return cmocka_run_group_tests_name("environment", tests, group_setup, group_teardown);
}
