/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "check.h"
#include "memory_find.h"
#include "provider.h"
#include <string.h>

/* What holds for every AEAD is in tests/contract/aead_contract.c. */

#define MASK 0x5a

/* The key is never in memory unmasked but where the provider put it. */
static void key_context(struct arili_aead_ctx *ctx, const uint8_t *masked)
{
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = masked[i] ^ MASK;
    }
    assert_status(provider()->ops->aead_key(ctx, key), ARIL_OK);
    arili_wipe(key, sizeof key);
}

static void seal_something(struct arili_aead_ctx *ctx)
{
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 7 };
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    uint8_t body[100] = { 0 };
    const aril_bytes span = { body, sizeof body };
    assert_status(
        provider()->ops->aead_seal(ctx, nonce, (aril_bytes){ NULL, 0 }, &span, 1, body, tag),
        ARIL_OK);
}

static void use_blocks(struct arili_aead_ctx *ctx, const uint8_t *masked)
{
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t block[16] = { 0 };
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = masked[i] ^ MASK;
    }
    assert_status(provider()->ops->aead_blocks(ctx, key, block, 1, block), ARIL_OK);
    arili_wipe(key, sizeof key);
}

/* The first round keys of AES-256 are the key itself, so a schedule can be found. */
static void wiping_removes(void (*use)(struct arili_aead_ctx *ctx, const uint8_t *masked))
{
    struct arili_aead_ctx *ctx = NULL;
    uint8_t masked[ARILI_AEAD_KEY_BYTES];
    assert_status(provider()->ops->random(provider()->provider, masked, sizeof masked), ARIL_OK);
    assert_int_equal(memory_find(masked, MASK), 0);
    assert_status(provider()->ops->aead_new(provider()->provider, &ctx), ARIL_OK);
    use(ctx, masked);
    const size_t before = memory_find(masked, MASK);
    provider()->ops->aead_wipe(ctx);
    const size_t after_wipe = memory_find(masked, MASK);
    use(ctx, masked);
    provider()->ops->aead_free(ctx);
    const size_t after_free = memory_find(masked, MASK);
    assert_int_equal(after_wipe, 0);
    assert_int_equal(after_free, 0);
    if (before == 0) {
        print_message("the key schedule was not found in memory, so this proves nothing here\n");
        skip();
    }
}

static void use_messages(struct arili_aead_ctx *ctx, const uint8_t *masked)
{
    key_context(ctx, masked);
    seal_something(ctx);
}

static void wiping_removes_the_key_from_memory(void **state)
{
    (void)state;
    wiping_removes(use_messages);
}

static void wiping_removes_the_key_of_blocks_from_memory(void **state)
{
    (void)state;
    wiping_removes(use_blocks);
}

static void a_body_over_the_limit_of_gcm_is_refused_before_it_is_read(void **state)
{
    static const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 2 };
    const size_t too_long = (size_t)ARILI_AEAD_PLAIN_BYTES_MAX + 1;
    struct arili_aead_ctx *ctx = NULL;
    uint8_t tag[ARILI_AEAD_TAG_BYTES] = { 0 };
    uint8_t byte = 0;
    (void)state;
    assert_status(provider()->ops->aead_new(provider()->provider, &ctx), ARIL_OK);
    assert_status(provider()->ops->aead_key(ctx, key), ARIL_OK);
    const aril_bytes none = { NULL, 0 };
    const aril_bytes huge = { &byte, too_long };
    const aril_span huge_out = { &byte, too_long };
    const aril_bytes sum[] = { { &byte, 1 }, { &byte, (size_t)ARILI_AEAD_PLAIN_BYTES_MAX } };
    uint8_t out[2];
    assert_status(provider()->ops->aead_seal(ctx, nonce, none, &huge, 1, out, tag),
                  ARIL_E_USAGE_RANGE);
    assert_status(provider()->ops->aead_seal(ctx, nonce, none, sum, 2, out, tag),
                  ARIL_E_USAGE_RANGE);
    assert_status(provider()->ops->aead_open(ctx, nonce, none, huge, tag, &huge_out, 1),
                  ARIL_E_USAGE_RANGE);
    provider()->ops->aead_free(ctx);
}

/* FIPS 197 C.3, twice, and a case that stays in place. */
static void aes_blocks_are_aes_256(void **state)
{
    static const uint8_t want[16] = { 0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                      0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89 };
    const struct arili_crypto *const c = provider();
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t blocks[33];
    (void)state;
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < 32; i++) {
        blocks[i] = (uint8_t)(i % 16 * 0x11);
    }
    blocks[32] = 0xaa;
    assert_status(c->ops->aes_blocks(c->provider, key, blocks, 2, blocks), ARIL_OK);
    assert_memory_equal(blocks, want, 16);
    assert_memory_equal(blocks + 16, want, 16);
    assert_int_equal(blocks[32], 0xaa);
    assert_status(c->ops->aes_blocks(c->provider, key, blocks, 0, blocks), ARIL_OK);
    assert_memory_equal(blocks, want, 16);
    assert_status(c->ops->aes_blocks(c->provider, key, blocks, SIZE_MAX / 16, blocks),
                  ARIL_E_USAGE_RANGE);
}

/* The same blocks, under a key that is given once. */
static void a_context_keeps_the_key_of_blocks(void **state)
{
    const struct arili_crypto *const c = provider();
    struct arili_aead_ctx *ctx = NULL;
    uint8_t keys[2][ARILI_AEAD_KEY_BYTES] = { { 1 }, { 2 } };
    uint8_t in[48] = { 3 };
    uint8_t want[48], got[48];
    (void)state;
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    memset(got, 0xaa, sizeof got);
    assert_status(c->ops->aead_blocks(ctx, NULL, in, 1, got), ARIL_E_USAGE_STATE);
    assert_status(c->ops->aead_blocks(ctx, keys[0], in, SIZE_MAX / 16, got), ARIL_E_USAGE_RANGE);
    assert_true(provider_all(got, sizeof got, 0xaa));
    for (size_t i = 0; i < 2; i++) {
        assert_status(c->ops->aes_blocks(c->provider, keys[i], in, 3, want), ARIL_OK);
        assert_status(c->ops->aead_blocks(ctx, keys[i], in, 3, got), ARIL_OK);
        assert_memory_equal(got, want, sizeof want);
        for (size_t n = 0; n <= 3; n++) { /* in calls of every length: nothing stays behind */
            memset(got, 0xaa, sizeof got);
            assert_status(c->ops->aead_blocks(ctx, NULL, in, n, got), ARIL_OK);
            assert_memory_equal(got, want, 16 * n);
            assert_true(provider_all(got + 16 * n, sizeof got - 16 * n, 0xaa));
        }
    }
    c->ops->aead_wipe(ctx);
    assert_status(c->ops->aead_blocks(ctx, NULL, in, 1, got), ARIL_E_USAGE_STATE);
    assert_status(c->ops->aead_blocks(ctx, keys[0], in, 3, in), ARIL_OK); /* in place */
    c->ops->aead_free(ctx);
}

static void the_key_of_blocks_is_not_that_of_messages(void **state)
{
    static const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    static const uint8_t other[ARILI_AEAD_KEY_BYTES] = { 2 };
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 7 };
    const struct arili_crypto_ops *const ops = provider()->ops;
    const aril_bytes none = { NULL, 0 };
    struct arili_aead_ctx *ctx = NULL;
    uint8_t tag[ARILI_AEAD_TAG_BYTES], again[ARILI_AEAD_TAG_BYTES];
    uint8_t block[16] = { 0 };
    (void)state;
    assert_status(ops->aead_new(provider()->provider, &ctx), ARIL_OK);
    assert_status(ops->aead_blocks(ctx, other, block, 1, block), ARIL_OK);
    assert_status(ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, tag), ARIL_E_USAGE_STATE);
    assert_status(ops->aead_key(ctx, key), ARIL_OK);
    assert_status(ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, tag), ARIL_OK);
    assert_status(ops->aead_blocks(ctx, NULL, block, 1, block), ARIL_OK);
    assert_status(ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, again), ARIL_OK);
    assert_memory_equal(tag, again, sizeof tag);
    ops->aead_free(ctx);
}

static void failed_tags_leave_no_error_behind(void **state)
{
    static const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 2 };
    static const uint8_t tag[ARILI_AEAD_TAG_BYTES] = { 3 };
    const aril_bytes none = { NULL, 0 };
    struct arili_aead_ctx *ctx = NULL;
    (void)state;
    assert_status(provider()->ops->aead_new(provider()->provider, &ctx), ARIL_OK);
    assert_status(provider()->ops->aead_key(ctx, key), ARIL_OK);
    assert_status(provider()->ops->aead_open(ctx, nonce, none, none, tag, NULL, 0), ARIL_E_AUTH);
    assert_true(provider_is_quiet());
    provider()->ops->aead_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wiping_removes_the_key_from_memory),
        cmocka_unit_test(wiping_removes_the_key_of_blocks_from_memory),
        cmocka_unit_test(a_body_over_the_limit_of_gcm_is_refused_before_it_is_read),
        cmocka_unit_test(aes_blocks_are_aes_256),
        cmocka_unit_test(a_context_keeps_the_key_of_blocks),
        cmocka_unit_test(the_key_of_blocks_is_not_that_of_messages),
        cmocka_unit_test(failed_tags_leave_no_error_behind),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
