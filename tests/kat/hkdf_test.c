/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "vectors.h"

#define FILE_NAME "hkdf/wycheproof_hkdf_sha256_groups_128_256.json"

static bool run_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const bool valid = vectors_is_valid(t);
    const size_t size = (size_t)vectors_number(t, "size");
    uint8_t prk[32];
    uint8_t out[255 * 32 + 1];
    (void)group;
    assert_true(size <= sizeof out);
    assert_status(c->ops->hkdf_extract(c->provider, ARILI_SHA256, vectors_hex(v, t, "salt"),
                                       vectors_hex(v, t, "ikm"), prk),
                  ARIL_OK);
    assert_status(c->ops->hkdf_expand(c->provider, ARILI_SHA256, (aril_bytes){ prk, sizeof prk },
                                      vectors_hex(v, t, "info"), out, size),
                  valid ? ARIL_OK : ARIL_E_USAGE_RANGE);
    if (valid) {
        vectors_expect(out, size, vectors_hex(v, t, "okm"));
    }
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
