/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lmcache.h"
#include "base/bytes.h"
#include "check.h"
#include "legacy_values.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

#define BYTES(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })

/* One frame of each key size; tests/kat and values_of_others_open() open them all. */
static const char *const sizes[] = { "aes128_0", "aes256_1" };

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        uint8_t *const in = malloc(c.stored.len);
        assert_non_null(in);
        for (size_t at = 0; at < c.stored.len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                memcpy(in, c.stored.data, c.stored.len);
                in[at] = (uint8_t)(in[at] ^ 1u << bit);
                legacy_case_refused(&c.scope, (aril_bytes){ in, c.stored.len },
                                    at == 0 ? ARIL_E_FORMAT_VERSION : ARIL_E_AUTH);
            }
        }
        free(in);
    }
}

static void the_frame_is_the_whole_value(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        for (size_t cut = 0; cut < c.stored.len; cut++) {
            legacy_case_refused(&c.scope, (aril_bytes){ c.stored.data, cut },
                                cut < ARILI_LMCACHE_OVERHEAD ? ARIL_E_FORMAT_TRUNCATED
                                                             : ARIL_E_AUTH);
        }
        uint8_t *const padded = calloc(1, c.stored.len + 16);
        assert_non_null(padded);
        memcpy(padded, c.stored.data, c.stored.len);
        legacy_case_refused(&c.scope, (aril_bytes){ padded, c.stored.len + 16 }, ARIL_E_AUTH);
        free(padded);
    }
}

static void another_salt_key_or_size_is_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        struct arili_legacy_scope scope = c.scope;
        scope.tenant = BYTES("tenant-b");
        legacy_case_refused(&scope, c.stored, ARIL_E_AUTH);
        scope.tenant = (aril_bytes){ NULL, 0 };
        legacy_case_refused(&scope, c.stored, ARIL_E_AUTH);
        scope = c.scope;
        scope.lmcache_key_bits = 384 - scope.lmcache_key_bits;
        legacy_case_refused(&scope, c.stored, ARIL_E_AUTH);
        scope.lmcache_key_bits = 192;
        legacy_case_refused(&scope, c.stored, ARIL_E_USAGE_RANGE);
        c.prk[5] ^= 1;
        legacy_case_refused(&c.scope, c.stored, ARIL_E_AUTH);
    }
}

/* 128 bits are LMCache's default, and ours. */
static void no_key_size_means_128_bits(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("aes128_0", &c);
    c.scope.lmcache_key_bits = 0;
    legacy_case_expect(&c);
}

/* Nothing binds a frame to its name: their format, said so that nobody takes it for ours. */
static void the_name_is_not_bound(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("aes256_1", &c);
    c.scope.name = BYTES("another name");
    legacy_case_expect(&c);
}

static void there_is_one_key_of_32_bytes(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("aes128_0", &c);
    c.keys.key[1] = c.keys.key[0];
    c.keys.count = 2;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    c.keys.count = 1;
    c.keys.key[0].len = 31;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    c.keys.key[0].len = 32;
    static uint8_t salt[ARILI_LMCACHE_SALT_MAX + 1];
    c.scope.tenant = (aril_bytes){ salt, sizeof salt };
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    c.scope.tenant.len--;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_AUTH);
}

static void a_frame_longer_than_allowed_is_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        c.scope.value_max = c.value.len;
        legacy_case_expect(&c);
        c.scope.value_max--;
        legacy_case_refused(&c.scope, c.stored, ARIL_E_LIMIT);
    }
}

/* --- Sealing */

static void what_is_sealed_opens_and_no_iv_comes_twice(void **state)
{
    (void)state;
    enum { TIMES = 64 };
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        struct arili_legacy_writer writer = { .used_max = TIMES };
        static uint8_t frames[TIMES][512];
        const size_t len = c.value.len + arili_legacy_overhead(ARIL_CACHE_LMCACHE);
        assert_int_equal(len, c.stored.len);
        for (size_t i = 0; i < TIMES; i++) {
            struct legacy_case made;
            legacy_case_get(sizes[s], &made);
            assert_status(arili_legacy_seal(&c.scope, &writer, c.value, frames[i]), ARIL_OK);
            made.stored = (aril_bytes){ frames[i], len };
            legacy_case_expect(&made);
            for (size_t j = 0; j < i; j++) {
                assert_memory_not_equal(frames[i] + 1, frames[j] + 1, ARILI_AEAD_NONCE_BYTES);
            }
        }
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, frames[0]), ARIL_E_LIMIT);
        assert_true(provider_all(frames[0], len, 0));
        assert_int_equal(atomic_load(&writer.used), TIMES);
    }
}

static void without_a_limit_nothing_is_sealed(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("aes128_0", &c);
    struct arili_legacy_writer writer = { 0 };
    uint8_t frame[512];
    assert_status(arili_legacy_seal(&c.scope, &writer, c.value, frame), ARIL_E_LIMIT);
}

static void an_empty_value_has_a_frame(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct legacy_case c;
        legacy_case_get(sizes[s], &c);
        struct arili_legacy_writer writer = { .used_max = 1 };
        uint8_t frame[ARILI_LMCACHE_OVERHEAD];
        c.value = (aril_bytes){ NULL, 0 };
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, frame), ARIL_OK);
        c.stored = (aril_bytes){ frame, sizeof frame };
        legacy_case_expect(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(the_frame_is_the_whole_value),
        cmocka_unit_test(another_salt_key_or_size_is_refused),
        cmocka_unit_test(no_key_size_means_128_bits),
        cmocka_unit_test(the_name_is_not_bound),
        cmocka_unit_test(there_is_one_key_of_32_bytes),
        cmocka_unit_test(a_frame_longer_than_allowed_is_refused),
        cmocka_unit_test(what_is_sealed_opens_and_no_iv_comes_twice),
        cmocka_unit_test(without_a_limit_nothing_is_sealed),
        cmocka_unit_test(an_empty_value_has_a_frame),
    };
    return cmocka_run_group_tests(tests, legacy_values_setup, legacy_values_teardown);
}
