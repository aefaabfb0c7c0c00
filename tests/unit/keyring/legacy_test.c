/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache asks: the legacy keys of a tenant, LMCache's among them, and which key is active.
 * Keys of cachekit as such: import_test.c. */
#include "keyring/keyring.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <string.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

#define MASTER_TEXT "lmcache master key of a test, any bytes\n"
/* python3: hmac.new(b"", MASTER_TEXT, hashlib.sha256), and of bytes(range(16)). */
static const uint8_t prk_of_text[32] = {
    0x5e, 0x32, 0xb1, 0x7b, 0x2c, 0x6b, 0x19, 0x98, 0xac, 0x0d, 0xf7, 0x19, 0x0d, 0xef, 0xcb, 0xdf,
    0xb1, 0x4a, 0x25, 0xaf, 0x29, 0xa6, 0x88, 0xaf, 0xda, 0x93, 0xb7, 0xe4, 0xf6, 0xc6, 0xd8, 0xa7,
};
static const uint8_t prk_of_sixteen[32] = {
    0xd9, 0x26, 0x95, 0x2c, 0xa8, 0xb7, 0xec, 0x4a, 0x95, 0x94, 0x1d, 0x1a, 0xda, 0x3a, 0x52, 0x03,
    0xce, 0xff, 0x8c, 0xce, 0xee, 0x34, 0xf5, 0x74, 0xd2, 0x39, 0x09, 0xeb, 0x31, 0x4c, 0x40, 0xc0,
};

static aril_bytes pattern(uint64_t seed, uint8_t room[32])
{
    fill_pattern(room, 32, seed);
    return (aril_bytes){ room, 32 };
}

static aril_status import(const char *tenant, aril_bytes master)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_import_lmcache(h.kr, text_bytes(tenant), master, &h.error);
}

struct pinned {
    aril_tenant_key *keys[ARILI_LEGACY_PINNED_MAX];
    size_t count;
};

static aril_status pin(aril_keyring *kr, const char *tenant, const char *label, struct pinned *ret)
{
    *ret = (struct pinned){ .count = 0 };
    h.error = (aril_error){ .status = ARIL_OK };
    return arili_keyring_legacy(kr, text_bytes(tenant), text_bytes(label), ret->keys, &ret->count,
                                &h.error);
}

static void put(struct pinned *p)
{
    for (size_t i = 0; i < p->count; i++) {
        aril_tenant_key_put(p->keys[i]);
    }
}

/* Exactly the keys of these seeds, in that order; 0 ends. */
static void expect(const char *tenant, const char *label, const uint64_t *seeds)
{
    struct pinned p;
    uint8_t room[32];
    size_t i = 0;
    assert_status(pin(h.kr, tenant, label, &p), ARIL_OK);
    for (; seeds[i] != 0; i++) {
        assert_true(i < p.count);
        assert_memory_equal(arili_tenant_key_bytes(p.keys[i]).data, pattern(seeds[i], room).data,
                            32);
        assert_int_equal(aril_tenant_key_purpose(p.keys[i]), ARIL_KEY_LEGACY);
    }
    assert_int_equal(p.count, i);
    put(&p);
}

static void cachekit(const char *tenant, const uint64_t *seeds, size_t count)
{
    uint8_t room[ARIL_CACHEKIT_KEYS_MAX][32];
    aril_bytes keys[ARIL_CACHEKIT_KEYS_MAX];
    for (size_t i = 0; i < count; i++) {
        keys[i] = pattern(seeds[i], room[i]);
    }
    assert_status(aril_keyring_import_cachekit(h.kr, text_bytes(tenant), keys, count, &h.error),
                  ARIL_OK);
}

static void legacy_version(uint32_t version, struct key_copy *ret)
{
    keyring_key(h.kr, slot_of(ARIL_KEY_LEGACY, "alice", NULL), version, ret);
}

static void the_current_key_comes_first_then_the_newest(void **state)
{
    struct key_copy copy;
    (void)state;
    expect("alice", "", (const uint64_t[]){ 0 });
    cachekit("alice", (const uint64_t[]){ 1, 2, 3 }, 3);
    expect("alice", "", (const uint64_t[]){ 1, 2, 3, 0 });
    expect("bob", "", (const uint64_t[]){ 0 });
    expect("nobody", "", (const uint64_t[]){ 0 });
    expect("alice", "lmcache", (const uint64_t[]){ 0 });
    cachekit("alice", (const uint64_t[]){ 4, 5 }, 2);
    expect("alice", "", (const uint64_t[]){ 4, 5, 1, 2, 0 }); /* four at most: without 3 */
    home_reopen(&h);
    expect("alice", "", (const uint64_t[]){ 4, 5, 1, 2, 0 });
    legacy_version(5, &copy); /* the current one, 4 */
    assert_status(aril_keyring_retire(h.kr, copy.info.id, 0, &h.error), ARIL_OK);
    legacy_version(3, &copy); /* 1 */
    assert_status(aril_keyring_retire(h.kr, copy.info.id, 1, &h.error), ARIL_OK);
    expect("alice", "", (const uint64_t[]){ 5, 2, 3, 0 });
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, &h.error), ARIL_OK);
    expect("alice", "", (const uint64_t[]){ 0 });
}

static void pinned_keys_live_until_they_are_put_back(void **state)
{
    struct pinned p;
    uint8_t room[32];
    (void)state;
    cachekit("alice", (const uint64_t[]){ 1, 2 }, 2);
    assert_status(pin(h.kr, "alice", "", &p), ARIL_OK);
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    assert_memory_equal(arili_tenant_key_bytes(p.keys[1]).data, pattern(2, room).data, 32);
    struct pinned none;
    assert_status(pin(h.kr, "alice", "", &none), ARIL_E_KEY_LOCKED);
    assert_error(&h.error, ARIL_E_KEY_LOCKED, "aril keys unlock");
    assert_int_equal(none.count, 0);
    put(&p);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    expect("alice", "", (const uint64_t[]){ 1, 2, 0 });
}

static void a_label_that_is_none_is_refused(void **state)
{
    struct pinned p;
    (void)state;
    assert_status(pin(h.kr, "", "", &p), ARIL_E_USAGE_RANGE);
    assert_status(pin(h.kr, "alice", "\n", &p), ARIL_E_USAGE_RANGE);
}

/* --- LMCache */

static void lmcache_keys_are_the_extract_of_the_file(void **state)
{
    struct pinned p;
    uint8_t sixteen[16];
    (void)state;
    for (size_t i = 0; i < sizeof sixteen; i++) {
        sixteen[i] = (uint8_t)i;
    }
    world_forget(&w);
    assert_status(import("alice", TEXT(MASTER_TEXT)), ARIL_OK);
    assert_string_equal(world_last(&w, ARIL_EVENT_KEY).action, "import");
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_KEY, TEXT("alice")));
    assert_status(import("alice", (aril_bytes){ sixteen, sizeof sixteen }), ARIL_OK);
    home_reopen(&h);
    assert_status(pin(h.kr, "alice", "lmcache", &p), ARIL_OK);
    assert_int_equal(p.count, 2);
    assert_memory_equal(arili_tenant_key_bytes(p.keys[0]).data, prk_of_sixteen, 32);
    assert_memory_equal(arili_tenant_key_bytes(p.keys[1]).data, prk_of_text, 32);
    put(&p);
    expect("alice", "", (const uint64_t[]){ 0 }); /* none of cachekit's */
    assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_OK);
}

static void refused(const char *tenant, aril_bytes master, aril_status st)
{
    struct home_mark mark = home_mark(&h);
    assert_status(import(tenant, master), st);
    home_unchanged(&h, &mark);
}

static void lmcache_keys_out_of_range_are_refused(void **state)
{
    static const uint8_t file[4097] = { 1 };
    (void)state;
    refused("alice", (aril_bytes){ file, 15 }, ARIL_E_USAGE_RANGE);
    refused("alice", (aril_bytes){ file, 4097 }, ARIL_E_USAGE_RANGE);
    refused("alice", (aril_bytes){ NULL, 16 }, ARIL_E_USAGE_NULL);
    refused("", (aril_bytes){ file, 16 }, ARIL_E_USAGE_RANGE);
    refused("carol", (aril_bytes){ file, 16 }, ARIL_E_NOT_FOUND);
    assert_error(&h.error, ARIL_E_NOT_FOUND, "carol");
    assert_status(import("alice", (aril_bytes){ file, 16 }), ARIL_OK);
    assert_status(import("alice", (aril_bytes){ file, 4096 }), ARIL_OK);
    refused("alice", (aril_bytes){ file, 16 }, ARIL_E_EXISTS);
    refused("bob", (aril_bytes){ file, 16 }, ARIL_E_EXISTS);
    assert_status(aril_keyring_import_lmcache(NULL, TEXT("alice"), TEXT(MASTER_TEXT), NULL),
                  ARIL_E_USAGE_NULL);
}

static void nodes_get_lmcache_keys_by_bundle(void **state)
{
    struct keyring_home n;
    struct pinned p;
    (void)state;
    assert_status(import("alice", TEXT(MASTER_TEXT)), ARIL_OK);
    home_init(&n, &w, "node.aril", MEMORY_STORE_ALL);
    home_make_node(&n, &h, "n");
    assert_status(fleet_enrol(&h, &n, NULL), ARIL_OK);
    fleet_pull(&h, &n);
    assert_status(pin(n.kr, "alice", "lmcache", &p), ARIL_OK);
    assert_int_equal(p.count, 1);
    assert_memory_equal(arili_tenant_key_bytes(p.keys[0]).data, prk_of_text, 32);
    put(&p);
    struct home_mark mark = home_mark(&n);
    assert_status(aril_keyring_import_lmcache(n.kr, TEXT("bob"), TEXT(MASTER_TEXT), &n.error),
                  ARIL_E_USAGE_STATE);
    home_unchanged(&n, &mark);
    home_done(&n);
}

/* --- Active or not */

static aril_tenant_key *sealing(const char *tenant, aril_key_purpose purpose)
{
    aril_tenant_key *key = NULL;
    assert_status(aril_keyring_tenant_key(h.kr, text_bytes(tenant), purpose, &key, &h.error),
                  ARIL_OK);
    return key;
}

static void a_key_is_active_until_its_successor_is(void **state)
{
    aril_tenant_key *const first = sealing("alice", ARIL_KEY_DATA);
    aril_tenant_key *const name = sealing("alice", ARIL_KEY_NAME);
    aril_tenant_key *const bobs = sealing("bob", ARIL_KEY_DATA);
    struct pinned p;
    (void)state;
    assert_true(arili_tenant_key_is_active(h.kr, first));
    assert_true(arili_tenant_key_is_active(h.kr, name));
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    aril_tenant_key *const second = sealing("alice", ARIL_KEY_DATA);
    assert_false(arili_tenant_key_is_active(h.kr, first));
    assert_true(arili_tenant_key_is_active(h.kr, second));
    assert_true(arili_tenant_key_is_active(h.kr, name));
    assert_true(arili_tenant_key_is_active(h.kr, bobs));
    cachekit("alice", (const uint64_t[]){ 1 }, 1);
    assert_status(pin(h.kr, "alice", "", &p), ARIL_OK);
    assert_true(arili_tenant_key_is_active(h.kr, p.keys[0]));
    put(&p);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, NULL, &h.error), ARIL_OK);
    assert_false(arili_tenant_key_is_active(h.kr, second));
    assert_true(arili_tenant_key_is_active(h.kr, bobs));
    aril_tenant_key_put(first);
    aril_tenant_key_put(second);
    aril_tenant_key_put(name);
    aril_tenant_key_put(bobs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_current_key_comes_first_then_the_newest),
        TEST(pinned_keys_live_until_they_are_put_back),
        TEST(a_label_that_is_none_is_refused),
        TEST(lmcache_keys_are_the_extract_of_the_file),
        TEST(lmcache_keys_out_of_range_are_refused),
        TEST(nodes_get_lmcache_keys_by_bundle),
        TEST(a_key_is_active_until_its_successor_is),
    };
    return cmocka_run_group_tests_name("legacy", tests, temp_folder_make, temp_folder_remove);
}
