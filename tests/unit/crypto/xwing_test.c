/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/xwing.h"
#include "check.h"
#include "faulty_crypto.h"
#include "provider.h"
#include <string.h>

struct pair {
    struct arili_xwing_key *key;
    uint8_t public_key[ARILI_XWING_PUBLIC_BYTES];
};

static aril_bytes public_of(const struct pair *p)
{
    return (aril_bytes){ p->public_key, sizeof p->public_key };
}

static struct pair pair_new(const struct arili_crypto *c, unsigned seed)
{
    struct pair p = { 0 };
    uint8_t bytes[ARILI_XWING_SEED_BYTES];
    provider_pattern(bytes, sizeof bytes, seed);
    assert_status(arili_xwing_import(c, bytes, p.public_key, &p.key), ARIL_OK);
    return p;
}

static void fresh_encapsulations_differ_and_decapsulate(void **state)
{
    struct pair p = pair_new(provider(), 1);
    uint8_t ct[2][ARILI_XWING_CT_BYTES];
    uint8_t ss[2][ARILI_XWING_SHARED_BYTES];
    uint8_t got[ARILI_XWING_SHARED_BYTES];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_status(arili_xwing_encaps(provider(), public_of(&p), NULL, ct[i], ss[i]), ARIL_OK);
        assert_status(arili_xwing_decaps(p.key, (aril_bytes){ ct[i], sizeof ct[i] }, got), ARIL_OK);
        assert_memory_equal(got, ss[i], sizeof got);
    }
    /* Both halves are fresh. */
    assert_memory_not_equal(ct[0], ct[1], ARILI_ML_KEM_768_CT_BYTES);
    assert_memory_not_equal(ct[0] + ARILI_ML_KEM_768_CT_BYTES, ct[1] + ARILI_ML_KEM_768_CT_BYTES,
                            ARILI_X25519_BYTES);
    assert_memory_not_equal(ss[0], ss[1], sizeof got);
    arili_xwing_free(p.key);
}

static void a_change_in_either_half_gives_another_secret(void **state)
{
    struct pair p = pair_new(provider(), 2);
    uint8_t ct[ARILI_XWING_CT_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    uint8_t got[ARILI_XWING_SHARED_BYTES];
    (void)state;
    assert_status(arili_xwing_encaps(provider(), public_of(&p), NULL, ct, ss), ARIL_OK);
    for (size_t at = 0; at < sizeof ct; at += 31) {
        ct[at] ^= 4;
        assert_status(arili_xwing_decaps(p.key, (aril_bytes){ ct, sizeof ct }, got), ARIL_OK);
        assert_memory_not_equal(got, ss, sizeof got);
        ct[at] ^= 4;
    }
    /* X25519 ignores the top bit of a point; the hash over ct_X does not. */
    ct[sizeof ct - 1] ^= 0x80;
    assert_status(arili_xwing_decaps(p.key, (aril_bytes){ ct, sizeof ct }, got), ARIL_OK);
    assert_memory_not_equal(got, ss, sizeof got);
    arili_xwing_free(p.key);
}

static void low_order_points_are_refused_on_both_sides(void **state)
{
    struct pair p = pair_new(provider(), 3);
    uint8_t ct[ARILI_XWING_CT_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    (void)state;
    assert_status(arili_xwing_encaps(provider(), public_of(&p), NULL, ct, ss), ARIL_OK);
    memset(ct + ARILI_ML_KEM_768_CT_BYTES, 0, ARILI_X25519_BYTES);
    memset(ss, 0xaa, sizeof ss);
    assert_status(arili_xwing_decaps(p.key, (aril_bytes){ ct, sizeof ct }, ss),
                  ARIL_E_FORMAT_FIELD);
    assert_true(provider_all(ss, sizeof ss, 0xaa));
    memset(p.public_key + ARILI_ML_KEM_768_PUBLIC_BYTES, 0, ARILI_X25519_BYTES);
    memset(ct, 0xaa, sizeof ct);
    assert_status(arili_xwing_encaps(provider(), public_of(&p), NULL, ct, ss), ARIL_E_FORMAT_FIELD);
    assert_true(provider_all(ss, sizeof ss, 0xaa));
    assert_true(provider_all(ct, sizeof ct, 0xaa));
    arili_xwing_free(p.key);
}

static void every_wrong_length_is_refused(void **state)
{
    static uint8_t bytes[ARILI_XWING_PUBLIC_BYTES + 20];
    struct pair p = pair_new(provider(), 4);
    uint8_t ct[ARILI_XWING_CT_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    (void)state;
    memset(ct, 0xaa, sizeof ct);
    memset(ss, 0xaa, sizeof ss);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        if (len != ARILI_XWING_PUBLIC_BYTES) {
            assert_status(arili_xwing_encaps(provider(), (aril_bytes){ bytes, len }, NULL, ct, ss),
                          ARIL_E_FORMAT_LENGTH);
        }
        if (len != ARILI_XWING_CT_BYTES) {
            assert_status(arili_xwing_decaps(p.key, (aril_bytes){ bytes, len }, ss),
                          ARIL_E_FORMAT_LENGTH);
        }
    }
    assert_true(provider_all(ct, sizeof ct, 0xaa));
    assert_true(provider_all(ss, sizeof ss, 0xaa));
    arili_xwing_free(p.key);
    arili_xwing_free(NULL);
}

static void an_ml_kem_half_over_the_modulus_is_refused(void **state)
{
    struct pair p = pair_new(provider(), 5);
    uint8_t ct[ARILI_XWING_CT_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    (void)state;
    p.public_key[0] = 0xff;
    p.public_key[1] |= 0x0f;
    assert_status(arili_xwing_encaps(provider(), public_of(&p), NULL, ct, ss), ARIL_E_FORMAT_FIELD);
    arili_xwing_free(p.key);
}

/* Each step in turn fails: the status comes through, nothing is written or leaks. */
static void a_failing_step_leaves_outputs_alone_and_frees_keys(void **state)
{
    struct faulty_crypto *const f = faulty_crypto_new(provider());
    const struct arili_crypto *const c = faulty_crypto_table(f);
    const uint8_t seed[ARILI_XWING_SEED_BYTES] = { 9 };
    struct pair p = pair_new(c, 6);
    uint8_t ct[ARILI_XWING_CT_BYTES];
    unsigned steps[3] = { 0, 0, 0 };
    (void)state;
    for (unsigned what = 0; what < 3; what++) {
        for (unsigned n = 1;; n++) {
            uint8_t out[ARILI_XWING_PUBLIC_BYTES];
            uint8_t ss[ARILI_XWING_SHARED_BYTES];
            struct arili_xwing_key *key = NULL;
            memset(out, 0xaa, sizeof out);
            memset(ss, 0xaa, sizeof ss);
            faulty_crypto_arm(f, n, ARIL_E_NOMEM);
            const aril_status st =
                what == 0   ? arili_xwing_import(c, seed, out, &key)
                : what == 1 ? arili_xwing_encaps(c, public_of(&p), NULL, out, ss)
                            : arili_xwing_decaps(p.key, (aril_bytes){ ct, sizeof ct }, ss);
            const bool fired = faulty_crypto_fired(f);
            faulty_crypto_disarm(f);
            if (!fired) {
                assert_status(st, ARIL_OK);
                memcpy(ct, out, sizeof ct);
                arili_xwing_free(key);
                break;
            }
            steps[what]++;
            assert_status(st, ARIL_E_NOMEM);
            assert_null(key);
            assert_true(provider_all(out, sizeof out, 0xaa));
            assert_true(provider_all(ss, sizeof ss, 0xaa));
            assert_int_equal(faulty_crypto_alive(f), 2);
        }
    }
    assert_true(steps[0] >= 5 && steps[1] >= 7 && steps[2] >= 4);
    arili_xwing_free(p.key);
    assert_int_equal(faulty_crypto_alive(f), 0);
    faulty_crypto_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_encapsulations_differ_and_decapsulate),
        cmocka_unit_test(a_change_in_either_half_gives_another_secret),
        cmocka_unit_test(low_order_points_are_refused_on_both_sides),
        cmocka_unit_test(every_wrong_length_is_refused),
        cmocka_unit_test(an_ml_kem_half_over_the_modulus_is_refused),
        cmocka_unit_test(a_failing_step_leaves_outputs_alone_and_frees_keys),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
