/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, listing, info and verify. */
#include "keyring/keyring.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

/* --- Open ---------------------------------------------------------------------------------- */

static void what_is_no_keyring_does_not_open(void **state)
{
    aril_keyring *kr = (aril_keyring *)(void *)&h;
    (void)state;
    home_close(&h);
    assert_int_equal(rename(h.path, temp_path("away")), 0);
    assert_status(home_try_open(&h), ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, h.path);
    assert_null(h.kr);
    temp_write("keys.aril", 0600, TEXT(""));
    assert_status(home_try_open(&h), ARIL_E_FORMAT_TRUNCATED);
    temp_write("keys.aril", 0600, TEXT("no database at all, but longer than a header"));
    assert_status_class(home_try_open(&h), ARIL_E_FORMAT);
    assert_error(&h.error, h.error.status, h.path);
    temp_clear(h.path);
    assert_int_equal(symlink(temp_path("away"), h.path), 0);
    assert_true(home_try_open(&h) != ARIL_OK); /* a link, though to a keyring */
    temp_clear(h.path);
    aril_keyring_config config = home_config(&h, h.ks);
    assert_status(aril_keyring_open(w.rt, &config, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_open(w.rt, NULL, &kr, NULL), ARIL_E_USAGE_NULL);
    assert_null(kr);
    config.keystore = NULL;
    assert_status(aril_keyring_open(w.rt, &config, &kr, NULL), ARIL_E_USAGE_NULL);
    assert_int_equal(rename(temp_path("away"), h.path), 0);
    home_open(&h);
    aril_keyring_close(NULL);
}

static void another_keystore_does_not_open_it(void **state)
{
    struct memory_backing *mine = h.backing;
    (void)state;
    home_close(&h);
    h.backing = memory_backing_new();
    world_forget(&w);
    assert_true(home_try_open(&h) != ARIL_OK);
    assert_string_equal(world_last(&w, ARIL_EVENT_KEYRING).action, "open");
    assert_status(world_last(&w, ARIL_EVENT_KEYRING).status, h.error.status);
    home_close(&h);
    memory_backing_free(h.backing);
    h.backing = mine;
    home_open(&h);
}

/* --- List ---------------------------------------------------------------------------------- */

struct listed {
    size_t count, stop_after;
    struct {
        aril_key_purpose purpose;
        char owner[16], label[16];
        uint32_t version;
    } keys[64];
};

static int keep(void *user, const aril_key_info *info)
{
    struct listed *l = user;
    l->keys[l->count].purpose = info->purpose;
    memcpy(l->keys[l->count].owner, info->owner.data, info->owner.len);
    memcpy(l->keys[l->count].label, info->label.data, info->label.len);
    l->keys[l->count].version = info->version;
    l->count++;
    return l->count == l->stop_after;
}

static void make_some(void)
{
    const aril_key_slot slots[] = {
        slot_of(ARIL_KEY_TENANT, "b", NULL),  slot_of(ARIL_KEY_TENANT, "a", NULL),
        slot_of(ARIL_KEY_TENANT, "aa", NULL), slot_of(ARIL_KEY_DATA, "a", "y"),
        slot_of(ARIL_KEY_DATA, "a", "x"),     slot_of(ARIL_KEY_API, "a", NULL),
    };
    assert_status(aril_keyring_create(h.kr, slots, COUNT(slots), &h.error), ARIL_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "a", "x")), ARIL_OK);
    }
}

static void keys_are_listed_by_purpose_owner_label_and_version(void **state)
{
    struct listed l = { .count = 0 };
    (void)state;
    make_some();
    assert_status(aril_keyring_list(h.kr, NULL, keep, &l, &h.error), ARIL_OK);
    assert_int_equal(l.count, keyring_count_all(h.kr));
    for (size_t i = 1; i < l.count; i++) {
        int order = (l.keys[i - 1].purpose > l.keys[i].purpose) -
                    (l.keys[i - 1].purpose < l.keys[i].purpose);
        order = order ? order : strcmp(l.keys[i - 1].owner, l.keys[i].owner);
        order = order ? order : strcmp(l.keys[i - 1].label, l.keys[i].label);
        assert_true(order < 0 || (order == 0 && l.keys[i - 1].version + 1 == l.keys[i].version));
    }
}

static size_t count_with(const aril_key_filter *filter)
{
    struct listed l = { .count = 0 };
    assert_status(aril_keyring_list(h.kr, filter, keep, &l, &h.error), ARIL_OK);
    return l.count;
}

static void filters_are_met_all_at_once(void **state)
{
    const unsigned data = 1u << ARIL_KEY_DATA;
    const unsigned active = 1u << ARIL_KEY_ACTIVE;
    const unsigned opens = 1u << ARIL_KEY_DECRYPT_ONLY;
    (void)state;
    make_some();
    assert_int_equal(count_with(&(aril_key_filter){ .purposes = 0 }), keyring_count_all(h.kr));
    assert_int_equal(count_with(&(aril_key_filter){ .purposes = data }), 3 + 5);
    assert_int_equal(count_with(&(aril_key_filter){ .purposes = data, .owner = TEXT("a") }), 6);
    assert_int_equal(
        count_with(&(aril_key_filter){ .purposes = data, .owner = TEXT("a"), .states = active }),
        3);
    assert_int_equal(count_with(&(aril_key_filter){ .states = opens }), 3);
    assert_int_equal(count_with(&(aril_key_filter){ .states = opens, .owner = TEXT("b") }), 0);
    assert_int_equal(
        count_with(&(aril_key_filter){ .purposes = data | 1u << ARIL_KEY_API, .owner = TEXT("a") }),
        7);
    struct listed l = { .stop_after = 2 };
    assert_status(aril_keyring_list(h.kr, NULL, keep, &l, &h.error), ARIL_OK);
    assert_int_equal(l.count, 2);
    assert_status(aril_keyring_list(h.kr, NULL, NULL, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_list(NULL, NULL, keep, &l, NULL), ARIL_E_USAGE_NULL);
}

static int rotate_it(void *user, const aril_key_info *info)
{
    ++*(size_t *)user;
    return info->purpose == ARIL_KEY_DATA
               ? (int)home_rotate(&h, (aril_key_slot){ info->purpose, info->owner, info->label })
               : 0;
}

static void a_visit_may_change_the_keyring(void **state)
{
    size_t visited = 0;
    (void)state;
    home_tenant(&h, "a");
    home_tenant(&h, "b");
    const size_t before = keyring_count_all(h.kr);
    assert_status(aril_keyring_list(h.kr, NULL, rotate_it, &visited, &h.error), ARIL_OK);
    assert_int_equal(visited, before);
    assert_int_equal(keyring_count_all(h.kr), before + 2);
}

/* --- Info ---------------------------------------------------------------------------------- */

static void info_counts_what_is_due(void **state)
{
    (void)state;
    home_tenant(&h, "a");
    assert_status(home_create(&h, slot_of(ARIL_KEY_API, "c", NULL)), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).due, 0);
    fake_clock_add_s(&w.clock, UINT64_C(27) * 86400);
    assert_int_equal(keyring_info(h.kr).due, 1); /* api: 30 days */
    fake_clock_add_s(&w.clock, UINT64_C(54) * 86400);
    assert_int_equal(keyring_info(h.kr).due, 1);     /* data: 90 days */
    assert_int_equal(keyring_info(h.kr).overdue, 1); /* api, ended even */
    fake_clock_add_s(&w.clock, UINT64_C(10) * 86400);
    assert_int_equal(keyring_info(h.kr).due, 0);
    assert_int_equal(keyring_info(h.kr).overdue, 2);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "a", NULL)), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_API, "c", NULL)), ARIL_OK);
    assert_int_equal(keyring_info(h.kr).overdue, 0);
    struct key_copy key;
    keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "a", NULL), 1, &key);
    assert_int_equal(key.info.due, ARIL_KEY_NOT_DUE);
}

static void info_counts_keys_but_destroyed_ones(void **state)
{
    (void)state;
    home_tenant(&h, "a");
    home_tenant(&h, "b");
    assert_status(aril_keyring_shred(h.kr, TEXT("a"), 0, NULL, &h.error), ARIL_OK);
    const aril_keyring_info info = keyring_info(h.kr);
    assert_int_equal(info.keys[ARIL_KEY_TENANT], 1);
    assert_int_equal(info.keys[ARIL_KEY_DATA], 1);
    assert_int_equal(info.keys[ARIL_KEY_NAME], 1);
    assert_int_equal(info.keys[ARIL_KEY_ROOT], 2);
    assert_int_equal(info.keys[0], 0);
    assert_status(aril_keyring_get_info(h.kr, NULL, NULL), ARIL_E_USAGE_NULL);
}

/* --- Verify -------------------------------------------------------------------------------- */

struct verified {
    size_t count, failed, stop_after;
};
static int count_verified(void *user, const aril_key_info *info, aril_status st)
{
    struct verified *v = user;
    assert_true(info->state != ARIL_KEY_DESTROYED && info->purpose != ARIL_KEY_ROOT);
    v->failed += st != ARIL_OK;
    return ++v->count == v->stop_after;
}

static void verify_unwraps_every_key_that_lives(void **state)
{
    struct verified v = { .count = 0 };
    (void)state;
    make_some();
    assert_status(aril_keyring_shred(h.kr, TEXT("b"), 0, NULL, &h.error), ARIL_OK);
    struct home_mark mark = home_mark(&h);
    assert_status(aril_keyring_verify(h.kr, count_verified, &v, &h.error), ARIL_OK);
    /* authority, api; two tenants with data and name; y; four versions of x */
    assert_int_equal(v.count, 2 + 2 * 3 + 1 + 4);
    assert_int_equal(v.failed, 0);
    v = (struct verified){ .stop_after = 3 };
    assert_status(aril_keyring_verify(h.kr, count_verified, &v, &h.error), ARIL_OK);
    assert_int_equal(v.count, 3);
    assert_status(aril_keyring_verify(NULL, NULL, NULL, NULL), ARIL_E_USAGE_NULL);
    home_unchanged(&h, &mark);
}

/* The wrap does not bind the public key: only the MAC of the row does, and verify. */
static void verify_notices_a_public_key_of_another_secret(void **state)
{
    struct verified v = { .count = 0 };
    static const uint8_t other[ARILI_KEY_PUBLIC_BYTES_MAX] = { 7 };
    (void)state;
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    struct arili_key_row *said = NULL;
    for (size_t i = 0; i < set->key_count; i++) {
        if (set->keys[i].said.purpose == ARIL_KEY_AUTHORITY) {
            said = &set->keys[i].said;
        }
    }
    assert_non_null(said);
    const uint8_t *mine = said->public_key.data;
    said->public_key.data = other;
    assert_status(aril_keyring_verify(h.kr, count_verified, &v, &h.error), ARIL_E_AUTH);
    assert_error(&h.error, ARIL_E_AUTH, h.path);
    assert_error(&h.error, ARIL_E_AUTH, "restore a backup");
    assert_int_equal(v.failed, 1);
    said->public_key.data = mine;
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
    arili_rowset_drop(set);
}

static int stop_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    assert_true(done <= total);
    return 1;
}

static void progress_stops_a_verification(void **state)
{
    struct verified v = { .count = 0 };
    (void)state;
    home_tenant(&h, "a");
    h.config.progress = stop_at_once;
    home_reopen(&h);
    assert_status(aril_keyring_verify(h.kr, count_verified, &v, &h.error), ARIL_E_INTERRUPTED);
    assert_int_equal(v.count, 1);
    assert_error(&h.error, ARIL_E_INTERRUPTED, h.path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_keyring_does_not_open),
        TEST(another_keystore_does_not_open_it),
        TEST(keys_are_listed_by_purpose_owner_label_and_version),
        TEST(filters_are_met_all_at_once),
        TEST(a_visit_may_change_the_keyring),
        TEST(info_counts_what_is_due),
        TEST(info_counts_keys_but_destroyed_ones),
        TEST(verify_unwraps_every_key_that_lives),
        TEST(verify_notices_a_public_key_of_another_secret),
        TEST(progress_stops_a_verification),
    };
    return cmocka_run_group_tests_name("look", tests, temp_folder_make, temp_folder_remove);
}
