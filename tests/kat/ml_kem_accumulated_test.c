/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "shake128.h"
#include "vectors.h"
#include <string.h>

#define FILE_NAME "ml-kem/accumulated_fips203.json"

/* One round: draw seed, m and a random ciphertext; hash ek, ct, and both secrets. */
static void run_round(enum arili_kem alg, struct shake128 *source, struct shake128 *sink)
{
    const struct arili_crypto *const c = provider();
    struct arili_pkey *key = NULL;
    struct arili_pkey *peer = NULL;
    uint8_t seed[ARILI_ML_KEM_SEED_BYTES];
    uint8_t m[ARILI_ML_KEM_ENCAPS_RAND_BYTES];
    uint8_t ek[ARILI_ML_KEM_1024_PUBLIC_BYTES];
    uint8_t ct[ARILI_ML_KEM_1024_CT_BYTES];
    uint8_t random_ct[ARILI_ML_KEM_1024_CT_BYTES];
    uint8_t sent[32];
    uint8_t got[32];
    const size_t ct_len = arili_kem_ct_bytes(alg);
    size_t ek_len = 0;

    shake128_read(source, seed, sizeof seed);
    shake128_read(source, m, sizeof m);
    shake128_read(source, random_ct, ct_len);
    assert_status(
        c->ops->kem_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &key),
        ARIL_OK);
    assert_status(c->ops->pkey_public(key, ek, sizeof ek, &ek_len), ARIL_OK);
    assert_status(c->ops->kem_import_public(c->provider, alg, (aril_bytes){ ek, ek_len }, &peer),
                  ARIL_OK);
    assert_status(c->ops->kem_encaps(peer, m, ct, ct_len, sent), ARIL_OK);
    assert_status(c->ops->kem_decaps(key, (aril_bytes){ ct, ct_len }, got), ARIL_OK);
    assert_memory_equal(sent, got, sizeof sent);
    assert_status(c->ops->kem_decaps(key, (aril_bytes){ random_ct, ct_len }, got), ARIL_OK);
    shake128_write(sink, ek, ek_len);
    shake128_write(sink, ct, ct_len);
    shake128_write(sink, sent, sizeof sent);
    shake128_write(sink, got, sizeof got);
    c->ops->pkey_free(key);
    c->ops->pkey_free(peer);
}

static void run_rounds(enum arili_kem alg, uint64_t rounds, aril_bytes want)
{
    struct shake128 *const source = shake128_new();
    struct shake128 *const sink = shake128_new();
    for (uint64_t i = 0; i < rounds; i++) {
        run_round(alg, source, sink);
    }
    assert_int_equal(want.len, 32);
    shake128_end(sink, want.data);
    shake128_free(source);
}

static bool run_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const char *const set = vectors_string(t, "parameterSet");
    const uint64_t rounds = vectors_number(t, "iterations");
    (void)group;
    run_rounds(strcmp(set, "ML-KEM-1024") == 0 ? ARILI_KEM_ML_KEM_1024 : ARILI_KEM_ML_KEM_768,
               rounds, vectors_hex(v, t, "hash"));
    print_message("  %s: %u rounds\n", set, (unsigned)rounds);
    return true;
}

static void accumulated_hashes_of_fips_203(void **state)
{
    (void)state;
    vectors_run(FILE_NAME, NULL, "tests", run_case, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accumulated_hashes_of_fips_203),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
