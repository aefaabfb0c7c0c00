/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "resp/resp.h"
#include <string.h>

#define FILL 0xee

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* One call of the encoder with everything but its buffer. */
enum what { HEADER, INTEGER, BULK, LINE, NIL, COMMAND };
struct call {
    enum what what;
    char type;
    uint64_t n;
    int64_t number;
    const char *text;
    bool resp3;
    const char *expected;
};

static size_t put(const struct call *c, uint8_t *ret, size_t cap)
{
    const aril_bytes words[] = { text("SET"), text("k\r\n"), text("") };
    switch (c->what) {
    case HEADER:
        return arili_resp_put_header(c->type, c->n, ret, cap);
    case INTEGER:
        return arili_resp_put_integer(c->number, ret, cap);
    case BULK:
        return arili_resp_put_bulk(text(c->text), ret, cap);
    case LINE:
        return arili_resp_put_line(c->type, text(c->text), ret, cap);
    case NIL:
        return arili_resp_put_nil(c->resp3, ret, cap);
    default:
        return arili_resp_put_command(words, (size_t)c->n, ret, cap);
    }
}

static const struct call CALLS[] = {
    { .what = HEADER, .type = '*', .n = 3, .expected = "*3\r\n" },
    { .what = HEADER, .type = '$', .n = 0, .expected = "$0\r\n" },
    { .what = HEADER, .type = '%', .n = 10, .expected = "%10\r\n" },
    { .what = HEADER, .type = '>', .n = UINT64_MAX, .expected = ">18446744073709551615\r\n" },
    { .what = INTEGER, .number = 0, .expected = ":0\r\n" },
    { .what = INTEGER, .number = -1, .expected = ":-1\r\n" },
    { .what = INTEGER, .number = INT64_MAX, .expected = ":9223372036854775807\r\n" },
    { .what = INTEGER, .number = INT64_MIN, .expected = ":-9223372036854775808\r\n" },
    { .what = BULK, .text = "", .expected = "$0\r\n\r\n" },
    { .what = BULK, .text = "a\r\nb", .expected = "$4\r\na\r\nb\r\n" },
    { .what = BULK, .text = "0123456789", .expected = "$10\r\n0123456789\r\n" },
    { .what = LINE, .type = '+', .text = "OK", .expected = "+OK\r\n" },
    { .what = LINE, .type = '+', .text = "", .expected = "+\r\n" },
    { .what = LINE, .type = '-', .text = "ERR a\r\n+OK\n", .expected = "-ERR a  +OK \r\n" },
    { .what = NIL, .resp3 = false, .expected = "$-1\r\n" },
    { .what = NIL, .resp3 = true, .expected = "_\r\n" },
    { .what = COMMAND, .n = 0, .expected = "*0\r\n" },
    { .what = COMMAND, .n = 1, .expected = "*1\r\n$3\r\nSET\r\n" },
    { .what = COMMAND, .n = 3, .expected = "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n" },
};

static void everything_is_written_as_the_specification_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        uint8_t out[128];
        memset(out, FILL, sizeof out);
        const size_t len = put(&CALLS[i], out, sizeof out);
        assert_int_equal(len, strlen(CALLS[i].expected));
        assert_memory_equal(out, CALLS[i].expected, len);
        assert_int_equal(out[len], FILL);
        assert_int_equal(put(&CALLS[i], NULL, 0), len);
    }
}

static void nothing_is_written_when_it_does_not_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        const size_t wanted = strlen(CALLS[i].expected);
        for (size_t cap = 0; cap <= wanted; cap++) {
            uint8_t out[128];
            memset(out, FILL, sizeof out);
            assert_int_equal(put(&CALLS[i], out, cap), wanted);
            for (size_t k = 0; k < sizeof out; k++) {
                assert_true(cap == wanted ? (k >= wanted) == (out[k] == FILL) : out[k] == FILL);
            }
        }
    }
}

static void headers_and_integers_fit_the_stated_room(void **state)
{
    (void)state;
    uint8_t out[ARILI_RESP_HEADER_BYTES];
    assert_in_range(arili_resp_put_header('*', UINT64_MAX, out, sizeof out), 1, sizeof out);
    assert_in_range(arili_resp_put_integer(INT64_MIN, out, sizeof out), 1, sizeof out);
    assert_in_range(arili_resp_put_integer(INT64_MAX, out, sizeof out), 1, sizeof out);
}

/* Sizes that do not fit size_t are the largest one, never a small one; nothing is read. */
static void a_size_never_wraps(void **state)
{
    (void)state;
    uint8_t out[64];
    memset(out, FILL, sizeof out);
    const aril_bytes all = { out, SIZE_MAX };
    const aril_bytes half[] = { { out, SIZE_MAX / 2 }, { out, SIZE_MAX / 2 }, { out, 64 } };
    assert_true(arili_resp_put_bulk(all, out, sizeof out) == SIZE_MAX);
    assert_true(arili_resp_put_bulk(all, NULL, SIZE_MAX) == SIZE_MAX);
    assert_true(arili_resp_put_line('+', all, out, sizeof out) == SIZE_MAX);
    assert_true(arili_resp_put_command(half, 3, out, sizeof out) == SIZE_MAX);
    assert_true(arili_resp_put_command(half, 3, NULL, SIZE_MAX) == SIZE_MAX);
    for (size_t i = 0; i < sizeof out; i++) {
        assert_int_equal(out[i], FILL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_written_as_the_specification_has_it),
        cmocka_unit_test(nothing_is_written_when_it_does_not_fit),
        cmocka_unit_test(headers_and_integers_fit_the_stated_room),
        cmocka_unit_test(a_size_never_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
