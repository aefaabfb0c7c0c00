/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/openssl_internal.h"
#include "provider.h"
#include <string.h>

static void a_missing_algorithm_is_named(void **state)
{
    struct arili_crypto c = { 0 };
    const char *missing = NULL;
    (void)state;
    assert_status(arili_openssl_new_with("provider=nobody", &c, &missing), ARIL_E_UNAVAILABLE);
    assert_string_equal(missing, "AES-256-GCM");
    assert_null(c.ops);
    assert_null(c.provider);
    assert_status(arili_openssl_new_with("provider=nobody", &c, NULL), ARIL_E_UNAVAILABLE);
    assert_true(provider_is_quiet());
}

static void a_property_query_that_fits_gives_a_working_provider(void **state)
{
    struct arili_crypto c = { 0 };
    uint8_t mac[48];
    const aril_bytes none = { NULL, 0 };
    (void)state;
    assert_status(arili_openssl_new_with("provider=default", &c, NULL), ARIL_OK);
    assert_status(c.ops->hmac(c.provider, ARILI_SHA384, none, NULL, 0, mac), ARIL_OK);
    arili_openssl_free(&c);
    assert_null(c.provider);
    arili_openssl_free(&c);
    arili_openssl_free(NULL);
}

static void providers_are_independent(void **state)
{
    struct arili_crypto a;
    struct arili_crypto b;
    uint8_t digest[32];
    (void)state;
    assert_status(arili_openssl_new(&a, NULL), ARIL_OK);
    assert_status(arili_openssl_new(&b, NULL), ARIL_OK);
    arili_openssl_free(&a);
    assert_status(b.ops->hash(b.provider, ARILI_SHA256, NULL, 0, digest), ARIL_OK);
    arili_openssl_free(&b);
}

static void the_table_is_complete(void **state)
{
    const struct arili_crypto_ops *const ops = provider()->ops;
    (void)state;
    assert_int_equal(ops->abi, ARILI_CRYPTO_ABI);
    assert_string_equal(ops->name, "openssl");
    /* Every member behind abi is a pointer. */
    const void *members[sizeof *ops / sizeof(void *)];
    memcpy(members, ops, sizeof members);
    for (size_t i = 1; i < COUNT(members); i++) {
        assert_non_null(members[i]);
    }
    assert_non_null(strstr(arili_openssl_version(), "OpenSSL 3."));
}

static void random_fills_every_length_and_differs(void **state)
{
    uint8_t a[1000];
    uint8_t b[1000];
    (void)state;
    for (size_t len = 0; len <= 600; len += 7) {
        memset(a, 0, sizeof a);
        assert_status(provider()->ops->random(provider()->provider, a, len), ARIL_OK);
        assert_true(provider_all(a + len, sizeof a - len, 0));
        /* Twenty zeros in a row would be a hole; by chance that is one in 2^160. */
        for (size_t i = 0; i + 20 <= len; i++) {
            assert_false(provider_all(a + i, 20, 0));
        }
    }
    assert_status(provider()->ops->random(provider()->provider, a, sizeof a), ARIL_OK);
    assert_status(provider()->ops->random(provider()->provider, b, sizeof b), ARIL_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

static void sizes_of_unknown_algorithms_are_zero(void **state)
{
    (void)state;
    assert_int_equal(arili_hash_bytes(ARILI_SHA256), 32);
    assert_int_equal(arili_hash_bytes(ARILI_SHA384), 48);
    assert_int_equal(arili_hash_bytes(ARILI_SHA3_256), 32);
    assert_int_equal(arili_hash_bytes(ARILI_SHAKE256), 0);
    assert_int_equal(arili_hash_bytes((enum arili_hash)99), 0);
    assert_int_equal(arili_kem_ct_bytes(ARILI_KEM_X25519), 0);
    assert_int_equal(arili_kem_ct_bytes(ARILI_KEM_ML_KEM_768), 1088);
    assert_int_equal(arili_kem_ct_bytes(ARILI_KEM_ML_KEM_1024), 1568);
    assert_int_equal(arili_sign_public_bytes(65), 1952);
    assert_int_equal(arili_sign_public_bytes(87), 2592);
    assert_int_equal(arili_sign_public_bytes(44), 0);
    assert_int_equal(arili_sign_signature_bytes(65), 3309);
    assert_int_equal(arili_sign_signature_bytes(87), 4627);
    assert_int_equal(arili_sign_signature_bytes(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_algorithm_is_named),
        cmocka_unit_test(a_property_query_that_fits_gives_a_working_provider),
        cmocka_unit_test(providers_are_independent),
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(random_fills_every_length_and_differs),
        cmocka_unit_test(sizes_of_unknown_algorithms_are_zero),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
