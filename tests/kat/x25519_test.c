/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define FILE_NAME "x25519/wycheproof_x25519_even_tcid.json"

/* "acceptable" cases are low-order and non-canonical points. A secret of zeros is
 * refused, every other answer is given. */
static bool run_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes want = vectors_hex(v, t, "shared");
    struct arili_pkey *key = NULL;
    struct arili_pkey *peer = NULL;
    uint8_t secret[ARILI_X25519_BYTES];

    (void)group;
    assert_status(
        c->ops->kem_import_seed(c->provider, ARILI_KEM_X25519, vectors_hex(v, t, "private"), &key),
        ARIL_OK);
    assert_status(c->ops->kem_import_public(c->provider, ARILI_KEM_X25519,
                                            vectors_hex(v, t, "public"), &peer),
                  ARIL_OK);
    assert_int_equal(want.len, sizeof secret);
    memset(secret, 0xaa, sizeof secret);
    const bool zero = provider_all(want.data, want.len, 0);
    assert_status(c->ops->x25519(key, peer, secret), zero ? ARIL_E_FORMAT_FIELD : ARIL_OK);
    assert_memory_equal(secret, want.data, sizeof secret);
    c->ops->pkey_free(key);
    c->ops->pkey_free(peer);
    return true;
}

static void wycheproof_cases(void **state)
{
    (void)state;
    vectors_run(FILE_NAME, "testGroups", "tests", run_case, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wycheproof_cases),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
