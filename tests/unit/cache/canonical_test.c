/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/canonical.h"
#include "base/bytes.h"
#include "check.h"
#include "format/msgpack.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define BYTES(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })

/* The published vectors are in tests/kat/cachekit_test.c; here is what they leave out. */

static void expect(aril_bytes in, aril_bytes want)
{
    uint8_t out[512];
    size_t len = 0;
    assert_true(2 * in.len <= sizeof out);
    assert_status(arili_canonical(in, out, &len), ARIL_OK);
    assert_int_equal(len, want.len);
    assert_memory_equal(out, want.data, want.len);
    /* What is canonical stays as it is. */
    uint8_t again[1024];
    assert_status(arili_canonical((aril_bytes){ out, len }, again, &len), ARIL_OK);
    assert_int_equal(len, want.len);
    assert_memory_equal(again, want.data, want.len);
}

static void refuse(aril_bytes in, aril_status want)
{
    uint8_t out[512];
    size_t len = 99;
    assert_true(2 * in.len <= sizeof out);
    assert_status(arili_canonical(in, out, &len), want);
    assert_int_equal(len, 99);
}

static void integers_get_their_shortest_form(void **state)
{
    (void)state;
    expect(BYTES("\xd3\x00\x00\x00\x00\x00\x00\x00\x05"), BYTES("\x05"));
    expect(BYTES("\xcf\x00\x00\x00\x00\x00\x00\x00\x80"), BYTES("\xcc\x80"));
    expect(BYTES("\xce\x00\x00\xff\xff"), BYTES("\xcd\xff\xff"));
    expect(BYTES("\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), BYTES("\xff"));
    expect(BYTES("\xd2\xff\xff\xff\x80"), BYTES("\xd0\x80"));
    expect(BYTES("\xd1\xff\x7f"), BYTES("\xd1\xff\x7f"));
}

static void lengths_get_their_shortest_form(void **state)
{
    (void)state;
    expect(BYTES("\xdb\x00\x00\x00\x01x"), BYTES("\xa1x"));
    expect(BYTES("\xd9\x01x"), BYTES("\xa1x"));
    expect(BYTES("\xc6\x00\x00\x00\x01x"), BYTES("\xc4\x01x"));
    expect(BYTES("\xdd\x00\x00\x00\x01\xc0"), BYTES("\x91\xc0"));
    expect(BYTES("\xdf\x00\x00\x00\x01\xd9\x01x\xc0"), BYTES("\x81\xa1x\xc0"));
}

static void floats_with_an_integral_value_become_integers(void **state)
{
    (void)state;
    expect(BYTES("\xca\x40\x00\x00\x00"), BYTES("\x02"));                     /* 2 */
    expect(BYTES("\xca\xbf\x80\x00\x00"), BYTES("\xff"));                     /* -1 */
    expect(BYTES("\xca\x3f\xc0\x00\x00"), BYTES("\xcb\x3f\xf8\0\0\0\0\0\0")); /* 1.5 */
    expect(BYTES("\xcb\x80\0\0\0\0\0\0\0"), BYTES("\x00"));                   /* -0 */
    expect(BYTES("\xcb\x43\xef\xff\xff\xff\xff\xff\xff"),                     /* below 2^64 */
           BYTES("\xcf\xff\xff\xff\xff\xff\xff\xf8\x00"));
    expect(BYTES("\xcb\x43\xf0\0\0\0\0\0\0"), BYTES("\xcb\x43\xf0\0\0\0\0\0\0"));   /* 2^64 */
    expect(BYTES("\xcb\xc3\xe0\0\0\0\0\0\0"), BYTES("\xd3\x80\0\0\0\0\0\0\0"));     /* -2^63 */
    expect(BYTES("\xcb\xc3\xe0\0\0\0\0\0\1"), BYTES("\xcb\xc3\xe0\0\0\0\0\0\1"));   /* below it */
    expect(BYTES("\xca\x7f\x7f\xff\xff"), BYTES("\xcb\x47\xef\xff\xff\xe0\0\0\0")); /* FLT_MAX */
    expect(BYTES("\xcb\0\0\0\0\0\0\0\1"), BYTES("\xcb\0\0\0\0\0\0\0\1"));
}

static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    refuse(BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xcb\x7f\xf0\0\0\0\0\0\0"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xcb\xff\xf0\0\0\0\0\0\0"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xca\x7f\xc0\0\0"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x91\xca\xff\x80\0\0"), ARIL_E_FORMAT_FIELD);
}

static void keys_are_sorted_at_every_level(void **state)
{
    (void)state;
    expect(BYTES("\x82\xa1"
                 "b\x82\xa1z\x01\xa1y\x02\xa1"
                 "a\x92\x82\xa2qq\xc0\xa1q\xc0\x01"),
           BYTES("\x82\xa1"
                 "a\x92\x82\xa1q\xc0\xa2qq\xc0\x01\xa1"
                 "b\x82\xa1y\x02\xa1z\x01"));
    /* By their bytes without the head: the longer one first when its bytes are smaller. */
    expect(BYTES("\x82\xa1"
                 "b\x01\xa2"
                 "aa\x02"),
           BYTES("\x82\xa2"
                 "aa\x02\xa1"
                 "b\x01"));
    expect(BYTES("\x82\xa1\x00\x01\xa0\x02"), BYTES("\x82\xa0\x02\xa1\x00\x01"));
    expect(BYTES("\x80"), BYTES("\x80"));
    expect(BYTES("\x81\xa1x\x80"), BYTES("\x81\xa1x\x80"));
    expect(BYTES("\x82\xa1y\x80\xa1x\x90"), BYTES("\x82\xa1x\x90\xa1y\x80"));
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    refuse(BYTES("\x82\xa1x\x01\xa1x\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x83\xa1x\x01\xa1"
                 "a\x01\xd9\x01x\x01"),
           ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\xa1x\x82\xa1x\x01\xa1x\x02"), ARIL_E_FORMAT_FIELD);
    /* In two maps it is fine. */
    expect(BYTES("\x92\x81\xa1x\x01\x81\xa1x\x01"), BYTES("\x92\x81\xa1x\x01\x81\xa1x\x01"));
}

static void keys_that_are_no_strings_and_ext_types_are_refused(void **state)
{
    (void)state;
    refuse(BYTES("\x81\x01\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\xc4\x01x\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\xc0\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\x90\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\x80\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xd4\x01\x01"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x91\xc7\x00\xff"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xd6\xff\x00\x00\x00\x00"), ARIL_E_FORMAT_FIELD); /* a timestamp */
}

static void strings_are_utf_8(void **state)
{
    (void)state;
    refuse(BYTES("\xa1\xff"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xa2\xc0\x80"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\xa3\xed\xa0\x80"), ARIL_E_FORMAT_FIELD);
    refuse(BYTES("\x81\xa1\xff\x01"), ARIL_E_FORMAT_FIELD);
    expect(BYTES("\xa4\xf0\x90\x80\x80"), BYTES("\xa4\xf0\x90\x80\x80"));
    expect(BYTES("\xc4\x01\xff"), BYTES("\xc4\x01\xff")); /* bytes are bytes */
}

static void nesting_is_limited_to_32(void **state)
{
    (void)state;
    uint8_t in[40];
    uint8_t out[80];
    size_t len;
    memset(in, 0x91, sizeof in);
    in[32] = 0x01;
    assert_status(arili_canonical((aril_bytes){ in, 33 }, out, &len), ARIL_OK);
    assert_memory_equal(out, in, 33);
    in[32] = 0x91;
    in[33] = 0x01;
    assert_status(arili_canonical((aril_bytes){ in, 34 }, out, &len), ARIL_E_FORMAT_FIELD);
    in[32] = 0x90; /* an empty one is one more as well */
    assert_status(arili_canonical((aril_bytes){ in, 33 }, out, &len), ARIL_E_FORMAT_FIELD);
}

static int order(const void *a, const void *b)
{
    return memcmp(a, b, 3);
}

/* Keys in several orders, many of them, against what qsort() says. */
static void many_keys_are_sorted_whatever_their_order(void **state)
{
    (void)state;
    enum { KEYS = 1000 };
    static uint8_t in[3 + 5 * KEYS], out[2 * sizeof in];
    static char keys[KEYS][3];
    for (unsigned seed = 0; seed < 4; seed++) {
        struct arili_writer w = arili_writer_init(in, sizeof in);
        arili_msgpack_write_map(&w, KEYS);
        for (unsigned i = 0; i < KEYS; i++) {
            /* 7 and 1000 share no factor, so each number comes once. */
            const unsigned n = seed == 0   ? i
                               : seed == 1 ? KEYS - 1 - i
                               : seed == 2 ? i * 7 % KEYS
                                           : (i * 501 + 3) % KEYS;
            keys[i][0] = (char)('a' + n / 100);
            keys[i][1] = (char)('a' + n / 10 % 10);
            keys[i][2] = (char)('a' + n % 10);
            arili_msgpack_write_str(&w, (aril_bytes){ (const uint8_t *)keys[i], 3 });
            arili_msgpack_write_nil(&w);
        }
        size_t len = 0;
        assert_true(w.len <= sizeof in);
        assert_status(arili_canonical((aril_bytes){ in, w.len }, out, &len), ARIL_OK);
        assert_int_equal(len, w.len);
        qsort(keys, KEYS, sizeof keys[0], order);
        for (unsigned i = 0; i < KEYS; i++) {
            assert_memory_equal(out + 3 + 5 * i + 1, keys[i], 3);
        }
    }
}

static void the_longest_growth_fits_its_room(void **state)
{
    (void)state;
    /* A float of 32 bits that stays one: 5 bytes become 9. */
    static uint8_t in[1 + 15 * 5], out[2 * sizeof in];
    size_t len = 0;
    in[0] = 0x9f;
    for (size_t i = 0; i < 15; i++) {
        memcpy(in + 1 + 5 * i, "\xca\x3f\xc0\x00\x00", 5);
    }
    assert_status(arili_canonical((aril_bytes){ in, sizeof in }, out, &len), ARIL_OK);
    assert_int_equal(len, 1 + 15 * 9);
}

/* --- The public function */

static aril_status make_key(const char *space, const char *operation, aril_bytes args,
                            char ret[ARIL_CACHEKIT_KEY_TEXT], aril_error *error)
{
    return aril_cachekit_key(rt, (aril_bytes){ (const uint8_t *)space, strlen(space) },
                             (aril_bytes){ (const uint8_t *)operation, strlen(operation) }, args,
                             ret, error);
}

static void the_longest_key_fits_its_room(void **state)
{
    (void)state;
    char segment[65];
    char key[ARIL_CACHEKIT_KEY_TEXT];
    memset(segment, 'a', 64);
    segment[64] = '\0';
    assert_status(make_key(segment, segment, BYTES("\x90"), key, NULL), ARIL_OK);
    assert_int_equal(strlen(key), ARIL_CACHEKIT_KEY_TEXT - 1);
}

static void numbers_of_one_value_have_one_key(void **state)
{
    (void)state;
    char a[ARIL_CACHEKIT_KEY_TEXT];
    char b[ARIL_CACHEKIT_KEY_TEXT];
    assert_status(make_key("t", "op", BYTES("\x91\x02"), a, NULL), ARIL_OK);
    assert_string_equal(a, "t:op:6df5e966da1ba347f99784f56e50e2f570e775e54c9c9349dd8944cb7fe01ea7");
    assert_status(make_key("t", "op", BYTES("\x91\xca\x40\x00\x00\x00"), b, NULL), ARIL_OK);
    assert_string_equal(a, b);
    assert_status(make_key("t", "op", BYTES("\xdc\x00\x01\xd1\x00\x02"), b, NULL), ARIL_OK);
    assert_string_equal(a, b);
}

static void what_cannot_be_named_is_refused_with_a_reason(void **state)
{
    (void)state;
    char key[ARIL_CACHEKIT_KEY_TEXT] = "untouched";
    aril_error error = { 0 };
    assert_status(make_key("Users", "op", BYTES("\x90"), key, &error), ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(error.message, "namespace \"Users\""));
    assert_status(make_key("t", "a:b", BYTES("\x90"), key, &error), ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(error.message, "operation \"a:b\""));
    assert_status(make_key("t", "op", BYTES("\x81\xa1x\x01"), key, &error), ARIL_E_FORMAT_KIND);
    assert_status(make_key("t", "op", BYTES("\x02"), key, &error), ARIL_E_FORMAT_KIND);
    assert_status(make_key("t", "op", BYTES(""), key, &error), ARIL_E_FORMAT_TRUNCATED);
    assert_status(make_key("t", "op", BYTES("\x90\x90"), key, &error), ARIL_E_FORMAT_LENGTH);
    assert_status(make_key("t", "op", BYTES("\x91\xc1"), key, &error), ARIL_E_FORMAT_FIELD);
    assert_non_null(strstr(error.message, "2 bytes"));
    assert_status(make_key("t", "op", (aril_bytes){ NULL, 1 }, key, &error), ARIL_E_USAGE_NULL);
    assert_string_equal(key, "untouched");
}

static void arguments_have_a_longest_length(void **state)
{
    (void)state;
    const size_t max = ARILI_CANONICAL_BYTES_MAX;
    char key[ARIL_CACHEKIT_KEY_TEXT] = "untouched";
    aril_error error = { 0 };
    uint8_t *const args = calloc(1, max + 1);
    assert_non_null(args);
    /* One array with one string of bytes that fills the rest. */
    args[0] = 0x91;
    args[1] = 0xc6;
    arili_store32(args + 2, (uint32_t)(max - 6 + 1));
    assert_status(make_key("t", "op", (aril_bytes){ args, max + 1 }, key, &error), ARIL_E_LIMIT);
    assert_non_null(strstr(error.message, "1048577"));
    assert_string_equal(key, "untouched");
    arili_store32(args + 2, (uint32_t)(max - 6));
    assert_status(make_key("t", "op", (aril_bytes){ args, max }, key, &error), ARIL_OK);
    /* As many pairs as fit, of which the first two have one key. */
    const uint32_t pairs = (uint32_t)((max - 6) / 2);
    args[0] = 0x91;
    args[1] = 0xdf;
    arili_store32(args + 2, pairs);
    memset(args + 6, 0xa0, 2 * (size_t)pairs);
    assert_status(make_key("t", "op", (aril_bytes){ args, 6 + 2 * (size_t)pairs }, key, &error),
                  ARIL_E_FORMAT_FIELD);
    free(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_get_their_shortest_form),
        cmocka_unit_test(lengths_get_their_shortest_form),
        cmocka_unit_test(floats_with_an_integral_value_become_integers),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(keys_are_sorted_at_every_level),
        cmocka_unit_test(a_key_that_is_there_twice_is_refused),
        cmocka_unit_test(keys_that_are_no_strings_and_ext_types_are_refused),
        cmocka_unit_test(strings_are_utf_8),
        cmocka_unit_test(nesting_is_limited_to_32),
        cmocka_unit_test(many_keys_are_sorted_whatever_their_order),
        cmocka_unit_test(the_longest_growth_fits_its_room),
        cmocka_unit_test(the_longest_key_fits_its_room),
        cmocka_unit_test(numbers_of_one_value_have_one_key),
        cmocka_unit_test(what_cannot_be_named_is_refused_with_a_reason),
        cmocka_unit_test(arguments_have_a_longest_length),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
