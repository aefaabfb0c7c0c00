/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "proxy/config.h"
#include <stdlib.h>

static bool glob(const char *pattern, const char *text)
{
    return arili_glob((aril_bytes){ (const uint8_t *)pattern, strlen(pattern) },
                      (aril_bytes){ (const uint8_t *)text, strlen(text) });
}

struct glob_case {
    const char *pattern, *text;
    bool matches;
};

static void assert_cases(const struct glob_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (glob(cases[i].pattern, cases[i].text) != cases[i].matches) {
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
        }
    }
}

static void plain_bytes_match_themselves(void **state)
{
    (void)state;
    static const struct glob_case cases[] = {
        { "", "", true },    { "", "a", false },   { "a", "", false },     { "a", "a", true },
        { "a", "b", false }, { "ab", "a", false }, { "a", "ab", false },   { "abc", "abc", true },
        { "A", "a", false }, { "]", "]", true },   { "a-z", "a-z", true }, { "^", "^", true },
    };
    assert_cases(cases, COUNT(cases));
}

static void stars_and_question_marks(void **state)
{
    (void)state;
    static const struct glob_case cases[] = {
        { "*", "", true },
        { "*", "abc", true },
        { "**", "abc", true },
        { "***", "", true },
        { "?", "", false },
        { "?", "a", true },
        { "?", "ab", false },
        { "??", "ab", true },
        { "a*", "a", true },
        { "a*", "abc", true },
        { "a*", "ba", false },
        { "*c", "abc", true },
        { "*c", "abcd", false },
        { "a*c", "ac", true },
        { "a*c", "abcbc", true },
        { "a*c", "abcb", false },
        { "*b*", "abc", true },
        { "*b*", "ac", false },
        { "a*b*c", "aXbYc", true },
        { "a*b*c", "acb", false },
        { "?*", "", false },
        { "?*", "a", true },
        { "*?", "", false },
        { "*?", "ab", true },
        { "a**b", "ab", true },
        { "*ab", "aab", true },
        { "*aab", "aaab", true },
        { "user:*:name", "user:1:name", true },
        { "user:*:name", "user:1:names", false },
    };
    assert_cases(cases, COUNT(cases));
}

static void sets_and_their_odd_corners(void **state)
{
    (void)state;
    static const struct glob_case cases[] = {
        { "[abc]", "b", true },
        { "[abc]", "d", false },
        { "[abc]", "", false },
        { "[abc]", "ab", false },
        { "[^abc]", "d", true },
        { "[^abc]", "a", false },
        { "[^abc]", "", false },
        { "[a-c]", "b", true },
        { "[a-c]", "d", false },
        { "[c-a]", "b", true },
        { "[c-a]", "d", false },
        { "[^a-c]", "b", false },
        { "[a-]", "-", false },
        { "[a-]", "a", true },
        { "[a-]", "b", false },
        { "[-a]", "-", true },
        { "[a-c-e]", "-", true },
        { "[a-c-e]", "d", false },
        { "[]", "a", false },
        { "[]", "]", false },
        { "[]a]", "a]", false },
        { "[]a]", "]", false },
        { "[^]", "a", true },
        { "[^]x", "ax", true },
        { "[a\\]b]", "]", true },
        { "[a\\]b]", "b", true },
        { "[a\\]b]", "\\", false },
        { "[\\a-c]", "b", false },
        { "[\\a-c]", "-", true },
        { "[\\\\]", "\\", true },
        { "[a^]", "^", true },
        { "[*]", "*", true },
        { "[*]", "a", false },
        { "[?]", "a", false },
        { "[[]", "[", true },
        { "x[a-c]y", "xby", true },
        /* Not closed: it ends with the pattern. */
        { "[", "a", false },
        { "[", "[", false },
        { "[^", "a", true },
        { "[ab", "b", true },
        { "[ab", "c", false },
        { "[a-", "-", true },
        { "[a-c", "b", true },
        { "[\\", "\\", true },
        { "[\\", "a", false },
        { "[a-]x", "bx", false },
        { "[!-]]", "0]", false },
        { "*[ab]*", "xxbxx", true },
        /* "x-]" is a range up to ']', as it is in Redis. */
        { "[A-]]", "B]", false },
        { "[X-]]", "Z", true },
        { "[X-]", "Z", true },
    };
    assert_cases(cases, COUNT(cases));
}

static void a_backslash_takes_the_meaning_away(void **state)
{
    (void)state;
    static const struct glob_case cases[] = {
        { "\\*", "*", true },    { "\\*", "a", false },    { "\\?", "?", true },
        { "\\?", "a", false },   { "\\[a]", "[a]", true }, { "\\\\", "\\", true },
        { "\\a", "a", true },    { "\\a", "\\a", false },  { "\\", "\\", true },
        { "\\", "a", false },    { "a\\", "a\\", true },   { "*\\*", "ab*", true },
        { "*\\*", "ab", false },
    };
    assert_cases(cases, COUNT(cases));
}

static void bytes_have_no_sign_and_nul_is_one(void **state)
{
    (void)state;
    assert_true(glob("[a-\xff]", "\x80"));
    assert_false(glob("[a-\xff]", "A"));
    assert_true(glob("?", "\xff"));
    assert_true(arili_glob(ARILI_LITERAL("a*c"), ARILI_LITERAL("a\0b\0c")));
    assert_true(arili_glob(ARILI_LITERAL("a\0c"), ARILI_LITERAL("a\0c")));
    assert_false(arili_glob(ARILI_LITERAL("a\0c"), ARILI_LITERAL("a\0d")));
    assert_true(arili_glob(ARILI_LITERAL("*"), (aril_bytes){ NULL, 0 }));
    assert_false(arili_glob((aril_bytes){ NULL, 0 }, ARILI_LITERAL("a")));
}

/* By the definition, for patterns of letters, '*' and '?': tries every way. */
static bool by_definition(const char *pattern, const char *text)
{
    if (pattern[0] == '\0') {
        return text[0] == '\0';
    }
    if (pattern[0] == '*') {
        return by_definition(pattern + 1, text) ||
               (text[0] != '\0' && by_definition(pattern, text + 1));
    }
    return text[0] != '\0' && (pattern[0] == '?' || pattern[0] == text[0]) &&
           by_definition(pattern + 1, text + 1);
}

/* Writes number n in base 'count' with these letters; false when it has more than len digits. */
static bool spell(unsigned n, const char *letters, unsigned count, char *ret, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        ret[i] = letters[n % count];
        n /= count;
    }
    ret[len] = '\0';
    return n == 0;
}

static void all_short_patterns_match_what_the_definition_says(void **state)
{
    (void)state;
    char pattern[8];
    char text[8];
    unsigned compared = 0;
    for (unsigned pl = 0; pl <= 5; pl++) {
        for (unsigned p = 0; spell(p, "ab*?", 4, pattern, pl); p++) {
            for (unsigned tl = 0; tl <= 5; tl++) {
                for (unsigned t = 0; spell(t, "ab", 2, text, tl); t++) {
                    if (glob(pattern, text) != by_definition(pattern, text)) {
                        fail_msg("%s on %s", pattern, text);
                    }
                    compared++;
                }
            }
        }
    }
    assert_int_equal(compared, 1365 * 63);
}

/* With one way back for each star this takes 10^18 steps; a hang is the failure. */
static void many_stars_end_soon(void **state)
{
    (void)state;
    enum { STARS = 200, TEXT = 20000 };
    static char pattern[2 * STARS + 2];
    static char text[TEXT + 1];
    for (unsigned i = 0; i < STARS; i++) {
        pattern[2 * i] = 'a';
        pattern[2 * i + 1] = '*';
    }
    pattern[2 * STARS] = 'b';
    memset(text, 'a', TEXT);
    assert_false(glob(pattern, text));
    text[TEXT - 1] = 'b';
    assert_true(glob(pattern, text));
    assert_false(glob("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

/* In blocks that are exactly as long, so that a sanitizer sees the first byte too many. */
static void every_truncation_of_a_pattern_stays_inside(void **state)
{
    (void)state;
    static const char full[] = "a*\\?[^b-d\\]x-]*[z";
    static const char text[] = "aaa?aaa";
    for (size_t len = 1; len < sizeof full; len++) {
        uint8_t *const pattern = malloc(len);
        assert_non_null(pattern);
        memcpy(pattern, full, len);
        const bool matches = arili_glob((aril_bytes){ pattern, len }, ARILI_LITERAL("aaa?aaa"));
        free(pattern);
        char copy[sizeof full] = "";
        memcpy(copy, full, len);
        assert_int_equal(matches, glob(copy, text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_match_themselves),
        cmocka_unit_test(stars_and_question_marks),
        cmocka_unit_test(sets_and_their_odd_corners),
        cmocka_unit_test(a_backslash_takes_the_meaning_away),
        cmocka_unit_test(bytes_have_no_sign_and_nul_is_one),
        cmocka_unit_test(all_short_patterns_match_what_the_definition_says),
        cmocka_unit_test(many_stars_end_soon),
        cmocka_unit_test(every_truncation_of_a_pattern_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
