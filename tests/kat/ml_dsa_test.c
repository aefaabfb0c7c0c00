/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "expanded_keys.h"
#include "provider.h"
#include "shake128.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

#define PUBLIC_MAX 2592u
#define SIG_MAX    4627u

static int parameter_set(const json_t *group)
{
    return strcmp(vectors_string(group, "parameterSet"), "ML-DSA-87") == 0 ? 87 : 65;
}

static bool is_valid(const json_t *t)
{
    return strcmp(vectors_string(t, "result"), "valid") == 0;
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

static void assert_public(const struct arili_pkey *key, aril_bytes want)
{
    uint8_t out[PUBLIC_MAX];
    size_t len = 0;
    assert_status(provider()->ops->pkey_public(key, out, sizeof out, &len), ARIL_OK);
    assert_int_equal(len, want.len);
    assert_memory_equal(out, want.data, want.len);
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

static void acvp_key_generation(void **state)
{
    static const char path[] = "ml-dsa/acvp_ML-DSA-keyGen_65_87.json";
    const struct arili_crypto *const c = provider();
    struct vectors v;
    unsigned ran = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            const aril_bytes sk = vectors_hex(&v, t, "sk");
            struct arili_pkey *key = NULL;
            assert_status(c->ops->sign_import_seed(c->provider, parameter_set(group),
                                                   vectors_hex(&v, t, "seed"), &key),
                          ARIL_OK);
            assert_public(key, vectors_hex(&v, t, "pk"));
            assert_true(expanded_equals(key, sk));
            c->ops->pkey_free(key);
            ran++;
        }
    }
    vectors_report(path, ran, 0, NULL);
    vectors_close(&v);
}

static void acvp_deterministic_signatures(void **state)
{
    static const char path[] = "ml-dsa/acvp_ML-DSA-sigGen_external_pure_65_87.json";
    struct vectors v;
    unsigned ran = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            struct arili_pkey *key = NULL;
            assert_status(
                expanded_ml_dsa(provider(), parameter_set(group), vectors_hex(&v, t, "sk"), &key),
                ARIL_OK);
            assert_signs(key, parameter_set(group), vectors_hex(&v, t, "context"),
                         vectors_hex(&v, t, "message"), vectors_hex(&v, t, "signature"));
            provider()->ops->pkey_free(key);
            ran++;
        }
    }
    vectors_report(path, ran, 0, NULL);
    vectors_close(&v);
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

static void acvp_verification(void **state)
{
    static const char path[] = "ml-dsa/acvp_ML-DSA-sigVer_external_pure_65_87.json";
    struct vectors v;
    unsigned ran = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            const bool pass = json_is_true(json_object_get(t, "testPassed"));
            assert_status(verify(parameter_set(group), vectors_hex(&v, t, "pk"),
                                 vectors_hex(&v, t, "context"), vectors_hex(&v, t, "message"),
                                 vectors_hex(&v, t, "signature")),
                          pass ? ARIL_OK : ARIL_E_AUTH);
            ran++;
        }
    }
    vectors_report(path, ran, 0, NULL);
    vectors_close(&v);
}

static void run_sign_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes context = vectors_hex(v, t, "ctx");
    const aril_bytes msg = vectors_hex(v, t, "msg");
    struct arili_pkey *key = NULL;
    uint8_t sig[SIG_MAX];
    const aril_status st =
        c->ops->sign_import_seed(c->provider, 65, vectors_hex(v, group, "privateSeed"), &key);
    if (has_flag(t, "IncorrectPrivateKeyLength")) {
        assert_status(st, ARIL_E_FORMAT_LENGTH);
        return;
    }
    assert_status(st, ARIL_OK);
    assert_public(key, vectors_hex(v, group, "publicKey"));
    if (is_valid(t)) {
        assert_signs(key, 65, context, msg, vectors_hex(v, t, "sig"));
    } else {
        assert_true(has_flag(t, "InvalidContext"));
        assert_status(c->ops->sign(key, context, msg, true, sig, arili_sign_signature_bytes(65)),
                      ARIL_E_USAGE_RANGE);
    }
    c->ops->pkey_free(key);
}

static void wycheproof_signing(void **state)
{
    static const char path[] = "ml-dsa/wycheproof_mldsa_65_sign_seed_test.json";
    struct vectors v;
    unsigned ran = 0;
    unsigned left_out = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            if (has_flag(t, "Internal") || json_object_get(t, "rnd") != NULL) {
                left_out++;
            } else {
                run_sign_case(&v, group, t);
                ran++;
            }
        }
    }
    vectors_report(path, ran, left_out, "start from mu or a chosen rnd: not offered by design");
    vectors_close(&v);
}

static void wycheproof_verification(void **state)
{
    static const char path[] = "ml-dsa/wycheproof_mldsa_65_verify_test.json";
    struct vectors v;
    unsigned ran = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            const aril_status want = is_valid(t) ? ARIL_OK
                                     : has_flag(t, "IncorrectPublicKeyLength")
                                         ? ARIL_E_FORMAT_LENGTH
                                     : has_flag(t, "InvalidContext") ? ARIL_E_USAGE_RANGE
                                                                     : ARIL_E_AUTH;
            assert_status(verify(65, vectors_hex(&v, group, "publicKey"), vectors_hex(&v, t, "ctx"),
                                 vectors_hex(&v, t, "msg"), vectors_hex(&v, t, "sig")),
                          want);
            ran++;
        }
    }
    vectors_report(path, ran, 0, NULL);
    vectors_close(&v);
}

static void run_accumulated(int alg, uint64_t rounds, aril_bytes want)
{
    const struct arili_crypto *const c = provider();
    struct shake128 *const source = shake128_new();
    struct shake128 *const sink = shake128_new();
    uint8_t got[32];
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
    shake128_read(sink, got, sizeof got);
    assert_int_equal(want.len, sizeof got);
    assert_memory_equal(got, want.data, sizeof got);
    shake128_free(source);
    shake128_free(sink);
}

/* 10000 rounds take ten seconds, so they are for those who ask. */
static void cctv_accumulated_hashes(void **state)
{
    static const char path[] = "ml-dsa/cctv_accumulated.json";
    const uint64_t rounds_max = getenv("ARIL_TEST_LONG") != NULL ? 10000 : 100;
    struct vectors v;
    unsigned ran = 0;
    unsigned left_out = 0;
    size_t i;
    const json_t *t;

    (void)state;
    vectors_open(&v, path);
    json_array_foreach(json_object_get(v.root, "tests"), i, t)
    {
        const uint64_t rounds = vectors_number(t, "iterations");
        if (rounds > rounds_max) {
            left_out++;
            continue;
        }
        run_accumulated(parameter_set(t), rounds, vectors_hex(&v, t, "hash"));
        ran++;
    }
    vectors_report(path, ran, left_out, "of more than 100 rounds only with ARIL_TEST_LONG=1");
    vectors_close(&v);
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
