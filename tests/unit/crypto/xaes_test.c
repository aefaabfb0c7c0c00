/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/xaes.h"
#include "base/bytes.h"
#include "check.h"
#include "faulty_crypto.h"
#include "provider.h"
#include <string.h>

static const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1, 2, 3 };

/* Seals "message" with the given nonce; body and tag together. */
static void seal(const uint8_t *nonce, uint8_t ret[7 + ARILI_AEAD_TAG_BYTES])
{
    const struct arili_crypto *const c = provider();
    const aril_bytes message = ARILI_LITERAL("message");
    struct arili_xaes x;
    struct arili_aead_ctx *ctx = NULL;
    uint8_t inner[ARILI_AEAD_NONCE_BYTES];
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    assert_status(arili_xaes_init(c, key, &x), ARIL_OK);
    assert_status(arili_xaes_message(&x, nonce, ctx, inner), ARIL_OK);
    assert_status(c->ops->aead_seal(ctx, inner, (aril_bytes){ NULL, 0 }, &message, 1, ret, ret + 7),
                  ARIL_OK);
    arili_xaes_done(&x);
    c->ops->aead_free(ctx);
}

static void every_bit_of_the_nonce_counts(void **state)
{
    uint8_t nonce[ARILI_XAES_NONCE_BYTES] = { 5 };
    uint8_t first[7 + ARILI_AEAD_TAG_BYTES];
    uint8_t other[7 + ARILI_AEAD_TAG_BYTES];
    (void)state;
    seal(nonce, first);
    for (size_t bit = 0; bit < 8 * sizeof nonce; bit++) {
        nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
        seal(nonce, other);
        assert_memory_not_equal(first, other, sizeof first);
        nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    seal(nonce, other);
    assert_memory_equal(first, other, sizeof first);
}

/* Whether the next message of a key takes the short way is not to be seen. */
static void the_next_message_of_a_key_is_as_any_other(void **state)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes none = { NULL, 0 };
    struct arili_xaes x;
    struct arili_aead_ctx *ctx = NULL;
    uint8_t inner[2][ARILI_AEAD_NONCE_BYTES];
    uint8_t tag[2][ARILI_AEAD_TAG_BYTES];
    uint8_t nonce[ARILI_XAES_NONCE_BYTES] = { 0 };
    (void)state;
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    assert_status(arili_xaes_init(c, key, &x), ARIL_OK);
    memset(inner[0], 0xaa, sizeof inner[0]);
    assert_status(arili_xaes_next(&x, nonce, ctx, inner[0]), ARIL_E_USAGE_STATE);
    assert_true(provider_all(inner[0], sizeof inner[0], 0xaa));
    for (nonce[0] = 0; nonce[0] < 3; nonce[0]++) {
        assert_status(arili_xaes_message(&x, nonce, ctx, inner[0]), ARIL_OK);
        assert_status(c->ops->aead_seal(ctx, inner[0], none, NULL, 0, NULL, tag[0]), ARIL_OK);
        assert_status(arili_xaes_next(&x, nonce, ctx, inner[1]), ARIL_OK);
        assert_status(c->ops->aead_seal(ctx, inner[1], none, NULL, 0, NULL, tag[1]), ARIL_OK);
        assert_memory_equal(inner[0], inner[1], sizeof inner[0]);
        assert_memory_equal(tag[0], tag[1], sizeof tag[0]);
    }
    c->ops->aead_wipe(ctx);
    assert_status(arili_xaes_next(&x, nonce, ctx, inner[0]), ARIL_E_USAGE_STATE);
    arili_xaes_done(&x);
    c->ops->aead_free(ctx);
}

static void a_failing_step_gives_no_nonce(void **state)
{
    struct faulty_crypto *const f = faulty_crypto_new(provider());
    const struct arili_crypto *const c = faulty_crypto_table(f);
    const uint8_t nonce[ARILI_XAES_NONCE_BYTES] = { 0 };
    uint8_t inner[ARILI_AEAD_NONCE_BYTES];
    struct arili_xaes x = { 0 };
    struct arili_aead_ctx *ctx = NULL;
    (void)state;
    faulty_crypto_arm(f, 1, ARIL_E_CRYPTO);
    assert_status(arili_xaes_init(c, key, &x), ARIL_E_CRYPTO);
    assert_true(provider_all((const uint8_t *)&x, sizeof x, 0));
    assert_status(arili_xaes_init(c, key, &x), ARIL_OK);
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    memset(inner, 0xaa, sizeof inner);
    for (unsigned n = 1; n <= 2; n++) {
        faulty_crypto_arm(f, n, ARIL_E_CRYPTO);
        assert_status(arili_xaes_message(&x, nonce, ctx, inner), ARIL_E_CRYPTO);
        assert_true(provider_all(inner, sizeof inner, 0xaa));
    }
    assert_status(arili_xaes_message(&x, nonce, ctx, inner), ARIL_OK);
    c->ops->aead_free(ctx);
    arili_xaes_done(&x);
    faulty_crypto_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_the_nonce_counts),
        cmocka_unit_test(the_next_message_of_a_key_is_as_any_other),
        cmocka_unit_test(a_failing_step_gives_no_nonce),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
