/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define FILE_NAME "hkdf/wycheproof_hkdf_sha256_groups_128_256.json"

static void wycheproof_cases(void **state)
{
    const struct arili_crypto *const c = provider();
    struct vectors v;
    unsigned ran = 0;
    size_t i;
    size_t k;
    const json_t *group;
    const json_t *t;

    (void)state;
    vectors_open(&v, FILE_NAME);
    json_array_foreach(json_object_get(v.root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, t)
        {
            const bool valid = strcmp(vectors_string(t, "result"), "valid") == 0;
            const aril_bytes okm = vectors_hex(&v, t, "okm");
            const size_t size = (size_t)vectors_number(t, "size");
            uint8_t prk[32];
            uint8_t out[255 * 32 + 1];
            assert_true(size <= sizeof out);
            assert_status(c->ops->hkdf_extract(c->provider, ARILI_SHA256,
                                               vectors_hex(&v, t, "salt"),
                                               vectors_hex(&v, t, "ikm"), prk),
                          ARIL_OK);
            assert_status(c->ops->hkdf_expand(c->provider, ARILI_SHA256,
                                              (aril_bytes){ prk, sizeof prk },
                                              vectors_hex(&v, t, "info"), out, size),
                          valid ? ARIL_OK : ARIL_E_USAGE_RANGE);
            if (valid) {
                assert_int_equal(okm.len, size);
                assert_memory_equal(out, okm.data, size);
            }
            ran++;
        }
    }
    vectors_report(FILE_NAME, ran, 0, NULL);
    vectors_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wycheproof_cases),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
