/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "expanded_keys.h"
#include "provider.h"
#include "shake128.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

#define SIG_MAX 4627u

static int parameter_set(const json_t *group)
{
    const char *const name = vectors_string(group, "parameterSet");
    if (strcmp(name, "ML-DSA-87") == 0) {
        return 87;
    }
    assert_string_equal(name, "ML-DSA-65");
    return 65;
}

static bool has_flag(const json_t *t, const char *flag)
{
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(t, "flags"), i, f)
    {
        if (strcmp(json_string_value(f), flag) == 0) {
            return true;
        }
    }
    return false;
}

static void assert_signs(const struct arili_pkey *key, int alg, aril_bytes context, aril_bytes msg,
                         aril_bytes want)
{
    uint8_t sig[SIG_MAX];
    const size_t len = arili_sign_signature_bytes(alg);
    assert_status(provider()->ops->sign(key, context, msg, true, sig, len), ARIL_OK);
    assert_int_equal(want.len, len);
    assert_memory_equal(sig, want.data, len);
}

static bool run_key_generation(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    struct arili_pkey *key = NULL;
    assert_status(c->ops->sign_import_seed(c->provider, parameter_set(group),
                                           vectors_hex(v, t, "seed"), &key),
                  ARIL_OK);
    provider_expect_public(key, vectors_hex(v, t, "pk"));
    assert_true(expanded_equals(key, vectors_hex(v, t, "sk")));
    c->ops->pkey_free(key);
    return true;
}

static void acvp_key_generation(void **state)
{
    (void)state;
    vectors_run("ml-dsa/acvp_ML-DSA-keyGen_65_87.json", "testGroups", "tests", run_key_generation,
                NULL);
}

static bool run_signature(struct vectors *v, const json_t *group, const json_t *t)
{
    struct arili_pkey *key = NULL;
    assert_status(expanded_ml_dsa(provider(), parameter_set(group), vectors_hex(v, t, "sk"), &key),
                  ARIL_OK);
    assert_signs(key, parameter_set(group), vectors_hex(v, t, "context"),
                 vectors_hex(v, t, "message"), vectors_hex(v, t, "signature"));
    provider()->ops->pkey_free(key);
    return true;
}

static void acvp_deterministic_signatures(void **state)
{
    (void)state;
    vectors_run("ml-dsa/acvp_ML-DSA-sigGen_external_pure_65_87.json", "testGroups", "tests",
                run_signature, NULL);
}

static aril_status verify(int alg, aril_bytes pk, aril_bytes context, aril_bytes msg,
                          aril_bytes sig)
{
    const struct arili_crypto *const c = provider();
    struct arili_pkey *key = NULL;
    aril_status st = c->ops->sign_import_public(c->provider, alg, pk, &key);
    if (st == ARIL_OK) {
        st = c->ops->verify(key, context, msg, sig);
    }
    c->ops->pkey_free(key);
    assert_true(provider_is_quiet());
    return st;
}

static bool run_verification(struct vectors *v, const json_t *group, const json_t *t)
{
    const bool pass = json_is_true(json_object_get(t, "testPassed"));
    assert_status(verify(parameter_set(group), vectors_hex(v, t, "pk"),
                         vectors_hex(v, t, "context"), vectors_hex(v, t, "message"),
                         vectors_hex(v, t, "signature")),
                  pass ? ARIL_OK : ARIL_E_AUTH);
    return true;
}

static void acvp_verification(void **state)
{
    (void)state;
    vectors_run("ml-dsa/acvp_ML-DSA-sigVer_external_pure_65_87.json", "testGroups", "tests",
                run_verification, NULL);
}

static bool run_sign_case(struct vectors *v, const json_t *group, const json_t *t)
{
    if (has_flag(t, "Internal") || json_object_get(t, "rnd") != NULL) {
        return false;
    }
    const struct arili_crypto *const c = provider();
    const aril_bytes context = vectors_hex(v, t, "ctx");
    const aril_bytes msg = vectors_hex(v, t, "msg");
    struct arili_pkey *key = NULL;
    uint8_t sig[SIG_MAX];
    const aril_status st =
        c->ops->sign_import_seed(c->provider, 65, vectors_hex(v, group, "privateSeed"), &key);
    if (has_flag(t, "IncorrectPrivateKeyLength")) {
        assert_status(st, ARIL_E_FORMAT_LENGTH);
        return true;
    }
    assert_status(st, ARIL_OK);
    provider_expect_public(key, vectors_hex(v, group, "publicKey"));
    if (vectors_is_valid(t)) {
        assert_signs(key, 65, context, msg, vectors_hex(v, t, "sig"));
    } else {
        assert_true(has_flag(t, "InvalidContext"));
        assert_status(c->ops->sign(key, context, msg, true, sig, arili_sign_signature_bytes(65)),
                      ARIL_E_USAGE_RANGE);
    }
    c->ops->pkey_free(key);
    return true;
}

static void wycheproof_signing(void **state)
{
    (void)state;
    vectors_run("ml-dsa/wycheproof_mldsa_65_sign_seed_test.json", "testGroups", "tests",
                run_sign_case, "start from mu or a chosen rnd: not offered by design");
}

static bool run_verify_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const aril_status want = vectors_is_valid(t)                       ? ARIL_OK
                             : has_flag(t, "IncorrectPublicKeyLength") ? ARIL_E_FORMAT_LENGTH
                             : has_flag(t, "InvalidContext")           ? ARIL_E_USAGE_RANGE
                                                                       : ARIL_E_AUTH;
    assert_status(verify(65, vectors_hex(v, group, "publicKey"), vectors_hex(v, t, "ctx"),
                         vectors_hex(v, t, "msg"), vectors_hex(v, t, "sig")),
                  want);
    return true;
}

static void wycheproof_verification(void **state)
{
    (void)state;
    vectors_run("ml-dsa/wycheproof_mldsa_65_verify_test.json", "testGroups", "tests",
                run_verify_case, NULL);
}

static void run_accumulated(int alg, uint64_t rounds, aril_bytes want)
{
    const struct arili_crypto *const c = provider();
    struct shake128 *const source = shake128_new();
    struct shake128 *const sink = shake128_new();
    for (uint64_t i = 0; i < rounds; i++) {
        struct arili_pkey *key = NULL;
        uint8_t seed[ARILI_ML_DSA_SEED_BYTES];
        uint8_t out[SIG_MAX];
        size_t len = 0;
        const aril_bytes none = { NULL, 0 };
        shake128_read(source, seed, sizeof seed);
        assert_status(
            c->ops->sign_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &key),
            ARIL_OK);
        assert_status(c->ops->pkey_public(key, out, sizeof out, &len), ARIL_OK);
        shake128_write(sink, out, len);
        len = arili_sign_signature_bytes(alg);
        assert_status(c->ops->sign(key, none, none, true, out, len), ARIL_OK);
        shake128_write(sink, out, len);
        c->ops->pkey_free(key);
    }
    assert_int_equal(want.len, 32);
    shake128_end(sink, want.data);
    shake128_free(source);
}

/* 10000 rounds take ten seconds, so they are for those who ask. */
static bool run_accumulated_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const uint64_t rounds = vectors_number(t, "iterations");
    (void)group;
    if (rounds > 100 && getenv("ARIL_TEST_LONG") == NULL) {
        return false;
    }
    run_accumulated(parameter_set(t), rounds, vectors_hex(v, t, "hash"));
    return true;
}

static void cctv_accumulated_hashes(void **state)
{
    (void)state;
    vectors_run("ml-dsa/cctv_accumulated.json", NULL, "tests", run_accumulated_case,
                "of more than 100 rounds only with ARIL_TEST_LONG=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acvp_key_generation),     cmocka_unit_test(acvp_deterministic_signatures),
        cmocka_unit_test(acvp_verification),       cmocka_unit_test(wycheproof_signing),
        cmocka_unit_test(wycheproof_verification), cmocka_unit_test(cctv_accumulated_hashes),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
