/* SPDX-License-Identifier: Apache-2.0 */
/* What clients send: arrays of bulk strings and inline commands. */
#include "check.h"
#include "resp/resp.h"
#include "resp_events.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BULK_MAX  20u
#define COUNT_MAX 5u

static const struct arili_resp_limits COMMANDS = { .bulk_max = BULK_MAX,
                                                   .count_max = COUNT_MAX,
                                                   .commands = true };
static const struct arili_resp_limits WIDE = { .bulk_max = UINT64_MAX,
                                               .count_max = UINT64_MAX,
                                               .commands = true };

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

static void expect(const char *in, const char *expected)
{
    expect_bytes(&COMMANDS, text(in), expected);
}

/* --- Arrays */

static void arrays_of_bulk_strings_are_commands(void **state)
{
    (void)state;
    expect("*1\r\n$4\r\nPING\r\n", "array0:1 bulk1:4\"PING\" end");
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n",
           "array0:3 bulk1:3\"SET\" bulk1:1\"k\" bulk1:0\"\" end array0:1 bulk1:1\"x\" end");
    expect("*0\r\n", "array0:0 end");
}

static void nothing_else_stands_in_an_array(void **state)
{
    (void)state;
    static const char others[] = "+-:*_#,(!=%~>|xX \"'\r\n\t";
    for (size_t i = 0; i + 1 < sizeof others; i++) {
        char in[32];
        (void)snprintf(in, sizeof in, "*2\r\n$1\r\nx\r\n%c1\r\n", others[i]);
        expect(in, "array0:2 bulk1:1\"x\" !ARIL_E_FORMAT_KIND");
    }
    expect("*-1\r\n", "!ARIL_E_FORMAT_FIELD");
    expect("*1\r\n$-1\r\n", "array0:1 !ARIL_E_FORMAT_FIELD");
    expect("*1\n", "!ARIL_E_FORMAT_FIELD");
    expect("*1000000000000000000\r\n", "!ARIL_E_LIMIT");
    expect("*1\r\n$1000000000000000000\r\n", "array0:1 !ARIL_E_LIMIT");
}

static void a_null_is_accepted_only_where_it_was_asked_for(void **state)
{
    (void)state;
    struct arili_resp_limits limits = COMMANDS;
    limits.null_bulk = true;
    expect_bytes(&limits, text("*2\r\n$-1\r\n$1\r\nx\r\n"), "array0:2 nil1 bulk1:1\"x\" end");
    expect_bytes(&limits, text("*-1\r\n"), "!ARIL_E_FORMAT_FIELD");
}

static void resp3_does_not_change_what_commands_are(void **state)
{
    (void)state;
    struct arili_resp_limits limits = COMMANDS;
    limits.resp3 = true;
    expect_bytes(&limits, text("*1\r\n_\r\n"), "array0:1 !ARIL_E_FORMAT_KIND");
    expect_bytes(&limits, text("|0\r\n"), "!ARIL_E_FORMAT_KIND");
    expect_bytes(&limits, text("%1\r\n"), "!ARIL_E_FORMAT_KIND");
}

/* --- Inline commands */

static void words_are_split_at_blanks(void **state)
{
    (void)state;
    expect("PING\r\n", "array0:1 bulk1:4\"PING\" end");
    expect("PING\n", "array0:1 bulk1:4\"PING\" end");
    expect(" \t SET  a\tb \r\n", "array0:3 bulk1:3\"SET\" bulk1:1\"a\" bulk1:1\"b\" end");
    expect("a\rb\r\n", "array0:2 bulk1:1\"a\" bulk1:1\"b\" end");
    expect("a\vb \f c\r\n", "array0:2 bulk1:3\"a\\x0bb\" bulk1:1\"c\" end");
    expect("a\xff\x80\r\n", "array0:1 bulk1:3\"a\\xff\\x80\" end");
    expect("a\\n\r\n", "array0:1 bulk1:3\"a\\x5cn\" end");
}

static void empty_lines_are_no_commands(void **state)
{
    (void)state;
    expect("\r\n", "");
    expect("\n\n \t\r\n\r\nPING\r\n\r\n*1\r\n$1\r\nx\r\n\n",
           "array0:1 bulk1:4\"PING\" end array0:1 bulk1:1\"x\" end");
    struct resp_events e = resp_events_of(&COMMANDS, text("\r\n \r\n"), 0);
    assert_int_equal(e.used, 5);
    assert_true(e.is_idle);
    resp_events_free(&e);
}

static void double_quotes_keep_blanks_and_know_escapes(void **state)
{
    (void)state;
    expect("\"a b\"\r\n", "array0:1 bulk1:3\"a b\" end");
    expect("x \"\" y\r\n", "array0:3 bulk1:1\"x\" bulk1:0\"\" bulk1:1\"y\" end");
    expect("\"\"\r\n", "array0:1 bulk1:0\"\" end");
    expect("\"\\n\\r\\t\\b\\a\"\r\n", "array0:1 bulk1:5\"\\x0a\\x0d\\x09\\x08\\x07\" end");
    expect("\"\\x00\\xfF\\x41\"\r\n", "array0:1 bulk1:3\"\\x00\\xffA\" end");
    expect("\"\\xg0\\x1\"\r\n", "array0:1 bulk1:5\"xg0x1\" end");
    expect("\"\\\"\\\\\\q\\'\"\r\n", "array0:1 bulk1:4\"\\x22\\x5cq'\" end");
    expect("\"it's\"\r\n", "array0:1 bulk1:4\"it's\" end");
    expect("a\"b c\"\r\n", "array0:1 bulk1:4\"ab c\" end");
    expect("\"a\"\tb\r\n", "array0:2 bulk1:1\"a\" bulk1:1\"b\" end");
}

static void single_quotes_know_one_escape(void **state)
{
    (void)state;
    expect("'a b'\r\n", "array0:1 bulk1:3\"a b\" end");
    expect("''\r\n", "array0:1 bulk1:0\"\" end");
    expect("'\\n\\x41\\\\x'\r\n", "array0:1 bulk1:9\"\\x5cn\\x5cx41\\x5c\\x5cx\" end");
    expect("'it\\'s \"x\"'\r\n", "array0:1 bulk1:8\"it's \\x22x\\x22\" end");
    expect("a'b'\r\n", "array0:1 bulk1:2\"ab\" end");
}

static void quotes_that_do_not_match_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\"a\r\n",    "'a\r\n",   "\"\r\n",           "'\r\n",    "a\"\r\n",
        "\"a\"b\r\n", "'a'b\r\n", "\"\"\"\r\n",       "''''\r\n", "\"a\\\"\r\n",
        "'a\\'\r\n",  "\"a'\r\n", "a b \"c\" 'd\r\n", "\"a\\",
    };
    for (size_t i = 0; i + 1 < COUNT(cases); i++) {
        expect(cases[i], "!ARIL_E_FORMAT_FIELD");
    }
    expect(cases[COUNT(cases) - 1], ""); /* the line has not ended */
}

static void a_line_holds_no_nul(void **state)
{
    (void)state;
    static const uint8_t plain[] = { 'a', 0, '\r', '\n' };
    static const uint8_t quoted[] = { '"', 0, '"', '\n' };
    static const uint8_t escape[] = { '"', '\\', 0, '"', '\n' };
    expect_bytes(&COMMANDS, (aril_bytes){ plain, sizeof plain }, "!ARIL_E_FORMAT_FIELD");
    expect_bytes(&COMMANDS, (aril_bytes){ quoted, sizeof quoted }, "!ARIL_E_FORMAT_FIELD");
    expect_bytes(&COMMANDS, (aril_bytes){ escape, sizeof escape }, "!ARIL_E_FORMAT_FIELD");
}

/* A reply, TLS, garbage: refused at the first byte, whatever follows. */
static void no_other_protocol_is_taken_for_an_inline_command(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t in[2] = { (uint8_t)c, 'x' };
        struct resp_events e = resp_events_of(&COMMANDS, (aril_bytes){ in, 2 }, 0);
        const bool is_type = c != 0 && strchr("+-:$_#,(!=%~>|", (int)c) != NULL;
        const bool is_control = c < ' ' && !(c >= '\t' && c <= '\r');
        assert_status(e.status, is_type || is_control ? ARIL_E_FORMAT_KIND : ARIL_OK);
        assert_int_equal(e.len == 0, e.status == ARIL_OK);
        resp_events_free(&e);
    }
}

static void words_have_their_greatest_number_and_length(void **state)
{
    (void)state;
    expect("1 2 3 4 5\r\n", "array0:5 bulk1:1\"1\" bulk1:1\"2\" bulk1:1\"3\" bulk1:1\"4\" "
                            "bulk1:1\"5\" end");
    expect("1 2 3 4 5 6\r\n", "!ARIL_E_LIMIT");
    expect("01234567890123456789\r\n", "array0:1 bulk1:20\"01234567890123456789\" end");
    expect("012345678901234567890\r\n", "!ARIL_E_LIMIT");
    expect("\"\\x30123456789012345678\\x39\"\r\n", "array0:1 bulk1:20\"01234567890123456789\" end");
}

static aril_status status_of(aril_bytes in, size_t step)
{
    struct resp_events e = resp_events_of(&WIDE, in, step);
    const aril_status st = e.status;
    resp_events_free(&e);
    return st;
}

static void an_inline_command_has_its_greatest_length(void **state)
{
    (void)state;
    static uint8_t line[ARILI_RESP_TEXT_MAX + 4];
    static const char *const ends[] = { "\n", "\r\n" };
    for (size_t extra = 0; extra <= 1; extra++) {
        for (size_t i = 0; i < COUNT(ends); i++) {
            const size_t len = ARILI_RESP_TEXT_MAX + extra;
            memset(line, 'x', sizeof line);
            memcpy(line + len, ends[i], strlen(ends[i]));
            const aril_bytes in = { line, len + strlen(ends[i]) };
            const aril_status expected = extra == 0 ? ARIL_OK : ARIL_E_FORMAT_LENGTH;
            assert_status(status_of(in, 0), expected);
            assert_status(status_of(in, 9999), expected);
        }
    }
    memset(line, 'x', sizeof line);
    assert_status(status_of((aril_bytes){ line, ARILI_RESP_TEXT_MAX + 1 }, 0), ARIL_OK);
    assert_status(status_of((aril_bytes){ line, ARILI_RESP_TEXT_MAX + 2 }, 0),
                  ARIL_E_FORMAT_LENGTH);
}

/* --- Cuts, truncation, changed bytes */

static const char TRANSCRIPT[] = "*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\nPING\n\r\n"
                                 "SET \"a\\x20\\\"b\" 'it\\'s' \"\" pre\"fix\"\t\r\n"
                                 "*1\r\n$0\r\n\r\n*0\r\n  \n x \n";

static void any_cut_of_a_transcript_gives_the_same(void **state)
{
    (void)state;
    const aril_bytes in = { (const uint8_t *)TRANSCRIPT, sizeof TRANSCRIPT - 1 };
    struct resp_events whole = resp_events_of(&COMMANDS, in, 0);
    assert_string_equal(whole.text,
                        "array0:2 bulk1:3\"GET\" bulk1:4\"\\x0d\\x0a\\x0d\\x0a\" end "
                        "array0:1 bulk1:4\"PING\" end array0:5 bulk1:3\"SET\" "
                        "bulk1:4\"a \\x22b\" bulk1:4\"it's\" bulk1:0\"\" bulk1:6\"prefix\" end "
                        "array0:1 bulk1:0\"\" end array0:0 end array0:1 bulk1:1\"x\" end");
    assert_true(whole.is_idle);
    assert_int_equal(whole.used, in.len);
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct resp_events two = resp_events_cut(&COMMANDS, in, cut);
        assert_string_equal(two.text, whole.text);
        resp_events_free(&two);
        struct resp_events steps = resp_events_of(&COMMANDS, in, cut + 1);
        assert_string_equal(steps.text, whole.text);
        resp_events_free(&steps);
        struct resp_events part = resp_events_of(&COMMANDS, (aril_bytes){ in.data, cut }, 0);
        assert_status(part.status, ARIL_OK);
        assert_memory_equal(part.text, whole.text, part.len);
        resp_events_free(&part);
    }
    resp_events_free(&whole);
}

static void no_changed_byte_makes_cuts_matter(void **state)
{
    (void)state;
    uint8_t bytes[sizeof TRANSCRIPT - 1];
    const aril_bytes in = { bytes, sizeof bytes };
    memcpy(bytes, TRANSCRIPT, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        for (unsigned c = 0; c < 256; c++) {
            bytes[i] = (uint8_t)c;
            struct resp_events whole = resp_events_of(&COMMANDS, in, 0);
            struct resp_events cut = resp_events_cut(&COMMANDS, in, i);
            struct resp_events steps = resp_events_of(&COMMANDS, in, 3);
            assert_string_equal(cut.text, whole.text);
            assert_string_equal(steps.text, whole.text);
            resp_events_free(&whole);
            resp_events_free(&cut);
            resp_events_free(&steps);
        }
        bytes[i] = (uint8_t)TRANSCRIPT[i];
    }
}

/* --- The state */

static void the_words_of_a_line_are_no_body_to_read(void **state)
{
    (void)state;
    struct arili_resp_decoder d;
    struct arili_resp_event e = { .kind = ARILI_RESP_MORE };
    arili_resp_decoder_init(&d, &COMMANDS);
    aril_bytes in = text("SET \"a\\x00b\"\r\n");
    const aril_bytes line = in;
    while (e.kind != ARILI_RESP_END) {
        assert_false(e.kind != ARILI_RESP_MORE && arili_resp_is_idle(&d));
        assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
        assert_int_equal(arili_resp_body_left(&d), 0);
        if (e.kind == ARILI_RESP_BODY && e.text.data[0] != 0) {
            assert_in_range(e.text.data - line.data, 0, line.len - e.text.len);
        }
    }
    assert_int_equal(in.len, 0);
    assert_true(arili_resp_is_idle(&d));
}

/* The rest of a line that was seen whole is taken back: that is waiting. Other bytes in its place
 * are a bug of the caller, and no more. */
static void a_caller_that_changes_its_input_does_no_harm(void **state)
{
    (void)state;
    static const char *const others[] = { "             ", "\"\"\"\"\"\"\"\"\"\"\"\"\"",
                                          "SET x y z   \n", "\"a\\x00b\" \"c\"" };
    for (size_t k = 0; k < COUNT(others); k++) {
        for (unsigned steps = 1; steps < 8; steps++) {
            struct arili_resp_decoder d;
            struct arili_resp_event e;
            arili_resp_decoder_init(&d, &COMMANDS);
            aril_bytes in = text("SET \"a\\x00b\"\n");
            for (unsigned i = 0; i < steps; i++) {
                assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
            }
            if (in.len > 0) {
                struct arili_resp_decoder copy = d;
                aril_bytes shorter = { in.data, in.len - 1 };
                assert_status(arili_resp_next(&copy, &shorter, &e), ARIL_OK);
                assert_int_equal(e.kind, ARILI_RESP_MORE);
            }
            in = text(others[k]);
            aril_status st = ARIL_OK;
            e.kind = ARILI_RESP_END;
            for (unsigned i = 0; i < 30 && st == ARIL_OK && e.kind != ARILI_RESP_MORE; i++) {
                st = arili_resp_next(&d, &in, &e);
            }
            assert_true(st != ARIL_OK || e.kind == ARILI_RESP_MORE);
        }
    }
}

/* --- With the encoder */

static void what_the_encoder_writes_is_a_command(void **state)
{
    (void)state;
    static uint8_t big[70000];
    memset(big, '\r', sizeof big);
    const aril_bytes args[] = { text("SET"), { big, sizeof big }, text("") };
    static uint8_t bytes[sizeof big + 64];
    const size_t len = arili_resp_put_command(args, COUNT(args), bytes, sizeof bytes);
    assert_in_range(len, sizeof big, sizeof bytes);
    struct arili_resp_decoder d;
    struct arili_resp_event e;
    arili_resp_decoder_init(&d, &WIDE);
    aril_bytes in = { bytes, len };
    assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
    assert_int_equal(e.count, COUNT(args));
    for (size_t i = 0; i < COUNT(args); i++) {
        assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
        assert_int_equal(e.body_len, args[i].len);
        assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
        assert_true(e.last);
        assert_int_equal(e.text.len, args[i].len);
        assert_memory_equal(e.text.data, args[i].data, args[i].len);
    }
    assert_status(arili_resp_next(&d, &in, &e), ARIL_OK);
    assert_int_equal(e.kind, ARILI_RESP_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_of_bulk_strings_are_commands),
        cmocka_unit_test(nothing_else_stands_in_an_array),
        cmocka_unit_test(a_null_is_accepted_only_where_it_was_asked_for),
        cmocka_unit_test(resp3_does_not_change_what_commands_are),
        cmocka_unit_test(words_are_split_at_blanks),
        cmocka_unit_test(empty_lines_are_no_commands),
        cmocka_unit_test(double_quotes_keep_blanks_and_know_escapes),
        cmocka_unit_test(single_quotes_know_one_escape),
        cmocka_unit_test(quotes_that_do_not_match_are_refused),
        cmocka_unit_test(a_line_holds_no_nul),
        cmocka_unit_test(no_other_protocol_is_taken_for_an_inline_command),
        cmocka_unit_test(words_have_their_greatest_number_and_length),
        cmocka_unit_test(an_inline_command_has_its_greatest_length),
        cmocka_unit_test(any_cut_of_a_transcript_gives_the_same),
        cmocka_unit_test(no_changed_byte_makes_cuts_matter),
        cmocka_unit_test(the_words_of_a_line_are_no_body_to_read),
        cmocka_unit_test(a_caller_that_changes_its_input_does_no_harm),
        cmocka_unit_test(what_the_encoder_writes_is_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
