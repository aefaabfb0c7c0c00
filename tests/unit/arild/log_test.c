/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log: one each, whatever is in them. */
#include "check.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_YEAR 1735689600u /* 2025-01-01T00:00:00Z */

static const char *line_of(bool journal, int level, const char *text)
{
    static char line[LOG_LINE_MAX + 1];
    const size_t len = log_write(journal, NEW_YEAR, level, text, line, LOG_LINE_MAX);
    assert_true(len < sizeof line);
    line[len] = '\0';
    return line;
}

static void a_line_has_its_time_and_level(void **state)
{
    (void)state;
    assert_string_equal(line_of(false, LOG_ERROR, "x"), "2025-01-01T00:00:00Z arild: error: x\n");
    assert_string_equal(line_of(false, LOG_WARN, "x"), "2025-01-01T00:00:00Z arild: warning: x\n");
    assert_string_equal(line_of(false, LOG_NOTE, "x"), "2025-01-01T00:00:00Z arild: x\n");
    assert_string_equal(line_of(false, LOG_FINE, "x"), "2025-01-01T00:00:00Z arild: debug: x\n");
}

static void a_line_of_the_journal_has_its_priority(void **state)
{
    (void)state;
    assert_string_equal(line_of(true, LOG_ERROR, "x"), "<3>x\n");
    assert_string_equal(line_of(true, LOG_WARN, "x"), "<4>x\n");
    assert_string_equal(line_of(true, LOG_NOTE, "x"), "<5>x\n");
    assert_string_equal(line_of(true, LOG_FINE, "x"), "<7>x\n");
}

static void levels_out_of_range_are_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(line_of(true, -5, "x"), "<3>x\n");
    assert_string_equal(line_of(true, 99, "x"), "<7>x\n");
}

static void nothing_can_forge_a_line(void **state)
{
    (void)state;
    assert_string_equal(line_of(true, LOG_NOTE, "a\n<3>b\r\033[2J\x7f\xc3\xa9\\"),
                        "<5>a\\x0a<3>b\\x0d\\x1b[2J\\x7f\\xc3\\xa9\\x5c\n");
}

static void a_long_line_is_cut_at_every_length(void **state)
{
    char text[200];
    char line[128];
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        for (size_t i = 0; i < n; i++) {
            text[i] = i % 3 == 0 ? '\n' : 'a';
        }
        text[n] = '\0';
        memset(line, 'Z', sizeof line);
        const size_t len = log_write(true, 0, LOG_NOTE, text, line, 64);
        assert_in_range(len, 4, 64);
        assert_int_equal(line[len - 1], '\n');
        assert_null(memchr(line, '\n', len - 1));
        for (size_t i = len; i < sizeof line; i++) {
            assert_int_equal(line[i], 'Z');
        }
        if (n > 40) {
            assert_memory_equal(line + len - 4, "...\n", 4);
        }
    }
}

/* $JOURNAL_STREAM counts only for the stream that it names. */
static void the_journal_is_known_by_its_stream(void **state)
{
    char text[64];
    struct stat st;
    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    static const char *const wrong[] = { "",      ":",   "1",
                                         "1:",    ":1",  "x:y",
                                         "1:2:3", "0:0", "99999999999999999999:1" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(setenv("JOURNAL_STREAM", wrong[i], 1), 0);
        log_init();
        assert_false(log_is_journal());
    }
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
    log_init();
    assert_true(log_is_journal());
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + 1);
    assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
    log_init();
    assert_false(log_is_journal());
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_init();
    assert_false(log_is_journal());
}

static void a_quota_lets_one_through_and_counts_the_others(void **state)
{
    (void)state;
    struct log_quota q = { .next_ns = 0 };
    uint64_t left_out = 77;
    assert_true(log_quota_take(&q, 5, &left_out));
    assert_int_equal(left_out, 0);
    left_out = 77;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(log_quota_take(&q, 4 + LOG_QUOTA_NS, &left_out));
        assert_int_equal(left_out, 77);
    }
    assert_true(log_quota_take(&q, 5 + LOG_QUOTA_NS, &left_out));
    assert_int_equal(left_out, 3);
    assert_true(log_quota_take(&q, 9 * LOG_QUOTA_NS, &left_out));
    assert_int_equal(left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_its_time_and_level),
        cmocka_unit_test(a_line_of_the_journal_has_its_priority),
        cmocka_unit_test(levels_out_of_range_are_the_nearest),
        cmocka_unit_test(nothing_can_forge_a_line),
        cmocka_unit_test(a_long_line_is_cut_at_every_length),
        cmocka_unit_test(the_journal_is_known_by_its_stream),
        cmocka_unit_test(a_quota_lets_one_through_and_counts_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
