/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "provider.h"
#include <string.h>

#define SIG_MAX 4627u

static const int algs[] = { 65, 87 };

static struct arili_pkey *key_new(int alg)
{
    uint8_t seed[ARILI_ML_DSA_SEED_BYTES];
    struct arili_pkey *key = NULL;
    provider_pattern(seed, sizeof seed, (unsigned)alg);
    assert_status(provider()->ops->sign_import_seed(provider()->provider, alg,
                                                    (aril_bytes){ seed, sizeof seed }, &key),
                  ARIL_OK);
    return key;
}

static struct arili_pkey *public_new(int alg, const struct arili_pkey *of)
{
    uint8_t bytes[2592];
    size_t len = 0;
    struct arili_pkey *key = NULL;
    assert_status(provider()->ops->pkey_public(of, bytes, sizeof bytes, &len), ARIL_OK);
    assert_status(provider()->ops->sign_import_public(provider()->provider, alg,
                                                      (aril_bytes){ bytes, len }, &key),
                  ARIL_OK);
    return key;
}

static void signatures_verify_under_the_public_key(void **state)
{
    const aril_bytes context = ARILI_LITERAL("test context");
    const aril_bytes message = ARILI_LITERAL("message");
    (void)state;
    for (size_t i = 0; i < COUNT(algs); i++) {
        struct arili_pkey *const key = key_new(algs[i]);
        struct arili_pkey *const peer = public_new(algs[i], key);
        const size_t len = arili_sign_signature_bytes(algs[i]);
        uint8_t sig[2][SIG_MAX];
        for (size_t k = 0; k < 2; k++) {
            assert_status(provider()->ops->sign(key, context, message, false, sig[k], len),
                          ARIL_OK);
            assert_status(
                provider()->ops->verify(peer, context, message, (aril_bytes){ sig[k], len }),
                ARIL_OK);
        }
        assert_memory_not_equal(sig[0], sig[1], len); /* hedged */
        assert_status(provider()->ops->sign(key, context, message, true, sig[0], len), ARIL_OK);
        assert_status(provider()->ops->sign(key, context, message, true, sig[1], len), ARIL_OK);
        assert_memory_equal(sig[0], sig[1], len);
        provider()->ops->pkey_free(key);
        provider()->ops->pkey_free(peer);
    }
}

static void another_message_context_key_or_signature_is_refused(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_pkey *const key = key_new(65);
    const aril_bytes context = ARILI_LITERAL("context");
    const aril_bytes message = ARILI_LITERAL("message");
    const aril_bytes none = { NULL, 0 };
    uint8_t sig[3309];
    const aril_bytes s = { sig, sizeof sig };
    (void)state;
    assert_status(ops->sign(key, context, message, false, sig, sizeof sig), ARIL_OK);
    assert_status(ops->verify(key, context, message, s), ARIL_OK);
    assert_status(ops->verify(key, none, message, s), ARIL_E_AUTH);
    assert_status(ops->verify(key, ARILI_LITERAL("Context"), message, s), ARIL_E_AUTH);
    assert_status(ops->verify(key, context, none, s), ARIL_E_AUTH);
    assert_status(ops->verify(key, context, ARILI_LITERAL("messagf"), s), ARIL_E_AUTH);
    /* The boundary between context and message is signed. */
    assert_status(ops->verify(key, ARILI_LITERAL("contextm"), ARILI_LITERAL("essage"), s),
                  ARIL_E_AUTH);
    for (size_t at = 0; at < sizeof sig; at += 103) {
        sig[at] ^= 1;
        assert_status(ops->verify(key, context, message, s), ARIL_E_AUTH);
        sig[at] ^= 1;
    }
    assert_status(ops->verify(key, context, message, s), ARIL_OK);
    assert_true(provider_is_quiet());
    ops->pkey_free(key);
}

static void empty_messages_and_contexts_are_fine(void **state)
{
    struct arili_pkey *const key = key_new(65);
    const aril_bytes none = { NULL, 0 };
    uint8_t sig[3309];
    (void)state;
    assert_status(provider()->ops->sign(key, none, none, false, sig, sizeof sig), ARIL_OK);
    assert_status(provider()->ops->verify(key, none, none, (aril_bytes){ sig, sizeof sig }),
                  ARIL_OK);
    provider()->ops->pkey_free(key);
}

static void every_wrong_length_is_refused(void **state)
{
    static uint8_t bytes[SIG_MAX + 40];
    const struct arili_crypto_ops *const ops = provider()->ops;
    const aril_bytes none = { NULL, 0 };
    (void)state;
    for (size_t i = 0; i < COUNT(algs); i++) {
        struct arili_pkey *const key = key_new(algs[i]);
        struct arili_pkey *bad = NULL;
        for (size_t len = 0; len <= sizeof bytes; len++) {
            const aril_bytes b = { bytes, len };
            if (len != arili_sign_signature_bytes(algs[i])) {
                assert_status(ops->sign(key, none, none, false, bytes, len), ARIL_E_USAGE_RANGE);
                assert_status(ops->verify(key, none, none, b), ARIL_E_AUTH);
            }
            if (len != ARILI_ML_DSA_SEED_BYTES) {
                assert_status(ops->sign_import_seed(provider()->provider, algs[i], b, &bad),
                              ARIL_E_FORMAT_LENGTH);
            }
            if (len != arili_sign_public_bytes(algs[i])) {
                assert_status(ops->sign_import_public(provider()->provider, algs[i], b, &bad),
                              ARIL_E_FORMAT_LENGTH);
            }
        }
        assert_null(bad);
        ops->pkey_free(key);
    }
}

static void contexts_are_limited_to_255_bytes(void **state)
{
    struct arili_pkey *const key = key_new(65);
    const aril_bytes none = { NULL, 0 };
    uint8_t context[256];
    uint8_t sig[3309];
    (void)state;
    provider_pattern(context, sizeof context, 1);
    memset(sig, 0xaa, sizeof sig);
    assert_status(
        provider()->ops->sign(key, (aril_bytes){ context, 256 }, none, false, sig, sizeof sig),
        ARIL_E_USAGE_RANGE);
    assert_true(provider_all(sig, sizeof sig, 0xaa));
    assert_status(provider()->ops->verify(key, (aril_bytes){ context, 256 }, none,
                                          (aril_bytes){ sig, sizeof sig }),
                  ARIL_E_USAGE_RANGE);
    assert_status(
        provider()->ops->sign(key, (aril_bytes){ context, 255 }, none, false, sig, sizeof sig),
        ARIL_OK);
    assert_status(provider()->ops->verify(key, (aril_bytes){ context, 255 }, none,
                                          (aril_bytes){ sig, sizeof sig }),
                  ARIL_OK);
    assert_status(provider()->ops->verify(key, (aril_bytes){ context, 254 }, none,
                                          (aril_bytes){ sig, sizeof sig }),
                  ARIL_E_AUTH);
    provider()->ops->pkey_free(key);
}

static void keys_refuse_work_that_is_not_theirs(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_pkey *const key = key_new(65);
    struct arili_pkey *const peer = public_new(65, key);
    struct arili_pkey *bad = NULL;
    const uint8_t seed[32] = { 0 };
    const aril_bytes s = { seed, sizeof seed };
    const aril_bytes none = { NULL, 0 };
    uint8_t out[3309];
    (void)state;
    assert_status(ops->sign(peer, none, none, false, out, sizeof out), ARIL_E_USAGE_STATE);
    assert_status(ops->sign_check_expanded(peer, none), ARIL_E_USAGE_STATE);
    assert_status(ops->kem_decaps(key, none, out), ARIL_E_USAGE_STATE);
    assert_status(ops->kem_encaps(peer, NULL, out, 1088, out), ARIL_E_USAGE_STATE);
    assert_status(ops->x25519(key, peer, out), ARIL_E_USAGE_STATE);
    assert_status(ops->sign_import_seed(provider()->provider, 44, s, &bad), ARIL_E_USAGE_RANGE);
    assert_status(ops->sign_import_public(provider()->provider, 0, s, &bad), ARIL_E_USAGE_RANGE);
    ops->pkey_free(key);
    ops->pkey_free(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_verify_under_the_public_key),
        cmocka_unit_test(another_message_context_key_or_signature_is_refused),
        cmocka_unit_test(empty_messages_and_contexts_are_fine),
        cmocka_unit_test(every_wrong_length_is_refused),
        cmocka_unit_test(contexts_are_limited_to_255_bytes),
        cmocka_unit_test(keys_refuse_work_that_is_not_theirs),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
