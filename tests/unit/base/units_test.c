/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"
#include "check.h"
#include <string.h>

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static void numbers_are_digits_and_nothing_else(void **state)
{
    (void)state;
    uint64_t n = 7;
    assert_true(arili_number_parse(bytes_of("0"), &n));
    assert_int_equal(n, 0);
    assert_true(arili_number_parse(bytes_of("10"), &n));
    assert_int_equal(n, 10);
    assert_true(arili_number_parse(bytes_of("18446744073709551615"), &n));
    assert_true(n == UINT64_MAX);
    static const char *const bad[] = { "",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "01",
                                       "00",
                                       "0x1",
                                       "1.0",
                                       "1e3",
                                       "18446744073709551616",
                                       "18446744073709551620",
                                       "99999999999999999999999" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        n = 7;
        assert_false(arili_number_parse(bytes_of(bad[i]), &n));
        assert_int_equal(n, 7);
    }
}

static void sizes_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "0", 0 },
                 { "0 B", 0 },
                 { "1B", 1 },
                 { "512 B", 512 },
                 { "64 KiB", 65536 },
                 { "64KiB", 65536 },
                 { "3\t \tMiB", 3u << 20 },
                 { "2 GiB", (uint64_t)2 << 30 },
                 { "1 TiB", (uint64_t)1 << 40 },
                 { "16777215 TiB", (uint64_t)16777215 << 40 } };
    static const char *const bad[] = { "",       "1",          "1 K",     "1 KB", "1 kib",
                                       "1 KiB ", " 1 B",       "1.5 MiB", "-1 B", "KiB",
                                       "1 KiBx", "01 B",       "0 ",      "0 x",  "16777216 TiB",
                                       "1 B B",  "1 MiB 1 KiB" };
    uint64_t n = 7;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(arili_size_parse(bytes_of(good[i].text), &n));
        assert_true(n == good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        n = 7;
        assert_false(arili_size_parse(bytes_of(bad[i]), &n));
        assert_int_equal(n, 7);
    }
}

static void durations_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = { { "0", 0 },        { "500 ms", 500 },   { "10 s", 10000 },      { "10s", 10000 },
                 { "2 m", 120000 }, { "3 h", 10800000 }, { "30 d", 2592000000u } };
    static const char *const bad[] = { "1", "1 min",  "1 S",   "1 sec", "1 w",
                                       "s", "1 ms s", "1,5 s", "1 B",   "213503982335 d" };
    uint64_t n = 7;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(arili_duration_parse(bytes_of(good[i].text), &n));
        assert_true(n == good[i].ms);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        n = 7;
        assert_false(arili_duration_parse(bytes_of(bad[i]), &n));
        assert_int_equal(n, 7);
    }
}

static void texts_are_in_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *size, *duration;
    } cases[] = { { 0, "0 B", "0 ms" },
                  { 1, "1 B", "1 ms" },
                  { 1000, "1000 B", "1 s" },
                  { 1024, "1 KiB", "1024 ms" },
                  { 1536, "1536 B", "1536 ms" },
                  { 90000, "90000 B", "90 s" },
                  { 3600000, "3600000 B", "1 h" },
                  { 86400000, "84375 KiB", "1 d" },
                  { (uint64_t)5 << 40, "5 TiB", "5497558138880 ms" },
                  { UINT64_MAX, "18446744073709551615 B", "18446744073709551615 ms" } };
    char text[ARILI_UNITS_TEXT];
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t back = 7;
        arili_size_text(cases[i].n, text);
        assert_string_equal(text, cases[i].size);
        assert_true(arili_size_parse(bytes_of(text), &back));
        assert_true(back == cases[i].n);
        arili_duration_text(cases[i].n, text);
        assert_string_equal(text, cases[i].duration);
        assert_true(arili_duration_parse(bytes_of(text), &back));
        assert_true(back == cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(durations_have_a_unit),
        cmocka_unit_test(texts_are_in_the_largest_whole_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
