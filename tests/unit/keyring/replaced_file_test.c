/* SPDX-License-Identifier: Apache-2.0 */
/* A running process has the file open while somebody puts another one in its place. Uses of keys
 * fail closed until the right file is back, and nothing is written to the wrong one. */
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
static struct sealed_box box;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", ARIL_KEYSTORE_DESTROY);
    home_make(&h, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&h, "alice");
    assert_status(box_seal(h.kr, "alice", &box, NULL), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

/* Put these bytes in the place of the file, as a new file. */
static void replace(aril_span content)
{
    const char *path = temp_path("replacement");
    home_write(path, content);
    assert_int_equal(rename(path, h.path), 0);
}

static void wait_for_refresh(void)
{
    fake_clock_add_ns(&w.clock, FAKE_NS_PER_S);
}

/* Every use of keys, and every change, gives that status, and the file stays as it is. */
static void assert_closed(aril_status want)
{
    struct sealed_box other;
    aril_tenant_key *key = NULL;
    aril_key_slot slot = slot_of(ARIL_KEY_API, "client", NULL);
    aril_span before = home_read(h.path);
    for (int i = 0; i < 3; i++) {
        wait_for_refresh();
        assert_status(box_open(h.kr, &box, &h.error), want);
        assert_non_null(strstr(h.error.message, h.path));
        assert_status(box_open(h.kr, &box, NULL), want); /* at once again */
        assert_status(box_seal(h.kr, "alice", &other, NULL), want);
        assert_status(aril_keyring_tenant_key(h.kr, TEXT("alice"), ARIL_KEY_DATA, &key, NULL),
                      want);
        assert_null(key);
        assert_status(aril_keyring_key_by_id(h.kr, TEXT("alice"), box_key_id(&box), &key, NULL),
                      want);
        assert_null(key);
        assert_status(aril_keyring_create(h.kr, &slot, 1, NULL), want);
        assert_status(aril_keyring_floor_raise(h.kr, TEXT("x"), 1, NULL), want);
        slot = slot_of(ARIL_KEY_ROOT, NULL, NULL);
        assert_status(aril_keyring_rotate(h.kr, &slot, NULL), want);
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, NULL), want);
        assert_status(aril_keyring_refresh(h.kr, NULL, NULL), want);
        assert_status(aril_keyring_backup(h.kr, temp_path("refused"), NULL), want);
        slot = slot_of(ARIL_KEY_API, "client", NULL);
    }
    aril_span after = home_read(h.path);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    free(before.data);
    free(after.data);
}

static void assert_whole(void)
{
    const char *wrong = keyring_unsound(h.kr);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
}

static void an_older_revision_is_refused_until_the_right_one_is_back(void **state)
{
    (void)state;
    aril_span old = home_read(h.path);
    home_tenant(&h, "bob");
    aril_span fresh = home_read(h.path);
    replace(old);
    assert_closed(ARIL_E_REPLAY_ROLLBACK);
    replace(fresh);
    wait_for_refresh();
    assert_whole();
    home_tenant(&h, "carol");
    assert_whole();
    home_reopen(&h);
    assert_whole();
    assert_int_equal(keyring_count(h.kr, ARIL_KEY_TENANT, ARIL_KEY_ACTIVE), 3);
    free(old.data);
    free(fresh.data);
}

static void an_older_revision_in_the_same_file_is_refused(void **state)
{
    (void)state;
    aril_span old = home_read(h.path);
    home_tenant(&h, "bob");
    aril_span fresh = home_read(h.path);
    home_write(h.path, old);
    assert_closed(ARIL_E_REPLAY_ROLLBACK);
    home_write(h.path, fresh);
    wait_for_refresh();
    assert_whole();
    free(old.data);
    free(fresh.data);
}

/* Two futures of one past. */
static void another_content_of_the_same_revision_is_refused(void **state)
{
    (void)state;
    aril_span old = home_read(h.path);
    home_tenant(&h, "bob");
    aril_span fresh = home_read(h.path);
    struct keyring_home fork;
    home_init(&fork, &w, "fork.aril", ARIL_KEYSTORE_DESTROY);
    memory_backing_free(fork.backing);
    fork.backing = h.backing;
    home_write(fork.path, old);
    home_open(&fork);
    home_tenant(&fork, "mallory");
    home_close(&fork);
    aril_span other = home_read(fork.path);
    replace(other);
    assert_closed(ARIL_E_REPLAY_ROLLBACK);
    replace(fresh);
    wait_for_refresh();
    assert_whole();
    fork.backing = NULL;
    home_done(&fork);
    free(old.data);
    free(fresh.data);
    free(other.data);
}

static void another_keyring_is_refused_also_over_the_same_keystore(void **state)
{
    (void)state;
    struct keyring_home other;
    home_init(&other, &w, "other.aril", ARIL_KEYSTORE_DESTROY);
    memory_backing_free(other.backing);
    other.backing = h.backing;
    home_make(&other, ARIL_PROFILE_ML_KEM_768, NULL);
    for (int i = 0; i < 5; i++) { /* of a higher revision */
        assert_status(aril_keyring_floor_raise(other.kr, TEXT("x"), 1 + (uint64_t)i, NULL),
                      ARIL_OK);
    }
    home_close(&other);
    aril_span right = home_read(h.path);
    aril_span wrong = home_read(other.path);
    replace(wrong);
    assert_closed(ARIL_E_AUTH);
    replace(right);
    wait_for_refresh();
    assert_whole();
    other.backing = NULL;
    home_done(&other);
    free(right.data);
    free(wrong.data);
}

static void a_changed_row_of_a_higher_revision_is_refused(void **state)
{
    (void)state;
    home_tenant(&h, "bob");
    aril_span right = home_read(h.path);
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = attack_begin(h.path);
        aril_span head = attack_blob(db, "SELECT body FROM aril_head");
        head.data[24] = 0x01; /* the revision */
        const aril_bytes body = { head.data, head.len };
        if (i == 0) {
            attack_with(db, "UPDATE aril_head SET body=?1", &body, 1);
        } else {
            attack_sql(db, "UPDATE aril_head SET mac=zeroblob(length(mac))");
        }
        free(head.data);
        attack_end(db);
        assert_closed(i == 0 ? ARIL_E_AUTH : ARIL_E_REPLAY_ROLLBACK);
        home_write(h.path, right);
        wait_for_refresh();
        assert_whole();
    }
    free(right.data);
}

static void a_file_without_tables_or_bytes_is_refused(void **state)
{
    (void)state;
    aril_span right = home_read(h.path);
    sqlite3 *db = attack_begin(h.path);
    attack_sql(db, "DROP TABLE aril_rows");
    attack_end(db);
    assert_closed(ARIL_E_FORMAT);
    replace(right);
    wait_for_refresh();
    assert_whole();
    uint8_t noise[5000];
    fill_pattern(noise, sizeof noise, 5);
    replace((aril_span){ noise, sizeof noise });
    assert_closed(ARIL_E_FORMAT_KIND);
    replace((aril_span){ noise, 0 });
    assert_closed(ARIL_E_FORMAT_TRUNCATED);
    replace(right);
    wait_for_refresh();
    assert_whole();
    free(right.data);
}

/* The same bytes in another file: a copy that was brought back. The next change goes there, and as
 * one transaction. */
static void a_change_goes_whole_to_a_file_that_was_put_in_place(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char name[24];
        aril_span same = home_read(h.path);
        replace(same);
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        switch (i) { /* no look at the file before */
        case 0:
            home_tenant(&h, name);
            break;
        case 1:
            assert_status(aril_keyring_floor_raise(h.kr, TEXT("x"), 3, NULL), ARIL_OK);
            break;
        case 2:
            assert_status(aril_keyring_backup(h.kr, temp_path("copy"), &h.error), ARIL_OK);
            temp_clear(temp_path("copy"));
            break;
        default:
            assert_status(aril_keyring_lock(h.kr, NULL), ARIL_OK);
            assert_status(aril_keyring_unlock(h.kr, NULL), ARIL_OK);
            break;
        }
        assert_whole();
        struct keyring_state here;
        struct keyring_state there;
        assert_status(keyring_state(h.kr, &here, NULL), ARIL_OK);
        home_reopen(&h);
        assert_whole();
        assert_status(keyring_state(h.kr, &there, NULL), ARIL_OK);
        assert_true(keyring_state_equal(&here, &there));
        assert_int_equal(here.info.revision, there.info.revision);
        free(same.data);
    }
}

/* The file is gone: keys in memory go on, changes are refused rather than lost. */
static void nothing_is_written_to_a_file_that_is_gone(void **state)
{
    (void)state;
    struct sealed_box other;
    const char *aside = temp_path("aside");
    assert_int_equal(rename(h.path, aside), 0);
    aril_span before = home_read(aside);
    wait_for_refresh();
    assert_status(box_open(h.kr, &box, NULL), ARIL_OK);
    assert_status(box_seal(h.kr, "alice", &other, NULL), ARIL_OK);
    assert_status(home_create(&h, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_E_IO);
    assert_error(&h.error, ARIL_E_IO, "put it back");
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_ROOT, NULL, NULL)), ARIL_E_IO);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("x"), 3, NULL), ARIL_E_IO);
    assert_status(aril_keyring_backup(h.kr, temp_path("refused"), NULL), ARIL_E_IO);
    assert_status(aril_keyring_refresh(h.kr, NULL, NULL), ARIL_E_IO);
    aril_span after = home_read(aside);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_int_equal(symlink(aside, h.path), 0); /* a link is no file of ours */
    assert_status(home_create(&h, slot_of(ARIL_KEY_TENANT, "bob", NULL)), ARIL_E_IO);
    assert_error(&h.error, ARIL_E_IO, "no regular file");
    assert_int_equal(rename(aside, h.path), 0);
    home_tenant(&h, "carol");
    home_reopen(&h);
    assert_whole();
    free(before.data);
    free(after.data);
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
        CASE(an_older_revision_is_refused_until_the_right_one_is_back),
        CASE(an_older_revision_in_the_same_file_is_refused),
        CASE(another_content_of_the_same_revision_is_refused),
        CASE(another_keyring_is_refused_also_over_the_same_keystore),
        CASE(a_changed_row_of_a_higher_revision_is_refused),
        CASE(a_file_without_tables_or_bytes_is_refused),
        CASE(a_change_goes_whole_to_a_file_that_was_put_in_place),
        CASE(nothing_is_written_to_a_file_that_is_gone),
    };
    return cmocka_run_group_tests_name("replaced file", tests, group_setup, group_teardown);
}
