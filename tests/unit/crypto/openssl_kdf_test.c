/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "provider.h"
#include <string.h>

static aril_status hash(enum arili_hash alg, const aril_bytes *parts, size_t count, uint8_t *ret)
{
    return provider()->ops->hash(provider()->provider, alg, parts, count, ret);
}

static aril_status hmac(enum arili_hash alg, aril_bytes key, const aril_bytes *parts, size_t count,
                        uint8_t *ret)
{
    return provider()->ops->hmac(provider()->provider, alg, key, parts, count, ret);
}

static void parts_hash_like_one_buffer(void **state)
{
    static const enum arili_hash algs[] = { ARILI_SHA256, ARILI_SHA384, ARILI_SHA3_256 };
    uint8_t data[300];
    uint8_t whole[ARILI_HASH_BYTES_MAX];
    uint8_t cut[ARILI_HASH_BYTES_MAX];
    (void)state;
    provider_pattern(data, sizeof data, 5);
    for (size_t a = 0; a < COUNT(algs); a++) {
        const aril_bytes one = { data, sizeof data };
        assert_status(hash(algs[a], &one, 1, whole), ARIL_OK);
        for (size_t at = 0; at <= sizeof data; at += 20) {
            const aril_bytes parts[] = { { data, at },
                                         { NULL, 0 },
                                         { data + at, sizeof data - at } };
            assert_status(hash(algs[a], parts, 3, cut), ARIL_OK);
            assert_memory_equal(cut, whole, arili_hash_bytes(algs[a]));
            assert_status(hmac(ARILI_SHA256, one, parts, 3, cut), ARIL_OK);
            uint8_t mac[32];
            assert_status(hmac(ARILI_SHA256, one, &one, 1, mac), ARIL_OK);
            assert_memory_equal(cut, mac, sizeof mac);
        }
    }
}

static void algorithms_that_do_not_fit_are_usage_errors(void **state)
{
    const aril_bytes none = { NULL, 0 };
    uint8_t out[64];
    (void)state;
    memset(out, 0xaa, sizeof out);
    assert_status(hash(ARILI_SHAKE256, NULL, 0, out), ARIL_E_USAGE_RANGE);
    assert_status(hash((enum arili_hash)0, NULL, 0, out), ARIL_E_USAGE_RANGE);
    assert_status(hash((enum arili_hash)77, NULL, 0, out), ARIL_E_USAGE_RANGE);
    assert_status(hmac(ARILI_SHA3_256, none, NULL, 0, out), ARIL_E_USAGE_RANGE);
    assert_status(
        provider()->ops->hkdf_extract(provider()->provider, ARILI_SHA3_256, none, none, out),
        ARIL_E_USAGE_RANGE);
    assert_status(
        provider()->ops->hkdf_expand(provider()->provider, ARILI_SHAKE256, none, none, out, 1),
        ARIL_E_USAGE_RANGE);
    assert_true(provider_all(out, sizeof out, 0xaa));
}

/* RFC 2104: a short key is filled up with zeros, so an empty key is one of zeros, and
 * RFC 5869 2.2 says the same of an empty salt. */
static void empty_keys_salts_and_secrets_work(void **state)
{
    const uint8_t zeros[48] = { 0 };
    const aril_bytes none = { NULL, 0 };
    const aril_bytes ikm = ARILI_LITERAL("ikm");
    uint8_t a[48];
    uint8_t b[48];
    (void)state;
    for (int alg = ARILI_SHA256; alg <= ARILI_SHA384; alg++) {
        const enum arili_hash h = (enum arili_hash)alg;
        const size_t len = arili_hash_bytes(h);
        assert_status(hmac(h, none, &ikm, 1, a), ARIL_OK);
        assert_status(hmac(h, (aril_bytes){ zeros, len }, &ikm, 1, b), ARIL_OK);
        assert_memory_equal(a, b, len);
        assert_status(provider()->ops->hkdf_extract(provider()->provider, h, none, ikm, b),
                      ARIL_OK);
        assert_memory_equal(a, b, len);
        assert_status(provider()->ops->hkdf_extract(provider()->provider, h, none, none, a),
                      ARIL_OK);
        assert_status(hmac(h, none, NULL, 0, b), ARIL_OK);
        assert_memory_equal(a, b, len);
    }
}

static void expanding_is_limited_to_255_blocks(void **state)
{
    static uint8_t out[255 * 48 + 1];
    static uint8_t longer[255 * 48];
    const aril_bytes prk = ARILI_LITERAL("0123456789abcdef0123456789abcdef");
    const aril_bytes info = ARILI_LITERAL("info");
    (void)state;
    for (int alg = ARILI_SHA256; alg <= ARILI_SHA384; alg++) {
        const enum arili_hash h = (enum arili_hash)alg;
        const size_t max = 255 * arili_hash_bytes(h);
        memset(out, 0xaa, sizeof out);
        assert_status(
            provider()->ops->hkdf_expand(provider()->provider, h, prk, info, out, max + 1),
            ARIL_E_USAGE_RANGE);
        assert_true(provider_all(out, sizeof out, 0xaa));
        assert_status(provider()->ops->hkdf_expand(provider()->provider, h, prk, info, longer, max),
                      ARIL_OK);
        /* Shorter outputs are prefixes, and nothing behind them is written. */
        for (size_t len = 0; len <= 100; len++) {
            memset(out, 0xaa, sizeof out);
            assert_status(
                provider()->ops->hkdf_expand(provider()->provider, h, prk, info, out, len),
                ARIL_OK);
            assert_memory_equal(out, longer, len);
            assert_true(provider_all(out + len, sizeof out - len, 0xaa));
        }
    }
}

static void shake256_gives_any_length(void **state)
{
    const aril_bytes in = ARILI_LITERAL("xof");
    uint8_t all[500];
    uint8_t some[500];
    (void)state;
    assert_status(provider()->ops->xof(provider()->provider, &in, 1, all, sizeof all), ARIL_OK);
    for (size_t len = 1; len < sizeof some; len += 31) {
        memset(some, 0xaa, sizeof some);
        assert_status(provider()->ops->xof(provider()->provider, &in, 1, some, len), ARIL_OK);
        assert_memory_equal(some, all, len);
        assert_true(provider_all(some + len, sizeof some - len, 0xaa));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_hash_like_one_buffer),
        cmocka_unit_test(algorithms_that_do_not_fit_are_usage_errors),
        cmocka_unit_test(empty_keys_salts_and_secrets_work),
        cmocka_unit_test(expanding_is_limited_to_255_blocks),
        cmocka_unit_test(shake256_gives_any_length),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
