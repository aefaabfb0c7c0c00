/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/contexts.h"
#include "check.h"
#include "faulty_crypto.h"
#include "memory_find.h"
#include "provider.h"
#include <string.h>

#define PLACES (ARILI_CONTEXT_WAYS * ARILI_CONTEXT_SETS)
#define MASK   0xc3

static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 1 };
static const aril_bytes none = { NULL, 0 };

struct tag {
    uint8_t bytes[ARILI_AEAD_TAG_BYTES];
};

static struct faulty_crypto *faulty;
static const struct arili_crypto *crypto;
static struct arili_contexts *cache;

static int setup(void **state)
{
    (void)state;
    faulty = faulty_crypto_new(provider());
    if (faulty == NULL) {
        return -1;
    }
    crypto = faulty_crypto_table(faulty);
    return arili_contexts_new(crypto, &cache) == ARIL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arili_contexts_free(cache);
    const unsigned left = faulty_crypto_alive(faulty);
    faulty_crypto_free(faulty);
    return left == 0 ? 0 : -1;
}

static void make_key(uint64_t n, uint8_t ret[ARILI_AEAD_KEY_BYTES])
{
    provider_pattern(ret, ARILI_AEAD_KEY_BYTES, (unsigned)n);
}

/* The tag of the empty message tells which key a context has. */
static struct tag tag_of(struct arili_aead_ctx *ctx)
{
    struct tag t;
    assert_status(crypto->ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, t.bytes), ARIL_OK);
    return t;
}

static struct tag tag_of_key(uint64_t n)
{
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    struct arili_aead_ctx *ctx = NULL;
    make_key(n, key);
    assert_status(crypto->ops->aead_new(crypto->provider, &ctx), ARIL_OK);
    assert_status(crypto->ops->aead_key(ctx, key), ARIL_OK);
    const struct tag t = tag_of(ctx);
    crypto->ops->aead_free(ctx);
    return t;
}

static struct arili_context_lease lease_of(uint64_t uid)
{
    struct arili_context_lease lease;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    make_key(uid, key);
    assert_status(arili_contexts_get(cache, uid, key, &lease), ARIL_OK);
    return lease;
}

static void assert_lease_is_of(uint64_t uid)
{
    struct arili_context_lease lease = lease_of(uid);
    const struct tag got = tag_of(lease.ctx);
    const struct tag want = tag_of_key(uid);
    assert_memory_equal(got.bytes, want.bytes, sizeof got.bytes);
    arili_contexts_put(cache, &lease);
    assert_null(lease.ctx);
}

/* Calls of the table that one get and put needs: 0 when the key is there, 1 to key a
 * context anew, 2 with a new context. */
static unsigned cost_of(uint64_t uid)
{
    const unsigned before = faulty_crypto_calls(faulty);
    struct arili_context_lease lease = lease_of(uid);
    arili_contexts_put(cache, &lease);
    return faulty_crypto_calls(faulty) - before;
}

static void a_key_is_set_up_once(void **state)
{
    (void)state;
    assert_int_equal(cost_of(1), 2);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(cost_of(1), 0);
    }
    assert_lease_is_of(1);
}

static void keys_are_never_mixed_up(void **state)
{
    (void)state;
    /* Far more keys than places, met again in three orders. */
    for (uint64_t uid = 1; uid <= 5 * PLACES; uid++) {
        assert_lease_is_of(uid);
    }
    for (uint64_t uid = 5 * PLACES; uid >= 1; uid--) {
        assert_lease_is_of(uid);
    }
    for (uint64_t i = 1; i <= 5 * PLACES; i++) {
        assert_lease_is_of(1 + i * 37 % (5 * PLACES));
    }
    assert_lease_is_of(UINT64_MAX);
}

static void a_full_set_gives_up_what_was_used_longest_ago(void **state)
{
    uint64_t uids[ARILI_CONTEXT_WAYS + 1];
    (void)state;
    for (unsigned i = 0; i <= ARILI_CONTEXT_WAYS; i++) {
        uids[i] = 3 + i * ARILI_CONTEXT_SETS; /* all in one set */
    }
    for (unsigned i = 0; i < ARILI_CONTEXT_WAYS; i++) {
        assert_int_equal(cost_of(uids[i]), 2);
    }
    assert_int_equal(cost_of(uids[0]), 0); /* now uids[1] is the oldest */
    assert_int_equal(cost_of(uids[ARILI_CONTEXT_WAYS]), 1);
    assert_int_equal(cost_of(uids[0]), 0);
    for (unsigned i = 2; i <= ARILI_CONTEXT_WAYS; i++) {
        assert_int_equal(cost_of(uids[i]), 0);
    }
    assert_int_equal(cost_of(uids[1]), 1);
}

static void contexts_are_bounded_and_later_leases_allocate_none(void **state)
{
    (void)state;
    for (uint64_t uid = 1; uid <= 10 * PLACES; uid++) {
        assert_true(cost_of(uid) <= 2);
    }
    assert_int_equal(faulty_crypto_alive(faulty), PLACES);
    for (uint64_t uid = 1; uid <= 10 * PLACES; uid++) {
        assert_true(cost_of(uid) <= 1);
    }
}

static void forgotten_keys_are_set_up_again_in_the_same_place(void **state)
{
    (void)state;
    assert_int_equal(cost_of(1), 2);
    assert_int_equal(cost_of(2), 2);
    arili_contexts_forget(cache, 1);
    assert_int_equal(cost_of(2), 0);
    assert_int_equal(cost_of(1), 1);
    arili_contexts_forget(cache, 999);
    arili_contexts_forget(cache, 0);
    assert_int_equal(cost_of(1), 0);
    assert_lease_is_of(1);
}

static void forgetting_removes_the_key_from_memory(void **state)
{
    uint8_t masked[ARILI_AEAD_KEY_BYTES];
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    struct arili_context_lease lease;
    (void)state;
    assert_status(provider()->ops->random(provider()->provider, masked, sizeof masked), ARIL_OK);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = masked[i] ^ MASK;
    }
    assert_status(arili_contexts_get(cache, 7, key, &lease), ARIL_OK);
    (void)tag_of(lease.ctx);
    arili_contexts_put(cache, &lease);
    assert_status(arili_contexts_get(cache, 0, key, &lease), ARIL_OK);
    (void)tag_of(lease.ctx);
    arili_contexts_put(cache, &lease); /* wipes: only the first is left */
    memset(key, 0, sizeof key);
    const size_t before = memory_find(masked, MASK);
    arili_contexts_forget(cache, 7);
    assert_int_equal(memory_find(masked, MASK), 0);
    if (before == 0) {
        print_message("the key schedule was not found in memory, so this proves nothing here\n");
        skip();
    }
    assert_int_equal(before, 1);
}

static void one_off_keys_are_not_remembered(void **state)
{
    struct arili_context_lease lease;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    (void)state;
    make_key(11, key);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(arili_contexts_get(cache, 0, key, &lease), ARIL_OK);
        const struct tag got = tag_of(lease.ctx);
        const struct tag want = tag_of_key(11);
        assert_memory_equal(got.bytes, want.bytes, sizeof got.bytes);
        struct arili_aead_ctx *const ctx = lease.ctx;
        arili_contexts_put(cache, &lease);
        /* Only a test may look at it now: the key is gone. */
        uint8_t tag[ARILI_AEAD_TAG_BYTES];
        assert_status(crypto->ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, tag),
                      ARIL_E_USAGE_STATE);
    }
    assert_int_equal(faulty_crypto_alive(faulty), 1);
}

static void a_one_off_lease_may_come_without_a_key(void **state)
{
    struct arili_context_lease lease;
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    (void)state;
    make_key(1, key);
    assert_status(arili_contexts_get(cache, 0, key, &lease), ARIL_OK);
    arili_contexts_put(cache, &lease);
    assert_status(arili_contexts_get(cache, 0, NULL, &lease), ARIL_OK);
    assert_status(crypto->ops->aead_seal(lease.ctx, nonce, none, NULL, 0, NULL, tag),
                  ARIL_E_USAGE_STATE);
    arili_contexts_put(cache, &lease);
    assert_status(arili_contexts_get(cache, 5, NULL, &lease), ARIL_E_USAGE_NULL);
}

static void a_thread_may_hold_several_leases(void **state)
{
    struct arili_context_lease leases[10];
    (void)state;
    for (uint64_t i = 0; i < COUNT(leases); i++) {
        leases[i] = lease_of(1 + i % 3); /* also the same key twice */
    }
    for (uint64_t i = 0; i < COUNT(leases); i++) {
        const struct tag got = tag_of(leases[i].ctx);
        const struct tag want = tag_of_key(1 + i % 3);
        assert_memory_equal(got.bytes, want.bytes, sizeof got.bytes);
        for (uint64_t k = 0; k < i; k++) {
            assert_ptr_not_equal(leases[i].ctx, leases[k].ctx);
        }
    }
    for (size_t i = 0; i < COUNT(leases); i++) {
        arili_contexts_put(cache, &leases[i]);
    }
    /* A forgotten key is gone from all of these shards. */
    arili_contexts_forget(cache, 1);
    for (uint64_t i = 0; i < COUNT(leases); i++) {
        const unsigned before = faulty_crypto_calls(faulty);
        leases[i] = lease_of(1);
        assert_true(faulty_crypto_calls(faulty) > before);
    }
    for (size_t i = 0; i < COUNT(leases); i++) {
        arili_contexts_put(cache, &leases[i]);
    }
}

/* One thread may have more messages in pieces under way than there are places for their keys. */
static void one_off_leases_never_wait(void **state)
{
    static struct arili_context_lease leases[3 * ARILI_CONTEXT_SHARDS];
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    (void)state;
    for (unsigned i = 0; i < COUNT(leases); i++) {
        make_key(i, key);
        assert_status(arili_contexts_get(cache, 0, key, &leases[i]), ARIL_OK);
    }
    assert_int_equal(faulty_crypto_alive(faulty), COUNT(leases));
    for (unsigned i = 0; i < COUNT(leases); i++) {
        const struct tag got = tag_of(leases[i].ctx);
        const struct tag want = tag_of_key(i);
        assert_memory_equal(got.bytes, want.bytes, sizeof got.bytes);
    }
    /* Those that found no place fail alone, and are gone with their lease. */
    struct arili_context_lease none_left = { 0 };
    for (unsigned n = 1; n <= 2; n++) {
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
        assert_status(arili_contexts_get(cache, 0, key, &none_left), ARIL_E_CRYPTO);
        assert_null(none_left.ctx);
        assert_int_equal(faulty_crypto_alive(faulty), COUNT(leases));
    }
    for (unsigned i = 0; i < COUNT(leases); i++) {
        arili_contexts_put(cache, &leases[i]);
    }
    assert_int_equal(faulty_crypto_alive(faulty), ARILI_CONTEXT_SHARDS);
    assert_int_equal(cost_of(1), 2); /* keys that are remembered have places of their own */
}

static void a_failure_gives_no_lease_and_blocks_nothing(void **state)
{
    struct arili_context_lease lease = { 0 };
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    (void)state;
    make_key(1, key);
    for (uint64_t uid = 0; uid <= 1; uid++) {
        for (unsigned n = 1; n <= 2; n++) {
            faulty_crypto_arm(faulty, n, ARIL_E_NOMEM);
            assert_status(arili_contexts_get(cache, uid, key, &lease), ARIL_E_NOMEM);
            assert_true(faulty_crypto_fired(faulty));
            assert_null(lease.ctx);
        }
    }
    assert_lease_is_of(1);
    /* A context whose keying failed holds no key: not the old one, not half of one. */
    for (uint64_t uid = 1 + ARILI_CONTEXT_SETS; uid < 1 + 4 * ARILI_CONTEXT_SETS;
         uid += ARILI_CONTEXT_SETS) {
        assert_lease_is_of(uid);
    }
    make_key(1 + 4 * ARILI_CONTEXT_SETS, key);
    faulty_crypto_arm(faulty, 1, ARIL_E_CRYPTO);
    assert_status(arili_contexts_get(cache, 1 + 4 * ARILI_CONTEXT_SETS, key, &lease),
                  ARIL_E_CRYPTO);
    assert_int_equal(cost_of(1), 1); /* it had to give up its place */
    assert_int_equal(cost_of(1 + ARILI_CONTEXT_SETS), 0);
    assert_int_equal(cost_of(1 + 4 * ARILI_CONTEXT_SETS), 1);
    assert_lease_is_of(1 + 4 * ARILI_CONTEXT_SETS);
    assert_lease_is_of(1);
}

static void uids_are_unique_and_not_zero(void **state)
{
    uint64_t last = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t uid = arili_contexts_uid(cache);
        assert_true(uid > last);
        last = uid;
    }
    arili_contexts_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_set_up_once),
        TEST(keys_are_never_mixed_up),
        TEST(a_full_set_gives_up_what_was_used_longest_ago),
        TEST(contexts_are_bounded_and_later_leases_allocate_none),
        TEST(forgotten_keys_are_set_up_again_in_the_same_place),
        TEST(forgetting_removes_the_key_from_memory),
        TEST(one_off_keys_are_not_remembered),
        TEST(a_one_off_lease_may_come_without_a_key),
        TEST(a_thread_may_hold_several_leases),
        TEST(one_off_leases_never_wait),
        TEST(a_failure_gives_no_lease_and_blocks_nothing),
        TEST(uids_are_unique_and_not_zero),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
