/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cachekit.h"
#include "base/bytes.h"
#include "check.h"
#include "format/msgpack.h"
#include "legacy_values.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

#define BYTES(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })

static const char *const every_form[] = { "interop_key_0", "rs",        "ts", "ts_integers", "py",
                                          "py_integers",   "py_old_key" };

static void expect_opens(const struct legacy_case *c)
{
    legacy_case_expect(c);
}

static void values_of_others_open(void **state)
{
    (void)state;
    assert_int_equal(legacy_case_each(expect_opens), 18 + 5);
}

/* --- What is bound */

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(every_form); i++) {
        struct legacy_case c;
        legacy_case_get(every_form[i], &c);
        const size_t sealed = c.value.len; /* at least so many bytes at the end are ciphertext */
        uint8_t *const in = malloc(c.stored.len);
        assert_non_null(in);
        for (size_t at = c.stored.len - sealed - ARILI_CACHEKIT_TAG_BYTES; at < c.stored.len;
             at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                memcpy(in, c.stored.data, c.stored.len);
                in[at] = (uint8_t)(in[at] ^ 1u << bit);
                legacy_case_refused(&c.scope, (aril_bytes){ in, c.stored.len }, ARIL_E_AUTH);
            }
        }
        free(in);
    }
}

/* The head of a Python frame is not authenticated as a whole: a change there may pass when it says
 * nothing that counts, and then the value is what it was. */
static void a_changed_head_never_changes_the_value(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("py", &c);
    uint8_t *const in = malloc(c.stored.len);
    assert_non_null(in);
    const size_t head = 7 + arili_load32(c.stored.data + 3);
    size_t passed = 0;
    for (size_t at = 0; at < head; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct arili_legacy_value got = { 0 };
            memcpy(in, c.stored.data, c.stored.len);
            in[at] = (uint8_t)(in[at] ^ 1u << bit);
            const aril_status st =
                arili_legacy_open(&c.scope, (aril_bytes){ in, c.stored.len }, &got);
            if (st == ARIL_OK) {
                passed++;
                assert_int_equal(got.bytes.len, c.value.len);
                assert_memory_equal(got.bytes.data, c.value.data, c.value.len);
                assert_int_equal(got.key_index, 0);
                arili_legacy_value_done(&got);
            } else {
                const aril_status class = aril_status_class(st);
                assert_true(class == ARIL_E_FORMAT || st == ARIL_E_AUTH ||
                            st == ARIL_E_KEY_UNKNOWN);
                assert_null(got.memory);
            }
        }
    }
    /* Names of who wrote it, of the encoding, of the tenant: letters that may be others. */
    assert_true(passed > 0 && passed < head);
    free(in);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(every_form); i++) {
        struct legacy_case c;
        legacy_case_get(every_form[i], &c);
        size_t before = 0; /* the tag */
        if (c.scope.format == ARIL_CACHE_CACHEKIT_PY) {
            before = 7 + arili_load32(c.stored.data + 3);
        }
        for (size_t cut = 0; cut < c.stored.len; cut++) {
            legacy_case_refused(&c.scope, (aril_bytes){ c.stored.data, cut },
                                cut < before + ARILI_CACHEKIT_OVERHEAD ? ARIL_E_FORMAT_TRUNCATED
                                                                       : ARIL_E_AUTH);
        }
        uint8_t *const longer = malloc(c.stored.len + 1);
        assert_non_null(longer);
        memcpy(longer, c.stored.data, c.stored.len);
        longer[c.stored.len] = 0;
        legacy_case_refused(&c.scope, (aril_bytes){ longer, c.stored.len + 1 }, ARIL_E_AUTH);
        free(longer);
    }
}

static void another_name_tenant_or_format_is_refused(void **state)
{
    (void)state;
    static const aril_cache_format formats[] = { ARIL_CACHE_CACHEKIT_INTEROP,
                                                 ARIL_CACHE_CACHEKIT_PY, ARIL_CACHE_CACHEKIT_TS,
                                                 ARIL_CACHE_CACHEKIT_RS };
    for (size_t i = 0; i < COUNT(every_form); i++) {
        struct legacy_case c;
        legacy_case_get(every_form[i], &c);
        const bool named = c.scope.format == ARIL_CACHE_CACHEKIT_PY;
        struct arili_legacy_scope scope = c.scope;
        scope.name = BYTES("another:name");
        legacy_case_refused(&scope, c.stored, ARIL_E_AUTH);
        scope.name = (aril_bytes){ c.scope.name.data, c.scope.name.len - 1 };
        legacy_case_refused(&scope, c.stored, ARIL_E_AUTH);
        scope = c.scope;
        /* The key of another tenant is another key, which the fingerprint names. */
        scope.tenant = BYTES("acmf");
        legacy_case_refused(&scope, c.stored, named ? ARIL_E_KEY_UNKNOWN : ARIL_E_AUTH);
        scope.tenant = (aril_bytes){ NULL, 0 };
        legacy_case_refused(&scope, c.stored, named ? ARIL_E_KEY_UNKNOWN : ARIL_E_AUTH);
        for (size_t f = 0; f < COUNT(formats); f++) {
            scope = c.scope;
            scope.format = formats[f];
            const bool same = formats[f] == c.scope.format;
            /* Rust's own values differ from interop's in their names alone. */
            const bool twins = (formats[f] == ARIL_CACHE_CACHEKIT_INTEROP ||
                                formats[f] == ARIL_CACHE_CACHEKIT_RS) &&
                               (c.scope.format == ARIL_CACHE_CACHEKIT_INTEROP ||
                                c.scope.format == ARIL_CACHE_CACHEKIT_RS);
            if (!same && !twins) {
                legacy_case_refused(&scope, c.stored,
                                    formats[f] == ARIL_CACHE_CACHEKIT_PY ? ARIL_E_FORMAT_KIND
                                                                         : ARIL_E_AUTH);
            }
        }
    }
}

/* A value that was sealed with other associated data than its form has: no second try. */
static void other_associated_data_is_not_retried(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    const struct arili_cachekit_aad right = { .tenant = c.scope.tenant,
                                              .name = c.scope.name,
                                              .format = BYTES("msgpack") };
    uint8_t sealed[256];
    const aril_bytes stored = { sealed, c.value.len + ARILI_CACHEKIT_OVERHEAD };
    struct arili_cachekit_aad aad = right;
    struct legacy_case made = c;
    made.scope.keys = &made.keys;
    made.stored = stored;
    legacy_encrypt(&c, 0, &aad, c.value, sealed);
    legacy_case_expect(&made);
    aad.compressed = true;
    legacy_encrypt(&c, 0, &aad, c.value, sealed);
    legacy_case_refused(&c.scope, stored, ARIL_E_AUTH);
    aad = right;
    aad.format = BYTES("orjson");
    legacy_encrypt(&c, 0, &aad, c.value, sealed);
    legacy_case_refused(&c.scope, stored, ARIL_E_AUTH);
    aad = right;
    aad.original_type = BYTES("msgpack");
    legacy_encrypt(&c, 0, &aad, c.value, sealed);
    legacy_case_refused(&c.scope, stored, ARIL_E_AUTH);
    aad = right;
    aad.tenant = BYTES("default");
    legacy_encrypt(&c, 0, &aad, c.value, sealed);
    legacy_case_refused(&c.scope, stored, ARIL_E_AUTH);
}

/* --- Keys */

static void keys_are_tried_in_their_order(void **state)
{
    (void)state;
    static const char *const names[] = { "interop_key_0", "interop_key_1", "interop_key_2",
                                         "interop_key_3" };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct legacy_case c;
        legacy_case_get(names[i], &c);
        assert_int_equal(c.key_index, i);
        legacy_case_expect(&c);
        /* Not beyond the count. */
        c.keys.count = i;
        legacy_case_refused(&c.scope, c.stored, i == 0 ? ARIL_E_USAGE_RANGE : ARIL_E_AUTH);
        /* The first of two equal keys wins. */
        c.keys.count = ARILI_LEGACY_KEYS_MAX;
        c.keys.key[0] = c.keys.key[i];
        c.key_index = 0;
        legacy_case_expect(&c);
        c.keys.count = ARILI_LEGACY_KEYS_MAX + 1;
        legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    }
}

static void a_fingerprint_binds_to_its_key(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("py_old_key", &c);
    assert_int_equal(c.key_index, 3);
    c.keys.count = 3;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_KEY_UNKNOWN);
    /* The frame of key 0 with the fingerprint of key 1: key 0 would open it, and is not asked. */
    legacy_case_get("py", &c);
    uint8_t *const in = malloc(c.stored.len);
    assert_non_null(in);
    memcpy(in, c.stored.data, c.stored.len);
    uint8_t key[32];
    uint8_t fingerprint[ARILI_CACHEKIT_FINGERPRINT_BYTES];
    char *at = NULL;
    for (size_t i = 0; i + 17 < c.stored.len && at == NULL; i++) {
        if (memcmp(in + i, "_fingerprint\": \"", 16) == 0) {
            at = (char *)in + i + 16;
        }
    }
    assert_non_null(at);
    assert_status(arili_cachekit_derive(provider(), c.keys.key[1], c.scope.tenant, key), ARIL_OK);
    assert_status(arili_cachekit_fingerprint(provider(), key, fingerprint), ARIL_OK);
    for (size_t i = 0; i < sizeof fingerprint; i++) {
        at[2 * i] = "0123456789abcdef"[fingerprint[i] >> 4];
        at[2 * i + 1] = "0123456789abcdef"[fingerprint[i] & 15];
    }
    legacy_case_refused(&c.scope, (aril_bytes){ in, c.stored.len }, ARIL_E_AUTH);
    at[0] = at[0] == 'f' ? '0' : 'f';
    legacy_case_refused(&c.scope, (aril_bytes){ in, c.stored.len }, ARIL_E_KEY_UNKNOWN);
    free(in);
}

static void keys_and_tenants_have_lengths(void **state)
{
    (void)state;
    static uint8_t bytes[ARILI_CACHEKIT_NAME_BYTES_MAX + 1];
    uint8_t key[32] = { 7 };
    const aril_bytes master = { bytes, 32 };
    static const struct {
        size_t master, tenant;
        aril_status want;
    } cases[] = {
        { 15, 1, ARIL_E_USAGE_RANGE }, { 16, 1, ARIL_OK },
        { 64, 1024, ARIL_OK },         { 65, 1, ARIL_E_USAGE_RANGE },
        { 32, 0, ARIL_E_USAGE_RANGE }, { 32, 1025, ARIL_E_USAGE_RANGE },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(arili_cachekit_derive(provider(), (aril_bytes){ bytes, cases[i].master },
                                            (aril_bytes){ bytes, cases[i].tenant }, key),
                      cases[i].want);
    }
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    c.keys.key[0] = master;
    c.scope.name = (aril_bytes){ bytes, ARILI_CACHEKIT_NAME_BYTES_MAX + 1 };
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    c.scope.name.len = 0;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
    c.scope.name.len = ARILI_CACHEKIT_NAME_BYTES_MAX;
    legacy_case_refused(&c.scope, c.stored, ARIL_E_AUTH);
    c.scope.tenant = (aril_bytes){ bytes, 1025 };
    legacy_case_refused(&c.scope, c.stored, ARIL_E_USAGE_RANGE);
}

/* --- What authentic values must still be */

static void authentic_bytes_that_are_no_document_are_refused(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    const struct arili_cachekit_aad aad = { .tenant = c.scope.tenant,
                                            .name = c.scope.name,
                                            .format = BYTES("msgpack") };
    static const struct {
        aril_bytes plain;
        aril_status want;
    } cases[] = {
        { { (const uint8_t *)"", 0 }, ARIL_E_FORMAT_TRUNCATED },
        { { (const uint8_t *)"\xc0\xc0", 2 }, ARIL_E_FORMAT_LENGTH },
        { { (const uint8_t *)"\x92\x01", 2 }, ARIL_E_FORMAT_TRUNCATED },
        { { (const uint8_t *)"\xc1", 1 }, ARIL_E_FORMAT_FIELD },
        { { (const uint8_t *)"CK\x03", 3 }, ARIL_E_FORMAT_LENGTH },
    };
    uint8_t sealed[64];
    for (size_t i = 0; i < COUNT(cases); i++) {
        legacy_encrypt(&c, 0, &aad, cases[i].plain, sealed);
        legacy_case_refused(&c.scope,
                            (aril_bytes){ sealed, cases[i].plain.len + ARILI_CACHEKIT_OVERHEAD },
                            cases[i].want);
    }
}

static void nesting_of_a_million_levels_is_refused(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    const struct arili_cachekit_aad aad = { .tenant = c.scope.tenant,
                                            .name = c.scope.name,
                                            .format = BYTES("msgpack") };
    const size_t levels = 1000000;
    uint8_t *const plain = malloc(levels);
    uint8_t *const sealed = malloc(levels + ARILI_CACHEKIT_OVERHEAD);
    assert_non_null(plain);
    assert_non_null(sealed);
    memset(plain, 0x91, levels);
    plain[levels - 1] = 0xc0;
    legacy_encrypt(&c, 0, &aad, (aril_bytes){ plain, levels }, sealed);
    legacy_case_refused(&c.scope, (aril_bytes){ sealed, levels + ARILI_CACHEKIT_OVERHEAD },
                        ARIL_E_FORMAT_FIELD);
    free(plain);
    free(sealed);
}

static void a_bomb_in_an_authentic_value_is_refused(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("ts", &c);
    const struct arili_cachekit_aad aad = { .tenant = c.scope.tenant,
                                            .name = c.scope.name,
                                            .format = BYTES("msgpack"),
                                            .compressed = true };
    static const struct {
        aril_bytes plain;
        aril_status want;
    } cases[] = {
        /* One byte of data that says 1001 bytes, 512 MiB, 2^64 - 1. */
        { { (const uint8_t *)"\x94\xc4\x01\x00\x98\0\0\0\0\0\0\0\0\xcd\x03\xe9\xa0", 17 },
          ARIL_E_LIMIT },
        { { (const uint8_t *)"\x94\xc4\x01\x00\x98\0\0\0\0\0\0\0\0\xce\x20\0\0\0\xa0", 19 },
          ARIL_E_LIMIT },
        { { (const uint8_t *)"\x94\xc4\x01\x00\x98\0\0\0\0\0\0\0\0"
                             "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa0",
            23 },
          ARIL_E_LIMIT },
        { { (const uint8_t *)"\x94\xc4\x01\x00\x98\0\0\0\0\0\0\0\0\x01\xa0", 15 },
          ARIL_E_FORMAT_FIELD },
        { { (const uint8_t *)"\xc0", 1 }, ARIL_E_FORMAT_FIELD },
    };
    uint8_t sealed[64];
    for (size_t i = 0; i < COUNT(cases); i++) {
        legacy_encrypt(&c, 0, &aad, cases[i].plain, sealed);
        legacy_case_refused(&c.scope,
                            (aril_bytes){ sealed, cases[i].plain.len + ARILI_CACHEKIT_OVERHEAD },
                            cases[i].want);
    }
}

static void a_value_longer_than_allowed_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(every_form); i++) {
        struct legacy_case c;
        legacy_case_get(every_form[i], &c);
        c.scope.value_max = c.value.len;
        legacy_case_expect(&c);
        c.scope.value_max = c.value.len - 1;
        legacy_case_refused(&c.scope, c.stored, ARIL_E_LIMIT);
        c.scope.value_max = 0;
        legacy_case_refused(&c.scope, c.stored, ARIL_E_LIMIT);
    }
}

static void a_frame_that_says_that_it_is_plain_is_refused(void **state)
{
    (void)state;
    static const char plain[] =
        "CK\x03\0\0\0\x4d{\"s\": \"default\", \"m\": {\"format\": \"msgpack\", \"compressed\": "
        "false}, \"v\": \"2.0\"}hello, cachekit!";
    struct legacy_case c;
    legacy_case_get("py", &c);
    legacy_case_refused(&c.scope, (aril_bytes){ (const uint8_t *)plain, sizeof plain - 1 },
                        ARIL_E_FORMAT_KIND);
}

/* --- Sealing */

static void what_is_sealed_opens(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    struct arili_legacy_writer writer = { .instance = { 1, 2, 3, 4, 5, 6, 7, 8 },
                                          .used_max = UINT64_C(1) << 32 };
    uint8_t sealed[256];
    assert_int_equal(arili_legacy_overhead(ARIL_CACHE_CACHEKIT_INTEROP), 28);
    assert_int_equal(arili_legacy_overhead(ARIL_CACHE_CACHEKIT_PY), 0);
    for (uint32_t n = 0; n < 3; n++) {
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_OK);
        assert_memory_equal(sealed, writer.instance, 8);
        assert_int_equal(arili_load32(sealed + 8), n);
        struct legacy_case made;
        legacy_case_get("interop_key_0", &made);
        made.stored = (aril_bytes){ sealed, c.value.len + ARILI_CACHEKIT_OVERHEAD };
        legacy_case_expect(&made);
    }
    assert_int_equal(atomic_load(&writer.used), 3);
}

static void a_writer_ends_at_its_limit(void **state)
{
    (void)state;
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    static const uint64_t limits[] = { 5, UINT64_C(1) << 32, UINT64_MAX };
    for (size_t i = 0; i < COUNT(limits); i++) {
        const uint64_t end = limits[i] < UINT64_C(1) << 32 ? limits[i] : UINT64_C(1) << 32;
        struct arili_legacy_writer writer = { .used_max = limits[i] };
        uint8_t sealed[256];
        atomic_store(&writer.used, end - 1);
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_OK);
        assert_int_equal(arili_load32(sealed + 8), (uint32_t)(end - 1));
        memset(sealed, 0xee, sizeof sealed);
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_E_LIMIT);
        assert_true(provider_all(sealed, c.value.len + 28, 0));
        assert_int_equal(sealed[c.value.len + 28], 0xee);
        assert_int_equal(atomic_load(&writer.used), end);
    }
}

static void what_cannot_be_sealed_costs_no_nonce(void **state)
{
    (void)state;
    static const aril_cache_format read_only[] = { ARIL_CACHE_NATIVE, ARIL_CACHE_CACHEKIT_PY,
                                                   ARIL_CACHE_CACHEKIT_TS, ARIL_CACHE_CACHEKIT_RS };
    struct legacy_case c;
    legacy_case_get("interop_key_0", &c);
    struct arili_legacy_writer writer = { .used_max = 10 };
    uint8_t sealed[256];
    assert_status(arili_legacy_seal(&c.scope, &writer, BYTES("\xc0\xc0"), sealed),
                  ARIL_E_FORMAT_LENGTH);
    assert_status(arili_legacy_seal(&c.scope, &writer, BYTES(""), sealed), ARIL_E_FORMAT_TRUNCATED);
    for (size_t i = 0; i < COUNT(read_only); i++) {
        c.scope.format = read_only[i];
        assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_E_USAGE_RANGE);
    }
    c.scope.format = ARIL_CACHE_CACHEKIT_INTEROP;
    c.scope.value_max = c.value.len - 1;
    assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_E_LIMIT);
    c.scope.value_max = c.value.len;
    c.keys.count = 0;
    assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_E_USAGE_RANGE);
    assert_int_equal(atomic_load(&writer.used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_others_open),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(a_changed_head_never_changes_the_value),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(another_name_tenant_or_format_is_refused),
        cmocka_unit_test(other_associated_data_is_not_retried),
        cmocka_unit_test(keys_are_tried_in_their_order),
        cmocka_unit_test(a_fingerprint_binds_to_its_key),
        cmocka_unit_test(keys_and_tenants_have_lengths),
        cmocka_unit_test(authentic_bytes_that_are_no_document_are_refused),
        cmocka_unit_test(nesting_of_a_million_levels_is_refused),
        cmocka_unit_test(a_bomb_in_an_authentic_value_is_refused),
        cmocka_unit_test(a_value_longer_than_allowed_is_refused),
        cmocka_unit_test(a_frame_that_says_that_it_is_plain_is_refused),
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(a_writer_ends_at_its_limit),
        cmocka_unit_test(what_cannot_be_sealed_costs_no_nonce),
    };
    return cmocka_run_group_tests(tests, legacy_values_setup, legacy_values_teardown);
}
