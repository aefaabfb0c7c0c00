/* SPDX-License-Identifier: Apache-2.0 */
#include "aead_contract.h"
#include "check.h"
#include "faulty_crypto.h"
#include "provider.h"
#include <string.h>

static struct faulty_crypto *faulty;

/* The wrapper itself: what is armed fails, once, and nothing else does. */
static void an_armed_call_fails_once_with_its_status(void **state)
{
    const struct arili_crypto *const c = faulty_crypto_table(faulty);
    uint8_t key[ARILI_AEAD_KEY_BYTES] = { 0 };
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 0 };
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    const aril_bytes none = { NULL, 0 };
    struct arili_aead_ctx *ctx = NULL;

    (void)state;
    faulty_crypto_arm(faulty, 1, ARIL_E_NOMEM);
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_E_NOMEM);
    assert_null(ctx);
    assert_true(faulty_crypto_fired(faulty));
    assert_string_equal(faulty_crypto_last(faulty), "aead_new");
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    assert_int_equal(faulty_crypto_alive(faulty), 1);

    faulty_crypto_arm(faulty, 2, ARIL_E_CRYPTO);
    assert_status(c->ops->aead_key(ctx, key), ARIL_OK);
    assert_false(faulty_crypto_fired(faulty));
    memset(tag, 0xaa, sizeof tag);
    assert_status(c->ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, tag), ARIL_E_CRYPTO);
    assert_true(provider_all(tag, sizeof tag, 0xaa));
    assert_status(c->ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, tag), ARIL_OK);
    faulty_crypto_arm(faulty, 1, ARIL_E_CRYPTO);
    assert_status(c->ops->aead_open(ctx, nonce, none, none, tag, NULL, 0), ARIL_E_CRYPTO);
    assert_status(c->ops->aead_open(ctx, nonce, none, none, tag, NULL, 0), ARIL_OK);
    for (unsigned nth = 1; nth <= 3; nth++) {
        static const char *const names[] = { "aead_seal_begin", "aead_seal_more", "aead_seal_end" };
        const aril_bytes byte = { nonce, 1 };
        uint8_t out = 0;
        faulty_crypto_arm(faulty, nth, ARIL_E_CRYPTO);
        assert_status(c->ops->aead_seal_begin(ctx, nonce, none),
                      nth == 1 ? ARIL_E_CRYPTO : ARIL_OK);
        if (nth > 1) {
            assert_status(c->ops->aead_seal_more(ctx, byte, &out),
                          nth == 2 ? ARIL_E_CRYPTO : ARIL_OK);
        }
        if (nth > 2) {
            assert_status(c->ops->aead_seal_end(ctx, tag), ARIL_E_CRYPTO);
        }
        assert_string_equal(faulty_crypto_last(faulty), names[nth - 1]);
    }
    c->ops->aead_free(ctx);
    assert_int_equal(faulty_crypto_alive(faulty), 0);
}

static void armed_randomness_fails_until_it_is_disarmed(void **state)
{
    const struct arili_crypto *const c = faulty_crypto_table(faulty);
    uint8_t bytes[8];
    (void)state;
    faulty_crypto_arm_random(faulty, ARIL_E_RANDOM);
    assert_status(c->ops->random(c->provider, bytes, sizeof bytes), ARIL_E_RANDOM);
    assert_status(c->ops->random(c->provider, bytes, sizeof bytes), ARIL_E_RANDOM);
    faulty_crypto_disarm(faulty);
    assert_status(c->ops->random(c->provider, bytes, sizeof bytes), ARIL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_armed_call_fails_once_with_its_status),
        cmocka_unit_test(armed_randomness_fails_until_it_is_disarmed),
    };
    if (provider_setup(NULL) != 0) {
        return 1;
    }
    faulty = faulty_crypto_new(provider());
    if (faulty == NULL) {
        return 1;
    }
    int failed = aead_contract_run("openssl", provider());
    failed += aead_contract_run("faulty wrapper over openssl", faulty_crypto_table(faulty));
    failed += aead_pieces_contract_run("openssl, in pieces", provider());
    failed += aead_pieces_contract_run("faulty wrapper over openssl, in pieces",
                                       faulty_crypto_table(faulty));
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    faulty_crypto_free(faulty);
    provider_teardown(NULL);
    return failed;
}
