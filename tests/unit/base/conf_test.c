/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf.h"
#include "base/bytes.h"
#include "check.h"
#include <stdio.h>
#include <stdlib.h>

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static void assert_bytes(aril_bytes actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.data, expected, actual.len);
}

/* The text has this one item, in this line. */
static void assert_item(const char *text, enum arili_conf_kind kind, uint32_t line,
                        const char *name, const char *value)
{
    struct arili_conf conf = arili_conf_init(bytes_of(text));
    struct arili_conf_item item;
    const char *reason = "";
    assert_status(arili_conf_next(&conf, &item, &reason), ARIL_OK);
    assert_null(reason);
    assert_int_equal(item.kind, kind);
    assert_int_equal(item.line, line);
    assert_bytes(item.name, name);
    if (value == NULL) {
        assert_null(item.value.data);
    } else {
        assert_non_null(item.value.data);
        assert_bytes(item.value, value);
    }
    for (int again = 0; again < 2; again++) {
        assert_status(arili_conf_next(&conf, &item, &reason), ARIL_OK);
        assert_int_equal(item.kind, ARILI_CONF_END);
    }
}

static void assert_refused(aril_bytes text, uint32_t line, const char *reason_part)
{
    struct arili_conf conf = arili_conf_init(text);
    struct arili_conf_item item = { .kind = ARILI_CONF_PAIR };
    const char *reason = NULL;
    aril_status st = ARIL_OK;
    do {
        st = arili_conf_next(&conf, &item, &reason);
    } while (st == ARIL_OK && item.kind != ARILI_CONF_END);
    assert_status(st, ARIL_E_FORMAT_FIELD);
    assert_int_equal(conf.line, line);
    assert_int_equal(item.kind, ARILI_CONF_END);
    assert_null(item.name.data);
    assert_non_null(strstr(reason, reason_part));
}

static void pairs_are_a_name_and_the_rest_of_the_line(void **state)
{
    (void)state;
    assert_item("a = b", ARILI_CONF_PAIR, 1, "a", "b");
    assert_item("a=b\n", ARILI_CONF_PAIR, 1, "a", "b");
    assert_item("\n\n \ta_1-x\t=\tb c \t\n", ARILI_CONF_PAIR, 3, "a_1-x", "b c");
    assert_item("a = b = c", ARILI_CONF_PAIR, 1, "a", "b = c");
    assert_item("a = x\"y\"", ARILI_CONF_PAIR, 1, "a", "x\"y\"");
    assert_item("a = [x]", ARILI_CONF_PAIR, 1, "a", "[x]");
    assert_item("\xef\xbb\xbf"
                "a = \xc3\xa9",
                ARILI_CONF_PAIR, 1, "a", "\xc3\xa9");
}

static void quotes_keep_blanks_and_hashes(void **state)
{
    (void)state;
    assert_item("a = \" b # c \" # d", ARILI_CONF_PAIR, 1, "a", " b # c ");
    assert_item("a = 'say \"b\"'", ARILI_CONF_PAIR, 1, "a", "say \"b\"");
    assert_item("a = \"\"", ARILI_CONF_PAIR, 1, "a", "");
    assert_item("[p \"a b\"]", ARILI_CONF_SECTION, 1, "p", "a b");
    assert_item("[p ' ]' ] # c", ARILI_CONF_SECTION, 1, "p", " ]");
    assert_item("[p '']", ARILI_CONF_SECTION, 1, "p", "");
    assert_item("a = \"\\\"", ARILI_CONF_PAIR, 1, "a", "\\");
}

static void sections_may_have_an_argument(void **state)
{
    (void)state;
    assert_item("[limits]", ARILI_CONF_SECTION, 1, "limits", NULL);
    assert_item(" [ limits ] # c", ARILI_CONF_SECTION, 1, "limits", NULL);
    assert_item("[policy a[bc]*]", ARILI_CONF_SECTION, 1, "policy", "a[bc]*");
    assert_item("[policy  a#b ]", ARILI_CONF_SECTION, 1, "policy", "a#b");
    assert_item("[policy ]]", ARILI_CONF_SECTION, 1, "policy", "]");
}

static void a_hash_behind_a_blank_begins_a_comment(void **state)
{
    (void)state;
    assert_item("# x\n  # y\na = b # c", ARILI_CONF_PAIR, 3, "a", "b");
    assert_item("a = b\t#c", ARILI_CONF_PAIR, 1, "a", "b");
    assert_item("a = b#c", ARILI_CONF_PAIR, 1, "a", "b#c");
    assert_item("[limits] # [b]", ARILI_CONF_SECTION, 1, "limits", NULL);
}

static void lines_may_end_with_cr_lf(void **state)
{
    (void)state;
    assert_item("\r\n# c\r\na = b\r\n", ARILI_CONF_PAIR, 3, "a", "b");
    assert_item("[a b]\r\n", ARILI_CONF_SECTION, 1, "a", "b");
    assert_item("a = 'b'\r", ARILI_CONF_PAIR, 1, "a", "b");
    assert_refused(bytes_of("a = b\r\r\n"), 1, "control character");
    assert_refused(bytes_of("a\r= b\n"), 1, "control character");
}

static void nothing_is_the_end(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", "# only this", " \t\r\n\n", "\xef\xbb\xbf" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arili_conf conf = arili_conf_init(bytes_of(texts[i]));
        struct arili_conf_item item = { .kind = ARILI_CONF_PAIR };
        const char *reason = "";
        assert_status(arili_conf_next(&conf, &item, &reason), ARIL_OK);
        assert_int_equal(item.kind, ARILI_CONF_END);
    }
    struct arili_conf conf = arili_conf_init((aril_bytes){ NULL, 0 });
    struct arili_conf_item item;
    const char *reason = NULL;
    assert_status(arili_conf_next(&conf, &item, &reason), ARIL_OK);
    assert_int_equal(item.kind, ARILI_CONF_END);
}

static void lines_that_are_neither_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        { "key", "a line is" },
        { "= value", "a line is" },
        { "Key = v", "a line is" },
        { "1key = v", "a line is" },
        { "ke y = v", "a line is" },
        { "k\xc3\xa9y = v", "a line is" },
        { "key =", "value is missing" },
        { "key = # c", "value is missing" },
        { "key = \"a", "not closed" },
        { "key = \"", "not closed" },
        { "key = 'a\"", "not closed" },
        { "key = \"a\" b", "behind the closing quote" },
        { "key = 'a''b'", "behind the closing quote" },
        { "[", "a section is" },
        { "[]", "a section is" },
        { "[ ", "a section is" },
        { "[Limits]", "a section is" },
        { "[limits", "a section is" },
        { "[a.b]", "a section is" },
        { "[limits ", "a section is" },
        { "[limits x", "ends with ']'" },
        { "[limits] x", "ends with ']'" },
        { "[p a b]", "in quotes" },
        { "[p \"a]", "not closed" },
        { "[p \"a\"", "stands ']'" },
        { "[p \"a\" b]", "stands ']'" },
        { "[p \"a\"] b", "behind ']'" },
        { "a = \x01", "control character" },
        { "a = \x7f", "control character" },
        { "# \x1b[2J", "control character" },
        { "a = \xff", "not UTF-8" },
        { "# \xc3", "not UTF-8" },
        { "a = \xed\xa0\x80", "not UTF-8" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_refused(bytes_of(cases[i].text), 1, cases[i].reason);
        char later[80];
        (void)snprintf(later, sizeof later, "a = b\n\n%s\nc = d\n", cases[i].text);
        assert_refused(bytes_of(later), 3, cases[i].reason);
    }
    assert_refused(ARILI_LITERAL("a = b\0c"), 1, "control character");
    assert_refused(ARILI_LITERAL("\0"), 1, "control character");
}

static void reading_goes_on_behind_a_line_that_was_refused(void **state)
{
    (void)state;
    struct arili_conf conf = arili_conf_init(bytes_of("bad\na = b"));
    struct arili_conf_item item;
    const char *reason = NULL;
    assert_status(arili_conf_next(&conf, &item, &reason), ARIL_E_FORMAT_FIELD);
    assert_status(arili_conf_next(&conf, &item, &reason), ARIL_OK);
    assert_int_equal(item.line, 2);
    assert_bytes(item.value, "b");
}

/* In a block that is exactly as long, so that a sanitizer sees the first byte too many. */
static void every_truncation_ends(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf# c\r\n[policy 'a b'] # x\nkey = \"\xc3\xa9 #\"\n"
                               "[policy a[b]]\nk-1 = v # c";
    for (size_t len = 1; len < sizeof text; len++) {
        uint8_t *const copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, text, len);
        struct arili_conf conf = arili_conf_init((aril_bytes){ copy, len });
        struct arili_conf_item item = { .kind = ARILI_CONF_PAIR };
        const char *reason = NULL;
        unsigned calls = 0;
        bool end = false;
        while (!end) {
            const aril_status st = arili_conf_next(&conf, &item, &reason);
            assert_int_equal(st != ARIL_OK, reason != NULL);
            end = st == ARIL_OK && item.kind == ARILI_CONF_END;
            assert_true(++calls <= 7);
        }
        free(copy);
    }
}

static void lists_are_cut_at_commas(void **state)
{
    (void)state;
    static const char *const expected[] = { "a", "", "b c", "" };
    aril_bytes list = bytes_of(" a,, b c\t,");
    aril_bytes item = { NULL, 0 };
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(arili_conf_list_next(&list, &item));
        assert_bytes(item, expected[i]);
    }
    assert_false(arili_conf_list_next(&list, &item));
    list = bytes_of("");
    assert_true(arili_conf_list_next(&list, &item));
    assert_int_equal(item.len, 0);
    assert_false(arili_conf_list_next(&list, &item));
}

static void a_text_is_compared_whole(void **state)
{
    (void)state;
    assert_true(arili_conf_is(bytes_of("abc"), "abc"));
    assert_false(arili_conf_is(bytes_of("abc"), "ab"));
    assert_false(arili_conf_is(bytes_of("ab"), "abc"));
    assert_false(arili_conf_is(bytes_of("abd"), "abc"));
    assert_true(arili_conf_is((aril_bytes){ NULL, 0 }, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_a_name_and_the_rest_of_the_line),
        cmocka_unit_test(quotes_keep_blanks_and_hashes),
        cmocka_unit_test(sections_may_have_an_argument),
        cmocka_unit_test(a_hash_behind_a_blank_begins_a_comment),
        cmocka_unit_test(lines_may_end_with_cr_lf),
        cmocka_unit_test(nothing_is_the_end),
        cmocka_unit_test(lines_that_are_neither_are_refused),
        cmocka_unit_test(reading_goes_on_behind_a_line_that_was_refused),
        cmocka_unit_test(every_truncation_ends),
        cmocka_unit_test(lists_are_cut_at_commas),
        cmocka_unit_test(a_text_is_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
