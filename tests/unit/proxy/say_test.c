/* SPDX-License-Identifier: Apache-2.0 */
/* arili_say_*: pieces of answers. */
#include "check.h"
#include "local_answers.h"
#include <string.h>

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static int set_up(void **state)
{
    static struct local_answers la;
    local_answers_init(&la);
    *state = &la;
    return 0;
}

static int tear_down(void **state)
{
    local_answers_done(*state);
    return 0;
}

#define SAID(la, call, answer)    \
    do {                          \
        call;                     \
        local_take(la);           \
        local_expect(la, answer); \
    } while (0)

static void pieces_are_those_of_the_protocol(void **state)
{
    struct local_answers *const la = *state;
    struct arili_flow *const out = &la->flow;
    SAID(la, arili_say_header(out, '*', 3), "*3\r\n");
    SAID(la, arili_say_header(out, '*', UINT64_MAX), "*18446744073709551615\r\n");
    SAID(la, arili_say_map(out, false, 2), "*4\r\n");
    SAID(la, arili_say_map(out, true, 2), "%2\r\n");
    SAID(la, arili_say_set(out, false, 2), "*2\r\n");
    SAID(la, arili_say_set(out, true, 2), "~2\r\n");
    SAID(la, arili_say_nil(out, false), "$-1\r\n");
    SAID(la, arili_say_nil(out, true), "_\r\n");
    SAID(la, arili_say_nil_array(out, false), "*-1\r\n");
    SAID(la, arili_say_nil_array(out, true), "_\r\n");
    SAID(la, arili_say_integer(out, INT64_MIN), ":-9223372036854775808\r\n");
    SAID(la, arili_say_bulk(out, text("")), "$0\r\n\r\n");
    SAID(la, arili_say_bulk(out, text("a\r\nb")), "$4\r\na\r\nb\r\n");
    SAID(la, arili_say_simple(out, "OK"), "+OK\r\n");
    SAID(la, arili_say_text(out, false, text("a\n")), "$2\r\na\n\r\n");
    SAID(la, arili_say_text(out, true, text("a\n")), "=6\r\ntxt:a\n\r\n");
    SAID(la, arili_say_text(out, true, text("")), "=4\r\ntxt:\r\n");
}

static void a_bulk_may_be_longer_than_a_block(void **state)
{
    struct local_answers *const la = *state;
    static uint8_t body[3 * ARILI_BLOCK_BYTES + 1];
    memset(body, 'x', sizeof body);
    arili_say_bulk(&la->flow, (aril_bytes){ body, sizeof body });
    local_take(la);
    assert_int_equal(la->len, strlen("$49153\r\n") + sizeof body + 2);
    assert_memory_equal(la->bytes, "$49153\r\nxxx", 11);
    assert_memory_equal(la->bytes + la->len - 3, "x\r\n", 3);
}

static void an_error_is_one_line_and_no_longer_than_said(void **state)
{
    struct local_answers *const la = *state;
    SAID(la, arili_say_error(&la->flow, "ERR %s %d", "a\r\n+OK\r\n", 5), "-ERR a  +OK   5\r\n");
    char line[600];
    for (size_t len = 500; len < sizeof line; len++) {
        memset(line, 'x', len);
        line[len] = '\0';
        arili_say_error(&la->flow, "%s", line);
        local_take(la);
        assert_int_equal(la->len, (len < 512 ? len : 512) + 3);
        assert_memory_equal(la->bytes + la->len - 3, "x\r\n", 3);
        arili_say_simple(&la->flow, line);
        local_take(la);
        assert_int_equal(la->len, (len < 512 ? len : 512) + 3);
    }
}

static void a_refusal_says_why_and_what_to_do(void **state)
{
    struct local_answers *const la = *state;
    SAID(
        la, arili_say_refused(&la->flow, arili_command_find(text("incr"))),
        "-ERR 'incr' is refused here. A server cannot count in a ciphertext; use a key of a policy "
        "that passes values. Keys of a policy with values = pass may be used with it.\r\n");
    SAID(
        la, arili_say_refused(&la->flow, arili_command_find_any(text("config|set"))),
        "-ERR 'config|set' is refused here. Settings are in arild.conf of this proxy; its operator "
        "changes them there.\r\n");
    size_t count;
    const struct arili_command *const table = arili_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        arili_say_refused(&la->flow, &table[i]);
        local_take(la);
        assert_true(la->len < 512); /* whole */
    }
}

static void an_unknown_command_is_shown_without_what_could_forge_a_line(void **state)
{
    struct local_answers *const la = *state;
    SAID(la, arili_say_unknown(&la->flow, text("FOO")), "-ERR unknown command 'FOO'\r\n");
    SAID(la, arili_say_unknown(&la->flow, text("")), "-ERR unknown command ''\r\n");
    static const uint8_t HOSTILE[] = { 'a', 0, '\r', '\n', 0x1b, 0x7f, 0xff, '%', 's' };
    SAID(la, arili_say_unknown(&la->flow, (aril_bytes){ HOSTILE, sizeof HOSTILE }),
         "-ERR unknown command 'a??????%s'\r\n");
    static uint8_t longest[100000];
    memset(longest, 'a', sizeof longest);
    arili_say_unknown(&la->flow, (aril_bytes){ longest, sizeof longest });
    local_take(la);
    assert_int_equal(la->len, strlen("-ERR unknown command ''\r\n") + 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_are_those_of_the_protocol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bulk_may_be_longer_than_a_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_is_one_line_and_no_longer_than_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_says_why_and_what_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_command_is_shown_without_what_could_forge_a_line,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
