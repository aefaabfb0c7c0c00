/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/xwing.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define DRAFT_FILE     "x-wing/draft_test-vectors.json"
#define GENERATED_FILE "x-wing/generated_xwing.json"

static void assert_decaps(struct arili_xwing_key *key, aril_bytes ct, aril_bytes want)
{
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    assert_int_equal(want.len, sizeof ss);
    assert_status(arili_xwing_decaps(key, ct, ss), ARIL_OK);
    assert_memory_equal(ss, want.data, sizeof ss);
}

/* The secret of the ciphertext with bit 0 of one byte changed, where it is given. */
static void assert_tampered(struct vectors *v, struct arili_xwing_key *key, const json_t *t,
                            aril_bytes ct, size_t at, const char *member)
{
    if (json_object_get(t, member) != NULL) {
        uint8_t changed[ARILI_XWING_CT_BYTES];
        memcpy(changed, ct.data, sizeof changed);
        changed[at] ^= 1;
        assert_decaps(key, (aril_bytes){ changed, sizeof changed }, vectors_hex(v, t, member));
    }
}

static bool run_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes seed = vectors_hex(v, t, "seed");
    const aril_bytes eseed = vectors_hex(v, t, "eseed");
    const aril_bytes pk = vectors_hex(v, t, "pk");
    const aril_bytes ct = vectors_hex(v, t, "ct");
    const aril_bytes ss = vectors_hex(v, t, "ss");
    struct arili_xwing_key *key = NULL;
    uint8_t out[ARILI_XWING_PUBLIC_BYTES];
    uint8_t secret[ARILI_XWING_SHARED_BYTES];

    (void)group;
    assert_int_equal(seed.len, ARILI_XWING_SEED_BYTES);
    assert_int_equal(eseed.len, ARILI_XWING_ENCAPS_RAND_BYTES);
    assert_int_equal(pk.len, sizeof out);
    assert_int_equal(ct.len, ARILI_XWING_CT_BYTES);
    assert_status(arili_xwing_import(c, seed.data, out, &key), ARIL_OK);
    assert_memory_equal(out, pk.data, pk.len);
    assert_status(arili_xwing_encaps(c, pk, eseed.data, out, secret), ARIL_OK);
    assert_memory_equal(out, ct.data, ct.len);
    assert_memory_equal(secret, ss.data, sizeof secret);
    assert_decaps(key, ct, ss);
    assert_tampered(v, key, t, ct, 5, "ct_tampered_mlkem_byte5");
    assert_tampered(v, key, t, ct, 1090, "ct_tampered_x25519_byte1090");
    arili_xwing_free(key);
    return true;
}

static void vectors_of_the_draft(void **state)
{
    (void)state;
    vectors_run(DRAFT_FILE, NULL, NULL, run_case, NULL);
}

static void generated_vectors_with_implicit_rejection(void **state)
{
    (void)state;
    vectors_run(GENERATED_FILE, NULL, "cases", run_case, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_draft),
        cmocka_unit_test(generated_vectors_with_implicit_rejection),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
