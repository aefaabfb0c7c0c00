/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "resp/resp.h"
#include "resp_events.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BULK_MAX  1000u
#define COUNT_MAX 100u

static const struct arili_resp_limits RESP2 = { .bulk_max = BULK_MAX, .count_max = COUNT_MAX };
static const struct arili_resp_limits RESP3 = { .bulk_max = BULK_MAX,
                                                .count_max = COUNT_MAX,
                                                .resp3 = true };

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static void expect_bytes(const struct arili_resp_limits *limits, aril_bytes in,
                         const char *expected)
{
    struct resp_events whole = resp_events_of(limits, in, 0);
    struct resp_events bytewise = resp_events_of(limits, in, 1);
    assert_string_equal(whole.text, expected);
    assert_string_equal(bytewise.text, expected);
    resp_events_free(&whole);
    resp_events_free(&bytewise);
}

static void expect(const struct arili_resp_limits *limits, const char *in, const char *expected)
{
    expect_bytes(limits, text(in), expected);
}

/* --- Values */

static void each_type_of_resp2_is_read(void **state)
{
    (void)state;
    const struct arili_resp_limits *const both[] = { &RESP2, &RESP3 };
    for (size_t i = 0; i < COUNT(both); i++) {
        expect(both[i], "+OK\r\n", "simple0\"OK\" end");
        expect(both[i], "+\r\n", "simple0\"\" end");
        expect(both[i], "-ERR a b\r\n", "error0\"ERR a b\" end");
        expect(both[i], ":0\r\n:-1\r\n:+7\r\n", "int0:0 end int0:-1 end int0:7 end");
        expect(both[i], ":9223372036854775807\r\n", "int0:9223372036854775807 end");
        expect(both[i], ":-9223372036854775808\r\n", "int0:-9223372036854775808 end");
        expect(both[i], "$3\r\nfoo\r\n", "bulk0:3\"foo\" end");
        expect(both[i], "$4\r\n\r\n\r\n\r\n", "bulk0:4\"\\x0d\\x0a\\x0d\\x0a\" end");
        expect(both[i], "$0\r\n\r\n", "bulk0:0\"\" end");
        expect(both[i], "$-1\r\n*-1\r\n", "nil0 end nil0 end");
        expect(both[i], "*0\r\n", "array0:0 end");
        expect(both[i], "*2\r\n*1\r\n:1\r\n$-1\r\n", "array0:2 array1:1 int2:1 nil1 end");
        expect(both[i], "*2\r\n*0\r\n*0\r\n:1\r\n", "array0:2 array1:0 array1:0 end int0:1 end");
    }
}

static void each_type_of_resp3_is_read(void **state)
{
    (void)state;
    expect(&RESP3, "_\r\n", "nil0 end");
    expect(&RESP3, "#t\r\n#f\r\n", "bool0:1 end bool0:0 end");
    expect(&RESP3, "(-3492890328409238509324850943850943825024385\r\n",
           "bignum0\"-3492890328409238509324850943850943825024385\" end");
    expect(&RESP3, "!21\r\nSYNTAX invalid syntax\r\n", "bloberr0:21\"SYNTAX invalid syntax\" end");
    expect(&RESP3, "=15\r\ntxt:Some string\r\n", "verbatim0:15\"txt:Some string\" end");
    expect(&RESP3, "=4\r\ntxt:\r\n", "verbatim0:4\"txt:\" end");
    expect(&RESP3, "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n#t\r\n",
           "map0:2 simple1\"a\" int1:1 simple1\"b\" array1:1 bool2:1 end");
    expect(&RESP3, "%0\r\n", "map0:0 end");
    expect(&RESP3, "~2\r\n+a\r\n_\r\n", "set0:2 simple1\"a\" nil1 end");
    expect(&RESP3, ">1\r\n+invalidate\r\n:5\r\n", "push0:1 simple1\"invalidate\" end int0:5 end");
}

static void doubles_are_what_the_grammar_says(void **state)
{
    (void)state;
    static const char *const good[] = { "0",   "-0",   "10",  "1.25", "+1.5",     "-1e5", "1E-05",
                                        "inf", "-inf", "nan", "-nan", "1.5e+300", "007" };
    static const char *const bad[] = { "",    "-",   ".5", "5.", "1e",  "1e+", "e5",      "1.2.3",
                                       "inF", "0x1", " 1", "1 ", "1,5", "--1", "infinity" };
    for (size_t i = 0; i < COUNT(good); i++) {
        char in[64], out[64];
        (void)snprintf(in, sizeof in, ",%s\r\n", good[i]);
        (void)snprintf(out, sizeof out, "double0\"%s\" end", good[i]);
        expect(&RESP3, in, out);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        char in[64];
        (void)snprintf(in, sizeof in, ",%s\r\n", bad[i]);
        expect(&RESP3, in, "!ARIL_E_FORMAT_FIELD");
    }
}

/* Attributes are about the value that follows, and no element of its aggregate. */
static void attributes_do_not_count(void **state)
{
    (void)state;
    expect(&RESP3, "|1\r\n+ttl\r\n:9\r\n+OK\r\n:1\r\n",
           "attr0:1 simple1\"ttl\" int1:9 simple0\"OK\" end int0:1 end");
    expect(&RESP3, "|0\r\n|0\r\n:1\r\n", "attr0:0 attr0:0 int0:1 end");
    expect(&RESP3, "*2\r\n:1\r\n|1\r\n+a\r\n:0\r\n:2\r\n:3\r\n",
           "array0:2 int1:1 attr1:1 simple2\"a\" int2:0 int1:2 end int0:3 end");
    expect(&RESP3, "*1\r\n|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n*0\r\n:3\r\n",
           "array0:1 attr1:1 simple2\"a\" array2:2 int3:1 int3:2 array1:0 end int0:3 end");
    /* In an attribute: before its key, and before its value. */
    expect(&RESP3, "|1\r\n|1\r\n:1\r\n:2\r\n+k\r\n|0\r\n+v\r\n:7\r\n",
           "attr0:1 attr1:1 int2:1 int2:2 simple1\"k\" attr1:0 simple1\"v\" int0:7 end");
    /* Behind the last element it belongs to the next value. */
    expect(&RESP3, "*1\r\n:1\r\n|0\r\n:2\r\n", "array0:1 int1:1 end attr0:0 int0:2 end");
}

static void a_value_that_an_attribute_announces_is_half_read(void **state)
{
    (void)state;
    static const char *const cases[] = { "|0\r\n", "|1\r\n+a\r\n+b\r\n", "*1\r\n:1\r\n|0\r\n",
                                         "*0\r\n|0\r\n" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct resp_events e = resp_events_of(&RESP3, text(cases[i]), 0);
        assert_status(e.status, ARIL_OK);
        assert_false(e.is_idle);
        resp_events_free(&e);
    }
}

/* --- Refusals */

static void what_is_not_resp_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *expected;
    } cases[] = {
        { "OK\r\n", "!ARIL_E_FORMAT_KIND" },
        { " \r\n", "!ARIL_E_FORMAT_KIND" },
        { "\r\n", "!ARIL_E_FORMAT_KIND" },
        { "\n", "!ARIL_E_FORMAT_KIND" },
        { ";3\r\nfoo\r\n", "!ARIL_E_FORMAT_KIND" },
        { ".\r\n", "!ARIL_E_FORMAT_KIND" },
        { "*1\r\n>1\r\n:1\r\n", "array0:1 !ARIL_E_FORMAT_KIND" },
        /* Lines */
        { "+OK\n", "!ARIL_E_FORMAT_FIELD" },
        { "+O\rK\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "+O\nK\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":1\n", "!ARIL_E_FORMAT_FIELD" },
        { "+\n", "!ARIL_E_FORMAT_FIELD" },
        { "$3\nfoo\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "*\r\r\n", "!ARIL_E_FORMAT_FIELD" },
        /* Integers */
        { ":\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":-\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":-0\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":01\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":--1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":1 \r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":9223372036854775808\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":-9223372036854775809\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ":18446744073709551617\r\n", "!ARIL_E_FORMAT_FIELD" },
        /* Lengths and counts */
        { "$\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$+5\r\nhello\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$05\r\nhello\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$ 5\r\nhello\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$5 \r\nhello\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$0x5\r\nhello\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$-2\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$-0\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$-01\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$-11\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$?\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "*-2\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "*+1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "*?\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "%?\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "~?\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "%-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "~-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { ">-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "|-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "!-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "=-1\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "=3\r\ntxt\r\n", "!ARIL_E_FORMAT_LENGTH" },
        { "$1000000000000000000\r\n", "!ARIL_E_LIMIT" },
        { "*1000000000000000000\r\n", "!ARIL_E_LIMIT" },
        { "%9223372036854775807\r\n", "!ARIL_E_LIMIT" },
        { "*9223372036854775808\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$18446744073709551616\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "$99999999999999999999999999\r\n", "!ARIL_E_FORMAT_FIELD" },
        /* Bodies that do not end in CRLF */
        { "$3\r\nfooX\r\n", "bulk0:3\"foo !ARIL_E_FORMAT_FIELD" },
        { "$3\r\nfoo\rX", "bulk0:3\"foo !ARIL_E_FORMAT_FIELD" },
        { "$3\r\nfoo\n\n", "bulk0:3\"foo !ARIL_E_FORMAT_FIELD" },
        { "$0\r\nX\r\n", "bulk0:0\" !ARIL_E_FORMAT_FIELD" },
        /* Types of RESP3 */
        { "#\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "#T\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "#tt\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "_x\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "(\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "(-\r\n", "!ARIL_E_FORMAT_FIELD" },
        { "(1.5\r\n", "!ARIL_E_FORMAT_FIELD" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(&RESP3, cases[i].in, cases[i].expected);
    }
}

static void types_of_resp3_are_refused_where_resp2_was_agreed(void **state)
{
    (void)state;
    static const char *const cases[] = { "_\r\n",       "#t\r\n",         ",1\r\n", "(1\r\n",
                                         "!1\r\nx\r\n", "=4\r\ntxt:\r\n", "%0\r\n", "~0\r\n",
                                         ">0\r\n",      "|0\r\n" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(&RESP2, cases[i], "!ARIL_E_FORMAT_KIND");
    }
}

/* All 256: the listed types and nothing else. */
static void every_other_first_byte_is_refused(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t in[1] = { (uint8_t)c };
        struct resp_events two = resp_events_of(&RESP2, (aril_bytes){ in, 1 }, 0);
        struct resp_events three = resp_events_of(&RESP3, (aril_bytes){ in, 1 }, 0);
        const bool is_two = c != 0 && strchr("+-:$*", (int)c) != NULL;
        const bool is_three = c != 0 && strchr("+-:$*_#,(!=%~>|", (int)c) != NULL;
        assert_status(two.status, is_two ? ARIL_OK : ARIL_E_FORMAT_KIND);
        assert_status(three.status, is_three ? ARIL_OK : ARIL_E_FORMAT_KIND);
        resp_events_free(&two);
        resp_events_free(&three);
    }
}

/* --- Limits */

/* type, n times c, end. */
static aril_bytes line_of(char *buffer, char type, char c, size_t n, const char *end)
{
    buffer[0] = type;
    memset(buffer + 1, c, n);
    memcpy(buffer + 1 + n, end, strlen(end));
    return (aril_bytes){ (const uint8_t *)buffer, 1 + n + strlen(end) };
}

static aril_status status_of(const struct arili_resp_limits *limits, aril_bytes in, size_t step)
{
    struct resp_events e = resp_events_of(limits, in, step);
    const aril_status st = e.status;
    resp_events_free(&e);
    return st;
}

static void expect_line_limit(const struct arili_resp_limits *limits, char type, char c, size_t max)
{
    static char buffer[ARILI_RESP_TEXT_MAX + 64];
    const size_t step = max / 7;
    for (size_t s = 0; s <= step; s += step) {
        assert_status(status_of(limits, line_of(buffer, type, c, max, "\r\n"), s), ARIL_OK);
        assert_status(status_of(limits, line_of(buffer, type, c, max, "\r"), s), ARIL_OK);
        assert_status(status_of(limits, line_of(buffer, type, c, max + 1, "\r\n"), s),
                      ARIL_E_FORMAT_LENGTH);
        /* One that never ends does not make the caller keep more and more of it. */
        assert_status(status_of(limits, line_of(buffer, type, c, max + 1, ""), s), ARIL_OK);
        assert_status(status_of(limits, line_of(buffer, type, c, max + 2, ""), s),
                      ARIL_E_FORMAT_LENGTH);
    }
}

static void a_line_has_its_greatest_length(void **state)
{
    (void)state;
    expect_line_limit(&RESP3, '+', 'x', ARILI_RESP_TEXT_MAX);
    expect_line_limit(&RESP3, '-', 'x', ARILI_RESP_TEXT_MAX);
    expect_line_limit(&RESP3, '(', '1', ARILI_RESP_LINE_MAX);
    expect_line_limit(&RESP3, ',', '1', ARILI_RESP_LINE_MAX);
    static const char others[] = ":$*#!=%~>|_";
    for (size_t i = 0; i + 1 < sizeof others; i++) {
        char buffer[ARILI_RESP_LINE_MAX + 16];
        assert_status(
            status_of(&RESP3, line_of(buffer, others[i], '1', ARILI_RESP_LINE_MAX, "\r\n"), 0),
            ARIL_E_FORMAT_FIELD);
        assert_status(
            status_of(&RESP3, line_of(buffer, others[i], '1', ARILI_RESP_LINE_MAX + 2, ""), 0),
            ARIL_E_FORMAT_LENGTH);
    }
}

static void bulks_and_aggregates_have_their_greatest_size(void **state)
{
    (void)state;
    static const struct {
        const char *at, *above;
    } cases[] = {
        { "$1000\r\n", "$1001\r\n" }, { "!1000\r\n", "!1001\r\n" }, { "=1000\r\n", "=1001\r\n" },
        { "*100\r\n", "*101\r\n" },   { "~100\r\n", "~101\r\n" },   { ">100\r\n", ">101\r\n" },
        { "%50\r\n", "%51\r\n" },     { "|50\r\n", "|51\r\n" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(status_of(&RESP3, text(cases[i].at), 0), ARIL_OK);
        assert_status(status_of(&RESP3, text(cases[i].above), 0), ARIL_E_LIMIT);
    }
    const struct arili_resp_limits none = { .resp3 = true };
    expect(&none, "$0\r\n\r\n*0\r\n%0\r\n", "bulk0:0\"\" end array0:0 end map0:0 end");
    expect(&none, "$1\r\n", "!ARIL_E_LIMIT");
    expect(&none, "%1\r\n", "!ARIL_E_LIMIT");
}

static void without_limits_the_largest_numbers_do_not_wrap(void **state)
{
    (void)state;
    const struct arili_resp_limits all = { .bulk_max = UINT64_MAX,
                                           .count_max = UINT64_MAX,
                                           .resp3 = true };
    expect(&all, "$9223372036854775807\r\nx", "bulk0:9223372036854775807\"x");
    expect(&all, "%9223372036854775807\r\n%9223372036854775807\r\n:1\r\n:2\r\n:3\r\n",
           "map0:9223372036854775807 map1:9223372036854775807 int2:1 int2:2 int2:3");
}

static void sixteen_levels_may_be_nested(void **state)
{
    (void)state;
    static const char *const kinds[] = { "*1\r\n", "~1\r\n", "%1\r\n:0\r\n", "|1\r\n:0\r\n" };
    for (size_t k = 0; k < COUNT(kinds); k++) {
        char in[32 * (ARILI_RESP_DEPTH_MAX + 2)] = "";
        size_t len = 0;
        for (unsigned i = 0; i < ARILI_RESP_DEPTH_MAX; i++) {
            len += (size_t)snprintf(in + len, sizeof in - len, "%s", kinds[k]);
        }
        (void)snprintf(in + len, sizeof in - len, "%s", ":1\r\n");
        assert_status(status_of(&RESP3, text(in), 0), ARIL_OK);
        (void)snprintf(in + len, sizeof in - len, "%s", kinds[k]);
        assert_status(status_of(&RESP3, text(in), 0), ARIL_E_FORMAT_FIELD);
        (void)snprintf(in + len, sizeof in - len, "%s", "*0\r\n");
        assert_status(status_of(&RESP3, text(in), 0), ARIL_E_FORMAT_FIELD);
    }
    expect(&RESP2,
           "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
           "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$1\r\nx\r\n+a\r\n",
           "array0:1 array1:1 array2:1 array3:1 array4:1 array5:1 array6:1 array7:1 "
           "array8:1 array9:1 array10:1 array11:1 array12:1 array13:1 array14:1 array15:1 "
           "bulk16:1\"x\" end simple0\"a\" end");
}

/* --- Cuts, truncation, changed bytes */

static const char TRANSCRIPT[] =
    "%3\r\n+server\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n"
    "+OK\r\n-MOVED 12182 "
    "127.0.0.1:7001\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5e-3\r\n(123456789012345678901"
    "\r\n!9\r\nERR \r\n\r\nx\r\n=8\r\ntxt:\r\n\r\n\r\n~2\r\n$0\r\n\r\n*1\r\n*2\r\n:1\r\n$-1\r\n"
    "|1\r\n+ttl\r\n:9\r\n*2\r\n|2\r\n+a\r\n#f\r\n+b\r\n*0\r\n$4\r\n\r\n\r\n\r\n:-5\r\n"
    ">2\r\n+message\r\n$12\r\n0123456789ab\r\n:42\r\n";

static void any_cut_of_a_transcript_gives_the_same(void **state)
{
    (void)state;
    const aril_bytes in = { (const uint8_t *)TRANSCRIPT, sizeof TRANSCRIPT - 1 };
    struct resp_events whole = resp_events_of(&RESP3, in, 0);
    assert_status(whole.status, ARIL_OK);
    assert_true(whole.is_idle);
    assert_int_equal(whole.used, in.len);
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct resp_events two = resp_events_cut(&RESP3, in, cut);
        assert_string_equal(two.text, whole.text);
        assert_true(two.is_idle);
        resp_events_free(&two);
        struct resp_events steps = resp_events_of(&RESP3, in, cut + 1);
        assert_string_equal(steps.text, whole.text);
        resp_events_free(&steps);
    }
    resp_events_free(&whole);
}

static void every_truncation_waits_for_more(void **state)
{
    (void)state;
    const aril_bytes in = { (const uint8_t *)TRANSCRIPT, sizeof TRANSCRIPT - 1 };
    struct resp_events whole = resp_events_of(&RESP3, in, 0);
    size_t idle = 0;
    for (size_t len = 0; len < in.len; len++) {
        struct resp_events e = resp_events_of(&RESP3, (aril_bytes){ in.data, len }, 0);
        assert_status(e.status, ARIL_OK);
        assert_in_range(e.len, 0, whole.len - 1);
        assert_memory_equal(e.text, whole.text, e.len);
        /* A connection can be used again at the ends of top-level values alone. */
        const bool ended = e.len == 0 || (e.len >= 4 && strcmp(e.text + e.len - 4, " end") == 0);
        assert_int_equal(e.is_idle, ended);
        idle += e.is_idle && e.used == len;
        resp_events_free(&e);
    }
    assert_int_equal(idle, 15); /* before each of the values */
    resp_events_free(&whole);
}

static void no_changed_byte_makes_cuts_matter(void **state)
{
    (void)state;
    uint8_t bytes[sizeof TRANSCRIPT - 1];
    const aril_bytes in = { bytes, sizeof bytes };
    memcpy(bytes, TRANSCRIPT, sizeof bytes);
    size_t refused = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            struct resp_events whole = resp_events_of(&RESP3, in, 0);
            struct resp_events cut = resp_events_cut(&RESP3, in, i);
            struct resp_events steps = resp_events_of(&RESP3, in, 5);
            assert_string_equal(cut.text, whole.text);
            assert_string_equal(steps.text, whole.text);
            refused += whole.status != ARIL_OK;
            resp_events_free(&whole);
            resp_events_free(&cut);
            resp_events_free(&steps);
            bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_in_range(refused, sizeof bytes, 8 * sizeof bytes);
}

/* --- The state */

static void a_failed_decoder_stays_failed(void **state)
{
    (void)state;
    struct arili_resp_decoder d;
    arili_resp_decoder_init(&d, &RESP2);
    struct arili_resp_event e;
    aril_bytes in = text("$9999\r\n");
    const aril_bytes before = in;
    assert_status(arili_resp_next(&d, &in, &e), ARIL_E_LIMIT);
    assert_ptr_equal(in.data, before.data);
    assert_int_equal(in.len, before.len);
    assert_int_equal(e.kind, ARILI_RESP_MORE);
    for (int i = 0; i < 3; i++) {
        in = text("+OK\r\n");
        e = (struct arili_resp_event){ .kind = ARILI_RESP_BULK, .body_len = 9, .last = true };
        assert_status(arili_resp_next(&d, &in, &e), ARIL_E_LIMIT);
        assert_int_equal(in.len, 5);
        assert_int_equal(e.kind, ARILI_RESP_MORE);
        assert_int_equal(e.body_len, 0);
        assert_false(e.last);
        assert_false(arili_resp_is_idle(&d));
    }
}

static void a_copy_goes_on_as_the_decoder_does(void **state)
{
    (void)state;
    struct arili_resp_decoder d;
    arili_resp_decoder_init(&d, &RESP3);
    aril_bytes in = { (const uint8_t *)TRANSCRIPT, sizeof TRANSCRIPT - 1 };
    struct arili_resp_event e = { .kind = ARILI_RESP_END };
    while (e.kind != ARILI_RESP_MORE) {
        struct arili_resp_decoder copy = d;
        aril_bytes same = in;
        struct arili_resp_event again;
        assert_status(arili_resp_next(&copy, &same, &again), ARIL_OK);
        assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
        assert_int_equal(again.kind, e.kind);
        assert_ptr_equal(again.text.data, e.text.data);
        assert_ptr_equal(same.data, in.data);
    }
}

static void no_input_is_no_event(void **state)
{
    (void)state;
    struct arili_resp_decoder d;
    arili_resp_decoder_init(&d, &RESP2);
    aril_bytes in = { NULL, 0 };
    struct arili_resp_event e;
    assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
    assert_int_equal(e.kind, ARILI_RESP_MORE);
    assert_true(arili_resp_is_idle(&d));
    assert_int_equal(arili_resp_body_left(&d), 0);
}

/* --- Bodies that the caller reads by itself */

static void next(struct arili_resp_decoder *d, aril_bytes *in, struct arili_resp_event *ret)
{
    assert_status(arili_resp_next(d, in, ret), ARIL_OK);
}

/* Of a body of len bytes the decoder is given the first ones, the caller reads some, the decoder
 * gets the rest. */
static void skip_in_the_middle(size_t len, size_t given, size_t skipped)
{
    const char *const body = "0123456789";
    char header[16];
    struct arili_resp_decoder d;
    struct arili_resp_event e;
    arili_resp_decoder_init(&d, &RESP2);
    (void)snprintf(header, sizeof header, "*1\r\n$%zu\r\n", len);
    aril_bytes in = text(header);
    next(&d, &in, &e);
    next(&d, &in, &e);
    assert_int_equal(e.kind, ARILI_RESP_BULK);
    assert_int_equal(arili_resp_body_left(&d), len);
    in = (aril_bytes){ (const uint8_t *)body, given };
    next(&d, &in, &e);
    assert_int_equal(e.kind, given > 0 ? ARILI_RESP_BODY : ARILI_RESP_MORE);
    assert_int_equal(arili_resp_body_left(&d), len - given);
    arili_resp_skip_body(&d, skipped);
    assert_int_equal(arili_resp_body_left(&d), len - given - skipped);
    assert_false(arili_resp_is_idle(&d));
    char rest[32];
    (void)snprintf(rest, sizeof rest, "%.*s\r\n+OK\r\n", (int)(len - given - skipped),
                   body + given + skipped);
    in = text(rest);
    next(&d, &in, &e);
    assert_int_equal(e.kind, ARILI_RESP_BODY);
    assert_true(e.last);
    assert_int_equal(e.text.len, len - given - skipped);
    assert_int_equal(arili_resp_body_left(&d), 0);
    next(&d, &in, &e);
    assert_int_equal(e.kind, ARILI_RESP_END);
    assert_true(arili_resp_is_idle(&d));
    next(&d, &in, &e);
    assert_int_equal(e.kind, ARILI_RESP_SIMPLE);
}

static void any_part_of_a_body_can_be_read_by_the_caller(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 10; len++) {
        for (size_t given = 0; given <= len; given++) {
            for (size_t skipped = 0; skipped <= len - given; skipped++) {
                skip_in_the_middle(len, given, skipped);
            }
        }
    }
}

static void more_than_the_body_cannot_be_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        uint64_t left;
    } cases[] = {
        { "", 0 },  { "*1\r\n", 0 },      { "$5\r\n", 5 },  { "$5\r\nab", 3 },
        { "$", 0 }, { "$5\r\nhello", 0 }, { "+OK\r\n", 0 }, { "$5\r\nhello\r\n", 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_resp_decoder d;
        struct arili_resp_event e = { .kind = ARILI_RESP_END };
        arili_resp_decoder_init(&d, &RESP2);
        aril_bytes in = text(cases[i].before);
        while (e.kind != ARILI_RESP_MORE) {
            next(&d, &in, &e);
        }
        assert_int_equal(arili_resp_body_left(&d), cases[i].left);
        arili_resp_skip_body(&d, 0);
        assert_status(d.failed, ARIL_OK);
        arili_resp_skip_body(&d, cases[i].left + 1);
        assert_int_equal(arili_resp_body_left(&d), 0);
        assert_status(arili_resp_next(&d, &in, &e), ARIL_E_USAGE_RANGE);
        assert_false(arili_resp_is_idle(&d));
    }
}

static void a_body_of_any_size_passes_in_pieces(void **state)
{
    (void)state;
    const struct arili_resp_limits limits = { .bulk_max = (uint64_t)1 << 40, .count_max = 1 };
    struct arili_resp_decoder d;
    struct arili_resp_event e;
    arili_resp_decoder_init(&d, &limits);
    aril_bytes in = text("$1099511627776\r\n");
    next(&d, &in, &e);
    assert_true(e.body_len == (uint64_t)1 << 40);
    arili_resp_skip_body(&d, ((uint64_t)1 << 40) - 2);
    in = text("ab\r\n");
    next(&d, &in, &e);
    assert_true(e.last);
    assert_memory_equal(e.text.data, "ab", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_of_resp2_is_read),
        cmocka_unit_test(each_type_of_resp3_is_read),
        cmocka_unit_test(doubles_are_what_the_grammar_says),
        cmocka_unit_test(attributes_do_not_count),
        cmocka_unit_test(a_value_that_an_attribute_announces_is_half_read),
        cmocka_unit_test(what_is_not_resp_is_refused),
        cmocka_unit_test(types_of_resp3_are_refused_where_resp2_was_agreed),
        cmocka_unit_test(every_other_first_byte_is_refused),
        cmocka_unit_test(a_line_has_its_greatest_length),
        cmocka_unit_test(bulks_and_aggregates_have_their_greatest_size),
        cmocka_unit_test(without_limits_the_largest_numbers_do_not_wrap),
        cmocka_unit_test(sixteen_levels_may_be_nested),
        cmocka_unit_test(any_cut_of_a_transcript_gives_the_same),
        cmocka_unit_test(every_truncation_waits_for_more),
        cmocka_unit_test(no_changed_byte_makes_cuts_matter),
        cmocka_unit_test(a_failed_decoder_stays_failed),
        cmocka_unit_test(a_copy_goes_on_as_the_decoder_does),
        cmocka_unit_test(no_input_is_no_event),
        cmocka_unit_test(any_part_of_a_body_can_be_read_by_the_caller),
        cmocka_unit_test(more_than_the_body_cannot_be_skipped),
        cmocka_unit_test(a_body_of_any_size_passes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
