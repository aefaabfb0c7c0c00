/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include <string.h>

#define CT_MAX ARILI_ML_KEM_1024_CT_BYTES

static const enum arili_kem kems[] = { ARILI_KEM_ML_KEM_768, ARILI_KEM_ML_KEM_1024 };

/* RFC 7748 and FIPS 203 table 3. */
static size_t public_bytes(enum arili_kem alg)
{
    if (alg == ARILI_KEM_X25519) {
        return 32;
    }
    return alg == ARILI_KEM_ML_KEM_768 ? 1184 : 1568;
}

static struct arili_pkey *private_key(enum arili_kem alg, unsigned seed)
{
    uint8_t bytes[ARILI_ML_KEM_SEED_BYTES];
    struct arili_pkey *key = NULL;
    const size_t len = alg == ARILI_KEM_X25519 ? ARILI_X25519_BYTES : ARILI_ML_KEM_SEED_BYTES;
    provider_pattern(bytes, sizeof bytes, seed);
    assert_status(provider()->ops->kem_import_seed(provider()->provider, alg,
                                                   (aril_bytes){ bytes, len }, &key),
                  ARIL_OK);
    return key;
}

static struct arili_pkey *public_key(enum arili_kem alg, const struct arili_pkey *of)
{
    uint8_t bytes[ARILI_ML_KEM_1024_PUBLIC_BYTES];
    struct arili_pkey *key = NULL;
    size_t len = 0;
    assert_status(provider()->ops->pkey_public(of, bytes, sizeof bytes, &len), ARIL_OK);
    assert_int_equal(len, public_bytes(alg));
    assert_status(provider()->ops->kem_import_public(provider()->provider, alg,
                                                     (aril_bytes){ bytes, len }, &key),
                  ARIL_OK);
    return key;
}

static void fresh_encapsulations_differ_and_decapsulate(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    (void)state;
    for (size_t i = 0; i < COUNT(kems); i++) {
        struct arili_pkey *const key = private_key(kems[i], 1);
        struct arili_pkey *const peer = public_key(kems[i], key);
        const size_t len = arili_kem_ct_bytes(kems[i]);
        uint8_t ct[2][CT_MAX];
        uint8_t ss[2][32];
        uint8_t got[32];
        for (size_t k = 0; k < 2; k++) {
            assert_status(ops->kem_encaps(peer, NULL, ct[k], len, ss[k]), ARIL_OK);
            assert_status(ops->kem_decaps(key, (aril_bytes){ ct[k], len }, got), ARIL_OK);
            assert_memory_equal(got, ss[k], sizeof got);
        }
        assert_memory_not_equal(ct[0], ct[1], len);
        assert_memory_not_equal(ss[0], ss[1], sizeof got);
        ops->pkey_free(key);
        ops->pkey_free(peer);
    }
}

static void a_changed_ciphertext_gives_another_secret_and_no_error(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_pkey *const key = private_key(ARILI_KEM_ML_KEM_768, 2);
    uint8_t ct[ARILI_ML_KEM_768_CT_BYTES];
    uint8_t ss[32];
    uint8_t first[32];
    uint8_t again[32];
    (void)state;
    assert_status(ops->kem_encaps(key, NULL, ct, sizeof ct, ss), ARIL_OK);
    for (size_t at = 0; at < sizeof ct; at += 61) {
        ct[at] ^= 0x10;
        assert_status(ops->kem_decaps(key, (aril_bytes){ ct, sizeof ct }, first), ARIL_OK);
        assert_status(ops->kem_decaps(key, (aril_bytes){ ct, sizeof ct }, again), ARIL_OK);
        assert_memory_not_equal(first, ss, sizeof ss);
        assert_memory_equal(first, again, sizeof first);
        ct[at] ^= 0x10;
    }
    ops->pkey_free(key);
}

static void every_wrong_length_is_refused(void **state)
{
    static uint8_t bytes[CT_MAX + 40];
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_provider *const p = provider()->provider;
    uint8_t ss[32];
    (void)state;
    for (size_t i = 0; i < COUNT(kems); i++) {
        struct arili_pkey *const key = private_key(kems[i], 3);
        struct arili_pkey *none = NULL;
        for (size_t len = 0; len <= sizeof bytes; len++) {
            const aril_bytes b = { bytes, len };
            memset(ss, 0xaa, sizeof ss);
            if (len != arili_kem_ct_bytes(kems[i])) {
                assert_status(ops->kem_decaps(key, b, ss), ARIL_E_FORMAT_LENGTH);
                assert_status(ops->kem_encaps(key, NULL, bytes, len, ss), ARIL_E_USAGE_RANGE);
                assert_true(provider_all(ss, sizeof ss, 0xaa));
            }
            if (len != ARILI_ML_KEM_SEED_BYTES) {
                assert_status(ops->kem_import_seed(p, kems[i], b, &none), ARIL_E_FORMAT_LENGTH);
            }
            if (len != public_bytes(kems[i])) {
                assert_status(ops->kem_import_public(p, kems[i], b, &none), ARIL_E_FORMAT_LENGTH);
            }
            if (len != ARILI_X25519_BYTES) {
                assert_status(ops->kem_import_seed(p, ARILI_KEM_X25519, b, &none),
                              ARIL_E_FORMAT_LENGTH);
                assert_status(ops->kem_import_public(p, ARILI_KEM_X25519, b, &none),
                              ARIL_E_FORMAT_LENGTH);
            }
        }
        assert_null(none);
        ops->pkey_free(key);
    }
}

static void a_public_key_with_a_coefficient_over_the_modulus_is_refused(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    (void)state;
    for (size_t i = 0; i < COUNT(kems); i++) {
        struct arili_pkey *const key = private_key(kems[i], 4);
        struct arili_pkey *bad = NULL;
        uint8_t bytes[ARILI_ML_KEM_1024_PUBLIC_BYTES];
        size_t len = 0;
        assert_status(ops->pkey_public(key, bytes, sizeof bytes, &len), ARIL_OK);
        /* Two coefficients of 12 bits each in 3 bytes; 0xfff is over 3328. */
        bytes[len - 32 - 3] = 0xff;
        bytes[len - 32 - 2] |= 0x0f;
        assert_status(
            ops->kem_import_public(provider()->provider, kems[i], (aril_bytes){ bytes, len }, &bad),
            ARIL_E_FORMAT_FIELD);
        assert_null(bad);
        assert_true(provider_is_quiet());
        ops->pkey_free(key);
    }
}

static void keys_refuse_work_that_is_not_theirs(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_pkey *const kem = private_key(ARILI_KEM_ML_KEM_768, 5);
    struct arili_pkey *const kem_public = public_key(ARILI_KEM_ML_KEM_768, kem);
    struct arili_pkey *const dh = private_key(ARILI_KEM_X25519, 6);
    struct arili_pkey *const dh_public = public_key(ARILI_KEM_X25519, dh);
    uint8_t ct[ARILI_ML_KEM_768_CT_BYTES] = { 0 };
    uint8_t ss[32];
    uint8_t sig[3309];
    const aril_bytes c = { ct, sizeof ct };
    const aril_bytes none = { NULL, 0 };
    struct arili_pkey *bad = NULL;
    (void)state;
    assert_status(ops->kem_decaps(kem_public, c, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->kem_decaps(dh, c, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->kem_encaps(dh_public, NULL, ct, sizeof ct, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->x25519(kem, dh_public, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->x25519(dh, kem_public, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->x25519(dh_public, dh, ss), ARIL_E_USAGE_STATE);
    assert_status(ops->sign(kem, none, none, false, sig, sizeof sig), ARIL_E_USAGE_STATE);
    assert_status(ops->verify(kem, none, none, none), ARIL_E_USAGE_STATE);
    assert_status(ops->sign_check_expanded(kem, none), ARIL_E_USAGE_STATE);
    assert_status(ops->kem_import_seed(provider()->provider, (enum arili_kem)0x40, c, &bad),
                  ARIL_E_USAGE_RANGE);
    assert_status(ops->kem_import_public(provider()->provider, (enum arili_kem)0x647a, c, &bad),
                  ARIL_E_USAGE_RANGE);
    ops->pkey_free(kem);
    ops->pkey_free(kem_public);
    ops->pkey_free(dh);
    ops->pkey_free(dh_public);
}

static void a_buffer_that_is_too_small_for_the_public_key_is_refused(void **state)
{
    struct arili_pkey *const key = private_key(ARILI_KEM_ML_KEM_768, 7);
    uint8_t bytes[ARILI_ML_KEM_768_PUBLIC_BYTES];
    size_t len = 77;
    (void)state;
    memset(bytes, 0xaa, sizeof bytes);
    assert_status(provider()->ops->pkey_public(key, bytes, sizeof bytes - 1, &len),
                  ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, 77);
    assert_true(provider_all(bytes, sizeof bytes, 0xaa));
    provider()->ops->pkey_free(key);
}

/* RFC 7748 6.1 and RFC 9180 7.1.4; all points of small order of Curve25519 and its
 * twist that fit in 255 bits. */
static void low_order_points_are_refused(void **state)
{
    static const uint8_t points[][ARILI_X25519_BYTES] = {
        { 0 },
        { 1 },
        { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
          0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
          0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
        { 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
          0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
          0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    };
    const struct arili_crypto_ops *const ops = provider()->ops;
    struct arili_pkey *const key = private_key(ARILI_KEM_X25519, 8);
    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        struct arili_pkey *peer = NULL;
        uint8_t ss[32];
        memset(ss, 0xaa, sizeof ss);
        assert_status(ops->kem_import_public(provider()->provider, ARILI_KEM_X25519,
                                             (aril_bytes){ points[i], sizeof points[i] }, &peer),
                      ARIL_OK);
        assert_status(ops->x25519(key, peer, ss), ARIL_E_FORMAT_FIELD);
        assert_true(provider_all(ss, sizeof ss, 0));
        assert_true(provider_is_quiet());
        ops->pkey_free(peer);
    }
    ops->pkey_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_encapsulations_differ_and_decapsulate),
        cmocka_unit_test(a_changed_ciphertext_gives_another_secret_and_no_error),
        cmocka_unit_test(every_wrong_length_is_refused),
        cmocka_unit_test(a_public_key_with_a_coefficient_over_the_modulus_is_refused),
        cmocka_unit_test(keys_refuse_work_that_is_not_theirs),
        cmocka_unit_test(a_buffer_that_is_too_small_for_the_public_key_is_refused),
        cmocka_unit_test(low_order_points_are_refused),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
