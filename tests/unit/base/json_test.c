/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "check.h"
#include <jansson.h>

struct text {
    char data[512];
    size_t len;
};

static struct text ended(const struct arili_json *j, char *data)
{
    struct text t = { .len = 0 };
    assert_status(arili_json_end(j, &t.len), ARIL_OK);
    assert_true(t.len < sizeof t.data);
    memcpy(t.data, data, t.len);
    t.data[t.len] = '\0';
    return t;
}

static void write_sample(struct arili_json *j)
{
    arili_json_object_begin(j);
    arili_json_key(j, "a");
    arili_json_array_begin(j);
    arili_json_u64(j, 0);
    arili_json_u64(j, UINT64_MAX);
    arili_json_array_begin(j);
    arili_json_array_end(j);
    arili_json_object_begin(j);
    arili_json_object_end(j);
    arili_json_array_end(j);
    arili_json_key(j, "b");
    arili_json_text(j, "");
    arili_json_key(j, "c");
    arili_json_object_begin(j);
    arili_json_key(j, "d");
    arili_json_u64(j, 7);
    arili_json_key(j, "e");
    arili_json_text(j, "x");
    arili_json_object_end(j);
    arili_json_key(j, "f");
    arili_json_hex(j, "hex:", ARILI_LITERAL("\x00\x9f\xff"));
    arili_json_object_end(j);
}

static const char sample[] = "{\"a\":[0,18446744073709551615,[],{}],\"b\":\"\","
                             "\"c\":{\"d\":7,\"e\":\"x\"},\"f\":\"hex:009fff\"}";

static void containers_have_commas_where_they_belong(void **state)
{
    (void)state;
    char out[256];
    struct arili_json j = arili_json_init(out, sizeof out);
    write_sample(&j);
    assert_string_equal(ended(&j, out).data, sample);
}

static void every_small_buffer_is_refused_with_the_size_wanted(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < sizeof sample - 1; cap++) {
        char out[sizeof sample];
        memset(out, 'z', sizeof out);
        struct arili_json j = arili_json_init(cap > 0 ? out : NULL, cap);
        write_sample(&j);
        size_t len = 77;
        assert_status(arili_json_end(&j, &len), ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, 77);
        assert_int_equal(j.out.len, sizeof sample - 1);
        for (size_t i = cap; i < sizeof out; i++) {
            assert_int_equal(out[i], 'z');
        }
    }
}

/* What another implementation reads back from the string. */
static void assert_reads_as(aril_bytes in, const char *expected, size_t expected_len)
{
    char out[512];
    struct arili_json j = arili_json_init(out, sizeof out);
    arili_json_array_begin(&j);
    arili_json_string(&j, in);
    arili_json_array_end(&j);
    const struct text t = ended(&j, out);
    json_error_t error;
    json_t *root = json_loadb(t.data, t.len, JSON_ALLOW_NUL, &error);
    assert_non_null(root);
    const json_t *string = json_array_get(root, 0);
    assert_int_equal(json_string_length(string), expected_len);
    assert_memory_equal(json_string_value(string), expected, expected_len);
    json_decref(root);
}

static void every_ascii_character_survives(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        const char in[3] = { 'a', (char)c, 'b' };
        assert_reads_as((aril_bytes){ (const uint8_t *)in, 3 }, in, 3);
    }
}

static void control_characters_are_never_raw(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        const uint8_t in = (uint8_t)c;
        char out[16];
        struct arili_json j = arili_json_init(out, sizeof out);
        arili_json_string(&j, (aril_bytes){ &in, 1 });
        const struct text t = ended(&j, out);
        for (size_t i = 0; i < t.len; i++) {
            assert_true((unsigned char)t.data[i] >= 0x20 && t.data[i] != 0x7f);
        }
    }
}

static void short_escapes_are_used_where_json_has_them(void **state)
{
    (void)state;
    char out[64];
    struct arili_json j = arili_json_init(out, sizeof out);
    arili_json_text(&j, "\"\\\b\f\n\r\t/\x01\x7f");
    assert_string_equal(ended(&j, out).data, "\"\\\"\\\\\\b\\f\\n\\r\\t/\\u0001\\u007f\"");
}

static void keys_are_escaped_too(void **state)
{
    (void)state;
    char out[64];
    struct arili_json j = arili_json_init(out, sizeof out);
    arili_json_object_begin(&j);
    arili_json_key(&j, "a\"b");
    arili_json_u64(&j, 1);
    arili_json_object_end(&j);
    assert_string_equal(ended(&j, out).data, "{\"a\\\"b\":1}");
}

static void well_formed_utf8_is_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",     "\xee\x80\x80",
        "\xef\xbf\xbf", "\xe2\x82\xac", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_reads_as((aril_bytes){ (const uint8_t *)texts[i], strlen(texts[i]) }, texts[i],
                        strlen(texts[i]));
    }
}

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void each_byte_of_ill_formed_utf8_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "a\x80"
          "b",
          "a" BAD "b" },                                       /* continuation alone */
        { "\xff\xfe", BAD BAD },                               /* never in UTF-8 */
        { "\xc0\xaf", BAD BAD },                               /* overlong "/" */
        { "\xc1\xbf", BAD BAD },                               /* overlong */
        { "\xe0\x9f\xbf", BAD BAD BAD },                       /* overlong */
        { "\xf0\x8f\xbf\xbf", BAD BAD BAD BAD },               /* overlong */
        { "\xed\xa0\x80", BAD BAD BAD },                       /* surrogate */
        { "\xf4\x90\x80\x80", BAD BAD BAD BAD },               /* above U+10FFFF */
        { "\xf5\x80\x80\x80", BAD BAD BAD BAD },               /* above U+10FFFF */
        { "\xc3", BAD },                                       /* ends early */
        { "\xe2\x82", BAD BAD },                               /* ends early */
        { "\xf0\x90\x80", BAD BAD BAD },                       /* ends early */
        { "\xc3\x28", BAD "(" },                               /* no continuation */
        { "\xe2\x82(", BAD BAD "(" },                          /* no second continuation */
        { "\xf0\x90\x80(", BAD BAD BAD "(" },                  /* no third continuation */
        { "\xc3\xa9\xc3\xc3\xa9", "\xc3\xa9" BAD "\xc3\xa9" }, /* goes on after it */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_reads_as((aril_bytes){ (const uint8_t *)cases[i].in, strlen(cases[i].in) },
                        cases[i].out, strlen(cases[i].out));
    }
}

/* The bytes that would complete the character lie behind the end. */
static void nothing_is_read_behind_the_end(void **state)
{
    (void)state;
    assert_reads_as((aril_bytes){ (const uint8_t *)"\xc3\xa9", 1 }, BAD, 3);
    assert_reads_as((aril_bytes){ (const uint8_t *)"\xe2\x82\xac", 2 }, BAD BAD, 6);
    assert_reads_as((aril_bytes){ (const uint8_t *)"\xf0\x90\x80\x80", 3 }, BAD BAD BAD, 9);
}

static void empty_strings_are_fine(void **state)
{
    (void)state;
    assert_reads_as((aril_bytes){ NULL, 0 }, "", 0);
}

static void deep_nesting_keeps_its_commas(void **state)
{
    (void)state;
    char out[256];
    struct arili_json j = arili_json_init(out, sizeof out);
    for (unsigned i = 0; i < ARILI_JSON_DEPTH_MAX; i++) {
        arili_json_array_begin(&j);
        arili_json_u64(&j, i);
    }
    for (unsigned i = 0; i < ARILI_JSON_DEPTH_MAX; i++) {
        arili_json_array_end(&j);
    }
    const struct text t = ended(&j, out);
    assert_memory_equal(t.data, "[0,[1,[2,[3", 11);
    json_t *root = json_loadb(t.data, t.len, 0, NULL);
    assert_non_null(root);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_have_commas_where_they_belong),
        cmocka_unit_test(every_small_buffer_is_refused_with_the_size_wanted),
        cmocka_unit_test(every_ascii_character_survives),
        cmocka_unit_test(control_characters_are_never_raw),
        cmocka_unit_test(short_escapes_are_used_where_json_has_them),
        cmocka_unit_test(keys_are_escaped_too),
        cmocka_unit_test(well_formed_utf8_is_kept),
        cmocka_unit_test(each_byte_of_ill_formed_utf8_is_replaced),
        cmocka_unit_test(nothing_is_read_behind_the_end),
        cmocka_unit_test(empty_strings_are_fine),
        cmocka_unit_test(deep_nesting_keeps_its_commas),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
