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

static aril_status argon2id(const char *passphrase, const char *salt, uint32_t memory_kib,
                            uint32_t iterations, uint32_t lanes, uint8_t *ret, size_t ret_len)
{
    const aril_bytes p = { (const uint8_t *)passphrase, strlen(passphrase) };
    const aril_bytes s = { (const uint8_t *)salt, strlen(salt) };
    return provider()->ops->argon2id(provider()->provider, p, s, memory_kib, iterations, lanes, ret,
                                     ret_len);
}

/* Answers of the reference implementation, argon2 20171227 of Debian 12:
 * printf PASSPHRASE | argon2 SALT -id -v 13 -t ITERATIONS -k KIB -p LANES -l LENGTH -r */
static void argon2id_gives_the_bytes_of_the_reference(void **state)
{
    static const uint8_t one_lane[32] = {
        0xa3, 0x99, 0x6b, 0xf2, 0x9c, 0x8b, 0x08, 0x31, 0x3d, 0xab, 0x38,
        0xc2, 0x41, 0x0d, 0xb2, 0x27, 0x1c, 0x99, 0x11, 0x2b, 0xb6, 0x4a,
        0xf8, 0xf0, 0x92, 0xee, 0xd2, 0xf9, 0xd6, 0xc9, 0x82, 0x72,
    };
    static const uint8_t four_lanes[64] = {
        0x27, 0xc3, 0x29, 0xc5, 0x9f, 0xac, 0x65, 0xd2, 0xc3, 0xfe, 0x3f, 0xb1, 0x47,
        0xe8, 0xb6, 0x26, 0x26, 0x8e, 0x49, 0x5e, 0xc1, 0x90, 0x42, 0xe9, 0xd1, 0xbe,
        0xc8, 0xb7, 0xde, 0xe1, 0xb8, 0xd4, 0x4f, 0xb4, 0xee, 0x2c, 0xee, 0xea, 0x11,
        0x8b, 0x9e, 0x3d, 0x73, 0xb2, 0xe0, 0xe6, 0xe0, 0xa9, 0x4a, 0x07, 0xd7, 0x76,
        0xbd, 0x5f, 0xe0, 0x1b, 0x5c, 0x91, 0x34, 0x18, 0xe3, 0xac, 0x2e, 0xfe,
    };
    static const uint8_t shortest[4] = { 0xe2, 0xdd, 0x91, 0xad };
    uint8_t out[64];
    (void)state;
    assert_status(argon2id("correct horse battery staple", "0123456789abcdef", 64, 3, 1, out, 32),
                  ARIL_OK);
    assert_memory_equal(out, one_lane, sizeof one_lane);
    assert_status(argon2id("correct horse battery staple", "0123456789abcdef", 64, 3, 4, out, 64),
                  ARIL_OK);
    assert_memory_equal(out, four_lanes, sizeof four_lanes);
    assert_status(argon2id("a", "01234567", 8, 1, 1, out, 4), ARIL_OK);
    assert_memory_equal(out, shortest, sizeof shortest);
}

static void an_empty_passphrase_has_a_hash_of_its_own(void **state)
{
    uint8_t empty[32];
    uint8_t zero[32];
    (void)state;
    assert_status(argon2id("", "01234567", 8, 1, 1, empty, sizeof empty), ARIL_OK);
    assert_status(provider()->ops->argon2id(provider()->provider,
                                            (aril_bytes){ (const uint8_t *)"", 1 },
                                            ARILI_LITERAL("01234567"), 8, 1, 1, zero, sizeof zero),
                  ARIL_OK);
    assert_memory_not_equal(empty, zero, sizeof empty);
}

static void argon2_parameters_outside_the_rfc_are_usage_errors(void **state)
{
    uint8_t out[32];
    (void)state;
    memset(out, 0xaa, sizeof out);
    assert_status(argon2id("p", "0123456", 8, 1, 1, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", 7, 1, 1, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", 15, 1, 2, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", 8, 0, 1, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", 8, 1, 0, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", UINT32_MAX, 1, 0x1000000, out, 32), ARIL_E_USAGE_RANGE);
    assert_status(argon2id("p", "01234567", 8, 1, 1, out, 3), ARIL_E_USAGE_RANGE);
    assert_true(provider_all(out, sizeof out, 0xaa));
    assert_true(provider_is_quiet());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_hash_like_one_buffer),
        cmocka_unit_test(algorithms_that_do_not_fit_are_usage_errors),
        cmocka_unit_test(empty_keys_salts_and_secrets_work),
        cmocka_unit_test(expanding_is_limited_to_255_blocks),
        cmocka_unit_test(shake256_gives_any_length),
        cmocka_unit_test(argon2id_gives_the_bytes_of_the_reference),
        cmocka_unit_test(an_empty_passphrase_has_a_hash_of_its_own),
        cmocka_unit_test(argon2_parameters_outside_the_rfc_are_usage_errors),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
