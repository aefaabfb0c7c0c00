/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "expanded_keys.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define CT_MAX ARILI_ML_KEM_1024_CT_BYTES

static enum arili_kem parameter_set(const json_t *group)
{
    const char *const name = vectors_string(group, "parameterSet");
    if (strcmp(name, "ML-KEM-1024") == 0) {
        return ARILI_KEM_ML_KEM_1024;
    }
    assert_string_equal(name, "ML-KEM-768");
    return ARILI_KEM_ML_KEM_768;
}

static void assert_keygen(enum arili_kem alg, aril_bytes seed, aril_bytes ek, aril_bytes dk)
{
    const struct arili_crypto *const c = provider();
    struct arili_pkey *key = NULL;
    assert_status(c->ops->kem_import_seed(c->provider, alg, seed, &key), ARIL_OK);
    provider_expect_public(key, ek);
    assert_true(expanded_equals(key, dk));
    c->ops->pkey_free(key);
}

static void assert_encaps(enum arili_kem alg, aril_bytes ek, aril_bytes m, aril_bytes ct,
                          aril_bytes ss)
{
    const struct arili_crypto *const c = provider();
    struct arili_pkey *key = NULL;
    uint8_t out[CT_MAX];
    uint8_t secret[32];
    assert_int_equal(m.len, 32);
    assert_status(c->ops->kem_import_public(c->provider, alg, ek, &key), ARIL_OK);
    assert_status(c->ops->kem_encaps(key, m.data, out, arili_kem_ct_bytes(alg), secret), ARIL_OK);
    assert_int_equal(ct.len, arili_kem_ct_bytes(alg));
    assert_memory_equal(out, ct.data, ct.len);
    assert_int_equal(ss.len, sizeof secret);
    assert_memory_equal(secret, ss.data, sizeof secret);
    c->ops->pkey_free(key);
}

/* Takes the key. */
static void assert_decaps(struct arili_pkey *key, aril_bytes ct, aril_bytes ss)
{
    uint8_t secret[32];
    assert_status(provider()->ops->kem_decaps(key, ct, secret), ARIL_OK);
    assert_int_equal(ss.len, sizeof secret);
    assert_memory_equal(secret, ss.data, sizeof secret);
    provider()->ops->pkey_free(key);
}

static void assert_dk_decaps(enum arili_kem alg, aril_bytes dk, aril_bytes ct, aril_bytes ss)
{
    struct arili_pkey *key = NULL;
    assert_status(expanded_ml_kem(provider(), alg, dk, &key), ARIL_OK);
    assert_decaps(key, ct, ss);
}

static bool run_acvp_keygen(struct vectors *v, const json_t *group, const json_t *t)
{
    const aril_bytes d = vectors_hex(v, t, "d");
    const aril_bytes z = vectors_hex(v, t, "z");
    uint8_t seed[ARILI_ML_KEM_SEED_BYTES];
    assert_true(d.len == 32 && z.len == 32);
    memcpy(seed, d.data, 32);
    memcpy(seed + 32, z.data, 32);
    assert_keygen(parameter_set(group), (aril_bytes){ seed, sizeof seed }, vectors_hex(v, t, "ek"),
                  vectors_hex(v, t, "dk"));
    return true;
}

static void acvp_key_generation(void **state)
{
    (void)state;
    vectors_run("ml-kem/acvp_ML-KEM-keyGen_768_1024.json", "testGroups", "tests", run_acvp_keygen,
                NULL);
}

/* Encapsulation and decapsulation keys as such: accepted or refused at import. */
static bool run_acvp_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const char *const function = vectors_string(group, "function");
    const enum arili_kem alg = parameter_set(group);
    const aril_bytes ek = vectors_hex(v, t, "ek");
    const aril_bytes dk = vectors_hex(v, t, "dk");
    const aril_bytes ct = vectors_hex(v, t, "c");
    const aril_bytes ss = vectors_hex(v, t, "k");
    const aril_status want =
        json_is_true(json_object_get(t, "testPassed")) ? ARIL_OK : ARIL_E_FORMAT_FIELD;
    struct arili_pkey *key = NULL;

    if (strcmp(function, "encapsulation") == 0) {
        assert_encaps(alg, ek, vectors_hex(v, t, "m"), ct, ss);
        assert_dk_decaps(alg, dk, ct, ss);
    } else if (strcmp(function, "decapsulation") == 0) {
        assert_dk_decaps(alg, dk, ct, ss);
    } else if (strcmp(function, "encapsulationKeyCheck") == 0) {
        assert_status(c->ops->kem_import_public(c->provider, alg, ek, &key), want);
    } else if (strcmp(function, "decapsulationKeyCheck") == 0) {
        assert_status(expanded_ml_kem(c, alg, dk, &key), want);
    } else {
        fail_msg("unknown function %s", function);
    }
    c->ops->pkey_free(key);
    assert_true(provider_is_quiet());
    return true;
}

static void acvp_encapsulation_decapsulation_and_key_checks(void **state)
{
    (void)state;
    vectors_run("ml-kem/acvp_ML-KEM-encapDecap_768_1024.json", "testGroups", "tests", run_acvp_case,
                NULL);
}

static bool run_keygen_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const enum arili_kem alg = parameter_set(group);
    assert_true(vectors_is_valid(t));
    assert_keygen(alg, vectors_hex(v, t, "seed"), vectors_hex(v, t, "ek"), vectors_hex(v, t, "dk"));
    return true;
}

static void wycheproof_key_generation(void **state)
{
    (void)state;
    vectors_run("ml-kem/wycheproof_mlkem_768_keygen_seed_first30.json", "testGroups", "tests",
                run_keygen_case, NULL);
}

static bool run_encaps_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const enum arili_kem alg = parameter_set(group);
    const struct arili_crypto *const c = provider();
    const aril_bytes ek = vectors_hex(v, t, "ek");
    struct arili_pkey *key = NULL;
    assert_int_equal(alg, ARILI_KEM_ML_KEM_768);
    if (vectors_is_valid(t)) {
        assert_encaps(alg, ek, vectors_hex(v, t, "m"), vectors_hex(v, t, "c"),
                      vectors_hex(v, t, "K"));
        return true;
    }
    assert_status(c->ops->kem_import_public(c->provider, alg, ek, &key),
                  ek.len == ARILI_ML_KEM_768_PUBLIC_BYTES ? ARIL_E_FORMAT_FIELD
                                                          : ARIL_E_FORMAT_LENGTH);
    assert_null(key);
    assert_true(provider_is_quiet());
    return true;
}

static void wycheproof_encapsulation_with_bad_keys(void **state)
{
    (void)state;
    vectors_run("ml-kem/wycheproof_mlkem_768_encaps_test.json", "testGroups", "tests",
                run_encaps_case, NULL);
}

static bool run_seed_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const enum arili_kem alg = parameter_set(group);
    const struct arili_crypto *const c = provider();
    const aril_bytes seed = vectors_hex(v, t, "seed");
    const aril_bytes ct = vectors_hex(v, t, "c");
    struct arili_pkey *key = NULL;
    uint8_t secret[32];
    const aril_status st = c->ops->kem_import_seed(c->provider, alg, seed, &key);
    if (seed.len != ARILI_ML_KEM_SEED_BYTES) {
        assert_false(vectors_is_valid(t));
        assert_status(st, ARIL_E_FORMAT_LENGTH);
        return true;
    }
    assert_status(st, ARIL_OK);
    if (vectors_is_valid(t)) {
        provider_expect_public(key, vectors_hex(v, t, "ek"));
        assert_decaps(key, ct, vectors_hex(v, t, "K"));
        return true;
    }
    assert_status(c->ops->kem_decaps(key, ct, secret), ARIL_E_FORMAT_LENGTH);
    c->ops->pkey_free(key);
    return true;
}

static void wycheproof_decapsulation_from_seeds(void **state)
{
    (void)state;
    vectors_run("ml-kem/wycheproof_mlkem_768_test.json", "testGroups", "tests", run_seed_case,
                NULL);
}

static bool run_expanded_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const enum arili_kem alg = parameter_set(group);
    const aril_bytes dk = vectors_hex(v, t, "dk");
    const aril_bytes ct = vectors_hex(v, t, "c");
    struct arili_pkey *key = NULL;
    uint8_t secret[32];
    const aril_status st = expanded_ml_kem(provider(), alg, dk, &key);
    if (vectors_is_valid(t)) {
        assert_status(st, ARIL_OK);
        assert_decaps(key, ct, vectors_hex(v, t, "K"));
    } else if (st == ARIL_OK) {
        assert_status(provider()->ops->kem_decaps(key, ct, secret), ARIL_E_FORMAT_LENGTH);
        provider()->ops->pkey_free(key);
    } else {
        assert_status(st, ARIL_E_FORMAT_FIELD);
    }
    return true;
}

static void wycheproof_expanded_keys(void **state)
{
    (void)state;
    vectors_run("ml-kem/wycheproof_mlkem_768_semi_expanded_decaps_test.json", "testGroups", "tests",
                run_expanded_case, NULL);
}

static void cctv_ciphertexts_are_not_compared_as_strings(void **state)
{
    static const char path[] = "ml-kem/cctv_strcmp_ML-KEM-768.txt";
    struct vectors v;
    aril_bytes dk;
    aril_bytes ct;
    aril_bytes ss;

    (void)state;
    vectors_open(&v, path);
    const char *cursor = v.text;
    assert_true(vectors_line_hex(&v, &cursor, "dk", &dk));
    assert_true(vectors_line_hex(&v, &cursor, "c", &ct));
    assert_true(vectors_line_hex(&v, &cursor, "K", &ss));
    assert_dk_decaps(ARILI_KEM_ML_KEM_768, dk, ct, ss);
    vectors_report(path, 1, 0, NULL);
    vectors_close(&v);
}

/* d and z of this file belong to the draft's key generation and are not used. */
static void cctv_matrix_that_needs_more_than_575_bytes_of_xof(void **state)
{
    static const char path[] = "ml-kem/cctv_unluckysample_ML-KEM-768.txt";
    struct vectors v;
    aril_bytes ek;
    aril_bytes dk;
    aril_bytes m;
    aril_bytes ct;
    aril_bytes ss;

    (void)state;
    vectors_open(&v, path);
    const char *cursor = v.text;
    assert_true(vectors_line_hex(&v, &cursor, "ek", &ek));
    assert_true(vectors_line_hex(&v, &cursor, "dk", &dk));
    assert_true(vectors_line_hex(&v, &cursor, "m", &m));
    assert_true(vectors_line_hex(&v, &cursor, "K", &ss));
    assert_true(vectors_line_hex(&v, &cursor, "c", &ct));
    assert_encaps(ARILI_KEM_ML_KEM_768, ek, m, ct, ss);
    assert_dk_decaps(ARILI_KEM_ML_KEM_768, dk, ct, ss);
    vectors_report(path, 1, 0, NULL);
    vectors_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acvp_key_generation),
        cmocka_unit_test(acvp_encapsulation_decapsulation_and_key_checks),
        cmocka_unit_test(wycheproof_key_generation),
        cmocka_unit_test(wycheproof_encapsulation_with_bad_keys),
        cmocka_unit_test(wycheproof_decapsulation_from_seeds),
        cmocka_unit_test(wycheproof_expanded_keys),
        cmocka_unit_test(cctv_ciphertexts_are_not_compared_as_strings),
        cmocka_unit_test(cctv_matrix_that_needs_more_than_575_bytes_of_xof),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
