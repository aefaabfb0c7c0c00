/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive of the proxy's keys and names fails once: the keys that are
 * published are whole, old or new; access ends also without memory; no name and no field comes out
 * half made. */
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "provider.h"
#include "proxy_tenant.h"
#include "temp_folder.h"
#include <string.h>

static struct faulty_crypto *crypto;
static struct world w;
static struct keyring_home h;
static struct arili_tenant *alice;

static int setup(void **state)
{
    (void)state;
    crypto = faulty_crypto_new(provider());
    assert_non_null(crypto);
    world_init_over(&w, faulty_crypto_table(crypto));
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    alice = proxy_tenant(&h, "alice", "redis", true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arili_tenant_free(alice);
    home_done(&h);
    world_done(&w);
    assert_int_equal(faulty_crypto_alive(crypto), 0);
    faulty_crypto_free(crypto);
    return 0;
}

static void arm(bool alloc, unsigned nth)
{
    if (alloc) {
        fault_alloc_arm(nth);
    } else {
        faulty_crypto_arm(crypto, nth, ARIL_E_CRYPTO);
    }
}

/* Whether it was reached. */
static bool disarm(bool alloc)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(crypto);
    return alloc ? fault_alloc_fired() : faulty_crypto_fired(crypto);
}

static aril_status wanted(bool alloc)
{
    return alloc ? ARIL_E_NOMEM : ARIL_E_CRYPTO;
}

/* The keys work: a name that is made with them opens. */
static void check_whole(void)
{
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len = 0;
    struct arili_tenant_keys *k = proxy_keys(alice);
    const struct arili_place p = proxy_place(alice, "{a}key");
    assert_status(arili_place_open(alice, k, 0, (aril_bytes){ (const uint8_t *)p.name, p.name_len },
                                   room, &len),
                  ARIL_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(k->naming.key_id, aril_tenant_key_id(k->name), ARIL_KEY_ID_BYTES);
    arili_tenant_keys_drop(k);
}

/* --- Keys ---------------------------------------------------------------------------------- */

static void a_tenant_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct arili_tenant *t = alice;
        arm(true, n);
        const aril_status st = arili_tenant_new(TEXT("bob"), "redis", true, &t);
        if (!disarm(true)) {
            assert_status(st, ARIL_OK);
            assert_int_equal(n, 4); /* itself, its keys and the spare ones */
            arili_tenant_free(t);
            return;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_ptr_equal(t, alice);
    }
}

static void the_first_refresh_may_fail_and_the_next_one_works(void **state)
{
    (void)state;
    for (int alloc = 0; alloc < 2; alloc++) {
        bool fired = true;
        unsigned n = 1;
        for (; fired; n++) {
            struct arili_tenant *t = NULL;
            assert_status(arili_tenant_new(TEXT("alice"), "redis", true, &t), ARIL_OK);
            aril_keyring_forget(h.kr);
            arm(alloc, n);
            proxy_refresh(&h, t);
            fired = disarm(alloc);
            const aril_status st = proxy_status(t);
            assert_true(st == ARIL_OK || (fired && st == ARIL_E_KEYSTORE_BUSY));
            proxy_refresh(&h, t);
            assert_status(proxy_status(t), ARIL_OK);
            arili_tenant_free(t);
        }
        assert_true(n > 3);
    }
}

/* What changes the keys, and what a refresh without a fault then shows. */
static void rotate_data(void)
{
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
}
static void rotate_name(void)
{
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_NAME, "alice", NULL)), ARIL_OK);
}
static void bump(void)
{
    static uint64_t floor;
    proxy_bump(&h, "alice", "redis", ++floor);
}

static void a_refresh_that_fails_leaves_the_keys_that_were_there(void **state)
{
    (void)state;
    static void (*const changes[])(void) = { rotate_data, rotate_name, bump };
    for (size_t i = 0; i < 2 * COUNT(changes); i++) {
        const bool alloc = i % 2 == 1;
        bool fired = true;
        unsigned n = 1;
        for (; fired; n++) {
            struct arili_tenant_keys *before = proxy_keys(alice);
            changes[i / 2]();
            aril_keyring_forget(h.kr);
            arm(alloc, n);
            proxy_refresh(&h, alice);
            fired = disarm(alloc);
            check_whole();
            struct arili_tenant_keys *after = proxy_keys(alice);
            assert_true(fired || after != before);
            arili_tenant_keys_drop(after);
            proxy_refresh(&h, alice);
            after = proxy_keys(alice);
            assert_ptr_not_equal(after, before);
            check_whole();
            arili_tenant_keys_drop(after);
            arili_tenant_keys_drop(before);
        }
        assert_true(n > 2);
    }
}

/* Time after time, whichever allocation fails. */
static void access_ends_without_memory(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        const unsigned n = 1 + i / 2;
        assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
        arm(true, n);
        proxy_refresh(&h, alice);
        (void)disarm(true);
        assert_status(proxy_status(alice), ARIL_E_KEY_LOCKED);
        assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
        /* As long as the next end could not be told, keys do not come back. */
        arm(true, 1);
        proxy_refresh(&h, alice);
        assert_true(disarm(true));
        assert_status(proxy_status(alice), ARIL_E_KEY_LOCKED);
        proxy_refresh(&h, alice);
        check_whole();
    }
}

static void another_reason_waits_for_memory(void **state)
{
    (void)state;
    aril_shred_info info;
    assert_status(aril_keyring_lock(h.kr, &h.error), ARIL_OK);
    proxy_refresh(&h, alice);
    assert_status(aril_keyring_unlock(h.kr, &h.error), ARIL_OK);
    assert_status(aril_keyring_shred(h.kr, TEXT("alice"), 0, &info, &h.error), ARIL_OK);
    arm(true, 1);
    proxy_refresh(&h, alice);
    assert_true(disarm(true));
    assert_status(proxy_status(alice), ARIL_E_KEY_LOCKED);
    proxy_refresh(&h, alice);
    assert_status(proxy_status(alice), ARIL_E_KEY_DESTROYED);
}

/* --- Names --------------------------------------------------------------------------------- */

static void a_cache_of_names_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (int alloc = 0; alloc < 2; alloc++) {
        struct arili_name_cache *cache = (struct arili_name_cache *)&w;
        arm(alloc, 1);
        const aril_status st = arili_name_cache_new(w.rt, &cache);
        assert_true(disarm(alloc));
        assert_status(st, wanted(alloc));
        assert_ptr_equal(cache, &w);
    }
    arili_name_cache_free(NULL);
}

static void a_name_that_could_not_be_made_is_not_kept(void **state)
{
    (void)state;
    struct arili_tenant_keys *k = proxy_keys(alice);
    const struct arili_place want = proxy_place(alice, "{a}key");
    unsigned n = 1;
    for (bool fired = true; fired; n++) {
        struct arili_name_cache *cache = NULL;
        struct arili_place p;
        assert_status(arili_name_cache_new(w.rt, &cache), ARIL_OK);
        arm(false, n);
        const aril_status st = arili_place_make(cache, alice, k, 0, TEXT("{a}key"), &p);
        fired = disarm(false);
        assert_status(st, fired ? ARIL_E_CRYPTO : ARIL_OK);
        for (unsigned again = 0; again < 2; again++) {
            assert_status(arili_place_make(cache, alice, k, 0, TEXT("{a}key"), &p), ARIL_OK);
            assert_int_equal(p.name_len, want.name_len);
            assert_memory_equal(p.name, want.name, p.name_len);
            assert_memory_equal(p.context, want.context, sizeof p.context);
        }
        arili_name_cache_free(cache);
    }
    assert_int_equal(n, 5); /* context, hash tag, SIV; and once without a fault */
    arili_tenant_keys_drop(k);
}

/* Making a name, hit or miss, opening one, sealing and opening a field: no memory of ours. */
static void names_and_fields_take_no_memory(void **state)
{
    (void)state;
    struct arili_tenant_keys *k = proxy_keys(alice);
    struct arili_name_cache *cache = NULL;
    struct arili_place p;
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    uint8_t sealed[ARILI_SEALED_NAME_BYTES(5)];
    size_t len;
    assert_status(arili_name_cache_new(w.rt, &cache), ARIL_OK);
    arm(true, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_status(arili_place_make(cache, alice, k, 0, TEXT("{a}key"), &p), ARIL_OK);
        assert_status(arili_place_open(alice, k, 0,
                                       (aril_bytes){ (const uint8_t *)p.name, p.name_len }, room,
                                       &len),
                      ARIL_OK);
        assert_status(
            arili_inner_seal(alice, k, &p, ARILI_INNER_FIELD, TEXT("field"), sealed, &len),
            ARIL_OK);
        assert_status(arili_inner_open(alice, k, &p, ARILI_INNER_FIELD, (aril_bytes){ sealed, len },
                                       room, &len),
                      ARIL_OK);
    }
    assert_false(disarm(true));
    arili_name_cache_free(cache);
    arili_tenant_keys_drop(k);
}

static void a_failure_is_not_taken_for_a_name_of_others(void **state)
{
    (void)state;
    struct arili_tenant_keys *k = proxy_keys(alice);
    const struct arili_place p = proxy_place(alice, "{a}key");
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    unsigned n = 1;
    for (bool fired = true; fired; n++) {
        size_t len = 99;
        memset(room, GUARD_FILLER, sizeof room);
        arm(false, n);
        const aril_status st = arili_place_open(
            alice, k, 0, (aril_bytes){ (const uint8_t *)p.name, p.name_len }, room, &len);
        fired = disarm(false);
        assert_status(st, fired ? ARIL_E_CRYPTO : ARIL_OK);
        assert_true(!fired || (len == 99 && is_filled(room, sizeof room, GUARD_FILLER)));
    }
    assert_int_equal(n, 4); /* SIV and hash tag */
    arili_tenant_keys_drop(k);
}

/* --- Fields and members --------------------------------------------------------------------- */

static void a_field_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const aril_bytes texts[] = { TEXT(""), TEXT("text") };
    struct arili_tenant_keys *k = proxy_keys(alice);
    const struct arili_place p = proxy_place(alice, "key");
    for (size_t i = 0; i < 4; i++) {
        const enum arili_inner what = i % 2 == 0 ? ARILI_INNER_FIELD : ARILI_INNER_MEMBER;
        uint8_t sealed[ARILI_SEALED_NAME_BYTES(4)], out[ARILI_SEALED_NAME_BYTES(4)];
        size_t len = 99;
        arm(false, 1);
        assert_status(arili_inner_seal(alice, k, &p, what, texts[i / 2], sealed, &len),
                      ARIL_E_CRYPTO);
        assert_true(disarm(false));
        assert_int_equal(len, 99);
        assert_status(arili_inner_seal(alice, k, &p, what, texts[i / 2], sealed, &len), ARIL_OK);
        size_t opened = 99;
        memset(out, GUARD_FILLER, sizeof out);
        arm(false, 1);
        assert_status(
            arili_inner_open(alice, k, &p, what, (aril_bytes){ sealed, len }, out, &opened),
            ARIL_E_CRYPTO);
        assert_true(disarm(false));
        assert_int_equal(opened, 99);
        assert_true(is_filled(out, len, 0));
    }
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    arm(false, 1);
    assert_status(arili_field_context(alice, k, 0, TEXT("key"), TEXT("f"), context), ARIL_E_CRYPTO);
    assert_true(disarm(false));
    arili_tenant_keys_drop(k);
}

static int group_setup(void **state)
{
    return provider_setup(state) != 0 ? -1 : temp_folder_make_quick(state);
}
static int group_teardown(void **state)
{
    const int removed = temp_folder_remove(state);
    return provider_teardown(state) != 0 ? -1 : removed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tenant_is_made_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_refresh_may_fail_and_the_next_one_works, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refresh_that_fails_leaves_the_keys_that_were_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(access_ends_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(another_reason_waits_for_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cache_of_names_is_made_whole_or_not_at_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_could_not_be_made_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_fields_take_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_is_not_taken_for_a_name_of_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_field_that_fails_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
